//! The table of connected sockets, one place for each slot of the engine.
//!
//! A poller key is slot and generation, so that a stale event of a connection that ended in the same turn has no
//! effect.

use std::io::{self, IoSlice};
use std::time::Duration;

use super::drive::Sockets;
use super::gauge::TurnTime;
use super::socket::Socket;
use crate::clock::Clock;
use crate::config::settings::Keepalive;
use crate::engine::{CloseMode, READ_BUDGET, Wants, WriteError};
use crate::id::Slot;
use crate::model::snapshot::Kernel;
use crate::poller::{Interest, Poller, Watched};

/// All connected sockets.
#[derive(Debug)]
pub(super) struct Table {
    places: Vec<Option<Connected>>,
    generations: u32,
    /// `TCP_KEEPIDLE` of a peer that has sent FIN and continues to receive.
    half_closed_idle: Duration,
    buffer: Box<[u8]>,
    pub(super) time: TurnTime,
}

/// A socket and what the loop knows about it.
#[derive(Debug)]
pub(super) struct Connected {
    socket: Registered,
    generation: u32,
    pub(super) writable: Writable,
    pub(super) idle_wakes: IdleWakes,
}

/// Consecutive wake-ups of one socket without progress that show a bug; the socket is then closed.
pub(super) const IDLE_WAKES_MAX: u16 = 1_000;

/// Counts consecutive wake-ups without progress.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdleWakes(u16);

impl IdleWakes {
    /// Counts a wake-up that made this progress; `true` if there were too many without any.
    pub(super) const fn are_too_many(&mut self, progress: usize) -> bool {
        self.0 = if progress > 0 { 0 } else { self.0.saturating_add(1) };
        self.0 >= IDLE_WAKES_MAX
    }
}

/// Consecutive writable events after which the kernel took nothing. After that many, the socket is polled instead.
const FALSE_EVENTS_MAX: u8 = 16;

/// Whether to try a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writable {
    Yes,
    /// The kernel took no more; wait for a writable event. The last `false_events` of these led to no write.
    Wait {
        false_events: u8,
    },
    /// The writable event arrived.
    Retry {
        false_events: u8,
    },
    /// Writable events keep arriving although the kernel takes nothing (`ENOBUFS`, or no memory left for TCP). Waiting
    /// for them would spin, so each look at Send-Q tries a write.
    Poll,
}

impl Writable {
    /// The state after a write of which the kernel took nothing.
    const fn after_nothing(self) -> Self {
        match self {
            Self::Yes => Self::Wait { false_events: 0 },
            Self::Retry { false_events } if false_events < FALSE_EVENTS_MAX => {
                Self::Wait { false_events: false_events + 1 }
            }
            Self::Retry { .. } | Self::Poll => Self::Poll,
            Self::Wait { .. } => self,
        }
    }

    /// Handles a writable event; `true` if the socket waited for it.
    pub(super) const fn became_writable(&mut self) -> bool {
        let Self::Wait { false_events } = *self else { return false };
        *self = Self::Retry { false_events };
        true
    }
}

/// Whether the poller watches the socket. After both FINs, a watched socket would report a hang-up in every turn.
#[derive(Debug)]
enum Registered {
    Watched(Watched<Socket>),
    Apart(Socket),
}

impl Registered {
    fn socket(&self) -> &Socket {
        match self {
            Self::Watched(socket) => socket,
            Self::Apart(socket) => socket,
        }
    }

    fn close(self) {
        match self {
            Self::Watched(watched) => watched.close(),
            Self::Apart(socket) => drop(socket),
        }
    }

    fn into_socket(self) -> Socket {
        match self {
            Self::Watched(watched) => watched.into_inner(),
            Self::Apart(socket) => socket,
        }
    }
}

impl Table {
    pub(super) fn new(keepalive: &Keepalive, clock: Clock) -> Self {
        Self {
            places: Vec::new(),
            generations: 0,
            half_closed_idle: keepalive.idle_half_closed.min(keepalive.idle),
            buffer: vec![0; READ_BUDGET].into_boxed_slice(),
            time: TurnTime::new(clock),
        }
    }

    /// Gives an accepted socket its place, also if the poller cannot watch it, which is the error.
    pub(super) fn seat(&mut self, slot: Slot, socket: Socket, poller: &Poller) -> io::Result<()> {
        self.generations = (self.generations + 1) % (1 << 31);
        let generation = self.generations;
        let (socket, watched) = match poller.watch(socket, key_of(slot, generation), Interest::READ) {
            Ok(watched) => (Registered::Watched(watched), Ok(())),
            Err((socket, error)) => (Registered::Apart(socket), Err(error)),
        };
        if self.places.len() <= slot.index() {
            self.places.resize_with(slot.index() + 1, || None);
        }
        self.places[slot.index()] =
            Some(Connected { socket, generation, writable: Writable::Yes, idle_wakes: IdleWakes::default() });
        watched
    }

    /// The connection of this poller key, unless it is gone.
    pub(super) fn find(&mut self, key: usize) -> Option<(Slot, &mut Connected)> {
        let slot = Slot::at(key & 0xFFFF_FFFF);
        let conn = self.get_mut(slot)?;
        (key_of(slot, conn.generation) == key).then_some((slot, conn))
    }

    /// Applies to peers that end their input from now on.
    pub(super) fn set_keepalive(&mut self, keepalive: &Keepalive) {
        self.half_closed_idle = keepalive.idle_half_closed.min(keepalive.idle);
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Connected> {
        self.places.get_mut(slot.index())?.as_mut()
    }

    /// The kernel's queues of a connection.
    pub(super) fn queues(&self, slot: Slot) -> Option<Kernel> {
        self.get(slot)?.socket.socket().queues()
    }

    fn get(&self, slot: Slot) -> Option<&Connected> {
        self.places.get(slot.index())?.as_ref()
    }

    fn socket(&self, slot: Slot) -> io::Result<&Socket> {
        // The engine names no slot whose socket is closed; if it did, this error would close the connection.
        self.get(slot).map(|conn| conn.socket.socket()).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Sockets for Table {
    fn read(&mut self, slot: Slot, most: usize) -> io::Result<&[u8]> {
        let Some(Some(conn)) = self.places.get(slot.index()) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let most = most.min(self.buffer.len());
        let count = conn.socket.socket().read(&mut self.buffer[..most])?;
        Ok(&self.buffer[..count])
    }

    fn write(&mut self, slot: Slot, slices: &[IoSlice<'_>]) -> Result<usize, WriteError> {
        let Some(conn) = self.get_mut(slot) else {
            return Err(WriteError::Failed(io::ErrorKind::NotConnected.into()));
        };
        let written = conn.socket.socket().write(slices);
        match written {
            Ok(_) => conn.writable = Writable::Yes,
            Err(WriteError::Blocked) => conn.writable = conn.writable.after_nothing(),
            Err(WriteError::Failed(_)) => {}
        }
        written
    }

    fn is_blocked(&self, slot: Slot, wants: Wants) -> bool {
        self.get(slot).is_some_and(|conn| match conn.writable {
            Writable::Yes | Writable::Retry { .. } => false,
            Writable::Wait { .. } => true,
            Writable::Poll => !wants.probe,
        })
    }

    fn set_blocked(&mut self, slot: Slot) {
        if let Some(conn) = self.get_mut(slot)
            && conn.writable == Writable::Yes
        {
            conn.writable = Writable::Wait { false_events: 0 };
        }
    }

    fn finish(&mut self, slot: Slot) -> io::Result<()> {
        self.socket(slot)?.finish()
    }

    fn send_q(&self, slot: Slot) -> u32 {
        self.socket(slot).map_or(0, Socket::send_q)
    }

    fn take_error(&mut self, slot: Slot) -> Option<io::Error> {
        self.get(slot)?.socket.socket().take_error()
    }

    fn has_ended(&self, slot: Slot) -> bool {
        self.socket(slot).is_ok_and(Socket::has_ended)
    }

    fn peek(&self, slot: Slot, most: usize) -> Vec<u8> {
        self.socket(slot).map_or_else(|_| Vec::new(), |socket| socket.peek(most))
    }

    fn watch(&mut self, slot: Slot, wants: Wants) -> io::Result<()> {
        let Some(place) = self.places.get_mut(slot.index()) else { return Ok(()) };
        let Some(conn) = place else { return Ok(()) };
        if wants.events {
            return match &mut conn.socket {
                Registered::Watched(watched) => watched.set_interest(interest(wants, conn.writable)),
                Registered::Apart(_) => Ok(()),
            };
        }
        if let Some(Connected { socket, generation, writable, idle_wakes }) = place.take() {
            let socket = Registered::Apart(socket.into_socket());
            *place = Some(Connected { socket, generation, writable, idle_wakes });
        }
        Ok(())
    }

    fn probe_peer_sooner(&mut self, slot: Slot) {
        if let Ok(socket) = self.socket(slot) {
            // If it fails, the peer is probed later, after the usual idle time.
            let _ = socket.set_keepalive_idle(self.half_closed_idle);
        }
    }

    fn is_late(&mut self) -> bool {
        self.time.is_over()
    }

    fn close(&mut self, slot: Slot, close_mode: CloseMode) {
        let Some(conn) = self.places.get_mut(slot.index()).and_then(Option::take) else { return };
        if close_mode == CloseMode::Reset {
            conn.socket.socket().reset_when_closed();
        }
        conn.socket.close();
    }
}

const fn key_of(slot: Slot, generation: u32) -> usize {
    (generation as usize) << 32 | slot.index()
}

fn interest(wants: Wants, writable: Writable) -> Interest {
    Interest { read: wants.read, write: wants.write && matches!(writable, Writable::Wait { .. }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Writable = Writable::Wait { false_events: 0 };

    /// The state after this number of writable events without a write.
    fn after_false_events(count: u8) -> Writable {
        (0..count).fold(WAIT, |writable, _| match writable {
            Writable::Wait { false_events } => Writable::Retry { false_events }.after_nothing(),
            other => other,
        })
    }

    /// A table with one connected socket at slot 0, the key of the socket, and its peer.
    fn seated(poller: &Poller) -> (Table, usize, std::net::TcpStream) {
        let mut table = Table::new(&crate::config::settings::Config::default().keepalive, Clock::start());
        let peer = seat_another(&mut table, poller);
        let key = key_of(Slot(0), table.generations);
        (table, key, peer)
    }

    fn seat_another(table: &mut Table, poller: &Poller) -> std::net::TcpStream {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        table.seat(Slot(0), Socket::new(accepted.into(), true), poller).unwrap();
        peer
    }

    #[test]
    fn a_stale_event_does_not_reach_the_next_socket_in_the_same_place() {
        let poller = Poller::new().unwrap();
        let (mut table, key, _peer) = seated(&poller);
        assert!(table.find(key).is_some());
        table.close(Slot(0), CloseMode::Close);
        assert!(table.find(key).is_none());
        let _other = seat_another(&mut table, &poller);
        assert!(table.find(key).is_none(), "the generation differs");
        assert!(table.find(key_of(Slot(0), table.generations)).is_some());
    }

    #[test]
    fn a_socket_that_wants_no_events_does_not_report_a_hang_up() {
        let poller = Poller::new().unwrap();
        let (mut table, _, peer) = seated(&poller);
        let mut events = crate::poller::Events::with_capacity(std::num::NonZeroUsize::MIN);
        table.finish(Slot(0)).unwrap();
        peer.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(poller.wait(&mut events, Some(Duration::from_secs(10))).unwrap(), 1, "it hangs up");
        let wants =
            Wants { read: false, write: false, fin: false, events: false, probe: true, close_mode: None };
        table.watch(Slot(0), wants).unwrap();
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0, "and is not watched any more");
        assert_eq!(table.send_q(Slot(0)), 0, "it is still there");
    }

    #[test]
    fn a_thousand_wake_ups_without_progress_are_a_bug() {
        let mut wakes = IdleWakes::default();
        for progress in [1, 7] {
            assert!((1..IDLE_WAKES_MAX).all(|_| !wakes.are_too_many(0)));
            assert!(!wakes.are_too_many(progress), "progress resets the count");
        }
        assert_eq!((1..2_000).find(|_| wakes.are_too_many(0)), Some(IDLE_WAKES_MAX));
    }

    #[test]
    fn after_sixteen_false_writable_events_a_socket_is_polled() {
        assert_eq!(Writable::Yes.after_nothing(), WAIT);
        let last = after_false_events(FALSE_EVENTS_MAX);
        assert_eq!(last, Writable::Wait { false_events: FALSE_EVENTS_MAX });
        assert_eq!(after_false_events(FALSE_EVENTS_MAX + 1), Writable::Poll);
        assert_eq!(Writable::Poll.after_nothing(), Writable::Poll);
    }
}
