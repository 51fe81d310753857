//! Records of one size. A message is a record without the padding at its end; its length counts for the limit without
//! the padding, so a record is held whole before it is judged.

use std::num::NonZeroU32;

use super::Step;
use crate::wire::framing::PADDING;

#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    pub(super) record: NonZeroU32,
}

impl Fixed {
    pub(super) fn new(record: NonZeroU32) -> Self {
        Self { record }
    }

    pub(super) fn step(self, bytes: &[u8], limit: usize) -> Step {
        let used = self.record.get() as usize;
        let Some(record) = bytes.get(..used) else { return Step::Partial };
        let end = record.iter().rposition(|byte| *byte != PADDING).map_or(0, |last| last + 1);
        if end > limit { Step::TooLong { used } } else { Step::Message { text: 0..end, used } }
    }
}
