//! The only reader of clocks. Everything else gets a [`Now`] as a parameter.
//!
//! One reading costs two calls into the vDSO (`clock_gettime(2)`). The time zone is looked up once a minute, because
//! offsets from UTC change on the minute. This module finds the file or rule of the zone as the C library does for
//! date(1), and `jiff` reads it. The look-up of `jiff` itself ignores case, needs rules in `TZ`, waits for a pipe, and
//! is cached for minutes.

use std::cell::Cell;
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::time::{Moment, Now, WallTime};

/// Both clocks of a run. Clones have the same start; each thread has its own clone.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    zone: Cell<ZoneOffset>,
}

impl Clock {
    /// Starts a run: [`Moment::START`] is now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: monotonic(), zone: Cell::new(ZoneOffset::UNKNOWN) }
    }

    /// Reads the monotonic clock alone.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment::START + monotonic().duration_since(self.started)
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let since_epoch = wall();
        let minute = since_epoch.as_secs() / SECONDS_A_MINUTE;
        let mut zone = self.zone.get();
        if zone.minute != minute {
            zone = ZoneOffset::at(minute).unwrap_or(ZoneOffset { minute, ..zone });
            self.zone.set(zone);
        }
        let unix_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Now { moment: self.moment(), wall: wall_time(unix_ms, zone.seconds) }
    }
}

const SECONDS_A_MINUTE: u64 = 60;
const SECONDS_A_DAY: i64 = 86_400;

/// The offset of local time from UTC, and the minute in which it was looked up.
#[derive(Clone, Copy, Debug)]
struct ZoneOffset {
    /// Since 1970-01-01 UTC.
    minute: u64,
    seconds: i64,
}

impl ZoneOffset {
    const UNKNOWN: Self = Self { minute: u64::MAX, seconds: 0 };

    /// `None` if the zone cannot be read now, for example without a free file descriptor.
    fn at(minute: u64) -> Option<Self> {
        let seconds = offset_at(i64::try_from(minute * SECONDS_A_MINUTE).ok()?)?;
        Some(Self { minute, seconds })
    }
}

/// Local time minus UTC, in seconds, at this second since 1970-01-01 UTC. A change of `/etc/localtime` is seen by the
/// next call.
fn offset_at(unix_s: i64) -> Option<i64> {
    let zone = match env::var_os("TZ") {
        Some(value) => zone_named(&value, &zone_directory()),
        None => zone_in(Path::new("/etc/localtime")),
    };
    Some(zone?.to_offset(Timestamp::from_second(unix_s).ok()?).seconds().into())
}

/// This moment, in milliseconds since 1970-01-01 UTC, in local time.
#[must_use]
pub fn local_time(unix_ms: i64) -> WallTime {
    wall_time(unix_ms, offset_at(unix_ms.div_euclid(1_000)).unwrap_or(0))
}

/// The value of `TZ`, if it names no time zone of this system; times are then UTC.
#[must_use]
pub fn unknown_zone() -> Option<String> {
    let value = env::var_os("TZ")?;
    zone_named(&value, &zone_directory()).is_none().then(|| value.to_string_lossy().into_owned())
}

fn zone_directory() -> PathBuf {
    env::var_os("TZDIR").unwrap_or_else(|| "/usr/share/zoneinfo".into()).into()
}

/// The zone of this value of `TZ`: UTC, a file of `directory`, or a rule of POSIX, in the C library's order.
fn zone_named(value: &OsStr, directory: &Path) -> Option<TimeZone> {
    /// The C library's rules for a zone with summer time and without rules.
    const DEFAULT_RULES: &str = ",M3.2.0,M11.1.0";
    let value = value.as_bytes();
    let value = value.strip_prefix(b":").unwrap_or(value);
    if matches!(value, b"" | b"UTC" | b"GMT") {
        return Some(TimeZone::UTC);
    }
    let rule = || {
        let rule = str::from_utf8(value).ok()?;
        TimeZone::posix(rule).or_else(|_| TimeZone::posix(&format!("{rule}{DEFAULT_RULES}"))).ok()
    };
    zone_in(&directory.join(OsStr::from_bytes(value))).or_else(rule)
}

/// The zone in this file, if it has the format of RFC 9636; leap seconds are left out.
fn zone_in(path: &Path) -> Option<TimeZone> {
    /// The largest file. Files of the time zone database have up to 4 KiB.
    const LARGEST: u64 = 64 * 1024;
    // Reading a pipe or a terminal could block.
    if !path.is_file() {
        return None;
    }
    let mut data = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut data).ok()?;
    TimeZone::tzif("", &data).ok()
}

fn wall_time(unix_ms: i64, offset_s: i64) -> WallTime {
    let of_day = unix_ms.div_euclid(1_000).saturating_add(offset_s).rem_euclid(SECONDS_A_DAY);
    let field = |value: i64| u8::try_from(value).expect("hours, minutes and seconds of a day are below 60");
    WallTime {
        unix_ms,
        hour: field(of_day / 3_600),
        minute: field(of_day / 60 % 60),
        second: field(of_day % 60),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the monotonic clock is read")]
fn monotonic() -> Instant {
    Instant::now()
}

/// Time since 1970-01-01 UTC; zero on a machine whose clock is set before that.
#[expect(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(unix_ms: i64, offset_s: i64) -> (u8, u8, u8) {
        let wall = wall_time(unix_ms, offset_s);
        assert_eq!(wall.unix_ms, unix_ms);
        (wall.hour, wall.minute, wall.second)
    }

    #[test]
    fn local_time_is_utc_plus_the_offset_on_any_day() {
        assert_eq!(read(0, 0), (0, 0, 0));
        assert_eq!(read(0, -3_600), (23, 0, 0));
        assert_eq!(read(86_399_999, 0), (23, 59, 59));
        assert_eq!(read(86_399_999, 5 * 3_600 + 1_800), (5, 29, 59));
        assert_eq!(read(1_700_000_000_123, 3_600), (23, 13, 20));
        assert_eq!(read(-1, 0), (23, 59, 59));
        assert_eq!(read(0, 167 * 3_600), (23, 0, 0), "RFC 9636 has offsets of up to 167 hours");
    }

    #[test]
    fn a_reading_agrees_with_the_system_and_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert_eq!(local_time(first.wall.unix_ms), first.wall);
        assert!(clock.clone().now().moment >= first.moment);
    }

    #[test]
    fn the_time_zone_is_looked_up_again_in_the_next_minute() {
        let clock = Clock::start();
        clock.zone.set(ZoneOffset { minute: 0, seconds: 12 * 3_600 + 34 * 60 });
        let _ = clock.now();
        let zone = clock.zone.get();
        assert_ne!(zone.minute, 0);
        assert_eq!(zone.seconds, ZoneOffset::at(zone.minute).map_or(45_240, |zone| zone.seconds));
    }

    /// Hours of local time ahead of UTC on 2026-01-01 and 2026-07-01, at noon UTC.
    fn winter_and_summer(value: &str, directory: &Path) -> Option<(f64, f64)> {
        let zone = zone_named(value.as_ref(), directory)?;
        let hours = |unix_s| {
            f64::from(zone.to_offset(Timestamp::from_second(unix_s).expect("in range")).seconds()) / 3_600.0
        };
        Some((hours(1_767_268_800), hours(1_782_907_200)))
    }

    #[test]
    fn a_posix_rule_is_a_zone_with_or_without_its_days_of_change() {
        for (rule, winter, summer) in [
            ("", 0.0, 0.0),
            (":", 0.0, 0.0),
            ("UTC", 0.0, 0.0),
            ("GMT", 0.0, 0.0),
            ("UTC0", 0.0, 0.0),
            ("<+00>0", 0.0, 0.0),
            ("<-03>+3", -3.0, -3.0),
            (":<-03>3", -3.0, -3.0),
            ("NST3:30:30", -3.508_333_333_333_333_4, -3.508_333_333_333_333_4),
            ("EET-2EEST,M3.4.4/50,M10.4.4/50", 2.0, 3.0),
            ("IST-2IDT,J60/-120,J300/167", 2.0, 3.0),
            ("<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 13.75, 12.75),
            ("AAA5BBB", -5.0, -4.0),
            ("WET0WEST", 0.0, 1.0),
            ("AAA5BBB3:30", -5.0, -3.5),
        ] {
            assert_eq!(winter_and_summer(rule, Path::new("/nowhere")), Some((winter, summer)), "{rule:?}");
        }
    }

    #[test]
    fn only_a_zone_file_of_the_directory_is_a_named_zone() {
        /// Version 1 of RFC 9636: no transitions and one type, an hour ahead, "CET".
        const CET: &[u8] =
            b"TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04\
            \0\0\x0e\x10\0\0CET\0";
        let directory = env::temp_dir().join(format!("chatops-zones-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("Europe")).unwrap();
        std::fs::write(directory.join("Europe/Lisbon"), CET).unwrap();
        std::fs::write(directory.join("EST5"), CET).unwrap();
        std::fs::write(directory.join("tab"), "PT\tLisbon").unwrap();
        std::fs::write(directory.join("cut"), &CET[..40]).unwrap();
        let file = directory.join("Europe/Lisbon");
        for zone in ["Europe/Lisbon", ":Europe/Lisbon", "Europe/../EST5", "EST5", file.to_str().unwrap()] {
            assert_eq!(winter_and_summer(zone, &directory), Some((1.0, 1.0)), "{zone:?}");
        }
        for other in [
            "Europe",
            "Europe/Lisbom",
            "europe/lisbon",
            "garbage",
            ":garbage",
            "tab",
            "cut",
            "<+00>",
            "<+00",
            "EST5EDT,M3.2.0",
            "EST25",
            "é",
            "/dev/zero",
            "-",
        ] {
            assert_eq!(winter_and_summer(other, &directory), None, "{other:?}");
        }
        std::fs::remove_dir_all(directory).unwrap();
    }
}
