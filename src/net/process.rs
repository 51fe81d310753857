//! Figures of the system about this process and machine: descriptors, memory, lost connections.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::model::snapshot::AcceptLosses;

/// The limit of open descriptors; `None` without a limit.
pub(super) fn descriptor_limit() -> Option<u32> {
    getrlimit(Resource::Nofile).current.map(|most| u32::try_from(most).unwrap_or(u32::MAX))
}

/// The number of open descriptors, where the system reports it. Since Linux 6.2 it is the size of `/proc/self/fd`; on
/// an older kernel that size is 0 and they are listed, which takes milliseconds for ten thousand.
pub(super) fn open_descriptors() -> Option<u32> {
    let open = match fs::metadata("/proc/self/fd").ok()?.len() {
        // Without the descriptor of this listing.
        0 => (fs::read_dir("/proc/self/fd").ok()?.count() as u64).checked_sub(1).filter(|open| *open > 0)?,
        open => open,
    };
    u32::try_from(open).ok()
}

/// Resident memory in bytes (`/proc/self/statm`, proc(5)), where the system reports it.
pub(super) fn resident_bytes() -> Option<u64> {
    resident_in(&fs::read_to_string("/proc/self/statm").ok()?)
}

fn resident_in(statm: &str) -> Option<u64> {
    let pages = statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

/// Connections that accept queues of this machine lost (`/proc/net/netstat`), where the system reports them.
pub(super) fn accept_losses() -> Option<AcceptLosses> {
    losses_in(&fs::read_to_string("/proc/net/netstat").ok()?)
}

/// Each group of counters is two lines that start with the group's name: the counters' names, then their values.
fn losses_in(netstat: &str) -> Option<AcceptLosses> {
    let mut group = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (group.next()?, group.next()?);
    let counter = |wanted: &str| {
        let pairs = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
        pairs.into_iter().find(|(name, _)| *name == wanted)?.1.parse().ok()
    };
    Some(AcceptLosses { overflows: counter("ListenOverflows")?, drops: counter("ListenDrops")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let netstat = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 12 15\n\
                       IpExt: InNoRoutes\nIpExt: 0\n";
        assert_eq!(losses_in(netstat), Some(AcceptLosses { overflows: 12, drops: 15 }));
    }

    #[test]
    fn a_missing_figure_is_none_and_not_zero() {
        for statm in ["", "12", "12 x"] {
            assert_eq!(resident_in(statm), None, "{statm:?}");
        }
        for netstat in [
            "",
            "TcpExt: ListenOverflows ListenDrops\n",
            "TcpExt: ListenOverflows\nTcpExt: 1\n",
            "TcpExt: ListenOverflows ListenDrops\nTcpExt: 1 x\n",
        ] {
            assert_eq!(losses_in(netstat), None, "{netstat:?}");
        }
    }
}
