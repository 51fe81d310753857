//! Comings, goings and renames: told one by one in a small room, counted and summed up in a crowded one.
//!
//! A room has a deadline only while something is counted, so idle rooms cost no timer. Deadlines are kept in an
//! ordered set: they fall due in the same order in every run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::person::Contact;
use super::{Delivery, Hub, Line, RoomId, RoomName};
use crate::id::Slot;
use crate::time::{Moment, Now};

/// How long a crowded room's comings and goings are counted before they are told.
pub(super) const PRESENCE_PERIOD: Duration = Duration::from_secs(10);

/// When the tallies of rooms fall due.
pub(super) type Deadlines = BTreeSet<(Moment, RoomId)>;

/// What is counted in one room and not yet told.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) due: Moment,
    joined: u32,
    left: u32,
    renamed: u32,
    /// Whose acts alone were counted, if one person's: nobody is told what it did itself.
    sole: Option<Contact>,
}

impl Tally {
    const fn new(due: Moment, by: Contact) -> Self {
        Self { due, joined: 0, left: 0, renamed: 0, sole: Some(by) }
    }

    fn count(&mut self, line: &Line<'_>, by: Contact) {
        let counter = match line {
            Line::Joined { .. } => &mut self.joined,
            Line::Left { .. } => &mut self.left,
            _ => &mut self.renamed,
        };
        *counter = counter.saturating_add(1);
        if self.sole != Some(by) {
            self.sole = None;
        }
    }

    const fn line<'a>(&self, room: &'a RoomName) -> Line<'a> {
        Line::Presence { room, joined: self.joined, left: self.left, renamed: self.renamed }
    }
}

impl Hub {
    /// Tells a room that `by` joined it, left it or was renamed, or counts it when the room is a crowd of more
    /// than `presence_max`, the one who comes or goes included.
    pub(super) fn announce(
        &mut self,
        room: RoomId,
        line: &Line<'_>,
        by: Contact,
        crowd: usize,
        now: Now,
        out: &mut dyn Delivery,
    ) {
        if crowd <= self.rules.presence_max as usize {
            out.tell_room(room, Some(by.slot), line);
            return;
        }
        let due = now.moment + PRESENCE_PERIOD;
        let tally = self.rooms[room].tally.get_or_insert_with(|| {
            self.deadlines.insert((due, room));
            Tally::new(due, by)
        });
        tally.count(line, by);
    }

    /// Forgets what a room counted; it has nobody left to tell.
    pub(super) fn forget_tally(&mut self, room: RoomId) {
        if let Some(tally) = self.rooms[room].tally.take() {
            self.deadlines.remove(&(tally.due, room));
        }
    }

    /// When [`Hub::handle_timeout`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Tells every room whose time has come what it has counted.
    pub fn handle_timeout(&mut self, now: Now, out: &mut impl Delivery) {
        while let Some(&(due, room)) = self.deadlines.first() {
            if due > now.moment {
                return;
            }
            self.deadlines.pop_first();
            if let Some(tally) = self.rooms[room].tally.take() {
                let except = tally.sole.and_then(|contact| self.slot_of(contact));
                out.tell_room(room, except, &tally.line(&self.rooms[room].name));
            }
        }
    }

    /// The slot of somebody remembered, if it is still here.
    pub(super) fn slot_of(&self, contact: Contact) -> Option<Slot> {
        self.people.get(contact.slot).filter(|person| person.id == contact.id).map(|_| contact.slot)
    }
}
