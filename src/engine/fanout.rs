//! How a room's line reaches its members: said once, read by all.
//!
//! A room has one log for each [`Encoding`] among its members. A line is encoded once a log and appended to the
//! log's chunk; nothing is done for the members until the room is settled, when each one's outbox gets the span
//! from its own start to the end, a single piece however many lines that is.
//!
//! Invariants: at most one room has unsettled lines, the open one, so everybody gets lines in the order in which
//! they were said, across rooms too; whoever comes, goes, speaks or is answered in between is settled alone first.
//! A chunk is carried over turns until it is full, so that a slow reader's few lines do not pin a large one each; what
//! does not fit goes into a fresh one, so that hardly more is pinned than what is unread.

use std::mem;

use super::budget::work;
use super::connection::LogCursor;
use super::connections::Connections;
use super::encoding::Encoding;
use crate::chat::{Line, RoomId};
use crate::id::Slot;
use crate::time::WallTime;
use crate::wire::chunks::{ChunkId, Chunks, Span};

/// Bytes of a chunk. One line may be longer.
const CHUNK_BYTES: usize = 64 * 1024;

/// Lines that one member is to get now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) member: Slot,
    pub(super) span: Span,
    pub(super) lines: u32,
    /// Whether one of them may not wait.
    pub(super) is_urgent: bool,
}

/// All rooms' logs, by [`RoomId`].
#[derive(Debug, Default)]
pub(super) struct Fanout {
    rooms: Vec<RoomLogs>,
    /// The room that may have unsettled lines.
    open: Option<RoomId>,
    /// Rooms whose logs hold chunks.
    touched: Vec<RoomId>,
    /// Bytes that were to be delivered so far, to all members together and without padding.
    due_bytes: u64,
}

/// The logs of one room, one for each encoding among its members; none where there is no room.
#[derive(Debug, Default)]
struct RoomLogs {
    logs: Vec<RoomLog>,
    /// In [`Fanout::touched`].
    is_touched: bool,
}

#[derive(Debug)]
struct RoomLog {
    encoding: Encoding,
    chunk: Option<ChunkId>,
    /// Where unsettled lines begin, and how many lines are before.
    mark: (u32, u32),
    /// Where they end.
    end: (u32, u32),
    /// Whether one of the unsettled lines may not wait.
    is_urgent: bool,
    /// Counts settlings: a member's own start is valid within one only.
    round: u32,
    members: Vec<Member>,
}

/// Somebody who reads a log.
#[derive(Clone, Copy, Debug)]
struct Member {
    slot: Slot,
    /// The round in which `start` is valid; in others the member starts at the mark.
    round: u32,
    start: (u32, u32),
}

impl RoomLog {
    fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            chunk: None,
            mark: (0, 0),
            end: (0, 0),
            is_urgent: false,
            round: 1,
            members: Vec::new(),
        }
    }

    /// What `place` has not had yet; from now on it starts at the end.
    fn take(&mut self, place: usize) -> Option<Pending> {
        let member = &mut self.members[place];
        let start = if member.round == self.round { member.start } else { self.mark };
        member.round = self.round;
        member.start = self.end;
        let chunk = self.chunk?;
        let span = Span { chunk, start: start.0, end: self.end.0 };
        let lines = self.end.1 - start.1;
        (!span.is_empty()).then_some(Pending { member: member.slot, span, lines, is_urgent: self.is_urgent })
    }

    /// Says a line. Gives the number of bytes, without padding: that is no work, and what it takes of outboxes is the
    /// affair of those who read in that encoding.
    fn append(&mut self, chunks: &mut Chunks, line: &Line<'_>, wall: WallTime) -> u64 {
        let said = chunks.said();
        let chunk = *self.chunk.get_or_insert_with(|| chunks.open());
        chunks.make_room(chunk, self.encoding.bytes_max(line));
        let span = chunks.append(chunk, |bytes| self.encoding.encode(line, wall, bytes));
        self.end = (span.end, self.end.1 + 1);
        chunks.said() - said
    }

    /// Delivers to every member the lines that it has not got yet.
    fn settle(&mut self, conns: &mut Connections) {
        for place in 0..self.members.len() {
            if let Some(pending) = self.take(place) {
                conns.deliver(pending);
            }
        }
        self.mark = self.end;
        self.is_urgent = false;
        self.round = self.round.wrapping_add(1);
    }

    /// Gives the chunk back if nobody reads it any more.
    fn release_chunk(&mut self, chunks: &mut Chunks) {
        if self.chunk.is_some_and(|chunk| chunks.references(chunk) == 1) {
            self.take_leave(chunks);
        }
    }

    /// The chunk is for those who have not read it yet, and the next line goes into another.
    fn take_leave(&mut self, chunks: &mut Chunks) {
        debug_assert_eq!(self.mark, self.end, "everybody was given all before the memory goes");
        if let Some(chunk) = self.chunk.take() {
            chunks.release(chunk);
        }
        self.mark = (0, 0);
        self.end = (0, 0);
        self.round = self.round.wrapping_add(1);
    }

    /// Whether there is a chunk that has no room for `line`.
    fn is_full_for(&self, chunks: &Chunks, line: &Line<'_>) -> bool {
        let text = self.chunk.map_or(0, |chunk| chunks.text_bytes(chunk));
        text > 0 && text + self.encoding.bytes_max(line) > CHUNK_BYTES
    }
}

impl Connections {
    /// Says a line to a room: encoded once for each encoding among its readers. The members at the cursors `excluded`,
    /// the speaker for example, get the lines before this one and not this line.
    pub(super) fn say(&mut self, room: RoomId, excluded: &[LogCursor], line: &Line<'_>) {
        if self.fanout.open != Some(room) {
            self.settle();
            self.fanout.open = Some(room);
        }
        let Some(mut logs) = self.fanout.take_logs(room) else { return };
        let is_presence = line.is_presence();
        for (index, log) in logs.iter_mut().enumerate() {
            if log.members.is_empty() || (is_presence && !log.encoding.style.presence) {
                continue;
            }
            if log.is_full_for(&self.chunks, line) {
                log.settle(self);
                log.take_leave(&mut self.chunks);
            }
            let here = excluded.iter().filter(|cursor| cursor.log as usize == index);
            let excluded = here.map(|cursor| cursor.place as usize);
            for place in excluded.clone() {
                if let Some(pending) = log.take(place) {
                    self.deliver(pending);
                }
            }
            let bytes = log.append(&mut self.chunks, line, self.now.wall);
            self.fanout.due_bytes += bytes * log.members.len() as u64;
            log.is_urgent |= !line.can_wait();
            for place in excluded {
                log.members[place].start = log.end;
            }
        }
        self.fanout.put_back(room, logs);
    }

    /// Delivers to every member of the open room the lines that it has not got yet.
    pub(super) fn settle(&mut self) {
        let Some(room) = self.fanout.open.take() else { return };
        let Some(mut logs) = self.fanout.take_logs(room) else { return };
        for log in logs.iter_mut().filter(|log| log.end != log.mark) {
            log.settle(self);
        }
        self.fanout.put_back(room, logs);
    }

    /// Delivers to one member of the open room the lines that it has not got yet, before anything else is sent to it.
    pub(super) fn settle_member(&mut self, slot: Slot) {
        let Some(open) = self.fanout.open else { return };
        let Some(cursor) = self.get(slot).and_then(|conn| conn.cursor(open)) else { return };
        if let Some(pending) = self.fanout.log_of(cursor).take(cursor.place as usize) {
            self.deliver(pending);
        }
    }

    /// Queues lines of a room for one member.
    pub(super) fn deliver(&mut self, pending: Pending) {
        let Pending { member, span, lines, is_urgent } = pending;
        let Some(conn) = self.slab.get_mut(member.index()) else { return };
        self.totals.deliveries += u64::from(lines);
        self.work += work::PIECE;
        let now = self.now.moment;
        let is_over_half = conn.session.queue_shared(&mut self.chunks, span, lines, now, &self.limits);
        let excess = conn.session.excess_in_turn();
        if excess > 0 {
            let skipped = conn.session.skip(&mut self.chunks, excess, now);
            self.totals.lines_skipped += u64::from(skipped);
        }
        if is_urgent || is_over_half {
            conn.mark_dirty(member, &mut self.dirty);
        } else if !conn.dirty && !mem::replace(&mut conn.delayed, true) {
            self.delay_write(member);
        }
        if is_over_half {
            self.note_over_half(member);
        }
    }

    /// `slot` leaves the log at `cursor`.
    pub(super) fn leave_log(&mut self, cursor: LogCursor) {
        let log = self.fanout.log_of(cursor);
        let place = cursor.place as usize;
        log.members.swap_remove(place);
        let moved = log.members.get(place).map(|member| member.slot);
        if self.fanout.rooms[cursor.room.0 as usize].logs.iter().all(|log| log.members.is_empty()) {
            self.fanout.close(cursor.room, &mut self.chunks);
        }
        // The last member of the log has taken the place that became free.
        if let Some(conn) = moved.and_then(|moved| self.slab.get_mut(moved.index()))
            && let Some(own) =
                conn.cursors.iter_mut().find(|own| (own.room, own.log) == (cursor.room, cursor.log))
        {
            own.place = cursor.place;
        }
    }
}

impl Fanout {
    /// The logs of `room`, which are put back when its lines are delivered.
    fn take_logs(&mut self, room: RoomId) -> Option<Vec<RoomLog>> {
        let in_room = self.rooms.get_mut(room.0 as usize)?;
        if !mem::replace(&mut in_room.is_touched, true) {
            self.touched.push(room);
        }
        Some(mem::take(&mut in_room.logs))
    }

    fn put_back(&mut self, room: RoomId, logs: Vec<RoomLog>) {
        if let Some(in_room) = self.rooms.get_mut(room.0 as usize) {
            in_room.logs = logs;
        }
    }

    /// Bytes that were to be delivered so far, to all members together.
    pub(super) const fn due_bytes(&self) -> u64 {
        self.due_bytes
    }

    /// How many are to get lines of the open room that they have not got yet.
    pub(super) fn waiting(&self) -> usize {
        let open = self.open.and_then(|room| self.rooms.get(room.0 as usize));
        let unsettled = open.into_iter().flat_map(|open| &open.logs).filter(|log| log.end != log.mark);
        unsettled.map(|log| log.members.len()).sum()
    }

    /// `slot` reads `room` in `encoding` from now on.
    pub(super) fn join(&mut self, room: RoomId, slot: Slot, encoding: Encoding) -> LogCursor {
        let index = room.0 as usize;
        if self.rooms.len() <= index {
            self.rooms.resize_with(index + 1, RoomLogs::default);
        }
        let logs = &mut self.rooms[index].logs;
        let log = logs.iter().position(|log| log.encoding == encoding).unwrap_or_else(|| {
            logs.push(RoomLog::new(encoding));
            logs.len() - 1
        });
        let seated = &mut logs[log];
        seated.members.push(Member { slot, round: seated.round, start: seated.end });
        let place = small(seated.members.len() - 1);
        LogCursor { room, log: small(log), place }
    }

    /// Gives back the chunks that everybody has read; called when the turn's writes are done.
    pub(super) fn release_chunks(&mut self, chunks: &mut Chunks) {
        let rooms = &mut self.rooms;
        self.touched.retain(|room| {
            let in_room = &mut rooms[room.0 as usize];
            for log in &mut in_room.logs {
                log.release_chunk(chunks);
            }
            in_room.is_touched = in_room.logs.iter().any(|log| log.chunk.is_some());
            in_room.is_touched
        });
    }

    fn close(&mut self, room: RoomId, chunks: &mut Chunks) {
        for log in self.rooms[room.0 as usize].logs.drain(..) {
            if let Some(chunk) = log.chunk {
                chunks.release(chunk);
            }
        }
        if self.open == Some(room) {
            self.open = None;
        }
    }

    fn log_of(&mut self, cursor: LogCursor) -> &mut RoomLog {
        &mut self.rooms[cursor.room.0 as usize].logs[cursor.log as usize]
    }
}

/// Places fit in 32 bits: there are no more than `limits.clients`.
fn small(index: usize) -> u32 {
    u32::try_from(index).expect("limits.clients is below 2³²")
}
