//! How much may be done and said in one turn. What was received beyond it waits for the next turn.
//!
//! What is said in a turn is written in it, or in the next ones if there is no time: it must fit into the outboxes
//! until then, or a client that reads all the time would lose lines because the server is slow. And a turn is what
//! everybody waits for: so what is done in one is counted as work, for clients and for operators.
//!
//! A part of both is kept for clients that speak to few: a crowd that speaks to a crowd has more to say than the server
//! can write in seconds. A further part is kept for operators, whose requests come last and must not wait for clients.

use crate::config::settings::Limits;

/// Bytes that may be said in one turn, in all encodings together, however large outboxes are.
const SAID_MAX: u64 = 8 * 1024 * 1024;
/// Units of work that may be done in one turn, each about a tenth of a microsecond.
const WORK_MAX: u64 = 100_000;
/// Of them, those that one session may use before it waits for the next turn.
const SESSION_WORK_MAX: u64 = WORK_MAX / 16;

/// The most members of a room whose speakers count as speaking to few.
const FEW: usize = 64;

/// Units of work for what is done again and again.
pub(super) mod work {
    /// A message, request or verb, whatever it does.
    pub(in crate::engine) const MESSAGE: u64 = 10;
    /// A piece of a room's lines, queued for one reader.
    pub(in crate::engine) const PIECE: u64 = 1;
    /// A line made for one reader alone.
    pub(in crate::engine) const OWN_LINE: u64 = 4;
    /// Bytes of such a line for one unit more.
    pub(in crate::engine) const BYTES_A_UNIT: u64 = 64;
    /// Rows that are looked at for one unit.
    pub(in crate::engine) const ROWS_A_UNIT: u64 = 4;
}

/// How much was done and said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Bytes, in all encodings together.
    pub(super) said: u64,
    /// The same, once for each reader that was to get it.
    pub(super) due: u64,
    /// Units of work.
    pub(super) work: u64,
}

/// Who asks for a part of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A client that speaks to a crowd: the last quarter is not for it.
    Crowd,
    /// A client that speaks to few, or to nobody.
    Few,
}

impl Claim {
    /// Of an answer that goes on: what it takes is kept from nobody who only says something.
    pub(super) const LONG_ANSWER: Self = Self::Crowd;

    /// The claim of a client whose room has this number of members.
    pub(super) const fn of_audience(members: usize) -> Self {
        if members <= FEW { Self::Few } else { Self::Crowd }
    }
}

/// What may still be done and said in this turn.
#[derive(Debug)]
pub(super) struct TurnBudget {
    /// When the turn began, or the first of those in a row that had no time for some connections.
    before: Usage,
    most: Usage,
    /// The work done when this turn began.
    turn_began_at: u64,
    /// Work that operators have had done in this turn.
    by_operators: u64,
}

impl TurnBudget {
    /// No more than half of one outbox, nor half of what all outboxes together may hold.
    pub(super) fn new(limits: &Limits) -> Self {
        let most = Usage {
            said: SAID_MAX.min(limits.outbox_bytes.bytes() as u64 / 2),
            due: limits.outbox_total.bytes() as u64 / 2,
            work: WORK_MAX,
        };
        Self { before: Usage::default(), most, turn_began_at: 0, by_operators: 0 }
    }

    /// Other limits from now on; what was done in this turn counts.
    pub(super) fn reconfigure(&mut self, limits: &Limits) {
        let Self { before, turn_began_at, by_operators, .. } = *self;
        *self = Self { before, turn_began_at, by_operators, ..Self::new(limits) };
    }

    /// A turn begins.
    pub(super) const fn begin(&mut self, now: Usage) {
        self.turn_began_at = now.work;
        self.by_operators = 0;
    }

    /// The work done when this turn began.
    pub(super) const fn turn_began_at(&self) -> u64 {
        self.turn_began_at
    }

    /// Everybody was written to: what is said is counted from here.
    pub(super) const fn restart(&mut self, now: Usage) {
        self.before = now;
    }

    /// An operator has had so much work done. It takes nothing of what there is for clients, who would wait for as long
    /// as operators have crowds written to.
    pub(super) const fn charge_operators(&mut self, work: u64) {
        self.by_operators += work;
        self.before.work += work;
    }

    /// Whether this turn has nothing left for `claim`.
    pub(super) const fn is_used_up(&self, now: Usage, claim: Claim) -> bool {
        const fn is_over(spent: u64, most: u64, claim: Claim) -> bool {
            spent >= if matches!(claim, Claim::Crowd) { most - most / 4 } else { most }
        }
        is_over(now.said - self.before.said, self.most.said, claim)
            || is_over(now.due - self.before.due, self.most.due, claim)
            || is_over(now.work.saturating_sub(self.before.work), self.most.work, claim)
    }

    /// Whether this turn has nothing left for requests of operators: they have a quarter more, in every turn.
    pub(super) const fn is_used_up_by_operators(&self) -> bool {
        self.by_operators >= self.most.work / 4
    }

    /// Whether one session has had its part of a turn with so much work.
    pub(super) const fn is_session_share_used_up(work: u64) -> bool {
        work >= SESSION_WORK_MAX
    }
}
