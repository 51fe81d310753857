//! The control socket: bound at the start for its owner alone, and who is let in.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use socket2::{Domain, Type};

use super::listener::{BindError, Listener};
use super::reactor::Reactor;
use super::socket::Socket;
use super::socket_file::{Obstacle, Patience, SocketFile, make_directory};
use crate::config::settings::{Config, ControlPath, ListenAddr};
use crate::control::client::{Peer, directories, file_name, peer, prepare};
use crate::control::refusal;
use crate::engine::AcceptFailure;
use crate::poller::Interest;
use crate::time::Moment;

/// Connections to the control socket that the kernel completes ahead of us.
const ACCEPT_BACKLOG: i32 = 16;
/// Operators accepted in one turn.
const ACCEPT_BUDGET: usize = 16;
/// Read and write for the owner, nothing for others.
const SOCKET_MODE: u32 = 0o600;
/// Access to a directory that is made for it.
const DIRECTORY_MODE: u32 = 0o700;

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
        ControlPath::At(path) => match bind_at(path, Patience::Wait) {
            Ok(listener) => Ok(Bound::At(listener, path.clone())),
            Err(obstacle) => Err(BindError::Control { path: path.clone(), obstacle }),
        },
        ControlPath::Auto => bind_by_port(listeners),
    }
}

/// Binds again for one whose file is gone: in its directory, which is made if it is gone; else in the user's state
/// directory.
pub(super) fn renewed(gone: &Path) -> Result<Listener, Obstacle> {
    let bound = make_directory(gone, DIRECTORY_MODE).map_err(Obstacle::System);
    let bound = bound.and_then(|()| bind_at(gone, Patience::None));
    let Err(Obstacle::System(error)) = bound else { return bound };
    let (Some(directory), Some(name)) = (directories().pop(), gone.file_name()) else {
        return Err(error.into());
    };
    prepare(&directory)?;
    bind_at(&directory.join(name), Patience::None)
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
        let bound =
            prepare(&directory).map_err(Obstacle::System).and_then(|()| bind_at(&path, Patience::Wait));
        match bound {
            Ok(listener) => return Ok(Bound::At(listener, path)),
            Err(obstacle @ Obstacle::Live) => return Err(BindError::Control { path, obstacle }),
            Err(obstacle) => {
                why = format!("{}: {obstacle}; choose a path with -o control.path=PATH", path.display());
            }
        }
    }
    Ok(Bound::Nowhere(why))
}

fn bind_at(path: &Path, patience: Patience) -> Result<Listener, Obstacle> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let file = SocketFile::bind(&socket, path, SOCKET_MODE, ACCEPT_BACKLOG, patience)?;
    Ok(Listener::control(socket, path, file))
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
        match peer(&socket) {
            Ok(Peer { uid, pid }) if uid == own || uid == 0 => {
                self.hand_over(socket, (uid, pid));
            }
            Ok(Peer { uid, .. }) => {
                turn_away(&socket, &format!("this server runs as user {own}, and you are {uid}"));
            }
            Err(error) => turn_away(&socket, &format!("who you are cannot be told: {error}")),
        }
    }

    /// Gives an operator a link, and its socket to the thread of operators.
    fn hand_over(&mut self, socket: Socket, who: (u32, i32)) {
        let Some(operators) = &self.operators else { return };
        let (server, onlooker) = (self.poller.waker(), operators.waker());
        let now = self.engine.now().moment;
        match self.onlookers.admit(who, now, move || server.notify(), move || onlooker.wake()) {
            Ok(link) => {
                let stall = self.configuration.in_force().limits.stall;
                operators.take(OwnedFd::from(socket).into(), link, stall);
            }
            Err(why) => turn_away(&socket, &why),
        }
    }

    pub(super) fn watch_control(&mut self, interest: Interest) {
        if let Some(listener) = &mut self.control {
            // It is asked again with the next pause, or its end.
            let _ = listener.set_interest(interest);
        }
    }
}

/// Says why, and closes. Whether the word arrives is not waited for.
fn turn_away(socket: &Socket, why: &str) {
    let _ = socket.write(&[io::IoSlice::new(&refusal(why))]);
}
