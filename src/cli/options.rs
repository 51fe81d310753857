//! The options of the configuration: `-c`, `-l`, `-o`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::config::{Reading, Sources, search_path};

const LISTEN_HELP: &str =
    "Listen on HOST:PORT, [IPV6]:PORT or unix:/PATH, not where the file says; repeatable";
const SET_HELP: &str = "Set any key, such as -o limits.clients=500 or -o 'limits.stall=90s'; repeatable";

/// Where configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Options {
    /// Read this file instead of the user's or the machine's
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Listen here instead of where the file says; can be given again
    #[arg(short, long, value_name = "ADDR", help = LISTEN_HELP)]
    listen: Vec<String>,

    /// Set any key of the configuration; can be given again
    #[arg(short = 'o', long = "option", value_name = "KEY=VALUE", help = SET_HELP)]
    set: Vec<String>,
}

impl Options {
    /// These options, followed by those given after the command.
    pub(super) fn then(mut self, after: Self) -> Self {
        self.config = after.config.or(self.config);
        self.listen.extend(after.listen);
        self.set.extend(after.set);
        self
    }

    /// Whether no option was given.
    pub(super) fn is_empty(&self) -> bool {
        self.config.is_none() && self.listen.is_empty() && self.set.is_empty()
    }

    /// The sources of the configuration: these options and the search path.
    pub(super) fn into_sources(self) -> Sources {
        let Self { config, listen, set } = self;
        Sources { file: config, search: search_path(), listen, options: set, reading: Reading::First }
    }
}
