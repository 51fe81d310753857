//! The question before a ban: whom it hits, as the picture has it now.
//!
//! A ban is for addresses and names, not for connections: who comes or goes while the question is open changes whom it
//! ends, and so the list is made anew for every frame.

use std::time::Duration;

use super::{Target, Verb, loss};
use crate::dash::picture::Picture;
use crate::dash::units;
use crate::model::snapshot::{Nick, Peer, Phase, Row};
use crate::model::verbs::{BanMask, BanOrder, OperatorCommand};
use crate::network::Network;
use crate::time::write_span;

/// A ban as it is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ban {
    /// Whom it keeps out.
    pub(crate) masks: Vec<BanMask>,
    /// For how long, if not until `unban`.
    pub(crate) time: Option<Duration>,
    /// May be empty.
    pub(crate) reason: String,
}

impl Ban {
    /// A ban of the addresses of `targets`, each once; by name of those who have none.
    pub(crate) fn of(targets: &[Target]) -> Self {
        let mut masks: Vec<BanMask> = Vec::new();
        for mask in targets.iter().filter_map(mask_of) {
            if !masks.iter().any(|other| other.is_same(&mask)) {
                masks.push(mask);
            }
        }
        Self { masks, time: None, reason: String::new() }
    }

    /// The verbs that `y` sends. Whoever was shown that it ends most clients has said yes to that.
    pub(super) fn commands(&self, live: &Picture) -> Vec<OperatorCommand> {
        let order = |mask: &BanMask| {
            let hits = living(live).filter(|row| is_hit(mask, row)).count();
            let is_forced = is_most(hits, live);
            OperatorCommand::Ban(BanOrder {
                mask: *mask,
                time: self.time,
                is_forced,
                reason: self.reason.clone(),
            })
        };
        self.masks.iter().map(order).collect()
    }

    /// What one would type for it.
    pub(super) fn line(&self) -> String {
        let masks: Vec<String> = self.masks.iter().map(BanMask::to_string).collect();
        let span = self.span();
        let space = if self.reason.is_empty() { "" } else { " " };
        format!("ban {}{span}{space}{}", masks.join(" "), self.reason)
    }

    /// What it is for, and how many it would end now.
    pub(super) fn whom(&self, live: &Picture) -> String {
        let whom = match self.masks.as_slice() {
            [one] => one.to_string(),
            many => format!("{} addresses", many.len()),
        };
        match self.hits(live).count() {
            0 => format!("{whom}, ending nobody"),
            hits => format!("{whom}, ending {hits} of {}", clients(live)),
        }
    }

    /// Whom it would end now, and what they stand to lose.
    pub(super) fn list(&self, live: &Picture, raw: bool) -> Vec<String> {
        self.hits(live).map(|row| format!("{}: {}", Target::from(row), loss(row, raw))).collect()
    }

    pub(super) fn consequence(&self, live: &Picture) -> String {
        let hits = self.hits(live).count();
        let warning = if is_most(hits, live) { "More than half of all clients. " } else { "" };
        let reason = match self.reason.as_str() {
            "" => String::new(),
            reason => format!(" with the reason \"{reason}\""),
        };
        let ended = if hits == 0 { String::new() } else { format!("A last line{reason}, flush, FIN. ") };
        let until = if self.time.is_some() { self.span() } else { " until unban".to_owned() };
        let is_name = |mask: &BanMask| matches!(mask, BanMask::Nick(_));
        let barred = if self.masks.iter().all(is_name) {
            "Nobody may take the name"
        } else {
            "Who comes later is kept out"
        };
        format!("{warning}{ended}{barred}{until}.")
    }

    fn hits<'a>(&'a self, live: &'a Picture) -> impl Iterator<Item = &'a Row> {
        living(live).filter(|row| self.masks.iter().any(|mask| is_hit(mask, row)))
    }

    fn span(&self) -> String {
        self.time.map(|time| format!(" for {}", write_span(time))).unwrap_or_default()
    }
}

impl From<&BanOrder> for Verb {
    fn from(order: &BanOrder) -> Self {
        Self::Ban(Ban { masks: vec![order.mask], time: order.time, reason: order.reason.clone() })
    }
}

fn mask_of(target: &Target) -> Option<BanMask> {
    match target.peer {
        Peer::Tcp(address) => Some(BanMask::Network(Network::counted_as_one(address.ip()))),
        // A guest's name is given to nobody else: to keep it out is to keep out nobody.
        Peer::Unix => target.nick.filter(|nick| Nick::parse(nick.as_str()).is_ok()).map(BanMask::Nick),
    }
}

/// Those whom a ban can end: who is on the way out already is not ended again.
fn living(live: &Picture) -> impl Iterator<Item = &Row> {
    live.rows().iter().filter(|row| live.living(row.id).is_some() && row.state != Phase::Draining)
}

fn is_hit(mask: &BanMask, row: &Row) -> bool {
    match (mask, row.peer) {
        (BanMask::Network(network), Peer::Tcp(address)) => network.holds(address.ip()),
        (BanMask::Network(_), Peer::Unix) => false,
        (BanMask::Nick(nick), _) => row.nick.is_some_and(|other| other.folded() == nick.folded()),
    }
}

fn clients(live: &Picture) -> String {
    units::counted(u64::from(live.status().clients), "client", "clients")
}

fn is_most(hits: usize, live: &Picture) -> bool {
    hits * 2 > live.status().clients as usize
}
