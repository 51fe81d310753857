//! The control socket: bound at the start for its owner alone, and who is let in.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Type};

use super::kernel;
use super::listener::{BindError, Listener, Obstacle, SocketFile, make_way};
use super::publish::Outside;
use super::reactor::Reactor;
use super::socket::Socket;
use crate::config::settings::{Config, ControlPath, ListenAddr};
use crate::engine::AcceptFailure;
use crate::engine::control::{OPERATORS_MAX, refusal};
use crate::link::control::{directories, file_name, prepare};
use crate::poller::Interest;
use crate::time::Moment;

/// Connections to the control socket that the kernel completes ahead of us.
const ACCEPT_BACKLOG: i32 = 16;
/// Operators accepted in one turn.
const ACCEPT_BUDGET: usize = 16;
/// Read and write for the owner, nothing for others.
const SOCKET_MODE: u32 = 0o600;

/// What came of binding the control socket.
#[derive(Debug)]
pub(super) enum Bound {
    /// It is there.
    At(Listener, PathBuf),
    /// `control.path = "off"`.
    Off,
    /// No place was good for it, and none was asked for: the server does without. Says why.
    Nowhere(String),
}

/// Binds the control socket where the configuration says.
///
/// # Errors
///
/// When the path that was asked for cannot be had, or another server has the socket.
pub(super) fn bind(config: &Config, listeners: &[Listener]) -> Result<Bound, BindError> {
    match &config.control.path {
        ControlPath::Off => Ok(Bound::Off),
        ControlPath::At(path) => match bind_at(path) {
            Ok(listener) => Ok(Bound::At(listener, path.clone())),
            Err(obstacle) => Err(BindError::Control { path: path.clone(), obstacle }),
        },
        ControlPath::Auto => bind_by_port(listeners),
    }
}

/// In the first of the user's directories that will have it.
fn bind_by_port(listeners: &[Listener]) -> Result<Bound, BindError> {
    let port = listeners.iter().find_map(|listener| match listener.address() {
        ListenAddr::Tcp(address) => Some(address.port()),
        ListenAddr::Unix(_) => None,
    });
    let name = file_name(port, std::process::id());
    let mut why = "there is neither a runtime nor a home directory".to_owned();
    for directory in directories() {
        let path = directory.join(&name);
        let bound = prepare(&directory).map_err(Obstacle::System).and_then(|()| bind_at(&path));
        match bound {
            Ok(listener) => return Ok(Bound::At(listener, path)),
            Err(obstacle @ Obstacle::Live) => return Err(BindError::Control { path, obstacle }),
            Err(obstacle) => why = format!("{}: {obstacle}", path.display()),
        }
    }
    Ok(Bound::Nowhere(why))
}

fn bind_at(path: &Path) -> Result<Listener, Obstacle> {
    make_way(path)?;
    let socket = bind_private(path)?;
    let file = SocketFile::new(path)?;
    Ok(Listener::control(socket, path, file))
}

/// Binds so that at no time anybody else can connect: the file is made with the mode that the socket has (Linux),
/// and whatever a system makes of that, its mode is right before the socket listens.
fn bind_private(path: &Path) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    fchmod(&socket, Mode::from_raw_mode(SOCKET_MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    let ready = private(path)
        .and_then(|()| socket.set_nonblocking(true))
        .and_then(|()| socket.listen(ACCEPT_BACKLOG));
    if ready.is_err() {
        // A file that cannot be removed is replaced by the next start.
        let _ = fs::remove_file(path);
    }
    ready.map(|()| socket)
}

fn private(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.permissions().mode() & 0o777 == SOCKET_MODE {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))
}

impl Reactor {
    /// Lets operators in, also while nobody else is.
    pub(super) fn accept_operators(&mut self, now: Moment) {
        for _ in 0..ACCEPT_BUDGET {
            let Some(listener) = &self.control else { return };
            match listener.accept() {
                Ok((socket, _)) => self.admit_operator(socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if super::accept::is_exhausted(&error) => {
                    self.engine.accept_failed(AcceptFailure::Exhausted, &error);
                    self.accept_again = Some(now + super::accept::ACCEPT_PAUSE);
                    return self.watch_control(Interest::NONE);
                }
                Err(error) => self.engine.accept_failed(AcceptFailure::Connection, &error),
            }
        }
    }

    fn admit_operator(&mut self, socket: Socket) {
        let own = rustix::process::geteuid().as_raw();
        match kernel::peer_uid(&socket) {
            Ok(uid) if uid == own || uid == 0 => {}
            Ok(uid) => {
                return turn_away(&socket, &format!("this server runs as user {own}, and you are {uid}"));
            }
            Err(error) => return turn_away(&socket, &format!("who you are cannot be told: {error}")),
        }
        match self.engine.operator_accepted() {
            Some(slot) => self.seat(slot, socket),
            None => turn_away(&socket, &format!("{OPERATORS_MAX} operators are here already; end one")),
        }
    }

    pub(super) fn watch_control(&mut self, interest: Interest) {
        if let Some(listener) = &mut self.control {
            // It is asked again with the next pause, or its end.
            let _ = listener.set_interest(interest);
        }
    }

    /// Goes on with the operators' answers.
    pub(super) fn answer(&mut self) {
        let outside = Outside { sockets: &self.sockets, listeners: &self.listeners, gauge: &self.gauge };
        self.engine.answer(&outside);
    }
}

/// Says why, and closes. Whether the word arrives is not waited for.
fn turn_away(socket: &Socket, why: &str) {
    let _ = socket.write(&[io::IoSlice::new(&refusal(why))]);
}
