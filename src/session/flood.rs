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

    /// How long it takes to pay for `units`.
    pub(super) const fn span(self, units: u64) -> Duration {
        Duration::from_nanos(self.nanos(units))
    }

    const fn nanos(self, units: u64) -> u64 {
        self.nanos_per_unit.saturating_mul(units)
    }
}

/// The most that is owed after the connection: what this long pays.
const OWED_MAX: Duration = Duration::from_secs(30);

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

    /// How long until `units` can be taken without debt; zero if that is now. Rounded up to the resolution of a
    /// [`Moment`]: a timer set for a wait that was rounded down would run out at once, again and again.
    #[must_use]
    pub fn wait(&self, now: Moment, rate: Rate, units: u64) -> Duration {
        let asked = self.full_at_nanos.max(nanos(now)).saturating_add(rate.nanos(units));
        let allowed = nanos(now).saturating_add(rate.nanos(rate.burst_units));
        Duration::from_micros(asked.saturating_sub(allowed).div_ceil(1000))
    }

    /// When it will be full again.
    #[must_use]
    pub fn full_at(&self) -> Moment {
        Moment::from_micros(self.full_at_nanos.div_ceil(1000))
    }

    /// Whether at least half of the burst is there again: the sender has paused.
    #[must_use]
    pub fn is_rested(&self, now: Moment, rate: Rate) -> bool {
        self.full_at_nanos <= nanos(now).saturating_add(rate.nanos(rate.burst_units) / 2)
    }
}

/// What a connection has taken from its buckets and time has not given back. It outlives the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debt {
    pub(super) lines: Bucket,
    pub(super) bytes: Bucket,
}

impl Debt {
    /// When time will have paid it.
    #[must_use]
    pub fn paid_at(&self) -> Moment {
        self.lines.full_at().max(self.bytes.full_at())
    }

    /// The same, but no more than 30 s pay.
    pub(super) fn capped(self, now: Moment) -> Self {
        let latest = nanos(now + OWED_MAX);
        let cap = |bucket: Bucket| Bucket { full_at_nanos: bucket.full_at_nanos.min(latest) };
        Self { lines: cap(self.lines), bytes: cap(self.bytes) }
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
    fn a_debt_is_paid_by_time_and_capped_at_what_30_seconds_pay() {
        let mut debt = Debt::default();
        debt.lines.take(at(0), RATE, 20);
        debt.bytes.take(at(0), Rate::new(10, 1), 100);
        assert_eq!(debt.paid_at(), at(100_000));
        let capped = debt.capped(at(1_000));
        assert_eq!(capped.paid_at(), at(31_000));
        assert_eq!(capped.lines, debt.lines);
    }

    #[test]
    fn debt_is_waited_for() {
        let mut bucket = Bucket::default();
        bucket.take(at(0), RATE, 30);
        assert_eq!(bucket.wait(at(0), RATE, 0), Duration::from_secs(2));
    }
}
