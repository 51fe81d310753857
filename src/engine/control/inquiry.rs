//! A question under way: how far its answer has come, and its next part.
//!
//! What is kept between two turns is a place to go on from, never rows: what ends in between is left out, and what
//! is told is as it is then. What comes after the question was asked is not waited for, so every answer has an end.

use std::collections::VecDeque;

use super::onlooker::Picture;
use super::{Machine, json};
use crate::chat::{Profile, RoomName};
use crate::engine::journal::JOURNAL_MAX;
use crate::engine::server::Engine;
use crate::id::{ConnId, Slot};
use crate::model::snapshot::{Row, Status};
use crate::model::verbs::{BanMask, Question, Who};

/// Connections whose turn to be told is looked up at a time.
const BATCH_MAX: usize = 4_096;

/// Whether an answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Complete,
    Going,
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Inquiry {
    walk: Walk,
    /// Rows told so far; `None` before the answer has begun.
    rows: Option<u64>,
}

/// What is told, and where to go on.
#[derive(Debug)]
enum Walk {
    /// By their numbers, behind this one.
    Bans {
        after: u64,
    },
    /// Ended connections by the order in which they ended, counted from 0.
    Closed {
        next: u64,
        end: u64,
    },
    Connection(Who),
    /// By rising id, behind `after`, up to `through`. The batch holds the next ones.
    Connections {
        /// Whether the status stands before them.
        with_status: bool,
        after: u64,
        through: u64,
        batch: VecDeque<(ConnId, Slot)>,
    },
    /// Events behind `after`, up to `through`.
    Events {
        after: u64,
        through: u64,
    },
    Picture(Box<Picture>),
    /// By their numbers, behind this one.
    Operators {
        after: u64,
    },
    Preview(BanMask),
    Rooms {
        after: Option<RoomName>,
    },
    Status,
}

impl From<Picture> for Inquiry {
    fn from(picture: Picture) -> Self {
        Self { walk: Walk::Picture(Box::new(picture)), rows: None }
    }
}

/// Connections that are looked at for what it costs to make one row.
const LOOKS_A_ROW: usize = 64;

impl Inquiry {
    /// The cost of the next part, in rows, for this number of connections: some questions look at each of them.
    pub(super) const fn cost(&self, connections: usize) -> usize {
        match self.walk {
            Walk::Connection(_) | Walk::Preview(_) | Walk::Status => 1 + connections / LOOKS_A_ROW,
            _ => 1,
        }
    }
}

impl Engine {
    /// Begins to answer.
    pub(super) fn inquire(&self, question: Question) -> Inquiry {
        let walk = match question {
            Question::Bans => Walk::Bans { after: 0 },
            Question::Closed => Walk::Closed { next: 0, end: self.closed_count },
            Question::Connection(who) => Walk::Connection(who),
            Question::Connections => self.connections(false),
            Question::Events(_) => return self.inquire_events(0),
            Question::Snapshot(_) => return self.inquire_snapshot(),
            Question::Preview(mask) => Walk::Preview(mask),
            Question::Operators => Walk::Operators { after: 0 },
            Question::Rooms => Walk::Rooms { after: None },
            Question::Status => Walk::Status,
        };
        Inquiry { walk, rows: None }
    }

    /// Begins to tell what happened behind the event `after`.
    pub(super) fn inquire_events(&self, after: u64) -> Inquiry {
        Inquiry { walk: Walk::Events { after, through: self.conns.journal.last() }, rows: None }
    }

    /// Begins to tell everything.
    pub(super) fn inquire_snapshot(&self) -> Inquiry {
        Inquiry { walk: self.connections(true), rows: None }
    }

    fn connections(&self, with_status: bool) -> Walk {
        Walk::Connections { with_status, after: 0, through: self.admission.last_id(), batch: VecDeque::new() }
    }

    fn whole_status(&self, machine: &impl Machine) -> Status {
        let mut status = self.status();
        machine.complete(&mut status);
        status
    }

    /// Writes the next part of an answer: the whole of a short one, a row of a long one.
    pub(super) fn advance(
        &self,
        inquiry: &mut Inquiry,
        line: &mut Vec<u8>,
        machine: &impl Machine,
    ) -> Progress {
        let list = match &mut inquiry.walk {
            Walk::Bans { .. } => "bans",
            Walk::Closed { .. } => "closed",
            Walk::Connections { .. } => "connections",
            Walk::Events { .. } => "events",
            Walk::Operators { .. } => "operators",
            Walk::Rooms { .. } => "rooms",
            Walk::Connection(who) => {
                self.tell_connection(*who, line, machine);
                return Progress::Complete;
            }
            Walk::Picture(picture) => return self.advance_picture(picture, line, machine),
            Walk::Preview(mask) => {
                json::success(line, &json::Done::of(None, &self.preview(mask)));
                return Progress::Complete;
            }
            Walk::Status => {
                let status = self.whole_status(machine);
                json::success(line, &json::Status::of(&status, self.operators.count()));
                return Progress::Complete;
            }
        };
        let rows = inquiry.rows.unwrap_or_else(|| {
            if let Walk::Connections { with_status: true, .. } = inquiry.walk {
                let status = self.whole_status(machine);
                json::open_list_behind(line, &json::Status::of(&status, self.operators.count()), list);
            } else {
                json::open_list(line, list);
            }
            0
        });
        let before = line.len();
        if rows > 0 {
            line.push(b',');
        }
        let is_told = self.tell_row(&mut inquiry.walk, line, machine);
        if !is_told {
            line.truncate(before);
            json::close_list(line);
            return Progress::Complete;
        }
        inquiry.rows = Some(rows + 1);
        Progress::Going
    }

    /// Writes the next row of a list; `false` if there is none.
    fn tell_row(&self, walk: &mut Walk, line: &mut Vec<u8>, machine: &impl Machine) -> bool {
        match walk {
            Walk::Bans { after } => {
                let Some(ban) = self.bans.after(*after) else { return false };
                json::write(line, &json::Ban::of(ban, self.conns.now));
                *after = ban.number;
                true
            }
            Walk::Closed { next, end } => {
                *next = (*next).max(self.closed_count - self.closed.len() as u64);
                let Some(row) = self.closed_row(*next).filter(|_| *next < *end) else { return false };
                *next += 1;
                json::write(line, &self.connection(row, Vec::new()));
                true
            }
            Walk::Events { after, through } => {
                let mut newer = self.conns.journal.after(*after, JOURNAL_MAX);
                let Some(entry) = newer.next().filter(|entry| entry.seq <= *through) else { return false };
                *after = entry.seq;
                json::write(line, &json::Event::of(&entry));
                true
            }
            Walk::Connections { after, through, batch, .. } => {
                let Some(slot) = self.next_connection(after, *through, batch) else { return false };
                self.with_live(slot, machine, |row| json::write(line, row));
                true
            }
            Walk::Operators { after } => {
                let Some(operator) = self.operator_after(*after) else { return false };
                *after = operator.number;
                json::write(line, &json::Operator::of(operator, self.conns.now));
                true
            }
            Walk::Rooms { after } => {
                let Some(room) = self.hub.rooms_after(after.as_ref()).next() else { return false };
                json::write(line, &json::Room::of(&room));
                *after = Some(*room.name);
                true
            }
            Walk::Connection(_) | Walk::Picture(_) | Walk::Preview(_) | Walk::Status => false,
        }
    }

    /// One that ended, by the order in which they did; `None` if it is no longer known.
    pub(super) fn closed_row(&self, number: u64) -> Option<&Row> {
        let first = self.closed_count - self.closed.len() as u64;
        self.closed.get(usize::try_from(number.checked_sub(first)?).ok()?).map(|gone| &gone.row)
    }

    /// The next connection to tell that is still there.
    pub(super) fn next_connection(
        &self,
        after: &mut u64,
        through: u64,
        batch: &mut VecDeque<(ConnId, Slot)>,
    ) -> Option<Slot> {
        loop {
            if batch.is_empty() {
                *batch = self.connections_between(*after, through);
            }
            let (id, slot) = batch.pop_front()?;
            *after = id.get();
            if self.conns.get(slot).is_some_and(|entry| entry.id == id && entry.is_client()) {
                return Some(slot);
            }
        }
    }

    /// The first connections by rising id behind `after`, none beyond `through`.
    fn connections_between(&self, after: u64, through: u64) -> VecDeque<(ConnId, Slot)> {
        let ids = self.conns.clients().map(|(slot, entry)| (entry.id, slot));
        let mut batch: Vec<_> = ids.filter(|(id, _)| (after + 1..=through).contains(&id.get())).collect();
        if batch.len() > BATCH_MAX {
            batch.select_nth_unstable(BATCH_MAX);
            batch.truncate(BATCH_MAX);
        }
        batch.sort_unstable();
        batch.into()
    }

    /// One connection alone, with its life; of one that is gone what is still known.
    fn tell_connection(&self, who: Who, line: &mut Vec<u8>, machine: &impl Machine) {
        let gone = match who {
            Who::Id(id) => self.closed.iter().find(|gone| gone.row.id == id),
            Who::Nick(_) => None,
        };
        match (self.find(who), gone) {
            (Ok(slot), _) => {
                let detail = self.conns.get(slot).and_then(|entry| self.detail(entry.id));
                self.with_live(slot, machine, |row| {
                    json::success(line, &json::Life::of(row, detail.as_ref()));
                });
            }
            (Err(_), Some(gone)) => {
                let row = self.connection(&gone.row, Vec::new());
                json::success(line, &json::Life::of(&row, Some(&gone.detail)));
            }
            (Err(why), None) => json::failure(line, &why),
        }
    }

    /// Hands over the row of a connection as it is now.
    fn with_live(&self, slot: Slot, machine: &impl Machine, tell: impl FnOnce(&json::Connection<'_>)) {
        let Some(entry) = self.conns.get(slot) else { return };
        let row = Row { kernel: machine.kernel(slot), ..self.row(slot, entry) };
        let person = self.hub.person(slot);
        let rooms = person.into_iter().flat_map(Profile::rooms).map(RoomName::as_str).collect();
        tell(&self.connection(&row, rooms));
    }

    fn connection<'a>(&'a self, row: &'a Row, rooms: Vec<&'a str>) -> json::Connection<'a> {
        let listener = self.listeners.get(usize::from(row.listener)).map_or("", String::as_str);
        json::Connection::of(row, listener, rooms, self.conns.now)
    }
}
