//! Scripts for tests of the chat: who says what, and the lines that each person reads.
//!
//! ```text
//! alice is here
//! bob is here
//! alice says hi
//! bob sees 12:34 #lobby <alice> hi
//! ```
//!
//! Every line that a person gets must be in the script, in order, before the next act: what is not listed and
//! what is listed and not sent both fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{Delivery, Hub, Kind, Line, Message, Nick, Outcome, RoomId, RoomName, Rules, Style, format};
use crate::id::{ConnId, Slot};
use crate::network::Network;
use crate::time::{Moment, Now, WallTime};

/// Small limits, so that scripts can reach them.
pub(super) fn rules() -> Rules {
    Rules {
        server_name: "chatops".to_owned(),
        motd: Vec::new(),
        lobby: RoomName::parse("lobby").unwrap(),
        rooms_max: 5,
        rooms_per_client: 3,
        ignores_per_client: 2,
        mutes_max: 3,
        presence_max: 4,
    }
}

/// The time of [`messages`].
pub(super) const EARLY: WallTime = WallTime { unix_ms: 0, hour: 7, minute: 5, second: 59 };

/// Messages of every kind, from alice in #Ops.
pub(super) fn messages(text: &str) -> Vec<Message> {
    let nick = |name: &str| Nick::parse(name).unwrap();
    let (room, to) = (RoomName::parse("Ops").unwrap(), nick("bob"));
    let kinds = [Kind::Action, Kind::Join, Kind::Leave, Kind::Rename { to }, Kind::Say, Kind::Topic];
    let in_room = |kind| {
        let text = if matches!(kind, Kind::Join | Kind::Rename { .. }) { "" } else { text };
        Message::in_room(EARLY, room, nick("alice"), kind, text.to_owned())
    };
    let mut messages: Vec<Message> = kinds.into_iter().map(in_room).collect();
    let private = Message { room: None, kind: Kind::Private { to }, ..in_room(Kind::Say) };
    messages.extend([private, Message::of_operator(EARLY, text.to_owned())]);
    messages
}

/// Plays a script under [`rules`].
pub(super) fn play(script: &str) {
    TestChat::new(rules()).play(script);
}

/// A [`Delivery`] that formats each line and keeps it for its reader.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) wall: WallTime,
    /// As the calls of [`Delivery::joined`] and [`Delivery::left`] say.
    pub(super) members: BTreeMap<RoomId, BTreeSet<Slot>>,
    styles: BTreeMap<Slot, Style>,
    lines: BTreeMap<Slot, VecDeque<String>>,
    /// How many of the lines were answers, which are never skipped.
    pub(super) answers: usize,
    /// Lines of an answer that a step may make beyond the first; no limit if it is not set.
    pub(super) step_lines: Option<usize>,
    /// People who receive nothing any more.
    pub(super) unreachable: BTreeSet<Slot>,
}

impl Recorder {
    fn record(&mut self, member: Slot, line: &Line<'_>) {
        let style = self.styles.get(&member).copied().unwrap_or_default();
        if line.is_presence() && !style.presence {
            return;
        }
        let mut bytes = Vec::new();
        format::append(line, self.wall, style, &mut bytes);
        self.lines.entry(member).or_default().push_back(String::from_utf8(bytes).unwrap());
    }

    /// Takes the lines that a person has got.
    pub(super) fn take(&mut self, member: Slot) -> Vec<String> {
        self.lines.remove(&member).unwrap_or_default().into()
    }
}

impl Delivery for Recorder {
    fn answer(&mut self, member: Slot, line: &Line<'_>) {
        self.answers += 1;
        self.record(member, line);
    }

    fn tell(&mut self, member: Slot, line: &Line<'_>) {
        self.record(member, line);
    }

    fn tell_all(&mut self, members: &[Slot], line: &Line<'_>) {
        for member in members {
            self.record(*member, line);
        }
    }

    fn tell_room(&mut self, room: RoomId, except: &[Slot], line: &Line<'_>) {
        let members = self.members.get(&room).cloned().unwrap_or_default();
        for member in members.into_iter().filter(|member| !except.contains(member)) {
            self.record(member, line);
        }
    }

    fn joined(&mut self, room: RoomId, member: Slot) {
        let is_new = self.members.entry(room).or_default().insert(member);
        assert!(is_new, "{member:?} joined {room:?} twice");
    }

    fn left(&mut self, room: RoomId, member: Slot) {
        let members = self.members.get_mut(&room).expect("left a room that nobody joined");
        assert!(members.remove(&member), "{member:?} left {room:?} without being in it");
        if members.is_empty() {
            self.members.remove(&room);
        }
    }

    fn is_reachable(&self, member: Slot) -> bool {
        !self.unreachable.contains(&member)
    }

    fn takes_more(&self, member: Slot) -> bool {
        let waiting = self.lines.get(&member).map_or(0, VecDeque::len);
        self.step_lines.is_none_or(|most| waiting < most)
    }

    fn restyle(&mut self, member: Slot, style: Style) {
        self.styles.insert(member, style);
    }
}

/// A hub, and its people under the names that a script gives them, whatever their nicks are.
pub(super) struct TestChat {
    pub(super) hub: Hub,
    pub(super) recorder: Recorder,
    pub(super) now: Now,
    slots: BTreeMap<String, Slot>,
    next_id: ConnId,
}

impl TestChat {
    /// An empty hub at 12:34.
    pub(super) fn new(rules: Rules) -> Self {
        let wall = WallTime { unix_ms: 0, hour: 12, minute: 34, second: 56 };
        Self {
            hub: Hub::new(rules),
            recorder: Recorder { wall, ..Recorder::default() },
            now: Now { moment: Moment::START, wall },
            slots: BTreeMap::new(),
            next_id: ConnId::FIRST,
        }
    }

    pub(super) fn slot(&self, who: &str) -> Slot {
        *self.slots.get(who).unwrap_or_else(|| panic!("the script has not introduced {who}"))
    }

    /// A person arrives, at the lowest slot that is free.
    pub(super) fn enter(&mut self, who: &str) -> Slot {
        let slot = (0..=1_000).map(Slot).find(|slot| self.hub.person(*slot).is_none()).unwrap();
        self.recorder.styles.remove(&slot);
        self.hub.enter(slot, self.next_id, self.now, &mut self.recorder);
        self.next_id = self.next_id.next();
        self.slots.insert(who.to_owned(), slot);
        slot
    }

    /// A person arrives from an address that limits count.
    pub(super) fn enter_from(&mut self, who: &str, address: &str) -> Slot {
        let slot = self.enter(who);
        self.hub.mute_by_address(slot, network(address), self.now.moment);
        slot
    }

    /// The operator mutes a person until further notice, or ends that.
    pub(super) fn mute(&mut self, member: Slot, on: bool) {
        if on {
            let _ = self.hub.mute(member, None, None, self.now.moment);
        } else {
            self.hub.unmute_member(member);
        }
    }

    /// A person leaves, and nothing else happens before the next one does.
    pub(super) fn goes_with_others(&mut self, who: &str, reason: &str) {
        let without_words = reason.starts_with("quit: ").then_some("quit");
        self.hub.leave(self.slot(who), reason.to_owned(), without_words, self.now.moment, &mut self.recorder);
    }

    /// A person sends a message.
    pub(super) fn say(&mut self, who: &str, text: &str) -> Outcome {
        self.hub.message(self.slot(who), text, self.now, &mut self.recorder)
    }

    /// The lines that a person has got since this was last asked.
    pub(super) fn read(&mut self, who: &str) -> Vec<String> {
        self.recorder.take(self.slot(who))
    }

    /// Time passes; the hub is woken whenever it asked for it.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.moment + span;
        while let Some(due) = self.hub.poll_timeout().filter(|due| *due <= end) {
            self.now.moment = due;
            self.hub.handle_timeout(self.now, &mut self.recorder);
        }
        self.now.moment = end;
    }

    /// Plays a script to its end.
    pub(super) fn play(&mut self, script: &str) {
        for (number, line) in script.lines().enumerate() {
            let line = line.trim_start();
            if !line.is_empty() {
                self.play_line(line, &format!("line {}: {line}", number + 1));
            }
        }
        self.expect_silence("the end");
    }

    fn play_line(&mut self, line: &str, place: &str) {
        let (who, act) = line.split_once(' ').unwrap_or((line, ""));
        let (verb, text) = act.split_once(' ').unwrap_or((act, ""));
        if verb == "sees" {
            let lines = self.recorder.lines.entry(self.slot(who)).or_default().pop_front();
            assert_eq!(lines.as_deref(), Some(text), "{place}");
            return;
        }
        self.expect_silence(place);
        self.act(line);
    }

    /// Runs one act: a person does something, or time passes.
    pub(super) fn act(&mut self, line: &str) {
        let (who, act) = line.split_once(' ').unwrap_or((line, ""));
        let (verb, text) = act.split_once(' ').unwrap_or((act, ""));
        match (who, verb, text) {
            (_, "is", "here") => {
                self.enter(who);
                self.say(who, &format!("/nick {who}"));
                self.hub.announce_arrival(self.slot(who), self.now, &mut self.recorder);
                self.hub.arrivals.clear();
                self.recorder.lines.clear();
            }
            (_, "is", "muted") => self.mute(self.slot(who), true),
            (_, "is", "unmuted") => self.mute(self.slot(who), false),
            (_, "is", text) if text.starts_with("muted at ") => {
                let address = text.trim_start_matches("muted at ");
                self.hub.mute(self.slot(who), Some(network(address)), None, self.now.moment).unwrap();
            }
            (_, "enters", "") => drop(self.enter(who)),
            (_, "enters", text) if text.starts_with("from ") => {
                self.enter_from(who, text.trim_start_matches("from "));
            }
            // It enters, and is announced at once.
            (_, "arrives", "") => {
                let slot = self.enter(who);
                self.hub.announce_arrival(slot, self.now, &mut self.recorder);
                self.hub.arrivals.clear();
            }
            ("operator", "says", _) => self.hub.operator_says(text, self.now, &mut self.recorder),
            (_, "says", _) => drop(self.say(who, text)),
            (_, "goes", _) => {
                self.goes_with_others(who, text);
                self.hub.announce_departures(self.now, &mut self.recorder);
            }
            (_, "s", "pass") => self.pass(Duration::from_secs(who.parse().unwrap())),
            _ => panic!("{line}: no such act"),
        }
    }

    fn expect_silence(&self, place: &str) {
        for (member, lines) in &self.recorder.lines {
            assert!(lines.is_empty(), "{place}: before it, {member:?} got {lines:?}");
        }
    }
}

fn network(address: &str) -> Network {
    Network::counted_as_one(address.parse().expect("an address"))
}
