//! What is known of the server: the newest snapshot, and what follows from the snapshots before it.

pub(crate) mod history;
pub(crate) mod log;
pub(crate) mod rates;
pub(crate) mod remarks;

use std::collections::BTreeMap;
use std::time::Duration;

use history::History;
use log::EventLog;
use rates::{Rates, RowRate};

use crate::model::snapshot::{ConnId, Detail, Phase, Row, Snapshot, Status};
use crate::time::{Moment, Now};

/// The newest snapshot with rates, history and events. A clone is a frozen model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    snapshot: Box<Snapshot>,
    rates: Rates,
    /// The traffic of the last minutes.
    pub(crate) history: History,
    pub(crate) log: EventLog,
    fullest: Option<(ConnId, u64)>,
    send_q: u64,
    wall_times: BTreeMap<Moment, Now>,
    seen: bool,
}

impl Model {
    /// Takes the next snapshot.
    pub(crate) fn update(&mut self, mut snapshot: Box<Snapshot>) {
        let (old, new) = (&self.snapshot, &snapshot);
        self.rates = self.rates.next((&old.rows, old.taken.moment), (&new.rows, new.taken.moment));
        self.history.observe(&snapshot);
        self.log.append(std::mem::take(&mut snapshot.events));
        self.fullest = rates::fullest(&snapshot.rows);
        self.send_q = snapshot.rows.iter().map(send_q).sum();
        self.wall_times = self.times(&snapshot);
        self.snapshot = snapshot;
        self.seen = true;
    }

    /// The wall times of all moments in this snapshot since which something lasts. A known one is kept: computed again
    /// it could differ by a second between two snapshots.
    fn times(&self, snapshot: &Snapshot) -> BTreeMap<Moment, Now> {
        let since = snapshot.rows.iter().flat_map(|row| row.stuck_since.into_iter().chain(row.flow_since));
        let known =
            |since| self.wall_times.get(&since).copied().unwrap_or_else(|| snapshot.taken.earlier(since));
        let past = since.filter(|since| *since <= snapshot.taken.moment);
        past.map(|since| (since, known(since))).collect()
    }

    /// The wall time since which something lasts, the same in every snapshot.
    pub(crate) fn wall_time_of(&self, since: Moment) -> Now {
        self.wall_times.get(&since).copied().unwrap_or_else(|| self.taken().earlier(since))
    }

    /// Whether a snapshot has been received.
    pub(crate) const fn has_snapshot(&self) -> bool {
        self.seen
    }

    /// When the snapshot was taken.
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

    /// The row of a connection, if the snapshot has it.
    pub(crate) fn row(&self, id: ConnId) -> Option<&Row> {
        self.index(id).map(|index| &self.snapshot.rows[index])
    }

    /// The index of a connection's row.
    pub(crate) fn index(&self, id: ConnId) -> Option<usize> {
        self.snapshot.rows.binary_search_by_key(&id, |row| row.id).ok()
    }

    /// The row of a connection that has not ended.
    pub(crate) fn live_row(&self, id: ConnId) -> Option<&Row> {
        self.row(id).filter(|row| row.state != Phase::Gone)
    }

    /// The requested detail, if it is of this connection.
    pub(crate) fn detail(&self, id: ConnId) -> Option<&Detail> {
        self.snapshot.detail.as_ref().filter(|detail| detail.id == id)
    }

    /// The rates of the row at this index; those of a connection that is gone are 0.
    pub(crate) fn rate(&self, index: usize) -> RowRate {
        match self.snapshot.rows.get(index) {
            Some(row) if row.state != Phase::Gone => self.rates.at(index),
            _ => RowRate::default(),
        }
    }

    /// Outbox and Send-Q of a row, in thousandths of the outbox limit; above 1,000 when the outbox is full and the
    /// kernel holds more. 0 for a connection that is gone.
    pub(crate) fn load(&self, row: &Row) -> u32 {
        if row.state == Phase::Gone {
            return 0;
        }
        let waiting = u128::from(row.outbox_bytes) + u128::from(send_q(row));
        let share = (waiting * 1_000).checked_div(u128::from(self.status().outbox_limit)).unwrap_or(0);
        let at_least = u128::from(waiting > 0);
        u32::try_from(share.max(at_least)).unwrap_or(u32::MAX)
    }

    /// The connection with the fullest outbox, and its bytes.
    pub(crate) const fn fullest(&self) -> Option<(ConnId, u64)> {
        self.fullest
    }

    /// Bytes in all Send-Qs, as far as they are known.
    pub(crate) const fn send_q(&self) -> u64 {
        self.send_q
    }
}

/// The Send-Q of a row: the value just read, else the last known one. A connection that is gone has none.
pub(crate) fn send_q(row: &Row) -> u64 {
    if row.state == Phase::Gone {
        return 0;
    }
    u64::from(row.kernel.map_or(row.send_q_seen, |kernel| kernel.send_q))
}

/// What would be lost if the connection were reset now: bytes in the outbox and in Send-Q.
pub(crate) fn unsent(row: &Row) -> (u64, u64) {
    (row.outbox_bytes, send_q(row))
}

/// Time since input was last read; for a connection that is gone, since its end. Unknown while reading is paused.
pub(crate) fn idle(row: &Row, now: Moment) -> Option<Duration> {
    match (row.gone_at, row.flow_since) {
        (Some(gone_at), _) => Some(now.since(gone_at)),
        (None, Some(_)) => None,
        (None, None) => Some(now.since(row.heard)),
    }
}
