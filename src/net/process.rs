//! What the process knows of itself: descriptors and memory.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Open descriptors and how many there may be. The first is 0 where the system does not tell.
pub(super) fn descriptors() -> (u32, u32) {
    let open = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1));
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (u32::try_from(open).unwrap_or(u32::MAX), u32::try_from(most).unwrap_or(u32::MAX))
}

/// Resident memory in bytes (`/proc/self/statm`, proc(5)); 0 where the system does not tell.
pub(super) fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
