//! The setting of every attack: a server, three bystanders that chat, and the server's figures before the attack.

use std::time::Duration;

use crate::common::{Bystanders, DEADLINE, Server, Talk, process, wait_until};

const MIB: u64 = 1024 * 1024;
/// The most memory that the server may have more after an attack: freed memory that an allocator keeps.
const GROWTH_MAX: u64 = 8 * MIB;
/// How long the server must idle, and the processor time that counts as none: the kernel counts in hundredths of a
/// second.
const IDLE_SPAN: Duration = Duration::from_millis(600);
const IDLE_MAX: Duration = Duration::from_millis(30);

/// A server with its bystanders, and its figures before the attack.
pub(crate) struct Scene {
    talk: Talk,
    rss: u64,
    fds: usize,
    /// Declared after the talk, so that a failed test drops the talk first and the bystanders do not miss the server.
    pub(crate) server: Server,
}

impl Scene {
    /// Starts a server with these options.
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::around(Server::start(options))
    }

    /// Connects the bystanders to this server; they chat from now on.
    #[track_caller]
    pub(crate) fn around(server: Server) -> Self {
        let bystanders = Bystanders::connect(&server);
        let (rss, fds) = (process::rss(server.pid()), process::fd_count(server.pid()));
        Self { talk: bystanders.start_talking(), rss, fds, server }
    }

    /// Waits until the bystanders have received all lines, and each other's.
    #[track_caller]
    pub(crate) fn round(&mut self) {
        self.talk.round();
    }

    /// Waits for `rounds` rounds of the bystanders' chat, of 0.3 s each.
    #[track_caller]
    pub(crate) fn rounds(&mut self, count: usize) {
        self.talk.rounds(count);
    }

    /// The same; returns the processor time that the server uses meanwhile.
    #[track_caller]
    pub(crate) fn cpu_time_in_rounds(&mut self, count: usize) -> Duration {
        let before = process::cpu_time(self.server.pid());
        self.rounds(count);
        process::cpu_time(self.server.pid()).saturating_sub(before)
    }

    /// How many lines each of the bystanders has said and the others have heard.
    pub(crate) fn lines_of_each(&self) -> usize {
        self.talk.rounds_received()
    }

    /// Checks that the server has no more memory than before, except for what an allocator keeps.
    #[track_caller]
    pub(crate) fn expect_not_grown(&self) {
        let grown = process::rss(self.server.pid()).saturating_sub(self.rss);
        assert!(grown < GROWTH_MAX, "grown by {grown} bytes");
    }

    /// Ends the attack. Checks that the bystanders missed nothing, that the server has its descriptors and memory of
    /// before, idles when they are silent, still serves, and ends cleanly.
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
        // What the attack left behind, such as input of failed sockets, is worked off first: at most for some seconds.
        wait_until(DEADLINE, "the server idles", || {
            process::cpu_time_during(server.pid(), IDLE_SPAN) <= IDLE_MAX
        });
        let mut talk = bystanders.start_talking();
        talk.round();
        talk.end();
        assert_eq!(server.stop(), Some(0));
    }
}
