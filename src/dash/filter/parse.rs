//! Reading a filter.

use std::time::Duration;

use regex::RegexBuilder;

use super::{Filter, Quantity, Relation, Term, Test, contains, whole_micros};
use crate::model::snapshot::{Flags, Phase};
use crate::time::parse_span;

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
        // The dearest last: what fails before it need not be asked.
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
    /// Reads what it is compared with.
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

/// Reads `/regex/` at the start of `text`; what follows it is left. `\/` is a slash within.
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
        .map_err(|why| FilterError(format!("/{}/: {}", &body[..end], last_line(&why.to_string()))))?;
    Ok((Test::Pattern(regex), &body[end + 1..]))
}

/// What is wrong with a regular expression stands in the last line of what the library says.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

/// Reads the word at the start of `text`; what follows it is left.
fn word(text: &str) -> Result<(Test, &str), FilterError> {
    let (word, after) = text.split_once(' ').unwrap_or((text, ""));
    let meant = match word.find(['>', '<', '=', ':']) {
        Some(at) if is_name(&word[..at]) && !word[at..].starts_with("::") => field(word, at)?,
        _ => Test::Word(word.to_owned()),
    };
    Ok((meant, after))
}

/// Whether it can stand before a sign; what cannot is a plain word, such as an IPv6 address.
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
        "id" => value.parse().map(Test::Id).map_err(|why| FilterError(format!("id:{value}: {why}"))),
        "ip" => value.parse().map(Test::Ip).map_err(|why| FilterError(format!("ip:{value} is {why}"))),
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

/// A value that is in one of these at least.
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
    fn what_is_wrong_is_said() {
        for (text, told) in [
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
            assert!(error(text).contains(told), "{text:?} gave {:?}", error(text));
        }
        assert!(Filter::parse_for_events("outbox>1").is_err());
        assert!(Filter::parse_for_events("bob -nick:eve /fin$/ id:7").is_ok());
    }

    #[test]
    fn what_looks_odd_but_is_fine() {
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

    /// The longest error, beside the text that it repeats.
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
                Err(why) => {
                    let why = why.to_string();
                    prop_assert!(!why.is_empty() && why.len() <= 2 * text.len() + ERROR_BYTES_MAX, "{}", why);
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
