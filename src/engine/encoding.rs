//! How a line becomes bytes: worded in a style, delimited by a framing.

use crate::chat::{Line, Style, format};
use crate::time::WallTime;
use crate::wire::framing::Framing;

/// The way in which one connection gets its lines. A line said to many is encoded once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) style: Style,
    pub(super) framing: Framing,
}

impl Encoding {
    /// The most bytes that `line` takes, but for the padding of `fixed` records.
    pub(super) fn bytes_max(self, line: &Line<'_>) -> usize {
        self.framing.bytes_max(self.style.bytes_max(line))
    }

    /// Appends `line`, said at `wall`, to `out`, and gives how many bytes of padding follow on the wire.
    pub(super) fn encode(self, line: &Line<'_>, wall: WallTime, out: &mut Vec<u8>) -> usize {
        self.framing.encode(out, |text| format::append(line, wall, self.style, text))
    }
}
