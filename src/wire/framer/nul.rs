//! Messages that a NUL byte ends; line ends inside them are text.

use memchr::memchr;

use super::Step;
use super::delimited::Search;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nul {
    search: Search,
}

impl Nul {
    pub(super) fn step(&mut self, bytes: &[u8], limit: usize) -> Step {
        self.search.step(bytes, limit, find)
    }
}

/// The place of the first NUL.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    memchr(0, bytes)
}
