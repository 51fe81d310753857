//! The life of one socket, in order: kept only for connections to which something happened.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{CloseReason, phase::Half};
use crate::time::Moment;

/// The most milestones kept for one connection; the oldest go first.
pub const TIMELINE_MAX: usize = 24;
/// The most bytes of text in the milestones of one connection; the oldest milestones go first.
const TIMELINE_TEXT_MAX: usize = 2 * 1024;

/// Something in the life of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Milestone {
    /// Accepted.
    Connected,
    /// The kernel took a part of what was offered.
    PartialWrite {
        /// Bytes taken.
        taken: u32,
        /// Bytes offered.
        offered: u32,
    },
    /// The kernel took nothing (EAGAIN).
    WouldBlock,
    /// After a would-block or a partial write all was flushed.
    Flushed,
    /// A read ended inside a message.
    SplitLine {
        /// Bytes of the message so far.
        bytes: u32,
    },
    /// The input ended inside a message, which was dropped.
    Incomplete {
        /// Bytes of it, those that delimit it included.
        bytes: u32,
    },
    /// A message over `limits.line_bytes` was refused.
    TooLong,
    /// Not read from here on: over its rate.
    FlowStart,
    /// Read again.
    FlowEnd,
    /// Lines were dropped because the outbox was full.
    Skipped {
        /// How many.
        lines: u32,
    },
    /// The peer sent FIN.
    Eof,
    /// We sent FIN.
    Fin,
    /// The operator shut a direction.
    Shutdown(Half),
    /// Draining began, for this reason.
    Farewell(CloseReason),
    /// An error of the socket, such as EPIPE.
    Error(Cow<'static, str>),
    /// What the server in another process says, in its words.
    Told(Box<str>),
}

impl std::fmt::Display for Milestone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::PartialWrite { taken, offered } => write!(f, "partial write {taken} of {offered}"),
            Self::WouldBlock => f.write_str("write would block"),
            Self::Flushed => f.write_str("all flushed"),
            Self::SplitLine { bytes } => write!(f, "line split after {bytes} bytes"),
            Self::Incomplete { bytes } => write!(f, "last message incomplete, {bytes} bytes dropped"),
            Self::TooLong => f.write_str("line too long, refused"),
            Self::FlowStart => f.write_str("over its rate"),
            Self::FlowEnd => f.write_str("within its rate again"),
            Self::Skipped { lines } => write!(f, "{lines} lines skipped"),
            Self::Eof => f.write_str("read 0: peer sent FIN"),
            Self::Fin => f.write_str("FIN sent"),
            Self::Shutdown(half) => write!(f, "shutdown {half} by the operator"),
            Self::Farewell(reason) => write!(f, "draining: {reason}"),
            Self::Error(what) => f.write_str(what),
            Self::Told(what) => f.write_str(what),
        }
    }
}

impl Milestone {
    /// Bytes of text in it.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Farewell(reason) => reason.detail().map_or(0, str::len),
            Self::Error(what) => what.len(),
            Self::Told(what) => what.len(),
            _ => 0,
        }
    }
}

/// The milestones of one connection; nothing is allocated before the first.
#[expect(clippy::box_collection, reason = "8 bytes instead of 32 in every idle session")]
#[derive(Clone, Debug, Default)]
pub struct Timeline(Option<Box<VecDeque<(Moment, Milestone)>>>);

impl Timeline {
    /// Adds a milestone. A repetition of the last one, and more skipped lines, only update it.
    pub fn note(&mut self, at: Moment, milestone: Milestone) {
        let entries = self.0.get_or_insert_default();
        match (entries.back_mut(), &milestone) {
            (Some((_, Milestone::Skipped { lines })), Milestone::Skipped { lines: more }) => *lines += more,
            (Some((when, last)), new) if last == new => *when = at,
            _ => {
                if entries.len() == TIMELINE_MAX {
                    entries.pop_front();
                }
                entries.push_back((at, milestone));
                while entries.iter().map(|(_, milestone)| milestone.text_bytes()).sum::<usize>()
                    > TIMELINE_TEXT_MAX
                {
                    entries.pop_front();
                }
            }
        }
    }

    /// Whether the last milestone satisfies `is`.
    #[must_use]
    pub fn ends_with(&self, is: impl FnOnce(&Milestone) -> bool) -> bool {
        self.iter().last().is_some_and(|(_, milestone)| is(milestone))
    }

    /// The milestones, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &(Moment, Milestone)> {
        self.0.iter().flat_map(|entries| entries.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_repetitions_are_one() {
        let mut timeline = Timeline::default();
        let at = Moment::from_micros;
        timeline.note(at(1), Milestone::Skipped { lines: 2 });
        timeline.note(at(2), Milestone::Skipped { lines: 3 });
        timeline.note(at(3), Milestone::WouldBlock);
        timeline.note(at(4), Milestone::WouldBlock);
        let seen: Vec<_> = timeline.iter().cloned().collect();
        assert_eq!(seen, [(at(1), Milestone::Skipped { lines: 5 }), (at(4), Milestone::WouldBlock)]);
        for bytes in 0..100 {
            timeline.note(at(5), Milestone::SplitLine { bytes });
        }
        assert_eq!(timeline.iter().count(), TIMELINE_MAX);
        assert!(timeline.ends_with(|last| *last == Milestone::SplitLine { bytes: 99 }));
    }

    #[test]
    fn its_texts_are_bounded_in_bytes() {
        let mut timeline = Timeline::default();
        for number in 0..TIMELINE_MAX {
            let what = format!("{number:0500}");
            timeline.note(Moment::default(), Milestone::Error(what.into()));
        }
        let texts: usize = timeline.iter().map(|(_, milestone)| milestone.text_bytes()).sum();
        assert!((1_500..=TIMELINE_TEXT_MAX).contains(&texts), "{texts}");
    }
}
