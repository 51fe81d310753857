//! The message of the day from a file, read once at the start.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::keys::{MOTD_MAX, motd};

/// The text of `server.motd_file`.
///
/// # Errors
///
/// Says why the file cannot be shown.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let limit = MOTD_MAX as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {shown}: {error}"))?;
    if bytes.len() > MOTD_MAX {
        return Err(format!("{shown} has more than {MOTD_MAX} bytes: shorten it"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8: convert it"))?;
    motd(text).map_err(|why| format!("{shown} {why}"))
}
