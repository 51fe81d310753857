//! The output side: lines queued, writes continued, Send-Q watched, FIN, and the decision that a peer takes nothing.

use std::time::Duration;

use super::close::{CloseMode, IfUnacked};
use super::connection::{Input, Output, Session, millis};
use super::hold::Hold;
use super::timeline::Milestone;
use super::timers::Timer;
use super::{CloseReason, ConnectionLimits};
use crate::config::settings::OnFull;
use crate::time::Moment;
use crate::wire::chunks::{Chunks, Span};
use crate::wire::outbox::{Keep, Slices};

/// The first look at Send-Q after a write.
const PROBE_AFTER: Duration = Duration::from_millis(400);
/// The longest time between two looks.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// The first look at Send-Q when only the peer's acknowledgement is missing.
const SETTLE_AFTER: Duration = Duration::from_millis(5);
/// A peer that took and sent nothing for so long is called stalled.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// A long answer continues while at most this number of bytes of answers wait for their reader.
const ANSWER_AHEAD_BYTES: usize = 8 * 1024;
/// Time stamps of an outbox count tenths of a second.
const STAMP_MICROS: u64 = 100_000;
/// An outbox is held to its limit when the turn's writes are done, and above this number of bytes at once: what is said
/// in a turn is bounded without the padding of records, which can be a thousand times as much.
const TURN_BYTES_MAX: usize = 1024 * 1024 * 1024 * 2;

/// What became of an outbox that was looked at when the turn's writes were done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Lines dropped.
    pub skipped: u32,
    /// The outbox is full and `limits.on_full` says to disconnect.
    pub disconnect: bool,
    /// It has become more than half full: to be recorded, once until it drains.
    pub slow: bool,
}

impl Session {
    /// Queues `lines` whole lines that others share. `true` if the outbox is more than half full by it: it is to be
    /// bound when the turn's writes are done.
    pub fn queue_shared(
        &mut self,
        chunks: &mut Chunks,
        span: Span,
        lines: u32,
        now: Moment,
        limits: &ConnectionLimits,
    ) -> bool {
        if self.output != Output::Open {
            return false;
        }
        self.outbox.push(chunks, span, Keep::WhileRoom, stamp(now));
        self.counters.lines_out += u64::from(lines);
        self.queued(now, limits)
    }

    /// Queues one line of its own; `format` is as for [`Chunks::append`]. Answers as [`Session::queue_shared`] does.
    pub fn queue_own(
        &mut self,
        chunks: &mut Chunks,
        keep: Keep,
        now: Moment,
        limits: &ConnectionLimits,
        format: impl FnOnce(&mut Vec<u8>) -> usize,
    ) -> bool {
        if self.output != Output::Open {
            return false;
        }
        self.outbox.push_own(chunks, keep, stamp(now), format);
        self.counters.lines_out += 1;
        self.queued(now, limits)
    }

    /// Holds the outbox to its limit. Done after the turn's writes: what the kernel takes at once was never waiting,
    /// however much one turn brought.
    pub fn bound(&mut self, chunks: &mut Chunks, now: Moment, limits: &ConnectionLimits) -> Overflow {
        let mut overflow = Overflow::default();
        let excess = self.outbox.bytes().saturating_sub(limits.unsent_max());
        if excess > 0 && limits.on_full == OnFull::Disconnect {
            overflow.disconnect = true;
        } else if excess > 0 {
            overflow.skipped = self.skip(chunks, excess, now);
        }
        if self.is_slow(limits) && !self.slow_noted {
            self.slow_noted = true;
            overflow.slow = true;
        }
        overflow
    }

    /// How many bytes are to be dropped before the turn ends, because so much padding was queued in it.
    #[must_use]
    pub const fn excess_in_turn(&self) -> usize {
        let bytes = self.outbox.bytes();
        if bytes > TURN_BYTES_MAX { bytes - TURN_BYTES_MAX / 2 } else { 0 }
    }

    /// Drops the oldest lines that may be dropped, about `excess` bytes of them. Gives their number.
    pub fn skip(&mut self, chunks: &mut Chunks, excess: usize, now: Moment) -> u32 {
        let lines = self.outbox.skip(chunks, excess);
        if lines > 0 {
            self.counters.lines_out -= u64::from(lines);
            self.counters.lines_skipped = self.counters.lines_skipped.saturating_add(lines);
            self.timeline.note(now, Milestone::Skipped { lines });
        }
        lines
    }

    /// The bytes to write next; see [`crate::wire::outbox::Outbox::gather`]. `format_gap` formats the notice about skipped
    /// lines, as for [`Chunks::append`].
    pub fn gather<'a>(
        &mut self,
        chunks: &'a mut Chunks,
        budget: usize,
        out: &mut Slices<'a>,
        format_gap: impl FnOnce(u32, &mut Vec<u8>) -> usize,
    ) -> usize {
        self.outbox.format_gap(chunks, format_gap);
        self.outbox.gather(chunks, budget, out)
    }

    /// The kernel took `taken` of `offered` bytes. `true` if an answer under way may go on now, or lines that waited for
    /// room may be parsed.
    pub fn wrote(
        &mut self,
        chunks: &mut Chunks,
        taken: usize,
        offered: usize,
        now: Moment,
        limits: &ConnectionLimits,
    ) -> bool {
        self.outbox.advance(chunks, taken);
        self.counters.bytes_out += taken as u64;
        self.watch_send_q(now, limits);
        if taken < offered {
            self.note_short_write(taken, offered, now);
        } else if self.outbox.is_empty() {
            self.slow_noted = false;
            if self
                .timeline
                .ends_with(|last| matches!(last, Milestone::WouldBlock | Milestone::PartialWrite { .. }))
            {
                self.timeline.note(now, Milestone::Flushed);
            }
        }
        let waiting = self.outbox.kept_bytes();
        if self.is_answering {
            return waiting <= ANSWER_AHEAD_BYTES;
        }
        matches!(self.hold, Hold::OwnAnswers | Hold::Budget) && waiting <= limits.outbox_bytes / 2
    }

    /// Whether more lines of an answer under way may be queued. `is_crowded` says that all outboxes together are more
    /// than half full.
    #[must_use]
    pub fn takes_more_of_an_answer(&self, is_crowded: bool) -> bool {
        let waiting = self.outbox.kept_bytes();
        self.output == Output::Open && (waiting == 0 || (waiting <= ANSWER_AHEAD_BYTES && !is_crowded))
    }

    /// Our FIN is sent.
    pub fn fin_sent(&mut self, now: Moment, limits: &ConnectionLimits) {
        self.output = Output::Finned;
        self.timeline.note(now, Milestone::Fin);
        if self.input == Input::Ended {
            self.settle();
        } else {
            self.watch_send_q(now, limits);
            if self.phase == super::Phase::Draining {
                self.timers.set(Timer::LingerIdle, now + self.linger_idle());
            }
        }
    }

    /// Send-Q stands at `send_q` bytes.
    pub fn handle_send_q(&mut self, send_q: u32, now: Moment, limits: &ConnectionLimits) {
        self.probe = false;
        self.send_q = send_q;
        let acked = low_half(self.counters.bytes_out.saturating_sub(send_q.into()));
        let grown = acked.wrapping_sub(self.acked);
        if (1..=u32::MAX / 2).contains(&grown) {
            self.progress = now;
        }
        // On a Unix socket Send-Q counts the kernel's memory and may grow by more than was written: only the last
        // look is compared with.
        self.acked = acked;
        let waiting = send_q > 0 || !self.outbox.is_empty();
        if self.decide_end(waiting) {
            return;
        }
        if waiting && now.since(self.progress) >= limits.stall {
            self.reset(CloseReason::Stalled);
        } else if waiting || self.is_settling() {
            let longest = PROBE_EVERY.min(limits.stall / 4).max(Duration::from_millis(1));
            let next = millis(self.probe_after_ms * 2).clamp(SETTLE_AFTER.min(longest), longest);
            self.probe_after(next, now);
        } else {
            self.timers.cancel(Timer::Probe);
        }
    }

    /// Whether bytes wait, and since when not one more was acknowledged and nothing was received.
    #[must_use]
    pub fn stuck_since(&self) -> Option<Moment> {
        (self.timers.is_set(Timer::Probe) && (self.send_q > 0 || !self.outbox.is_empty()))
            .then_some(self.progress)
    }

    /// Whether it is stuck for long enough to be called stalled.
    #[must_use]
    pub fn is_stalled(&self, now: Moment, limits: &ConnectionLimits) -> bool {
        self.stuck_since().is_some_and(|since| now.since(since) >= STALLED_AFTER.min(limits.stall / 4))
    }

    /// Whether its outbox is more than half full.
    #[must_use]
    pub fn is_slow(&self, limits: &ConnectionLimits) -> bool {
        self.outbox.bytes() > limits.outbox_bytes / 2
    }

    /// How long the oldest unsent byte has waited.
    #[must_use]
    pub fn outbox_age(&self, now: Moment) -> Option<Duration> {
        let queued = u64::from(self.outbox.oldest_stamp()?) * STAMP_MICROS;
        Some(now.since(Moment::from_micros(queued)))
    }

    /// Both FINs are under way: only acknowledgements are missing. Seen at once, then again by timer.
    pub(super) fn settle(&mut self) {
        self.timers.cancel(Timer::LingerIdle);
        self.probe_after_ms = 0;
        self.probe = true;
    }

    /// How long it may be silent after our FIN.
    pub(super) fn linger_idle(&self) -> Duration {
        self.closing.as_ref().map_or(Duration::ZERO, |closing| closing.linger_idle)
    }

    /// Whether only acknowledgements are missing: both FINs are sent, and all that was received is parsed.
    fn is_settling(&self) -> bool {
        self.input == Input::Ended && self.output == Output::Finned && self.is_over()
    }

    /// Closes or resets where a look at Send-Q was the last thing missing.
    fn decide_end(&mut self, waiting: bool) -> bool {
        let final_probe = self.closing.as_ref().and_then(|closing| closing.final_probe);
        if !waiting && (self.is_settling() || final_probe.is_some()) {
            self.close_mode = Some(CloseMode::Close);
        } else if final_probe == Some(IfUnacked::Reset) {
            self.close_mode = Some(CloseMode::Reset);
        }
        self.close_mode.is_some()
    }

    /// Bytes are under way: Send-Q is looked at until it is empty.
    fn watch_send_q(&mut self, now: Moment, limits: &ConnectionLimits) {
        if !self.timers.is_set(Timer::Probe) && !self.probe {
            self.progress = now;
            self.probe_after(PROBE_AFTER.min(limits.stall / 4), now);
        }
    }

    fn probe_after(&mut self, wait: Duration, now: Moment) {
        self.probe_after_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        self.timers.set(Timer::Probe, now + wait);
    }

    fn queued(&mut self, now: Moment, limits: &ConnectionLimits) -> bool {
        // What is over the limit is written or dropped before the turn ends: it never waits.
        let held = u32::try_from(self.outbox.bytes().min(limits.unsent_max())).unwrap_or(u32::MAX);
        self.counters.outbox_max = self.counters.outbox_max.max(held);
        self.watch_send_q(now, limits);
        self.is_slow(limits)
    }

    fn note_short_write(&mut self, taken: usize, offered: usize, now: Moment) {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let milestone = if taken == 0 {
            Milestone::WouldBlock
        } else {
            Milestone::PartialWrite { taken: size(taken), offered: size(offered) }
        };
        self.timeline.note(now, milestone);
    }
}

/// A count that is only compared with one not long before.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
pub(super) const fn low_half(count: u64) -> u32 {
    count as u32
}

fn stamp(now: Moment) -> u32 {
    u32::try_from(now.micros() / STAMP_MICROS).unwrap_or(u32::MAX)
}
