//! Why a command ends without success, and the exit code that says so.

use std::io;
use std::path::PathBuf;

use crate::bench::BenchError;
use crate::config::ConfigError;

/// Why nothing was started: wrong usage, bad configuration, an address that cannot be had. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No load could be put on a server.
    #[error(transparent)]
    Bench(BenchError),
    /// A listener could not be bound; worded where it was tried, with address and remedy.
    #[error("{0}")]
    Bind(String),
    /// The configuration is not legal, and it was asked what is wrong: every mistake, one a line.
    #[error("{}", lines(.0))]
    Check(ConfigError),
    /// The configuration is not legal.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A background job has no terminal to draw on.
    #[error("a background job has no terminal to draw on: run `chatops serve &`, or this in the foreground")]
    Background,
    /// The process may have too few files open.
    #[error("{0}")]
    FewFiles(String),
    /// A binding of `dashboard.keys` names no action, or no key.
    #[error("{0}")]
    Keys(String),
    /// No server of this user's answers on a control socket; these directories were looked into.
    #[error("no chatops runs here: {}; start one, or name its socket with --control PATH", looked(.0))]
    NoServer(Vec<PathBuf>),
    /// The dashboard would be drawn on a terminal that cannot place its cursor.
    #[error(
        "this terminal cannot show the dashboard ({0}): set TERM to its type, such as xterm-256color, or {1}"
    )]
    DumbTerminal(String, &'static str),
    /// The dashboard has nothing to draw on.
    #[error("no terminal here: run `chatops serve`")]
    NoTerminal,
    /// The dashboard of a server elsewhere has nothing to draw on.
    #[error("no terminal here: `chatops ctl` asks a server without one")]
    NoTerminalToAttach,
    /// A server answers, but not to this program.
    #[error("cannot attach to {}: {why}", path.display())]
    NotAttached {
        /// Its control socket.
        path: PathBuf,
        /// In its words.
        why: String,
    },
    /// More than one server answers, on these control sockets.
    #[error("{} servers run here; choose one with --control PATH:{}", .0.len(), listed(.0))]
    SeveralServers(Vec<PathBuf>),
    /// The control socket that was named, or configured, cannot be reached.
    #[error("no server answers on {}: {error}; without --control the running ones are found", path.display())]
    Unreachable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The words of a command make no sense; says what was expected.
    #[error("{0}")]
    Usage(String),
}

/// Why a command ends without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was to be printed could not be.
    #[error("cannot write to stdout: {0}")]
    Output(io::Error),
    /// It failed while running.
    #[error("{0}")]
    Running(String),
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Failure {
    /// 1: failed while running; 2: wrong usage, bad configuration, cannot bind.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_) | Self::Running(_) => 1,
            Self::Start(_) => 2,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Start(error.into())
    }
}

fn looked(directories: &[PathBuf]) -> String {
    let names: Vec<String> = directories.iter().map(|path| path.display().to_string()).collect();
    match names.as_slice() {
        [] => "there is neither a runtime nor a home directory".to_owned(),
        names => format!("no live control socket in {}", names.join(" or ")),
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    format!("\n  {}", names.join("\n  "))
}

fn lines(error: &ConfigError) -> String {
    let lines: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    lines.join("\n")
}
