//! Numbers and times as people read them, at most as wide as the columns they stand in.
//!
//! Binary units throughout: `K` is 1,024 bytes, as limits are configured. No locale.

use std::time::Duration;

pub(crate) use crate::count::{counted, grouped};

use crate::time::Now;

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

/// A span in at most 4 characters: `9s`, `41m`, `23h`, `365d`.
pub(crate) fn brief_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", (seconds / 86_400).min(999)),
    }
}

/// A span in words: `9.4 s`, `41 s`, `3 m 20 s`, `2 h 14 m`, `3 d 2 h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{} s", span.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A span as a running clock: `02:14:07`, `3d 02:14:07`.
pub(crate) fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    let day = format!("{:02}:{:02}:{:02}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    if seconds < 86_400 { day } else { format!("{}d {day}", seconds / 86_400) }
}

/// A short time: `61µs`, `0.4ms`, `12ms`, `1.2s`; `micro` is the sign for a millionth.
pub(crate) fn micros(micros: u32, micro: &str) -> String {
    match micros {
        0..100 => format!("{micros}{micro}s"),
        100..10_000 => format!("{}.{}ms", micros / 1_000, micros / 100 % 10),
        10_000..1_000_000 => format!("{}ms", micros / 1_000),
        _ => format!("{}.{}s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// The time of day at `now`.
pub(crate) fn time_of_day(now: Now) -> String {
    format!("{:02}:{:02}:{:02}", now.wall.hour, now.wall.minute, now.wall.second)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn spans_and_clocks() {
        assert_eq!(brief_span(Duration::from_secs(59)), "59s");
        assert_eq!(brief_span(Duration::from_secs(86_400 * 5_000)), "999d");
        assert_eq!(span(Duration::from_millis(9_480)), "9.4 s");
        assert_eq!(span(Duration::from_secs(200)), "3 m 20 s");
        assert_eq!(clock(Duration::from_secs(8_047)), "02:14:07");
        assert_eq!(clock(Duration::from_secs(86_400 * 3 + 61)), "3d 00:01:01");
        assert_eq!(micros(61, "µ"), "61µs");
        assert_eq!(micros(432, "u"), "0.4ms");
        assert_eq!(counted(1, "client", "clients"), "1 client");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
