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

/// The least time between two words about a crowded room's comings and goings.
const PRESENCE_PERIOD: Duration = Duration::from_secs(10);
/// They are told when nobody has come or gone for so long: a crowd that comes at once is told of in one line.
const PRESENCE_QUIET: Duration = Duration::from_millis(300);
/// How long that is waited for.
const PRESENCE_DELAY: Duration = Duration::from_secs(2);

/// When the tallies of rooms fall due.
pub(super) type Deadlines = BTreeSet<(Moment, RoomId)>;

/// What is counted in one room and not yet told.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) due: Moment,
    since: Moment,
    joined: u32,
    left: u32,
    renamed: u32,
    /// Whose acts alone were counted, if one person's: nobody is told what it did itself.
    sole: Option<Contact>,
}

impl Tally {
    const fn new(since: Moment, by: Contact) -> Self {
        Self { due: since, since, joined: 0, left: 0, renamed: 0, sole: Some(by) }
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
    /// than `presence_max`, the one who comes or goes included. Whoever is alone in it is told nothing.
    pub(super) fn announce(
        &mut self,
        room: RoomId,
        line: &Line<'_>,
        by: Contact,
        crowd: usize,
        now: Now,
        out: &mut dyn Delivery,
    ) {
        if crowd <= 1 {
            return;
        }
        if crowd <= self.rules.presence_max as usize {
            out.tell_room(room, &[by.slot], line);
            return;
        }
        let not_before = self.rooms[room].presence_told.map_or(now.moment, |told| told + PRESENCE_PERIOD);
        let tally = self.rooms[room].tally.get_or_insert_with(|| Tally::new(now.moment, by));
        tally.count(line, by);
        let due = (now.moment + PRESENCE_QUIET).min(tally.since + PRESENCE_DELAY).max(not_before);
        if due != tally.due {
            self.deadlines.remove(&(tally.due, room));
            self.deadlines.insert((due, room));
            tally.due = due;
        }
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

    /// Tells a room whose time has come what it has counted. One at a call: most people are in the lobby and another
    /// room, and what a crowd is to get should be on its way before the next line for it takes memory of its own.
    pub fn handle_timeout(&mut self, now: Now, out: &mut impl Delivery) {
        self.announce_leavers(now, out);
        let Some(&(due, room)) = self.deadlines.first() else { return };
        if due > now.moment {
            return;
        }
        self.deadlines.pop_first();
        if let Some(tally) = self.rooms[room].tally.take() {
            self.rooms[room].presence_told = Some(now.moment);
            let except = tally.sole.and_then(|contact| self.slot_of(contact));
            out.tell_room(room, except.as_slice(), &tally.line(&self.rooms[room].name));
        }
    }

    /// The slot of somebody remembered, if it is still here.
    pub(super) fn slot_of(&self, contact: Contact) -> Option<Slot> {
        self.people.get(contact.slot).filter(|person| person.id == contact.id).map(|_| contact.slot)
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::Rules;
    use crate::chat::script::{Stage, play, rules};

    /// Four people in the lobby; a fifth makes it a crowd.
    const FOUR: &str = "a is here\n b is here\n c is here\n d is here\n";

    fn play_with_four(script: &str) -> Stage {
        let mut stage = Stage::new(rules());
        stage.play(FOUR);
        stage.play(script);
        stage
    }

    #[test]
    fn a_crowd_is_told_in_sum_at_most_every_ten_seconds() {
        let stage = play_with_four(
            "d says /nick dd
            d sees -- you are now dd
            a sees 12:34 #lobby -- d is now dd
            b sees 12:34 #lobby -- d is now dd
            c sees 12:34 #lobby -- d is now dd
            e enters
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e says /nick e
            e sees -- you are now e
            f enters
            f sees -- chatops: you are guest-6 in #lobby (6 here). /help lists the commands.
            a goes quit
            1 s pass
            b sees 12:34 #lobby -- 2 joined, 1 left, 1 renamed
            c sees 12:34 #lobby -- 2 joined, 1 left, 1 renamed
            d sees 12:34 #lobby -- 2 joined, 1 left, 1 renamed
            e sees 12:34 #lobby -- 2 joined, 1 left, 1 renamed
            f sees 12:34 #lobby -- 2 joined, 1 left, 1 renamed
            4 s pass
            f goes quit
            5 s pass
            1 s pass
            b sees 12:34 #lobby -- 1 left
            c sees 12:34 #lobby -- 1 left
            d sees 12:34 #lobby -- 1 left
            e sees 12:34 #lobby -- 1 left
            e goes quit
            b sees 12:34 #lobby <-- e (quit)
            c sees 12:34 #lobby <-- e (quit)
            d sees 12:34 #lobby <-- e (quit)",
        );
        assert_eq!(stage.hub.poll_timeout(), None, "an idle room has no timer");
    }

    #[test]
    fn nobody_is_told_what_it_did_itself() {
        play_with_four(
            "e enters
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e says /nick e
            e sees -- you are now e
            2 s pass
            a sees 12:34 #lobby -- 1 joined, 1 renamed
            b sees 12:34 #lobby -- 1 joined, 1 renamed
            c sees 12:34 #lobby -- 1 joined, 1 renamed
            d sees 12:34 #lobby -- 1 joined, 1 renamed",
        );
    }

    #[test]
    fn a_successor_in_the_slot_is_somebody_else() {
        play_with_four(
            "e enters
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e says /leave
            e sees -- you left #lobby; you are in no room: /join #ROOM
            e goes quit
            d goes quit
            a sees 12:34 #lobby <-- d (quit)
            b sees 12:34 #lobby <-- d (quit)
            c sees 12:34 #lobby <-- d (quit)
            f enters
            a sees 12:34 #lobby --> guest-6
            b sees 12:34 #lobby --> guest-6
            c sees 12:34 #lobby --> guest-6
            f sees -- chatops: you are guest-6 in #lobby (4 here). /help lists the commands.
            g enters
            g sees -- chatops: you are guest-7 in #lobby (5 here). /help lists the commands.
            g says /leave
            g sees -- you left #lobby; you are in no room: /join #ROOM
            10 s pass
            a sees 12:34 #lobby -- 2 joined, 2 left
            b sees 12:34 #lobby -- 2 joined, 2 left
            c sees 12:34 #lobby -- 2 joined, 2 left
            f sees 12:34 #lobby -- 2 joined, 2 left",
        );
    }

    #[test]
    fn a_sole_author_who_is_gone_leaves_out_nobody() {
        play_with_four(
            "e enters
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e goes quit
            d says /leave
            d sees -- you left #lobby; you are in no room: /join #ROOM
            a sees 12:34 #lobby <-- d (left)
            b sees 12:34 #lobby <-- d (left)
            c sees 12:34 #lobby <-- d (left)
            f enters
            a sees 12:34 #lobby --> guest-6
            b sees 12:34 #lobby --> guest-6
            c sees 12:34 #lobby --> guest-6
            f sees -- chatops: you are guest-6 in #lobby (4 here). /help lists the commands.
            10 s pass
            a sees 12:34 #lobby -- 1 joined, 1 left
            b sees 12:34 #lobby -- 1 joined, 1 left
            c sees 12:34 #lobby -- 1 joined, 1 left
            f sees 12:34 #lobby -- 1 joined, 1 left",
        );
    }

    #[test]
    fn a_room_that_ends_takes_its_timer_with_it() {
        let mut stage = Stage::new(Rules { presence_max: 0, ..rules() });
        stage.play("alice is here\n bob is here");
        assert!(stage.hub.poll_timeout().is_some());
        stage.play("alice goes quit\n bob goes quit");
        assert_eq!(stage.hub.poll_timeout(), None);
        stage.play("carol is here\n 20 s pass");
    }

    #[test]
    fn rooms_fall_due_in_the_order_of_their_time() {
        let mut stage = Stage::new(Rules { presence_max: 1, ..rules() });
        stage.play(
            "a is here
            a says /join #x
            a sees -- you are in #x (1 here)
            b is here
            b says /join #x
            b sees -- you are in #x (2 here)
            1 s pass
            a sees 12:34 #lobby -- 1 joined, 1 renamed
            a sees 12:34 #x -- 1 joined",
        );
    }

    #[test]
    fn somebody_alone_is_told_nothing() {
        play(
            "a is here
            a says /nick b
            a sees -- you are now b",
        );
    }
}
