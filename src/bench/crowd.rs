//! The sockets of all clients, behind one poller.
//!
//! Bytes only: what the lines mean is said elsewhere. Each client is read once an event and written once a turn, and
//! lines are handed out in the buffer that they were read into.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use memchr::memchr;
use socket2::{Domain, SockAddr, Socket, Type};

use super::error::BenchError;
use crate::poller::{Events, Interest, Poller, Readiness, Watched};

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
