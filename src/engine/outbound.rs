//! What goes out: lines settled into outboxes, writes, FIN, Send-Q, and what each socket should do.

use std::io::{self, IoSlice};

use super::encoding::Encoding;
use super::entry::Role;
use super::record::Record;
use super::server::Engine;
use super::sockets::WriteError;
use crate::chat::Line;
use crate::id::Slot;
use crate::session::{CloseReason, Limits, Wants};
use crate::time::{Moment, Now};
use crate::wire::outbox::Slices;

/// What became of a write.
#[derive(Debug)]
pub(super) enum Flushed {
    /// Everything queued is the kernel's now.
    All,
    /// The budget is used up; more can be written at once.
    More,
    /// The kernel takes no more until the socket is writable again.
    Blocked,
    /// The socket failed.
    Failed(io::Error),
}

impl Engine {
    /// Delivers what was said since the last call.
    pub(super) fn settle(&mut self) {
        self.hub.announce_departures(self.board.now, &mut self.board);
        self.board.settle();
    }

    /// How many connections are to get lines that were said to a room and are not delivered yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.board.waiting()
    }

    /// Takes the connections whose socket may have something to do.
    pub(super) fn take_dirty(&mut self, out: &mut Vec<Slot>) {
        out.clear();
        std::mem::swap(out, &mut self.board.dirty);
        for slot in out.iter() {
            if let Some(entry) = self.board.entries.get_mut(slot.index()) {
                entry.dirty = false;
            }
        }
    }

    /// Whether some connection waits for [`Engine::reconcile`]: the next turn is to begin at once.
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        !self.board.dirty.is_empty() || !self.board.deferred.is_empty()
    }

    /// What the socket of `slot` should do now; `None` if it is gone.
    #[must_use]
    pub fn wants(&self, slot: Slot) -> Option<Wants> {
        self.board.entry(slot).map(|entry| entry.session.wants())
    }

    /// The socket of `slot` may have something to do: it is looked at by the next [`Engine::reconcile`], or by the one
    /// under way.
    pub fn touch(&mut self, slot: Slot) {
        self.board.touch(slot);
    }

    /// Writes what is queued for `slot` with one call of `write`, at most about `budget` bytes.
    pub(super) fn flush(
        &mut self,
        slot: Slot,
        budget: usize,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, WriteError>,
    ) -> Flushed {
        let (now, limits) = (self.board.now, self.board.limits_of(slot));
        let Some(entry) = self.board.entries.get_mut(slot.index()) else { return Flushed::All };
        let encoding = entry.encoding();
        let mut told = 0;
        let (offered, written) = {
            let mut slices = Slices::new();
            let offered =
                entry.session.gather(&mut self.board.chunks, budget, &mut slices, |lines, bytes| {
                    told = lines;
                    tell_of_gap(lines, encoding, now, bytes)
                });
            (offered, write(&slices))
        };
        let id = entry.id;
        let flushed = self.take_written(slot, written, offered, now.moment, &limits);
        if told > 0 {
            let record = Record::Skipped { id, nick: self.nick(slot), lines: told.into() };
            self.board.journal.add(now, record);
        }
        flushed
    }

    /// FIN was sent on the socket of `slot`.
    pub(super) fn fin_sent(&mut self, slot: Slot) {
        let (now, limits) = (self.board.now.moment, self.board.limits_of(slot));
        if let Some(entry) = self.board.entry_mut(slot) {
            entry.session.fin_sent(now, &limits);
            self.board.touch(slot);
        }
    }

    /// Send-Q of `slot` stands at `send_q` bytes; asked for by [`Wants::probe`].
    pub(super) fn handle_send_q(&mut self, slot: Slot, send_q: u32) {
        let (now, limits) = (self.board.now.moment, self.board.limits_of(slot));
        if let Some(entry) = self.board.entry_mut(slot) {
            entry.session.handle_send_q(send_q, now, &limits);
            self.board.touch(slot);
        }
    }

    /// The turn's writes are done: what is left waits, and is held to the limits.
    pub(super) fn end_turn(&mut self) {
        // A write may have set free lines that waited to be parsed: what they said is written in the next turn.
        self.settle();
        while let Some(slot) = self.board.over_half.pop() {
            self.bound(slot);
        }
        self.board.bound_total();
        // Whoever was closed for its outbox has left its rooms.
        self.settle();
        self.board.release_chunks();
        self.see_to_operators();
    }

    /// Holds the outbox of `slot` to its limit, by the rule of `limits.on_full`.
    fn bound(&mut self, slot: Slot) {
        let Some(overflow) = self.board.bound(slot) else { return };
        let Some(entry) = self.board.entry(slot) else { return };
        // The first loss is news at once; how many lines it came to is told when the reader learns it.
        let is_first = overflow.skipped > 0 && entry.session.counters().lines_skipped == overflow.skipped;
        let id = entry.id;
        if is_first {
            let record = Record::Full { id, nick: self.nick(slot) };
            self.board.journal.add(self.board.now, record);
        }
        let Some(entry) = self.board.entry(slot) else { return };
        if overflow.disconnect && !entry.session.is_over() {
            self.part_with(slot, "you read too slowly: goodbye", CloseReason::OutboxFull);
            self.settle();
        } else if overflow.slow {
            let outbox = entry.session.outbox().bytes() as u64;
            let limit = self.board.limits.outbox_bytes as u64;
            let record = Record::Slow { id, nick: self.nick(slot), outbox, limit };
            self.board.journal.add(self.board.now, record);
        }
    }

    fn take_written(
        &mut self,
        slot: Slot,
        written: Result<usize, WriteError>,
        offered: usize,
        now: Moment,
        limits: &Limits,
    ) -> Flushed {
        let taken = match written {
            Ok(taken) => taken,
            Err(WriteError::Blocked) => 0,
            Err(WriteError::Failed(error)) => return Flushed::Failed(error),
        };
        let Some(entry) = self.board.entries.get_mut(slot.index()) else { return Flushed::All };
        if entry.role != Role::Operator {
            self.board.totals.bytes_out += taken as u64;
        }
        let resumes = entry.session.wrote(&mut self.board.chunks, taken, offered, now, limits);
        let is_empty = entry.session.outbox().is_empty();
        if resumes {
            self.parse(slot, &[]);
        }
        match taken {
            _ if taken < offered => Flushed::Blocked,
            _ if is_empty => Flushed::All,
            _ => Flushed::More,
        }
    }
}

/// Appends what stands in the place of lines that were skipped. Throttle, and so kept out of the way of every write.
#[cold]
fn tell_of_gap(lines: u32, encoding: Encoding, now: Now, out: &mut Vec<u8>) -> usize {
    let text = format!("{lines} lines skipped");
    encoding.encode(&Line::Notice(&text), now.wall, out)
}
