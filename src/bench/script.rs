//! What a client of the load says and what it hears, as bytes. PURE.
//!
//! A line of the load is `NUMBER MICROSECONDS xxx…`: its number within its sender's lines, when it was said, and
//! padding up to the length that is asked for. The sender is known by its nick.

use memchr::memmem;

/// What of a line an error repeats, in characters.
const EXCERPT_CHARS: usize = 120;
/// Where the load is said.
const ROOM: &str = "#bench";
/// Before each room line: `HH:MM `.
const TIME_BYTES: usize = 6;

/// The words of one run.
#[derive(Debug)]
pub(super) struct Script {
    /// Of all nicks; carries the process, so that two runs against one server do not meet.
    nick_stem: String,
    /// A line of the load after its time, up to the number of the sender.
    said_by: String,
    line_bytes: usize,
}

/// One line of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Who said it: the number of the client.
    pub(super) sender: u32,
    /// Which of the sender's lines, from 0.
    pub(super) number: u32,
    /// When it was said, or was due, in microseconds of the run's clock.
    pub(super) said_us: u64,
}

/// What a line from the server means to the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The greeting.
    Greeting,
    /// Something that is none of its business: presence, other people, the operator.
    Other,
    /// The client is in the room.
    Joined,
    /// `!! …`
    Refusal,
    /// A line of the load.
    Said(Line),
    /// So many lines were skipped for this reader.
    Skipped(u64),
    /// The sender is over its rate and is not read.
    SlowDown,
}

impl Script {
    /// For the run with this number (the process), lines having `line_bytes` bytes.
    pub(super) fn new(run: u32, line_bytes: usize) -> Self {
        let nick_stem = format!("bench-{run}-");
        let said_by = format!("{ROOM} <{nick_stem}");
        Self { nick_stem, said_by, line_bytes }
    }

    /// What a client says once it is greeted.
    pub(super) fn login(&self, client: usize) -> String {
        format!("/set presence off\n/nick {}{client}\n/join {ROOM}\n", self.nick_stem)
    }

    /// Appends a line of the load.
    pub(super) fn say(&self, line: Line, out: &mut Vec<u8>) {
        let start = out.len();
        push_number(line.number.into(), out);
        out.push(b' ');
        push_number(line.said_us, out);
        out.push(b' ');
        out.resize(start + self.line_bytes, b'x');
        out.push(b'\n');
    }

    /// Understands a line from the server, given without its end.
    pub(super) fn hear(&self, line: &[u8]) -> Heard {
        if let Some(rest) = line.get(TIME_BYTES..).and_then(|line| line.strip_prefix(self.said_by.as_bytes()))
        {
            return self.said(rest).map_or(Heard::Other, Heard::Said);
        }
        if line.starts_with(b"!! ") {
            return Heard::Refusal;
        }
        line.strip_prefix(b"-- ").map_or(Heard::Other, notice)
    }

    /// Reads `SENDER> NUMBER MICROSECONDS xxx`; none if it is not whole.
    fn said(&self, text: &[u8]) -> Option<Line> {
        let (sender, text) = take_number(text)?;
        let text = text.strip_prefix(b"> ")?;
        let is_whole = text.len() == self.line_bytes;
        let (number, text) = take_number(text)?;
        let (said_us, _) = take_number(text.strip_prefix(b" ")?)?;
        let line = Line { sender: u32::try_from(sender).ok()?, number: u32::try_from(number).ok()?, said_us };
        is_whole.then_some(line)
    }
}

/// What stands behind `-- `.
fn notice(text: &[u8]) -> Heard {
    if text.starts_with(b"you are in #bench (") {
        return Heard::Joined;
    }
    if text.starts_with(b"slow down: ") {
        return Heard::SlowDown;
    }
    if let Some((lines, rest)) = take_number(text)
        && rest.starts_with(b" lines skipped")
    {
        return Heard::Skipped(lines);
    }
    if memmem::find(text, b": you are guest-").is_some() { Heard::Greeting } else { Heard::Other }
}

/// The number at the start of `text`, and what follows it; none without a digit or above 19 digits.
fn take_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits == 20 {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    Some((number.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')), rest))
}

/// Appends a number in decimal, without the heap.
fn push_number(mut value: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b'0' + u8::try_from(value % 10).expect("a digit is below 10"));
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// The start of what a server said, safe to be shown in double quotes.
pub(super) fn excerpt(line: &[u8]) -> String {
    let start: String = String::from_utf8_lossy(line).chars().take(EXCERPT_CHARS).collect();
    start.escape_debug().to_string().replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(script: &Script, line: Line) -> Vec<u8> {
        let mut said = Vec::new();
        script.say(line, &mut said);
        assert_eq!(said.pop(), Some(b'\n'));
        assert_eq!(said.len(), script.line_bytes);
        [format!("12:34 #bench <bench-7-{}> ", line.sender).as_bytes(), &said].concat()
    }

    #[test]
    fn what_is_said_is_understood() {
        let script = Script::new(7, 32);
        for line in [
            Line { sender: 0, number: 0, said_us: 0 },
            Line { sender: 999, number: 1_234_567, said_us: 3_600_000_000 },
        ] {
            assert_eq!(script.hear(&delivered(&script, line)), Heard::Said(line));
        }
    }

    #[test]
    fn what_is_cut_or_somebody_elses_is_not_ours() {
        let script = Script::new(7, 32);
        let whole = delivered(&script, Line { sender: 1, number: 2, said_us: 3 });
        assert_eq!(script.hear(&whole[..whole.len() - 1]), Heard::Other);
        assert_eq!(Script::new(8, 32).hear(&whole), Heard::Other);
        for line in ["", "12:34", "12:34 #bench <alice> hello", "12:34 *** bye", "-- pong"] {
            assert_eq!(script.hear(line.as_bytes()), Heard::Other, "{line:?}");
        }
    }

    #[test]
    fn the_servers_notices_are_known() {
        let script = Script::new(7, 32);
        for (line, heard) in [
            ("-- chatops: you are guest-3 in #lobby (4 here). /help lists the commands.", Heard::Greeting),
            ("-- you are in #bench (12 here)", Heard::Joined),
            ("-- 137 lines skipped; /history 137 shows them", Heard::Skipped(137)),
            ("-- 1 lines skipped", Heard::Skipped(1)),
            (
                "-- slow down: you are read at 5 lines and 32768 bytes a second until you pause",
                Heard::SlowDown,
            ),
            ("!! that name is taken: choose another", Heard::Refusal),
        ] {
            assert_eq!(script.hear(line.as_bytes()), heard, "{line}");
        }
    }

    #[test]
    fn a_client_comes_in_with_three_commands() {
        assert_eq!(Script::new(7, 32).login(12), "/set presence off\n/nick bench-7-12\n/join #bench\n");
    }
}
