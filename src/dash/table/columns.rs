//! The columns of the table of clients: titles, meanings, and which of them fit into a width.

use std::time::Duration;

use crate::model::snapshot::{Peer, Row};
use crate::time::Moment;

/// Below this width PEER loses its port and RX and TX share a cell.
pub(crate) const COMPACT_BELOW: u16 = 100;
/// Below this width only the first columns of all remain.
const BARE_BELOW: u16 = 48;
/// The fewest cells of a nick that distinguish names.
const NICK_MIN: u16 = 4;
/// A column becomes narrower after this time in which no row needed its width.
const SHRINK_DELAY: Duration = Duration::from_secs(10);
/// Cells before the id: the sign of the selected row and the sign of a marked row.
const SIGNS: u16 = 2;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// The id of the connection.
    Id,
    /// The nick.
    Nick,
    /// Address and port of the peer.
    Peer,
    /// The address of the peer.
    Address,
    /// The state and its arrow.
    State,
    /// Bytes received by the kernel and not read.
    RecvQ,
    /// Unsent bytes in the server.
    Outbox,
    /// Bytes in the kernel that the peer has not acknowledged.
    SendQ,
    /// Outbox and Send-Q as a share of the outbox limit.
    Load,
    /// Bytes a second from the peer.
    Rx,
    /// Bytes a second to the peer.
    Tx,
    /// Both rates in one cell.
    RxTx,
    /// Time since input was last read.
    Idle,
    Flags,
}

impl Column {
    /// The columns by which rows can be sorted, in the order of the sort key.
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

    /// The order in which columns are dropped when the width is too small. Columns that are not listed stay. FLAGS is
    /// dropped last: it says which other figures matter.
    const DROP_ORDER: [Self; 10] = [
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

    /// Whether the cells are aligned to the right.
    pub(crate) const fn is_right(self) -> bool {
        !matches!(self, Self::Nick | Self::Peer | Self::Address | Self::State | Self::Load | Self::Flags)
    }

    /// Whether the first sort is descending, as for all amounts.
    pub(crate) const fn descends(self) -> bool {
        !matches!(self, Self::Id | Self::Nick | Self::Peer | Self::Address | Self::State)
    }

    /// The least width at which the cell is not misleading.
    fn min_width(self, width: u16, wants: ContentWidths, raw: bool) -> u16 {
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

/// The width of a column's contents. It grows at once and shrinks late, so that columns do not change their places
/// often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentWidth {
    cells: u16,
    /// When some row needed as much.
    needed_at: Moment,
}

impl ContentWidth {
    const fn of(cells: u16) -> Self {
        Self { cells, needed_at: Moment::START }
    }

    fn take(&mut self, cells: u16, now: Moment) {
        if cells >= self.cells || now.since(self.needed_at) >= SHRINK_DELAY {
            *self = Self { cells, needed_at: now };
        }
    }
}

/// The widths of the contents of the columns that adapt to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentWidths {
    id: ContentWidth,
    nick: ContentWidth,
    peer: ContentWidth,
    address: ContentWidth,
}

impl Default for ContentWidths {
    fn default() -> Self {
        Self::of(2, 8, 15, 9)
    }
}

impl ContentWidths {
    const fn of(id: u16, nick: u16, peer: u16, address: u16) -> Self {
        Self {
            id: ContentWidth::of(id),
            nick: ContentWidth::of(nick),
            peer: ContentWidth::of(peer),
            address: ContentWidth::of(address),
        }
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

/// The columns that fit into `width`, with one empty cell between neighbours.
pub(crate) fn place(width: u16, wants: ContentWidths, raw: bool) -> Vec<Placed> {
    let all: &[Column] = if width < COMPACT_BELOW { &Column::ALL_COMPACT } else { &Column::ALL_WIDE };
    let mut chosen = all.to_vec();
    let needed = |chosen: &[Column]| {
        gaps(chosen) + chosen.iter().map(|column| column.min_width(width, wants, raw)).sum::<u16>()
    };
    for going in Column::DROP_ORDER {
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
    positioned(&chosen, &widths, width)
}

/// The cells of each of these columns in a line of `width`.
fn widths(chosen: &[Column], width: u16, wants: ContentWidths, raw: bool) -> Vec<u16> {
    let mut widths: Vec<u16> = chosen.iter().map(|column| column.min_width(width, wants, raw)).collect();
    let needed = gaps(chosen) + widths.iter().sum::<u16>();
    if let Some(nick) = chosen.iter().position(|column| *column == Column::Nick) {
        // Long ids take cells from the nicks, never from a number.
        let missing = needed.saturating_sub(width);
        widths[nick] = widths[nick].saturating_sub(missing).max(NICK_MIN.min(widths[nick]));
    }
    spread(chosen, &mut widths, width.saturating_sub(needed), wants);
    widths
}

/// One empty cell between neighbours.
fn gaps(chosen: &[Column]) -> u16 {
    u16::try_from(chosen.len().saturating_sub(1)).unwrap_or(u16::MAX)
}

/// Distributes the spare cells to columns that need more, in this order.
fn spread(chosen: &[Column], widths: &mut [u16], mut spare: u16, wants: ContentWidths) {
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

/// Positions the columns from left to right; on a very narrow screen the last ones are cut.
fn positioned(chosen: &[Column], widths: &[u16], width: u16) -> Vec<Placed> {
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
    use proptest::prelude::*;

    use super::*;

    fn titles(width: u16, wants: ContentWidths) -> Vec<&'static str> {
        place(width, wants, false).iter().map(|placed| placed.column.title()).collect()
    }

    #[test]
    fn columns_go_in_a_fixed_order() {
        let wants = ContentWidths::default();
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
        let mut want = ContentWidth::of(8);
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
            let short = place(width, ContentWidths::of(2, 12, 15, 9), false);
            let long = place(width, ContentWidths::of(2, 24, 15, 9), false);
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
            let wants = ContentWidths::of(id, nick, address + 6, address);
            let placed = place(width, wants, raw);
            for (at, this) in placed.iter().enumerate() {
                prop_assert!(this.x + this.width <= width);
                if let Some(next) = placed.get(at + 1) {
                    prop_assert!(this.x + this.width < next.x);
                }
                let whole = this.width >= this.column.min_width(width, wants, raw) || this.column == Column::Nick;
                prop_assert!(whole || width < 60, "{:?} is cut at {width}", this.column);
            }
        }
    }
}
