//! How long a turn may go on.

use std::time::Duration;

use crate::clock::Clock;
use crate::time::Moment;

/// Time after which a turn, its reading included, writes to nobody else: the next one answers onlookers first.
const TURN_TIME_BUDGET: Duration = Duration::from_millis(10);
/// Questions between two looks at the clock: a look costs a tenth of a short write.
const LOOK_EVERY: u32 = 32;

/// The time of the turn under way.
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

    /// The turn has begun at `now`.
    pub(super) fn begin(&mut self, now: Moment) {
        self.end = now + TURN_TIME_BUDGET;
        self.asked = 0;
    }

    /// Whether its time is up. So much is always done that a late turn gets something done as well.
    pub(super) fn is_over(&mut self) -> bool {
        self.asked += 1;
        self.asked.is_multiple_of(LOOK_EVERY) && self.clock.moment() >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_turn_gets_something_done_and_then_ends() {
        let mut time = TurnTime::new(Clock::start());
        time.begin(Moment::START + Duration::from_secs(3_600));
        assert!((0..10 * LOOK_EVERY).all(|_| !time.is_over()), "there is an hour left");
        time.begin(Moment::START);
        time.end = Moment::START;
        assert_eq!((1..1_000).find(|_| time.is_over()), Some(LOOK_EVERY));
    }
}
