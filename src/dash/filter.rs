//! The live filter: `nick:bob state:eof outbox>10k ip:10.0.0.0/8 -muted /regex/`, all of which must hold.
//!
//! A filter that exists is legal; [`parse`] says in words what is wrong with a text that is none. Matching allocates
//! nothing for the terms people use most, because it runs over every row of every snapshot.

mod parse;

use std::fmt::Write as _;
use std::time::Duration;

use arrayvec::ArrayString;
use regex::Regex;

use super::cells::idle;
use super::events;
use super::picture::{Picture, send_q};
use crate::model::event::Event;
use crate::model::snapshot::{ConnId, Peer, Phase, Row};
use crate::network::Network;

pub(crate) use parse::FilterError;

/// The longest peer address as text: IPv6 with a scope, brackets and port.
const PEER_TEXT_MAX: usize = 64;

/// Terms that must all hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter(Vec<Term>);

#[derive(Clone, Debug)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Flag(String),
    Id(ConnId),
    Ip(Network),
    Nick(String),
    Number(Quantity, Relation, u64),
    Pattern(Regex),
    State(String),
    Word(String),
}

/// What a comparison is about; spans in microseconds, load in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Ack,
    Age,
    Idle,
    Load,
    Outbox,
    RecvQ,
    Rooms,
    Rx,
    SendQ,
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Above,
    Below,
    Equal,
}

/// What can be written, for help.
pub(crate) const HELP: [(&str, &str); 7] = [
    ("word", "in id, nick, peer, state or flags"),
    ("nick: state: ip: id: flag:", "in that field; ip: takes a network, 10.0.0.0/8"),
    ("outbox>10k idle>5m load>50%", "also sendq recvq rx ack age rooms skipped; < and = too"),
    ("/regex/", "over the whole row, without case"),
    ("-term", "not so"),
    ("term term", "both"),
    ("in Events", "word, nick:, id:, /regex/ and -"),
];

impl Filter {
    /// Whether everything passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the row at this index of the picture passes. What has to be written down for it goes into `scratch`, so
    /// that many rows take one allocation.
    ///
    /// `None` when that is not known: the kernel's queue is read only of rows in sight and of connections that are held.
    pub(crate) fn accepts(&self, picture: &Picture, index: usize, scratch: &mut String) -> Option<bool> {
        let mut is_known = true;
        for term in &self.0 {
            match term.test.holds(picture, index, scratch) {
                Some(holds) if holds == term.negated => return Some(false),
                Some(_) => {}
                None => is_known = false,
            }
        }
        is_known.then_some(true)
    }

    /// Whether an event passes.
    pub(crate) fn accepts_entry(&self, entry: &Event) -> bool {
        self.0.iter().all(|term| term.test.holds_for(entry) != term.negated)
    }
}

impl Test {
    fn holds(&self, picture: &Picture, index: usize, scratch: &mut String) -> Option<bool> {
        let row = &picture.rows()[index];
        Some(match self {
            Self::Flag(word) => row.flags.words().any(|flag| contains(flag, word)),
            Self::Id(id) => row.id == *id,
            Self::Ip(net) => matches!(row.peer, Peer::Tcp(address) if net.holds(address.ip())),
            Self::Nick(word) => row.nick.is_some_and(|nick| contains(nick.as_str(), word)),
            Self::Number(quantity, relation, than) => relation.holds(quantity.of(picture, index)?, *than),
            Self::Pattern(regex) => {
                write_row(row, scratch);
                regex.is_match(scratch)
            }
            Self::State(word) => contains(&row.state.to_string(), word) || contains(row.state.arrow(), word),
            Self::Word(word) => holds_word(row, word),
        })
    }

    fn holds_for(&self, entry: &Event) -> bool {
        match self {
            Self::Id(id) => entry.kind.subject() == Some(*id),
            Self::Nick(word) => entry.kind.nick().is_some_and(|nick| contains(nick.as_str(), word)),
            Self::Pattern(regex) => regex.is_match(&whole_entry(entry)),
            Self::Word(word) => contains(&whole_entry(entry), word),
            Self::Flag(_) | Self::Ip(_) | Self::Number(..) | Self::State(_) => false,
        }
    }
}

impl Test {
    /// How dear it is to ask, in no unit.
    const fn cost(&self) -> u8 {
        match self {
            Self::Id(_) | Self::Ip(_) | Self::Number(..) => 0,
            Self::Flag(_) | Self::Nick(_) | Self::State(_) => 1,
            Self::Word(_) => 2,
            Self::Pattern(_) => 3,
        }
    }
}

impl Quantity {
    /// Of a row; `None` if it is not known.
    fn of(self, picture: &Picture, index: usize) -> Option<u64> {
        let row = &picture.rows()[index];
        let now = picture.taken().moment;
        Some(match self {
            Self::Age => whole_micros(now.since(row.since)),
            Self::Idle => whole_micros(idle(row, now).unwrap_or_default()),
            Self::Load => u64::from(picture.load(row)),
            Self::Outbox => row.outbox_bytes,
            Self::RecvQ if row.state == Phase::Gone => 0,
            Self::RecvQ => u64::from(row.kernel?.recv_q),
            Self::Rooms => u64::from(row.rooms),
            Self::Rx => picture.rate(index).rx(),
            Self::SendQ => send_q(row),
            Self::Skipped => row.lines_skipped,
            Self::Ack => picture.rate(index).ack(),
        })
    }
}

impl Relation {
    fn holds(self, value: u64, than: u64) -> bool {
        match self {
            Self::Above => value > than,
            Self::Below => value < than,
            Self::Equal => value == than,
        }
    }
}

fn whole_micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn holds_word(row: &Row, word: &str) -> bool {
    row.nick.is_some_and(|nick| contains(nick.as_str(), word))
        || row.flags.words().any(|flag| contains(flag, word))
        || word.parse() == Ok(row.id)
        || contains(&peer_text(row), word)
        || contains(&row.state.to_string(), word)
}

fn peer_text(row: &Row) -> ArrayString<PEER_TEXT_MAX> {
    let mut text = ArrayString::new();
    // What does not fit is cut; no address is that long.
    let _ = write!(text, "{}", row.peer);
    text
}

/// Writes all of a row's words down.
fn write_row(row: &Row, text: &mut String) {
    text.clear();
    // Writing to a String cannot fail.
    let _ = write!(text, "{} ", row.id);
    if let Some(nick) = row.nick {
        text.push_str(nick.as_str());
    }
    let _ = write!(text, " {} {}", row.peer, row.state);
    for flag in row.flags.words() {
        text.push(' ');
        text.push_str(flag);
    }
}

fn whole_entry(entry: &Event) -> String {
    let record = &entry.kind;
    let id = record.subject().map(|id| id.to_string()).unwrap_or_default();
    let nick = record.nick().map(|nick| nick.to_string()).unwrap_or_default();
    format!("{} {id} {nick} {}", record.word(), events::wording(record, false))
}

/// Whether `word` occurs in `text`, ASCII letters without case.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    text.windows(word.len().max(1)).any(|window| window.eq_ignore_ascii_case(word))
}
