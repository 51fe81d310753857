//! One wait, and what it brought.
//!
//! It is one system call on the descriptor of [`polling`]'s epoll. The crate's own wait takes five, because it sets its
//! timer and its notification again each time. It is used here only to take a notification in.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::Readiness;

use rustix::event::{Timespec, epoll};

/// The longest sleep; who waits for longer wakes up and waits again. Up to 24 days every kernel knows how to wait, in
/// milliseconds (`epoll_pwait(2)`, rounded up: a deadline has passed when the wait for it ends). What is longer asks for
/// `epoll_pwait2(2)`, which is not everywhere, nor allowed in every sandbox.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// What one wait brought: room for a fixed number of events; what does not fit comes with the next wait.
pub struct Events {
    ready: Vec<epoll::Event>,
    /// What the crate's own wait fills.
    inner: polling::Events,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Events {
    /// Room for so many events a wait.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        let inner = polling::Events::with_capacity(NonZeroUsize::MIN);
        Self { ready: Vec::with_capacity(capacity.get()), inner }
    }

    /// The events, in the order of the kernel. One of them may belong to a source that was taken out since.
    pub fn iter(&self) -> impl Iterator<Item = Readiness> + '_ {
        self.ready.iter().filter_map(|event| Some(readiness(key(event)?, event.flags)))
    }

    /// Waits for `poller`, and gives the number of events, a notification among them.
    pub(super) fn wait(&mut self, poller: &polling::Poller, timeout: Option<Duration>) -> io::Result<usize> {
        self.ready.clear();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout.min(SLEEP_MAX)).ok());
        match epoll::wait(poller, rustix::buffer::spare_capacity(&mut self.ready), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.iter().count() < self.ready.len() {
            // The other events are level-triggered, and lost by nobody.
            self.inner.clear();
            poller.wait(&mut self.inner, Some(Duration::ZERO))?;
        }
        Ok(self.ready.len())
    }
}

/// The key that a source is watched under; `None` for the crate's own notification.
fn key(event: &epoll::Event) -> Option<usize> {
    usize::try_from(event.data.u64()).ok().filter(|key| *key != usize::MAX)
}

/// What the flags say (`epoll_ctl(2)`).
fn readiness(key: usize, flags: epoll::EventFlags) -> Readiness {
    use epoll::EventFlags as Flag;
    let broken = Flag::HUP | Flag::ERR;
    Readiness {
        key,
        readable: flags.intersects(broken | Flag::IN | Flag::PRI),
        writable: flags.intersects(broken | Flag::OUT),
        hangup: flags.contains(Flag::HUP),
        error: flags.contains(Flag::ERR),
    }
}
