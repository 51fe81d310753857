//! Reads sockets for the engine, and makes each socket do what its session wants. Every step looks at what a session
//! wants now, so that no effect is lost and none happens twice.
//!
//! [`Sockets`] is a trait: the reactor implements it with real sockets, and tests with a simulated kernel for each
//! client.

use std::io::{self, IoSlice};

use crate::engine::{CloseMode, Engine, Flushed, READ_BUDGET, Wants, WriteError};
use crate::id::Slot;

/// Bytes offered to one peer in one write; a turn may have [`PASSES_MAX`] of these.
const WRITE_BUDGET: usize = 64 * 1024;
/// Passes over sessions that became dirty in this turn; the rest waits for the next turn.
const PASSES_MAX: usize = 4;
/// Waiting connections that are let in in one turn.
const LET_IN_MAX: usize = 64;
/// Bytes read in one turn from one socket that is broken.
const BROKEN_READ_BUDGET: usize = 4 * 1024 * 1024;
/// Unread bytes that are examined to judge patience with a sender: more than the default receive buffer holds, which
/// Linux makes twice the size that was asked for (socket(7)).
const PEEK_MAX: usize = 256 * 1024;

/// The sockets of all connections, by the slots that the engine gave them. No method blocks.
pub trait Sockets {
    /// Reads once, at most `most` bytes; an empty result is the end of input (read(2)).
    ///
    /// # Errors
    ///
    /// Those of read(2); `WouldBlock` if there is nothing to read now.
    fn read(&mut self, slot: Slot, most: usize) -> io::Result<&[u8]>;

    /// Writes once, and returns the number of bytes that the kernel took.
    ///
    /// # Errors
    ///
    /// The implementation decides which errors of the system pass (`Blocked`) and which end the output (`Failed`).
    fn write(&mut self, slot: Slot, slices: &[IoSlice<'_>]) -> Result<usize, WriteError>;

    /// Whether a write is not worth a try: the last one was blocked, or [`Sockets::set_blocked`] was called, and no
    /// event has reported the socket as writable since then. If such events lead to no write again and again, they are
    /// ignored: then a write is tried only when `wants` asks for a look at Send-Q.
    fn is_blocked(&self, slot: Slot, wants: Wants) -> bool;

    /// The kernel took less than it was offered by the last write.
    fn set_blocked(&mut self, slot: Slot);

    /// Sends FIN after the bytes in Send-Q.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    fn finish(&mut self, slot: Slot) -> io::Result<()>;

    /// Send-Q, in bytes.
    fn send_q(&self, slot: Slot) -> u32;

    /// Takes the pending error of a socket, if any (`SO_ERROR`).
    fn take_error(&mut self, slot: Slot) -> Option<io::Error>;

    /// Whether the peer has ended its input and no bytes are left to read. Reads nothing.
    fn has_ended(&self, slot: Slot) -> bool;

    /// The unread input, at most `most` bytes. It stays unread.
    fn peek(&self, slot: Slot, most: usize) -> Vec<u8>;

    /// Asks for the events that the session wants: readable ones if it reads, writable ones if it writes and is
    /// blocked, and none at all, not even hang-ups, unless it wants events.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    fn watch(&mut self, slot: Slot, wants: Wants) -> io::Result<()>;

    /// Makes keepalive probe this peer sooner: it has ended its input and continues to receive.
    fn probe_peer_sooner(&mut self, slot: Slot);

    /// Closes the socket and frees its place.
    fn close(&mut self, slot: Slot, close_mode: CloseMode);

    /// Whether the rest of the work must wait for the next turn. Called after each connection that was served.
    fn is_late(&mut self) -> bool;
}

/// How much of a socket is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadTo {
    /// One read; the rest is read in the next turn.
    Once,
    /// All input: the socket is broken and would be reported as readable in every turn.
    TheEnd,
}

/// The result of reading a socket.
struct ReadResult {
    /// Bytes read, and one more for an end or an error.
    progress: usize,
    /// No more can be read, and no error has given a close reason.
    is_exhausted: bool,
    /// The last read gave 0, which is the end of input only if the socket has not failed.
    is_at_end: bool,
}

/// Handles all deadlines at or before now.
pub fn handle_timeout(engine: &mut Engine, sockets: &impl Sockets) {
    engine.handle_timeout();
    while let Some(slot) = engine.poll_patience() {
        engine.judge_patience(slot, &sockets.peek(slot, PEEK_MAX));
    }
}

/// Makes the socket of every dirty session do what the session wants, until the turn is late. This is the last step of
/// a turn: then outboxes are cut to their limits. The caller keeps `dirty` only to reuse its memory.
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
        // Closed connections leave their rooms; the lines about that are written with the rest.
        engine.settle();
        is_behind = flush_all(engine, dirty, sockets);
        if is_behind {
            break;
        }
    }
    engine.end_turn(is_behind);
}

/// Lets in connections that have waited for their turn. A connection that has ended meanwhile and sent nothing is
/// dropped and does not count for the rate of its address.
fn let_in_waiting(engine: &mut Engine, sockets: &impl Sockets) {
    for _ in 0..LET_IN_MAX {
        let Some(slot) = engine.poll_let_in() else { return };
        engine.let_in(slot, sockets.has_ended(slot));
    }
}

/// Flushes connections until the turn is late. The rest comes first in the next turn; returns whether there is a rest.
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
    // Read before the output is given up. A hang-up means that both FINs were sent; the peer's is read below.
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
        // A peer that is gone cannot wait for room in the inbox: the bytes that do not fit are lost.
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

/// Handles an error, or a hang-up before our FIN: no peer is left to write to. After our FIN a hang-up is no error,
/// because the kernel continues to send its Send-Q. The first error becomes the close reason; after it, a read returns
/// 0 as at the end of input.
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

/// Writes, sends FIN, looks at Send-Q, asks for events, and arms the next deadline.
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
                // Input from before the failure is read; the 0 that follows is no end of input.
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
        // After both FINs the socket is not watched, or not for much longer, so that no event reports an error. For all
        // other sockets an event does, and its handler must find the error: reading SO_ERROR clears it.
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
