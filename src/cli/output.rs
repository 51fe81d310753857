//! What commands print, and what the environment says about it.

use std::io::{self, IsTerminal, Write};

use super::error::{Failure, StartError};
use crate::term::job;

/// Whether stdout is still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The reader has closed the pipe, as `head` does; that is no failure.
    Gone,
    There,
}

/// Prints all of `text`; a reader that has gone is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    offer(text).map(|_| ())
}

/// Prints all of `text`, and returns whether more of it would be read.
pub(super) fn offer(text: &str) -> Result<Reader, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::Output(error)),
    }
}

/// Checks that stdin and stdout are a terminal on which this process may draw. Without one, the error is `missing`; for
/// a terminal that cannot show a dashboard, `instead` is the remedy.
pub(super) fn check_terminal(missing: StartError, instead: &'static str) -> Result<(), StartError> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(missing);
    }
    // A terminal has one foreground process group; a process of another group is stopped when it uses it
    // (tcsetpgrp(3)).
    if !job::is_foreground(io::stdin()) {
        return Err(StartError::Background);
    }
    dumb_terminal().map_or(Ok(()), |term| Err(StartError::DumbTerminal(term, instead)))
}

/// Whether `NO_COLOR` is set to anything (no-color.org).
pub(super) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The value of `TERM`, if it names a terminal that cannot place its cursor. A process without `TERM` was not started
/// from a shell on a terminal; cron or a serial console without a login starts such processes.
fn dumb_terminal() -> Option<String> {
    match std::env::var("TERM") {
        Ok(term) if matches!(term.as_str(), "" | "dumb" | "unknown") => Some(format!("TERM={term}")),
        Err(std::env::VarError::NotPresent) => Some("TERM is not set".to_owned()),
        Ok(_) | Err(_) => None,
    }
}

/// Whether the locale uses UTF-8. The first of these variables that is set and not empty decides (setlocale(3)).
/// Without any, the locale is C, which uses ASCII.
pub(super) fn is_utf8() -> bool {
    is_utf8_locale(|name| std::env::var(name).ok())
}

fn is_utf8_locale(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let codeset =
        locale.as_deref().and_then(|locale| locale.split_once('.')).map_or("", |(_, codeset)| codeset);
    let codeset = codeset.split('@').next().unwrap_or("");
    ["UTF-8", "UTF8"].iter().any(|name| codeset.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_of_the_locale_that_is_set_decides() {
        let table: [(&[(&str, &str)], bool); 9] = [
            (&[], false),
            (&[("LANG", "C")], false),
            (&[("LANG", "de_CH.UTF-8")], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LANG", "de_CH")], false),
            (&[("LANG", "de_DE.ISO-8859-15@euro")], false),
            (&[("LC_ALL", "C"), ("LANG", "de_CH.UTF-8")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "en_US.UTF-8@x"), ("LANG", "C")], true),
            (&[("LC_CTYPE", "POSIX"), ("LANG", "C.UTF-8")], false),
        ];
        for (set, is_utf8) in table {
            let variable =
                |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(is_utf8_locale(variable), is_utf8, "{set:?}");
        }
    }
}
