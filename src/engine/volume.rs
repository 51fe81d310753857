//! How much may be said in one turn; what was received beyond waits for the next.
//!
//! What is said in a turn is written in it, or in the next ones if there is no time: it must fit into the outboxes
//! until then, or whoever reads all the time would lose lines because the server is slow. Operators are heard all the
//! same. A part is kept for those who speak to few: a crowd that speaks to a crowd has more to say than the server can
//! write in seconds, and is no reason for others to wait.

use crate::config::settings::Limits;

/// Bytes that may be said in one turn, in all encodings together, however large outboxes are.
const SAID_MAX: u64 = 8 * 1024 * 1024;
/// Pieces that may be queued for readers in one turn, each about a tenth of a microsecond: one a reader if all is said
/// in one room, one a reader and line if every line is said in another.
const PIECES_MAX: u64 = 100_000;

/// Who speaks to so many at most speaks to few.
const FEW: usize = 64;

/// How much was said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Volume {
    /// In bytes, in all encodings together.
    pub(super) said: u64,
    /// The same, once for each who was to get it.
    pub(super) due: u64,
    /// Pieces queued for readers.
    pub(super) pieces: u64,
}

/// What may still be said in this turn.
#[derive(Debug)]
pub(super) struct Budget {
    /// When the turn began, or the first of those in a row that had no time for some.
    before: Volume,
    most: Volume,
}

impl Budget {
    /// No more than half of one outbox, nor half of what all outboxes together may hold.
    pub(super) fn new(limits: &Limits) -> Self {
        let most = Volume {
            said: SAID_MAX.min(limits.outbox_bytes.bytes() as u64 / 2),
            due: limits.outbox_total.bytes() as u64 / 2,
            pieces: PIECES_MAX,
        };
        Self { before: Volume::default(), most }
    }

    /// Other limits from now on; what was said in this turn counts.
    pub(super) fn reconfigure(&mut self, limits: &Limits) {
        *self = Self { before: self.before, ..Self::new(limits) };
    }

    /// A turn begins, and everybody was written to in the one before.
    pub(super) const fn begin(&mut self, now: Volume) {
        self.before = now;
    }

    /// Whether enough was said for one who speaks to `audience`: the last quarter is for those who speak to few.
    pub(super) const fn is_used_up(&self, now: Volume, audience: usize) -> bool {
        const fn is_over(said: u64, most: u64, audience: usize) -> bool {
            said >= if audience <= FEW { most } else { most - most / 4 }
        }
        is_over(now.said - self.before.said, self.most.said, audience)
            || is_over(now.due - self.before.due, self.most.due, audience)
            || is_over(now.pieces - self.before.pieces, self.most.pieces, audience)
    }
}
