//! Messages of three clients to the hub: text, commands, and text that looks like a command.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chatops::chat::{Delivery, Hub, Line, Outcome, RoomId, RoomName, Rules, Style, format};
use chatops::id::{ConnId, Slot};
use chatops::time::{Now, WallTime};
use chatops::wire::text::scrub;

use crate::recipe::Recipe;

/// Lines and line ends, so that a recipe makes many messages.
const PIECES: [&str; 49] = [
    "\n",
    "\n",
    "\n/",
    "\n/help ",
    "\n/nick ",
    "\n/join ",
    "\n/leave ",
    "\n/rooms ",
    "\n/who ",
    "\n/whois ",
    "\n/msg ",
    "\n/reply ",
    "\n/me ",
    "\n/topic ",
    "\n/ignore ",
    "\n/unignore ",
    "\n/away ",
    "\n/set ",
    "\n/ping ",
    "\n/listen",
    "\n/quit ",
    "\n//",
    "\n/jion #a",
    " ",
    "\t",
    "\u{3000}",
    "#a",
    "#A ",
    "#b ",
    "#lobby ",
    "guest-1 ",
    "guest-2 ",
    "bob ",
    "BOB ",
    "server",
    "time ",
    "presence ",
    "mode ",
    "json",
    "\n{\"kind\":\"say\",\"text\":\"",
    "\n{\"kind\":\"command\",\"text\":\"/",
    "\"}",
    "\\u001b",
    "off",
    "on",
    "-",
    "é",
    "-- !! 12:34 *** [a -> b]",
    "\u{1B}[2J",
];

/// The most lines of one answer: a heading, 100 lines, and "and N more".
const ANSWER_LINES_MAX: usize = 102;

const PEOPLE: u32 = 3;

pub(crate) fn check(input: &[u8]) {
    let pieces = PIECES.map(str::as_bytes);
    let stream = Recipe::new(input).stream(&pieces);
    let mut talk = Talk::new();
    for (at, message) in stream.split(|byte| *byte == b'\n').enumerate() {
        let speaker = Slot(u32::try_from(at).unwrap() % PEOPLE);
        talk.says(speaker, &scrub(message).text);
    }
}

/// A hub, and the lines of every client.
struct Talk {
    hub: Hub,
    inbox: Inbox,
    now: Now,
}

impl Talk {
    fn new() -> Self {
        let rules = Rules {
            server_name: "chatops".to_owned(),
            motd: Vec::new(),
            lobby: RoomName::parse("lobby").unwrap(),
            rooms_max: 3,
            rooms_per_client: 2,
            ignores_per_client: 1,
            mutes_max: 2,
            presence_max: 50,
        };
        let mut talk = Self { hub: Hub::new(rules), inbox: Inbox::default(), now: Now::default() };
        for number in 0..PEOPLE {
            let id = ConnId::new(u64::from(number) + 1).unwrap();
            talk.hub.enter(Slot(number), id, talk.now, &mut talk.inbox);
        }
        talk
    }

    fn says(&mut self, speaker: Slot, text: &str) {
        let before = self.audit_counts();
        self.inbox.received.clear();
        self.now.moment = self.now.moment + Duration::from_secs(1);
        let outcome = self.hub.message(speaker, text, self.now, &mut self.inbox);
        let own = self.inbox.received.get(&speaker).map_or(&[][..], Vec::as_slice);
        assert!(own.len() <= ANSWER_LINES_MAX, "{} lines answer {text:?}", own.len());
        let refusals = own.iter().filter(|line| line.starts_with("!! ")).count();
        if refusals > 0 {
            let received: usize = self.inbox.received.values().map(Vec::len).sum();
            assert_eq!((refusals, received), (1, 1), "{text:?}: {:?}", self.inbox.received);
            assert_eq!(self.audit_counts(), before, "{text:?} is refused and changes nothing");
            assert_eq!(outcome, Outcome::Continue);
        }
        let is_command = text.starts_with('/') && !text.starts_with("//");
        let is_silent = text.starts_with("/me") || text.to_ascii_lowercase().starts_with("/me");
        let is_quit = matches!(outcome, Outcome::Quit(_));
        assert!(!is_command || is_silent || is_quit || !own.is_empty(), "{text:?} is not answered");
        for line in self.inbox.received.values().flatten() {
            assert!(!line.contains(|c: char| c.is_control() && c != '\t'), "{text:?}: {line:?}");
        }
    }

    /// The nick and the rooms of every client.
    fn audit_counts(&self) -> Vec<String> {
        let mut books: Vec<String> = (0..PEOPLE)
            .filter_map(|number| self.hub.person(Slot(number)))
            .map(|person| {
                let rooms: Vec<_> = person.rooms().map(RoomName::as_str).collect();
                format!("{} {rooms:?} {:?}", person.nick(), person.style())
            })
            .collect();
        books.extend(self.hub.rooms().map(|room| format!("{} {} {:?}", room.name, room.members, room.topic)));
        assert_eq!(self.inbox.members.len(), self.hub.room_count(), "a room has a member");
        books
    }
}

#[derive(Default)]
struct Inbox {
    members: BTreeMap<RoomId, BTreeSet<Slot>>,
    received: BTreeMap<Slot, Vec<String>>,
}

impl Inbox {
    fn receive(&mut self, member: Slot, line: &Line<'_>) {
        let mut bytes = Vec::new();
        format::append(line, WallTime::default(), Style::default(), &mut bytes);
        self.received.entry(member).or_default().push(String::from_utf8(bytes).unwrap());
    }
}

impl Delivery for Inbox {
    fn answer(&mut self, member: Slot, line: &Line<'_>) {
        self.receive(member, line);
    }

    fn tell(&mut self, member: Slot, line: &Line<'_>) {
        self.receive(member, line);
    }

    fn tell_all(&mut self, members: &[Slot], line: &Line<'_>) {
        for member in members {
            self.receive(*member, line);
        }
    }

    fn is_reachable(&self, _: Slot) -> bool {
        true
    }

    fn takes_more(&self, _: Slot) -> bool {
        true
    }

    fn tell_room(&mut self, room: RoomId, except: &[Slot], line: &Line<'_>) {
        let members = self.members.get(&room).cloned().unwrap_or_default();
        for member in members.into_iter().filter(|member| !except.contains(member)) {
            self.receive(member, line);
        }
    }

    fn joined(&mut self, room: RoomId, member: Slot) {
        assert!(self.members.entry(room).or_default().insert(member), "{member:?} joins {room:?} twice");
    }

    fn left(&mut self, room: RoomId, member: Slot) {
        let members = self.members.get_mut(&room).expect("a room that somebody is in");
        assert!(members.remove(&member), "{member:?} leaves {room:?} without being in it");
        if members.is_empty() {
            self.members.remove(&room);
        }
    }

    fn restyle(&mut self, _: Slot, _: Style) {}
}
