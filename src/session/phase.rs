//! The life of a connection as a state machine; every legal transition is in [`Phase::after`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a connection stands: the `state` of `connections` and of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted over the rate of its address: not read, and let in later.
    Waiting,
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

/// Which direction of a connection a `shutdown` ends (shutdown(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Half {
    /// Both.
    Both,
    /// What the peer sends is read and discarded.
    Read,
    /// Flush, then FIN.
    Write,
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Both => "both",
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// What can happen to a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The session is over and says goodbye: kick, quit, answered after EOF, server stop, `shutdown both`.
    Farewell,
    /// The socket is closed, whichever way.
    End,
    /// It has waited long enough.
    LetIn,
    /// `read()` gave 0.
    PeerEof,
    /// `shutdown read`.
    ShutRead,
    /// `shutdown write`.
    ShutWrite,
}

impl Phase {
    /// All phases, in the order of a long life.
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Open, Self::Eof, Self::RdShut, Self::WrShut, Self::Draining, Self::Gone];

    /// The phase that follows, or `None` where it cannot happen.
    #[must_use]
    pub const fn after(self, transition: Transition) -> Option<Self> {
        use Phase::{Draining, Eof, Gone, Open, RdShut, Waiting, WrShut};
        match (self, transition) {
            (Waiting, Transition::LetIn) => Some(Open),
            (Open | RdShut, Transition::PeerEof) => Some(Eof),
            (Open, Transition::ShutRead) => Some(RdShut),
            (Open, Transition::ShutWrite) => Some(WrShut),
            (Eof | RdShut, Transition::ShutWrite)
            | (WrShut, Transition::ShutRead | Transition::PeerEof)
            | (Waiting | Open | Eof | RdShut | WrShut | Draining, Transition::Farewell)
            | (Draining, Transition::PeerEof) => Some(Draining),
            (Waiting | Open | Eof | RdShut | WrShut | Draining, Transition::End) => Some(Gone),
            _ => None,
        }
    }

    /// The phase as an arrow, for terminals without colour: which directions still carry anything.
    #[must_use]
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Waiting => "...",
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
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Eof => "eof",
            Self::RdShut => "rd-shut",
            Self::WrShut => "wr-shut",
            Self::Draining => "draining",
            Self::Gone => "gone",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Draining, Eof, Gone, Open, RdShut, Waiting, WrShut};

    #[test]
    fn the_whole_table() {
        let transitions = [
            Transition::PeerEof,
            Transition::ShutRead,
            Transition::ShutWrite,
            Transition::Farewell,
            Transition::End,
            Transition::LetIn,
        ];
        let expected = [
            (Waiting, [None, None, None, Some(Draining), Some(Gone), Some(Open)]),
            (Open, [Some(Eof), Some(RdShut), Some(WrShut), Some(Draining), Some(Gone), None]),
            (Eof, [None, None, Some(Draining), Some(Draining), Some(Gone), None]),
            (RdShut, [Some(Eof), None, Some(Draining), Some(Draining), Some(Gone), None]),
            (WrShut, [Some(Draining), Some(Draining), None, Some(Draining), Some(Gone), None]),
            (Draining, [Some(Draining), None, None, Some(Draining), Some(Gone), None]),
            (Gone, [None; 6]),
        ];
        assert_eq!(expected.map(|(phase, _)| phase), Phase::ALL);
        for (phase, row) in expected {
            for (transition, after) in transitions.into_iter().zip(row) {
                assert_eq!(phase.after(transition), after, "{phase} {transition:?}");
            }
        }
    }
}
