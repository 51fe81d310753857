//! Joins, leaves and renames: announced one by one in a small room, counted and summed up in a crowded one.
//!
//! A room has a deadline only while something is counted, so idle rooms cost no timer. Deadlines are kept in an
//! ordered set: they fall due in the same order in every run.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use smallvec::SmallVec;

use super::person::Contact;
use super::{Delivery, Hub, Kind, Line, Message, RoomId, RoomName};
use crate::id::Slot;
use crate::time::{Moment, Now};

/// The least time between two summaries in one room.
const PRESENCE_PERIOD: Duration = Duration::from_secs(10);
/// A summary is sent when no person has come or gone for this time: a crowd that comes at once is one line.
const PRESENCE_QUIET: Duration = Duration::from_millis(300);
/// How long that is waited for.
const PRESENCE_DELAY: Duration = Duration::from_secs(2);

/// A newcomer that says nothing in the lobby is announced there after this time.
const ARRIVAL_DELAY: Duration = Duration::from_secs(2);
/// Newcomers that are announced in one turn.
const ARRIVALS_A_TURN: usize = 64;
/// Arrivals that wait to be announced. Over this number the oldest one is announced at once.
const ARRIVALS_MAX: usize = 65_536;

/// Newcomers that are not announced yet, and when each is due. Some have gone or were announced since.
pub(super) type Arrivals = VecDeque<(Moment, Contact)>;

/// When the tallies of rooms fall due.
pub(super) type Deadlines = BTreeSet<(Moment, RoomId)>;

/// What is counted in one room and not yet summed up.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) due: Moment,
    since: Moment,
    joined: u32,
    left: u32,
    renamed: u32,
    /// The person whose acts alone were counted, if one person's: it does not read about itself.
    sole: Option<Contact>,
}

impl Tally {
    const fn new(since: Moment, by: Option<Contact>) -> Self {
        Self { due: since, since, joined: 0, left: 0, renamed: 0, sole: by }
    }

    fn count(&mut self, kind: Kind, by: Option<Contact>) {
        let counter = match kind {
            Kind::Join => &mut self.joined,
            Kind::Leave => &mut self.left,
            _ => &mut self.renamed,
        };
        *counter = counter.saturating_add(1);
        if self.sole != by {
            self.sole = None;
        }
    }

    const fn line<'a>(&self, room: &'a RoomName) -> Line<'a> {
        Line::Presence { room, joined: self.joined, left: self.left, renamed: self.renamed }
    }
}

impl Hub {
    /// Announces a newcomer in the lobby later: many connections are probes, or scripts that post one line.
    pub(super) fn queue_arrival(&mut self, newcomer: Contact, now: Now, out: &mut dyn Delivery) {
        if self.arrivals.len() >= ARRIVALS_MAX {
            self.announce_next_arrival(now, out);
        }
        self.arrivals.push_back((now.moment + ARRIVAL_DELAY, newcomer));
    }

    /// Announces a newcomer that is about to say something in the lobby.
    pub(super) fn introduce(&mut self, member: Slot, room: RoomId, now: Now, out: &mut dyn Delivery) {
        if !self.people[member].is_announced && self.is_lobby(room) {
            self.announce_arrival(member, now, out);
        }
    }

    /// Announces a newcomer in the lobby, by the name that it has now, unless it was announced or is elsewhere.
    pub(super) fn announce_arrival(&mut self, member: Slot, now: Now, out: &mut dyn Delivery) {
        let Some(person) = self.people.get_mut(member) else { return };
        if std::mem::replace(&mut person.is_announced, true) {
            return;
        }
        let (who, by) = (person.nick, Contact { id: person.id, slot: member });
        let Some(room) = self.rooms.named(&self.rules.lobby) else { return };
        if self.people[member].rooms.contains(room) {
            let (name, crowd) = (self.rooms[room].name, self.rooms[room].size());
            let message = Message::in_room(now.wall, name, who, Kind::Join, String::new());
            self.announce(room, &message, by, &[], crowd, now, out);
        }
    }

    /// Takes the next newcomer, and announces it; `false` if it was announced already or has gone.
    fn announce_next_arrival(&mut self, now: Now, out: &mut dyn Delivery) -> bool {
        let newcomer = self.arrivals.pop_front().and_then(|(_, newcomer)| self.slot_of(newcomer));
        let Some(member) = newcomer.filter(|member| !self.people[*member].is_announced) else { return false };
        self.announce_arrival(member, now, out);
        true
    }

    fn announce_arrivals(&mut self, now: Now, out: &mut dyn Delivery) {
        let mut announced = 0;
        while announced < ARRIVALS_A_TURN && self.arrivals.front().is_some_and(|(due, _)| *due <= now.moment)
        {
            announced += usize::from(self.announce_next_arrival(now, out));
        }
    }

    fn is_lobby(&self, room: RoomId) -> bool {
        self.rooms.named(&self.rules.lobby) == Some(room)
    }

    /// Whether the room is the lobby and this member is not announced there yet: then no line there is about it.
    pub(super) fn is_unannounced(&self, member: Slot, room: RoomId) -> bool {
        self.people.get(member).is_some_and(|person| !person.is_announced) && self.is_lobby(room)
    }

    /// Tells a room that `by` joined it, left it or was renamed, or counts it when the room is a crowd of more
    /// than `presence_max`, the one who comes or goes included. A person alone in it reads nothing, and `by` and
    /// `ignorers` read nothing of it but in sums. Nothing is said of a newcomer whose arrival is not announced yet.
    #[expect(clippy::too_many_arguments, reason = "what a line of presence is about, one by one")]
    pub(super) fn announce(
        &mut self,
        room: RoomId,
        message: &Message,
        by: Contact,
        ignorers: &[Slot],
        crowd: usize,
        now: Now,
        out: &mut dyn Delivery,
    ) {
        if crowd <= 1 || self.slot_of(by).is_some_and(|member| self.is_unannounced(member, room)) {
            return;
        }
        if crowd <= self.rules.presence_max as usize {
            let mut excluded: SmallVec<[Slot; 4]> = SmallVec::from_slice(&[by.slot]);
            excluded.extend_from_slice(ignorers);
            out.tell_room(room, &excluded, &Line::Message(message));
            return;
        }
        self.count_presence(room, message.kind, Some(by), now);
    }

    /// Counts a join, a leave or a rename in a crowded room, to be summed up; `by` is the person of this server, if it is
    /// one.
    pub(super) fn count_presence(&mut self, room: RoomId, kind: Kind, by: Option<Contact>, now: Now) {
        let not_before = self.rooms[room].summed_up_at.map_or(now.moment, |sent| sent + PRESENCE_PERIOD);
        let tally = self.rooms[room].tally.get_or_insert_with(|| Tally::new(now.moment, by));
        tally.count(kind, by);
        let due = (now.moment + PRESENCE_QUIET).min(tally.since + PRESENCE_DELAY).max(not_before);
        if due != tally.due {
            self.deadlines.remove(&(tally.due, room));
            self.deadlines.insert((due, room));
            tally.due = due;
        }
    }

    /// Drops what a room counted; it has no member to read it.
    pub(super) fn forget_tally(&mut self, room: RoomId) {
        if let Some(tally) = self.rooms[room].tally.take() {
            self.deadlines.remove(&(tally.due, room));
        }
    }

    /// When [`Hub::handle_timeout`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let tally = self.deadlines.first().map(|(due, _)| *due);
        self.arrivals.front().map(|(due, _)| *due).into_iter().chain(tally).min()
    }

    /// Announces newcomers, and sends the summary of a room whose time has come. One room at a call: most people are
    /// in the lobby and another room, and what a crowd is to get should be on its way before the next line for it takes
    /// memory of its own.
    pub fn handle_timeout(&mut self, now: Now, out: &mut impl Delivery) {
        self.announce_departures(now, out);
        self.announce_arrivals(now, out);
        let Some(&(due, room)) = self.deadlines.first() else { return };
        if due > now.moment {
            return;
        }
        self.deadlines.pop_first();
        if let Some(tally) = self.rooms[room].tally.take() {
            self.rooms[room].summed_up_at = Some(now.moment);
            let except = tally.sole.and_then(|contact| self.slot_of(contact));
            out.tell_room(room, except.as_slice(), &tally.line(&self.rooms[room].name));
        }
    }

    /// The slot of a person remembered, if it is still here.
    pub(super) fn slot_of(&self, contact: Contact) -> Option<Slot> {
        self.people.get(contact.slot).filter(|person| person.id == contact.id).map(|_| contact.slot)
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::Rules;
    use crate::chat::script::{TestChat, play, rules};

    /// Four people in the lobby; a fifth makes it a crowd.
    const FOUR: &str = "a is here\n b is here\n c is here\n d is here\n";

    fn play_with_four(script: &str) -> TestChat {
        let mut chat = TestChat::new(rules());
        chat.play(FOUR);
        chat.play(script);
        chat
    }

    #[test]
    fn a_crowd_reads_a_summary_at_most_every_ten_seconds() {
        let chat = play_with_four(
            "d says /nick dd
            d sees -- you are now dd
            a sees 12:34 #lobby -- d is now dd
            b sees 12:34 #lobby -- d is now dd
            c sees 12:34 #lobby -- d is now dd
            e arrives
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e says /nick e
            e sees -- you are now e
            f arrives
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
        assert_eq!(chat.hub.poll_timeout(), None, "an idle room has no timer");
    }

    #[test]
    fn no_person_reads_about_itself() {
        play_with_four(
            "e arrives
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
    fn a_successor_in_the_slot_is_another_person() {
        play_with_four(
            "e arrives
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e says /leave
            e sees -- you left #lobby; you are in no room: /join #ROOM
            e goes quit
            d goes quit
            a sees 12:34 #lobby <-- d (quit)
            b sees 12:34 #lobby <-- d (quit)
            c sees 12:34 #lobby <-- d (quit)
            f arrives
            a sees 12:34 #lobby --> guest-6
            b sees 12:34 #lobby --> guest-6
            c sees 12:34 #lobby --> guest-6
            f sees -- chatops: you are guest-6 in #lobby (4 here). /help lists the commands.
            g arrives
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
    fn a_sole_author_who_has_left_excludes_no_person() {
        play_with_four(
            "e arrives
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e goes quit
            d says /leave
            d sees -- you left #lobby; you are in no room: /join #ROOM
            a sees 12:34 #lobby <-- d (left)
            b sees 12:34 #lobby <-- d (left)
            c sees 12:34 #lobby <-- d (left)
            f arrives
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
        let mut chat = TestChat::new(Rules { presence_max: 0, ..rules() });
        chat.play("alice is here\n bob is here");
        assert!(chat.hub.poll_timeout().is_some());
        chat.play("alice goes quit\n bob goes quit");
        assert_eq!(chat.hub.poll_timeout(), None);
        chat.play("carol is here\n 20 s pass");
    }

    #[test]
    fn rooms_fall_due_in_the_order_of_their_time() {
        let mut chat = TestChat::new(Rules { presence_max: 1, ..rules() });
        chat.play(
            "a is here
            a says /join #x
            a sees -- you are in #x (1 here)
            b is here
            b says /join #x
            b sees -- you are in #x (2 here)
            1 s pass
            a sees 12:34 #lobby -- 1 joined
            a sees 12:34 #x -- 1 joined",
        );
    }

    #[test]
    fn the_lobby_hears_of_a_newcomer_when_it_says_something() {
        for (act, line) in
            [("hi", "<bob> hi"), ("/me waves", "* bob waves"), ("/topic x", "-- bob set the topic: x")]
        {
            let mut chat = TestChat::new(rules());
            chat.play("alice is here\n bob enters\n bob sees -- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.");
            chat.say("bob", "/nick bob");
            assert_eq!(chat.read("alice"), [""; 0], "no rename is sent");
            chat.say("bob", act);
            assert_eq!(
                chat.read("alice"),
                ["12:34 #lobby --> bob".to_owned(), format!("12:34 #lobby {line}")]
            );
        }
    }

    #[test]
    fn the_lobby_hears_of_a_silent_newcomer_after_two_seconds() {
        play(
            "alice is here
            bob enters
            bob sees -- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.
            1 s pass
            bob says /nick bob
            bob sees -- you are now bob
            alice says /who
            alice sees -- 2 in #lobby: alice bob
            alice says still me
            bob sees 12:34 #lobby <alice> still me
            1 s pass
            alice sees 12:34 #lobby --> bob
            bob goes quit
            alice sees 12:34 #lobby <-- bob (quit)",
        );
    }

    #[test]
    fn a_person_that_leaves_at_once_is_not_announced() {
        let chat = play_with_four(
            "e enters
            e sees -- chatops: you are guest-5 in #lobby (5 here). /help lists the commands.
            e goes end of input
            10 s pass",
        );
        assert_eq!(chat.hub.poll_timeout(), None);
    }

    #[test]
    fn a_newcomer_may_leave_the_lobby_and_come_back_unannounced() {
        play(
            "alice is here
            alice says /join #ops
            alice sees -- you are in #ops (1 here)
            bob enters
            bob sees -- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.
            bob says /join #ops
            alice sees 12:34 #ops --> guest-2
            bob sees -- you are in #ops (2 here)
            bob says in ops
            alice sees 12:34 #ops <guest-2> in ops
            bob says /nick bob
            alice sees 12:34 #ops -- guest-2 is now bob
            bob sees -- you are now bob
            bob says /leave #lobby
            bob sees -- you left #lobby; you are in #ops now
            bob says /join #lobby
            bob sees -- you are in #lobby (2 here)
            2 s pass
            alice sees 12:34 #lobby --> bob
            bob says /leave
            alice sees 12:34 #lobby <-- bob (left)
            bob sees -- you left #lobby; you are in #ops now
            bob says /join #lobby
            alice sees 12:34 #lobby --> bob
            bob sees -- you are in #lobby (2 here)",
        );
    }

    #[test]
    fn one_that_is_away_from_the_lobby_when_its_time_comes_is_announced_when_it_joins() {
        play(
            "alice is here
            bob enters
            bob sees -- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.
            bob says /leave
            bob sees -- you left #lobby; you are in no room: /join #ROOM
            2 s pass
            bob says /join #lobby
            alice sees 12:34 #lobby --> guest-2
            bob sees -- you are in #lobby (2 here)",
        );
    }

    #[test]
    fn a_crowd_of_newcomers_is_announced_in_steps() {
        let mut chat = TestChat::new(Rules { presence_max: 1_000, ..rules() });
        chat.play("alice is here");
        for _ in 0..100 {
            chat.enter("somebody");
        }
        chat.now.moment = chat.hub.poll_timeout().unwrap();
        chat.hub.handle_timeout(chat.now, &mut chat.recorder);
        assert_eq!(chat.read("alice").len(), 64);
        chat.hub.handle_timeout(chat.now, &mut chat.recorder);
        assert_eq!(chat.read("alice").len(), 36);
        assert_eq!(chat.hub.poll_timeout(), None);
    }

    #[test]
    fn a_person_alone_reads_nothing() {
        play(
            "a is here
            a says /nick b
            a sees -- you are now b",
        );
    }
}
