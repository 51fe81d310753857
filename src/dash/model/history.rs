//! The server's traffic of the last minutes, one sample a second, for sparklines and charts. A second without a
//! snapshot is a gap.

use std::collections::VecDeque;

use super::rates::per_second;
use crate::model::snapshot::{Snapshot, Status};
use crate::time::Moment;

/// Samples kept: ten minutes.
pub(crate) const SECONDS_MAX: usize = 600;

/// Seconds that one sample may cover.
const SPAN_MAX: u64 = 2;

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Bytes received.
    pub(crate) bytes_in: u64,
    /// Bytes given to the kernel.
    pub(crate) bytes_out: u64,
    /// Lines put into outboxes.
    pub(crate) deliveries: u64,
    /// Connections accepted, in thousandths a second.
    pub(crate) accepted_milli: u64,
    /// Connections that ended, in thousandths a second.
    pub(crate) closed_milli: u64,
    /// Unsent bytes of all clients at its end.
    pub(crate) outbox: u64,
    /// Bytes in all Send-Qs known at its end.
    pub(crate) send_q: u64,
    /// 99th percentile of the turn time at its end, in microseconds.
    pub(crate) turn_p99_us: u64,
    /// How late the latest turn of the last two seconds began, in microseconds.
    pub(crate) late_us: u64,
}

/// Samples, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    samples: VecDeque<Option<Sample>>,
    last: Option<(Moment, Counters)>,
}

/// The counters whose differences make a sample.
#[derive(Clone, Copy, Debug)]
struct Counters {
    bytes_in: u64,
    bytes_out: u64,
    deliveries: u64,
    accepted: u64,
    closed: u64,
}

impl Counters {
    fn of(status: &Status) -> Self {
        Self {
            bytes_in: status.bytes_in,
            bytes_out: status.bytes_out,
            deliveries: status.deliveries,
            accepted: status.accepted,
            closed: status.closed.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)),
        }
    }
}

impl History {
    /// Takes a snapshot. Snapshots are not taken at full seconds, so two of them may leave out one second; more than
    /// one are a gap before the second of this snapshot.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot) {
        let (moment, counters) = (snapshot.taken.moment, Counters::of(&snapshot.status));
        let Some((since, before)) = self.last else {
            self.last = Some((moment, counters));
            return;
        };
        let seconds = (moment.micros() / 1_000_000).saturating_sub(since.micros() / 1_000_000);
        if seconds == 0 {
            return;
        }
        let sample = sample(&before, &counters, moment.micros() - since.micros(), snapshot);
        for left in (0..seconds.min(SECONDS_MAX as u64)).rev() {
            if self.samples.len() == SECONDS_MAX {
                self.samples.pop_front();
            }
            self.samples.push_back((left == 0 || seconds <= SPAN_MAX).then_some(sample));
        }
        self.last = Some((moment, counters));
    }

    /// The newest `count` values of `of`, the oldest first; fewer if there are no more. A gap has none.
    pub(crate) fn newest(&self, count: usize, of: fn(&Sample) -> u64) -> Vec<Option<u64>> {
        let newest = self.samples.iter().skip(self.samples.len().saturating_sub(count));
        newest.map(|sample| sample.as_ref().map(of)).collect()
    }

    /// The mean of the newest samples, as many as make the figure readable.
    pub(crate) fn recent(&self, of: fn(&Sample) -> u64) -> u64 {
        const READABLE: usize = 2;
        let newest: Vec<u64> = self.newest(READABLE, of).into_iter().flatten().collect();
        let count = u64::try_from(newest.len().max(1)).unwrap_or(1);
        newest.iter().fold(0_u64, |sum, value| sum.saturating_add(*value)) / count
    }
}

fn sample(before: &Counters, after: &Counters, elapsed_us: u64, snapshot: &Snapshot) -> Sample {
    let rate = |old: u64, new: u64, scale: u64| {
        per_second(new.saturating_sub(old).saturating_mul(scale), elapsed_us)
    };
    Sample {
        bytes_in: rate(before.bytes_in, after.bytes_in, 1),
        bytes_out: rate(before.bytes_out, after.bytes_out, 1),
        deliveries: rate(before.deliveries, after.deliveries, 1),
        accepted_milli: rate(before.accepted, after.accepted, 1_000),
        closed_milli: rate(before.closed, after.closed, 1_000),
        outbox: snapshot.status.outbox_bytes,
        send_q: snapshot.rows.iter().map(super::send_q).sum(),
        turn_p99_us: u64::from(snapshot.status.turns.p99_us),
        late_us: u64::from(snapshot.status.turns.late_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Now;

    fn at(ms: u64, bytes_in: u64) -> Snapshot {
        Snapshot {
            taken: Now { moment: Moment::from_micros(ms * 1_000), ..Now::default() },
            status: Status { bytes_in, ..Status::default() },
            ..Snapshot::default()
        }
    }

    fn bytes_in(history: &History) -> Vec<Option<u64>> {
        history.newest(SECONDS_MAX, |sample| sample.bytes_in)
    }

    #[test]
    fn each_second_is_one_sample_however_many_snapshots_it_brings() {
        let mut history = History::default();
        for (ms, counter) in [(0, 0), (400, 10), (1_000, 100), (1_200, 100), (1_900, 150), (2_000, 300)] {
            history.observe(&at(ms, counter));
        }
        assert_eq!(bytes_in(&history), [Some(100), Some(200)]);
        assert_eq!(history.recent(|sample| sample.bytes_in), 150);
    }

    #[test]
    fn a_gap_stays_a_gap_and_is_bounded() {
        let mut history = History::default();
        history.observe(&at(900, 0));
        history.observe(&at(2_100, 120));
        assert_eq!(bytes_in(&history), [Some(100); 2], "no second in between was missed");
        history.observe(&at(6_100, 520));
        assert_eq!(bytes_in(&history)[2..], [None, None, None, Some(100)]);
        history.observe(&at(4_000_000_000, 500));
        assert_eq!(bytes_in(&history).len(), SECONDS_MAX);
    }

    #[test]
    fn counters_and_clocks_that_run_backwards_give_no_sample() {
        let mut history = History::default();
        history.observe(&at(5_000, 900));
        history.observe(&at(3_000, 0));
        history.observe(&at(6_000, 0));
        assert_eq!(bytes_in(&history), [Some(0)]);
    }
}
