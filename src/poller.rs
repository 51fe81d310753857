//! Waits for many sockets at once: registrations that end with their socket, and a waker for other threads.
//!
//! A thin layer over [`polling`], always level-triggered: an event that is not handled is reported again. With
//! `net/kernel.rs` it is the only place with `unsafe` code.
//!
//! Invariants: a source is in the poller exactly as long as its [`Watched`] lives. It is removed before or by its
//! close. One thread waits; any thread may wake it.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use polling::PollMode;
use rustix::event::{Timespec, epoll};

/// The longest sleep; a caller that waits for longer wakes up and waits again. Up to 24 days every kernel can wait in
/// milliseconds (`epoll_pwait(2)`, rounded up: a deadline has passed when the wait for it ends). A longer wait needs
/// `epoll_pwait2(2)`, which older kernels do not have and some sandboxes do not allow.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// A set of watched sources that one thread waits for.
#[derive(Debug)]
pub struct Poller {
    inner: Arc<polling::Poller>,
    /// Makes the type not `Sync`. If two threads waited for one `polling::Poller`, the second would return at once and
    /// spin.
    one_waits: PhantomData<Cell<()>>,
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    ///
    /// If no descriptor is left (`epoll_create1(2)`, `eventfd(2)`, `timerfd_create(2)`).
    pub fn new() -> io::Result<Self> {
        Ok(Self { inner: Arc::new(polling::Poller::new()?), one_waits: PhantomData })
    }

    /// Watches a source until the returned [`Watched`] is dropped or taken apart.
    ///
    /// Keys need not be unique, but events carry nothing else. `source.as_fd()` must name the same open file for
    /// as long as the source lives, as every type of the standard library does.
    ///
    /// # Errors
    ///
    /// If the source is watched already (`EEXIST`) or cannot be watched (`EPERM`, a regular file), if the key is
    /// `usize::MAX`, or if the kernel has no room (`ENOSPC`, `ENOMEM`); see `epoll_ctl(2)`. The source is returned.
    pub fn watch<S: AsFd + 'static>(
        &self,
        source: S,
        key: usize,
        interest: Interest,
    ) -> Result<Watched<S>, (S, io::Error)> {
        let fd = source.as_fd().as_raw_fd();
        // SAFETY: `fd` is open, because `source` is borrowed. It must be deleted before it is closed. `source` moves
        // into a `Watched`, whose registration deletes it when dropped. That happens before the source is dropped, and
        // before `into_inner` returns the source. The source is lent only by shared reference, so it can be neither
        // replaced nor moved out. A leaked `Watched` leaks the source with it, and the fd stays open, because the
        // source borrows from nothing that could close it (`'static`). [`Watched::close`] leaves the deletion to
        // close(2) (epoll(7)).
        #[expect(unsafe_code, reason = "the argument is above")]
        let added = unsafe { self.inner.add_with_mode(fd, interest.event(key), PollMode::Level) };
        match added {
            Ok(()) => {
                let poller = Arc::clone(&self.inner);
                Ok(Watched {
                    registration: Registration { poller, fd, key, interest, ends_with_its_fd: false },
                    source,
                })
            }
            Err(why) => Err((source, why)),
        }
    }

    /// Waits for an event, a [`Waker::notify`], a signal, or the end of the timeout (`None` waits for ever), whichever
    /// is first. Replaces the content of `events`, and returns the number of events, plus one for a notification. A
    /// timeout of more than an hour may end after one hour.
    ///
    /// # Errors
    ///
    /// Those of `epoll_wait(2)`: none that the caller could have caused.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        events.wait(&self.inner, timeout)
    }

    /// A handle that ends the current wait, or the next, from any thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker { inner: Arc::clone(&self.inner) }
    }
}

/// Wakes the thread that waits for a [`Poller`].
#[derive(Clone, Debug)]
pub struct Waker {
    inner: Arc<polling::Poller>,
}

impl Waker {
    /// Ends the current wait, or the next. Many calls before that wait ends count as one. Never blocks.
    pub fn notify(&self) {
        // Writing to the eventfd (or pipe) fails only if it is full, which means that a wake-up is pending.
        let _ = self.inner.notify();
    }
}

/// A source in a [`Poller`]; dropping it removes the source from the poller.
///
/// Lends its source by shared reference only, which is enough to read and write a `TcpStream`.
#[derive(Debug)]
pub struct Watched<S: AsFd> {
    /// Declared before the source, so that it is dropped before the source is closed.
    registration: Registration,
    source: S,
}

impl<S: AsFd> Watched<S> {
    /// The key of its events.
    #[must_use]
    pub const fn key(&self) -> usize {
        self.registration.key
    }

    /// The current interest.
    #[must_use]
    pub const fn interest(&self) -> Interest {
        self.registration.interest
    }

    /// Changes the interest; without a change it makes no system call.
    ///
    /// Hang-up and error are reported again and again with any interest, until the source is removed from the poller.
    ///
    /// # Errors
    ///
    /// `ENOMEM` (`epoll_ctl(2)`); the old interest stays.
    pub fn set_interest(&mut self, interest: Interest) -> io::Result<()> {
        let Registration { poller, key, interest: current, .. } = &mut self.registration;
        if interest != *current {
            poller.modify_with_mode(&self.source, interest.event(*key), PollMode::Level)?;
            *current = interest;
        }
        Ok(())
    }

    /// Removes the source from the poller and returns it. Its events that were already collected stay in `Events`.
    #[must_use]
    pub fn into_inner(self) -> S {
        let Self { registration, source } = self;
        drop(registration);
        source
    }

    /// Closes the source. Its descriptor must have no duplicate: then epoll(7) removes it by itself, which saves a
    /// system call. With a duplicate, events with its key continue until the last duplicate is closed.
    pub fn close(mut self)
    where
        S: Into<OwnedFd>,
    {
        self.registration.ends_with_its_fd = true;
        let Self { registration, source } = self;
        drop(registration);
        drop(source.into());
    }
}

impl<S: AsFd> Deref for Watched<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.source
    }
}

/// The poller's side of a [`Watched`]: deletes the source from it when dropped.
struct Registration {
    poller: Arc<polling::Poller>,
    /// The descriptor of the source in the same [`Watched`], which is open as long as this lives.
    fd: RawFd,
    key: usize,
    interest: Interest,
    /// Leaves the deletion to close(2), which follows at once.
    ends_with_its_fd: bool,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.ends_with_its_fd {
            return;
        }
        // SAFETY: The source with this fd is in the same `Watched` and is dropped after this, or `into_inner` has just
        // moved it out and still owns it.
        #[expect(unsafe_code, reason = "the argument is above")]
        let source = unsafe { BorrowedFd::borrow_raw(self.fd) };
        // Fails only if the source is not in the poller, which is the goal.
        let _ = self.poller.delete(source);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("fd", &self.fd)
            .field("key", &self.key)
            .field("interest", &self.interest)
            .finish_non_exhaustive()
    }
}

/// The events to wait for. Hang-up and error are reported with any interest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interest {
    /// Bytes to read, or the end of input.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

impl Interest {
    /// Hang-up and error only.
    pub const NONE: Self = Self { read: false, write: false };
    /// Reading only.
    pub const READ: Self = Self { read: true, write: false };
    /// Writing only.
    pub const WRITE: Self = Self { read: false, write: true };
    /// Reading and writing.
    pub const BOTH: Self = Self { read: true, write: true };

    fn event(self, key: usize) -> polling::Event {
        polling::Event::new(key, self.read, self.write)
    }
}

/// The result of one wait: room for a fixed number of events; the others come with the next wait.
pub struct Events {
    ready: Vec<epoll::Event>,
    /// For the crate's own wait.
    inner: polling::Events,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Events {
    /// Room for this number of events per wait.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        let inner = polling::Events::with_capacity(NonZeroUsize::MIN);
        Self { ready: Vec::with_capacity(capacity.get()), inner }
    }

    /// The events, in the order of the kernel. An event may belong to a source that was removed after the wait.
    pub fn iter(&self) -> impl Iterator<Item = Readiness> + '_ {
        self.ready.iter().filter_map(|event| Some(readiness(key(event)?, event.flags)))
    }

    /// Waits for `poller`, and returns the number of events, a notification among them.
    ///
    /// It is one system call on the descriptor of [`polling`]'s epoll. The crate's own wait (3.11.0) makes five,
    /// because it sets its timer and its notification again each time: CPU time per delivery with it is 7 % higher with
    /// 10 readers, 18 % with 100 and 5 % with 1,000 (`chatops bench`, three interleaved runs each). It also returns 0
    /// for a notification, which a wait without sleep would lose. It is used here only to take a notification in.
    fn wait(&mut self, poller: &polling::Poller, timeout: Option<Duration>) -> io::Result<usize> {
        self.ready.clear();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout.min(SLEEP_MAX)).ok());
        match epoll::wait(poller, rustix::buffer::spare_capacity(&mut self.ready), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.iter().count() < self.ready.len() {
            // The other events are level-triggered: they are reported again.
            self.inner.clear();
            poller.wait(&mut self.inner, Some(Duration::ZERO))?;
        }
        Ok(self.ready.len())
    }
}

/// The key of the source; `None` for the crate's own notification.
fn key(event: &epoll::Event) -> Option<usize> {
    usize::try_from(event.data.u64()).ok().filter(|key| *key != usize::MAX)
}

/// Decodes the flags (`epoll_ctl(2)`).
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
/// One source that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the four are independent bits of epoll(7)")]
pub struct Readiness {
    /// The key of the source.
    pub key: usize,
    /// A read will not block. Set with hang-up and error too.
    pub readable: bool,
    /// A write will not block. Set with hang-up and error too.
    pub writable: bool,
    /// Both directions are over (`EPOLLHUP`).
    pub hangup: bool,
    /// An error is waiting to be read (`EPOLLERR`, `SO_ERROR`).
    pub error: bool,
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;
    use crate::clock::Clock;

    /// Longer than any wait here; a test that reaches it fails.
    const DEADLINE: Duration = Duration::from_secs(10);

    fn events() -> Events {
        Events::with_capacity(NonZeroUsize::new(8).expect("8 is not 0"))
    }

    fn at_once(poller: &Poller) -> Vec<Readiness> {
        let mut events = events();
        poller.wait(&mut events, Some(Duration::ZERO)).expect("wait");
        events.iter().collect()
    }

    fn pair() -> (UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        ours.set_nonblocking(true).expect("nonblocking");
        (ours, theirs)
    }

    #[test]
    fn an_unhandled_event_is_reported_again() {
        let poller = Poller::new().expect("poller");
        let (ours, mut theirs) = pair();
        let watched = poller.watch(ours, 7, Interest::READ).expect("watch");
        assert_eq!(at_once(&poller), []);
        theirs.write_all(b"ab").expect("write");
        let ready = Readiness { key: 7, readable: true, writable: false, hangup: false, error: false };
        assert_eq!(at_once(&poller), [ready]);
        assert_eq!((&*watched).read(&mut [0; 1]).expect("read"), 1);
        assert_eq!(at_once(&poller), [ready], "one byte is left");
        assert_eq!((&*watched).read(&mut [0; 1]).expect("read"), 1);
        assert_eq!(at_once(&poller), []);
    }

    #[test]
    fn a_changed_interest_is_kept() {
        let poller = Poller::new().expect("poller");
        let (ours, mut theirs) = pair();
        theirs.write_all(b"a").expect("write");
        let mut watched = poller.watch(ours, 1, Interest::NONE).expect("watch");
        assert_eq!(at_once(&poller), []);
        for (interest, readable, writable) in
            [(Interest::WRITE, false, true), (Interest::BOTH, true, true), (Interest::READ, true, false)]
        {
            watched.set_interest(interest).expect("modify");
            assert_eq!(watched.interest(), interest);
            let seen = at_once(&poller);
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].readable, seen[0].writable), (readable, writable), "{interest:?}");
        }
        watched.set_interest(Interest::NONE).expect("modify");
        assert_eq!(at_once(&poller), []);
    }

    #[test]
    fn a_hang_up_is_reported_without_any_interest() {
        let poller = Poller::new().expect("poller");
        let (ours, theirs) = pair();
        let watched = poller.watch(ours, 3, Interest::NONE).expect("watch");
        drop(theirs);
        let seen = at_once(&poller);
        assert_eq!((seen.len(), seen[0].key, seen[0].hangup), (1, 3, true));
        drop(watched);
        assert_eq!(at_once(&poller), [], "taking it out silences it");
    }

    #[test]
    fn dropping_removes_a_source_that_a_duplicate_keeps_open() {
        let poller = Poller::new().expect("poller");
        let (ours, mut theirs) = pair();
        let duplicate = ours.try_clone().expect("dup");
        let watched = poller.watch(ours, 1, Interest::READ).expect("watch");
        theirs.write_all(b"a").expect("write");
        assert_eq!(at_once(&poller).len(), 1);
        drop(watched);
        assert_eq!(at_once(&poller), []);
        drop(duplicate);
    }

    #[test]
    fn a_closed_source_is_removed() {
        let poller = Poller::new().expect("poller");
        let (ours, mut theirs) = pair();
        let watched = poller.watch(ours, 1, Interest::READ).expect("watch");
        theirs.write_all(b"a").expect("write");
        watched.close();
        assert_eq!(at_once(&poller), []);
        // The descriptor belongs to another file from now on.
        let (next, mut theirs) = pair();
        let _watched = poller.watch(next, 2, Interest::READ).expect("watch");
        theirs.write_all(b"a").expect("write");
        assert_eq!(at_once(&poller).len(), 1);
    }

    #[test]
    fn into_inner_removes_the_source_and_keeps_it_open() {
        let poller = Poller::new().expect("poller");
        let (ours, mut theirs) = pair();
        let watched = poller.watch(ours, 1, Interest::READ).expect("watch");
        theirs.write_all(b"a").expect("write");
        let mut ours = watched.into_inner();
        assert_eq!(at_once(&poller), []);
        assert_eq!(ours.read(&mut [0; 4]).expect("still open"), 1);
        poller.watch(ours, 2, Interest::READ).expect("it can be watched again");
    }

    #[test]
    fn a_source_that_cannot_be_watched_is_returned() {
        let poller = Poller::new().expect("poller");
        let (ours, mut theirs) = pair();
        let ours = Arc::new(ours);
        let first = poller.watch(Arc::clone(&ours), 1, Interest::READ).expect("watch");
        let (back, why) = poller.watch(ours, 2, Interest::READ).expect_err("watched twice");
        assert_eq!(why.kind(), io::ErrorKind::AlreadyExists);
        theirs.write_all(b"a").expect("write");
        assert_eq!(at_once(&poller)[0].key, first.key(), "the first stays as it was");
        drop(first);
        let (_, why) = poller.watch(back, usize::MAX, Interest::READ).expect_err("the key is taken");
        assert_eq!(why.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(at_once(&poller), []);
    }

    #[test]
    fn two_sources_may_share_a_key() {
        let poller = Poller::new().expect("poller");
        let (a, mut to_a) = pair();
        let (b, mut to_b) = pair();
        let a = poller.watch(a, 5, Interest::READ).expect("watch");
        let _b = poller.watch(b, 5, Interest::READ).expect("watch");
        to_a.write_all(b"a").expect("write");
        to_b.write_all(b"b").expect("write");
        assert_eq!(at_once(&poller).iter().map(|ready| ready.key).collect::<Vec<_>>(), [5, 5]);
        drop(a);
        assert_eq!(at_once(&poller).len(), 1);
    }

    #[test]
    fn more_events_than_room_come_with_the_next_wait() {
        let poller = Poller::new().expect("poller");
        let (a, mut to_a) = pair();
        let (b, mut to_b) = pair();
        let mut watched =
            [Some(a), Some(b)].map(|source| poller.watch(source.expect("some"), 1, Interest::READ));
        to_a.write_all(b"a").expect("write");
        to_b.write_all(b"b").expect("write");
        let mut events = Events::with_capacity(NonZeroUsize::MIN);
        for watched in &mut watched {
            assert_eq!(poller.wait(&mut events, Some(DEADLINE)).expect("wait"), 1);
            let watched = watched.as_mut().expect("watched");
            watched.set_interest(Interest::NONE).expect("modify");
        }
    }

    #[test]
    fn a_waker_ends_the_wait_from_another_thread_and_counts_once() {
        let poller = Poller::new().expect("poller");
        let waker = poller.waker();
        let other = thread::spawn(move || {
            waker.notify();
            waker.clone().notify();
        });
        let mut events = events();
        assert_eq!(poller.wait(&mut events, None).expect("wait"), 1);
        assert_eq!(events.iter().count(), 0);
        other.join().expect("the other thread");
        poller.waker().notify();
        poller.wait(&mut events, None).expect("a notify before the wait counts too");
    }

    #[test]
    fn a_wake_up_with_an_event_counts_once() {
        let poller = Poller::new().expect("poller");
        let (ours, mut theirs) = pair();
        let watched = poller.watch(ours, 7, Interest::READ).expect("watch");
        theirs.write_all(b"a").expect("write");
        for _ in 0..3 {
            poller.waker().notify();
            assert_eq!(at_once(&poller).iter().map(|ready| ready.key).collect::<Vec<_>>(), [7]);
        }
        let mut events = events();
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).expect("wait"), 1, "it stays readable");
        poller.waker().notify();
        poller.waker().notify();
        poller.wait(&mut events, None).expect("wait");
        assert_eq!(events.iter().count(), 1);
        let mut room = [0; 1];
        assert_eq!((&*watched).read(&mut room).expect("read"), 1);
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).expect("wait"), 0);
    }

    #[test]
    fn a_deadline_has_passed_when_the_wait_for_it_ends() {
        let clock = Clock::start();
        let poller = Poller::new().expect("poller");
        for micros in [1, 300, 1_000, 2_300] {
            let timeout = Duration::from_micros(micros);
            let start = clock.moment();
            assert_eq!(poller.wait(&mut events(), Some(timeout)).expect("wait"), 0);
            assert!(clock.moment().since(start) >= timeout, "{timeout:?}");
        }
    }
}
