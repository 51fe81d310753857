//! What has to be done at which time: one queue for all connections and for the server as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Slot;
use crate::time::Moment;

/// Something that is done when its time comes. Each is in the queue once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// The earliest timer of a connection.
    Connection(Slot),
    /// Delayed lines of presence are written.
    FlushPresence,
    /// A connection that waits at its address's rate is let in.
    LetIn,
    /// The clean stop is over.
    Stop,
    /// A room is told a summary of its joins and leaves, or a newcomer is announced.
    Summary,
    /// A ban ends.
    Unban,
    /// A mute ends.
    Unmute,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: BTreeSet<(Moment, Deadline)>,
    /// The moments of those that are not of a connection; a connection keeps its own.
    of_server: BTreeMap<Deadline, Moment>,
    connections: usize,
}

impl Deadlines {
    /// Moves the deadline of connection `slot` from `armed` to `wanted`, and stores it in `armed`.
    pub(super) fn arm(&mut self, slot: Slot, armed: &mut Option<Moment>, wanted: Option<Moment>) {
        if *armed == wanted {
            return;
        }
        let deadline = Deadline::Connection(slot);
        if let Some(at) = armed.take() {
            self.queue.remove(&(at, deadline));
            self.connections -= 1;
        }
        if let Some(at) = wanted {
            self.queue.insert((at, deadline));
            self.connections += 1;
        }
        *armed = wanted;
    }

    /// Moves a deadline that is not of a connection to `wanted`.
    pub(super) fn set(&mut self, deadline: Deadline, wanted: Option<Moment>) {
        if self.of_server.get(&deadline).copied() == wanted {
            return;
        }
        if let Some(at) = self.of_server.remove(&deadline) {
            self.queue.remove(&(at, deadline));
        }
        if let Some(at) = wanted {
            self.queue.insert((at, deadline));
            self.of_server.insert(deadline, at);
        }
    }

    /// The earliest of all.
    pub(super) fn next(&self) -> Option<Moment> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// How many connections have one.
    pub(super) const fn connections(&self) -> usize {
        self.connections
    }

    /// One that has passed, the earliest first. That of a connection stays in the queue until it is armed otherwise, any
    /// other is out of it until it is set again.
    pub(super) fn due(&mut self, now: Moment) -> Option<Deadline> {
        let (_, deadline) = self.queue.first().filter(|(at, _)| *at <= now).copied()?;
        if !matches!(deadline, Deadline::Connection(_)) {
            self.set(deadline, None);
        }
        Some(deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    #[test]
    fn the_earliest_of_all_kinds_is_due_first() {
        let mut deadlines = Deadlines::default();
        let mut armed = None;
        deadlines.arm(Slot(3), &mut armed, Some(at(20)));
        deadlines.set(Deadline::Unban, Some(at(10)));
        deadlines.set(Deadline::Stop, Some(at(30)));
        assert_eq!((deadlines.next(), deadlines.connections()), (Some(at(10)), 1));
        assert_eq!(deadlines.due(at(9)), None);
        assert_eq!(deadlines.due(at(40)), Some(Deadline::Unban));
        assert_eq!(deadlines.due(at(40)), Some(Deadline::Connection(Slot(3))), "it stays until it is armed");
        deadlines.arm(Slot(3), &mut armed, None);
        assert_eq!(deadlines.due(at(40)), Some(Deadline::Stop));
        assert_eq!((deadlines.due(at(40)), deadlines.next(), deadlines.connections()), (None, None, 0));
    }

    #[test]
    fn a_deadline_that_is_set_again_moves() {
        let mut deadlines = Deadlines::default();
        deadlines.set(Deadline::Unmute, Some(at(10)));
        deadlines.set(Deadline::Unmute, Some(at(50)));
        assert_eq!((deadlines.due(at(10)), deadlines.next()), (None, Some(at(50))));
        deadlines.set(Deadline::Unmute, None);
        assert_eq!(deadlines.next(), None);
    }
}
