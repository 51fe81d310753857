//! The command line: one file for each command. It connects the layers and owns no state.
//!
//! A command returns a [`Failure`] with its exit code; only `main` prints it. Nothing here writes to the terminal
//! while the dashboard has it.

mod attach;
mod bench;
mod config;
mod ctl;
mod dashboard;
mod error;
mod man;
mod options;
mod output;
mod serve;
mod servers;
mod start;

use clap::{Parser, Subcommand};

pub use error::{Failure, StartError};
use options::Options;

/// What `--help` and the manual say after the options.
const AFTER_HELP: &str = "\
People connect with `nc HOST PORT` or `telnet HOST PORT`; /help lists their commands.
`chatops attach` shows a running server's dashboard, and needs no restart of it.
`chatops ctl status` asks a running server; `chatops ctl --help` lists the verbs.
`chatops config default` prints every key of the configuration with its default.

Exit codes: 0 clean end, 1 failed while running, 2 wrong usage, bad configuration, cannot bind.";

/// A chat server for nc and telnet whose operator sees, and acts on, every socket
///
/// Without a command: the server, with the operator's dashboard in this terminal.
#[derive(Debug, Parser)]
#[command(name = "chatops", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server alone, in the foreground; logs go to stderr
    Serve(serve::Serve),
    /// Show the dashboard of a running server in this terminal
    Attach(attach::Attach),
    /// Send one request to a running server, and print its answer
    Ctl(ctl::Ctl),
    /// Put load on a server, and check that every line comes to every reader
    Bench(bench::Bench),
    /// Print or check the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for `man -l -`
    Man,
}

/// Runs the command.
///
/// # Errors
///
/// The text for stderr, and the exit code.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { options, command } = cli;
    match command {
        None => dashboard::run(options),
        Some(Command::Serve(serve)) => serve::run(serve, options),
        Some(Command::Attach(attach)) => attach::run(attach, options),
        Some(Command::Ctl(ctl)) => ctl::run(&ctl, options),
        Some(Command::Bench(bench)) => bench::run(&bench, &options),
        Some(Command::Config(command)) => config::run(command, options),
        Some(Command::Completions { shell }) => man::completions(shell),
        Some(Command::Man) => man::page(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
