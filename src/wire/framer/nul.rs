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

/// What ends the last message of `held`, behind which nothing comes; `None` if it is ended or there is none.
pub(super) fn missing_end(held: &[u8]) -> Option<u8> {
    held.last().filter(|last| **last != 0).map(|_| 0)
}

/// The place of the first NUL.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    memchr(0, bytes)
}
