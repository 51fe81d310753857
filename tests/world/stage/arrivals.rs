//! Those who wait to be accepted, and a process that has no descriptor left for them.
//!
//! What happens then is what the reactor does: one of them gets a line from the descriptor held back for that, and
//! accepting pauses. Operators wait.

use std::collections::VecDeque;
use std::time::Duration;

use chatops::config::settings::{Config, LogLevel};
use chatops::model::snapshot;
use chatops::time::Moment;
use chatops::wire::framing::Framing;

use super::{Client, World, peer_at};

/// How long accepting pauses when there is no descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The line to a client that connects then.
const FULL: &[u8] = b"!! the server is full; try again later";

/// Connections that the kernel has completed and the server has not accepted.
pub(super) struct Arrivals {
    clients: VecDeque<(Client, u16, snapshot::Peer)>,
    operators: VecDeque<Client>,
    /// Of each listener.
    framings: Vec<Framing>,
    is_exhausted: bool,
    again: Option<Moment>,
}

impl Arrivals {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            clients: VecDeque::new(),
            operators: VecDeque::new(),
            framings: config.listen.0.iter().map(|listen| listen.framing).collect(),
            is_exhausted: false,
            again: None,
        }
    }

    /// When accepting goes on, if it pauses.
    pub(super) fn again(&self) -> Option<Moment> {
        self.again
    }
}

impl World {
    /// Somebody connects from an address to the listener with this number, and waits to be accepted.
    pub(crate) fn arrive_on(&mut self, listener: u16, address: &str) -> Client {
        let client = self.appear();
        self.arrivals.clients.push_back((client, listener, peer_at(address)));
        client
    }

    /// Somebody connects to the control socket, and waits to be accepted.
    pub(crate) fn arrive_operator(&mut self) -> Client {
        let client = self.appear();
        self.arrivals.operators.push_back(client);
        client
    }

    /// Whether the process has no descriptor left (accept(2): `EMFILE`).
    pub(crate) fn set_exhausted(&mut self, on: bool) {
        self.arrivals.is_exhausted = on;
    }

    /// Whether the poller reports a listener.
    pub(super) fn can_accept(&self) -> bool {
        let is_pausing = self.arrivals.again.is_some_and(|again| again > self.moment);
        let clients = !self.arrivals.clients.is_empty() && !self.engine.is_closed_to_newcomers();
        !is_pausing && (clients || !self.arrivals.operators.is_empty())
    }

    pub(super) fn accept(&mut self) {
        if self.engine.is_stopping() {
            self.close_listeners();
        }
        while self.can_accept() {
            self.moved = true;
            self.arrivals.again = None;
            if self.arrivals.is_exhausted {
                return self.refuse_one();
            }
            if let Some(client) = self.arrivals.operators.pop_front() {
                self.admit_operator(client);
            } else if let Some((client, listener, from)) = self.arrivals.clients.pop_front() {
                self.admit(client, listener, from);
            }
        }
        if self.arrivals.again.is_some_and(|again| again <= self.moment) {
            self.arrivals.again = None;
        }
    }

    fn refuse_one(&mut self) {
        self.arrivals.again = Some(self.moment + ACCEPT_PAUSE);
        self.engine.note(LogLevel::Error, "cannot accept: no descriptor left; trying again".to_owned());
        if self.engine.is_closed_to_newcomers() {
            return;
        }
        let Some((client, listener, _)) = self.arrivals.clients.pop_front() else { return };
        let mut word = Vec::new();
        self.arrivals.framings[usize::from(listener)]
            .encode_whole(&mut word, |text| text.extend_from_slice(FULL));
        let peer = self.peer(client);
        peer.outbound.extend(word);
        // Whoever has reset already reads neither the word nor the FIN.
        let _ = peer.finish();
    }

    /// Whoever still waits is cut off by the kernel.
    fn close_listeners(&mut self) {
        for (client, ..) in std::mem::take(&mut self.arrivals.clients) {
            self.peer(client).resets();
        }
    }
}
