//! The deadlines of one connection. An idle one has none.

use crate::time::Moment;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Over its rate: parse and read again.
    Flow,
    /// Half-closed and listening for `half_close.timeout`.
    HalfClose,
    /// The longest that a farewell may take.
    Linger,
    /// After our FIN, nothing came in for so long.
    LingerIdle,
    /// Over its rate for `flood.patience`.
    Patience,
    /// Look at Send-Q: bytes are under way.
    Probe,
}

impl Timer {
    const ALL: [Self; 6] =
        [Self::Flow, Self::HalfClose, Self::Linger, Self::LingerIdle, Self::Patience, Self::Probe];
}

/// At most one deadline for each [`Timer`].
///
/// Whoever is written to has [`Timer::Probe`] for a while; the others are rare and need a place on the heap.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    probe: Option<Moment>,
    /// By [`Timer`]; none while none of them is set.
    rare: Option<Box<[Option<Moment>; Timer::Probe as usize]>>,
}

impl Timers {
    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at: Moment) {
        match timer {
            Timer::Probe => self.probe = Some(at),
            rare => self.rare.get_or_insert_default()[rare as usize] = Some(at),
        }
    }

    /// Sets a deadline, or moves it if it is set for later.
    pub fn set_earlier(&mut self, timer: Timer, at: Moment) {
        if self.get(timer).is_none_or(|set| at < set) {
            self.set(timer, at);
        }
    }

    /// Sets a deadline, or moves it if it is set for earlier.
    pub fn set_later(&mut self, timer: Timer, at: Moment) {
        if self.get(timer).is_none_or(|set| at > set) {
            self.set(timer, at);
        }
    }

    /// Takes a deadline away.
    pub fn cancel(&mut self, timer: Timer) {
        match (timer, &mut self.rare) {
            (Timer::Probe, _) => self.probe = None,
            (_, None) => {}
            (_, Some(rare)) => {
                rare[timer as usize] = None;
                if rare.iter().all(Option::is_none) {
                    self.rare = None;
                }
            }
        }
    }

    /// Takes all deadlines away.
    pub fn cancel_all(&mut self) {
        *self = Self::default();
    }

    /// Whether this deadline is set.
    #[must_use]
    pub fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        match &self.rare {
            None => self.probe,
            Some(rare) => rare.iter().flatten().chain(&self.probe).min().copied(),
        }
    }

    /// Takes one deadline that has passed, the order of [`Timer`] deciding among several.
    pub fn take_due(&mut self, now: Moment) -> Option<Timer> {
        let is_due = |timer: &Timer| self.get(*timer).is_some_and(|at| at <= now);
        let due = match self.rare {
            None => Some(Timer::Probe).filter(is_due),
            Some(_) => Timer::ALL.into_iter().find(is_due),
        }?;
        self.cancel(due);
        Some(due)
    }

    fn get(&self, timer: Timer) -> Option<Moment> {
        match timer {
            Timer::Probe => self.probe,
            rare => self.rare.as_ref()?[rare as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_due_once() {
        let at = Moment::from_micros;
        let mut timers = Timers::default();
        assert_eq!((timers.next(), timers.take_due(at(1_000))), (None, None));
        timers.set(Timer::Probe, at(10));
        timers.set(Timer::Linger, at(20));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.take_due(at(9)), None);
        assert_eq!(timers.take_due(at(25)), Some(Timer::Linger));
        assert_eq!(timers.take_due(at(25)), Some(Timer::Probe));
        assert_eq!(timers.take_due(at(25)), None);
        timers.set(Timer::Flow, at(5));
        timers.cancel(Timer::Flow);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_that_may_only_come_nearer() {
        let at = Moment::from_micros;
        let mut timers = Timers::default();
        for (wanted, set) in [(20, 20), (30, 20), (10, 10)] {
            timers.set_earlier(Timer::Linger, at(wanted));
            assert_eq!(timers.next(), Some(at(set)));
        }
    }
}
