//! Three clients that chat in the lobby during an attack or a fault, with ten lines a second in all. The test fails if
//! one of them misses a line, gets one twice or out of order, or waits too long for one.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::client::{Client, people};
use super::server::Server;
use super::wait::{AT_ONCE, DEADLINE, now, wait_until};
use super::without_time;

/// The nicks, in the order of their turns.
pub(crate) const NICKS: [&str; 3] = ["ann", "ben", "cleo"];
/// Time between two lines.
const PERIOD: Duration = Duration::from_millis(100);
/// The most bytes of one read.
const READ_MAX: usize = 64 * 1024;

/// The three clients while they are silent.
pub(crate) struct Bystanders {
    clients: [Client; NICKS.len()],
    /// When each client sent each of its lines.
    sent_at: [Vec<Instant>; NICKS.len()],
    /// The number of lines of each speaker that each listener has received: `received[listener][speaker]`.
    received: [[usize; NICKS.len()]; NICKS.len()],
}

/// The three clients while they chat, on their own thread.
pub(crate) struct Talk {
    thread: Option<JoinHandle<Bystanders>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    /// No client starts another line.
    ends: AtomicBool,
    /// The test has failed: the thread ends at once.
    abandoned: AtomicBool,
    lines_sent: AtomicUsize,
    /// Complete rounds, in which each client sent one line and received the others'.
    rounds_received: AtomicUsize,
}

/// The speaker of a line, and the number of the line among the speaker's.
pub(crate) fn spoken(line: &str) -> Option<(usize, usize)> {
    let line = without_time(line);
    let (nick, number) = line.strip_prefix("HH:MM #lobby <")?.split_once("> line ")?;
    Some((NICKS.iter().position(|known| *known == nick)?, number.parse().ok()?))
}

impl Bystanders {
    #[track_caller]
    pub(crate) fn connect(server: &Server) -> Self {
        Self { clients: people(server, NICKS), sent_at: Default::default(), received: Default::default() }
    }

    pub(crate) fn start_talking(self) -> Talk {
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        progress.lines_sent.store(self.lines_sent(), Ordering::SeqCst);
        Talk { thread: Some(thread::spawn(move || self.talk(&shared))), progress }
    }

    fn talk(mut self, progress: &Progress) -> Self {
        let mut due = now();
        while !progress.abandoned.load(Ordering::SeqCst) {
            let ends = progress.ends.load(Ordering::SeqCst);
            if ends && self.received_all() {
                break;
            }
            if !ends && now() >= due {
                self.say();
                due = now().max(due + PERIOD);
            }
            let patience = if ends { PERIOD } else { due.saturating_duration_since(now()) };
            self.listen(patience);
            self.expect_in_time();
            progress.lines_sent.store(self.lines_sent(), Ordering::SeqCst);
            progress.rounds_received.store(self.rounds_received(), Ordering::SeqCst);
        }
        self
    }

    fn lines_sent(&self) -> usize {
        self.sent_at.iter().map(Vec::len).sum()
    }

    fn pairs() -> impl Iterator<Item = (usize, usize)> {
        let all = 0..NICKS.len();
        all.clone()
            .flat_map(move |listener| all.clone().map(move |speaker| (listener, speaker)))
            .filter(|(listener, speaker)| listener != speaker)
    }

    fn received_all(&self) -> bool {
        Self::pairs()
            .all(|(listener, speaker)| self.received[listener][speaker] == self.sent_at[speaker].len())
    }

    fn rounds_received(&self) -> usize {
        Self::pairs().map(|(listener, speaker)| self.received[listener][speaker]).min().unwrap_or(0)
    }

    /// Sends the line of the client whose turn it is.
    fn say(&mut self) {
        let speaker = self.lines_sent() % NICKS.len();
        let number = self.sent_at[speaker].len();
        self.sent_at[speaker].push(now());
        self.clients[speaker].send(&format!("line {number}"));
    }

    /// Reads the lines that arrive within `patience`.
    fn listen(&mut self, patience: Duration) {
        let timeout = Timespec::try_from(patience).expect("a fraction of a second");
        let mut fds = self.clients.each_ref().map(|client| PollFd::new(client, PollFlags::IN));
        poll(&mut fds, Some(&timeout)).expect("poll works");
        let ready = fds.map(|fd| !fd.revents().is_empty());
        for listener in (0..NICKS.len()).filter(|listener| ready[*listener]) {
            let taken = self.clients[listener].take_from_kernel(READ_MAX);
            assert!(taken > 0, "the server left a bystander: {}", self.clients[listener].report());
            while let Ok(line) = self.clients[listener].line_within(Duration::ZERO) {
                self.receive(listener, &line);
            }
        }
    }

    fn receive(&mut self, listener: usize, line: &str) {
        let was_skipped = line.starts_with("-- ") && line.contains(" lines skipped");
        assert!(
            !was_skipped,
            "{line}: skipped for a bystander who reads: {}",
            self.clients[listener].report()
        );
        if let Some((speaker, number)) = spoken(line) {
            let next = &mut self.received[listener][speaker];
            assert!(
                speaker != listener && number == *next,
                "{} should receive line {next} of {}: {}",
                NICKS[listener],
                NICKS[speaker],
                self.clients[listener].report()
            );
            *next += 1;
        }
    }

    /// Checks that no line has been on its way for too long.
    fn expect_in_time(&self) {
        for (listener, speaker) in Self::pairs() {
            let missing = self.received[listener][speaker];
            let waited = self.sent_at[speaker].get(missing).map_or(Duration::ZERO, Instant::elapsed);
            assert!(
                waited <= AT_ONCE,
                "line {missing} of {} is under way for {waited:?}: {}",
                NICKS[speaker],
                self.clients[listener].report()
            );
        }
    }
}

impl Talk {
    /// Waits until each client has sent one more line and the others have received it.
    #[track_caller]
    pub(crate) fn round(&mut self) {
        self.rounds(1);
    }

    /// Waits for `count` rounds. A round takes 0.3 s, and at most twice that.
    #[track_caller]
    pub(crate) fn rounds(&mut self, count: usize) {
        let said = self.progress.lines_sent.load(Ordering::SeqCst);
        let wanted = said.div_ceil(NICKS.len()) + count;
        wait_until(DEADLINE, "the bystanders have received each other", || {
            self.expect_talking();
            self.rounds_received() >= wanted
        });
    }

    /// The number of complete rounds.
    pub(crate) fn rounds_received(&self) -> usize {
        self.progress.rounds_received.load(Ordering::SeqCst)
    }

    /// Ends the chat when every client has received every line.
    #[track_caller]
    pub(crate) fn end(mut self) -> Bystanders {
        self.progress.ends.store(true, Ordering::SeqCst);
        self.join()
    }

    #[track_caller]
    fn expect_talking(&mut self) {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join();
            unreachable!("they chat until `end` is called");
        }
    }

    fn join(&mut self) -> Bystanders {
        let thread = self.thread.take().expect("it is joined once");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Talk {
    /// A failed test does not wait for missing lines, and the clients leave before the server ends.
    fn drop(&mut self) {
        self.progress.abandoned.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
