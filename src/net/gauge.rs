//! How long turns take, how late they begin, and how long a turn may go on.

use std::time::Duration;

use crate::clock::Clock;
use crate::model::snapshot::TurnStats;
use crate::time::Moment;

/// The number of recent turns that are measured.
const WINDOW: usize = 512;
/// The seconds for which the latest turn is kept.
const LATE_SECONDS: usize = 60;
/// The newest of them, which a snapshot shows as the present.
const LATE_NOW: u64 = 2;

/// The lengths of the last turns and how late they began, in microseconds.
#[derive(Debug)]
pub(super) struct Gauge {
    recent_us: Vec<u32>,
    turns: u64,
    /// The latest turn of each second, at the second's number modulo the length.
    late: [Late; LATE_SECONDS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Late {
    second: u64,
    most_us: u32,
}

impl Gauge {
    pub(super) fn new() -> Self {
        Self { recent_us: Vec::with_capacity(WINDOW), turns: 0, late: [Late::default(); LATE_SECONDS] }
    }

    /// A turn begins at `now`, `late` after its wait should have ended.
    pub(super) fn record_late(&mut self, now: Moment, late: Duration) {
        let second = second_of(now);
        let slot = &mut self.late[usize::try_from(second).unwrap_or(0) % LATE_SECONDS];
        if slot.second != second {
            *slot = Late { second, most_us: 0 };
        }
        slot.most_us = slot.most_us.max(micros(late));
    }

    /// The latest of the turns in the last `seconds`, the one of `now` included.
    fn late_us(&self, now: Moment, seconds: u64) -> u32 {
        let from = (second_of(now) + 1).saturating_sub(seconds);
        let recent = self.late.iter().filter(|late| late.second >= from);
        recent.map(|late| late.most_us).max().unwrap_or(0)
    }

    /// A turn took this time, from the end of its wait to its own end.
    pub(super) fn record(&mut self, took: Duration) {
        let took_us = micros(took);
        if self.recent_us.len() < WINDOW {
            self.recent_us.push(took_us);
        } else {
            let oldest = usize::try_from(self.turns).unwrap_or(0) % WINDOW;
            self.recent_us[oldest] = took_us;
        }
        self.turns += 1;
    }

    /// Median, 99th percentile and maximum of the window, and how late turns began, as of `now`.
    pub(super) fn stats(&self, now: Moment) -> TurnStats {
        let mut sorted = self.recent_us.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied().unwrap_or(0);
        TurnStats {
            turns: self.turns,
            p50_us: at(50),
            p99_us: at(99),
            max_us: sorted.last().copied().unwrap_or(0),
            late_max_us: self.late_us(now, LATE_SECONDS as u64),
            late_us: self.late_us(now, LATE_NOW),
        }
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

const fn second_of(moment: Moment) -> u64 {
    moment.micros() / 1_000_000
}

/// The time after which a turn, reading included, writes to no further client. The next turn answers onlookers first.
const TURN_TIME_BUDGET: Duration = Duration::from_millis(10);
/// Calls between two readings of the clock: a reading costs a tenth of a short write.
const READ_CLOCK_EVERY: u32 = 32;

/// The time of the current turn.
#[derive(Debug)]
pub(super) struct TurnTime {
    clock: Clock,
    end: Moment,
    asked: u32,
}

impl TurnTime {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, end: Moment::START, asked: 0 }
    }

    /// A turn begins at `now`.
    pub(super) fn begin(&mut self, now: Moment) {
        self.end = now + TURN_TIME_BUDGET;
        self.asked = 0;
    }

    /// Whether the turn's time is up. Even a late turn serves [`READ_CLOCK_EVERY`] clients before this is true.
    pub(super) fn is_over(&mut self) -> bool {
        self.asked += 1;
        self.asked.is_multiple_of(READ_CLOCK_EVERY) && self.clock.moment() >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recent_turns_count() {
        let mut gauge = Gauge::new();
        assert_eq!(gauge.stats(Moment::START), TurnStats::default());
        for _ in 0..WINDOW {
            gauge.record(Duration::from_secs(1));
        }
        for length in 1..=WINDOW as u64 {
            gauge.record(Duration::from_micros(length));
        }
        let stats = gauge.stats(Moment::START);
        assert_eq!((stats.p50_us, stats.p99_us, stats.max_us), (257, 507, 512));
        assert_eq!(stats.turns, 2 * WINDOW as u64);
    }

    #[test]
    fn the_latest_turn_is_kept_for_a_minute() {
        let mut gauge = Gauge::new();
        let at = |seconds: u64| Moment::START + Duration::from_secs(seconds);
        gauge.record_late(at(100), Duration::from_millis(6_500));
        gauge.record_late(at(100), Duration::from_micros(40));
        gauge.record_late(at(101), Duration::from_micros(900));
        let late = |now| (gauge.stats(now).late_max_us, gauge.stats(now).late_us);
        assert_eq!(late(at(101)), (6_500_000, 6_500_000));
        assert_eq!(late(at(102)), (6_500_000, 900));
        assert_eq!(late(at(159)), (6_500_000, 0));
        assert_eq!(late(at(160)), (900, 0));
        assert_eq!(late(at(161)), (0, 0));
    }

    #[test]
    fn a_late_turn_serves_some_clients_and_then_ends() {
        let mut time = TurnTime::new(Clock::start());
        time.begin(Moment::START + Duration::from_secs(3_600));
        assert!((0..10 * READ_CLOCK_EVERY).all(|_| !time.is_over()), "there is an hour left");
        time.begin(Moment::START);
        time.end = Moment::START;
        assert_eq!((1..1_000).find(|_| time.is_over()), Some(READ_CLOCK_EVERY));
    }
}
