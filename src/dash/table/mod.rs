//! The table of clients as state: how rows are sorted and filtered, which connection is selected, which are marked.
//!
//! The selection is a connection id, never a row number: rows move. Its last position is kept for the next move after
//! the connection has no row any more.

pub(crate) mod columns;
pub(crate) mod events;
pub(crate) mod filter;

use std::collections::BTreeSet;

use columns::{Column, ContentWidths};
use filter::Filter;

use super::model::{Model, idle, send_q};
use crate::model::snapshot::{ConnId, Peer, Row};

/// The sort order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    /// The column.
    pub(crate) column: Column,
    pub(crate) descending: bool,
}

impl Sort {
    /// Sorts by this column in its default direction.
    pub(crate) const fn by(column: Column) -> Self {
        Self { column, descending: column.descends() }
    }

    /// Sorts by the next column.
    pub(crate) fn next(self) -> Self {
        let at = Column::SORTABLE.iter().position(|column| *column == self.column).unwrap_or(0);
        Self::by(Column::SORTABLE[(at + 1) % Column::SORTABLE.len()])
    }

    /// The same column in the other direction.
    pub(crate) const fn reversed(self) -> Self {
        Self { descending: !self.descending, ..self }
    }
}

/// The table's state.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) sort: Sort,
    /// Which rows are shown.
    pub(crate) filter: Filter,
    /// How wide the contents are.
    pub(crate) wants: ContentWidths,
    selected: Option<ConnId>,
    position: usize,
    marks: BTreeSet<ConnId>,
    order: Vec<u32>,
    /// Rows for which the filter has no result.
    unknown: usize,
    offset: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            sort: Sort::by(Column::Load),
            filter: Filter::default(),
            wants: ContentWidths::default(),
            selected: None,
            position: 0,
            marks: BTreeSet::new(),
            order: Vec::new(),
            unknown: 0,
            offset: 0,
        }
    }
}

impl Table {
    /// Filters and sorts the rows. Must be called when model, filter or sort have changed.
    pub(crate) fn rebuild(&mut self, model: &Model) {
        self.wants.follow(model.rows(), model.taken().moment);
        let count = u32::try_from(model.rows().len()).unwrap_or(u32::MAX);
        self.order.clear();
        self.unknown = 0;
        if self.filter.is_empty() {
            self.order.extend(0..count);
        } else {
            let (filter, mut scratch) = (&self.filter, String::new());
            let accepts =
                (0..count).map(|index| (index, filter.accepts(model, index as usize, &mut scratch)));
            for (index, accepts) in accepts {
                self.unknown += usize::from(accepts.is_none());
                self.order.extend(accepts.filter(|accepts| *accepts).map(|_| index));
            }
        }
        sort(&mut self.order, self.sort, model);
        self.keep_selection(model);
    }

    /// Finds the selected connection again. Without a selection the first row is selected.
    fn keep_selection(&mut self, model: &Model) {
        if model.rows().is_empty() {
            self.selected = None;
        }
        match self.selected {
            None => self.select_at(0, model),
            Some(id) => {
                if let Some(position) = self.find(id, model) {
                    self.position = position;
                }
            }
        }
    }

    fn find(&self, id: ConnId, model: &Model) -> Option<usize> {
        let index = u32::try_from(model.index(id)?).ok()?;
        self.order.iter().position(|at| *at == index)
    }

    /// Rows for which the filter has no result, because a value that it compares is unknown.
    pub(crate) const fn unknown(&self) -> usize {
        self.unknown
    }

    /// The target of verbs, whether or not it is still connected.
    pub(crate) const fn selected(&self) -> Option<ConnId> {
        self.selected
    }

    /// Whether the selected connection has a row.
    pub(crate) fn shows_selected(&self, model: &Model) -> bool {
        self.selected.is_some_and(|id| self.row_at(self.position, model).is_some_and(|row| row.id == id))
    }

    /// Selects a connection.
    pub(crate) fn select(&mut self, id: ConnId, model: &Model) {
        self.selected = Some(id);
        self.position = self.find(id, model).unwrap_or(self.position);
    }

    /// Selects the row at this position, or the last row.
    pub(crate) fn select_at(&mut self, position: usize, model: &Model) {
        let position = position.min(self.order.len().saturating_sub(1));
        if let Some(id) = self.row_at(position, model).map(|row| row.id) {
            self.selected = Some(id);
            self.position = position;
        }
    }

    /// Moves the selection by this number of rows. If the selected connection has no row any more, the row in its place
    /// is the first step.
    pub(crate) fn move_by(&mut self, rows: isize, model: &Model) {
        let rows = if self.shows_selected(model) { rows } else { rows - rows.signum().max(0) };
        self.select_at(self.position.saturating_add_signed(rows), model);
    }

    /// Selects the first row unless the selected connection is shown; used after a filter was typed.
    pub(crate) fn select_shown(&mut self, model: &Model) {
        if !self.shows_selected(model) {
            self.select_at(0, model);
        }
    }

    /// The rows shown.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The index in the model of the row at this position.
    pub(crate) fn index_at(&self, position: usize) -> Option<usize> {
        self.order.get(position).map(|index| *index as usize)
    }

    fn row_at<'a>(&self, position: usize, model: &'a Model) -> Option<&'a Row> {
        self.index_at(position).and_then(|index| model.rows().get(index))
    }

    /// The positions of the visible rows when there is room for `rows`; the selected one is among them.
    pub(crate) fn window(&self, rows: usize) -> std::ops::Range<usize> {
        let first = self.offset.min(self.order.len());
        first..(first + rows).min(self.order.len())
    }

    /// Scrolls as little as needed to make the selected row visible.
    pub(crate) fn scroll(&mut self, rows: usize) {
        let rows = rows.max(1);
        self.offset = self.offset.min(self.order.len().saturating_sub(rows));
        let position = self.position.min(self.order.len().saturating_sub(1));
        if position < self.offset {
            self.offset = position;
        } else if position >= self.offset + rows {
            self.offset = position + 1 - rows;
        }
    }

    /// The marked connections.
    pub(crate) const fn marks(&self) -> &BTreeSet<ConnId> {
        &self.marks
    }

    /// Marks the selected connection, or takes its mark away.
    pub(crate) fn toggle_mark(&mut self) {
        if let Some(id) = self.selected
            && !self.marks.remove(&id)
        {
            self.marks.insert(id);
        }
    }

    /// Removes all marks and returns their number.
    pub(crate) fn unmark_all(&mut self) -> usize {
        std::mem::take(&mut self.marks).len()
    }

    /// Removes the marks of connections that are gone.
    pub(crate) fn forget_marks_of_gone(&mut self, live: &Model) {
        self.marks.retain(|id| live.live_row(*id).is_some());
    }
}

/// Sorts row numbers. Ties are by rising id, as the rows themselves are.
fn sort(order: &mut [u32], sort: Sort, model: &Model) {
    let rows = model.rows();
    let now = model.taken().moment;
    let at = |index: u32| &rows[index as usize];
    let rate = |index: u32| model.rate(index as usize);
    let descending = sort.descending;
    let load = |index: u32| at(index).outbox_bytes.saturating_add(send_q(at(index)));
    let recv_q = |index: u32| at(index).kernel.map(|kernel| kernel.recv_q);
    match sort.column {
        Column::Id | Column::Flags => by_key(order, descending, |index| at(index).id),
        Column::Nick => by_key(order, descending, |index| at(index).nick.map(|nick| nick.folded())),
        Column::Peer | Column::Address => by_key(order, descending, |index| peer_key(at(index).peer)),
        Column::State => by_key(order, descending, |index| at(index).state),
        Column::RecvQ => {
            // Unknown values come last in both directions.
            order.sort_by_key(|index| recv_q(*index).is_none());
            let known = order.partition_point(|index| recv_q(*index).is_some());
            by_key(&mut order[..known], descending, recv_q);
        }
        Column::Outbox => by_key(order, descending, |index| at(index).outbox_bytes),
        Column::SendQ => by_key(order, descending, |index| send_q(at(index))),
        Column::Load => by_key(order, descending, load),
        Column::Rx => by_key(order, descending, |index| rate(index).rx()),
        Column::Tx | Column::RxTx => by_key(order, descending, |index| rate(index).ack()),
        Column::Idle => by_key(order, descending, |index| idle(at(index), now)),
    }
}

/// Keys are computed once for each row: that can cost more than a comparison.
fn by_key<K: Ord>(order: &mut [u32], descending: bool, key: impl Fn(u32) -> K) {
    let mut keyed: Vec<(K, u32)> = order.iter().map(|index| (key(*index), *index)).collect();
    keyed.sort_unstable_by(|(a, i), (b, j)| {
        let keys = if descending { b.cmp(a) } else { a.cmp(b) };
        keys.then(i.cmp(j))
    });
    for (place, (_, index)) in order.iter_mut().zip(keyed) {
        *place = index;
    }
}

fn peer_key(peer: Peer) -> Option<(std::net::IpAddr, u16)> {
    match peer {
        Peer::Tcp(address) => Some((address.ip(), address.port())),
        Peer::Unix => None,
    }
}
