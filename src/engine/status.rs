//! What is counted for the server as a whole.

use std::collections::BTreeMap;

/// Counters since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) accepted: u64,
    pub(super) accept_failures: u64,
    pub(super) refused: u64,
    pub(super) closed: BTreeMap<&'static str, u64>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) lines_in: u64,
    pub(super) lines_incomplete: u64,
    /// Received from sockets that then failed, and dropped unparsed.
    pub(super) dropped_bytes: u64,
    pub(super) deliveries: u64,
    pub(super) lines_skipped: u64,
}
