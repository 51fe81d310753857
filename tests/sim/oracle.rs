//! What everybody should have received, and whether they did.
//!
//! One client, the witness, is in every room from the first, reads everything at once and says nothing. As the
//! server keeps the order in which things were said, across rooms too, the witness's stream is that order; what
//! it read of who came and went says who was where. Every other stream has to be that order, with the client's own
//! acts left out and nothing else, but for whole lines in whose very place a marker counts them, and for the goings of
//! those who went together with it.
//!
//! The witness does not read of a newcomer in the lobby at once. Such a client is in the lobby from its greeting on: its
//! stream begins somewhere before the first act of its own that the witness reads. Until its arrival is announced its own
//! answers say when it is out of the lobby, and it may go without a line.
//!
//! Where the witness missed something itself, or there is none, it is still checked that nothing comes twice, out
//! of order, from a room one is not in, or from oneself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::actor::Actor;
use crate::transcript::{Act, Heard, Told, Transcript, owner_of_chosen};

/// Where everybody is from the first.
const LOBBY: &str = "#lobby";

/// What nobody may break, whatever else is known.
pub(crate) fn check_alone(actor: &Actor, transcript: &Transcript) {
    let me = actor.client.0;
    let mut rooms = BTreeSet::new();
    let mut ignored = BTreeSet::new();
    let mut latest: BTreeMap<usize, u32> = BTreeMap::new();
    let mut pongs = 0;
    for line in &transcript.lines {
        match line {
            Heard::Own(text) => {
                note_rooms(text, &mut rooms);
                note_ignored(text, &mut ignored);
                let writer =
                    text.strip_prefix('[').and_then(|rest| rest.split_once(" -> ")).map(|(nick, _)| nick);
                // Who is ignored has a name of its own.
                let writer = writer.filter(|nick| !nick.starts_with("guest-")).map(owner_of_chosen);
                let is_deaf = writer.is_some_and(|writer| writer != me && ignored.contains(&writer));
                assert!(!is_deaf, "{me} gets a letter of one whom it ignores: {text}");
                if let Some(number) = text.strip_prefix("-- pong ") {
                    let number: u32 =
                        number.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
                    assert!(number == pongs + 1, "{me}: pong {number} follows pong {pongs}");
                    pongs = number;
                }
            }
            Heard::Told(told) => {
                assert_ne!(told.by, Some(me), "{me} reads of its own act: {}", told.line);
                let is_deaf = told.act == Act::Spoke && told.by.is_some_and(|by| ignored.contains(&by));
                assert!(!is_deaf, "{me} reads of one whom it ignores: {}", told.line);
                assert!(rooms.contains(&told.room), "{me} is not in {} and reads {}", told.room, told.line);
                if let Some((by, number)) = utterance(&told.line) {
                    let before = latest.insert(by, number).unwrap_or(0);
                    assert!(number > before, "{me} reads {number} of {by} behind {before}");
                }
            }
            Heard::Operator(_) | Heard::Skipped(_) => {}
        }
    }
    assert!(pongs <= actor.pings);
}

/// Whoever was never let in has read nothing, or the one line to those for whom there is no descriptor: whether that.
pub(crate) fn is_sent_away(transcript: &Transcript) -> bool {
    let lines: Vec<&Heard> = transcript.lines.iter().collect();
    match lines[..] {
        [] => false,
        [Heard::Own(text)] if text == "!! the server is full; try again later" => true,
        _ => panic!("to somebody who was not let in: {lines:?}"),
    }
}

/// Every ping is answered and every word heard, of those to whom nothing happened.
pub(crate) fn check_heard(actor: &Actor, transcript: &Transcript, order: &[Heard]) {
    if actor.is_tainted || actor.is_write_shut || !transcript.is_complete {
        return;
    }
    let me = actor.client.0;
    let pongs = transcript.own().filter(|text| text.starts_with("-- pong ")).count();
    assert_eq!(pongs, actor.pings as usize, "{me}: every ping is answered");
    let heard = order.iter().filter(
        |line| matches!(line, Heard::Told(told) if utterance(&told.line).is_some_and(|(by, _)| by == me)),
    );
    // Whoever comes from the address of a muted one is muted as well.
    let is_refusal = |text: &&str| {
        text.starts_with("!! you are in no room")
            || text.starts_with("!! the operator has muted your address")
    };
    let refused = transcript.own().filter(is_refusal).count();
    let heard = heard.count();
    assert!(
        heard + refused >= actor.said as usize && heard <= actor.said as usize,
        "{me}: said {}, heard {heard}, refused at most {refused}",
        actor.said
    );
}

/// The stream is the witness's order, cut out for this client.
pub(crate) fn check_against(actor: &Actor, transcript: &Transcript, order: &[Heard]) {
    let due = due_to(actor, order);
    let mut rooms = BTreeSet::from([LOBBY.to_owned()]);
    let mut places = Places::at_the_start(&due, actor.letters);
    for line in &transcript.lines {
        let next = match line {
            Heard::Skipped(count) => (0..*count).fold(places.clone(), |places, _| places.skip(&due)),
            Heard::Told(Told { line, .. }) | Heard::Operator(line) => places.read(&due, line),
            Heard::Own(text) => {
                note_rooms(text, &mut rooms);
                places.clone().with_lobby(&due, rooms.contains(LOBBY))
            }
        };
        assert!(!next.is_empty(), "{}", mismatch(actor, transcript, &due, line, &places));
        places = next;
    }
    if transcript.is_complete && !actor.is_write_shut {
        let line = Heard::Own("the end".to_owned());
        assert!(places.reach_the_end(&due), "{}", mismatch(actor, transcript, &due, &line, &places));
    }
}

fn mismatch(actor: &Actor, transcript: &Transcript, due: &Dues, at: &Heard, places: &Places) -> String {
    let from = places.at.first().map_or(0, |(place, _)| *place);
    let next: Vec<_> = due.lines[from.min(due.lines.len())..].iter().take(12).map(|due| &due.line).collect();
    format!(
        "{} (complete: {}) reads\n  {at:?}\nwhere one of these places was due: {:?}\n{next:#?}\nof\n{:#?}",
        actor.client.0, transcript.is_complete, places.at, transcript.lines
    )
}

/// What a client should get, in this order.
#[derive(Debug, Default)]
struct Dues {
    lines: Vec<Due>,
    /// The last line that may be its first one.
    latest_start: usize,
    /// From here on it may have gone without a line.
    earliest_end: usize,
}

/// A line that a client should get.
#[derive(Debug)]
struct Due {
    line: String,
    /// What it may be instead: the client has ignored at some time the one who goes.
    without_words: Option<String>,
    /// It may as well be absent: the client has turned such lines off or ignored the speaker at some time, or may have
    /// left before, or at the same time.
    is_optional: bool,
    /// It comes before the client's arrival is announced: the client gets it if it is in the lobby.
    is_unannounced: bool,
}

fn due_to(actor: &Actor, order: &[Heard]) -> Dues {
    let me = Some(actor.client.0);
    let goes_with = going_with(order, actor.client.0);
    let mut rooms: BTreeSet<&str> = BTreeSet::new();
    let (mut is_unannounced, mut was_here, mut has_gone) = (true, false, false);
    let mut due = Dues::default();
    for (at, line) in order.iter().enumerate() {
        match line {
            Heard::Told(told) if told.by == me => {
                match told.act {
                    Act::Came => assert!(rooms.insert(&told.room), "comes twice: {}", told.line),
                    Act::Went => assert!(rooms.remove(told.room.as_str()), "unheard of: {}", told.line),
                    Act::Counted | Act::Renamed | Act::SetTopic | Act::Spoke => {
                        assert!(rooms.contains(told.room.as_str()), "unheard of: {}", told.line);
                    }
                }
                has_gone |= is_going(told);
                is_unannounced &= !has_gone && told.room != LOBBY;
                if !std::mem::replace(&mut was_here, true) {
                    due.latest_start = due.lines.len();
                }
                due.earliest_end = due.lines.len();
            }
            Heard::Told(told) => {
                let is_unannounced = is_unannounced && told.room == LOBBY;
                let is_mixed = actor.is_presence_mixed && told.act.is_presence();
                let is_ignored = told.by.is_some_and(|by| actor.ignored.contains(&by));
                let may_be_hidden = is_ignored && !matches!(told.act, Act::Came | Act::Went);
                let is_optional = is_mixed || may_be_hidden || goes_with.contains(&at);
                if is_unannounced || rooms.contains(told.room.as_str()) {
                    let without_words = is_ignored.then(|| without_last_words(told));
                    let line = told.line.clone();
                    due.lines.push(Due { line, without_words, is_optional, is_unannounced });
                }
            }
            Heard::Operator(line) => {
                let is_optional = rooms.is_empty() && !is_unannounced;
                let line = line.clone();
                due.lines.push(Due { line, without_words: None, is_optional, is_unannounced: false });
            }
            Heard::Own(_) | Heard::Skipped(_) => {}
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

/// Whether somebody goes for good.
fn is_going(told: &Told) -> bool {
    told.act == Act::Went && !told.line.ends_with("(left)")
}

/// A going as those read it who ignore the one who goes: `(quit)` for `(quit: for good)`.
fn without_last_words(told: &Told) -> String {
    match told.line.split_once(": ") {
        Some((before, _)) if told.act == Act::Went => format!("{before})"),
        _ => told.line.clone(),
    }
}

/// The goings, one right after the other, among which is the one of `client`: those who go together are not told of
/// each other.
fn going_with(order: &[Heard], client: usize) -> Range<usize> {
    let goes = |line: &Heard| matches!(line, Heard::Told(told) if is_going(told));
    let is_own =
        |line: &Heard| matches!(line, Heard::Told(told) if is_going(told) && told.by == Some(client));
    let Some(own) = order.iter().position(is_own) else { return 0..0 };
    let before = order[..own].iter().rev().take_while(|line| goes(line)).count();
    let after = order[own..].iter().take_while(|line| goes(line)).count();
    own - before..own + after
}

/// Where in what is due a stream may be.
#[derive(Clone, Debug)]
struct Places {
    /// Each with how many lines to the client alone were skipped until there: of those the witness knows nothing.
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

/// The rooms that somebody is in, as the answers to it say.
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

/// Whom somebody ignores, as the answers to it say. A name that nobody has is one that its client may take and give up.
fn note_ignored(answer: &str, ignored: &mut BTreeSet<usize>) {
    if let Some((name, _)) = answer.strip_prefix("-- you ignore ").and_then(|rest| rest.split_once(';')) {
        if !name.ends_with(", who is not here") {
            ignored.insert(owner_of_chosen(name));
        }
    } else if let Some(name) = answer.strip_prefix("-- you no longer ignore ") {
        ignored.remove(&owner_of_chosen(name));
    }
}

/// Who said the how manieth of its things, if it is something said: `s3.17;`, unless that was cut off.
fn utterance(line: &str) -> Option<(usize, u32)> {
    let mut words =
        line.split(' ').filter_map(|word| word.strip_prefix('s')?.split_once(';')?.0.split_once('.'));
    words.find_map(|(by, number)| Some((by.parse().ok()?, number.parse().ok()?)))
}
