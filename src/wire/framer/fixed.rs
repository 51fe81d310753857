//! Records of one size. A message is a record without the padding at its end.

use std::num::NonZeroU32;

use super::Step;
use super::counted::Rest;
use crate::wire::framing::PADDING;

#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    pub(super) record: NonZeroU32,
    rest: Rest,
}

impl Fixed {
    pub(super) fn new(record: NonZeroU32) -> Self {
        Self { record, rest: Rest::default() }
    }

    pub(super) fn step(&mut self, bytes: &[u8], limit: usize) -> Step {
        if let Some(skip) = self.rest.skip(bytes) {
            return skip;
        }
        match self.rest.step(bytes, 0, self.record.get(), limit) {
            Step::Message { text, used } => {
                let end = bytes[text].iter().rposition(|byte| *byte != PADDING).map_or(0, |last| last + 1);
                Step::Message { text: 0..end, used }
            }
            step => step,
        }
    }
}
