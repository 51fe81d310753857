//! Which running server is meant, for the commands that talk to one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Failure, StartError};
use super::options::Options;
use crate::config::settings::{self, ControlPath};
use crate::config::{Config, Loaded, load};
use crate::control::client;

/// How long a server may be silent. It answers within a turn of its loop, which takes milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The control socket that is meant when none is named: the one of the configuration, if it names one, or the only
/// one of this user's on which a server answers. A configuration that is broken since the server started is no reason
/// not to reach it, unless it was named.
pub(super) fn the_only_server(before: Options) -> Result<PathBuf, Failure> {
    let is_named = !before.is_empty();
    match load(&before.into_sources()) {
        Ok(Loaded {
            config: Config { control: settings::Control { path: ControlPath::At(path) }, .. },
            ..
        }) => {
            return Ok(path);
        }
        Err(error) if is_named => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let mut live = client::live();
    match live.len() {
        0 => Err(StartError::NoServer(client::searched_directories()).into()),
        1 => Ok(live.remove(0)),
        _ => Err(StartError::SeveralServers(live).into()),
    }
}

/// Why there was no answer, in words.
pub(super) fn no_answer(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::Running(match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("the server at {path} has not answered for {} s: is it stopped?", PATIENCE.as_secs())
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("the server at {path} went away before it answered")
        }
        _ => format!("no answer from {path}: {error}"),
    })
}
