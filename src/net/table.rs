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
    pub(super) outlet: Outlet,
    pub(super) idle_wakes: u16,
}

/// Writable events in a row after which nothing was taken all the same; after so many they are not believed.
const BROKEN_PROMISES_MAX: u8 = 16;

/// Whether a write is worth a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlet {
    /// Nothing speaks against it.
    Open,
    /// The kernel took no more; a writable event says when it will. So many of these came for nothing.
    Full { broken_promises: u8 },
    /// That event came.
    Promised { broken_promises: u8 },
    /// The events keep coming and nothing is taken (`ENOBUFS`, or no memory left for TCP): to wait for them would be
    /// to spin. Each look at Send-Q is a try.
    Refusing,
}

impl Outlet {
    /// After a write that the kernel did not take whole.
    pub(super) const fn after_short_write(self, took_nothing: bool) -> Self {
        match self {
            Self::Promised { broken_promises } if took_nothing && broken_promises < BROKEN_PROMISES_MAX => {
                Self::Full { broken_promises: broken_promises + 1 }
            }
            Self::Promised { .. } | Self::Refusing if took_nothing => Self::Refusing,
            _ => Self::Full { broken_promises: 0 },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Outlet = Outlet::Full { broken_promises: 0 };

    /// After so many writable events that led to nothing.
    fn after_broken_promises(count: u8) -> Outlet {
        (0..count).fold(FULL, |outlet, _| match outlet {
            Outlet::Full { broken_promises } => Outlet::Promised { broken_promises }.after_short_write(true),
            other => other,
        })
    }

    #[test]
    fn events_that_lead_to_nothing_are_not_believed_for_ever() {
        assert_eq!(Outlet::Open.after_short_write(true), FULL);
        let last = after_broken_promises(BROKEN_PROMISES_MAX);
        assert_eq!(last, Outlet::Full { broken_promises: BROKEN_PROMISES_MAX });
        assert_eq!(after_broken_promises(BROKEN_PROMISES_MAX + 1), Outlet::Refusing);
        assert_eq!(Outlet::Refusing.after_short_write(true), Outlet::Refusing);
    }

    #[test]
    fn a_part_taken_restores_the_belief_in_events() {
        for outlet in [Outlet::Open, Outlet::Promised { broken_promises: 9 }, Outlet::Refusing] {
            assert_eq!(outlet.after_short_write(false), FULL, "{outlet:?}");
        }
    }
}
