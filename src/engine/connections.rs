//! Sessions, fanout and chunks together: what carries chat's lines into outboxes.
//!
//! It is the engine without the hub, so that the hub can be handed it as its [`Delivery`]. No socket is closed
//! here, and none written to: whose outbox is too full is put on a list.

use std::time::Duration;

use slab::Slab;
use smallvec::SmallVec;

use super::budget::{Claim, TurnBudget, Usage, work};
use super::connection::{Connection, LogCursor};
use super::encoding::Encoding;
use super::fanout::{Fanout, Pending};
use super::journal::Journal;
use super::status::Totals;
use crate::chat::{Delivery, Line, RoomId, Style};
use crate::config::settings::Config;
use crate::id::{ConnId, Slot};
use crate::session::{CloseReason, ConnectionLimits, Incoming, Input, Output, Overflow, Session};
use crate::time::{Moment, Now};
use crate::wire::chunks::{Chunks, Span};
use crate::wire::framer::DELIMITER_MAX;
use crate::wire::outbox::{Keep, Outbox};

/// How long the write of presence lines is delayed.
const PRESENCE_WAIT: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Connections {
    pub(super) slab: Slab<Connection>,
    pub(super) chunks: Chunks,
    /// Of clients.
    pub(super) limits: ConnectionLimits,
    /// `limits.outbox_total`.
    pub(super) outbox_total: usize,
    /// `limits.inbox_total`.
    inbox_total: usize,
    /// Received from clients and not yet parsed.
    inbox_bytes: usize,
    pub(super) journal: Journal,
    pub(super) totals: Totals,
    pub(super) now: Now,
    /// Sessions whose socket may have to do something.
    pub(super) dirty: Vec<Slot>,
    /// Connections whose outbox has only presence lines, which are written at `flush_at`. Those that were written to or
    /// have left since are among them.
    delayed: Vec<Slot>,
    pub(super) flush_at: Option<Moment>,
    /// Those whose outbox was more than half full in this turn: bound when its writes are done, and not in the middle
    /// of a broadcast.
    pub(super) over_half: Vec<Slot>,
    /// Connections whose next message waits for the next turn, because enough was said or done in this one. Each is in
    /// it once; one that has gone meanwhile is known by its id.
    pub(super) deferred: Vec<(Slot, ConnId)>,
    pub(super) budget: TurnBudget,
    /// Units of work done so far.
    pub(super) work: u64,
    pub(super) fanout: Fanout,
}

impl Connections {
    pub(super) fn new(config: &Config, now: Now) -> Self {
        let limits = ConnectionLimits::from(config);
        Self {
            slab: Slab::new(),
            chunks: Chunks::default(),
            limits,
            outbox_total: config.limits.outbox_total.bytes(),
            inbox_total: config.limits.inbox_total.bytes(),
            inbox_bytes: 0,
            journal: Journal::default(),
            totals: Totals::default(),
            now,
            dirty: Vec::new(),
            delayed: Vec::new(),
            flush_at: None,
            over_half: Vec::new(),
            deferred: Vec::new(),
            budget: TurnBudget::new(&config.limits),
            work: 0,
            fanout: Fanout::default(),
        }
    }

    /// Other limits from now on, for those who are here as well.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.limits = ConnectionLimits::from(config);
        self.outbox_total = config.limits.outbox_total.bytes();
        self.inbox_total = config.limits.inbox_total.bytes();
        self.budget.reconfigure(&config.limits);
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Connection> {
        self.slab.get(slot.index())
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.slab.get_mut(slot.index())
    }

    /// The connections that take part in chat.
    pub(super) fn clients(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        let clients = self.slab.iter().filter(|(_, conn)| conn.is_client());
        clients.map(|(index, conn)| (Slot::at(index), conn))
    }

    /// The socket of `slot` may have something to do.
    pub(super) fn touch(&mut self, slot: Slot) {
        if let Some(conn) = self.slab.get_mut(slot.index()) {
            conn.mark_dirty(slot, &mut self.dirty);
        }
    }

    /// The sockets of `slots` have something to do that comes before all else.
    pub(super) fn touch_first(&mut self, slots: &[Slot]) {
        let later = std::mem::take(&mut self.dirty);
        for slot in slots {
            self.touch(*slot);
        }
        self.dirty.extend(later);
    }

    /// Delays the write of presence lines to `slot` by up to 10 ms, so that more lines share it: people come and go in
    /// crowds, and a room of fifty would be written to fifty times for each of them.
    pub(super) fn delay_write(&mut self, slot: Slot) {
        self.delayed.push(slot);
        self.flush_at.get_or_insert(self.now.moment + PRESENCE_WAIT);
    }

    /// Delayed writes are done in this turn.
    pub(super) fn flush_presence(&mut self) {
        self.flush_at = None;
        for slot in self.delayed.drain(..) {
            if let Some(conn) = self.slab.get_mut(slot.index()) {
                conn.delayed = false;
                conn.mark_dirty(slot, &mut self.dirty);
            }
        }
    }

    /// The next message of a session that has been parsed since the work stood at `begun`; see
    /// [`Session::next_message`].
    pub(super) fn next_message(
        &mut self,
        slot: Slot,
        input: &mut &[u8],
        text: &mut String,
        claim: Claim,
        begun: u64,
    ) -> Option<Incoming> {
        let limits = self.limits;
        let is_crowded = self.is_crowded();
        let now = self.now.moment;
        if self.is_used_up(claim) || TurnBudget::is_session_share_used_up(self.work - begun) {
            if self.change_input(slot, |session| session.defer(input))? {
                self.defer(slot);
            }
            return None;
        }
        let incoming =
            self.change_input(slot, |session| session.next_message(input, text, now, &limits, is_crowded))??;
        self.work += work::MESSAGE;
        match incoming {
            Incoming::Flooding => {}
            Incoming::Incomplete => self.totals.lines_incomplete += 1,
            Incoming::Foreign(_) | Incoming::Help | Incoming::Message | Incoming::TooLong => {
                self.totals.lines_in += 1;
            }
        }
        Some(incoming)
    }

    /// What is left for `slot` to do waits for the next turn.
    pub(super) fn defer(&mut self, slot: Slot) {
        if let Some(conn) = self.slab.get_mut(slot.index())
            && !std::mem::replace(&mut conn.deferred, true)
        {
            self.deferred.push((slot, conn.id));
        }
    }

    /// Whether this connection is still there, and held back.
    pub(super) fn is_deferred(&self, (slot, id): (Slot, ConnId)) -> bool {
        self.get(slot).is_some_and(|conn| conn.id == id && conn.deferred)
    }

    /// A turn begins; `is_behind` says that not everybody was written to in the last one.
    pub(super) fn begin_turn(&mut self, is_behind: bool) {
        let now = self.volume();
        self.budget.begin(now);
        if !is_behind {
            self.budget.restart(now);
        }
    }

    /// Whether this turn has nothing left for `claim`.
    pub(super) fn is_used_up(&self, claim: Claim) -> bool {
        self.budget.is_used_up(self.volume(), claim)
    }

    /// Counts the work of looking at rows.
    pub(super) fn charge_rows(&mut self, rows: usize) {
        self.work += rows as u64 / work::ROWS_A_UNIT;
    }

    fn volume(&self) -> Usage {
        Usage { said: self.chunks.said(), due: self.fanout.due_bytes(), work: self.work }
    }

    /// Whatever may change how much input of a session is unparsed is done through here, and so the sum is known.
    pub(super) fn change_input<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Session) -> R,
    ) -> Option<R> {
        let conn = self.slab.get_mut(slot.index())?;
        let before = conn.session.inbox_bytes();
        let changed = change(&mut conn.session);
        self.inbox_bytes = self.inbox_bytes + conn.session.inbox_bytes() - before;
        Some(changed)
    }

    /// `slot` is free from now on.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Connection> {
        let conn = self.slab.try_remove(slot.index())?;
        self.inbox_bytes -= conn.session.inbox_bytes();
        Some(conn)
    }

    /// Received from clients and not yet parsed.
    pub(super) const fn inbox_bytes(&self) -> usize {
        self.inbox_bytes
    }

    /// How much may be read from `slot` at once, if that is bounded: while too much is unparsed, what completes one
    /// message, and so nobody who is within the rates waits.
    pub(super) fn read_ahead(&self, slot: Slot) -> Option<usize> {
        if self.inbox_bytes <= self.inbox_total {
            return None;
        }
        let conn = self.get(slot)?;
        // What is dropped takes no room, however fast it is read.
        let is_kept = conn.session.input() == Input::Open;
        let ahead = self.limits.line_bytes + DELIMITER_MAX;
        is_kept.then(|| ahead.saturating_sub(conn.session.inbox_bytes()).max(1))
    }

    /// Bytes for `slot` alone as they are: of the telnet protocol, between its lines.
    pub(super) fn answer_raw(&mut self, slot: Slot, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.settle_member(slot);
        let (now, limits) = (self.now.moment, self.limits);
        let Some(conn) = self.slab.get_mut(slot.index()) else { return };
        conn.session.queue_own(&mut self.chunks, Keep::Always, now, &limits, |out| {
            out.extend_from_slice(bytes);
            0
        });
        self.touch(slot);
    }

    /// How many are to get lines of a room that they have not got yet.
    pub(super) fn waiting(&self) -> usize {
        self.fanout.waiting()
    }

    /// Gives back the memory of lines that everybody has.
    pub(super) fn release_chunks(&mut self) {
        self.fanout.release_chunks(&mut self.chunks);
    }

    /// `slot` gets nothing more that is told to rooms.
    pub(super) fn leave_logs(&mut self, slot: Slot) {
        let Some(conn) = self.slab.get(slot.index()) else { return };
        for room in conn.cursors.iter().map(|cursor| cursor.room).collect::<Vec<_>>() {
            self.left(room, slot);
        }
    }

    /// Holds the outbox of `slot` to its limit.
    pub(super) fn bound(&mut self, slot: Slot) -> Option<Overflow> {
        let conn = self.slab.get_mut(slot.index())?;
        let overflow = conn.session.bound(&mut self.chunks, self.now.moment, &self.limits);
        self.totals.lines_skipped += u64::from(overflow.skipped);
        Some(overflow)
    }

    /// While all outboxes together hold more than `limits.outbox_total`, the largest are skipped first. If answers
    /// alone hold more, which are never skipped, the connections with the most of them are reset.
    pub(super) fn bound_total(&mut self) {
        let limit = self.outbox_total;
        if self.held_by_outboxes() <= limit {
            return;
        }
        let target = limit - limit / 8;
        if self.chunks.queued() > self.chunks.kept() {
            self.skip_largest(target);
        }
        if self.chunks.kept() > limit {
            self.reset_largest(target);
        }
    }

    /// Connections by what `measure` says of their outboxes, the largest first.
    fn largest(&self, measure: fn(&Outbox) -> usize) -> Vec<(usize, Slot)> {
        let sizes = self.slab.iter().map(|(at, conn)| (measure(conn.session.outbox()), Slot::at(at)));
        let mut largest: Vec<_> = sizes.filter(|(bytes, _)| *bytes > 0).collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        largest
    }

    fn reset_largest(&mut self, target: usize) {
        let mut kept = self.chunks.kept();
        for (bytes, slot) in self.largest(Outbox::kept_bytes) {
            if kept <= target {
                break;
            }
            kept -= bytes;
            if let Some(conn) = self.slab.get_mut(slot.index()) {
                conn.session.reset(CloseReason::OutboxFull);
                conn.mark_dirty(slot, &mut self.dirty);
            }
        }
    }

    fn skip_largest(&mut self, target: usize) {
        for (bytes, slot) in self.largest(Outbox::bytes) {
            if self.held_by_outboxes() <= target {
                break;
            }
            let Some(conn) = self.slab.get_mut(slot.index()) else { continue };
            let skipped = conn.session.skip(&mut self.chunks, bytes, self.now.moment);
            self.totals.lines_skipped += u64::from(skipped);
            self.release_chunks();
        }
    }

    /// Whether all outboxes together are more than half full: a connection with unsent answers then gets no more of
    /// them.
    fn is_crowded(&self) -> bool {
        self.chunks.queued() > self.outbox_total / 2
    }

    /// What counts against `limits.outbox_total`: the bytes of all outboxes, or the memory that they keep from being
    /// freed, if that is more. Buffers grow by doubling, so half of them may be empty.
    fn held_by_outboxes(&self) -> usize {
        self.chunks.queued().max(self.chunks.allocated() / 2)
    }

    /// Queues a line for `slot` alone.
    fn queue_own(&mut self, slot: Slot, line: &Line<'_>, keep: Keep) {
        self.settle_member(slot);
        let Some(conn) = self.slab.get_mut(slot.index()) else { return };
        let (wall, encoding) = (self.now.wall, conn.encoding());
        self.totals.deliveries += 1;
        self.work += work::OWN_LINE + line.text().len() as u64 / work::BYTES_A_UNIT;
        let now = self.now.moment;
        let is_over_half = conn
            .session
            .queue_own(&mut self.chunks, keep, now, &self.limits, |bytes| encoding.encode(line, wall, bytes));
        conn.mark_dirty(slot, &mut self.dirty);
        if is_over_half {
            self.note_over_half(slot);
        }
    }

    /// The outbox of `slot` is over half of its limit: it is held to the limit at the end of the turn.
    pub(super) fn note_over_half(&mut self, slot: Slot) {
        if self.over_half.last() != Some(&slot) {
            self.over_half.push(slot);
        }
    }
}

impl Delivery for Connections {
    fn answer(&mut self, member: Slot, line: &Line<'_>) {
        self.queue_own(member, line, Keep::Always);
    }

    fn tell(&mut self, member: Slot, line: &Line<'_>) {
        self.queue_own(member, line, Keep::WhileRoom);
    }

    fn tell_all(&mut self, members: &[Slot], line: &Line<'_>) {
        let wall = self.now.wall;
        // Encoded once for each encoding among the members; there are few.
        let mut encoded: SmallVec<[(Encoding, Span); 4]> = SmallVec::new();
        for member in members {
            self.settle_member(*member);
            let Some(encoding) = self.get(*member).map(Connection::encoding) else { continue };
            let known = encoded.iter().find(|(other, _)| *other == encoding).map(|(_, span)| *span);
            let span = known.unwrap_or_else(|| {
                let span = self.chunks.open_for_one(|bytes| encoding.encode(line, wall, bytes));
                encoded.push((encoding, span));
                span
            });
            self.deliver(Pending { member: *member, span, lines: 1, is_urgent: true });
        }
        for (_, span) in encoded {
            self.chunks.release(span.chunk);
        }
    }

    fn tell_room(&mut self, room: RoomId, except: &[Slot], line: &Line<'_>) {
        let mut excluded: SmallVec<[LogCursor; 4]> = SmallVec::new();
        for cursor in except.iter().filter_map(|slot| self.get(*slot)?.cursor(room)) {
            excluded.push(cursor);
        }
        // Each of them gets one more range: the lines before this one, and those after it.
        self.work += excluded.len() as u64 * work::PIECE;
        self.say(room, &excluded, line);
    }

    fn joined(&mut self, room: RoomId, member: Slot) {
        let Some(conn) = self.slab.get_mut(member.index()) else { return };
        if conn.session.output() == Output::Open {
            let cursor = self.fanout.join(room, member, conn.encoding());
            conn.cursors.push(cursor);
        }
    }

    fn left(&mut self, room: RoomId, member: Slot) {
        self.settle_member(member);
        let Some(conn) = self.slab.get_mut(member.index()) else { return };
        let Some(at) = conn.cursors.iter().position(|cursor| cursor.room == room) else { return };
        let cursor = conn.cursors.remove(at);
        self.leave_log(cursor);
    }

    fn is_reachable(&self, member: Slot) -> bool {
        self.get(member).is_some_and(|conn| conn.session.output() == Output::Open)
    }

    fn takes_more(&self, member: Slot) -> bool {
        let is_crowded = self.is_crowded();
        !self.is_used_up(Claim::LONG_ANSWER)
            && self.get(member).is_some_and(|conn| conn.session.takes_more_of_an_answer(is_crowded))
    }

    fn restyle(&mut self, member: Slot, style: Style) {
        let Some(conn) = self.slab.get_mut(member.index()) else { return };
        // An object has its time whatever is set: who reads objects reads the same bytes.
        conn.style = Style { time: style.time || style.json, ..style };
        conn.session.take_objects(style.json);
        for room in conn.cursors.iter().map(|cursor| cursor.room).collect::<Vec<_>>() {
            self.left(room, member);
            self.joined(room, member);
        }
    }
}
