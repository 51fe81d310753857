//! How each type of setting is read from TOML and written as TOML.
//!
//! A reader says what it expected and what it found; [`super::draft`] adds the key and the place. Ranges belong to the
//! keys ([`super::keys`]), not to the types.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::settings::{
    ByteSize, ClockFormat, ControlPath, FileMode, Framing, HalfClosePolicy, LogLevel, OnFull, OnHangup,
    PerAddress, ThemeName,
};
use crate::network::Network;
use crate::time::{parse_span, write_span};

/// The longest part of a value that an error repeats, in characters.
const SHOWN_MAX: usize = 40;
/// The most networks in a list: each is compared for every connection.
const NETWORKS_MAX: usize = 1_000;

/// A type that a key can have.
pub(super) trait Setting: Sized {
    /// Whether a whole number is a value of this type, so that an error about any number can name the range.
    const IS_NUMBER: bool = false;

    /// Reads a TOML value, or says what was expected.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;

    /// The TOML value that [`Setting::read`] takes back.
    fn write(&self) -> String;
}

impl Setting for bool {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("must be true or false, not {}", describe(value)))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    const IS_NUMBER: bool = true;

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let number = integer(value).and_then(|number| Self::try_from(number).ok());
        number.ok_or_else(|| match value {
            DeValue::Integer(number) => format!("must be from 0 to {}, not {number}", Self::MAX),
            _ => format!("must be a whole number, not {}", describe(value)),
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A number, or `"auto"`.
impl Setting for PerAddress {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match text(value) {
            Some("auto") => Ok(Self::Auto),
            Some(_) => Err(format!("must be a number, 0 for no limit, or \"auto\", not {}", describe(value))),
            None => u32::read(value).map(Self::Most),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Auto => quoted("auto"),
            Self::Most(most) => most.to_string(),
        }
    }
}

/// A list of networks such as `["10.0.0.0/8", "2001:db8::/32"]`.
impl Setting for Vec<Network> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let expected = || {
            format!("must be a list of networks such as [\"10.0.0.0/8\", \"::1\"], not {}", describe(value))
        };
        let list = value.as_array().ok_or_else(expected)?;
        if list.len() > NETWORKS_MAX {
            return Err(format!("has more than {NETWORKS_MAX} networks"));
        }
        let network = |item: &DeValue<'_>| {
            let network = text(item).and_then(|text| text.parse().ok());
            network.ok_or_else(|| format!("{} is no address or network, such as 10.0.0.0/8", describe(item)))
        };
        list.iter().map(|item| network(item.get_ref())).collect()
    }

    fn write(&self) -> String {
        let networks: Vec<String> = self.iter().map(|network| quoted(&network.to_string())).collect();
        format!("[{}]", networks.join(", "))
    }
}

impl Setting for String {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        text(value)
            .map(str::to_owned)
            .ok_or_else(|| format!("must be a string in quotes, not {}", describe(value)))
    }

    fn write(&self) -> String {
        quoted(self)
    }
}

/// A file, or `"off"` or an empty string for none.
impl Setting for Option<PathBuf> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match text(value) {
            Some("" | "off") => Ok(None),
            Some(path) if !path.contains('\0') => Ok(Some(PathBuf::from(path))),
            _ => Err(format!("must be the path of a file or \"off\", not {}", describe(value))),
        }
    }

    fn write(&self) -> String {
        quoted(&self.as_ref().map_or_else(|| "off".into(), |path| path.to_string_lossy()))
    }
}

/// A path, `"off"`, or `"auto"`; a file of such a name is `"./off"`.
impl Setting for ControlPath {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match text(value) {
            Some("auto") => Ok(Self::Auto),
            Some("off") => Ok(Self::Off),
            Some(path) if !path.is_empty() && !path.contains('\0') => Ok(Self::At(PathBuf::from(path))),
            _ => Err(format!("must be the path of a socket, \"auto\" or \"off\", not {}", describe(value))),
        }
    }

    fn write(&self) -> String {
        quoted(&match self {
            Self::Auto => "auto".into(),
            Self::At(path) => path.to_string_lossy(),
            Self::Off => "off".into(),
        })
    }
}

impl Setting for ByteSize {
    const IS_NUMBER: bool = true;

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let size = match value {
            DeValue::Integer(_) => integer(value).map(Self),
            DeValue::String(text) => parse_size(text)?,
            _ => None,
        };
        size.ok_or_else(|| {
            format!("must be a size such as \"256 KiB\", or a number of bytes, not {}", describe(value))
        })
    }

    fn write(&self) -> String {
        let units = [(Self::mib(1024).0, "GiB"), (Self::mib(1).0, "MiB"), (Self::kib(1).0, "KiB")];
        match units.iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => quoted(&format!("{} {name}", self.0 / unit)),
            None => self.0.to_string(),
        }
    }
}

/// Octal digits as for chmod(1), without the set-user-id, set-group-id and sticky bits, which have no meaning here.
impl Setting for FileMode {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let digits = text(value).filter(|text| (3..=4).contains(&text.len()));
        let mode =
            digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()).filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| {
            format!(
                "must be a file mode in octal digits and quotes, such as \"0660\", not {}",
                describe(value)
            )
        })
    }

    fn write(&self) -> String {
        quoted(&format!("{:04o}", self.0))
    }
}

/// `16 MiB`, `512 B` or `512`. `64 KB` is refused, because it means 64,000 bytes to some and 65,536 to others.
fn parse_size(text: &str) -> Result<Option<ByteSize>, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let Ok(count) = text[..digits].parse::<u64>() else { return Ok(None) };
    let unit = text[digits..].trim_start().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" | "b" => 1,
        "kib" => ByteSize::kib(1).0,
        "mib" => ByteSize::mib(1).0,
        "gib" => ByteSize::mib(1024).0,
        "k" | "kb" | "m" | "mb" | "g" | "gb" => {
            let letter = unit[..1].to_ascii_uppercase();
            return Err(format!(
                "{text:?} has two meanings: write \"{count} {letter}iB\", or the number of bytes"
            ));
        }
        _ => return Ok(None),
    };
    Ok(count.checked_mul(factor).map(ByteSize))
}

impl Setting for Duration {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        if let DeValue::Integer(number) = value {
            return Err(format!(
                "must have a unit: write \"{number}s\" for seconds; there are ms, s, m, h and d"
            ));
        }
        text(value).and_then(|text| parse_span(text).ok()).ok_or_else(|| {
            format!("must be a time such as \"10s\" or \"5m\" (ms, s, m, h, d), not {}", describe(value))
        })
    }

    fn write(&self) -> String {
        quoted(&write_span(*self))
    }
}

/// Settings with a few named values.
macro_rules! names {
    ($($type:ident { $($name:literal $variant:ident)+ })+) => {$(
        impl Setting for $type {
            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                read_name(value, &[$(($name, Self::$variant)),+])
            }

            fn write(&self) -> String {
                quoted(match self { $(Self::$variant => $name),+ })
            }
        }
    )+};
}

names! {
    ClockFormat { "time" Time "age" Age }
    HalfClosePolicy { "answer" Answer "listen" Listen }
    LogLevel { "error" Error "warn" Warn "info" Info "debug" Debug }
    OnFull { "skip" Skip "disconnect" Disconnect }
    OnHangup { "detach" Detach "drain" Drain }
    ThemeName {
        "auto" Auto "dark" Dark "light" Light "high-contrast" HighContrast "colour-blind" ColourBlind "mono" Mono
    }
}

impl Setting for Framing {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let framing = text(value).and_then(|text| match text {
            "lines" => Some(Self::Lines),
            "nul" => Some(Self::Nul),
            "length" => Some(Self::Length),
            _ => text
                .strip_prefix("fixed:")
                .filter(|record| record.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|record| record.parse().ok())
                .map(Self::Fixed),
        });
        framing.ok_or_else(|| {
            let known = "\"lines\" or \"nul\" or \"length\" or \"fixed:N\" with N bytes";
            format!("must be {known}, not {}", describe(value))
        })
    }

    fn write(&self) -> String {
        quoted(&self.to_string())
    }
}

fn read_name<T: Copy>(value: &DeValue<'_>, names: &[(&str, T)]) -> Result<T, String> {
    let found = text(value).and_then(|text| names.iter().find(|(name, _)| *name == text));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names: Vec<String> = names.iter().map(|(name, _)| format!("{name:?}")).collect();
        format!("must be {}, not {}", names.join(" or "), describe(value))
    })
}

/// `text` as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The text of a string value.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    value.as_str()
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The value as an error repeats it: short, and without control characters.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > SHOWN_MAX => {
            format!("\"{}…\"", text.chars().take(SHOWN_MAX).collect::<String>().escape_debug())
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<T: Setting>(toml: &str) -> Result<T, String> {
        T::read(DeValue::parse(toml).unwrap().get_ref())
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        for (toml, bytes) in [
            ("4096", 4096),
            ("\"4096\"", 4096),
            ("0x1000", 4096),
            ("\"512 B\"", 512),
            ("\"256 KiB\"", 256 << 10),
            ("\"1MiB\"", 1 << 20),
            ("\" 2 gib \"", 2 << 30),
        ] {
            assert_eq!(read::<ByteSize>(toml), Ok(ByteSize(bytes)), "{toml}");
        }
        for bad in ["-1", "1.5", "\"\"", "\"KiB\"", "\"1.5 MiB\"", "\"99999999999 GiB\"", "true", "[1]"] {
            let error = read::<ByteSize>(bad).unwrap_err();
            assert!(error.starts_with("must be a size such as \"256 KiB\""), "{bad}: {error}");
        }
        assert_eq!(
            read::<ByteSize>("\"64KB\""),
            Err("\"64KB\" has two meanings: write \"64 KiB\", or the number of bytes".to_owned())
        );
    }

    #[test]
    fn a_time_without_a_unit_is_refused_with_the_form() {
        assert_eq!(read::<Duration>("\"90s\""), Ok(Duration::from_secs(90)));
        let error = read::<Duration>("5").unwrap_err();
        assert!(error.contains("write \"5s\""), "{error}");
        assert!(read::<Duration>("\"5\"").is_err());
    }

    #[test]
    fn an_unknown_value_is_refused_with_the_known_ones() {
        assert_eq!(
            read::<OnFull>("\"drop\""),
            Err("must be \"skip\" or \"disconnect\", not \"drop\"".to_owned())
        );
    }

    #[test]
    fn a_value_in_an_error_is_short_and_printable() {
        let error = read::<bool>(&format!("\"\\u001b[2J{}\"", "x".repeat(9_000))).unwrap_err();
        assert!(error.len() < 100 && !error.contains('\x1b'), "{error}");
    }

    proptest! {
        #[test]
        fn a_written_setting_reads_back(bytes in 0..u64::MAX / 2, ms in 0..1_u64 << 40, name in any::<String>()) {
            for size in [ByteSize(bytes), ByteSize(bytes >> 30 << 30), ByteSize(bytes >> 12 << 12)] {
                prop_assert_eq!(read::<ByteSize>(&size.write()), Ok(size));
            }
            for span in [ms, ms / 1_000 * 1_000, ms / 60_000 * 60_000].map(Duration::from_millis) {
                prop_assert_eq!(read::<Duration>(&span.write()), Ok(span));
            }
            prop_assert_eq!(read::<String>(&name.write()), Ok(name));
        }
    }
}
