//! How fast the counters of each connection change, smoothed so that the figures can be read.
//!
//! RX/s and ACK/s are averages over [`WINDOW_US`]. ACK/s counts bytes that the peer's TCP has acknowledged, and
//! acknowledgements come in bursts: a slow reader opens its window only when a large part of its buffer is free, so a
//! loopback client that reads 3,000 bytes a second acknowledges nothing for 45 s and then 128 KiB. While bytes wait,
//! the average therefore covers the burst before the last one, and is not 0 between two bursts.
//!
//! Integers throughout, so that the same snapshots always give the same figures.

use std::time::Duration;

use super::send_q;
use crate::model::snapshot::{ConnId, Phase, Row};
use crate::time::Moment;

/// A rate falls to a third in this time while its counter does not change.
const SMOOTH_US: i128 = 2_000_000;

/// After this time without a change of its counter a rate is 0; a slowly falling figure would look like activity.
const STILL_US: u64 = 3_000_000;

/// The span of an average, once there is a history of that length.
const WINDOW_US: u64 = 10_000_000;

/// Points of an average, and the time between two of them.
const POINTS: usize = 6;
const STEP_US: u64 = WINDOW_US / (POINTS as u64 - 1);

/// The shortest span of an average: the first moments give no rate.
const SPAN_MIN_US: u64 = 1_000_000;

/// A peer that has acknowledged nothing for this time does not read, whatever it did before.
pub(crate) const NOT_READING_AFTER: Duration = Duration::from_secs(60);
const NOT_READING_AFTER_US: u64 = 60_000_000;

/// The least time without an acknowledgement after which a peer is said to take nothing; longer if its bursts are
/// further apart.
const PATIENCE_MIN_US: u64 = 10_000_000;

/// A counter at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Point {
    at_us: u64,
    count: u64,
}

/// How fast a counter that never falls ran in the last [`WINDOW_US`] or a little more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Average {
    /// The oldest first; only the first `len` count.
    points: [Point; POINTS],
    len: usize,
    /// The newest.
    last: Point,
    /// When the counter last rose.
    risen_us: u64,
    /// The longest time without a change while bytes waited, before the last change.
    gap_us: u64,
}

impl Average {
    fn since(first: Point) -> Self {
        let mut points = [Point::default(); POINTS];
        points[0] = first;
        Self { points, len: 1, last: first, risen_us: first.at_us, gap_us: 0 }
    }

    /// The average with one more value of the counter. With `waits` it reaches back to the last change of the counter.
    fn after(mut self, now: Point, waits: bool) -> Self {
        if self.len == 0 {
            return Self::since(now);
        }
        let now = Point { count: now.count.max(self.last.count), ..now };
        let has_risen = now.count > self.last.count;
        if has_risen {
            self.gap_us = if waits { now.at_us.saturating_sub(self.risen_us) } else { 0 };
            self.risen_us = now.at_us;
        }
        self.last = now;
        let newest = self.points[self.len - 1];
        let is_due = now.at_us.saturating_sub(newest.at_us) >= STEP_US;
        if is_due && (now.count > newest.count || !waits) {
            if self.len == POINTS {
                self.points.rotate_left(1);
                self.len -= 1;
            }
            self.points[self.len] = now;
            self.len += 1;
        }
        // The first point can be dropped when the second is old enough and the counter has changed since.
        while self.len > 1
            && self.points[1].at_us + WINDOW_US <= now.at_us
            && (now.count > self.points[1].count || !waits)
        {
            self.points.rotate_left(1);
            self.len -= 1;
        }
        self
    }

    fn per_second(&self) -> u64 {
        if self.last.at_us.saturating_sub(self.risen_us) >= NOT_READING_AFTER_US {
            return 0;
        }
        let first = self.points[0];
        let span = self.last.at_us.saturating_sub(first.at_us);
        per_second(self.last.count.saturating_sub(first.count), span.max(SPAN_MIN_US))
    }

    /// The time without a change, while bytes wait, after which the peer is said to take nothing.
    fn patience(&self) -> Duration {
        let patience = (self.gap_us.saturating_mul(3) / 2).clamp(PATIENCE_MIN_US, NOT_READING_AFTER_US);
        Duration::from_micros(patience)
    }
}

/// The change of one counter, in thousandths a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rate {
    milli: i64,
    /// Time since the last change.
    still_us: u64,
}

impl Rate {
    /// The rate after the counter changed by `delta` in `elapsed_us`, which is not 0.
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
}

/// The rates of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowRate {
    received: Average,
    acknowledged: Average,
    outbox: Rate,
    skipped: Rate,
}

impl RowRate {
    /// Bytes a second from the peer.
    pub(crate) fn rx(self) -> u64 {
        self.received.per_second()
    }

    /// Bytes a second that the peer's TCP has acknowledged.
    pub(crate) fn ack(self) -> u64 {
        self.acknowledged.per_second()
    }

    /// The time without an acknowledgement after which the peer is said to take nothing.
    pub(crate) fn patience(self) -> Duration {
        self.acknowledged.patience()
    }

    /// Growth of the outbox in bytes a second; negative when it drains.
    pub(crate) const fn outbox_growth(self) -> i64 {
        self.outbox.milli / 1_000
    }

    /// Whether lines were skipped within the last seconds.
    pub(crate) const fn is_skipping(self) -> bool {
        self.skipped.milli > 0
    }

    fn since(row: &Row, now: Moment) -> Self {
        let average = |count| Average::since(Point { at_us: now.micros(), count });
        Self { received: average(row.bytes_in), acknowledged: average(acknowledged(row)), ..Self::default() }
    }

    fn after(self, (old, before): (&Row, Moment), (new, now): (&Row, Moment)) -> Self {
        let elapsed_us = now.micros().saturating_sub(before.micros());
        let at = |count| Point { at_us: now.micros(), count };
        let skipped = new.lines_skipped.saturating_sub(old.lines_skipped);
        let grown = i128::from(new.outbox_bytes) - i128::from(old.outbox_bytes);
        let waits = new.outbox_bytes > 0 || send_q(new) > 0;
        Self {
            received: self.received.after(at(new.bytes_in), false),
            acknowledged: self.acknowledged.after(at(acknowledged(new)), waits),
            outbox: self.outbox.after(grown, elapsed_us),
            skipped: self.skipped.after(i128::from(skipped), elapsed_us),
        }
    }
}

/// Bytes that the peer's TCP has taken, as far as Send-Q is known.
fn acknowledged(row: &Row) -> u64 {
    row.bytes_out.saturating_sub(send_q(row))
}

/// The rates of all rows of one snapshot, in the order of the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates(Vec<RowRate>);

impl Rates {
    /// The rate of the row at this index.
    pub(crate) fn at(&self, index: usize) -> RowRate {
        self.0.get(index).copied().unwrap_or_default()
    }

    /// The rates for `new`, computed from the rates for `old`. Both are sorted by id, so one pass pairs their rows.
    pub(crate) fn next(&self, old: (&[Row], Moment), new: (&[Row], Moment)) -> Self {
        let mut before = old.0.iter().zip(&self.0).peekable();
        let rates = new.0.iter().map(|row| {
            while before.next_if(|(earlier, _)| earlier.id < row.id).is_some() {}
            match before.next_if(|(earlier, _)| earlier.id == row.id) {
                Some((earlier, rate)) if old.1 < new.1 => rate.after((earlier, old.1), (row, new.1)),
                Some((_, rate)) => *rate,
                None => RowRate::since(row, new.1),
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

/// The connection with the fullest outbox, and its bytes; none when all are empty.
pub(crate) fn fullest(rows: &[Row]) -> Option<(ConnId, u64)> {
    rows.iter()
        .filter(|row| row.outbox_bytes > 0 && row.state != Phase::Gone)
        .max_by_key(|row| (row.outbox_bytes, std::cmp::Reverse(row.id)))
        .map(|row| (row.id, row.outbox_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The average after a look each 250 ms for this many seconds.
    fn watch(
        mut average: Average,
        seconds: u64,
        waits: bool,
        count: impl Fn(u64) -> u64,
        mut each: impl FnMut(&Average),
    ) -> Average {
        let start = average.last.at_us;
        for look in 1..=seconds * 4 {
            let at_us = start + look * 250_000;
            average = average.after(Point { at_us, count: count(at_us) }, waits);
            each(&average);
        }
        average
    }

    #[test]
    fn a_steady_rate_is_reached_at_once_and_a_counter_that_stands_still_soon_has_none() {
        let start = Average::since(Point { at_us: 5_000_000, count: 0 });
        let steady = watch(
            start,
            30,
            false,
            |us| (us - 5_000_000) / 1_000,
            |average| {
                assert!(
                    average.last.at_us < 6_000_000 || (990..=1_010).contains(&average.per_second()),
                    "{average:?}"
                );
            },
        );
        let still = watch(steady, 13, false, |_| 30_000, |_| {});
        assert_eq!(still.per_second(), 0);
    }

    #[test]
    fn a_peer_that_acknowledges_in_bursts_is_never_said_to_take_nothing() {
        for period in [2_u64, 5, 9, 11, 15, 20] {
            let burst = 3_000 * period;
            let start = Average::since(Point { at_us: 0, count: 0 });
            watch(
                start,
                180,
                true,
                |us| us / (period * 1_000_000) * burst,
                |average| {
                    let at_s = average.last.at_us / 1_000_000;
                    if at_s > 3 * period + 12 {
                        assert!(
                            (1_400..=4_600).contains(&average.per_second()),
                            "every {period} s, at {at_s}: {average:?}"
                        );
                        let still = Duration::from_micros(average.last.at_us - average.risen_us);
                        assert!(still < average.patience(), "every {period} s, at {at_s}");
                    }
                },
            );
        }
    }

    #[test]
    fn a_peer_that_stops_for_good_is_detected() {
        let start = Average::since(Point { at_us: 0, count: 0 });
        let steady = watch(start, 30, true, |us| us / 100, |_| {});
        let stopped = watch(steady, 11, true, |_| 300_000, |_| {});
        assert!(Duration::from_micros(stopped.last.at_us - stopped.risen_us) > stopped.patience());
        let given_up = watch(stopped, 50, true, |_| 300_000, |_| {});
        assert_eq!(given_up.per_second(), 0);
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
