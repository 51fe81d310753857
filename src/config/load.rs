//! Where configuration is looked for, and reading it: built-in ← file ← `-l` ← `-o`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::draft::{Draft, Finished};
use super::error::{ConfigError, Origin, Problem, printable};
use super::motd;
use super::settings::Config;

/// The largest file that is read, in bytes: more than twenty times the one with every key. The place of each mistake is
/// counted from its start.
const FILE_MAX: u64 = 128 * 1024;

/// What a command line says about configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `-c FILE`: this file, which must be there.
    pub file: Option<PathBuf>,
    /// Where a file is looked for without `-c`; the first that is there is taken.
    pub search: Vec<PathBuf>,
    /// `-l ADDR`: these replace the file's listeners.
    pub listen: Vec<String>,
    /// `-o KEY=VALUE`
    pub options: Vec<String>,
}

/// A legal configuration, and where each part of it comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    pub(super) origins: BTreeMap<&'static str, Origin>,
    pub(super) listen_origins: Vec<Option<Origin>>,
    motd: Option<String>,
}

impl Loaded {
    /// The configuration to run with: the text of `server.motd_file` is in `server.motd`.
    #[must_use]
    pub fn into_config(self) -> Config {
        let mut config = self.config;
        if let Some(motd) = self.motd {
            config.server.motd = motd;
        }
        config
    }
}

/// The files in which configuration is looked for, in that order: the user's, then the machine's.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    let user = directories::ProjectDirs::from("", "", "chatops");
    let user = user.map(|directories| directories.config_dir().join("config.toml"));
    user.into_iter().chain([PathBuf::from("/etc/chatops/config.toml")]).collect()
}

/// Reads and layers everything; looks up host names and reads `server.motd_file` too.
///
/// # Errors
///
/// When a file cannot be read or anything in it, in `-l` or in `-o` is not legal.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut draft = Draft::new();
    let file = find(sources)?;
    if let Some((path, text)) = &file {
        draft.file(path, text);
    }
    draft.listen(&sources.listen);
    for option in &sources.options {
        draft.option(option);
    }
    let Finished { config, origins, listen_origins } = draft.finish()?;
    let motd = match &config.server.motd_file {
        None => None,
        Some(path) => Some(motd::read(path).map_err(|message| {
            let key = "server.motd_file";
            Problem { origin: origins.get(key).cloned(), key: key.to_owned(), message }
        })?),
    };
    Ok(Loaded { config, file: file.map(|(path, _)| path), origins, listen_origins, motd })
}

/// The file to take, with its text.
fn find(sources: &Sources) -> Result<Option<(PathBuf, String)>, ConfigError> {
    if let Some(path) = &sources.file {
        return match read(path) {
            Ok(text) => Ok(Some((path.clone(), text))),
            Err(error) => Err(unreadable(path, &error)),
        };
    }
    for path in &sources.search {
        match read(path) {
            Ok(text) => return Ok(Some((path.clone(), text))),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    Ok(None)
}

/// Whether nothing is there, as opposed to something that cannot be read.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("larger than {FILE_MAX} bytes")));
    }
    Ok(text)
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    let message = format!("cannot be read ({error}): correct it, or name another file with -c");
    Problem { origin: None, key: printable(&path.to_string_lossy()), message }.into()
}
