//! The reactor's work on its listeners: accepting within a budget, pausing when descriptors have run out, and replacing
//! Unix sockets whose file is gone.
//!
//! A logout empties the runtime directory, and cleaners remove old files. A socket without its file lives on, but no
//! client can connect to it, so a new socket takes its place.

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

/// Connections accepted on one listener in one turn.
const ACCEPT_BUDGET: usize = 64;
/// How long accepting pauses when descriptors or memory have run out.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The line to a connection that is accepted with the reserved descriptor.
const FULL: &[u8] = b"!! the server is full; try again later";

impl Reactor {
    pub(super) fn accept(&mut self, listener: usize, now: Moment) {
        let was_full = self.engine.is_full();
        for _ in 0..ACCEPT_BUDGET {
            // Some of the connections just accepted may be gone already; the writes of this turn free their slots.
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

    /// Called without a free descriptor: the reserved one serves to notify one waiting client, and accepting pauses.
    fn refuse_one(&mut self, listener: usize, error: &io::Error, now: Moment) {
        self.reserve = None;
        if let Some(listener) = self.listeners.get(listener)
            && let Ok((socket, _)) = listener.accept()
        {
            let mut line = Vec::new();
            listener.framing().encode_whole(&mut line, |text| text.extend_from_slice(FULL));
            // The server does not wait for the line to arrive: it has no descriptor for that.
            let _ = socket.write(&[io::IoSlice::new(&line)]);
            let _ = socket.finish();
        }
        self.reserve = open_reserve();
        self.accept_again = Some(now + ACCEPT_PAUSE);
        self.watch_listeners(Interest::NONE);
        self.engine.accept_failed(AcceptFailure::Exhausted, error);
    }

    /// Accepts again after a pause; closes the listeners when the server is stopping.
    pub(super) fn reopen(&mut self, now: Moment) {
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
        }
        if self.engine.is_stopping() {
            // The kernel now refuses connections instead of queueing them.
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

/// Whether an error of accept(2) lasts; all others concern one connection.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// The time between two checks of all files.
const CHECK_FILES_EVERY: Duration = Duration::from_secs(5);

/// The time of the next check, and what kept a file from being replaced.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    next: Moment,
    /// By the key of the listener: logged once, not at every check.
    obstacles: BTreeMap<usize, String>,
}

impl Renewal {
    /// Makes the next turn check.
    pub(super) fn hurry(&mut self) {
        self.next = Moment::START;
        self.obstacles.clear();
    }
}

impl Reactor {
    /// Called in every turn; every few seconds it replaces sockets whose file is gone.
    pub(super) fn renew_files(&mut self, now: Moment) {
        if now < self.renewal.next || self.engine.is_stopping() {
            return;
        }
        self.renewal.next = now + CHECK_FILES_EVERY;
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

    /// Watches a listener with a new file, and logs the replacement or the obstacle.
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

/// Closes a listener whose path belongs to another listener now.
fn retire(old: Watched<Listener>) {
    old.into_inner().forget_file();
}
