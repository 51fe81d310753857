//! Finds and reads the configuration (built-in ← file ← `-l` ← `-o`), shows it, and compares it with the running one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::draft::{Draft, Finished, check_framing};
use super::keys::{KEYS, LISTEN, LISTEN_KEYS, MOTD_MAX, RawListen, motd};
use super::settings::{Config, Listen};
use super::{ConfigError, Origin, Problem, printable};

/// The largest configuration file, in bytes: more than twenty times the size of `config.toml`. The limit bounds the
/// work for finding the line of each mistake.
const FILE_MAX: usize = 128 * 1024;

/// Where a command line says that the configuration comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `-c FILE`: this file, which must exist.
    pub file: Option<PathBuf>,
    /// The files to try without `-c`; the first that exists is read.
    pub search: Vec<PathBuf>,
    /// `-l ADDR`: these replace the file's listeners.
    pub listen: Vec<String>,
    /// `-o KEY=VALUE`
    pub options: Vec<String>,
    /// Whether the configuration is read for the first time.
    pub reading: Reading,
}

/// A valid configuration, and where each value was set.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, without the text of `server.motd_file`.
    pub config: Config,
    /// The file that was read, if any.
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

/// The files to try, in this order: the user's, then the machine's.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    let user = match directories::ProjectDirs::from("", "", "chatops") {
        Some(directories) => Some(directories.config_dir().to_owned()),
        // The crate needs a home directory; the variable is valid without one (XDG Base Directory Specification).
        None => std::env::var_os("XDG_CONFIG_HOME").map(|config| PathBuf::from(config).join("chatops")),
    };
    let user = user.map(|directory| directory.join("config.toml"));
    // With a relative HOME, the file would depend on the working directory.
    let user = user.filter(|file| file.is_absolute());
    user.into_iter().chain([PathBuf::from("/etc/chatops/config.toml")]).collect()
}

/// Reads the file and the options; also looks up host names and reads `server.motd_file`.
///
/// # Errors
///
/// If a file cannot be read, or if a value in the file, in `-l` or in `-o` is not valid.
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
        Some(path) => Some(read_motd(path, &sources.reading).map_err(|message| {
            let key = "server.motd_file";
            Problem { origin: origins.get(key).cloned(), key: key.to_owned(), message }
        })?),
    };
    Ok(Loaded { config, file: file.map(|(path, _)| path), origins, listen_origins, motd })
}

/// The file to use, with its text.
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
        match read_text(path, FILE_MAX, &sources.reading) {
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

/// Whether the file does not exist, as opposed to a file that cannot be read.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The symbolic link whose target is missing: `path` or one of its directories.
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

/// The text of `server.motd_file`.
///
/// # Errors
///
/// Says why the file cannot be shown.
fn read_motd(path: &Path, reading: &Reading) -> Result<String, String> {
    let shown = path.display();
    let text = read_text(path, MOTD_MAX, reading).map_err(|error| match error {
        FileError::System(error) => format!("cannot read {shown}: {error}"),
        FileError::TooLarge => format!("{shown} has more than {MOTD_MAX} bytes: shorten it"),
        FileError::Content { at: None, what, remedy } => format!("{shown} {what}: {remedy}"),
        FileError::Content { at: Some((line, column)), what, remedy } => {
            format!("{shown}:{line}:{column} {what}: {remedy}")
        }
    })?;
    motd(text).map_err(|why| format!("{shown} {why}"))
}

/// The column of the comments of `config show`, unless the value is longer.
const COMMENT_COLUMN: usize = 40;

impl Loaded {
    /// The configuration as TOML that reads back to the same. Keys have the order of `config.toml`; a key that was set
    /// has a comment with the place.
    #[must_use]
    pub fn show(&self) -> String {
        let mut shown = match &self.file {
            Some(path) => format!("# {} over the built-in defaults.\n", printable(&path.to_string_lossy())),
            None => "# No file; the built-in defaults.\n".to_owned(),
        };
        self.show_listeners(&mut shown);
        let mut section = "";
        for key in KEYS {
            let (of, name) = key.path.split_once('.').unwrap_or(("", key.path));
            if of != section {
                let _ = write!(shown, "\n[{of}]\n");
                section = of;
            }
            let origin = self.origins.get(key.path).map(ToString::to_string);
            line(&mut shown, name, &(key.write)(&self.config), origin.as_deref());
        }
        shown
    }

    fn show_listeners(&self, shown: &mut String) {
        for (listen, origin) in self.config.listen.0.iter().zip(&self.listen_origins) {
            let _ = write!(shown, "\n[[{LISTEN}]]\n");
            let raw = RawListen::from(listen.clone());
            for (index, key) in LISTEN_KEYS.iter().enumerate() {
                let origin = origin.as_ref().filter(|_| index == 0).map(ToString::to_string);
                line(shown, key.path, &(key.write)(&raw), origin.as_deref());
            }
        }
    }
}

fn line(shown: &mut String, name: &str, value: &str, origin: Option<&str>) {
    let pair = format!("{name} = {value}");
    let _ = match origin {
        Some(origin) => writeln!(shown, "{pair:COMMENT_COLUMN$} # {origin}"),
        None => writeln!(shown, "{pair}"),
    };
}

/// Keys that are read when the server starts, and not later.
const NEED_RESTART: [&str; 5] = [LISTEN, "server.on_hangup", "control.path", "log.level", "dashboard."];

/// The keys that a reload changes, in the order of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys that are in force from now on.
    pub applied: Vec<&'static str>,
    /// Keys that are in force after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// The configuration after a reload of `new` by a server that runs with `running`, and what it changes.
///
/// # Errors
///
/// If the new limits do not fit the listeners, which stay as they are until a restart.
pub fn reload(running: &Config, new: Config) -> Result<(Config, Changes), String> {
    for listen in &running.listen.0 {
        check_framing(listen.framing, &new.limits).map_err(|why| {
            let Listen { address, .. } = listen;
            format!("listen.framing: {why}; {address} is in force until a restart")
        })?;
    }
    let mut changes = Changes::default();
    if running.listen != new.listen {
        changes.needs_restart.push(LISTEN);
    }
    for key in KEYS.iter().filter(|key| (key.write)(running) != (key.write)(&new)) {
        let needs_restart = NEED_RESTART.iter().any(|path| key.path.starts_with(path));
        let list = if needs_restart { &mut changes.needs_restart } else { &mut changes.applied };
        list.push(key.path);
    }
    let kept = running.clone();
    let mut config = Config { listen: kept.listen, control: kept.control, log: kept.log, ..new };
    config.server.on_hangup = kept.server.on_hangup;
    config.dashboard = kept.dashboard;
    Ok((config, changes))
}

/// The longest wait for a file, which may be a pipe without a writer or on a file server that does not answer.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// The device number of `/dev/null` (null(4)), which reads as empty every time.
const DEV_NULL: (u32, u32) = (1, 3);

/// Whether this process has read the configuration before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// The first reading.
    #[default]
    First,
    /// A reload: a file that cannot be read twice, or no longer exists, is refused.
    Again {
        /// The configuration file that was read before, if any.
        file: Option<PathBuf>,
    },
}

/// Why the text of a file cannot be used.
#[derive(Debug)]
enum FileError {
    System(io::Error),
    TooLarge,
    /// The file is not UTF-8, or cannot be read again. `at` is the line and column of a wrong byte.
    Content {
        at: Option<(usize, usize)>,
        what: String,
        remedy: &'static str,
    },
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// The text of a file of at most `max` bytes, without a byte order mark.
fn read_text(path: &Path, max: usize, reading: &Reading) -> Result<String, FileError> {
    if *reading != Reading::First {
        check_rereadable(path)?;
    }
    let bytes = read_within(path, max)?;
    if bytes.len() > max {
        return Err(FileError::TooLarge);
    }
    text_of(bytes)
}

/// Refuses a file that the first reading has emptied, such as a pipe or a terminal.
fn check_rereadable(path: &Path) -> Result<(), FileError> {
    let found = fs::metadata(path)?;
    let device = found.rdev();
    let is_null = found.file_type().is_char_device()
        && (rustix::fs::major(device), rustix::fs::minor(device)) == DEV_NULL;
    if found.is_file() || found.is_dir() || is_null {
        return Ok(());
    }
    let kind = if found.file_type().is_fifo() { "a pipe" } else { "no regular file" };
    let what = format!("is {kind}, which cannot be read twice, and waiting for it takes too long");
    Err(FileError::Content { at: None, what, remedy: "name a regular file, and restart" })
}

/// Reads on a thread of its own, because opening and reading may block for ever.
fn read_within(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let (done, read) = channel();
    let path = path.to_owned();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    thread::Builder::new().name("file".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        let result =
            File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map(|_| bytes);
        // After a timeout the receiver is gone.
        let _ = done.send(result);
    })?;
    match read.recv_timeout(READ_WITHIN) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            let seconds = READ_WITHIN.as_secs();
            let why = format!("its end has not come within {seconds} s; is it a pipe without a writer?");
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        }
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the reading failed")),
    }
}

fn text_of(bytes: Vec<u8>) -> Result<String, FileError> {
    const SAVE: &str = "save it as UTF-8";
    let wide = match bytes.as_slice() {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        // Without a mark: every other byte of ASCII is 0.
        [0, first, 0, second, ..] | [first, 0, second, 0, ..] if *first != 0 && *second != 0 => {
            Some("UTF-16")
        }
        _ => None,
    };
    if let Some(encoding) = wide {
        return Err(FileError::Content { at: None, what: format!("is {encoding}"), remedy: SAVE });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let byte = error.as_bytes()[valid];
        let what = format!("is not UTF-8, but perhaps Latin-1 or Windows-1252: byte 0x{byte:02X}");
        let at = position(before.trim_start_matches('\u{feff}'), usize::MAX);
        FileError::Content { at: Some(at), what, remedy: SAVE }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Line and column of a byte, both counted from 1, columns in characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = String::from_utf8_lossy(&text.as_bytes()[..offset.min(text.len())]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{ByteSize, ControlPath, Framing, LogLevel, OnHangup};
    use std::time::Duration;

    #[test]
    fn a_reload_keeps_the_values_that_need_a_restart() {
        let running = Config::default();
        let mut new = Config::default();
        new.server.motd = "hello".to_owned();
        new.server.on_hangup = OnHangup::Drain;
        new.limits.clients = 7;
        new.flood.enabled = false;
        new.keepalive.idle = Duration::from_secs(9);
        new.listen.0[0].framing = Framing::Nul;
        new.control.path = ControlPath::Off;
        new.log.level = LogLevel::Debug;
        new.dashboard.ascii = true;
        let (config, changes) = reload(&running, new.clone()).unwrap();
        assert_eq!(changes.applied, ["server.motd", "limits.clients", "flood.enabled", "keepalive.idle"]);
        assert_eq!(
            changes.needs_restart,
            ["listen", "server.on_hangup", "control.path", "log.level", "dashboard.ascii"]
        );
        assert_eq!(config.limits, new.limits);
        assert_eq!((&config.listen, &config.control), (&running.listen, &running.control));
        assert_eq!((&config.log, config.dashboard.ascii), (&running.log, false));
        assert_eq!(config.server.on_hangup, OnHangup::Detach);
        assert_eq!(reload(&config, config.clone()), Ok((config, Changes::default())));
    }

    #[test]
    fn new_limits_must_fit_the_listeners_in_force() {
        let mut running = Config::default();
        running.listen.0[0].framing = Framing::Fixed(std::num::NonZeroU32::new(65_536).unwrap());
        let mut new = Config::default();
        assert!(reload(&running, new.clone()).is_ok());
        new.limits.outbox_bytes = ByteSize::kib(64);
        let why = reload(&running, new).unwrap_err();
        assert!(
            why.contains("limits.outbox_bytes is 65536") && why.contains("127.0.0.1:6677 is in force"),
            "{why}"
        );
    }

    #[test]
    fn every_key_that_needs_a_restart_exists() {
        for path in NEED_RESTART {
            assert!(path == LISTEN || KEYS.iter().any(|key| key.path.starts_with(path)), "{path}");
        }
    }

    #[test]
    fn a_file_that_is_not_utf8_is_refused_with_encoding_and_place() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let utf32 = |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
        for (bytes, at, what) in [
            (utf16("\u{feff}a = 1"), None, "is UTF-16"),
            (utf16("a = 1"), None, "is UTF-16"),
            (utf16("a = 1").chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect(), None, "is UTF-16"),
            (utf32("\u{feff}a = 1"), None, "is UTF-32"),
            (
                b"a = 1\nname = 'gr\xfcn'".to_vec(),
                Some((2, 11)),
                "perhaps Latin-1 or Windows-1252: byte 0xFC",
            ),
            (b"\xef\xbb\xbfname = '\xe9'".to_vec(), Some((1, 9)), "byte 0xE9"),
        ] {
            match text_of(bytes.clone()) {
                Err(FileError::Content { at: found, what: found_what, .. }) => {
                    assert_eq!(found, at, "{found_what}");
                    assert!(found_what.contains(what), "{found_what}");
                }
                other => panic!("{bytes:?}: {other:?}"),
            }
        }
        assert_eq!(text_of("\u{feff}é".as_bytes().to_vec()).unwrap(), "é");
        assert_eq!(text_of(Vec::new()).unwrap(), "");
    }
}
