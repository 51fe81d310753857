//! What has to be done at which time: one queue for all connections and for the server as a whole.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::id::Slot;
use crate::time::Moment;

/// Something that is done when its time comes. Each is in the queue once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    /// The earliest timer of a connection.
    Connection(Slot),
    /// Delayed lines of presence are written.
    FlushPresence,
    /// A connection that waits at its address's rate is let in.
    LetIn,
    /// A service has not answered in time.
    Reply,
    /// The clean stop is over.
    Stop,
    /// A room is told a summary of its joins and leaves, or a newcomer is announced.
    Summary,
    /// A ban ends.
    Unban,
    /// A mute ends.
    Unmute,
}

impl Deadline {
    /// The deadlines that are not of a connection.
    const OF_SERVER: [Self; 7] =
        [Self::FlushPresence, Self::LetIn, Self::Stop, Self::Summary, Self::Unban, Self::Unmute, Self::Reply];

    /// A number for each: the slot of a connection, and for the others the last numbers, which are no slots
    /// (`limits.clients`).
    const fn place(self) -> u32 {
        match self {
            Self::Connection(slot) => slot.0,
            Self::FlushPresence => u32::MAX,
            Self::LetIn => u32::MAX - 1,
            Self::Stop => u32::MAX - 2,
            Self::Summary => u32::MAX - 3,
            Self::Unban => u32::MAX - 4,
            Self::Unmute => u32::MAX - 5,
            Self::Reply => u32::MAX - 6,
        }
    }

    fn at_place(place: u32) -> Self {
        let of_server = Self::OF_SERVER.get((u32::MAX - place) as usize);
        of_server.copied().unwrap_or(Self::Connection(Slot(place)))
    }
}

/// A moment and the [`Deadline::place`] of what is done then.
#[derive(Clone, Copy, Debug)]
struct Key {
    at: Moment,
    place: u32,
}

impl Key {
    /// One number, because comparisons of keys are a large part of what a write costs.
    fn packed(self) -> u128 {
        u128::from(self.at.micros()) << 32 | u128::from(self.place)
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.packed().cmp(&other.packed())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// The queue. A deadline that is moved leaves its key behind, which is dropped when it is first or when such keys are
/// more than half of the queue.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: BinaryHeap<Reverse<Key>>,
    /// The moments of connections, by their slots. A key with another moment is left behind.
    of_connections: Vec<Option<Moment>>,
    /// The moments of [`Deadline::OF_SERVER`].
    of_server: [Option<Moment>; Deadline::OF_SERVER.len()],
    /// How many deadlines are set, and how many of them are of connections.
    set: usize,
    connections: usize,
}

/// Keys left behind that are not worth a look at all keys.
const LEFT_BEHIND_MIN: usize = 64;

impl Deadlines {
    /// Moves the deadline of a connection to `wanted`.
    pub(super) fn arm(&mut self, slot: Slot, wanted: Option<Moment>) {
        if self.of_connections.len() <= slot.index() {
            if wanted.is_none() {
                return;
            }
            self.of_connections.resize(slot.index() + 1, None);
        }
        let armed = std::mem::replace(&mut self.of_connections[slot.index()], wanted);
        if armed != wanted {
            self.connections =
                self.connections + usize::from(wanted.is_some()) - usize::from(armed.is_some());
            self.moved(slot.0, armed, wanted);
        }
    }

    /// Moves a deadline that is not of a connection to `wanted`.
    pub(super) fn set(&mut self, deadline: Deadline, wanted: Option<Moment>) {
        let place = deadline.place();
        let Some(own) = self.of_server.get_mut((u32::MAX - place) as usize) else { return };
        let armed = std::mem::replace(own, wanted);
        if armed != wanted {
            self.moved(place, armed, wanted);
        }
    }

    fn moved(&mut self, place: u32, from: Option<Moment>, to: Option<Moment>) {
        self.set = self.set + usize::from(to.is_some()) - usize::from(from.is_some());
        if let Some(at) = to {
            self.queue.push(Reverse(Key { at, place }));
        }
        if self.queue.len() > 2 * self.set + LEFT_BEHIND_MIN {
            let mut queue = std::mem::take(&mut self.queue);
            queue.retain(|Reverse(key)| self.is_set(*key));
            self.queue = queue;
        }
    }

    /// Whether this is not a key that was left behind.
    fn is_set(&self, Key { at, place }: Key) -> bool {
        let own = self.of_server.get((u32::MAX - place) as usize).or(self.of_connections.get(place as usize));
        own.is_some_and(|own| *own == Some(at))
    }

    /// The deadline of a connection.
    pub(super) fn of_connection(&self, slot: Slot) -> Option<Moment> {
        self.of_connections.get(slot.index()).copied().flatten()
    }

    /// How many connections have one.
    pub(super) const fn connections(&self) -> usize {
        self.connections
    }

    /// The earliest of all.
    pub(super) fn next(&mut self) -> Option<Moment> {
        loop {
            let Reverse(key) = *self.queue.peek()?;
            if self.is_set(key) {
                return Some(key.at);
            }
            self.queue.pop();
        }
    }

    /// Takes one that has passed, the earliest first. It is not set any more.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Deadline> {
        loop {
            let Reverse(key) = *self.queue.peek().filter(|Reverse(key)| key.at <= now)?;
            let is_set = self.is_set(key);
            self.queue.pop();
            if is_set {
                let deadline = Deadline::at_place(key.place);
                match deadline {
                    Deadline::Connection(slot) => self.arm(slot, None),
                    of_server => self.set(of_server, None),
                }
                return Some(deadline);
            }
        }
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
        deadlines.arm(Slot(3), Some(at(20)));
        deadlines.set(Deadline::Unban, Some(at(10)));
        deadlines.set(Deadline::Stop, Some(at(30)));
        assert_eq!((deadlines.next(), deadlines.connections()), (Some(at(10)), 1));
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.pop_due(at(40)), Some(Deadline::Unban));
        assert_eq!(deadlines.pop_due(at(40)), Some(Deadline::Connection(Slot(3))));
        assert_eq!(deadlines.pop_due(at(40)), Some(Deadline::Stop));
        assert_eq!((deadlines.pop_due(at(40)), deadlines.next(), deadlines.connections()), (None, None, 0));
    }

    #[test]
    fn a_deadline_that_is_set_again_moves() {
        let mut deadlines = Deadlines::default();
        deadlines.set(Deadline::Unmute, Some(at(10)));
        deadlines.set(Deadline::Unmute, Some(at(50)));
        assert_eq!((deadlines.pop_due(at(10)), deadlines.next()), (None, Some(at(50))));
        deadlines.set(Deadline::Unmute, None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn what_is_moved_leaves_little_behind() {
        let mut deadlines = Deadlines::default();
        for ms in 0..10_000 {
            deadlines.arm(Slot(1), Some(at(1_000_000 - ms)));
            assert!(deadlines.queue.len() <= 2 + LEFT_BEHIND_MIN, "{} keys", deadlines.queue.len());
        }
        deadlines.arm(Slot(1), Some(at(2_000_000)));
        assert_eq!(deadlines.next(), Some(at(2_000_000)));
        assert_eq!(deadlines.pop_due(at(1_999_999)), None);
        assert_eq!(deadlines.pop_due(at(2_000_000)), Some(Deadline::Connection(Slot(1))));
        assert_eq!((deadlines.pop_due(at(3_000_000)), deadlines.connections()), (None, 0));
    }

    #[test]
    fn each_deadline_has_a_place_of_its_own() {
        for deadline in
            Deadline::OF_SERVER.into_iter().chain([0, 7].map(|slot| Deadline::Connection(Slot(slot))))
        {
            assert_eq!(Deadline::at_place(deadline.place()), deadline);
        }
    }
}
