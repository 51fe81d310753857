//! What a dashboard in another process asks on the control socket: the whole picture, and answers in one line.
//!
//! `picture {"visible":[3],"detail":3,"events_after":12}` is answered with a [`Snapshot`], field by field as the engine
//! has it; `brief QUESTION` with the words of the `:` line. Both are between two programs of the same version: scripts
//! have the verbs. A picture is made part by part like every long answer, so its rows are each true when they are
//! written, and not all at one moment: the living first, then those that are gone, so that nobody is missed in between.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::inquiry::Progress;
use super::{Machine, json};
use crate::engine::server::Engine;
use crate::id::{ConnId, Slot};
use crate::model::event::Event;
use crate::model::snapshot::{Detail, Query, Row, Snapshot, Status};
use crate::model::verbs::{OperatorCommand, Question, VerbError};
use crate::time::Now;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const PICTURE: &str = "picture";
const BRIEF: &str = "brief";

/// The request for a picture, a line without its end.
///
/// # Panics
///
/// Never: a query always has a form in JSON.
#[must_use]
pub fn picture_request(query: &Query) -> String {
    format!("{PICTURE} {}", serde_json::to_string(query).expect("numbers have a form in JSON"))
}

/// The request for the answer to `question` in one line, itself without its end.
#[must_use]
pub fn brief_request(question: &Question) -> String {
    format!("{BRIEF} {question}")
}

/// Reads the answer to [`picture_request`].
///
/// # Errors
///
/// In words for the operator: what the server refused, or that it is another version.
pub fn read_picture(answer: &str) -> Result<Snapshot, String> {
    #[derive(Deserialize)]
    struct Answer {
        taken: Now,
        status: Status,
        detail: Option<Detail>,
        events: Vec<Event>,
        rows: Vec<Row>,
    }
    match serde_json::from_str(answer) {
        Ok(Answer { taken, status, detail, events, mut rows }) => {
            // Who ended while it was made is in it twice, at last as one that is gone.
            rows.reverse();
            rows.sort_by_key(|row| row.id);
            rows.dedup_by_key(|row| row.id);
            Ok(Snapshot { taken, status, rows, detail, events })
        }
        Err(why) => {
            Err(refused(answer).unwrap_or_else(|| format!("the server's picture cannot be read: {why}")))
        }
    }
}

/// Reads the answer to any other request.
///
/// # Errors
///
/// Why nothing was done, in words for the operator.
pub fn read_outcome(answer: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Answer {
        message: String,
    }
    match serde_json::from_str(answer) {
        Ok(Answer { message }) => Ok(message),
        Err(why) => Err(refused(answer).unwrap_or_else(|| format!("the answer cannot be read: {why}"))),
    }
}

/// Why a server did not answer as a program of this version does.
fn refused(answer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<String>,
        version: Option<String>,
    }
    let Answer { error, version } = serde_json::from_str(answer).ok()?;
    let other = version.filter(|version| version != VERSION);
    error.or_else(|| other.map(|version| format!("the server is chatops {version}, this is {VERSION}")))
}

/// A request of a dashboard, understood.
#[derive(Debug)]
pub(super) enum Asked {
    Brief(Question),
    Picture(Query),
}

impl Asked {
    /// Reads a request; `None` for what is none of a dashboard's.
    pub(super) fn parse(line: &str) -> Option<Result<Self, VerbError>> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            BRIEF => Some(match rest.parse() {
                Ok(OperatorCommand::Ask(question)) => Ok(Self::Brief(question)),
                Ok(_) => Err(VerbError(format!("expected: {BRIEF} QUESTION"))),
                Err(why) => Err(why),
            }),
            PICTURE => {
                let query = serde_json::from_str(rest).map(Self::Picture);
                Some(query.map_err(|why| VerbError(format!("{PICTURE}: {why}"))))
            }
            _ => None,
        }
    }
}

/// A picture under way.
#[derive(Debug)]
pub(super) struct Picture {
    query: Query,
    stage: Stage,
    /// Of those that ended, the first one to tell.
    gone_from: u64,
    /// Whether no element of the list under way is written yet.
    is_first: bool,
}

#[derive(Debug)]
enum Stage {
    Head,
    /// Events behind `after`, up to `through`.
    Events {
        after: u64,
        through: u64,
    },
    /// By rising id, behind `after`, up to `through`.
    Living {
        after: u64,
        through: u64,
        batch: VecDeque<(ConnId, Slot)>,
    },
    /// Connections that ended, by the order in which they did: the last ones, and those that ended meanwhile.
    Gone {
        next: u64,
    },
}

impl Picture {
    pub(super) fn new(mut query: Query) -> Self {
        query.visible.truncate(Query::VISIBLE_MAX);
        query.visible.extend(query.detail);
        query.visible.sort_unstable();
        Self { query, stage: Stage::Head, gone_from: 0, is_first: true }
    }

    fn begin(&mut self, stage: Stage) {
        self.stage = stage;
        self.is_first = true;
    }

    fn write(&mut self, line: &mut Vec<u8>, element: &impl Serialize) {
        if !std::mem::replace(&mut self.is_first, false) {
            line.push(b',');
        }
        json::write(line, element);
    }
}

impl Engine {
    /// Writes the next part of a picture.
    pub(super) fn advance_picture(
        &self,
        picture: &mut Picture,
        line: &mut Vec<u8>,
        machine: &impl Machine,
    ) -> Progress {
        match &mut picture.stage {
            Stage::Head => {
                self.write_head(&picture.query, line, machine);
                picture.gone_from = self.closed_count - self.recently_gone().count() as u64;
                let after = picture.query.events_after;
                picture.begin(Stage::Events { after, through: self.conns.journal.last() });
            }
            Stage::Events { after, through } => {
                let mut newer = self.conns.journal.after(*after, Query::EVENTS_MAX);
                if let Some(entry) = newer.next().filter(|entry| entry.seq <= *through) {
                    *after = entry.seq;
                    picture.write(line, &*entry);
                } else {
                    line.extend_from_slice(b"],\"rows\":[");
                    let through = self.admission.last_id();
                    picture.begin(Stage::Living { after: 0, through, batch: VecDeque::new() });
                }
            }
            Stage::Living { after, through, batch } => {
                if let Some(slot) = self.next_connection(after, *through, batch) {
                    self.write_living(slot, picture, line, machine);
                } else {
                    // The list goes on: it is one for all rows.
                    picture.stage = Stage::Gone { next: picture.gone_from };
                }
            }
            Stage::Gone { next } => {
                *next = (*next).max(self.closed_count - self.closed.len() as u64);
                let Some(row) = self.closed_row(*next) else {
                    json::close_list(line);
                    return Progress::Complete;
                };
                *next += 1;
                picture.write(line, row);
            }
        }
        Progress::Going
    }

    fn write_living(&self, slot: Slot, picture: &mut Picture, line: &mut Vec<u8>, machine: &impl Machine) {
        let Some(row) = self.conns.get(slot).map(|entry| self.row(slot, entry)) else { return };
        let is_visible = picture.query.visible.binary_search(&row.id).is_ok();
        let kernel = if is_visible { machine.kernel(slot) } else { None };
        picture.write(line, &Row { kernel, ..row });
    }

    fn write_head(&self, query: &Query, line: &mut Vec<u8>, machine: &impl Machine) {
        #[derive(Serialize)]
        struct Head<'a> {
            ok: bool,
            version: &'a str,
            taken: Now,
            status: Status,
            detail: Option<Detail>,
        }
        let mut status = self.status();
        machine.complete(&mut status);
        let detail = query.detail.and_then(|id| self.detail(id));
        json::write(line, &Head { ok: true, version: VERSION, taken: self.conns.now, status, detail });
        line.pop();
        line.extend_from_slice(b",\"events\":[");
    }
}
