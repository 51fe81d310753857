//! Mutes that end by themselves.

use std::collections::BTreeSet;

use crate::id::Slot;
use crate::time::Moment;

/// Who is muted until when; those muted until further notice are not in it. At most one end a connection.
#[derive(Debug, Default)]
pub(super) struct Silences(BTreeSet<(Moment, Slot)>);

impl Silences {
    /// The mute of `slot` ends at `end`, whatever was noted before.
    pub(super) fn until(&mut self, slot: Slot, end: Moment) {
        self.forget(slot);
        self.0.insert((end, slot));
    }

    /// The mute of `slot` has no end of its own any more.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.0.retain(|(_, other)| *other != slot);
    }

    /// Whether the mute of `slot` ends by itself.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.0.iter().any(|(_, other)| *other == slot)
    }

    /// The earliest end.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.first().map(|(end, _)| *end)
    }

    /// Takes one whose end has come.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Slot> {
        let due = self.0.first().filter(|(end, _)| *end <= now).copied()?;
        self.0.remove(&due);
        Some(due.1)
    }
}
