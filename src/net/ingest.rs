//! What a turn takes in: signals, and bytes of whoever is readable, within the turn's budgets.

use std::io;
use std::time::Duration;

use super::reactor::{KEY_CONTROL, KEY_LISTENERS, KEY_RELOAD, KEY_STOP, READ_BUDGET, Reactor, SPECIAL};
use super::table::{Outlet, connected_at};
use crate::config::settings::LogLevel;
use crate::id::Slot;
use crate::poller::{Events, Readiness};
use crate::time::Moment;

/// Bytes read in one turn from all.
const TURN_READ_BUDGET: usize = 4 * 1024 * 1024;
/// Time after which a turn reads from nobody else.
const TURN_TIME_BUDGET: Duration = Duration::from_millis(10);
/// Wake-ups of one socket in a row that led to nothing; at so many there is a bug, and it is closed.
const IDLE_WAKES_MAX: u16 = 1_000;

/// What a read came to.
pub(super) struct Heard {
    bytes: usize,
    /// Bytes, the end of input or an error: the event was not for nothing.
    is_news: bool,
    /// It came to the end of what there is, and to no error that says why.
    is_all: bool,
}

impl Reactor {
    pub(super) fn ingest(&mut self, events: &Events, start: Moment) {
        let mut peers = std::mem::take(&mut self.ready);
        peers.clear();
        for ready in events.iter() {
            match ready.key {
                KEY_STOP => self.take_stop_signals(),
                KEY_RELOAD => self.take_reload_signals(),
                KEY_CONTROL => self.accept_operators(start),
                key if key & SPECIAL != 0 => self.accept(key - KEY_LISTENERS, start),
                _ => peers.push(ready),
            }
        }
        self.ingest_peers(&mut peers, start);
        self.ready = peers;
    }

    /// Reads from peers until the turn's budget is used up. The next turn begins with the first who was left out:
    /// the kernel names the same ones in the same order each time.
    fn ingest_peers(&mut self, peers: &mut [Readiness], start: Moment) {
        if let Some(first) = peers.iter().position(|ready| Some(ready.key) == self.read_from) {
            peers.rotate_left(first);
        }
        self.read_from = None;
        let mut read = 0;
        for at in 0..peers.len() {
            let before = read / READ_BUDGET;
            read += self.handle_ready(peers[at]);
            // The clock is looked at after each 64 KiB, not after each peer.
            let is_late = read / READ_BUDGET > before && self.clock.moment().since(start) >= TURN_TIME_BUDGET;
            if is_late || read >= TURN_READ_BUDGET {
                self.read_from = peers.get(at + 1).map(|next| next.key);
                return;
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
        let Some((slot, conn)) = connected_at(&mut self.sockets, ready.key) else { return 0 };
        let Some(wants) = self.engine.wants(slot) else { return 0 };
        let mut progress = 0;
        if let Outlet::Full { broken_promises } = conn.outlet
            && ready.writable
        {
            conn.outlet = Outlet::Promised { broken_promises };
            self.engine.touch(slot);
            progress += 1;
        }
        let is_broken = ready.hangup || ready.error;
        let mut read = 0;
        if ready.readable && (wants.read || is_broken) {
            let heard = self.read(slot, is_broken);
            read = heard.bytes;
            progress += usize::from(heard.is_news);
            if is_broken && heard.is_all {
                self.fail_broken(slot);
            }
        }
        self.guard_against_spinning(slot, progress);
        read
    }

    /// Reads once; a broken socket is read to its end, for it will never be quiet.
    pub(super) fn read(&mut self, slot: Slot, is_broken: bool) -> Heard {
        let mut bytes = 0;
        loop {
            let Some(conn) = self.sockets.get(slot.index()).and_then(Option::as_ref) else {
                return Heard { bytes, is_news: bytes > 0, is_all: true };
            };
            match conn.socket.socket().read(&mut self.buffer) {
                Ok(0) => {
                    self.engine.handle_eof(slot);
                    self.engine.touch(slot);
                    return Heard { bytes, is_news: true, is_all: true };
                }
                Ok(count) => {
                    self.engine.handle_bytes(slot, &self.buffer[..count]);
                    bytes += count;
                    if !is_broken || bytes >= TURN_READ_BUDGET {
                        return Heard { bytes, is_news: true, is_all: false };
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Heard { bytes, is_news: bytes > 0, is_all: true };
                }
                Err(error) => {
                    self.engine.handle_error(slot, &error);
                    return Heard { bytes, is_news: true, is_all: false };
                }
            }
        }
    }

    /// A hang-up without our FIN, or an error: there is nobody to write to. After both FINs it is no error.
    fn fail_broken(&mut self, slot: Slot) {
        let Some(conn) = self.sockets.get(slot.index()).and_then(Option::as_ref) else { return };
        let error = conn.socket.socket().take_error();
        let is_settling = self.engine.wants(slot).is_none_or(|wants| !wants.events);
        match error {
            Some(error) => self.engine.handle_error(slot, &error),
            None if is_settling => {}
            None => self.engine.handle_error(slot, &io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn guard_against_spinning(&mut self, slot: Slot, progress: usize) {
        let Some(conn) = self.sockets.get_mut(slot.index()).and_then(Option::as_mut) else { return };
        conn.idle_wakes = if progress > 0 { 0 } else { conn.idle_wakes + 1 };
        if conn.idle_wakes >= IDLE_WAKES_MAX {
            let text =
                format!("bug: {slot:?} woke the loop {IDLE_WAKES_MAX} times for nothing; it is closed");
            self.engine.note(LogLevel::Error, text);
            self.engine.handle_error(slot, &io::Error::other("woke the loop for nothing"));
        }
    }
}
