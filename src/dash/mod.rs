//! The operator's dashboard: what is on the screen, what a key does, and what is asked of the server.
//!
//! [`App`] is the whole state and is pure: keys, the mouse, responses and time come in; [`Effect`]s come out. [`view`]
//! turns it into cells. Nothing here reads a clock, a file or a socket; the terminal and the loop that feeds the
//! state live beside it. It knows the server only through [`crate::link`] and what [`crate::engine`] publishes.
//!
//! A key's way: [`keymap`] makes it an action, the table of actions names a handler of [`app`], which opens a dialog
//! that holds the ids it is about; its `y` makes an operator's verb, which leaves as an effect.

mod action;
pub mod app;
mod cells;
mod columns;
mod command_line;
mod dialog;
pub mod effect;
mod events;
mod export;
mod filter;
mod glyphs;
mod history;
pub mod input;
pub(crate) mod job;
mod key_codes;
pub mod keymap;
mod layout;
mod measure;
mod orders;
mod pace;
mod picture;
#[cfg(test)]
mod pty;
mod rates;
pub mod run;
mod signals;
mod table;
pub mod terminal;
mod text_input;
mod theme;
mod tty;
pub(crate) mod units;
pub mod view;
mod why;

pub use app::{Access, App};
pub use effect::{Effect, QuitChoice};
pub use keymap::KeyBindingError;
pub use run::{Outcome, run};
pub use terminal::Terminal;
pub use tty::restore_active;
