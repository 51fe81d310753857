//! What comes in: bytes, the end of input, errors, deadlines that pass.

use std::borrow::Cow;
use std::io;

use super::budget::Claim;
use super::connection::Connection;
use super::deadlines::Deadline;
use super::server::Engine;
use crate::chat::{Delivery, Line, Outcome};
use crate::config::settings::HalfClosePolicy;
use crate::id::Slot;
use crate::model::event::EventKind;
use crate::session::timers::Timer;
use crate::session::{CloseReason, Incoming, Linger, Milestone, Phase};
use crate::wire::framing::Framing;

/// Connections whose deadlines are seen to in one turn; further ones are the next turn's.
const DEADLINES_A_TURN: usize = 1_024;

/// Bytes read from one peer at each look of a turn.
pub const READ_BUDGET: usize = 64 * 1024;

impl Engine {
    /// Bytes were read from the socket of `slot`.
    pub fn handle_bytes(&mut self, slot: Slot, input: &[u8]) {
        let (now, limits) = (self.conns.now.moment, self.conns.limits);
        let Some(conn) = self.conns.slab.get_mut(slot.index()) else { return };
        self.conns.totals.bytes_in += input.len() as u64;
        if conn.session.received(input.len(), now, &limits) {
            self.handle_text(slot, input);
            if let Some(conn) = self.conns.get_mut(slot) {
                conn.session.note_split(now);
            }
        }
        self.conns.touch(slot);
    }

    /// `read()` gave 0.
    pub fn handle_eof(&mut self, slot: Slot) {
        let now = self.conns.now;
        let nick = self.nick(slot);
        if self.conns.change_input(slot, |session| session.handle_eof(now.moment)) != Some(true) {
            return;
        }
        let Some(conn) = self.conns.get(slot) else { return };
        let (id, unsent) = (conn.id, conn.session.outbox().bytes() as u64);
        if conn.is_client() {
            self.conns.journal.add(now, EventKind::Eof { id, nick, unsent });
        }
        self.parse(slot, &[]);
        self.conns.touch(slot);
    }

    /// Whether the peer of `slot` has ended its input and stays to receive.
    #[must_use]
    pub fn is_half_closed(&self, slot: Slot) -> bool {
        self.conns.get(slot).is_some_and(|conn| conn.session.phase() == Phase::Eof)
    }

    /// Whether it waits to be let in.
    #[must_use]
    pub fn is_waiting(&self, slot: Slot) -> bool {
        self.conns.get(slot).is_some_and(|conn| conn.session.phase() == Phase::Waiting)
    }

    /// The socket failed: it is to be closed, and whoever it was has left, as soon as all that it sent is heard.
    pub fn handle_error(&mut self, slot: Slot, error: &io::Error) {
        let now = self.conns.now.moment;
        let (reason, words) = match error.kind() {
            io::ErrorKind::ConnectionReset => (CloseReason::ResetByPeer, "connection reset by peer".into()),
            io::ErrorKind::BrokenPipe => (CloseReason::ResetByPeer, "broken pipe".into()),
            // Of shutdown(2): a reset was there before it.
            io::ErrorKind::NotConnected => (CloseReason::ResetByPeer, "not connected any more".into()),
            _ => {
                let words = error.to_string();
                (CloseReason::Error(words.clone()), Cow::Owned(words))
            }
        };
        let Some(conn) = self.conns.get_mut(slot) else { return };
        conn.session.note(now, Milestone::Error(words));
        let is_client = conn.is_client() && !conn.session.is_broken();
        if is_client && self.adopts_orphan(slot) {
            self.release_place(slot);
            if let Some(conn) = self.conns.get_mut(slot) {
                conn.session.break_off(reason, now);
            }
            self.parse(slot, &[]);
        } else if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.reset(reason);
        }
        if let Some(conn) = self.conns.slab.get_mut(slot.index()) {
            self.admission.give_place_back(conn, now);
        }
        self.conns.touch(slot);
    }

    /// Does what has its deadline at or before now, for at most 1,024 of them.
    pub fn handle_timeout(&mut self) {
        let now = self.conns.now;
        self.set_deadlines();
        for _ in 0..DEADLINES_A_TURN {
            let Some(deadline) = self.deadlines.pop_due(now.moment) else { break };
            match deadline {
                Deadline::Connection(slot) => self.handle_timers(slot),
                Deadline::FlushPresence => self.conns.flush_presence(),
                // A summary goes to a whole crowd: not before every member has got the last one.
                Deadline::Summary if !self.is_behind => self.hub.handle_timeout(now, &mut self.conns),
                Deadline::Unban => self.end_bans(),
                Deadline::Unmute => self.end_mutes(),
                // These are looked at in every turn: by `begin_turn`, `reconcile` and their caller.
                Deadline::LetIn | Deadline::Reply | Deadline::Stop | Deadline::Summary => {}
            }
        }
    }

    fn handle_timers(&mut self, slot: Slot) {
        let (now, limits) = (self.conns.now.moment, self.conns.limits);
        while let Some(timer) =
            self.conns.get_mut(slot).and_then(|conn| conn.session.handle_timeout(now, &limits))
        {
            self.timer_ran_out(slot, timer);
        }
        self.arm(slot);
        self.conns.touch(slot);
    }

    /// Takes telnet out of what was read, answers it, and parses the rest.
    fn handle_text(&mut self, slot: Slot, input: &[u8]) {
        let now = self.conns.now.moment;
        let mut text = std::mem::take(&mut self.telnet_text);
        let mut replies = Vec::new();
        let is_stripped = self
            .conns
            .get_mut(slot)
            .is_some_and(|conn| conn.session.strip_telnet(input, now, &mut text, &mut replies));
        self.conns.answer_raw(slot, &replies);
        let input = if is_stripped { &text } else { input };
        let limits = self.conns.limits;
        if let Some(conn) = self.conns.get_mut(slot).filter(|conn| conn.is_client()) {
            conn.session.look_at(input, &limits);
        }
        self.parse(slot, input);
        self.telnet_text = text;
    }

    /// Takes messages one at a time for as long as the session gives any.
    ///
    /// An answer under way goes on first: messages wait for it.
    pub(super) fn parse(&mut self, slot: Slot, mut input: &[u8]) {
        if self.hub.is_answering(slot) {
            self.hub.continue_answer(slot, &mut self.conns);
            self.note_answer(slot);
        }
        let mut text = std::mem::take(&mut self.text);
        let begun = self.conns.work;
        loop {
            let claim = Claim::of_audience(self.hub.audience(slot));
            let Some(incoming) = self.conns.next_message(slot, &mut input, &mut text, claim, begun) else {
                break;
            };
            self.take_message(slot, incoming, &text);
            self.note_answer(slot);
        }
        self.text = text;
        if self.conns.get(slot).is_some_and(|conn| conn.session.input_is_done()) {
            self.input_done(slot);
        }
    }

    /// While an answer is under way, the next message of `slot` waits. The answer goes on when some of it is sent, or in
    /// the next turn if this one has no work left to give.
    pub(super) fn note_answer(&mut self, slot: Slot) {
        let is_answering = self.hub.is_answering(slot);
        let Some(conn) = self.conns.get_mut(slot) else { return };
        conn.session.set_answering(is_answering);
        if is_answering && self.conns.is_used_up(Claim::LONG_ANSWER) {
            self.conns.defer(slot);
        }
    }

    fn take_message(&mut self, slot: Slot, incoming: Incoming, text: &str) {
        let now = self.conns.now;
        match incoming {
            Incoming::Flooding => {
                let nick = self.nick(slot);
                let Some(id) = self.conns.get(slot).map(|conn| conn.id) else { return };
                self.conns.journal.add(now, EventKind::Flow { id, nick });
                let (lines, bytes) = self.flood_rates;
                let told = format!(
                    "slow down: you are read at {lines} lines and {bytes} bytes a second until you pause"
                );
                self.conns.answer(slot, &Line::Notice(&told));
            }
            Incoming::Foreign(protocol) => {
                let told = format!("this is a chat server and no {protocol}: connect with nc or telnet");
                self.conns.answer(slot, &Line::Refused(&told));
                self.warn_of_foreign(slot, protocol);
                self.close(slot, CloseReason::Foreign(protocol), Linger::FAREWELL);
            }
            Incoming::Help => {
                let told = "/help lists the commands; HELP is said to the room if you send it again";
                self.conns.answer(slot, &Line::Refused(told));
            }
            Incoming::Incomplete => {}
            Incoming::TooLong => {
                let limit = self.conns.limits.line_bytes;
                let told = match self.conns.get(slot).map(|conn| conn.session.framing()) {
                    Some(Framing::Length) => format!(
                        "that message has more than {limit} bytes and was not sent; before each message stands \
                         its length in 4 bytes, big-endian"
                    ),
                    _ => format!("that line has more than {limit} bytes and was not sent; send it in parts"),
                };
                self.conns.answer(slot, &Line::Refused(&told));
            }
            Incoming::Message => match self.hub.message(slot, text, now, &mut self.conns) {
                Outcome::Continue => {}
                Outcome::Listen => {
                    if let Some(conn) = self.conns.get_mut(slot) {
                        conn.session.listen();
                    }
                }
                Outcome::Pending(job) => self.submit(*job),
                Outcome::Quit(text) => {
                    self.close(slot, CloseReason::Quit(text), Linger::FAREWELL);
                }
                Outcome::Renamed { old, new } => {
                    if let Some(id) = self.conns.get(slot).map(|conn| conn.id) {
                        self.conns.journal.add(now, EventKind::Nick { id, old, new });
                    }
                }
            },
        }
    }

    /// `limits.inbox_total` is exceeded, which is told at a limited rate.
    pub(super) fn warn_of_full_inboxes(&mut self) {
        let now = self.conns.now.moment;
        if self.full_inboxes.happened(now).is_some() {
            let bytes = self.conns.inbox_bytes();
            let text = format!(
                "{bytes} bytes of all clients are unparsed, over limits.inbox_total: \
                 nobody is read more than one message ahead"
            );
            self.note_caused_by_clients(text);
        }
    }

    /// Everything that a peer sent before its FIN is answered; or is heard, if there is nobody to answer.
    fn input_done(&mut self, slot: Slot) {
        let limits = self.conns.limits;
        let now = self.conns.now.moment;
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if conn.session.is_broken() {
            return conn.session.reset(CloseReason::ResetByPeer);
        }
        match conn.session.phase() {
            Phase::Eof if conn.session.listens() => self.stay_half_closed(slot),
            Phase::Eof if limits.half_close == HalfClosePolicy::Listen => {
                conn.session.listen_until(now + limits.half_close_timeout);
                self.stay_half_closed(slot);
            }
            Phase::Eof | Phase::Draining => {
                if conn.session.reason().is_none() {
                    self.close(slot, CloseReason::Eof, Linger::ANSWERED);
                }
            }
            Phase::Waiting | Phase::Open | Phase::RdShut | Phase::WrShut | Phase::Gone => {}
        }
    }

    fn timer_ran_out(&mut self, slot: Slot, timer: Timer) {
        match timer {
            Timer::Flow => self.parse(slot, &[]),
            Timer::HalfClose => {
                let told = "half-closed for too long: goodbye";
                self.close_with(slot, told, CloseReason::HalfCloseTimeout);
            }
            Timer::Patience => self.impatient.push(slot),
            Timer::Linger | Timer::LingerIdle | Timer::Probe => {}
        }
    }

    /// A connection whose patience has to be judged.
    pub fn poll_patience(&mut self) -> Option<Slot> {
        self.impatient.pop()
    }

    /// Closes a sender that was over its rate for `flood.patience`. `unread` is what it sent and the server has not read.
    pub fn judge_patience(&mut self, slot: Slot, unread: &[u8]) {
        let (now, limits) = (self.conns.now.moment, self.conns.limits);
        let is_over = |conn: &mut Connection| conn.session.is_out_of_patience(now, unread, &limits);
        if self.conns.get_mut(slot).is_some_and(is_over) {
            let message = "you sent too much for too long without a pause: goodbye";
            self.close_with(slot, message, CloseReason::Flood);
        }
        self.arm(slot);
    }

    /// The most bytes to read from `slot` at once.
    pub fn read_budget(&mut self, slot: Slot) -> usize {
        let Some(ahead) = self.conns.read_ahead(slot) else { return READ_BUDGET };
        self.warn_of_full_inboxes();
        ahead.min(READ_BUDGET)
    }
}
