//! Why a command ends without success, and the exit code that says so.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;

/// Why nothing was started: wrong usage, bad configuration, an address that cannot be bound. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The load could not start.
    #[error("{0}")]
    Bench(String),
    /// A listener could not be bound; the text has the address and the remedy.
    #[error("{0}")]
    Bind(String),
    /// `config check` found mistakes: all of them, one a line.
    #[error("{}", lines(.0))]
    Check(ConfigError),
    /// The configuration is not legal.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A background job has no terminal to draw on.
    #[error("a background job has no terminal to draw on: run `chatops serve &`, or this in the foreground")]
    Background,
    /// The limit of open files is too low for a server.
    #[error("{0}")]
    FewFiles(String),
    /// A binding of `dashboard.keys` names no action, or no key.
    #[error("{0}")]
    Keys(String),
    /// No server of this user answers on a control socket in these directories.
    #[error("no chatops runs here: {}; start one, or name its socket with --control PATH", looked(.0))]
    NoServer(Vec<PathBuf>),
    /// The terminal cannot place its cursor; with the value of `TERM` and the remedy.
    #[error(
        "this terminal cannot show the dashboard ({0}): set TERM to its type, such as xterm-256color, or {1}"
    )]
    DumbTerminal(String, &'static str),
    /// The dashboard has no terminal.
    #[error("no terminal here: run `chatops serve`")]
    NoTerminal,
    /// `attach` has no terminal.
    #[error("no terminal here: `chatops ctl` asks a server without one")]
    NoTerminalToAttach,
    /// A server answers and refuses this program.
    #[error("cannot attach to {}: {why}", path.display())]
    NotAttached {
        /// Its control socket.
        path: PathBuf,
        /// The server's reason.
        why: String,
    },
    /// More than one server answers, on these control sockets.
    #[error("{} servers run here; choose one with --control PATH:{}", .0.len(), listed(.0))]
    SeveralServers(Vec<PathBuf>),
    /// The control socket of `--control` or of the configuration cannot be reached.
    #[error("no server answers on {}: {error}; without --control the running ones are found", path.display())]
    Unreachable {
        /// The control socket.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The arguments of a command are wrong; the text says what was expected.
    #[error("{0}")]
    Usage(String),
}

/// Why a command ends without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// stdout cannot be written.
    #[error("cannot write to stdout: {0}")]
    Output(io::Error),
    /// The command failed while running.
    #[error("{0}")]
    Running(String),
    /// The command did not start.
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
