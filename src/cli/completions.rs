//! `chatops completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::error::Failure;
use super::output::print;

/// Prints the completion script for `shell`.
pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "chatops", &mut script);
    print(&String::from_utf8_lossy(&script))
}
