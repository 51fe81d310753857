//! One run from the first connection to the report.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use socket2::SockAddr;

use super::arrival::bring_in;
use super::crowd::Crowd;
use super::error::BenchError;
use super::plan::{Plan, Target};
use super::private::{PrivateServer, own_usage};
use super::report::{ProcessUse, Report};
use super::script::Script;
use super::talk::talk;
use crate::clock::Clock;

/// What a private server is called.
const PRIVATE: &str = "private server";

/// What every phase stands on: the time, and whether the user wants an end.
pub(super) struct Ground {
    pub(super) clock: Clock,
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
    pub(super) fn check_signals(&self) -> Result<(), BenchError> {
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
