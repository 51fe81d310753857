//! Where lines are put into outboxes, apart from what they are taken from.
//!
//! A [`Desk`] borrows all of the switchboard but its fanout and chunks, so that these can be read meanwhile.

use slab::Slab;

use super::budget::work;
use super::connection::Connection;
use super::delayed::DelayedWrites;
use super::fanout::Pending;
use super::status::Totals;
use crate::chat::Line;
use crate::id::Slot;
use crate::session::ConnectionLimits;
use crate::time::Now;
use crate::wire::chunks::Chunks;
use crate::wire::outbox::Keep;

/// What queueing needs beside the fanout and the chunks.
pub(super) struct Desk<'a> {
    pub(super) slab: &'a mut Slab<Connection>,
    pub(super) limits: &'a ConnectionLimits,
    pub(super) totals: &'a mut Totals,
    pub(super) now: Now,
    pub(super) dirty: &'a mut Vec<Slot>,
    pub(super) delayed: &'a mut DelayedWrites,
    pub(super) over_half: &'a mut Vec<Slot>,
    pub(super) work: &'a mut u64,
}

impl Desk<'_> {
    /// Puts what is due to a member into its outbox.
    pub(super) fn deliver(&mut self, chunks: &mut Chunks, due: Pending) {
        let Some(conn) = self.slab.get_mut(due.member.index()) else { return };
        self.totals.deliveries += u64::from(due.lines);
        *self.work += work::PIECE;
        let is_crowded = conn.session.queue_shared(chunks, due.span, due.lines, self.now.moment, self.limits);
        let excess = conn.session.excess_in_turn();
        if excess > 0 {
            self.totals.lines_skipped += u64::from(conn.session.skip(chunks, excess, self.now.moment));
        }
        if due.is_urgent || is_crowded {
            mark_dirty(conn, due.member, self.dirty);
        } else if !conn.dirty && !std::mem::replace(&mut conn.delayed, true) {
            self.delayed.add(due.member, self.now.moment);
        }
        self.note(due.member, is_crowded);
    }

    /// Puts a line of its own into an outbox.
    pub(super) fn queue_own(&mut self, chunks: &mut Chunks, slot: Slot, line: &Line<'_>, keep: Keep) {
        let Some(conn) = self.slab.get_mut(slot.index()) else { return };
        let (wall, encoding) = (self.now.wall, conn.encoding());
        self.totals.deliveries += 1;
        *self.work += work::OWN_LINE + line.text().len() as u64 / work::BYTES_A_UNIT;
        let is_crowded = conn.session.queue_own(chunks, keep, self.now.moment, self.limits, |bytes| {
            encoding.encode(line, wall, bytes)
        });
        mark_dirty(conn, slot, self.dirty);
        self.note(slot, is_crowded);
    }

    fn note(&mut self, slot: Slot, is_crowded: bool) {
        if is_crowded && self.over_half.last() != Some(&slot) {
            self.over_half.push(slot);
        }
    }
}

/// The socket of `slot` may have something to do.
pub(super) fn mark_dirty(conn: &mut Connection, slot: Slot, dirty: &mut Vec<Slot>) {
    if !std::mem::replace(&mut conn.dirty, true) {
        dirty.push(slot);
    }
}
