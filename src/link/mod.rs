//! How onlookers talk to the server: requests in, responses out, never a lock on the server's state.
//!
//! An onlooker is a dashboard, or an operator on the control socket; there may be any number. Each has a [`Link`] of its
//! own: two bounded queues, so neither side ever waits for the other, and a full queue is an error. The server answers
//! within a budget for each turn, one onlooker after the other ([`onlookers`]).

pub mod local;
pub mod onlookers;

use crate::model::answer::{ConnectionDetail, List, Outcome, Page};
use crate::model::snapshot::{Query, Snapshot, Status};
use crate::model::verbs::{OperatorCommand, Who};
use crate::time::Now;

/// What an onlooker requests.
#[derive(Clone, Debug)]
pub enum Request {
    /// One connection with its history.
    Connection(Who),
    /// At most this number of rows of a list.
    Page {
        /// The list, and where to go on in it.
        list: List,
        /// The most rows; the server may give fewer, but at least one if there is one.
        limit: usize,
    },
    /// Everything at one moment.
    Snapshot(Query),
    /// The server as a whole.
    Status,
    /// A verb. A question is answered in one line.
    Verb {
        /// Chosen by the onlooker; the response has the same.
        ticket: u64,
        /// What to do.
        command: OperatorCommand,
    },
}

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Response {
    /// The connection, or why there is none.
    Connection(Result<Box<ConnectionDetail>, String>),
    /// Rows of the list.
    Page(Box<Page>),
    /// The snapshot.
    Snapshot(Box<Snapshot>),
    /// The server as a whole, and when it was so.
    Status(Box<(Now, Status)>),
    /// Only operators are left on a server that stops: an operator takes its answer under way to its end and goes. Not
    /// requested.
    Stopping,
    /// How a verb went.
    Verb {
        /// The ticket of the request.
        ticket: u64,
        /// What was done, or why nothing was.
        outcome: Outcome,
    },
}

/// Why a link carries nothing, or nothing more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The server has too many requests of this onlooker already.
    #[error("the server is busy; try again")]
    Busy,
    /// The server has ended this link, and why.
    #[error("{0}")]
    Dismissed(String),
    /// The server has ended cleanly.
    #[error("the server has ended")]
    Ended,
    /// The server died of a broken invariant.
    #[error("the server failed: {0}")]
    Failed(String),
}

/// One onlooker's end of the conversation.
pub trait Link {
    /// Requests something, without waiting for the answer.
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
