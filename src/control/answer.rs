//! An answer under way: what is requested of the server next, and how its response is written.
//!
//! A long answer is made page by page. What is kept between two pages is a place to go on from, never rows.

use super::json;
use crate::link::{Request, Response};
use crate::model::answer::{Kernels, List, Page, Rows};
use crate::model::snapshot::{ConnId, Query};
use crate::model::verbs::{OperatorCommand, Question, VerbError, Who};
use crate::time::{Moment, parse_span};

/// Bytes that one row takes at most in general; of larger ones there are few.
const ROW_BYTES: usize = 1_024;

/// Whether an answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Complete,
    Going,
}

/// An answer under way.
#[derive(Debug)]
pub(super) enum Answer {
    Connection(Who),
    List(Listing),
    /// The status stands before the connections.
    Snapshot,
    Status,
    Verb(OperatorCommand),
}

/// What may be answered again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    Events,
    Snapshots,
}

/// A list in an answer.
#[derive(Debug)]
pub(super) struct Listing {
    /// Its field.
    name: &'static str,
    list: List,
    /// Rows written so far; `None` before the answer has begun.
    rows: Option<u64>,
}

/// A list of all events after this one; if it `waits`, of at least one.
pub(super) const fn events(after: u64, waits: bool) -> Answer {
    let list = List::Events { after, through: List::ALL, most: usize::MAX, waits };
    Answer::List(Listing { name: "events", list, rows: None })
}

const fn connections(kernels: Kernels) -> List {
    List::Connections { after: 0, through: List::ALL, kernels }
}

impl Answer {
    /// Understands a request.
    ///
    /// Beside the verbs, which are the same everywhere, a program that asks again and again may ask for less, here
    /// alone: `connections queues ID,ID,…` reads the kernel's queues of these connections only, `closed for TIME` lists
    /// those that ended within it, `events after N` those after this one, and `brief` after a question asks for its
    /// answer in one line.
    pub(super) fn to(line: &str, now: Moment) -> Result<Self, VerbError> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["connections", "queues", ids @ ..] => {
                let ids = ids.iter().flat_map(|ids| ids.split(',')).filter(|id| !id.is_empty());
                let ids: Result<Vec<ConnId>, _> = ids.take(Query::VISIBLE_MAX + 1).map(str::parse).collect();
                let mut ids =
                    ids.map_err(|_| VerbError("expected: connections queues ID,ID,…".to_owned()))?;
                ids.sort_unstable();
                Ok(Self::list("connections", connections(Kernels::Of(ids.into()))))
            }
            ["closed", "for", time @ ..] if !time.is_empty() => {
                let within = parse_span(&time.concat());
                let within = within.map_err(|why| VerbError(format!("expected: closed for TIME: {why}")))?;
                // Those that ended as long ago as that are not among them.
                let within_us = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
                let since = Moment::from_micros((now.micros() + 1).saturating_sub(within_us));
                Ok(Self::list("closed", List::Closed { after: 0, through: List::ALL, since }))
            }
            ["events", "after", number] | ["events", "after", number, "follow"] => match number.parse() {
                Ok(after) => Ok(events(after, false)),
                Err(_) => Err(VerbError("expected: events after N [follow]".to_owned())),
            },
            [.., "brief"] => match line.trim_end().trim_end_matches("brief").parse() {
                Ok(OperatorCommand::Ask(question)) => Ok(Self::Verb(OperatorCommand::Ask(question))),
                _ => line.parse().map(Self::to_command),
            },
            _ => line.parse().map(Self::to_command),
        }
    }

    const fn list(name: &'static str, list: List) -> Self {
        Self::List(Listing { name, list, rows: None })
    }

    /// What is answered again and again, if that is asked for.
    pub(super) fn followed(&self, line: &str) -> Option<Follows> {
        let is_on =
            line.split_ascii_whitespace().next_back().is_some_and(|word| word.eq_ignore_ascii_case("follow"));
        match self {
            Self::List(Listing { list: List::Events { .. }, .. }) if is_on => Some(Follows::Events),
            Self::Snapshot if is_on => Some(Follows::Snapshots),
            _ => None,
        }
    }

    fn to_command(command: OperatorCommand) -> Self {
        let list = Self::list;
        match command {
            OperatorCommand::Ask(question) => match question {
                Question::Bans => list("bans", List::Bans { after: 0 }),
                Question::Closed => {
                    list("closed", List::Closed { after: 0, through: List::ALL, since: Moment::START })
                }
                Question::Connection(who) => Self::Connection(who),
                Question::Connections => list("connections", connections(Kernels::All)),
                Question::Events(_) => events(0, false),
                Question::Operators => list("operators", List::Operators { after: 0 }),
                Question::Preview(_) => Self::Verb(command),
                Question::Rooms => list("rooms", List::Rooms { after: None }),
                Question::Snapshot(_) => Self::Snapshot,
                Question::Status => Self::Status,
            },
            order => Self::Verb(order),
        }
    }

    /// Whether it changes something.
    pub(super) const fn is_order(&self) -> bool {
        matches!(self, Self::Verb(command) if !matches!(command, OperatorCommand::Ask(_)))
    }

    /// What is requested next, with so many bytes of room for it.
    pub(super) fn request(&self, room: usize) -> Request {
        match self {
            Self::Connection(who) => Request::Connection(*who),
            Self::List(listing) => listing.request(room),
            Self::Snapshot | Self::Status => Request::Status,
            Self::Verb(command) => Request::Verb { ticket: 0, command: command.clone() },
        }
    }

    /// Writes the response to what was requested.
    pub(super) fn write(&mut self, response: Response, line: &mut Vec<u8>) -> Progress {
        match (&mut *self, response) {
            (Self::List(listing), Response::Page(page)) => return listing.write(*page, line),
            (Self::Snapshot, Response::Status(status)) => {
                json::open_list_behind(line, &json::Status::of(&status.1), "connections");
                let list = connections(Kernels::All);
                *self = Self::List(Listing { name: "connections", list, rows: Some(0) });
                return Progress::Going;
            }
            (Self::Status, Response::Status(status)) => json::success(line, &json::Status::of(&status.1)),
            (Self::Connection(_), Response::Connection(Ok(found))) => {
                let row = json::Connection::of(&found.connection, &found.listeners, found.taken);
                json::success(line, &json::Life::of(&row, found.detail.as_ref()));
            }
            (Self::Connection(_), Response::Connection(Err(why))) => json::failure(line, &why),
            (Self::Verb(_), Response::Verb { outcome, .. }) => json::outcome(line, &outcome),
            (_, other) => {
                debug_assert!(false, "not requested: {other:?}");
                json::failure(line, "the server has given another answer");
            }
        }
        Progress::Complete
    }

    /// The number of the last event that was written.
    pub(super) const fn last_event(&self) -> Option<u64> {
        match self {
            Self::List(Listing { list: List::Events { after, .. }, .. }) => Some(*after),
            _ => None,
        }
    }
}

impl Listing {
    fn request(&self, room: usize) -> Request {
        Request::Page { list: self.list.clone(), limit: 1 + room / ROW_BYTES }
    }

    fn write(&mut self, page: Page, line: &mut Vec<u8>) -> Progress {
        if self.rows.is_none() {
            json::open_list(line, self.name);
        }
        let rows = self.rows.get_or_insert(0);
        write_rows(&page, line, rows);
        self.list = page.place;
        if !page.is_last {
            return Progress::Going;
        }
        json::close_list(line);
        Progress::Complete
    }
}

/// Writes the rows of a page after those that there are.
fn write_rows(page: &Page, line: &mut Vec<u8>, count: &mut u64) {
    let now = page.taken;
    match &page.rows {
        Rows::Bans(rows) => json::elements(line, count, rows.iter().map(|ban| json::Ban::of(ban, now))),
        Rows::Connections(rows) => {
            let rows = rows.iter().map(|row| json::Connection::of(row, &page.listeners, now));
            json::elements(line, count, rows);
        }
        Rows::Events(rows) => json::elements(line, count, rows.iter().map(json::Event::of)),
        Rows::Operators(rows) => {
            json::elements(line, count, rows.iter().map(|operator| json::Operator::of(operator, now)));
        }
        Rows::Rooms(rows) => json::elements(line, count, rows.iter().map(json::Room::of)),
    }
}
