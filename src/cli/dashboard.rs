//! `chatops`: the server with the dashboard in this terminal. Nothing but the dashboard writes to the terminal
//! until its end; then one line stays.

use std::io::{self, IsTerminal};

use super::error::{Failure, StartError};
use super::options::Options;
use super::start::{Prepared, prepare};

/// Runs until the server ends.
pub(super) fn run(options: Options) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(StartError::NoTerminal.into());
    }
    let Prepared { config, warnings } = prepare(options)?;
    Err(Failure::Running(format!("no reactor for {config:?} {warnings:?}")))
}
