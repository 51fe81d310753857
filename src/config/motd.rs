//! The message of the day from a file.

use std::path::Path;

use super::file::{self, FileError, Reading};
use super::keys::{MOTD_MAX, motd};

/// The text of `server.motd_file`.
///
/// # Errors
///
/// Says why the file cannot be shown.
pub(super) fn read(path: &Path, reading: &Reading) -> Result<String, String> {
    let shown = path.display();
    let text = file::read(path, MOTD_MAX, reading).map_err(|error| match error {
        FileError::System(error) => format!("cannot read {shown}: {error}"),
        FileError::TooLarge => format!("{shown} has more than {MOTD_MAX} bytes: shorten it"),
        FileError::Content { at: None, what, remedy } => format!("{shown} {what}: {remedy}"),
        FileError::Content { at: Some((line, column)), what, remedy } => {
            format!("{shown}:{line}:{column} {what}: {remedy}")
        }
    })?;
    motd(text).map_err(|why| format!("{shown} {why}"))
}
