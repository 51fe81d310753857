//! `chatops serve`: the server alone, in the foreground. What happens is logged on stderr, where it listens is
//! printed on stdout.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::error::{Failure, StartError};
use super::options::Options;
use super::start::{Prepared, prepare, warn};
use crate::clock::Clock;
use crate::log::Log;
use crate::net::{End, Server};

/// Runs until it is told to stop.
pub(super) fn run(options: Options) -> Result<(), Failure> {
    let Prepared { config, warnings } = prepare(options)?;
    let mut server =
        Server::bind(&config, Clock::start()).map_err(|error| StartError::Bind(error.to_string()))?;
    let log = Log::stderr(config.log.level)
        .map_err(|error| Failure::Running(format!("cannot start the log: {error}")))?;
    warn(&mut server, warnings);
    server.set_sink(move |entry| log.entry(entry));
    // Whoever started us may have closed the pipe: that is no reason not to serve.
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(announcement(server.listeners()).as_bytes()).and_then(|()| stdout.flush());
    drop(stdout);
    match server.run() {
        Ok(End::Drained(_)) => Ok(()),
        Ok(End::AtOnce) => Err(Failure::Running("stopped at once by a second signal".to_owned())),
        Err(error) => Err(Failure::Running(format!("the server failed: {error}"))),
    }
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
