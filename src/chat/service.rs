//! Commands that a service answers later: a thread of its own that may wait for a disk or a network.
//!
//! The hub makes a [`Job`] of such a command, and the person's next message waits. The layer above carries the job to the
//! service and the [`Reply`] back; it makes a reply itself if the service cannot answer. [`Hub::reply`] then goes on with
//! the person, who reads the lines as those of any long answer. A reply for a person who has left is dropped.

use std::borrow::Cow;

use super::long_answer::Listing;
use super::{Delivery, Hub, Message, RoomName};
use crate::id::{ConnId, Slot};

/// The most lines of a reply; the rest is dropped.
pub const REPLY_LINES_MAX: usize = 1_000;

/// What a person asks a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// For the reply.
    pub ticket: Ticket,
    /// The name of the command, without its slash.
    pub command: &'static str,
    /// All of its arguments, without white space around them.
    pub arguments: String,
    /// The rooms that the person is in, the active one last.
    pub rooms: Vec<RoomName>,
}

/// Which command of which connection is answered. No two jobs have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) slot: Slot,
    pub(super) id: ConnId,
    pub(super) number: u64,
}

impl Ticket {
    /// The slot of the connection.
    #[must_use]
    pub const fn slot(self) -> Slot {
        self.slot
    }
}

/// What a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// That of the job.
    pub ticket: Ticket,
    /// The lines, or why there are none.
    pub lines: Result<Vec<AnswerLine>, String>,
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerLine {
    /// What a person said earlier, in the form that it had.
    Message(Message),
    /// A `-- ` line.
    Notice(Cow<'static, str>),
    /// A `!! ` line.
    Refused(String),
}

impl Hub {
    /// The answer of a person's command comes later. Gives what is to be asked.
    pub(super) fn begin_job(&mut self, member: Slot, command: &'static str, arguments: &str) -> Job {
        let person = &self.people[member];
        self.last_job += 1;
        let ticket = Ticket { slot: member, id: person.id, number: self.last_job };
        let rooms = person.rooms.ids().map(|room| self.rooms[room].name).collect();
        self.hold_answer(member, Listing::Pending(ticket));
        Job { ticket, command, arguments: arguments.to_owned(), rooms }
    }

    /// The reply to a job: makes the first lines of the answer, if the person still waits for it. `false` if not.
    pub fn reply(&mut self, reply: Reply, out: &mut impl Delivery) -> bool {
        let Reply { ticket, lines } = reply;
        if !self.waits_for(ticket) {
            return false;
        }
        let lines = match lines {
            Ok(mut lines) => {
                lines.truncate(REPLY_LINES_MAX);
                lines
            }
            Err(why) => vec![AnswerLine::Refused(why)],
        };
        self.hold_answer(ticket.slot, Listing::Lines(lines.into_iter()));
        self.continue_answer(ticket.slot, out);
        true
    }

    /// Whether the person who asked is still here and waits for the reply.
    #[must_use]
    pub fn waits_for(&self, ticket: Ticket) -> bool {
        self.people.get(ticket.slot).is_some_and(|person| person.id == ticket.id)
            && self.pending_job(ticket.slot) == Some(ticket)
    }
}
