//! The input side: bytes received, messages taken one at a time, flow control, the peer's end of input.

use std::time::Duration;

use super::connection::{Counters, Flood, Input, Output, Session, Stream, Tail};
use super::flood::Bucket;
use super::hold::Hold;
use super::limits::{ConnectionLimits, FloodLimits};
use super::outflow::low_half;
use super::phase::Transition;
use super::timeline::Milestone;
use super::timers::Timer;
use crate::time::{Deciseconds, Moment};
use crate::wire::foreign::{Foreign, Opening, Sight};
use crate::wire::framer::{Frame, Framer};
use crate::wire::framing::Framing;
use crate::wire::telnet::ANSWERS_MAX;
use crate::wire::text::{scrub, scrub_typed};

/// How often a telnet client may be given [`ANSWERS_MAX`] answers: once a second.
const TELNET_REFILL_TENTHS: u32 = 10;
/// U+FEFF in UTF-8, as programs for Windows put it before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What the next piece of input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The peer is over its rate now, and was not a moment ago: it gets a notice, once. The rest waits.
    Flooding,
    /// The stream begins as one of another protocol: the peer gets a line that says so, and is closed.
    Foreign(Foreign),
    /// Its first message is `HELP` and nothing else, as scanners ask a mail or file server, and people may too: to be
    /// refused, with the way to ask.
    Help,
    /// The input ended inside a message, which is dropped; nothing follows.
    Incomplete,
    /// A message, scrubbed unless it is an object; may be empty.
    Message,
    /// A message was longer than `limits.line_bytes` and is dropped: it is refused.
    TooLong,
}

/// In less time than this a sender just within its rate may owe no whole line less than before.
const WHOLE_LINES_AFTER: Duration = Duration::from_secs(30);

impl Session {
    /// Counts `count` bytes that were read. `true` if they are to be parsed, with [`Session::next_message`].
    pub fn received(&mut self, count: usize, now: Moment, limits: &ConnectionLimits) -> bool {
        self.counters.bytes_in += count as u64;
        self.last_received = now.into();
        self.progress = now;
        if self.timers.is_set(Timer::LingerIdle) {
            self.timers.set(Timer::LingerIdle, now + self.linger_idle());
        }
        if let Some(flood) = &limits.flood {
            // A pause counts although it ends with this very read.
            self.note_pause(now, flood);
            self.bytes.take(now, flood.bytes, count as u64);
        }
        if self.input == (Input::Discarded { paced: true }) {
            self.pace(now, limits);
        }
        self.input == Input::Open
    }

    /// Takes the telnet commands out of `input`, if telnet is spoken here and there are any: `true` if the text is
    /// in `data` then, `false` if all of `input` is text. What is to be answered is put into `replies`.
    pub fn strip_telnet(
        &mut self,
        input: &[u8],
        now: Moment,
        data: &mut Vec<u8>,
        replies: &mut Vec<u8>,
    ) -> bool {
        if !self.may_telnet || self.telnet.is_plain(input) {
            return false;
        }
        let now = Deciseconds::from(now);
        if now.since(self.telnet_refilled) >= TELNET_REFILL_TENTHS {
            self.telnet_refilled = now;
            self.telnet.allow(ANSWERS_MAX);
        }
        data.clear();
        self.telnet.push(input, data, replies);
        true
    }

    /// Looks for another protocol in what was received, without telnet's commands and before it is framed.
    pub fn look_at(&mut self, input: &[u8], limits: &ConnectionLimits) {
        if input.is_empty() {
            return;
        }
        match &mut self.stream {
            Stream::Chat => {}
            Stream::Opening(opening) => opening.push(input),
            Stream::New => {
                let mut opening = Box::new(Opening::new(self.framer.framing(), limits.line_bytes));
                opening.push(input);
                self.stream = Stream::Opening(opening);
            }
        }
    }

    /// Whether its messages are JSON objects from now on, which are not scrubbed before they are read.
    pub fn take_objects(&mut self, on: bool) {
        self.takes_objects = on;
    }

    /// The next message from what is held and then from `input`, its text put into `text`. `None`: nothing more for
    /// now, and all of `input` was taken in. `is_crowded` says that all outboxes together are more than half full:
    /// a peer with unsent answers then gets no more of them.
    pub fn next_message(
        &mut self,
        input: &mut &[u8],
        text: &mut String,
        now: Moment,
        limits: &ConnectionLimits,
        is_crowded: bool,
    ) -> Option<Incoming> {
        if self.discards_input() || self.judge_hold(limits, is_crowded) != Hold::None {
            self.keep(input);
            return None;
        }
        if (self.framer.held_bytes() > 0 || !input.is_empty())
            && let Some(flood) = limits.flood.as_ref().filter(|flood| self.is_over_rate(now, flood))
        {
            let news = self.pause(now, flood);
            self.keep(input);
            return news.then_some(Incoming::Flooding);
        }
        if let Some(foreign) = self.opening_protocol() {
            self.keep(input);
            return Some(Incoming::Foreign(foreign));
        }
        let is_broken = self.is_broken();
        let (is_first, framing) = (self.counters.lines_in == 0, self.framer.framing());
        let incoming = match next_frame(&mut self.framer, self.stream.opening_mut(), input, limits.line_bytes)
        {
            Some(Frame::Message(bytes)) => {
                let bytes =
                    if is_first { bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes) } else { bytes };
                let trimmed = bytes.trim_ascii();
                let is_opening = !self.stream.is_chat() && !trimmed.is_empty();
                // Line ends and nothing else before the first message are how other protocols may begin.
                let bytes = if self.stream.is_chat() || is_opening { bytes } else { trimmed };
                let is_looked_at = matches!(self.stream, Stream::Opening(_));
                let is_counted = is_opening && framing == Framing::Length;
                if let Some(foreign) = is_counted.then(|| Foreign::of_counted_message(bytes)).flatten() {
                    Incoming::Foreign(foreign)
                } else {
                    let replaced = read_into(text, bytes, self.takes_objects, self.may_telnet);
                    self.counters.scrubbed = self.counters.scrubbed.saturating_add(replaced);
                    let is_clients = is_opening && is_looked_at;
                    if is_opening {
                        self.stream = Stream::Chat;
                    }
                    if is_clients && text == "HELP" { Incoming::Help } else { Incoming::Message }
                }
            }
            Some(Frame::TooLong) => {
                self.stream = Stream::Chat;
                self.timeline.note(now, Milestone::TooLong);
                Incoming::TooLong
            }
            None if is_broken => {
                self.framer.clear();
                return None;
            }
            None if self.input == Input::Ended => {
                return self.drop_incomplete(now).then_some(Incoming::Incomplete);
            }
            None => return self.pause_for_bytes(now, limits).then_some(Incoming::Flooding),
        };
        self.counters.lines_in = self.counters.lines_in.saturating_add(1);
        if let Some(flood) = &limits.flood {
            self.lines.take(now, flood.lines, 1);
        }
        Some(incoming)
    }

    /// The protocol as which its stream begins, given once.
    fn opening_protocol(&mut self) -> Option<Foreign> {
        let Stream::Opening(opening) = &self.stream else { return None };
        let Sight::Foreign(foreign) = opening.sight() else { return None };
        self.stream = Stream::Chat;
        Some(foreign)
    }

    /// Notes that a read ended inside a message, once for each such stretch.
    pub fn note_split(&mut self, now: Moment) {
        let bytes = self.framer.held_bytes();
        let split = |last: &Milestone| matches!(last, Milestone::SplitLine { .. });
        if bytes > 0 && self.hold == Hold::None && !self.timeline.ends_with(split) {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.timeline.note(now, Milestone::SplitLine { bytes });
        }
    }

    /// `read()` gave 0. `false` if that was known.
    pub fn handle_eof(&mut self, now: Moment) -> bool {
        if self.input == Input::Ended || !self.step(Transition::PeerEof) {
            return false;
        }
        if self.discards_input() {
            self.framer.clear();
        }
        self.framer.end();
        if let Some(opening) = self.stream.opening_mut() {
            opening.end();
        }
        self.input = Input::Ended;
        self.eof_at = now.into();
        self.timeline.note(now, Milestone::Eof);
        if self.output == Output::Finned && self.is_over() {
            self.settle();
        }
        true
    }

    /// Whether the peer ended its input and all of it was taken and answered.
    #[must_use]
    pub fn input_is_done(&self) -> bool {
        let has_opening = matches!(&self.stream, Stream::Opening(opening)
            if opening.is_too_long || matches!(opening.sight(), Sight::Foreign(_)));
        self.input == Input::Ended && self.framer.held_bytes() == 0 && !has_opening && !self.is_answering
    }

    /// It may send a whole burst again, however much it has sent so far.
    pub fn forgive_flood(&mut self, now: Moment) {
        self.lines = Bucket::default();
        self.bytes = Bucket::default();
        self.end_flood_hold();
        self.timers.cancel(Timer::Flow);
        self.end_flood(now);
    }

    /// Whether it was over its rate and has paused since.
    pub(super) fn is_rested(&self, now: Moment, limits: &ConnectionLimits) -> bool {
        limits.flood.as_ref().is_none_or(|flood| {
            self.lines.is_rested(now, flood.lines) && self.bytes.is_rested(now, flood.bytes)
        })
    }

    pub(super) fn keep(&mut self, input: &mut &[u8]) {
        if !self.discards_input() {
            self.framer.hold(input);
        }
        *input = &[];
    }

    /// No more comes: what is left is no message. `true` if something was.
    fn drop_incomplete(&mut self, now: Moment) -> bool {
        let bytes = self.framer.held_bytes();
        if bytes == 0 {
            return false;
        }
        self.framer.clear();
        self.tail = Tail::Dropped;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.timeline.note(now, Milestone::Incomplete { bytes });
        true
    }

    /// A stretch of flooding ends where the sender has paused.
    fn note_pause(&mut self, now: Moment, flood: &FloodLimits) {
        if self.flood.is_some()
            && self.lines.is_rested(now, flood.lines)
            && self.bytes.is_rested(now, flood.bytes)
        {
            self.end_flood(now);
        }
    }

    /// A stretch of flooding begins, unless one is under way: `false` then.
    fn begin_flood(&mut self, now: Moment) -> bool {
        let is_new = self.flood.is_none();
        if is_new {
            self.flood = Some(Box::new(Flood { since: now.into(), owed_ms: None, offered: 0 }));
            self.timeline.note(now, Milestone::FlowStart);
        }
        is_new
    }

    pub(super) fn end_flood(&mut self, now: Moment) {
        if self.flood.take().is_some() {
            self.timers.cancel(Timer::Patience);
            self.timeline.note(now, Milestone::FlowEnd);
        }
    }

    fn is_over_rate(&mut self, now: Moment, flood: &FloodLimits) -> bool {
        self.note_pause(now, flood);
        !self.lines.wait(now, flood.lines, 1).is_zero()
    }

    /// Pauses parsing and reading until the rates allow more. `true` if a stretch of flooding begins with it.
    fn pause(&mut self, now: Moment, flood: &FloodLimits) -> bool {
        let wait = self.lines.wait(now, flood.lines, 1).max(self.bytes.wait(now, flood.bytes, 0));
        self.hold = Hold::Flood;
        self.timers.set(Timer::Flow, now + wait);
        let is_new = self.begin_flood(now);
        if is_new {
            // What it owes now is looked at first; but what was inherited is paid before that.
            self.timers.set_later(Timer::Patience, now);
        }
        is_new
    }

    /// `flood.patience` is over, or a stretch of flooding has begun: whether the peer sends more than its rate. What it
    /// owes is the time in which its rate pays for all that it has sent and the server has not parsed, here and `unread`
    /// in the kernel. A peer that keeps its rate owes less and less; where patience is short and little is owed it may owe
    /// one line more than before. One that is blocked by its full window sends too much, however little we see of it.
    pub fn is_out_of_patience(&mut self, now: Moment, unread: &[u8], limits: &ConnectionLimits) -> bool {
        let Some(flood) = limits.flood.as_ref() else { return false };
        let framing = self.framer.framing();
        let held = self.framer.held();
        let messages = [held, unread]
            .map(|bytes| framing.messages_in(bytes).unwrap_or_else(|| self.messages_like_before(bytes)));
        let owed =
            flood.lines.span(messages.iter().sum()).max(flood.bytes.span((held.len() + unread.len()) as u64));
        let owed_ms = u32::try_from(owed.as_millis()).unwrap_or(u32::MAX);
        let is_too_soon = flood.patience < WHOLE_LINES_AFTER && owed < 2 * WHOLE_LINES_AFTER;
        let slack = if is_too_soon { flood.lines.span(1) } else { Duration::ZERO };
        let slack_ms = u32::try_from(slack.as_millis()).unwrap_or(u32::MAX);
        let offered = low_half(self.counters.bytes_in + unread.len() as u64);
        let Some(stretch) = &mut self.flood else { return false };
        // A sender that nothing comes from although its window is not open any more waits to send.
        let is_blocked = offered == stretch.offered && unread.len() >= limits.receive_buffer / 4;
        let is_over = stretch.owed_ms.is_some_and(|before| {
            let most = before.saturating_add(slack_ms);
            is_blocked || owed_ms > most || (slack_ms == 0 && owed_ms == most)
        });
        stretch.offered = offered;
        stretch.owed_ms = Some(stretch.owed_ms.map_or(owed_ms, |before| owed_ms.min(before)));
        self.timers.set(Timer::Patience, now + flood.patience);
        is_over
    }

    /// An estimate of the number of messages in `bytes`: it takes them to be as long as earlier ones.
    fn messages_like_before(&self, bytes: &[u8]) -> u64 {
        let Counters { bytes_in, lines_in, .. } = self.counters;
        (bytes.len() as u64).saturating_mul(lines_in.into()) / bytes_in.max(1)
    }

    /// What is only dropped is read no faster than what is parsed, and with endless patience.
    fn pace(&mut self, now: Moment, limits: &ConnectionLimits) {
        let Some(flood) = &limits.flood else { return };
        let wait = self.bytes.wait(now, flood.bytes, 0);
        if !wait.is_zero() {
            self.hold = Hold::Flood;
            self.timers.set(Timer::Flow, now + wait);
            self.begin_flood(now);
        } else if self.bytes.is_rested(now, flood.bytes) {
            self.end_flood(now);
        }
    }

    /// Bytes may be over the rate although lines are not. `true` if a stretch of flooding begins with it.
    fn pause_for_bytes(&mut self, now: Moment, limits: &ConnectionLimits) -> bool {
        match &limits.flood {
            Some(flood) if self.hold != Hold::Flood && !self.bytes.wait(now, flood.bytes, 0).is_zero() => {
                self.pause(now, flood)
            }
            _ => false,
        }
    }
}

/// Puts a message into `text`: an object in UTF-8, for it is judged when its escapes are decoded; all else scrubbed, and
/// where a terminal may be at the other end, with what its keys erased gone. Gives the number of stand-ins.
fn read_into(text: &mut String, message: &[u8], is_object: bool, is_typed: bool) -> u32 {
    text.clear();
    if is_object {
        text.push_str(&String::from_utf8_lossy(message));
        return 0;
    }
    let scrubbed = if is_typed { scrub_typed(message) } else { scrub(message) };
    text.push_str(&scrubbed.text);
    scrubbed.replaced
}

/// The next frame, while the stream may begin as another protocol does: a message that is too long is then refused later.
fn next_frame<'a, 'i: 'a>(
    framer: &'a mut Framer,
    opening: Option<&mut Opening>,
    input: &mut &'i [u8],
    limit: usize,
) -> Option<Frame<'a>> {
    let Some(opening) = opening else { return framer.next(input, limit) };
    if opening.sight() != Sight::Closed {
        let is_too_long = std::mem::take(&mut opening.is_too_long);
        return if is_too_long { Some(Frame::TooLong) } else { framer.next(input, limit) };
    }
    if opening.holds_messages() {
        framer.hold(input);
        *input = &[];
        return None;
    }
    framer.next_message(input, limit, &mut opening.is_too_long)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::config::settings::Config;

    const LINE_MAX: usize = 80;

    fn limits() -> ConnectionLimits {
        let mut config = Config::default();
        config.flood.enabled = false;
        ConnectionLimits { line_bytes: LINE_MAX, ..ConnectionLimits::from(&config) }
    }

    /// What comes of a stream in these reads, blank messages left out, up to another protocol.
    fn incoming(framing: Framing, telnet: bool, reads: &[&[u8]]) -> Vec<String> {
        let (now, limits) = (Moment::default(), limits());
        let mut session = Session::new(now, framing, telnet);
        let mut seen = Vec::new();
        let mut text = String::new();
        for read in reads.iter().copied().chain([&[][..]]) {
            let (mut data, mut replies) = (Vec::new(), Vec::new());
            let is_stripped = session.strip_telnet(read, now, &mut data, &mut replies);
            let mut input = if is_stripped { &data } else { read };
            if read.is_empty() {
                session.handle_eof(now);
            }
            session.look_at(input, &limits);
            while let Some(incoming) = session.next_message(&mut input, &mut text, now, &limits, false) {
                match incoming {
                    Incoming::Message if text.trim().is_empty() => {}
                    Incoming::Message => seen.push(text.clone()),
                    Incoming::Foreign(foreign) => {
                        seen.push(format!("{foreign:?}"));
                        return seen;
                    }
                    other => seen.push(format!("{other:?}")),
                }
            }
            assert!(session.framer.held_bytes() <= LINE_MAX + 80 || matches!(framing, Framing::Fixed(_)));
        }
        assert!(session.input_is_done(), "{seen:?}");
        seen
    }

    fn whole(framing: Framing, stream: &[u8]) -> Vec<String> {
        incoming(framing, true, &[stream])
    }

    const FIXED: Framing = Framing::Fixed(NonZeroU32::new(64).unwrap());

    #[test]
    fn nothing_of_a_long_request_is_said() {
        let request = format!("GET /?q={} HTTP/1.1\r\nCookie: a=b\r\n\r\n", "a".repeat(5_000));
        let blank_first = format!("\r\n\r\n{request}");
        for framing in [Framing::Lines, Framing::Nul, Framing::Length, FIXED] {
            for stream in [&request, &blank_first] {
                assert_eq!(whole(framing, stream.as_bytes()), ["Http"], "{framing:?}");
            }
        }
        // What is no request is refused for its length, as any line is, and the next one is said.
        let shout = format!("GET {}\nwell soon\n", "a".repeat(5_000));
        assert_eq!(whole(Framing::Lines, shout.as_bytes()), ["TooLong", "well soon"]);
        assert_eq!(whole(Framing::Lines, &shout.as_bytes()[..3_000]), ["TooLong"]);
    }

    #[test]
    fn records_that_may_be_a_request_are_said_when_they_are_none() {
        let first = format!("{:a<64}", "GET ");
        assert_eq!(whole(FIXED, format!("{first}{:64}", "hello").as_bytes()), [&*first, "hello"]);
        assert_eq!(whole(FIXED, first.as_bytes()), [&*first]);
        let padded = format!("{:64}{:64}", "GET well soon", "bob");
        assert_eq!(whole(FIXED, padded.as_bytes()), ["GET well soon", "bob"]);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_beginning_only() {
        let mark = "\u{FEFF}";
        assert_eq!(whole(Framing::Lines, format!("{mark}/who\n{mark}b\n").as_bytes()), ["/who", "\u{FFFD}b"]);
        assert_eq!(whole(Framing::Nul, format!("{mark}a\0").as_bytes()), ["a"]);
        assert_eq!(whole(Framing::Length, format!("\0\0\0\x04{mark}a").as_bytes()), ["a"]);
        assert_eq!(whole(FIXED, format!("{:62}", format!("{mark}a")).as_bytes()), ["a"]);
        assert_eq!(whole(Framing::Lines, format!("{mark}\na\n").as_bytes()), ["a"]);
    }

    #[test]
    fn keys_erase_where_a_terminal_may_be() {
        assert_eq!(whole(Framing::Lines, b"my secret\xff\xf8hello\n"), ["hello"]);
        assert_eq!(whole(Framing::Lines, b"helo\xff\xf7lo\n"), ["hello"]);
        assert_eq!(whole(Framing::Lines, b"helo\x08lo\nx\x15y\x7f\x7fz\n"), ["hello", "z"]);
        assert_eq!(incoming(Framing::Lines, false, &[b"helo\x08lo\x7f\x15\n"]), ["helo␈lo␡␕"]);
        assert_eq!(incoming(Framing::Nul, false, &[b"helo\x08lo\0"]), ["helo␈lo"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn how_a_stream_is_cut_into_reads_makes_no_difference(
            framing in prop::sample::select(vec![Framing::Lines, Framing::Nul, Framing::Length, FIXED]),
            pieces in prop::collection::vec(prop::sample::select(vec![
                &b"GET "[..], b"/", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b" HTTP/1.1", b" HTTP/1.", b"\r\n", b"\n", b"\r",
                b" ", b"                                                            ", b"\0", b"SSH-2.0-", b"SSH-",
                b"\x16", b"\x03", b"\x05\x01", b"\x04", b"PROXY ", b"TCP4 ", b"\r\n\r\n\0\r\nQUIT\n", b"PASS x",
                b"CAP LS", b"\x08", b"\x7f", b"\x15", b"\xff\xf7", b"\xff\xf8", "é".as_bytes(), b"\xcc\x81",
                b"\xef\xbb\xbf", b"\0\0\0\x03abc", b"hi", b"A",
            ]), 0..24),
            sizes in prop::collection::vec(1..40_usize, 1..6),
        ) {
            let stream = pieces.concat();
            let mut reads: Vec<&[u8]> = Vec::new();
            let mut rest = &stream[..];
            for size in sizes.iter().cycle() {
                let (read, after) = rest.split_at(rest.len().min(*size));
                rest = after;
                if read.is_empty() {
                    break;
                }
                reads.push(read);
            }
            let telnet = framing == Framing::Lines;
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            let expected = incoming(framing, telnet, &[&stream]);
            prop_assert_eq!(&incoming(framing, telnet, &reads), &expected);
            prop_assert_eq!(&incoming(framing, telnet, &bytes), &expected);
        }
    }
}
