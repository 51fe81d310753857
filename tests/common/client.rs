//! A client on a plain socket. It reads only when a test asks for it, and checks the form of every line.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Socket, Type};

use super::framing::Framing;
use super::server::{Endpoint, Server};
use super::wait::{DEADLINE, now};
use super::without_time;

/// Lines kept for a report.
const REPORTED: usize = 30;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server sent FIN.
    Fin,
    /// The server reset the connection.
    Reset,
}

/// The result of one read.
enum Got {
    Bytes,
    Nothing,
    End(End),
}

/// One connection. It never reads ahead: bytes that a test does not ask for stay in the kernel.
pub(crate) struct Client {
    stream: Stream,
    framing: Framing,
    /// The name of the client in reports.
    label: String,
    /// Received bytes that no test has read.
    inbox: Vec<u8>,
    /// The last lines sent and received, for reports.
    log: VecDeque<String>,
    fences: u32,
}

impl Client {
    /// Connects to the first listener and reads nothing.
    #[track_caller]
    pub(crate) fn connect(server: &Server) -> Self {
        Self::connect_to(&server.endpoints[0])
    }

    /// Connects to the first listener with a receive buffer of this size, and reads nothing.
    #[track_caller]
    pub(crate) fn with_receive_buffer(server: &Server, bytes: usize) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be had");
        socket.set_recv_buffer_size(bytes).expect("the socket is open");
        socket.connect_timeout(&server.address().into(), DEADLINE).expect("the server listens");
        Self::on_tcp(TcpStream::from(socket))
    }

    /// Connects to the listener with this number, in its framing, and reads nothing.
    #[track_caller]
    pub(crate) fn connect_nth(server: &Server, listener: usize) -> Self {
        let client = Self::connect_to(&server.endpoints[listener]);
        Self { framing: server.framings[listener], ..client }
    }

    /// Connects to a listener for lines and reads nothing.
    #[track_caller]
    pub(crate) fn connect_to(endpoint: &Endpoint) -> Self {
        let stream = match endpoint {
            Endpoint::Tcp(address) => Stream::Tcp(connect_tcp(*address)),
            Endpoint::Unix(path) => Stream::Unix(UnixStream::connect(path).expect("the server listens")),
        };
        Self::on(stream)
    }

    /// Wraps a connected socket.
    pub(crate) fn on_tcp(stream: TcpStream) -> Self {
        Self::on(Stream::Tcp(stream))
    }

    fn on(stream: Stream) -> Self {
        let label = "client".to_owned();
        Self { stream, framing: Framing::Lines, label, inbox: Vec::new(), log: VecDeque::new(), fences: 0 }
    }

    /// The framing of its messages.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Connects, reads the greeting, takes a name and sends a line, so that its arrival is announced.
    #[track_caller]
    pub(crate) fn named(server: &Server, nick: &str) -> Self {
        Self::named_on(server, 0, nick)
    }

    /// Connects to the listener with this number, reads the greeting, takes a name and sends a line, so that its
    /// arrival is announced.
    #[track_caller]
    pub(crate) fn named_on(server: &Server, listener: usize, nick: &str) -> Self {
        let mut client = Self::connect_nth(server, listener);
        client.arrive_as(nick);
        client
    }

    /// Reads the greeting, takes a name and sends a line, so that its arrival is announced.
    #[track_caller]
    pub(crate) fn arrive_as(&mut self, nick: &str) {
        self.greeting();
        self.rename(nick);
        self.send("hello");
        self.lines_until_now();
    }

    /// Reads the greeting, and returns the connection's id in it.
    #[track_caller]
    pub(crate) fn greeting(&mut self) -> u64 {
        let line = self.skip_to("the greeting", |line| line.contains(": you are guest-"));
        let id = line.split_once("guest-").and_then(|(_, rest)| rest.split(' ').next());
        id.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no id in {line:?}"))
    }

    /// Takes a name; skips other lines that arrive before the answer.
    #[track_caller]
    pub(crate) fn rename(&mut self, nick: &str) {
        nick.clone_into(&mut self.label);
        self.send(&format!("/nick {nick}"));
        let answer = format!("-- you are now {nick}");
        self.skip_to(&answer, |line| line == answer);
    }

    /// Another handle on the same socket, for a thread that reads while this one writes.
    pub(crate) fn second_half(&self) -> Self {
        let stream = match &self.stream {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone().unwrap()),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone().unwrap()),
        };
        Self { framing: self.framing, ..Self::on(stream) }
    }

    /// Reads up to `count` bytes, for a reader that is slow on purpose; returns their number.
    pub(crate) fn take_from_kernel(&mut self, count: usize) -> usize {
        let mut chunk = vec![0; count];
        let taken = match &self.stream {
            Stream::Tcp(stream) => recv(stream, &mut chunk[..], RecvFlags::DONTWAIT),
            Stream::Unix(stream) => recv(stream, &mut chunk[..], RecvFlags::DONTWAIT),
        };
        let taken = taken.map_or(0, |(taken, _)| taken);
        self.inbox.extend_from_slice(&chunk[..taken]);
        taken
    }

    /// Drops the whole lines that were received and not read by the test.
    pub(crate) fn forget(&mut self) {
        let end = self.inbox.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.inbox.drain(..end);
    }

    /// The port at this end.
    pub(crate) fn local_port(&self) -> u16 {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().unwrap().port(),
            Stream::Unix(_) => panic!("a Unix socket has no port"),
        }
    }

    /// Sends a line, in this client's framing.
    #[track_caller]
    pub(crate) fn send(&mut self, line: &str) {
        self.send_raw(&self.framing.encode(line.as_bytes()));
    }

    /// Sends bytes; fails if the server does not take them within the deadline.
    #[track_caller]
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.note(format!("> {}", excerpt(bytes)));
        let sent = self.with_stream(|stream| stream.write_all(bytes));
        if let Err(error) = sent {
            panic!("{} cannot send: {error}\n{}", self.label, self.report());
        }
    }

    /// Sends as many of `bytes` as the server takes within `patience`; returns their number.
    pub(crate) fn send_some(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.set_write_timeout(patience);
        let mut sent = 0;
        while sent < bytes.len() {
            match self.with_stream(|stream| stream.write(&bytes[sent..])) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.set_write_timeout(DEADLINE);
        self.note(format!("> {sent} of {} bytes taken", bytes.len()));
        sent
    }

    /// Sends FIN.
    pub(crate) fn shutdown_write(&mut self) {
        self.note("> FIN".to_owned());
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
        .expect("the socket is connected");
    }

    /// Closes with RST.
    pub(crate) fn reset(self) {
        let Stream::Tcp(stream) = &self.stream else { panic!("a Unix socket knows no RST") };
        rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).expect("the socket is open");
    }

    /// The next line, without its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        match self.line_within(DEADLINE) {
            Ok(line) => line,
            Err(why) => panic!("{}: no line, {why}\n{}", self.label, self.report()),
        }
    }

    /// The next line, or why there is none.
    pub(crate) fn line_within(&mut self, deadline: Duration) -> Result<String, String> {
        let start = now();
        loop {
            if let Some(line) = self.take_line() {
                return Ok(line);
            }
            let left = deadline.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(format!("nothing within {deadline:?}"));
            }
            match self.read_some(left) {
                Got::Bytes | Got::Nothing => {}
                Got::End(end) => return Err(format!("{end:?} came instead")),
            }
        }
    }

    /// Checks that the next line is this one, with its time written as `HH:MM`.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) {
        let line = without_time(&self.line());
        assert_eq!(line, expected, "{}\n{}", self.label, self.report());
    }

    /// Checks that the next line has this property.
    #[track_caller]
    pub(crate) fn expect_line(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let line = without_time(&self.line());
        assert!(condition(&line), "{}: expected {what}, got {line:?}\n{}", self.label, self.report());
        line
    }

    /// Reads until a line has this property.
    #[track_caller]
    pub(crate) fn skip_to(&mut self, what: &str, mut condition: impl FnMut(&str) -> bool) -> String {
        let start = now();
        loop {
            match self.line_within(DEADLINE.saturating_sub(start.elapsed())) {
                Ok(line) if condition(&without_time(&line)) => return without_time(&line),
                Ok(_) => {}
                Err(why) => panic!("{}: never got {what}, {why}\n{}", self.label, self.report()),
            }
        }
    }

    /// Sends a command and then a ping; returns every line before the answer to the ping.
    #[track_caller]
    pub(crate) fn answer(&mut self, command: &str) -> Vec<String> {
        self.send(command);
        self.lines_until_now()
    }

    /// Sends a ping, and returns every line before its answer.
    #[track_caller]
    pub(crate) fn lines_until_now(&mut self) -> Vec<String> {
        self.fences += 1;
        let token = format!("fence-{}", self.fences);
        self.send(&format!("/ping {token}"));
        let pong = format!("-- pong {token}");
        let mut lines = Vec::new();
        loop {
            let line = without_time(&self.line());
            if line == pong {
                return lines;
            }
            lines.push(line);
        }
    }

    /// Checks that nothing was sent to this client since the last line that was read.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        let lines = self.lines_until_now();
        assert!(lines.is_empty(), "{} should have got nothing, got {lines:?}", self.label);
    }

    /// Sends a command and checks that it is refused with exactly one `!!` line; returns its text.
    #[track_caller]
    pub(crate) fn refused(&mut self, command: &str) -> String {
        let lines = self.answer(command);
        let refusal = lines.first().and_then(|line| line.strip_prefix("!! "));
        match (lines.len(), refusal) {
            (1, Some(text)) if !text.trim().is_empty() => text.to_owned(),
            _ => panic!("{}: {command:?} should get exactly one !! line, got {lines:#?}", self.label),
        }
    }

    /// Every line up to the end of the connection, and how it ended.
    #[track_caller]
    pub(crate) fn lines_to_end(&mut self, deadline: Duration) -> (Vec<String>, End) {
        let end = self.wait_for_end(deadline);
        let mut lines = Vec::new();
        while let Some(line) = self.take_line() {
            lines.push(without_time(&line));
        }
        assert!(self.inbox.is_empty(), "{}: half a line at the end: {}", self.label, excerpt(&self.inbox));
        (lines, end)
    }

    /// Checks that only the server's FIN follows.
    #[track_caller]
    pub(crate) fn expect_eof(&mut self) {
        let (lines, end) = self.lines_to_end(DEADLINE);
        assert_eq!((lines.as_slice(), end), (&[][..], End::Fin), "{}\n{}", self.label, self.report());
    }

    /// Reads up to the end of the connection; the lines can still be read.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self, deadline: Duration) -> End {
        let start = now();
        loop {
            let left = deadline.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "{}: no end within {deadline:?}\n{}", self.label, self.report());
            if let Got::End(end) = self.read_some(left) {
                return end;
            }
        }
    }

    /// At least `count` raw bytes, for telnet.
    #[track_caller]
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let start = now();
        while self.inbox.len() < count {
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "{}: {count} bytes expected\n{}", self.label, self.report());
            if let Got::End(end) = self.read_some(left) {
                panic!("{}: {count} bytes expected, {end:?} came\n{}", self.label, self.report());
            }
        }
        std::mem::take(&mut self.inbox)
    }

    fn take_line(&mut self) -> Option<String> {
        let raw = self.framing.take(&mut self.inbox)?;
        self.note(format!("< {}", excerpt(&raw)));
        let line = String::from_utf8(raw).unwrap_or_else(|raw| panic!("no UTF-8: {:?}", raw.as_bytes()));
        let forbidden = |c: char| c.is_control() && c != '\t';
        assert!(!line.contains(forbidden), "a control character reached a client: {line:?}");
        Some(line)
    }

    fn read_some(&mut self, patience: Duration) -> Got {
        let mut chunk = [0; 16_384];
        self.set_read_timeout(patience);
        match self.with_stream(|stream| stream.read(&mut chunk)) {
            Ok(0) => Got::End(End::Fin),
            Ok(count) => {
                self.inbox.extend_from_slice(&chunk[..count]);
                Got::Bytes
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Got::End(End::Reset),
            Err(_) => Got::Nothing,
        }
    }

    fn set_read_timeout(&self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)),
        }
        .expect("the patience is not zero");
    }

    fn set_write_timeout(&self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(patience)),
        }
        .expect("the patience is not zero");
    }

    fn with_stream<T>(&mut self, act: impl FnOnce(&mut dyn ReadWrite) -> T) -> T {
        match &mut self.stream {
            Stream::Tcp(stream) => act(stream),
            Stream::Unix(stream) => act(stream),
        }
    }

    fn note(&mut self, what: String) {
        self.log.truncate(REPORTED - 1);
        self.log.push_front(what);
    }

    /// The end of what this client has sent and received.
    pub(crate) fn report(&self) -> String {
        let log: Vec<&str> = self.log.iter().rev().map(String::as_str).collect();
        let rest = excerpt(&self.inbox);
        format!("{} so far:\n{}\nnot a line yet: {rest:?}", self.label, log.join("\n"))
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn connect_tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the server listens");
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Bytes in readable form, cut for reports.
fn excerpt(bytes: &[u8]) -> String {
    let shown = bytes[..bytes.len().min(200)].escape_ascii();
    if bytes.len() > 200 { format!("{shown}… ({} bytes)", bytes.len()) } else { shown.to_string() }
}

/// Connects clients with these nicks; each reads the lines about the arrival of the others.
#[track_caller]
pub(crate) fn people<const N: usize>(server: &Server, nicks: [&str; N]) -> [Client; N] {
    let mut clients = nicks.map(|nick| Client::named(server, nick));
    for client in &mut clients {
        client.lines_until_now();
    }
    clients
}
