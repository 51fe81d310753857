//! What everybody should have received, and whether they did.
//!
//! One client, the witness, is in every room from the first, reads everything at once and says nothing. As the
//! server keeps the order in which things were said, across rooms too, the witness's stream is that order; what
//! it read of who came and went says who was where. Every other stream has to be that order, with the client's own
//! acts left out and nothing else, but for whole lines in whose very place a marker counts them, and for the goings of
//! those who went together with it.
//!
//! Where the witness missed something itself, or there is none, it is still checked that nothing comes twice, out
//! of order, from a room one is not in, or from oneself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::actor::Actor;
use crate::transcript::{Act, Heard, Told, Transcript, owner_of_chosen};

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
    let refused = transcript.own().filter(|text| text.starts_with("!! you are in no room")).count();
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
    let heard = transcript.lines.iter().filter(|line| !matches!(line, Heard::Own(_)));
    let mut places = Places::at_the_start(&due, actor.letters);
    for line in heard {
        let next = match line {
            Heard::Skipped(count) => (0..*count).fold(places.clone(), |places, _| places.skip(&due)),
            Heard::Told(Told { line, .. }) | Heard::Operator(line) => places.read(&due, line),
            Heard::Own(_) => continue,
        };
        assert!(!next.is_empty(), "{}", mismatch(actor, transcript, &due, line, &places));
        places = next;
    }
    if transcript.is_complete && !actor.is_write_shut {
        let line = Heard::Own("the end".to_owned());
        assert!(places.reach_the_end(&due), "{}", mismatch(actor, transcript, &due, &line, &places));
    }
}

fn mismatch(actor: &Actor, transcript: &Transcript, due: &[Due], at: &Heard, places: &Places) -> String {
    let from = places.0.first().map_or(0, |(place, _)| *place);
    let next: Vec<_> = due[from.min(due.len())..].iter().take(12).map(|due| &due.line).collect();
    format!(
        "{} (complete: {}) reads\n  {at:?}\nwhere one of these places was due: {:?}\n{next:#?}\nof\n{:#?}",
        actor.client.0, transcript.is_complete, places.0, transcript.lines
    )
}

/// A line that a client should get.
#[derive(Debug)]
struct Due {
    line: String,
    /// It may as well be absent: the client has turned such lines off or ignored the speaker at some time, or may have
    /// left before, or at the same time.
    is_optional: bool,
}

fn due_to(actor: &Actor, order: &[Heard]) -> Vec<Due> {
    let me = Some(actor.client.0);
    let goes_with = going_with(order, actor.client.0);
    let mut rooms: BTreeSet<&str> = BTreeSet::new();
    let mut was_here = false;
    let mut due = Vec::new();
    for (at, line) in order.iter().enumerate() {
        match line {
            Heard::Told(told) if told.by == me => {
                match told.act {
                    Act::Came => rooms.insert(&told.room),
                    Act::Went => rooms.remove(told.room.as_str()),
                    Act::Counted | Act::Renamed | Act::SetTopic | Act::Spoke => false,
                };
                was_here = true;
            }
            Heard::Told(told) if rooms.contains(told.room.as_str()) => {
                let is_mixed = actor.is_presence_mixed && told.act.is_presence();
                let is_ignored =
                    told.act == Act::Spoke && told.by.is_some_and(|by| actor.ignored.contains(&by));
                let is_optional = is_mixed || is_ignored || goes_with.contains(&at);
                due.push(Due { line: told.line.clone(), is_optional });
            }
            Heard::Operator(line) if was_here => {
                due.push(Due { line: line.clone(), is_optional: rooms.is_empty() });
            }
            Heard::Own(_) | Heard::Told(_) | Heard::Operator(_) | Heard::Skipped(_) => {}
        }
    }
    due
}

/// The goings, one right after the other, among which is the one of `client`: those who go together are not told of
/// each other.
fn going_with(order: &[Heard], client: usize) -> Range<usize> {
    let has_gone = |told: &Told| told.act == Act::Went && !told.line.ends_with("(left)");
    let goes = |line: &Heard| matches!(line, Heard::Told(told) if has_gone(told));
    let is_own =
        |line: &Heard| matches!(line, Heard::Told(told) if has_gone(told) && told.by == Some(client));
    let Some(own) = order.iter().position(is_own) else { return 0..0 };
    let before = order[..own].iter().rev().take_while(|line| goes(line)).count();
    let after = order[own..].iter().take_while(|line| goes(line)).count();
    own - before..own + after
}

/// Where in what is due a stream may be, with how many lines to the client alone skipped until there: of those
/// the witness knows nothing.
#[derive(Clone, Debug)]
struct Places(BTreeSet<(usize, usize)>, usize);

impl Places {
    fn at_the_start(due: &[Due], letters: usize) -> Self {
        Self(BTreeSet::from([(0, 0)]), letters).over_optional(due)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn read(&self, due: &[Due], line: &str) -> Self {
        let is_next = |place: usize| due.get(place).is_some_and(|due| due.line == line);
        let after =
            self.0.iter().filter(|(place, _)| is_next(*place)).map(|(place, letters)| (place + 1, *letters));
        Self(after.collect(), self.1).over_optional(due)
    }

    fn skip(&self, due: &[Due]) -> Self {
        let lines = self.0.iter().filter(|(place, _)| *place < due.len());
        let lines = lines.map(|(place, letters)| (place + 1, *letters));
        let letters = self.0.iter().filter(|(_, letters)| *letters < self.1);
        let letters = letters.map(|(place, letters)| (*place, letters + 1));
        Self(lines.chain(letters).collect(), self.1).over_optional(due)
    }

    fn over_optional(mut self, due: &[Due]) -> Self {
        let mut new: Vec<_> = self.0.iter().copied().collect();
        while let Some((place, letters)) = new.pop() {
            if due.get(place).is_some_and(|due| due.is_optional) && self.0.insert((place + 1, letters)) {
                new.push((place + 1, letters));
            }
        }
        self
    }

    fn reach_the_end(&self, due: &[Due]) -> bool {
        self.0.iter().any(|(place, _)| *place == due.len())
    }
}

/// The rooms that somebody is in, as the answers to it say.
fn note_rooms(answer: &str, rooms: &mut BTreeSet<String>) {
    let room = |rest: &str| format!("#{}", rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap());
    if answer.contains(": you are guest-") {
        rooms.insert("#lobby".to_owned());
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
