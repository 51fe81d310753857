//! Operators on the control socket: what their thread does with real sockets, in the world's time.
//!
//! In a turn, what they have sent is read before the server answers requests, and its answers are written after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chatops::control::{Ending, Operator};
use chatops::engine::{CloseMode, Engine};
use chatops::id::{ConnId, Slot};
use chatops::link::LinkError;
use chatops::link::onlookers::Onlookers;
use chatops::time::Moment;

use super::{Client, FakeMachine, Peer, World};

/// Bytes read from one operator at a time.
const READ_BUDGET: usize = 16 * 1024;
/// An operator's answers are made while fewer than 64 KiB of them wait, and none is longer than what it repeats of a
/// request of 8 KiB, written as JSON.
const OUTPUT_MAX: usize = (64 + 20) * 1024;

/// Both ends of the links, and the operators.
pub(crate) struct Operators {
    pub(crate) onlookers: Onlookers,
    seats: BTreeMap<usize, Seat>,
    /// There may be requests, and there may be answers.
    server_rung: Arc<AtomicBool>,
    onlookers_rung: Arc<AtomicBool>,
    stall: Duration,
}

struct Seat {
    operator: Operator,
    looked: Moment,
}

impl Seat {
    fn poll_timeout(&self) -> Option<Moment> {
        let look = self.operator.look_every().map(|span| self.looked + span);
        [look, self.operator.poll_timeout()].into_iter().flatten().min()
    }
}

impl Operators {
    pub(super) fn new(stall: Duration) -> Self {
        Self {
            onlookers: Onlookers::default(),
            seats: BTreeMap::new(),
            server_rung: Arc::default(),
            onlookers_rung: Arc::default(),
            stall,
        }
    }

    pub(super) fn are_gone(&self) -> bool {
        self.seats.is_empty()
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.seats.contains_key(&number)
    }

    /// Whether either side has something to do at once.
    pub(super) fn have_work(&self, engine: &Engine) -> bool {
        self.server_rung.load(Ordering::Relaxed)
            || self.onlookers_rung.load(Ordering::Relaxed)
            || self.onlookers.are_due(engine)
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.seats.values().filter_map(Seat::poll_timeout).min()
    }

    /// The most that waits for one of them.
    pub(super) fn largest_output(&self) -> usize {
        self.seats.values().map(|seat| seat.operator.unsent().len()).max().unwrap_or(0)
    }

    /// Lets one in; `false` if there are too many.
    pub(super) fn admit(&mut self, number: usize, peer: &mut Peer, now: Moment) -> bool {
        let [server, onlookers] = [&self.server_rung, &self.onlookers_rung].map(|rung| {
            let rung = Arc::clone(rung);
            move || rung.store(true, Ordering::Relaxed)
        });
        let Ok(link) = self.onlookers.admit((0, 0), now, server, onlookers) else { return false };
        let operator = Operator::new(link, self.stall, now);
        self.seats.insert(number, Seat { operator, looked: now });
        // No connection of the engine has this place.
        peer.admitted(Slot::at(u32::MAX as usize - number), ConnId::FIRST);
        true
    }

    /// One is readable, writable or broken.
    pub(super) fn handle_ready(&mut self, number: usize, peer: &mut Peer, now: Moment) {
        let Some(Seat { operator, .. }) = self.seats.get_mut(&number) else { return };
        if peer.is_writable() {
            peer.blocked = false;
        }
        while peer.rst || operator.wants_read() {
            let input = peer.take_inbound(READ_BUDGET);
            if input.is_empty() {
                if peer.fin && !std::mem::replace(&mut peer.is_eof_read, true) {
                    operator.handle_eof(now);
                }
                break;
            }
            operator.handle_bytes(&input, now);
            if !peer.rst {
                break;
            }
        }
        if peer.rst {
            operator.handle_loss(now);
            peer.is_watched = false;
        } else if peer.fin && peer.server_fin {
            // It hangs up from now on, again and again.
            peer.is_watched = false;
        }
    }

    /// The server's part of a turn. Whether it was asked for anything.
    pub(super) fn serve(&mut self, engine: &mut Engine) -> bool {
        let is_asked = self.server_rung.swap(false, Ordering::Relaxed) || self.onlookers.are_due(engine);
        if self.onlookers.serve(engine, &FakeMachine) {
            self.server_rung.store(true, Ordering::Relaxed);
        }
        is_asked
    }

    /// The operators' part of it: answers are taken and written. Whether anything has moved.
    pub(super) fn go_on(&mut self, peers: &mut [Peer], now: Moment) -> bool {
        let mut moved = self.onlookers_rung.swap(false, Ordering::Relaxed);
        for (number, Seat { operator, looked }) in &mut self.seats {
            let peer = &mut peers[*number];
            operator.handle_timeout(now);
            if operator.look_every().is_some_and(|span| *looked + span <= now) {
                *looked = now;
                moved = true;
                operator.handle_send_q(peer.send_q(), now);
            }
            while !peer.blocked && !operator.unsent().is_empty() {
                match peer.write(&[std::io::IoSlice::new(operator.unsent())]) {
                    Ok(count) => {
                        moved |= count > 0;
                        operator.wrote(count, now);
                    }
                    Err(chatops::engine::WriteError::Blocked) => peer.blocked = true,
                    Err(chatops::engine::WriteError::Failed(_)) => operator.handle_loss(now),
                }
            }
            if operator.wants_fin() {
                moved = true;
                match peer.finish() {
                    Ok(()) => operator.fin_sent(now),
                    Err(_) => operator.handle_loss(now),
                }
                // It may have read everything by the next turn.
                *looked = Moment::START;
            }
            peer.is_read = operator.wants_read();
            peer.is_written = peer.blocked;
            if let Some(ending) = operator.ending() {
                moved = true;
                peer.close(if ending == Ending::Close { CloseMode::Close } else { CloseMode::Reset });
            }
        }
        self.seats.retain(|_, seat| seat.operator.ending().is_none());
        moved
    }

    /// The end of the loop.
    pub(super) fn close_all(&mut self, peers: &mut [Peer], now: Moment) {
        std::mem::take(&mut self.onlookers).end(&LinkError::Ended);
        for seat in self.seats.values_mut() {
            seat.operator.handle_server_end(now, now);
        }
        self.go_on(peers, now);
        assert!(self.seats.is_empty(), "an operator outlives the server");
    }

    pub(super) fn check_turn(&self, peers: &[Peer]) {
        let largest = self.largest_output();
        assert!(largest <= OUTPUT_MAX, "an answer of {largest} bytes");
        for (number, seat) in &self.seats {
            let is_read_on = peers[*number].is_eof_read && seat.operator.wants_read();
            assert!(!is_read_on, "{number} is read after its end");
        }
    }

    /// With nothing left to happen at this moment, nothing may be left undone either.
    pub(super) fn check_quiet(&self, peers: &[Peer]) {
        for (number, Seat { operator, .. }) in &self.seats {
            let peer = &peers[*number];
            assert!(operator.unsent().is_empty() || peer.blocked, "{number} is not written to");
            assert!(!operator.wants_fin() && operator.ending().is_none(), "{number} is forgotten");
            assert_eq!(peer.is_read, operator.wants_read(), "{number} is watched as it wants");
        }
    }
}

impl World {
    pub(super) fn admit_operator(&mut self, client: Client) {
        let moment = self.moment;
        let Self { operators, peers, .. } = self;
        operators.admit(client.0, &mut peers[client.0], moment);
    }

    /// The most bytes of answers that wait for one operator.
    pub(crate) fn largest_answer(&self) -> usize {
        self.operators.largest_output()
    }

    /// Whether the server has stopped: nobody is left, or its time is up.
    pub(crate) fn is_stopped(&self) -> bool {
        let is_late = self.engine.stop_deadline().is_some_and(|end| end <= self.moment);
        self.engine.is_stopped() && (is_late || self.operators.are_gone())
    }
}
