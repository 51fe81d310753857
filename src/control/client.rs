//! Control sockets: where they are, which of them answer, and asking one a question.
//!
//! A server without a path of its own choice has its socket in one of two directories of the user, under a name that
//! tells its port. Nothing here is a server; nothing waits longer than it is told to.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::Deserialize;
use socket2::{Domain, SockAddr, Type};

use crate::config::settings::{ListenAddr, too_long_for_a_socket};

/// The longest answer that is taken, in bytes: `connections` with a million of them.
pub const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// Live servers that are told apart; more are left out.
const LIVE_MAX: usize = 64;
/// Entries looked at in one directory: `/tmp` may be one.
const ENTRIES_MAX: usize = 100_000;
/// How long a server is given to say where it listens.
const WHO_ARE_YOU: Duration = Duration::from_millis(300);
/// Access to the directory in the user's state directory: nobody else's business.
const DIRECTORY_MODE: u32 = 0o700;

/// The name of a server's socket: that of its first TCP port, else of its process.
#[must_use]
pub fn file_name(tcp_port: Option<u16>, pid: u32) -> String {
    match tcp_port {
        Some(port) => format!("chatops-{port}.sock"),
        None => format!("chatops-pid-{pid}.sock"),
    }
}

/// Where a server puts its socket, the better place first: the user's runtime directory, then one of ours in the user's
/// state directory (XDG Base Directory Specification). A relative HOME is none.
#[must_use]
pub fn directories() -> Vec<PathBuf> {
    let [runtime, state] = runtime_and_state(directories::BaseDirs::new().as_ref(), |name| env::var_os(name));
    runtime.into_iter().chain(state).collect()
}

/// The user's runtime directory and ours in the user's state directory. Without a home directory, which a container's
/// user without an entry in passwd(5) may not have, the crate knows neither, but the environment may name them.
fn runtime_and_state(
    base: Option<&directories::BaseDirs>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> [Option<PathBuf>; 2] {
    let named = |name| variable(name).map(PathBuf::from);
    let (runtime, state) = match base {
        Some(base) => (base.runtime_dir().map(Path::to_owned), base.state_dir().map(Path::to_owned)),
        None => (named("XDG_RUNTIME_DIR"), named("XDG_STATE_HOME")),
    };
    let state = state.map(|state| state.join("chatops"));
    [runtime, state].map(|directory| directory.filter(|directory| directory.is_absolute()))
}

/// Where sockets are looked for: [`directories()`]; the runtime directory that logind makes, of which cron and su(1) do
/// not tell; and that of a system service.
#[must_use]
pub fn searched_directories() -> Vec<PathBuf> {
    let [runtime, state] = runtime_and_state(directories::BaseDirs::new().as_ref(), |name| env::var_os(name));
    let uid = rustix::process::geteuid().as_raw();
    let system = [PathBuf::from(format!("/run/user/{uid}")), PathBuf::from("/run/chatops")];
    let mut all: Vec<PathBuf> = Vec::new();
    for directory in runtime.into_iter().chain(system).chain(state) {
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    all
}

/// Makes a place of [`directories()`] ready to have a socket in it. The runtime directory is the system's to make;
/// ours is made, and closed to others.
///
/// # Errors
///
/// When it is not there, or cannot be made.
pub fn prepare(directory: &Path) -> io::Result<()> {
    let [runtime, _] = runtime_and_state(directories::BaseDirs::new().as_ref(), |name| env::var_os(name));
    if runtime.as_deref() == Some(directory) {
        return fs::metadata(directory).map(|_| ());
    }
    fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    let mode = fs::metadata(directory)?.permissions().mode() & 0o777;
    if mode == DIRECTORY_MODE {
        return Ok(());
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(DIRECTORY_MODE))
}

/// The sockets in [`searched_directories()`] on which a server of this user's or root's answers, in the order of their
/// names. Directories and servers of other users are not ours to trust, unless we are root.
#[must_use]
pub fn live() -> Vec<PathBuf> {
    let found = searched_directories();
    found
        .iter()
        .flat_map(|directory| sockets_in(directory))
        .filter(|path| is_live(path))
        .take(LIVE_MAX)
        .collect()
}

/// Whether a process of a trusted user serves at `path`.
fn is_live(path: &Path) -> bool {
    match connect_at_once(path) {
        Ok(stream) => peer(&stream).is_ok_and(|peer| is_trusted(peer.uid)),
        // Its queue is full: a server is there that does not answer.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Whether a server answers at `path`, or would if its queue were not full.
///
/// # Errors
///
/// When the system does not let it be known.
pub fn is_answered(path: &Path) -> io::Result<bool> {
    match connect_at_once(path) {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(true),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(false),
            _ => Err(error),
        },
    }
}

/// Whether a user's directories and servers are used: our own and root's; by root those of all.
fn is_trusted(uid: u32) -> bool {
    let own = rustix::process::geteuid().as_raw();
    own == 0 || uid == own || uid == 0
}

/// The process at the other end of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its id; 0 in another namespace.
    pub pid: i32,
}

/// Who is at the other end of a Unix socket (`SO_PEERCRED`, unix(7)).
///
/// # Errors
///
/// Those of getsockopt(2).
pub fn peer(socket: &impl AsFd) -> io::Result<Peer> {
    let peer = getsockopt(socket, PeerCredentials)?;
    Ok(Peer { uid: peer.uid(), pid: peer.pid() })
}

/// The address of the socket at `path`.
///
/// # Errors
///
/// `InvalidInput` when the path is too long for a socket.
pub fn socket_address(path: &Path) -> io::Result<SockAddr> {
    match too_long_for_a_socket(path) {
        Some(why) => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the path {why}"))),
        None => SockAddr::unix(path),
    }
}

fn connect_at_once(path: &Path) -> io::Result<UnixStream> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&socket_address(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

/// Connects, and waits no longer than `patience` if nobody accepts: a program that is stopped does not.
///
/// # Errors
///
/// `WouldBlock` when the patience is over, else those of connect(2).
pub fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience))?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect(&socket_address(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

fn sockets_in(directory: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("chatops-")
            && path.extension().is_some_and(|extension| extension == "sock")
            && fs::symlink_metadata(path)
                .is_ok_and(|found| found.file_type().is_socket() && is_trusted(found.uid()))
    };
    if !fs::metadata(directory).is_ok_and(|found| is_trusted(found.uid())) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.take(ENTRIES_MAX).filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(is_ours).collect();
    paths.sort();
    paths
}

/// The control socket of the server that listens at `address`, if one of ours does.
#[must_use]
pub fn serving(address: &ListenAddr) -> Option<PathBuf> {
    live().into_iter().find(|path| {
        let listeners = Control::connect(path, WHO_ARE_YOU).and_then(|mut control| control.listeners());
        listeners.is_ok_and(|listeners| listeners.iter().any(|label| is_at(label, address)))
    })
}

/// Whether a listener, as it is printed, has `address`.
fn is_at(label: &str, address: &ListenAddr) -> bool {
    let Some((place, _framing)) = label.rsplit_once(" (") else { return false };
    match (address, place.parse::<SocketAddr>()) {
        (ListenAddr::Tcp(wanted), Ok(taken)) => {
            let is_wide = taken.ip().is_unspecified() || wanted.ip().is_unspecified();
            taken.port() == wanted.port() && (is_wide || taken.ip() == wanted.ip())
        }
        (ListenAddr::Unix(_), Err(_)) => place == address.to_string(),
        _ => false,
    }
}

/// A connection to a control socket.
#[derive(Debug)]
pub struct Control {
    stream: BufReader<UnixStream>,
}

impl Control {
    /// Connects. No answer is waited for longer than `patience`.
    ///
    /// # Errors
    ///
    /// When nobody is there, or it is another user's.
    pub fn connect(path: &Path, patience: Duration) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(connect(path, patience)?) })
    }

    /// Sends one request, a line without its end, and gives its answer, a line without its end.
    ///
    /// # Errors
    ///
    /// When the server goes, is silent for too long, or answers with more than [`ANSWER_BYTES_MAX`].
    pub fn ask(&mut self, request: &str) -> io::Result<String> {
        let (sent, read) = self.exchange(request);
        match read {
            Ok(Some(answer)) => Ok(answer),
            read => sent.and(read).and(Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The same for one who wants to tell a server that has ended (`None`, between two answers) from a connection that is
    /// lost.
    ///
    /// # Errors
    ///
    /// When the connection fails, or ends within an answer.
    pub fn ask_or_end(&mut self, request: &str) -> io::Result<Option<String>> {
        self.exchange(request).1
    }

    /// Sends a request and reads its answer. A server that lets nobody in has said why by now: its answer is read even if
    /// it takes no request.
    fn exchange(&mut self, request: &str) -> (io::Result<()>, io::Result<Option<String>>) {
        let sent = self.stream.get_mut().write_all(format!("{request}\n").as_bytes());
        (sent, self.next_answer())
    }

    /// The next answer to a request that is answered again and again; `None` when the server has gone.
    ///
    /// # Errors
    ///
    /// When the server is silent for too long, or answers with more than [`ANSWER_BYTES_MAX`].
    pub fn next_answer(&mut self) -> io::Result<Option<String>> {
        let mut answer = String::new();
        self.stream.by_ref().take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
        if !answer.ends_with('\n') {
            return if answer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        answer.truncate(answer.trim_end().len());
        Ok(Some(answer))
    }

    /// From now on answers are waited for however long they take.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2); none are known for this.
    pub fn wait_for_ever(&mut self) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(None)
    }

    /// Where the server listens, as it is printed.
    fn listeners(&mut self) -> io::Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Status {
            listeners: Vec<String>,
        }
        let answer = self.ask("status")?;
        let status: Status = serde_json::from_str(&answer)?;
        Ok(status.listeners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_home_directory_the_environment_names_the_directories() {
        let variable = |name: &str| match name {
            "XDG_RUNTIME_DIR" => Some("/run/x".into()),
            "XDG_STATE_HOME" => Some("/state".into()),
            _ => None,
        };
        assert_eq!(runtime_and_state(None, variable), [Some("/run/x".into()), Some("/state/chatops".into())]);
        assert_eq!(runtime_and_state(None, |_| Some("relative".into())), [None, None]);
        assert_eq!(runtime_and_state(None, |_| None), [None, None]);
    }

    #[test]
    fn a_listener_is_found_by_its_address() {
        let tcp = |text: &str| ListenAddr::Tcp(text.parse().unwrap());
        for (label, address, expected) in [
            ("127.0.0.1:6677 (lines)", tcp("127.0.0.1:6677"), true),
            ("127.0.0.1:6677 (lines)", tcp("127.0.0.1:6678"), false),
            ("127.0.0.1:6677 (lines)", tcp("127.0.0.2:6677"), false),
            ("0.0.0.0:6677 (lines)", tcp("127.0.0.2:6677"), true),
            ("127.0.0.1:6677 (lines)", tcp("[::]:6677"), true),
            ("unix:/run/a (b).sock (lines)", ListenAddr::Unix("/run/a (b).sock".into()), true),
            ("unix:/run/a.sock (lines)", ListenAddr::Unix("/run/b.sock".into()), false),
            ("", tcp("127.0.0.1:6677"), false),
        ] {
            assert_eq!(is_at(label, &address), expected, "{label} {address}");
        }
    }

    #[test]
    fn who_does_not_accept_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("chatops-full-{}.sock", std::process::id()));
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let _ = fs::remove_file(&path);
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(1).unwrap();
        let patience = Duration::from_millis(20);
        let waiting: Vec<_> = (0..8).map(|_| connect(&path, patience)).collect();
        let _ = fs::remove_file(&path);
        assert!(waiting[0].is_ok());
        assert_eq!(waiting[7].as_ref().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_server_is_known_by_its_port() {
        assert_eq!(file_name(Some(6677), 42), "chatops-6677.sock");
        assert_eq!(file_name(None, 42), "chatops-pid-42.sock");
    }
}
