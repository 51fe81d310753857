//! How an onlooker talks to the server: requests in, responses out, never a lock on the server's state.
//!
//! An onlooker asks for a [`Snapshot`] when it is ready for one, so a stalled terminal asks for none. Neither side
//! ever waits for the other: both queues are bounded, and a full one is said.

pub mod control;
pub mod local;
pub mod remote;

use crate::model::snapshot::{Query, Snapshot};
use crate::model::verbs::OperatorCommand;

/// What an onlooker asks.
#[derive(Clone, Debug)]
pub enum Request {
    /// A picture of the server.
    Snapshot(Query),
    /// A verb; its answer carries the same ticket.
    Verb {
        /// Chosen by the asker.
        ticket: u64,
        /// What to do.
        command: OperatorCommand,
    },
}

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Response {
    /// The picture asked for.
    Snapshot(Box<Snapshot>),
    /// How a verb went: what was done, or why not.
    Verb {
        /// The ticket of the request.
        ticket: u64,
        /// What was done, or why nothing was.
        outcome: Result<String, String>,
    },
}

/// Why a link carries nothing (any more).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The server has too many requests of ours already.
    #[error("the server is busy; try again")]
    Busy,
    /// The server has ended cleanly.
    #[error("the server has ended")]
    Ended,
    /// The server died of a broken invariant.
    #[error("the server failed: {0}")]
    Failed(String),
}

/// One onlooker's end of the conversation.
pub trait Link {
    /// Asks, without waiting for the answer.
    ///
    /// # Errors
    ///
    /// When the queue is full or the server is gone.
    fn request(&mut self, request: Request) -> Result<(), LinkError>;

    /// The next answer, if one is there.
    ///
    /// # Errors
    ///
    /// When the server is gone and every answer has been taken.
    fn response(&mut self) -> Result<Option<Response>, LinkError>;
}
