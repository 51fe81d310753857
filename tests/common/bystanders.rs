//! Three people who chat in the lobby while something goes wrong around them, ten lines a second between them. Whoever
//! of them misses a line, gets one twice or out of order, or waits too long for one, fails the test.

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

/// They take turns in this order.
pub(crate) const NICKS: [&str; 3] = ["ann", "ben", "cleo"];
/// Time between two lines.
const PERIOD: Duration = Duration::from_millis(100);
/// What one look takes from the kernel.
const READ_MAX: usize = 64 * 1024;

/// The three while they are silent.
pub(crate) struct Bystanders {
    clients: [Client; NICKS.len()],
    /// When each of them said which line.
    said_at: [Vec<Instant>; NICKS.len()],
    /// How many lines of each speaker each listener has heard: `heard[listener][speaker]`.
    heard: [[usize; NICKS.len()]; NICKS.len()],
}

/// The three while they talk, on a thread of their own.
pub(crate) struct Talk {
    thread: Option<JoinHandle<Bystanders>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Nobody begins another line.
    ends: AtomicBool,
    /// Nobody cares any more.
    abandoned: AtomicBool,
    lines_said: AtomicUsize,
    /// Rounds, of one line of each, that everybody has heard to the end.
    rounds_heard: AtomicUsize,
}

/// Who of them said a line, and as which of their own.
pub(crate) fn spoken(line: &str) -> Option<(usize, usize)> {
    let line = without_time(line);
    let (nick, number) = line.strip_prefix("HH:MM #lobby <")?.split_once("> line ")?;
    Some((NICKS.iter().position(|known| *known == nick)?, number.parse().ok()?))
}

impl Bystanders {
    #[track_caller]
    pub(crate) fn connect(server: &Server) -> Self {
        Self { clients: people(server, NICKS), said_at: Default::default(), heard: Default::default() }
    }

    pub(crate) fn start_talking(self) -> Talk {
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        progress.lines_said.store(self.lines_said(), Ordering::SeqCst);
        Talk { thread: Some(thread::spawn(move || self.talk(&shared))), progress }
    }

    fn talk(mut self, progress: &Progress) -> Self {
        let mut due = now();
        while !progress.abandoned.load(Ordering::SeqCst) {
            let ends = progress.ends.load(Ordering::SeqCst);
            if ends && self.heard_all() {
                break;
            }
            if !ends && now() >= due {
                self.say();
                due = now().max(due + PERIOD);
            }
            let patience = if ends { PERIOD } else { due.saturating_duration_since(now()) };
            self.listen(patience);
            self.expect_in_time();
            progress.lines_said.store(self.lines_said(), Ordering::SeqCst);
            progress.rounds_heard.store(self.rounds_heard(), Ordering::SeqCst);
        }
        self
    }

    fn lines_said(&self) -> usize {
        self.said_at.iter().map(Vec::len).sum()
    }

    fn pairs() -> impl Iterator<Item = (usize, usize)> {
        let all = 0..NICKS.len();
        all.clone()
            .flat_map(move |listener| all.clone().map(move |speaker| (listener, speaker)))
            .filter(|(listener, speaker)| listener != speaker)
    }

    fn heard_all(&self) -> bool {
        Self::pairs().all(|(listener, speaker)| self.heard[listener][speaker] == self.said_at[speaker].len())
    }

    fn rounds_heard(&self) -> usize {
        Self::pairs().map(|(listener, speaker)| self.heard[listener][speaker]).min().unwrap_or(0)
    }

    /// The next line of whoever's turn it is.
    fn say(&mut self) {
        let speaker = self.lines_said() % NICKS.len();
        let number = self.said_at[speaker].len();
        self.said_at[speaker].push(now());
        self.clients[speaker].send(&format!("line {number}"));
    }

    /// Reads what there is, or comes within `patience`.
    fn listen(&mut self, patience: Duration) {
        let timeout = Timespec::try_from(patience).expect("a fraction of a second");
        let mut fds = self.clients.each_ref().map(|client| PollFd::new(client, PollFlags::IN));
        poll(&mut fds, Some(&timeout)).expect("poll works");
        let ready = fds.map(|fd| !fd.revents().is_empty());
        for listener in (0..NICKS.len()).filter(|listener| ready[*listener]) {
            let taken = self.clients[listener].take_from_kernel(READ_MAX);
            assert!(taken > 0, "the server left a bystander: {}", self.clients[listener].report());
            while let Ok(line) = self.clients[listener].line_within(Duration::ZERO) {
                self.hear(listener, &line);
            }
        }
    }

    fn hear(&mut self, listener: usize, line: &str) {
        let was_skipped = line.starts_with("-- ") && line.contains(" lines skipped");
        assert!(
            !was_skipped,
            "{line}: skipped for a bystander who reads: {}",
            self.clients[listener].report()
        );
        if let Some((speaker, number)) = spoken(line) {
            let next = &mut self.heard[listener][speaker];
            assert!(
                speaker != listener && number == *next,
                "{} should hear line {next} of {}: {}",
                NICKS[listener],
                NICKS[speaker],
                self.clients[listener].report()
            );
            *next += 1;
        }
    }

    /// No line has been under way for too long.
    fn expect_in_time(&self) {
        for (listener, speaker) in Self::pairs() {
            let missing = self.heard[listener][speaker];
            let waited = self.said_at[speaker].get(missing).map_or(Duration::ZERO, Instant::elapsed);
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
    /// Waits until each of them has said one more line from now on, and the others have heard it.
    #[track_caller]
    pub(crate) fn round(&mut self) {
        self.rounds(1);
    }

    /// The same with so many lines of each: it takes 0.3 s a round, and as much again at most.
    #[track_caller]
    pub(crate) fn rounds(&mut self, count: usize) {
        let said = self.progress.lines_said.load(Ordering::SeqCst);
        let wanted = said.div_ceil(NICKS.len()) + count;
        wait_until(DEADLINE, "the bystanders have heard each other", || {
            self.expect_talking();
            self.rounds_heard() >= wanted
        });
    }

    /// How many lines each of them has said and the others have heard.
    pub(crate) fn rounds_heard(&self) -> usize {
        self.progress.rounds_heard.load(Ordering::SeqCst)
    }

    /// Lets them fall silent: everybody has heard everything.
    #[track_caller]
    pub(crate) fn end(mut self) -> Bystanders {
        self.progress.ends.store(true, Ordering::SeqCst);
        self.join()
    }

    #[track_caller]
    fn expect_talking(&mut self) {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join();
            unreachable!("they talk until they are told to end");
        }
    }

    fn join(&mut self) -> Bystanders {
        let thread = self.thread.take().expect("it is joined once");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Talk {
    /// A test that fails does not wait for what they have to hear, and they leave before the server does.
    fn drop(&mut self) {
        self.progress.abandoned.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
