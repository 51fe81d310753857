//! `chatops serve`: the server alone, in the foreground. What happens is logged on stderr, where it listens is
//! printed on stdout.

use std::fmt::Write as _;

use super::error::Failure;
use super::options::Options;
use super::start::{Prepared, prepare};
use crate::log::Log;

/// Runs until it is told to stop.
pub(super) fn run(options: Options) -> Result<(), Failure> {
    let Prepared { config, warnings } = prepare(options)?;
    let log = Log::stderr(config.log.level).map_err(|error| Failure::Running(format!("no log: {error}")))?;
    Err(Failure::Running(format!("no reactor for {config:?} {warnings:?} {log:?}")))
}

/// `listening on 127.0.0.1:6677 (lines)`, one line for each listener.
#[cfg_attr(not(test), expect(dead_code, reason = "called once there is a server"))]
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
