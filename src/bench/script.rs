//! The lines that a client sends and receives, as bytes. PURE.
//!
//! A line of the load is `NUMBER MICROSECONDS xxx…`: its number among its sender's lines, when it was sent, and padding
//! up to the length that is asked for. The nick identifies the sender.

use memchr::memmem;

/// The longest part of a line that an error repeats, in characters.
const EXCERPT_CHARS: usize = 120;
/// The room that all clients join.
const ROOM: &str = "#bench";
/// The length of `HH:MM `, which starts each room line.
const TIME_BYTES: usize = 6;

/// Writes and classifies the lines of one run.
#[derive(Debug)]
pub(super) struct Script {
    /// The start of all nicks. It has the number of the process, so that two runs against one server do not collide.
    nick_stem: String,
    /// A line of the load after its time, up to the sender's number.
    load_prefix: String,
    line_bytes: usize,
}

/// One line of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The number of the client that sent it.
    pub(super) sender: u32,
    /// Counts the sender's lines, from 0.
    pub(super) number: u32,
    /// When it was sent, or was due, in microseconds of the run's clock.
    pub(super) sent_us: u64,
}

/// What a line from the server means for the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerLine {
    Greeting,
    /// A line that does not concern the load: presence, other people, the operator.
    Other,
    Joined,
    Refusal,
    Load(Line),
    /// The number of lines skipped for this reader.
    Skipped(u64),
    /// The sender is over its rate and is not read.
    Throttled,
}

impl Script {
    /// For the run with this number (that of the process), with lines of `line_bytes` bytes.
    pub(super) fn new(run: u32, line_bytes: usize) -> Self {
        let nick_stem = format!("bench-{run}-");
        let load_prefix = format!("{ROOM} <{nick_stem}");
        Self { nick_stem, load_prefix, line_bytes }
    }

    /// The commands of a client that has been greeted.
    pub(super) fn login(&self, client: usize) -> String {
        format!("/set presence off\n/nick {}{client}\n/join {ROOM}\n", self.nick_stem)
    }

    /// Appends a line of the load.
    pub(super) fn write(&self, line: Line, out: &mut Vec<u8>) {
        let start = out.len();
        push_number(line.number.into(), out);
        out.push(b' ');
        push_number(line.sent_us, out);
        out.push(b' ');
        out.resize(start + self.line_bytes, b'x');
        out.push(b'\n');
    }

    /// Classifies a line from the server, which is given without its end.
    pub(super) fn classify(&self, line: &[u8]) -> ServerLine {
        if let Some(rest) =
            line.get(TIME_BYTES..).and_then(|line| line.strip_prefix(self.load_prefix.as_bytes()))
        {
            return self.load_line(rest).map_or(ServerLine::Other, ServerLine::Load);
        }
        if line.starts_with(b"!! ") {
            return ServerLine::Refusal;
        }
        line.strip_prefix(b"-- ").map_or(ServerLine::Other, notice)
    }

    /// Reads `SENDER> NUMBER MICROSECONDS xxx`; `None` if the line is not whole.
    fn load_line(&self, text: &[u8]) -> Option<Line> {
        let (sender, text) = take_number(text)?;
        let text = text.strip_prefix(b"> ")?;
        let is_whole = text.len() == self.line_bytes;
        let (number, text) = take_number(text)?;
        let (sent_us, _) = take_number(text.strip_prefix(b" ")?)?;
        let line = Line { sender: u32::try_from(sender).ok()?, number: u32::try_from(number).ok()?, sent_us };
        is_whole.then_some(line)
    }
}

/// Classifies a notice by its text after `-- `.
fn notice(text: &[u8]) -> ServerLine {
    if text.starts_with(b"you are in #bench (") {
        return ServerLine::Joined;
    }
    if text.starts_with(b"slow down: ") {
        return ServerLine::Throttled;
    }
    if let Some((lines, rest)) = take_number(text)
        && rest.starts_with(b" lines skipped")
    {
        return ServerLine::Skipped(lines);
    }
    if memmem::find(text, b": you are guest-").is_some() { ServerLine::Greeting } else { ServerLine::Other }
}

/// The number at the start of `text`, and the text after it; `None` without a digit or with more than 19.
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

/// The start of a line from a server, safe to be shown in double quotes.
pub(super) fn excerpt(line: &[u8]) -> String {
    let start: String = String::from_utf8_lossy(line).chars().take(EXCERPT_CHARS).collect();
    start.escape_debug().to_string().replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(script: &Script, line: Line) -> Vec<u8> {
        let mut sent = Vec::new();
        script.write(line, &mut sent);
        assert_eq!(sent.pop(), Some(b'\n'));
        assert_eq!(sent.len(), script.line_bytes);
        [format!("12:34 #bench <bench-7-{}> ", line.sender).as_bytes(), &sent].concat()
    }

    #[test]
    fn a_written_line_is_recognised() {
        let script = Script::new(7, 32);
        for line in [
            Line { sender: 0, number: 0, sent_us: 0 },
            Line { sender: 999, number: 1_234_567, sent_us: 3_600_000_000 },
        ] {
            assert_eq!(script.classify(&delivered(&script, line)), ServerLine::Load(line));
        }
    }

    #[test]
    fn a_cut_line_and_a_line_of_another_run_are_not_of_the_load() {
        let script = Script::new(7, 32);
        let whole = delivered(&script, Line { sender: 1, number: 2, sent_us: 3 });
        assert_eq!(script.classify(&whole[..whole.len() - 1]), ServerLine::Other);
        assert_eq!(Script::new(8, 32).classify(&whole), ServerLine::Other);
        for line in ["", "12:34", "12:34 #bench <alice> hello", "12:34 *** bye", "-- pong"] {
            assert_eq!(script.classify(line.as_bytes()), ServerLine::Other, "{line:?}");
        }
    }

    #[test]
    fn the_notices_of_the_server_are_classified() {
        let script = Script::new(7, 32);
        for (line, expected) in [
            (
                "-- chatops: you are guest-3 in #lobby (4 here). /help lists the commands.",
                ServerLine::Greeting,
            ),
            ("-- you are in #bench (12 here)", ServerLine::Joined),
            ("-- 137 lines skipped; /history 137 shows them", ServerLine::Skipped(137)),
            ("-- 1 lines skipped", ServerLine::Skipped(1)),
            (
                "-- slow down: you are read at 5 lines and 32768 bytes a second until you pause",
                ServerLine::Throttled,
            ),
            ("!! that name is taken: choose another", ServerLine::Refusal),
        ] {
            assert_eq!(script.classify(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn a_client_joins_with_three_commands() {
        assert_eq!(Script::new(7, 32).login(12), "/set presence off\n/nick bench-7-12\n/join #bench\n");
    }
}
