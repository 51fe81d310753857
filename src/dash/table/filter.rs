//! The live filter: `nick:bob state:eof outbox>10k ip:10.0.0.0/8 -muted /regex/`, all of which must hold.
//!
//! A [`Filter`] is always valid; [`Filter::parse`] says what is wrong with an invalid text. Frequent terms allocate
//! nothing, because each of them is applied to every row of every snapshot.

use std::fmt::Write as _;
use std::time::Duration;

use arrayvec::ArrayString;
use regex::{Regex, RegexBuilder};

use crate::dash::model::{Model, idle, log, send_q};
use crate::model::event::Event;
use crate::model::snapshot::{ConnId, Flags, Peer, Phase, Row};
use crate::network::Network;
use crate::time::parse_span;

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

/// The field of a comparison; spans are in microseconds, load in thousandths.
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

/// The syntax, for help.
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

    /// Whether the row at this index passes. `scratch` is for the text of a row, so that all rows share one allocation.
    ///
    /// `None` when that is not known: the kernel's queue is read only of rows in sight and of connections that are held.
    pub(crate) fn accepts(&self, model: &Model, index: usize, scratch: &mut String) -> Option<bool> {
        let mut is_known = true;
        for term in &self.0 {
            match term.test.holds(model, index, scratch) {
                Some(holds) if holds == term.negated => return Some(false),
                Some(_) => {}
                None => is_known = false,
            }
        }
        is_known.then_some(true)
    }

    /// Whether a record passes.
    pub(crate) fn accepts_entry(&self, entry: &Event) -> bool {
        self.0.iter().all(|term| term.test.holds_for(entry) != term.negated)
    }
}

impl Test {
    fn holds(&self, model: &Model, index: usize, scratch: &mut String) -> Option<bool> {
        let row = &model.rows()[index];
        Some(match self {
            Self::Flag(word) => row.flags.words().any(|flag| contains(flag, word)),
            Self::Id(id) => row.id == *id,
            Self::Ip(net) => matches!(row.peer, Peer::Tcp(address) if net.holds(address.ip())),
            Self::Nick(word) => row.nick.is_some_and(|nick| contains(nick.as_str(), word)),
            Self::Number(quantity, relation, than) => relation.holds(quantity.of(model, index)?, *than),
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
    /// The relative cost of a test.
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
    /// The value of a row; `None` if it is unknown.
    fn of(self, model: &Model, index: usize) -> Option<u64> {
        let row = &model.rows()[index];
        let now = model.taken().moment;
        Some(match self {
            Self::Age => whole_micros(now.since(row.since)),
            Self::Idle => whole_micros(idle(row, now).unwrap_or_default()),
            Self::Load => u64::from(model.load(row)),
            Self::Outbox => row.outbox_bytes,
            Self::RecvQ if row.state == Phase::Gone => 0,
            Self::RecvQ => u64::from(row.kernel?.recv_q),
            Self::Rooms => u64::from(row.rooms),
            Self::Rx => model.rate(index).rx(),
            Self::SendQ => send_q(row),
            Self::Skipped => row.lines_skipped,
            Self::Ack => model.rate(index).ack(),
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
    // Text that does not fit is cut; no address is that long.
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
    format!("{} {id} {nick} {}", record.word(), log::format_event(record, false))
}

/// Whether `word` occurs in `text`, ASCII letters without case.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    text.windows(word.len().max(1)).any(|window| window.eq_ignore_ascii_case(word))
}

/// The most memory a regular expression may take once compiled.
const REGEX_BYTES_MAX: usize = 1 << 20;

const FIELDS: &str = "nick: state: ip: id: flag:";
const QUANTITIES: [(&str, Quantity); 13] = [
    ("ack", Quantity::Ack),
    ("age", Quantity::Age),
    ("idle", Quantity::Idle),
    ("load", Quantity::Load),
    ("outbox", Quantity::Outbox),
    ("recvq", Quantity::RecvQ),
    ("recv-q", Quantity::RecvQ),
    ("rooms", Quantity::Rooms),
    ("rx", Quantity::Rx),
    ("sendq", Quantity::SendQ),
    ("send-q", Quantity::SendQ),
    ("skipped", Quantity::Skipped),
    ("tx", Quantity::Ack),
];

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FilterError(String);

impl Filter {
    /// Reads a filter for connections.
    pub(crate) fn parse(text: &str) -> Result<Self, FilterError> {
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            // A minus alone is a term that is about to be typed.
            if let Some(behind) = rest
                .strip_prefix('-')
                .filter(|behind| behind.is_empty() || behind.starts_with(char::is_whitespace))
            {
                rest = behind.trim_start();
                continue;
            }
            let (negated, term) = match rest.strip_prefix('-') {
                Some(term) => (true, term),
                None => (false, rest),
            };
            let (meant, behind) = if term.starts_with('/') { pattern(term)? } else { word(term)? };
            terms.push(Term { negated, test: meant });
            rest = behind.trim_start();
        }
        // Expensive terms are last: a term that fails before them saves their cost.
        terms.sort_by_key(|term| term.test.cost());
        Ok(Self(terms))
    }

    /// Reads a filter for events, which have no queues, states or addresses.
    pub(crate) fn parse_for_events(text: &str) -> Result<Self, FilterError> {
        let filter = Self::parse(text)?;
        let fits =
            |term: &Term| matches!(term.test, Test::Id(_) | Test::Nick(_) | Test::Pattern(_) | Test::Word(_));
        if filter.0.iter().all(fits) {
            return Ok(filter);
        }
        Err(FilterError("events have words, nick:, id: and /regex/ only".to_owned()))
    }
}

impl Quantity {
    /// Parses the value of a comparison.
    fn value(self, text: &str) -> Option<u64> {
        match self {
            Self::Age | Self::Idle => {
                let bare = text.parse::<u64>().ok().map(Duration::from_secs);
                bare.or_else(|| parse_span(text).ok()).map(whole_micros)
            }
            Self::Load => text.strip_suffix('%').unwrap_or(text).parse::<u64>().ok()?.checked_mul(10),
            _ => size(text),
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Age | Self::Idle => "5m",
            Self::Load => "50%",
            _ => "10k",
        }
    }
}

/// Parses `/regex/` at the start of `text` and returns the rest. `\/` is a slash within the expression.
fn pattern(text: &str) -> Result<(Test, &str), FilterError> {
    let body = &text[1..];
    let mut escaped = false;
    let end = body.char_indices().find(|(_, c)| {
        let ends = *c == '/' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else {
        return Err(FilterError("a /regex/ ends with a slash".to_owned()));
    };
    let regex = RegexBuilder::new(&body[..end].replace("\\/", "/"))
        .case_insensitive(true)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| FilterError(format!("/{}/: {}", &body[..end], last_line(&error.to_string()))))?;
    Ok((Test::Pattern(regex), &body[end + 1..]))
}

/// The last line of the library's message has the cause.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

/// Parses the word at the start of `text` and returns the rest.
fn word(text: &str) -> Result<(Test, &str), FilterError> {
    let (word, after) = text.split_once(' ').unwrap_or((text, ""));
    let meant = match word.find(['>', '<', '=', ':']) {
        Some(at) if is_name(&word[..at]) && !word[at..].starts_with("::") => field(word, at)?,
        _ => Test::Word(word.to_owned()),
    };
    Ok((meant, after))
}

/// Whether the word can be the name of a field; if not, the term is a plain word, such as an IPv6 address.
fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

/// Reads `name:value` and `name>value`, the sign being at `at`.
fn field(word: &str, at: usize) -> Result<Test, FilterError> {
    let (name, sign, value) = (word[..at].to_ascii_lowercase(), &word[at..=at], &word[at + 1..]);
    if value.is_empty() {
        return Err(FilterError(format!("{word} what?")));
    }
    let relation = match sign {
        ":" => return named(&name, value),
        ">" => Relation::Above,
        "<" => Relation::Below,
        _ => Relation::Equal,
    };
    let known = QUANTITIES.iter().find(|(word, _)| *word == name);
    let Some((_, quantity)) = known else {
        let names: Vec<&str> = QUANTITIES.iter().map(|(name, _)| *name).collect();
        return Err(FilterError(format!("{name} is no number here; there are {}", names.join(" "))));
    };
    let Some(than) = quantity.value(value) else {
        return Err(FilterError(format!(
            "{value} is no value for {name}; such as {name}{sign}{}",
            quantity.example()
        )));
    };
    Ok(Test::Number(*quantity, relation, than))
}

fn named(name: &str, value: &str) -> Result<Test, FilterError> {
    match name {
        "flag" => one_of(value, "flag", Flags::all_words().map(str::to_owned)).map(Test::Flag),
        "id" => value.parse().map(Test::Id).map_err(|error| FilterError(format!("id:{value}: {error}"))),
        "ip" => value.parse().map(Test::Ip).map_err(|error| FilterError(format!("ip:{value} is {error}"))),
        "nick" => Ok(Test::Nick(value.to_owned())),
        "state" => one_of(
            value,
            "state",
            Phase::ALL.iter().flat_map(|phase| [phase.to_string(), phase.arrow().to_owned()]),
        )
        .map(Test::State),
        _ => Err(FilterError(format!("no field {name}: here; there are {FIELDS}"))),
    }
}

/// A value that at least one of these words contains.
fn one_of(value: &str, name: &str, words: impl Iterator<Item = String>) -> Result<String, FilterError> {
    let words: Vec<String> = words.collect();
    if words.iter().any(|word| contains(word, value)) {
        return Ok(value.to_owned());
    }
    Err(FilterError(format!("no {name} {value}; there are {}", words.join(" "))))
}

/// Reads `10`, `10k`, `1.5M`, `10KiB`.
fn size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let shift = match &lower[digits..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    let (whole, tenths) = lower[..digits].split_once('.').unwrap_or((&lower[..digits], "0"));
    let tenths = tenths.parse::<u64>().ok().filter(|_| tenths.len() == 1)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    whole.checked_add((tenths << shift) / 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::event::{Event, EventKind};
    use crate::time::Now;

    fn error(text: &str) -> String {
        Filter::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_invalid_filter_is_an_error_with_its_cause() {
        for (text, message) in [
            ("nick:", "nick: what?"),
            ("outbox>", "outbox> what?"),
            ("outbox>much", "much is no value for outbox; such as outbox>10k"),
            ("idle<soon", "such as idle<5m"),
            ("size>3", "size is no number here; there are ack age"),
            ("state:zork", "no state zork; there are waiting"),
            ("flag:zork", "no flag zork; there are stalled"),
            ("room:ops", "no field room: here; there are nick:"),
            ("ip:10.0.0.0/33", "is no address or network"),
            ("id:bob", "a connection id is a number"),
            ("/a(/", "unclosed group"),
            ("/open", "a /regex/ ends with a slash"),
        ] {
            assert!(error(text).contains(message), "{text:?} gave {:?}", error(text));
        }
        assert!(Filter::parse_for_events("outbox>1").is_err());
        assert!(Filter::parse_for_events("bob -nick:eve /fin$/ id:7").is_ok());
    }

    #[test]
    fn unusual_filters_are_valid() {
        for text in ["", "  ", "-", "- x", "2001:db8::1", "abcd::1", r"/a b\/c/ x"] {
            assert!(Filter::parse(text).is_ok(), "{text:?}: {:?}", Filter::parse(text));
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("10", 10), ("10k", 10_240), ("1.5M", 1_572_864), ("2GiB", 2_147_483_648)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "k", "1.25k", "1x", "99999999999999999999", "18446744073709551615k"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    /// Texts in which terms of every kind are frequent, whole and torn.
    fn texts() -> impl Strategy<Value = String> {
        let pieces = vec![
            "bob",
            "-",
            " ",
            "/",
            "/fin/",
            "/a(/",
            r"/\//",
            "(",
            "[a-",
            "{9}",
            "*",
            "nick:",
            "id:",
            "#7",
            "ip:",
            "10.0.0.0/8",
            "::1/129",
            "state:eof",
            "flag:",
            "outbox",
            ">",
            "<",
            "=",
            ":",
            "10k",
            "1.5M",
            "5m",
            "50%",
            "99999999999999999999",
            "é",
            "\u{3000}",
        ];
        let piece = prop_oneof![
            8 => prop::sample::select(pieces).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// The longest error, besides the text that it repeats.
    const ERROR_BYTES_MAX: usize = 200;

    fn joined(nick: &str) -> Event {
        let nick = crate::model::snapshot::Nick::parse(nick).ok();
        let kind = EventKind::Flow { id: "7".parse().unwrap(), nick };
        Event { seq: 1, at: Now::default(), kind }
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_a_short_error(text in texts()) {
            let entry = joined("bob");
            match Filter::parse(&text) {
                Ok(filter) => {
                    prop_assert_eq!(filter.is_empty(), text.split_whitespace().all(|word| word == "-"));
                    prop_assert!(filter.0.len() <= text.len());
                    filter.accepts_entry(&entry);
                }
                Err(error) => {
                    let error = error.to_string();
                    prop_assert!(!error.is_empty() && error.len() <= 2 * text.len() + ERROR_BYTES_MAX, "{}", error);
                }
            }
        }

        #[test]
        fn all_terms_hold_whatever_their_order_and_a_minus_turns_one_around(
            terms in prop::collection::vec(prop::sample::select(
                vec!["bob", "eve", "id:7", "id:8", "nick:BO", "/flow/", "/^x/", "state:eof"]), 1..6),
        ) {
            let entry = joined("bob");
            let accepts = |text: &str| Filter::parse(text).unwrap().accepts_entry(&entry);
            let each: Vec<bool> = terms.iter().map(|term| accepts(term)).collect();
            prop_assert_eq!(accepts(&terms.join(" ")), each.iter().all(|holds| *holds));
            for (term, holds) in terms.iter().zip(&each) {
                prop_assert_eq!(accepts(&format!("-{term}")), !holds, "{}", term);
            }
        }
    }
}
