//! The input side: bytes received, messages taken one at a time, flow control, the peer's end of input.

use super::connection::{Input, Output, Session};
use super::flood::Bucket;
use super::limits::{FloodLimits, Limits};
use super::phase::Transition;
use super::timeline::Milestone;
use super::timers::Timer;
use crate::time::{Moment, Tenth};
use crate::wire::foreign::Foreign;
use crate::wire::framer::Frame;
use crate::wire::framing::Framing;
use crate::wire::telnet::ANSWERS_MAX;
use crate::wire::text::scrub;

/// How often a telnet client may be given [`ANSWERS_MAX`] answers: once a second.
const TELNET_REFILL_TENTHS: u32 = 10;
/// Bytes in which the first line of another protocol is looked for, where a message need not be a line.
const OPENING_MAX: usize = 1_024;

/// What the next piece of input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// It is over its rate now, and was not a moment ago: to be told, once. The rest waits.
    Flooding,
    /// Its first words are those of another protocol: to be told, and closed.
    Foreign(Foreign),
    /// The input ended inside a message, which is dropped; nothing follows.
    Incomplete,
    /// A message, scrubbed; may be empty.
    Message,
    /// A message was longer than `limits.line_bytes` and is dropped: to be told.
    TooLong,
}

impl Session {
    /// Counts `count` bytes that were read. `true` if they are to be parsed, with [`Session::next_message`].
    pub fn received(&mut self, count: usize, now: Moment, limits: &Limits) -> bool {
        self.counters.bytes_in += count as u64;
        self.heard = now.into();
        self.progress = now;
        if self.timers.is_set(Timer::LingerIdle) {
            self.timers.set(Timer::LingerIdle, now + self.linger_idle());
        }
        if let Some(flood) = &limits.flood {
            // A pause counts although it ends with this very read.
            self.note_pause(now, flood);
            self.bytes.take(now, flood.bytes, count as u64);
        }
        if self.input == Input::Discarded && self.paced {
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
        let now = Tenth::from(now);
        if now.since(self.telnet_refilled) >= TELNET_REFILL_TENTHS {
            self.telnet_refilled = now;
            self.telnet.allow(ANSWERS_MAX);
        }
        data.clear();
        self.telnet.push(input, data, replies);
        true
    }

    /// The next message from what is held and then from `input`, its text put into `text`. `None`: nothing more for
    /// now, and all of `input` was taken in. `is_crowded` says that all outboxes together are more than half full:
    /// whoever has answers unsent then gets no more of them.
    pub fn next_message(
        &mut self,
        input: &mut &[u8],
        text: &mut String,
        now: Moment,
        limits: &Limits,
        is_crowded: bool,
    ) -> Option<Incoming> {
        if self.input == Input::Discarded || self.has_to_wait(limits, is_crowded) {
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
        let is_first = self.counters.lines_in == 0;
        if is_first && let Some(foreign) = self.foreign_opening(input, limits) {
            self.keep(input);
            return Some(Incoming::Foreign(foreign));
        }
        let incoming = match self.framer.next(input, limits.line_bytes) {
            Some(Frame::Message(bytes)) => {
                if let Some(foreign) = is_first.then(|| Foreign::of_message(bytes)).flatten() {
                    Incoming::Foreign(foreign)
                } else {
                    let scrubbed = scrub(bytes);
                    text.clear();
                    text.push_str(&scrubbed.text);
                    self.counters.scrubbed = self.counters.scrubbed.saturating_add(scrubbed.replaced);
                    Incoming::Message
                }
            }
            Some(Frame::TooLong) => {
                self.timeline.note(now, Milestone::TooLong);
                Incoming::TooLong
            }
            None if self.broken => {
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

    /// The protocol that opens with what is held and then `input`. Where messages are no lines, their first one may never be
    /// complete: its first line tells.
    fn foreign_opening(&self, input: &[u8], limits: &Limits) -> Option<Foreign> {
        let opening = || self.framer.held().iter().chain(input).copied();
        let of_line = |most: usize| {
            let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
            let mut line: Vec<u8> = opening().take(most.min(limits.line_bytes)).collect();
            // Only what has come before the end of the first message: how it was cut into reads plays no part.
            let end = line.iter().position(is_end).filter(|end| line[*end] != 0)?;
            line.truncate(end);
            Foreign::of_message(&line)
        };
        let of_length = || {
            let mut bytes = opening();
            Foreign::of_length([bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?])
        };
        Foreign::of_bytes(opening()).or_else(|| match self.framing() {
            Framing::Lines => None,
            Framing::Length => of_length(),
            Framing::Nul => of_line(OPENING_MAX),
            Framing::Fixed(record) => of_line(OPENING_MAX.min(record.get() as usize)),
        })
    }

    /// Keeps `input` unparsed: enough was said in this turn. `true` if there is anything to parse later.
    pub fn hold_back(&mut self, input: &mut &[u8]) -> bool {
        self.keep(input);
        self.gated = self.framer.held_bytes() > 0;
        self.gated
    }

    /// Notes that a read ended inside a message, once for each such stretch.
    pub fn note_split(&mut self, now: Moment) {
        let bytes = self.framer.held_bytes();
        let split = |last: &Milestone| matches!(last, Milestone::SplitLine { .. });
        if bytes > 0 && !self.flow && !self.gated && !self.timeline.ends_with(split) {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.timeline.note(now, Milestone::SplitLine { bytes });
        }
    }

    /// `read()` gave 0. `false` if that was known.
    pub fn handle_eof(&mut self, now: Moment) -> bool {
        if self.input == Input::Ended || !self.step(Transition::PeerEof) {
            return false;
        }
        if self.input == Input::Discarded {
            self.framer.clear();
        }
        self.cut_off = self.framer.end();
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
        self.input == Input::Ended && self.framer.held_bytes() == 0 && !self.answering
    }

    /// Whether the message that was taken last was the last of all and had no end: there may have been more to it.
    #[must_use]
    pub fn was_cut_off(&self) -> bool {
        self.cut_off && self.framer.held_bytes() == 0
    }

    /// It may send anew what the rates allow, whatever it has sent so far.
    pub fn forgive_flood(&mut self, now: Moment) {
        self.lines = Bucket::default();
        self.bytes = Bucket::default();
        self.flow = false;
        self.timers.cancel(Timer::Flow);
        self.end_flood(now);
    }

    /// Whether it was over its rate and has paused since.
    pub(super) fn is_rested(&self, now: Moment, limits: &Limits) -> bool {
        limits.flood.as_ref().is_none_or(|flood| {
            self.lines.is_rested(now, flood.lines) && self.bytes.is_rested(now, flood.bytes)
        })
    }

    fn keep(&mut self, input: &mut &[u8]) {
        if self.input != Input::Discarded {
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
        self.incomplete = true;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.timeline.note(now, Milestone::Incomplete { bytes });
        true
    }

    /// Its next line waits while its own unsent answers fill half of its outbox, for answers are never skipped, and
    /// while an answer is under way.
    fn has_to_wait(&mut self, limits: &Limits, is_crowded: bool) -> bool {
        let answers = self.outbox.kept_bytes();
        let is_full = answers > limits.outbox_bytes / 2 || (is_crowded && answers > 0);
        self.gated = self.output == Output::Open && (self.answering || is_full);
        self.gated || self.flow
    }

    /// A stretch of flooding ends where the sender has paused.
    fn note_pause(&mut self, now: Moment, flood: &FloodLimits) {
        if self.flood_since.is_some()
            && self.lines.is_rested(now, flood.lines)
            && self.bytes.is_rested(now, flood.bytes)
        {
            self.end_flood(now);
        }
    }

    /// A stretch of flooding begins, unless one is under way: `false` then.
    fn begin_flood(&mut self, now: Moment) -> bool {
        let is_new = self.flood_since.is_none();
        if is_new {
            self.flood_since = Some(now);
            self.timeline.note(now, Milestone::FlowStart);
        }
        is_new
    }

    pub(super) fn end_flood(&mut self, now: Moment) {
        if self.flood_since.take().is_some() {
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
        self.flow = true;
        self.timers.set(Timer::Flow, now + wait);
        let is_new = self.begin_flood(now);
        if is_new {
            self.timers.set(Timer::Patience, now + flood.patience);
        }
        is_new
    }

    /// What is only dropped is read no faster than what is parsed, and with endless patience.
    fn pace(&mut self, now: Moment, limits: &Limits) {
        let Some(flood) = &limits.flood else { return };
        let wait = self.bytes.wait(now, flood.bytes, 0);
        if !wait.is_zero() {
            self.flow = true;
            self.timers.set(Timer::Flow, now + wait);
            self.begin_flood(now);
        } else if self.bytes.is_rested(now, flood.bytes) {
            self.end_flood(now);
        }
    }

    /// Bytes may be over the rate although lines are not. `true` if a stretch of flooding begins with it.
    fn pause_for_bytes(&mut self, now: Moment, limits: &Limits) -> bool {
        match &limits.flood {
            Some(flood) if !self.flow && !self.bytes.wait(now, flood.bytes, 0).is_zero() => {
                self.pause(now, flood)
            }
            _ => false,
        }
    }
}
