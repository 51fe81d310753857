//! The configuration as data: every key with its type and default. A [`Config`] that exists is valid.

use std::fmt;
use std::net::SocketAddr;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::Network;
pub use crate::wire::framing::Framing;

/// A number of bytes, written `"256 KiB"` or `262144` in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// `count` KiB.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count * 1024)
    }

    /// `count` MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self::kib(count * 1024)
    }

    /// The number of bytes, as an index type.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The longest clean stop. Supervisors kill a process that takes longer.
pub const DRAIN_MAX: Duration = Duration::from_secs(600);

/// Everything that can be set. [`Config::default`] is what `config.toml` at the root of the source says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[[listen]]`, at least one.
    pub listen: Listeners,
    /// `[limits]`
    pub limits: Limits,
    /// `[flood]`
    pub flood: Flood,
    /// `[half_close]`
    pub half_close: HalfClose,
    /// `[keepalive]`
    pub keepalive: Keepalive,
    /// `[rooms]`
    pub rooms: Rooms,
    /// `[control]`
    pub control: Control,
    /// `[log]`
    pub log: Log,
    /// `[dashboard]`
    pub dashboard: Dashboard,
}

/// `[server]`: the server as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The name in the greeting and in the dashboard's header.
    pub name: String,
    /// Shown on connect, each line as `-- TEXT`; empty for none.
    pub motd: String,
    /// A file whose text is shown instead of `motd`.
    pub motd_file: Option<PathBuf>,
    /// The longest clean stop.
    pub drain: Duration,
    /// What losing the dashboard's terminal does.
    pub on_hangup: OnHangup,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            name: "chatops".to_owned(),
            motd: String::new(),
            motd_file: None,
            drain: Duration::from_secs(5),
            on_hangup: OnHangup::Detach,
        }
    }
}

/// What happens when the dashboard loses its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHangup {
    /// The server continues without a dashboard.
    Detach,
    /// The server ends cleanly, as after SIGTERM.
    Drain,
}

/// The listeners, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners(pub Vec<Listen>);

impl Default for Listeners {
    fn default() -> Self {
        Self(vec![Listen::default()])
    }
}

/// One `[[listen]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where to listen.
    pub address: ListenAddr,
    /// How messages are delimited.
    pub framing: Framing,
    /// Connections that the kernel completes before the server accepts them (listen(2)).
    pub backlog: u32,
    /// The mode of a Unix listener's file, which decides which users may connect.
    pub mode: FileMode,
}

/// The permissions of a file, written `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 6677))),
            framing: Framing::Lines,
            backlog: 1024,
            mode: FileMode(0o666),
        }
    }
}

/// The longest path of a Unix socket, in bytes: `sun_path` has 108 with its NUL (unix(7)).
pub(super) const UNIX_PATH_MAX: usize = 107;

/// Why this path is too long for a Unix socket; `None` if it is not.
#[must_use]
pub fn too_long_for_a_socket(path: &Path) -> Option<String> {
    let length = path.as_os_str().len();
    (length > UNIX_PATH_MAX)
        .then(|| format!("has {length} bytes, but the path of a socket has at most {UNIX_PATH_MAX}"))
}

/// `host:port`, `[v6]:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// A TCP address; `[::]` takes IPv4 as well.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An outbox has one part of overhead for this number of parts of unsent bytes: four bytes for the end of each line, which
/// are a sixteenth of a line of 64 bytes, and the ends of buffers.
const OUTBOX_OVERHEAD_PARTS: u64 = 16;

/// `[limits]`: a bound on every buffer, queue and table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub clients: u32,
    /// Connections from one address ([`Network::counted_as_one`]).
    pub per_ip: PerAddress,
    /// Whether loopback addresses count as addresses too.
    pub per_ip_loopback: bool,
    /// Networks whose addresses do not count.
    pub trusted: Vec<Network>,
    /// New connections of one address that are let in without delay.
    pub connects_burst: u32,
    /// New connections of one address that are let in a second after that.
    pub connects_per_second: u32,
    /// The longest message, in bytes.
    pub line_bytes: ByteSize,
    /// Memory for the unsent bytes of one client; see [`Limits::unsent_max`].
    pub outbox_bytes: ByteSize,
    /// Unsent bytes of all clients together.
    pub outbox_total: ByteSize,
    /// Unparsed bytes of all clients together. Above it, no client is read more than one message ahead.
    pub inbox_total: ByteSize,
    /// Rooms at a time.
    pub rooms: u32,
    /// Rooms that one client may be in.
    pub rooms_per_client: u32,
    /// Clients that one client may ignore.
    pub ignores_per_client: u32,
    /// Bans at a time.
    pub bans: u32,
    /// Mutes at a time.
    pub mutes: u32,
    /// What happens to a client whose outbox is full.
    pub on_full: OnFull,
    /// A client with waiting bytes, of which none is acknowledged, and from which nothing is received, is reset after
    /// this time.
    pub stall: Duration,
    /// The kernel's send buffer for each client (`SO_SNDBUF`).
    pub send_buffer: ByteSize,
    /// The kernel's receive buffer for each client (`SO_RCVBUF`).
    pub receive_buffer: ByteSize,
}

/// `limits.per_ip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAddress {
    /// A tenth of [`Limits::clients`], at least 10.
    Auto,
    /// This many; 0 for no limit.
    Most(u32),
}

impl Limits {
    /// The most connections from one address, if there is a limit.
    #[must_use]
    pub fn per_address_max(&self) -> Option<u32> {
        match self.per_ip {
            PerAddress::Auto => Some((self.clients / 10).max(10)),
            PerAddress::Most(0) => None,
            PerAddress::Most(most) => Some(most),
        }
    }

    /// The most half-closed connections that stay to listen: a quarter of [`Limits::clients`], at least 10.
    #[must_use]
    pub fn half_closed_max(&self) -> usize {
        (self.clients as usize / 4).max(10)
    }

    /// Unsent bytes that an outbox of `outbox_bytes` holds; the rest of it is overhead, one part in seventeen.
    #[must_use]
    pub const fn unsent_max(outbox_bytes: u64) -> u64 {
        outbox_bytes - outbox_bytes / (OUTBOX_OVERHEAD_PARTS + 1)
    }

    /// The size that an outbox of so many unsent bytes needs, one byte more at most: [`Limits::unsent_max`] the other way
    /// round.
    #[must_use]
    pub const fn outbox_for(unsent: u64) -> u64 {
        (unsent * (OUTBOX_OVERHEAD_PARTS + 1)).div_ceil(OUTBOX_OVERHEAD_PARTS)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 10_000,
            per_ip: PerAddress::Auto,
            per_ip_loopback: false,
            trusted: Vec::new(),
            connects_burst: 50,
            connects_per_second: 10,
            line_bytes: ByteSize(4096),
            outbox_bytes: ByteSize::kib(256),
            outbox_total: ByteSize::mib(256),
            inbox_total: ByteSize::mib(64),
            rooms: 10_000,
            rooms_per_client: 20,
            ignores_per_client: 20,
            bans: 1_000,
            mutes: 1_000,
            on_full: OnFull::Skip,
            stall: Duration::from_secs(120),
            send_buffer: ByteSize::kib(64),
            receive_buffer: ByteSize::kib(64),
        }
    }
}

/// What happens to a client whose outbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Drop the oldest whole lines, and notify the client of their number.
    Skip,
    /// Close the connection.
    Disconnect,
}

/// `[flood]`: what a client may send, as a token bucket of lines and one of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Whether senders are limited at all.
    pub enabled: bool,
    /// Lines that may come at once.
    pub burst_lines: u32,
    /// Lines a second after that.
    pub lines_per_second: u32,
    /// Bytes that may come at once.
    pub burst_bytes: ByteSize,
    /// Bytes a second after that.
    pub bytes_per_second: ByteSize,
    /// A client over its rate for this time without a pause gets a notice and is closed.
    pub patience: Duration,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            enabled: true,
            burst_lines: 20,
            lines_per_second: 5,
            burst_bytes: ByteSize::kib(128),
            bytes_per_second: ByteSize::kib(32),
            patience: Duration::from_secs(600),
        }
    }
}

/// `[half_close]`: what happens when a client ends its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfClose {
    /// Whether the client is answered and closed, or continues to receive.
    pub policy: HalfClosePolicy,
    /// The longest time that a client receives after EOF, and the longest `shutdown both`.
    pub timeout: Duration,
}

impl Default for HalfClose {
    fn default() -> Self {
        Self { policy: HalfClosePolicy::Answer, timeout: Duration::from_secs(600) }
    }
}

/// What happens when a client ends its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClosePolicy {
    /// Everything received is answered, then flushed and closed.
    Answer,
    /// The client continues to receive.
    Listen,
}

/// `[keepalive]`: TCP keepalive (tcp(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes before the connection is given up.
    pub count: u32,
    /// `idle` for a peer that has sent FIN and continues to receive, if that is shorter.
    pub idle_half_closed: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(15),
            count: 4,
            idle_half_closed: Duration::from_secs(15),
        }
    }
}

/// `[rooms]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rooms {
    /// The room that every client starts in, without its `#`.
    pub lobby: String,
    /// Presence is summed up in rooms with more members.
    pub presence_max: u32,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { lobby: "lobby".to_owned(), presence_max: 50 }
    }
}

/// `[control]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The operator's control socket.
    pub path: ControlPath,
}

/// Where the control socket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ControlPath {
    /// In the user's runtime directory, else in the state directory, named by the first TCP port.
    #[default]
    Auto,
    /// This path.
    At(PathBuf),
    /// There is no control socket.
    Off,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is logged.
    pub level: LogLevel,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info }
    }
}

/// How much is logged; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Facts that an operator should look at.
    Warn,
    /// Arrivals, departures, operator verbs.
    Info,
    /// Everything, including each half-close and slow reader.
    Debug,
}

/// `[dashboard]`
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// The set of colours.
    pub theme: ThemeName,
    /// No box, block or braille glyphs.
    pub ascii: bool,
    /// Times as `HH:MM:SS` of the day, or as an age.
    pub clock: ClockFormat,
    /// Key bindings over the built-in ones: `"x" = "kick"`.
    pub keys: Vec<(String, String)>,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { theme: ThemeName::Auto, ascii: false, clock: ClockFormat::Time, keys: Vec::new() }
    }
}

/// The dashboard's sets of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThemeName {
    /// The terminal's own colours; none under `NO_COLOR`.
    Auto,
    /// Blue and orange, for people who cannot distinguish red and green.
    ColourBlind,
    /// For dark backgrounds.
    Dark,
    /// Black, white and bold.
    HighContrast,
    /// For light backgrounds.
    Light,
    /// No colour; bold, dim and reverse only.
    Mono,
}

/// How the event pane shows a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFormat {
    /// How long ago.
    Age,
    /// The time of day.
    Time,
}
