//! What a turn takes in: signals, and bytes of whoever is readable, within the turn's budgets.

use std::io;
use std::time::Duration;

use super::reactor::{KEY_CONTROL, KEY_LISTENERS, KEY_SIGNALS, Reactor, SPECIAL};
use super::signals::Taken;
use super::table::IDLE_WAKES_MAX;
use crate::config::settings::LogLevel;
use crate::engine::READ_BUDGET;
use crate::id::Slot;
use crate::poller::{Events, Readiness};
use crate::time::Moment;

/// Bytes read from all at each look of a turn.
const TURN_READ_BUDGET: usize = 4 * 1024 * 1024;
/// How old a turn may be when it reads from anybody else.
const READ_TIME_BUDGET: Duration = Duration::from_millis(6);
/// Peers between two looks at the clock, if they send little.
const LOOK_EVERY: usize = 64;

/// The peers that are ready, in the order in which they are read. Whoever a turn has no budget left for is first in
/// the next: the kernel alone would name the same ones first again and again, of more than one wait reports.
#[derive(Debug, Default)]
pub(super) struct ReadingOrder {
    peers: Vec<Readiness>,
    /// How many of them were left out of an earlier turn.
    left_out: usize,
}

impl ReadingOrder {
    /// A wait has reported these. Whoever is left out already may be among them: to be read twice is no harm.
    fn add(&mut self, ready: impl Iterator<Item = Readiness>) {
        self.left_out = self.peers.len();
        self.peers.extend(ready);
    }

    /// The first `served` have been read. The others are kept, but none of the last wait while any of an earlier one
    /// is left: they are reported again, and so one wait's events are the most that is ever kept.
    fn drop_first(&mut self, served: usize) {
        if served < self.left_out {
            self.peers.truncate(self.left_out);
        }
        self.peers.drain(..served);
    }
}

impl Reactor {
    /// Takes in what `events` tell of. Newcomers are behind those who are here: whoever leaves is not told of them.
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

    /// Reads from peers until the turn's budget is used up, and gives the number of peers.
    fn ingest_peers(&mut self, start: Moment) -> usize {
        let mut read = 0;
        let mut served = 0;
        while let Some(ready) = self.reading.peers.get(served).copied() {
            let before = read / READ_BUDGET;
            read += self.handle_ready(ready);
            served += 1;
            // Not after each peer: the clock costs as much as a short line.
            let is_time_to_look = read / READ_BUDGET > before || served.is_multiple_of(LOOK_EVERY);
            let is_late = is_time_to_look && self.clock.moment().since(start) >= READ_TIME_BUDGET;
            if is_late || read >= TURN_READ_BUDGET {
                break;
            }
        }
        served
    }

    fn take_signals(&mut self) {
        let Taken { stops, reload, renew, end } = self.signals.take();
        self.stop_signals += stops;
        if stops > 0 && self.engine.stop(None) {
            self.engine.note(LogLevel::Info, "told to stop: draining".to_owned());
        }
        // With a dashboard it says that the terminal has gone.
        if reload && !self.onlookers.has_dashboard() {
            self.engine.note(LogLevel::Info, "SIGHUP: reading the configuration anew".to_owned());
            self.configuration.want();
        }
        if renew {
            self.renewal.hurry();
        }
        if let Some(signal) = end {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            self.engine.note(LogLevel::Error, format!("{name}: ending at once"));
            self.end_signal = Some(signal);
        }
    }

    /// One connection is readable, writable or broken. Gives the number of bytes read.
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
        let read = if is_read { self.engine.receive(slot, is_broken, &mut self.sockets) } else { 0 };
        self.guard_against_spinning(slot, progress + read);
        read
    }

    fn guard_against_spinning(&mut self, slot: Slot, progress: usize) {
        let Some(conn) = self.sockets.get_mut(slot) else { return };
        if conn.idle_wakes.are_too_many(progress) {
            let who = self.engine.label(slot);
            let text = format!("bug: {who} woke the loop {IDLE_WAKES_MAX} times for nothing; it is closed");
            self.engine.note(LogLevel::Error, text);
            self.engine.handle_error(slot, &io::Error::other("woke the loop for nothing"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn readable(key: usize) -> Readiness {
        Readiness { key, readable: true, writable: false, hangup: false, error: false }
    }

    #[test]
    fn of_more_than_a_wait_reports_each_is_read_before_any_is_read_again() {
        const WAIT: usize = 1_024;
        const SERVED: usize = 64;
        let mut order = ReadingOrder::default();
        let mut reads = vec![0; 2 * WAIT];
        for turn in 0..reads.len() / SERVED {
            // The kernel moves those whom it has reported to the end of its list.
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
    fn nobody_is_kept_when_there_is_budget_for_all() {
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
