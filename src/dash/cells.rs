//! What stands in the cells of the table: the text of each column for a row, and how much a row needs a look.

use std::time::Duration;

use super::columns::{Column, Placed};
use super::glyphs::Glyphs;
use super::picture::{Picture, send_q};
use super::{measure, units};
use crate::model::snapshot::{Flags, Peer, Phase, Row};
use crate::time::Moment;

/// The text of one cell, not yet padded and not wider than the column.
pub(crate) fn cell(placed: Placed, picture: &Picture, index: usize, raw: bool, glyphs: &Glyphs) -> String {
    let row = &picture.rows()[index];
    let rate = picture.rate(index);
    let cells = usize::from(placed.width);
    let number = |count| number(count, cells, raw);
    match placed.column {
        Column::Id => row.id.get().to_string(),
        Column::Nick => row.nick.map_or_else(|| "-".to_owned(), |nick| nick.to_string()),
        Column::Peer => peer(row.peer, cells, glyphs),
        Column::Address => address(row.peer, cells, glyphs),
        Column::State => format!("{} {}", row.state.arrow(), row.state),
        Column::RecvQ => row.kernel.map_or_else(|| "-".to_owned(), |kernel| number(u64::from(kernel.recv_q))),
        Column::Outbox => number(row.outbox_bytes),
        Column::SendQ => number(send_q(row)),
        Column::Load => glyphs.bar(picture.load(row), cells),
        Column::Rx => number(rate.rx()),
        Column::Tx => number(rate.ack()),
        Column::RxTx => format!("{}/{}", units::short(rate.rx(), false), units::short(rate.ack(), false)),
        Column::Idle => idle(row, picture.taken().moment).map_or_else(|| "-".to_owned(), units::brief_span),
        Column::Flags => flags(row, cells, glyphs),
    }
}

/// A number of bytes, raw only where all its digits fit.
fn number(count: u64, cells: usize, raw: bool) -> String {
    let text = units::bytes(count, raw);
    if text.len() <= cells { text } else { units::bytes(count, false) }
}

/// The peer with its port where that fits, else without.
fn peer(peer: Peer, cells: usize, glyphs: &Glyphs) -> String {
    let whole = peer.to_string();
    if whole.len() <= cells { whole } else { address(peer, cells, glyphs) }
}

fn address(peer: Peer, cells: usize, glyphs: &Glyphs) -> String {
    let whole = match peer {
        Peer::Tcp(address) => address.ip().to_string(),
        Peer::Unix => peer.to_string(),
    };
    measure::fit(&whole, cells, glyphs.ellipsis)
}

/// The words of a row, the most urgent first; `+` for those that do not fit. Who is going has one: why.
fn flags(row: &Row, cells: usize, glyphs: &Glyphs) -> String {
    if let (Some(reason), Phase::Gone | Phase::Draining) = (&row.reason, row.state) {
        return measure::fit(reason.word(), cells, glyphs.ellipsis);
    }
    let mut text = String::new();
    for word in row.flags.words() {
        let joined = text.len() + usize::from(!text.is_empty()) + word.len();
        if joined > cells {
            let room = text.len() < cells;
            text.push_str(if room { "+" } else { "" });
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Since when nothing was read from it; of those gone, since when they are. Nothing is known of who is not read.
pub(crate) fn idle(row: &Row, now: Moment) -> Option<Duration> {
    match (row.gone_at, row.flow_since) {
        (Some(gone_at), _) => Some(now.since(gone_at)),
        (None, Some(_)) => None,
        (None, None) => Some(now.since(row.heard)),
    }
}

/// Whether a row needs a look, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// It is over.
    Past,
    /// Nothing.
    None,
    /// The operator changed something about it.
    Changed,
    /// Slow, or held back.
    Warn,
    /// It takes nothing.
    Alarm,
}

impl Concern {
    /// The concern about a row.
    pub(crate) fn of(row: &Row) -> Self {
        if row.state == Phase::Gone {
            Self::Past
        } else if row.flags.has(Flags::STALLED) {
            Self::Alarm
        } else if row.flags.has(Flags::SLOW) || row.flags.has(Flags::FLOW) {
            Self::Warn
        } else if row.flags.has(Flags::OP) || row.flags.has(Flags::MUTED) {
            Self::Changed
        } else {
            Self::None
        }
    }
}
