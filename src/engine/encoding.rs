//! How a line becomes bytes: worded in a style, delimited by a framing.

use crate::chat::{Line, Style, json, wording};
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
        let text = line.text().len();
        self.framing.bytes_max(if self.style.json {
            text * json::GROWTH_MAX + json::WORDS_MAX
        } else {
            text + Line::WORDS_MAX
        })
    }

    /// Appends `line`, said at `wall`, to `out`, and gives how many bytes of padding follow on the wire.
    pub(super) fn encode(self, line: &Line<'_>, wall: WallTime, out: &mut Vec<u8>) -> usize {
        self.framing.encode(out, |text| wording::word(line, wall, self.style, text))
    }
}
