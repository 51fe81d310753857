//! The input of a turn: signals, and the bytes of readable peers, within the turn's budgets.

use std::io;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use super::drive;
use super::reactor::{KEY_CONTROL, KEY_LISTENERS, KEY_SIGNALS, Reactor, SPECIAL};
use super::table::IDLE_WAKES_MAX;
use crate::config::settings::LogLevel;
use crate::engine::READ_BUDGET;
use crate::id::Slot;
use crate::poller::{Events, Readiness};
use crate::signals::{FATAL, Received};
use crate::time::Moment;

/// Signals that end the server: the first one drains it, the second one stops it at once.
const STOP: [i32; 2] = [SIGTERM, SIGINT];

/// The signals of a server. SIGHUP reads the configuration again, SIGUSR1 creates missing files of sockets, and those of
/// [`FATAL`] end the process once sockets' files are removed.
pub(super) fn caught_signals() -> impl Iterator<Item = i32> {
    STOP.into_iter().chain(FATAL).chain([SIGHUP, SIGUSR1])
}

/// Bytes read from all peers in one turn.
const TURN_READ_BUDGET: usize = 4 * 1024 * 1024;
/// The age of a turn after which it reads from no further peer.
const READ_TIME_BUDGET: Duration = Duration::from_millis(6);
/// Peers between two readings of the clock, if they send little.
const READ_CLOCK_EVERY: usize = 64;

/// The peers that are ready, in the order in which they are read. Peers for which a turn has no budget left are first
/// in the next. Without that, the kernel could report the same peers first in each turn, if more are ready than one
/// wait reports.
#[derive(Debug, Default)]
pub(super) struct ReadingOrder {
    peers: Vec<Readiness>,
    /// The number of peers that an earlier turn left out.
    left_out: usize,
}

impl ReadingOrder {
    /// Adds the peers that a wait has reported. A peer that was left out may be among them; reading it twice does no
    /// harm.
    fn add(&mut self, ready: impl Iterator<Item = Readiness>) {
        self.left_out = self.peers.len();
        self.peers.extend(ready);
    }

    /// Removes the first `served` peers, which have been read. Of the others, those of the last wait are kept only if
    /// none of an earlier wait is left. They are reported again, so at most the events of one wait are kept.
    fn drop_first(&mut self, served: usize) {
        if served < self.left_out {
            self.peers.truncate(self.left_out);
        }
        self.peers.drain(..served);
    }
}

impl Reactor {
    /// Handles `events`. Peers come before new connections, so that a client that leaves reads nothing about them.
    pub(super) fn ingest(&mut self, events: &Events, start: Moment) {
        self.reading.add(events.iter().filter(|ready| ready.key & SPECIAL == 0));
        let served = self.ingest_peers(start);
        self.reading.drop_first(served);
        for ready in events.iter() {
            match ready.key {
                KEY_SIGNALS => self.take_signals(),
                KEY_CONTROL => self.accept_operators(start),
                key if key & SPECIAL != 0 => self.accept(key - KEY_LISTENERS, start),
                _ => {}
            }
        }
    }

    /// Reads from peers until the turn's budget is used up; returns the number of peers.
    fn ingest_peers(&mut self, start: Moment) -> usize {
        let mut read = 0;
        let mut served = 0;
        while let Some(ready) = self.reading.peers.get(served).copied() {
            let before = read / READ_BUDGET;
            read += self.handle_ready(ready);
            served += 1;
            // Not after each peer: reading the clock costs as much as a short line.
            let is_clock_due = read / READ_BUDGET > before || served.is_multiple_of(READ_CLOCK_EVERY);
            let is_late = is_clock_due && self.clock.moment().since(start) >= READ_TIME_BUDGET;
            if is_late || read >= TURN_READ_BUDGET {
                break;
            }
        }
        served
    }

    fn take_signals(&mut self) {
        let received = self.signals.take();
        let stops = count_stops(&received);
        self.stop_signals += stops;
        if stops > 0 && self.engine.stop(None) {
            self.engine.note(LogLevel::Info, "a signal asks for the end: draining".to_owned());
        }
        // With a dashboard, SIGHUP means that the terminal is gone.
        if received.has(SIGHUP) && !self.onlookers.has_dashboard() {
            self.engine.note(LogLevel::Info, "SIGHUP: reading the configuration again".to_owned());
            self.configuration.want();
        }
        if received.has(SIGUSR1) {
            self.renewal.hurry();
        }
        if let Some(signal) = received.first_of(&FATAL) {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            self.engine.note(LogLevel::Error, format!("{name}: ending at once"));
            self.end_signal = Some(signal);
        }
    }

    /// Handles a connection that is readable, writable or broken; returns the number of bytes read.
    fn handle_ready(&mut self, ready: Readiness) -> usize {
        let Some((slot, conn)) = self.sockets.find(ready.key) else { return 0 };
        let Some(wants) = self.engine.wants(slot) else { return 0 };
        if wants.close_mode.is_some() {
            // It is closed at the end of this turn.
            return 0;
        }
        let mut progress = 0;
        if ready.writable && conn.writable.became_writable() {
            self.engine.touch(slot);
            progress += 1;
        }
        let is_broken = ready.hangup || ready.error;
        let is_read = ready.readable && (wants.read || is_broken);
        let read =
            if is_read { drive::receive(&mut self.engine, slot, is_broken, &mut self.sockets) } else { 0 };
        self.guard_against_spinning(slot, progress + read);
        read
    }

    fn guard_against_spinning(&mut self, slot: Slot, progress: usize) {
        let Some(conn) = self.sockets.get_mut(slot) else { return };
        if conn.idle_wakes.are_too_many(progress) {
            let conn = self.engine.label(slot);
            let text = format!("bug: {conn} woke the loop {IDLE_WAKES_MAX} times for nothing; it is closed");
            self.engine.note(LogLevel::Error, text);
            self.engine.handle_error(slot, &io::Error::other("woke the loop for nothing"));
        }
    }
}

/// The number of SIGTERM and SIGINT. Signals of different kinds are not told apart in the count, so among others each
/// kind counts once.
fn count_stops(received: &Received) -> usize {
    let kinds = received.signals.iter().filter(|signal| STOP.contains(signal)).count();
    if kinds > 0 && kinds == received.signals.len() { kinds.max(received.count) } else { kinds }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn readable(key: usize) -> Readiness {
        Readiness { key, readable: true, writable: false, hangup: false, error: false }
    }

    #[test]
    fn more_peers_than_one_wait_reports_are_read_in_turn() {
        const WAIT: usize = 1_024;
        const SERVED: usize = 64;
        let mut order = ReadingOrder::default();
        let mut reads = vec![0; 2 * WAIT];
        for turn in 0..reads.len() / SERVED {
            // The kernel moves the peers that it has reported to the end of its list.
            let half = turn % 2 * WAIT;
            order.add((half..half + WAIT).map(readable));
            for ready in &order.peers[..SERVED] {
                reads[ready.key] += 1;
            }
            order.drop_first(SERVED);
            assert!(order.peers.len() <= WAIT, "what is kept is bounded");
        }
        assert!(reads.iter().all(|count| *count == 1), "{reads:?}");
    }

    #[test]
    fn no_peer_is_kept_when_the_budget_suffices_for_all() {
        let mut order = ReadingOrder::default();
        order.add((0..3).map(readable));
        order.drop_first(2);
        assert_eq!(order.peers, [readable(2)]);
        order.add([readable(0), readable(2)].into_iter());
        assert_eq!(order.peers, [readable(2), readable(0), readable(2)]);
        order.drop_first(3);
        assert_eq!(order.peers, []);
    }
}
