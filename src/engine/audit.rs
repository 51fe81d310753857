//! The engine's books, counted anew: tests compare them with what is kept from day to day.

use super::server::Engine;
use crate::id::Slot;

/// Sums over everything that the engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditCounts {
    /// Connections, those turned away included.
    pub connections: usize,
    /// Clients let in, as counted against `limits.clients`.
    pub counted_clients: usize,
    /// Clients let in, one by one, without those whose socket has failed.
    pub clients: usize,
    /// Of the connections, those whose socket has failed and is closed, and that have something to say still.
    pub orphans: usize,
    /// People in the hub.
    pub people: usize,
    /// Rooms in the hub.
    pub rooms: usize,
    /// Places in the list of those whose next message waits for the next turn.
    pub deferred: usize,
    /// Units of work done in this turn.
    pub turn_work: u64,
    /// Unsent bytes of all connections, as kept from day to day.
    pub queued_bytes: usize,
    /// Unsent bytes of all connections, added up.
    pub unsent_bytes: usize,
    /// Received from clients and not yet parsed, as kept from day to day.
    pub parked_bytes: usize,
    /// The same, added up.
    pub unparsed_bytes: usize,
    /// Of the unsent bytes, those that are never skipped.
    pub kept_bytes: usize,
    /// The most that one client has unsent.
    pub largest_outbox: usize,
    /// Chunks of lines in memory.
    pub chunks: usize,
    /// The memory they take, in bytes.
    pub chunk_bytes: usize,
    /// Connections whose lines wait for company before they are written.
    pub delayed: usize,
    /// Connections that stand under a deadline.
    pub deadlines: usize,
    /// Connections whose deadline is not the one under which they stand; none after a whole turn.
    pub misarmed: usize,
}

impl Engine {
    /// The books of this moment. Looks at every connection.
    #[must_use]
    pub fn audit_counts(&self) -> AuditCounts {
        let mut books = AuditCounts {
            connections: self.conns.slab.len(),
            counted_clients: self.admission.clients() as usize,
            clients: self.conns.clients().filter(|(_, conn)| conn.has_place).count(),
            orphans: self.conns.clients().filter(|(_, conn)| conn.session.is_released()).count(),
            people: self.hub.people_count(),
            rooms: self.hub.room_count(),
            deferred: self.conns.deferred.iter().filter(|conn| self.conns.is_deferred(**conn)).count(),
            turn_work: self.conns.work - self.conns.budget.turn_began_at(),
            queued_bytes: self.conns.chunks.queued(),
            parked_bytes: self.conns.inbox_bytes(),
            chunks: self.conns.chunks.in_use(),
            chunk_bytes: self.conns.chunks.allocated(),
            deadlines: self.deadlines.connections(),
            ..AuditCounts::default()
        };
        for (index, conn) in &self.conns.slab {
            let slot = Slot::at(index);
            let outbox = conn.session.outbox();
            books.unsent_bytes += outbox.bytes();
            books.unparsed_bytes += conn.session.inbox_bytes();
            books.kept_bytes += outbox.kept_bytes();
            books.largest_outbox = outbox.bytes().max(books.largest_outbox);
            books.delayed += usize::from(conn.delayed);
            books.misarmed += usize::from(self.deadlines.of_connection(slot) != conn.session.poll_timeout());
        }
        books
    }
}
