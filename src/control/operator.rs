//! One operator on the control socket, without its socket: bytes and time in, bytes and what to do with the socket out.
//!
//! Its requests are answered one after the other. An answer goes on while fewer than [`ANSWER_AHEAD_BYTES`] of it wait
//! for their reader, and the next request is not looked at before; so nothing is skipped, and a reader that is slow
//! costs the server nothing.
//!
//! Invariants: a row is written when it has come from the server, and requested when there is room for it; an answer is
//! complete or the connection is over; while one is under way the socket is not read.

use std::time::Duration;

use super::answer::{self, Answer, Follows, Progress};
use super::json;
use crate::link::local::LocalLink;
use crate::link::{Link, LinkError, Response};
use crate::model::verbs::scrub;
use crate::time::Moment;
use crate::wire::foreign::Foreign;
use crate::wire::framer::{Frame, Framer};

/// The longest request, in bytes: a farewell's reason and a text for everybody fit in.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// An answer goes on while less than so many bytes of it wait for their reader.
const ANSWER_AHEAD_BYTES: usize = 64 * 1024;
/// Memory that is kept for answers between two of them.
const SHORT_ANSWER_BYTES: usize = 4 * 1024;
/// How often a snapshot that is followed is sent.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// An operator that asks nothing for so long is ended.
const IDLE_MAX: Duration = Duration::from_secs(3_600);
/// How long a server that stops waits for an operator that takes nothing.
pub(super) const UNREAD_MAX: Duration = Duration::from_secs(1);
/// After the FIN of a server that stops, an operator that has everything is not waited for any longer.
const STOP_IDLE: Duration = Duration::from_millis(250);
/// How long the farewell to an operator that is ended may take, and how long it may be silent after our FIN.
const FAREWELL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(2));
/// How often Send-Q is looked at while anything is unacknowledged; after our FIN more often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_AFTER_FIN: Duration = Duration::from_millis(50);
/// What some editors begin a file with (UTF-8's U+FEFF).
const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// How the socket is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All that was sent has arrived.
    Close,
    /// The peer has gone, or is not waited for any longer.
    Reset,
}

/// What is answered again and again.
#[derive(Clone, Copy, Debug)]
enum Followed {
    Events,
    /// The next one at this moment.
    Snapshot {
        at: Moment,
    },
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Requests are taken.
    Open,
    /// What is unsent is sent, then FIN; input is dropped.
    Leaving {
        /// The end in any case.
        until: Option<Moment>,
        /// The longest silence after our FIN.
        idle: Duration,
        fin_sent: Option<Moment>,
    },
    Over(Ending),
}

/// The bytes that have come and are not understood yet.
#[derive(Debug)]
struct Input {
    framer: Framer,
    /// Nothing but blank lines was received so far.
    is_new: bool,
    /// The peer has sent FIN.
    has_ended: bool,
    /// Its last line had no end.
    is_cut_off: bool,
}

/// A line of input.
#[derive(Debug)]
enum Line {
    Foreign(Foreign),
    Request {
        text: String,
        /// There may have been more of it: the input has ended.
        is_cut_off: bool,
    },
    TooLong,
}

impl Input {
    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.is_cut_off = self.framer.end();
        }
    }

    /// The next line, if there is one.
    fn next_line(&mut self) -> Option<Line> {
        let frame = self.framer.next(&mut [].as_slice(), REQUEST_BYTES_MAX)?;
        let is_first = std::mem::take(&mut self.is_new);
        let Frame::Message(bytes) = frame else { return Some(Line::TooLong) };
        let bytes = if is_first { bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes) } else { bytes };
        self.is_new = is_first && bytes.trim_ascii().is_empty();
        let is_opening = is_first && !self.is_new;
        if let Some(foreign) = is_opening.then(|| Foreign::of_counted_message(bytes)).flatten() {
            return Some(Line::Foreign(foreign));
        }
        let text = scrub(bytes).text.into_owned();
        Some(Line::Request { text, is_cut_off: self.is_cut_off && self.framer.held_bytes() == 0 })
    }
}

/// The bytes on their way to the reader.
#[derive(Debug)]
struct Output {
    unsent: Vec<u8>,
    /// Of `unsent`, those that the kernel has taken.
    taken: usize,
    /// Bytes that the kernel has taken so far, and those of them that the reader has.
    written: u64,
    read: u64,
    /// When bytes began to wait for the kernel, or it last took some.
    taken_at: Moment,
    /// When bytes began to wait for the reader, or it last took or sent some.
    progress_at: Moment,
    /// Nobody reads any more.
    is_lost: bool,
}

impl Output {
    const fn new(now: Moment) -> Self {
        Self {
            unsent: Vec::new(),
            taken: 0,
            written: 0,
            read: 0,
            taken_at: now,
            progress_at: now,
            is_lost: false,
        }
    }

    const fn len(&self) -> usize {
        self.unsent.len() - self.taken
    }

    /// Whether the reader has not got everything.
    const fn is_unread(&self) -> bool {
        self.len() > 0 || self.read < self.written
    }

    /// Adds what `write` writes.
    fn add<R>(&mut self, now: Moment, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let (was_empty, was_read) = (self.len() == 0, !self.is_unread());
        let written = write(&mut self.unsent);
        if self.is_lost {
            self.unsent.clear();
            self.taken = 0;
        }
        if was_empty {
            self.taken_at = now;
        }
        if was_read {
            self.progress_at = now;
        }
        written
    }

    fn wrote(&mut self, bytes: usize, now: Moment) {
        self.taken += bytes;
        self.written += bytes as u64;
        if bytes > 0 {
            self.taken_at = now;
        }
        if self.taken == self.unsent.len() {
            // Most answers are short: the memory of a long one is given back.
            self.unsent.clear();
            self.unsent.shrink_to(SHORT_ANSWER_BYTES);
            self.taken = 0;
        } else if self.taken >= ANSWER_AHEAD_BYTES {
            self.unsent.drain(..self.taken);
            self.taken = 0;
        }
    }

    fn lose(&mut self) {
        self.is_lost = true;
        self.unsent = Vec::new();
        (self.taken, self.read) = (0, self.written);
    }
}

/// One operator.
#[derive(Debug)]
pub struct Operator {
    link: Option<LocalLink>,
    input: Input,
    output: Output,
    answer: Option<Answer>,
    /// The server has the request for the next part of the answer.
    is_requested: bool,
    followed: Option<Followed>,
    stage: Stage,
    /// The server stops, and nobody but operators is left.
    is_stopping: bool,
    /// When it last asked for something; at first, when it came.
    asked: Moment,
    /// When it last sent something.
    heard: Moment,
    /// `limits.stall`.
    stall: Duration,
}

impl Operator {
    /// An operator that has just come. `stall` is how long it may take nothing although bytes wait.
    #[must_use]
    pub fn new(link: LocalLink, stall: Duration, now: Moment) -> Self {
        Self {
            link: Some(link),
            input: Input { framer: Framer::default(), is_new: true, has_ended: false, is_cut_off: false },
            output: Output::new(now),
            answer: None,
            is_requested: false,
            followed: None,
            stage: Stage::Open,
            is_stopping: false,
            asked: now,
            heard: now,
            stall,
        }
    }

    /// Whether the socket is to be read.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        match self.stage {
            Stage::Open => !self.input.has_ended && !self.is_answering() && self.has_room(),
            Stage::Leaving { .. } => !self.input.has_ended,
            Stage::Over(_) => false,
        }
    }

    /// What is to be written.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.output.unsent[self.output.taken..]
    }

    /// Whether FIN is to be sent.
    #[must_use]
    pub fn wants_fin(&self) -> bool {
        matches!(self.stage, Stage::Leaving { fin_sent: None, .. }) && self.output.len() == 0
    }

    /// Whether nobody reads answers any more: the socket is of no use.
    #[must_use]
    pub const fn has_lost_reader(&self) -> bool {
        self.output.is_lost
    }

    /// How the socket is to be closed, if it is.
    #[must_use]
    pub const fn ending(&self) -> Option<Ending> {
        match self.stage {
            Stage::Over(ending) => Some(ending),
            _ => None,
        }
    }

    /// When [`Operator::handle_timeout`] is wanted next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let look = self.output.is_unread().then(|| self.output.progress_at + self.stall);
        let ends = match self.stage {
            Stage::Open => {
                let idle = self.idle_since().map(|since| since + IDLE_MAX);
                let unread =
                    (self.is_stopping && self.output.len() > 0).then(|| self.output.taken_at + UNREAD_MAX);
                let next = match self.followed {
                    Some(Followed::Snapshot { at }) if self.answer.is_none() => Some(at),
                    _ => None,
                };
                [idle, unread, next]
            }
            Stage::Leaving { until, idle, fin_sent } => {
                let silent = fin_sent.filter(|_| !self.input.has_ended && !self.output.is_unread());
                let silent = silent.map(|at| at.max(self.heard) + idle);
                [until, silent, None]
            }
            Stage::Over(_) => return None,
        };
        ends.into_iter().chain([look]).flatten().min()
    }

    /// How long after the last look at Send-Q the next one is wanted; `None` if there is nothing to find out.
    #[must_use]
    pub const fn look_every(&self) -> Option<Duration> {
        match self.stage {
            Stage::Leaving { fin_sent: Some(_), .. } => Some(LOOK_EVERY_AFTER_FIN),
            Stage::Open | Stage::Leaving { .. } if self.output.is_unread() => Some(LOOK_EVERY),
            _ => None,
        }
    }

    /// Bytes were read.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Moment) {
        self.heard = now;
        self.output.progress_at = now;
        if matches!(self.stage, Stage::Open) {
            self.input.framer.hold(bytes);
            self.go_on(now);
        }
    }

    /// The peer has sent FIN.
    pub fn handle_eof(&mut self, now: Moment) {
        self.input.end();
        self.go_on(now);
    }

    /// The socket has failed, or the peer has closed it: nobody reads answers. What was received is still worked off.
    pub fn handle_loss(&mut self, now: Moment) {
        self.output.lose();
        // What is followed has no end, and requests after it wait.
        if self.followed.is_some() || !matches!(self.stage, Stage::Open) {
            return self.leave(None, Duration::ZERO);
        }
        if self.is_requested || self.answer.as_ref().is_some_and(|answer| !answer.is_order()) {
            (self.answer, self.is_requested) = (None, false);
        }
        self.handle_eof(now);
    }

    /// The kernel has taken so many bytes of [`Operator::unsent`].
    pub fn wrote(&mut self, bytes: usize, now: Moment) {
        self.output.wrote(bytes, now);
        self.go_on(now);
    }

    /// FIN was sent.
    pub fn fin_sent(&mut self, now: Moment) {
        if let Stage::Leaving { fin_sent, .. } = &mut self.stage {
            *fin_sent = Some(now);
        }
    }

    /// Send-Q stands at so many bytes: those that the peer has not read.
    pub fn handle_send_q(&mut self, send_q: u32, now: Moment) {
        let read = self.output.written.saturating_sub(send_q.into());
        if read > self.output.read {
            self.output.read = read;
            self.output.progress_at = now;
        }
        self.handle_timeout(now);
    }

    /// Time has passed, or there may be something from the server.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.output.is_unread() && self.output.progress_at + self.stall <= now {
            self.stage = Stage::Over(Ending::Reset);
        }
        match self.stage {
            Stage::Open => {
                if self.idle_since().is_some_and(|since| since + IDLE_MAX <= now) {
                    self.dismiss("it was idle for an hour", now);
                }
                if let Some(Followed::Snapshot { at }) = self.followed
                    && self.answer.is_none()
                    && at <= now
                {
                    self.followed = Some(Followed::Snapshot { at: now + SNAPSHOT_EVERY });
                    self.answer = Some(Answer::Snapshot);
                }
            }
            Stage::Leaving { until, idle, fin_sent } => {
                let is_read = !self.output.is_unread() && fin_sent.is_some();
                let is_silent = fin_sent.is_some_and(|at| at.max(self.heard) + idle <= now);
                let is_late = until.is_some_and(|until| until <= now);
                if is_read && (self.input.has_ended || is_silent) {
                    self.stage = Stage::Over(Ending::Close);
                } else if is_late || (is_silent && until.is_none()) {
                    self.stage = Stage::Over(if is_read { Ending::Close } else { Ending::Reset });
                }
            }
            Stage::Over(_) => {}
        }
        self.go_on(now);
    }

    /// The server ends, and waits no longer than until then.
    pub fn handle_server_end(&mut self, end: Moment, now: Moment) {
        match &mut self.stage {
            Stage::Open => self.leave(Some(end), STOP_IDLE),
            Stage::Leaving { until, idle, .. } => {
                *until = Some(until.map_or(end, |until| until.min(end)));
                *idle = STOP_IDLE.min(*idle);
            }
            Stage::Over(_) => {}
        }
        self.handle_timeout(now);
    }

    /// Since when it has asked nothing and waited for nothing.
    fn idle_since(&self) -> Option<Moment> {
        let is_idle = self.answer.is_none() && self.followed.is_none();
        is_idle.then_some(self.asked)
    }

    const fn is_answering(&self) -> bool {
        self.answer.is_some() || self.followed.is_some()
    }

    const fn has_room(&self) -> bool {
        self.output.len() < ANSWER_AHEAD_BYTES
    }

    /// Goes on with the answer under way and the requests after it, as far as the server and the reader let it.
    fn go_on(&mut self, now: Moment) {
        while matches!(self.stage, Stage::Open) {
            if self.take_responses(now).is_err() {
                break;
            }
            if self.is_stopping && self.may_stop(now) {
                self.leave(Some(now + UNREAD_MAX), STOP_IDLE);
                break;
            }
            let can_go_on = self.has_room();
            match &self.answer {
                Some(answer) if !self.is_requested && can_go_on => {
                    let request = answer.request(ANSWER_AHEAD_BYTES - self.output.len());
                    self.is_requested = self.link.as_mut().is_some_and(|link| link.request(request).is_ok());
                    if !self.is_requested {
                        break;
                    }
                    if self.output.is_lost {
                        // Its response is nobody's.
                        (self.answer, self.is_requested) = (None, false);
                    }
                }
                None if self.followed.is_none() && can_go_on => {
                    if !self.take_line(now) {
                        break;
                    }
                }
                _ => break,
            }
        }
        if let Some(link) = &self.link {
            link.set_idle(self.idle_since());
        }
    }

    /// What the server has answered.
    fn take_responses(&mut self, now: Moment) -> Result<(), ()> {
        loop {
            let Some(link) = &mut self.link else { return Err(()) };
            match link.response() {
                Ok(None) | Err(LinkError::Busy) => return Ok(()),
                Ok(Some(Response::Stopping)) => self.is_stopping = true,
                Ok(Some(response)) => self.take_response(response, now),
                Err(LinkError::Dismissed(why)) => {
                    self.dismiss(&why, now);
                    return Err(());
                }
                Err(LinkError::Ended | LinkError::Failed(_)) => {
                    self.leave(Some(now + UNREAD_MAX), STOP_IDLE);
                    return Err(());
                }
            }
        }
    }

    fn take_response(&mut self, response: Response, now: Moment) {
        let Some(answer) = self.answer.as_mut().filter(|_| std::mem::take(&mut self.is_requested)) else {
            return;
        };
        let progress = self.output.add(now, |line| answer.write(response, line));
        if progress == Progress::Complete {
            let last_event = answer.last_event().unwrap_or(0);
            self.answer = match self.followed {
                Some(Followed::Events) => Some(answer::events(last_event, true)),
                _ => None,
            };
        }
    }

    /// What is followed has no end of its own, and an answer that is not read is not waited for.
    fn may_stop(&self, now: Moment) -> bool {
        let is_unread = self.output.len() > 0 && self.output.taken_at + UNREAD_MAX <= now;
        self.answer.is_none() || self.followed.is_some() || is_unread
    }

    /// Takes the next line of input. `false` if there is none.
    fn take_line(&mut self, now: Moment) -> bool {
        match self.input.next_line() {
            Some(Line::Foreign(protocol)) => {
                let why = format!("this is a control socket and no {protocol}: send one verb a line");
                self.refuse(&why, now);
                self.leave_with_farewell(now);
            }
            Some(Line::Request { text, is_cut_off }) => self.take_request(&text, is_cut_off, now),
            Some(Line::TooLong) => {
                self.refuse(&format!("a request has at most {REQUEST_BYTES_MAX} bytes"), now);
            }
            None if self.input.has_ended => {
                self.input_done();
                return false;
            }
            None => return false,
        }
        true
    }

    fn take_request(&mut self, text: &str, is_cut_off: bool, now: Moment) {
        self.asked = now;
        if let Some(link) = &self.link {
            link.set_asked();
        }
        match Answer::to(text, now) {
            // Half of `reset 12` is `reset 1`.
            Ok(answer) if answer.is_order() && is_cut_off => {
                self.refuse("the request has no line end", now);
            }
            // Nobody reads it.
            Ok(answer) if self.output.is_lost && !answer.is_order() => {}
            Ok(answer) => {
                self.followed = answer.followed(text).map(|follows| match follows {
                    Follows::Events => Followed::Events,
                    Follows::Snapshots => Followed::Snapshot { at: now + SNAPSHOT_EVERY },
                });
                self.answer = Some(answer);
            }
            Err(why) => self.refuse(&why.to_string(), now),
        }
    }

    fn refuse(&mut self, why: &str, now: Moment) {
        self.output.add(now, |line| json::failure(line, why));
    }

    /// Everything that it sent is answered.
    fn input_done(&mut self) {
        if self.output.is_lost {
            self.link = None;
            self.stage = Stage::Over(Ending::Reset);
        } else {
            self.leave(None, Duration::MAX);
        }
    }

    fn dismiss(&mut self, why: &str, now: Moment) {
        self.refuse(&format!("this connection ends: {why}"), now);
        self.leave_with_farewell(now);
    }

    fn leave_with_farewell(&mut self, now: Moment) {
        let (total, idle) = FAREWELL;
        self.leave(Some(now + total), idle);
    }

    /// Nothing more is asked; what is unsent is still sent.
    fn leave(&mut self, until: Option<Moment>, idle: Duration) {
        self.link = None;
        (self.answer, self.followed, self.is_requested) = (None, None, false);
        self.input.framer.clear();
        self.stage = if self.output.is_lost {
            Stage::Over(Ending::Reset)
        } else {
            Stage::Leaving { until, idle, fin_sent: None }
        };
    }
}
