//! Which running server is meant, for the commands that talk to one.

use std::path::PathBuf;

use super::error::{Failure, StartError};
use super::options::Options;
use crate::config::settings::{self, ControlPath};
use crate::config::{Config, Loaded, load};
use crate::link::control;

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
    let mut live = control::live();
    match live.len() {
        0 => Err(StartError::NoServer(control::directories()).into()),
        1 => Ok(live.remove(0)),
        _ => Err(StartError::SeveralServers(live).into()),
    }
}
