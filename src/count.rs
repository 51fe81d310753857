//! Formats counts and sizes for people, without a locale. Units are binary: `K` is 1,024, as limits are configured.

/// A count with thousands separators: `9,120`.
#[must_use]
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 client`, `1,024 clients`.
#[must_use]
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

/// A number of bytes in at most 5 characters: `940`, `58.1K`, `256K`, `1023M`; all digits if `raw`.
pub(crate) fn bytes(count: u64, raw: bool) -> String {
    scaled(count, 1_024, 100, raw)
}

/// A number in at most 4 characters: `940`, `3.1K`, `41K`, `999M`; all digits if `raw`.
pub(crate) fn short(count: u64, raw: bool) -> String {
    scaled(count, 1_000, 10, raw)
}

/// `count` itself below `plain_below`, else in the largest unit that keeps it at 1 or more; below
/// `tenths_below` units with one decimal.
fn scaled(count: u64, plain_below: u64, tenths_below: u64, raw: bool) -> String {
    if raw || count < plain_below {
        return count.to_string();
    }
    let mut size = 1_u128;
    for unit in UNITS {
        size *= 1_024;
        let tenths = (u128::from(count) * 10 + size / 2) / size;
        if tenths < u128::from(tenths_below) * 10 {
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
        let whole = (u128::from(count) + size / 2) / size;
        if whole < u128::from(plain_below) {
            return format!("{whole}{unit}");
        }
    }
    count.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (123_456, "123,456"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn one_has_the_singular() {
        assert_eq!(counted(1, "client", "clients"), "1 client");
        assert_eq!(counted(0, "client", "clients"), "0 clients");
        assert_eq!(counted(1_024, "client", "clients"), "1,024 clients");
    }

    #[test]
    fn bytes_fit_in_five_characters_at_every_size() {
        for (count, text) in [
            (0, "0"),
            (1_023, "1023"),
            (1_024, "1.0K"),
            (59_494, "58.1K"),
            (102_399, "100K"),
            (262_144, "256K"),
            (1_048_575, "1.0M"),
            (1 << 40, "1.0T"),
        ] {
            assert_eq!(bytes(count, false), text, "{count}");
        }
        for shift in 0..64 {
            for count in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                assert!(bytes(count, false).len() <= 5, "{count} as {}", bytes(count, false));
                assert!(short(count, false).len() <= 4, "{count} as {}", short(count, false));
            }
        }
        assert_eq!(bytes(59_494, true), "59494");
    }

    #[test]
    fn short_numbers_lose_digits_not_magnitude() {
        for (count, text) in
            [(999, "999"), (1_000, "1.0K"), (3_200, "3.1K"), (41_984, "41K"), (1_100, "1.1K")]
        {
            assert_eq!(short(count, false), text, "{count}");
        }
    }
}
