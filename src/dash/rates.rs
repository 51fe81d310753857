//! Rates: how fast each connection's counters run, smoothed so that the figures can be read.
//!
//! Integers throughout, in thousandths a second, so that the same snapshots always give the same figures.

use crate::engine::snapshot::{ConnId, Row};
use crate::time::Moment;

/// A rate falls to a third of itself in this time once its counter stands still.
const SMOOTH_US: u128 = 2_000_000;

/// From so many thousandths of a line a second lines are being skipped: one line counts for about three seconds.
const SKIPPING_MILLI: u64 = 100;

/// How fast the counters of one connection run, in thousandths of a byte, or of a line, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowRate {
    rx: u64,
    tx: u64,
    outbox: i64,
    skipped: u64,
}

impl RowRate {
    /// Bytes a second from the peer.
    pub(crate) const fn rx(self) -> u64 {
        self.rx / 1_000
    }

    /// Bytes a second to the peer's kernel.
    pub(crate) const fn tx(self) -> u64 {
        self.tx / 1_000
    }

    /// Bytes a second by which the outbox grows; negative when it drains.
    pub(crate) const fn outbox_growth(self) -> i64 {
        self.outbox / 1_000
    }

    /// Whether lines to it were skipped within the last seconds.
    pub(crate) const fn is_skipping(self) -> bool {
        self.skipped >= SKIPPING_MILLI
    }

    fn after(self, old: &Row, new: &Row, elapsed_us: u64) -> Self {
        let grown = i128::from(new.outbox_bytes) - i128::from(old.outbox_bytes);
        Self {
            rx: smoothed(self.rx, new.bytes_in.saturating_sub(old.bytes_in), elapsed_us),
            tx: smoothed(self.tx, new.bytes_out.saturating_sub(old.bytes_out), elapsed_us),
            outbox: smoothed_signed(self.outbox, grown, elapsed_us),
            skipped: smoothed(self.skipped, new.lines_skipped.saturating_sub(old.lines_skipped), elapsed_us),
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

/// The smoothed rate after a counter ran on by `delta` in `elapsed_us`, which is not 0.
fn smoothed(milli: u64, delta: u64, elapsed_us: u64) -> u64 {
    if milli == 0 && delta == 0 {
        return 0;
    }
    let weighted = u128::from(milli) * SMOOTH_US + u128::from(delta) * 1_000_000_000;
    u64::try_from(weighted / (SMOOTH_US + u128::from(elapsed_us))).unwrap_or(u64::MAX)
}

/// The same for a level that may fall.
fn smoothed_signed(milli: i64, delta: i128, elapsed_us: u64) -> i64 {
    if milli == 0 && delta == 0 {
        return 0;
    }
    let smooth = i128::try_from(SMOOTH_US).unwrap_or(i128::MAX);
    let weighted = i128::from(milli) * smooth + delta * 1_000_000_000;
    let rate = weighted / (smooth + i128::from(elapsed_us));
    i64::try_from(rate).unwrap_or(if rate < 0 { i64::MIN } else { i64::MAX })
}

/// `count` a second over `elapsed_us`; 0 when no time has passed.
pub(crate) fn per_second(count: u64, elapsed_us: u64) -> u64 {
    let rate = (u128::from(count) * 1_000_000).checked_div(u128::from(elapsed_us)).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// The id of the row with the fullest outbox, and how full; none when all are empty.
pub(crate) fn fullest(rows: &[Row]) -> Option<(ConnId, u64)> {
    rows.iter()
        .filter(|row| row.outbox_bytes > 0)
        .max_by_key(|row| (row.outbox_bytes, std::cmp::Reverse(row.id)))
        .map(|row| (row.id, row.outbox_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_reached_and_a_still_counter_falls_to_nothing() {
        let mut rate = 0;
        for _ in 0..100 {
            rate = smoothed(rate, 100, 100_000);
        }
        assert!((950_000..=1_000_000).contains(&rate), "{rate}");
        for _ in 0..400 {
            rate = smoothed(rate, 0, 100_000);
        }
        assert!(rate < 1_000, "{rate}");
    }

    #[test]
    fn an_outbox_that_drains_has_a_negative_growth() {
        assert!(smoothed_signed(0, -5_000, 1_000_000) < 0);
        assert_eq!(smoothed_signed(i64::MAX, i128::from(u64::MAX), 1), i64::MAX);
        assert_eq!(smoothed_signed(i64::MIN, -i128::from(u64::MAX), 1), i64::MIN);
    }

    #[test]
    fn no_time_gives_no_rate() {
        assert_eq!(per_second(7, 0), 0);
        assert_eq!(per_second(u64::MAX, 1), u64::MAX);
        assert_eq!(per_second(3, 500_000), 6);
    }
}
