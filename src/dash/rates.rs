//! Rates: how fast each connection's counters run, smoothed so that the figures can be read.
//!
//! Integers throughout, in thousandths a second, so that the same snapshots always give the same figures.

use crate::engine::snapshot::{ConnId, Phase, Row};
use crate::time::Moment;

/// A rate falls to a third of itself in this time while its counter stands still.
const SMOOTH_US: i128 = 2_000_000;

/// Once its counter has stood still for so long a rate is 0: what tails off would pass for something that goes on.
const STILL_US: u64 = 3_000_000;

/// How fast one counter runs, in thousandths a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rate {
    milli: i64,
    /// Since when it stands still.
    still_us: u64,
}

impl Rate {
    /// The rate after the counter ran on by `delta` in `elapsed_us`, which is not 0.
    fn after(self, delta: i128, elapsed_us: u64) -> Self {
        let still_us = if delta == 0 { self.still_us.saturating_add(elapsed_us) } else { 0 };
        if still_us >= STILL_US || (self.milli == 0 && delta == 0) {
            return Self { milli: 0, still_us };
        }
        let weighted = i128::from(self.milli) * SMOOTH_US + delta * 1_000_000_000;
        let rate = weighted / (SMOOTH_US + i128::from(elapsed_us));
        let milli = i64::try_from(rate).unwrap_or(if rate < 0 { i64::MIN } else { i64::MAX });
        Self { milli, still_us }
    }

    /// In whole units a second, of a counter that never falls.
    const fn risen(self) -> u64 {
        self.milli.unsigned_abs() / 1_000
    }
}

/// How fast the counters of one connection run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowRate {
    rx: Rate,
    tx: Rate,
    outbox: Rate,
    skipped: Rate,
}

impl RowRate {
    /// Bytes a second from the peer.
    pub(crate) const fn rx(self) -> u64 {
        self.rx.risen()
    }

    /// Bytes a second to the peer's kernel.
    pub(crate) const fn tx(self) -> u64 {
        self.tx.risen()
    }

    /// Bytes a second by which the outbox grows; negative when it drains.
    pub(crate) const fn outbox_growth(self) -> i64 {
        self.outbox.milli / 1_000
    }

    /// Whether lines to it were skipped within the last seconds.
    pub(crate) const fn is_skipping(self) -> bool {
        self.skipped.milli > 0
    }

    fn after(self, old: &Row, new: &Row, elapsed_us: u64) -> Self {
        let risen = |of: fn(&Row) -> u64| i128::from(of(new).saturating_sub(of(old)));
        let grown = i128::from(new.outbox_bytes) - i128::from(old.outbox_bytes);
        Self {
            rx: self.rx.after(risen(|row| row.bytes_in), elapsed_us),
            tx: self.tx.after(risen(|row| row.bytes_out), elapsed_us),
            outbox: self.outbox.after(grown, elapsed_us),
            skipped: self.skipped.after(risen(|row| row.lines_skipped), elapsed_us),
        }
    }
}

/// The rates of all rows of one snapshot, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates(Vec<RowRate>);

impl Rates {
    /// The rate of the row at this index.
    pub(crate) fn at(&self, index: usize) -> RowRate {
        self.0.get(index).copied().unwrap_or_default()
    }

    /// The rates for `new`, from the rates for `old` and what happened in between. Both are by rising id, so one
    /// walk over both pairs them.
    pub(crate) fn next(&self, old: (&[Row], Moment), new: (&[Row], Moment)) -> Self {
        let elapsed_us = new.1.micros().saturating_sub(old.1.micros());
        let mut before = old.0.iter().zip(&self.0).peekable();
        let rates = new.0.iter().map(|row| {
            while before.next_if(|(earlier, _)| earlier.id < row.id).is_some() {}
            match before.next_if(|(earlier, _)| earlier.id == row.id) {
                Some((earlier, rate)) if elapsed_us > 0 => rate.after(earlier, row, elapsed_us),
                Some((_, rate)) => *rate,
                None => RowRate::default(),
            }
        });
        Self(rates.collect())
    }
}

/// `count` a second over `elapsed_us`; 0 when no time has passed.
pub(crate) fn per_second(count: u64, elapsed_us: u64) -> u64 {
    let rate = (u128::from(count) * 1_000_000).checked_div(u128::from(elapsed_us)).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// The id of the row with the fullest outbox, and how full; none when all are empty. What those had who are gone is no
/// more.
pub(crate) fn fullest(rows: &[Row]) -> Option<(ConnId, u64)> {
    rows.iter()
        .filter(|row| row.outbox_bytes > 0 && row.state != Phase::Gone)
        .max_by_key(|row| (row.outbox_bytes, std::cmp::Reverse(row.id)))
        .map(|row| (row.id, row.outbox_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_reached_and_a_still_counter_soon_has_none() {
        let mut rate = Rate::default();
        for _ in 0..100 {
            rate = rate.after(100, 100_000);
        }
        assert!((950..=1_000).contains(&rate.risen()), "{rate:?}");
        for _ in 0..29 {
            rate = rate.after(0, 100_000);
        }
        assert!(rate.milli > 0, "it tails off: {rate:?}");
        rate = rate.after(0, 100_000);
        assert_eq!(rate.milli, 0);
        assert!(rate.after(1, 100_000).milli > 0, "it runs again");
    }

    #[test]
    fn an_outbox_that_drains_has_a_negative_growth() {
        assert!(Rate::default().after(-5_000, 1_000_000).milli < 0);
        for milli in [i64::MAX, i64::MIN] {
            let delta = i128::from(u64::MAX) * i128::from(milli.signum());
            assert_eq!(Rate { milli, still_us: 0 }.after(delta, 1).milli, milli);
        }
    }

    #[test]
    fn no_time_gives_no_rate() {
        assert_eq!(per_second(7, 0), 0);
        assert_eq!(per_second(u64::MAX, 1), u64::MAX);
        assert_eq!(per_second(3, 500_000), 6);
    }
}
