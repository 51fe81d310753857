//! The load generator of `chatops bench`: clients join a room, some of them send lines, and every line is checked at
//! every reader.
//!
//! `plan` says what is measured and when lines are due, `script` writes and classifies lines, and `report` has the
//! result: these are pure. `clients` owns the sockets and lets the clients join, `measure` is the measured phase, and
//! `private` starts a server as a child process. The load knows the server by its socket only and names no layer of it.
//!
//! Invariants: there is one thread and one poller. A line is checked in the buffer into which it was read. A private
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
use clients::{Clients, join_all};
use measure::measure;
pub(crate) use plan::{Pace, Plan, Target};
use private::{PrivateServer, own_usage};
pub(crate) use report::{ProcessUse, Report};
use script::Script;

/// The longest wait between two checks for signals.
const PAUSE: Duration = Duration::from_millis(50);
/// The name of a private server in the report.
const PRIVATE: &str = "private server";

/// What every phase needs: the clock, and whether a signal asks for the end.
struct Context {
    clock: Clock,
    is_interrupted: Arc<AtomicBool>,
    signals: Vec<SigId>,
}

impl Context {
    fn new() -> Result<Self, BenchError> {
        let is_interrupted = Arc::new(AtomicBool::new(false));
        let mut signals = Vec::new();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let registered = flag::register(signal, Arc::clone(&is_interrupted));
            signals.push(registered.map_err(|error| BenchError::System("catch signals", error))?);
        }
        Ok(Self { clock: Clock::start(), is_interrupted, signals })
    }

    /// Fails after a signal that asks for the end.
    fn check_signals(&self) -> Result<(), BenchError> {
        if self.is_interrupted.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        for id in self.signals.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// Runs the load and reports its findings; lost lines are findings, not an error. Blocks for the planned time, and
/// shows its progress if stderr is a terminal. SIGINT, SIGTERM and SIGHUP end the run.
///
/// # Errors
///
/// If the server cannot be reached, refuses, goes away or limits the senders, and on a signal.
pub(crate) fn run(plan: &Plan) -> Result<Report, BenchError> {
    let context = Context::new()?;
    match &plan.target {
        Target::Private(program) => {
            let (mut server, address) = PrivateServer::start(&context, program.as_deref(), plan.clients)?;
            let measured = run_against(&context, plan, PRIVATE, &address.into(), Some(&server));
            // The log of a private server is not shown: its last lines go into the error.
            measured.map_err(|error| match error {
                BenchError::Dropped { .. } | BenchError::Gone { .. } | BenchError::NoConnection { .. } => {
                    BenchError::PrivateServerGone(server.failure())
                }
                other => other,
            })
        }
        Target::Running { name, address } => run_against(&context, plan, name, address, None),
    }
}

fn run_against(
    context: &Context,
    plan: &Plan,
    name: &str,
    address: &SockAddr,
    server: Option<&PrivateServer>,
) -> Result<Report, BenchError> {
    let script = Script::new(process::id(), plan.line_bytes);
    let mut clients = Clients::new(name)?;
    let arrival = join_all(context, &mut clients, &script, address, plan.clients)?;
    let before = server.and_then(PrivateServer::usage);
    let own_before = own_usage();
    let measured = measure(context, &mut clients, &script, plan)?;
    let after = server.and_then(PrivateServer::usage);
    let own = own_before.zip(own_usage()).map(|(before, after)| between(before, after));
    Ok(Report {
        target: name.to_owned(),
        clients: plan.clients,
        senders: plan.senders,
        pace: plan.pace,
        line_bytes: plan.line_bytes,
        arrival,
        measured: measured.span,
        lines: measured.lines,
        deliveries: measured.deliveries,
        latency: measured.latency,
        findings: measured.findings,
        load_cpu: own.map(|own| own.cpu),
        server: before.zip(after).map(|(before, after)| between(before, after)),
    })
}

/// What was used between two readings.
fn between(before: ProcessUse, after: ProcessUse) -> ProcessUse {
    ProcessUse { cpu: after.cpu.saturating_sub(before.cpu), rss_bytes: after.rss_bytes }
}

/// Why a run ends without a report: what happened, to what, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The server closed a connection before its client was in the room.
    #[error("{target} closed the connection of client {client} before it was in{}; its log may say why", because(.error.as_ref()))]
    Dropped { target: String, client: usize, error: Option<io::Error> },
    /// The server closed a connection in the measured phase.
    #[error(
        "{target} closed the connection of client {client}{}{}; its log may say why",
        because(.error.as_ref()), .notice.as_ref().map_or_else(String::new, |notice| format!(", after \"{notice}\""))
    )]
    Gone {
        target: String,
        client: usize,
        /// The server's last notice, if it was for this client.
        notice: Option<String>,
        error: Option<io::Error>,
    },
    /// The server limits a sender: its flood limits would be measured.
    #[error(
        "{target} holds its senders back (it said \"{text}\"): lower --rate, or start the server with \
         -o flood.enabled=false"
    )]
    Throttled { target: String, text: String },
    /// SIGINT, SIGTERM or SIGHUP.
    #[error("interrupted before the end; nothing was measured")]
    Interrupted,
    /// The server refused a line of the load.
    #[error("{target} refused a line of client {client}: \"{text}\"; lower --bytes if it was too long")]
    LineRefused { target: String, client: usize, text: String },
    #[error("cannot connect to {target}: {error}; is it running, and is the address right?")]
    NoConnection { target: String, error: io::Error },
    /// The peer does not greet as chatops does.
    #[error(
        "{target} is no chatops that takes clients in: {why}; --target needs a listener with framing \"lines\""
    )]
    NotChatops { target: String, why: String },
    /// The private server did not start.
    #[error("cannot start a private server: {0}; measure a running one with --target ADDR")]
    PrivateServer(String),
    /// The private server closed a connection or ended.
    #[error("the private server ended before the run did: {0}")]
    PrivateServerGone(String),
    /// The server refused a client that was joining.
    #[error("{target} refused client {client}: \"{text}\"; lower --clients if there is no room for them")]
    Refused { target: String, client: usize, text: String },
    /// A system call failed; the text says what it was for.
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    /// The server stopped answering while clients were joining.
    #[error(
        "{target} does not answer: {ready} of {clients} clients are in, and none came in for {waited_s} s"
    )]
    Unanswered { target: String, ready: usize, clients: u32, waited_s: u64 },
}

impl BenchError {
    /// Whether the measured phase had not begun: exit code 2, not 1.
    #[must_use]
    pub(crate) const fn is_at_start(&self) -> bool {
        match self {
            Self::Dropped { .. }
            | Self::NoConnection { .. }
            | Self::NotChatops { .. }
            | Self::PrivateServer(_)
            | Self::Refused { .. }
            | Self::Unanswered { .. } => true,
            Self::Gone { .. }
            | Self::Throttled { .. }
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

/// The time between two updates of the progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// How far the run is, on one line of the terminal; nothing if stderr is no terminal. Dropping it clears the line.
struct Progress {
    is_terminal: bool,
    shown: Option<Moment>,
}

impl Progress {
    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), shown: None }
    }

    /// Shows a line, at most every [`PROGRESS_EVERY`]. A failed write is ignored.
    fn show(&mut self, now: Moment, line: impl FnOnce() -> String) {
        let is_due = self.shown.is_none_or(|shown| now.since(shown) >= PROGRESS_EVERY);
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
