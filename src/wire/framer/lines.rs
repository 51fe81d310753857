//! Lines: LF, CR LF, CR NUL and a lone CR end one (RFC 854 asks for CR LF and CR NUL, `nc` sends LF).

use memchr::memchr2;

use super::Step;
use super::delimited::Search;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    search: Search,
    /// The last line ended in CR: an LF or NUL that follows belongs to it.
    after_cr: bool,
}

impl Lines {
    pub(super) fn step(&mut self, bytes: &[u8], limit: usize) -> Step {
        if let Some(first) = bytes.first()
            && std::mem::take(&mut self.after_cr)
            && matches!(first, b'\n' | 0)
        {
            return Step::Skip { used: 1 };
        }
        let step = self.search.step(bytes, limit, find);
        self.after_cr |= step.used().checked_sub(1).is_some_and(|last| bytes[last] == b'\r');
        step
    }

    /// What ends the last line of `held`, behind which nothing comes; `None` if it is ended or there is none.
    pub(super) fn missing_end(&self, held: &[u8]) -> Option<u8> {
        let is_ended = match held {
            [] | [.., b'\n' | b'\r'] | [.., b'\r', 0] => true,
            [0] => self.after_cr,
            _ => false,
        };
        (!is_ended).then_some(b'\n')
    }
}

/// The place of the first line end.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', bytes)
}
