//! The first phase: clients connect, are greeted, take a name and enter the room.
//!
//! A bounded number is on its way at any time, so that the accept backlog of the server is not what is measured.

use std::io;
use std::time::Duration;

use socket2::SockAddr;

use super::crowd::Crowd;
use super::error::BenchError;
use super::progress::Progress;
use super::run::Ground;
use super::script::{Heard, Script, excerpt};
use crate::time::Moment;

/// Clients on their way at once.
const UNDER_WAY_MAX: usize = 64;
/// How long is waited for one more client to come in.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait before signals are looked at again.
const PAUSE: Duration = Duration::from_millis(50);

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Joining,
    Ready,
}

/// Who is where.
struct Arrival<'a> {
    script: &'a Script,
    /// The server, for errors.
    target: String,
    stages: Vec<Stage>,
    ready: usize,
}

/// Brings `clients` clients in; how long that took.
pub(super) fn bring_in(
    ground: &Ground,
    crowd: &mut Crowd,
    script: &Script,
    address: &SockAddr,
    clients: u32,
) -> Result<Duration, BenchError> {
    let mut progress = Progress::new();
    let mut arrival = Arrival { script, target: crowd.target().to_owned(), stages: Vec::new(), ready: 0 };
    let started = ground.clock.moment();
    let mut last = Last { ready: 0, at: started };
    while arrival.ready < clients as usize {
        ground.check_signals()?;
        while crowd.len() < clients as usize && crowd.len() - arrival.ready < UNDER_WAY_MAX {
            crowd.open(address)?;
            arrival.stages.push(Stage::Connecting);
        }
        arrival.turn(crowd)?;
        let now = ground.clock.moment();
        last.check(arrival.ready, now, || arrival.unanswered(crowd, clients))?;
        progress.show(now, || format!("{} of {clients} clients are in", arrival.ready));
    }
    Ok(ground.clock.moment().since(started))
}

impl Arrival<'_> {
    fn turn(&mut self, crowd: &mut Crowd) -> Result<(), BenchError> {
        for at in 0..crowd.wait(PAUSE)? {
            let client = crowd.ready(at).key;
            self.read(crowd, client)?;
            crowd.flush(client).map_err(|error| self.broken(crowd, client, error))?;
        }
        Ok(())
    }

    fn read(&mut self, crowd: &mut Crowd, client: usize) -> Result<(), BenchError> {
        let (script, target, stage) = (self.script, &self.target, &mut self.stages[client]);
        let before = *stage;
        let read =
            crowd.read(client, |line| hear(script, stage, line).map_err(|no| no.of(target, client)))?;
        match (before, self.stages[client]) {
            (Stage::Connecting, Stage::Joining) => {
                crowd.say(client, |unsent| unsent.extend_from_slice(self.script.login(client).as_bytes()));
            }
            (Stage::Joining, Stage::Ready) => self.ready += 1,
            _ => {}
        }
        match read {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.ended(crowd, client)),
            Err(error) => Err(self.broken(crowd, client, error)),
        }
    }

    fn broken(&self, crowd: &Crowd, client: usize, error: io::Error) -> BenchError {
        match self.stages[client] {
            Stage::Connecting => crowd.no_connection(error),
            Stage::Joining | Stage::Ready => {
                BenchError::Dropped { target: crowd.target().to_owned(), client, error: Some(error) }
            }
        }
    }

    fn ended(&self, crowd: &Crowd, client: usize) -> BenchError {
        let target = crowd.target().to_owned();
        match self.stages[client] {
            Stage::Connecting => BenchError::NotChatops {
                target,
                why: "it closed the connection without a greeting".to_owned(),
            },
            Stage::Joining | Stage::Ready => BenchError::Dropped { target, client, error: None },
        }
    }

    fn unanswered(&self, crowd: &Crowd, clients: u32) -> BenchError {
        let target = crowd.target().to_owned();
        if self.stages.iter().all(|stage| *stage == Stage::Connecting) {
            let why = format!("it did not greet within {} s (is accepting paused?)", PATIENCE.as_secs());
            return BenchError::NotChatops { target, why };
        }
        BenchError::Unanswered { target, ready: self.ready, clients, waited_s: PATIENCE.as_secs() }
    }
}

/// When the last client came in.
struct Last {
    ready: usize,
    at: Moment,
}

impl Last {
    /// Fails with `error` when nobody has come in for too long.
    fn check(
        &mut self,
        ready: usize,
        now: Moment,
        error: impl FnOnce() -> BenchError,
    ) -> Result<(), BenchError> {
        if ready > self.ready {
            *self = Self { ready, at: now };
        }
        if now.since(self.at) > PATIENCE { Err(error()) } else { Ok(()) }
    }
}

/// Why a client does not come in, in the server's words.
#[derive(Debug, PartialEq, Eq)]
enum No {
    NoGreeting(String),
    Refused(String),
}

impl No {
    fn of(self, target: &str, client: usize) -> BenchError {
        let target = target.to_owned();
        match self {
            Self::NoGreeting(line) => {
                BenchError::NotChatops { target, why: format!("it greets with \"{line}\"") }
            }
            Self::Refused(said) => BenchError::Refused { target, client, said },
        }
    }
}

/// A client hears a line on its way in.
fn hear(script: &Script, stage: &mut Stage, line: &[u8]) -> Result<(), No> {
    match (*stage, script.hear(line)) {
        (_, Heard::Refusal) => return Err(No::Refused(excerpt(line))),
        (Stage::Connecting, Heard::Greeting) => *stage = Stage::Joining,
        // The message of the day comes first, a notice as well.
        (Stage::Connecting, _) if !line.starts_with(b"-- ") => return Err(No::NoGreeting(excerpt(line))),
        (Stage::Joining, Heard::Joined) => *stage = Stage::Ready,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_greeted_then_joins() {
        let script = Script::new(7, 64);
        let mut stage = Stage::Connecting;
        let mut hear = |line: &str| hear(&script, &mut stage, line.as_bytes()).map(|()| stage);
        assert_eq!(hear("-- the message of the day"), Ok(Stage::Connecting));
        assert_eq!(hear("-- c: you are guest-1 in #lobby (1 here). /help"), Ok(Stage::Joining));
        assert_eq!(hear("12:34 #lobby <alice> hello"), Ok(Stage::Joining));
        assert_eq!(hear("-- you are now bench-7-0"), Ok(Stage::Joining));
        assert_eq!(hear("-- you are in #bench (1 here)"), Ok(Stage::Ready));
        assert_eq!(hear("!! full"), Err(No::Refused("!! full".to_owned())));
    }

    #[test]
    fn who_does_not_greet_is_no_chatops_and_its_words_are_harmless() {
        let script = Script::new(7, 64);
        let refused = hear(&script, &mut Stage::Connecting, b"SSH-2.0-\x1b[31m");
        assert_eq!(refused, Err(No::NoGreeting("SSH-2.0-\\u{1b}[31m".to_owned())));
    }
}
