//! Who is kept out, for how long and why; and the verbs about it.
//!
//! Invariants: no two bans have the same mask; the hub bars exactly the names that bans are for.

use std::time::Duration;

use super::server::Engine;
use super::summaries::{in_words, named};
use crate::count::counted;
use crate::id::{ConnId, Slot};
use crate::model::answer::{BanRow, Done};
use crate::model::event::EventKind;
use crate::model::snapshot::Peer;
use crate::model::verbs::{BanMask, BanOrder};
use crate::session::CloseReason;
use crate::time::{Moment, write_span};
use crate::wire::text::scrub;

/// One ban in force.
#[derive(Debug)]
pub(super) struct Ban {
    /// Rises from ban to ban, from 1.
    pub(super) number: u64,
    pub(super) row: BanRow,
}

/// All bans in force, in the order in which they were made.
#[derive(Debug)]
pub(super) struct Bans {
    list: Vec<Ban>,
    /// The earliest end of one.
    next_end: Option<Moment>,
    made: u64,
    /// `limits.bans`.
    max: usize,
}

impl Ban {
    /// `you are banned for another 9 m 12 s: spam`
    fn told(&self, now: Moment) -> String {
        let left = self.row.until.map(|until| until.since(now));
        let left = left.map(|left| format!(" for another {}", in_words(left))).unwrap_or_default();
        with_reason(format!("you are banned{left}"), &self.row.reason)
    }
}

impl Bans {
    pub(super) const fn new(max: usize) -> Self {
        Self { list: Vec::new(), next_end: None, made: 0, max }
    }

    /// `limits.bans` from now on; those that there are stay.
    pub(super) const fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The bans after the one with this number.
    pub(super) fn after(&self, number: u64) -> &[Ban] {
        &self.list[self.list.partition_point(|ban| ban.number <= number)..]
    }

    /// Tells what a newcomer is to be told who is kept out, and counts it.
    pub(super) fn keep_out(&mut self, peer: Peer, now: Moment) -> Option<String> {
        let Peer::Tcp(address) = peer else { return None };
        let holds = |ban: &&mut Ban| match &ban.row.mask {
            BanMask::Network(network) => network.holds(address.ip()),
            BanMask::Nick(_) => false,
        };
        // Of several the one that lasts longest: what it says will hold.
        let lasts = |ban: &&mut Ban| (ban.row.until.is_none(), ban.row.until);
        let ban = self.list.iter_mut().filter(holds).max_by_key(lasts)?;
        ban.row.refused += 1;
        Some(ban.told(now))
    }

    /// The earliest end of one.
    pub(super) const fn next(&self) -> Option<Moment> {
        self.next_end
    }

    /// Takes one whose time is over.
    fn take_due(&mut self, now: Moment) -> Option<BanMask> {
        self.next_end.filter(|end| *end <= now)?;
        self.take(|ban| ban.row.until.is_some_and(|until| until <= now))
    }

    /// Takes the place of one with the same mask.
    fn add(&mut self, mask: BanMask, reason: String, since: Moment, time: Option<Duration>) {
        self.remove(&mask);
        self.made += 1;
        let until = time.map(|time| since + time);
        let row = BanRow { mask, reason, since, until, refused: 0 };
        self.list.push(Ban { number: self.made, row });
        self.note_next_end();
    }

    fn remove(&mut self, mask: &BanMask) -> Option<BanMask> {
        self.take(|ban| ban.row.mask.is_same(mask))
    }

    fn take(&mut self, is_meant: impl FnMut(&Ban) -> bool) -> Option<BanMask> {
        let ban = self.list.remove(self.list.iter().position(is_meant)?);
        self.note_next_end();
        Some(ban.row.mask)
    }

    fn note_next_end(&mut self) {
        self.next_end = self.list.iter().filter_map(|ban| ban.row.until).min();
    }

    /// Whether one more for `mask` has no place.
    fn is_full_for(&self, mask: &BanMask) -> bool {
        self.list.len() >= self.max && !self.list.iter().any(|ban| ban.row.mask.is_same(mask))
    }
}

impl Engine {
    /// Ends whom a ban hits, and keeps out who would come after them.
    pub(super) fn ban(&mut self, order: &BanOrder) -> Result<Done, String> {
        let BanOrder { mask, time, is_forced, reason } = order;
        let hits = self.hit_by(mask);
        if !is_forced && hits.len() * 2 > self.admission.clients() as usize {
            return Err(format!(
                "it would end {} of {}, more than half: see ban {mask} preview, then put the word force behind it",
                hits.len(),
                counted(self.admission.clients().into(), "client", "clients"),
            ));
        }
        // With nobody connected half of the clients is no bound.
        if !is_forced && matches!(mask, BanMask::Network(network) if network.is_everything()) {
            return Err(format!("{mask} bans every address of its family; add `force` to do it"));
        }
        if self.bans.is_full_for(mask) {
            return Err(format!("there are {} bans already (limits.bans); unban one first", self.bans.len()));
        }
        let whom = self.labels(&hits);
        let reason = scrub(reason.as_bytes()).text.into_owned();
        let span = time.map(|time| format!(" for {}", write_span(time))).unwrap_or_default();
        self.bans.add(*mask, reason.clone(), self.conns.now.moment, *time);
        self.bar_name(mask, true);
        let told = with_reason(format!("banned by the operator{span}"), &reason);
        for (_, slot) in &hits {
            self.close_with(*slot, &told, CloseReason::Banned(reason.clone()));
        }
        let message = format!("banned {mask}{span}, ended {whom}");
        Ok(done(message, hits))
    }

    /// Lets in again whom a ban with this mask kept out.
    pub(super) fn unban(&mut self, mask: &BanMask) -> Result<Done, String> {
        let Some(mask) = self.bans.remove(mask) else {
            return Err(format!("there is no ban for {mask}; bans lists them"));
        };
        self.bar_name(&mask, false);
        Ok(format!("unbanned {mask}").into())
    }

    /// The bans whose time is over end.
    pub(super) fn end_bans(&mut self) {
        let now = self.conns.now;
        while let Some(mask) = self.bans.take_due(now.moment) {
            self.bar_name(&mask, false);
            let event =
                EventKind::Operator { id: None, verb: format!("ban {mask}"), outcome: "over".to_owned() };
            self.conns.journal.add(now, event);
        }
    }

    /// Whom a ban would end, by rising id.
    pub(super) fn preview(&self, mask: &BanMask) -> Done {
        let hits = self.hit_by(mask);
        let message = format!("ban {mask} would end {}", self.labels(&hits));
        done(message, hits)
    }

    fn hit_by(&self, mask: &BanMask) -> Vec<(ConnId, Slot)> {
        let named = match mask {
            BanMask::Network(_) => None,
            BanMask::Nick(nick) => self.hub.by_nick(nick),
        };
        let clients = self.conns.clients().filter(|(slot, conn)| match (mask, conn.peer()) {
            (BanMask::Nick(_), _) => named == Some(*slot),
            (BanMask::Network(network), Peer::Tcp(address)) => network.holds(address.ip()),
            (BanMask::Network(_), Peer::Unix) => false,
        });
        let hit = clients.filter(|(slot, _)| !self.is_leaving(*slot));
        let mut hits: Vec<_> = hit.map(|(slot, conn)| (conn.id, slot)).collect();
        hits.sort_unstable();
        hits
    }

    /// `2 clients: #3 bob, #5 guest-5`
    fn labels(&self, hits: &[(ConnId, Slot)]) -> String {
        let count = counted(hits.len() as u64, "client", "clients");
        if hits.is_empty() {
            return count;
        }
        format!("{count}: {}", named(hits.iter().map(|(_, slot)| self.label(*slot))))
    }

    fn bar_name(&mut self, mask: &BanMask, on: bool) {
        if let BanMask::Nick(nick) = mask {
            self.hub.bar(nick, on);
        }
    }
}

fn done(message: String, hits: Vec<(ConnId, Slot)>) -> Done {
    Done { message, hits: Some(hits.into_iter().map(|(id, _)| id).collect()), ..Done::default() }
}

fn with_reason(told: String, reason: &str) -> String {
    if reason.is_empty() { told } else { format!("{told}: {reason}") }
}
