//! The hub: the one owner of people and rooms, and the way into chat.
//!
//! Invariants: a person in a room stands in that room's list of members at the place it knows, and nowhere else;
//! a room has a member; names are unique without case; [`Delivery`] is told of every joining and leaving, in the
//! order in which they happen. Each message that is refused gets one `!!` line and changes nothing.

use super::command::{self, Call, Message, Refusal};
use super::people::People;
use super::person::{Contact, Membership, Person};
use super::presence::Deadlines;
use super::room::Rooms;
use super::{Delivery, Line, Nick, RoomId, RoomName, Style};
use crate::id::{ConnId, Slot};
use crate::time::Now;

/// What the configuration says about chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The server's name in the greeting.
    pub server_name: String,
    /// The lines of the message of the day, scrubbed; empty for none.
    pub motd: Vec<String>,
    /// Where everybody starts.
    pub lobby: RoomName,
    /// Rooms at a time. A place is always kept for the lobby, so that everybody can enter.
    pub rooms_max: u32,
    /// Rooms that one person may be in.
    pub rooms_per_client: u32,
    /// Above so many members joins, leaves and renames are summed up.
    pub presence_max: u32,
}

/// What a message asks of the layer that owns the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Continue,
    /// `/listen`: keep the connection after the end of its input.
    Listen,
    /// `/quit`: close the connection, with a text that may be empty. The person is in the hub until
    /// [`Hub::leave`].
    Quit(String),
    /// `/nick`: the person is called otherwise now; all who should know have been told.
    Renamed {
        /// The name until now.
        old: Nick,
        /// The name from now on.
        new: Nick,
    },
}

/// Everybody and every room.
#[derive(Debug)]
pub struct Hub {
    pub(super) rules: Rules,
    pub(super) people: People,
    pub(super) rooms: Rooms,
    pub(super) deadlines: Deadlines,
}

impl Hub {
    /// A hub with nobody in it.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, people: People::default(), rooms: Rooms::default(), deadlines: Deadlines::new() }
    }

    /// Other rules from now on. Nobody is thrown out: who is over a limit only gets no further.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Somebody arrives: gets the message of the day, a guest's name and the greeting, and is in the lobby.
    ///
    /// # Panics
    ///
    /// When the slot still belongs to somebody, or the id to another: ids are given once.
    pub fn enter(&mut self, member: Slot, id: ConnId, now: Now, out: &mut impl Delivery) {
        let nick = Nick::guest(id);
        self.people.insert(member, Person::new(id, nick, now));
        for line in &self.rules.motd {
            out.answer(member, &Line::Notice(line));
        }
        let room = self.join(member, self.rules.lobby, now, out);
        let room = &self.rooms[room];
        let greeting = format!(
            "{}: you are {nick} in {} ({} here). /help lists the commands.",
            self.rules.server_name,
            room.name,
            room.members.len()
        );
        out.answer(member, &Line::Notice(&greeting));
        if let Some(topic) = &room.topic {
            out.answer(member, &Line::Notice(&format!("topic: {topic}")));
        }
    }

    /// One message of a person: plain text or a command, scrubbed and without its end. Does nothing for a slot
    /// that is nobody's.
    pub fn message(&mut self, member: Slot, text: &str, now: Now, out: &mut impl Delivery) -> Outcome {
        let Some(person) = self.people.get_mut(member) else { return Outcome::Continue };
        person.heard = now.moment;
        let done = match Message::read(text) {
            Message::Blank => Ok(Outcome::Continue),
            Message::Command { name, arguments } => {
                command::run(&mut Call { hub: self, member, now, out }, name, arguments)
            }
            Message::Text(text) => self.say(member, text, out),
        };
        done.unwrap_or_else(|Refusal(why)| {
            out.answer(member, &Line::Refused(&why));
            Outcome::Continue
        })
    }

    /// Plain text, to the active room. This is the path of nearly every message: two look-ups by index, nothing
    /// on the heap.
    fn say(&self, member: Slot, text: &str, out: &mut impl Delivery) -> Result<Outcome, Refusal> {
        let person = &self.people[member];
        person.check_voice()?;
        let id = person.active_room()?;
        let line = Line::Say { room: &self.rooms[id].name, from: &person.nick, text };
        out.tell_room(id, Some(member), &line);
        Ok(Outcome::Continue)
    }

    /// Somebody is gone, for a reason that the rooms read: out of every room, and the name is free. Returns the
    /// name, or nothing for a slot that is nobody's.
    pub fn leave(&mut self, member: Slot, reason: &str, now: Now, out: &mut impl Delivery) -> Option<Nick> {
        while let Some(room) = self.people.get(member)?.rooms.first() {
            self.part(member, room, reason, now, out);
        }
        self.people.remove(member).map(|person| person.nick)
    }

    /// A `!!` line to one person, for what is refused outside of chat.
    pub fn refuse(&self, member: Slot, text: &str, out: &mut impl Delivery) {
        if self.people.get(member).is_some() {
            out.answer(member, &Line::Refused(text));
        }
    }

    /// The operator speaks to everybody.
    pub fn operator_says(&mut self, text: &str, out: &mut impl Delivery) {
        for member in self.people.slots() {
            out.tell(member, &Line::Operator(text));
        }
    }

    /// Whether a person's text and name changes are refused from now on.
    pub fn mute(&mut self, member: Slot, on: bool) {
        if let Some(person) = self.people.get_mut(member) {
            person.is_muted = on;
        }
    }

    /// Whether a person is muted.
    #[must_use]
    pub fn is_muted(&self, member: Slot) -> bool {
        self.people.get(member).is_some_and(|person| person.is_muted)
    }

    /// Whoever has this name, compared without case.
    #[must_use]
    pub fn by_nick(&self, nick: &Nick) -> Option<Slot> {
        self.people.named(&nick.folded())
    }

    /// What is known of a person.
    #[must_use]
    pub fn person(&self, member: Slot) -> Option<Profile<'_>> {
        self.people.get(member).map(|person| Profile { hub: self, person })
    }

    /// How many people there are.
    #[must_use]
    pub fn people_count(&self) -> usize {
        self.people.len()
    }

    /// All rooms, in the order of their names without case.
    pub fn rooms(&self) -> impl Iterator<Item = RoomSummary<'_>> {
        self.rooms.iter().map(|room| RoomSummary {
            name: &room.name,
            members: room.members.len(),
            topic: room.topic.as_deref(),
        })
    }

    /// How many rooms there are.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// Puts somebody into a room it is not in, opened if need be, and tells the others.
    pub(super) fn join(&mut self, member: Slot, name: RoomName, now: Now, out: &mut dyn Delivery) -> RoomId {
        let id = self.rooms.named(&name).unwrap_or_else(|| self.rooms.open(name));
        let room = &mut self.rooms[id];
        let place = room.add(member);
        let (name, crowd) = (room.name, room.members.len());
        let person = &mut self.people[member];
        person.rooms.add(Membership { room: id, place });
        let (who, by) = (person.nick, Contact { id: person.id, slot: member });
        out.joined(id, member);
        self.announce(id, &Line::Joined { room: &name, who: &who }, by, crowd, now, out);
        id
    }

    /// Takes somebody out of a room it is in, tells the others, and ends the room after its last member.
    pub(super) fn part(&mut self, member: Slot, id: RoomId, reason: &str, now: Now, out: &mut dyn Delivery) {
        let person = &mut self.people[member];
        let Some(membership) = person.rooms.remove(id) else { return };
        let (who, by) = (person.nick, Contact { id: person.id, slot: member });
        let room = &mut self.rooms[id];
        let (name, crowd) = (room.name, room.members.len());
        let moved = room.remove(membership.place);
        if let Some(moved) = moved {
            self.people[moved].rooms.set_place(id, membership.place);
        }
        out.left(id, member);
        if crowd > 1 {
            self.announce(id, &Line::Left { room: &name, who: &who, reason }, by, crowd, now, out);
        } else {
            self.forget_tally(id);
            self.rooms.close(id);
        }
    }
}

/// A look at one person.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    hub: &'a Hub,
    person: &'a Person,
}

impl<'a> Profile<'a> {
    /// The name.
    #[must_use]
    pub const fn nick(self) -> &'a Nick {
        &self.person.nick
    }

    /// The connection's number.
    #[must_use]
    pub const fn id(self) -> ConnId {
        self.person.id
    }

    /// The names of the person's rooms, the active one last.
    pub fn rooms(self) -> impl Iterator<Item = &'a RoomName> {
        self.person.rooms.ids().map(move |id| &self.hub.rooms[id].name)
    }

    /// How many rooms the person is in.
    #[must_use]
    pub fn room_count(self) -> usize {
        self.person.rooms.len()
    }

    /// How the person wants its lines.
    #[must_use]
    pub const fn style(self) -> Style {
        self.person.style
    }
}

/// A look at one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSummary<'a> {
    /// Its name.
    pub name: &'a RoomName,
    /// How many people are in it, at least one.
    pub members: usize,
    /// Its topic, if it has one.
    pub topic: Option<&'a str>,
}
