//! What goes out: lines settled into outboxes, writes, FIN, Send-Q, and what each socket should do.

use std::io::{self, IoSlice};

use super::encoding::Encoding;
use super::server::Engine;
use crate::chat::Line;
use crate::id::Slot;
use crate::model::event::EventKind;
use crate::session::{CloseMode, CloseReason, ConnectionLimits, Wants};
use crate::time::{Moment, Now};
use crate::wire::outbox::Slices;

/// Why nothing was written.
#[derive(Debug)]
pub enum WriteError {
    /// The kernel takes nothing now; an event says when it does.
    Blocked,
    /// The socket has failed for good.
    Failed(io::Error),
}

/// What became of a write.
#[derive(Debug)]
pub enum Flushed {
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
    pub fn settle(&mut self) {
        self.hub.announce_departures(self.conns.now, &mut self.conns);
        self.conns.settle();
    }

    /// How many connections are to get lines that were said to a room and are not delivered yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.conns.waiting()
    }

    /// Takes the connections whose socket may have something to do.
    pub fn take_dirty(&mut self, out: &mut Vec<Slot>) {
        out.clear();
        std::mem::swap(out, &mut self.conns.dirty);
        for slot in out.iter() {
            if let Some(conn) = self.conns.slab.get_mut(slot.index()) {
                conn.dirty = false;
            }
        }
    }

    /// Whether some connection waits for [`Engine::end_turn`]: the next turn is to begin at once.
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        !self.conns.dirty.is_empty() || !self.conns.deferred.is_empty()
    }

    /// What the socket of `slot` should do now; `None` if it is gone.
    #[must_use]
    pub fn wants(&self, slot: Slot) -> Option<Wants> {
        self.conns.get(slot).map(|conn| conn.session.wants())
    }

    /// How the socket of `slot` is to be closed now, if it is: [`Engine::handle_closed`] comes next.
    #[must_use]
    pub fn close_mode(&self, slot: Slot) -> Option<CloseMode> {
        self.conns.get(slot)?.session.close_mode()
    }

    /// The socket of `slot` may have something to do: it is looked at by the next [`Engine::end_turn`], or by the one
    /// under way.
    pub fn touch(&mut self, slot: Slot) {
        self.conns.touch(slot);
    }

    /// These connections come before all others that are dirty. `true` if one of them is still there.
    pub fn touch_first(&mut self, slots: &[Slot]) -> bool {
        self.conns.touch_first(slots);
        !self.conns.dirty.is_empty()
    }

    /// Whether our FIN was sent, or the connection is gone.
    #[must_use]
    pub fn has_sent_fin(&self, slot: Slot) -> bool {
        self.conns.get(slot).is_none_or(|conn| conn.session.has_sent_fin())
    }

    /// Nothing more can be written to `slot`: what is queued for it is dropped.
    pub fn lose_output(&mut self, slot: Slot) {
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.lose_output();
        }
    }

    /// Writes what is queued for `slot` with one call of `write`, at most about `budget` bytes.
    pub fn flush(
        &mut self,
        slot: Slot,
        budget: usize,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, WriteError>,
    ) -> Flushed {
        let (now, limits) = (self.conns.now, self.conns.limits);
        let Some(conn) = self.conns.slab.get_mut(slot.index()) else { return Flushed::All };
        let encoding = conn.encoding();
        let mut told = 0;
        let (offered, written) = {
            let mut slices = Slices::new();
            let offered = conn.session.gather(&mut self.conns.chunks, budget, &mut slices, |lines, bytes| {
                told = lines;
                tell_of_gap(lines, encoding, now, bytes)
            });
            (offered, write(&slices))
        };
        let id = conn.id;
        let flushed = self.take_written(slot, written, offered, now.moment, &limits);
        if told > 0 {
            let event = EventKind::Skipped { id, nick: self.nick(slot), lines: told.into() };
            self.conns.journal.add(now, event);
        }
        flushed
    }

    /// FIN was sent on the socket of `slot`.
    pub fn handle_fin_sent(&mut self, slot: Slot) {
        let (now, limits) = (self.conns.now.moment, self.conns.limits);
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.fin_sent(now, &limits);
            self.conns.touch(slot);
        }
    }

    /// Send-Q of `slot` stands at `send_q` bytes; asked for by [`Wants::probe`].
    pub fn handle_send_q(&mut self, slot: Slot, send_q: u32) {
        let (now, limits) = (self.conns.now.moment, self.conns.limits);
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.handle_send_q(send_q, now, &limits);
            self.conns.touch(slot);
        }
    }

    /// The turn's writes are done: what is left waits, and is held to the limits.
    ///
    /// `is_behind` says that the turn had no time for some connections.
    pub fn end_turn(&mut self, is_behind: bool) {
        self.is_behind = is_behind;
        // A write may have set free lines that waited to be parsed: what they said is written in the next turn.
        self.settle();
        while let Some(slot) = self.conns.over_half.pop() {
            self.bound(slot);
        }
        self.conns.bound_total();
        // Whoever was closed for its outbox has left its rooms.
        self.settle();
        self.conns.release_chunks();
    }

    /// Holds the outbox of `slot` to its limit, by the rule of `limits.on_full`.
    fn bound(&mut self, slot: Slot) {
        let Some(overflow) = self.conns.bound(slot) else { return };
        let Some(conn) = self.conns.get(slot) else { return };
        // The first loss is news at once; how many lines it came to is told when the reader learns it.
        let is_first = overflow.skipped > 0 && conn.session.counters().lines_skipped == overflow.skipped;
        let id = conn.id;
        if is_first {
            let event = EventKind::Full { id, nick: self.nick(slot) };
            self.conns.journal.add(self.conns.now, event);
        }
        let Some(conn) = self.conns.get(slot) else { return };
        if overflow.disconnect && !conn.session.is_over() {
            self.close_with(slot, "you read too slowly: goodbye", CloseReason::OutboxFull);
            self.settle();
        } else if overflow.slow {
            let outbox = conn.session.outbox().bytes() as u64;
            let limit = self.conns.limits.outbox_bytes as u64;
            let event = EventKind::Slow { id, nick: self.nick(slot), outbox, limit };
            self.conns.journal.add(self.conns.now, event);
        }
    }

    fn take_written(
        &mut self,
        slot: Slot,
        written: Result<usize, WriteError>,
        offered: usize,
        now: Moment,
        limits: &ConnectionLimits,
    ) -> Flushed {
        let taken = match written {
            Ok(taken) => taken,
            Err(WriteError::Blocked) => 0,
            Err(WriteError::Failed(error)) => return Flushed::Failed(error),
        };
        let Some(conn) = self.conns.slab.get_mut(slot.index()) else { return Flushed::All };
        self.conns.totals.bytes_out += taken as u64;
        let resumes = conn.session.wrote(&mut self.conns.chunks, taken, offered, now, limits);
        let is_empty = conn.session.outbox().is_empty();
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
