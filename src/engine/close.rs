//! How connections end, one by one and all together.

use std::collections::VecDeque;
use std::time::Duration;

use super::connection::Role;
use super::server::Engine;
use crate::chat::{Delivery, Line};
use crate::id::{ConnId, Slot};
use crate::model::event::EventKind;
use crate::model::snapshot::{Detail, Row};
use crate::model::verbs::Who;
use crate::session::{CloseReason, Linger};
use crate::time::Moment;

/// Connections that ended and are still known.
const CLOSED_MAX: usize = 1_000;
/// Bytes of them, timelines and texts included; the oldest go first. A thousand take half of it at most, unless each has
/// said a long farewell.
const CLOSED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A connection that ended, as it was last.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) row: Row,
    pub(super) detail: Detail,
}

impl Gone {
    /// The memory that it takes.
    fn bytes(&self) -> usize {
        let Self { row, detail } = self;
        let texts = detail.timeline.iter().map(|(_, milestone)| milestone.text_bytes()).sum::<usize>()
            + row.reason.as_ref().and_then(|reason| reason.detail()).map_or(0, str::len);
        size_of::<Self>()
            + size_of_val(detail.timeline.as_slice())
            + size_of_val(detail.rooms.as_slice())
            + row.terminal.as_ref().map_or(0, |terminal| size_of_val(&**terminal))
            + texts
    }
}

/// The connections that ended last, in the order in which they ended.
#[derive(Debug, Default)]
pub(super) struct Closed {
    list: VecDeque<Gone>,
    /// Σ of [`Gone::bytes`] in the list.
    bytes: usize,
    /// How many were ever in the list.
    count: u64,
}

impl Closed {
    fn push(&mut self, gone: Gone) {
        self.bytes += gone.bytes();
        self.list.push_back(gone);
        self.count += 1;
        while self.list.len() > CLOSED_MAX || self.bytes > CLOSED_BYTES_MAX {
            let Some(oldest) = self.list.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// How many have ended so far.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Gone> {
        self.list.iter()
    }

    pub(super) fn last(&self) -> Option<&Gone> {
        self.list.back()
    }

    pub(super) fn find(&self, id: ConnId) -> Option<&Gone> {
        self.list.iter().find(|gone| gone.row.id == id)
    }

    /// The one that a verb names. A nick names only connections that are here.
    pub(super) fn named(&self, who: Who) -> Option<&Gone> {
        match who {
            Who::Id(id) => self.find(id),
            Who::Nick(_) => None,
        }
    }

    /// The number of the oldest that is known; the first one that ended has 0.
    pub(super) fn first(&self) -> u64 {
        self.count - self.list.len() as u64
    }

    /// The one with this number, if it is still known.
    pub(super) fn get(&self, number: u64) -> Option<&Gone> {
        self.list.get(usize::try_from(number.checked_sub(self.first())?).ok()?)
    }
}

impl Engine {
    /// The session ends with a farewell: out of the hub, then flush, FIN, and what `linger` says.
    pub(super) fn close(&mut self, slot: Slot, reason: CloseReason, linger: Linger) -> bool {
        self.leave(slot, &reason);
        let now = self.conns.now.moment;
        let left_as = self.conns.change_input(slot, |session| session.farewell(reason, linger, now));
        self.conns.touch(slot);
        left_as.unwrap_or(false)
    }

    /// A last line to somebody whose session then ends.
    pub(super) fn close_with(&mut self, slot: Slot, text: &str, reason: CloseReason) -> bool {
        self.conns.answer(slot, &Line::Notice(text));
        self.close(slot, reason, Linger::FAREWELL)
    }

    /// Out of the hub and the fanout; the name stays known for the events.
    pub(super) fn leave(&mut self, slot: Slot, reason: &CloseReason) {
        self.release_place(slot);
        let nick = self.hub.leave(
            slot,
            reason.to_string(),
            reason.without_words(),
            self.conns.now.moment,
            &mut self.conns,
        );
        self.conns.leave_logs(slot);
        let Some(nick) = nick else { return };
        let Some(conn) = self.conns.get_mut(slot) else { return };
        conn.left_as = Some(Box::new(nick));
        self.settle_debt(slot);
    }

    /// The socket of `slot` is closed. The client leaves, if that has not happened yet, and the slot is free; if the socket
    /// had failed and the session has input that is not parsed yet, the session goes on without it.
    pub fn handle_closed(&mut self, slot: Slot) {
        let now = self.conns.now;
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if conn.session.release() {
            return self.arm(slot);
        }
        let reason = conn.session.reason().cloned().unwrap_or(CloseReason::Eof);
        self.leave(slot, &reason);
        let gone = self.gone(slot, &reason);
        let Some(mut conn) = self.conns.remove(slot) else { return };
        if conn.session.is_broken() {
            self.conns.totals.dropped_bytes += conn.session.inbox_bytes() as u64;
        }
        self.deadlines.arm(slot, None);
        let unsent = conn.session.end(&mut self.conns.chunks) as u64;
        match conn.role {
            Role::TurnedAway => self.admission.refused_left(),
            Role::Client => {
                self.admission.give_place_back(&mut conn, now.moment);
                self.admission.orphans.retain(|orphan| *orphan != slot);
            }
        }
        *self.conns.totals.closed.entry(reason.word()).or_default() += 1;
        if conn.is_client() {
            let nick = conn.left_as.map(|nick| *nick);
            self.conns.journal.add(now, EventKind::Closed { id: conn.id, nick, reason, unsent });
            if let Some(gone) = gone {
                self.closed.push(gone);
            }
        }
    }

    /// Begins the clean stop: every client is notified, flushed and closed within `within`, else `server.drain`. A stop
    /// under way can only become shorter: `false` if it does not.
    pub fn stop(&mut self, within: Option<Duration>) -> bool {
        let within = within.unwrap_or(self.drain);
        let end = self.conns.now.moment + within;
        if self.stopping.is_some_and(|at| at <= end) {
            return false;
        }
        if self.stopping.replace(end).is_none() {
            self.hub.operator_says(&format!("{} is stopping", self.name), self.conns.now, &mut self.conns);
        }
        let slots: Vec<Slot> = self.slots().collect();
        // Nobody is told of anybody's leaving: all leave together.
        for slot in slots {
            // Who was on the way out already goes for the reason it has.
            let reason = self.conns.get(slot).and_then(|conn| conn.session.reason().cloned());
            self.close(slot, reason.unwrap_or(CloseReason::ServerStop), Linger::server_stop(within));
        }
        true
    }

    /// Whether the server is stopping.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// When the time of the stop under way is up.
    #[must_use]
    pub const fn stop_deadline(&self) -> Option<Moment> {
        self.stopping
    }

    /// Whether the stop is over: nobody is left, or its time is up.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopping.is_some_and(|at| self.conns.slab.is_empty() || at <= self.conns.now.moment)
    }
}
