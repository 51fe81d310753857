//! The table of clients as state: how rows are sorted and filtered, which connection is selected, which are marked.
//!
//! A selection is a connection, never a row: rows move under it. Only where it stood is remembered, for the step after
//! it is gone.

use std::collections::BTreeSet;

use super::cells::idle;
use super::columns::{Column, Wants};
use super::filter::Filter;
use super::picture::{Picture, send_q};
use crate::model::snapshot::{ConnId, Peer, Row};

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    /// The column.
    pub(crate) column: Column,
    /// Whether the largest comes first.
    pub(crate) descending: bool,
}

impl Sort {
    /// By this column, in the direction that suits it.
    pub(crate) const fn by(column: Column) -> Self {
        Self { column, descending: column.descends() }
    }

    /// By the next column.
    pub(crate) fn next(self) -> Self {
        let at = Column::SORTABLE.iter().position(|column| *column == self.column).unwrap_or(0);
        Self::by(Column::SORTABLE[(at + 1) % Column::SORTABLE.len()])
    }

    /// By the same column, the other way.
    pub(crate) const fn reversed(self) -> Self {
        Self { descending: !self.descending, ..self }
    }
}

/// The table's state.
#[derive(Debug)]
pub(crate) struct Table {
    /// By what rows are sorted.
    pub(crate) sort: Sort,
    /// Which rows are shown.
    pub(crate) filter: Filter,
    /// How wide the contents are.
    pub(crate) wants: Wants,
    selected: Option<ConnId>,
    position: usize,
    marks: BTreeSet<ConnId>,
    order: Vec<u32>,
    /// Rows of which the filter cannot say whether they pass.
    unknown: usize,
    offset: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            sort: Sort::by(Column::Load),
            filter: Filter::default(),
            wants: Wants::default(),
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
    /// Filters and sorts anew; to be called whenever picture, filter or sort changed.
    pub(crate) fn rebuild(&mut self, picture: &Picture) {
        self.wants.follow(picture.rows(), picture.taken().moment);
        let count = u32::try_from(picture.rows().len()).unwrap_or(u32::MAX);
        self.order.clear();
        self.unknown = 0;
        if self.filter.is_empty() {
            self.order.extend(0..count);
        } else {
            let (filter, mut scratch) = (&self.filter, String::new());
            let accepts =
                (0..count).map(|index| (index, filter.accepts(picture, index as usize, &mut scratch)));
            for (index, accepts) in accepts {
                self.unknown += usize::from(accepts.is_none());
                self.order.extend(accepts.filter(|accepts| *accepts).map(|_| index));
            }
        }
        sort(&mut self.order, self.sort, picture);
        self.keep_selection(picture);
    }

    /// Finds the selected connection again. An empty choice is filled once there is somebody.
    fn keep_selection(&mut self, picture: &Picture) {
        if picture.rows().is_empty() {
            self.selected = None;
        }
        match self.selected {
            None => self.select_at(0, picture),
            Some(id) => {
                if let Some(position) = self.find(id, picture) {
                    self.position = position;
                }
            }
        }
    }

    fn find(&self, id: ConnId, picture: &Picture) -> Option<usize> {
        let index = u32::try_from(picture.index(id)?).ok()?;
        self.order.iter().position(|at| *at == index)
    }

    /// Rows of which the filter cannot say whether they pass, because what it asks for is not known of them.
    pub(crate) const fn unknown(&self) -> usize {
        self.unknown
    }

    /// The connection that verbs are for, whether or not it is still there.
    pub(crate) const fn selected(&self) -> Option<ConnId> {
        self.selected
    }

    /// Whether the selected connection has a row.
    pub(crate) fn shows_selected(&self, picture: &Picture) -> bool {
        self.selected.is_some_and(|id| self.row_at(self.position, picture).is_some_and(|row| row.id == id))
    }

    /// Selects a connection.
    pub(crate) fn select(&mut self, id: ConnId, picture: &Picture) {
        self.selected = Some(id);
        self.position = self.find(id, picture).unwrap_or(self.position);
    }

    /// Selects who is in the row at this place, or in the last row.
    pub(crate) fn select_at(&mut self, position: usize, picture: &Picture) {
        let position = position.min(self.order.len().saturating_sub(1));
        if let Some(id) = self.row_at(position, picture).map(|row| row.id) {
            self.selected = Some(id);
            self.position = position;
        }
    }

    /// Selects the row so many rows further down. Where the selected one has no row any more, the row that came into
    /// its place is the first step.
    pub(crate) fn move_by(&mut self, rows: isize, picture: &Picture) {
        let rows = if self.shows_selected(picture) { rows } else { rows - rows.signum().max(0) };
        self.select_at(self.position.saturating_add_signed(rows), picture);
    }

    /// Selects the first row unless the selected one is among those shown: for a filter just typed.
    pub(crate) fn select_shown(&mut self, picture: &Picture) {
        if !self.shows_selected(picture) {
            self.select_at(0, picture);
        }
    }

    /// The rows shown.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The place in the picture of the row at this place of the table.
    pub(crate) fn index_at(&self, position: usize) -> Option<usize> {
        self.order.get(position).map(|index| *index as usize)
    }

    fn row_at<'a>(&self, position: usize, picture: &'a Picture) -> Option<&'a Row> {
        self.index_at(position).and_then(|index| picture.rows().get(index))
    }

    /// The places of the rows in sight when there is room for `rows`; the selected one is among them.
    pub(crate) fn window(&self, rows: usize) -> std::ops::Range<usize> {
        let first = self.offset.min(self.order.len());
        first..(first + rows).min(self.order.len())
    }

    /// Scrolls as little as needed to bring the selected row into a window of so many rows.
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

    /// Takes all marks away; how many there were.
    pub(crate) fn unmark_all(&mut self) -> usize {
        std::mem::take(&mut self.marks).len()
    }

    /// Takes away the marks of those who are gone.
    pub(crate) fn forget_marks_of_gone(&mut self, live: &Picture) {
        self.marks.retain(|id| live.living(*id).is_some());
    }
}

/// Sorts row numbers. Ties are by rising id, as the rows themselves are.
fn sort(order: &mut [u32], sort: Sort, picture: &Picture) {
    let rows = picture.rows();
    let now = picture.taken().moment;
    let at = |index: u32| &rows[index as usize];
    let rate = |index: u32| picture.rate(index as usize);
    let descending = sort.descending;
    let load = |index: u32| at(index).outbox_bytes.saturating_add(send_q(at(index)));
    let recv_q = |index: u32| at(index).kernel.map(|kernel| kernel.recv_q);
    match sort.column {
        Column::Id | Column::Flags => by_key(order, descending, |index| at(index).id),
        Column::Nick => by_key(order, descending, |index| at(index).nick.map(|nick| nick.folded())),
        Column::Peer | Column::Address => by_key(order, descending, |index| peer_key(at(index).peer)),
        Column::State => by_key(order, descending, |index| at(index).state),
        Column::RecvQ => {
            // What is not known is neither much nor little: it comes last either way.
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

/// Keys are made once for each row: making one can cost more than comparing two.
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
