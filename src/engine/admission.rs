//! Which connections are let in: the caps, bans, the rate of each address, and the few that are told why they are
//! refused; and what holds a place after it: half-closed listeners, and input of sockets that have failed.

use std::io;

use super::connection::{Connection, Role};
use super::ledger::{HalfClosed, Ledger};
use super::server::Engine;
use super::throttle::Throttle;
use crate::chat::{Delivery, Line};
use crate::config::settings::{Config, LogLevel};
use crate::id::{ConnId, Slot};
use crate::model::event::EventKind;
use crate::model::snapshot::Peer;
use crate::session::{CloseReason, Linger};
use crate::time::Moment;
use crate::wire::foreign::Foreign;
use crate::wire::framing::Framing;

/// Refused connections that are told and waited for at a time; more are closed at once.
const LINGERING_MAX: u32 = 16;
/// Connections whose socket has failed and whose input is still worked off, of all addresses; of one address there is
/// one.
const ORPHANS_MAX: usize = 256;
/// The most input of theirs.
const ORPHAN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What to do with a connection that was accepted by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is served in this slot, even if only to be told that the server is full.
    In(Slot),
    /// It is closed without a word.
    Away,
}

/// What a call of accept(2) failed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFailure {
    /// One connection, which is gone; the next one may be well.
    Connection,
    /// Descriptors or memory have run out: it lasts, and accepting pauses.
    Exhausted,
}

/// Why a connection is not let in.
#[derive(Debug)]
struct Refusal {
    /// For the operator.
    why: &'static str,
    /// For the client.
    message: String,
}

/// The caps on connections and what they count.
#[derive(Debug)]
pub(super) struct Admission {
    /// Of each listener.
    framings: Vec<Framing>,
    clients_max: u32,
    half_closed_max: usize,
    clients: u32,
    lingering: u32,
    pub(super) ledger: Ledger,
    pub(super) half_closed: HalfClosed,
    /// Connections whose socket has failed and that have something to say still.
    pub(super) orphans: Vec<Slot>,
    next_id: ConnId,
    pub(super) paused: bool,
    /// Clients of other protocols.
    foreign: Throttle,
    /// Failures by [`AcceptFailure`].
    failures: [Throttle; 2],
}

impl Admission {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            framings: config.listen.0.iter().map(|listen| listen.framing).collect(),
            clients_max: limits.clients,
            half_closed_max: limits.half_closed_max(),
            clients: 0,
            lingering: 0,
            ledger: Ledger::new(limits),
            half_closed: HalfClosed::default(),
            orphans: Vec::new(),
            next_id: ConnId::FIRST,
            paused: false,
            foreign: Throttle::default(),
            failures: Default::default(),
        }
    }

    pub(super) const fn clients(&self) -> u32 {
        self.clients
    }

    /// What is full, if anything is.
    fn full(&self, peer: Peer) -> Option<&'static str> {
        if self.clients >= self.clients_max {
            return Some("the server is full");
        }
        self.ledger.full(self.ledger.address(peer)?)
    }

    fn take_place(&mut self, conn: &mut Connection) {
        conn.has_place = true;
        self.clients += 1;
        if let Some(address) = self.ledger.address(conn.peer()) {
            self.ledger.connected(address);
        }
    }

    /// The place of a client is free again, if it had one still.
    pub(super) fn give_place_back(&mut self, conn: &mut Connection, now: Moment) {
        if !std::mem::take(&mut conn.has_place) {
            return;
        }
        self.clients -= 1;
        if let Some(address) = self.ledger.address(conn.peer()) {
            self.ledger.disconnected(address, now);
        }
    }

    /// A connection that was turned away is gone.
    pub(super) const fn refused_left(&mut self) {
        self.lingering -= 1;
    }

    /// The number of the last connection so far; 0 before the first.
    pub(super) const fn last_id(&self) -> u64 {
        self.next_id.get() - 1
    }

    /// How messages are delimited on the listener with this number.
    fn framing(&self, listener: u16) -> Framing {
        self.framings.get(usize::from(listener)).copied().unwrap_or_default()
    }

    fn take_id(&mut self) -> ConnId {
        let id = self.next_id;
        self.next_id = id.next();
        id
    }
}

impl Engine {
    /// A connection from `peer` was accepted on the listener with this number: its place in `[[listen]]`.
    pub fn accepted(&mut self, listener: u16, peer: Peer) -> Accepted {
        let now = self.conns.now;
        self.conns.totals.accepted += 1;
        let refusal = self.refusal(peer);
        if let Some(Refusal { why, .. }) = refusal {
            self.conns.totals.refused += 1;
            if self.admission.lingering >= LINGERING_MAX || self.is_stopping() {
                return Accepted::Away;
            }
            self.conns.journal.add(now, EventKind::Refused { peer, why: why.into() });
        }
        let id = self.admission.take_id();
        let role = if refusal.is_some() { Role::TurnedAway } else { Role::Client };
        let mut conn =
            Connection::new(id, role, peer, listener, self.admission.framing(listener), now.moment);
        if role == Role::Client {
            self.admission.take_place(&mut conn);
        }
        let slot = Slot::at(self.conns.slab.insert(conn));
        match refusal {
            None => {
                self.conns.journal.add(now, EventKind::Accepted { id, peer });
                self.enter_or_wait(slot, peer);
            }
            Some(refusal) => self.turn_away(slot, &refusal),
        }
        Accepted::In(slot)
    }

    fn enter_or_wait(&mut self, slot: Slot, peer: Peer) {
        let now = self.conns.now.moment;
        let ledger = &mut self.admission.ledger;
        if ledger.address(peer).is_none_or(|address| ledger.lets_in(address, slot, now)) {
            return self.enter(slot);
        }
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.wait();
        }
        self.conns.touch(slot);
    }

    /// A connection is let in: named, greeted, in the lobby, and it has to pay what one before it owed.
    ///
    /// One before it whose socket has failed says nothing more beside it: that would be the rate of two.
    fn enter(&mut self, slot: Slot) {
        if let Some(orphan) = self.orphan_like(slot) {
            let reason = CloseReason::ResetByPeer;
            self.leave(orphan, &reason);
            if let Some(conn) = self.conns.get_mut(orphan) {
                conn.session.reset(reason);
            }
            self.conns.touch(orphan);
        }
        let ledger = &mut self.admission.ledger;
        let Some(conn) = self.conns.slab.get_mut(slot.index()) else { return };
        let address = ledger.address(conn.peer());
        if let Some(debt) = address.and_then(|address| ledger.take_debt(address)) {
            conn.session.inherit(debt, &self.conns.limits);
        }
        let id = conn.id;
        self.hub.enter(slot, id, self.conns.now, &mut self.conns);
        if let Some(address) = address {
            self.hub.mute_by_address(slot, address, self.conns.now.moment);
        }
        self.note_answer(slot);
        self.conns.touch(slot);
    }

    /// The next connection that has waited long enough at the rate of its address: [`Engine::let_in`] comes next.
    #[must_use]
    pub fn poll_let_in(&self) -> Option<Slot> {
        self.admission.ledger.due(self.conns.now.moment)
    }

    /// Lets in a connection that has waited. One that has ended and sent nothing is closed, and takes nothing of the rate
    /// of its address.
    pub fn let_in(&mut self, slot: Slot, has_ended: bool) {
        let now = self.conns.now.moment;
        let Some(conn) = self.conns.slab.get_mut(slot.index()) else { return };
        let peer = conn.peer();
        if has_ended {
            conn.session.close(CloseReason::Eof);
            self.release_place(slot);
            return self.conns.touch(slot);
        }
        conn.session.let_in();
        self.admission.ledger.let_in(peer, slot, now);
        self.enter(slot);
    }

    /// What a connection owes moves to its address; from there the next connection takes it.
    pub(super) fn settle_debt(&mut self, slot: Slot) {
        let now = self.conns.now.moment;
        let Some(conn) = self.conns.get(slot) else { return };
        if let Some(address) = self.admission.ledger.address(conn.peer()) {
            self.admission.ledger.owes(address, conn.session.debt(now), now);
        }
    }

    /// A connection from the address of `slot` whose socket has failed and that has something to say still.
    fn orphan_like(&self, slot: Slot) -> Option<Slot> {
        let address_of = |slot: Slot| self.admission.ledger.address(self.conns.get(slot)?.peer());
        let address = address_of(slot)?;
        self.admission.orphans.iter().copied().find(|orphan| address_of(*orphan) == Some(address))
    }

    /// Whether what a connection whose socket has failed has not said yet may still be said. If not, it is counted as
    /// dropped.
    pub(super) fn adopts_orphan(&mut self, slot: Slot) -> bool {
        let Some(conn) = self.conns.get(slot).filter(|conn| conn.session.has_unparsed()) else {
            return false;
        };
        let ledger = &self.admission.ledger;
        let (bytes, address) = (conn.session.inbox_bytes(), ledger.address(conn.peer()));
        let orphans = || self.admission.orphans.iter().filter_map(|slot| self.conns.get(*slot));
        let held: usize = orphans().map(|orphan| orphan.session.inbox_bytes()).sum();
        let has_one = address.is_some() && orphans().any(|orphan| ledger.address(orphan.peer()) == address);
        if has_one || self.admission.orphans.len() >= ORPHANS_MAX || held + bytes > ORPHAN_BYTES_MAX {
            self.conns.totals.dropped_bytes += bytes as u64;
            return false;
        }
        self.admission.orphans.push(slot);
        true
    }

    /// The end of a client's input, after which it stays to listen. Too many of these leave no place for others.
    pub(super) fn stay_half_closed(&mut self, slot: Slot) {
        let Some(conn) = self.conns.get(slot) else { return };
        let address = self.admission.ledger.address(conn.peer());
        self.admission.half_closed.insert(address, conn.id, slot);
        while let Some(oldest) = self.admission.half_closed.excess(self.admission.half_closed_max) {
            let message =
                "too many half-closed connections listen, and yours is the oldest of its address: goodbye";
            self.close_with(oldest, message, CloseReason::HalfCloseLimit);
        }
    }

    /// `slot` is over: it neither waits nor listens.
    pub(super) fn release_place(&mut self, slot: Slot) {
        let Some(conn) = self.conns.get(slot) else { return };
        let peer = conn.peer();
        self.admission.half_closed.remove(self.admission.ledger.address(peer), conn.id, slot);
        self.admission.ledger.stop_waiting(peer, slot);
    }

    /// Other limits from now on. Connections that are over one of them stay.
    pub(super) fn reconfigure_admission(&mut self, config: &Config) {
        self.admission.clients_max = config.limits.clients;
        self.admission.half_closed_max = config.limits.half_closed_max();
        self.admission.ledger.reconfigure(&config.limits);
        self.admission.half_closed.clear();
        let Self { conns, admission, .. } = self;
        for (slot, conn) in conns.clients().filter(|(_, conn)| conn.has_place) {
            let address = admission.ledger.address(conn.peer());
            if let Some(address) = address {
                admission.ledger.connected(address);
            }
            if conn.session.stays_half_closed() {
                admission.half_closed.insert(address, conn.id, slot);
            }
        }
    }

    /// accept(2) failed. It is counted, and told at a limited rate.
    pub fn accept_failed(&mut self, failure: AcceptFailure, error: &io::Error) {
        self.conns.totals.accept_failures += 1;
        let Some(others) = self.admission.failures[failure as usize].happened(self.conns.now.moment) else {
            return;
        };
        let since = since_last_told(others);
        match failure {
            AcceptFailure::Connection => {
                self.note_caused_by_clients(format!(
                    "a connection was lost before it was accepted: {error}{since}"
                ));
            }
            AcceptFailure::Exhausted => {
                self.note(LogLevel::Error, format!("cannot accept: {error}; trying again{since}"));
            }
        }
    }

    /// `slot` speaks another protocol. Its end is counted and recorded as any other; this is the warning, at a
    /// limited rate, for who wants to know of nothing less.
    pub(super) fn warn_of_foreign(&mut self, slot: Slot, protocol: Foreign) {
        let Some(others) = self.admission.foreign.happened(self.conns.now.moment) else { return };
        let Some((id, peer)) = self.conns.get(slot).map(|conn| (conn.id, conn.peer())) else { return };
        let since = since_last_told(others);
        self.note_caused_by_clients(format!("{id} from {peer} speaks {protocol}, not chat: closed{since}"));
    }

    /// Whether all places are taken.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.admission.clients >= self.admission.clients_max
    }

    /// Whether the operator has paused accepting, or the server is stopping.
    #[must_use]
    pub const fn is_closed_to_newcomers(&self) -> bool {
        self.admission.paused || self.stopping.is_some()
    }

    /// What keeps a newcomer out, if anything does.
    fn refusal(&mut self, peer: Peer) -> Option<Refusal> {
        if let Some(message) = self.bans.keep_out(peer, self.conns.now.moment) {
            return Some(Refusal { why: "banned", message });
        }
        self.admission.full(peer).map(|why| Refusal { why, message: format!("{why}; try again later") })
    }

    fn turn_away(&mut self, slot: Slot, refusal: &Refusal) {
        self.admission.lingering += 1;
        self.conns.answer(slot, &Line::Refused(&refusal.message));
        self.close(slot, CloseReason::Refused(refusal.why.into()), Linger::FAREWELL);
    }
}

/// What is said of others like the one that is told of; nothing of none.
pub(super) fn since_last_told(others: u64) -> String {
    if others == 0 { String::new() } else { format!(" ({others} more like it since this was last told)") }
}
