//! Signals as a source for the poller (signal(7)).

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use signal_hook::consts::{SIGABRT, SIGALRM, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTRAP, SIGVTALRM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level;

use crate::poller::{Interest, Poller, Watched};

/// Signals that end a process by default and have no other meaning here. A process that has something to tidy up
/// catches them, tidies up, and calls [`die_of`].
pub(crate) const FATAL: [i32; 8] = [SIGABRT, SIGALRM, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTRAP, SIGVTALRM];

/// Signals that are caught until this is dropped.
pub(crate) struct Signals {
    delivery: SignalDelivery<Arc<UnixStream>, SignalOnly>,
    pipe: Watched<Arc<UnixStream>>,
}

/// The signals received since the last [`Signals::take`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Each signal once.
    pub(crate) signals: Vec<i32>,
    /// All of them, those of the same kind counted singly. At most [`COUNT_MAX`].
    pub(crate) count: usize,
}

/// The signals counted by one [`Signals::take`].
const COUNT_MAX: usize = 64;

impl Signals {
    /// Catches these signals. Each makes the poller report `key`.
    pub(crate) fn watch(
        poller: &Poller,
        key: usize,
        signals: impl IntoIterator<Item = i32>,
    ) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let reader = Arc::new(reader);
        let delivery = SignalDelivery::with_pipe(Arc::clone(&reader), writer, SignalOnly, signals)?;
        let pipe = poller.watch(reader, key, Interest::READ).map_err(|(_, error)| error)?;
        Ok(Self { delivery, pipe })
    }

    /// The signals received since the last call.
    pub(crate) fn take(&mut self) -> Received {
        // The handler writes one byte for each signal.
        let count = (&**self.pipe).read(&mut [0; COUNT_MAX]).unwrap_or(0);
        Received { signals: self.delivery.pending().collect(), count }
    }
}

impl Received {
    /// The first received signal that is in `list`.
    pub(crate) fn first_of(&self, list: &[i32]) -> Option<i32> {
        self.signals.iter().copied().find(|signal| list.contains(signal))
    }

    /// Whether `signal` was received.
    pub(crate) fn has(&self, signal: i32) -> bool {
        self.signals.contains(&signal)
    }
}

/// Ends the process as this signal does by default, so that the parent reads it from the exit status (wait(2)).
pub(crate) fn die_of(signal: i32) {
    // Fails only for a number that is no signal; the caller then continues.
    let _ = low_level::emulate_default_handler(signal);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use signal_hook::consts::{SIGHUP, SIGUSR1, SIGWINCH};

    use super::*;
    use crate::poller::Events;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn a_signal_wakes_the_poller_and_is_taken_once() {
        let poller = Poller::new().expect("poller");
        let mut signals = Signals::watch(&poller, 4, [SIGWINCH, SIGHUP, SIGUSR1]).expect("signals");
        let mut events = Events::with_capacity(NonZeroUsize::MIN);
        for signal in [SIGWINCH, SIGHUP, SIGUSR1] {
            low_level::raise(signal).expect("raised");
            poller.wait(&mut events, Some(DEADLINE)).expect("wait");
            assert_eq!(events.iter().map(|ready| ready.key).collect::<Vec<_>>(), [4], "{signal}");
            // Signals are sent to the process: another test may raise SIGWINCH or SIGHUP at the same time.
            assert!(signals.take().has(signal), "{signal}");
        }
        low_level::raise(SIGUSR1).expect("raised");
        assert!(signals.take().has(SIGUSR1));
        assert!(!signals.take().has(SIGUSR1));
    }
}
