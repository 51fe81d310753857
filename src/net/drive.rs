//! Reads sockets for the engine, and makes each socket do what its session wants. Every step looks at what a session
//! wants now, so nothing is forgotten and nothing is done twice.
//!
//! The sockets are behind a trait: the reactor has real ones, the tests' World a simulated kernel for each client. The
//! turn is the same.

use std::io::{self, IoSlice};

use crate::engine::{CloseMode, Engine, Flushed, READ_BUDGET, Wants, WriteError};
use crate::id::Slot;

/// Bytes offered to one peer in one write, of which a turn may do [`PASSES_MAX`].
const WRITE_BUDGET: usize = 64 * 1024;
/// How often one turn goes over what became dirty by its own work; the rest is the next turn's.
const PASSES_MAX: usize = 4;
/// Connections that are let in after they have waited, in one turn.
const LET_IN_MAX: usize = 64;
/// Bytes read in one turn from one socket that is broken.
const BROKEN_READ_BUDGET: usize = 4 * 1024 * 1024;
/// Bytes in the kernel that are looked at when patience with a sender is judged: more than the default receive buffer
/// holds, of which Linux makes twice what was asked for (socket(7)).
const PEEK_MAX: usize = 256 * 1024;

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

/// How far a socket is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadTo {
    /// One read: there is a next turn.
    Once,
    /// All that there is: the socket is broken, and is reported as readable in every turn.
    TheEnd,
}

/// What reading came to.
struct ReadResult {
    /// Bytes read, and one more for an end or an error.
    progress: usize,
    /// There is no more to read, and no error has given a reason.
    is_exhausted: bool,
    /// The last read gave 0, which is the end of input only if the socket has not failed.
    is_at_end: bool,
}

/// Does what has its deadline at or before now.
pub fn handle_timeout(engine: &mut Engine, sockets: &impl Sockets) {
    engine.handle_timeout();
    while let Some(slot) = engine.poll_patience() {
        engine.judge_patience(slot, &sockets.peek(slot, PEEK_MAX));
    }
}

/// Makes every socket that may have to do something do what its session wants, for as long as the turn may go on. The
/// last step of a turn: what is left unsent is held to the limits. `dirty` is kept by the caller for its memory.
pub fn reconcile(engine: &mut Engine, sockets: &mut impl Sockets, dirty: &mut Vec<Slot>) {
    let_in_waiting(engine, sockets);
    let mut is_behind = false;
    for _ in 0..PASSES_MAX {
        engine.settle();
        engine.take_dirty(dirty);
        if dirty.is_empty() {
            break;
        }
        close_finished(engine, dirty, sockets);
        // Connections that were closed leave rooms: those lines are written with the rest.
        engine.settle();
        engine.sort_dirty(dirty);
        is_behind = flush_all(engine, dirty, sockets);
        if is_behind {
            break;
        }
    }
    engine.end_turn(is_behind);
}

/// Lets in connections that have waited for their turn. One that has ended meanwhile and sent nothing is dropped, and
/// takes nothing of the rate of its address.
fn let_in_waiting(engine: &mut Engine, sockets: &impl Sockets) {
    for _ in 0..LET_IN_MAX {
        let Some(slot) = engine.poll_let_in() else { return };
        engine.let_in(slot, sockets.has_ended(slot));
    }
}

/// Flushes one connection after the other until the turn is late. The rest is first in the next turn; `true` if there is
/// a rest.
fn flush_all(engine: &mut Engine, dirty: &mut Vec<Slot>, sockets: &mut impl Sockets) -> bool {
    for at in 0..dirty.len() {
        flush_one(engine, dirty[at], sockets);
        if sockets.is_late() && at + 1 < dirty.len() {
            dirty.drain(..=at);
            return engine.touch_first(dirty);
        }
    }
    false
}

/// Reads once; a broken socket is read to its end, because it is reported as readable in every turn. Returns the bytes
/// read, and one more for an end or an error.
pub fn receive(engine: &mut Engine, slot: Slot, is_broken: bool, sockets: &mut impl Sockets) -> usize {
    // Asked before the output is given up. A hang-up means that both FINs were sent; the peer's is read below.
    let has_sent_fin = engine.has_sent_fin(slot);
    if is_broken && engine.is_waiting(slot) {
        fail_broken(engine, slot, has_sent_fin, false, sockets);
        return 1;
    }
    if is_broken {
        engine.lose_output(slot);
    }
    let to = if is_broken { ReadTo::TheEnd } else { ReadTo::Once };
    let result = read(engine, slot, to, sockets);
    if is_broken && result.is_exhausted {
        fail_broken(engine, slot, has_sent_fin, result.is_at_end, sockets);
    }
    result.progress
}

fn read(engine: &mut Engine, slot: Slot, to: ReadTo, sockets: &mut impl Sockets) -> ReadResult {
    let mut progress = 0;
    loop {
        let most = engine.read_budget(slot);
        // A peer that has gone cannot wait for room: what is beyond it is lost.
        let is_cut_short = most < READ_BUDGET;
        match sockets.read(slot, most) {
            Ok([]) if to == ReadTo::TheEnd => {
                return ReadResult { progress: progress + 1, is_exhausted: true, is_at_end: true };
            }
            Ok([]) => {
                engine.handle_eof(slot);
                engine.touch(slot);
                if engine.is_half_closed(slot) {
                    sockets.probe_peer_sooner(slot);
                }
                return ReadResult { progress: progress + 1, is_exhausted: true, is_at_end: true };
            }
            Ok(bytes) => {
                progress += bytes.len();
                engine.handle_bytes(slot, bytes);
                if to == ReadTo::Once || is_cut_short || progress >= BROKEN_READ_BUDGET {
                    return ReadResult { progress, is_exhausted: is_cut_short, is_at_end: false };
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return ReadResult { progress, is_exhausted: true, is_at_end: false };
            }
            Err(error) => {
                engine.handle_error(slot, &error);
                return ReadResult { progress: progress + 1, is_exhausted: false, is_at_end: false };
            }
        }
    }
}

/// A hang-up before our FIN, or an error: no peer is there to write to. After our FIN a hang-up is no error: the kernel
/// goes on sending what it holds for the peer. The first error is the reason: after it a read gives 0, as at the end of
/// input.
fn fail_broken(
    engine: &mut Engine,
    slot: Slot,
    has_sent_fin: bool,
    is_at_end: bool,
    sockets: &mut impl Sockets,
) {
    if let Some(error) = sockets.take_error(slot) {
        return engine.handle_error(slot, &error);
    }
    if is_at_end {
        engine.handle_eof(slot);
        engine.touch(slot);
    }
    if !has_sent_fin {
        engine.handle_error(slot, &io::ErrorKind::BrokenPipe.into());
    }
}

/// Closes the sockets of sessions that are over, until the turn is late. The rest is closed in the next turn.
fn close_finished(engine: &mut Engine, dirty: &[Slot], sockets: &mut impl Sockets) {
    for slot in dirty {
        let Some(close_mode) = engine.close_mode(*slot) else { continue };
        sockets.close(*slot, close_mode);
        engine.handle_closed(*slot);
        if sockets.is_late() {
            return;
        }
    }
}

/// Writes, sends FIN, looks at Send-Q, asks for events, and notes the next deadline.
fn flush_one(engine: &mut Engine, slot: Slot, sockets: &mut impl Sockets) {
    let Some(wants) = engine.wants(slot) else { return };
    if wants.close_mode.is_some() {
        return engine.touch(slot);
    }
    if wants.write && !sockets.is_blocked(slot, wants) {
        match engine.flush(slot, WRITE_BUDGET, |slices| sockets.write(slot, slices)) {
            Flushed::All => {}
            Flushed::More => engine.touch(slot),
            Flushed::Blocked => sockets.set_blocked(slot),
            Flushed::Failed(error) => {
                engine.lose_output(slot);
                // What the peer sent before the failure is read; the 0 that follows is no end of input.
                read(engine, slot, ReadTo::TheEnd, sockets);
                if engine.close_mode(slot).is_none() {
                    engine.handle_error(slot, &error);
                }
                return;
            }
        }
    }
    let Some(mut wants) = engine.wants(slot) else { return };
    if wants.fin {
        debug_assert!(!wants.write, "FIN follows everything that is unsent");
        match sockets.finish(slot) {
            Ok(()) => engine.handle_fin_sent(slot),
            Err(error) => engine.handle_error(slot, &error),
        }
        let Some(now_wants) = engine.wants(slot) else { return };
        wants = now_wants;
    }
    if wants.probe {
        // After both FINs the socket is not watched, or not for much longer: no event tells of an error. For all others
        // an event does, and its handler must find the error: to ask for it is to take it away.
        let error = if wants.events { None } else { sockets.take_error(slot) };
        match error {
            Some(error) => engine.handle_error(slot, &error),
            None => engine.handle_send_q(slot, sockets.send_q(slot)),
        }
        let Some(now_wants) = engine.wants(slot) else { return };
        wants = now_wants;
    }
    if wants.close_mode.is_none() {
        if let Err(error) = sockets.watch(slot, wants) {
            engine.handle_error(slot, &error);
        }
        engine.arm(slot);
    }
}
