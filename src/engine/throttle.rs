//! What may happen at any rate and is told throttle, with how often it has happened.

use std::time::Duration;

use crate::time::Moment;

/// Least time between two words about the same thing.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// One thing of that kind.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    told: Option<Moment>,
    untold: u64,
}

impl Throttle {
    /// It has happened once more. `Some` if it is to be told, with how many times it has happened since it last was,
    /// this time not counted.
    pub(super) fn happened(&mut self, now: Moment) -> Option<u64> {
        if self.told.is_some_and(|told| now.since(told) < TOLD_EVERY) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_then_every_ten_seconds_with_what_was_left_out() {
        let mut throttle = Throttle::default();
        let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
        assert_eq!(throttle.happened(at(0)), Some(0));
        for second in 0..10 {
            assert_eq!(throttle.happened(at(second)), None);
        }
        assert_eq!(throttle.happened(at(10)), Some(10));
        assert_eq!(throttle.happened(at(19)), None);
        assert_eq!(throttle.happened(at(1_000)), Some(1));
    }
}
