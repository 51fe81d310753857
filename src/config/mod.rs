//! What can be set: the typed configuration, its defaults, where it is read from and how its parts are layered.
//!
//! [`settings`] is plain data that every layer may name; reading files and options is the rest of this module's,
//! and only the commands call it. The way of a value: [`load`](load()) finds the file, `draft` applies layer over
//! layer, `keys` knows each key's type and range, `rules` what holds between keys; what comes out is legal.

mod address;
mod draft;
mod keys;
mod load;
pub mod settings;
mod value;

use std::fmt;
use std::path::PathBuf;

pub use load::{Changes, Loaded, Reading, Sources, dangling_link, load, reload, search_path};
pub use settings::Config;

/// The annotated file with every key and its default: `config.toml` at the root of the source.
pub const DEFAULT_TOML: &str = include_str!("../../config.toml");

/// Where the value of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File {
        /// Its path as given.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// `-l ADDR`
    Listen(String),
    /// `-o KEY=VALUE`; the key alone.
    Option(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", printable(&path.to_string_lossy()))
            }
            Self::Listen(address) => write!(f, "-l {}", printable(address)),
            Self::Option(key) => write!(f, "-o {}", printable(key)),
        }
    }
}

/// One thing that is wrong: `FILE:LINE:COLUMN: KEY: what is wrong and what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, unless the file as a whole is meant.
    pub origin: Option<Origin>,
    /// The key, or the file; empty where the origin says it all.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says_it_all = match &self.origin {
            Some(Origin::Option(key)) => *key == self.key,
            Some(Origin::Listen(_)) => true,
            Some(Origin::File { .. }) | None => false,
        };
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !says_it_all && !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, in the order in which it was found; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The error of these problems, or `None` if there is none.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        if problems.is_empty() { None } else { Some(Self { problems }) }
    }

    /// What is wrong, one line each.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    /// The first problem, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problems[0])?;
        match self.problems.len() {
            1 => Ok(()),
            count => write!(f, " (and {} more: `chatops config check` names all)", count - 1),
        }
    }
}

impl std::error::Error for ConfigError {}

/// What goes into one line on a terminal, or into a comment: without control characters.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
