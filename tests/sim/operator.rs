//! A simulated operator on the control socket: its requests, and whether each was answered once and in order.

use std::collections::VecDeque;

use serde_json::Value;

use crate::random::Random;
use crate::stage::{Client, Peer};

/// More bytes than a request may have (`session::limits`).
const TOO_LONG_BYTES: usize = 9_000;

/// The expected answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    /// An empty request: an error that lists the verbs. Without its line end it is no request.
    Blank,
    /// An error with this text in it.
    Refused(String),
    /// An order about a connection that is gone: an error with this text in it.
    Nobody(String),
    /// An error that may arrive before the end of the request.
    TooLong,
    /// A list of this name.
    List(&'static str),
    /// A verb on a connection, done or refused, with the id in the answer.
    Order(String),
    /// One connection: present, gone, or never there.
    Connection(u64),
    Status,
}

/// A simulated operator. It sends requests in parts, and may read slowly or never.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) client: Client,
    /// Typed and not yet sent.
    typed: VecDeque<u8>,
    asked: Vec<Request>,
    /// Requests that were sent with their line end, or with its CR.
    sent: usize,
    /// The bytes sent end with CR.
    after_cr: bool,
    numbered: u64,
    pub(crate) has_finished: bool,
    /// After this event, requests may remain unanswered.
    pub(crate) is_tainted: bool,
}

impl Operator {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            typed: VecDeque::new(),
            asked: Vec::new(),
            sent: 0,
            after_cr: false,
            numbered: 0,
            has_finished: false,
            is_tainted: false,
        }
    }

    /// Types a question or an unknown verb; returns it for the trace.
    pub(crate) fn asks(&mut self, random: &mut Random, id_max: u64) -> String {
        self.numbered += 1;
        let number = 900_000 + self.numbered;
        let (line, request) = match random.below(15) {
            0 | 1 => ("connections".to_owned(), Request::List("connections")),
            2 => ("rooms".to_owned(), Request::List("rooms")),
            3 => ("closed".to_owned(), Request::List("closed")),
            4 | 5 => ("status".to_owned(), Request::Status),
            6 | 7 => {
                let id = u64::try_from(random.below(256)).unwrap() % id_max + 1;
                (format!("connection {id}"), Request::Connection(id))
            }
            8 => (String::new(), Request::Blank),
            12 => ("bans".to_owned(), Request::List("bans")),
            13 => ("events".to_owned(), Request::List("events")),
            14 => ("snapshot".to_owned(), Request::List("connections")),
            9 => ("x".repeat(TOO_LONG_BYTES), Request::TooLong),
            10 => (format!("frob{number} 1"), Request::Refused(format!("no such verb: frob{number};"))),
            _ => (
                format!("kick nobody{number} away"),
                Request::Nobody(format!("nobody here is nobody{number}")),
            ),
        };
        self.enters(random, &line, request);
        line
    }

    /// Types an order about the connection with this id, or about the server.
    pub(crate) fn orders(&mut self, random: &mut Random, line: &str, about: &str) {
        self.enters(random, line, Request::Order(about.to_owned()));
    }

    fn enters(&mut self, random: &mut Random, line: &str, request: Request) {
        self.typed.extend(line.as_bytes());
        self.typed.extend(random.pick(&[&b"\n"[..], b"\r\n"]));
        self.asked.push(request);
    }

    /// The bytes to send now: all that were typed, or a part that may end anywhere.
    pub(crate) fn sends(&mut self, random: &mut Random) -> Vec<u8> {
        let most = self.typed.len();
        let count = match random.below(10) {
            0..5 => most,
            5..8 => random.below(most + 1),
            _ => random.below(most.min(8) + 1),
        };
        self.takes_typed(count)
    }

    /// The rest of what was typed, maybe without the last line's end.
    pub(crate) fn sends_the_rest(&mut self, random: &mut Random) -> Vec<u8> {
        let was_after_cr = self.after_cr;
        let mut rest = self.takes_typed(self.typed.len());
        let may_be_cut = rest.ends_with(b"\n") && self.asked.last() != Some(&Request::Blank);
        if may_be_cut && random.percent(50) {
            rest.pop();
            if !rest.last().map_or(was_after_cr, |last| *last == b'\r') {
                self.cuts_off_the_last();
            }
        }
        self.has_finished = true;
        rest
    }

    /// The last request ends with the input: a question is answered, an order is not.
    fn cuts_off_the_last(&mut self) {
        if let Some(last @ (Request::Order(_) | Request::Nobody(_))) = self.asked.last_mut() {
            *last = Request::Refused("the request has no line end".to_owned());
        }
    }

    fn takes_typed(&mut self, count: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.typed.drain(..count).collect();
        for byte in &bytes {
            self.sent += usize::from(*byte == b'\r' || (*byte == b'\n' && !self.after_cr));
            self.after_cr = *byte == b'\r';
        }
        bytes
    }

    /// Checks that each request has its answer, when everything was read and the server has no work left.
    pub(crate) fn check_answered(&self, peer: &Peer) {
        let answers = peer.received.split(|byte| *byte == b'\n').count() - 1;
        let is_here = peer.slot.is_some() && !peer.is_closed && !peer.server_fin;
        if is_here && !self.is_tainted {
            let is_early = answers > self.sent && self.asked[self.sent] == Request::TooLong;
            let answered = answers - usize::from(is_early);
            assert_eq!(answered, self.sent, "{}: each request is answered", self.client.0);
        }
    }

    /// Checks that the answers are whole objects, and those of the requests in their order; returns their number. All
    /// requests are answered if the stream has ended.
    pub(crate) fn check(&self, peer: &Peer) -> usize {
        let me = self.client.0;
        let lines: Vec<&[u8]> = peer.received.split_inclusive(|byte| *byte == b'\n').collect();
        let whole: Vec<&[u8]> = lines.iter().filter_map(|line| line.strip_suffix(b"\n")).collect();
        let is_complete = peer.got_fin() && !peer.is_closed;
        assert!(!is_complete || whole.len() == lines.len(), "{me}: the last answer is not whole");
        assert!(whole.len() <= self.asked.len(), "{me}: {} answers", whole.len());
        for (at, (line, request)) in whole.iter().zip(&self.asked).enumerate() {
            let answer = serde_json::from_slice(line)
                .unwrap_or_else(|why| panic!("{me}: {why}: {}", line.escape_ascii()));
            assert!(is_answer_to(request, &answer), "{me}: {at}: {request:?} is answered with {answer}");
        }
        if is_complete && !self.is_tainted {
            assert_eq!(whole.len(), self.asked.len(), "{me}: every request is answered");
        }
        whole.len()
    }
}

fn is_answer_to(request: &Request, answer: &Value) -> bool {
    let is_ok = answer["ok"] == Value::Bool(true);
    let error = answer["error"].as_str();
    if is_ok == error.is_some() {
        return false;
    }
    match request {
        Request::Blank => error.is_some_and(|error| error.starts_with("a verb is expected")),
        Request::Refused(words) | Request::Nobody(words) => error.is_some_and(|error| error.contains(words)),
        Request::TooLong => error == Some("a request has at most 8192 bytes"),
        Request::List(name) => is_ok && has_rows(name, &answer[*name]),
        Request::Order(about) => {
            let line = error.or(answer["message"].as_str());
            line.is_some_and(|line| line.contains(about))
        }
        Request::Connection(id) => match error {
            Some(error) => error == format!("nobody here is #{id}"),
            None => answer["id"] == *id && answer["state"].is_string(),
        },
        Request::Status => is_ok && answer["uptime_s"].is_number() && answer["clients"].is_number(),
    }
}

/// Checks that rows of connections have rising ids and rows of rooms rising names, so that none comes twice.
fn has_rows(list: &str, rows: &Value) -> bool {
    let Some(rows) = rows.as_array() else { return false };
    match list {
        "bans" => rows.iter().all(|row| row["what"] == "198.51.100.0/24" && row["left_s"].is_number()),
        "events" => rows.is_sorted_by(|a, b| a["seq"].as_u64() < b["seq"].as_u64()),
        "connections" => rows.is_sorted_by(|a, b| a["id"].as_u64() < b["id"].as_u64()),
        "rooms" => rows.is_sorted_by(|a, b| a["name"].as_str() < b["name"].as_str()),
        _ => rows.iter().all(|row| row["reason"].is_string() && row["state"] == "gone"),
    }
}
