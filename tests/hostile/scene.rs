//! What every attack has around it: a server, three bystanders who chat all the while, and how the server stood before.

use std::time::Duration;

use crate::common::{Bystanders, DEADLINE, Server, Talk, process, wait_until};

const MIB: u64 = 1024 * 1024;
/// The most by which an attack may leave the server larger: what an allocator keeps.
const GROWTH_MAX: u64 = 8 * MIB;
/// How long the server is watched for being idle, and the processor time that counts as none in it: the kernel counts
/// in hundredths of a second.
const IDLE_SPAN: Duration = Duration::from_millis(600);
const IDLE_MAX: Duration = Duration::from_millis(30);

/// A server with its bystanders, and what it held before the attack.
pub(crate) struct Scene {
    talk: Talk,
    rss: u64,
    fds: usize,
    /// Behind the talk, so that nobody complains of a server that is gone when a test has failed.
    pub(crate) server: Server,
}

impl Scene {
    /// Starts a server with these options.
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::around(Server::start(options))
    }

    /// Lets the bystanders in on this server; they talk from now on.
    #[track_caller]
    pub(crate) fn around(server: Server) -> Self {
        let bystanders = Bystanders::connect(&server);
        let (rss, fds) = (process::rss(server.pid()), process::fd_count(server.pid()));
        Self { talk: bystanders.start_talking(), rss, fds, server }
    }

    /// Waits until the bystanders have caught up with all that was said, and have heard each other.
    #[track_caller]
    pub(crate) fn round(&mut self) {
        self.talk.round();
    }

    /// Goes on with whatever is under way for so many rounds of the bystanders' talk, of 0.3 s each.
    #[track_caller]
    pub(crate) fn rounds(&mut self, count: usize) {
        self.talk.rounds(count);
    }

    /// The same; gives the processor time that the server uses meanwhile.
    #[track_caller]
    pub(crate) fn cpu_time_in_rounds(&mut self, count: usize) -> Duration {
        let before = process::cpu_time(self.server.pid());
        self.rounds(count);
        process::cpu_time(self.server.pid()).saturating_sub(before)
    }

    /// How many lines each of the bystanders has said and the others have heard.
    pub(crate) fn lines_of_each(&self) -> usize {
        self.talk.rounds_heard()
    }

    /// The server has no more memory than before, but for what an allocator keeps.
    #[track_caller]
    pub(crate) fn expect_not_grown(&self) {
        let grown = process::rss(self.server.pid()).saturating_sub(self.rss);
        assert!(grown < GROWTH_MAX, "grown by {grown} bytes");
    }

    /// The attack is over: the bystanders have missed nothing, the server has the descriptors it had, is no larger,
    /// idles once they are silent, serves on, and ends as it should.
    #[track_caller]
    pub(crate) fn expect_unharmed(mut self) {
        self.round();
        self.expect_not_grown();
        let Self { talk, fds, mut server, .. } = self;
        let bystanders = talk.end();
        server.assert_alive();
        wait_until(DEADLINE, "the server has the descriptors it had", || {
            process::fd_count(server.pid()) == fds
        });
        let used = process::cpu_time_during(server.pid(), IDLE_SPAN);
        assert!(used <= IDLE_MAX, "{used:?} of processor time in {IDLE_SPAN:?} of nothing");
        let mut talk = bystanders.start_talking();
        talk.round();
        talk.end();
        assert_eq!(server.stop(), Some(0));
    }
}
