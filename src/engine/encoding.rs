//! How a line becomes bytes: worded in a style, delimited by a framing.

use crate::chat::wording;
use crate::chat::{Line, Style};
use crate::time::WallTime;
use crate::wire::framing::Framing;

/// The way in which one connection gets its lines. A line said to many is encoded once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) style: Style,
    pub(super) framing: Framing,
}

impl Encoding {
    /// Appends `line`, said at `wall`, to `out`.
    pub(super) fn encode(self, line: &Line<'_>, wall: WallTime, out: &mut Vec<u8>) {
        self.framing.encode(out, |text| wording::word(line, wall, self.style, text));
    }
}
