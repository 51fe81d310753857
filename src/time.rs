//! Time as data: a moment on the monotonic clock and the wall clock's reading beside it.
//!
//! Nothing here reads a clock; only [`crate::clock`] does. The pure layers get a [`Now`] as a parameter.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the monotonic clock, in microseconds since the server started.
///
/// Stored as that number plus 1, so that an `Option<Moment>` has the same size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Moment(NonZeroU64);

impl Moment {
    /// The start of the run.
    pub const START: Self = Self(NonZeroU64::MIN);

    /// The moment this many microseconds after the start; saturates at the last moment.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(micros))
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0.get() - 1
    }

    /// The time since `earlier`; zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl From<u64> for Moment {
    fn from(micros: u64) -> Self {
        Self::from_micros(micros)
    }
}

impl From<Moment> for u64 {
    fn from(moment: Moment) -> Self {
        moment.micros()
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self::START
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Moment").field(&self.micros()).finish()
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates: a deadline beyond 500,000 years is no deadline.
    fn add(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A moment rounded down to a tenth of a second, in four bytes: for times that every connection keeps only for display.
///
/// It saturates after 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deciseconds(u32);

impl Deciseconds {
    const MICROS: u64 = 100_000;

    /// The moment at which this tenth begins.
    #[must_use]
    pub const fn moment(self) -> Moment {
        Moment::from_micros(self.0 as u64 * Self::MICROS)
    }

    /// The number of tenths since `earlier`; 0 if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<Moment> for Deciseconds {
    fn from(moment: Moment) -> Self {
        Self(u32::try_from(moment.micros() / Self::MICROS).unwrap_or(u32::MAX))
    }
}

/// The wall clock in the server's time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallTime {
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: i64,
    /// Local hour, 0 to 23.
    pub hour: u8,
    /// Local minute, 0 to 59.
    pub minute: u8,
    /// Local second, 0 to 59.
    pub second: u8,
}

/// One reading of both clocks; each turn has exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// The monotonic clock, for deadlines and ages.
    pub moment: Moment,
    /// The wall clock, for times that people read.
    pub wall: WallTime,
}

impl Now {
    /// What both clocks read at `moment`, which must not be after this reading.
    #[must_use]
    pub fn earlier(self, moment: Moment) -> Self {
        let ago_ms = i64::try_from(self.moment.since(moment).as_millis()).unwrap_or(i64::MAX);
        let of_day =
            i64::from(self.wall.hour) * 3600 + i64::from(self.wall.minute) * 60 + i64::from(self.wall.second);
        let unix_ms = self.wall.unix_ms.saturating_sub(ago_ms);
        let seconds = self.wall.unix_ms.div_euclid(1000) - unix_ms.div_euclid(1000);
        let second_of_day = (of_day - seconds).rem_euclid(86_400);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        Self {
            moment,
            wall: WallTime {
                unix_ms,
                hour: part(second_of_day / 3600),
                minute: part(second_of_day / 60 % 60),
                second: part(second_of_day % 60),
            },
        }
    }
}

/// A span of time that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is a number with ms, s, m, h or d after it, such as \"90s\" or \"5m\"")]
pub struct NotASpan;

/// Reads `250ms`, `10s`, `5m`, `2h`, `1d`.
///
/// # Errors
///
/// If the number or the unit is missing, or if the milliseconds do not fit into 64 bits.
pub fn parse_span(text: &str) -> Result<Duration, NotASpan> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(NotASpan)?;
    let count = text[..digits].parse::<u64>().map_err(|_| NotASpan)?;
    let unit_ms = match text[digits..].trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(NotASpan),
    };
    count.checked_mul(unit_ms).map(Duration::from_millis).ok_or(NotASpan)
}

/// Writes a span in the largest unit that is exact, as [`parse_span`] reads it. Parts of a millisecond are cut.
#[must_use]
pub fn write_span(span: Duration) -> String {
    let ms = span.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
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

/// A span with its two largest units: `9.4 s`, `41 s`, `3 m 20 s`, `2 h 14 m`, `3 d 2 h`.
pub(crate) fn long_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{} s", span.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A span as a clock without days: `02:14:07`, `100:00:00`.
pub(crate) fn clock_span(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A span as a clock with days: `02:14:07`, `3d 02:14:07`.
pub(crate) fn day_span(span: Duration) -> String {
    let seconds = span.as_secs();
    let of_day = clock_span(Duration::from_secs(seconds % 86_400));
    if seconds < 86_400 { of_day } else { format!("{}d {of_day}", seconds / 86_400) }
}

/// A short span: `61µs`, `0.4ms`, `12ms`, `1.2s`. `micro` is the sign for a millionth.
pub(crate) fn brief_micros(micros: u32, micro: &str) -> String {
    match micros {
        0..100 => format!("{micros}{micro}s"),
        100..10_000 => format!("{}.{}ms", micros / 1_000, micros / 100 % 10),
        10_000..1_000_000 => format!("{}ms", micros / 1_000),
        _ => format!("{}.{}s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// The local time of day: `13:07:59`.
pub(crate) fn time_of_day(now: Now) -> String {
    format!("{:02}:{:02}:{:02}", now.wall.hour, now.wall.minute, now.wall.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_span_reads_back() {
        for text in ["0s", "250ms", "1500ms", "90s", "5m", "2h", "36h", "3d"] {
            assert_eq!(write_span(parse_span(text).unwrap()), text);
        }
        assert_eq!(write_span(Duration::from_secs(3_600)), "1h");
    }

    #[test]
    fn a_span_needs_a_number_and_a_unit() {
        assert_eq!(parse_span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_span("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_span("5 m"), Ok(Duration::from_secs(300)));
        for bad in ["", "5", "s", "-1s", "1.5s", "5 parsecs", "99999999999999999999s"] {
            assert_eq!(parse_span(bad), Err(NotASpan), "{bad:?}");
        }
    }

    #[test]
    fn an_earlier_reading_crosses_midnight() {
        let wall = WallTime { unix_ms: 1_000_500, hour: 0, minute: 0, second: 1 };
        let now = Now { moment: Moment::from_micros(10_000_000), wall };
        let earlier = now.earlier(Moment::from_micros(7_000_000));
        assert_eq!(earlier.wall, WallTime { unix_ms: 997_500, hour: 23, minute: 59, second: 58 });
    }

    #[test]
    fn moments_saturate() {
        assert_eq!(Moment::START.since(Moment::from_micros(5)), Duration::ZERO);
        let last = (Moment::from_micros(5) + Duration::MAX).micros();
        assert_eq!((last, Moment::from_micros(u64::MAX).micros()), (u64::MAX - 1, u64::MAX - 1));
    }

    #[test]
    fn a_tenth_is_rounded_down_and_saturates() {
        let at = |micros| Deciseconds::from(Moment::from_micros(micros));
        assert_eq!(at(1_299_999).moment(), Moment::from_micros(1_200_000));
        assert_eq!((at(1_200_000).since(at(1_000_000)), at(0).since(at(1_000_000))), (2, 0));
        assert!(at(u64::MAX).moment() > Moment::from_micros(13 * 365 * 86_400 * 1_000_000));
    }

    #[test]
    fn an_optional_moment_has_the_size_of_a_moment() {
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }

    #[test]
    fn spans_are_written_for_people() {
        assert_eq!(brief_span(Duration::from_secs(59)), "59s");
        assert_eq!(brief_span(Duration::from_secs(86_400 * 5_000)), "999d");
        assert_eq!(long_span(Duration::from_millis(9_480)), "9.4 s");
        assert_eq!(long_span(Duration::from_secs(200)), "3 m 20 s");
        assert_eq!(clock_span(Duration::from_secs(100 * 3_600)), "100:00:00");
        assert_eq!(day_span(Duration::from_secs(8_047)), "02:14:07");
        assert_eq!(day_span(Duration::from_secs(86_400 * 3 + 61)), "3d 00:01:01");
        assert_eq!(brief_micros(61, "µ"), "61µs");
        assert_eq!(brief_micros(432, "u"), "0.4ms");
    }
}
