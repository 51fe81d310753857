//! The columns of the table of clients: their names, what they mean, and which fit into a width.

use std::time::Duration;

use crate::model::snapshot::{Peer, Row};
use crate::time::Moment;

/// Below this width PEER loses its port and RX and TX share a cell.
pub(crate) const COMPACT_BELOW: u16 = 100;
/// Below this width only the first columns of all remain.
const BARE_BELOW: u16 = 48;
/// The fewest cells that still tell names apart.
const NICK_MIN: u16 = 4;
/// A column that no row needs as wide for so long becomes narrower.
const SHRINK_AFTER: Duration = Duration::from_secs(10);
/// Cells before the id: the sign of the selected row and that of a marked one.
const SIGNS: u16 = 2;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// The connection's number.
    Id,
    /// The name.
    Nick,
    /// Where it comes from, with the port.
    Peer,
    /// The same without the port.
    Address,
    /// Arrow and word.
    State,
    /// What the kernel holds from the peer.
    RecvQ,
    /// Unsent, ours.
    Outbox,
    /// What the kernel holds for the peer.
    SendQ,
    /// How full the outbox and Send-Q are.
    Load,
    /// Bytes a second from the peer.
    Rx,
    /// Bytes a second to the peer.
    Tx,
    /// Both in one cell.
    RxTx,
    /// Since something was last read from it.
    Idle,
    /// What is remarkable, in words.
    Flags,
}

impl Column {
    /// The columns by which rows can be sorted, in the order in which a key goes through them.
    pub(crate) const SORTABLE: [Self; 11] =
        *Self::ALL_WIDE.first_chunk().expect("there are eleven before what is remarkable");

    const ALL_WIDE: [Self; 12] = [
        Self::Id,
        Self::Nick,
        Self::Peer,
        Self::State,
        Self::RecvQ,
        Self::Outbox,
        Self::SendQ,
        Self::Load,
        Self::Rx,
        Self::Tx,
        Self::Idle,
        Self::Flags,
    ];

    const ALL_COMPACT: [Self; 11] = [
        Self::Id,
        Self::Nick,
        Self::Address,
        Self::State,
        Self::RecvQ,
        Self::Outbox,
        Self::SendQ,
        Self::Load,
        Self::RxTx,
        Self::Idle,
        Self::Flags,
    ];

    /// Who goes when the width does not do, the first first. Those not named never go. What is remarkable goes last:
    /// it tells which of the other figures need a look.
    const GOING: [Self; 10] = [
        Self::RecvQ,
        Self::Idle,
        Self::Rx,
        Self::Tx,
        Self::RxTx,
        Self::Peer,
        Self::Address,
        Self::Load,
        Self::SendQ,
        Self::Flags,
    ];

    /// Its name at the head of the table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Nick => "NICK",
            Self::Peer | Self::Address => "PEER",
            Self::State => "STATE",
            Self::RecvQ => "RECV-Q",
            Self::Outbox => "OUTBOX",
            Self::SendQ => "SEND-Q",
            Self::Load => "LOAD",
            Self::Rx => "RX/s",
            Self::Tx => "ACK/s",
            Self::RxTx => "RX/ACK",
            Self::Idle => "IDLE",
            Self::Flags => "FLAGS",
        }
    }

    /// What it means.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Id => "number of the connection, never used twice",
            Self::Nick => "name in the chat; guest-ID until one is taken",
            Self::Peer => "address and port of the other end",
            Self::Address => "address of the other end",
            Self::State => "which directions carry anything, and why not",
            Self::RecvQ => "received by the kernel, not read by us",
            Self::Outbox => "bytes waiting in the server for this client",
            Self::SendQ => "bytes in the kernel, not acknowledged",
            Self::Load => "OUTBOX + SEND-Q of the outbox's limit",
            Self::Rx => "bytes a second from the client",
            Self::Tx => "bytes a second that its TCP has taken",
            Self::RxTx => "RX/s and ACK/s in one cell",
            Self::Idle => "since last read; - while it is not",
            Self::Flags => "stalled slow flow half op muted listen telnet",
        }
    }

    /// Whether its cells stand at the right.
    pub(crate) const fn is_right(self) -> bool {
        !matches!(self, Self::Nick | Self::Peer | Self::Address | Self::State | Self::Load | Self::Flags)
    }

    /// Whether the largest comes first when it is chosen: so with what is measured.
    pub(crate) const fn descends(self) -> bool {
        !matches!(self, Self::Id | Self::Nick | Self::Peer | Self::Address | Self::State)
    }

    /// The least width that does not mislead.
    fn least(self, width: u16, wants: Wants, raw: bool) -> u16 {
        let compact = width < COMPACT_BELOW;
        match self {
            Self::Id => SIGNS + wants.id.cells,
            Self::Address => wants.address.cells.clamp(9, 15),
            Self::Peer => 15,
            Self::State => 12,
            Self::Outbox | Self::SendQ | Self::Rx | Self::Tx if raw => 8,
            Self::Nick => 8,
            Self::RecvQ | Self::Outbox | Self::SendQ => 6,
            Self::Load | Self::Idle if compact => 4,
            Self::Flags => 7,
            Self::Load | Self::Rx | Self::Tx => 5,
            Self::RxTx => 9,
            Self::Idle => 4,
        }
    }
}

/// How wide the contents of a column are, or were a short while ago: it grows at once and shrinks late, so that columns
/// do not dance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Want {
    cells: u16,
    /// When some row needed as much.
    needed_at: Moment,
}

impl Want {
    const fn of(cells: u16) -> Self {
        Self { cells, needed_at: Moment::START }
    }

    fn take(&mut self, cells: u16, now: Moment) {
        if cells >= self.cells || now.since(self.needed_at) >= SHRINK_AFTER {
            *self = Self { cells, needed_at: now };
        }
    }
}

/// How wide the contents are of those columns whose width follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants {
    id: Want,
    nick: Want,
    peer: Want,
    address: Want,
}

impl Default for Wants {
    fn default() -> Self {
        Self::of(2, 8, 15, 9)
    }
}

impl Wants {
    const fn of(id: u16, nick: u16, peer: u16, address: u16) -> Self {
        Self { id: Want::of(id), nick: Want::of(nick), peer: Want::of(peer), address: Want::of(address) }
    }

    /// Takes these rows into account, which are by rising id and as they are `now`.
    pub(crate) fn follow(&mut self, rows: &[Row], now: Moment) {
        let Self { nick, peer, address, .. } = Self::default();
        let [mut nick, mut peer, mut address] = [nick, peer, address].map(|want| want.cells);
        for row in rows {
            nick = nick.max(row.nick.map_or(1, |nick| cells(nick.as_str())));
            let (bare, whole) = peer_cells(row.peer);
            address = address.max(bare);
            peer = peer.max(whole);
        }
        self.id.take(rows.last().map_or(2, |row| digits(row.id.get()).max(2)), now);
        self.nick.take(nick, now);
        self.peer.take(peer, now);
        self.address.take(address, now);
    }
}

/// A column with its place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Which.
    pub(crate) column: Column,
    /// Its first cell.
    pub(crate) x: u16,
    /// Its cells.
    pub(crate) width: u16,
}

/// The columns that fit into `width`, with one free cell between neighbours.
pub(crate) fn place(width: u16, wants: Wants, raw: bool) -> Vec<Placed> {
    let all: &[Column] = if width < COMPACT_BELOW { &Column::ALL_COMPACT } else { &Column::ALL_WIDE };
    let mut chosen = all.to_vec();
    let needed = |chosen: &[Column]| {
        gaps(chosen) + chosen.iter().map(|column| column.least(width, wants, raw)).sum::<u16>()
    };
    for going in Column::GOING {
        if needed(&chosen) > width || width < BARE_BELOW {
            chosen.retain(|column| *column != going);
        }
    }
    let mut widths = widths(&chosen, width, wants, raw);
    // All ports or none: a column of both is hard to read.
    if let Some(peer) = chosen.iter().position(|column| *column == Column::Peer)
        && widths[peer] < wants.peer.cells
    {
        chosen[peer] = Column::Address;
        widths = self::widths(&chosen, width, wants, raw);
    }
    line_up(&chosen, &widths, width)
}

/// The cells of each of these columns in a line of `width`.
fn widths(chosen: &[Column], width: u16, wants: Wants, raw: bool) -> Vec<u16> {
    let mut widths: Vec<u16> = chosen.iter().map(|column| column.least(width, wants, raw)).collect();
    let needed = gaps(chosen) + widths.iter().sum::<u16>();
    if let Some(nick) = chosen.iter().position(|column| *column == Column::Nick) {
        // Long ids take what they need from the names, never from a number.
        let missing = needed.saturating_sub(width);
        widths[nick] = widths[nick].saturating_sub(missing).max(NICK_MIN.min(widths[nick]));
    }
    spread(chosen, &mut widths, width.saturating_sub(needed), wants);
    widths
}

/// One free cell between neighbours.
fn gaps(chosen: &[Column]) -> u16 {
    u16::try_from(chosen.len().saturating_sub(1)).unwrap_or(u16::MAX)
}

/// Gives the spare cells to those who want more, in this order.
fn spread(chosen: &[Column], widths: &mut [u16], mut spare: u16, wants: Wants) {
    for (column, want) in [
        (Column::Nick, wants.nick.cells.min(12)),
        (Column::Peer, wants.peer.cells),
        (Column::Address, wants.address.cells),
        (Column::Load, 10),
        (Column::Nick, wants.nick.cells),
        (Column::Flags, u16::MAX),
    ] {
        let Some(at) = chosen.iter().position(|chosen| *chosen == column) else { continue };
        let more = want.saturating_sub(widths[at]).min(spare);
        widths[at] += more;
        spare -= more;
    }
}

/// Puts the columns one beside the other; what sticks out of a very narrow screen is cut off.
fn line_up(chosen: &[Column], widths: &[u16], width: u16) -> Vec<Placed> {
    let mut x = 0;
    let mut placed = Vec::with_capacity(chosen.len());
    for (column, cells) in chosen.iter().zip(widths) {
        if x >= width {
            break;
        }
        placed.push(Placed { column: *column, x, width: (*cells).min(width - x) });
        x += cells + 1;
    }
    placed
}

fn digits(number: u64) -> u16 {
    let digits = number.checked_ilog10().unwrap_or(0) + 1;
    u16::try_from(digits).unwrap_or(u16::MAX)
}

fn cells(text: &str) -> u16 {
    u16::try_from(text.len()).unwrap_or(u16::MAX)
}

/// The cells of a peer's address, and of the address with its port.
fn peer_cells(peer: Peer) -> (u16, u16) {
    let Peer::Tcp(address) = peer else { return (4, 4) };
    let bare = match address.ip() {
        std::net::IpAddr::V4(ip) => {
            3 + ip.octets().iter().map(|octet| digits(u64::from(*octet))).sum::<u16>()
        }
        std::net::IpAddr::V6(ip) => cells(&ip.to_string()) + 2,
    };
    (bare, bare + 1 + digits(u64::from(address.port())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn titles(width: u16, wants: Wants) -> Vec<&'static str> {
        place(width, wants, false).iter().map(|placed| placed.column.title()).collect()
    }

    #[test]
    fn columns_go_in_a_fixed_order() {
        let wants = Wants::default();
        assert_eq!(titles(40, wants), ["ID", "NICK", "STATE", "OUTBOX"]);
        assert_eq!(titles(48, wants), ["ID", "NICK", "STATE", "OUTBOX", "SEND-Q", "FLAGS"]);
        assert_eq!(titles(60, wants), ["ID", "NICK", "STATE", "OUTBOX", "SEND-Q", "LOAD", "FLAGS"]);
        assert_eq!(
            titles(80, wants),
            ["ID", "NICK", "PEER", "STATE", "OUTBOX", "SEND-Q", "LOAD", "RX/ACK", "IDLE", "FLAGS"]
        );
        let mut before = titles(20, wants).len();
        for width in 20..COMPACT_BELOW {
            let count = titles(width, wants).len();
            assert!(count >= before, "{width} shows less than a narrower screen");
            before = count;
        }
    }

    #[test]
    fn a_column_grows_at_once_and_shrinks_late() {
        let mut want = Want::of(8);
        let at = |seconds| Moment::START + Duration::from_secs(seconds);
        want.take(24, at(20));
        assert_eq!(want.cells, 24);
        want.take(9, at(29));
        assert_eq!(want.cells, 24);
        want.take(9, at(30));
        assert_eq!(want.cells, 9);
    }

    #[test]
    fn one_long_name_takes_nothing_from_the_others() {
        for width in 48..160 {
            let short = place(width, Wants::of(2, 12, 15, 9), false);
            let long = place(width, Wants::of(2, 24, 15, 9), false);
            assert_eq!(short.len(), long.len(), "{width}");
            for (short, long) in short.iter().zip(&long) {
                let spare = matches!(short.column, Column::Nick | Column::Flags);
                assert!(spare || short.width == long.width, "{:?} at {width}", short.column);
                assert!(long.column != Column::Flags || long.width >= 7, "flags at {width}");
            }
        }
    }

    proptest! {
        #[test]
        fn columns_fit_and_never_touch(
            width in 1u16..250, id in 2u16..20, nick in 8u16..=24, address in 9u16..=39, raw: bool
        ) {
            let wants = Wants::of(id, nick, address + 6, address);
            let placed = place(width, wants, raw);
            for (at, this) in placed.iter().enumerate() {
                prop_assert!(this.x + this.width <= width);
                if let Some(next) = placed.get(at + 1) {
                    prop_assert!(this.x + this.width < next.x);
                }
                let whole = this.width >= this.column.least(width, wants, raw) || this.column == Column::Nick;
                prop_assert!(whole || width < 60, "{:?} is cut at {width}", this.column);
            }
        }
    }
}
