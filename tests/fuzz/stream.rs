//! A stream of bytes as it is read: whole, or in parts.

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
