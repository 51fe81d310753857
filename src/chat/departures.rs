//! People who have left and whose rooms have not read it yet.
//!
//! A person who leaves is out of its rooms at once, and its name is free; the rooms read it before anything else happens
//! in the hub. So people whose connections end one right after the other go together: each room reads of all of them in
//! a row, in the order in which they went, and none of them is told of the others.

use super::person::Contact;
use super::{Delivery, Hub, Kind, Line, Message, Nick, Origin, RoomId};
use crate::id::Slot;
use crate::time::{Moment, Now, WallTime};

/// Departures to announce, at most one for each person. Kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Departures {
    people: Vec<Departure>,
    /// A room, the index of a person who was in it, and how many were in it then.
    rooms: Vec<(RoomId, usize, usize)>,
}

#[derive(Debug)]
struct Departure {
    /// Of no room: a room's name is filled in for each.
    message: Message,
    by: Contact,
    /// People who ignore the leaver, and what they read instead of words of its own.
    ignorers: Vec<Slot>,
    without_words: &'static str,
}

impl Hub {
    /// Somebody is gone, for a reason that the rooms are to read: out of every room, and the name is free. Returns the
    /// name, or `None` for a slot without a person. [`Hub::announce_departures`] tells the rooms.
    ///
    /// If the reason has words of the person's own, people who ignore it read `without_words` instead.
    pub fn leave(
        &mut self,
        member: Slot,
        reason: String,
        without_words: Option<&'static str>,
        now: Moment,
        out: &mut impl Delivery,
    ) -> Option<Nick> {
        while let Some(room) = self.people.get(member)?.rooms.first() {
            let is_unannounced = self.is_unannounced(member, room);
            let crowd = self.remove_member(member, room, out);
            if !is_unannounced {
                self.departures.rooms.push((room, self.departures.people.len(), crowd));
            }
        }
        let person = self.people.remove(member)?;
        self.mute_outlives(member, &person.nick, person.voice, now);
        let mut ignorers = self.ignores.ignorers(&person).concat();
        // Of two lists; some people are in both.
        ignorers.sort_unstable();
        ignorers.dedup();
        let (ignorers, without_words) =
            without_words.map_or_else(Default::default, |words| (ignorers, words));
        self.absences.remove(&member);
        self.answers.remove(&member);
        self.ignores.forget(member, person.id);
        let by = Contact { id: person.id, slot: member };
        let (at, from) = (WallTime::default(), Some(person.nick));
        let message = Message { at, origin: Origin::Home, room: None, from, kind: Kind::Leave, text: reason };
        self.departures.people.push(Departure { message, by, ignorers, without_words });
        Some(person.nick)
    }

    /// Tells the rooms who has left since the last call. Whatever else is said by way of the hub comes behind it; the
    /// caller sees to it that it is not put off for longer than a turn.
    pub fn announce_departures(&mut self, now: Now, out: &mut impl Delivery) {
        if self.departures.people.is_empty() {
            return;
        }
        let Departures { mut people, mut rooms } = std::mem::take(&mut self.departures);
        // Room by room: each one's lines are delivered at one go.
        rooms.sort_by_key(|(room, ..)| *room);
        for (room, leaver, crowd) in rooms.drain(..) {
            // None was opened since then, so it is the same room, or one that ended with the last of them.
            let Some(name) = self.rooms.get(room).map(|room| room.name) else { continue };
            let Departure { message, by, ignorers, without_words } = &mut people[leaver];
            (message.at, message.room) = (now.wall, Some(name));
            self.announce(room, message, *by, ignorers, crowd, now, out);
            if crowd <= self.rules.presence_max as usize {
                let text = (*without_words).to_owned();
                let message = Message { text, ..*message };
                let is_in_it =
                    |slot: &&Slot| self.people.get(**slot).is_some_and(|person| person.rooms.contains(room));
                let ignorers: Vec<Slot> = ignorers.iter().filter(is_in_it).copied().collect();
                out.tell_all(&ignorers, &Line::Message(&message));
            }
        }
        people.clear();
        self.departures = Departures { people, rooms };
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::script::{TestChat, rules};

    #[test]
    fn people_who_leave_together_do_not_read_about_each_other() {
        let mut chat = TestChat::new(rules());
        chat.play(
            "alice is here
            bob is here
            carol is here
            alice says /join #ops
            alice sees -- you are in #ops (1 here)
            carol says /join #ops
            alice sees 12:34 #ops --> carol
            carol sees -- you are in #ops (2 here)",
        );
        chat.goes_with_others("alice", "reset");
        chat.goes_with_others("bob", "quit");
        chat.play(
            "carol says /nick Alice
            carol sees 12:34 #lobby <-- alice (reset)
            carol sees 12:34 #lobby <-- bob (quit)
            carol sees 12:34 #ops <-- alice (reset)
            carol sees -- you are now Alice",
        );
    }

    #[test]
    fn a_room_that_ends_with_them_reads_nothing() {
        let mut chat = TestChat::new(rules());
        chat.play(
            "alice is here
            bob is here
            carol is here
            carol says /leave
            alice sees 12:34 #lobby <-- carol (left)
            bob sees 12:34 #lobby <-- carol (left)
            carol sees -- you left #lobby; you are in no room: /join #ROOM",
        );
        chat.goes_with_others("alice", "quit");
        chat.goes_with_others("bob", "quit");
        chat.play(
            "carol says /join #new
            carol sees -- you are in #new (1 here)",
        );
    }

    #[test]
    fn all_that_the_hub_says_comes_behind_them() {
        for act in ["dave arrives", "operator says hello", "bob says hi"] {
            let mut chat = TestChat::new(rules());
            chat.play("alice is here\n bob is here\n carol is here");
            chat.goes_with_others("alice", "quit");
            chat.act(act);
            let first = chat.read("carol").into_iter().next();
            assert_eq!(first.as_deref(), Some("12:34 #lobby <-- alice (quit)"), "{act}");
        }
    }
}
