//! What a turn takes in: signals, and bytes of whoever is readable, within the turn's budgets.

use std::io;
use std::time::Duration;

use super::reactor::{KEY_CONTROL, KEY_LISTENERS, KEY_RELOAD, KEY_STOP, Reactor, SPECIAL};
use super::table::IDLE_WAKES_MAX;
use crate::config::settings::LogLevel;
use crate::engine::READ_BUDGET;
use crate::id::Slot;
use crate::poller::{Events, Readiness};
use crate::time::Moment;

/// Bytes read in one turn from all.
const TURN_READ_BUDGET: usize = 4 * 1024 * 1024;
/// Time after which a turn reads from nobody else.
const READ_TIME_BUDGET: Duration = Duration::from_millis(10);
/// Peers between two looks at the clock, if they send little.
const LOOK_EVERY: usize = 64;

impl Reactor {
    /// Takes in what `events` tell of. Newcomers are behind those who are here: whoever leaves is not told of them.
    pub(super) fn ingest(&mut self, events: &Events, start: Moment) {
        let mut peers = std::mem::take(&mut self.ready);
        peers.clear();
        peers.extend(events.iter().filter(|ready| ready.key & SPECIAL == 0));
        self.ingest_peers(&mut peers, start);
        self.ready = peers;
        for ready in events.iter() {
            match ready.key {
                KEY_STOP => self.take_stop_signals(),
                KEY_RELOAD => self.take_reload_signals(),
                KEY_CONTROL => self.accept_operators(start),
                key if key & SPECIAL != 0 => self.accept(key - KEY_LISTENERS, start),
                _ => {}
            }
        }
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
            // Not after each peer: the clock costs as much as a short line.
            let is_time_to_look = read / READ_BUDGET > before || at % LOOK_EVERY == LOOK_EVERY - 1;
            let is_late = is_time_to_look && self.clock.moment().since(start) >= READ_TIME_BUDGET;
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
        let Some((slot, conn)) = self.sockets.find(ready.key) else { return 0 };
        let Some(wants) = self.engine.wants(slot) else { return 0 };
        if wants.fate.is_some() {
            // It is closed at the end of this turn.
            return 0;
        }
        let mut progress = 0;
        if ready.writable && conn.outlet.promise() {
            self.engine.touch(slot);
            progress += 1;
        }
        let is_broken = ready.hangup || ready.error;
        let is_read = ready.readable && (wants.read || is_broken);
        let read = if is_read { self.engine.receive(slot, is_broken, &mut self.sockets) } else { 0 };
        self.guard_against_spinning(slot, progress + read);
        read
    }

    fn guard_against_spinning(&mut self, slot: Slot, progress: usize) {
        let Some(conn) = self.sockets.get_mut(slot) else { return };
        if conn.idle_wakes.are_too_many(progress) {
            let text =
                format!("bug: {slot:?} woke the loop {IDLE_WAKES_MAX} times for nothing; it is closed");
            self.engine.note(LogLevel::Error, text);
            self.engine.handle_error(slot, &io::Error::other("woke the loop for nothing"));
        }
    }
}
