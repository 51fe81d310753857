//! What waits in the server to be sent to one connection: spans of shared chunks, in order.
//!
//! Invariants: the byte count equals the sum of the spans; a span begins and ends where a line does, but for the
//! first, of which a part may have been sent; lines are dropped whole and only where they may be; where lines
//! were dropped a gap stands, and it is formatted when its turn to be sent comes. The first piece is inline and the
//! queue for more is lent, so outboxes that drain each turn allocate nothing.

use std::collections::VecDeque;
use std::io::IoSlice;

use arrayvec::ArrayVec;

use super::chunks::{Chunks, Span};

/// A piece gets no more lines once it is this number of stamps old.
const MERGE_STAMPS: u32 = 10;

/// Bytes from which on a chunk of a connection's own lines gets no more of them.
const OWN_CHUNK_FULL: u32 = 4 * 1024;

/// Whether a line may be dropped when its reader is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Never dropped: an answer to the reader's own command.
    Always,
    /// Dropped whole, oldest first, when the outbox is full.
    WhileRoom,
}

/// What one vectored write sends.
pub type Slices<'a> = ArrayVec<IoSlice<'a>, 128>;

/// Queues kept for the next outboxes that need one.
const SPARE_QUEUES_MAX: usize = 256;
/// Longer queues, in pieces, are freed rather than kept.
const SPARE_QUEUE_MAX: usize = 16;

/// The pieces of an outbox behind its first.
pub(super) type Queue = VecDeque<Piece>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes to send, and when they came.
    Bytes { span: Span, keep: Keep, stamp: u32 },
    /// So many lines were dropped here.
    Gap { lines: u32, stamp: u32 },
}

/// The unsent output of one connection. To be emptied with [`Outbox::clear`] before it is dropped: until then its chunks
/// are kept, and its bytes count among those of all.
#[derive(Debug, Default)]
pub struct Outbox {
    first: Option<Piece>,
    /// Behind `first`; empty while `first` is. Boxed: 8 bytes instead of 32 in every idle session.
    rest: Option<Box<Queue>>,
    bytes: u32,
    /// Of them, those that are never dropped.
    kept: u32,
}

impl Outbox {
    /// Unsent bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Unsent bytes that are never dropped.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.kept as usize
    }

    /// Whether nothing is to be sent, not even the notice of a gap.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The stamp of the oldest piece.
    #[must_use]
    pub const fn oldest_stamp(&self) -> Option<u32> {
        match self.first {
            None => None,
            Some(Piece::Bytes { stamp, .. } | Piece::Gap { stamp, .. }) => Some(stamp),
        }
    }

    /// Queues a span, taking a reference of its own. `stamp` never falls.
    pub fn push(&mut self, chunks: &mut Chunks, span: Span, keep: Keep, stamp: u32) {
        if span.is_empty() {
            return;
        }
        self.count_in(chunks, span, keep);
        if let Some(Piece::Bytes { span: last, keep: kept, stamp: since }) = self.last_mut()
            && (last.chunk, last.end, *kept) == (span.chunk, span.start, keep)
            && is_recent(*since, stamp)
        {
            last.end = span.end;
            return;
        }
        chunks.retain(span.chunk);
        self.push_piece(chunks, Piece::Bytes { span, keep, stamp });
    }

    /// Queues one line of this connection's own; `format` is as for [`Chunks::append`].
    ///
    /// Short lines that follow each other share a chunk, so that what waits costs little more than its bytes.
    pub fn push_own(
        &mut self,
        chunks: &mut Chunks,
        keep: Keep,
        stamp: u32,
        format: impl FnOnce(&mut Vec<u8>) -> usize,
    ) {
        if let Some(Piece::Bytes { span: last, keep: kept, stamp: since }) = self.last_mut()
            && *kept == keep
            && is_recent(*since, stamp)
            && last.end < OWN_CHUNK_FULL
            && chunks.ends_alone(*last)
        {
            let added = chunks.append(last.chunk, format);
            last.end = added.end;
            self.count_in(chunks, added, keep);
            return;
        }
        let span = chunks.open_for_one(format);
        self.push(chunks, span, keep, stamp);
        chunks.release(span.chunk);
    }

    /// Drops the oldest lines that may be dropped, whole ones only, until `excess` bytes are gone or no such line
    /// is left. A line of which a part was sent is not dropped. Gives the number of lines dropped.
    pub fn skip(&mut self, chunks: &mut Chunks, excess: usize) -> u32 {
        let mut pieces = self.rest.take().map_or_else(Queue::new, |rest| *rest);
        if let Some(first) = self.first.take() {
            pieces.push_front(first);
        }
        let mut skipper = Skipper { pieces, at: 0, bytes: 0, lines: 0 };
        while skipper.bytes < excess && skipper.at < skipper.pieces.len() {
            skipper.step(chunks, excess);
        }
        self.bytes -= offset(skipper.bytes);
        chunks.queued -= skipper.bytes;
        self.first = skipper.pieces.pop_front();
        if !skipper.pieces.is_empty() {
            self.rest = Some(Box::new(skipper.pieces));
        }
        skipper.lines
    }

    /// Formats the gap at the head, if one is there, with `format(lines, buffer)`.
    pub fn format_gap(&mut self, chunks: &mut Chunks, format: impl FnOnce(u32, &mut Vec<u8>) -> usize) {
        if let Some(Piece::Gap { lines, stamp }) = self.first {
            let span = chunks.open_for_one(|bytes| format(lines, bytes));
            self.count_in(chunks, span, Keep::Always);
            self.first = Some(Piece::Bytes { span, keep: Keep::Always, stamp });
        }
    }

    /// The bytes to send next, in order, up to the next gap: as many slices as `out` has room for, and about `budget`
    /// bytes. Gives the number of bytes.
    pub fn gather<'a, const N: usize>(
        &self,
        chunks: &'a Chunks,
        budget: usize,
        out: &mut ArrayVec<IoSlice<'a>, N>,
    ) -> usize {
        let mut bytes = 0;
        for piece in self.first.iter().chain(self.rest.iter().flat_map(|rest| rest.iter())) {
            let Piece::Bytes { span, .. } = piece else { break };
            if out.is_full() || bytes >= budget {
                break;
            }
            bytes += chunks.gather(*span, budget - bytes, out);
        }
        bytes
    }

    /// `sent` bytes from the head are the kernel's now.
    pub fn advance(&mut self, chunks: &mut Chunks, sent: usize) {
        let mut left = offset(sent);
        while let Some(Piece::Bytes { span, keep, .. }) = &mut self.first {
            let taken = left.min(span.end - span.start);
            span.start += taken;
            left -= taken;
            self.bytes -= taken;
            chunks.queued -= taken as usize;
            if *keep == Keep::Always {
                self.kept -= taken;
                chunks.kept -= taken as usize;
            }
            if !span.is_empty() {
                break;
            }
            chunks.release(span.chunk);
            self.pop_first(chunks);
        }
        debug_assert_eq!(left, 0, "no more can be sent than was gathered");
    }

    /// Drops everything, gaps too, and gives the number of bytes lost.
    pub fn clear(&mut self, chunks: &mut Chunks) -> usize {
        let lost = self.bytes();
        chunks.queued -= lost;
        chunks.kept -= self.kept_bytes();
        while let Some(piece) = self.first {
            if let Piece::Bytes { span, .. } = piece {
                chunks.release(span.chunk);
            }
            self.pop_first(chunks);
        }
        self.bytes = 0;
        self.kept = 0;
        lost
    }

    fn count_in(&mut self, chunks: &mut Chunks, span: Span, keep: Keep) {
        self.bytes += span.end - span.start;
        chunks.queued += span.len();
        if keep == Keep::Always {
            self.kept += span.end - span.start;
            chunks.kept += span.len();
        }
    }

    fn last_mut(&mut self) -> Option<&mut Piece> {
        match &mut self.rest {
            Some(rest) => rest.back_mut(),
            None => self.first.as_mut(),
        }
    }

    fn push_piece(&mut self, chunks: &mut Chunks, piece: Piece) {
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            let rest = self.rest.get_or_insert_with(|| chunks.spare_queues.pop().unwrap_or_default());
            rest.push_back(piece);
        }
    }

    fn pop_first(&mut self, chunks: &mut Chunks) {
        self.first = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if let Some(drained) = self.rest.take_if(|rest| rest.is_empty())
            && drained.capacity() <= SPARE_QUEUE_MAX
            && chunks.spare_queues.len() < SPARE_QUEUES_MAX
        {
            chunks.spare_queues.push(drained);
        }
    }
}

/// Walks an outbox from its head and drops what may be dropped.
struct Skipper {
    pieces: Queue,
    at: usize,
    bytes: usize,
    lines: u32,
}

impl Skipper {
    fn step(&mut self, chunks: &mut Chunks, excess: usize) {
        match self.pieces[self.at] {
            Piece::Bytes { span, keep: Keep::WhileRoom, stamp } => {
                let begun = chunks.line_boundary(span.chunk, span.start);
                if begun == span.start {
                    self.drop_lines(chunks, span, stamp, excess);
                } else {
                    self.split(chunks, span, begun, stamp);
                }
            }
            Piece::Bytes { .. } | Piece::Gap { .. } => self.at += 1,
        }
    }

    /// The line under way becomes a piece of its own, in front of what may be dropped.
    fn split(&mut self, chunks: &mut Chunks, span: Span, begun: u32, stamp: u32) {
        let piece = |span| Piece::Bytes { span, keep: Keep::WhileRoom, stamp };
        let rest = Span { start: begun, ..span };
        self.pieces[self.at] = piece(Span { end: begun, ..span });
        self.at += 1;
        if !rest.is_empty() {
            chunks.retain(span.chunk);
            self.pieces.insert(self.at, piece(rest));
        }
    }

    fn drop_lines(&mut self, chunks: &mut Chunks, span: Span, stamp: u32, excess: usize) {
        let (end, lines) = chunks.lines_of(span, excess - self.bytes);
        self.bytes += (end - span.start) as usize;
        self.lines += lines;
        if end == span.end {
            self.pieces.remove(self.at);
            chunks.release(span.chunk);
        } else {
            let span = Span { start: end, ..span };
            self.pieces[self.at] = Piece::Bytes { span, keep: Keep::WhileRoom, stamp };
        }
        self.mark_gap(lines, stamp);
    }

    fn mark_gap(&mut self, dropped: u32, since: u32) {
        if let Some(before) = self.at.checked_sub(1)
            && let Piece::Gap { lines, .. } = &mut self.pieces[before]
        {
            *lines += dropped;
            return;
        }
        self.pieces.insert(self.at, Piece::Gap { lines: dropped, stamp: since });
        self.at += 1;
    }
}

/// Whether lines queued at `stamp` may join a piece that began at `since`.
const fn is_recent(since: u32, stamp: u32) -> bool {
    stamp.saturating_sub(since) < MERGE_STAMPS
}

/// Byte counts of an outbox fit in 32 bits: its limit does.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("limits.outbox_bytes and what may be said in a turn are far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(out: &mut Vec<u8>, text: &str) -> usize {
        out.extend_from_slice(text.as_bytes());
        0
    }

    /// Sends everything in writes of at most `size` bytes, as a kernel would take it.
    fn send_all(outbox: &mut Outbox, chunks: &mut Chunks, size: usize) -> String {
        let mut sent = Vec::new();
        while !outbox.is_empty() {
            outbox.format_gap(chunks, |lines, out| put(out, &format!("<{lines}>")));
            let bytes = {
                let mut slices = ArrayVec::<_, 3>::new();
                let bytes = outbox.gather(chunks, size, &mut slices);
                sent.extend(slices.iter().flat_map(|slice| slice.iter()));
                bytes
            };
            assert!((1..=size).contains(&bytes));
            outbox.advance(chunks, bytes);
        }
        assert_eq!((outbox.bytes(), outbox.kept_bytes(), chunks.queued()), (0, 0, 0));
        String::from_utf8(sent).unwrap()
    }

    struct Room {
        chunks: Chunks,
        log: super::super::chunks::ChunkId,
    }

    impl Room {
        fn new() -> Self {
            let mut chunks = Chunks::default();
            let log = chunks.open();
            Self { chunks, log }
        }

        fn say(&mut self, outbox: &mut Outbox, line: &str) {
            let span = self.chunks.append(self.log, |out| put(out, line));
            outbox.push(&mut self.chunks, span, Keep::WhileRoom, 0);
        }

        fn answer(&mut self, outbox: &mut Outbox, line: &str) {
            outbox.push_own(&mut self.chunks, Keep::Always, 0, |out| put(out, line));
        }
    }

    #[test]
    fn every_line_size_and_write_size_keeps_bytes_and_order() {
        for line in 1..=64 {
            for write in 1..=64 {
                let mut room = Room::new();
                let mut outbox = Outbox::default();
                let mut expected = String::new();
                for number in 0..6_u8 {
                    let text = char::from(b'a' + number).to_string().repeat(line);
                    expected.push_str(&text);
                    if number == 3 {
                        room.answer(&mut outbox, &text);
                    } else {
                        room.say(&mut outbox, &text);
                    }
                }
                assert_eq!(send_all(&mut outbox, &mut room.chunks, write), expected);
                assert_eq!(room.chunks.references(room.log), 1, "only the room's own is left");
            }
        }
    }

    #[test]
    fn neighbours_are_merged() {
        let mut room = Room::new();
        let mut outbox = Outbox::default();
        room.say(&mut outbox, "one\n");
        room.say(&mut outbox, "two\n");
        assert!(outbox.rest.is_none());
        assert_eq!(room.chunks.references(room.log), 2);
    }

    #[test]
    fn own_lines_that_follow_each_other_share_a_chunk() {
        let mut room = Room::new();
        let mut outbox = Outbox::default();
        for line in ["one\n", "two\n"] {
            room.answer(&mut outbox, line);
        }
        assert_eq!((room.chunks.in_use(), outbox.kept_bytes()), (2, 8));
        outbox.push_own(&mut room.chunks, Keep::WhileRoom, 0, |out| put(out, "said\n"));
        outbox.push_own(&mut room.chunks, Keep::WhileRoom, MERGE_STAMPS, |out| put(out, "late\n"));
        assert_eq!((room.chunks.in_use(), outbox.kept_bytes()), (4, 8));
        assert_eq!(send_all(&mut outbox, &mut room.chunks, 3), "one\ntwo\nsaid\nlate\n");
        let mut other = Outbox::default();
        room.say(&mut other, "three\n");
        room.answer(&mut other, "four\n");
        assert_eq!(room.chunks.in_use(), 2, "what others may read is left alone");
        assert_eq!(send_all(&mut other, &mut room.chunks, 3), "three\nfour\n");
    }

    #[test]
    fn the_oldest_whole_lines_are_dropped_and_counted_in_place() {
        let mut room = Room::new();
        let mut outbox = Outbox::default();
        for line in ["aa|", "bb|", "cc|", "dd|"] {
            room.say(&mut outbox, line);
        }
        assert_eq!(outbox.skip(&mut room.chunks, 4), 2);
        assert_eq!(outbox.bytes(), 6);
        assert_eq!(outbox.skip(&mut room.chunks, 1), 1);
        assert_eq!(send_all(&mut outbox, &mut room.chunks, 5), "<3>dd|");
    }

    #[test]
    fn a_line_under_way_is_finished_first() {
        let mut room = Room::new();
        let mut outbox = Outbox::default();
        for line in ["aaaa|", "bb|", "cc|"] {
            room.say(&mut outbox, line);
        }
        outbox.advance(&mut room.chunks, 2);
        assert_eq!(outbox.skip(&mut room.chunks, 100), 2);
        assert_eq!(send_all(&mut outbox, &mut room.chunks, 64), "aa|<2>");
    }

    #[test]
    fn answers_are_never_dropped() {
        let mut room = Room::new();
        let mut outbox = Outbox::default();
        room.say(&mut outbox, "aa|");
        room.answer(&mut outbox, "-- yes|");
        room.say(&mut outbox, "bb|");
        assert_eq!(outbox.skip(&mut room.chunks, 100), 2);
        assert_eq!(outbox.kept_bytes(), outbox.bytes());
        assert_eq!(send_all(&mut outbox, &mut room.chunks, 64), "<1>-- yes|<1>");
    }

    #[test]
    fn clearing_releases_everything() {
        let mut room = Room::new();
        let mut outbox = Outbox::default();
        room.say(&mut outbox, "aa|");
        room.answer(&mut outbox, "-- yes|");
        outbox.skip(&mut room.chunks, 1);
        assert_eq!(outbox.clear(&mut room.chunks), 7);
        assert!(outbox.is_empty());
        assert_eq!((room.chunks.queued(), room.chunks.in_use()), (0, 1));
    }
}
