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

use slab::Slab;

use super::connection::{Connection, LogCursor};
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

    /// Gives every member what it has not had yet.
    fn settle(&mut self, chunks: &mut Chunks, deliver: &mut impl FnMut(&mut Chunks, Pending)) {
        for place in 0..self.members.len() {
            if let Some(due) = self.take(place) {
                deliver(chunks, due);
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

impl Fanout {
    /// Says a line to a room at `wall`: encoded once for each encoding in which it is read. Those in the cursors `deaf`,
    /// the speaker for one, get what came before and not this line. What becomes due by it is given to `deliver`.
    pub(super) fn say(
        &mut self,
        chunks: &mut Chunks,
        room: RoomId,
        deaf: &[LogCursor],
        line: &Line<'_>,
        wall: WallTime,
        deliver: &mut impl FnMut(&mut Chunks, Pending),
    ) {
        if self.open != Some(room) {
            self.settle(chunks, deliver);
            self.open = Some(room);
        }
        let Some(in_room) = self.rooms.get_mut(room.0 as usize) else { return };
        if !std::mem::replace(&mut in_room.is_touched, true) {
            self.touched.push(room);
        }
        let is_presence = line.is_presence();
        for (index, log) in in_room.logs.iter_mut().enumerate() {
            if log.members.is_empty() || (is_presence && !log.encoding.style.presence) {
                continue;
            }
            if log.is_full_for(chunks, line) {
                log.settle(chunks, deliver);
                log.take_leave(chunks);
            }
            let deaf =
                deaf.iter().filter(|cursor| cursor.log as usize == index).map(|cursor| cursor.place as usize);
            for place in deaf.clone() {
                if let Some(due) = log.take(place) {
                    deliver(chunks, due);
                }
            }
            let bytes = log.append(chunks, line, wall);
            self.due_bytes += bytes * log.members.len() as u64;
            log.is_urgent |= !line.can_wait();
            for place in deaf {
                log.members[place].start = log.end;
            }
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

    /// Gives every member of the open room what it has not had yet.
    pub(super) fn settle(&mut self, chunks: &mut Chunks, deliver: &mut impl FnMut(&mut Chunks, Pending)) {
        let Some(room) = self.open.take() else { return };
        let Some(in_room) = self.rooms.get_mut(room.0 as usize) else { return };
        for log in in_room.logs.iter_mut().filter(|log| log.end != log.mark) {
            log.settle(chunks, deliver);
        }
    }

    /// What one member of the open room has not had yet: to be delivered before anything else is said to it.
    pub(super) fn settle_member(&mut self, conn: &Connection) -> Option<Pending> {
        let cursor = conn.cursor(self.open?)?;
        self.log_of(cursor).take(cursor.place as usize)
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

    /// Whoever has `cursor` leaves it. Returns who sits there now and has to be told, if anybody does.
    pub(super) fn leave(&mut self, cursor: LogCursor, chunks: &mut Chunks) -> Option<Slot> {
        let log = self.log_of(cursor);
        let place = cursor.place as usize;
        log.members.swap_remove(place);
        let moved = log.members.get(place).map(|member| member.slot);
        if self.rooms[cursor.room.0 as usize].logs.iter().all(|log| log.members.is_empty()) {
            self.close(cursor.room, chunks);
        }
        moved
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

/// Puts the cursor of whoever was moved right.
pub(super) fn moved_cursor(slab: &mut Slab<Connection>, moved: Slot, cursor: LogCursor) {
    if let Some(conn) = slab.get_mut(moved.index())
        && let Some(own) =
            conn.cursors.iter_mut().find(|own| (own.room, own.log) == (cursor.room, cursor.log))
    {
        own.place = cursor.place;
    }
}

/// Places fit in 32 bits: there are no more than `limits.clients`.
fn small(index: usize) -> u32 {
    u32::try_from(index).expect("limits.clients is below 2³²")
}
