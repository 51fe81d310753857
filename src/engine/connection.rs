//! One connection as the engine knows it: its session, its ids, its cursors in the fanout.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use smallvec::SmallVec;

use crate::chat::{Nick, RoomId, Style};
use crate::id::{ConnId, Slot};
use crate::session::Session;
use crate::time::Moment;
use crate::wire::framing::Framing;

use super::encoding::Encoding;
use crate::model::snapshot::Peer;

/// A place in a room's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogCursor {
    pub(super) room: RoomId,
    pub(super) log: u32,
    pub(super) place: u32,
}

/// A [`Peer`] in half of its room, as long as its address is an IPv4 one.
#[derive(Debug)]
enum Origin {
    Unix,
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl From<Peer> for Origin {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Unix => Self::Unix,
            Peer::Tcp(SocketAddr::V4(address)) => Self::V4(address),
            Peer::Tcp(SocketAddr::V6(address)) => Self::V6(Box::new(address)),
        }
    }
}

/// What a connection is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It takes part in chat.
    Client,
    /// It was turned away at the door: only a last line is sent.
    TurnedAway,
}

/// What the slab of connections holds.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnId,
    pub(super) session: Session,
    origin: Origin,
    pub(super) listener: u16,
    /// In the dirty list.
    pub(super) dirty: bool,
    /// Among those whose lines wait for company.
    pub(super) delayed: bool,
    /// Among those whose next message waits for the next turn.
    pub(super) deferred: bool,
    pub(super) role: Role,
    /// Counts against `limits.clients` and for its address: until its socket is closed or has failed.
    pub(super) has_place: bool,
    pub(super) style: Style,
    pub(super) cursors: SmallVec<[LogCursor; 2]>,
    /// The name of one who has left the hub.
    pub(super) left_as: Option<Box<Nick>>,
}

impl Connection {
    pub(super) fn new(
        id: ConnId,
        role: Role,
        peer: Peer,
        listener: u16,
        framing: Framing,
        now: Moment,
    ) -> Self {
        let telnet = framing == Framing::Lines && matches!(peer, Peer::Tcp(_));
        Self {
            id,
            role,
            session: Session::new(now, framing, telnet),
            origin: peer.into(),
            listener,
            dirty: false,
            delayed: false,
            deferred: false,
            has_place: false,
            style: Style::default(),
            cursors: SmallVec::new(),
            left_as: None,
        }
    }

    /// Where it comes from.
    pub(super) fn peer(&self) -> Peer {
        match &self.origin {
            Origin::Unix => Peer::Unix,
            Origin::V4(address) => Peer::Tcp((*address).into()),
            Origin::V6(address) => Peer::Tcp((**address).into()),
        }
    }

    /// Whether it takes part in chat.
    pub(super) fn is_client(&self) -> bool {
        self.role == Role::Client
    }

    /// How its lines are worded and delimited.
    pub(super) const fn encoding(&self) -> Encoding {
        Encoding { style: self.style, framing: self.session.framing() }
    }

    pub(super) fn cursor(&self, room: RoomId) -> Option<LogCursor> {
        self.cursors.iter().find(|cursor| cursor.room == room).copied()
    }

    /// Puts this connection, which is `slot`, on the list of those whose socket may have something to do, once.
    pub(super) fn mark_dirty(&mut self, slot: Slot, dirty: &mut Vec<Slot>) {
        if !std::mem::replace(&mut self.dirty, true) {
            dirty.push(slot);
        }
    }
}
