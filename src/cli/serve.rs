//! `chatops serve`: the server alone, in the foreground. It logs events on stderr and prints its addresses on stdout.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::Args;

use super::error::{Failure, StartError};
use super::options::Options;
use super::start::{Prepared, die_of, loader, prepare, survive_signals, warn};
use crate::clock::Clock;
use crate::log::Log;
use crate::net::{End, Server};

/// The options of `serve`.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    options: Options,

    /// End when the process with this number, which must be the parent, ends
    #[arg(long, value_name = "PID", hide = true)]
    with_parent: Option<i32>,
}

/// Runs until a verb or a signal stops the server. `before` are the options given before the command.
pub(super) fn run(serve: Serve, before: Options) -> Result<(), Failure> {
    if let Some(parent) = serve.with_parent {
        end_with(parent)?;
    }
    survive_signals()?;
    let options = before.then(serve.options);
    let Prepared { config, file, others, warnings } = prepare(options.clone(), false)?;
    let mut server =
        Server::bind(&config, Clock::start()).map_err(|error| StartError::Bind(error.to_string()))?;
    let log = Log::stderr(config.log.level)
        .map_err(|error| Failure::Running(format!("cannot start the log: {error}")))?;
    warn(&mut server, warnings);
    server.set_loader(loader(options, file, others));
    server.set_sink(move |entry| log.event(entry));
    // A parent that has closed the pipe must not keep the server from serving.
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(announcement(server.listeners()).as_bytes()).and_then(|()| stdout.flush());
    drop(stdout);
    match server.run() {
        Ok(End::Drained(_)) => Ok(()),
        Ok(End::Signal(signal)) => Err(die_of(signal)),
        Ok(End::AtOnce) => Err(Failure::Running("stopped at once by a second signal".to_owned())),
        Err(error) => Err(Failure::Running(format!("the server failed: {error}"))),
    }
}

/// Ends this process when its parent does, even if that is killed (`PR_SET_PDEATHSIG`, prctl(2)).
fn end_with(parent: i32) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| Failure::Running(format!("cannot end with process {parent}: {error}")))?;
    // The parent may have ended before the call above: then this process has another parent.
    let is_there = rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent);
    is_there.then_some(()).ok_or_else(|| Failure::Running(format!("process {parent} is not the parent")))
}

/// `listening on 127.0.0.1:6677 (lines)`, one line for each listener.
fn announcement(listeners: &[String]) -> String {
    let mut text = String::new();
    for listener in listeners {
        let _ = writeln!(text, "listening on {listener}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_line() {
        let listeners = ["127.0.0.1:6677 (lines)".to_owned(), "unix:/run/c.sock (lines)".to_owned()];
        assert_eq!(
            announcement(&listeners),
            "listening on 127.0.0.1:6677 (lines)\nlistening on unix:/run/c.sock (lines)\n"
        );
    }
}
