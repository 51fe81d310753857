//! The operator's dashboard: what is on the screen, what a key does, and what is asked of the server.
//!
//! [`App`] is the whole state and is pure: keys, the mouse, responses and time come in; [`Effect`]s come out. [`view`]
//! turns it into cells. Nothing here reads a clock, a file or a socket; the terminal and the loop that feeds the
//! state live beside it. It knows the server only through [`crate::link`] and what [`crate::engine`] publishes.

pub mod app;
pub mod effect;
pub mod input;
pub mod keymap;
mod pace;
#[cfg(test)]
mod pty;
pub mod run;
mod signals;
pub mod terminal;
mod tty;
pub mod view;

pub use app::App;
pub use effect::{Effect, QuitChoice};
pub use keymap::KeyBindingError;
pub use run::{Outcome, run};
pub use terminal::Terminal;
pub use tty::restore_active;
