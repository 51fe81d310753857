//! What commands print, and what the environment says about it.

use std::io::{self, Write};

use super::error::Failure;

/// Whether anybody reads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// It has seen enough, such as `head`; that is no failure.
    Gone,
    There,
}

/// Prints all of `text`, whether anybody reads on or not.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    offer(text).map(|_| ())
}

/// Prints all of `text`, for more to follow.
pub(super) fn offer(text: &str) -> Result<Reader, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::Output(error)),
    }
}

/// Whether `NO_COLOR` is set to anything (no-color.org).
pub(super) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
