//! The answer to `status`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::seconds;
use crate::model::snapshot;

/// The server as a whole: the answer to `status`.
#[derive(Debug, Serialize)]
pub(in crate::control) struct Status<'a> {
    version: &'static str,
    name: &'a str,
    pid: u32,
    uptime_s: f64,
    listeners: &'a [String],
    /// In the order of `listeners`.
    accept_queues: Vec<AcceptQueue<'a>>,
    #[serde(flatten)]
    accept_losses: Option<AcceptLosses>,
    clients: u32,
    half_closed: u32,
    slow: u32,
    operators: u32,
    accepted: u64,
    refused: u64,
    accept_failures: u64,
    closed: BTreeMap<&'a str, u64>,
    bytes_in: u64,
    bytes_out: u64,
    lines_in: u64,
    lines_incomplete: u64,
    dropped_bytes: u64,
    deliveries: u64,
    lines_skipped: u64,
    inbox_bytes: u64,
    outbox_bytes: u64,
    /// Of how many for each client, and for all.
    outbox_limit: u64,
    outbox_total_limit: u64,
    rooms: u32,
    bans: u32,
    #[serde(rename = "loop")]
    turns: Loop,
    /// How late the latest turn of the last two seconds began.
    late_us: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fds_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_bytes: Option<u64>,
    paused: bool,
    draining: bool,
}

/// Length and limit are absent where the system does not tell them.
#[derive(Debug, Serialize)]
struct AcceptQueue<'a> {
    listener: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

/// Of all listeners of the machine, whoever has them; absent where the system does not tell.
#[derive(Debug, Serialize)]
struct AcceptLosses {
    machine_accept_overflows: u64,
    machine_accept_drops: u64,
}

#[derive(Debug, Serialize)]
struct Loop {
    turns: u64,
    p50_us: u32,
    p99_us: u32,
    max_us: u32,
    late_max_us: u32,
}

impl<'a> Status<'a> {
    pub(in crate::control) fn of(status: &'a snapshot::Status) -> Self {
        let snapshot::TurnStats { turns, p50_us, p99_us, max_us, late_max_us, .. } = status.turns;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            name: &status.name,
            pid: status.pid,
            uptime_s: seconds(status.uptime),
            listeners: &status.listeners,
            accept_queues: accept_queues(status),
            accept_losses: status.accept_losses.map(|lost| AcceptLosses {
                machine_accept_overflows: lost.overflows,
                machine_accept_drops: lost.drops,
            }),
            clients: status.clients,
            half_closed: status.half_closed,
            slow: status.slow,
            operators: status.operators,
            accepted: status.accepted,
            refused: status.refused,
            accept_failures: status.accept_failures,
            closed: status.closed.iter().map(|(word, count)| (word.as_ref(), *count)).collect(),
            bytes_in: status.bytes_in,
            bytes_out: status.bytes_out,
            lines_in: status.lines_in,
            lines_incomplete: status.lines_incomplete,
            dropped_bytes: status.dropped_bytes,
            deliveries: status.deliveries,
            lines_skipped: status.lines_skipped,
            inbox_bytes: status.inbox_bytes,
            outbox_bytes: status.outbox_bytes,
            outbox_limit: status.outbox_limit,
            outbox_total_limit: status.outbox_total_limit,
            rooms: status.rooms,
            bans: status.bans,
            late_us: status.turns.late_us,
            turns: Loop { turns, p50_us, p99_us, max_us, late_max_us },
            fds: status.fds,
            fds_limit: status.fds_limit,
            rss_bytes: status.rss_bytes,
            paused: status.paused,
            draining: status.draining,
        }
    }
}

fn accept_queues(status: &snapshot::Status) -> Vec<AcceptQueue<'_>> {
    let queues = status.accept_queues.iter().copied().chain(std::iter::repeat(None));
    let labelled = status.listeners.iter().zip(queues);
    labelled
        .map(|(listener, queue)| AcceptQueue {
            listener,
            length: queue.map(|queue| queue.length),
            limit: queue.map(|queue| queue.limit),
        })
        .collect()
}
