//! `chatops config default|check|show|path`.

use std::fmt::Write as _;
use std::path::Path;

use clap::Subcommand;

use super::error::{Failure, StartError};
use super::options::Options;
use super::output::print;
use super::start::check_keys;
use crate::config::{DEFAULT_TOML, Sources, dangling_link, load};

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether the configuration is legal; every mistake is named
    Check(Options),
    /// Print the annotated default file: every key, its default, its unit
    Default,
    /// Print where files are looked for, and which one is taken
    Path(Options),
    /// Print what is in force, and where it was set
    Show(Options),
}

/// `before` are the options given before the command.
pub(super) fn run(command: ConfigCommand, before: Options) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(options) => check(&before.then(options).into_sources()),
        ConfigCommand::Default => print(DEFAULT_TOML),
        ConfigCommand::Path(options) => print(&places(&before.then(options).into_sources())),
        ConfigCommand::Show(options) => print(&load(&before.then(options).into_sources())?.show()),
    }
}

fn check(sources: &Sources) -> Result<(), Failure> {
    match load(sources) {
        Ok(loaded) => {
            check_keys(&loaded.config)?;
            print(&match loaded.file {
                Some(file) => format!("ok: {}\n", file.display()),
                None => "ok: no file, the built-in defaults\n".to_owned(),
            })
        }
        Err(error) => Err(StartError::Check(error).into()),
    }
}

/// The files in the order in which they are tried: `FILE (taken)`.
fn places(sources: &Sources) -> String {
    let mut text = String::new();
    let mut is_taken = false;
    let files = match &sources.file {
        Some(file) => std::slice::from_ref(file),
        None => &sources.search,
    };
    for file in files {
        let state = state(file, &mut is_taken);
        let _ = writeln!(text, "{} ({state})", file.display());
    }
    if !is_taken && sources.file.is_none() {
        text.push_str("none is there: the built-in defaults are in force\n");
    }
    text
}

fn state(file: &Path, is_taken: &mut bool) -> &'static str {
    match file.try_exists() {
        Ok(false) if dangling_link(file).is_some() => {
            *is_taken = true;
            "a symbolic link that leads to nothing"
        }
        Ok(false) => "not there",
        Ok(_) | Err(_) if *is_taken && file.symlink_metadata().is_ok() => {
            "there, but an earlier one is taken"
        }
        Ok(true) => {
            *is_taken = true;
            "taken"
        }
        Err(_) => {
            *is_taken = true;
            "cannot be read"
        }
    }
}
