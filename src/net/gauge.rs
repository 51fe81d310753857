//! How long the turns take: a window of the recent ones.

use std::time::Duration;

use crate::engine::snapshot::TurnStats;

/// Turns in the window.
const WINDOW: usize = 512;

/// The lengths of the last turns, in microseconds.
#[derive(Debug)]
pub(super) struct Gauge {
    recent_us: Vec<u32>,
    turns: u64,
}

impl Gauge {
    pub(super) fn new() -> Self {
        Self { recent_us: Vec::with_capacity(WINDOW), turns: 0 }
    }

    /// A turn took so long, from the end of its wait to its end.
    pub(super) fn record(&mut self, took: Duration) {
        let took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if self.recent_us.len() < WINDOW {
            self.recent_us.push(took_us);
        } else {
            let oldest = usize::try_from(self.turns).unwrap_or(0) % WINDOW;
            self.recent_us[oldest] = took_us;
        }
        self.turns += 1;
    }

    /// Median, 99th percentile and maximum of the window.
    pub(super) fn stats(&self) -> TurnStats {
        let mut sorted = self.recent_us.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied().unwrap_or(0);
        TurnStats {
            turns: self.turns,
            p50_us: at(50),
            p99_us: at(99),
            max_us: sorted.last().copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recent_turns_count() {
        let mut gauge = Gauge::new();
        assert_eq!(gauge.stats(), TurnStats::default());
        for _ in 0..WINDOW {
            gauge.record(Duration::from_secs(1));
        }
        for length in 1..=WINDOW as u64 {
            gauge.record(Duration::from_micros(length));
        }
        let stats = gauge.stats();
        assert_eq!((stats.p50_us, stats.p99_us, stats.max_us), (257, 507, 512));
        assert_eq!(stats.turns, 2 * WINDOW as u64);
    }
}
