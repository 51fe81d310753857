//! Bytes said once and shared by all who are to get them.
//!
//! A chunk is appended to by one writer and read by any number of outboxes through [`Span`]s. Each span counts as
//! one reference; the last release frees the chunk, and a bounded pool keeps a few buffers warm. Nothing here is
//! dropped by itself: who holds a span releases it.
//!
//! The padding of records is counted and not kept: offsets are those of the bytes on the wire, and where a line is padded
//! it is known where its text ends. So records of 64 KiB cost the memory and the time of their texts.

use std::io::IoSlice;

use arrayvec::ArrayVec;
use smallvec::{SmallVec, smallvec};

use super::framing::PADDING;
use super::outbox::Queue;

/// What all padding is sent from: it is in no chunk.
static PADDING_BLOCK: [u8; 16 * 1024] = [PADDING; 16 * 1024];

/// Buffers kept for the next chunk.
const POOL_MAX: usize = 16;
/// Buffers smaller or larger than this are freed rather than pooled.
const POOLED_CAPACITY: std::ops::RangeInclusive<usize> = 4 * 1024..=256 * 1024;

/// The place of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkId(u32);

/// A run of whole lines in a chunk (its first line may have been sent in part).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which chunk.
    pub chunk: ChunkId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// Bytes in the span.
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// Offsets behind each line, ascending. Those of an answer need no memory of their own.
type LineEnds = SmallVec<[u32; 4]>;

#[derive(Debug, Default)]
struct Chunk {
    /// What was said, without padding.
    bytes: Vec<u8>,
    line_ends: LineEnds,
    /// Where the text of each line ends in `bytes`; empty while nothing is padded.
    text_ends: Vec<u32>,
    references: u32,
}

impl Chunk {
    /// Appends a line. `format` appends its text and gives the padding behind it. Gives where the line ends.
    fn append(&mut self, format: impl FnOnce(&mut Vec<u8>) -> usize) -> u32 {
        let (start, text_start) = (self.end(), self.bytes.len());
        let padding = format(&mut self.bytes);
        let end = start + offset(self.bytes.len() - text_start + padding);
        if padding > 0 && self.text_ends.is_empty() {
            self.text_ends.extend_from_slice(&self.line_ends);
        }
        if padding > 0 || !self.text_ends.is_empty() {
            self.text_ends.push(offset(self.bytes.len()));
        }
        self.line_ends.push(end);
        end
    }

    /// Where the last line ends.
    fn end(&self) -> u32 {
        self.line_ends.last().copied().unwrap_or(0)
    }
}

/// All chunks of the server, and what outboxes hold of them in sum.
#[derive(Debug, Default)]
pub struct Chunks {
    places: Vec<Chunk>,
    free: Vec<u32>,
    pool: Vec<(Vec<u8>, LineEnds)>,
    allocated: usize,
    /// The line under way; kept for its memory.
    scratch: Vec<u8>,
    /// Queues that drained outboxes gave back; kept by [`super::outbox::Outbox`].
    #[expect(clippy::vec_box, reason = "an outbox has it boxed")]
    pub(super) spare_queues: Vec<Box<Queue>>,
    /// Bytes written into chunks so far; the padding of lines that many get is not counted.
    said: u64,
    /// Σ of the bytes of all outboxes; kept by [`super::outbox::Outbox`].
    pub(super) queued: usize,
    /// Of them, those that are never dropped.
    pub(super) kept: usize,
}

impl Chunks {
    /// A new empty chunk with one reference, the caller's. It is for many lines: its buffer may be a large one.
    pub fn open(&mut self) -> ChunkId {
        let buffers = self.pool.pop().unwrap_or_default();
        self.open_with(buffers)
    }

    /// A new chunk with a single line and one reference, the caller's; `format` is as for [`Chunks::append`]. The line may
    /// wait for long, so it takes no more memory than it needs.
    pub fn open_for_one(&mut self, format: impl FnOnce(&mut Vec<u8>) -> usize) -> Span {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let padding = format(&mut scratch);
        let text_end = offset(scratch.len());
        let end = text_end + offset(padding);
        self.said += u64::from(end);
        let chunk = self.open_with((scratch.as_slice().to_vec(), smallvec![end]));
        if padding > 0 {
            self.places[chunk.0 as usize].text_ends = vec![text_end];
        }
        self.scratch = scratch;
        Span { chunk, start: 0, end }
    }

    fn open_with(&mut self, (bytes, line_ends): (Vec<u8>, LineEnds)) -> ChunkId {
        self.allocated += bytes.capacity();
        let chunk = Chunk { bytes, line_ends, text_ends: Vec::new(), references: 1 };
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = chunk;
            return ChunkId(index);
        }
        self.places.push(chunk);
        ChunkId(offset(self.places.len() - 1))
    }

    /// Makes room for a line of `most` bytes at most. Buffers have a power of two, so that the next one that is full can
    /// take the place of one that is freed.
    pub fn make_room(&mut self, id: ChunkId, most: usize) {
        let Chunk { bytes, .. } = &mut self.places[id.0 as usize];
        let (capacity, needed) = (bytes.capacity(), bytes.len() + most);
        if capacity < needed {
            bytes.reserve_exact(needed.next_power_of_two() - bytes.len());
            self.allocated += bytes.capacity() - capacity;
        }
    }

    /// Appends one line and gives where it stands. `format` appends its text, its end included, and gives how many bytes
    /// of padding follow on the wire.
    pub fn append(&mut self, id: ChunkId, format: impl FnOnce(&mut Vec<u8>) -> usize) -> Span {
        let chunk = &mut self.places[id.0 as usize];
        let (capacity, length) = (chunk.bytes.capacity(), chunk.bytes.len());
        let start = chunk.end();
        let end = chunk.append(format);
        self.allocated += chunk.bytes.capacity() - capacity;
        self.said += (chunk.bytes.len() - length) as u64;
        Span { chunk: id, start, end }
    }

    #[cfg(test)]
    pub(super) fn extent(&self, id: ChunkId) -> (u32, u32) {
        let chunk = &self.places[id.0 as usize];
        (chunk.end(), offset(chunk.line_ends.len()))
    }

    /// Bytes of text in a chunk: what it has but for padding.
    #[must_use]
    pub fn text_bytes(&self, id: ChunkId) -> usize {
        self.places[id.0 as usize].bytes.len()
    }

    /// The first bytes of a span, at most `budget` and as many as `out` has room for. Gives their number.
    pub fn gather<'a, const N: usize>(
        &'a self,
        span: Span,
        budget: usize,
        out: &mut ArrayVec<IoSlice<'a>, N>,
    ) -> usize {
        let chunk = &self.places[span.chunk.0 as usize];
        let (start, end) = (span.start as usize, span.end as usize);
        let end = end.min(start + budget);
        if chunk.text_ends.is_empty() {
            out.push(IoSlice::new(&chunk.bytes[start..end]));
            return end - start;
        }
        let mut line = chunk.line_ends.partition_point(|line_end| *line_end <= span.start);
        let mut at = start;
        while at < end && !out.is_full() {
            let before = |ends: &[u32]| line.checked_sub(1).map_or(0, |line| ends[line] as usize);
            let (line_start, text_start) = (before(&chunk.line_ends), before(&chunk.text_ends));
            let (line_end, text_end) = (chunk.line_ends[line] as usize, chunk.text_ends[line] as usize);
            let text = &chunk.bytes[text_start..text_end];
            let rest = match text.get(at - line_start..) {
                Some(text) if !text.is_empty() => text,
                _ => &PADDING_BLOCK[..PADDING_BLOCK.len().min(line_end - at)],
            };
            let slice = &rest[..rest.len().min(end - at)];
            out.push(IoSlice::new(slice));
            at += slice.len();
            line += usize::from(at == line_end);
        }
        at - start
    }

    /// How many references a chunk has.
    #[must_use]
    pub fn references(&self, id: ChunkId) -> u32 {
        self.places[id.0 as usize].references
    }

    /// Whether no other outbox has a part of the chunk that `span` is the end of: it may be appended to.
    #[must_use]
    pub fn ends_alone(&self, span: Span) -> bool {
        let chunk = &self.places[span.chunk.0 as usize];
        chunk.references == 1 && chunk.end() == span.end
    }

    /// One more reference.
    pub fn retain(&mut self, id: ChunkId) {
        self.places[id.0 as usize].references += 1;
    }

    /// One reference less; the last one frees the chunk.
    pub fn release(&mut self, id: ChunkId) {
        let chunk = &mut self.places[id.0 as usize];
        chunk.references -= 1;
        if chunk.references > 0 {
            return;
        }
        let Chunk { mut bytes, mut line_ends, .. } = std::mem::take(chunk);
        self.allocated -= bytes.capacity();
        self.free.push(id.0);
        if self.pool.len() < POOL_MAX && POOLED_CAPACITY.contains(&bytes.capacity()) {
            bytes.clear();
            line_ends.clear();
            self.pool.push((bytes, line_ends));
        }
    }

    /// Where the line that `at` lies in ends; `at` itself where a line begins there.
    #[must_use]
    pub fn line_boundary(&self, id: ChunkId, at: u32) -> u32 {
        let ends = &self.places[id.0 as usize].line_ends;
        let index = ends.partition_point(|end| *end < at);
        if at == 0 { 0 } else { ends.get(index).copied().unwrap_or(at) }
    }

    /// The end of the first whole lines of `span` that together have at least `bytes` bytes, and how many they
    /// are; the whole span if it has fewer. `span` starts where a line starts.
    #[must_use]
    pub fn lines_of(&self, span: Span, bytes: usize) -> (u32, u32) {
        let ends = &self.places[span.chunk.0 as usize].line_ends;
        let first = ends.partition_point(|end| *end <= span.start);
        let wanted = (span.start as usize).saturating_add(bytes).min(span.end as usize);
        let last = first + ends[first..].partition_point(|end| (*end as usize) < wanted);
        let end = ends.get(last).copied().unwrap_or(span.end).min(span.end);
        (end, offset(last + 1 - first))
    }

    /// Memory that the bytes of all chunks take, in bytes, room for more included. What is kept beside them (4 bytes a
    /// line, some for each chunk) is not counted.
    #[must_use]
    pub const fn allocated(&self) -> usize {
        self.allocated
    }

    /// Σ of the bytes of all outboxes.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// Σ of the bytes of all outboxes that are never dropped.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.kept
    }

    /// Bytes written into chunks since the start. The padding of lines that many get is not counted, for it is no work
    /// and what it takes of outboxes is the affair of those who read it; that of a line of its own is, for answers are
    /// never dropped.
    #[must_use]
    pub const fn said(&self) -> u64 {
        self.said
    }

    /// Chunks in use.
    #[must_use]
    pub const fn in_use(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// Offsets fit in 32 bits: what is said in one turn is bounded, and a chunk of more than 64 KiB is not carried over.
fn offset(value: usize) -> u32 {
    u32::try_from(value).expect("chunks are bounded by what may be said in a turn")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut Vec<u8>, text: &[u8]) -> usize {
        bytes.extend_from_slice(text);
        0
    }

    /// All bytes of a span, gathered in pieces of this size.
    fn gathered(chunks: &Chunks, mut span: Span, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !span.is_empty() {
            let mut slices = ArrayVec::<_, 3>::new();
            let count = chunks.gather(span, size, &mut slices);
            assert!((1..=size).contains(&count));
            assert_eq!(count, slices.iter().map(|slice| slice.len()).sum::<usize>());
            all.extend(slices.iter().flat_map(|slice| slice.iter()));
            span.start += offset(count);
        }
        all
    }

    #[test]
    fn padding_is_sent_and_not_kept() {
        let mut chunks = Chunks::default();
        let id = chunks.open();
        let record = 50_000;
        let mut expected = Vec::new();
        for (text, padding) in
            [("full", 0), ("one", record - 3), ("", record), ("full", 0), ("two", record - 3)]
        {
            chunks.append(id, |bytes| {
                bytes.extend_from_slice(text.as_bytes());
                padding
            });
            expected.extend_from_slice(text.as_bytes());
            expected.resize(expected.len() + padding, b' ');
        }
        let all = Span { chunk: id, start: 0, end: offset(expected.len()) };
        for size in [7, 1_000, 50_000, 1_000_000] {
            assert_eq!(gathered(&chunks, all, size), expected, "{size}");
        }
        for start in [0, 3, 4, 5, 50_003, 50_004, 100_005] {
            let from = Span { start, ..all };
            assert_eq!(gathered(&chunks, from, 9_999), expected[start as usize..], "from {start}");
        }
        assert_eq!((chunks.text_bytes(id), chunks.said()), (14, 14));
        assert!(chunks.allocated() < 100, "{}", chunks.allocated());
        assert_eq!(chunks.lines_of(all, 5), (50_004, 2));
        assert_eq!(chunks.line_boundary(id, 10), 50_004);
        let own = chunks.open_for_one(|bytes| put(bytes, b"abc") + record - 3);
        assert_eq!(chunks.said(), 14 + record as u64);
        assert_eq!((own.len(), chunks.text_bytes(own.chunk)), (record, 3));
        assert_eq!(gathered(&chunks, own, 700)[..5], *b"abc  ");
    }

    fn chunk_with(chunks: &mut Chunks, lines: &[&str]) -> ChunkId {
        let id = chunks.open();
        for line in lines {
            chunks.append(id, |bytes| put(bytes, line.as_bytes()));
        }
        id
    }

    #[test]
    fn lines_are_found_by_bytes() {
        let mut chunks = Chunks::default();
        let id = chunk_with(&mut chunks, &["aa", "bbb", "c", "dddd"]);
        let all = Span { chunk: id, start: 0, end: 10 };
        assert_eq!(chunks.lines_of(all, 1), (2, 1));
        assert_eq!(chunks.lines_of(all, 2), (2, 1));
        assert_eq!(chunks.lines_of(all, 3), (5, 2));
        assert_eq!(chunks.lines_of(all, 6), (6, 3));
        assert_eq!(chunks.lines_of(all, 99), (10, 4));
        assert_eq!(chunks.lines_of(Span { start: 2, end: 6, ..all }, 99), (6, 2));
        assert_eq!(chunks.line_boundary(id, 0), 0);
        assert_eq!(chunks.line_boundary(id, 1), 2);
        assert_eq!(chunks.line_boundary(id, 2), 2);
        assert_eq!(chunks.line_boundary(id, 3), 5);
    }

    #[test]
    fn a_line_of_its_own_does_not_hold_on_to_a_large_buffer() {
        let mut chunks = Chunks::default();
        let large = chunk_with(&mut chunks, &["x".repeat(100_000).as_str()]);
        chunks.release(large);
        let own = chunks.open_for_one(|bytes| put(bytes, b"abc"));
        assert_eq!((gathered(&chunks, own, 10), chunks.allocated()), (b"abc".to_vec(), 3));
        assert_eq!(chunks.lines_of(own, 1), (3, 1));
        chunks.open();
        assert!(chunks.allocated() >= 100_000, "the large buffer is for many lines");
    }

    #[test]
    fn the_last_release_frees() {
        let mut chunks = Chunks::default();
        let id = chunk_with(&mut chunks, &["abc"]);
        chunks.retain(id);
        chunks.release(id);
        assert_eq!(chunks.in_use(), 1);
        assert!(chunks.allocated() > 0);
        chunks.release(id);
        assert_eq!((chunks.in_use(), chunks.allocated()), (0, 0));
        assert_eq!(chunks.open(), id, "the place is used again");
        assert_eq!(chunks.extent(id), (0, 0));
    }
}
