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

const NEVER: Moment = Moment::from_micros(u64::MAX);

/// At most one deadline for each [`Timer`].
#[derive(Clone, Debug)]
pub struct Timers([Moment; Timer::ALL.len()]);

impl Default for Timers {
    fn default() -> Self {
        Self([NEVER; Timer::ALL.len()])
    }
}

impl Timers {
    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at: Moment) {
        self.0[timer as usize] = at;
    }

    /// Takes a deadline away.
    pub fn cancel(&mut self, timer: Timer) {
        self.0[timer as usize] = NEVER;
    }

    /// Takes all deadlines away.
    pub fn cancel_all(&mut self) {
        *self = Self::default();
    }

    /// Whether this deadline is set.
    #[must_use]
    pub fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize] != NEVER
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.0.iter().copied().min().filter(|at| *at != NEVER)
    }

    /// Takes one deadline that has passed, the order of [`Timer`] deciding among several.
    pub fn take_due(&mut self, now: Moment) -> Option<Timer> {
        let due = Timer::ALL.into_iter().find(|timer| self.0[*timer as usize] <= now)?;
        self.cancel(due);
        Some(due)
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
}
