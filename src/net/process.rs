//! What the system tells of the process and its machine: descriptors, memory, lost connections.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::engine::snapshot::AcceptLosses;

/// Open descriptors and how many there may be. The first is 0 where the system does not tell.
pub(super) fn descriptors() -> (u32, u32) {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    (small(open_descriptors()), small(most))
}

/// The size of `/proc/self/fd` is their number, since Linux 6.2: to list them takes milliseconds when there are ten
/// thousand. Before that it is 0, and they are counted.
fn open_descriptors() -> u64 {
    match fs::metadata("/proc/self/fd").map_or(0, |found| found.len()) {
        0 => count_descriptors(),
        open => open,
    }
}

/// All but the one that the counting takes.
fn count_descriptors() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1) as u64)
}

/// Resident memory in bytes (`/proc/self/statm`, proc(5)); 0 where the system does not tell.
pub(super) fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// What accept queues lost, machine-wide (`/proc/net/netstat`); `None` where the system does not tell.
pub(super) fn accept_losses() -> Option<AcceptLosses> {
    losses_in(&fs::read_to_string("/proc/net/netstat").ok()?)
}

/// Each group of counters is two lines with its name before them: the names, and below them the values.
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
    fn counters_are_found_by_their_names() {
        let netstat = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 12 15\n\
                       IpExt: InNoRoutes\nIpExt: 0\n";
        assert_eq!(losses_in(netstat), Some(AcceptLosses { overflows: 12, drops: 15 }));
    }

    #[test]
    fn what_is_missing_is_not_zero() {
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
