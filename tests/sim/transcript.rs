//! The lines that a client has received, with their meaning.

use std::collections::BTreeMap;

use crate::framing::Framing;
use crate::stage::Peer;

/// A line in the stream of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerLine {
    /// `-- `, `!! ` and private lines.
    Own(String),
    /// `-- 7 lines skipped`
    Skipped(usize),
    /// A line of the operator to every client.
    Operator(String),
    /// A line for a room.
    Room(RoomLine),
}

/// A line for a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomLine {
    /// The line without its time.
    pub(crate) text: String,
    pub(crate) room: String,
    pub(crate) act: Act,
    /// The number of the client that caused it; `None` for a summary of several.
    pub(crate) by: Option<usize>,
}

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Came,
    Went,
    Renamed,
    Spoke,
    SetTopic,
    Counted,
}

impl Act {
    pub(crate) fn is_presence(self) -> bool {
        !matches!(self, Self::Spoke | Self::SetTopic)
    }
}

/// Which client a name belongs to.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_id: BTreeMap<u64, usize>,
}

impl Names {
    pub(crate) fn add(&mut self, id: u64, client: usize) {
        self.by_id.insert(id, client);
    }

    fn owner(&self, nick: &str) -> usize {
        if let Some(id) = nick.strip_prefix("guest-") {
            return self.by_id[&id.parse::<u64>().unwrap()];
        }
        owner_of_chosen(nick)
    }
}

/// A name that was taken begins with its client's number, even if it was cut off while it was typed.
pub(crate) fn owner_of_chosen(nick: &str) -> usize {
    let digits = nick.find(|c: char| !c.is_ascii_digit()).expect(nick);
    nick[..digits].parse().unwrap()
}

/// One client's stream.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) lines: Vec<ServerLine>,
    /// The stream has ended: the server's FIN was read.
    pub(crate) is_complete: bool,
}

impl Transcript {
    pub(crate) fn of(peer: &Peer, framing: Framing, names: &Names) -> Self {
        let is_complete = peer.got_fin() && !peer.is_closed;
        let is_fixed = matches!(framing, Framing::Fixed(_));
        let mut bytes = match framing {
            Framing::Lines => without_telnet(&peer.received),
            _ => peer.received.clone(),
        };
        let mut lines: Vec<String> = Vec::new();
        while let Some(line) = framing.take(&mut bytes) {
            let line = String::from_utf8(line).expect("only UTF-8 is sent");
            assert!(!line.chars().any(|c| c != '\t' && c.is_control()), "{line:?}");
            match lines.last_mut() {
                // A long line continues in the next record, which starts with its padding.
                Some(last) if is_fixed && line.starts_with('x') => last.push_str(&line),
                _ => lines.push(line),
            }
        }
        // In a record, a line that was cut after a space has lost that space.
        let lines = lines.iter().map(|line| parse_line(line.trim_end_matches(' '), names)).collect();
        assert!(!is_complete || bytes.is_empty(), "the last line is not whole: {}", bytes.escape_ascii());
        Self { lines, is_complete }
    }

    /// How many lines its markers say were skipped.
    pub(crate) fn skipped(&self) -> u64 {
        let counts =
            self.lines.iter().map(|line| if let ServerLine::Skipped(count) = line { *count } else { 0 });
        counts.map(|count| count as u64).sum()
    }

    /// Whether the client got the notice that it stays after the end of its input.
    pub(crate) fn listens(&self) -> bool {
        self.own().any(|text| text.starts_with("-- you stay after the end of your input"))
    }

    pub(crate) fn own(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter_map(|line| if let ServerLine::Own(text) = line { Some(text.as_str()) } else { None })
    }
}

/// Answers to telnet commands are whole commands of three bytes here.
fn without_telnet(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == 255 {
            rest = rest.get(3..).unwrap_or_default();
        } else {
            text.push(byte);
            rest = after;
        }
    }
    text
}

fn parse_line(line: &str, names: &Names) -> ServerLine {
    if let Some(count) = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" lines skipped"))
        && let Ok(count) = count.parse()
    {
        return ServerLine::Skipped(count);
    }
    let untimed = without_time(line);
    if let Some(line) = untimed.strip_prefix('#').and_then(|rest| parse_room_line(untimed, rest, names)) {
        return ServerLine::Room(line);
    }
    if untimed.starts_with("*** ") {
        return ServerLine::Operator(untimed.to_owned());
    }
    let is_own = line.starts_with("-- ") || line.starts_with("!! ") || untimed.starts_with('[');
    assert!(is_own, "a line of no known kind: {line:?}");
    ServerLine::Own(untimed.to_owned())
}

fn without_time(line: &str) -> &str {
    let bytes = line.as_bytes();
    let is_timed = bytes.len() > 6 && bytes[2] == b':' && bytes[5] == b' ' && bytes[0].is_ascii_digit();
    if is_timed { &line[6..] } else { line }
}

fn parse_room_line(line: &str, rest: &str, names: &Names) -> Option<RoomLine> {
    let (room, rest) = rest.split_once(' ')?;
    let (sign, rest) = rest.split_once(' ')?;
    let first = rest.split(' ').next()?;
    let is_counted = rest.split([' ', ',']).any(|word| ["joined", "left", "renamed"].contains(&word));
    let (act, nick) = match sign {
        "-->" => (Act::Came, Some(first)),
        "<--" => (Act::Went, Some(first)),
        "--" if is_counted && first.bytes().all(|byte| byte.is_ascii_digit()) => (Act::Counted, None),
        "--" if rest.contains(" is now ") => (Act::Renamed, Some(first)),
        "--" => (Act::SetTopic, Some(first)),
        "*" => (Act::Spoke, Some(first)),
        nick => (Act::Spoke, Some(nick.strip_prefix('<')?.strip_suffix('>')?)),
    };
    let by = nick.map(|nick| names.owner(nick));
    Some(RoomLine { text: line.to_owned(), room: format!("#{room}"), act, by })
}
