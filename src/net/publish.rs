//! What a turn tells: pictures to the onlooker, events to the log.

use super::gauge::Gauge;
use super::listener::Listener;
use super::process;
use super::reactor::Reactor;
use super::table::Table;
use crate::engine::control::Machine;
use crate::id::Slot;
use crate::link::Response;
use crate::model::snapshot::{Kernel, Status};
use crate::poller::Watched;
use crate::time::Moment;

impl Reactor {
    /// Gives the onlooker the pictures it asked for, and the log its events.
    pub(super) fn publish(&mut self) {
        for query in std::mem::take(&mut self.queries) {
            let (sockets, listeners, gauge) = (&self.sockets, &self.listeners, &self.gauge);
            let outside = Outside { sockets, listeners, gauge, now: self.clock.moment() };
            let mut snapshot = self.engine.snapshot(&query, |slot| outside.kernel(slot));
            outside.complete(&mut snapshot.status);
            let snapshot = Box::new(snapshot);
            if let Some(mailbox) = &mut self.mailbox {
                mailbox.answer(Response::Snapshot(snapshot));
            }
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
