//! The state of one connection and what its socket should do.

use std::time::Duration;

use super::close::{CloseMode, Closing, IfUnacked, Linger};
use super::flood::{Bucket, Debt};
use super::hold::Hold;
use super::phase::{Half, Phase, Transition};
use super::timeline::{Milestone, Timeline};
use super::timers::{Timer, Timers};
use super::{CloseReason, ConnectionLimits};
use crate::time::{Deciseconds, Moment};
use crate::wire::chunks::Chunks;
use crate::wire::foreign::Opening;
use crate::wire::framer::Framer;
use crate::wire::framing::Framing;
use crate::wire::outbox::Outbox;
use crate::wire::telnet::Telnet;

/// The direction from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// What comes in is parsed.
    Open,
    /// What comes in is read and dropped.
    Discarded {
        /// Within the flood limits, rather than as fast as it comes.
        paced: bool,
    },
    /// The peer sent FIN.
    Ended,
}

/// The direction to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Lines may be queued.
    Open,
    /// Nothing more is queued; FIN follows what is left.
    Flushing,
    /// FIN was sent.
    Finned,
}

/// What the socket should do; the reactor makes it so after each turn.
#[expect(clippy::struct_excessive_bools, reason = "each is asked by itself")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Readable events, and reads.
    pub read: bool,
    /// Writes.
    pub write: bool,
    /// `shutdown(SHUT_WR)`.
    pub fin: bool,
    /// Any event at all. Once both FINs are sent the socket only hangs up, again and again.
    pub events: bool,
    /// A look at Send-Q, which is passed to [`Session::handle_send_q`].
    pub probe: bool,
    /// See [`Session::close_mode`].
    pub close_mode: Option<CloseMode>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes given to the kernel.
    pub bytes_out: u64,
    /// Messages received.
    pub lines_in: u32,
    /// Lines queued.
    pub lines_out: u64,
    /// Lines dropped.
    pub lines_skipped: u32,
    /// Characters replaced by scrubbing.
    pub scrubbed: u32,
    /// The most the outbox held.
    pub outbox_max: u32,
}

/// Whether the socket failed while something that was received is not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    No,
    /// It has, and is still open.
    Yes,
    /// It has, and is closed.
    Released,
}

/// What is known of the protocol of a stream.
#[derive(Debug)]
pub(super) enum Stream {
    /// Nothing was received, or nothing is looked at.
    New,
    /// It may be one of another protocol: its first bytes.
    Opening(Box<Opening>),
    /// Its first message that is not blank has come, and is one of the chat.
    Chat,
}

impl Stream {
    pub(super) const fn is_chat(&self) -> bool {
        matches!(self, Self::Chat)
    }

    pub(super) fn opening_mut(&mut self) -> Option<&mut Opening> {
        match self {
            Self::Opening(opening) => Some(opening),
            Self::New | Self::Chat => None,
        }
    }
}

/// How the input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// With the end of a message, or with one that the end of input ended; or it has not ended.
    Whole,
    /// Inside a message, which was dropped.
    Dropped,
}

/// A stretch of flooding: see [`Session::is_out_of_patience`].
#[derive(Debug)]
pub(super) struct Flood {
    pub(super) since: Deciseconds,
    /// The least that the peer owed whenever its patience was judged, in milliseconds.
    pub(super) owed_ms: Option<u32>,
    /// The low half of all bytes that had come by then, those unread in the kernel included.
    pub(super) offered: u32,
}

/// One connection, without its socket.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
#[derive(Debug)]
pub struct Session {
    pub(super) phase: Phase,
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) framer: Framer,
    pub(super) stream: Stream,
    /// Its messages are JSON objects.
    pub(super) takes_objects: bool,
    pub(super) telnet: Telnet,
    /// Telnet may be spoken: on TCP `lines` listeners only.
    pub(super) may_telnet: bool,
    /// When it was last allowed more answers of telnet's.
    pub(super) telnet_refilled: Deciseconds,
    pub(super) outbox: Outbox,
    pub(super) lines: Bucket,
    pub(super) bytes: Bucket,
    pub(super) timers: Timers,
    pub(super) counters: Counters,
    /// Over its rate, with no pause. On the heap, because few are.
    pub(super) flood: Option<Box<Flood>>,
    pub(super) hold: Hold,
    /// An answer is under way or comes later, whether or not that holds the input.
    pub(super) is_answering: bool,
    pub(super) tail: Tail,
    /// A look at Send-Q is wanted.
    pub(super) probe: bool,
    /// `/listen`: stays after half-close.
    pub(super) listens: bool,
    /// The operator shut a direction.
    pub(super) shut_by_operator: bool,
    /// Whether the event about this slow reader is recorded; until it has caught up.
    pub(super) slow_noted: bool,
    pub(super) broken: Broken,
    /// Send-Q when last seen.
    pub(super) send_q: u32,
    /// Bytes acknowledged when Send-Q was last seen, the low half of their count: only its growth is of interest.
    pub(super) acked: u32,
    /// When more was last acknowledged, or received.
    pub(super) progress: Moment,
    /// Time until the next look at Send-Q.
    pub(super) probe_after_ms: u32,
    pub(super) closing: Option<Box<Closing>>,
    pub(super) close_mode: Option<CloseMode>,
    pub(super) since: Moment,
    pub(super) last_received: Deciseconds,
    pub(super) eof_at: Deciseconds,
    pub(super) timeline: Timeline,
}

/// A span that a session keeps in four bytes.
pub(super) fn millis(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

impl Session {
    /// A connection accepted now; `telnet` says whether telnet may be spoken on it.
    #[must_use]
    pub fn new(now: Moment, framing: Framing, telnet: bool) -> Self {
        Self {
            phase: Phase::Open,
            input: Input::Open,
            output: Output::Open,
            framer: Framer::new(framing),
            stream: Stream::New,
            takes_objects: false,
            telnet: Telnet::new(),
            may_telnet: telnet,
            telnet_refilled: now.into(),
            outbox: Outbox::default(),
            lines: Bucket::default(),
            bytes: Bucket::default(),
            timers: Timers::default(),
            counters: Counters::default(),
            flood: None,
            hold: Hold::None,
            is_answering: false,
            tail: Tail::Whole,
            probe: false,
            listens: false,
            shut_by_operator: false,
            slow_noted: false,
            broken: Broken::No,
            send_q: 0,
            acked: 0,
            progress: now,
            probe_after_ms: 0,
            closing: None,
            close_mode: None,
            since: now,
            last_received: now.into(),
            eof_at: now.into(),
            timeline: Timeline::default(),
        }
    }

    /// What the socket should do now.
    #[must_use]
    pub fn wants(&self) -> Wants {
        let ended = self.input == Input::Ended;
        let finned = self.output == Output::Finned;
        Wants {
            read: !ended && self.close_mode.is_none() && self.hold == Hold::None,
            write: !finned && !self.outbox.is_empty(),
            fin: self.output == Output::Flushing && self.outbox.is_empty(),
            events: !(ended && finned),
            probe: self.probe,
            close_mode: self.close_mode(),
        }
    }

    /// How the socket is to be closed now: the session is over, or the socket has failed and the session goes on without
    /// it.
    #[must_use]
    pub fn close_mode(&self) -> Option<CloseMode> {
        self.close_mode.or((self.broken == Broken::Yes).then_some(CloseMode::Reset))
    }

    /// The earliest deadline.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// Accepted over the rate of its address: it is not read until [`Session::let_in`].
    pub fn wait(&mut self) {
        self.phase = Phase::Waiting;
        self.hold = Hold::Waiting;
    }

    /// It has waited long enough.
    pub fn let_in(&mut self) {
        if self.step(Transition::LetIn) {
            self.hold = Hold::None;
        }
    }

    /// The connection is to be closed, for this reason: nothing is under way in either direction.
    pub fn close(&mut self, reason: CloseReason) {
        self.closing.get_or_insert_with(|| Box::new(Closing::new(reason)));
        self.close_mode = Some(CloseMode::Close);
    }

    /// Another connection from its address has left it this to pay, which takes nothing of its patience.
    pub fn inherit(&mut self, debt: Debt, limits: &ConnectionLimits) {
        Debt { lines: self.lines, bytes: self.bytes } = debt;
        if limits.flood.is_some() {
            self.timers.set(Timer::Patience, debt.paid_at());
        }
    }

    /// What it owes to its rates.
    #[must_use]
    pub fn debt(&self, now: Moment) -> Debt {
        Debt { lines: self.lines, bytes: self.bytes }.capped(now)
    }

    /// The peer stays after half-close from now on (`/listen`).
    pub fn listen(&mut self) {
        self.listens = true;
    }

    /// Half-closed, it goes on receiving until `end`.
    pub fn listen_until(&mut self, end: Moment) {
        if !self.timers.is_set(Timer::HalfClose) {
            self.timers.set(Timer::HalfClose, end);
        }
    }

    /// `shutdown read`: what comes in is dropped from now on, within the flood limits. Nothing that was received
    /// before is parsed any more. `false` where that direction has ended already.
    pub fn shut_read(&mut self, now: Moment) -> bool {
        if !self.step(Transition::ShutRead) {
            return false;
        }
        self.shut_by_operator = true;
        self.input = Input::Discarded { paced: true };
        self.timers.cancel(Timer::Patience);
        self.framer.clear();
        self.end_hold();
        self.timeline.note(now, Milestone::Shutdown(Half::Read));
        true
    }

    /// `shutdown write`: FIN after what is queued. `false` where that direction has ended already.
    pub fn shut_write(&mut self, now: Moment) -> bool {
        if !self.step(Transition::ShutWrite) {
            return false;
        }
        self.shut_by_operator = true;
        self.output = Output::Flushing;
        self.end_hold();
        self.timeline.note(now, Milestone::Shutdown(Half::Write));
        true
    }

    /// `shutdown both` is about to say farewell. `false` where both directions have ended already.
    pub fn shut_both(&mut self, now: Moment) -> bool {
        if self.is_over() {
            return false;
        }
        self.shut_by_operator = true;
        self.timeline.note(now, Milestone::Shutdown(Half::Both));
        true
    }

    /// Whether the reason for its end is known: its input is no longer acted on.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.closing.is_some()
    }

    /// Both directions end: what is queued is flushed, FIN sent, what comes in dropped until the peer's FIN, and all of
    /// that within `linger`. Of several reasons the first is kept, and of several deadlines the earliest. `false` if
    /// the connection is gone.
    pub fn farewell(&mut self, reason: CloseReason, linger: Linger, now: Moment) -> bool {
        if !self.step(Transition::Farewell) {
            return false;
        }
        let reason = reason.shortened();
        self.timeline.note(now, Milestone::Farewell(reason.clone()));
        if self.is_broken() {
            self.reset(reason);
            return true;
        }
        self.closing.get_or_insert_with(|| Box::new(Closing::new(reason))).linger_idle = linger.idle;
        if self.input != Input::Ended {
            self.input = Input::Discarded { paced: linger.paced };
        }
        if self.output == Output::Open {
            self.output = Output::Flushing;
        }
        self.framer.clear();
        self.hold = Hold::None;
        self.flood = None;
        for timer in [Timer::Flow, Timer::HalfClose, Timer::Patience] {
            self.timers.cancel(timer);
        }
        if let Some(total) = linger.total {
            self.timers.set_earlier(Timer::Linger, now + total);
        }
        if self.output == Output::Finned {
            self.timers.set(Timer::LingerIdle, now + linger.idle);
            if self.input == Input::Ended {
                self.settle();
            }
        }
        true
    }

    /// The socket can send nothing any more, and is about to be read to its end: its remaining input is parsed, and
    /// nothing is queued for it.
    pub fn lose_output(&mut self) {
        self.output = Output::Finned;
        self.end_hold();
    }

    /// Whether its output has ended: FIN was sent, or nothing can be sent any more.
    #[must_use]
    pub fn has_sent_fin(&self) -> bool {
        self.output == Output::Finned
    }

    /// Whether something that was received is still to be parsed.
    #[must_use]
    pub fn has_unparsed(&self) -> bool {
        !self.is_over() && !self.discards_input() && self.framer.held_bytes() > 0
    }

    /// The socket failed, for this reason: nothing more comes, and nothing can be sent. What was received and is not
    /// parsed yet still is, for as long as a farewell may take. The socket is closed meanwhile.
    pub fn break_off(&mut self, reason: CloseReason, now: Moment) {
        self.broken = Broken::Yes;
        if let Some(opening) = self.stream.opening_mut() {
            opening.end();
        }
        self.closing = Some(Box::new(Closing::new(reason)));
        for transition in [Transition::PeerEof, Transition::ShutWrite] {
            self.step(transition);
        }
        if self.input == Input::Open {
            self.eof_at = now.into();
        }
        self.input = Input::Ended;
        self.output = Output::Finned;
        self.end_hold();
        self.probe = false;
        self.timers.cancel(Timer::Probe);
        self.timers.cancel(Timer::HalfClose);
        self.timers.set(Timer::Linger, now + Linger::FAREWELL_TOTAL);
    }

    /// Whether its socket has failed, and input that was received before is still to be parsed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken != Broken::No
    }

    /// Its socket, which had failed, is closed.
    ///
    /// `false` if the session is over with its socket.
    pub fn release(&mut self) -> bool {
        let goes_on = self.close_mode.is_none() && self.broken == Broken::Yes;
        if goes_on {
            self.broken = Broken::Released;
        }
        goes_on
    }

    /// Whether it has no socket any more.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.broken == Broken::Released
    }

    /// The connection is to be reset, for this reason if none is known.
    pub fn reset(&mut self, reason: CloseReason) {
        self.closing.get_or_insert_with(|| Box::new(Closing::new(reason)));
        self.close_mode = Some(CloseMode::Reset);
    }

    /// The socket is closed: everything queued is given back. Gives the number of bytes that were never sent.
    pub fn end(&mut self, chunks: &mut Chunks) -> usize {
        self.step(Transition::End);
        self.timers.cancel_all();
        self.framer.clear();
        self.outbox.clear(chunks)
    }

    /// Whether what comes in is read and dropped.
    pub(super) const fn discards_input(&self) -> bool {
        matches!(self.input, Input::Discarded { .. })
    }

    /// Notes something in the life of the socket.
    pub fn note(&mut self, now: Moment, milestone: Milestone) {
        self.timeline.note(now, milestone);
    }

    /// Takes one step of the phase table; `false` where the table has none.
    pub(super) fn step(&mut self, transition: Transition) -> bool {
        let after = self.phase.after(transition);
        self.phase = after.unwrap_or(self.phase);
        after.is_some()
    }

    /// Takes the deadlines that have passed into account, and gives those that need more than the session.
    pub fn handle_timeout(&mut self, now: Moment, limits: &ConnectionLimits) -> Option<Timer> {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                // Without a stretch of flooding it was set for what was inherited: nothing of that counts.
                Timer::Patience if self.flood.is_none() || self.is_rested(now, limits) => {
                    self.end_flood(now);
                }
                Timer::Flow => {
                    self.end_flood_hold();
                    return Some(timer);
                }
                Timer::HalfClose | Timer::Patience => return Some(timer),
                Timer::Linger if self.is_broken() => self.close_mode = Some(CloseMode::Reset),
                Timer::Linger => self.probe_finally(IfUnacked::Reset),
                Timer::LingerIdle => self.probe_finally(IfUnacked::Wait),
                Timer::Probe => self.probe = true,
            }
        }
        None
    }

    fn probe_finally(&mut self, if_unacked: IfUnacked) {
        if let Some(closing) = &mut self.closing {
            closing.final_probe = Some(if_unacked);
        }
        self.probe = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_is_small() {
        let inline = size_of::<Session>();
        assert!(inline <= 240, "{inline} bytes; an idle session has nothing on the heap");
    }
}
