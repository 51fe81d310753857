//! The only reader of time. Everything else is handed a [`Now`].
//!
//! One reading costs two calls into the vDSO (`clock_gettime(2)`); the time zone is asked once a minute, since
//! offsets from UTC change on the minute.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local, Offset, TimeZone, Utc};

use crate::time::{Moment, Now, WallTime};

/// Both clocks of a run. Clones share its start; each thread has one of its own.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    zone: Cell<ZoneOffset>,
}

impl Clock {
    /// Starts the run: [`Moment::START`] is now.
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
            zone = ZoneOffset::at(minute);
            self.zone.set(zone);
        }
        Now { moment: self.moment(), wall: wall_time(since_epoch, zone.seconds) }
    }
}

const SECONDS_A_MINUTE: u64 = 60;
const SECONDS_A_DAY: i64 = 86_400;

/// How far local time is ahead of UTC, and in which minute that was asked.
#[derive(Clone, Copy, Debug)]
struct ZoneOffset {
    /// Since 1970-01-01 UTC.
    minute: u64,
    /// Less than a day, either way.
    seconds: i32,
}

impl ZoneOffset {
    const UNKNOWN: Self = Self { minute: u64::MAX, seconds: 0 };

    /// Asks the system; UTC in years that chrono cannot express.
    fn at(minute: u64) -> Self {
        let utc = i64::try_from(minute * SECONDS_A_MINUTE)
            .ok()
            .and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
        let seconds =
            utc.map_or(0, |utc| Local.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc());
        Self { minute, seconds }
    }
}

fn wall_time(since_epoch: Duration, offset_s: i32) -> WallTime {
    let utc_s = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    let of_day = utc_s.saturating_add(i64::from(offset_s)).rem_euclid(SECONDS_A_DAY);
    let field = |value: i64| u8::try_from(value).expect("hours, minutes and seconds of a day are below 60");
    WallTime {
        unix_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
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

    fn read(since_epoch_ms: u64, offset_s: i32) -> (u8, u8, u8) {
        let wall = wall_time(Duration::from_millis(since_epoch_ms), offset_s);
        assert_eq!(wall.unix_ms, i64::try_from(since_epoch_ms).expect("small"));
        (wall.hour, wall.minute, wall.second)
    }

    #[test]
    fn local_time_is_utc_and_the_offset_whichever_day_that_is() {
        assert_eq!(read(0, 0), (0, 0, 0));
        assert_eq!(read(0, -3_600), (23, 0, 0));
        assert_eq!(read(86_399_999, 0), (23, 59, 59));
        assert_eq!(read(86_399_999, 5 * 3_600 + 1_800), (5, 29, 59));
        assert_eq!(read(1_700_000_000_123, 3_600), (23, 13, 20));
    }

    #[test]
    fn a_reading_agrees_with_the_system_and_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        let utc = DateTime::<Utc>::from_timestamp_millis(first.wall.unix_ms).expect("in range");
        let local = utc.with_timezone(&Local).format("%H:%M:%S").to_string();
        let WallTime { hour, minute, second, .. } = first.wall;
        assert_eq!(format!("{hour:02}:{minute:02}:{second:02}"), local);
        assert!(clock.clone().now().moment >= first.moment);
    }

    #[test]
    fn the_time_zone_is_asked_again_in_another_minute() {
        let clock = Clock::start();
        clock.zone.set(ZoneOffset { minute: 0, seconds: 12 * 3_600 + 34 * 60 });
        let _ = clock.now();
        let zone = clock.zone.get();
        assert_ne!(zone.minute, 0);
        assert_eq!(zone.seconds, ZoneOffset::at(zone.minute).seconds);
    }
}
