//! What an onlooker sees: the server and each connection at one moment, as plain data.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::event::Event;
pub use crate::chat::{Nick, RoomName};
pub use crate::id::ConnId;
pub use crate::session::{CloseReason, Half, Milestone, Phase};
use crate::time::{Moment, Now};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A TCP address, IPv4 ones never in their IPv6 form.
    Tcp(SocketAddr),
    /// A Unix socket: peers have no address.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// One direction of a connection: the `read` and `write` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfState {
    /// Bytes may flow.
    Open,
    /// The peer ended it (read side only).
    Eof,
    /// We ended it.
    Shut,
}

impl fmt::Display for HalfState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Eof => "eof",
            Self::Shut => "shut",
        })
    }
}

/// What is remarkable about a connection, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Not read because it floods.
    pub const FLOW: Self = Self(1);
    /// Its outbox is more than half full.
    pub const SLOW: Self = Self(1 << 1);
    /// It takes nothing although bytes wait.
    pub const STALLED: Self = Self(1 << 2);
    /// The operator refuses its lines.
    pub const MUTED: Self = Self(1 << 3);
    /// It has sent a telnet command.
    pub const TELNET: Self = Self(1 << 4);
    /// It stays after half-close.
    pub const LISTEN: Self = Self(1 << 5);
    /// The operator shut a direction of it.
    pub const OP: Self = Self(1 << 6);
    /// The peer ended its input, we may still send.
    pub const HALF: Self = Self(1 << 7);

    const NAMED: [(Self, &'static str); 8] = [
        (Self::STALLED, "stalled"),
        (Self::SLOW, "slow"),
        (Self::FLOW, "flow"),
        (Self::HALF, "half"),
        (Self::OP, "op"),
        (Self::MUTED, "muted"),
        (Self::LISTEN, "listen"),
        (Self::TELNET, "telnet"),
    ];

    /// Whether all of `other` are in the set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set with `other` in it if `on`, unchanged otherwise.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }

    /// The set of the flags with these words; others are left out.
    pub fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        words.fold(Self::default(), |flags, word| {
            let named = Self::NAMED.into_iter().find(|(_, name)| *name == word);
            named.map_or(flags, |(flag, _)| flags.with(flag, true))
        })
    }

    /// All words there are, the most urgent first.
    pub fn all_words() -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().map(|(_, word)| word)
    }

    /// The words of the set, the most urgent first.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, word)| word)
    }
}

/// The kernel's side of a connection, read only for rows that somebody looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Received, not yet read by us (`FIONREAD`).
    pub recv_q: u32,
    /// Sent by us, not yet acknowledged (`SIOCOUTQ`).
    pub send_q: u32,
    /// More of TCP, where the system tells it.
    pub tcp: Option<TcpInfo>,
}

/// The part of `TCP_INFO` (tcp(7)) that explains a stuck connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: u32,
    /// The peer's advertised window in bytes; 0 means that it does not read.
    pub peer_window: u32,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Retransmissions of the segment under way.
    pub retransmits: u32,
    /// Bytes in Send-Q that were never sent.
    pub notsent: u32,
}

/// The terminal at the other end, as far as a telnet client told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Its name (RFC 1091), scrubbed.
    pub name: Option<Box<str>>,
    /// Columns of its window; 0 is "unknown" (RFC 1073).
    pub columns: u16,
    /// Rows of its window; 0 is "unknown".
    pub rows: u16,
}

impl fmt::Display for Terminal {
    /// `xterm-256color 80x24`, with `?` for what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |cells: u16| if cells == 0 { "?".to_owned() } else { cells.to_string() };
        let window = format!("{}x{}", told(self.columns), told(self.rows));
        match &self.name {
            Some(name) if (self.columns, self.rows) == (0, 0) => f.write_str(name),
            Some(name) => write!(f, "{name} {window}"),
            None => f.write_str(&window),
        }
    }
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub id: ConnId,
    /// Its name; none for one that was refused at the door.
    pub nick: Option<Nick>,
    /// Where it comes from.
    pub peer: Peer,
    /// Which of [`Status::listeners`] took it.
    pub listener: u16,
    /// Where it stands.
    pub state: Phase,
    /// The direction from the peer.
    pub read: HalfState,
    /// The direction to the peer.
    pub write: HalfState,
    /// When it was accepted.
    pub since: Moment,
    /// When it last sent something.
    pub heard: Moment,
    /// When its input ended, if it has.
    pub eof_at: Option<Moment>,
    /// How many rooms it is in.
    pub rooms: u32,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes given to the kernel.
    pub bytes_out: u64,
    /// Messages received.
    pub lines_in: u64,
    /// Messages dropped because the input ended inside them: none or one.
    pub lines_incomplete: u64,
    /// Lines put into its outbox.
    pub lines_out: u64,
    /// Lines dropped because its outbox was full.
    pub lines_skipped: u64,
    /// Characters replaced by scrubbing in what it sent.
    pub scrubbed: u64,
    /// Received and not yet parsed.
    pub inbox_bytes: u64,
    /// Ours, unsent.
    pub outbox_bytes: u64,
    /// Age of the oldest unsent byte; `None` when the outbox is empty.
    pub outbox_age: Option<Duration>,
    /// The most the outbox has held.
    pub outbox_max: u64,
    /// The last Send-Q known, for rows whose [`Row::kernel`] was not read.
    pub send_q_seen: u32,
    /// The kernel's queues, for rows asked for.
    pub kernel: Option<Kernel>,
    /// Since when it takes nothing although bytes wait.
    pub stuck_since: Option<Moment>,
    /// Since when it is not read because it floods.
    pub flow_since: Option<Moment>,
    /// What is remarkable.
    pub flags: Flags,
    /// Its terminal, if it told of it.
    pub terminal: Option<Box<Terminal>>,
    /// Why it ended, for those gone or going.
    pub reason: Option<CloseReason>,
    /// When it ended, for those gone.
    pub gone_at: Option<Moment>,
}

/// More about the one connection that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Which.
    pub id: ConnId,
    /// Its rooms, the active one last.
    pub rooms: Vec<RoomName>,
    /// Its life, oldest first.
    pub timeline: Vec<(Now, Milestone)>,
    /// The limit of its outbox.
    pub outbox_limit: u64,
}

/// Connections that the kernel has completed and nobody has accepted, on one listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptQueue {
    /// How many wait.
    pub length: u32,
    /// How many may: the listener's accept backlog, cut by the system (listen(2)).
    pub limit: u32,
}

/// What accept queues lost, counted by the kernel since its start for all listeners of the machine (more exactly, of
/// the process's network namespace), whoever has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptLosses {
    /// Connections that found an accept queue full (`ListenOverflows`).
    pub overflows: u64,
    /// Connections that were dropped before they were accepted, overflows included (`ListenDrops`).
    pub drops: u64,
}

/// The server as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `server.name`.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// Since the start.
    pub uptime: Duration,
    /// The listeners as printed at the start: `127.0.0.1:6677 (lines)`.
    pub listeners: Vec<String>,
    /// Their accept queues, in the same order; `None` where the system does not tell. Empty once they are closed.
    pub accept_queues: Vec<Option<AcceptQueue>>,
    /// What accept queues of the whole machine lost, where the system tells it.
    pub accept_losses: Option<AcceptLosses>,
    /// Connections now, draining ones included.
    pub clients: u32,
    /// Of them, those whose peer sent FIN.
    pub half_closed: u32,
    /// Of them, those whose outbox is more than half full, or who take nothing.
    pub slow: u32,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections turned away so far.
    pub refused: u64,
    /// Calls of accept(2) that failed so far.
    pub accept_failures: u64,
    /// Connections that ended, by [`CloseReason::word`], in alphabetical order.
    pub closed: Vec<(Cow<'static, str>, u64)>,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes given to the kernel.
    pub bytes_out: u64,
    /// Messages received.
    pub lines_in: u64,
    /// Messages dropped because the input ended inside them.
    pub lines_incomplete: u64,
    /// Bytes received from connections that failed, dropped before they were parsed.
    pub dropped_bytes: u64,
    /// Lines put into outboxes.
    pub deliveries: u64,
    /// Lines dropped because an outbox was full.
    pub lines_skipped: u64,
    /// Received from clients and not yet parsed.
    pub inbox_bytes: u64,
    /// Unsent bytes of all clients.
    pub outbox_bytes: u64,
    /// Of how many.
    pub outbox_total_limit: u64,
    /// Of how many for each.
    pub outbox_limit: u64,
    /// Rooms now.
    pub rooms: u32,
    /// Bans in force.
    pub bans: u32,
    /// Connections to the control socket.
    pub operators: u32,
    /// Accepting is paused by the operator.
    pub paused: bool,
    /// The server is ending.
    pub draining: bool,
    /// How the loop does.
    pub turns: TurnStats,
    /// Open file descriptors, where the system tells it.
    pub fds: Option<u32>,
    /// How many there may be; `None` without a limit.
    pub fds_limit: Option<u32>,
    /// Resident memory of the process, where the system tells it.
    pub rss_bytes: Option<u64>,
}

/// How long the turns of the loop take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnStats {
    /// Turns so far.
    pub turns: u64,
    /// Median of the recent ones, in microseconds.
    pub p50_us: u32,
    /// 99th percentile of the recent ones, in microseconds.
    pub p99_us: u32,
    /// The longest of the recent ones, in microseconds.
    pub max_us: u32,
    /// How late the latest turn of the last minute began, in microseconds after its wait should have ended.
    pub late_max_us: u32,
    /// The same of the last two seconds.
    pub late_us: u32,
}

/// What an onlooker asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Rows whose kernel queues are wanted: the visible ones. At most [`Query::VISIBLE_MAX`] are read.
    pub visible: Vec<ConnId>,
    /// The connection whose detail is wanted.
    pub detail: Option<ConnId>,
    /// Events after this sequence number are wanted.
    pub events_after: u64,
}

impl Query {
    /// The most rows whose kernel queues are read for one snapshot.
    pub const VISIBLE_MAX: usize = 256;
    /// The most events in one snapshot; older ones are left out, and counted in a
    /// [`EventKind::Missed`](super::event::EventKind::Missed) before the others.
    pub const EVENTS_MAX: usize = 1_000;
    /// How long a row stays in snapshots after its end.
    pub const GONE_FOR: Duration = Duration::from_secs(5);
}

/// Everything an onlooker sees at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken.
    pub taken: Now,
    /// The server as a whole.
    pub status: Status,
    /// The connections by rising id; those gone within [`Query::GONE_FOR`] included.
    pub rows: Vec<Row>,
    /// What was asked for with [`Query::detail`], if it is there.
    pub detail: Option<Detail>,
    /// What was asked for with [`Query::events_after`], oldest first.
    pub events: Vec<Event>,
}
