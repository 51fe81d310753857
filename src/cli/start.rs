//! What `serve` and the dashboard do alike before the server runs.

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

/// A configuration that fits the machine.
pub(super) struct Prepared {
    /// What to run with.
    pub(super) config: Config,
    /// The file that was read, if one was.
    pub(super) file: Option<PathBuf>,
    /// What has files open beside clients.
    pub(super) others: FileUse,
    /// What the operator is told at the start, as warnings.
    pub(super) warnings: Vec<String>,
}

/// Loads the configuration, raises the limit of open files and cuts `limits.clients` to it.
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

/// How a server that was started with these options reads its configuration again; at the start it read `file`.
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

/// Files kept for what is no client, where there are enough: the server's own, the control socket's operators, the
/// refusals that linger.
const RESERVED: u64 = 64;
/// Files that the server itself has open with one listener: standard streams, pollers, wake-ups, signals, control socket,
/// and one held back for telling those at a full door.
const OWN: u64 = 11;
/// Files that the dashboard has open beside them: the terminal, its poller and its signals.
const DASHBOARD: u64 = 20;
/// The least number of files with which it makes sense to start.
const LEAST: u64 = 24;

/// Raises the soft limit to the hard one; the number of files that may be open then. `None`: no limit.
///
/// What the system refuses is left as it is; [`clients_that_fit`] then works with the lower limit.
pub(super) fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let _ = setrlimit(Resource::Nofile, raised);
    }
    file_limit()
}

/// The number of files that may be open now. `None`: no limit.
pub(super) fn file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// What has files open beside clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileUse {
    /// How many listeners.
    pub(super) listeners: usize,
    /// Whether the dashboard runs in the same process.
    pub(super) dashboard: bool,
    /// Files that were open before the program began.
    pub(super) inherited: u64,
}

impl FileUse {
    /// Files that are open before the first client comes, and one for an operator.
    const fn files(self) -> u64 {
        let dashboard = if self.dashboard { DASHBOARD } else { 0 };
        OWN + dashboard + self.inherited + self.listeners.saturating_sub(1) as u64 + 1
    }

    /// The fewest files with which a server can start.
    fn least(self) -> u64 {
        LEAST.max(self.files() + 1)
    }
}

/// Files that a parent has left open beside the standard streams, of those that count against the limit; asked before
/// anything is opened. 0 where the system does not tell.
pub(super) fn inherited_files() -> u64 {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let most = file_limit().unwrap_or(u64::MAX);
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let inherited = numbers.filter(|number| (3..most).contains(number)).count() as u64;
    // One is that of the reading itself.
    inherited.saturating_sub(1)
}

/// The number of clients that `files` open files allow, if it is smaller than `clients`. Reserves shrink before clients
/// get less than half of all files, as far as the server itself can do with the other half.
///
/// # Errors
///
/// When so few are no server; says so.
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

/// What the operator is told when [`clients_that_fit`] cut the number.
pub(super) fn cut_warning(clients: u32, fit: u32, files: u64) -> String {
    format!(
        "limits.clients = {clients} does not fit into {files} open files: no more than {fit} are taken in, for the server \
         keeps {} for itself; raise the hard limit (ulimit -Hn, LimitNOFILE) or lower limits.clients",
        files.saturating_sub(fit.into())
    )
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

    #[test]
    fn clients_are_cut_to_the_files_that_may_be_open() {
        let serve = |listeners| FileUse { listeners, dashboard: false, inherited: 0 };
        let fit = |others, files| clients_that_fit(10_000, others, files);
        assert_eq!(fit(serve(1), None), Ok(None));
        assert_eq!(fit(serve(1), Some(1 << 40)), Ok(None));
        assert_eq!(fit(serve(1), Some(10_065)), Ok(None));
        assert_eq!(fit(serve(1), Some(10_064)), Ok(Some(9_999)));
        assert_eq!(fit(serve(3), Some(1_024)), Ok(Some(957)));
    }

    #[test]
    fn of_few_files_half_are_for_clients_and_too_few_are_refused() {
        let serve = FileUse { listeners: 1, dashboard: false, inherited: 0 };
        for files in LEAST..200 {
            let fit = clients_that_fit(10_000, serve, Some(files)).unwrap().unwrap();
            assert!(u64::from(fit) >= files / 2, "{fit} of {files}");
            assert!(u64::from(fit) + serve.files() <= files, "{fit} of {files}");
        }
        let why = clients_that_fit(10_000, serve, Some(LEAST - 1)).unwrap_err();
        assert!(why.starts_with("23 open files are too few: at least 24 are needed"), "{why}");
        let both = FileUse { listeners: 3, dashboard: true, inherited: 2 };
        assert!(clients_that_fit(10_000, both, Some(30)).is_err());
        assert_eq!(clients_that_fit(10_000, both, Some(64)), Ok(Some(28)));
    }

    #[test]
    fn raising_reaches_the_hard_limit() {
        let raised = raise_file_limit();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum);
    }
}
