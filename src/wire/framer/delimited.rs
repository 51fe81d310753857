//! Messages that a byte ends: a search for it that never looks at a byte twice.

use super::Step;

/// The search for the end of the message under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    /// Bytes from the start of the message on that are known to hold no end.
    searched: u32,
    /// The message was too long: the rest of it is dropped.
    skipping: bool,
}

impl Search {
    /// What `bytes` begin with, if `find` gives the place of the first end.
    pub(super) fn step(
        &mut self,
        bytes: &[u8],
        limit: usize,
        find: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> Step {
        let searched = self.searched as usize;
        let Some(end) = find(&bytes[searched..]).map(|offset| searched + offset) else {
            return self.no_end(bytes.len(), limit);
        };
        self.searched = 0;
        let used = end + 1;
        if std::mem::take(&mut self.skipping) {
            Step::Skip { used }
        } else if end > limit {
            Step::TooLong { used }
        } else {
            Step::Message { text: 0..end, used }
        }
    }

    fn no_end(&mut self, count: usize, limit: usize) -> Step {
        if self.skipping {
            return Step::Skip { used: count };
        }
        if count > limit {
            *self = Self { searched: 0, skipping: true };
            return Step::TooLong { used: count };
        }
        self.searched = super::count(count);
        Step::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_drip_in_are_looked_at_once() {
        let message = [b'x'; 1000];
        let mut search = Search::default();
        let mut looked_at = 0;
        for count in 1..=message.len() {
            let step = search.step(&message[..count], message.len(), |bytes| {
                looked_at += bytes.len();
                None
            });
            assert!(matches!(step, Step::Partial));
        }
        assert_eq!(looked_at, message.len());
    }
}
