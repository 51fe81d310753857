//! `chatops bench`: load on a server, with every delivery checked.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::error::{Failure, StartError};
use super::options::Options;
use super::output::print;
use super::start::raise_file_limit;
use crate::bench::{BenchError, Pace, Plan, Target, run as run_load};
use crate::time::{NotASpan, parse_span};

/// Files that are not for clients: standard streams, poller, the pipes of a private server, and the files that the
/// private server reserves.
const FILES_RESERVED: u64 = 96;

/// Not a doc comment, in which `unix:/PATH` would need markup that `--help` prints.
const TARGET_HELP: &str =
    "Measure the server that listens on HOST:PORT or unix:/PATH, not one that is started for the run";

const AFTER_HELP: &str = "\
All clients join the room #bench and talk there. A private server has flood limits off and large outboxes, so that its
limits are not what is measured.

Exit codes: 0 every line came once and in order, 1 one did not, or the server went away, 2 wrong usage or no server.";

/// The options of `bench`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Bench {
    #[arg(long, value_name = "ADDR", help = TARGET_HELP)]
    target: Option<String>,

    /// Start this program, such as another build of chatops, as the private server
    #[arg(long, value_name = "PROGRAM", conflicts_with = "target")]
    server: Option<PathBuf>,

    /// Connect this number of clients, 2 to 20000; all of them read
    #[arg(long, value_name = "N", default_value_t = 100)]
    clients: u32,

    /// Let this number of clients send lines [default: 10, or all if there are fewer]
    #[arg(long, value_name = "N")]
    senders: Option<u32>,

    /// Send this number of lines a second, all senders together
    #[arg(long, value_name = "LINES", conflicts_with = "max", value_parser = rate)]
    rate: Option<NonZeroU32>,

    /// Send the next line as soon as an earlier one has reached all readers; this is the default
    #[arg(long)]
    max: bool,

    /// Send lines of this length, 24 to 4096 bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    bytes: usize,

    /// Send lines for this time, 100ms to 1h
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = span)]
    span: Duration,

    /// Print one JSON object, not a table
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<NonZeroU32, &'static str> {
    text.parse().map_err(|_| "write a number of lines from 1, or --max for as many as the server takes")
}

fn span(text: &str) -> Result<Duration, NotASpan> {
    parse_span(text)
}

/// The default number of senders.
const SENDERS: u32 = 10;

/// Runs the load and prints the report.
pub(super) fn run(bench: &Bench, options: &Options) -> Result<(), Failure> {
    if !options.is_empty() {
        let text = "-c, -l and -o are options of a server, not of `bench`: start one and give --target ADDR";
        return Err(StartError::Usage(text.to_owned()).into());
    }
    let plan = plan(bench).map_err(StartError::Usage)?;
    let report = run_load(&plan)?;
    print(&if bench.json { report.json() } else { report.table() })?;
    if report.findings.is_clean() { Ok(()) } else { Err(Failure::Running(report.verdict())) }
}

fn plan(bench: &Bench) -> Result<Plan, String> {
    let target = match &bench.target {
        Some(target) => Target::parse(target)?,
        None => Target::Private(bench.server.clone()),
    };
    let senders = bench.senders.unwrap_or(SENDERS.min(bench.clients));
    let pace = bench.rate.map_or(Pace::Max, Pace::Rate);
    let plan = Plan::new(target, bench.clients, senders, pace, bench.bytes, bench.span)?;
    match raise_file_limit() {
        Some(files) if files < u64::from(plan.clients()) + FILES_RESERVED => Err(format!(
            "--clients {} does not fit into {files} open files: lower it, or raise the hard limit (ulimit -Hn)",
            plan.clients()
        )),
        _ => Ok(plan),
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        let text = error.to_string();
        if error.is_at_start() { StartError::Bench(text).into() } else { Self::Running(text) }
    }
}
