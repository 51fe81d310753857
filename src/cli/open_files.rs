//! How many files the process may have open, and how many clients fit into that.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files kept for what is no client, where there are enough: the server's own, the control socket's operators, the
/// refusals that linger.
const RESERVED: u64 = 64;
/// Files that the server itself has open with one listener: standard streams, poller, wake-ups, signals, control socket,
/// and one held back for telling those at a full door.
const OWN: u64 = 12;
/// Files that the dashboard has open beside them: the terminal, its poller and its signals.
const DASHBOARD: u64 = 20;
/// The least number of files with which it makes sense to start.
const LEAST: u64 = 24;

/// Raises the soft limit to the hard one; the number of files that may be open then. `None`: no limit.
///
/// What the system refuses is left as it is; [`clients_that_fit`] then works with the lower limit.
pub(super) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let _ = setrlimit(Resource::Nofile, raised);
    }
    self::limit()
}

/// The number of files that may be open now. `None`: no limit.
pub(super) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// What has files open beside clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// How many listeners.
    pub(super) listeners: usize,
    /// Whether the dashboard runs in the same process.
    pub(super) dashboard: bool,
    /// Files that were open before the program began.
    pub(super) inherited: u64,
}

impl Use {
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
pub(super) fn inherited() -> u64 {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let most = limit().unwrap_or(u64::MAX);
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
pub(super) fn clients_that_fit(clients: u32, others: Use, files: Option<u64>) -> Result<Option<u32>, String> {
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
pub(super) fn told(clients: u32, fit: u32, files: u64) -> String {
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
    fn clients_are_cut_to_the_files_that_may_be_open() {
        let serve = |listeners| Use { listeners, dashboard: false, inherited: 0 };
        let fit = |others, files| clients_that_fit(10_000, others, files);
        assert_eq!(fit(serve(1), None), Ok(None));
        assert_eq!(fit(serve(1), Some(1 << 40)), Ok(None));
        assert_eq!(fit(serve(1), Some(10_065)), Ok(None));
        assert_eq!(fit(serve(1), Some(10_064)), Ok(Some(9_999)));
        assert_eq!(fit(serve(3), Some(1_024)), Ok(Some(957)));
    }

    #[test]
    fn of_few_files_half_are_for_clients_and_too_few_are_refused() {
        let serve = Use { listeners: 1, dashboard: false, inherited: 0 };
        for files in LEAST..200 {
            let fit = clients_that_fit(10_000, serve, Some(files)).unwrap().unwrap();
            // Of the very fewest, one less.
            let half = if files < 26 { files / 2 - 1 } else { files / 2 };
            assert!(u64::from(fit) >= half, "{fit} of {files}");
            assert!(u64::from(fit) + serve.files() <= files, "{fit} of {files}");
        }
        let why = clients_that_fit(10_000, serve, Some(LEAST - 1)).unwrap_err();
        assert!(why.starts_with("23 open files are too few: at least 24 are needed"), "{why}");
        let both = Use { listeners: 3, dashboard: true, inherited: 2 };
        assert!(clients_that_fit(10_000, both, Some(30)).is_err());
        assert_eq!(clients_that_fit(10_000, both, Some(64)), Ok(Some(27)));
    }

    #[test]
    fn raising_reaches_the_hard_limit() {
        let raised = raise_limit();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum);
    }
}
