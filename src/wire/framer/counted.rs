//! Messages whose size is known before they come: they are waited for, or passed over without being kept.

use super::Step;

/// What is still to come of a message that was too long.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest(u32);

impl Rest {
    /// Passes over what is still to come; `None` if nothing is.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Option<Step> {
        let used = bytes.len().min(self.0 as usize);
        self.0 -= super::count(used);
        (used > 0).then_some(Step::Skip { used })
    }

    /// What `bytes` begin with: a message of `size` bytes behind `prefix` others.
    pub(super) fn step(&mut self, bytes: &[u8], prefix: usize, size: u32, limit: usize) -> Step {
        if size as usize > limit {
            self.0 = size;
            return Step::TooLong { used: prefix };
        }
        let end = prefix + size as usize;
        if bytes.len() < end { Step::Partial } else { Step::Message { text: prefix..end, used: end } }
    }
}
