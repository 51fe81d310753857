//! Telnet, as much as a chat server needs: commands are taken out of a client's bytes, and answered.
//!
//! A parser to push bytes into (RFC 854, 855); how the bytes were chunked makes no difference. CR, LF and NUL are
//! data here, the framer knows what ends a line. The server never opens a negotiation, so a client that sends no
//! telnet command gets none; of the states of RFC 1143 (the Q method) only YES and NO can occur. A request for
//! the state already in is not answered, so two ends cannot talk in circles. An option that is not supported is
//! refused once in each direction.
//!
//! Supported are the client's window size (RFC 1073) and terminal type (RFC 1091), TIMING-MARK (RFC 860), with
//! which Debian's telnet waits after Ctrl-C, "are you there", and "erase character" and "erase line", which become the
//! keys of the same meaning. A command that is unfinished at the end of input
//! is nobody's data.

use memchr::{memchr, memchr2};

use super::text::{DELETE, KILL, scrub};

/// Bytes kept of a subnegotiation, its option included. What is beyond them is read over, up to the next line end: one
/// so long that goes on over lines has lost its end, or never was one.
pub const SUBNEGOTIATION_MAX: usize = 256;

/// The longest terminal name, in bytes as sent (RFC 1091 has it as 40 characters).
pub const TERMINAL_NAME_MAX: usize = 40;

/// Answers a client can have in store; refilled once a second, that is the number of answers a second.
pub const ANSWERS_MAX: u32 = 64;

/// The answer to "are you there", a line of its own.
const ARE_YOU_THERE_ANSWER: &[u8] = b"-- [yes]\r\n";

/// Command codes of RFC 854.
mod command {
    pub(super) const SE: u8 = 240;
    pub(super) const ARE_YOU_THERE: u8 = 246;
    pub(super) const ERASE_CHARACTER: u8 = 247;
    pub(super) const ERASE_LINE: u8 = 248;
    pub(super) const SB: u8 = 250;
    pub(super) const WILL: u8 = 251;
    pub(super) const WONT: u8 = 252;
    pub(super) const DO: u8 = 253;
    pub(super) const DONT: u8 = 254;
    pub(super) const IAC: u8 = 255;
}

/// Option codes.
mod option {
    pub(super) const TIMING_MARK: u8 = 6;
    pub(super) const TERMINAL_TYPE: u8 = 24;
    pub(super) const WINDOW_SIZE: u8 = 31;
}

/// First byte of a TERMINAL-TYPE subnegotiation (RFC 1091).
mod terminal_type {
    pub(super) const IS: u8 = 0;
    pub(super) const SEND: u8 = 1;
}

use command::{DO, DONT, IAC, SB, SE, WILL, WONT};

/// The telnet state of one client. One pointer, and nothing behind it before the first 0xFF byte.
#[derive(Debug, Default)]
pub struct Telnet {
    talk: Option<Box<Talk>>,
}

impl Telnet {
    /// A client that has sent nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { talk: None }
    }

    /// Whether `input`, if it comes next, is data as it stands and need not be pushed.
    #[must_use]
    pub fn is_plain(&self, input: &[u8]) -> bool {
        self.state() == State::Data && memchr(IAC, input).is_none()
    }

    /// Takes the next bytes of the client; appends what is data to `data` and what is to be sent to `replies`.
    ///
    /// Replies are whole commands and whole lines: send them between lines, not within one.
    pub fn push(&mut self, input: &[u8], data: &mut Vec<u8>, replies: &mut Vec<u8>) {
        let mut rest = input;
        while !rest.is_empty() {
            let until_command = memchr(IAC, rest).unwrap_or(rest.len());
            let taken = match self.state() {
                State::Data => {
                    data.extend_from_slice(&rest[..until_command]);
                    until_command
                }
                State::Subnegotiation => {
                    if let Some(line_end) = self.talk().keep(&rest[..until_command]) {
                        rest = &rest[line_end..];
                        continue;
                    }
                    until_command
                }
                State::Command | State::Request(_) | State::SubnegotiationCommand => 0,
            };
            rest = &rest[taken..];
            if let Some((&byte, after)) = rest.split_first() {
                self.talk().take(byte, data, replies);
                rest = after;
            }
        }
    }

    /// Lets the client be sent `answers` more, up to [`ANSWERS_MAX`] in store. To be called as time passes.
    pub fn allow(&mut self, answers: u32) {
        if let Some(talk) = &mut self.talk {
            talk.allowed = talk.allowed.saturating_add(answers).min(ANSWERS_MAX);
        }
    }

    /// How many answers were not given for want of allowance.
    #[must_use]
    pub fn answers_dropped(&self) -> u64 {
        self.talk.as_ref().map_or(0, |talk| talk.dropped)
    }

    /// Whether the client has sent a telnet command; a doubled 0xFF is none.
    #[must_use]
    pub fn spoken(&self) -> bool {
        self.talk.as_ref().is_some_and(|talk| talk.spoken)
    }

    /// The name of the client's terminal, scrubbed, if the client sent it.
    #[must_use]
    pub fn terminal(&self) -> Option<&str> {
        self.talk.as_ref()?.terminal.as_deref()
    }

    /// Columns and rows of the client's window, if it sent them; 0 is "unknown" (RFC 1073).
    #[must_use]
    pub fn window(&self) -> Option<(u16, u16)> {
        self.talk.as_ref()?.window
    }

    fn state(&self) -> State {
        self.talk.as_ref().map_or(State::Data, |talk| talk.state)
    }

    fn talk(&mut self) -> &mut Talk {
        self.talk.get_or_insert_default()
    }
}

/// Where in the client's bytes we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between commands.
    Data,
    /// Behind an IAC.
    Command,
    /// Behind IAC and WILL, WONT, DO or DONT: an option follows.
    Request(Verb),
    /// Behind IAC SB.
    Subnegotiation,
    /// Behind an IAC within a subnegotiation.
    SubnegotiationCommand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Do,
    Dont,
    Will,
    Wont,
}

/// What has to be remembered of a client that has sent an IAC.
#[derive(Debug)]
struct Talk {
    state: State,
    spoken: bool,
    allowed: u32,
    dropped: u64,
    subnegotiation: Vec<u8>,
    /// Options that the client performs, of those we want.
    performs: OptionSet,
    /// Options whose WILL got its DONT.
    refused_theirs: OptionSet,
    /// Options whose DO got its WONT.
    refused_ours: OptionSet,
    terminal: Option<Box<str>>,
    window: Option<(u16, u16)>,
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            state: State::Data,
            spoken: false,
            allowed: ANSWERS_MAX,
            dropped: 0,
            subnegotiation: Vec::new(),
            performs: OptionSet::default(),
            refused_theirs: OptionSet::default(),
            refused_ours: OptionSet::default(),
            terminal: None,
            window: None,
        }
    }
}

impl Talk {
    /// Takes a byte that is no run of data or of subnegotiation: an IAC there, anything elsewhere.
    fn take(&mut self, byte: u8, data: &mut Vec<u8>, replies: &mut Vec<u8>) {
        self.state = match self.state {
            State::Data => State::Command,
            State::Command => self.command(byte, data, replies),
            State::Request(verb) => {
                self.request(verb, byte, replies);
                State::Data
            }
            State::Subnegotiation => State::SubnegotiationCommand,
            State::SubnegotiationCommand => match byte {
                IAC => {
                    self.keep(&[IAC]);
                    State::Subnegotiation
                }
                SE => {
                    self.subnegotiated();
                    State::Data
                }
                // The end was forgotten: swallowing all that follows would be worse than losing the fragment.
                _ => self.command(byte, data, replies),
            },
        };
    }

    /// Takes what belongs to a subnegotiation. If it is given up for it, gives the place of the line end with which data
    /// begins.
    fn keep(&mut self, content: &[u8]) -> Option<usize> {
        let kept = content.len().min(SUBNEGOTIATION_MAX - self.subnegotiation.len());
        self.subnegotiation.extend_from_slice(&content[..kept]);
        let line_end = kept + memchr2(b'\r', b'\n', &content[kept..])?;
        self.subnegotiation = Vec::new();
        self.state = State::Data;
        Some(line_end)
    }

    /// The byte behind an IAC.
    fn command(&mut self, byte: u8, data: &mut Vec<u8>, replies: &mut Vec<u8>) -> State {
        self.spoken |= byte != IAC;
        match byte {
            IAC => data.push(IAC),
            command::ARE_YOU_THERE => {
                self.answer(ARE_YOU_THERE_ANSWER, replies);
            }
            command::ERASE_CHARACTER => data.push(DELETE),
            command::ERASE_LINE => data.push(KILL),
            SB => {
                self.subnegotiation = Vec::new();
                return State::Subnegotiation;
            }
            DO => return State::Request(Verb::Do),
            DONT => return State::Request(Verb::Dont),
            WILL => return State::Request(Verb::Will),
            WONT => return State::Request(Verb::Wont),
            // The other signs of RFC 854, such as "interrupt" and "go ahead", mean nothing on a line of chat.
            _ => {}
        }
        State::Data
    }

    fn request(&mut self, verb: Verb, option: u8, replies: &mut Vec<u8>) {
        match verb {
            Verb::Do if option == option::TIMING_MARK => {
                self.answer(&[IAC, WILL, option], replies);
            }
            Verb::Do => {
                if !self.refused_ours.has(option) && self.answer(&[IAC, WONT, option], replies) {
                    self.refused_ours.insert(option);
                }
            }
            // We perform nothing, so there is nothing to stop.
            Verb::Dont => {}
            Verb::Will => self.offered(option, replies),
            Verb::Wont => {
                if self.performs.remove(option) {
                    self.answer(&[IAC, DONT, option], replies);
                }
            }
        }
    }

    /// The client offers to perform an option.
    fn offered(&mut self, option: u8, replies: &mut Vec<u8>) {
        const DO_WINDOW_SIZE: &[u8] = &[IAC, DO, option::WINDOW_SIZE];
        const DO_AND_SEND_TERMINAL_TYPE: &[u8] =
            &[IAC, DO, option::TERMINAL_TYPE, IAC, SB, option::TERMINAL_TYPE, terminal_type::SEND, IAC, SE];
        let welcome = match option {
            option::WINDOW_SIZE => DO_WINDOW_SIZE,
            option::TERMINAL_TYPE => DO_AND_SEND_TERMINAL_TYPE,
            _ => {
                if !self.refused_theirs.has(option) && self.answer(&[IAC, DONT, option], replies) {
                    self.refused_theirs.insert(option);
                }
                return;
            }
        };
        if !self.performs.has(option) && self.answer(welcome, replies) {
            self.performs.insert(option);
        }
    }

    /// A subnegotiation is complete. Of an option that the client does not perform it says nothing.
    fn subnegotiated(&mut self) {
        let content = std::mem::take(&mut self.subnegotiation);
        match content[..] {
            [option, ..] if !self.performs.has(option) => {}
            [option::WINDOW_SIZE, columns_high, columns_low, rows_high, rows_low] => {
                let columns = u16::from_be_bytes([columns_high, columns_low]);
                let rows = u16::from_be_bytes([rows_high, rows_low]);
                self.window = Some((columns, rows));
            }
            [option::TERMINAL_TYPE, terminal_type::IS, ref name @ ..] if !name.is_empty() => {
                let name = &name[..name.len().min(TERMINAL_NAME_MAX)];
                self.terminal = Some(scrub(name).text.replace('\t', " ").into_boxed_str());
            }
            _ => {}
        }
    }

    /// Sends an answer if the allowance has one left.
    fn answer(&mut self, answer: &[u8], replies: &mut Vec<u8>) -> bool {
        let Some(allowed) = self.allowed.checked_sub(1) else {
            self.dropped += 1;
            return false;
        };
        self.allowed = allowed;
        replies.extend_from_slice(answer);
        true
    }
}

/// Some of the 256 options.
#[derive(Clone, Copy, Debug, Default)]
struct OptionSet([u64; 4]);

impl OptionSet {
    fn has(&self, option: u8) -> bool {
        self.0[usize::from(option / 64)] & Self::bit(option) != 0
    }

    fn insert(&mut self, option: u8) {
        self.0[usize::from(option / 64)] |= Self::bit(option);
    }

    /// Takes it out; whether it was in.
    fn remove(&mut self, option: u8) -> bool {
        let had = self.has(option);
        self.0[usize::from(option / 64)] &= !Self::bit(option);
        had
    }

    const fn bit(option: u8) -> u64 {
        1 << (option % 64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::framer::{Frame, Framer};
    use crate::wire::framing::Framing;
    use crate::wire::text::GROWTH_MAX;

    const ECHO: u8 = 1;
    const SUPPRESS_GO_AHEAD: u8 = 3;
    const INTERRUPT: u8 = 244;
    const NO_OPERATION: u8 = 241;
    const TM: u8 = option::TIMING_MARK;
    const NAWS: u8 = option::WINDOW_SIZE;
    const TTYPE: u8 = option::TERMINAL_TYPE;

    /// What came of some input, everything that can be seen from outside.
    #[derive(Debug, PartialEq, Eq)]
    struct Outcome {
        data: Vec<u8>,
        replies: Vec<u8>,
        spoken: bool,
        terminal: Option<String>,
        window: Option<(u16, u16)>,
        dropped: u64,
    }

    fn outcome_of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut telnet = Telnet::new();
        let (mut data, mut replies) = (Vec::new(), Vec::new());
        for chunk in chunks {
            if telnet.is_plain(chunk) {
                data.extend_from_slice(chunk);
            } else {
                telnet.push(chunk, &mut data, &mut replies);
            }
        }
        Outcome {
            data,
            replies,
            spoken: telnet.spoken(),
            terminal: telnet.terminal().map(str::to_owned),
            window: telnet.window(),
            dropped: telnet.answers_dropped(),
        }
    }

    /// Input, the data in it, the answers to it.
    type Transcript = (&'static [u8], &'static [u8], &'static [u8]);

    const TRANSCRIPTS: &[Transcript] = &[
        (b"hello\r\n", b"hello\r\n", b""),
        (b"a\r\0b\rc\nd\0", b"a\r\0b\rc\nd\0", b""),
        // A doubled 0xFF is one, as Debian's telnet sends it.
        (&[b'a', IAC, IAC, b'b'], b"a\xFFb", b""),
        (&[IAC, IAC, IAC, IAC], b"\xFF\xFF", b""),
        // Ctrl-C in Debian's telnet.
        (&[b'x', IAC, INTERRUPT, IAC, DO, TM, b'y'], b"xy", &[IAC, WILL, TM]),
        (&[IAC, DO, TM, IAC, DO, TM], b"", &[IAC, WILL, TM, IAC, WILL, TM]),
        (&[b'a', IAC, command::ARE_YOU_THERE, b'b'], b"ab", b"-- [yes]\r\n"),
        (&[b'a', b'b', IAC, command::ERASE_CHARACTER, b'c', IAC, command::ERASE_LINE], b"ab\x7fc\x15", b""),
        (&[b'a', IAC, NO_OPERATION, IAC, SE, IAC, 0, b'b'], b"ab", b""),
        // What is not supported is refused once, each way.
        (&[IAC, DO, ECHO, IAC, DO, ECHO, IAC, DONT, ECHO], b"", &[IAC, WONT, ECHO]),
        (&[IAC, WILL, ECHO, IAC, WILL, ECHO, IAC, WONT, ECHO], b"", &[IAC, DONT, ECHO]),
        (&[IAC, DO, 255, IAC, WILL, 255], b"", &[IAC, WONT, 255, IAC, DONT, 255]),
        // What nobody performs needs no stop.
        (&[IAC, WONT, NAWS, IAC, DONT, SUPPRESS_GO_AHEAD], b"", b""),
        (&[IAC, WILL, NAWS, IAC, WILL, NAWS], b"", &[IAC, DO, NAWS]),
        (&[IAC, WILL, NAWS, IAC, WONT, NAWS, IAC, WONT, NAWS], b"", &[IAC, DO, NAWS, IAC, DONT, NAWS]),
        (&[IAC, WILL, TTYPE], b"", &[IAC, DO, TTYPE, IAC, SB, TTYPE, 1, IAC, SE]),
        // A subnegotiation holds anything, an option 255 and empty ones included.
        (&[b'a', IAC, SB, ECHO, b'\n', IAC, IAC, SE, IAC, SE, b'b'], b"ab", b""),
        (&[b'a', IAC, SB, IAC, IAC, 7, IAC, SE, b'b'], b"ab", b""),
        (&[b'a', IAC, SB, IAC, SE, b'b'], b"ab", b""),
        // One whose end was forgotten ends with the next command.
        (&[IAC, SB, TTYPE, 0, b'x', IAC, DO, TM, b'y'], b"y", &[IAC, WILL, TM]),
        // Unfinished at the end.
        (&[b'a', IAC], b"a", b""),
        (&[b'a', IAC, DO], b"a", b""),
        (&[b'a', IAC, SB, TTYPE, 0, b'x'], b"a", b""),
        (&[b'a', IAC, SB, TTYPE, 0, b'x', IAC], b"a", b""),
    ];

    #[test]
    fn transcripts() {
        for &(input, data, replies) in TRANSCRIPTS {
            let outcome = outcome_of([input]);
            assert_eq!(outcome.data, data, "{input:?}");
            assert_eq!(outcome.replies, replies, "{input:?}");
        }
    }

    #[test]
    fn every_split_gives_the_same() {
        for &(input, ..) in TRANSCRIPTS {
            let whole = outcome_of([input]);
            for at in 0..=input.len() {
                assert_eq!(outcome_of([&input[..at], &input[at..]]), whole, "{input:?} at {at}");
            }
            assert_eq!(outcome_of(input.chunks(1)), whole, "{input:?} by the byte");
        }
    }

    #[test]
    fn who_sends_no_command_costs_one_pointer() {
        assert_eq!(size_of::<Telnet>(), size_of::<usize>());
        let mut telnet = Telnet::new();
        let (mut data, mut replies) = (Vec::new(), Vec::new());
        assert!(telnet.is_plain(b"hello"));
        assert!(!telnet.is_plain(b"hel\xFFlo"));
        telnet.push(b"hello", &mut data, &mut replies);
        assert!(telnet.talk.is_none() && !telnet.spoken());
        telnet.push(b"\xFF", &mut data, &mut replies);
        assert!(!telnet.is_plain(b"hello"));
        telnet.push(b"\xFF", &mut data, &mut replies);
        assert!(telnet.is_plain(b"hello") && !telnet.spoken() && replies.is_empty());
    }

    #[test]
    fn window_and_terminal_are_received() {
        let mut input = vec![IAC, WILL, NAWS, IAC, SB, NAWS, 0, 80, 0, 24, IAC, SE];
        input.extend([IAC, WILL, TTYPE, IAC, SB, TTYPE, 0]);
        input.extend(b"XTERM\x1B\t\xE2\x80\xAE");
        input.extend([IAC, SE]);
        let outcome = outcome_of([&input[..]]);
        assert_eq!(outcome.window, Some((80, 24)));
        assert_eq!(outcome.terminal.as_deref(), Some("XTERM\u{241B} \u{FFFD}"));
        assert!(outcome.spoken && outcome.data.is_empty());
    }

    #[test]
    fn a_window_of_255_columns_doubles_its_bytes() {
        let input = [IAC, WILL, NAWS, IAC, SB, NAWS, 0, IAC, IAC, 1, 0, IAC, SE];
        assert_eq!(outcome_of([&input[..]]).window, Some((255, 256)));
    }

    #[test]
    fn what_was_not_agreed_or_is_malformed_tells_nothing() {
        for input in [
            &[IAC, SB, NAWS, 0, 80, 0, 24, IAC, SE][..],
            &[IAC, SB, TTYPE, 0, b'x', IAC, SE],
            &[IAC, WILL, NAWS, IAC, SB, NAWS, 0, 80, 0, IAC, SE],
            &[IAC, WILL, NAWS, IAC, SB, NAWS, 0, 80, 0, 24, 0, IAC, SE],
            &[IAC, WILL, NAWS, IAC, WONT, NAWS, IAC, SB, NAWS, 0, 80, 0, 24, IAC, SE],
            &[IAC, WILL, TTYPE, IAC, SB, TTYPE, 1, b'x', IAC, SE],
            &[IAC, WILL, TTYPE, IAC, SB, TTYPE, 0, IAC, SE],
        ] {
            let outcome = outcome_of([input]);
            assert_eq!((outcome.window, outcome.terminal), (None, None), "{input:?}");
        }
    }

    #[test]
    fn a_subnegotiation_is_capped_and_read_over() {
        let mut telnet = Telnet::new();
        let (mut data, mut replies) = (Vec::new(), Vec::new());
        telnet.push(&[IAC, WILL, TTYPE, IAC, SB, TTYPE, 0], &mut data, &mut replies);
        for _ in 0..100 {
            telnet.push(&[b'x'; 10_000], &mut data, &mut replies);
            telnet.push(&[IAC, IAC], &mut data, &mut replies);
        }
        let kept = &telnet.talk.as_ref().unwrap().subnegotiation;
        assert!(kept.len() == SUBNEGOTIATION_MAX && kept.capacity() <= 2 * SUBNEGOTIATION_MAX);
        telnet.push(&[IAC, SE, b'h', b'i'], &mut data, &mut replies);
        assert_eq!(data, b"hi");
        assert_eq!(telnet.terminal(), Some(&*"x".repeat(TERMINAL_NAME_MAX)));
        assert_eq!(telnet.talk.as_ref().unwrap().subnegotiation.capacity(), 0);
    }

    #[test]
    fn a_subnegotiation_that_goes_on_over_lines_is_given_up() {
        for (content, data) in [
            (SUBNEGOTIATION_MAX - 1, &b"\n"[..]),
            (SUBNEGOTIATION_MAX, b"\r\0more\n"),
            (SUBNEGOTIATION_MAX + 900, b"\r\0more\n"),
        ] {
            let sent = [&[IAC, SB][..], &b"x".repeat(content), b"\r\0more\n"].concat();
            let outcome = outcome_of([&sent[..]]);
            assert_eq!(outcome.data, data, "{content}");
            assert_eq!(outcome_of(sent.chunks(1)), outcome, "{content} by the byte");
        }
        for end in ["\n", "\r", "\r\n", "\r\0"] {
            let line = format!("hello{end}");
            let lines = [&[IAC, SB][..], line.repeat(100).as_bytes()].concat();
            let data = String::from_utf8(outcome_of([&lines[..]]).data).unwrap();
            assert!(data.starts_with(end) && data.ends_with(&line), "{data:?}");
        }
    }

    #[test]
    fn a_hundred_thousand_requests_are_answered_within_the_allowance() {
        const REQUESTS: usize = 100_000;
        let mut telnet = Telnet::new();
        let (mut data, mut replies) = (Vec::new(), Vec::new());
        let input = [IAC, DO, TM].repeat(REQUESTS);
        telnet.push(&input, &mut data, &mut replies);
        assert_eq!(replies, [IAC, WILL, TM].repeat(ANSWERS_MAX as usize));
        assert_eq!(telnet.answers_dropped(), REQUESTS as u64 - u64::from(ANSWERS_MAX));
        replies.clear();
        telnet.allow(2);
        telnet.push(&input, &mut data, &mut replies);
        assert_eq!(replies, [IAC, WILL, TM].repeat(2));
        replies.clear();
        telnet.allow(u32::MAX);
        telnet.push(&input, &mut data, &mut replies);
        assert_eq!(replies, [IAC, WILL, TM].repeat(ANSWERS_MAX as usize));
        assert!(data.is_empty());
    }

    #[test]
    fn an_offer_that_got_no_answer_can_be_made_again() {
        let mut telnet = Telnet::new();
        let (mut data, mut replies) = (Vec::new(), Vec::new());
        telnet.push(&[IAC, DO, TM].repeat(ANSWERS_MAX as usize), &mut data, &mut replies);
        replies.clear();
        let offers = [IAC, WILL, NAWS, IAC, DO, ECHO];
        telnet.push(&offers, &mut data, &mut replies);
        assert_eq!(replies, b"");
        telnet.allow(ANSWERS_MAX);
        telnet.push(&offers, &mut data, &mut replies);
        assert_eq!(replies, [IAC, DO, NAWS, IAC, WONT, ECHO]);
    }

    /// The longest answer: an option asked for with a subnegotiation behind it, or `-- [yes]` with its end.
    const ANSWER_BYTES_MAX: usize = 10;

    /// What a listener for lines makes of it.
    fn lines_behind<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        const LIMIT: usize = 30;
        let mut telnet = Telnet::new();
        let mut framer = Framer::new(Framing::Lines);
        let mut lines = Vec::new();
        let mut take = |framer: &mut Framer, mut data: &[u8]| {
            while let Some(frame) = framer.next(&mut data, LIMIT) {
                lines.push(match frame {
                    Frame::Message(bytes) => scrub(bytes).text.into_owned(),
                    Frame::TooLong => "TOO LONG".to_owned(),
                });
            }
            assert!(framer.held_bytes() <= LIMIT);
        };
        for chunk in chunks {
            let mut data = Vec::new();
            telnet.push(chunk, &mut data, &mut Vec::new());
            take(&mut framer, &data);
        }
        framer.end();
        take(&mut framer, &[]);
        lines
    }

    /// Bytes among which commands are frequent.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => Just(IAC),
            4 => proptest::sample::select(vec![SE, SB, WILL, WONT, DO, DONT, command::ARE_YOU_THERE]),
            3 => proptest::sample::select(vec![0, ECHO, TM, TTYPE, NAWS, b'\r', b'\n', b'a']),
            1 => any::<u8>(),
        ];
        proptest::collection::vec(byte, 0..400)
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(input in hostile(), sizes in proptest::collection::vec(1_usize..9, 1..20)) {
            let mut chunks = Vec::new();
            let mut rest = &input[..];
            for &size in sizes.iter().cycle() {
                let (chunk, after) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(outcome_of(chunks), outcome_of([&input[..]]));
        }

        #[test]
        fn what_is_kept_and_answered_has_its_limit(pieces in proptest::collection::vec((hostile(), 1_usize..9), 0..8)) {
            let mut telnet = Telnet::new();
            let (mut data, mut replies) = (Vec::new(), Vec::new());
            for (piece, times) in &pieces {
                telnet.push(&piece.repeat(*times), &mut data, &mut replies);
                let kept = telnet.talk.as_ref().map_or(0, |talk| talk.subnegotiation.capacity());
                prop_assert!(kept <= 2 * SUBNEGOTIATION_MAX, "{kept} bytes are kept");
            }
            let received: usize = pieces.iter().map(|(piece, times)| piece.len() * times).sum();
            prop_assert!(data.len() <= received);
            prop_assert!(replies.len() <= ANSWERS_MAX as usize * ANSWER_BYTES_MAX);
            let name = telnet.terminal().map_or(0, str::len);
            prop_assert!(name <= TERMINAL_NAME_MAX * GROWTH_MAX);
        }

        #[test]
        fn lines_behind_telnet_are_the_same_for_any_chunking(input in hostile(), size in 1_usize..9) {
            prop_assert_eq!(lines_behind(input.chunks(size)), lines_behind([&input[..]]));
        }

        #[test]
        fn data_with_doubled_iac_comes_back(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sent: Vec<u8> =
                data.iter().flat_map(|&byte| std::iter::repeat_n(byte, 1 + usize::from(byte == IAC))).collect();
            let outcome = outcome_of([&sent[..]]);
            prop_assert_eq!(outcome.data, data);
            prop_assert!(!outcome.spoken && outcome.replies.is_empty());
        }

        #[test]
        fn two_ends_fall_silent(input in hostile()) {
            let mut ends = [Telnet::new(), Telnet::new()];
            let mut heard = input;
            // A request gets an answer, the answer at most a refusal, and a refusal nothing.
            for turn in 0..6 {
                let mut said = Vec::new();
                ends[turn % 2].push(&heard, &mut Vec::new(), &mut said);
                heard = said;
            }
            prop_assert_eq!(heard, b"");
        }
    }
}
