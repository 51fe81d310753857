//! How connections end, one by one and all together.

use std::time::Duration;

use super::entry::Role;
use super::record::Record;
use super::server::{CLOSED_BYTES_MAX, CLOSED_MAX, Engine, Gone};
use crate::chat::{Delivery, Line};
use crate::id::Slot;
use crate::session::{CloseReason, Linger};

impl Engine {
    /// The session ends with a farewell: out of the hub, then flush, FIN, and what `linger` says.
    pub(super) fn part(&mut self, slot: Slot, reason: CloseReason, linger: Linger) -> bool {
        self.depart(slot, &reason);
        let now = self.board.now.moment;
        let parted = self.board.change_input(slot, |session| session.farewell(reason, linger, now));
        self.board.touch(slot);
        parted.unwrap_or(false)
    }

    /// A last line to somebody whose session then ends.
    pub(super) fn part_with(&mut self, slot: Slot, text: &str, reason: CloseReason) -> bool {
        self.board.answer(slot, &Line::Notice(text));
        self.part(slot, reason, Linger::FAREWELL)
    }

    /// Out of the hub and the fanout; the name stays known for the records.
    pub(super) fn depart(&mut self, slot: Slot, reason: &CloseReason) {
        self.release_place(slot);
        let nick = self.hub.leave(
            slot,
            reason.to_string(),
            reason.without_words(),
            self.board.now.moment,
            &mut self.board,
        );
        self.board.unseat(slot);
        let Some(nick) = nick else { return };
        let Some(entry) = self.board.entry_mut(slot) else { return };
        entry.parted = Some(Box::new(nick));
        self.settle_debt(slot);
    }

    /// The socket of `slot` is closed: whoever it was leaves, if that has not happened yet, and the slot is free.
    pub fn ended(&mut self, slot: Slot) {
        let now = self.board.now;
        let Some(entry) = self.board.entry(slot) else { return };
        let reason = entry.session.reason().cloned().unwrap_or(CloseReason::Eof);
        self.depart(slot, &reason);
        let gone = self.gone(slot, &reason);
        let Some(mut entry) = self.board.remove(slot) else { return };
        if entry.session.is_broken() {
            self.board.totals.dropped_bytes += entry.session.inbox_bytes() as u64;
        }
        self.deadlines.arm(slot, &mut entry.armed, None);
        let unsent = entry.session.end(&mut self.board.chunks) as u64;
        match entry.role {
            Role::Operator => {
                self.reload_askers.retain(|asker| asker.slot != slot);
                return self.operators.left(slot);
            }
            Role::TurnedAway => self.admission.refused_left(),
            Role::Client => {
                self.admission.give_place_back(&mut entry, now.moment);
                self.admission.orphans.retain(|orphan| *orphan != slot);
            }
        }
        *self.board.totals.closed.entry(reason.word()).or_default() += 1;
        if entry.is_client() {
            let nick = entry.parted.map(|nick| *nick);
            self.board.journal.add(now, Record::Closed { id: entry.id, nick, reason, unsent });
            self.closed_bytes += gone.as_ref().map_or(0, Gone::bytes);
            self.closed.extend(gone);
            self.closed_count += 1;
            while self.closed.len() > CLOSED_MAX || self.closed_bytes > CLOSED_BYTES_MAX {
                let Some(oldest) = self.closed.pop_front() else { break };
                self.closed_bytes -= oldest.bytes();
            }
        }
    }

    /// The socket of `slot`, which had failed, is closed; what it sent before is still worked off.
    pub(super) fn released(&mut self, slot: Slot) {
        if let Some(entry) = self.board.entry_mut(slot) {
            entry.session.released();
            self.arm(slot);
        }
    }

    /// Begins the clean stop: everybody is told, flushed and closed within `within`, else `server.drain`. Operators
    /// may watch until nobody else is left. One that is under way can only become shorter: `false` if it does not.
    pub fn stop(&mut self, within: Option<Duration>) -> bool {
        let within = within.unwrap_or(self.drain);
        let end = self.board.now.moment + within;
        if self.stopping.is_some_and(|at| at <= end) {
            return false;
        }
        if self.stopping.replace(end).is_none() {
            self.hub.operator_says(&format!("{} is stopping", self.name), self.board.now, &mut self.board);
        }
        let slots: Vec<Slot> = self.slots().filter(|slot| !self.operators.has(*slot)).collect();
        // Nobody is told of anybody's leaving: all leave together.
        for slot in slots {
            // Who was on the way out already goes for the reason it has.
            let reason = self.board.entry(slot).and_then(|entry| entry.session.reason().cloned());
            self.part(slot, reason.unwrap_or(CloseReason::ServerStop), Linger::server_stop(within));
        }
        true
    }

    /// Whether the server is stopping.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether the stop is over: nobody is left, or its time is up.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopping.is_some_and(|at| self.board.entries.is_empty() || at <= self.board.now.moment)
    }
}
