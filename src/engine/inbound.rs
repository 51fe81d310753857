//! What comes in: bytes, the end of input, errors, deadlines that pass.

use std::borrow::Cow;
use std::io;

use super::entry::{Entry, Role};
use super::record::Record;
use super::server::Engine;
use super::sockets::Sockets;
use super::volume::{Claim, work};
use crate::chat::{Delivery, Line, Outcome};
use crate::config::settings::HalfClosePolicy;
use crate::id::Slot;
use crate::session::timers::Timer;
use crate::session::{CloseReason, Incoming, Linger, Milestone, Phase};
use crate::wire::framing::Framing;

/// Connections whose deadlines are seen to in one turn; further ones are the next turn's.
const DEADLINES_A_TURN: usize = 1_024;

/// Bytes in the kernel that are looked at when patience with a sender is judged: more than the default receive buffer
/// holds, of which Linux makes twice what was asked for (socket(7)).
const PEEK_MAX: usize = 256 * 1024;

impl Engine {
    /// Bytes were read from the socket of `slot`.
    pub fn handle_bytes(&mut self, slot: Slot, input: &[u8]) {
        let (now, limits) = (self.board.now.moment, self.board.limits_of(slot));
        let Some(entry) = self.board.entries.get_mut(slot.index()) else { return };
        if entry.role != Role::Operator {
            self.board.totals.bytes_in += input.len() as u64;
        }
        if entry.session.received(input.len(), now, &limits) {
            self.handle_text(slot, input);
            if let Some(entry) = self.board.entry_mut(slot) {
                entry.session.note_split(now);
            }
        }
        self.board.touch(slot);
    }

    /// `read()` gave 0.
    pub fn handle_eof(&mut self, slot: Slot) {
        let now = self.board.now;
        let nick = self.nick(slot);
        if self.board.change_input(slot, |session| session.handle_eof(now.moment)) != Some(true) {
            return;
        }
        let Some(entry) = self.board.entry(slot) else { return };
        let (id, unsent) = (entry.id, entry.session.outbox().bytes() as u64);
        if entry.is_client() {
            self.board.journal.add(now, Record::Eof { id, nick, unsent });
        }
        self.parse(slot, &[]);
        self.board.touch(slot);
    }

    /// Whether the peer of `slot` has ended its input and stays to receive.
    pub(super) fn is_half_closed(&self, slot: Slot) -> bool {
        self.board.entry(slot).is_some_and(|entry| entry.session.phase() == Phase::Eof)
    }

    /// Whether it waits to be let in.
    pub(super) fn is_waiting(&self, slot: Slot) -> bool {
        self.board.entry(slot).is_some_and(|entry| entry.session.phase() == Phase::Waiting)
    }

    /// The socket failed: it is to be closed, and whoever it was has left, as soon as all that it sent is heard.
    pub fn handle_error(&mut self, slot: Slot, error: &io::Error) {
        let now = self.board.now.moment;
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
        let Some(entry) = self.board.entry_mut(slot) else { return };
        entry.session.note(now, Milestone::Error(words));
        let is_client = entry.is_client() && !entry.session.is_broken();
        if is_client && self.adopts_orphan(slot) {
            self.release_place(slot);
            if let Some(entry) = self.board.entry_mut(slot) {
                entry.session.break_off(reason, now);
            }
            self.parse(slot, &[]);
        } else if let Some(entry) = self.board.entry_mut(slot) {
            entry.session.reset(reason);
        }
        if let Some(entry) = self.board.entries.get_mut(slot.index()) {
            self.admission.give_place_back(entry, now);
        }
        self.board.touch(slot);
    }

    /// Sees to every deadline that has passed.
    pub fn handle_timeout(&mut self, sockets: &impl Sockets) {
        let now = self.board.now;
        for _ in 0..DEADLINES_A_TURN {
            let Some(slot) = self.deadlines.due(now.moment) else { break };
            let limits = self.board.limits_of(slot);
            while let Some(timer) =
                self.board.entry_mut(slot).and_then(|entry| entry.session.handle_timeout(now.moment, &limits))
            {
                self.timer_ran_out(slot, timer, sockets);
            }
            self.arm(slot);
            self.board.touch(slot);
        }
        self.board.hurry();
        self.end_mutes();
        self.end_bans();
        // A summary goes to a whole crowd: not before all have had the last one.
        if !self.is_behind && self.hub.poll_timeout().is_some_and(|at| at <= now.moment) {
            self.hub.handle_timeout(now, &mut self.board);
        }
    }

    /// Takes telnet out of what was read, answers it, and parses the rest.
    fn handle_text(&mut self, slot: Slot, input: &[u8]) {
        let now = self.board.now.moment;
        let mut text = std::mem::take(&mut self.telnet_text);
        let mut replies = Vec::new();
        let is_stripped = self
            .board
            .entry_mut(slot)
            .is_some_and(|entry| entry.session.strip_telnet(input, now, &mut text, &mut replies));
        self.board.answer_raw(slot, &replies);
        let input = if is_stripped { &text } else { input };
        let limits = self.board.limits_of(slot);
        if let Some(entry) = self.board.entry_mut(slot).filter(|entry| entry.is_client()) {
            entry.session.look_at(input, &limits);
        }
        self.parse(slot, input);
        self.telnet_text = text;
    }

    /// Takes messages one at a time for as long as the session gives any.
    ///
    /// An answer under way goes on first: messages wait for it.
    pub(super) fn parse(&mut self, slot: Slot, mut input: &[u8]) {
        if self.hub.is_answering(slot) {
            self.hub.go_on(slot, &mut self.board);
            self.note_answer(slot);
        }
        let mut text = std::mem::take(&mut self.text);
        let is_operator = self.board.entry(slot).is_some_and(|entry| entry.role == Role::Operator);
        let begun = self.board.work;
        loop {
            let claim =
                if is_operator { Claim::Operator } else { Claim::of_audience(self.hub.audience(slot)) };
            let Some(incoming) = self.board.next_message(slot, &mut input, &mut text, claim, begun) else {
                break;
            };
            if is_operator {
                let before = self.board.work;
                self.take_request(slot, incoming, &text);
                self.board.budget.charge_operators(work::MESSAGE + self.board.work - before);
            } else {
                self.take_message(slot, incoming, &text);
                self.note_answer(slot);
            }
        }
        self.text = text;
        if self.board.entry(slot).is_some_and(|entry| entry.session.input_is_done()) {
            self.input_done(slot);
        }
    }

    /// While an answer is under way, the next message of `slot` waits. The answer goes on when some of it is sent, or in
    /// the next turn if this one has no work left to give.
    pub(super) fn note_answer(&mut self, slot: Slot) {
        let is_answering = self.hub.is_answering(slot);
        let Some(entry) = self.board.entry_mut(slot) else { return };
        entry.session.set_answering(is_answering);
        if is_answering && self.board.is_used_up(Claim::LONG_ANSWER) {
            self.board.hold_back(slot);
        }
    }

    fn take_message(&mut self, slot: Slot, incoming: Incoming, text: &str) {
        let now = self.board.now;
        match incoming {
            Incoming::Flooding => {
                let nick = self.nick(slot);
                let Some(id) = self.board.entry(slot).map(|entry| entry.id) else { return };
                self.board.journal.add(now, Record::Flow { id, nick });
                let (lines, bytes) = self.flood_rates;
                let told = format!(
                    "slow down: you are read at {lines} lines and {bytes} bytes a second until you pause"
                );
                self.board.answer(slot, &Line::Notice(&told));
            }
            Incoming::Foreign(protocol) => {
                let told = format!("this is a chat server and no {protocol}: connect with nc or telnet");
                self.board.answer(slot, &Line::Refused(&told));
                self.warn_of_foreign(slot, protocol);
                self.part(slot, CloseReason::Foreign(protocol), Linger::FAREWELL);
            }
            Incoming::Help => {
                let told = "/help lists the commands; HELP is said to the room if you send it again";
                self.board.answer(slot, &Line::Refused(told));
            }
            Incoming::Incomplete => {}
            Incoming::TooLong => {
                let limit = self.board.limits.line_bytes;
                let told = match self.board.entry(slot).map(|entry| entry.session.framing()) {
                    Some(Framing::Length) => format!(
                        "that message has more than {limit} bytes and was not sent; before each message stands \
                         its length in 4 bytes, big-endian"
                    ),
                    _ => format!("that line has more than {limit} bytes and was not sent; send it in parts"),
                };
                self.board.answer(slot, &Line::Refused(&told));
            }
            Incoming::Message => match self.hub.message(slot, text, now, &mut self.board) {
                Outcome::Continue => {}
                Outcome::Listen => {
                    if let Some(entry) = self.board.entry_mut(slot) {
                        entry.session.listen();
                    }
                }
                Outcome::Quit(text) => {
                    self.part(slot, CloseReason::Quit(text), Linger::FAREWELL);
                }
                Outcome::Renamed { old, new } => {
                    if let Some(id) = self.board.entry(slot).map(|entry| entry.id) {
                        self.board.journal.add(now, Record::Nick { id, old, new });
                    }
                }
            },
        }
    }

    /// `limits.inbox_total` is exceeded, which is told at a limited rate.
    pub(super) fn warn_of_full_inboxes(&mut self) {
        let now = self.board.now.moment;
        if self.full_inboxes.happened(now).is_some() {
            let bytes = self.board.inbox_bytes();
            let text = format!(
                "{bytes} bytes of all clients are unparsed, over limits.inbox_total: \
                 nobody is read more than one message ahead"
            );
            self.note_caused_by_clients(text);
        }
    }

    /// Everything that a peer sent before its FIN is answered; or is heard, if there is nobody to answer.
    fn input_done(&mut self, slot: Slot) {
        let limits = self.board.limits_of(slot);
        let now = self.board.now.moment;
        let Some(entry) = self.board.entry_mut(slot) else { return };
        if entry.session.is_broken() {
            return entry.session.reset(CloseReason::ResetByPeer);
        }
        match entry.session.phase() {
            Phase::Eof if entry.session.listens() => self.stay_half_closed(slot),
            Phase::Eof if limits.half_close == HalfClosePolicy::Listen => {
                entry.session.listen_until(now + limits.half_close_timeout);
                self.stay_half_closed(slot);
            }
            Phase::Eof | Phase::Draining => {
                if entry.session.reason().is_none() {
                    self.part(slot, CloseReason::Eof, Linger::ANSWERED);
                }
            }
            Phase::Waiting | Phase::Open | Phase::RdShut | Phase::WrShut | Phase::Gone => {}
        }
    }

    fn timer_ran_out(&mut self, slot: Slot, timer: Timer, sockets: &impl Sockets) {
        match timer {
            Timer::Flow => self.parse(slot, &[]),
            Timer::HalfClose => {
                let told = "half-closed for too long: goodbye";
                self.part_with(slot, told, CloseReason::HalfCloseTimeout);
            }
            Timer::Patience => {
                let limits = self.board.limits_of(slot);
                let (now, unread) = (self.board.now.moment, sockets.peek(slot, PEEK_MAX));
                let is_over = |entry: &mut Entry| entry.session.is_out_of_patience(now, &unread, &limits);
                if !self.board.entry_mut(slot).is_some_and(is_over) {
                    return;
                }
                let told = "you sent too much for too long without a pause: goodbye";
                self.part_with(slot, told, CloseReason::Flood);
            }
            Timer::Linger | Timer::LingerIdle | Timer::Probe => {}
        }
    }
}
