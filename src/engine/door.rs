//! Who comes in: the caps on connections, bans, and the few that are told why they do not.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use super::entry::{Entry, Role};
use super::record::Record;
use super::seldom::Seldom;
use super::server::Engine;
use super::snapshot::Peer;
use crate::chat::{Delivery, Line};
use crate::config::settings::{Config, LogLevel};
use crate::id::{ConnId, Slot};
use crate::session::{CloseReason, Linger};
use crate::wire::foreign::Foreign;
use crate::wire::framing::Framing;

/// Refused connections that are told and waited for at a time; more are closed at once.
const LINGERING_MAX: u32 = 16;

/// What to do with a connection that was accepted by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
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

/// Why somebody is not let in.
#[derive(Debug)]
struct Barrier {
    /// For the operator.
    why: &'static str,
    /// For whoever stands before it.
    told: String,
}

/// The counts that the caps need.
#[derive(Debug)]
pub(super) struct Door {
    /// Of each listener.
    framings: Vec<Framing>,
    clients_max: u32,
    per_address_max: u32,
    counts_loopback: bool,
    clients: u32,
    lingering: u32,
    /// Clients by address; kept only while there is a cap.
    by_address: HashMap<IpAddr, u32>,
    next_id: ConnId,
    pub(super) paused: bool,
    /// Clients of other protocols.
    foreign: Seldom,
    /// Failures by [`AcceptFailure`].
    failures: [Seldom; 2],
}

impl Door {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            framings: config.listen.0.iter().map(|listen| listen.framing.into()).collect(),
            clients_max: limits.clients,
            per_address_max: limits.per_ip,
            counts_loopback: limits.per_ip_loopback,
            clients: 0,
            lingering: 0,
            by_address: HashMap::new(),
            next_id: ConnId::FIRST,
            paused: false,
            foreign: Seldom::default(),
            failures: Default::default(),
        }
    }

    /// Other caps from now on. The addresses of those who are here are to be counted anew.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.clients_max = config.limits.clients;
        self.per_address_max = config.limits.per_ip;
        self.counts_loopback = config.limits.per_ip_loopback;
        self.by_address.clear();
    }

    pub(super) const fn clients(&self) -> u32 {
        self.clients
    }

    /// What is full, if anything is.
    fn full(&self, peer: Peer) -> Option<&'static str> {
        if self.clients >= self.clients_max {
            return Some("the server is full");
        }
        let key = self.counted_address(peer)?;
        let from_there = self.by_address.get(&key).copied().unwrap_or(0);
        (from_there >= self.per_address_max).then_some("too many connections from your address")
    }

    fn entered(&mut self, peer: Peer) {
        self.clients += 1;
        self.count_address(peer);
    }

    /// One more client from there.
    pub(super) fn count_address(&mut self, peer: Peer) {
        if let Some(key) = self.counted_address(peer) {
            *self.by_address.entry(key).or_default() += 1;
        }
    }

    /// A connection is gone that was let in, or was turned away and waited for. Operators come by another door.
    pub(super) fn left(&mut self, peer: Peer, role: Role) {
        match role {
            Role::Client => self.clients -= 1,
            Role::Operator => return,
            Role::TurnedAway => {
                self.lingering -= 1;
                return;
            }
        }
        if let Some(key) = self.counted_address(peer)
            && let Some(count) = self.by_address.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&key);
            }
        }
    }

    fn counted_address(&self, peer: Peer) -> Option<IpAddr> {
        let Peer::Tcp(address) = peer else { return None };
        let counted = self.per_address_max > 0 && (self.counts_loopback || !address.ip().is_loopback());
        counted.then(|| site(address.ip()))
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
    pub fn accepted(&mut self, listener: u16, peer: Peer) -> Admission {
        let now = self.board.now;
        self.board.totals.accepted += 1;
        let barrier = self.barrier(peer);
        if let Some(Barrier { why, .. }) = barrier {
            self.board.totals.refused += 1;
            if self.door.lingering >= LINGERING_MAX || self.is_stopping() {
                return Admission::Away;
            }
            self.board.journal.add(now, Record::Refused { peer, why: why.into() });
        }
        let id = self.door.take_id();
        let role = if barrier.is_some() { Role::TurnedAway } else { Role::Client };
        let entry = Entry::new(id, role, peer, listener, self.door.framing(listener), now.moment);
        let slot = Slot::at(self.board.entries.insert(entry));
        match barrier {
            None => {
                self.door.entered(peer);
                self.enter(slot, id, peer);
            }
            Some(barrier) => self.turn_away(slot, &barrier),
        }
        Admission::In(slot)
    }

    /// accept(2) failed. It is counted, and told at a limited rate.
    pub fn accept_failed(&mut self, failure: AcceptFailure, error: &io::Error) {
        self.board.totals.accept_failures += 1;
        let Some(others) = self.door.failures[failure as usize].happened(self.board.now.moment) else {
            return;
        };
        let since = since_last_told(others);
        match failure {
            AcceptFailure::Connection => {
                self.note(
                    LogLevel::Warn,
                    format!("a connection was lost before it was accepted: {error}{since}"),
                );
            }
            AcceptFailure::Exhausted => {
                self.note(LogLevel::Error, format!("cannot accept: {error}; trying again{since}"));
            }
        }
    }

    /// `slot` speaks another protocol. Its end is counted and recorded as any other; this is the warning, at a
    /// limited rate, for who wants to know of nothing less.
    pub(super) fn warn_of_foreign(&mut self, slot: Slot, protocol: Foreign) {
        let Some(others) = self.door.foreign.happened(self.board.now.moment) else { return };
        let Some((id, peer)) = self.board.entry(slot).map(|entry| (entry.id, entry.peer())) else { return };
        let since = since_last_told(others);
        self.note(LogLevel::Warn, format!("{id} from {peer} speaks {protocol}, not chat: closed{since}"));
    }

    /// Whether the operator has paused accepting, or the server is stopping.
    #[must_use]
    pub const fn is_closed_to_newcomers(&self) -> bool {
        self.door.paused || self.stopping.is_some()
    }

    /// What keeps a newcomer out, if anything does.
    fn barrier(&mut self, peer: Peer) -> Option<Barrier> {
        if let Some(told) = self.bans.keep_out(peer, self.board.now.moment) {
            return Some(Barrier { why: "banned", told });
        }
        self.door.full(peer).map(|why| Barrier { why, told: format!("{why}; try again later") })
    }

    fn turn_away(&mut self, slot: Slot, barrier: &Barrier) {
        self.door.lingering += 1;
        self.board.answer(slot, &Line::Refused(&barrier.told));
        self.part(slot, CloseReason::Refused(barrier.why.into()), Linger::FAREWELL);
    }
}

/// What is said of others like the one that is told of; nothing of none.
fn since_last_told(others: u64) -> String {
    if others == 0 { String::new() } else { format!(" ({others} more like it since this was last told)") }
}

/// What counts as one address: an IPv4 address, the /64 of an IPv6 one.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_site_is_one_address() {
        let site_of = |text: &str| site(text.parse().unwrap());
        assert_eq!(site_of("2001:db8::1"), site_of("2001:db8::ffff:1"));
        assert_ne!(site_of("2001:db8:0:1::1"), site_of("2001:db8::1"));
        assert_ne!(site_of("192.0.2.1"), site_of("192.0.2.2"));
    }
}
