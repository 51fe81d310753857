//! One picture of the server: the newest snapshot and what can only be told from those before it.

use std::collections::BTreeMap;

use super::events::Log;
use super::history::History;
use super::rates::{Rates, RowRate};
use crate::model::snapshot::{ConnId, Detail, Phase, Row, Snapshot, Status};
use crate::time::{Moment, Now};

/// What is shown. Frozen by cloning it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    snapshot: Box<Snapshot>,
    rates: Rates,
    /// The traffic of the last minutes.
    pub(crate) history: History,
    /// What happened.
    pub(crate) log: Log,
    fullest: Option<(ConnId, u64)>,
    send_q: u64,
    told: BTreeMap<Moment, Now>,
    seen: bool,
}

impl Picture {
    /// Takes in the next snapshot.
    pub(crate) fn take_in(&mut self, mut snapshot: Box<Snapshot>) {
        let (old, new) = (&self.snapshot, &snapshot);
        self.rates = self.rates.next((&old.rows, old.taken.moment), (&new.rows, new.taken.moment));
        self.history.observe(&snapshot);
        self.log.append(std::mem::take(&mut snapshot.events));
        self.fullest = super::rates::fullest(&snapshot.rows);
        self.send_q = snapshot.rows.iter().map(send_q).sum();
        self.told = self.times(&snapshot);
        self.snapshot = snapshot;
        self.seen = true;
    }

    /// The times of day of all that lasts in this snapshot. What is known stays as it is: worked out anew from each
    /// snapshot it would differ by a second between two pictures.
    fn times(&self, snapshot: &Snapshot) -> BTreeMap<Moment, Now> {
        let since = snapshot.rows.iter().flat_map(|row| row.stuck_since.into_iter().chain(row.flow_since));
        let known = |since| self.told.get(&since).copied().unwrap_or_else(|| snapshot.taken.earlier(since));
        let past = since.filter(|since| *since <= snapshot.taken.moment);
        past.map(|since| (since, known(since))).collect()
    }

    /// The time of day since when something lasts, the same in every picture.
    pub(crate) fn told(&self, since: Moment) -> Now {
        self.told.get(&since).copied().unwrap_or_else(|| self.taken().earlier(since))
    }

    /// Whether any snapshot has come yet.
    pub(crate) const fn is_seen(&self) -> bool {
        self.seen
    }

    /// When it was taken.
    pub(crate) fn taken(&self) -> Now {
        self.snapshot.taken
    }

    /// The server as a whole.
    pub(crate) fn status(&self) -> &Status {
        &self.snapshot.status
    }

    /// The connections by rising id.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.snapshot.rows
    }

    /// The row of a connection, if it is there.
    pub(crate) fn row(&self, id: ConnId) -> Option<&Row> {
        self.index(id).map(|index| &self.snapshot.rows[index])
    }

    /// Where a connection's row stands.
    pub(crate) fn index(&self, id: ConnId) -> Option<usize> {
        self.snapshot.rows.binary_search_by_key(&id, |row| row.id).ok()
    }

    /// The row of a connection that has not ended.
    pub(crate) fn living(&self, id: ConnId) -> Option<&Row> {
        self.row(id).filter(|row| row.state != Phase::Gone)
    }

    /// What was asked about one connection, if it is about this one.
    pub(crate) fn detail(&self, id: ConnId) -> Option<&Detail> {
        self.snapshot.detail.as_ref().filter(|detail| detail.id == id)
    }

    /// How fast the counters of the row at this index run; those of who is gone stand still.
    pub(crate) fn rate(&self, index: usize) -> RowRate {
        match self.snapshot.rows.get(index) {
            Some(row) if row.state != Phase::Gone => self.rates.at(index),
            _ => RowRate::default(),
        }
    }

    /// Outbox and Send-Q of a row, in thousandths of what its outbox may hold; above 1,000 when the kernel holds
    /// more on top of a full outbox. Nothing waits for those who are gone.
    pub(crate) fn load(&self, row: &Row) -> u32 {
        if row.state == Phase::Gone {
            return 0;
        }
        let waiting = u128::from(row.outbox_bytes) + u128::from(send_q(row));
        let share = (waiting * 1_000).checked_div(u128::from(self.status().outbox_limit)).unwrap_or(0);
        let at_least = u128::from(waiting > 0);
        u32::try_from(share.max(at_least)).unwrap_or(u32::MAX)
    }

    /// The fullest outbox: whose, and how many bytes.
    pub(crate) const fn fullest(&self) -> Option<(ConnId, u64)> {
        self.fullest
    }

    /// Bytes in all Send-Qs, as far as they are known.
    pub(crate) const fn send_q(&self) -> u64 {
        self.send_q
    }
}

/// The Send-Q of a row: as just read, else as last known; a socket that is gone has none.
pub(crate) fn send_q(row: &Row) -> u64 {
    if row.state == Phase::Gone {
        return 0;
    }
    u64::from(row.kernel.map_or(row.send_q_seen, |kernel| kernel.send_q))
}

/// What would be lost if the connection ended now: bytes in its outbox and in its Send-Q.
pub(crate) fn unsent(row: &Row) -> (u64, u64) {
    (row.outbox_bytes, send_q(row))
}
