//! Text files that a configuration consists of: read within a time, and as UTF-8.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long a file is waited for: a pipe without a writer, a file server that is gone.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// The device number of `/dev/null` (null(4)), which gives the same at every reading.
const DEV_NULL: (u32, u32) = (1, 3);

/// Whether a file has been read before by this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// For the first time.
    #[default]
    First,
    /// Again: what cannot be read twice, or is gone since, is refused.
    Again {
        /// The configuration file that was read before, if one was.
        file: Option<PathBuf>,
    },
}

/// Why a file is no text.
#[derive(Debug)]
pub(super) enum FileError {
    /// The system says so.
    System(io::Error),
    /// It has more bytes than there may be.
    TooLarge,
    /// It is no text, or none that can be read again; at a place, counted from 1, if one is to blame.
    Content { at: Option<(usize, usize)>, what: String, remedy: &'static str },
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// The text of a file of at most `max` bytes, without a byte order mark.
pub(super) fn read(path: &Path, max: usize, reading: &Reading) -> Result<String, FileError> {
    if *reading != Reading::First {
        check_rereadable(path)?;
    }
    let bytes = read_within(path, max)?;
    if bytes.len() > max {
        return Err(FileError::TooLarge);
    }
    text_of(bytes)
}

/// A pipe or a terminal was emptied by the first reading.
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

/// Reads on a thread of its own, for opening and reading may wait for ever.
fn read_within(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let (done, read) = channel();
    let path = path.to_owned();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    thread::Builder::new().name("file".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        let result =
            File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map(|_| bytes);
        // Nobody waits for it any more when it took too long.
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

    #[test]
    fn what_is_no_utf8_is_named_with_its_place() {
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
                Err(FileError::Content { at: found, what: told, .. }) => {
                    assert_eq!(found, at, "{told}");
                    assert!(told.contains(what), "{told}");
                }
                other => panic!("{bytes:?}: {other:?}"),
            }
        }
        assert_eq!(text_of("\u{feff}é".as_bytes().to_vec()).unwrap(), "é");
        assert_eq!(text_of(Vec::new()).unwrap(), "");
    }
}
