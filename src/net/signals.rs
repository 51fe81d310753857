//! Signals to the server: one socket pair wakes the loop for all of them (signal(7)).

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP, SIGUSR1, SIGVTALRM,
};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// Signals that drain the server; the second one ends it at once.
const STOP: [i32; 2] = [SIGTERM, SIGINT];
/// Signals that end the process by default. They end it here too, after the terminal is restored and files are removed.
const END: [i32; 8] = [SIGQUIT, SIGABRT, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGSYS, SIGTRAP];

/// The handlers of all signals.
pub(super) struct Signals {
    delivery: SignalDelivery<Arc<UnixStream>, SignalOnly>,
    pipe: Arc<UnixStream>,
}

/// The end of the pipe that becomes readable.
#[derive(Debug)]
pub(super) struct SignalPipe(Arc<UnixStream>);

/// The signals since the last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The number of SIGTERM and SIGINT.
    pub(super) stops: usize,
    /// SIGHUP: read the configuration again; with a dashboard, its terminal is gone.
    pub(super) reload: bool,
    /// SIGUSR1: replace sockets whose file is gone.
    pub(super) renew: bool,
    /// A signal that ends the process.
    pub(super) end: Option<i32>,
}

impl Signals {
    /// Registers the handlers.
    pub(super) fn catch() -> io::Result<(Self, SignalPipe)> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let pipe = Arc::new(reader);
        let all = STOP.into_iter().chain(END).chain([SIGHUP, SIGUSR1]);
        let delivery = SignalDelivery::with_pipe(Arc::clone(&pipe), writer, SignalOnly, all)?;
        Ok((Self { delivery, pipe: Arc::clone(&pipe) }, SignalPipe(pipe)))
    }

    /// The signals since the last call.
    pub(super) fn take(&mut self) -> Taken {
        // Each signal writes one byte; two equal signals at once are reported as one.
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
