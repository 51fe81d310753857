//! The sockets of all clients, behind one poller.
//!
//! Bytes only: what the lines mean is said elsewhere. Each client is read once an event and written once a turn, and
//! lines are handed out in the buffer that they were read into.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use memchr::memchr;
use socket2::{Domain, SockAddr, Socket, Type};

use super::script::{Heard, Script, excerpt};
use super::{BenchError, Ground, Progress};
use crate::poller::{Events, Interest, Poller, Readiness, Watched};
use crate::time::Moment;

/// Events taken from one wait.
const EVENTS_MAX: usize = 1_024;
/// Bytes taken from one client at a time.
const READ_BYTES: usize = 64 * 1024;
/// The longest line, with all that the server puts before it.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How long connecting to a Unix socket may block.
const UNIX_CONNECT_MAX: Duration = Duration::from_secs(10);

/// All clients that were opened so far, known by their number.
pub(super) struct Crowd {
    /// The server, for errors.
    target: String,
    poller: Poller,
    events: Events,
    ready: Vec<Readiness>,
    clients: Vec<Client>,
    /// One for all: what is left of a client's last line is moved to its start before the client is read.
    buffer: Vec<u8>,
    unsent_bytes: usize,
}

struct Client {
    socket: Watched<Socket>,
    /// The start of a line that is not whole yet.
    rest: Vec<u8>,
    /// What it has said, of which the kernel has taken the first `sent` bytes.
    said: Vec<u8>,
    sent: usize,
}

impl Crowd {
    /// Nobody yet.
    pub(super) fn new(target: &str) -> Result<Self, BenchError> {
        let poller = Poller::new().map_err(|error| BenchError::System("wait for sockets", error))?;
        Ok(Self {
            target: target.to_owned(),
            poller,
            events: Events::with_capacity(NonZeroUsize::new(EVENTS_MAX).expect("it is not 0")),
            ready: Vec::with_capacity(EVENTS_MAX),
            clients: Vec::new(),
            buffer: vec![0; LINE_BYTES_MAX + READ_BYTES],
            unsent_bytes: 0,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// The server, as it is called in errors.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Bytes of all clients that the kernel has not taken.
    pub(super) const fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Begins one more connection; the client is readable once it is there, or has failed.
    pub(super) fn open(&mut self, address: &SockAddr) -> Result<(), BenchError> {
        let socket = connect(address).map_err(|error| self.no_connection(error))?;
        let watched = self.poller.watch(socket, self.clients.len(), Interest::READ);
        let socket = watched.map_err(|(_, error)| BenchError::System("watch a socket", error))?;
        self.clients.push(Client { socket, rest: Vec::new(), said: Vec::new(), sent: 0 });
        Ok(())
    }

    /// Waits for events, at most for `timeout`; gives how many clients are ready.
    pub(super) fn wait(&mut self, timeout: Duration) -> Result<usize, BenchError> {
        let waited = self.poller.wait(&mut self.events, Some(timeout));
        waited.map_err(|error| BenchError::System("wait for sockets", error))?;
        self.ready.clear();
        self.ready.extend(self.events.iter());
        Ok(self.ready.len())
    }

    /// The `at`-th of those that are ready after [`Crowd::wait`]; its key is the number of the client.
    pub(super) fn ready(&self, at: usize) -> Readiness {
        self.ready[at]
    }

    /// Reads a client once and hands out each whole line without its end. Gives false at the end of its input.
    ///
    /// # Errors
    ///
    /// Those of `read(2)` but would-block, and those of `hear`, outermost.
    pub(super) fn read(
        &mut self,
        client: usize,
        mut hear: impl FnMut(&[u8]) -> Result<(), BenchError>,
    ) -> Result<io::Result<bool>, BenchError> {
        let Client { socket, rest, .. } = &mut self.clients[client];
        let kept = rest.len();
        self.buffer[..kept].copy_from_slice(rest);
        let count = match (&**socket).read(&mut self.buffer[kept..kept + READ_BYTES]) {
            Ok(0) => return Ok(Ok(false)),
            Ok(count) => count,
            Err(error) if is_passing(&error) => return Ok(Ok(true)),
            Err(error) => return Ok(Err(error)),
        };
        let mut bytes = &self.buffer[..kept + count];
        // What was kept has no line end in it, but looking again at a part of one line costs little.
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            hear(line.strip_suffix(b"\r").unwrap_or(line))?;
            bytes = &bytes[end + 1..];
        }
        rest.clear();
        if bytes.len() > LINE_BYTES_MAX {
            let why = format!("it sent {} bytes without a line end", bytes.len());
            return Err(BenchError::NotChatops { target: self.target.clone(), why });
        }
        rest.extend_from_slice(bytes);
        Ok(Ok(true))
    }

    /// Has a client say what `word` appends. It is sent by [`Crowd::flush`].
    pub(super) fn say(&mut self, client: usize, word: impl FnOnce(&mut Vec<u8>)) {
        let said = &mut self.clients[client].said;
        let before = said.len();
        word(said);
        self.unsent_bytes += said.len() - before;
    }

    /// Whether the kernel has not taken all that a client has said.
    pub(super) fn has_unsent(&self, client: usize) -> bool {
        !self.clients[client].said.is_empty()
    }

    /// Sends what a client has said, as far as the kernel takes it; the rest goes when there is room again.
    pub(super) fn flush(&mut self, client: usize) -> io::Result<()> {
        let Client { socket, said, sent, .. } = &mut self.clients[client];
        if !said.is_empty() {
            let taken = match (&**socket).write(&said[*sent..]) {
                Ok(taken) => taken,
                Err(error) if is_passing(&error) => 0,
                Err(error) => return Err(error),
            };
            *sent += taken;
            self.unsent_bytes -= taken;
        }
        // Half of it at a time: what is moved up is never more than what is given back.
        if *sent * 2 >= said.len() {
            said.drain(..std::mem::take(sent));
        }
        socket.set_interest(if said.is_empty() { Interest::READ } else { Interest::BOTH })
    }

    /// No way to the server.
    pub(super) fn no_connection(&self, error: io::Error) -> BenchError {
        BenchError::NoConnection { target: self.target.clone(), error }
    }
}

/// A connection on its way. A Unix socket is connected or refused at once, TCP later.
fn connect(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?;
    if address.is_unix() {
        socket.set_write_timeout(Some(UNIX_CONNECT_MAX))?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        return Ok(socket);
    }
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// Whether the same call may succeed later.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

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
