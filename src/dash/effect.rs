//! What the dashboard's state wants done by the loop that owns the terminal and the link.

use crate::link::Request;

/// One thing to do, in the order queued.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a text to the terminal's clipboard (OSC 52).
    Copy {
        /// What it is, for the operator.
        what: String,
        /// All of it.
        text: String,
    },
    /// End the dashboard.
    Quit(QuitChoice),
    /// Clear the terminal and draw every cell anew.
    Redraw,
    /// Ask the server; what comes back goes to [`super::App::handle_response`], a refusal of the link to
    /// [`super::App::request_refused`].
    Request(Request),
    /// Stop this process and all it runs with, as Ctrl-Z does.
    Suspend,
    /// Write a file into the working directory, never over one that exists; how it went goes to
    /// [`super::App::tell`].
    SaveFile {
        /// Its name, without a directory.
        name: String,
        /// All of it.
        contents: String,
    },
}

/// How the dashboard ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuitChoice {
    /// The server ends too: notice, flush, close.
    Drain,
    /// The server goes on without a dashboard.
    Leave,
}
