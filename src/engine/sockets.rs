//! The sockets that somebody else owns, made to do what their sessions want. Idempotent: nothing can be forgotten or
//! done twice.
//!
//! The reactor brings real sockets, the tests' world a fake kernel for each client; the turn is the same.

use std::io::{self, IoSlice};

use super::output::Flushed;
use super::server::Engine;
use crate::id::Slot;
use crate::session::{CloseMode, Wants};

/// Bytes read from one peer at each look of a turn.
pub const READ_BUDGET: usize = 64 * 1024;
/// Bytes offered to one peer in one write, of which a turn may do [`PASSES_MAX`].
const WRITE_BUDGET: usize = 64 * 1024;
/// How often one turn goes over what became dirty by its own work; the rest is the next turn's.
const PASSES_MAX: usize = 4;
/// Bytes read in one turn from one socket that is broken.
const BROKEN_READ_BUDGET: usize = 4 * 1024 * 1024;

/// The sockets of all connections, by the slots that the engine gave them. None of these waits for anything.
pub trait Sockets {
    /// Reads once, at most `most` bytes, at least one; nothing read is the end of input (read(2)).
    ///
    /// # Errors
    ///
    /// Those of read(2); `WouldBlock` says that there is nothing now.
    fn read(&mut self, slot: Slot, most: usize) -> io::Result<&[u8]>;

    /// Writes once, and gives the number of bytes that were taken.
    ///
    /// # Errors
    ///
    /// Whether it is worth trying again is for who knows the system to say.
    fn write(&mut self, slot: Slot, slices: &[IoSlice<'_>]) -> Result<usize, WriteError>;

    /// Whether a write is not worth a try: the last one was blocked, or [`Sockets::set_blocked`] was called, and no
    /// event has said since then that the socket is writable. If such events lead to nothing again and again they are
    /// not to be believed: then a write is worth a try only where `wants` asks for a look at Send-Q.
    fn is_blocked(&self, slot: Slot, wants: Wants) -> bool;

    /// The kernel took less than it was offered by the last write.
    fn set_blocked(&mut self, slot: Slot);

    /// Sends FIN after what the kernel holds.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    fn finish(&mut self, slot: Slot) -> io::Result<()>;

    /// Send-Q, in bytes.
    fn send_q(&self, slot: Slot) -> u32;

    /// The error that waits on a socket, if there is one (`SO_ERROR`): whoever asks for it takes it away.
    fn take_error(&mut self, slot: Slot) -> Option<io::Error>;

    /// Whether the peer has ended its input and nothing is there to be read before that. Reads nothing.
    fn has_ended(&self, slot: Slot) -> bool;

    /// What the peer has sent and the server has not read, at most `most` bytes of it. It stays unread.
    fn peek(&self, slot: Slot, most: usize) -> Vec<u8>;

    /// Asks for the events that the session wants: readable ones if it reads, writable ones if it writes and is
    /// blocked, and none at all, not even hang-ups, unless it wants events.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    fn watch(&mut self, slot: Slot, wants: Wants) -> io::Result<()>;

    /// The peer has ended its input and stays to receive: whether it is still there is to be found out sooner than
    /// of others.
    fn probe_peer_sooner(&mut self, slot: Slot);

    /// Closes the socket; the slot is free then.
    fn close(&mut self, slot: Slot, close_mode: CloseMode);

    /// Whether the turn has gone on for long enough, so that what is left to do is the next turn's. Asked after each
    /// connection that was served.
    fn is_late(&mut self) -> bool;
}

/// Why nothing was written.
#[derive(Debug)]
pub enum WriteError {
    /// The kernel takes nothing now; an event says when it does.
    Blocked,
    /// The socket has failed for good.
    Failed(io::Error),
}

/// How far a socket is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadTo {
    /// One read: there is a next turn.
    Once,
    /// All that there is: the socket is broken, and will never be quiet.
    TheEnd,
}

/// What reading came to.
struct Heard {
    /// Bytes read, and one more for an end or an error.
    progress: usize,
    /// There is no more to read, and no error has said why.
    is_exhausted: bool,
    /// The last read gave 0, which is the end of input only if the socket has not failed.
    is_at_end: bool,
}

impl Engine {
    /// Makes every socket that may have to do something do what its session wants, for as long as the turn may go on.
    /// The last step of a turn: what is left unsent is held to the limits.
    pub fn reconcile(&mut self, sockets: &mut impl Sockets) {
        self.is_behind = false;
        self.let_in_waiting(sockets);
        let mut dirty = std::mem::take(&mut self.reconciled);
        for _ in 0..PASSES_MAX {
            self.settle();
            self.take_dirty(&mut dirty);
            if dirty.is_empty() {
                break;
            }
            self.close_finished(&dirty, sockets);
            // Those who were buried leave rooms: their last lines go out with the rest.
            self.settle();
            self.is_behind = self.serve_all(&mut dirty, sockets);
            if self.is_behind {
                break;
            }
        }
        self.end_turn();
        self.reconciled = dirty;
    }

    /// Serves one after the other until the turn is late. Whoever is left is first in the next one; `true` if anybody
    /// is.
    fn serve_all(&mut self, dirty: &mut Vec<Slot>, sockets: &mut impl Sockets) -> bool {
        for at in 0..dirty.len() {
            self.serve(dirty[at], sockets);
            if sockets.is_late() && at + 1 < dirty.len() {
                dirty.drain(..=at);
                self.conns.touch_first(dirty);
                return !self.conns.dirty.is_empty();
            }
        }
        false
    }

    /// Reads once; a broken socket is read to its end, for it will never be quiet. Gives the bytes read, and one more
    /// for an end or an error.
    pub fn receive(&mut self, slot: Slot, is_broken: bool, sockets: &mut impl Sockets) -> usize {
        // Asked before the output is given up. A hang-up says that both FINs are there; the peer's is read below.
        let has_sent_fin = self.conns.get(slot).is_none_or(|conn| conn.session.has_sent_fin());
        if is_broken && self.is_waiting(slot) {
            self.fail_broken(slot, has_sent_fin, false, sockets);
            return 1;
        }
        if is_broken && let Some(conn) = self.conns.get_mut(slot) {
            conn.session.lose_output();
        }
        let heard = self.hear(slot, if is_broken { ReadTo::TheEnd } else { ReadTo::Once }, sockets);
        if is_broken && heard.is_exhausted {
            self.fail_broken(slot, has_sent_fin, heard.is_at_end, sockets);
        }
        heard.progress
    }

    fn hear(&mut self, slot: Slot, to: ReadTo, sockets: &mut impl Sockets) -> Heard {
        let mut progress = 0;
        loop {
            let most = self.read_budget(slot);
            // Who has gone cannot wait for room: what is beyond it is lost.
            let is_cut_short = most < READ_BUDGET;
            match sockets.read(slot, most) {
                Ok([]) if to == ReadTo::TheEnd => {
                    return Heard { progress: progress + 1, is_exhausted: true, is_at_end: true };
                }
                Ok([]) => {
                    self.handle_eof(slot);
                    self.touch(slot);
                    if self.is_half_closed(slot) {
                        sockets.probe_peer_sooner(slot);
                    }
                    return Heard { progress: progress + 1, is_exhausted: true, is_at_end: true };
                }
                Ok(bytes) => {
                    progress += bytes.len();
                    self.handle_bytes(slot, bytes);
                    if to == ReadTo::Once || is_cut_short || progress >= BROKEN_READ_BUDGET {
                        return Heard { progress, is_exhausted: is_cut_short, is_at_end: false };
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Heard { progress, is_exhausted: true, is_at_end: false };
                }
                Err(error) => {
                    self.handle_error(slot, &error);
                    return Heard { progress: progress + 1, is_exhausted: false, is_at_end: false };
                }
            }
        }
    }

    /// How much is read from `slot` at once.
    fn read_budget(&mut self, slot: Slot) -> usize {
        let Some(ahead) = self.conns.read_ahead(slot) else { return READ_BUDGET };
        self.warn_of_full_inboxes();
        ahead.min(READ_BUDGET)
    }

    /// A hang-up without our FIN, or an error: there is nobody to write to. After our FIN a hang-up is no error: the
    /// kernel goes on with what it holds for the peer.
    /// The first error is the reason: after it a read gives 0 as at the end of input.
    fn fail_broken(&mut self, slot: Slot, has_sent_fin: bool, is_at_end: bool, sockets: &mut impl Sockets) {
        if let Some(error) = sockets.take_error(slot) {
            return self.handle_error(slot, &error);
        }
        if is_at_end {
            self.handle_eof(slot);
            self.touch(slot);
        }
        if !has_sent_fin {
            self.handle_error(slot, &io::ErrorKind::BrokenPipe.into());
        }
    }

    /// Closes the sockets of sessions that are over, until the turn is late. Whoever is left comes in the next one.
    fn close_finished(&mut self, dirty: &[Slot], sockets: &mut impl Sockets) {
        for slot in dirty {
            let Some(wants) = self.wants(*slot) else { continue };
            if let Some(close_mode) = wants.close_mode {
                sockets.close(*slot, close_mode);
                self.ended(*slot);
            } else if wants.release {
                sockets.close(*slot, CloseMode::Reset);
                self.released(*slot);
            } else {
                continue;
            }
            if sockets.is_late() {
                return;
            }
        }
    }

    /// Writes, FIN, interest, deadline.
    fn serve(&mut self, slot: Slot, sockets: &mut impl Sockets) {
        let Some(wants) = self.wants(slot) else { return };
        if wants.close_mode.is_some() || wants.release {
            return self.touch(slot);
        }
        if wants.write && !sockets.is_blocked(slot, wants) {
            match self.flush(slot, WRITE_BUDGET, |slices| sockets.write(slot, slices)) {
                Flushed::All => {}
                Flushed::More => self.touch(slot),
                Flushed::Blocked => sockets.set_blocked(slot),
                Flushed::Failed(error) => {
                    if let Some(conn) = self.conns.get_mut(slot) {
                        conn.session.lose_output();
                    }
                    // What it sent before it failed is heard; the 0 that follows is no end of input.
                    self.hear(slot, ReadTo::TheEnd, sockets);
                    if self.wants(slot).is_some_and(|wants| wants.close_mode.is_none()) {
                        self.handle_error(slot, &error);
                    }
                    return;
                }
            }
        }
        self.finish(slot, sockets);
        self.probe(slot, sockets);
        if self.wants(slot).is_some_and(|wants| wants.close_mode.is_none()) {
            self.register(slot, sockets);
            self.arm(slot);
        }
    }

    /// Sends FIN, if it is time.
    fn finish(&mut self, slot: Slot, sockets: &mut impl Sockets) {
        if let Some(wants) = self.wants(slot).filter(|wants| wants.fin) {
            debug_assert!(!wants.write, "FIN goes behind everything that is unsent");
            match sockets.finish(slot) {
                Ok(()) => self.fin_sent(slot),
                Err(error) => self.handle_error(slot, &error),
            }
        }
    }

    /// Looks at Send-Q, if it is time.
    fn probe(&mut self, slot: Slot, sockets: &mut impl Sockets) {
        let Some(wants) = self.wants(slot).filter(|wants| wants.probe) else { return };
        // Who has both FINs is not watched, or not for much longer: no event tells of an error. For all others one
        // does, and it must find the error: to ask for it is to take it away.
        let error = if wants.events { None } else { sockets.take_error(slot) };
        match error {
            Some(error) => self.handle_error(slot, &error),
            None => self.handle_send_q(slot, sockets.send_q(slot)),
        }
    }

    /// Asks the poller for the events that the session wants.
    fn register(&mut self, slot: Slot, sockets: &mut impl Sockets) {
        if let Some(wants) = self.wants(slot)
            && let Err(error) = sockets.watch(slot, wants)
        {
            self.handle_error(slot, &error);
        }
    }
}
