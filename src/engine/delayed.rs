//! Those for whom nothing but lines of presence is queued: the write waits a moment for company.
//!
//! That somebody came or went may be read a moment later than what was said. People come and go in crowds, and a
//! room of fifty would be written to fifty times for each of them.

use std::time::Duration;

use crate::id::Slot;
use crate::time::Moment;

/// How long a line of presence waits for others, or for a line that does not wait.
const PRESENCE_WAIT: Duration = Duration::from_millis(10);

/// Connections with lines that wait. Whoever left or was written to since is in it still, until the wait is over.
#[derive(Debug, Default)]
pub(super) struct DelayedWrites {
    slots: Vec<Slot>,
    /// When the wait of all of them is over.
    due: Option<Moment>,
}

impl DelayedWrites {
    /// Lines for `slot` begin to wait, if those of others do not already.
    pub(super) fn add(&mut self, slot: Slot, now: Moment) {
        self.slots.push(slot);
        self.due.get_or_insert(now + PRESENCE_WAIT);
    }

    /// When the wait is over.
    pub(super) const fn next(&self) -> Option<Moment> {
        self.due
    }

    /// Takes everybody, if the wait is over.
    pub(super) fn take_due(&mut self, now: Moment) -> impl Iterator<Item = Slot> {
        let is_over = self.due.is_some_and(|due| due <= now);
        if is_over {
            self.due = None;
        }
        let taken = if is_over { self.slots.len() } else { 0 };
        self.slots.drain(..taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wait_until_the_first_has_waited_long_enough() {
        let at = |ms| Moment::START + Duration::from_millis(ms);
        let mut delayed = DelayedWrites::default();
        assert_eq!(delayed.next(), None);
        delayed.add(Slot(1), at(5));
        delayed.add(Slot(2), at(12));
        assert_eq!(delayed.next(), Some(at(15)));
        assert_eq!(delayed.take_due(at(14)).count(), 0);
        assert_eq!(delayed.take_due(at(15)).collect::<Vec<_>>(), [Slot(1), Slot(2)]);
        assert_eq!(delayed.next(), None);
        delayed.add(Slot(2), at(20));
        assert_eq!(delayed.next(), Some(at(30)));
    }
}
