//! The control socket's side of the engine: operators' connections, their requests, and answers that are made as
//! their reader takes them.
//!
//! An operator's connection is a session like any other, with another role: the same framer, half-close, outbox
//! and deadlines, but no flood limits and no part in chat. One request a line, one JSON object a line as the answer,
//! in order. Orders are answered at once. Questions are answered in [`Engine::answer`], once a turn, a few rows at a
//! time and only while the outbox has room, so neither a long answer nor a slow reader of one holds up a turn.
//!
//! Invariants: a row is made when it is put into the outbox, never before; an answer is complete or its connection
//! is over; while one is under way the operator's next request waits and the socket is not read.

mod inquiry;
pub(super) mod json;
pub mod onlooker;

use std::time::Duration;

use inquiry::{Inquiry, Progress};
use onlooker::{Asked, Picture};

use super::connection::{Connection, Role};
use super::server::Engine;
use super::verbs::{Done, Outcome};
use crate::id::{ConnId, Slot};
use crate::model::snapshot::{Kernel, Peer, Status};
use crate::model::verbs::{Follow, OperatorCommand, Question};
use crate::session::{CloseReason, Incoming, Linger, Output, Phase};
use crate::time::Moment;
use crate::wire::framing::Framing;

/// Operators at a time; one more is told so and closed.
pub const OPERATORS_MAX: usize = 16;
/// Rows made in one turn, for all operators together.
const ROWS_A_TURN: usize = 128;
/// How often a snapshot that is followed is told again.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// An operator that has asked something keeps its place for so long after that, however many others want one.
const SPARED_FOR: Duration = Duration::from_secs(10);
/// The same for one that has asked nothing yet: a request follows its connection at once.
const ASKED_WITHIN: Duration = Duration::from_millis(10);
/// An operator that asks nothing for so long is ended.
const IDLE_MAX: Duration = Duration::from_secs(3_600);
/// How long a server that stops waits for an operator that takes nothing.
const UNREAD_MAX: Duration = Duration::from_secs(1);
/// An answer goes on while less than so many bytes of it wait for their reader.
const ANSWER_AHEAD_BYTES: usize = 64 * 1024;

/// What only the process and its kernel know; asked while an answer is made.
pub trait Machine {
    /// The kernel's side of a connection, where the system tells it.
    fn kernel(&self, slot: Slot) -> Option<Kernel>;

    /// Fills in what the engine leaves at its default: process, loop, descriptors, memory, accept queues.
    fn complete(&self, status: &mut Status);
}

/// The line for an operator who is not let in: `{"ok":false,"error":WHY}`.
#[must_use]
pub fn refusal(why: &str) -> Vec<u8> {
    let mut line = Vec::new();
    json::failure(&mut line, why);
    line
}

/// Everybody on the control socket.
#[derive(Debug, Default)]
pub(super) struct Operators {
    here: Vec<Operator>,
    /// What is written for one of them; kept for its memory.
    line: Vec<u8>,
    accepted: u64,
}

#[derive(Debug)]
struct Operator {
    slot: Slot,
    /// Rises from operator to operator, from 1.
    number: u64,
    uid: u32,
    /// 0 where it is not known.
    pid: i32,
    since: Moment,
    /// When it last asked for something, if it has.
    asked: Option<Moment>,
    /// The answer under way.
    inquiry: Option<Inquiry>,
    /// What is answered again and again.
    followed: Option<Followed>,
}

/// What somebody follows, and when its next answer begins.
#[derive(Clone, Copy, Debug)]
enum Followed {
    /// Once there is an event behind this one.
    Events { after: u64 },
    /// At this moment.
    Snapshot { at: Moment },
}

impl Operator {
    /// For how long it has asked nothing and is told nothing.
    fn idle(&self, now: Moment) -> Option<Duration> {
        let is_idle = self.inquiry.is_none() && self.followed.is_none();
        is_idle.then(|| now.since(self.asked.unwrap_or(self.since)))
    }
}

impl Operators {
    pub(super) fn count(&self) -> usize {
        self.here.len()
    }

    pub(super) fn has(&self, slot: Slot) -> bool {
        self.here.iter().any(|operator| operator.slot == slot)
    }

    pub(super) fn left(&mut self, slot: Slot) {
        self.here.retain(|operator| operator.slot != slot);
    }

    fn begin(&mut self, slot: Slot, inquiry: Inquiry) {
        if let Some(operator) = self.here.iter_mut().find(|operator| operator.slot == slot) {
            operator.inquiry = Some(inquiry);
        }
    }

    fn follow(&mut self, slot: Slot, followed: Followed) {
        if let Some(operator) = self.here.iter_mut().find(|operator| operator.slot == slot) {
            operator.followed = Some(followed);
        }
    }

    /// When the next answer begins that waits for nothing but time.
    pub(super) fn next(&self) -> Option<Moment> {
        let idle = self.here.iter().filter(|operator| operator.inquiry.is_none());
        let times = idle.filter_map(|operator| match operator.followed? {
            Followed::Snapshot { at } => Some(at),
            Followed::Events { .. } => None,
        });
        times.min()
    }
}

impl Engine {
    /// An operator's connection was accepted, from a process of this user. `None`: there are too many, it is to be told
    /// and closed.
    pub fn operator_accepted(&mut self, uid: u32, pid: i32) -> Option<Slot> {
        if !self.make_room_for_operator() {
            return None;
        }
        self.operators.accepted += 1;
        // Numbered apart: clients' ids are not used up by whoever asks about them.
        let id = ConnId::new(self.operators.accepted).unwrap_or(ConnId::FIRST);
        let conn =
            Connection::new(id, Role::Operator, Peer::Unix, u16::MAX, Framing::Lines, self.conns.now.moment);
        let slot = Slot::at(self.conns.slab.insert(conn));
        let (number, since) = (self.operators.accepted, self.conns.now.moment);
        let operator = Operator { slot, number, uid, pid, since, asked: None, inquiry: None, followed: None };
        self.operators.here.push(operator);
        self.conns.touch(slot);
        Some(slot)
    }

    /// Whether one more operator has a place; the one that is idle for longest loses its own if there is no other.
    fn make_room_for_operator(&mut self) -> bool {
        let now = self.conns.now.moment;
        let is_leaving = |operator: &&Operator| {
            self.conns.get(operator.slot).is_some_and(|conn| conn.session.phase() == Phase::Draining)
        };
        let here = &self.operators.here;
        if here.len() - here.iter().filter(is_leaving).count() < OPERATORS_MAX {
            return here.len() < 2 * OPERATORS_MAX;
        }
        let spare = here.iter().filter(|operator| !is_leaving(operator)).filter_map(|operator| {
            let idle = operator.idle(now)?;
            let spared = if operator.asked.is_some() { SPARED_FOR } else { ASKED_WITHIN };
            (idle >= spared).then_some((idle, operator.slot))
        });
        let Some((_, slot)) = spare.max_by_key(|(idle, _)| *idle) else { return false };
        self.end_operator(slot, "it was idle for longest, and another operator needed a place");
        self.operators.here.len() < 2 * OPERATORS_MAX
    }

    fn end_operator(&mut self, slot: Slot, why: &str) {
        self.refuse(slot, &format!("this connection ends: {why}"));
        self.close(slot, CloseReason::Kicked(why.to_owned()), Linger::FAREWELL);
    }

    /// Ends the connection of the operator with this number in `operators`.
    pub(super) fn disconnect_operator(&mut self, number: u64) -> Outcome {
        let found = self.operators.here.iter().find(|operator| operator.number == number);
        let Some(slot) = found.map(|operator| operator.slot) else {
            return Err(format!("no operator has the number {number}; operators lists them"));
        };
        self.end_operator(slot, "another operator ended it");
        Ok(format!("disconnected operator {number}").into())
    }

    /// The operator with the next number behind `after`.
    fn operator_after(&self, after: u64) -> Option<&Operator> {
        let later = self.operators.here.iter().filter(|operator| operator.number > after);
        later.min_by_key(|operator| operator.number)
    }

    pub(super) fn operators_summary(&self) -> String {
        let numbers: Vec<String> =
            self.operators.here.iter().map(|operator| operator.number.to_string()).collect();
        match numbers.as_slice() {
            [] => "nobody is on the control socket".to_owned(),
            numbers => format!("on the control socket: {}", numbers.join(", ")),
        }
    }

    /// Goes on with the answers under way, within the budget of a turn; called once a turn, before
    /// [`Engine::end_turn`].
    pub fn answer(&mut self, machine: &impl Machine) {
        let mut rows = ROWS_A_TURN;
        for at in 0..self.operators.here.len() {
            self.begin_anew(at);
            let Operator { slot, inquiry, followed, .. } = &mut self.operators.here[at];
            let (slot, is_followed, Some(mut inquiry)) = (*slot, followed.is_some(), inquiry.take()) else {
                continue;
            };
            if !self.go_on(slot, &mut inquiry, &mut rows, machine) {
                self.operators.here[at].inquiry = Some(inquiry);
            } else if !is_followed {
                self.answered(slot);
            }
        }
        // Whoever is first has the whole budget: each turn another.
        if self.operators.here.len() > 1 {
            self.operators.here.rotate_left(1);
        }
    }

    /// Whether the next answer of what an operator follows is to begin.
    fn is_due(&self, operator: &Operator) -> bool {
        operator.inquiry.is_none()
            && operator.followed.is_some_and(|followed| match followed {
                Followed::Events { after } => self.conns.journal.last() > after,
                Followed::Snapshot { at } => at <= self.conns.now.moment,
            })
    }

    /// Begins the next answer of what the operator at this place follows, if it is time.
    fn begin_anew(&mut self, at: usize) {
        if !self.is_due(&self.operators.here[at]) {
            return;
        }
        let (inquiry, followed) = match self.operators.here[at].followed {
            Some(Followed::Events { after }) => {
                (self.inquire_events(after), Followed::Events { after: self.conns.journal.last() })
            }
            _ => (self.inquire_snapshot(), Followed::Snapshot { at: self.conns.now.moment + SNAPSHOT_EVERY }),
        };
        let operator = &mut self.operators.here[at];
        (operator.inquiry, operator.followed) = (Some(inquiry), Some(followed));
    }

    /// Writes as much of an answer as there is room for. `true` if it is complete, or nobody can read it any more.
    fn go_on(&mut self, slot: Slot, inquiry: &mut Inquiry, rows: &mut usize, machine: &impl Machine) -> bool {
        let Some(session) = self.conns.get(slot).map(|conn| &conn.session) else { return true };
        if session.output() != Output::Open {
            return true;
        }
        let room = ANSWER_AHEAD_BYTES.saturating_sub(session.outbox().bytes());
        let mut line = std::mem::take(&mut self.operators.line);
        let mut progress = Progress::Going;
        while progress == Progress::Going && line.len() < room && *rows > 0 {
            *rows = rows.saturating_sub(inquiry.cost(self.conns.slab.len()));
            progress = self.advance(inquiry, &mut line, machine);
        }
        self.conns.answer_raw(slot, &line);
        line.clear();
        self.operators.line = line;
        progress == Progress::Complete
    }

    /// An answer is complete: requests that waited for it are taken.
    pub(super) fn answered(&mut self, slot: Slot) {
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.set_answering(false);
            self.conns.touch(slot);
            self.parse(slot, &[]);
        }
    }

    /// One line of an operator.
    pub(super) fn take_request(&mut self, slot: Slot, incoming: Incoming, text: &str) {
        match incoming {
            // Operators have no flood limits, every end of input ends a line, and their streams are not looked at.
            Incoming::Flooding | Incoming::Help | Incoming::Incomplete => {}
            Incoming::Foreign(protocol) => {
                self.refuse(
                    slot,
                    &format!("this is a control socket and no {protocol}: send one verb a line"),
                );
                self.close(slot, CloseReason::Foreign(protocol), Linger::FAREWELL);
            }
            Incoming::TooLong => {
                let limit = self.conns.limits_of(slot).line_bytes;
                self.refuse(slot, &format!("a request has at most {limit} bytes"));
            }
            Incoming::Message => {
                let now = self.conns.now.moment;
                if let Some(operator) = self.operators.here.iter_mut().find(|operator| operator.slot == slot)
                {
                    operator.asked = Some(now);
                }
                self.answer_request(slot, text);
            }
        }
    }

    fn answer_request(&mut self, slot: Slot, text: &str) {
        match Asked::parse(text) {
            Some(Ok(Asked::Brief(question))) => {
                self.conns.charge_rows(self.conns.slab.len());
                let outcome = self.summary(question).map(Done::from);
                self.answer_outcome(slot, None, &outcome);
            }
            Some(Ok(Asked::Picture(query))) => self.begin(slot, Picture::new(query).into()),
            Some(Err(why)) => self.refuse(slot, &why.to_string()),
            None => self.take_verb(slot, text),
        }
    }

    fn take_verb(&mut self, slot: Slot, text: &str) {
        match text.parse::<OperatorCommand>() {
            Ok(OperatorCommand::Ask(question)) => {
                self.begin(slot, self.inquire(question));
                self.follow(slot, question);
            }
            // Half of `reset 12` is `reset 1`.
            Ok(_) if self.was_cut_off(slot) => self.refuse(slot, "the request has no line end"),
            Ok(OperatorCommand::Reload) => self.ask_to_reload(slot),
            Ok(command) => {
                let (id, outcome) = self.order(&command);
                self.answer_outcome(slot, id, &outcome);
            }
            Err(why) => self.refuse(slot, &why.to_string()),
        }
    }

    fn was_cut_off(&self, slot: Slot) -> bool {
        self.conns.get(slot).is_some_and(|conn| conn.session.was_cut_off())
    }

    fn answer_outcome(&mut self, slot: Slot, id: Option<ConnId>, outcome: &Outcome) {
        let mut line = Vec::new();
        json::outcome(&mut line, id, outcome);
        self.conns.answer_raw(slot, &line);
    }

    fn begin(&mut self, slot: Slot, inquiry: Inquiry) {
        self.operators.begin(slot, inquiry);
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.set_answering(true);
        }
        self.conns.touch(slot);
    }

    /// What is to be answered again and again is noted; the operator's next request waits for ever.
    fn follow(&mut self, slot: Slot, question: Question) {
        let followed = match question {
            Question::Events(Follow::On) => Followed::Events { after: self.conns.journal.last() },
            Question::Snapshot(Follow::On) => {
                Followed::Snapshot { at: self.conns.now.moment + SNAPSHOT_EVERY }
            }
            _ => return,
        };
        self.operators.follow(slot, followed);
    }

    fn refuse(&mut self, slot: Slot, why: &str) {
        self.conns.answer_raw(slot, &refusal(why));
    }

    /// At the end of a turn: answers that can go on have another turn at once, and operators whose server has
    /// nobody left go last.
    pub(super) fn see_to_operators(&mut self) {
        let is_over = self.is_stopping() && self.conns.slab.len() == self.operators.count();
        let now = self.conns.now.moment;
        for at in 0..self.operators.here.len() {
            let operator = &self.operators.here[at];
            let (slot, is_due, is_answering) =
                (operator.slot, self.is_due(operator), operator.inquiry.is_some());
            let Some(conn) = self.conns.get(slot) else { continue };
            let phase = conn.session.phase();
            if operator.idle(now).is_some_and(|idle| idle >= IDLE_MAX) && phase != Phase::Draining {
                self.end_operator(slot, "it was idle for an hour");
                continue;
            }
            // What is followed has no end of its own, and an answer that is not read is not waited for.
            let is_unread = conn.session.outbox_age(now).is_some_and(|age| age >= UNREAD_MAX);
            let is_ended = !is_answering || operator.followed.is_some() || is_unread;
            if is_over && is_ended && conn.session.phase() != Phase::Draining {
                self.close(slot, CloseReason::ServerStop, Linger::server_stop(self.drain.min(UNREAD_MAX)));
            } else if (is_answering || is_due) && conn.session.outbox().bytes() < ANSWER_AHEAD_BYTES {
                self.conns.touch(slot);
            }
        }
    }
}
