//! The load generator behind `chatops bench`: clients that come in, some that talk, and a check of every line at
//! every reader.
//!
//! `script` words what a client says and reads what it hears, `check` finds what is lost, doubled or reordered,
//! `pace` decides who says the next line and when, `histogram` keeps latencies, `report` puts them into words: these
//! are pure. `crowd` owns the sockets, `arrival` brings the clients in, `talk` is the measured part, `private` a
//! server of our own, `progress` the line on a terminal. It speaks to the server as anybody does, over a socket, and
//! names no layer of it.
//!
//! Invariants: one thread and one poller. What a reader hears is checked in the buffer it was read into. A private
//! server never outlives [`run`].

mod clients;
mod measure;
mod plan;
mod private;
mod report;
mod script;

use std::io::{self, IsTerminal, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{SigId, flag, low_level};
use socket2::SockAddr;

use crate::clock::Clock;
use crate::time::Moment;
use clients::{Crowd, bring_in};
use measure::talk;
pub use plan::{Pace, Plan, Target};
use private::{PrivateServer, own_usage};
pub use report::{Findings, Latency, ProcessUse, Report};
use script::Script;

/// What a private server is called.
const PRIVATE: &str = "private server";

/// What every phase stands on: the time, and whether the user wants an end.
struct Ground {
    clock: Clock,
    is_interrupted: Arc<AtomicBool>,
    signals: Vec<SigId>,
}

impl Ground {
    fn new() -> Result<Self, BenchError> {
        let is_interrupted = Arc::new(AtomicBool::new(false));
        let mut signals = Vec::new();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let registered = flag::register(signal, Arc::clone(&is_interrupted));
            signals.push(registered.map_err(|error| BenchError::System("catch signals", error))?);
        }
        Ok(Self { clock: Clock::start(), is_interrupted, signals })
    }

    /// Fails once a signal has come that asks for the end.
    fn check_signals(&self) -> Result<(), BenchError> {
        if self.is_interrupted.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for id in self.signals.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// Runs the load and gives what it found; lost lines are in the report, not an error. Blocks for as long as planned,
/// and shows its progress if stderr is a terminal. SIGINT, SIGTERM and SIGHUP end it.
///
/// # Errors
///
/// When the server cannot be reached, refuses, goes away or holds senders back, and on a signal.
pub fn run(plan: &Plan) -> Result<Report, BenchError> {
    let ground = Ground::new()?;
    match &plan.target {
        Target::Private(program) => {
            let (mut server, address) = PrivateServer::start(&ground, program.as_deref(), plan.clients)?;
            let measured = measure(&ground, plan, PRIVATE, &address.into(), Some(&server));
            // Nobody sees the log of a private server: what it said last goes into the error.
            measured.map_err(|error| match error {
                BenchError::Dropped { .. } | BenchError::Gone { .. } | BenchError::NoConnection { .. } => {
                    BenchError::PrivateServerGone(server.complaint())
                }
                other => other,
            })
        }
        Target::Running { name, address } => measure(&ground, plan, name, address, None),
    }
}

fn measure(
    ground: &Ground,
    plan: &Plan,
    name: &str,
    address: &SockAddr,
    server: Option<&PrivateServer>,
) -> Result<Report, BenchError> {
    let script = Script::new(process::id(), plan.line_bytes);
    let mut crowd = Crowd::new(name)?;
    let arrival = bring_in(ground, &mut crowd, &script, address, plan.clients)?;
    let before = server.and_then(PrivateServer::usage);
    let own_before = own_usage();
    let talked = talk(ground, &mut crowd, &script, plan)?;
    let after = server.and_then(PrivateServer::usage);
    let own = own_before.zip(own_usage()).map(|(before, after)| between(before, after));
    Ok(Report {
        target: name.to_owned(),
        clients: plan.clients,
        senders: plan.senders,
        pace: plan.pace,
        line_bytes: plan.line_bytes,
        arrival,
        talk: talked.span,
        lines: talked.lines,
        deliveries: talked.deliveries,
        latency: talked.latency,
        findings: talked.findings,
        load_cpu: own.map(|own| own.cpu),
        server: before.zip(after).map(|(before, after)| between(before, after)),
    })
}

/// What was used from one moment to another.
fn between(before: ProcessUse, after: ProcessUse) -> ProcessUse {
    ProcessUse { cpu: after.cpu.saturating_sub(before.cpu), rss_bytes: after.rss_bytes }
}

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

/// Between two pictures.
const EVERY: Duration = Duration::from_millis(200);

/// The line; it is wiped when this is dropped.
struct Progress {
    is_terminal: bool,
    shown: Option<Moment>,
}

impl Progress {
    /// Nothing shown yet.
    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), shown: None }
    }

    /// Shows a line if there is a terminal and the last one stood long enough. What cannot be shown is left.
    fn show(&mut self, now: Moment, line: impl FnOnce() -> String) {
        let is_due = self.shown.is_none_or(|shown| now.since(shown) >= EVERY);
        if self.is_terminal && is_due {
            self.shown = Some(now);
            let _ = write!(io::stderr(), "\r\x1b[K{}", line());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
