//! Signals to the server: one pipe wakes the loop for all of them (signal(7)).

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP, SIGUSR1, SIGVTALRM,
};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// To stop, and the second time to stop at once.
const STOP: [i32; 2] = [SIGTERM, SIGINT];
/// These end the process by default. They do so here too, once the terminal is given back and files are removed.
const END: [i32; 8] = [SIGQUIT, SIGABRT, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGSYS, SIGTRAP];

/// The signals that have come in.
pub(super) struct Signals {
    delivery: SignalDelivery<Arc<UnixStream>, SignalOnly>,
    pipe: Arc<UnixStream>,
}

/// The end of the pipe that becomes readable.
#[derive(Debug)]
pub(super) struct SignalPipe(Arc<UnixStream>);

/// What has come since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many SIGTERM and SIGINT.
    pub(super) stops: usize,
    /// SIGHUP: the configuration is to be read again, or the dashboard's terminal has gone.
    pub(super) reload: bool,
    /// SIGUSR1: missing files of sockets are to be made again.
    pub(super) renew: bool,
    /// A signal of which the process dies.
    pub(super) end: Option<i32>,
}

impl Signals {
    /// Catches them from now on.
    pub(super) fn catch() -> io::Result<(Self, SignalPipe)> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let pipe = Arc::new(reader);
        let all = STOP.into_iter().chain(END).chain([SIGHUP, SIGUSR1]);
        let delivery = SignalDelivery::with_pipe(Arc::clone(&pipe), writer, SignalOnly, all)?;
        Ok((Self { delivery, pipe: Arc::clone(&pipe) }, SignalPipe(pipe)))
    }

    /// What has come since the last look.
    pub(super) fn take(&mut self) -> Taken {
        // One byte for each; of two at once that are alike the kind is known once.
        let bytes = (&*self.pipe).read(&mut [0; 64]).unwrap_or(0);
        let mut taken = Taken::default();
        let mut is_mixed = false;
        for signal in self.delivery.pending() {
            match signal {
                SIGHUP => taken.reload = true,
                SIGUSR1 => taken.renew = true,
                signal if STOP.contains(&signal) => taken.stops += 1,
                signal => taken.end = Some(signal),
            }
            is_mixed |= !STOP.contains(&signal);
        }
        if taken.stops > 0 && !is_mixed {
            taken.stops = taken.stops.max(bytes);
        }
        taken
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
