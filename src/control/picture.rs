//! What a dashboard in another process asks on the control socket: the whole picture, and answers in one line.
//!
//! `picture {"visible":[3],"detail":3,"events_after":12}` is answered with a [`Snapshot`], field by field as the engine
//! has it; `brief QUESTION` with the words of the `:` line. Both are between two programs of the same version: scripts
//! have the verbs. A picture is made part by part like every long answer, so its rows are each true when they are
//! written, and not all at one moment: the living first, then those that are gone, so that nobody is missed in between.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answer::{Progress, page_request};
use super::json;
use crate::link::{Request, Response};
use crate::model::answer::{Kernels, List, Rows};
use crate::model::event::Event;
use crate::model::snapshot::{ConnId, Detail, Query, Row, Snapshot, Status};
use crate::model::verbs::{OperatorCommand, Question, VerbError, Who};
use crate::time::{Moment, Now};

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
    Brief(Result<Question, VerbError>),
    Picture(Result<Query, VerbError>),
}

impl Asked {
    /// Reads a request; `None` for what is none of a dashboard's.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            BRIEF => Some(Self::Brief(match rest.parse() {
                Ok(OperatorCommand::Ask(question)) => Ok(question),
                Ok(_) => Err(VerbError(format!("expected: {BRIEF} QUESTION"))),
                Err(why) => Err(why),
            })),
            PICTURE => {
                let query = serde_json::from_str(rest);
                Some(Self::Picture(query.map_err(|why| VerbError(format!("{PICTURE}: {why}")))))
            }
            _ => None,
        }
    }
}

/// A picture under way.
#[derive(Debug)]
pub(super) struct Picture {
    query: Query,
    visible: Arc<[ConnId]>,
    stage: Stage,
    rows: u64,
}

/// What is told, and where to go on.
#[derive(Debug)]
enum Stage {
    Status,
    Detail(Box<(Now, Status)>),
    Events(Moment, List),
    Living(Moment, List),
    Gone(List),
}

impl Picture {
    pub(super) fn new(query: Query) -> Self {
        let mut visible = query.visible.clone();
        visible.truncate(Query::VISIBLE_MAX);
        visible.extend(query.detail);
        visible.sort_unstable();
        Self { query, visible: visible.into(), stage: Stage::Status, rows: 0 }
    }

    pub(super) fn request(&self, room: usize) -> Request {
        match (&self.stage, self.query.detail) {
            (Stage::Detail(_), Some(id)) => Request::Connection(Who::Id(id)),
            (Stage::Status | Stage::Detail(_), _) => Request::Status,
            (Stage::Events(_, list) | Stage::Living(_, list) | Stage::Gone(list), _) => {
                page_request(list.clone(), room)
            }
        }
    }

    pub(super) fn write(&mut self, response: Response, line: &mut Vec<u8>) -> Progress {
        let stage = std::mem::replace(&mut self.stage, Stage::Status);
        self.stage = match (stage, response) {
            (Stage::Status, Response::Status(status)) if self.query.detail.is_some() => Stage::Detail(status),
            (Stage::Status, Response::Status(status)) => self.write_head(&status, None, line),
            (Stage::Detail(status), Response::Connection(found)) => {
                let detail = found.ok().and_then(|found| found.detail);
                self.write_head(&status, detail, line)
            }
            (Stage::Events(since, _), Response::Page(page)) => {
                if let Rows::Events(rows) = &page.rows {
                    json::elements(line, &mut self.rows, rows);
                }
                if page.is_last {
                    self.rows = 0;
                    line.extend_from_slice(b"],\"rows\":[");
                    let kernels = Kernels::Of(self.visible.clone());
                    Stage::Living(since, List::Connections { after: 0, through: List::ALL, kernels })
                } else {
                    Stage::Events(since, page.place)
                }
            }
            (Stage::Living(since, _), Response::Page(page)) => {
                self.write_rows(&page.rows, line);
                if page.is_last {
                    Stage::Gone(List::Closed { after: 0, through: List::ALL, since })
                } else {
                    Stage::Living(since, page.place)
                }
            }
            (Stage::Gone(_), Response::Page(page)) => {
                self.write_rows(&page.rows, line);
                if page.is_last {
                    json::close_list(line);
                    return Progress::Complete;
                }
                Stage::Gone(page.place)
            }
            (stage, _) => stage,
        };
        Progress::Going
    }

    fn write_rows(&mut self, rows: &Rows, line: &mut Vec<u8>) {
        if let Rows::Connections(rows) = rows {
            json::elements(line, &mut self.rows, rows.iter().map(|row| &row.row));
        }
    }

    fn write_head(
        &self,
        (taken, status): &(Now, Status),
        detail: Option<Detail>,
        line: &mut Vec<u8>,
    ) -> Stage {
        #[derive(Serialize)]
        struct Head<'a> {
            ok: bool,
            version: &'a str,
            taken: Now,
            status: &'a Status,
            detail: Option<Detail>,
        }
        json::write(line, &Head { ok: true, version: VERSION, taken: *taken, status, detail });
        line.pop();
        line.extend_from_slice(b",\"events\":[");
        // Not those that ended as long ago as that.
        let gone_for_us = u64::try_from(Query::GONE_FOR.as_micros()).unwrap_or(u64::MAX);
        let since = Moment::from_micros((taken.moment.micros() + 1).saturating_sub(gone_for_us));
        let (after, most) = (self.query.events_after, Query::EVENTS_MAX);
        Stage::Events(since, List::Events { after, through: List::ALL, most, waits: false })
    }
}
