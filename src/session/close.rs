//! How a connection ends: every reason, and how long its farewell may take.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::foreign::Foreign;
use crate::wire::text::shorten;

/// The longest text that is remembered of what happened, in characters: in events, timelines and the closed list.
pub const REMEMBERED_CHARS_MAX: usize = 200;

/// Why a connection ended; it appears in events, logs and the closed list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    /// Banned by the operator, with a reason that may be empty.
    Banned(String),
    /// The peer ended its input and was answered.
    Eof,
    /// The socket failed with this error, such as a reset by the peer.
    Error(String),
    /// Over its rate for longer than `flood.patience`.
    Flood,
    /// It spoke another protocol.
    Foreign(Foreign),
    /// One half-closed listener too many.
    HalfCloseLimit,
    /// Half-closed for longer than `half_close.timeout`.
    HalfCloseTimeout,
    /// Kicked by the operator, with a reason that may be empty.
    Kicked(String),
    /// Its outbox was full under `limits.on_full = "disconnect"`.
    OutboxFull,
    /// `/quit`, with a text that may be empty.
    Quit(String),
    /// Refused at the door: what was full.
    Refused(Cow<'static, str>),
    /// The peer reset the connection.
    ResetByPeer,
    /// Reset by the operator.
    ResetByOperator,
    /// The server ended.
    ServerStop,
    /// Shut down in both directions by the operator.
    Shutdown,
    /// Took nothing for `limits.stall`.
    Stalled,
}

impl CloseReason {
    /// The one word that counters use.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Banned(_) => "banned",
            Self::Eof => "eof",
            Self::Error(_) => "error",
            Self::Flood => "flood",
            Self::Foreign(_) => "foreign",
            Self::HalfCloseLimit => "half-close-limit",
            Self::HalfCloseTimeout => "half-close-timeout",
            Self::Kicked(_) => "kicked",
            Self::OutboxFull => "outbox-full",
            Self::Quit(_) => "quit",
            Self::Refused(_) => "refused",
            Self::ResetByPeer => "reset-by-peer",
            Self::ResetByOperator => "reset",
            Self::ServerStop => "server-stop",
            Self::Shutdown => "shutdown",
            Self::Stalled => "stalled",
        }
    }
}

impl CloseReason {
    /// The same with a text of at most [`REMEMBERED_CHARS_MAX`] characters: what stays when the connection has gone.
    #[must_use]
    pub fn shortened(self) -> Self {
        let cut = |text: String| shorten(&text, REMEMBERED_CHARS_MAX).into_owned();
        match self {
            Self::Banned(text) => Self::Banned(cut(text)),
            Self::Error(text) => Self::Error(cut(text)),
            Self::Kicked(text) => Self::Kicked(cut(text)),
            Self::Quit(text) => Self::Quit(cut(text)),
            Self::Refused(what) => Self::Refused(match what {
                Cow::Borrowed(_) => what,
                Cow::Owned(text) => Cow::Owned(cut(text)),
            }),
            other => other,
        }
    }

    /// What was said with it, if anything was.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        let detail = match self {
            Self::Banned(text) | Self::Error(text) | Self::Kicked(text) | Self::Quit(text) => text.as_str(),
            Self::Refused(what) => what.as_ref(),
            _ => return None,
        };
        (!detail.is_empty()).then_some(detail)
    }
}

impl CloseReason {
    /// What people who ignore the client read instead, if it has words of the client's own.
    #[must_use]
    pub fn without_words(&self) -> Option<&'static str> {
        matches!(self, Self::Quit(text) if !text.is_empty()).then_some("quit")
    }
}

impl fmt::Display for CloseReason {
    /// As the room reads it: `#room <-- nick (REASON)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Banned(reason) if reason.is_empty() => f.write_str("banned"),
            Self::Banned(reason) => write!(f, "banned: {reason}"),
            Self::Eof => f.write_str("end of input"),
            Self::Error(what) => write!(f, "connection failed: {what}"),
            Self::Flood => f.write_str("flooding"),
            Self::Foreign(protocol) => write!(f, "speaks {protocol}"),
            Self::HalfCloseLimit => f.write_str("too many half-closed listeners"),
            Self::HalfCloseTimeout => f.write_str("half-closed for too long"),
            Self::Kicked(reason) if reason.is_empty() => f.write_str("kicked"),
            Self::Kicked(reason) => write!(f, "kicked: {reason}"),
            Self::OutboxFull => f.write_str("reads too slowly"),
            Self::Quit(text) if text.is_empty() => f.write_str("quit"),
            Self::Quit(text) => write!(f, "quit: {text}"),
            Self::Refused(what) => write!(f, "refused: {what}"),
            Self::ResetByPeer => f.write_str("connection reset"),
            Self::ResetByOperator => f.write_str("reset by the operator"),
            Self::ServerStop => f.write_str("the server stops"),
            Self::Shutdown => f.write_str("shut down by the operator"),
            Self::Stalled => f.write_str("takes nothing"),
        }
    }
}

/// How the socket is to be closed, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// `close()`: everything has arrived.
    Close,
    /// RST (`SO_LINGER` 0): nothing waits for this peer any longer.
    Reset,
}

/// How long a farewell may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linger {
    /// In all; then the connection is reset if anything is still unsent. Without it only `limits.stall` ends it.
    pub total: Option<Duration>,
    /// After our FIN, from the last bytes that came in.
    pub idle: Duration,
    /// What comes in is read within the flood limits, rather than as fast as it comes.
    pub paced: bool,
}

impl Linger {
    /// A kick, a quit, a refusal.
    pub const FAREWELL: Self =
        Self { total: Some(Self::FAREWELL_TOTAL), idle: Duration::from_secs(2), paced: false };
    pub(super) const FAREWELL_TOTAL: Duration = Duration::from_secs(5);

    /// The peer ended its input and reads its answers, at whatever pace.
    pub const ANSWERED: Self = Self { total: None, idle: Duration::MAX, paced: true };

    /// No other end than the peer's own and this deadline.
    #[must_use]
    pub const fn for_peer(total: Duration) -> Self {
        Self { total: Some(total), idle: total, paced: true }
    }

    /// The server ends: a peer that has everything is not waited for.
    #[must_use]
    pub fn server_stop(drain: Duration) -> Self {
        Self { total: Some(drain), idle: drain.min(Duration::from_millis(250)), paced: false }
    }
}

/// What is known of a connection that ends.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) reason: CloseReason,
    /// How long it may be silent after our FIN.
    pub(super) linger_idle: Duration,
    /// A deadline has passed: with all sent and acknowledged it is closed at the next look at Send-Q.
    pub(super) final_probe: Option<IfUnacked>,
}

impl Closing {
    pub(super) fn new(reason: CloseReason) -> Self {
        let reason = reason.shortened();
        Self { reason, linger_idle: Duration::ZERO, final_probe: None }
    }
}

/// What happens when a last look at Send-Q finds something unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfUnacked {
    /// The connection stays until the end of its farewell.
    Wait,
    /// The connection is reset.
    Reset,
}
