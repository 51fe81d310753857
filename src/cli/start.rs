//! What `serve` and the dashboard do alike before the server runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGPIPE, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};

use super::error::{Failure, StartError};
use super::open_files::{self, Use};
use super::options::Options;
use crate::clock;
use crate::config::settings::{ListenAddr, LogLevel};
use crate::config::{Changes, Config, ConfigError, Reading, Sources, load, reload};
use crate::dash::{Access, App};
use crate::engine::reload::Reloaded;
use crate::net::Server;

/// A configuration that fits the machine.
pub(super) struct Prepared {
    /// What to run with.
    pub(super) config: Config,
    /// The file that was read, if one was.
    pub(super) file: Option<PathBuf>,
    /// What has files open beside clients.
    pub(super) others: Use,
    /// What the operator is told at the start, as warnings.
    pub(super) warnings: Vec<String>,
}

/// Loads the configuration, raises the limit of open files and cuts `limits.clients` to it.
pub(super) fn prepare(options: Options, dashboard: bool) -> Result<Prepared, Failure> {
    let inherited = open_files::inherited();
    let loaded = load(&options.into_sources())?;
    let file = loaded.file.clone();
    let mut config = loaded.into_config();
    check_keys(&config)?;
    let mut warnings: Vec<String> = clock::unknown_zone().as_deref().map(no_zone).into_iter().collect();
    let files = open_files::raise_limit();
    let clients = config.limits.clients;
    let others = Use { listeners: config.listen.0.len(), dashboard, inherited };
    if let Some(fit) = open_files::clients_that_fit(clients, others, files).map_err(StartError::FewFiles)? {
        warnings.push(open_files::told(clients, fit, files.unwrap_or(u64::MAX)));
        config.limits.clients = fit;
    }
    Ok(Prepared { config, file, others, warnings })
}

fn no_zone(value: &str) -> String {
    format!("TZ is {value:?}, which names no time zone of this system: times are UTC")
}

/// How a server that was started with these options reads its configuration again; at the start it read `file`.
pub(super) fn loader(
    options: Options,
    file: Option<PathBuf>,
    others: Use,
) -> impl Fn(&Config) -> Result<Reloaded, String> {
    let sources = options.into_sources();
    let last_read = Mutex::new(file);
    move |in_force| {
        let file = last_read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sources = Sources { reading: Reading::Again { file }, ..sources.clone() };
        let loaded = load(&sources).map_err(|error| one_line(&error))?;
        let file = loaded.file.clone();
        let mut new = loaded.into_config();
        check_keys(&new).map_err(|error| error.to_string())?;
        let mut warnings = Vec::new();
        let (clients, files) = (new.limits.clients, open_files::limit());
        if let Some(fit) = open_files::clients_that_fit(clients, others, files)? {
            warnings.push(open_files::told(clients, fit, files.unwrap_or(u64::MAX)));
            new.limits.clients = fit;
        }
        let (config, Changes { applied, needs_restart }) = reload(in_force, new)?;
        *last_read.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(Reloaded { config, applied, needs_restart, warnings })
    }
}

/// Signals that a limit, a shell or a habit sends (`ulimit -f`, `ulimit -t`, `kill -USR2`) end nothing. What SIGXFSZ
/// tells the write tells too (write(2), EFBIG). A program that acts on SIGUSR1 catches it as well.
pub(super) fn survive_signals() -> Result<(), Failure> {
    for signal in [SIGPIPE, SIGXFSZ, SIGXCPU, SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::default())
            .map_err(|error| Failure::Running(format!("cannot catch signal {signal}: {error}")))?;
    }
    Ok(())
}

/// Dies as a process does that does not catch this signal; the parent sees of what.
pub(super) fn die_of(signal: i32) -> Failure {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    Failure::Running(format!("ended by signal {signal}"))
}

fn one_line(error: &ConfigError) -> String {
    let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    problems.join("; ")
}

/// Whether the bindings of `dashboard.keys` name keys and actions that there are; only the dashboard knows them.
pub(super) fn check_keys(config: &Config) -> Result<(), StartError> {
    App::new(&config.dashboard, false, Access::Own)
        .map(drop)
        .map_err(|error| StartError::Keys(error.to_string()))
}

/// Tells the operator these warnings, and which listeners others can reach, as soon as somebody listens to records.
pub(super) fn warn(server: &mut Server, warnings: Vec<String>) {
    for warning in open_doors(server.addresses()).into_iter().chain(warnings) {
        server.note(LogLevel::Warn, warning);
    }
}

/// One warning for each listener that others than this machine can reach.
fn open_doors<'a>(bound: impl Iterator<Item = &'a ListenAddr>) -> Vec<String> {
    let beyond_loopback = |address: &&ListenAddr| match address {
        ListenAddr::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        ListenAddr::Unix(_) => false,
    };
    let doors = bound.filter(beyond_loopback);
    doors.map(|address| format!("{address} is open to all who can reach it, in plain text")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_beyond_loopback_are_warned_of() {
        let bound = [
            "127.0.0.9:1",
            "[::1]:1",
            "unix:/a",
            "[::ffff:127.0.0.1]:1",
            "0.0.0.0:2",
            "[::]:3",
            "192.0.2.1:4",
        ];
        let bound = bound.map(|address| match address.strip_prefix("unix:") {
            Some(path) => ListenAddr::Unix(path.into()),
            None => ListenAddr::Tcp(address.parse().unwrap()),
        });
        let warned = open_doors(bound.iter());
        assert_eq!(warned.len(), 3, "{warned:?}");
        assert!(warned[0].starts_with("0.0.0.0:2 is open to all"), "{warned:?}");
    }
}
