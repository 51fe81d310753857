//! Signals as bytes in a pipe that the loop waits for.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// The signals of one kind that have come in: one byte each.
#[derive(Debug)]
pub(super) struct Signals(UnixStream);

impl Signals {
    /// SIGTERM and SIGINT: to stop, and the second time to stop at once.
    pub(super) fn to_stop() -> io::Result<Self> {
        Self::of(&[SIGTERM, SIGINT])
    }

    /// SIGHUP.
    pub(super) fn to_reload() -> io::Result<Self> {
        Self::of(&[SIGHUP])
    }

    fn of(signals: &[i32]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        for signal in signals {
            pipe::register(*signal, writer.try_clone()?)?;
        }
        Ok(Self(reader))
    }

    /// How many have come since the last call.
    pub(super) fn take(&self) -> usize {
        (&self.0).read(&mut [0; 64]).unwrap_or(0)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
