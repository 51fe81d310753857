//! What `serve` and the dashboard do alike before the server runs, and the limit of open files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGPIPE, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};

use super::error::{Failure, StartError};
use super::options::Options;
use crate::clock;
use crate::config::settings::{ListenAddr, LogLevel};
use crate::config::{Changes, Config, ConfigError, Reading, Sources, load, reload};
use crate::dash::{Access, App};
use crate::engine::reload::Reloaded;
use crate::net::Server;
use crate::signals;

/// A configuration that fits the machine.
pub(super) struct Prepared {
    pub(super) config: Config,
    /// The file that was read, if any.
    pub(super) file: Option<PathBuf>,
    /// The open files that are not for clients.
    pub(super) others: FileUse,
    /// Warnings for the operator.
    pub(super) warnings: Vec<String>,
}

/// Loads the configuration, raises the limit of open files, and lowers `limits.clients` to what fits.
pub(super) fn prepare(options: Options, dashboard: bool) -> Result<Prepared, Failure> {
    let inherited = inherited_files();
    let loaded = load(&options.into_sources())?;
    let file = loaded.file.clone();
    let mut config = loaded.into_config();
    check_keys(&config)?;
    let mut warnings: Vec<String> = clock::unknown_zone().as_deref().map(no_zone).into_iter().collect();
    let files = raise_file_limit();
    let clients = config.limits.clients;
    let others = FileUse { listeners: config.listen.0.len(), dashboard, inherited };
    if let Some(fit) = clients_that_fit(clients, others, files).map_err(StartError::FewFiles)? {
        warnings.push(cut_warning(clients, fit, files.unwrap_or(u64::MAX)));
        config.limits.clients = fit;
    }
    Ok(Prepared { config, file, others, warnings })
}

fn no_zone(value: &str) -> String {
    format!("TZ is {value:?}, which names no time zone of this system: times are UTC")
}

/// Returns how a server with these options reads its configuration again; at the start it read `file`.
pub(super) fn loader(
    options: Options,
    file: Option<PathBuf>,
    others: FileUse,
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
        let (clients, files) = (new.limits.clients, file_limit());
        if let Some(fit) = clients_that_fit(clients, others, files)? {
            warnings.push(cut_warning(clients, fit, files.unwrap_or(u64::MAX)));
            new.limits.clients = fit;
        }
        let (config, Changes { applied, needs_restart }) = reload(in_force, new)?;
        *last_read.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(Reloaded { config, applied, needs_restart, warnings })
    }
}

/// Catches signals of limits and shells (`ulimit -f`, `ulimit -t`, `kill -USR2`), so that they do not end the process.
/// After SIGXFSZ the write fails with EFBIG (write(2)). The reactor registers its own handler for SIGUSR1 as well.
pub(super) fn survive_signals() -> Result<(), Failure> {
    for signal in [SIGPIPE, SIGXFSZ, SIGXCPU, SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::default())
            .map_err(|error| Failure::Running(format!("cannot catch signal {signal}: {error}")))?;
    }
    Ok(())
}

/// Ends the process with the default action of this signal, so that the parent sees the signal as the cause.
pub(super) fn die_of(signal: i32) -> Failure {
    signals::die_of(signal);
    Failure::Running(format!("ended by signal {signal}"))
}

fn one_line(error: &ConfigError) -> String {
    let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    problems.join("; ")
}

/// Checks that the bindings of `dashboard.keys` name existing keys and actions, which only the dashboard knows.
pub(super) fn check_keys(config: &Config) -> Result<(), StartError> {
    App::new(&config.dashboard, false, Access::Own)
        .map(drop)
        .map_err(|error| StartError::Keys(error.to_string()))
}

/// Notes these warnings as events, and one for each listener that other machines can reach.
pub(super) fn warn(server: &mut Server, warnings: Vec<String>) {
    for warning in exposed_listeners(server.addresses()).into_iter().chain(warnings) {
        server.note(LogLevel::Warn, warning);
    }
}

/// One warning for each listener that other machines can reach.
fn exposed_listeners<'a>(bound: impl Iterator<Item = &'a ListenAddr>) -> Vec<String> {
    let beyond_loopback = |address: &&ListenAddr| match address {
        ListenAddr::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        ListenAddr::Unix(_) => false,
    };
    let exposed = bound.filter(beyond_loopback);
    exposed.map(|address| format!("{address} is open to all who can reach it, in plain text")).collect()
}

/// Files that are not for clients, where the limit allows it: the server's own, operators, refusals that linger.
const RESERVED: u64 = 64;
/// Files of a server with one listener: standard streams, pollers, wake-ups, signals, control socket, and the reserved
/// descriptor that serves to notify a client when descriptors have run out.
const OWN: u64 = 12;
/// Files of the dashboard: the terminal, its poller and its signals.
const DASHBOARD: u64 = 20;
/// The smallest limit with which a server starts.
const LEAST: u64 = 24;

/// Raises the soft limit to the hard limit, and returns the limit; `None` means no limit.
///
/// If the system refuses, the soft limit stays, and [`clients_that_fit`] works with that.
pub(super) fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let _ = setrlimit(Resource::Nofile, raised);
    }
    file_limit()
}

/// The soft limit of open files; `None` means no limit.
pub(super) fn file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Open files that are not for clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileUse {
    /// The number of listeners.
    pub(super) listeners: usize,
    /// Whether the dashboard runs in the same process.
    pub(super) dashboard: bool,
    /// Files that were open before the program began.
    pub(super) inherited: u64,
}

impl FileUse {
    /// Files that are open before the first client connects, and one for an operator.
    const fn files(self) -> u64 {
        let dashboard = if self.dashboard { DASHBOARD } else { 0 };
        OWN + dashboard + self.inherited + self.listeners.saturating_sub(1) as u64 + 1
    }

    /// The smallest limit with which this server can start.
    fn least(self) -> u64 {
        LEAST.max(self.files() + 1)
    }
}

/// Files that the parent has left open, besides the standard streams, and that count against the limit. Must be called
/// before this program opens any. 0 where the system does not report them.
pub(super) fn inherited_files() -> u64 {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let most = file_limit().unwrap_or(u64::MAX);
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let inherited = numbers.filter(|number| (3..most).contains(number)).count() as u64;
    // One of them is the descriptor of this reading.
    inherited.saturating_sub(1)
}

/// The number of clients that `files` open files allow, if it is smaller than `clients`. Clients get at least half of
/// the files, at the cost of the reserve, as long as the other half suffices for the server itself.
///
/// # Errors
///
/// If the files do not suffice for a server.
pub(super) fn clients_that_fit(
    clients: u32,
    others: FileUse,
    files: Option<u64>,
) -> Result<Option<u32>, String> {
    let Some(files) = files else { return Ok(None) };
    let least = others.least();
    if files < least {
        return Err(format!(
            "{files} open files are too few: at least {least} are needed; raise the hard limit (ulimit -Hn, LimitNOFILE)"
        ));
    }
    let reserved = RESERVED + others.listeners as u64;
    let room = files.saturating_sub(reserved).max(files / 2).min(files - others.files());
    Ok(u32::try_from(room).ok().filter(|room| *room < clients))
}

/// The warning that [`clients_that_fit`] lowered the number.
pub(super) fn cut_warning(clients: u32, fit: u32, files: u64) -> String {
    format!(
        "limits.clients = {clients} does not fit into {files} open files: only {fit} clients are accepted, \
         because the server keeps {} for itself; raise the hard limit (ulimit -Hn, LimitNOFILE) or lower limits.clients",
        files.saturating_sub(fit.into())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_beyond_loopback_has_a_warning() {
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
        let warned = exposed_listeners(bound.iter());
        assert_eq!(warned.len(), 3, "{warned:?}");
        assert!(warned[0].starts_with("0.0.0.0:2 is open to all"), "{warned:?}");
    }

    #[test]
    fn the_limit_of_open_files_limits_the_clients() {
        let serve = |listeners| FileUse { listeners, dashboard: false, inherited: 0 };
        let fit = |others, files| clients_that_fit(10_000, others, files);
        assert_eq!(fit(serve(1), None), Ok(None));
        assert_eq!(fit(serve(1), Some(1 << 40)), Ok(None));
        assert_eq!(fit(serve(1), Some(10_065)), Ok(None));
        assert_eq!(fit(serve(1), Some(10_064)), Ok(Some(9_999)));
        assert_eq!(fit(serve(3), Some(1_024)), Ok(Some(957)));
    }

    #[test]
    fn clients_get_half_of_few_files_and_too_few_are_refused() {
        let serve = FileUse { listeners: 1, dashboard: false, inherited: 0 };
        for files in LEAST..200 {
            let fit = clients_that_fit(10_000, serve, Some(files)).unwrap().unwrap();
            // Of the very fewest, one less.
            let half = if files < 26 { files / 2 - 1 } else { files / 2 };
            assert!(u64::from(fit) >= half, "{fit} of {files}");
            assert!(u64::from(fit) + serve.files() <= files, "{fit} of {files}");
        }
        let why = clients_that_fit(10_000, serve, Some(LEAST - 1)).unwrap_err();
        assert!(why.starts_with("23 open files are too few: at least 24 are needed"), "{why}");
        let both = FileUse { listeners: 3, dashboard: true, inherited: 2 };
        assert!(clients_that_fit(10_000, both, Some(30)).is_err());
        assert_eq!(clients_that_fit(10_000, both, Some(64)), Ok(Some(27)));
    }

    #[test]
    fn raising_reaches_the_hard_limit() {
        let raised = raise_file_limit();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum);
    }
}
