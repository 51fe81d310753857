//! Messages behind their length, a big-endian u32. They may hold any byte.

use super::Step;
use super::counted::Rest;

/// Bytes of the length.
pub(super) const PREFIX: usize = size_of::<u32>();

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Length {
    rest: Rest,
}

impl Length {
    pub(super) fn step(&mut self, bytes: &[u8], limit: usize) -> Step {
        if let Some(skip) = self.rest.skip(bytes) {
            return skip;
        }
        match bytes.first_chunk() {
            Some(prefix) => self.rest.step(bytes, PREFIX, u32::from_be_bytes(*prefix), limit),
            None => Step::Partial,
        }
    }
}

/// How many bytes the message that begins with `held` wants before more can be said of it.
pub(super) fn wanted(held: &[u8]) -> usize {
    let end = held.first_chunk().map_or(PREFIX, |prefix| PREFIX + u32::from_be_bytes(*prefix) as usize);
    end.saturating_sub(held.len())
}
