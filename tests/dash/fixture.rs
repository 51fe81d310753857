//! A server that never was: fixed snapshots on a fixed clock.

use std::time::Duration;

use chatops::config::settings::{Dashboard, LogLevel, ThemeName};
use chatops::dash::{Access, App, Effect};
use chatops::link::{Request, Response};
use chatops::model::event::{Event, EventKind};
use chatops::model::snapshot::{
    self, AcceptLosses, AcceptQueue, CloseReason, ConnId, Detail, Flags, HalfState, Kernel, Milestone, Nick,
    Peer, Phase, RoomName, Row, Snapshot, Status, TcpInfo, TurnStats,
};
use chatops::model::verbs::Half;
use chatops::term::input::Typed;
use chatops::time::{Moment, Now, WallTime};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// Seconds between the start of the server and the last snapshot: 02:14:07.
pub(crate) const UPTIME_S: u64 = 8_047;

/// This number of seconds after the start; the last snapshot is taken at 12:04:01.
pub(crate) fn at(seconds: u64) -> Now {
    at_ms(seconds * 1_000)
}

pub(crate) fn at_ms(ms: u64) -> Now {
    let start = 12 * 3_600 + 4 * 60 + 1 - UPTIME_S;
    let day = start + ms / 1_000;
    let part = |seconds: u64| u8::try_from(seconds).unwrap();
    let wall = WallTime {
        unix_ms: i64::try_from(ms).unwrap(),
        hour: part(day / 3_600 % 24),
        minute: part(day / 60 % 60),
        second: part(day % 60),
    };
    Now { moment: Moment::from_micros(ms * 1_000), wall }
}

/// The time of the last snapshot.
pub(crate) fn now() -> Now {
    at(UPTIME_S)
}

pub(crate) fn id(number: u64) -> ConnId {
    ConnId::new(number).unwrap()
}

/// A client without flags or unsent bytes.
pub(crate) fn row(number: u64, nick: &str, peer: &str) -> Row {
    Row {
        id: id(number),
        nick: Some(Nick::of_anybody(nick).unwrap()),
        peer: Peer::Tcp(peer.parse().unwrap()),
        listener: 0,
        state: Phase::Open,
        read: HalfState::Open,
        write: HalfState::Open,
        since: at(UPTIME_S - 2_470 + number).moment,
        heard: at(UPTIME_S - number % 50).moment,
        eof_at: None,
        rooms: 1,
        bytes_in: 31_000 + number * 17,
        bytes_out: 4_100_000 + number * 1_000,
        lines_in: 812,
        lines_incomplete: 0,
        lines_out: 9_120,
        lines_skipped: 0,
        scrubbed: 0,
        inbox_bytes: 0,
        outbox_bytes: 0,
        outbox_age: None,
        outbox_max: 12_000,
        send_q_seen: 0,
        kernel: Some(Kernel { tcp: Some(healthy()), ..Kernel::default() }),
        stuck_since: None,
        flow_since: None,
        flags: Flags::default(),
        terminal: None,
        reason: None,
        gone_at: None,
    }
}

fn healthy() -> TcpInfo {
    TcpInfo { rtt_us: 312, peer_window: 64_256, ..TcpInfo::default() }
}

/// A peer that does not read.
fn mallory() -> Row {
    Row {
        outbox_bytes: 150_000,
        outbox_age: Some(Duration::from_millis(9_400)),
        outbox_max: 150_000,
        send_q_seen: 65_536,
        kernel: Some(Kernel {
            recv_q: 0,
            send_q: 65_536,
            tcp: Some(TcpInfo { peer_window: 0, unacked: 3, notsent: 61_000, ..healthy() }),
        }),
        stuck_since: Some(at(UPTIME_S - 41).moment),
        flags: Flags::default().with(Flags::SLOW, true).with(Flags::STALLED, true),
        ..row(17, "mallory", "203.0.113.9:51822")
    }
}

/// Rows that differ in every way in which rows can differ.
pub(crate) fn remarkable() -> Vec<Row> {
    let op = Flags::default().with(Flags::OP, true);
    vec![
        Row {
            terminal: Some(Box::new(snapshot::Terminal {
                name: Some("XTERM-256COLOR".into()),
                columns: 132,
                rows: 43,
            })),
            ..row(5, "zoe", "192.0.2.77:51010")
        },
        Row {
            state: Phase::RdShut,
            read: HalfState::Shut,
            outbox_bytes: 8_601,
            kernel: Some(Kernel { send_q: 1_024, tcp: Some(healthy()), ..Kernel::default() }),
            flags: op,
            ..row(8, "alice", "192.0.2.14:38870")
        },
        Row {
            state: Phase::Gone,
            reason: Some(CloseReason::ResetByPeer),
            gone_at: Some(at(UPTIME_S - 3).moment),
            kernel: None,
            ..row(12, "dave", "192.0.2.81:51012")
        },
        mallory(),
        Row {
            state: Phase::Eof,
            read: HalfState::Eof,
            eof_at: Some(at(UPTIME_S - 41).moment),
            outbox_bytes: 11_980,
            kernel: Some(Kernel { send_q: 2_150, tcp: Some(healthy()), ..Kernel::default() }),
            flags: Flags::default().with(Flags::HALF, true),
            ..row(23, "bob", "198.51.100.7:40112")
        },
        Row {
            flow_since: Some(at(UPTIME_S - 6).moment),
            kernel: Some(Kernel { recv_q: 43_000, tcp: Some(healthy()), ..Kernel::default() }),
            flags: Flags::default().with(Flags::FLOW, true).with(Flags::MUTED, true),
            scrubbed: 12,
            ..row(26, "spammer", "198.51.100.66:5555")
        },
        Row {
            state: Phase::WrShut,
            write: HalfState::Shut,
            kernel: Some(Kernel { recv_q: 240, tcp: Some(healthy()), ..Kernel::default() }),
            flags: op,
            ..row(31, "guest-31", "[2001:db8::42]:60001")
        },
        Row {
            state: Phase::Draining,
            reason: Some(CloseReason::Kicked("too loud".to_owned())),
            outbox_bytes: 512,
            send_q_seen: 900,
            kernel: Some(Kernel {
                send_q: 900,
                tcp: Some(TcpInfo { unacked: 2, retransmits: 4, ..healthy() }),
                ..Kernel::default()
            }),
            stuck_since: Some(at(UPTIME_S - 4).moment),
            ..row(38, "eve", "192.0.2.200:6001")
        },
    ]
}

/// All rows: the remarkable ones among 42 clients.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = remarkable();
    for number in 1..=43 {
        if rows.iter().all(|row| row.id != id(number)) {
            let nick = format!("guest-{number}");
            rows.push(row(number, &nick, &format!("10.1.{}.{}:{}", number % 3, number * 5, 40_000 + number)));
        }
    }
    rows.sort_by_key(|row| row.id);
    rows
}

pub(crate) fn status() -> Status {
    Status {
        name: "chatops".to_owned(),
        pid: 4_242,
        uptime: Duration::from_secs(UPTIME_S),
        listeners: vec!["127.0.0.1:6677 (lines)".to_owned()],
        accept_queues: vec![Some(AcceptQueue { length: 0, limit: 1_024 })],
        accept_losses: Some(AcceptLosses { overflows: 2, drops: 2 }),
        clients: 42,
        half_closed: 3,
        slow: 1,
        accepted: 512,
        refused: 7,
        accept_failures: 0,
        closed: vec![
            ("eof".into(), 300),
            ("reset".into(), 1),
            ("reset-by-peer".into(), 2),
            ("quit".into(), 167),
        ],
        bytes_in: 9_000_000,
        bytes_out: 88_000_000,
        lines_in: 41_000,
        lines_incomplete: 0,
        dropped_bytes: 0,
        deliveries: 910_000,
        lines_skipped: 14,
        inbox_bytes: 0,
        outbox_bytes: 171_093,
        outbox_total_limit: 268_435_456,
        outbox_limit: 262_144,
        rooms: 3,
        bans: 0,
        operators: 0,
        paused: false,
        draining: false,
        turns: TurnStats { turns: 1_000_000, p50_us: 61, p99_us: 412, max_us: 2_100, ..TurnStats::default() },
        fds: Some(47),
        fds_limit: Some(1_024),
        rss_bytes: Some(9_542_041),
    }
}

fn record(seq: u64, seconds_ago: u64, kind: EventKind) -> Event {
    Event { seq, at: at(UPTIME_S - seconds_ago), kind }
}

pub(crate) fn events() -> Vec<Event> {
    let nick = |name: &str| Some(Nick::of_anybody(name).unwrap());
    let text = |text: &str| text.to_owned();
    let operator = |number: u64, verb: &str, outcome: &str| EventKind::Operator {
        id: Some(id(number)),
        verb: text(verb),
        outcome: text(outcome),
    };
    let peer = |peer: &str| Peer::Tcp(peer.parse().unwrap());
    let bob = Nick::of_anybody("bob").unwrap();
    let events = [
        (
            300,
            EventKind::Server {
                level: LogLevel::Info,
                text: text("listening on 127.0.0.1:6677 (lines)"),
                by_clients: false,
            },
        ),
        (200, EventKind::Accepted { id: id(23), peer: peer("198.51.100.7:40112") }),
        (190, EventKind::Nick { id: id(23), old: Nick::of_anybody("guest-23").unwrap(), new: bob }),
        (120, EventKind::Refused { peer: peer("203.0.113.77:4000"), why: "the server is full".into() }),
        (60, EventKind::Flow { id: id(26), nick: nick("spammer") }),
        (41, EventKind::Slow { id: id(17), nick: nick("mallory"), outbox: 150_000, limit: 262_144 }),
        (41, EventKind::Eof { id: id(23), nick: nick("bob"), unsent: 11_980 }),
        (30, EventKind::Skipped { id: id(17), nick: nick("mallory"), lines: 14 }),
        (25, operator(31, "shutdown #31 write", "flushed, FIN sent")),
        (20, operator(38, "kick #38 too loud", "draining")),
        (
            3,
            EventKind::Closed {
                id: id(12),
                nick: nick("dave"),
                reason: CloseReason::ResetByPeer,
                unsent: 2_048,
            },
        ),
        (
            2,
            EventKind::Closed {
                id: id(3),
                nick: nick("guest-3"),
                reason: CloseReason::Error("broken pipe".to_owned()),
                unsent: 0,
            },
        ),
    ];
    (1..).zip(events).map(|(seq, (ago, what))| record(seq, ago, what)).collect()
}

pub(crate) fn detail(number: u64) -> Detail {
    let milestone = |ago: u64, what: Milestone| (at(UPTIME_S - ago), what);
    Detail {
        id: id(number),
        rooms: vec![RoomName::parse("ops").unwrap(), RoomName::parse("lobby").unwrap()],
        timeline: vec![
            milestone(2_453, Milestone::Connected),
            milestone(1_800, Milestone::SplitLine { bytes: 17 }),
            milestone(44, Milestone::PartialWrite { taken: 2_048, offered: 8_192 }),
            milestone(43, Milestone::Flushed),
            milestone(41, Milestone::WouldBlock),
            milestone(30, Milestone::Skipped { lines: 14 }),
            milestone(12, Milestone::Shutdown(Half::Read)),
        ],
        outbox_limit: 262_144,
    }
}

/// The snapshot of the golden screens.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot { taken: now(), status: status(), rows: rows(), detail: None, events: Vec::new() }
}

/// The server's response to the present query of this app.
pub(crate) fn answer(app: &App, mut snapshot: Snapshot) -> Response {
    let query = app.query();
    let known = |wanted: &ConnId| snapshot.rows.iter().any(|row| row.id == *wanted);
    snapshot.detail = query.detail.filter(known).map(|wanted| detail(wanted.get()));
    snapshot.events = events().into_iter().filter(|entry| entry.seq > query.events_after).collect();
    Response::Snapshot(Box::new(snapshot))
}

/// A dashboard that has watched the server for two minutes.
pub(crate) fn watching_at(settings: &Dashboard, width: u16, height: u16) -> App {
    let mut app = App::new(settings, false, Access::Own).unwrap();
    app.resized(width, height);
    app.set_frame_time(231);
    for second in UPTIME_S - 120..UPTIME_S {
        let response = answer(&app, earlier(second));
        app.handle_response(response, at(second));
    }
    let response = answer(&app, snapshot());
    app.handle_response(response, now());
    let response = answer(&app, snapshot());
    app.handle_response(response, now());
    app
}

/// The server some seconds before the last snapshot: traffic in waves, an outbox that grows.
fn earlier(second: u64) -> Snapshot {
    let left = UPTIME_S - second;
    let mut snapshot = snapshot();
    snapshot.taken = at(second);
    let status = &mut snapshot.status;
    let wave = |period: u64, most: u64| {
        (second..UPTIME_S).map(|s| most * (s % period).min(period - s % period) / period).sum::<u64>()
    };
    status.uptime = Duration::from_secs(second);
    status.bytes_in -= wave(23, 6_000);
    status.bytes_out -= wave(31, 88_000);
    status.deliveries -= wave(17, 900);
    status.accepted -= left / 5;
    status.outbox_bytes = status.outbox_bytes.saturating_sub(left * 900);
    status.turns.p99_us = 150 + u32::try_from(second * 7 % 260).unwrap();
    for row in &mut snapshot.rows {
        row.bytes_out -= left * (row.id.get() * 37 % 900);
        row.bytes_in -= left * (row.id.get() * 13 % 60);
        row.outbox_bytes = row.outbox_bytes.saturating_sub(left * row.outbox_bytes / 60);
    }
    snapshot
}

/// The mono theme: all information is in text.
pub(crate) fn mono() -> Dashboard {
    Dashboard { theme: ThemeName::Mono, ..Dashboard::default() }
}

/// Presses one key, alone and after the open dialog is visible.
pub(crate) fn press_key(app: &mut App, key: KeyEvent) {
    app.frame_drawn();
    app.frame_taken();
    app.handle_key(key, Typed::Alone, now());
}

/// Presses keys one after the other: characters as they are, others by name in brackets, `<Enter>`, `<C-c>`.
pub(crate) fn press(app: &mut App, keys: &str) {
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let bracketed = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (key, length) = match bracketed.and_then(|(name, _)| Some((named(name)?, name.len() + 2))) {
            Some(named) => named,
            None => (KeyEvent::from(KeyCode::Char(first)), first.len_utf8()),
        };
        press_key(app, key);
        rest = &rest[length..];
    }
}

fn named(name: &str) -> Option<KeyEvent> {
    for (prefix, modifier) in [("C-", KeyModifiers::CONTROL), ("A-", KeyModifiers::ALT)] {
        if let Some(letter) = name.strip_prefix(prefix) {
            return Some(KeyEvent::new(KeyCode::Char(letter.chars().next()?), modifier));
        }
    }
    Some(KeyEvent::from(match name {
        "BackTab" => KeyCode::BackTab,
        "Backspace" => KeyCode::Backspace,
        "Down" => KeyCode::Down,
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Up" => KeyCode::Up,
        _ => return None,
    }))
}

/// Draws one frame.
pub(crate) fn draw(app: &mut App, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| chatops::dash::view::draw(frame, app, now())).unwrap();
    terminal.backend().buffer().clone()
}

/// The lines of a frame, without the spaces at their ends.
pub(crate) fn lines(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let buffer = draw(app, width, height);
    let row = |y: u16| -> String { (0..width).map(|x| buffer[(x, y)].symbol()).collect() };
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

/// The verbs among the effects that wait, as they would be typed.
pub(crate) fn verbs(app: &mut App) -> Vec<String> {
    let verb = |effect| match effect {
        Effect::Request(Request::Verb { command, .. }) => Some(command.to_string()),
        _ => None,
    };
    app.take_effects().into_iter().filter_map(verb).collect()
}
