//! An input as decisions: choices, numbers, and bytes that are made of interesting pieces.

/// Decisions, one after the other. When none is left, each is the first of its choices, so that a shorter input is a
/// simpler case.
pub(crate) struct Recipe<'a>(&'a [u8]);

/// The most bytes of a stream.
const STREAM_BYTES_MAX: usize = 8 * 1024;

impl<'a> Recipe<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Sizes of reads, to be used over and over: small ones more often than large ones.
    pub(crate) fn sizes(&mut self) -> Vec<usize> {
        (0..=self.below(8)).map(|_| 1 + self.pick(&[0, 0, 1, 2, 6, 20, 90, 4096])).collect()
    }

    /// All remaining decisions as bytes: pieces, repetitions of one piece, and raw bytes.
    pub(crate) fn stream(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut piece: &[u8] = b"x";
        while let Some(decision) = self.byte().filter(|_| bytes.len() < STREAM_BYTES_MAX) {
            match decision {
                0..0xC0 => {
                    piece = pieces[usize::from(decision) % pieces.len()];
                    bytes.extend_from_slice(piece);
                }
                0xC0..0xD0 => bytes.extend(piece.repeat(usize::from(decision & 0xF) * 20)),
                _ => bytes.extend(self.byte()),
            }
        }
        bytes
    }
}

/// Reads of one stream at most; the last one gives all that is left.
const CHUNKS_MAX: usize = 300;

/// The stream in reads of these sizes, repeated. An empty stream is read once.
pub(crate) fn chunks<'a>(stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle().take(CHUNKS_MAX) {
        let (chunk, after) = rest.split_at(rest.len().min(*size));
        chunks.push(chunk);
        rest = after;
        if rest.is_empty() {
            return chunks;
        }
    }
    chunks.push(rest);
    chunks
}
