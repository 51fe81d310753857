//! The configuration: its keys, types and defaults, and how files and options make a valid [`Config`].
//!
//! [`settings`] is plain data that every layer may name. The rest reads files and options, and only the commands call
//! it: [`load`](load()) finds and reads the file, `draft` puts layer over layer and checks the rules between keys, and
//! `keys` has the type and range of each key.

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

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File {
        /// The path as given.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// `-l ADDR`
    Listen(String),
    /// The key of `-o KEY=VALUE`.
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

/// One mistake: `FILE:LINE:COLUMN: KEY: what is wrong and what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place; `None` for the file as a whole.
    pub origin: Option<Origin>,
    /// The key, or the file; empty where the place suffices.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin_names_key = match &self.origin {
            Some(Origin::Option(key)) => *key == self.key,
            Some(Origin::Listen(_)) => true,
            Some(Origin::File { .. }) | None => false,
        };
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !origin_names_key && !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// The mistakes of a configuration, in the order in which they were found; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The error for these problems; `None` without any.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        if problems.is_empty() { None } else { Some(Self { problems }) }
    }

    /// The mistakes; each is printed as one line.
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

/// `text` with control characters replaced, for one line of a terminal or a comment.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
