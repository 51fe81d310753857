//! The thread that has the sockets of all operators.
//!
//! It waits for sockets, for answers of the server and for time, and tells each [`Operator`] what has come. The reactor
//! accepts, and hands over what it has accepted; a thread that is busy never makes it wait. There are few sockets, so
//! poll(2) is enough, and takes no descriptor.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::operator::{Operator, UNREAD_MAX};
use super::refusal;
use crate::clock::Clock;
use crate::link::local::LocalLink;
use crate::link::onlookers::OPERATORS_MAX;
use crate::time::Moment;

/// Connections at a time: operators, and those on their way out. As many may wait to be taken over.
const CONNECTIONS_MAX: usize = 2 * OPERATORS_MAX;
/// Bytes read from one operator at a time.
const READ_BUDGET: usize = 16 * 1024;
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Reads Send-Q, the bytes that the peer has not read, where the system tells it.
pub type SendQ = fn(BorrowedFd<'_>) -> Option<u32>;

/// What the thread is told.
#[derive(Debug)]
enum Message {
    Operator {
        stream: UnixStream,
        link: LocalLink,
        /// `limits.stall`.
        stall: Duration,
    },
    /// The server ends, and waits no longer than this.
    End(Duration),
}

/// Wakes the thread of operators (eventfd(2)).
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)))
    }

    /// Ends the current wait, or the next. Many calls before that wait ends count as one. Never blocks.
    pub fn wake(&self) {
        // It fails only after 2⁶⁴ - 2 calls that nobody has noticed.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// A wait has ended: the next one waits again.
    fn reset(&self) {
        // It fails when nobody has called, and there is nothing to reset.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// The thread, as the reactor has it.
#[derive(Debug)]
pub struct Service {
    messages: SyncSender<Message>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When there is no thread or no descriptor to be had.
    pub fn start(clock: Clock, send_q: SendQ) -> io::Result<Self> {
        let waker = Waker::new()?;
        let (messages, inbox) = sync_channel(CONNECTIONS_MAX);
        let woken = waker.clone();
        let seats = Seats { woken, inbox, clock, send_q, all: Vec::new(), end: None };
        let thread = thread::Builder::new().name("operators".to_owned()).spawn(move || seats.run())?;
        Ok(Self { messages, waker, thread: Some(thread) })
    }

    /// Wakes the thread when there is an answer for an operator.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Hands over an operator, whose socket does not block. It is let go if the thread has gone or is too busy.
    pub fn take(&self, stream: UnixStream, link: LocalLink, stall: Duration) {
        let _ = self.messages.try_send(Message::Operator { stream, link, stall });
        self.waker.wake();
    }

    /// The server has ended; what operators have not read is waited for no longer than this.
    pub fn end(self, within: Duration) {
        let Self { messages, waker, thread } = self;
        // If the inbox is full, the end of the channel says the same.
        let _ = messages.try_send(Message::End(within));
        drop(messages);
        waker.wake();
        if let Some(thread) = thread {
            // A panic there has been printed, and is no reason for the server to fail.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Seats {
    woken: Waker,
    inbox: Receiver<Message>,
    clock: Clock,
    send_q: SendQ,
    all: Vec<Seat>,
    /// The server has ended, and waits until then.
    end: Option<Moment>,
}

/// One operator and its socket.
struct Seat {
    operator: Operator,
    socket: UnixStream,
    /// The kernel took less than it was offered.
    is_blocked: bool,
    /// When Send-Q was last looked at.
    looked: Moment,
}

impl Seats {
    fn run(mut self) {
        while self.end.is_none() || !self.all.is_empty() {
            let ready = self.wait();
            let now = self.clock.moment();
            for (seat, flags) in self.all.iter_mut().zip(ready) {
                seat.handle_ready(flags, now);
            }
            self.take_messages(now);
            for seat in &mut self.all {
                seat.go_on(self.send_q, now);
            }
            self.all.retain(|seat| seat.operator.ending().is_none());
        }
    }

    /// Waits for the first event, an answer, a message or a deadline, and gives what has become of each socket.
    fn wait(&self) -> Vec<PollFlags> {
        let due = self.all.iter().filter_map(Seat::poll_timeout).min();
        let timeout = due.map_or(WAIT_MAX, |due| due.since(self.clock.moment()).min(WAIT_MAX));
        let timeout = Timespec::try_from(timeout).ok();
        let mut fds = vec![PollFd::new(&self.woken.0, PollFlags::IN)];
        fds.extend(self.all.iter().map(|seat| {
            if seat.operator.has_lost_reader() {
                // It would be reported again and again.
                PollFd::new(&self.woken.0, PollFlags::empty())
            } else {
                PollFd::new(&seat.socket, seat.interest())
            }
        }));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // The kernel has no memory for it: all are looked at in a moment.
            Err(_) => thread::park_timeout(Duration::from_millis(10)),
        }
        self.woken.reset();
        fds[1..].iter().map(PollFd::revents).collect()
    }

    fn take_messages(&mut self, now: Moment) {
        loop {
            match self.inbox.try_recv() {
                Ok(Message::Operator { stream, link, stall }) => self.seat(stream, link, stall, now),
                Ok(Message::End(within)) => self.end_by(now + within.min(UNREAD_MAX), now),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    if self.end.is_none() {
                        self.end_by(now, now);
                    }
                    return;
                }
            }
        }
    }

    fn end_by(&mut self, end: Moment, now: Moment) {
        self.end = Some(end);
        for seat in &mut self.all {
            seat.operator.handle_server_end(end, now);
        }
    }

    fn seat(&mut self, mut stream: UnixStream, link: LocalLink, stall: Duration, now: Moment) {
        if self.all.len() >= CONNECTIONS_MAX {
            // Whether the line arrives is not waited for.
            let _ = stream.write(&refusal("too many connections are being closed; try again"));
            return;
        }
        let operator = Operator::new(link, stall, now);
        self.all.push(Seat { operator, socket: stream, is_blocked: false, looked: now });
    }
}

impl Seat {
    fn poll_timeout(&self) -> Option<Moment> {
        let look = self.operator.look_every().map(|span| self.looked + span);
        [look, self.operator.poll_timeout()].into_iter().flatten().min()
    }

    fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::IN, self.operator.wants_read());
        interest.set(PollFlags::OUT, self.is_blocked);
        interest
    }

    fn handle_ready(&mut self, flags: PollFlags, now: Moment) {
        let is_broken = flags.intersects(PollFlags::HUP | PollFlags::ERR);
        self.is_blocked &= !flags.contains(PollFlags::OUT);
        let mut buffer = [0; READ_BUDGET];
        // One that is broken is read to its end, even if an answer is under way: its orders are carried out.
        while is_broken || (flags.contains(PollFlags::IN) && self.operator.wants_read()) {
            match self.socket.read(&mut buffer) {
                Ok(0) => {
                    self.operator.handle_eof(now);
                    break;
                }
                Ok(count) => self.operator.handle_bytes(&buffer[..count], now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.operator.handle_loss(now);
                    break;
                }
            }
            if !is_broken {
                break;
            }
        }
        if is_broken {
            self.operator.handle_loss(now);
        }
    }

    /// Takes what the server has answered, and does with the socket what is to be done.
    fn go_on(&mut self, send_q: SendQ, now: Moment) {
        self.operator.handle_timeout(now);
        if self.operator.look_every().is_some_and(|span| self.looked + span <= now) {
            self.looked = now;
            self.operator.handle_send_q(send_q(self.socket.as_fd()).unwrap_or(0), now);
        }
        while !self.is_blocked && !self.operator.unsent().is_empty() {
            match self.socket.write(self.operator.unsent()) {
                Ok(count) => self.operator.wrote(count, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_blocked = true,
                Err(_) => self.operator.handle_loss(now),
            }
        }
        if self.operator.wants_fin() {
            match self.socket.shutdown(Shutdown::Write) {
                Ok(()) => self.operator.fin_sent(now),
                Err(_) => self.operator.handle_loss(now),
            }
            // It may have read everything in a moment.
            self.looked = Moment::START;
        }
    }
}
