//! Getters of a session.

use super::connection::{Counters, Input, Output, Session, Tail};
use super::hold::Hold;
use super::timeline::Milestone;
use super::timers::Timer;
use super::{CloseReason, Phase};
use crate::time::Moment;
use crate::wire::framing::Framing;
use crate::wire::outbox::Outbox;

impl Session {
    /// Where the connection stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The direction from the peer.
    #[must_use]
    pub const fn input(&self) -> Input {
        self.input
    }

    /// The direction to the peer.
    #[must_use]
    pub const fn output(&self) -> Output {
        self.output
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What it has unsent.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// How its messages are delimited, in both directions.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framer.framing()
    }

    /// Whether its input ended inside a message, which was dropped: one with a length before it, or a record.
    #[must_use]
    pub const fn ended_incomplete(&self) -> bool {
        matches!(self.tail, Tail::Dropped)
    }

    /// When it was accepted.
    #[must_use]
    pub const fn since(&self) -> Moment {
        self.since
    }

    /// When it last sent anything, to the tenth of a second.
    #[must_use]
    pub const fn last_received(&self) -> Moment {
        self.last_received.moment()
    }

    /// When its input ended, if it has, to the tenth of a second.
    #[must_use]
    pub const fn eof_at(&self) -> Moment {
        self.eof_at.moment()
    }

    /// Bytes received and not yet parsed.
    #[must_use]
    pub fn inbox_bytes(&self) -> usize {
        self.framer.held_bytes()
    }

    /// Send-Q when last looked at.
    #[must_use]
    pub const fn send_q(&self) -> u32 {
        self.send_q
    }

    /// Since when it floods, if it is not read for it now.
    #[must_use]
    pub fn flow_since(&self) -> Option<Moment> {
        self.flood.as_ref().filter(|_| self.hold == Hold::Flood).map(|flood| flood.since.moment())
    }

    /// Whether the operator shut a direction of it.
    #[must_use]
    pub const fn is_shut_by_operator(&self) -> bool {
        self.shut_by_operator
    }

    /// Whether it has sent a telnet command.
    #[must_use]
    pub fn speaks_telnet(&self) -> bool {
        self.telnet.spoken()
    }

    /// The name of its terminal, scrubbed, if the client sent it (RFC 1091).
    #[must_use]
    pub fn terminal(&self) -> Option<&str> {
        self.telnet.terminal()
    }

    /// Columns and rows of its window, if the client sent them; 0 is "unknown" (RFC 1073).
    #[must_use]
    pub fn window(&self) -> Option<(u16, u16)> {
        self.telnet.window()
    }

    /// What happened to it, oldest first.
    pub fn milestones(&self) -> impl Iterator<Item = &(Moment, Milestone)> {
        self.timeline.iter()
    }

    /// Why it ends, once that is known.
    #[must_use]
    pub fn reason(&self) -> Option<&CloseReason> {
        self.closing.as_ref().map(|closing| &closing.reason)
    }

    /// Whether its input has ended and it stays to receive.
    #[must_use]
    pub fn stays_half_closed(&self) -> bool {
        self.phase == Phase::Eof && (self.listens || self.timers.is_set(Timer::HalfClose))
    }

    /// Whether it asked to stay after half-close.
    #[must_use]
    pub const fn listens(&self) -> bool {
        self.listens
    }
}
