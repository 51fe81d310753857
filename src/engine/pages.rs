//! Lists for onlookers, a page at a time, and one connection with its history.
//!
//! Nothing is kept between two pages: an onlooker says where to go on. What ended in between is left out.

use super::journal::JOURNAL_MAX;
use super::server::Engine;
use crate::chat::{Profile, RoomName};
use crate::id::{ConnId, Slot};
use crate::model::answer::{ConnectionDetail, ConnectionRow, List, Page, RoomRow, Rows};
use crate::model::snapshot::{Kernel, Row};
use crate::model::verbs::Who;

impl Engine {
    /// At most `limit` rows of a list. Of [`List::Connections`] they are those of `ids`, which are taken from it; for
    /// [`List::Operators`] there are none.
    pub fn page(
        &self,
        list: List,
        limit: usize,
        ids: &mut impl Iterator<Item = (ConnId, Slot)>,
        kernel: impl Fn(ConnId, Slot) -> Option<Kernel>,
    ) -> Page {
        match list {
            List::Bans { after } => self.bans_page(after, limit),
            List::Closed { after, through, since } => {
                let (rows, after, through) = self.closed_rows(after, through, limit, |row| {
                    row.gone_at.is_none_or(|gone_at| gone_at >= since)
                });
                let is_last = after >= through;
                self.page_of(Rows::Connections(rows), List::Closed { after, through, since }, is_last)
            }
            List::Connections { mut after, through, kernels } => {
                let through = through.min(self.admission.last_id());
                let mut rows = Vec::with_capacity(limit);
                let mut is_last = false;
                while rows.len() < limit && !is_last {
                    let Some((id, slot)) = ids.next() else {
                        is_last = true;
                        break;
                    };
                    after = id.get();
                    rows.extend(self.connection_row(id, slot, |slot| kernel(id, slot)));
                }
                let place = List::Connections { after, through, kernels };
                self.page_of(Rows::Connections(rows), place, is_last)
            }
            List::Events { after, through, most, waits } => {
                let through = through.min(self.conns.journal.last());
                let newer = self.conns.journal.after(after, most.min(JOURNAL_MAX));
                let rows: Vec<_> = newer
                    .take_while(|event| event.seq <= through)
                    .take(limit)
                    .map(std::borrow::Cow::into_owned)
                    .collect();
                let after = rows.last().map_or(through.max(after), |event| event.seq);
                let place = List::Events { after, through, most, waits };
                self.page_of(Rows::Events(rows), place, after >= through)
            }
            List::Operators { .. } => self.page_of(Rows::Operators(Vec::new()), list, true),
            List::Rooms { after } => self.rooms_page(after, limit),
        }
    }

    fn page_of(&self, rows: Rows, place: List, is_last: bool) -> Page {
        Page { taken: self.conns.now, rows, place, is_last, listeners: self.listeners.clone() }
    }

    fn bans_page(&self, after: u64, limit: usize) -> Page {
        let bans = self.bans.after(after);
        let page = &bans[..limit.min(bans.len())];
        let rows = page.iter().map(|ban| ban.row.clone()).collect();
        let after = page.last().map_or(after, |ban| ban.number);
        self.page_of(Rows::Bans(rows), List::Bans { after }, page.len() == bans.len())
    }

    fn rooms_page(&self, after: Option<RoomName>, limit: usize) -> Page {
        let mut rooms = self.hub.rooms_after(after.as_ref());
        let page: Vec<RoomRow> = rooms
            .by_ref()
            .take(limit)
            .map(|room| RoomRow {
                name: *room.name,
                members: room.members,
                topic: room.topic.map(str::to_owned),
            })
            .collect();
        let is_last = rooms.next().is_none();
        let after = page.last().map(|room| room.name).or(after);
        self.page_of(Rows::Rooms(page), List::Rooms { after }, is_last)
    }

    /// Rows of closed connections, and the place after them.
    fn closed_rows(
        &self,
        after: u64,
        through: u64,
        limit: usize,
        is_wanted: impl Fn(&Row) -> bool,
    ) -> (Vec<ConnectionRow>, u64, u64) {
        let through = through.min(self.closed.count());
        let mut after = after.max(self.closed.first()).min(through);
        let mut rows = Vec::new();
        while after < through && rows.len() < limit {
            let row = self.closed.get(after).map(|gone| &gone.row).filter(|row| is_wanted(row));
            rows.extend(row.map(|row| ConnectionRow { row: row.clone(), rooms: Vec::new() }));
            after += 1;
        }
        (rows, after, through)
    }

    /// The number of the last event so far; 0 before the first.
    #[must_use]
    pub const fn last_event(&self) -> u64 {
        self.conns.journal.last()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.conns.slab.len()
    }

    /// The first `most` connections by rising id after `after`, none beyond `through`. Looks at every connection.
    #[must_use]
    pub fn connections_between(&self, after: u64, through: u64, most: usize) -> Vec<(ConnId, Slot)> {
        let ids = self.conns.clients().map(|(slot, conn)| (conn.id, slot));
        let mut first: Vec<_> = ids.filter(|(id, _)| id.get() > after && id.get() <= through).collect();
        if first.len() > most {
            first.select_nth_unstable(most);
            first.truncate(most);
        }
        first.sort_unstable();
        first
    }

    /// A connection as lists have it, if it is still there.
    fn connection_row(
        &self,
        id: ConnId,
        slot: Slot,
        kernel: impl FnOnce(Slot) -> Option<Kernel>,
    ) -> Option<ConnectionRow> {
        let conn = self.conns.get(slot).filter(|conn| conn.id == id && conn.is_client())?;
        let row = Row { kernel: kernel(slot), ..self.row(slot, conn) };
        let rooms = self.hub.person(slot).into_iter().flat_map(Profile::rooms).copied().collect();
        Some(ConnectionRow { row, rooms })
    }

    /// One connection with its history; of one that is gone what is still known. Looks at every connection.
    ///
    /// # Errors
    ///
    /// When there is none, in words for the operator.
    pub fn connection(
        &self,
        who: Who,
        kernel: impl FnOnce(Slot) -> Option<Kernel>,
    ) -> Result<ConnectionDetail, String> {
        let (taken, listeners) = (self.conns.now, self.listeners.clone());
        match self.find(who) {
            Ok(slot) => {
                let id = self.conns.get(slot).map(|conn| conn.id);
                let connection = id.and_then(|id| self.connection_row(id, slot, kernel));
                let connection = connection.ok_or_else(|| format!("{who} is gone"))?;
                let detail = id.and_then(|id| self.detail(id));
                Ok(ConnectionDetail { taken, connection, detail, listeners })
            }
            Err(why) => {
                let gone = self.closed.named(who).ok_or(why)?;
                let connection = ConnectionRow { row: gone.row.clone(), rooms: Vec::new() };
                Ok(ConnectionDetail { taken, connection, detail: Some(gone.detail.clone()), listeners })
            }
        }
    }
}
