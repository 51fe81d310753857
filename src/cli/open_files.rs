//! How many files the process may have open, and how many clients fit into that.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not clients: standard streams, terminal, pollers, wake-ups, signals, log, one held back for telling
/// those at a full door, the refusals that linger, the control socket and its operators.
const FILES_RESERVED: u64 = 64;

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

/// The number of clients that `files` open files allow, if it is smaller than `clients`; at least 1.
pub(super) fn clients_that_fit(clients: u32, listeners: usize, files: Option<u64>) -> Option<u32> {
    let room = files?.saturating_sub(FILES_RESERVED + listeners as u64).max(1);
    u32::try_from(room).ok().filter(|room| *room < clients)
}

/// What the operator is told when [`clients_that_fit`] cut the number.
pub(super) fn told(clients: u32, fit: u32, files: u64) -> String {
    format!(
        "limits.clients = {clients} does not fit into {files} open files: no more than {fit} are taken in, for the server \
         keeps {FILES_RESERVED} for itself; raise the hard limit (ulimit -Hn, LimitNOFILE) or lower limits.clients"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_cut_to_the_files_that_may_be_open() {
        assert_eq!(clients_that_fit(10_000, 1, None), None);
        assert_eq!(clients_that_fit(10_000, 1, Some(1 << 40)), None);
        assert_eq!(clients_that_fit(10_000, 1, Some(10_065)), None);
        assert_eq!(clients_that_fit(10_000, 1, Some(10_064)), Some(9_999));
        assert_eq!(clients_that_fit(10_000, 3, Some(1_024)), Some(957));
        assert_eq!(clients_that_fit(10_000, 1, Some(10)), Some(1));
    }

    #[test]
    fn raising_reaches_the_hard_limit() {
        let raised = raise_limit();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum);
    }
}
