//! The server's side of all links: requests are answered one onlooker after the other, within a budget for each turn.
//!
//! A page is made when it is requested, so an onlooker that does not read costs nothing. The list of operators on the
//! control socket is here as well: who they are, which one loses its place, and which one is ended.
//!
//! Invariants: each request is answered once, or its onlooker is gone. No call waits.

use std::collections::VecDeque;
use std::time::Duration;

use super::local::{self, LocalLink, Mailbox};
use super::{LinkError, Request, Response};
use crate::engine::Engine;
use crate::id::{ConnId, Slot};
use crate::model::answer::{Kernels, List, OperatorRow, Outcome, Page, Rows};
use crate::model::snapshot::{Kernel, Query, Status};
use crate::model::verbs::{OperatorCommand, Question};
use crate::time::Moment;

/// Operators at a time.
pub const OPERATORS_MAX: usize = 16;
/// An operator that has asked something keeps its place for so long after that, however many others want one.
const SPARED_FOR: Duration = Duration::from_secs(10);
/// The same for one that has asked nothing yet: a request follows its connection at once.
const ASKED_WITHIN: Duration = Duration::from_millis(10);
/// Requests of one operator that may be under way: it waits for each answer.
const OPERATOR_REQUESTS_MAX: usize = 2;
/// Requests answered in one turn, of all onlookers together.
const REQUESTS_A_TURN: usize = 64;
/// Rows made in one turn, for all onlookers together.
const ROWS_A_TURN: usize = 128;
/// Connections that are looked at for what it costs to make one row.
const LOOKS_A_ROW: usize = 64;
/// Connections whose turn in a list is looked up at a time.
const BATCH_MAX: usize = 4_096;

/// What only the process and its kernel know; asked while an answer is made.
pub trait Machine {
    /// The kernel's side of a connection, where the system tells it.
    fn kernel(&self, slot: Slot) -> Option<Kernel>;

    /// Fills in what the engine leaves at its default: process, loop, descriptors, memory, accept queues.
    fn complete(&self, status: &mut Status);
}

/// Everybody who looks on.
#[derive(Debug, Default)]
pub struct Onlookers {
    all: Vec<Onlooker>,
    /// Onlookers and operators so far.
    attached: u64,
    operators: u64,
    /// Snapshots to be taken at the end of the turn.
    snapshots: Vec<(u64, Query)>,
    reloads: Vec<Asker>,
}

#[derive(Debug)]
struct Onlooker {
    id: u64,
    mailbox: Mailbox,
    operator: Option<Operator>,
    /// A list that has no row yet, and the limit of its page.
    parked: Option<(List, usize)>,
    ids: Ids,
    /// It knows that nobody but operators is left.
    is_told_to_stop: bool,
}

#[derive(Clone, Copy, Debug)]
struct Operator {
    number: u64,
    uid: u32,
    pid: i32,
    since: Moment,
}

/// The next connections of a list, found together: to find them, all connections are looked at.
#[derive(Debug, Default)]
struct Ids {
    next: VecDeque<(ConnId, Slot)>,
    /// They are those after this id.
    after: u64,
}

/// An onlooker that waits for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    onlooker: u64,
    ticket: u64,
}

impl Onlooker {
    fn has_left(&self) -> bool {
        self.mailbox.has_left()
    }

    /// Its parked list, if there is a row by now; else its next request.
    fn next_request(&mut self, engine: &Engine) -> Option<Request> {
        if self.is_due(engine) {
            return self.parked.take().map(|(list, limit)| Request::Page { list, limit });
        }
        self.mailbox.next()
    }

    fn is_due(&self, engine: &Engine) -> bool {
        self.parked.as_ref().is_some_and(|(list, _)| !is_awaited(list, engine))
    }

    fn row(&self) -> Option<OperatorRow> {
        let Operator { number, uid, pid, since } = self.operator?;
        Some(OperatorRow { number, uid, pid, since, idle_since: self.mailbox.idle_since() })
    }

    /// For how long it has been idle, if it may lose its place.
    fn spare_time(&self, now: Moment) -> Option<Duration> {
        let idle = now.since(self.mailbox.idle_since()?);
        let spared = if self.mailbox.has_asked() { SPARED_FOR } else { ASKED_WITHIN };
        (idle >= spared).then_some(idle)
    }
}

/// Whether a page of this list has to wait for its first row.
fn is_awaited(list: &List, engine: &Engine) -> bool {
    matches!(list, List::Events { after, waits: true, .. } if *after >= engine.last_event())
}

impl Onlookers {
    /// A dashboard in this process. The functions wake either side.
    pub fn attach(
        &mut self,
        wake_server: impl Fn() + Send + Sync + 'static,
        wake_onlooker: impl Fn() + Send + Sync + 'static,
    ) -> LocalLink {
        let (link, mailbox) = local::local(wake_server, wake_onlooker);
        self.add(mailbox, None);
        link
    }

    /// An operator on the control socket, from this process of this user. If all places are taken, the operator that is
    /// idle for longest loses its own.
    ///
    /// # Errors
    ///
    /// When no operator is idle; in words for the new one.
    pub fn admit(
        &mut self,
        (uid, pid): (u32, i32),
        now: Moment,
        wake_server: impl Fn() + Send + Sync + 'static,
        wake_onlooker: impl Fn() + Send + Sync + 'static,
    ) -> Result<LocalLink, String> {
        if self.operator_count() >= OPERATORS_MAX {
            let idle = self.here().filter_map(|(at, one)| Some((one.spare_time(now)?, at)));
            let Some((_, at)) = idle.max_by_key(|(idle, _)| *idle) else {
                return Err(format!("{OPERATORS_MAX} operators are here already; end one"));
            };
            self.dismiss(at, "it was idle for longest, and another operator needed a place");
        }
        let (link, mailbox) = local::with_capacity(OPERATOR_REQUESTS_MAX, wake_server, wake_onlooker);
        link.set_idle(Some(now));
        self.operators += 1;
        self.add(mailbox, Some(Operator { number: self.operators, uid, pid, since: now }));
        Ok(link)
    }

    fn add(&mut self, mailbox: Mailbox, operator: Option<Operator>) {
        self.attached += 1;
        let (parked, ids) = (None, Ids::default());
        self.all.push(Onlooker { id: self.attached, mailbox, operator, parked, ids, is_told_to_stop: false });
    }

    /// The operators that have not left, with their places.
    fn here(&self) -> impl Iterator<Item = (usize, &Onlooker)> {
        self.all.iter().enumerate().filter(|(_, one)| one.operator.is_some() && !one.has_left())
    }

    /// The operators on the control socket.
    #[must_use]
    pub fn operator_count(&self) -> usize {
        self.here().count()
    }

    /// Whether a dashboard in this process looks on.
    #[must_use]
    pub fn has_dashboard(&self) -> bool {
        self.all.iter().any(|one| one.operator.is_none() && !one.has_left())
    }

    fn dismiss(&mut self, at: usize, why: &str) {
        let one = self.all.remove(at);
        self.forget(one.id);
        one.mailbox.end(LinkError::Dismissed(why.to_owned()));
    }

    fn forget(&mut self, id: u64) {
        self.snapshots.retain(|(asker, _)| *asker != id);
        self.reloads.retain(|asker| asker.onlooker != id);
    }

    /// Answers requests within the budget of a turn. `true` if there may be more of them.
    pub fn serve(&mut self, engine: &mut Engine, machine: &impl Machine) -> bool {
        let (mut requests, mut rows) = (REQUESTS_A_TURN, ROWS_A_TURN);
        let mut is_idle = false;
        while !is_idle {
            is_idle = true;
            let ids: Vec<u64> = self.all.iter().map(|one| one.id).collect();
            for id in ids {
                if requests == 0 || rows == 0 || !engine.takes_requests() {
                    self.end_round();
                    return true;
                }
                // An onlooker that an operator before it has ended is gone.
                let Some(one) = self.all.iter_mut().find(|one| one.id == id) else { continue };
                let Some(request) = one.next_request(engine) else { continue };
                is_idle = false;
                requests -= 1;
                rows = rows.saturating_sub(self.answer(id, request, rows, engine, machine));
            }
        }
        self.end_round();
        false
    }

    /// Onlookers that have left are forgotten, and in each turn another one is first.
    fn end_round(&mut self) {
        let left: Vec<u64> =
            self.all.iter().filter(|one| !one.mailbox.is_watched()).map(|one| one.id).collect();
        self.all.retain(|one| one.mailbox.is_watched());
        for id in left {
            self.forget(id);
        }
        if self.all.len() > 1 {
            self.all.rotate_left(1);
        }
    }

    /// Whether a list that waited for a row has one.
    #[must_use]
    pub fn are_due(&self, engine: &Engine) -> bool {
        self.all.iter().any(|one| one.is_due(engine))
    }

    /// Answers one request, and gives its cost in rows.
    fn answer(
        &mut self,
        id: u64,
        request: Request,
        rows: usize,
        engine: &mut Engine,
        machine: &impl Machine,
    ) -> usize {
        let look_at_all = 1 + engine.connection_count() / LOOKS_A_ROW;
        match request {
            Request::Snapshot(query) => {
                self.snapshots.push((id, query));
                1
            }
            Request::Verb { ticket, command } => {
                let cost = if matches!(command, OperatorCommand::Ask(_)) { look_at_all } else { 1 };
                if let Some(outcome) = self.carry_out(Asker { onlooker: id, ticket }, &command, engine) {
                    self.send(id, Response::Verb { ticket, outcome });
                }
                cost
            }
            Request::Status => {
                let now = engine.now();
                let mut status = engine.status();
                self.complete(&mut status, machine);
                self.send(id, Response::Status(Box::new((now, status))));
                look_at_all
            }
            Request::Connection(who) => {
                let found = engine.connection(who, |slot| machine.kernel(slot));
                self.send(id, Response::Connection(found.map(Box::new)));
                look_at_all
            }
            Request::Page { list, limit } if is_awaited(&list, engine) => {
                if let Some(one) = self.all.iter_mut().find(|one| one.id == id) {
                    one.parked = Some((list, limit));
                }
                1
            }
            Request::Page { list, limit } => {
                let Some(page) = self.page(id, list, limit.clamp(1, rows), engine, machine) else { return 1 };
                let cost = page.rows.len().max(1);
                self.send(id, Response::Page(Box::new(page)));
                cost
            }
        }
    }

    fn send(&mut self, id: u64, response: Response) {
        if let Some(one) = self.all.iter_mut().find(|one| one.id == id) {
            one.mailbox.answer(response);
        }
    }

    fn complete(&self, status: &mut Status, machine: &impl Machine) {
        machine.complete(status);
        status.operators = u32::try_from(self.operator_count()).unwrap_or(u32::MAX);
    }

    /// Carries out a verb; a reload is answered later.
    fn carry_out(&mut self, asker: Asker, command: &OperatorCommand, engine: &mut Engine) -> Option<Outcome> {
        match command {
            OperatorCommand::Ask(Question::Operators) => Some(Ok(self.operators_summary().into())),
            OperatorCommand::Disconnect(number) => {
                let outcome = self.disconnect(*number);
                engine.note_order(command, None, &outcome);
                Some(outcome)
            }
            OperatorCommand::Reload => {
                self.reloads.push(asker);
                None
            }
            _ => Some(engine.handle_operator(command)),
        }
    }

    fn operators_summary(&self) -> String {
        let mut numbers: Vec<u64> = self.rows().iter().map(|row| row.number).collect();
        numbers.sort_unstable();
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        match numbers.as_slice() {
            [] => "nobody is on the control socket".to_owned(),
            numbers => format!("on the control socket: {}", numbers.join(", ")),
        }
    }

    /// The operators by their numbers.
    fn rows(&self) -> Vec<OperatorRow> {
        let mut rows: Vec<OperatorRow> = self.here().filter_map(|(_, one)| one.row()).collect();
        rows.sort_unstable_by_key(|row| row.number);
        rows
    }

    fn disconnect(&mut self, number: u64) -> Outcome {
        let is_meant = |one: &Onlooker| one.operator.is_some_and(|operator| operator.number == number);
        let found = self.here().find(|(_, one)| is_meant(one)).map(|(at, _)| at);
        let Some(at) = found else {
            return Err(format!("no operator has the number {number}; operators lists them"));
        };
        self.dismiss(at, "another operator ended it");
        Ok(format!("disconnected operator {number}").into())
    }

    fn page(
        &mut self,
        id: u64,
        list: List,
        limit: usize,
        engine: &Engine,
        machine: &impl Machine,
    ) -> Option<Page> {
        let Ids { next, after } = &mut self.all.iter_mut().find(|one| one.id == id)?.ids;
        let (mut through, mut kernels) = (0, Kernels::All);
        if let List::Connections { after: begin, through: end, kernels: wanted } = &list {
            (through, kernels) = (*end, wanted.clone());
            if *begin != *after || *begin == 0 {
                (*next, *after) = (VecDeque::new(), *begin);
            }
        }
        let mut ids = std::iter::from_fn(|| {
            if next.is_empty() {
                *next = engine.connections_between(*after, through, BATCH_MAX).into();
            }
            let (id, slot) = next.pop_front()?;
            *after = id.get();
            Some((id, slot))
        });
        let kernel = |id, slot| match &kernels {
            Kernels::All => machine.kernel(slot),
            Kernels::Of(ids) => ids.binary_search(&id).ok().and_then(|_| machine.kernel(slot)),
        };
        let mut page = engine.page(list, limit, &mut ids, kernel);
        if let (Rows::Operators(rows), List::Operators { after }) = (&mut page.rows, &page.place) {
            rows.extend(self.rows().into_iter().filter(|row| row.number > *after));
        }
        Some(page)
    }

    /// Whether a snapshot was requested.
    #[must_use]
    pub fn want_snapshots(&self) -> bool {
        !self.snapshots.is_empty()
    }

    /// Takes the snapshots that were requested in this turn.
    pub fn take_snapshots(&mut self, engine: &Engine, machine: &impl Machine) {
        for (id, query) in std::mem::take(&mut self.snapshots) {
            let mut snapshot = engine.snapshot(&query, |slot| machine.kernel(slot));
            self.complete(&mut snapshot.status, machine);
            self.send(id, Response::Snapshot(Box::new(snapshot)));
        }
    }

    /// Whether an onlooker waits for a reload.
    #[must_use]
    pub fn want_reload(&self) -> bool {
        !self.reloads.is_empty()
    }

    /// Takes those that wait for a reload.
    pub fn take_reload_askers(&mut self) -> Vec<Asker> {
        std::mem::take(&mut self.reloads)
    }

    /// Tells those that have waited for a reload how it went.
    pub fn answer_reload(&mut self, askers: &[Asker], outcome: &Outcome) {
        for Asker { onlooker, ticket } in askers {
            self.send(*onlooker, Response::Verb { ticket: *ticket, outcome: outcome.clone() });
        }
    }

    /// Tells operators that nobody else is left on a server that stops, each once.
    pub fn stop_operators(&mut self) {
        for one in self.all.iter_mut().filter(|one| one.operator.is_some()) {
            if !std::mem::replace(&mut one.is_told_to_stop, true) {
                one.mailbox.answer(Response::Stopping);
            }
        }
    }

    /// The end of the server, and why.
    pub fn end(self, why: &LinkError) {
        for one in self.all {
            one.mailbox.end(why.clone());
        }
    }
}
