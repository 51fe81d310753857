//! Why a connection is in its state, in words: what an operator would have to conclude from queues, windows and times.

use super::rates::NOT_READING_AFTER;
use super::{Model, send_q};
use crate::config::settings::Limits;
use crate::count::{bytes, counted, grouped};
use crate::model::snapshot::{Flags, Phase, Row, TcpInfo};
use crate::time::{brief_span, long_span, time_of_day};

/// A forecast further in the future than this, in seconds, is not shown.
const FORECAST_MAX_S: u64 = 3_600;
/// From this percentage an outbox counts as full: the next line may be too long for the rest.
const FULL_FROM_PERCENT: u64 = 95;

/// The text before and after the time of a forecast.
const FORECAST: (&str, &str) = ("reaches its limit in ", " at this rate");

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Good to know.
    Info,
    /// Worth a look.
    Warn,
    /// Needs a look.
    Alarm,
}

/// A remark about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// In words.
    pub(crate) text: String,
    pub(crate) severity: Severity,
}

impl Remark {
    /// A shorter text, for a single line.
    pub(crate) fn summary(&self) -> String {
        let forecast = self.text.strip_prefix(FORECAST.0).and_then(|rest| rest.strip_suffix(FORECAST.1));
        forecast.map_or_else(|| self.text.clone(), |time| format!("full in {time}"))
    }
}

/// The remarks about the row at this index, the most urgent first; at least one.
pub(crate) fn remarks(model: &Model, index: usize, raw: bool) -> Vec<Remark> {
    let row = &model.rows()[index];
    let mut remarks = Vec::new();
    let mut say = |severity, text: Option<String>| {
        remarks.extend(text.map(|text| Remark { text, severity }));
    };
    say(Severity::Info, ending(row, model));
    if row.state != Phase::Gone {
        say(Severity::Alarm, stuck(row, model, index));
        if is_full(row, model, index) {
            say(Severity::Alarm, Some(full(row)));
        } else {
            say(Severity::Warn, forecast(row, model, index));
        }
        say(Severity::Warn, flow(row, model));
        say(Severity::Info, half_closed(row, model, raw));
        say(Severity::Info, under_way(row, model, index, raw));
        say(Severity::Info, shut(row));
    }
    if row.state == Phase::Gone || !is_full(row, model, index) {
        say(Severity::Warn, skipped(row));
    }
    say(Severity::Info, incomplete(row));
    say(Severity::Info, said(row));
    if remarks.is_empty() {
        remarks.push(Remark {
            text: "nothing waits, nothing is held back".to_owned(),
            severity: Severity::Info,
        });
    }
    remarks
}

fn ending(row: &Row, model: &Model) -> Option<String> {
    let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match row.state {
        Phase::Waiting => Some("waits: its address connects too fast; it is let in later".to_owned()),
        Phase::Draining => Some(format!("draining{reason}")),
        Phase::Gone => {
            let ago = row.gone_at.map(|at| long_span(model.taken().moment.since(at)));
            Some(format!("gone{}{reason}", ago.map(|ago| format!(" {ago} ago")).unwrap_or_default()))
        }
        _ => None,
    }
}

/// Bytes wait and are not acknowledged: the peer does not read, does not answer, or TCP does not show why.
fn stuck(row: &Row, model: &Model, index: usize) -> Option<String> {
    let waiting = row.outbox_bytes > 0 || send_q(row) > 0;
    let since = row.stuck_since.map(|since| format!(" since {}", time_of_day(model.wall_time_of(since))));
    match row.kernel.and_then(|kernel| kernel.tcp) {
        Some(TcpInfo { peer_window: 0, .. }) if waiting && is_late(row, model, index) => {
            // A slow reader opens its window only now and then; before the first time it looks like a peer that does
            // not read.
            let stuck_for = row.stuck_since.map(|since| model.taken().moment.since(since));
            let or_slowly =
                if stuck_for.is_some_and(|time| time >= NOT_READING_AFTER) { "" } else { ", or slowly" };
            Some(format!("window 0: not reading{}{or_slowly}", since.unwrap_or_default()))
        }
        Some(TcpInfo { retransmits, unacked, .. }) if retransmits > 0 && unacked > 0 => Some(format!(
            "unplugged: {}, {} unacknowledged",
            counted(u64::from(retransmits), "retransmit", "retransmits"),
            counted(u64::from(unacked), "segment", "segments")
        )),
        _ => since.filter(|_| is_late(row, model, index)).map(|since| format!("takes nothing{since}")),
    }
}

/// Whether bytes wait without an acknowledgement for longer than this peer usually takes between two bursts.
fn is_late(row: &Row, model: &Model, index: usize) -> bool {
    let since = row.stuck_since.map(|since| model.taken().moment.since(since));
    since.is_some_and(|since| since >= model.rate(index).patience())
}

/// Bytes wait, and it is too early to conclude anything.
fn under_way(row: &Row, model: &Model, index: usize, raw: bool) -> Option<String> {
    let count = row.outbox_bytes.saturating_add(send_q(row));
    let is_young = row.stuck_since.is_some() && stuck(row, model, index).is_none();
    let window = row.kernel.and_then(|kernel| kernel.tcp).map(|tcp| tcp.peer_window);
    let full = if window == Some(0) { ", its window is full at the moment" } else { "" };
    (count > 0 && is_young).then(|| format!("{} under way{full}", bytes(count, raw)))
}

/// The most unsent bytes that an outbox holds.
fn unsent_max(model: &Model) -> u64 {
    Limits::unsent_max(model.status().outbox_limit)
}

/// Whether lines are skipped, or the next one will be.
fn is_full(row: &Row, model: &Model, index: usize) -> bool {
    let room = u128::from(unsent_max(model));
    let near = u128::from(row.outbox_bytes) * 100 >= room * u128::from(FULL_FROM_PERCENT);
    row.outbox_bytes > 0 && (near || model.rate(index).is_skipping())
}

fn full(row: &Row) -> String {
    match row.lines_skipped {
        0 => "outbox full: the next lines are skipped".to_owned(),
        lines => format!("outbox full: lines are skipped, {} so far", grouped(lines)),
    }
}

/// When the outbox will be full at its present growth.
fn forecast(row: &Row, model: &Model, index: usize) -> Option<String> {
    let room = unsent_max(model);
    let growth = u64::try_from(model.rate(index).outbox_growth()).ok().filter(|growth| *growth > 0)?;
    let seconds = (room.saturating_sub(row.outbox_bytes) / growth).max(1);
    (row.outbox_bytes > 0 && seconds <= FORECAST_MAX_S)
        .then(|| format!("{}{}{}", FORECAST.0, counted_seconds(seconds), FORECAST.1))
}

fn counted_seconds(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{} m", seconds / 60) }
}

fn flow(row: &Row, model: &Model) -> Option<String> {
    let since = row.flow_since?;
    Some(format!("flow: over its rate, not read since {}", time_of_day(model.wall_time_of(since))))
}

fn half_closed(row: &Row, model: &Model, raw: bool) -> Option<String> {
    let at = row.eof_at?;
    let ago = brief_span(model.taken().moment.since(at));
    let flush = match row.outbox_bytes {
        0 => String::new(),
        left => format!(", {} to flush", bytes(left, raw)),
    };
    let stays = if row.flags.has(Flags::LISTEN) { ", stays to listen" } else { "" };
    Some(format!("half-closed: sent FIN {ago} ago{flush}{stays}"))
}

fn shut(row: &Row) -> Option<String> {
    match row.state {
        Phase::RdShut => Some("shutdown read: what it sends is discarded".to_owned()),
        Phase::WrShut => Some("shutdown write: we sent FIN, it may still send".to_owned()),
        _ => None,
    }
}

fn skipped(row: &Row) -> Option<String> {
    (row.lines_skipped > 0)
        .then(|| format!("{} skipped: its outbox was full", counted(row.lines_skipped, "line", "lines")))
}

fn incomplete(row: &Row) -> Option<String> {
    (row.lines_incomplete > 0).then(|| "its last message was incomplete: dropped".to_owned())
}

fn said(row: &Row) -> Option<String> {
    let muted = row.flags.has(Flags::MUTED).then(|| "muted: its lines are refused".to_owned());
    let scrubbed =
        (row.scrubbed > 0).then(|| format!("sent {} characters that were replaced", grouped(row.scrubbed)));
    match (muted, scrubbed) {
        (Some(muted), Some(scrubbed)) => Some(format!("{muted}; {scrubbed}")),
        (muted, scrubbed) => muted.or(scrubbed),
    }
}
