//! The operator's dashboard.
//!
//! [`App`] is the whole state and is pure: keys, the mouse, responses and time are its input, [`Effect`]s its output.
//! [`view`] draws it. [`run`](mod@run) is the loop around it, and [`crate::term`] the terminal. The dashboard knows the
//! server only through [`crate::link`] and the types that [`crate::engine`] publishes.
//!
//! The way of a key: [`keys`] maps it to an action; [`app`] runs the action, which opens a dialog with the ids of its
//! targets; `y` makes an operator's verb of it, which leaves as an effect.

pub mod app;
mod dialog;
mod export;
mod help;
pub mod keys;
mod layout;
mod line;
mod measure;
mod model;
mod pace;
pub mod run;
mod style;
mod table;
pub mod view;

pub use app::{Access, App, Effect, QuitChoice};
pub use keys::KeyBindingError;
pub use run::{Outcome, run};
