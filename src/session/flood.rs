//! A token bucket, kept as the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371):
//! eight bytes, no refill to run, exact for any pause.

use std::time::Duration;

use crate::time::Moment;

/// How fast a bucket empties and fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    nanos_per_unit: u64,
    burst_units: u64,
}

impl Rate {
    /// `burst` units at once, then `per_second`; both at least 1.
    #[must_use]
    pub const fn new(burst: u64, per_second: u64) -> Self {
        let nanos = 1_000_000_000 / if per_second == 0 { 1 } else { per_second };
        Self { nanos_per_unit: if nanos == 0 { 1 } else { nanos }, burst_units: burst }
    }

    const fn nanos(self, units: u64) -> u64 {
        self.nanos_per_unit.saturating_mul(units)
    }
}

/// What one client may still send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at_nanos: u64,
}

impl Bucket {
    /// Takes `units`, into debt if need be.
    pub fn take(&mut self, now: Moment, rate: Rate, units: u64) {
        self.full_at_nanos = self.full_at_nanos.max(nanos(now)).saturating_add(rate.nanos(units));
    }

    /// How long until `units` can be taken without debt; zero if that is now. Rounded up to what a [`Moment`] tells
    /// apart: a timer set for a wait that was rounded down would run out at once, again and again.
    #[must_use]
    pub fn wait(&self, now: Moment, rate: Rate, units: u64) -> Duration {
        let asked = self.full_at_nanos.max(nanos(now)).saturating_add(rate.nanos(units));
        let allowed = nanos(now).saturating_add(rate.nanos(rate.burst_units));
        Duration::from_micros(asked.saturating_sub(allowed).div_ceil(1000))
    }

    /// Whether at least half of the burst is there again: the sender has paused.
    #[must_use]
    pub fn is_rested(&self, now: Moment, rate: Rate) -> bool {
        self.full_at_nanos <= nanos(now).saturating_add(rate.nanos(rate.burst_units) / 2)
    }
}

fn nanos(now: Moment) -> u64 {
    now.micros().saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new(20, 5);

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = Bucket::default();
        for _ in 0..20 {
            assert_eq!(bucket.wait(at(0), RATE, 1), Duration::ZERO);
            bucket.take(at(0), RATE, 1);
        }
        assert_eq!(bucket.wait(at(0), RATE, 1), Duration::from_millis(200));
        assert_eq!(bucket.wait(at(150), RATE, 1), Duration::from_millis(50));
        assert_eq!(bucket.wait(at(200), RATE, 1), Duration::ZERO);
    }

    #[test]
    fn a_pause_fills_it_again_and_never_over() {
        let mut bucket = Bucket::default();
        bucket.take(at(0), RATE, 20);
        assert!(!bucket.is_rested(at(1999), RATE));
        assert!(bucket.is_rested(at(2000), RATE));
        assert_eq!(bucket.wait(at(60_000), RATE, 20), Duration::ZERO);
        assert_eq!(bucket.wait(at(60_000), RATE, 21), Duration::from_millis(200));
    }

    #[test]
    fn a_wait_that_is_over_is_over() {
        for per_second in [3, 7, 999, 32 * 1024, 999_983, 2_000_000] {
            let rate = Rate::new(1, per_second);
            let mut bucket = Bucket::default();
            bucket.take(at(0), rate, 10);
            let wait = bucket.wait(at(0), rate, 0);
            assert_eq!(bucket.wait(at(0) + wait, rate, 0), Duration::ZERO, "{per_second} a second");
        }
    }

    #[test]
    fn debt_is_waited_for() {
        let mut bucket = Bucket::default();
        bucket.take(at(0), RATE, 30);
        assert_eq!(bucket.wait(at(0), RATE, 0), Duration::from_secs(2));
    }
}
