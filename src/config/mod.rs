//! What can be set: the typed configuration, its defaults, where it is read from and how its parts are layered.
//!
//! [`settings`] is plain data that every layer may name; reading files and options is the rest of this module's,
//! and only the commands call it.

pub mod settings;

pub use settings::Config;
