//! Listening sockets and why one cannot be bound. A Unix listener can be bound again when its file is gone.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{Domain, Type};

use super::kernel;
use super::socket::{Socket, set_buffers, set_tcp_options};
use super::socket_file::{Obstacle, Patience, SocketFile, make_directory};
use crate::config::settings::{Config, Listen, ListenAddr};
use crate::control::client::{connect, serving};
use crate::model::snapshot::{AcceptQueue, Peer};
use crate::wire::framing::Framing;

/// The mode of a directory that is created for a listener. The mode of the socket restricts access, not the directory.
const LISTENER_DIRECTORY_MODE: u32 = 0o755;
/// How long another server may take to send its greeting.
const GREETING_MAX: Duration = Duration::from_millis(300);

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another chatops listens there.
    #[error("{address} is in use by another chatops{}; choose another address with -l ADDR", reached(control.as_deref()))]
    Chatops {
        /// The address in use.
        address: ListenAddr,
        /// Its control socket, if it belongs to this user.
        control: Option<PathBuf>,
    },
    /// The control socket cannot be bound.
    #[error("no control socket at {}: {obstacle}; choose another with -o control.path=PATH, or \"off\"", path.display())]
    Control {
        /// The path.
        path: PathBuf,
        /// The obstacle.
        obstacle: Obstacle,
    },
    /// Another program listens there.
    #[error("{0} is in use by another program; choose another with -l ADDR, or find it with `{find}`", find = finder(.0))]
    InUse(ListenAddr),
    /// Another process holds the lock on the directory of the path.
    #[error("another process holds the lock on the directory of {0}; try again, or choose another path")]
    Locked(ListenAddr),
    /// The file at the path is not a socket.
    #[error("{0} is there and is no socket; move it away or choose another path with -l unix:/PATH")]
    NoSocket(ListenAddr),
    /// The system refused.
    #[error("cannot listen on {address}: {error}; {}", remedy(.address, .error))]
    Refused {
        /// The address.
        address: ListenAddr,
        /// The error of the system.
        error: io::Error,
    },
    /// The event loop could not be set up.
    #[error("cannot set up the event loop: {0}")]
    Loop(io::Error),
}

/// The command that finds the process that listens there.
fn finder(address: &ListenAddr) -> String {
    match address {
        ListenAddr::Tcp(address) => format!("ss -ltnp sport = :{}", address.port()),
        ListenAddr::Unix(path) => format!("ss -lxp src {}", path.display()),
    }
}

/// The remedy for an error of the system. A kernel without IPv6 has no such address family (socket(2)).
fn remedy(address: &ListenAddr, error: &io::Error) -> String {
    let has_no_family = error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error());
    match address {
        ListenAddr::Tcp(address) if has_no_family && address.ip().is_unspecified() => {
            format!(
                "this machine has no IPv6: listen on every IPv4 address with -l 0.0.0.0:{}",
                address.port()
            )
        }
        ListenAddr::Tcp(_) | ListenAddr::Unix(_) => "choose another address with -l ADDR".to_owned(),
    }
}

/// How to reach a server through its control socket.
fn reached(control: Option<&Path>) -> String {
    control.map_or_else(String::new, |path| {
        let path = path.display();
        format!(" (`chatops attach --control {path}` shows it)")
    })
}

/// One listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: socket2::Socket,
    is_tcp: bool,
    /// The bound address, with the port that the system chose for port 0.
    address: ListenAddr,
    framing: Framing,
    /// The file to remove at the end.
    file: Option<SocketFile>,
}

impl Listener {
    pub(super) fn bind(listen: &Listen, config: &Config) -> Result<Self, BindError> {
        let refused = |error| BindError::Refused { address: listen.address.clone(), error };
        match &listen.address {
            ListenAddr::Tcp(address) => {
                let socket = bind_tcp(*address, listen, config).map_err(|error| in_use(error, listen))?;
                let bound = socket.local_addr().map_err(refused)?.as_socket().unwrap_or(*address);
                Ok(Self::new(socket, ListenAddr::Tcp(bound), listen, None))
            }
            ListenAddr::Unix(path) => {
                Self::bind_unix(path, listen, config, Patience::Wait).map_err(|obstacle| match obstacle {
                    Obstacle::Live => in_use_by(listen.address.clone()),
                    Obstacle::NoSocket => BindError::NoSocket(listen.address.clone()),
                    Obstacle::Locked => BindError::Locked(listen.address.clone()),
                    Obstacle::System(error) => refused(error),
                })
            }
        }
    }

    fn bind_unix(
        path: &Path,
        listen: &Listen,
        config: &Config,
        patience: Patience,
    ) -> Result<Self, Obstacle> {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        set_buffers(&socket, config)?;
        let file = SocketFile::bind(&socket, path, listen.mode.0, backlog(listen), patience)?;
        Ok(Self::new(socket, listen.address.clone(), listen, Some(file)))
    }

    /// The same listener with a new file, for one whose file is gone. Its directory is created if that is gone too.
    pub(super) fn renewed(&self, config: &Config) -> Result<Self, Obstacle> {
        let listen = config.listen.0.iter().find(|listen| listen.address == self.address);
        let (ListenAddr::Unix(path), Some(listen)) = (&self.address, listen) else {
            return Err(Obstacle::NoSocket);
        };
        make_directory(path, LISTENER_DIRECTORY_MODE)?;
        Self::bind_unix(path, listen, config, Patience::None)
    }

    /// The file that clients need to connect, if it is gone.
    pub(super) fn missed_file(&self) -> Option<&SocketFile> {
        self.file.as_ref().filter(|file| !file.is_there())
    }

    /// Keeps the file at its path when this listener is dropped: another listener owns it now.
    pub(super) fn forget_file(&mut self) {
        self.file = None;
    }

    fn new(socket: socket2::Socket, address: ListenAddr, listen: &Listen, file: Option<SocketFile>) -> Self {
        let is_tcp = matches!(address, ListenAddr::Tcp(_));
        Self { socket, is_tcp, address, framing: listen.framing, file }
    }

    /// The control socket, bound to `path`.
    pub(super) fn control(socket: socket2::Socket, path: &Path, file: SocketFile) -> Self {
        let address = ListenAddr::Unix(path.to_owned());
        let framing = Framing::Lines;
        Self { socket, is_tcp: false, address, framing, file: Some(file) }
    }

    /// Applies the options of this configuration to connections that are accepted from now on.
    pub(super) fn reconfigure(&self, config: &Config) -> io::Result<()> {
        if self.is_tcp { set_tcp_options(&self.socket, config) } else { set_buffers(&self.socket, config) }
    }

    pub(super) const fn address(&self) -> &ListenAddr {
        &self.address
    }

    /// `127.0.0.1:6677 (lines)`
    pub(super) fn label(&self) -> String {
        format!("{} ({})", self.address, self.framing)
    }

    /// How messages are delimited on its connections.
    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    /// The accept queue, where the system reports it.
    pub(super) fn accept_queue(&self) -> Option<AcceptQueue> {
        if self.is_tcp { kernel::accept_queue(self.as_fd()) } else { None }
    }

    /// The next waiting connection and its peer.
    pub(super) fn accept(&self) -> io::Result<(Socket, Peer)> {
        let (socket, from) = accept_nonblocking(&self.socket)?;
        Ok((Socket::new(socket, self.is_tcp), peer_at(from)))
    }
}

/// The peer at this address. An IPv4-mapped address (RFC 4291, section 2.5.5.2) is shown as IPv4.
fn peer_at(from: Option<SocketAddr>) -> Peer {
    from.map_or(Peer::Unix, |address| Peer::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port())))
}

/// Accepts a connection as a non-blocking socket (accept4(2)); setting that later takes two more calls. The address is
/// `None` on a Unix socket.
fn accept_nonblocking(listener: &socket2::Socket) -> io::Result<(socket2::Socket, Option<SocketAddr>)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, from) = rustix::net::acceptfrom_with(listener, flags)?;
    Ok((socket.into(), from.and_then(|from| SocketAddr::try_from(from).ok())))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}

fn bind_tcp(address: SocketAddr, listen: &Listen, config: &Config) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    set_tcp_options(&socket, config)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog(listen))?;
    Ok(socket)
}

fn backlog(listen: &Listen) -> i32 {
    i32::try_from(listen.backlog).unwrap_or(i32::MAX)
}

fn in_use(error: io::Error, listen: &Listen) -> BindError {
    let address = listen.address.clone();
    if error.kind() != io::ErrorKind::AddrInUse {
        return BindError::Refused { address, error };
    }
    in_use_by(address)
}

/// Finds which program listens on `address`. A chatops of this user is found by its control socket, one of another user
/// by its greeting.
fn in_use_by(address: ListenAddr) -> BindError {
    let control = serving(&address);
    if control.is_some() || is_chatops(&address) {
        BindError::Chatops { address, control }
    } else {
        BindError::InUse(address)
    }
}

/// Whether the server there greets as chatops does.
fn is_chatops(address: &ListenAddr) -> bool {
    greeting(address).is_ok_and(|text| text.contains("/help lists the commands"))
}

fn greeting(address: &ListenAddr) -> io::Result<String> {
    let mut buffer = [0; 4096];
    let count = match address {
        ListenAddr::Tcp(address) => {
            let mut stream = TcpStream::connect_timeout(address, GREETING_MAX)?;
            stream.set_read_timeout(Some(GREETING_MAX))?;
            stream.read(&mut buffer)?
        }
        ListenAddr::Unix(path) => {
            let mut stream = connect(path, GREETING_MAX)?;
            stream.read(&mut buffer)?
        }
    };
    Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_ipv6_the_error_suggests_the_address_of_all_ipv4() {
        let refused = |address: &str, errno| {
            let error = io::Error::from_raw_os_error(errno);
            let refused = BindError::Refused { address: ListenAddr::Tcp(address.parse().unwrap()), error };
            refused.to_string()
        };
        let error = refused("[::]:6677", Errno::AFNOSUPPORT.raw_os_error());
        assert!(error.ends_with("no IPv6: listen on every IPv4 address with -l 0.0.0.0:6677"), "{error}");
        for other in [
            refused("[::1]:6677", Errno::AFNOSUPPORT.raw_os_error()),
            refused("[::]:6677", Errno::ADDRNOTAVAIL.raw_os_error()),
        ] {
            assert!(other.ends_with("; choose another address with -l ADDR"), "{other}");
        }
    }

    #[test]
    fn an_ipv4_mapped_peer_is_shown_as_ipv4() {
        let peer = |text: &str| peer_at(Some(text.parse().unwrap()));
        assert_eq!(peer("[::ffff:192.0.2.7]:5000"), peer("192.0.2.7:5000"));
        assert_ne!(peer("[2001:db8::7]:5000"), peer("192.0.2.7:5000"));
        assert_eq!(peer_at(None), Peer::Unix);
    }

    #[test]
    fn accepted_sockets_have_the_options_of_their_listener() {
        let listen =
            Listen { address: ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))), ..Listen::default() };
        let listener = Listener::bind(&listen, &Config::default()).unwrap();
        let ListenAddr::Tcp(address) = listener.address else { panic!("bound to TCP") };
        let client = TcpStream::connect(address).unwrap();
        listener.socket.set_nonblocking(false).unwrap();
        let (accepted, from) = listener.socket.accept().unwrap();
        assert_eq!(from.as_socket(), client.local_addr().ok());
        assert!(accepted.tcp_nodelay().unwrap());
        assert!(accepted.keepalive().unwrap());
        assert!(accepted.out_of_band_inline().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        // The kernel doubles what it is asked for (socket(7)).
        assert_eq!(accepted.send_buffer_size().unwrap(), 2 * 64 * 1024);
    }
}
