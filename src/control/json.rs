//! The JSON that operators read: every field's name and unit, as scripts rely on them.
//!
//! Names may be added, never changed or taken away. What is not known is absent, not zero. Text is what people
//! typed, scrubbed before it came here.

mod status;

use std::num::NonZeroU16;
use std::time::Duration;

use serde::Serialize;

pub(super) use status::Status;

use crate::config::settings::LogLevel;
use crate::model::answer::{self, BanRow, ConnectionRow, OperatorRow, Outcome, RoomRow};
use crate::model::event;
use crate::model::event::EventKind;
use crate::model::snapshot::{self, CloseReason, ConnId, Detail, RoomName};
use crate::time::{Moment, Now};

/// One connection: a row of `connections` and `closed`.
#[derive(Debug, Serialize)]
pub(super) struct Connection<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick: Option<&'a str>,
    peer: String,
    listener: &'a str,
    state: String,
    age_s: f64,
    idle_s: f64,
    /// Their names, the active one last.
    rooms: Vec<&'a str>,
    bytes_in: u64,
    bytes_out: u64,
    lines_in: u64,
    lines_incomplete: u64,
    lines_out: u64,
    lines_skipped: u64,
    /// Characters replaced in what it sent.
    scrubbed: u64,
    inbox_bytes: u64,
    outbox_bytes: u64,
    outbox_age_s: f64,
    outbox_max: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_q: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_q: Option<u32>,
    #[serde(flatten)]
    tcp: Option<Tcp>,
    /// When its input ended, it last stopped taking bytes, and it was last paused: seconds after the server's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    eof_at_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck_at_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_at_s: Option<f64>,
    /// Send-Q when it was last looked at, which costs nothing.
    send_q_seen: u32,
    read: String,
    write: String,
    flags: Vec<&'static str>,
    /// Why it ended, or why it is about to: a word of `status.closed`, and what was said with it behind a colon.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Since it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_s: Option<f64>,
    #[serde(flatten)]
    terminal: Terminal<'a>,
}

/// What a telnet client told of its terminal.
#[derive(Debug, Default, Serialize)]
struct Terminal<'a> {
    #[serde(rename = "terminal", skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(rename = "terminal_columns", skip_serializing_if = "Option::is_none")]
    columns: Option<NonZeroU16>,
    #[serde(rename = "terminal_rows", skip_serializing_if = "Option::is_none")]
    rows: Option<NonZeroU16>,
}

#[derive(Debug, Serialize)]
struct Tcp {
    rtt_us: u32,
    peer_window: u32,
    unacked: u32,
    retransmits: u32,
    notsent: u32,
}

impl<'a> Connection<'a> {
    pub(super) fn of(connection: &'a ConnectionRow, listeners: &'a [String], now: Now) -> Self {
        let ConnectionRow { row, rooms } = connection;
        let end = row.gone_at.unwrap_or(now.moment);
        let kernel = row.kernel;
        Self {
            id: row.id.get(),
            nick: row.nick.as_ref().map(snapshot::Nick::as_str),
            peer: row.peer.to_string(),
            listener: listeners.get(usize::from(row.listener)).map_or("", String::as_str),
            state: row.state.to_string(),
            age_s: seconds(end.since(row.since)),
            idle_s: seconds(end.since(row.heard)),
            rooms: rooms.iter().map(RoomName::as_str).collect(),
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
            lines_in: row.lines_in,
            lines_incomplete: row.lines_incomplete,
            lines_out: row.lines_out,
            lines_skipped: row.lines_skipped,
            scrubbed: row.scrubbed,
            inbox_bytes: row.inbox_bytes,
            outbox_bytes: row.outbox_bytes,
            outbox_age_s: seconds(row.outbox_age.unwrap_or_default()),
            outbox_max: row.outbox_max,
            recv_q: kernel.map(|kernel| kernel.recv_q),
            send_q: kernel.map(|kernel| kernel.send_q),
            tcp: kernel.and_then(|kernel| kernel.tcp).map(Tcp::from),
            eof_at_s: row.eof_at.map(since_start),
            stuck_at_s: row.stuck_since.map(since_start),
            flow_at_s: row.flow_since.map(since_start),
            send_q_seen: row.send_q_seen,
            read: row.read.to_string(),
            write: row.write.to_string(),
            flags: row.flags.words().collect(),
            reason: row.reason.as_ref().map(reason_words),
            gone_s: row.gone_at.map(|at| seconds(now.moment.since(at))),
            terminal: row.terminal.as_deref().map(Terminal::from).unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a snapshot::Terminal> for Terminal<'a> {
    fn from(terminal: &'a snapshot::Terminal) -> Self {
        Self {
            name: terminal.name.as_deref(),
            columns: NonZeroU16::new(terminal.columns),
            rows: NonZeroU16::new(terminal.rows),
        }
    }
}

impl From<snapshot::TcpInfo> for Tcp {
    fn from(info: snapshot::TcpInfo) -> Self {
        let snapshot::TcpInfo { rtt_us, peer_window, unacked, retransmits, notsent } = info;
        Self { rtt_us, peer_window, unacked, retransmits, notsent }
    }
}

/// One connection with its life: the answer to `connection WHO`.
#[derive(Debug, Serialize)]
pub(super) struct Life<'a> {
    #[serde(flatten)]
    connection: &'a Connection<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox_limit: Option<u64>,
    /// What happened to it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timeline: Vec<Happened>,
}

#[derive(Debug, Serialize)]
struct Happened {
    /// Milliseconds since 1970-01-01 UTC.
    unix_ms: i64,
    what: String,
}

impl<'a> Life<'a> {
    pub(super) fn of(connection: &'a Connection<'a>, detail: Option<&Detail>) -> Self {
        let happened = detail.into_iter().flat_map(|detail| &detail.timeline);
        Self {
            connection,
            outbox_limit: detail.map(|detail| detail.outbox_limit),
            timeline: happened
                .map(|(at, what)| Happened { unix_ms: at.wall.unix_ms, what: what.to_string() })
                .collect(),
        }
    }
}

/// One room: a row of `rooms`.
#[derive(Debug, Serialize)]
pub(super) struct Room<'a> {
    /// Without its `#`.
    name: &'a str,
    members: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
}

impl<'a> Room<'a> {
    pub(super) fn of(room: &'a RoomRow) -> Self {
        Self { name: room.name.as_str(), members: room.members, topic: room.topic.as_deref() }
    }
}

/// One operator on the control socket: a row of `operators`.
#[derive(Debug, Serialize)]
pub(super) struct Operator {
    id: u64,
    uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    age_s: f64,
    /// Absent while it is answered or follows something.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_s: Option<f64>,
}

impl Operator {
    pub(super) fn of(operator: &OperatorRow, now: Now) -> Self {
        Self {
            id: operator.number,
            uid: operator.uid,
            pid: Some(operator.pid).filter(|pid| *pid != 0),
            age_s: seconds(now.moment.since(operator.since)),
            idle_s: operator.idle_since.map(|since| seconds(now.moment.since(since))),
        }
    }
}

/// One ban: a row of `bans`.
#[derive(Debug, Serialize)]
pub(super) struct Ban<'a> {
    what: String,
    reason: &'a str,
    age_s: f64,
    /// Until it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_s: Option<f64>,
    /// Connections that it kept out.
    refused: u64,
}

impl<'a> Ban<'a> {
    pub(super) fn of(ban: &'a BanRow, now: Now) -> Self {
        Self {
            what: ban.mask.to_string(),
            reason: &ban.reason,
            age_s: seconds(now.moment.since(ban.since)),
            left_s: ban.until.map(|until| seconds(until.since(now.moment))),
            refused: ban.refused,
        }
    }
}

/// One event: a row of `events`.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    /// Rises by one from event to event.
    seq: u64,
    /// Milliseconds since 1970-01-01 UTC.
    unix_ms: i64,
    kind: &'a str,
    category: &'a str,
    /// The connection that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick: Option<String>,
    text: String,
    #[serde(flatten)]
    facts: Facts<'a>,
}

/// What stands in the text of an event, apart.
#[derive(Debug, Default, Serialize)]
struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// Why a connection was closed or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox_limit: Option<u64>,
    /// The number of events that are not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    /// Clients can cause it as often as they like.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_clients: Option<bool>,
}

impl<'a> Facts<'a> {
    fn of(kind: &'a EventKind) -> Self {
        let none = Self::default();
        match kind {
            EventKind::Accepted { peer, .. } => Self { peer: Some(peer.to_string()), ..none },
            EventKind::Closed { reason, unsent, .. } => {
                Self { reason: Some(reason_words(reason)), unsent: Some(*unsent), ..none }
            }
            EventKind::Eof { unsent, .. } => Self { unsent: Some(*unsent), ..none },
            EventKind::Missed { events } => Self { events: Some(*events), ..none },
            EventKind::Operator { verb, outcome, .. } => {
                Self { verb: Some(verb), outcome: Some(outcome), ..none }
            }
            EventKind::Refused { peer, why } => {
                Self { peer: Some(peer.to_string()), reason: Some(why.to_string()), ..none }
            }
            EventKind::Server { level, by_clients, .. } => {
                Self { level: Some(level_word(*level)), by_clients: Some(*by_clients), ..none }
            }
            EventKind::Skipped { lines, .. } => Self { lines: Some(*lines), ..none },
            EventKind::Slow { outbox, limit, .. } => {
                Self { outbox_bytes: Some(*outbox), outbox_limit: Some(*limit), ..none }
            }
            EventKind::Flow { .. } | EventKind::Full { .. } | EventKind::Nick { .. } => none,
        }
    }
}

impl<'a> Event<'a> {
    pub(super) fn of(event: &'a event::Event) -> Self {
        let kind = &event.kind;
        Self {
            seq: event.seq,
            unix_ms: event.at.wall.unix_ms,
            kind: kind.word(),
            category: kind.category().word(),
            id: kind.subject().map(ConnId::get),
            nick: kind.nick().map(|nick| nick.to_string()),
            text: kind.to_string(),
            facts: Facts::of(kind),
        }
    }
}

/// How an order went.
#[derive(Debug, Serialize)]
struct Done<'a> {
    /// The connection that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// Those whom a ban has ended, or would end.
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<Vec<u64>>,
    message: &'a str,
}

impl<'a> Done<'a> {
    fn of(done: &'a answer::Done) -> Self {
        let hits = done.hits.as_ref().map(|hits| hits.iter().map(|id| id.get()).collect());
        Self { id: done.id.map(ConnId::get), hits, message: &done.message }
    }
}

/// What came of a reload.
#[derive(Debug, Serialize)]
struct Reload<'a> {
    applied: &'a [&'static str],
    needs_restart: &'a [&'static str],
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct Success<'a, T> {
    ok: bool,
    #[serde(flatten)]
    answer: &'a T,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    ok: bool,
    error: &'a str,
}

/// Adds a value.
pub(super) fn write(line: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(line, value)
        .expect("memory takes everything, and no map has other keys than strings");
}

/// Adds values to a list that has `count` of them.
pub(super) fn elements<T: Serialize>(
    line: &mut Vec<u8>,
    count: &mut u64,
    values: impl IntoIterator<Item = T>,
) {
    for value in values {
        if *count > 0 {
            line.push(b',');
        }
        *count += 1;
        write(line, &value);
    }
}

/// Adds a whole answer: `{"ok":true,…}`.
pub(super) fn success(line: &mut Vec<u8>, answer: &impl Serialize) {
    write(line, &Success { ok: true, answer });
    line.push(b'\n');
}

/// Adds a whole answer: `{"ok":false,"error":"…"}`.
pub(super) fn failure(line: &mut Vec<u8>, error: &str) {
    write(line, &Failure { ok: false, error });
    line.push(b'\n');
}

/// Adds the answer to an order.
pub(super) fn outcome(line: &mut Vec<u8>, outcome: &Outcome) {
    match outcome {
        Ok(answer::Done { message, reload: Some(keys), .. }) => {
            let (applied, needs_restart) = (&keys.applied, &keys.needs_restart);
            success(line, &Reload { applied, needs_restart, message });
        }
        Ok(done) => success(line, &Done::of(done)),
        Err(why) => failure(line, why),
    }
}

/// Begins an answer whose rows follow, with commas between them.
pub(super) fn open_list(line: &mut Vec<u8>, name: &str) {
    line.extend_from_slice(b"{\"ok\":true,\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":[");
}

/// The same, with the status before the rows.
pub(super) fn open_list_behind(line: &mut Vec<u8>, status: &Status<'_>, name: &str) {
    line.extend_from_slice(b"{\"ok\":true,\"status\":");
    write(line, status);
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":[");
}

/// Ends it.
pub(super) fn close_list(line: &mut Vec<u8>) {
    line.extend_from_slice(b"]}\n");
}

/// `kicked: too loud`: a word of `status.closed`, and what was said with it after a colon.
fn reason_words(reason: &CloseReason) -> String {
    match (reason, reason.detail()) {
        (CloseReason::Foreign(protocol), _) => format!("{}: {protocol}", reason.word()),
        (_, Some(said)) => format!("{}: {said}", reason.word()),
        (_, None) => reason.word().to_owned(),
    }
}

/// A level as the configuration has it.
pub(super) const fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}

/// Seconds after the server's start.
fn since_start(moment: Moment) -> f64 {
    seconds(moment.since(Moment::START))
}

/// Seconds with their milliseconds.
fn seconds(span: Duration) -> f64 {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}
