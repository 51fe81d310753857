//! The table of connected sockets: one place for each slot of the engine.
//!
//! A poller key is slot and generation, so a stale event of a connection that ended in the same turn misses.

use super::socket::Socket;
use crate::id::Slot;
use crate::poller::Watched;

/// A socket and what the loop has to remember of it.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) socket: Registered,
    pub(super) generation: u32,
    /// The kernel took no more; only a writable event changes that.
    pub(super) blocked: bool,
    pub(super) idle_wakes: u16,
}

/// Whether the poller watches the socket. Once both FINs are sent it would only hang up, again and again.
#[derive(Debug)]
pub(super) enum Registered {
    Watched(Watched<Socket>),
    Apart(Socket),
}

impl Registered {
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Watched(socket) => socket,
            Self::Apart(socket) => socket,
        }
    }

    pub(super) fn into_socket(self) -> Socket {
        match self {
            Self::Watched(watched) => watched.into_inner(),
            Self::Apart(socket) => socket,
        }
    }
}

pub(super) const fn key_of(slot: Slot, generation: u32) -> usize {
    (generation as usize) << 32 | slot.index()
}

/// The connection that a key was made for, unless it is gone.
pub(super) fn connected_at(sockets: &mut [Option<Connected>], key: usize) -> Option<(Slot, &mut Connected)> {
    let slot = Slot::at(key & 0xFFFF_FFFF);
    let conn = sockets.get_mut(slot.index())?.as_mut()?;
    (key_of(slot, conn.generation) == key).then_some((slot, conn))
}
