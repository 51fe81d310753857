//! The life of a connection as a state machine; every legal transition is in [`Phase::after`].

use std::fmt;

/// Where a connection stands: the `state` of contract and dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Both directions are open.
    Open,
    /// The peer sent FIN; we may still send.
    Eof,
    /// The operator ended its input: what it sends is discarded.
    RdShut,
    /// The operator ended its output: after a flush we sent FIN; its input is still taken.
    WrShut,
    /// The session is over: a last flush, FIN, and waiting for the peer.
    Draining,
    /// The socket is closed.
    Gone,
}

/// What can happen to a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The session is over and says goodbye: kick, quit, answered after EOF, server stop, `shutdown both`.
    Farewell,
    /// The socket is closed, whichever way.
    End,
    /// `read()` gave 0.
    PeerEof,
    /// `shutdown read`.
    ShutRead,
    /// `shutdown write`.
    ShutWrite,
}

impl Phase {
    /// All phases, in the order of a long life.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Eof, Self::RdShut, Self::WrShut, Self::Draining, Self::Gone];

    /// The phase that follows, or `None` where the turn cannot happen.
    #[must_use]
    pub const fn after(self, turn: Turn) -> Option<Self> {
        use Phase::{Draining, Eof, Gone, Open, RdShut, WrShut};
        match (self, turn) {
            (Open, Turn::PeerEof) | (RdShut, Turn::PeerEof) => Some(Eof),
            (Open, Turn::ShutRead) => Some(RdShut),
            (Open, Turn::ShutWrite) => Some(WrShut),
            (Eof | RdShut, Turn::ShutWrite) | (WrShut, Turn::ShutRead | Turn::PeerEof) => Some(Draining),
            (Open | Eof | RdShut | WrShut | Draining, Turn::Farewell) => Some(Draining),
            (Draining, Turn::PeerEof) => Some(Draining),
            (Open | Eof | RdShut | WrShut | Draining, Turn::End) => Some(Gone),
            _ => None,
        }
    }

    /// The arrow that tells the phase without colour: which directions still carry anything.
    #[must_use]
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Open => "<->",
            Self::Eof | Self::RdShut => "-->",
            Self::WrShut => "<--",
            Self::Draining | Self::Gone => "-x-",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Eof => "eof",
            Self::RdShut => "rd-shut",
            Self::WrShut => "wr-shut",
            Self::Draining => "draining",
            Self::Gone => "gone",
        })
    }
}
