//! The sockets of all clients with one poller, and the first phase: clients connect, are greeted, take a name and enter
//! the room.
//!
//! Each client is read once an event and written once a turn. A line is passed on in the buffer into which it was read.
//! Few clients join at the same time, so that the run does not measure the accept backlog of the server.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use memchr::memchr;
use socket2::{Domain, SockAddr, Socket, Type};

use super::script::{Script, ServerLine, excerpt};
use super::{BenchError, Context, PAUSE, Progress};
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

/// All clients that were opened so far, identified by their number.
pub(super) struct Clients {
    /// The server, for errors.
    target: String,
    poller: Poller,
    events: Events,
    ready: Vec<Readiness>,
    all: Vec<Client>,
    /// Shared by all clients. Before a read, the kept part of the client's last line is copied to its start.
    buffer: Vec<u8>,
    unsent_bytes: usize,
}

struct Client {
    socket: Watched<Socket>,
    /// The start of a line whose end has not been read.
    rest: Vec<u8>,
    /// Bytes to send, of which the kernel has taken the first `taken`.
    queued: Vec<u8>,
    taken: usize,
}

impl Clients {
    pub(super) fn new(target: &str) -> Result<Self, BenchError> {
        let poller = Poller::new().map_err(|error| BenchError::System("wait for sockets", error))?;
        Ok(Self {
            target: target.to_owned(),
            poller,
            events: Events::with_capacity(NonZeroUsize::new(EVENTS_MAX).expect("it is not 0")),
            ready: Vec::with_capacity(EVENTS_MAX),
            all: Vec::new(),
            buffer: vec![0; LINE_BYTES_MAX + READ_BYTES],
            unsent_bytes: 0,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The name of the server in errors.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Queued bytes of all clients that the kernel has not taken.
    pub(super) const fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Starts one more connection. The client becomes readable when it is greeted or the connection fails.
    pub(super) fn open(&mut self, address: &SockAddr) -> Result<(), BenchError> {
        let socket = connect(address).map_err(|error| self.no_connection(error))?;
        let watched = self.poller.watch(socket, self.all.len(), Interest::READ);
        let socket = watched.map_err(|(_, error)| BenchError::System("watch a socket", error))?;
        self.all.push(Client { socket, rest: Vec::new(), queued: Vec::new(), taken: 0 });
        Ok(())
    }

    /// Waits for events, at most for `timeout`; returns how many clients are ready.
    pub(super) fn wait(&mut self, timeout: Duration) -> Result<usize, BenchError> {
        let waited = self.poller.wait(&mut self.events, Some(timeout));
        waited.map_err(|error| BenchError::System("wait for sockets", error))?;
        self.ready.clear();
        self.ready.extend(self.events.iter());
        Ok(self.ready.len())
    }

    /// The `at`-th ready client after [`Clients::wait`]; the key is the client's number.
    pub(super) fn ready(&self, at: usize) -> Readiness {
        self.ready[at]
    }

    /// Reads a client once and passes each whole line to `take_line`, without its end. Returns false at the end of
    /// input.
    ///
    /// # Errors
    ///
    /// The inner result has the errors of read(2) except would-block, the outer one those of `take_line`.
    pub(super) fn read(
        &mut self,
        client: usize,
        mut take_line: impl FnMut(&[u8]) -> Result<(), BenchError>,
    ) -> Result<io::Result<bool>, BenchError> {
        let Client { socket, rest, .. } = &mut self.all[client];
        let kept = rest.len();
        self.buffer[..kept].copy_from_slice(rest);
        let count = match (&**socket).read(&mut self.buffer[kept..kept + READ_BYTES]) {
            Ok(0) => return Ok(Ok(false)),
            Ok(count) => count,
            Err(error) if is_passing(&error) => return Ok(Ok(true)),
            Err(error) => return Ok(Err(error)),
        };
        let mut bytes = &self.buffer[..kept + count];
        // The part kept from the last read has no line end; searching it again costs little.
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            take_line(line.strip_suffix(b"\r").unwrap_or(line))?;
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

    /// Queues what `append` appends, for [`Clients::flush`] to send.
    pub(super) fn queue(&mut self, client: usize, append: impl FnOnce(&mut Vec<u8>)) {
        let queued = &mut self.all[client].queued;
        let before = queued.len();
        append(queued);
        self.unsent_bytes += queued.len() - before;
    }

    /// Whether some queued bytes of a client are not with the kernel.
    pub(super) fn has_unsent(&self, client: usize) -> bool {
        !self.all[client].queued.is_empty()
    }

    /// Writes once. What the kernel does not take is written when the socket is writable again.
    pub(super) fn flush(&mut self, client: usize) -> io::Result<()> {
        let Client { socket, queued, taken, .. } = &mut self.all[client];
        if !queued.is_empty() {
            let count = match (&**socket).write(&queued[*taken..]) {
                Ok(count) => count,
                Err(error) if is_passing(&error) => 0,
                Err(error) => return Err(error),
            };
            *taken += count;
            self.unsent_bytes -= count;
        }
        // Only when at least half was sent: then the drain never moves more bytes than it frees.
        if *taken * 2 >= queued.len() {
            queued.drain(..std::mem::take(taken));
        }
        socket.set_interest(if queued.is_empty() { Interest::READ } else { Interest::BOTH })
    }

    pub(super) fn no_connection(&self, error: io::Error) -> BenchError {
        BenchError::NoConnection { target: self.target.clone(), error }
    }
}

/// A socket that is connecting. A Unix socket connects or is refused at once, a TCP socket later.
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

/// The most clients that join at the same time.
const JOINING_MAX: usize = 64;
/// The longest wait for one more client to join.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Joining,
    Ready,
}

/// The state of the joining phase.
struct Joining<'a> {
    script: &'a Script,
    /// The server, for errors.
    target: String,
    stages: Vec<Stage>,
    ready: usize,
}

/// Connects `count` clients and waits until all are in the room; returns how long that took.
pub(super) fn join_all(
    context: &Context,
    clients: &mut Clients,
    script: &Script,
    address: &SockAddr,
    count: u32,
) -> Result<Duration, BenchError> {
    let mut progress = Progress::new();
    let mut joining = Joining { script, target: clients.target().to_owned(), stages: Vec::new(), ready: 0 };
    let started = context.clock.moment();
    let mut last_joined = LastJoined { ready: 0, at: started };
    while joining.ready < count as usize {
        context.check_signals()?;
        while clients.len() < count as usize && clients.len() - joining.ready < JOINING_MAX {
            clients.open(address)?;
            joining.stages.push(Stage::Connecting);
        }
        joining.turn(clients)?;
        let now = context.clock.moment();
        last_joined.check(joining.ready, now, || joining.unanswered(clients, count))?;
        progress.show(now, || format!("{} of {count} clients are in", joining.ready));
    }
    Ok(context.clock.moment().since(started))
}

impl Joining<'_> {
    fn turn(&mut self, clients: &mut Clients) -> Result<(), BenchError> {
        for at in 0..clients.wait(PAUSE)? {
            let client = clients.ready(at).key;
            self.read(clients, client)?;
            clients.flush(client).map_err(|error| self.broken(clients, client, error))?;
        }
        Ok(())
    }

    fn read(&mut self, clients: &mut Clients, client: usize) -> Result<(), BenchError> {
        let (script, target, stage) = (self.script, &self.target, &mut self.stages[client]);
        let before = *stage;
        let read = clients
            .read(client, |line| advance(script, stage, line).map_err(|error| error.at(target, client)))?;
        match (before, self.stages[client]) {
            (Stage::Connecting, Stage::Joining) => {
                clients
                    .queue(client, |unsent| unsent.extend_from_slice(self.script.login(client).as_bytes()));
            }
            (Stage::Joining, Stage::Ready) => self.ready += 1,
            _ => {}
        }
        match read {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.ended(clients, client)),
            Err(error) => Err(self.broken(clients, client, error)),
        }
    }

    fn broken(&self, clients: &Clients, client: usize, error: io::Error) -> BenchError {
        match self.stages[client] {
            Stage::Connecting => clients.no_connection(error),
            Stage::Joining | Stage::Ready => {
                BenchError::Dropped { target: clients.target().to_owned(), client, error: Some(error) }
            }
        }
    }

    fn ended(&self, clients: &Clients, client: usize) -> BenchError {
        let target = clients.target().to_owned();
        match self.stages[client] {
            Stage::Connecting => BenchError::NotChatops {
                target,
                why: "it closed the connection without a greeting".to_owned(),
            },
            Stage::Joining | Stage::Ready => BenchError::Dropped { target, client, error: None },
        }
    }

    fn unanswered(&self, clients: &Clients, count: u32) -> BenchError {
        let target = clients.target().to_owned();
        if self.stages.iter().all(|stage| *stage == Stage::Connecting) {
            let why = format!("it did not greet within {} s (is accepting paused?)", PATIENCE.as_secs());
            return BenchError::NotChatops { target, why };
        }
        BenchError::Unanswered { target, ready: self.ready, clients: count, waited_s: PATIENCE.as_secs() }
    }
}

/// When a client last joined.
struct LastJoined {
    ready: usize,
    at: Moment,
}

impl LastJoined {
    /// Fails with `error` if no client has joined for [`PATIENCE`].
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

/// Why a client cannot join, with the line of the server that says so.
#[derive(Debug, PartialEq, Eq)]
enum JoinError {
    NoGreeting(String),
    Refused(String),
}

impl JoinError {
    fn at(self, target: &str, client: usize) -> BenchError {
        let target = target.to_owned();
        match self {
            Self::NoGreeting(line) => {
                BenchError::NotChatops { target, why: format!("it greets with \"{line}\"") }
            }
            Self::Refused(text) => BenchError::Refused { target, client, text },
        }
    }
}

/// Moves a joining client to its next stage, if this line from the server says so.
fn advance(script: &Script, stage: &mut Stage, line: &[u8]) -> Result<(), JoinError> {
    match (*stage, script.classify(line)) {
        (_, ServerLine::Refusal) => return Err(JoinError::Refused(excerpt(line))),
        (Stage::Connecting, ServerLine::Greeting) => *stage = Stage::Joining,
        // The message of the day comes before the greeting, and each of its lines is a notice.
        (Stage::Connecting, _) if !line.starts_with(b"-- ") => {
            return Err(JoinError::NoGreeting(excerpt(line)));
        }
        (Stage::Joining, ServerLine::Joined) => *stage = Stage::Ready,
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
        let mut advance = |line: &str| advance(&script, &mut stage, line.as_bytes()).map(|()| stage);
        assert_eq!(advance("-- the message of the day"), Ok(Stage::Connecting));
        assert_eq!(advance("-- c: you are guest-1 in #lobby (1 here). /help"), Ok(Stage::Joining));
        assert_eq!(advance("12:34 #lobby <alice> hello"), Ok(Stage::Joining));
        assert_eq!(advance("-- you are now bench-7-0"), Ok(Stage::Joining));
        assert_eq!(advance("-- you are in #bench (1 here)"), Ok(Stage::Ready));
        assert_eq!(advance("!! full"), Err(JoinError::Refused("!! full".to_owned())));
    }

    #[test]
    fn a_server_without_a_greeting_is_no_chatops_and_its_line_is_escaped() {
        let script = Script::new(7, 64);
        let refused = advance(&script, &mut Stage::Connecting, b"SSH-2.0-\x1b[31m");
        assert_eq!(refused, Err(JoinError::NoGreeting("SSH-2.0-\\u{1b}[31m".to_owned())));
    }
}
