//! Where configuration is looked for, and reading it: built-in ← file ← `-l` ← `-o`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::draft::{Draft, Finished};
use super::error::{ConfigError, Origin, Problem, printable};
use super::file::{self, FileError, Reading};
use super::motd;
use super::settings::Config;

/// The largest file that is read, in bytes: more than twenty times the one with every key. The place of each mistake is
/// counted from its start.
const FILE_MAX: usize = 128 * 1024;

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
    /// Whether these were read before.
    pub reading: Reading,
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
    let user = match directories::ProjectDirs::from("", "", "chatops") {
        Some(directories) => Some(directories.config_dir().to_owned()),
        // Without a home directory the crate knows none, but the environment may name one.
        None => std::env::var_os("XDG_CONFIG_HOME").map(|config| PathBuf::from(config).join("chatops")),
    };
    let user = user.map(|directory| directory.join("config.toml"));
    // A relative HOME is none: the same file would be another in each directory.
    let user = user.filter(|file| file.is_absolute());
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
        Some(path) => Some(motd::read(path, &sources.reading).map_err(|message| {
            let key = "server.motd_file";
            Problem { origin: origins.get(key).cloned(), key: key.to_owned(), message }
        })?),
    };
    Ok(Loaded { config, file: file.map(|(path, _)| path), origins, listen_origins, motd })
}

/// The file to take, with its text.
fn find(sources: &Sources) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let read_before = match &sources.reading {
        Reading::Again { file } => file.as_ref(),
        Reading::First => None,
    };
    let (paths, is_named) = match &sources.file {
        Some(file) => (std::slice::from_ref(file), true),
        None => (sources.search.as_slice(), false),
    };
    for path in paths {
        match file::read(path, FILE_MAX, &sources.reading) {
            Ok(text) => return Ok(Some((path.clone(), text))),
            Err(FileError::System(error)) if !is_named && is_absent(&error) => {
                if let Some(link) = dangling_link(path) {
                    let message = "is a symbolic link that leads to nothing: correct or remove it";
                    return Err(problem(&link, None, message.to_owned()));
                }
                if read_before == Some(path) {
                    let message = "was read before and is gone: put it back, or restart without it";
                    return Err(problem(path, None, message.to_owned()));
                }
            }
            Err(FileError::System(error)) => {
                let message = format!("cannot be read ({error}): correct it, or name another file with -c");
                return Err(problem(path, None, message));
            }
            Err(FileError::TooLarge) => {
                let message = format!("cannot be read (larger than {FILE_MAX} bytes): shorten it");
                return Err(problem(path, None, message));
            }
            Err(FileError::Content { at, what, remedy }) => {
                return Err(problem(path, at, format!("cannot be read (it {what}): {remedy}")));
            }
        }
    }
    Ok(None)
}

/// Whether nothing is there, as opposed to something that cannot be read.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The symbolic link on the way to `path`, itself included, whose target is missing.
#[must_use]
pub fn dangling_link(path: &Path) -> Option<PathBuf> {
    let is_dangling = |part: &&Path| {
        fs::symlink_metadata(part).is_ok_and(|found| found.is_symlink())
            && fs::metadata(part).is_err_and(|error| is_absent(&error))
    };
    path.ancestors().find(is_dangling).map(Path::to_owned)
}

fn problem(path: &Path, at: Option<(usize, usize)>, message: String) -> ConfigError {
    let (origin, key) = match at {
        Some((line, column)) => (Some(Origin::File { path: path.to_owned(), line, column }), String::new()),
        None => (None, printable(&path.to_string_lossy())),
    };
    Problem { origin, key, message }.into()
}
