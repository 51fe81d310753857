//! What a turn tells: answers and snapshots to onlookers, events to the log.

use super::gauge::Gauge;
use super::listener::Listener;
use super::process;
use super::reactor::Reactor;
use super::table::Table;
use crate::id::Slot;
use crate::link::onlookers::Machine;
use crate::model::snapshot::{Kernel, Status};
use crate::poller::Watched;
use crate::time::Moment;

impl Reactor {
    /// Answers requests of onlookers, but for snapshots, which are taken at the end of the turn.
    pub(super) fn answer(&mut self, now: Moment) {
        let (sockets, listeners, gauge) = (&self.sockets, &self.listeners, &self.gauge);
        let outside = Outside { sockets, listeners, gauge, now };
        if self.onlookers.serve(&mut self.engine, &outside) {
            // There may be more: the next wait must not sleep on it.
            self.poller.waker().notify();
        }
    }

    /// Gives onlookers the snapshots that they requested, and the log its events.
    pub(super) fn publish(&mut self) {
        if self.onlookers.want_snapshots() {
            let (sockets, listeners, gauge) = (&self.sockets, &self.listeners, &self.gauge);
            let outside = Outside { sockets, listeners, gauge, now: self.clock.moment() };
            self.onlookers.take_snapshots(&self.engine, &outside);
        }
        if self.engine.is_stopped() {
            self.onlookers.stop_operators();
        }
        for entry in self.engine.events_after(self.logged) {
            (self.sink)(&entry);
            self.logged = entry.seq;
        }
    }
}

/// What only the process and its kernel know.
pub(super) struct Outside<'a> {
    pub(super) sockets: &'a Table,
    pub(super) listeners: &'a [Watched<Listener>],
    pub(super) gauge: &'a Gauge,
    pub(super) now: Moment,
}

impl Machine for Outside<'_> {
    fn kernel(&self, slot: Slot) -> Option<Kernel> {
        self.sockets.queues(slot)
    }

    fn complete(&self, status: &mut Status) {
        status.pid = std::process::id();
        status.accept_queues = self.listeners.iter().map(|listener| listener.accept_queue()).collect();
        status.accept_losses = process::accept_losses();
        status.turns = self.gauge.stats(self.now);
        status.fds = process::open_descriptors();
        status.fds_limit = process::descriptor_limit();
        status.rss_bytes = process::resident_bytes();
    }
}
