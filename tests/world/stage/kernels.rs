//! The kernel's side of every client, as the engine works on it: what the reactor's table is with real sockets.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};

use chatops::engine::{CloseMode, Wants, WriteError};
use chatops::id::Slot;
use chatops::net::drive::Sockets;

use super::Peer;

pub(super) struct Kernels<'a> {
    peers: &'a mut [Peer],
    by_slot: &'a mut BTreeMap<Slot, usize>,
    /// Whether a byte moved, or a connection ended.
    moved: &'a mut bool,
    /// How many more are served in this turn.
    served_at_most: usize,
    /// What one read gave.
    input: Vec<u8>,
}

impl<'a> Kernels<'a> {
    pub(super) fn of(
        peers: &'a mut [Peer],
        by_slot: &'a mut BTreeMap<Slot, usize>,
        moved: &'a mut bool,
        served_at_most: usize,
    ) -> Self {
        Self { peers, by_slot, moved, served_at_most, input: Vec::new() }
    }

    fn peer(&self, slot: Slot) -> &Peer {
        &self.peers[self.by_slot[&slot]]
    }

    fn peer_mut(&mut self, slot: Slot) -> &mut Peer {
        &mut self.peers[self.by_slot[&slot]]
    }
}

impl Sockets for Kernels<'_> {
    fn read(&mut self, slot: Slot, most: usize) -> io::Result<&[u8]> {
        let peer = self.peer_mut(slot);
        let input = peer.take_inbound(most);
        if input.is_empty() && (!peer.fin || std::mem::replace(&mut peer.is_eof_read, true)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        *self.moved = true;
        self.input = input;
        Ok(&self.input)
    }

    fn write(&mut self, slot: Slot, slices: &[IoSlice<'_>]) -> Result<usize, WriteError> {
        let taken = self.peer_mut(slot).write(slices)?;
        *self.moved |= taken > 0;
        Ok(taken)
    }

    fn is_blocked(&self, slot: Slot, _: Wants) -> bool {
        self.peer(slot).blocked
    }

    fn set_blocked(&mut self, slot: Slot) {
        self.peer_mut(slot).blocked = true;
    }

    fn finish(&mut self, slot: Slot) -> io::Result<()> {
        self.peer_mut(slot).finish()
    }

    fn send_q(&self, slot: Slot) -> u32 {
        self.peer(slot).send_q()
    }

    fn take_error(&mut self, slot: Slot) -> Option<io::Error> {
        *self.moved = true;
        self.peer(slot).rst.then(|| io::ErrorKind::ConnectionReset.into())
    }

    fn has_ended(&self, slot: Slot) -> bool {
        let peer = self.peer(slot);
        peer.fin && peer.inbound.is_empty()
    }

    fn peek(&self, slot: Slot, most: usize) -> Vec<u8> {
        let is_there = self.by_slot.contains_key(&slot);
        if is_there { self.peer(slot).inbound.iter().take(most).copied().collect() } else { Vec::new() }
    }

    fn watch(&mut self, slot: Slot, wants: Wants) -> io::Result<()> {
        if !self.by_slot.contains_key(&slot) {
            return Ok(());
        }
        let peer = self.peer_mut(slot);
        peer.is_watched = wants.events;
        peer.is_read = wants.read;
        peer.is_written = wants.write && peer.blocked;
        Ok(())
    }

    fn probe_peer_sooner(&mut self, slot: Slot) {
        self.peer_mut(slot).is_probed_sooner = true;
    }

    fn close(&mut self, slot: Slot, close_mode: CloseMode) {
        *self.moved = true;
        if let Some(number) = self.by_slot.remove(&slot) {
            self.peers[number].close(close_mode);
        }
    }

    fn is_late(&mut self) -> bool {
        self.served_at_most = self.served_at_most.saturating_sub(1);
        self.served_at_most == 0
    }
}
