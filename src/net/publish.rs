//! What a turn tells: pictures to the onlooker, records to the log.

use super::process;
use super::reactor::Reactor;
use super::table::Connected;
use crate::engine::snapshot::{Kernel, Snapshot};
use crate::id::Slot;
use crate::link::Response;

impl Reactor {
    /// Gives the onlooker the pictures it asked for, and the log its records.
    pub(super) fn publish(&mut self) {
        while let Some(query) = self.queries.pop() {
            let sockets = &self.sockets;
            let snapshot = self.engine.snapshot(&query, |slot| queues(sockets, slot));
            let snapshot = Box::new(self.complete(snapshot));
            if let Some(mailbox) = &mut self.mailbox {
                mailbox.answer(Response::Snapshot(snapshot));
            }
        }
        for entry in self.engine.records_after(self.logged) {
            (self.sink)(entry);
            self.logged = entry.seq;
        }
    }

    /// Adds what only the process knows.
    fn complete(&self, mut snapshot: Snapshot) -> Snapshot {
        let status = &mut snapshot.status;
        status.pid = std::process::id();
        status.listeners.clone_from(&self.labels);
        status.turns = self.gauge.stats();
        status.fds = process::descriptors();
        status.rss_bytes = process::resident_bytes();
        snapshot
    }
}

fn queues(sockets: &[Option<Connected>], slot: Slot) -> Option<Kernel> {
    sockets.get(slot.index())?.as_ref()?.socket.socket().queues()
}
