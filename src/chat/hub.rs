//! The hub: the one owner of people and rooms, and the way into chat.
//!
//! Invariants: a person in a room stands in that room's list of members, and nowhere else; a room has a member, here or
//! elsewhere, or is kept; names are unique without case; [`Delivery`] is notified of every join and leave, in the
//! order in which they happen. Each message that is refused gets one `!!` line and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::command::{self, Call, Parsed, Refusal};
use super::departures::Departures;
use super::ignores::Ignores;
use super::long_answer::{Listing, LongAnswer};
use super::mutes::Mutes;
use super::names::Folded;
use super::people::People;
use super::person::{Absence, Contact, Person};
use super::presence::{Arrivals, Deadlines};
use super::room::{Room, Rooms};
use super::service::Job;
use super::table::{Command, Commands};
use super::{Delivery, Kind, Line, Message, Nick, RoomId, RoomName, Style, json};
use crate::id::{ConnId, Slot};
use crate::time::Now;

/// What the configuration says about chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The server's name in the greeting.
    pub server_name: String,
    /// The lines of the message of the day, scrubbed; empty for none.
    pub motd: Vec<String>,
    /// The room in which every person starts.
    pub lobby: RoomName,
    /// Rooms at a time. A place is always kept for the lobby, so that every person can enter.
    pub rooms_max: u32,
    /// Rooms that one person may be in.
    pub rooms_per_client: u32,
    /// People that one person may ignore.
    pub ignores_per_client: u32,
    /// Mutes at a time.
    pub mutes_max: u32,
    /// Above this number of members joins, leaves and renames are summed up.
    pub presence_max: u32,
}

/// What a message asks of the layer that owns the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Continue,
    /// `/listen`: keep the connection after the end of its input.
    Listen,
    /// A service answers the command: to be asked. Until [`Hub::reply`] the person's next message waits.
    Pending(Box<Job>),
    /// `/quit`: close the connection, with a text that may be empty. The person is in the hub until
    /// [`Hub::leave`].
    Quit(String),
    /// `/nick`: the person has another name now, and its rooms have read it.
    Renamed {
        /// The name until now.
        old: Nick,
        /// The name from now on.
        new: Nick,
    },
}

/// All people and all rooms.
#[derive(Debug)]
pub struct Hub {
    pub(super) rules: Rules,
    pub(super) people: People,
    pub(super) rooms: Rooms,
    pub(super) deadlines: Deadlines,
    pub(super) arrivals: Arrivals,
    pub(super) departures: Departures,
    pub(super) ignores: Ignores,
    pub(super) mutes: Mutes,
    /// Names that no person may take.
    pub(super) barred: BTreeSet<Folded>,
    /// Those who are away.
    pub(super) absences: BTreeMap<Slot, Absence>,
    /// Answers under way, of people who have not taken all of them yet; at most one for each.
    pub(super) answers: BTreeMap<Slot, LongAnswer>,
    pub(super) commands: Commands,
    /// The number of the last job.
    pub(super) last_job: u64,
    /// The text of the message under way; kept for its memory.
    text: String,
}

impl Hub {
    /// A hub without people.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            people: People::default(),
            rooms: Rooms::default(),
            deadlines: Deadlines::new(),
            arrivals: Arrivals::new(),
            departures: Departures::default(),
            ignores: Ignores::default(),
            mutes: Mutes::default(),
            barred: BTreeSet::new(),
            absences: BTreeMap::new(),
            answers: BTreeMap::new(),
            commands: Commands::default(),
            last_job: 0,
            text: String::new(),
        }
    }

    /// Other rules from now on. A person who is over a limit stays, and gets no further.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Commands that a service answers, from now on.
    pub fn add_commands(&mut self, commands: &'static [Command]) {
        self.commands.add(commands);
    }

    /// A person arrives: gets the message of the day, a guest's name and the greeting, and is in the lobby, where it is
    /// announced later.
    ///
    /// # Panics
    ///
    /// When the slot still belongs to a person, or the id to another one: ids are given once.
    pub fn enter(&mut self, member: Slot, id: ConnId, now: Now, out: &mut impl Delivery) {
        self.announce_departures(now, out);
        let nick = Nick::guest(id);
        self.people.insert(member, Person::new(id, nick, now));
        self.join(member, self.rules.lobby, now, out);
        self.queue_arrival(Contact { id, slot: member }, now, out);
        self.begin_answer(member, Listing::greeting(), out);
    }

    /// One message of a person, without its end: plain text or a command, scrubbed, or in JSON mode an object as it
    /// arrived. Does nothing for a slot without a person.
    pub fn message(&mut self, member: Slot, text: &str, now: Now, out: &mut impl Delivery) -> Outcome {
        self.announce_departures(now, out);
        let Some(person) = self.people.get_mut(member) else { return Outcome::Continue };
        person.last_message = now.moment.into();
        let done = if person.style.json {
            json::run(&mut Call { hub: self, member, now, out }, text)
        } else {
            match Parsed::read(text) {
                Parsed::Blank => Ok(Outcome::Continue),
                Parsed::Command { name, arguments } => {
                    command::run(&mut Call { hub: self, member, now, out }, name, arguments)
                }
                Parsed::Text(text) => self.say(member, text, now, out),
            }
        };
        done.unwrap_or_else(|Refusal(why)| {
            out.answer(member, &Line::Refused(&why));
            Outcome::Continue
        })
    }

    /// Plain text, to the active room. This is the path of nearly every message: two look-ups by index, nothing
    /// on the heap, and two look-ups in a tree once any person is ignored.
    fn say(
        &mut self,
        member: Slot,
        text: &str,
        now: Now,
        out: &mut impl Delivery,
    ) -> Result<Outcome, Refusal> {
        let person = &self.people[member];
        person.check_voice()?;
        let room = person.active_room()?;
        self.introduce(member, room, now, out);
        self.say_in(room, member, text, now, out);
        Ok(Outcome::Continue)
    }

    /// A text of a person who may speak, in a room that it is in.
    pub(super) fn say_in(
        &mut self,
        room: RoomId,
        member: Slot,
        text: &str,
        now: Now,
        out: &mut (impl Delivery + ?Sized),
    ) {
        let mut owned = std::mem::take(&mut self.text);
        owned.clear();
        owned.push_str(text);
        let (name, from) = (self.rooms[room].name, self.people[member].nick);
        let message = Message::in_room(now.wall, name, from, Kind::Say, owned);
        out.tell_room(room, &self.excluded(member, room), &Line::Message(&message));
        self.text = message.text;
    }

    /// The members of a room who do not read what a person says: itself, and those who ignore it. A slot may occur twice.
    ///
    /// Costs a look at the members or at the ignorers, at whichever are fewer.
    pub(super) fn excluded(&self, speaker: Slot, room: RoomId) -> SmallVec<[Slot; 4]> {
        let mut excluded = SmallVec::from_slice(&[speaker]);
        if self.ignores.is_empty() {
            return excluded;
        }
        let members = &self.rooms[room].members;
        let ignorers = self.ignores.ignorers(&self.people[speaker]);
        if ignorers.map(<[Slot]>::len).iter().sum::<usize>() < members.len() {
            let is_in_it = |slot: &&Slot| self.people[**slot].rooms.contains(room);
            excluded.extend(ignorers.into_iter().flatten().filter(is_in_it).copied());
        } else {
            let is_excluded =
                |slot: &&Slot| ignorers.iter().any(|ignorers| ignorers.binary_search(slot).is_ok());
            excluded.extend(members.iter().filter(is_excluded).copied());
        }
        excluded
    }

    /// How many are in the room that a person speaks to; 0 for one who is in none. A program may name any room that it is
    /// in: the largest counts.
    #[must_use]
    pub fn audience(&self, member: Slot) -> usize {
        let Some(person) = self.people.get(member) else { return 0 };
        let size = |room: RoomId| self.rooms[room].members.len();
        if person.style.json {
            person.rooms.ids().map(size).max().unwrap_or(0)
        } else {
            person.rooms.active().map_or(0, size)
        }
    }

    /// The operator speaks to all people.
    pub fn operator_says(&mut self, text: &str, now: Now, out: &mut impl Delivery) {
        self.announce_departures(now, out);
        let everybody: Vec<Slot> = self.people.slots().collect();
        let message = Message::of_operator(now.wall, text.to_owned());
        out.tell_all(&everybody, &Line::Message(&message));
    }

    /// The operator gives a person another name, by the rules of `/nick`. Returns the old and the new name.
    ///
    /// # Errors
    ///
    /// Why the person keeps the name, for the operator.
    pub fn operator_renames(
        &mut self,
        member: Slot,
        name: &str,
        now: Now,
        out: &mut impl Delivery,
    ) -> Result<(Nick, Nick), String> {
        self.announce_departures(now, out);
        super::handlers::people::rename_by_operator(&mut Call { hub: self, member, now, out }, name)
    }

    /// Whether no person may take this name from now on, compared without case. A person who has it keeps it.
    pub fn bar(&mut self, nick: &Nick, on: bool) {
        if on {
            self.barred.insert(nick.folded());
        } else {
            self.barred.remove(&nick.folded());
        }
    }

    /// The person with this name, compared without case.
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
        self.rooms.iter().map(RoomSummary::from)
    }

    /// The rooms behind this name, in the same order; all of them behind none.
    pub fn rooms_after(&self, name: Option<&RoomName>) -> impl Iterator<Item = RoomSummary<'_>> {
        self.rooms.after(name).map(RoomSummary::from)
    }

    /// How many rooms there are.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// Adds a person to a room it is not in, opened if need be, and announces it to the others.
    pub(super) fn join(&mut self, member: Slot, name: RoomName, now: Now, out: &mut dyn Delivery) -> RoomId {
        let id = self.rooms.named(&name).unwrap_or_else(|| self.rooms.open(name));
        self.rooms.add(id, member, &self.people);
        let (name, crowd) = (self.rooms[id].name, self.rooms[id].size());
        let person = &mut self.people[member];
        person.rooms.add(id);
        let (who, by) = (person.nick, Contact { id: person.id, slot: member });
        out.joined(id, member);
        let message = Message::in_room(now.wall, name, who, Kind::Join, String::new());
        self.announce(id, &message, by, &[], crowd, now, out);
        id
    }

    /// Gives a person a name that no other person has, and its place by that name in each of its rooms.
    pub(super) fn rename(&mut self, member: Slot, nick: Nick) {
        for room in self.people[member].rooms.ids() {
            self.rooms.remove(room, member, &self.people);
        }
        self.people.rename(member, nick);
        for room in self.people[member].rooms.ids() {
            self.rooms.add(room, member, &self.people);
        }
        self.judge_name(member);
    }

    /// Removes a person from a room it is in and announces it to the others.
    pub(super) fn leave_room(
        &mut self,
        member: Slot,
        id: RoomId,
        reason: &str,
        now: Now,
        out: &mut dyn Delivery,
    ) {
        let person = &self.people[member];
        let (who, by, name) = (person.nick, Contact { id: person.id, slot: member }, self.rooms[id].name);
        let crowd = self.remove_member(member, id, out);
        if crowd > 1 {
            let message = Message::in_room(now.wall, name, who, Kind::Leave, reason.to_owned());
            self.announce(id, &message, by, &[], crowd, now, out);
        }
    }

    /// Removes a person from a room it is in, and ends the room after its last member. Gives how many were in it.
    pub(super) fn remove_member(&mut self, member: Slot, id: RoomId, out: &mut dyn Delivery) -> usize {
        if !self.people[member].rooms.remove(id) {
            return 0;
        }
        let crowd = self.rooms[id].size();
        self.rooms.remove(id, member, &self.people);
        out.left(id, member);
        self.close_if_empty(id);
        crowd
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
    /// How many people are in it, those on other servers included; at least one, unless it is kept.
    pub members: usize,
    /// Its topic, if it has one.
    pub topic: Option<&'a str>,
}

impl<'a> From<&'a Room> for RoomSummary<'a> {
    fn from(room: &'a Room) -> Self {
        Self { name: &room.name, members: room.size(), topic: room.topic.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::chat::script::{TestChat, play, rules};
    use crate::network::Network;

    #[test]
    fn a_session_begins_with_the_message_of_the_day_and_the_greeting() {
        let motd = vec!["Welcome.".to_owned(), String::new(), "Be kind.".to_owned()];
        let mut chat = TestChat::new(Rules { motd, server_name: "Base".to_owned(), ..rules() });
        chat.play(
            "alice enters
            alice sees -- Welcome.
            alice sees --\u{20}
            alice sees -- Be kind.
            alice sees -- Base: you are guest-1 in #lobby (1 here). /help lists the commands.",
        );
    }

    #[test]
    fn the_room_hears_who_comes_speaks_and_goes() {
        play(
            "alice is here
            bob arrives
            alice sees 12:34 #lobby --> guest-2
            bob sees -- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.
            alice says hi
            bob sees 12:34 #lobby <alice> hi
            bob says //who is a command
            alice sees 12:34 #lobby <guest-2> /who is a command
            bob says
            bob says \u{20} \u{20}
            bob goes kicked: too loud
            alice sees 12:34 #lobby <-- guest-2 (kicked: too loud)
            bob goes again
            bob says hello?",
        );
    }

    #[test]
    fn a_person_who_leaves_is_out_of_every_room_and_its_name_is_free() {
        let mut chat = TestChat::new(rules());
        chat.play(
            "alice is here
            bob is here
            alice says /join #ops
            alice sees -- you are in #ops (1 here)
            bob says /join #ops
            alice sees 12:34 #ops --> bob
            bob sees -- you are in #ops (2 here)
            alice says /join #own
            alice sees -- you are in #own (1 here)
            alice goes quit: bye
            bob sees 12:34 #lobby <-- alice (quit: bye)
            bob sees 12:34 #ops <-- alice (quit: bye)
            bob says /nick Alice
            bob sees -- you are now Alice
            bob says /rooms
            bob sees -- 2 rooms: #lobby (1) #ops (1)",
        );
        assert_eq!(chat.hub.leave(Slot(0), String::new(), None, chat.now.moment, &mut chat.recorder), None);
        let nick = chat.hub.leave(chat.slot("bob"), String::new(), None, chat.now.moment, &mut chat.recorder);
        assert_eq!(nick, Some(Nick::parse("Alice").unwrap()));
        assert_eq!((chat.hub.people_count(), chat.hub.room_count()), (0, 0));
    }

    #[test]
    fn all_people_read_the_operator() {
        play(
            "alice is here
            bob is here
            bob says /leave
            alice sees 12:34 #lobby <-- bob (left)
            bob sees -- you left #lobby; you are in no room: /join #ROOM
            operator says maintenance at 5
            alice sees 12:34 *** maintenance at 5
            bob sees 12:34 *** maintenance at 5",
        );
    }

    #[test]
    fn the_engine_sees_a_person_as_it_is() {
        let mut chat = TestChat::new(rules());
        chat.play("alice is here");
        for text in ["/join #ops", "/join #Dev", "/join #lobby", "/set time off"] {
            chat.say("alice", text);
        }
        let alice = chat.hub.by_nick(&Nick::parse("ALICE").unwrap()).unwrap();
        let profile = chat.hub.person(alice).unwrap();
        assert_eq!((profile.nick().as_str(), profile.id()), ("alice", ConnId::FIRST));
        assert_eq!(profile.rooms().map(RoomName::as_str).collect::<Vec<_>>(), ["ops", "Dev", "lobby"]);
        assert_eq!(profile.room_count(), 3);
        assert_eq!(profile.style(), Style { time: false, ..Style::default() });
        let names: Vec<_> = chat.hub.rooms().map(|room| room.name.as_str()).collect();
        assert_eq!(names, ["Dev", "lobby", "ops"]);
        assert!(!chat.hub.is_muted(alice));
        assert!(chat.hub.person(Slot(77)).is_none());
    }

    #[test]
    fn ten_thousand_come_and_go() {
        let mut chat = TestChat::new(Rules { presence_max: 0, ..rules() });
        let count = 10_000;
        for number in 1..=count {
            let id = ConnId::new(u64::from(number)).unwrap();
            chat.hub.enter(Slot(number), id, chat.now, &mut chat.recorder);
        }
        chat.hub.message(Slot(5), "/who", chat.now, &mut chat.recorder);
        let lines = chat.recorder.take(Slot(5));
        let lines = &lines[1..];
        assert_eq!(lines.len(), 101);
        assert!(lines.iter().all(|line| line.len() <= 400));
        let named =
            lines[..100].iter().flat_map(|line| line.split(' ')).filter(|word| word.starts_with("guest-"));
        let more = lines[100].strip_prefix("-- and ").unwrap().strip_suffix(" more").unwrap();
        assert_eq!(named.count() + more.parse::<usize>().unwrap(), count as usize);
        for number in (1..=count).rev().step_by(2).chain((1..=count).step_by(2)) {
            chat.hub.leave(Slot(number), String::new(), None, chat.now.moment, &mut chat.recorder);
        }
        assert_eq!((chat.hub.people_count(), chat.hub.room_count()), (0, 0));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Enter,
        EnterFrom(u8),
        Leave(u32),
        Mute(u32, bool),
        MuteFrom(u32, u8, u64),
        Pass(u64),
        Say(u32, String),
    }

    const SLOTS: u32 = 8;

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let name = prop::sample::select(vec![
            "", "bob", "BOB", "#a", "#B", "c", "lobby", "guest-1", "-", "off", "a b",
        ]);
        let command = prop::sample::select(vec![
            "help", "nick", "join", "leave", "rooms", "who", "whois", "msg", "reply", "me", "topic", "set",
            "ping", "listen", "quit", "ignore", "unignore", "away", "jion", "", "/",
        ]);
        let say = prop_oneof![
            6 => (command, name.clone(), name).prop_map(|(command, a, b)| format!("/{command} {a} {b}")),
            3 => prop::sample::select(vec!["/join #a", "/join #b", "/join #c", "/join #d", "/leave", "hi"]).prop_map(str::to_owned),
            1 => any::<String>(),
            1 => any::<String>().prop_map(|text| format!("/{text}")),
        ];
        let act = prop_oneof![
            2 => Just(Act::Enter),
            1 => (0_u8..3).prop_map(Act::EnterFrom),
            1 => (0..SLOTS).prop_map(Act::Leave),
            1 => (0..SLOTS, any::<bool>()).prop_map(|(slot, on)| Act::Mute(slot, on)),
            1 => (0..SLOTS, 0_u8..3, 0_u64..30).prop_map(|(slot, host, seconds)| Act::MuteFrom(slot, host, seconds)),
            1 => (0_u64..12).prop_map(Act::Pass),
            12 => (0..SLOTS, say).prop_map(|(slot, text)| Act::Say(slot, text)),
        ];
        prop::collection::vec(act, 1..60)
    }

    fn act(chat: &mut TestChat, act: Act) {
        match act {
            Act::Enter if chat.hub.people_count() < SLOTS as usize => drop(chat.enter("somebody")),
            Act::EnterFrom(host) if chat.hub.people_count() < SLOTS as usize => {
                chat.enter_from("somebody", &format!("192.0.2.{host}"));
            }
            Act::Enter | Act::EnterFrom(_) => {}
            Act::Leave(slot) => {
                let now = chat.now.moment;
                let _ = chat.hub.leave(Slot(slot), "gone".to_owned(), None, now, &mut chat.recorder);
            }
            Act::Mute(slot, on) => chat.mute(Slot(slot), on),
            Act::MuteFrom(slot, host, seconds) => {
                let address = Network::of(Ipv4Addr::new(192, 0, 2, host).into());
                let until = chat.now.moment + Duration::from_secs(seconds);
                let _ = chat.hub.mute(Slot(slot), Some(address), Some(until), chat.now.moment);
            }
            Act::Pass(seconds) => chat.pass(Duration::from_secs(seconds)),
            Act::Say(slot, text) => {
                say_and_check(chat, Slot(slot), &text);
            }
        }
    }

    /// A refused line gets exactly one `!!` line, and no other line is sent.
    fn say_and_check(chat: &mut TestChat, slot: Slot, text: &str) {
        chat.hub.announce_departures(chat.now, &mut chat.recorder);
        (0..SLOTS).for_each(|slot| drop(chat.recorder.take(Slot(slot))));
        chat.hub.message(slot, text, chat.now, &mut chat.recorder);
        let read: Vec<_> = (0..SLOTS).map(|slot| chat.recorder.take(Slot(slot))).collect();
        let own = &read[slot.index()];
        if own.iter().any(|line| line.starts_with("!! ")) {
            assert_eq!(read.iter().map(Vec::len).sum::<usize>(), 1, "{text:?}: {read:?}");
        } else if text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/me") {
            let is_answered = chat.hub.person(slot).is_none() || !own.is_empty();
            assert!(is_answered, "{text:?} has no answer");
        }
    }

    /// The hub's lists agree with each other and with what its [`Delivery`] was notified of.
    fn check(chat: &TestChat) {
        let hub = &chat.hub;
        let mut members: BTreeMap<RoomId, BTreeSet<Slot>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for slot in hub.people.slots() {
            let person = &hub.people[slot];
            assert!(names.insert(person.nick.folded()), "{} twice", person.nick);
            assert_eq!(hub.by_nick(&person.nick), Some(slot));
            assert!(person.rooms.len() <= hub.rules.rooms_per_client as usize);
            assert!(hub.ignores.of(slot).len() <= hub.rules.ignores_per_client as usize);
            for room in person.rooms.ids() {
                assert!(members.entry(room).or_default().insert(slot), "{slot:?} is in {room:?} twice");
                let place = hub.rooms[room].place_of(&person.nick.folded(), &hub.people);
                assert_eq!(hub.rooms[room].members[place], slot);
            }
        }
        let ids: BTreeSet<ConnId> = hub.people.slots().map(|slot| hub.people[slot].id).collect();
        hub.check_mutes();
        hub.ignores.check(|id| ids.contains(&id));
        assert!(hub.absences.keys().all(|slot| hub.people.get(*slot).is_some()));
        assert_eq!(names.len(), hub.people_count());
        assert_eq!(members, chat.recorder.members);
        assert_eq!(members.len(), hub.room_count());
        assert!(hub.room_count() <= hub.rules.rooms_max as usize);
        let mut due = BTreeSet::new();
        for (&id, in_it) in &members {
            assert_eq!(hub.rooms[id].members.len(), in_it.len());
            assert_eq!(hub.rooms.named(&hub.rooms[id].name), Some(id));
            due.extend(hub.rooms[id].tally.as_ref().map(|tally| (tally.due, id)));
        }
        assert_eq!(due, hub.deadlines);
        let sizes: Vec<_> = hub.rooms.by_size_after(None).collect();
        assert_eq!(sizes.len(), hub.room_count());
        for (Reverse(size), name) in sizes {
            assert_eq!(hub.rooms[hub.rooms.named_folded(&name).unwrap()].size(), size);
        }
        assert!(hub.answers.keys().all(|slot| hub.people.get(*slot).is_some()));
    }

    proptest! {
        #[test]
        fn the_lists_agree_whatever_people_do(acts in acts()) {
            let mut chat = TestChat::new(Rules { rooms_max: 3, rooms_per_client: 2, presence_max: 2, ..rules() });
            for next in acts {
                act(&mut chat, next);
                check(&chat);
            }
        }
    }
}
