//! One connection as the engine knows it: its session, its ids, its seats in the feeds.

use crate::chat::{Nick, RoomId, Style};
use crate::id::ConnId;
use crate::session::Session;
use crate::time::Moment;
use crate::wire::framing::Framing;

use super::encoding::Encoding;
use super::snapshot::Peer;

/// A place in a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) room: RoomId,
    pub(super) feed: u32,
    pub(super) place: u32,
}

/// What the slab of connections holds.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: ConnId,
    pub(super) session: Session,
    pub(super) peer: Peer,
    pub(super) listener: u16,
    /// In the dirty list.
    pub(super) dirty: bool,
    /// Turned away at the door: only a last line is sent.
    pub(super) turned_away: bool,
    pub(super) style: Style,
    pub(super) seats: Vec<Seat>,
    /// The deadline under which it stands in the engine's set.
    pub(super) armed: Option<Moment>,
    /// The name of one who has left the hub.
    pub(super) parted: Option<Box<Nick>>,
}

impl Entry {
    pub(super) fn new(id: ConnId, peer: Peer, listener: u16, framing: Framing, now: Moment) -> Self {
        let telnet = framing == Framing::Lines && matches!(peer, Peer::Tcp(_));
        Self {
            id,
            session: Session::new(now, framing, telnet),
            peer,
            listener,
            dirty: false,
            turned_away: false,
            style: Style::default(),
            seats: Vec::new(),
            armed: None,
            parted: None,
        }
    }

    /// Whether it takes part in chat, rather than only being told that the server is full.
    pub(super) const fn is_client(&self) -> bool {
        !self.turned_away
    }

    /// How its lines are worded and delimited.
    pub(super) const fn encoding(&self) -> Encoding {
        Encoding { style: self.style, framing: self.session.framing() }
    }

    pub(super) fn seat(&self, room: RoomId) -> Option<Seat> {
        self.seats.iter().find(|seat| seat.room == room).copied()
    }
}
