//! Makes sockets do what their sessions want. Idempotent: nothing can be forgotten or done twice.

use std::io::IoSlice;

use super::reactor::Reactor;
use super::table::{Connected, Outlet, Registered};
use crate::engine::{Fate, Flushed, Wants};
use crate::id::Slot;
use crate::poller::Interest;

/// Bytes written to one peer in one turn.
const WRITE_BUDGET: usize = 64 * 1024;
/// How often one turn goes over what became dirty by its own work; the rest is the next turn's.
const PASSES_MAX: usize = 4;

impl Reactor {
    /// Makes every socket that may have to do something do what its session wants.
    pub(super) fn reconcile(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for _ in 0..PASSES_MAX {
            self.engine.settle();
            self.engine.take_dirty(&mut dirty);
            if dirty.is_empty() {
                break;
            }
            for slot in &dirty {
                self.bury(*slot);
            }
            // Those who were buried leave rooms: their last lines go out with the rest.
            self.engine.settle();
            for slot in &dirty {
                self.serve(*slot);
            }
        }
        self.engine.end_turn();
        self.dirty = dirty;
    }

    /// Closes the socket of a session that is over.
    fn bury(&mut self, slot: Slot) {
        let Some(fate) = self.engine.wants(slot).and_then(|wants| wants.fate) else { return };
        if let Some(conn) = self.sockets.get_mut(slot.index()).and_then(Option::take) {
            let socket = conn.socket.into_socket();
            if fate == Fate::Reset {
                socket.reset();
            }
        }
        self.engine.ended(slot);
    }

    /// Writes, FIN, interest, deadline.
    fn serve(&mut self, slot: Slot) {
        let Some(wants) = self.engine.wants(slot) else { return };
        let Some(Some(conn)) = self.sockets.get_mut(slot.index()) else { return };
        if wants.fate.is_some() {
            return self.engine.touch(slot);
        }
        if wants.write && is_worth_a_try(conn.outlet, wants) {
            let socket = conn.socket.socket();
            let mut took_nothing = false;
            let write = |slices: &[IoSlice<'_>]| socket.write(slices).inspect_err(|_| took_nothing = true);
            match self.engine.flush(slot, WRITE_BUDGET, write) {
                Flushed::All => conn.outlet = Outlet::Open,
                Flushed::More => {
                    conn.outlet = Outlet::Open;
                    self.engine.touch(slot);
                }
                Flushed::Blocked => conn.outlet = conn.outlet.after_short_write(took_nothing),
                Flushed::Failed(error) => {
                    // What it sent before it failed is heard.
                    self.read(slot, true);
                    return self.engine.handle_error(slot, &error);
                }
            }
        }
        self.finish(slot);
        self.register(slot);
        self.engine.arm(slot);
    }

    fn finish(&mut self, slot: Slot) {
        let Some(Some(conn)) = self.sockets.get_mut(slot.index()) else { return };
        let socket = conn.socket.socket();
        if self.engine.wants(slot).is_some_and(|wants| wants.fin) {
            match socket.finish() {
                Ok(()) => self.engine.fin_sent(slot),
                Err(error) => self.engine.handle_error(slot, &error),
            }
        }
        let Some(wants) = self.engine.wants(slot).filter(|wants| wants.probe) else { return };
        // Who has both FINs is not watched, or not for much longer: no event tells of an error. For all others one
        // does, and it must find the error: to ask for it is to take it away.
        let error = if wants.events { None } else { socket.take_error() };
        match error {
            Some(error) => self.engine.handle_error(slot, &error),
            None => self.engine.handle_send_q(slot, socket.send_q()),
        }
    }

    /// Asks the poller for the events that the session wants.
    fn register(&mut self, slot: Slot) {
        let Some(wants) = self.engine.wants(slot) else { return };
        let Some(entry) = self.sockets.get_mut(slot.index()) else { return };
        let Some(conn) = entry else { return };
        if wants.events {
            if let Registered::Watched(watched) = &mut conn.socket
                && let Err(error) = watched.set_interest(interest(wants, conn.outlet))
            {
                self.engine.handle_error(slot, &error);
            }
        } else if let Some(Connected { socket, generation, outlet, idle_wakes }) = entry.take() {
            let socket = Registered::Apart(socket.into_socket());
            *entry = Some(Connected { socket, generation, outlet, idle_wakes });
        }
    }
}

fn is_worth_a_try(outlet: Outlet, wants: Wants) -> bool {
    match outlet {
        Outlet::Open | Outlet::Promised { .. } => true,
        Outlet::Full { .. } => false,
        Outlet::Refusing => wants.probe,
    }
}

fn interest(wants: Wants, outlet: Outlet) -> Interest {
    Interest { read: wants.read, write: wants.write && matches!(outlet, Outlet::Full { .. }) }
}
