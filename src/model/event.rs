//! Facts, as they happen: one enum feeds the event pane, the log and whoever else wants to know.

use std::borrow::Cow;
use std::fmt;

use super::snapshot::Peer;
use crate::chat::Nick;
use crate::config::settings::LogLevel;
use crate::id::ConnId;
use crate::session::{CloseReason, REMEMBERED_CHARS_MAX};
use crate::time::Now;
use crate::wire::text::shorten;

/// A [`EventKind`] with its place in the run and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counted from 1, without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Now,
    /// What happened.
    pub kind: EventKind,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A connection was accepted.
    Accepted {
        /// Its id.
        id: ConnId,
        /// From where.
        peer: Peer,
    },
    /// A connection is over.
    Closed {
        /// Its id.
        id: ConnId,
        /// Its name, unless it never had one.
        nick: Option<Nick>,
        /// Why.
        reason: CloseReason,
        /// What was ours to send and is lost.
        unsent: u64,
    },
    /// The peer sent FIN.
    Eof {
        /// Whose.
        id: ConnId,
        /// Its name.
        nick: Option<Nick>,
        /// What is still to flush.
        unsent: u64,
    },
    /// A sender is over its rate and not read for a while.
    Flow {
        /// Whose.
        id: ConnId,
        /// Its name.
        nick: Option<Nick>,
    },
    /// A reader's outbox is full for the first time: its oldest lines are skipped from here on.
    Full {
        /// Whose.
        id: ConnId,
        /// Its name.
        nick: Option<Nick>,
    },
    /// Events that are not here, because too many came at once: it stands in their place.
    Missed {
        /// How many.
        events: u64,
    },
    /// Somebody took another name.
    Nick {
        /// Whose connection.
        id: ConnId,
        /// The name until now.
        old: Nick,
        /// The name from now on.
        new: Nick,
    },
    /// The operator did something, or tried to.
    Operator {
        /// On which connection, if on one.
        id: Option<ConnId>,
        /// The verb as typed.
        verb: String,
        /// How it went.
        outcome: String,
    },
    /// A connection was turned away at the door.
    Refused {
        /// From where; absent for those beyond counting.
        peer: Peer,
        /// What was full, or that it is banned.
        why: Cow<'static, str>,
    },
    /// Something about the server as a whole: started, stopping, a listener paused.
    Server {
        /// How much it matters.
        level: LogLevel,
        /// What.
        text: String,
        /// Whether clients can cause it as often as they like.
        by_clients: bool,
    },
    /// Whole lines of a slow reader were dropped.
    Skipped {
        /// Whose.
        id: ConnId,
        /// Its name.
        nick: Option<Nick>,
        /// How many lines.
        lines: u64,
    },
    /// A reader's outbox is more than half full.
    Slow {
        /// Whose.
        id: ConnId,
        /// Its name.
        nick: Option<Nick>,
        /// Unsent bytes.
        outbox: u64,
        /// Of how many.
        limit: u64,
    },
}

/// The kinds by which the event pane filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Arrivals.
    Join,
    /// Departures and half-closes.
    Part,
    /// Slow readers, skipped lines, flow control.
    Slow,
    /// What failed or was refused.
    Error,
    /// What the operator did, and the server as a whole.
    Op,
}

impl Category {
    /// All categories, in the order of the pane.
    pub const ALL: [Self; 5] = [Self::Join, Self::Part, Self::Slow, Self::Error, Self::Op];

    /// Its word in the pane.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Part => "part",
            Self::Slow => "slow",
            Self::Error => "error",
            Self::Op => "op",
        }
    }
}

impl EventKind {
    /// The same with texts of at most [`REMEMBERED_CHARS_MAX`] characters.
    #[must_use]
    pub(crate) fn shortened(self) -> Self {
        let cut = |text: String| shorten(&text, REMEMBERED_CHARS_MAX).into_owned();
        match self {
            Self::Closed { id, nick, reason, unsent } => {
                Self::Closed { id, nick, reason: reason.shortened(), unsent }
            }
            Self::Operator { id, verb, outcome } => {
                Self::Operator { id, verb: cut(verb), outcome: cut(outcome) }
            }
            Self::Server { level, text, by_clients } => Self::Server { level, text: cut(text), by_clients },
            other => other,
        }
    }

    /// Bytes of text in it.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Closed { reason, .. } => reason.detail().map_or(0, str::len),
            Self::Operator { verb, outcome, .. } => verb.len() + outcome.len(),
            Self::Refused { why, .. } => why.len(),
            Self::Server { text, .. } => text.len(),
            _ => 0,
        }
    }

    /// Whether it is a warning or an error of the server or an act of the operator. Lists with a limit keep a part for
    /// these that all other events, of which clients can cause any number, never push out.
    #[must_use]
    pub(crate) const fn is_of_server(&self) -> bool {
        match self {
            Self::Operator { .. } => true,
            Self::Server { level, by_clients, .. } => {
                matches!(level, LogLevel::Error | LogLevel::Warn) && !*by_clients
            }
            _ => false,
        }
    }

    /// Which filter shows it.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self {
            Self::Accepted { .. } | Self::Nick { .. } => Category::Join,
            Self::Closed { reason: CloseReason::Error(_) | CloseReason::Stalled, .. }
            | Self::Missed { .. }
            | Self::Refused { .. }
            | Self::Server { level: LogLevel::Error | LogLevel::Warn, .. } => Category::Error,
            Self::Closed { .. } | Self::Eof { .. } => Category::Part,
            Self::Flow { .. } | Self::Full { .. } | Self::Skipped { .. } | Self::Slow { .. } => {
                Category::Slow
            }
            Self::Operator { .. } | Self::Server { .. } => Category::Op,
        }
    }

    /// The word before it in the pane and the log: finer than the category.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accept",
            Self::Closed { .. } => "close",
            Self::Eof { .. } => "eof",
            Self::Flow { .. } => "flow",
            Self::Full { .. } => "full",
            Self::Missed { .. } => "missed",
            Self::Nick { .. } => "nick",
            Self::Operator { .. } => "op",
            Self::Refused { .. } => "refuse",
            Self::Server { .. } => "server",
            Self::Skipped { .. } => "skip",
            Self::Slow { .. } => "slow",
        }
    }

    /// How much it matters to a log.
    #[must_use]
    pub const fn level(&self) -> LogLevel {
        match self {
            Self::Server { level, .. } => *level,
            Self::Closed { reason: CloseReason::Stalled | CloseReason::Flood, .. }
            | Self::Refused { .. }
            | Self::Full { .. }
            | Self::Missed { .. }
            | Self::Skipped { .. } => LogLevel::Warn,
            Self::Accepted { .. } | Self::Closed { .. } | Self::Operator { .. } => LogLevel::Info,
            Self::Eof { .. } | Self::Flow { .. } | Self::Nick { .. } | Self::Slow { .. } => LogLevel::Debug,
        }
    }

    /// The connection it is about, if it is about one.
    #[must_use]
    pub const fn subject(&self) -> Option<ConnId> {
        match self {
            Self::Accepted { id, .. }
            | Self::Closed { id, .. }
            | Self::Eof { id, .. }
            | Self::Flow { id, .. }
            | Self::Full { id, .. }
            | Self::Nick { id, .. }
            | Self::Skipped { id, .. }
            | Self::Slow { id, .. } => Some(*id),
            Self::Operator { id, .. } => *id,
            Self::Missed { .. } | Self::Refused { .. } | Self::Server { .. } => None,
        }
    }

    /// The name of its subject, if it has one.
    #[must_use]
    pub const fn nick(&self) -> Option<Nick> {
        match self {
            Self::Closed { nick, .. }
            | Self::Eof { nick, .. }
            | Self::Flow { nick, .. }
            | Self::Full { nick, .. }
            | Self::Skipped { nick, .. }
            | Self::Slow { nick, .. } => *nick,
            Self::Nick { new, .. } => Some(*new),
            Self::Accepted { .. }
            | Self::Missed { .. }
            | Self::Operator { .. }
            | Self::Refused { .. }
            | Self::Server { .. } => None,
        }
    }
}

impl fmt::Display for EventKind {
    /// What happened, without word, id and nick, which stand in columns of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { peer, .. } => write!(f, "from {peer}"),
            Self::Closed { reason, unsent: 0, .. } => write!(f, "{reason}"),
            Self::Closed { reason, unsent, .. } => write!(f, "{reason}; {unsent} bytes unsent"),
            Self::Eof { unsent: 0, .. } => f.write_str("sent FIN"),
            Self::Eof { unsent, .. } => write!(f, "sent FIN; {unsent} bytes still to flush"),
            Self::Flow { .. } => f.write_str("over its rate: reading paused"),
            Self::Full { .. } => f.write_str("outbox full: its oldest lines are skipped"),
            Self::Missed { events } => write!(f, "{events} events not shown: too many at once"),
            Self::Nick { old, .. } => write!(f, "was {old}"),
            Self::Operator { verb, outcome, .. } => write!(f, "{verb}: {outcome}"),
            Self::Refused { peer, why } => write!(f, "{peer}: {why}"),
            Self::Server { text, .. } => f.write_str(text),
            Self::Skipped { lines, .. } => write!(f, "{lines} lines skipped"),
            Self::Slow { outbox, limit, .. } => write!(f, "outbox {outbox} of {limit} bytes"),
        }
    }
}
