//! What is kept of each address ([`Network::counted_as_one`]): its connections, what they owe to their rates, and those of them
//! that wait to be let in.
//!
//! Debts are kept one by one: each is that of a connection which has gone, and the next connection takes the largest.
//! So all connections of an address and all its debts together are never more than it had connections at a time:
//! reconnecting buys nothing, in whatever order connections come and go, and a neighbour takes over no more than one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::config::settings::Limits;
use crate::id::{ConnId, Slot};
use crate::model::snapshot::Peer;
use crate::network::Network;
use crate::session::flood::{Bucket, Debt, Rate};
use crate::time::Moment;

/// Connections of one address that wait at a time.
pub(super) const WAITING_MAX: usize = 100;
/// Addresses without a connection that are remembered; of more, the one that owes nothing soonest is forgotten.
const REMEMBERED_MAX: usize = 16_384;

/// One address.
#[derive(Debug, Default)]
struct Account {
    connections: u32,
    connects: Bucket,
    debts: Vec<Debt>,
    /// Its key in [`Ledger::remembered`], while it is there.
    remembered_at: Option<Moment>,
}

impl Account {
    /// When time has paid everything.
    fn paid_at(&self) -> Moment {
        let debts = self.debts.iter().map(Debt::paid_at);
        debts.fold(self.connects.full_at(), Moment::max)
    }
}

/// Those of one address that wait, in order.
#[derive(Debug)]
struct Queue {
    due: Moment,
    slots: VecDeque<Slot>,
}

/// All addresses that count.
#[derive(Debug)]
pub(super) struct Ledger {
    accounts: HashMap<Network, Account>,
    /// Exactly the addresses without connections, by when they owe nothing.
    remembered: BTreeSet<(Moment, Network)>,
    queues: BTreeMap<Network, Queue>,
    /// The keys of `queues`, by when the first of each is let in.
    turns: BTreeSet<(Moment, Network)>,
    per_address_max: Option<u32>,
    connects: Rate,
    counts_loopback: bool,
    trusted: Vec<Network>,
}

impl Ledger {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            accounts: HashMap::new(),
            remembered: BTreeSet::new(),
            queues: BTreeMap::new(),
            turns: BTreeSet::new(),
            per_address_max: limits.per_address_max(),
            connects: Rate::new(limits.connects_burst.into(), limits.connects_per_second.into()),
            counts_loopback: limits.per_ip_loopback,
            trusted: limits.trusted.clone(),
        }
    }

    /// Other limits from now on. The connections that there are have to be counted again.
    pub(super) fn reconfigure(&mut self, limits: &Limits) {
        let old = std::mem::replace(self, Self::new(limits));
        Self { accounts: self.accounts, queues: self.queues, turns: self.turns, .. } = old;
        for (address, account) in &mut self.accounts {
            account.connections = 0;
            account.remembered_at = None;
            remember(&mut self.remembered, *address, account);
        }
    }

    /// Nobody owes anything to `flood.*`.
    pub(super) fn forgive_floods(&mut self) {
        for (address, account) in &mut self.accounts {
            account.debts.clear();
            remember(&mut self.remembered, *address, account);
        }
    }

    /// The address of a peer, if it counts as one.
    pub(super) fn address(&self, peer: Peer) -> Option<Network> {
        let Peer::Tcp(address) = peer else { return None };
        let ip = address.ip().to_canonical();
        let counts = (self.counts_loopback || !ip.is_loopback())
            && !self.trusted.iter().any(|network| network.holds(ip));
        counts.then(|| Network::counted_as_one(ip))
    }

    /// The address under which a peer waits: it may have ceased to count since.
    fn queue_of(&mut self, peer: Peer) -> Option<(Network, &mut Queue)> {
        let Peer::Tcp(address) = peer else { return None };
        let address = Network::counted_as_one(address.ip());
        Some((address, self.queues.get_mut(&address)?))
    }

    /// What one address has too much of for one more connection.
    pub(super) fn full(&self, address: Network) -> Option<&'static str> {
        let here = self.accounts.get(&address).map_or(0, |account| account.connections);
        if self.per_address_max.is_some_and(|most| here >= most) {
            return Some("too many connections from your address");
        }
        let waiting = self.queues.get(&address).map_or(0, |queue| queue.slots.len());
        (waiting >= WAITING_MAX).then_some("too many new connections from your address")
    }

    /// One more connection from there.
    pub(super) fn connected(&mut self, address: Network) {
        let account = self.accounts.entry(address).or_default();
        account.connections += 1;
        remember(&mut self.remembered, address, account);
    }

    /// One connection fewer.
    pub(super) fn disconnected(&mut self, address: Network, now: Moment) {
        let Some(account) = self.accounts.get_mut(&address) else { return };
        account.connections -= 1;
        remember(&mut self.remembered, address, account);
        self.forget(now);
    }

    /// Forgets addresses that owe nothing, and those that are too many.
    fn forget(&mut self, now: Moment) {
        while let Some((paid_at, address)) = self.remembered.first().copied() {
            if paid_at > now && self.remembered.len() <= REMEMBERED_MAX {
                break;
            }
            self.remembered.pop_first();
            self.accounts.remove(&address);
        }
    }

    /// A connection from there has gone and owes this.
    pub(super) fn owes(&mut self, address: Network, debt: Debt, now: Moment) {
        if debt.paid_at() <= now {
            return;
        }
        let account = self.accounts.entry(address).or_default();
        account.debts.retain(|debt| debt.paid_at() > now);
        account.debts.push(debt);
        remember(&mut self.remembered, address, account);
    }

    /// Takes what the next connection from there has to pay: the largest debt.
    ///
    /// Its place is taken already, so the address is not among those remembered.
    pub(super) fn take_debt(&mut self, address: Network) -> Option<Debt> {
        let debts = &mut self.accounts.get_mut(&address)?.debts;
        let (largest, _) = debts.iter().enumerate().max_by_key(|(_, debt)| debt.paid_at())?;
        Some(debts.swap_remove(largest))
    }

    /// Whether one that has just connected from there may be let in at once; else it waits.
    pub(super) fn lets_in(&mut self, address: Network, slot: Slot, now: Moment) -> bool {
        let rate = self.connects;
        let Some(account) = self.accounts.get_mut(&address) else { return true };
        if let Some(queue) = self.queues.get_mut(&address) {
            queue.slots.push_back(slot);
            return false;
        }
        let wait = account.connects.wait(now, rate, 1);
        if wait.is_zero() {
            account.connects.take(now, rate, 1);
            return true;
        }
        self.queues.insert(address, Queue { due: now + wait, slots: VecDeque::from([slot]) });
        self.turns.insert((now + wait, address));
        false
    }

    /// When one that waits is let in next.
    pub(super) fn next(&self) -> Option<Moment> {
        self.turns.first().map(|(due, _)| *due)
    }

    /// The first of an address whose turn has come. It waits on until [`Ledger::stop_waiting`].
    pub(super) fn due(&self, now: Moment) -> Option<Slot> {
        let (_, address) = self.turns.first().filter(|(due, _)| *due <= now)?;
        self.queues.get(address)?.slots.front().copied()
    }

    /// One that waited is let in, and counts for the rate.
    pub(super) fn let_in(&mut self, peer: Peer, slot: Slot, now: Moment) {
        let rate = self.connects;
        if let Some(address) = self.address(peer)
            && let Some(account) = self.accounts.get_mut(&address)
            && let Some(queue) = self.queues.get_mut(&address)
        {
            account.connects.take(now, rate, 1);
            remember(&mut self.remembered, address, account);
            self.turns.remove(&(queue.due, address));
            queue.due = now + account.connects.wait(now, rate, 1);
            self.turns.insert((queue.due, address));
        }
        self.stop_waiting(peer, slot);
    }

    /// One that waited is let in or has gone.
    pub(super) fn stop_waiting(&mut self, peer: Peer, slot: Slot) {
        let Some((address, queue)) = self.queue_of(peer) else { return };
        queue.slots.retain(|other| *other != slot);
        if queue.slots.is_empty() {
            let due = queue.due;
            self.turns.remove(&(due, address));
            self.queues.remove(&address);
        }
    }

    /// How many addresses are known.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.accounts.len()
    }
}

/// Keeps the place of an address among those without connections right, after any change of its account.
fn remember(remembered: &mut BTreeSet<(Moment, Network)>, address: Network, account: &mut Account) {
    let wanted = (account.connections == 0).then(|| account.paid_at());
    if account.remembered_at == wanted {
        return;
    }
    if let Some(at) = std::mem::replace(&mut account.remembered_at, wanted) {
        remembered.remove(&(at, address));
    }
    remembered.extend(wanted.map(|at| (at, address)));
}

/// Half-closed connections that stay to listen, by address and age.
#[derive(Debug, Default)]
pub(super) struct HalfClosed {
    /// Those whose address does not count are under none.
    by_address: BTreeMap<Option<Network>, BTreeSet<(ConnId, Slot)>>,
    count: usize,
}

impl HalfClosed {
    pub(super) fn insert(&mut self, address: Option<Network>, id: ConnId, slot: Slot) {
        self.count += usize::from(self.by_address.entry(address).or_default().insert((id, slot)));
    }

    pub(super) fn remove(&mut self, address: Option<Network>, id: ConnId, slot: Slot) {
        let Some(conns) = self.by_address.get_mut(&address) else { return };
        self.count -= usize::from(conns.remove(&(id, slot)));
        if conns.is_empty() {
            self.by_address.remove(&address);
        }
    }

    /// While there are more than `most`: the oldest one of the address that holds most of them, so that a stranger takes
    /// no place of others. Connections whose address does not count are spared while there is any other.
    pub(super) fn excess(&self, most: usize) -> Option<Slot> {
        if self.count <= most {
            return None;
        }
        let fullest = self.by_address.iter().max_by_key(|(address, conns)| (address.is_some(), conns.len()));
        fullest.and_then(|(_, conns)| conns.first()).map(|(_, slot)| *slot)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1_000)
    }

    fn ledger() -> Ledger {
        Ledger::new(&Limits { connects_burst: 2, connects_per_second: 10, ..Limits::default() })
    }

    fn peer(text: &str) -> Peer {
        Peer::Tcp(text.parse().unwrap())
    }

    fn address(ledger: &Ledger, text: &str) -> Network {
        ledger.address(peer(text)).unwrap()
    }

    /// A debt that time has paid at this moment.
    fn debt(paid_at: u64) -> Debt {
        let mut session = crate::session::Session::new(at(0), crate::wire::framing::Framing::Lines, true);
        let bytes = Rate::new(1, 1_000);
        let flood = crate::session::FloodLimits { lines: bytes, bytes, patience: Duration::ZERO };
        let limits = crate::session::ConnectionLimits {
            flood: Some(flood),
            ..crate::session::ConnectionLimits::from(&crate::config::settings::Config::default())
        };
        session.received(usize::try_from(paid_at).unwrap(), at(0), &limits);
        session.debt(at(0))
    }

    #[test]
    fn loopback_trusted_networks_and_unix_sockets_do_not_count() {
        let mut limits = Limits { trusted: vec!["10.0.0.0/8".parse().unwrap()], ..Limits::default() };
        let ledger = Ledger::new(&limits);
        for uncounted in
            ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "10.1.2.3:1", "[::ffff:10.1.2.3]:1"]
        {
            assert_eq!(ledger.address(peer(uncounted)), None, "{uncounted}");
        }
        assert_eq!(ledger.address(Peer::Unix), None);
        limits.per_ip_loopback = true;
        let ledger = Ledger::new(&limits);
        for counted in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(ledger.address(peer(counted)).is_some(), "{counted}");
        }
        limits.trusted.push("127.0.0.0/8".parse().unwrap());
        assert_eq!(Ledger::new(&limits).address(peer("127.0.0.1:1")), None, "trusted all the same");
    }

    #[test]
    fn one_that_is_let_in_after_it_has_gone_leaves_no_account_to_be_forgotten_under_another() {
        let mut ledger = ledger();
        let here = address(&ledger, "192.0.2.1:1");
        for number in 0..3 {
            ledger.connected(here);
            ledger.lets_in(here, Slot(number), at(0));
            ledger.disconnected(here, at(0));
        }
        // The third waited, and has no place any more when its turn comes.
        assert_eq!(ledger.due(at(1_000)), Some(Slot(2)));
        ledger.let_in(peer("192.0.2.1:1"), Slot(2), at(1_000));
        ledger.connected(here);
        assert!(ledger.remembered.is_empty(), "an address with a connection is not among those without");
        let other = address(&ledger, "192.0.2.2:1");
        ledger.connected(other);
        ledger.disconnected(other, at(60_000));
        assert!(ledger.accounts.contains_key(&here), "and is never forgotten");
    }

    #[test]
    fn each_debt_moves_to_one_connection_the_largest_first() {
        let mut ledger = ledger();
        let here = address(&ledger, "192.0.2.1:1");
        let other = address(&ledger, "192.0.2.2:1");
        ledger.connected(here);
        for paid_at in [200, 900, 500] {
            ledger.owes(here, debt(paid_at), at(0));
        }
        assert_eq!(ledger.take_debt(other), None);
        assert_eq!(ledger.take_debt(here), Some(debt(900)));
        ledger.owes(here, debt(300), at(250));
        assert_eq!(ledger.take_debt(here), Some(debt(500)));
        assert_eq!(ledger.take_debt(here), Some(debt(300)));
        assert_eq!(ledger.take_debt(here), None, "200 was paid by time");
    }

    #[test]
    fn an_address_is_forgotten_when_it_owes_nothing() {
        let mut ledger = ledger();
        let (here, other) = (address(&ledger, "192.0.2.1:1"), address(&ledger, "192.0.2.2:1"));
        ledger.connected(here);
        ledger.owes(here, debt(500), at(0));
        ledger.disconnected(here, at(0));
        ledger.connected(other);
        ledger.disconnected(other, at(499));
        assert_eq!(ledger.len(), 1);
        ledger.connected(other);
        ledger.disconnected(other, at(500));
        assert_eq!(ledger.len(), 0);
    }

    #[test]
    fn so_many_addresses_are_remembered_and_no_more() {
        let mut ledger = ledger();
        for number in 0..20_000_u32 {
            let address = Network::of(std::net::Ipv4Addr::from_bits(0x0A00_0000 + number).into());
            ledger.connected(address);
            ledger.owes(address, debt(1_000 + u64::from(number)), at(0));
            ledger.disconnected(address, at(0));
        }
        assert_eq!(ledger.len(), REMEMBERED_MAX);
        let last = Network::of(std::net::Ipv4Addr::from_bits(0x0A00_0000 + 19_999).into());
        assert!(ledger.take_debt(last).is_some(), "the largest debts are kept");
    }

    #[test]
    fn over_the_rate_connections_are_let_in_later_in_order() {
        let mut ledger = ledger();
        let here = address(&ledger, "192.0.2.1:1");
        let come = |ledger: &mut Ledger, slot, now| {
            ledger.connected(here);
            ledger.lets_in(here, Slot(slot), now)
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(|slot| come(&mut ledger, slot, at(0))),
            [true, true, false, false, false]
        );
        assert_eq!((ledger.next(), ledger.due(at(99))), (Some(at(100)), None));
        assert_eq!(ledger.due(at(100)), Some(Slot(2)));
        let from = peer("192.0.2.1:1");
        ledger.let_in(from, Slot(2), at(100));
        assert_eq!(ledger.next(), Some(at(200)));
        ledger.stop_waiting(from, Slot(3));
        assert_eq!(ledger.due(at(200)), Some(Slot(4)));
        assert!(!come(&mut ledger, 5, at(200)), "nobody goes past those who wait");
        ledger.let_in(from, Slot(4), at(200));
        ledger.let_in(from, Slot(5), at(300));
        assert_eq!(ledger.next(), None);
    }

    #[test]
    fn the_oldest_half_closed_one_of_the_fullest_address_goes() {
        let ledger = ledger();
        let [few, many] = ["192.0.2.1:1", "192.0.2.2:1"].map(|text| Some(address(&ledger, text)));
        let mut half_closed = HalfClosed::default();
        let holders = [None, None, None, few, many, many];
        for (slot, address) in (0..).zip(holders) {
            half_closed.insert(address, ConnId::new(u64::from(slot) + 1).unwrap(), Slot(slot));
        }
        assert_eq!(half_closed.excess(6), None);
        let mut gone = Vec::new();
        while let Some(slot) = half_closed.excess(0) {
            let id = ConnId::new(u64::from(slot.0) + 1).unwrap();
            half_closed.remove(holders[slot.index()], id, slot);
            gone.push(slot.0);
        }
        assert_eq!(gone[0], 4);
        assert_eq!(gone[3..], [0, 1, 2]);
    }
}
