//! A room of the engine without sockets: kernels that take everything at once.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use chatops::config::settings::Config;
use chatops::engine::{Accepted, CloseMode, Engine, Wants, WriteError};
use chatops::id::Slot;
use chatops::model::snapshot::Peer;
use chatops::net::drive::{self, Sockets};
use chatops::time::Now;

/// Kernels without a limit. What they take is counted.
#[derive(Default)]
pub(crate) struct Swallow {
    /// Bytes taken so far.
    pub(crate) bytes: usize,
}

impl Sockets for Swallow {
    fn read(&mut self, _: Slot, _: usize) -> io::Result<&[u8]> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, _: Slot, slices: &[IoSlice<'_>]) -> Result<usize, WriteError> {
        let taken = slices.iter().map(|slice| slice.len()).sum();
        self.bytes += taken;
        Ok(taken)
    }

    fn is_blocked(&self, _: Slot, _: Wants) -> bool {
        false
    }

    fn set_blocked(&mut self, _: Slot) {}

    fn finish(&mut self, _: Slot) -> io::Result<()> {
        Ok(())
    }

    fn send_q(&self, _: Slot) -> u32 {
        0
    }

    fn take_error(&mut self, _: Slot) -> Option<io::Error> {
        None
    }

    fn has_ended(&self, _: Slot) -> bool {
        false
    }

    fn peek(&self, _: Slot, _: usize) -> Vec<u8> {
        Vec::new()
    }

    fn watch(&mut self, _: Slot, _: Wants) -> io::Result<()> {
        Ok(())
    }

    fn probe_peer_sooner(&mut self, _: Slot) {}

    fn close(&mut self, _: Slot, _: CloseMode) {}

    fn is_late(&mut self) -> bool {
        false
    }
}

/// Readers and one speaker in the lobby.
pub(crate) struct Room {
    pub(crate) engine: Engine,
    pub(crate) kernels: Swallow,
    speaker: Slot,
    dirty: Vec<Slot>,
    now: Now,
}

impl Room {
    /// A room with this many readers; the speaker joins last.
    pub(crate) fn of(readers: usize) -> Self {
        let mut config = Config::default();
        config.flood.enabled = false;
        config.limits.clients = u32::MAX;
        let now = Now::default();
        let mut engine = Engine::new(&config, now);
        let peer = Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 6677)));
        let mut speaker = None;
        engine.begin_turn(now);
        for _ in 0..=readers {
            let Accepted::In(slot) = engine.accepted(0, peer) else { panic!("there is room for all") };
            speaker = Some(slot);
        }
        let speaker = speaker.expect("one at least");
        let mut room = Self { engine, kernels: Swallow::default(), speaker, dirty: Vec::new(), now };
        drive::reconcile(&mut room.engine, &mut room.kernels, &mut room.dirty);
        // The lines about the arrivals have been sent.
        for _ in 0..100 {
            room.turn(&[]);
        }
        room
    }

    /// One turn, in which the speaker sends `input`.
    pub(crate) fn turn(&mut self, input: &[u8]) {
        self.now.moment = self.now.moment + Duration::from_millis(200);
        self.engine.begin_turn(self.now);
        self.engine.handle_bytes(self.speaker, input);
        drive::handle_timeout(&mut self.engine, &self.kernels);
        drive::reconcile(&mut self.engine, &mut self.kernels, &mut self.dirty);
    }
}

/// This many lines of 64 bytes, including their ends.
pub(crate) fn lines(count: usize) -> Vec<u8> {
    format!("{:063}\n", 7).repeat(count).into_bytes()
}
