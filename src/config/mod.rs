//! What can be set: the typed configuration, its defaults, where it is read from and how its parts are layered.
//!
//! [`settings`] is plain data that every layer may name; reading files and options is the rest of this module's,
//! and only the commands call it. The way of a value: [`load`](load()) finds the file, `draft` applies layer over
//! layer, `keys` knows each key's type and range, `rules` what holds between keys; what comes out is legal.

mod address;
mod draft;
mod error;
mod file;
mod keys;
mod load;
mod motd;
mod reload;
mod rules;
pub mod settings;
mod show;
mod value;

pub use error::{ConfigError, Origin, Problem};
pub use file::Reading;
pub use load::{Loaded, Sources, dangling_link, load, search_path};
pub use reload::{Changes, reload};
pub use settings::Config;

/// The annotated file with every key and its default: `config.toml` at the root of the source.
pub const DEFAULT_TOML: &str = include_str!("../../config.toml");
