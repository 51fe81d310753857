//! The least cost of passing lines on to many clients: a server that does only what `chatops bench` needs.
//!
//! One thread, the poller of chatops, one write a client and wait: no rooms, no limits, no telnet, no scrubbing, no
//! times, no dashboard. `benches/compare` compares chatops with it.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::ops::Range;

use chatops::poller::{Events, Interest, Poller, Watched};
use memchr::memchr;

const LISTENER: usize = usize::MAX - 1;
const GREETING: &[u8] = b"-- floor: you are guest-1 in #lobby (1 here). /help lists the commands.\r\n";
const JOINED: &[u8] = b"-- you are in #bench (1 here)\r\n";

fn main() -> io::Result<()> {
    if std::env::args().nth(1).as_deref() != Some("serve") {
        // `cargo bench` without arguments runs this too.
        println!("benches/compare has `chatops bench --server` start this");
        return Ok(());
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    println!("listening on {} (lines)", listener.local_addr()?);
    Floor::new(listener)?.run()
}

struct Client {
    socket: Watched<TcpStream>,
    nick: Vec<u8>,
    has_joined: bool,
    /// The beginning of a line.
    rest: Vec<u8>,
    unsent: Vec<u8>,
    /// Its lines of this turn, as a range of all lines.
    own: Range<usize>,
}

struct Floor {
    poller: Poller,
    listener: Watched<TcpListener>,
    clients: Vec<Option<Client>>,
    said: Vec<u8>,
    buffer: Vec<u8>,
}

impl Floor {
    fn new(listener: TcpListener) -> io::Result<Self> {
        let poller = Poller::new()?;
        let listener = poller.watch(listener, LISTENER, Interest::READ).map_err(|(_, error)| error)?;
        Ok(Self { poller, listener, clients: Vec::new(), said: Vec::new(), buffer: vec![0; 64 * 1024] })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(NonZeroUsize::new(1024).expect("1024 is not 0"));
        loop {
            self.poller.wait(&mut events, None)?;
            self.said.clear();
            for ready in events.iter() {
                if ready.key == LISTENER {
                    self.accept()?;
                } else {
                    self.serve(ready.key, ready.readable);
                }
            }
            if !self.said.is_empty() {
                self.pass_on();
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let (socket, _) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let watched = self.poller.watch(socket, self.clients.len(), Interest::READ);
            let socket = watched.map_err(|(_, error)| error)?;
            let mut client = Client {
                socket,
                nick: Vec::new(),
                has_joined: false,
                rest: Vec::new(),
                unsent: Vec::new(),
                own: 0..0,
            };
            client.send(&[GREETING]);
            self.clients.push(Some(client));
        }
    }

    fn serve(&mut self, key: usize, is_readable: bool) {
        let Some(Some(client)) = self.clients.get_mut(key) else { return };
        if !client.unsent.is_empty() {
            client.send(&[]);
        }
        if !is_readable {
            return;
        }
        match (&*client.socket).read(&mut self.buffer) {
            Ok(0) => self.clients[key] = None,
            Ok(count) => client.hear(&self.buffer[..count], &mut self.said),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.clients[key] = None,
        }
    }

    /// Sends the lines of this turn to every client in the room except their sender, in one write.
    fn pass_on(&mut self) {
        for client in self.clients.iter_mut().flatten().filter(|client| client.has_joined) {
            let own = std::mem::take(&mut client.own);
            client.send(&[&self.said[..own.start], &self.said[own.end..]]);
        }
    }
}

impl Client {
    fn hear(&mut self, bytes: &[u8], said: &mut Vec<u8>) {
        let start = said.len();
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut left = &rest[..];
        while let Some(end) = memchr(b'\n', left) {
            self.take(&left[..end], said);
            left = &left[end + 1..];
        }
        self.rest = left.to_vec();
        self.own = start..said.len();
    }

    fn take(&mut self, line: &[u8], said: &mut Vec<u8>) {
        if let Some(nick) = line.strip_prefix(b"/nick ") {
            self.nick = nick.to_vec();
        } else if line.starts_with(b"/join ") {
            self.has_joined = true;
            self.send(&[JOINED]);
        } else if !line.starts_with(b"/") {
            for part in [&b"00:00 #bench <"[..], &self.nick, b"> ", line, b"\r\n"] {
                said.extend_from_slice(part);
            }
        }
    }

    /// Sends what the kernel takes, and keeps the rest.
    fn send(&mut self, parts: &[&[u8]]) {
        let mut slices = [IoSlice::new(&self.unsent), IoSlice::new(&[]), IoSlice::new(&[])];
        for (slice, part) in slices[1..].iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        // A client that is gone is found by the next read.
        let mut taken = (&*self.socket).write_vectored(&slices).unwrap_or(0);
        let mut unsent = Vec::new();
        for slice in slices {
            unsent.extend_from_slice(&slice[taken.min(slice.len())..]);
            taken = taken.saturating_sub(slice.len());
        }
        self.unsent = unsent;
        let interest = if self.unsent.is_empty() { Interest::READ } else { Interest::BOTH };
        // If that fails, the next line tries again.
        let _ = self.socket.set_interest(interest);
    }
}
