//! Accepting, and not accepting: budgets, pauses, and the word to those who wait when descriptors have run out.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::control;
use super::listener::Listener;
use super::reactor::{KEY_CONTROL, KEY_LISTENERS, Reactor, open_reserve};
use super::socket::Socket;
use super::socket_file::Obstacle;
use crate::config::settings::LogLevel;
use crate::engine::{AcceptFailure, Accepted};
use crate::id::Slot;
use crate::model::snapshot::Peer;
use crate::poller::{Interest, Watched};
use crate::time::Moment;

/// Connections accepted on one listener at each look of a turn.
const ACCEPT_BUDGET: usize = 64;
/// How long accepting pauses when descriptors or memory have run out.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The last line to whoever comes then.
const FULL: &[u8] = b"!! the server is full; try again later";

impl Reactor {
    pub(super) fn accept(&mut self, listener: usize, now: Moment) {
        let was_full = self.engine.is_full();
        for _ in 0..ACCEPT_BUDGET {
            // Of those just let in some may be gone already, which the writes of this turn find out.
            if self.engine.is_full() && !was_full {
                return;
            }
            let Some(watched) = self.listeners.get(listener) else { return };
            if self.engine.is_closed_to_newcomers() {
                return self.watch_listeners(Interest::NONE);
            }
            match watched.accept() {
                Ok((socket, peer)) => self.admit(listener, socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhausted(&error) => return self.refuse_one(listener, &error, now),
                Err(error) => self.engine.accept_failed(AcceptFailure::Connection, &error),
            }
        }
    }

    fn admit(&mut self, listener: usize, socket: Socket, peer: Peer) {
        let listener = u16::try_from(listener).unwrap_or(u16::MAX);
        if let Accepted::In(slot) = self.engine.accepted(listener, peer) {
            self.seat(slot, socket);
        }
    }

    /// Gives an accepted socket its place in the table.
    pub(super) fn seat(&mut self, slot: Slot, socket: Socket) {
        if let Err(error) = self.sockets.seat(slot, socket, &self.poller) {
            self.engine.handle_error(slot, &error);
        }
    }

    /// No descriptor is left: the reserve is spent on telling one of those who wait, and accepting pauses.
    fn refuse_one(&mut self, listener: usize, error: &io::Error, now: Moment) {
        self.reserve = None;
        if let Some(listener) = self.listeners.get(listener)
            && let Ok((socket, _)) = listener.accept()
        {
            let mut word = Vec::new();
            listener.framing().encode_whole(&mut word, |text| text.extend_from_slice(FULL));
            // Whether the word arrives is not waited for: there is nothing to wait with.
            let _ = socket.write(&[io::IoSlice::new(&word)]);
            let _ = socket.finish();
        }
        self.reserve = open_reserve();
        self.accept_again = Some(now + ACCEPT_PAUSE);
        self.watch_listeners(Interest::NONE);
        self.engine.accept_failed(AcceptFailure::Exhausted, error);
    }

    /// Accepts again when a pause is over; no more once the server is stopping.
    pub(super) fn reopen(&mut self, now: Moment) {
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
        }
        if self.engine.is_stopping() {
            // The kernel refuses newcomers from now on, rather than leaving them in a queue that nobody empties.
            self.listeners.clear();
        }
        if self.accept_again.is_none() {
            self.watch_control(Interest::READ);
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
}

/// Errors of accept(2) that last: everything else concerns one connection only.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// How often it is looked whether all files are there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When it is looked next, and what was in the way the last time.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    next: Moment,
    /// By the key of the listener: said once, not at every look.
    obstacles: BTreeMap<usize, String>,
}

impl Renewal {
    /// The next turn looks, whenever it was last done.
    pub(super) fn hurry(&mut self) {
        self.next = Moment::START;
        self.obstacles.clear();
    }
}

impl Reactor {
    /// Once a turn; every few seconds it looks whether each socket still has its file, and makes new ones.
    pub(super) fn renew_files(&mut self, now: Moment) {
        if now < self.renewal.next || self.engine.is_stopping() {
            return;
        }
        self.renewal.next = now + LOOK_EVERY;
        for index in 0..self.listeners.len() {
            if self.listeners[index].missed_file().is_some() {
                let renewed = self.listeners[index].renewed(self.configuration.in_force());
                if let Some(new) = self.take_renewed(renewed, KEY_LISTENERS + index) {
                    retire(std::mem::replace(&mut self.listeners[index], new));
                }
            }
        }
        let missed = self.control.as_ref().and_then(|control| control.missed_file());
        if let Some(gone) = missed.map(|file| file.path().to_owned()) {
            let renewed = control::renewed(&gone);
            if let Some(new) = self.take_renewed(renewed, KEY_CONTROL)
                && let Some(old) = self.control.replace(new)
            {
                retire(old);
            }
        }
    }

    /// Watches a listener with a new file, and says what has become of the old one.
    fn take_renewed(&mut self, renewed: Result<Listener, Obstacle>, key: usize) -> Option<Watched<Listener>> {
        let watched = renewed.map_err(|obstacle| obstacle.to_string()).and_then(|listener| {
            let address = listener.address().to_string();
            let watched = self.poller.watch(listener, key, Interest::READ);
            watched.map(|watched| (watched, address)).map_err(|(_, error)| error.to_string())
        });
        let what = if key == KEY_CONTROL { "the control socket" } else { "a listener" };
        match watched {
            Ok((watched, address)) => {
                self.renewal.obstacles.remove(&key);
                let text = format!("the file of {what} was gone; it is at {address} now");
                self.engine.note(LogLevel::Warn, text);
                Some(watched)
            }
            Err(why) => {
                let text = format!("the file of {what} is gone and cannot be made again: {why}");
                if self.renewal.obstacles.insert(key, text.clone()).as_ref() != Some(&text) {
                    self.engine.note(LogLevel::Error, text);
                }
                None
            }
        }
    }
}

/// Closes a listener whose path has another one by now.
fn retire(old: Watched<Listener>) {
    old.into_inner().forget_file();
}
