//! The server as its JSON tells it: what `attach` makes of the answers that every script reads.
//!
//! Lenient, so that an older or a newer server is shown as far as its fields are known: what is unknown is ignored, what
//! is absent has its default, and a word that is unknown stands as it is wherever a text can.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::Deserialize;

use super::json::level_word;
use crate::clock::local_time;
use crate::config::settings::LogLevel;
use crate::model::event::{self, EventKind};
use crate::model::snapshot::{
    self, CloseReason, ConnId, Detail, Flags, HalfState, Kernel, Milestone, Nick, Peer, Phase, RoomName, Row,
    TcpInfo, Terminal, TurnStats,
};
use crate::time::{Moment, Now};
use crate::wire::foreign::Foreign;

/// The answer to `status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    name: String,
    pid: u32,
    uptime_s: f64,
    listeners: Vec<String>,
    accept_queues: Vec<AcceptQueue>,
    machine_accept_overflows: Option<u64>,
    machine_accept_drops: Option<u64>,
    clients: u32,
    half_closed: u32,
    slow: u32,
    operators: u32,
    accepted: u64,
    refused: u64,
    accept_failures: u64,
    closed: BTreeMap<String, u64>,
    bytes_in: u64,
    bytes_out: u64,
    lines_in: u64,
    lines_incomplete: u64,
    dropped_bytes: u64,
    deliveries: u64,
    lines_skipped: u64,
    inbox_bytes: u64,
    outbox_bytes: u64,
    outbox_limit: u64,
    outbox_total_limit: u64,
    rooms: u32,
    bans: u32,
    #[serde(rename = "loop")]
    turns: Loop,
    late_us: u32,
    fds: Option<u32>,
    fds_limit: Option<u32>,
    rss_bytes: Option<u64>,
    paused: bool,
    draining: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AcceptQueue {
    length: Option<u32>,
    limit: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Loop {
    turns: u64,
    p50_us: u32,
    p99_us: u32,
    max_us: u32,
    late_max_us: u32,
}

impl Status {
    /// The server's time when it answered.
    pub(super) fn moment(&self) -> Moment {
        at(self.uptime_s)
    }

    pub(super) fn listeners(&self) -> &[String] {
        &self.listeners
    }
}

impl From<Status> for snapshot::Status {
    fn from(status: Status) -> Self {
        let queue = |queue: AcceptQueue| {
            Some(snapshot::AcceptQueue { length: queue.length?, limit: queue.limit.unwrap_or(0) })
        };
        let losses = status.machine_accept_overflows.zip(status.machine_accept_drops);
        let Loop { turns, p50_us, p99_us, max_us, late_max_us } = status.turns;
        let late_us = status.late_us;
        Self {
            name: status.name,
            pid: status.pid,
            uptime: span(status.uptime_s),
            listeners: status.listeners,
            accept_queues: status.accept_queues.into_iter().map(queue).collect(),
            accept_losses: losses.map(|(overflows, drops)| snapshot::AcceptLosses { overflows, drops }),
            clients: status.clients,
            half_closed: status.half_closed,
            slow: status.slow,
            operators: status.operators,
            accepted: status.accepted,
            refused: status.refused,
            accept_failures: status.accept_failures,
            closed: status.closed.into_iter().map(|(word, count)| (Cow::Owned(word), count)).collect(),
            bytes_in: status.bytes_in,
            bytes_out: status.bytes_out,
            lines_in: status.lines_in,
            lines_incomplete: status.lines_incomplete,
            dropped_bytes: status.dropped_bytes,
            deliveries: status.deliveries,
            lines_skipped: status.lines_skipped,
            inbox_bytes: status.inbox_bytes,
            outbox_bytes: status.outbox_bytes,
            outbox_limit: status.outbox_limit,
            outbox_total_limit: status.outbox_total_limit,
            rooms: status.rooms,
            bans: status.bans,
            paused: status.paused,
            draining: status.draining,
            turns: TurnStats { turns, p50_us, p99_us, max_us, late_max_us, late_us },
            fds: status.fds,
            fds_limit: status.fds_limit,
            rss_bytes: status.rss_bytes,
        }
    }
}

/// A row of `connections` and `closed`; with its history, the answer to `connection`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Connection {
    id: u64,
    nick: Option<String>,
    peer: String,
    listener: String,
    state: String,
    read: String,
    write: String,
    age_s: f64,
    idle_s: f64,
    eof_at_s: Option<f64>,
    stuck_at_s: Option<f64>,
    flow_at_s: Option<f64>,
    gone_s: Option<f64>,
    rooms: Vec<String>,
    bytes_in: u64,
    bytes_out: u64,
    lines_in: u64,
    lines_incomplete: u64,
    lines_out: u64,
    lines_skipped: u64,
    scrubbed: u64,
    inbox_bytes: u64,
    outbox_bytes: u64,
    outbox_age_s: f64,
    outbox_max: u64,
    recv_q: Option<u32>,
    send_q: Option<u32>,
    send_q_seen: u32,
    rtt_us: Option<u32>,
    peer_window: u32,
    unacked: u32,
    retransmits: u32,
    notsent: u32,
    flags: Vec<String>,
    reason: Option<String>,
    terminal: Option<String>,
    terminal_columns: Option<NonZeroU16>,
    terminal_rows: Option<NonZeroU16>,
    outbox_limit: u64,
    timeline: Vec<Happened>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Happened {
    unix_ms: i64,
    what: String,
}

impl Connection {
    /// The row as of `now`, of a server with these listeners; `None` without an id.
    pub(super) fn row(&self, listeners: &[String], now: Moment) -> Option<Row> {
        let gone_at = self.gone_s.map(|gone| before(now, gone));
        let end = gone_at.unwrap_or(now);
        let state = Phase::ALL.into_iter().find(|phase| phase.to_string() == self.state);
        let listener = listeners.iter().position(|label| *label == self.listener);
        Some(Row {
            id: ConnId::new(self.id)?,
            nick: self.nick.as_deref().and_then(|nick| Nick::of_anybody(nick).ok()),
            peer: peer(&self.peer),
            listener: listener.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX),
            state: state.unwrap_or(if gone_at.is_some() { Phase::Gone } else { Phase::Open }),
            read: half_state(&self.read),
            write: half_state(&self.write),
            since: before(end, self.age_s),
            heard: before(end, self.idle_s),
            eof_at: self.eof_at_s.map(at),
            rooms: u32::try_from(self.rooms.len()).unwrap_or(u32::MAX),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            lines_in: self.lines_in,
            lines_incomplete: self.lines_incomplete,
            lines_out: self.lines_out,
            lines_skipped: self.lines_skipped,
            scrubbed: self.scrubbed,
            inbox_bytes: self.inbox_bytes,
            outbox_bytes: self.outbox_bytes,
            outbox_age: (self.outbox_bytes > 0).then(|| span(self.outbox_age_s)),
            outbox_max: self.outbox_max,
            send_q_seen: self.send_q_seen,
            kernel: self.kernel(),
            stuck_since: self.stuck_at_s.map(at),
            flow_since: self.flow_at_s.map(at),
            flags: Flags::of_words(self.flags.iter().map(String::as_str)),
            terminal: self.terminal(),
            reason: self.reason.as_deref().map(reason),
            gone_at,
        })
    }

    fn kernel(&self) -> Option<Kernel> {
        let Self { peer_window, unacked, retransmits, notsent, .. } = *self;
        let tcp = self.rtt_us.map(|rtt_us| TcpInfo { rtt_us, peer_window, unacked, retransmits, notsent });
        Some(Kernel { recv_q: self.recv_q?, send_q: self.send_q?, tcp })
    }

    fn terminal(&self) -> Option<Box<Terminal>> {
        let [columns, rows] =
            [self.terminal_columns, self.terminal_rows].map(|cells| cells.map_or(0, NonZeroU16::get));
        let name = self.terminal.as_deref().map(Box::from);
        (name.is_some() || (columns, rows) != (0, 0)).then(|| Box::new(Terminal { name, columns, rows }))
    }

    /// Its history, as of `now`.
    pub(super) fn detail(&self, now: Now) -> Option<Detail> {
        let happened = |happened: &Happened| {
            let ago_ms = u64::try_from(now.wall.unix_ms - happened.unix_ms).unwrap_or(0);
            let moment = before(now.moment, Duration::from_millis(ago_ms).as_secs_f64());
            (Now { moment, wall: local_time(happened.unix_ms) }, milestone(&happened.what))
        };
        Some(Detail {
            id: ConnId::new(self.id)?,
            rooms: self.rooms.iter().filter_map(|name| RoomName::parse(name).ok()).collect(),
            timeline: self.timeline.iter().map(happened).collect(),
            outbox_limit: self.outbox_limit,
        })
    }
}

/// A row of `events`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    seq: u64,
    unix_ms: i64,
    kind: String,
    id: Option<u64>,
    nick: Option<String>,
    text: String,
    peer: String,
    reason: String,
    unsent: u64,
    events: u64,
    verb: String,
    outcome: String,
    level: String,
    by_clients: bool,
    lines: u64,
    outbox_bytes: u64,
    outbox_limit: u64,
}

impl Event {
    /// The event, told at `now`.
    pub(super) fn event(self, now: Now) -> event::Event {
        let ago_ms = u64::try_from(now.wall.unix_ms - self.unix_ms).unwrap_or(0);
        let moment = before(now.moment, Duration::from_millis(ago_ms).as_secs_f64());
        let at = Now { moment, wall: local_time(self.unix_ms) };
        let seq = self.seq;
        let kind = self.known().unwrap_or_else(|| EventKind::Server {
            level: level(&self.level),
            text: self.text.clone(),
            by_clients: self.by_clients || self.kind != "server",
        });
        event::Event { seq, at, kind }
    }

    /// The kind, if it is known with all that belongs to it.
    fn known(&self) -> Option<EventKind> {
        let id = self.id.and_then(ConnId::new);
        let nick = self.nick.as_deref().and_then(|nick| Nick::of_anybody(nick).ok());
        let unsent = self.unsent;
        Some(match self.kind.as_str() {
            "accept" => EventKind::Accepted { id: id?, peer: peer(&self.peer) },
            "close" => EventKind::Closed { id: id?, nick, reason: reason(&self.reason), unsent },
            "eof" => EventKind::Eof { id: id?, nick, unsent },
            "flow" => EventKind::Flow { id: id?, nick },
            "full" => EventKind::Full { id: id?, nick },
            "missed" => EventKind::Missed { events: self.events },
            "nick" => {
                let old = Nick::of_anybody(self.text.strip_prefix("was ")?).ok()?;
                EventKind::Nick { id: id?, old, new: nick? }
            }
            "op" if !self.verb.is_empty() => {
                EventKind::Operator { id, verb: self.verb.clone(), outcome: self.outcome.clone() }
            }
            "refuse" => EventKind::Refused { peer: peer(&self.peer), why: self.reason.clone().into() },
            "skip" => EventKind::Skipped { id: id?, nick, lines: self.lines },
            "slow" => EventKind::Slow { id: id?, nick, outbox: self.outbox_bytes, limit: self.outbox_limit },
            _ => return None,
        })
    }
}

/// Seconds since the server's start.
fn at(seconds: f64) -> Moment {
    Moment::START + span(seconds)
}

fn before(moment: Moment, seconds: f64) -> Moment {
    Moment::from_micros(moment.micros().saturating_sub(micros(span(seconds))))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Seconds with their milliseconds; none that are no time.
fn span(seconds: f64) -> Duration {
    let exact = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    // A number of milliseconds is seldom a sum of powers of two.
    Duration::from_micros((micros(exact) + 500) / 1_000 * 1_000)
}

fn peer(text: &str) -> Peer {
    text.parse().map_or(Peer::Unix, Peer::Tcp)
}

fn half_state(word: &str) -> HalfState {
    [HalfState::Eof, HalfState::Shut]
        .into_iter()
        .find(|state| state.to_string() == word)
        .unwrap_or(HalfState::Open)
}

fn level(word: &str) -> LogLevel {
    let all = [LogLevel::Error, LogLevel::Warn, LogLevel::Debug];
    all.into_iter().find(|level| level_word(*level) == word).unwrap_or(LogLevel::Info)
}

/// A reason as rows have it: a code, and after a colon what was said with it.
fn reason(text: &str) -> CloseReason {
    let (code, said) = text.split_once(": ").unwrap_or((text, ""));
    let said = said.to_owned();
    let protocols = [
        Foreign::Http,
        Foreign::Ssh,
        Foreign::Tls,
        Foreign::Proxy,
        Foreign::Socks,
        Foreign::Irc,
        Foreign::Smtp,
        Foreign::Lpd,
        Foreign::Binary,
    ];
    match code {
        "banned" => CloseReason::Banned(said),
        "eof" => CloseReason::Eof,
        "error" => CloseReason::Error(said),
        "flood" => CloseReason::Flood,
        "foreign" => protocols
            .into_iter()
            .find(|protocol| protocol.to_string() == said)
            .map_or_else(|| CloseReason::Error(text.to_owned()), CloseReason::Foreign),
        "half-close-limit" => CloseReason::HalfCloseLimit,
        "half-close-timeout" => CloseReason::HalfCloseTimeout,
        "kicked" => CloseReason::Kicked(said),
        "outbox-full" => CloseReason::OutboxFull,
        "quit" => CloseReason::Quit(said),
        "refused" => CloseReason::Refused(said.into()),
        "reset-by-peer" => CloseReason::ResetByPeer,
        "reset" => CloseReason::ResetByOperator,
        "server-stop" => CloseReason::ServerStop,
        "shutdown" => CloseReason::Shutdown,
        "stalled" => CloseReason::Stalled,
        _ => CloseReason::Error(text.to_owned()),
    }
}

/// What happened to a connection, in the words of its server; the words of a milestone without a number are known.
fn milestone(text: &str) -> Milestone {
    let known = [
        Milestone::Connected,
        Milestone::WouldBlock,
        Milestone::Flushed,
        Milestone::TooLong,
        Milestone::FlowStart,
        Milestone::FlowEnd,
        Milestone::Eof,
        Milestone::Fin,
    ];
    let known = known.into_iter().find(|milestone| milestone.to_string() == text);
    known.unwrap_or_else(|| Milestone::Told(text.into()))
}
