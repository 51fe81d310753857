//! What every client should have received, and the check that it did.
//!
//! One client, the witness, is in every room from the start, reads everything at once and says nothing. The server
//! keeps the order of all lines, across rooms too, so the witness's stream is that order, and its presence lines say
//! which client was in which room. Every other stream must have the lines of the client's rooms in that order, without
//! the client's own. Missing are only skipped lines, which a marker in their place counts, and departures together with
//! the client's own.
//!
//! The witness does not read of a new client in the lobby at once. Such a client is in the lobby from its greeting on,
//! so its stream begins before its first act that the witness reads. Until its arrival is announced, its own answers
//! say when it is out of the lobby, and it may leave without a line.
//!
//! If the witness missed a line, or if there is no witness, the checks are only that no line comes twice, out of order,
//! from a room that the client is not in, or from the client itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::actor::Actor;
use crate::transcript::{Act, RoomLine, ServerLine, Transcript, owner_of_chosen};

/// The room that every client starts in.
const LOBBY: &str = "#lobby";

/// Checks the rules that hold for every stream, with or without a witness.
pub(crate) fn check_alone(actor: &Actor, transcript: &Transcript) {
    let me = actor.client.0;
    let mut rooms = BTreeSet::new();
    let mut ignored = BTreeSet::new();
    let mut latest: BTreeMap<usize, u32> = BTreeMap::new();
    let mut pongs = 0;
    for line in &transcript.lines {
        match line {
            ServerLine::Own(text) => {
                note_rooms(text, &mut rooms);
                note_ignored(text, &mut ignored);
                let writer =
                    text.strip_prefix('[').and_then(|rest| rest.split_once(" -> ")).map(|(nick, _)| nick);
                // An ignored client has a chosen name.
                let writer = writer.filter(|nick| !nick.starts_with("guest-")).map(owner_of_chosen);
                let is_ignored = writer.is_some_and(|writer| writer != me && ignored.contains(&writer));
                assert!(!is_ignored, "{me} gets a letter of one whom it ignores: {text}");
                if let Some(number) = text.strip_prefix("-- pong ") {
                    let number: u32 =
                        number.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
                    assert!(number == pongs + 1, "{me}: pong {number} follows pong {pongs}");
                    pongs = number;
                }
            }
            ServerLine::Room(line) => {
                assert_ne!(line.by, Some(me), "{me} reads of its own act: {}", line.text);
                let is_ignored = line.act == Act::Spoke && line.by.is_some_and(|by| ignored.contains(&by));
                assert!(!is_ignored, "{me} reads a line of an ignored client: {}", line.text);
                assert!(rooms.contains(&line.room), "{me} is not in {} and reads {}", line.room, line.text);
                if let Some((by, number)) = utterance(&line.text) {
                    let before = latest.insert(by, number).unwrap_or(0);
                    assert!(number > before, "{me} reads {number} of {by} behind {before}");
                }
            }
            ServerLine::Operator(_) | ServerLine::Skipped(_) => {}
        }
    }
    assert!(pongs <= actor.pings);
}

/// Checks that a client that was never let in has read nothing, or only the line that the server is full; returns
/// which.
pub(crate) fn is_sent_away(transcript: &Transcript) -> bool {
    let lines: Vec<&ServerLine> = transcript.lines.iter().collect();
    match lines[..] {
        [] => false,
        [ServerLine::Own(text)] if text == "!! the server is full; try again later" => true,
        _ => panic!("to somebody who was not let in: {lines:?}"),
    }
}

/// Checks that every ping of an undisturbed client is answered, and every line delivered.
pub(crate) fn check_received(actor: &Actor, transcript: &Transcript, order: &[ServerLine]) {
    if actor.is_tainted || actor.is_write_shut || !transcript.is_complete {
        return;
    }
    let me = actor.client.0;
    let pongs = transcript.own().filter(|text| text.starts_with("-- pong ")).count();
    assert_eq!(pongs, actor.pings as usize, "{me}: every ping is answered");
    let received = order.iter().filter(
        |line| matches!(line, ServerLine::Room(line) if utterance(&line.text).is_some_and(|(by, _)| by == me)),
    );
    // A client from the address of a muted one is muted as well.
    let is_refusal = |text: &&str| {
        text.starts_with("!! you are in no room")
            || text.starts_with("!! the operator has muted your address")
    };
    let refused = transcript.own().filter(is_refusal).count();
    let received = received.count();
    assert!(
        received + refused >= actor.said as usize && received <= actor.said as usize,
        "{me}: said {}, received {received}, refused at most {refused}",
        actor.said
    );
}

/// Checks that the stream is the part of the witness's order that is for this client.
pub(crate) fn check_against(actor: &Actor, transcript: &Transcript, order: &[ServerLine]) {
    let due = due_to(actor, order);
    let mut rooms = BTreeSet::from([LOBBY.to_owned()]);
    let mut places = Places::at_the_start(&due, actor.letters);
    for line in &transcript.lines {
        let next = match line {
            ServerLine::Skipped(count) => (0..*count).fold(places.clone(), |places, _| places.skip(&due)),
            ServerLine::Room(RoomLine { text: line, .. }) | ServerLine::Operator(line) => {
                places.read(&due, line)
            }
            ServerLine::Own(text) => {
                note_rooms(text, &mut rooms);
                places.clone().with_lobby(&due, rooms.contains(LOBBY))
            }
        };
        assert!(!next.is_empty(), "{}", mismatch(actor, transcript, &due, line, &places));
        places = next;
    }
    if transcript.is_complete && !actor.is_write_shut {
        let line = ServerLine::Own("the end".to_owned());
        assert!(places.reach_the_end(&due), "{}", mismatch(actor, transcript, &due, &line, &places));
    }
}

fn mismatch(actor: &Actor, transcript: &Transcript, due: &Dues, at: &ServerLine, places: &Places) -> String {
    let from = places.at.first().map_or(0, |(place, _)| *place);
    let next: Vec<_> = due.lines[from.min(due.lines.len())..].iter().take(12).map(|due| &due.line).collect();
    format!(
        "{} (complete: {}) reads\n  {at:?}\nwhere one of these places was due: {:?}\n{next:#?}\nof\n{:#?}",
        actor.client.0, transcript.is_complete, places.at, transcript.lines
    )
}

/// The lines that a client should get, in this order.
#[derive(Debug, Default)]
struct Dues {
    lines: Vec<Due>,
    /// The last line that may be the client's first one.
    latest_start: usize,
    /// From here on the client may have left without a line.
    earliest_end: usize,
}

/// A line that a client should get.
#[derive(Debug)]
struct Due {
    line: String,
    /// The line without the quit text, if the client has ignored the leaving one at some time.
    without_words: Option<String>,
    /// The line may be absent: the client has turned such lines off or ignored the speaker at some time, or may have
    /// left before it or together with it.
    is_optional: bool,
    /// The line comes before the client's arrival is announced: the client gets it if it is in the lobby.
    is_unannounced: bool,
}

fn due_to(actor: &Actor, order: &[ServerLine]) -> Dues {
    let me = Some(actor.client.0);
    let goes_with = going_with(order, actor.client.0);
    let mut rooms: BTreeSet<&str> = BTreeSet::new();
    let (mut is_unannounced, mut was_here, mut has_gone) = (true, false, false);
    let mut due = Dues::default();
    for (at, line) in order.iter().enumerate() {
        match line {
            ServerLine::Room(line) if line.by == me => {
                match line.act {
                    Act::Came => assert!(rooms.insert(&line.room), "comes twice: {}", line.text),
                    Act::Went => assert!(rooms.remove(line.room.as_str()), "unheard of: {}", line.text),
                    Act::Counted | Act::Renamed | Act::SetTopic | Act::Spoke => {
                        assert!(rooms.contains(line.room.as_str()), "unheard of: {}", line.text);
                    }
                }
                has_gone |= is_going(line);
                is_unannounced &= !has_gone && line.room != LOBBY;
                if !std::mem::replace(&mut was_here, true) {
                    due.latest_start = due.lines.len();
                }
                due.earliest_end = due.lines.len();
            }
            ServerLine::Room(line) => {
                let is_unannounced = is_unannounced && line.room == LOBBY;
                let is_mixed = actor.is_presence_mixed && line.act.is_presence();
                let is_ignored = line.by.is_some_and(|by| actor.ignored.contains(&by));
                let may_be_hidden = is_ignored && !matches!(line.act, Act::Came | Act::Went);
                let is_optional = is_mixed || may_be_hidden || goes_with.contains(&at);
                if is_unannounced || rooms.contains(line.room.as_str()) {
                    let without_words = is_ignored.then(|| without_quit_text(line));
                    let line = line.text.clone();
                    due.lines.push(Due { line, without_words, is_optional, is_unannounced });
                }
            }
            ServerLine::Operator(line) => {
                let is_optional = rooms.is_empty() && !is_unannounced;
                let line = line.clone();
                due.lines.push(Due { line, without_words: None, is_optional, is_unannounced: false });
            }
            ServerLine::Own(_) | ServerLine::Skipped(_) => {}
        }
    }
    if !was_here {
        due.latest_start = due.lines.len();
    }
    if !rooms.is_empty() {
        due.earliest_end = due.lines.len();
    }
    due
}

/// Whether a client leaves the server.
fn is_going(line: &RoomLine) -> bool {
    line.act == Act::Went && !line.text.ends_with("(left)")
}

/// A departure as clients read it that ignore the leaving one: `(quit)` for `(quit: for good)`.
fn without_quit_text(line: &RoomLine) -> String {
    match line.text.split_once(": ") {
        Some((before, _)) if line.act == Act::Went => format!("{before})"),
        _ => line.text.clone(),
    }
}

/// The consecutive departures that include the one of `client`: clients that leave together do not read of each other.
fn going_with(order: &[ServerLine], client: usize) -> Range<usize> {
    let goes = |line: &ServerLine| matches!(line, ServerLine::Room(line) if is_going(line));
    let is_own = |line: &ServerLine| matches!(line, ServerLine::Room(line) if is_going(line) && line.by == Some(client));
    let Some(own) = order.iter().position(is_own) else { return 0..0 };
    let before = order[..own].iter().rev().take_while(|line| goes(line)).count();
    let after = order[own..].iter().take_while(|line| goes(line)).count();
    own - before..own + after
}

/// The positions in the expected lines at which a stream may be.
#[derive(Clone, Debug)]
struct Places {
    /// Each with the number of private lines skipped up to there, which the witness does not know.
    at: BTreeSet<(usize, usize)>,
    letters: usize,
    is_in_lobby: bool,
}

impl Places {
    fn at_the_start(due: &Dues, letters: usize) -> Self {
        let at = (0..=due.latest_start).map(|place| (place, 0)).collect();
        Self { at, letters, is_in_lobby: true }.over_optional(due)
    }

    fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    fn with_lobby(mut self, due: &Dues, is_in_lobby: bool) -> Self {
        self.is_in_lobby = is_in_lobby;
        self.over_optional(due)
    }

    fn read(&self, due: &Dues, line: &str) -> Self {
        let is_line = |due: &Due| due.line == line || due.without_words.as_deref() == Some(line);
        let is_next = |place: usize| due.lines.get(place).is_some_and(is_line);
        let after =
            self.at.iter().filter(|(place, _)| is_next(*place)).map(|(place, letters)| (place + 1, *letters));
        Self { at: after.collect(), ..*self }.over_optional(due)
    }

    fn skip(&self, due: &Dues) -> Self {
        let lines = self.at.iter().filter(|(place, _)| *place < due.lines.len());
        let lines = lines.map(|(place, letters)| (place + 1, *letters));
        let letters = self.at.iter().filter(|(_, letters)| *letters < self.letters);
        let letters = letters.map(|(place, letters)| (*place, letters + 1));
        Self { at: lines.chain(letters).collect(), ..*self }.over_optional(due)
    }

    fn over_optional(mut self, due: &Dues) -> Self {
        let may_be_absent = |due: &Due| due.is_optional || due.is_unannounced && !self.is_in_lobby;
        let mut new: Vec<_> = self.at.iter().copied().collect();
        while let Some((place, letters)) = new.pop() {
            if due.lines.get(place).is_some_and(may_be_absent) && self.at.insert((place + 1, letters)) {
                new.push((place + 1, letters));
            }
        }
        self
    }

    fn reach_the_end(&self, due: &Dues) -> bool {
        self.at.iter().any(|(place, _)| *place >= due.earliest_end)
    }
}

/// The rooms that a client is in, by the answers to its commands.
fn note_rooms(answer: &str, rooms: &mut BTreeSet<String>) {
    let room = |rest: &str| format!("#{}", rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap());
    if answer.contains(": you are guest-") {
        rooms.insert(LOBBY.to_owned());
    } else if let Some(rest) = answer.strip_prefix("-- you are in #") {
        rooms.insert(room(rest));
    } else if let Some(rest) = answer.strip_prefix("-- you left #") {
        rooms.remove(&room(rest));
    }
}

/// The clients that a client ignores, by the answers to its commands. An ignored name without an owner stays one that a
/// client may take.
fn note_ignored(answer: &str, ignored: &mut BTreeSet<usize>) {
    if let Some((name, _)) = answer.strip_prefix("-- you ignore ").and_then(|rest| rest.split_once(';')) {
        if !name.ends_with(", who is not here") {
            ignored.insert(owner_of_chosen(name));
        }
    } else if let Some(name) = answer.strip_prefix("-- you no longer ignore ") {
        ignored.remove(&owner_of_chosen(name));
    }
}

/// The speaker of a line and the line's number among the speaker's, from its mark `s3.17;`; `None` if the mark was cut
/// off.
fn utterance(line: &str) -> Option<(usize, u32)> {
    let mut words =
        line.split(' ').filter_map(|word| word.strip_prefix('s')?.split_once(';')?.0.split_once('.'));
    words.find_map(|(by, number)| Some((by.parse().ok()?, number.parse().ok()?)))
}
