//! Why a connection is as it is, in words: what an operator would have to work out from queues, windows and times.

use super::picture::{Picture, send_q};
use super::rates::GIVE_UP;
use super::units::{brief_span, bytes, counted, grouped, span, time_of_day};
use crate::config::settings::Limits;
use crate::model::snapshot::{Flags, Phase, Row, TcpInfo};

/// Farther away than this the time at which an outbox is full is not worth telling, in seconds.
const FORECAST_MAX_S: u64 = 3_600;
/// From this share of what it holds an outbox is full, in hundredths: the next line may be too long for what is left.
const FULL_FROM_PERCENT: u64 = 95;

/// The words around the time of a forecast.
const FORECAST: (&str, &str) = ("reaches its limit in ", " at this rate");

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Good to know.
    Info,
    /// Worth a look.
    Warn,
    /// Needs a look.
    Alarm,
}

/// One thing worth saying about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// In words.
    pub(crate) text: String,
    /// How much it matters.
    pub(crate) weight: Weight,
}

impl Remark {
    /// The remark where one line is all there is.
    pub(crate) fn summary(&self) -> String {
        let forecast = self.text.strip_prefix(FORECAST.0).and_then(|rest| rest.strip_suffix(FORECAST.1));
        forecast.map_or_else(|| self.text.clone(), |time| format!("full in {time}"))
    }
}

/// What is worth saying about the row at this place of the picture, the most urgent first; never nothing.
pub(crate) fn remarks(picture: &Picture, index: usize, raw: bool) -> Vec<Remark> {
    let row = &picture.rows()[index];
    let mut remarks = Vec::new();
    let mut say = |weight, text: Option<String>| {
        remarks.extend(text.map(|text| Remark { text, weight }));
    };
    say(Weight::Info, ending(row, picture));
    if row.state != Phase::Gone {
        say(Weight::Alarm, stuck(row, picture, index));
        if is_full(row, picture, index) {
            say(Weight::Alarm, Some(full(row)));
        } else {
            say(Weight::Warn, forecast(row, picture, index));
        }
        say(Weight::Warn, flow(row, picture));
        say(Weight::Info, half_closed(row, picture, raw));
        say(Weight::Info, under_way(row, picture, index, raw));
        say(Weight::Info, shut(row));
    }
    if row.state == Phase::Gone || !is_full(row, picture, index) {
        say(Weight::Warn, skipped(row));
    }
    say(Weight::Info, incomplete(row));
    say(Weight::Info, said(row));
    if remarks.is_empty() {
        remarks.push(Remark { text: "nothing waits, nothing is held back".to_owned(), weight: Weight::Info });
    }
    remarks
}

fn ending(row: &Row, picture: &Picture) -> Option<String> {
    let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match row.state {
        Phase::Waiting => Some("waits: its address connects too fast; it is let in later".to_owned()),
        Phase::Draining => Some(format!("draining{reason}")),
        Phase::Gone => {
            let ago = row.gone_at.map(|at| span(picture.taken().moment.since(at)));
            Some(format!("gone{}{reason}", ago.map(|ago| format!(" {ago} ago")).unwrap_or_default()))
        }
        _ => None,
    }
}

/// Bytes wait and do not go: because the peer does not read, does not answer, or for a reason that TCP does not tell.
fn stuck(row: &Row, picture: &Picture, index: usize) -> Option<String> {
    let waiting = row.outbox_bytes > 0 || send_q(row) > 0;
    let since = row.stuck_since.map(|since| format!(" since {}", time_of_day(picture.told(since))));
    match row.kernel.and_then(|kernel| kernel.tcp) {
        Some(TcpInfo { peer_window: 0, .. }) if waiting && is_late(row, picture, index) => {
            // A peer that reads slowly opens its window only now and then; before the first time it looks the same.
            let stuck_for = row.stuck_since.map(|since| picture.taken().moment.since(since));
            let or_slowly = if stuck_for.is_some_and(|time| time >= GIVE_UP) { "" } else { ", or slowly" };
            Some(format!("window 0: not reading{}{or_slowly}", since.unwrap_or_default()))
        }
        Some(TcpInfo { retransmits, unacked, .. }) if retransmits > 0 && unacked > 0 => Some(format!(
            "unplugged: {}, {} unacknowledged",
            counted(u64::from(retransmits), "retransmit", "retransmits"),
            counted(u64::from(unacked), "segment", "segments")
        )),
        _ => since.filter(|_| is_late(row, picture, index)).map(|since| format!("takes nothing{since}")),
    }
}

/// Whether bytes wait and not one was acknowledged for longer than this peer takes from one burst to the next.
fn is_late(row: &Row, picture: &Picture, index: usize) -> bool {
    let since = row.stuck_since.map(|since| picture.taken().moment.since(since));
    since.is_some_and(|since| since >= picture.rate(index).patience())
}

/// Bytes are on their way, and it is too early to make anything of it.
fn under_way(row: &Row, picture: &Picture, index: usize, raw: bool) -> Option<String> {
    let count = row.outbox_bytes.saturating_add(send_q(row));
    let is_young = row.stuck_since.is_some() && stuck(row, picture, index).is_none();
    let window = row.kernel.and_then(|kernel| kernel.tcp).map(|tcp| tcp.peer_window);
    let full = if window == Some(0) { ", its window is full at the moment" } else { "" };
    (count > 0 && is_young).then(|| format!("{} under way{full}", bytes(count, raw)))
}

/// Unsent bytes that an outbox holds.
fn unsent_max(picture: &Picture) -> u64 {
    Limits::unsent_max(picture.status().outbox_limit)
}

/// Whether lines to it are skipped, or the next one will be.
fn is_full(row: &Row, picture: &Picture, index: usize) -> bool {
    let room = u128::from(unsent_max(picture));
    let near = u128::from(row.outbox_bytes) * 100 >= room * u128::from(FULL_FROM_PERCENT);
    row.outbox_bytes > 0 && (near || picture.rate(index).is_skipping())
}

fn full(row: &Row) -> String {
    match row.lines_skipped {
        0 => "outbox full: the next lines are skipped".to_owned(),
        lines => format!("outbox full: lines are skipped, {} so far", grouped(lines)),
    }
}

/// When the outbox is full at the rate at which it grows.
fn forecast(row: &Row, picture: &Picture, index: usize) -> Option<String> {
    let room = unsent_max(picture);
    let growth = u64::try_from(picture.rate(index).outbox_growth()).ok().filter(|growth| *growth > 0)?;
    let seconds = (room.saturating_sub(row.outbox_bytes) / growth).max(1);
    (row.outbox_bytes > 0 && seconds <= FORECAST_MAX_S)
        .then(|| format!("{}{}{}", FORECAST.0, counted_seconds(seconds), FORECAST.1))
}

fn counted_seconds(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{} m", seconds / 60) }
}

fn flow(row: &Row, picture: &Picture) -> Option<String> {
    let since = row.flow_since?;
    Some(format!("flow: over its rate, not read since {}", time_of_day(picture.told(since))))
}

fn half_closed(row: &Row, picture: &Picture, raw: bool) -> Option<String> {
    let at = row.eof_at?;
    let ago = brief_span(picture.taken().moment.since(at));
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
