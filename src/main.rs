//! The `chatops` program: parse, call, map the result to an exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use chatops::cli::{self, Cli};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed stderr must not turn the exit code into that of a panic.
            let _ = writeln!(std::io::stderr(), "chatops: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
