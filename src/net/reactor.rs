//! One turn of the loop, and the table of sockets it works on.
//!
//! Order of a turn: wait, read the clock once, mailbox, ingest (accept, read), deadlines, reconcile (close, write,
//! FIN, interest), publish. Nobody is freed before reconcile, so nothing is closed inside a broadcast. Who has
//! budget left over shows again: level-triggered events repeat, and what stays dirty keeps the next wait from
//! sleeping.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::gauge::Gauge;
use super::listener::Listener;
use super::process;
use super::server::Sink;
use super::signals::Signals;
use super::socket::Socket;
use crate::clock::Clock;
use crate::config::settings::LogLevel;
use crate::engine::snapshot::{Kernel, Peer, Query, Snapshot};
use crate::engine::{Admission, Engine, Fate, Flushed, Wants};
use crate::id::Slot;
use crate::link::local::Mailbox;
use crate::link::{Request, Response};
use crate::poller::{Events, Interest, Poller, Readiness, Watched};
use crate::time::{Moment, Now};

/// Events taken in one turn.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not 0");
/// Connections accepted on one listener in one turn.
const ACCEPT_BUDGET: usize = 64;
/// Bytes read from one peer in one turn.
const READ_BUDGET: usize = 64 * 1024;
/// Bytes read in one turn from all.
const TURN_READ_BUDGET: usize = 4 * 1024 * 1024;
/// Time after which a turn reads from nobody else.
const TURN_TIME_BUDGET: Duration = Duration::from_millis(10);
/// Bytes written to one peer in one turn.
const WRITE_BUDGET: usize = 64 * 1024;
/// Requests of the onlooker answered in one turn.
const MAILBOX_BUDGET: usize = 64;
/// How long accepting pauses when descriptors or memory have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Least time between two words about that.
const ACCEPT_TOLD: Duration = Duration::from_secs(10);
/// Wake-ups of one socket in a row that led to nothing; at so many there is a bug, and it is closed.
const IDLE_WAKES_MAX: u16 = 1_000;

/// Keys of what is no connection have this bit.
const SPECIAL: usize = 1 << (usize::BITS - 1);
const KEY_STOP: usize = SPECIAL;
const KEY_RELOAD: usize = SPECIAL | 1;
const KEY_LISTENERS: usize = SPECIAL | 2;

/// A socket and what the loop has to remember of it.
#[derive(Debug)]
struct Line {
    socket: Registered,
    generation: u32,
    /// The kernel took no more; only a writable event changes that.
    blocked: bool,
    idle_wakes: u16,
}

/// Whether the poller watches the socket. Once both FINs are sent it would only hang up, again and again.
#[derive(Debug)]
enum Registered {
    Watched(Watched<Socket>),
    Apart(Socket),
}

impl Registered {
    fn socket(&self) -> &Socket {
        match self {
            Self::Watched(socket) => socket,
            Self::Apart(socket) => socket,
        }
    }

    fn into_socket(self) -> Socket {
        match self {
            Self::Watched(watched) => watched.into_inner(),
            Self::Apart(socket) => socket,
        }
    }
}

/// How the loop came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Cleanly.
    Drained,
    /// At once, by a second signal.
    AtOnce,
}

/// The loop's state.
pub(super) struct Reactor {
    pub(super) engine: Engine,
    pub(super) poller: Poller,
    pub(super) listeners: Vec<Watched<Listener>>,
    pub(super) labels: Vec<String>,
    pub(super) mailbox: Option<Mailbox>,
    clock: Clock,
    signals: Watched<Signals>,
    reload: Watched<Signals>,
    stop_signals: usize,
    lines: Vec<Option<Line>>,
    generations: u32,
    /// A descriptor held back, to accept and close with when there is no other.
    reserve: Option<std::fs::File>,
    accept_again: Option<Moment>,
    accept_told: Option<Moment>,
    queries: Vec<Query>,
    dirty: Vec<Slot>,
    buffer: Box<[u8]>,
    gauge: Gauge,
    logged: u64,
    sink: Sink,
}

impl Reactor {
    pub(super) fn new(
        engine: Engine,
        poller: Poller,
        listeners: Vec<Listener>,
        clock: Clock,
    ) -> io::Result<Self> {
        let labels = listeners.iter().map(Listener::label).collect();
        let watched = listeners
            .into_iter()
            .enumerate()
            .map(|(index, listener)| watch(&poller, listener, KEY_LISTENERS + index))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            engine,
            listeners: watched,
            labels,
            mailbox: None,
            clock,
            signals: watch(&poller, Signals::to_stop()?, KEY_STOP)?,
            reload: watch(&poller, Signals::to_reload()?, KEY_RELOAD)?,
            poller,
            stop_signals: 0,
            lines: Vec::new(),
            generations: 0,
            reserve: open_reserve(),
            accept_again: None,
            accept_told: None,
            queries: Vec::new(),
            dirty: Vec::new(),
            buffer: vec![0; READ_BUDGET].into_boxed_slice(),
            gauge: Gauge::new(),
            logged: 0,
            sink: Box::new(|_| {}),
        })
    }

    /// Where records go from now on, beside the onlooker.
    pub(super) fn set_sink(&mut self, sink: Sink) {
        self.sink = sink;
    }

    /// Turns until the server has stopped.
    pub(super) fn run(&mut self) -> io::Result<Stop> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.engine.is_stopped() && self.stop_signals < 2 {
            self.turn(&mut events)?;
        }
        let is_clean = self.stop_signals < 2;
        self.close_all();
        Ok(if is_clean { Stop::Drained } else { Stop::AtOnce })
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.timeout();
        self.poller.wait(events, timeout)?;
        let now = self.clock.now();
        self.engine.begin_turn(now);
        self.read_mail();
        self.ingest(events, now.moment);
        self.engine.handle_timeout();
        self.reopen(now.moment);
        self.reconcile();
        self.publish();
        self.gauge.record(self.clock.now().moment.since(now.moment));
        Ok(())
    }

    /// How long the wait may sleep; `None` for as long as nothing happens.
    fn timeout(&self) -> Option<Duration> {
        if self.engine.has_dirty() {
            return Some(Duration::ZERO);
        }
        let next = [self.engine.poll_timeout(), self.accept_again].into_iter().flatten().min()?;
        Some(next.since(self.clock.now().moment))
    }

    /// Carries out the onlooker's verbs; pictures are taken at the end of the turn.
    fn read_mail(&mut self) {
        let Some(mailbox) = &mut self.mailbox else { return };
        for _ in 0..MAILBOX_BUDGET {
            match mailbox.next() {
                Some(Request::Snapshot(query)) => self.queries.push(query),
                Some(Request::Verb { ticket, command }) => {
                    let outcome = self.engine.handle_operator(&command);
                    mailbox.answer(Response::Verb { ticket, outcome });
                }
                None => return,
            }
        }
        // There may be more: the next wait must not sleep on it.
        self.poller.waker().notify();
    }

    fn ingest(&mut self, events: &Events, start: Moment) {
        let mut read = 0;
        for ready in events.iter() {
            match ready.key {
                KEY_STOP => self.take_stop_signals(),
                KEY_RELOAD => self.take_reload_signals(),
                key if key & SPECIAL != 0 => self.accept(key - KEY_LISTENERS, start),
                _ if read >= TURN_READ_BUDGET => {}
                _ => {
                    let before = read / READ_BUDGET;
                    read += self.handle_ready(ready);
                    // The clock is looked at after each 64 KiB, not after each line.
                    if read / READ_BUDGET > before && self.clock.now().moment.since(start) >= TURN_TIME_BUDGET
                    {
                        read = TURN_READ_BUDGET;
                    }
                }
            }
        }
    }

    fn take_stop_signals(&mut self) {
        self.stop_signals += self.signals.take();
        if !self.engine.is_stopping() {
            self.engine.note(LogLevel::Info, "told to stop: draining".to_owned());
            self.engine.stop(None);
        }
    }

    fn take_reload_signals(&mut self) {
        if self.reload.take() > 0 && self.mailbox.is_none() {
            let text = "SIGHUP: ignored, the configuration is read at the start only".to_owned();
            self.engine.note(LogLevel::Info, text);
        }
    }

    /// One connection is readable, writable or broken. Gives the number of bytes read.
    fn handle_ready(&mut self, ready: Readiness) -> usize {
        let Some((slot, line)) = line_of(&mut self.lines, ready.key) else { return 0 };
        let Some(wants) = self.engine.wants(slot) else { return 0 };
        let mut progress = 0;
        if ready.writable && line.blocked {
            line.blocked = false;
            self.engine.touch(slot);
            progress += 1;
        }
        let is_broken = ready.hangup || ready.error;
        let read = if ready.readable && (wants.read || is_broken) { self.read(slot, is_broken) } else { 0 };
        self.guard_against_spinning(slot, progress + read);
        read
    }

    /// Reads once; a broken socket is read to its end, for it will never be quiet.
    fn read(&mut self, slot: Slot, is_broken: bool) -> usize {
        let mut total = 0;
        loop {
            let Some(line) = self.lines.get(slot.index()).and_then(Option::as_ref) else { return total };
            match line.socket.socket().read(&mut self.buffer) {
                Ok(0) => {
                    self.engine.handle_eof(slot);
                    self.engine.touch(slot);
                    if is_broken {
                        self.fail_broken(slot);
                    }
                    return total + 1;
                }
                Ok(count) => {
                    self.engine.handle_bytes(slot, &self.buffer[..count]);
                    total += count;
                    if !is_broken || total >= TURN_READ_BUDGET {
                        return total;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if is_broken {
                        self.fail_broken(slot);
                    }
                    return total;
                }
                Err(error) => {
                    self.engine.handle_error(slot, &error);
                    return total + 1;
                }
            }
        }
    }

    /// A hang-up without our FIN, or an error: there is nobody to write to. After both FINs it is no error.
    fn fail_broken(&mut self, slot: Slot) {
        let Some(line) = self.lines.get(slot.index()).and_then(Option::as_ref) else { return };
        let error = line.socket.socket().take_error();
        let is_settling = self.engine.wants(slot).is_none_or(|wants| !wants.events);
        match error {
            Some(error) => self.engine.handle_error(slot, &error),
            None if is_settling => {}
            None => self.engine.handle_error(slot, &io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn guard_against_spinning(&mut self, slot: Slot, progress: usize) {
        let Some(line) = self.lines.get_mut(slot.index()).and_then(Option::as_mut) else { return };
        line.idle_wakes = if progress > 0 { 0 } else { line.idle_wakes + 1 };
        if line.idle_wakes >= IDLE_WAKES_MAX {
            let text =
                format!("bug: {slot:?} woke the loop {IDLE_WAKES_MAX} times for nothing; it is closed");
            self.engine.note(LogLevel::Error, text);
            self.engine.handle_error(slot, &io::Error::other("woke the loop for nothing"));
        }
    }

    fn accept(&mut self, listener: usize, now: Moment) {
        for _ in 0..ACCEPT_BUDGET {
            let Some(watched) = self.listeners.get(listener) else { return };
            if self.engine.is_closed_to_newcomers() {
                return self.watch_listeners(Interest::NONE);
            }
            match watched.accept() {
                Ok((socket, peer)) => self.admit(listener, socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhausted(&error) => return self.refuse_one(listener, &error, now),
                // The connection that failed is gone (accept(2)); the next one may be well.
                Err(_) => {}
            }
        }
    }

    fn admit(&mut self, listener: usize, socket: Socket, peer: Peer) {
        let listener = u16::try_from(listener).unwrap_or(u16::MAX);
        let Admission::In(slot) = self.engine.accepted(listener, peer) else { return };
        self.generations = (self.generations + 1) % (1 << 31);
        let key = key_of(slot, self.generations);
        let (socket, failed) = match self.poller.watch(socket, key, Interest::READ) {
            Ok(watched) => (Registered::Watched(watched), None),
            Err((socket, error)) => (Registered::Apart(socket), Some(error)),
        };
        if self.lines.len() <= slot.index() {
            self.lines.resize_with(slot.index() + 1, || None);
        }
        let generation = self.generations;
        self.lines[slot.index()] = Some(Line { socket, generation, blocked: false, idle_wakes: 0 });
        if let Some(error) = failed {
            self.engine.handle_error(slot, &error);
        }
    }

    /// No descriptor is left: the reserve is spent on telling one of those who wait, and accepting pauses.
    fn refuse_one(&mut self, listener: usize, error: &io::Error, now: Moment) {
        self.reserve = None;
        if let Some(Ok((socket, _))) = self.listeners.get(listener).map(|listener| listener.accept()) {
            // Whether the word arrives is not waited for: there is nothing to wait with.
            let _ = socket.write(&[io::IoSlice::new(b"!! the server is full; try again later\r\n")]);
            let _ = socket.finish();
        }
        self.reserve = open_reserve();
        self.accept_again = Some(now + ACCEPT_PAUSE);
        self.watch_listeners(Interest::NONE);
        if self.accept_told.is_none_or(|told| now.since(told) >= ACCEPT_TOLD) {
            self.accept_told = Some(now);
            self.engine.note(LogLevel::Error, format!("cannot accept: {error}; trying again"));
        }
    }

    /// Accepts again when a pause is over.
    fn reopen(&mut self, now: Moment) {
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
        }
        if self.accept_again.is_none() {
            let closed = self.engine.is_closed_to_newcomers();
            self.watch_listeners(if closed { Interest::NONE } else { Interest::READ });
        }
    }

    fn watch_listeners(&mut self, interest: Interest) {
        for listener in &mut self.listeners {
            if let Err(error) = listener.set_interest(interest) {
                self.engine.note(LogLevel::Error, format!("cannot watch a listener: {error}"));
            }
        }
    }

    /// Makes every socket that may have to do something do what its session wants.
    fn reconcile(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        self.engine.settle();
        self.engine.take_dirty(&mut dirty);
        for slot in &dirty {
            self.bury(*slot);
        }
        // Those who were buried may have been missed by others.
        self.engine.settle();
        for slot in &dirty {
            self.serve(*slot);
        }
        self.engine.take_dirty(&mut dirty);
        for slot in &dirty {
            self.serve(*slot);
        }
        self.engine.end_turn();
        self.dirty = dirty;
    }

    /// Closes the socket of a session that is over.
    fn bury(&mut self, slot: Slot) {
        let Some(fate) = self.engine.wants(slot).and_then(|wants| wants.fate) else { return };
        if let Some(line) = self.lines.get_mut(slot.index()).and_then(Option::take) {
            let socket = line.socket.into_socket();
            if fate == Fate::Reset {
                socket.reset();
            }
        }
        self.engine.ended(slot);
    }

    /// Writes, FIN, interest, deadline.
    fn serve(&mut self, slot: Slot) {
        let Some(wants) = self.engine.wants(slot) else { return };
        let Some(Some(line)) = self.lines.get_mut(slot.index()) else { return };
        if wants.fate.is_some() {
            return self.engine.touch(slot);
        }
        if wants.write && !line.blocked {
            let socket = line.socket.socket();
            match self.engine.flush(slot, WRITE_BUDGET, |slices| socket.write(slices)) {
                Flushed::All => {}
                Flushed::More => self.engine.touch(slot),
                Flushed::Blocked => line.blocked = true,
                Flushed::Failed(error) => {
                    // What it sent before it failed is heard.
                    self.read(slot, true);
                    return self.engine.handle_error(slot, &error);
                }
            }
        }
        self.finish(slot);
        self.register(slot);
        self.engine.arm(slot);
    }

    fn finish(&mut self, slot: Slot) {
        let Some(Some(line)) = self.lines.get_mut(slot.index()) else { return };
        let socket = line.socket.socket();
        if self.engine.wants(slot).is_some_and(|wants| wants.fin) {
            match socket.finish() {
                Ok(()) => self.engine.fin_sent(slot),
                Err(error) => self.engine.handle_error(slot, &error),
            }
        }
        if self.engine.wants(slot).is_some_and(|wants| wants.probe) {
            self.engine.handle_send_q(slot, socket.send_q());
        }
    }

    /// Asks the poller for the events that the session wants.
    fn register(&mut self, slot: Slot) {
        let Some(wants) = self.engine.wants(slot) else { return };
        let Some(entry) = self.lines.get_mut(slot.index()) else { return };
        let Some(line) = entry else { return };
        if wants.events {
            if let Registered::Watched(watched) = &mut line.socket
                && let Err(error) = watched.set_interest(interest(wants, line.blocked))
            {
                self.engine.handle_error(slot, &error);
            }
        } else if let Some(Line { socket, generation, blocked, idle_wakes }) = entry.take() {
            let socket = Registered::Apart(socket.into_socket());
            *entry = Some(Line { socket, generation, blocked, idle_wakes });
        }
    }

    /// Gives the onlooker the pictures it asked for, and the log its records.
    fn publish(&mut self) {
        while let Some(query) = self.queries.pop() {
            let lines = &self.lines;
            let snapshot = self.engine.snapshot(&query, |slot| queues(lines, slot));
            let snapshot = Box::new(self.complete(snapshot));
            if let Some(mailbox) = &mut self.mailbox {
                mailbox.answer(Response::Snapshot(snapshot));
            }
        }
        for entry in self.engine.records_after(self.logged) {
            (self.sink)(entry);
            self.logged = entry.seq;
        }
    }

    /// Adds what only the process knows.
    fn complete(&self, mut snapshot: Snapshot) -> Snapshot {
        let status = &mut snapshot.status;
        status.pid = std::process::id();
        status.listeners.clone_from(&self.labels);
        status.turns = self.gauge.stats();
        status.fds = process::descriptors();
        status.rss_bytes = process::resident_bytes();
        snapshot
    }

    /// The end: whoever is left is cut off.
    fn close_all(&mut self) {
        let now: Now = self.clock.now();
        self.engine.begin_turn(now);
        for slot in self.engine.slots().collect::<Vec<_>>() {
            if let Some(line) = self.lines.get_mut(slot.index()).and_then(Option::take) {
                line.socket.into_socket().reset();
            }
            self.engine.ended(slot);
        }
        self.publish();
    }
}

/// Adds a source to the poller.
fn watch<S: std::os::fd::AsFd>(poller: &Poller, source: S, key: usize) -> io::Result<Watched<S>> {
    poller.watch(source, key, Interest::READ).map_err(|(_, error)| error)
}

fn interest(wants: Wants, blocked: bool) -> Interest {
    Interest { read: wants.read, write: wants.write && blocked }
}

fn queues(lines: &[Option<Line>], slot: Slot) -> Option<Kernel> {
    lines.get(slot.index())?.as_ref()?.socket.socket().queues()
}

const fn key_of(slot: Slot, generation: u32) -> usize {
    (generation as usize) << 32 | slot.index()
}

/// The connection that a key was made for, unless it is gone.
fn line_of(lines: &mut [Option<Line>], key: usize) -> Option<(Slot, &mut Line)> {
    let slot = Slot::at(key & 0xFFFF_FFFF);
    let line = lines.get_mut(slot.index())?.as_mut()?;
    (key_of(slot, line.generation) == key).then_some((slot, line))
}

fn open_reserve() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}

/// Errors of accept(2) that last: everything else concerns one connection only.
fn is_exhausted(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}
