//! Decoders, one for each [`Framing`]: what the bytes before it begin with. Each keeps in mind how far it has searched, so
//! bytes that drip in one by one cost O(n) in all.

use std::num::NonZeroU32;
use std::ops::Range;

use memchr::{memchr, memchr2};

use crate::wire::framing::{Framing, PADDING};

/// What the bytes before a decoder begin with; of them, `used` are done with.
#[derive(Debug)]
pub(super) enum Step {
    /// A message.
    Message { text: Range<usize>, used: usize },
    /// A part of a message that is not whole yet and within the limit: all the bytes there are.
    Partial,
    /// Bytes of no message, or of one that is dropped.
    Skip { used: usize },
    /// A message that is too long; what else comes of it is skipped.
    TooLong { used: usize },
}

impl Step {
    const fn used(&self) -> usize {
        match self {
            Self::Message { used, .. } | Self::Skip { used } | Self::TooLong { used } => *used,
            Self::Partial => 0,
        }
    }
}

/// The state of the search for a message's end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Decoder {
    Lines(Lines),
    Nul(Nul),
    Length(Length),
    Fixed(Fixed),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Framing::default())
    }
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Lines => Self::Lines(Lines::default()),
            Framing::Nul => Self::Nul(Nul::default()),
            Framing::Length => Self::Length(Length::default()),
            Framing::Fixed(record) => Self::Fixed(Fixed::new(record)),
        }
    }

    /// Looks at `bytes`, at least one: those of the last [`Step::Partial`] and more, or those behind the last `used`.
    pub(super) fn step(&mut self, bytes: &[u8], limit: usize) -> Step {
        match self {
            Self::Lines(lines) => lines.step(bytes, limit),
            Self::Nul(nul) => nul.step(bytes, limit),
            Self::Length(length) => length.step(bytes, limit),
            Self::Fixed(fixed) => fixed.step(bytes, limit),
        }
    }

    /// What ends the last message of `held`, behind which nothing comes; `None` if it is ended, if there is none, or if no
    /// byte ends a message.
    pub(super) fn missing_end(&self, held: &[u8]) -> Option<u8> {
        match self {
            Self::Lines(lines) => lines.missing_end(held),
            Self::Nul(_) => missing_nul(held),
            Self::Length(_) | Self::Fixed(_) => None,
        }
    }

    /// How many bytes of `input` the message that begins with `held` takes before more can be said of it.
    pub(super) fn wanted(&self, held: &[u8], input: &[u8]) -> usize {
        let through = |end: Option<usize>| end.map_or(input.len(), |end| end + 1);
        match self {
            Self::Lines(_) => through(find_line_end(input)),
            Self::Nul(_) => through(find_nul(input)),
            Self::Length(_) => wanted_behind_length(held),
            Self::Fixed(fixed) => fixed.record.get() as usize - held.len(),
        }
    }
}

/// Offsets fit in 32 bits: a read and a message are each far below 4 GiB.
fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("inputs are bounded by the read budget and limits.line_bytes")
}

/// The search for a byte that ends a message; it never looks at a byte twice.
#[derive(Clone, Copy, Debug, Default)]
struct Search {
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

    fn no_end(&mut self, bytes: usize, limit: usize) -> Step {
        if self.skipping {
            return Step::Skip { used: bytes };
        }
        if bytes > limit {
            *self = Self { searched: 0, skipping: true };
            return Step::TooLong { used: bytes };
        }
        self.searched = count(bytes);
        Step::Partial
    }
}

/// Lines: LF, CR LF, CR NUL and a lone CR end one (RFC 854 asks for CR LF and CR NUL, `nc` sends LF).
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
        let step = self.search.step(bytes, limit, find_line_end);
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
fn find_line_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', bytes)
}

/// Messages that a NUL byte ends; line ends inside them are text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nul {
    search: Search,
}

impl Nul {
    pub(super) fn step(&mut self, bytes: &[u8], limit: usize) -> Step {
        self.search.step(bytes, limit, find_nul)
    }
}

/// What ends the last message of `held`, behind which nothing comes; `None` if it is ended or there is none.
fn missing_nul(held: &[u8]) -> Option<u8> {
    held.last().filter(|last| **last != 0).map(|_| 0)
}

/// The place of the first NUL.
fn find_nul(bytes: &[u8]) -> Option<usize> {
    memchr(0, bytes)
}

/// Bytes of the length before a message.
pub(super) const LENGTH_BYTES: usize = size_of::<u32>();

/// Messages behind their length, a big-endian u32. They may hold any byte.
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
            Some(prefix) => self.rest.step(bytes, LENGTH_BYTES, u32::from_be_bytes(*prefix), limit),
            None => Step::Partial,
        }
    }
}

/// How many bytes the message that begins with `held` wants before more can be said of it.
fn wanted_behind_length(held: &[u8]) -> usize {
    let end =
        held.first_chunk().map_or(LENGTH_BYTES, |prefix| LENGTH_BYTES + u32::from_be_bytes(*prefix) as usize);
    end.saturating_sub(held.len())
}

/// What is still to come of a message that was too long.
#[derive(Clone, Copy, Debug, Default)]
struct Rest(u32);

impl Rest {
    /// Passes over what is still to come; `None` if nothing is.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Option<Step> {
        let used = bytes.len().min(self.0 as usize);
        self.0 -= count(used);
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

/// Records of one size. A message is a record without the padding at its end; its length counts for the limit without
/// the padding, so a record is held whole before it is judged.
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
