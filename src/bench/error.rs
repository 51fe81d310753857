//! Why a run ends without a report.

use std::io;

/// Why a run ends without a report: what happened, to what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The server closed a connection before its client was in the room.
    #[error("{target} closed the connection of client {client} before it was in{}; its log may say why", because(.error.as_ref()))]
    Dropped {
        /// Which server.
        target: String,
        /// Which client, from 0.
        client: usize,
        /// What the system said; none at an end in order.
        error: Option<io::Error>,
    },
    /// The server closed a connection while lines were said.
    #[error(
        "{target} closed the connection of client {client}{}{}; its log may say why",
        because(.error.as_ref()), .notice.as_ref().map_or_else(String::new, |notice| format!(", after \"{notice}\""))
    )]
    Gone {
        /// Which server.
        target: String,
        /// Which client, from 0.
        client: usize,
        /// The last notice that it sent to this client, if that was the last notice of all.
        notice: Option<String>,
        /// What the system said; none at an end in order.
        error: Option<io::Error>,
    },
    /// The flood limits of the server hold a sender back, so what is measured would be them.
    #[error(
        "{target} holds its senders back (it said \"{said}\"): lower --rate, or start the server with \
         -o flood.enabled=false"
    )]
    HeldBack {
        /// Which server.
        target: String,
        /// Its words.
        said: String,
    },
    /// SIGINT, SIGTERM or SIGHUP.
    #[error("interrupted before the end; nothing was measured")]
    Interrupted,
    /// A line was not taken.
    #[error("{target} refused a line of client {client}: \"{said}\"; lower --bytes if it was too long")]
    LineRefused {
        /// Which server.
        target: String,
        /// Which client, from 0.
        client: usize,
        /// Its words.
        said: String,
    },
    /// No connection, or none that gets in.
    #[error("cannot connect to {target}: {error}; is it running, and is the address right?")]
    NoConnection {
        /// Which server.
        target: String,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody answers who does not greet as chatops does.
    #[error(
        "{target} is no chatops that takes clients in: {why}; --target needs a listener with framing \"lines\""
    )]
    NotChatops {
        /// Which server.
        target: String,
        /// What it did instead.
        why: String,
    },
    /// The private server did not start.
    #[error("cannot start a private server: {0}; measure a running one with --target ADDR")]
    PrivateServer(String),
    /// The private server closed a connection, or is not there any more.
    #[error("the private server ended before the run did: {0}")]
    PrivateServerGone(String),
    /// A client was not let in.
    #[error("{target} refused client {client}: \"{said}\"; lower --clients if there is no room for them")]
    Refused {
        /// Which server.
        target: String,
        /// Which client, from 0.
        client: usize,
        /// Its words.
        said: String,
    },
    /// The operating system does not give what the run needs.
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    /// The server stopped answering while clients came in.
    #[error(
        "{target} does not answer: {ready} of {clients} clients are in, and none came in for {waited_s} s"
    )]
    Unanswered {
        /// Which server.
        target: String,
        /// How many are in.
        ready: usize,
        /// How many were to come.
        clients: u32,
        /// How long was waited for one more, in seconds.
        waited_s: u64,
    },
}

impl BenchError {
    /// Whether the run had not begun: exit code 2, not 1.
    #[must_use]
    pub const fn is_at_start(&self) -> bool {
        match self {
            Self::Dropped { .. }
            | Self::NoConnection { .. }
            | Self::NotChatops { .. }
            | Self::PrivateServer(_)
            | Self::Refused { .. }
            | Self::Unanswered { .. } => true,
            Self::Gone { .. }
            | Self::HeldBack { .. }
            | Self::Interrupted
            | Self::LineRefused { .. }
            | Self::PrivateServerGone(_)
            | Self::System(..) => false,
        }
    }
}

fn because(error: Option<&io::Error>) -> String {
    error.map_or_else(String::new, |error| format!(" ({error})"))
}
