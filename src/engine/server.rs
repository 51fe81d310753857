//! The engine itself: what comes in, and what each socket should do.

use std::io::{self, IoSlice};
use std::time::Duration;

use super::deadlines::Deadlines;
use super::door::Door;
use super::record::{self, Record};
use super::snapshot::{Peer, Row};
use super::switchboard::Switchboard;
use crate::chat::{Delivery, Hub, Line, Nick, Outcome, RoomName, Rules};
use crate::config::settings::{Config, HalfClosePolicy, LogLevel};
use crate::id::{ConnId, Slot};
use crate::session::timers::Timer;
use crate::session::{CloseReason, Incoming, Limits, Linger, Milestone, Phase, Wants};
use crate::time::{Moment, Now};
use crate::wire::text::scrub;

/// Slices in one vectored write.
const SLICES_MAX: usize = 64;
/// Connections that ended and are still known.
pub(super) const CLOSED_MAX: usize = 1_000;

/// What became of a write.
#[derive(Debug)]
pub enum Flushed {
    /// Everything queued is the kernel's now.
    All,
    /// The budget is used up; more can be written at once.
    More,
    /// The kernel takes no more for now.
    Blocked,
    /// The socket failed.
    Failed(io::Error),
}

/// The whole server without its I/O.
#[derive(Debug)]
pub struct Engine {
    pub(super) hub: Hub,
    pub(super) board: Switchboard,
    pub(super) door: Door,
    pub(super) deadlines: Deadlines,
    pub(super) closed: std::collections::VecDeque<Row>,
    pub(super) name: String,
    pub(super) drain: Duration,
    pub(super) outbox_total: usize,
    /// The end of the clean stop under way.
    pub(super) stopping: Option<Moment>,
    flood_rate: u32,
    /// The message under way; kept for its memory.
    text: String,
    /// What a telnet client sent, without its commands; kept for its memory.
    telnet_text: Vec<u8>,
}

impl Engine {
    /// A server with nobody in it.
    ///
    #[must_use]
    pub fn new(config: &Config, now: Now) -> Self {
        Self {
            hub: Hub::new(rules(config)),
            board: Switchboard::new(Limits::from(config), now),
            door: Door::new(&config.limits),
            deadlines: Deadlines::default(),
            closed: std::collections::VecDeque::new(),
            name: config.server.name.clone(),
            drain: config.server.drain,
            outbox_total: config.limits.outbox_total.bytes(),
            stopping: None,
            flood_rate: config.flood.lines_per_second,
            text: String::new(),
            telnet_text: Vec::new(),
        }
    }

    /// Everything until the next call happens at `now`.
    pub fn begin_turn(&mut self, now: Now) {
        self.board.now = now;
    }

    /// Bytes were read from the socket of `slot`.
    pub fn handle_bytes(&mut self, slot: Slot, input: &[u8]) {
        let now = self.board.now.moment;
        self.board.totals.bytes_in += input.len() as u64;
        let limits = self.board.limits;
        let Some(entry) = self.board.entry_mut(slot) else { return };
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
        let Some(entry) = self.board.entry_mut(slot) else { return };
        if !entry.session.handle_eof(now.moment) {
            return;
        }
        let (id, unsent) = (entry.id, entry.session.outbox().bytes() as u64);
        if !entry.turned_away {
            self.board.journal.add(now, Record::Eof { id, nick, unsent });
        }
        self.parse(slot, &[]);
        self.board.touch(slot);
    }

    /// The socket failed: it is to be closed, and whoever it was has left.
    pub fn handle_error(&mut self, slot: Slot, error: &io::Error) {
        let now = self.board.now.moment;
        let reason = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CloseReason::ResetByPeer,
            _ => CloseReason::Error(error.to_string()),
        };
        let Some(entry) = self.board.entry_mut(slot) else { return };
        entry.session.note(now, Milestone::Error(error.to_string()));
        let reason = entry.session.reason().cloned().unwrap_or(reason);
        entry.session.reset(reason);
        self.board.touch(slot);
    }

    /// Send-Q of `slot` stands at `send_q` bytes; asked for by [`Wants::probe`].
    pub fn handle_send_q(&mut self, slot: Slot, send_q: u32) {
        let (now, limits) = (self.board.now.moment, self.board.limits);
        if let Some(entry) = self.board.entry_mut(slot) {
            entry.session.handle_send_q(send_q, now, &limits);
            self.board.touch(slot);
        }
    }

    /// Sees to every deadline that has passed.
    pub fn handle_timeout(&mut self) {
        let (now, limits) = (self.board.now, self.board.limits);
        while let Some(slot) = self.deadlines.due(now.moment) {
            while let Some(timer) =
                self.board.entry_mut(slot).and_then(|entry| entry.session.handle_timeout(now.moment, &limits))
            {
                self.timer_ran_out(slot, timer);
            }
            self.arm(slot);
            self.board.touch(slot);
        }
        if self.hub.poll_timeout().is_some_and(|at| at <= now.moment) {
            self.hub.handle_timeout(now, &mut self.board);
        }
    }

    /// When [`Engine::handle_timeout`] is wanted next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        [self.deadlines.next(), self.hub.poll_timeout(), self.stopping].into_iter().flatten().min()
    }

    /// Delivers what was said since the last call, and sees to whoever overflowed by it.
    pub fn settle(&mut self) {
        self.board.settle();
        self.board.bound_total(self.outbox_total);
        while let Some((slot, overflow)) = self.board.overflows.pop() {
            let Some(entry) = self.board.entry(slot) else { continue };
            if overflow.disconnect && entry.session.phase() != Phase::Draining {
                self.part(slot, CloseReason::OutboxFull, Linger::FAREWELL);
                self.board.settle();
            } else if overflow.slow {
                let (id, outbox) = (entry.id, entry.session.outbox().bytes() as u64);
                let limit = self.board.limits.outbox_bytes as u64;
                let record = Record::Slow { id, nick: self.nick(slot), outbox, limit };
                self.board.journal.add(self.board.now, record);
            }
        }
    }

    /// Takes the connections whose socket may have something to do.
    pub fn take_dirty(&mut self, out: &mut Vec<Slot>) {
        out.clear();
        std::mem::swap(out, &mut self.board.dirty);
        for slot in out.iter() {
            if let Some(entry) = self.board.entries.get_mut(slot.index()) {
                entry.dirty = false;
            }
        }
    }

    /// Whether some connection waits to be taken by [`Engine::take_dirty`].
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        !self.board.dirty.is_empty()
    }

    /// What the socket of `slot` should do now; `None` if it is gone.
    #[must_use]
    pub fn wants(&self, slot: Slot) -> Option<Wants> {
        self.board.entry(slot).map(|entry| entry.session.wants())
    }

    /// `slot` goes on being looked at in the next turn.
    pub fn touch(&mut self, slot: Slot) {
        self.board.touch(slot);
    }

    /// Writes what is queued for `slot` with one call of `write`, at most about `budget` bytes.
    pub fn flush(
        &mut self,
        slot: Slot,
        budget: usize,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Flushed {
        let (now, limits) = (self.board.now, self.board.limits);
        let Some(entry) = self.board.entries.get_mut(slot.index()) else { return Flushed::All };
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut told = 0;
        let (count, offered) =
            entry.session.gather(&mut self.board.chunks, budget, &mut slices, |lines, bytes| {
                told = lines;
                bytes.extend_from_slice(format!("-- {lines} lines skipped\r\n").as_bytes());
            });
        let written = write(&slices[..count]);
        let id = entry.id;
        let flushed = self.take_written(slot, written, offered, now.moment, &limits);
        if told > 0 {
            let record = Record::Skipped { id, nick: self.nick(slot), lines: told.into() };
            self.board.journal.add(now, record);
        }
        flushed
    }

    /// FIN was sent on the socket of `slot`.
    pub fn fin_sent(&mut self, slot: Slot) {
        let (now, limits) = (self.board.now.moment, self.board.limits);
        if let Some(entry) = self.board.entry_mut(slot) {
            entry.session.fin_sent(now, &limits);
            self.board.touch(slot);
        }
    }

    /// The turn's work on `slot` is done: its next deadline is noted.
    pub fn arm(&mut self, slot: Slot) {
        if let Some(entry) = self.board.entries.get_mut(slot.index()) {
            let wanted = entry.session.poll_timeout();
            self.deadlines.arm(slot, &mut entry.armed, wanted);
        }
    }

    /// The turn's writes are done. What was said in their course, by those whose lines had waited for room in their
    /// outbox, is delivered first: the memory it is in may be given back.
    pub fn end_turn(&mut self) {
        self.settle();
        self.board.release_chunks();
    }

    /// The socket of `slot` is closed: whoever it was leaves, if that has not happened yet, and the slot is free.
    pub fn ended(&mut self, slot: Slot) {
        let now = self.board.now;
        let Some(entry) = self.board.entry(slot) else { return };
        let reason = entry.session.reason().cloned().unwrap_or(CloseReason::Eof);
        self.depart(slot, &reason);
        let row = self.gone_row(slot, &reason);
        let Some(mut entry) = self.board.entries.try_remove(slot.index()) else { return };
        self.deadlines.arm(slot, &mut entry.armed, None);
        let unsent = entry.session.end(&mut self.board.chunks) as u64;
        *self.board.totals.closed.entry(reason.word()).or_default() += 1;
        self.door.left(entry.peer, entry.turned_away);
        if !entry.turned_away {
            let nick = entry.parted.map(|nick| *nick);
            self.board.journal.add(now, Record::Closed { id: entry.id, nick, reason, unsent });
            if self.closed.len() == CLOSED_MAX {
                self.closed.pop_front();
            }
            self.closed.extend(row);
        }
    }

    /// Records after sequence number `seq`, oldest first.
    pub fn records_after(&self, seq: u64) -> impl Iterator<Item = &record::Entry> {
        self.board.journal.after(seq)
    }

    /// Notes something about the server as a whole.
    pub fn note(&mut self, level: LogLevel, text: String) {
        self.board.journal.add(self.board.now, Record::Server { level, text });
    }

    /// Begins the clean stop: everybody is told, flushed and closed within `within`.
    pub fn stop(&mut self, within: Option<Duration>) {
        if self.stopping.is_some() {
            return;
        }
        let within = within.unwrap_or(self.drain);
        self.stopping = Some(self.board.now.moment + within);
        self.hub.operator_says(&format!("{} is stopping", self.name), &mut self.board);
        let slots: Vec<Slot> = self.board.entries.iter().map(|(index, _)| Slot::at(index)).collect();
        for slot in &slots {
            // Nobody is told of each other's leaving: all leave.
            self.board.unseat(*slot);
        }
        for slot in slots {
            self.part(slot, CloseReason::ServerStop, Linger::server_stop(within));
        }
    }

    /// Connections accepted and messages received so far.
    #[must_use]
    pub const fn served(&self) -> (u64, u64) {
        (self.board.totals.accepted, self.board.totals.lines_in)
    }

    /// Whether the server is stopping.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether the stop is over: nobody is left, or its time is up.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopping.is_some_and(|at| self.board.entries.is_empty() || at <= self.board.now.moment)
    }

    /// The slots of all connections.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.board.entries.iter().map(|(index, _)| Slot::at(index))
    }

    pub(super) fn nick(&self, slot: Slot) -> Option<Nick> {
        self.hub.person(slot).map(|person| *person.nick())
    }

    /// Somebody enters: named, greeted, in the lobby.
    pub(super) fn enter(&mut self, slot: Slot, id: ConnId, peer: Peer) {
        let now = self.board.now;
        self.board.journal.add(now, Record::Accepted { id, peer });
        self.hub.enter(slot, id, now, &mut self.board);
        self.board.touch(slot);
    }

    /// The session ends with a farewell: out of the hub, then flush, FIN, and what `linger` says.
    pub(super) fn part(&mut self, slot: Slot, reason: CloseReason, linger: Linger) -> bool {
        self.depart(slot, &reason);
        let now = self.board.now.moment;
        let Some(entry) = self.board.entry_mut(slot) else { return false };
        let parted = entry.session.farewell(reason, linger, now);
        self.board.touch(slot);
        parted
    }

    /// A last line to somebody whose session then ends.
    pub(super) fn part_with(&mut self, slot: Slot, text: &str, reason: CloseReason) -> bool {
        self.board.answer(slot, &Line::Notice(text));
        self.part(slot, reason, Linger::FAREWELL)
    }

    /// Out of the hub and the feeds; the name stays known for the records.
    fn depart(&mut self, slot: Slot, reason: &CloseReason) {
        let now = self.board.now;
        let nick = self.hub.leave(slot, &reason.to_string(), now, &mut self.board);
        self.board.unseat(slot);
        if let Some(nick) = nick
            && let Some(entry) = self.board.entry_mut(slot)
        {
            entry.parted = Some(Box::new(nick));
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
        self.parse(slot, if is_stripped { &text } else { input });
        self.telnet_text = text;
    }

    /// Takes messages one at a time for as long as the session gives any.
    pub(super) fn parse(&mut self, slot: Slot, mut input: &[u8]) {
        let mut text = std::mem::take(&mut self.text);
        while let Some(incoming) = self.board.next_message(slot, &mut input, &mut text) {
            self.take_message(slot, incoming, &text);
        }
        self.text = text;
        if self.board.entry(slot).is_some_and(|entry| entry.session.input_is_done()) {
            self.input_done(slot);
        }
    }

    fn take_message(&mut self, slot: Slot, incoming: Incoming, text: &str) {
        let now = self.board.now;
        match incoming {
            Incoming::Flooding => {
                let nick = self.nick(slot);
                let Some(id) = self.board.entry(slot).map(|entry| entry.id) else { return };
                self.board.journal.add(now, Record::Flow { id, nick });
                let rate = self.flood_rate;
                let told = format!("slow down: you are read at {rate} lines a second until you pause");
                self.board.answer(slot, &Line::Notice(&told));
            }
            Incoming::TooLong => {
                let limit = self.board.limits.line_bytes;
                let told =
                    format!("that line has more than {limit} bytes and was not sent; send it in parts");
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

    /// Everything that a peer sent before its FIN is answered.
    fn input_done(&mut self, slot: Slot) {
        let limits = self.board.limits;
        let now = self.board.now.moment;
        let Some(entry) = self.board.entry_mut(slot) else { return };
        match entry.session.phase() {
            Phase::Eof if entry.session.listens() => {}
            Phase::Eof if limits.half_close == HalfClosePolicy::Listen => {
                entry.session.listen_until(now + limits.half_close_timeout);
            }
            Phase::Eof | Phase::Draining => {
                if entry.session.reason().is_none() {
                    self.part(slot, CloseReason::Eof, Linger::for_peer(limits.half_close_timeout));
                }
            }
            Phase::Open | Phase::RdShut | Phase::WrShut | Phase::Gone => {}
        }
    }

    fn timer_ran_out(&mut self, slot: Slot, timer: Timer) {
        match timer {
            Timer::Flow => self.parse(slot, &[]),
            Timer::HalfClose => {
                let told = "half-closed for too long: goodbye";
                self.part_with(slot, told, CloseReason::HalfCloseTimeout);
            }
            Timer::Patience => {
                let told = "you sent too much for too long without a pause: goodbye";
                self.part_with(slot, told, CloseReason::Flood);
            }
            Timer::Linger | Timer::LingerIdle | Timer::Probe => {}
        }
    }

    fn take_written(
        &mut self,
        slot: Slot,
        written: io::Result<usize>,
        offered: usize,
        now: Moment,
        limits: &Limits,
    ) -> Flushed {
        let taken = match written {
            Ok(taken) => taken,
            Err(error) if is_full(&error) => 0,
            Err(error) => return Flushed::Failed(error),
        };
        self.board.totals.bytes_out += taken as u64;
        let Some(entry) = self.board.entries.get_mut(slot.index()) else { return Flushed::All };
        let resumes = entry.session.wrote(&mut self.board.chunks, taken, offered, now, limits);
        let is_empty = entry.session.outbox().is_empty();
        if resumes {
            self.parse(slot, &[]);
        }
        match taken {
            _ if taken < offered => Flushed::Blocked,
            _ if is_empty => Flushed::All,
            _ => Flushed::More,
        }
    }
}

/// What chat needs of the configuration.
fn rules(config: &Config) -> Rules {
    Rules {
        server_name: scrub(config.server.name.as_bytes()).text.into_owned(),
        motd: config.server.motd.lines().map(|line| scrub(line.as_bytes()).text.into_owned()).collect(),
        lobby: RoomName::parse(&config.rooms.lobby).expect("a Config that exists is legal"),
        rooms_max: config.limits.rooms,
        rooms_per_client: config.limits.rooms_per_client,
        presence_max: config.rooms.presence_max,
    }
}

/// Errors of a write that only say "later".
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(ENOBUFS)
}

/// `ENOBUFS` (send(2)): the interface's queue is full for the moment.
const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };
