//! How far the run is, on one line of the terminal; nothing where stderr is none.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::time::Moment;

/// Between two pictures.
const EVERY: Duration = Duration::from_millis(200);

/// The line; it is wiped when this is dropped.
pub(super) struct Progress {
    is_terminal: bool,
    shown: Option<Moment>,
}

impl Progress {
    /// Nothing shown yet.
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), shown: None }
    }

    /// Shows a line if there is a terminal and the last one stood long enough. What cannot be shown is left.
    pub(super) fn show(&mut self, now: Moment, line: impl FnOnce() -> String) {
        let is_due = self.shown.is_none_or(|shown| now.since(shown) >= EVERY);
        if self.is_terminal && is_due {
            self.shown = Some(now);
            let _ = write!(io::stderr(), "\r\x1b[K{}", line());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
