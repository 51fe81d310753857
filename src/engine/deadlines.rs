//! The earliest deadline of each connection that has one, in order.

use std::collections::BTreeSet;

use crate::id::Slot;
use crate::time::Moment;

/// A set of deadlines, at most one a connection.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Moment, Slot)>);

impl Deadlines {
    /// Moves the deadline of `slot` from `armed` to `wanted`, and notes it in `armed`.
    pub(super) fn arm(&mut self, slot: Slot, armed: &mut Option<Moment>, wanted: Option<Moment>) {
        if *armed == wanted {
            return;
        }
        if let Some(at) = armed.take() {
            self.0.remove(&(at, slot));
        }
        if let Some(at) = wanted {
            self.0.insert((at, slot));
        }
        *armed = wanted;
    }

    /// The earliest of all.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.first().map(|(at, _)| *at)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One whose deadline has passed, the earliest first. It stays in the set until it is armed otherwise.
    pub(super) fn due(&self, now: Moment) -> Option<Slot> {
        self.0.first().filter(|(at, _)| *at <= now).map(|(_, slot)| *slot)
    }
}
