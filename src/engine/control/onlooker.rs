//! What a dashboard in another process asks on the control socket: the whole picture, and answers in one line.
//!
//! `picture {"visible":[3],"detail":3,"records_after":12}` is answered with a [`Snapshot`], field by field as the engine
//! has it; `brief QUESTION` with the words of the `:` line. Both are between two programs of the same version: scripts
//! have the verbs. A picture is made part by part like every long answer, so its rows are each true when they are
//! written, and not all at one moment.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::inquiry::Progress;
use super::{Machine, json};
use crate::engine::operator::{OperatorCommand, Question, VerbError};
use crate::engine::record::Entry;
use crate::engine::server::Engine;
use crate::engine::snapshot::{Detail, Query, Row, Snapshot, Status};
use crate::id::{ConnId, Slot};
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
        records: Vec<Entry>,
        rows: Vec<Row>,
    }
    match serde_json::from_str(answer) {
        Ok(Answer { taken, status, detail, records, mut rows }) => {
            rows.sort_unstable_by_key(|row| row.id);
            Ok(Snapshot { taken, status, rows, detail, records })
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
    /// Whether no element of the list under way is written yet.
    is_first: bool,
}

#[derive(Debug)]
enum Stage {
    Head,
    /// Records behind `after`, up to `through`.
    Records {
        after: u64,
        through: u64,
    },
    /// Connections that ended, by the order in which they did.
    Gone {
        next: u64,
        end: u64,
    },
    /// By rising id, behind `after`, up to `through`.
    Living {
        after: u64,
        through: u64,
        batch: VecDeque<(ConnId, Slot)>,
    },
}

impl Picture {
    pub(super) fn new(mut query: Query) -> Self {
        query.visible.truncate(Query::VISIBLE_MAX);
        query.visible.extend(query.detail);
        query.visible.sort_unstable();
        Self { query, stage: Stage::Head, is_first: true }
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
                let after = picture.query.records_after;
                picture.begin(Stage::Records { after, through: self.board.journal.last() });
            }
            Stage::Records { after, through } => {
                let mut newer = self.board.journal.after(*after, Query::RECORDS_MAX);
                if let Some(entry) = newer.next().filter(|entry| entry.seq <= *through) {
                    *after = entry.seq;
                    picture.write(line, &*entry);
                } else {
                    line.extend_from_slice(b"],\"rows\":[");
                    let recent = self.recently_gone().count() as u64;
                    picture.begin(Stage::Gone { next: self.closed_count - recent, end: self.closed_count });
                }
            }
            Stage::Gone { next, end } => {
                let row = self.closed_row(*next).filter(|_| *next < *end);
                *next += 1;
                if let Some(row) = row {
                    picture.write(line, row);
                } else {
                    let through = self.door.last_id();
                    // The list goes on: it is one for all rows.
                    picture.stage = Stage::Living { after: 0, through, batch: VecDeque::new() };
                }
            }
            Stage::Living { after, through, batch } => {
                let Some(slot) = self.next_connection(after, *through, batch) else {
                    json::close_list(line);
                    return Progress::Complete;
                };
                if let Some(row) = self.board.entry(slot).map(|entry| self.row(slot, entry)) {
                    let is_visible = picture.query.visible.binary_search(&row.id).is_ok();
                    let kernel = if is_visible { machine.kernel(slot) } else { None };
                    picture.write(line, &Row { kernel, ..row });
                }
            }
        }
        Progress::Going
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
        json::write(line, &Head { ok: true, version: VERSION, taken: self.board.now, status, detail });
        line.pop();
        line.extend_from_slice(b",\"records\":[");
    }
}
