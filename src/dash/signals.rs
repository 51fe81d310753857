//! The signals that concern a terminal (`signal(7)`), as a source for the poller. Those that end a server are its own to
//! catch: when it ends, the dashboard gives the terminal back. In a process without one they are caught here: SIGINT and
//! SIGTERM end the dashboard, and for the others the terminal is given back before they do what they do by default.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::SigId;
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP, SIGTSTP,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};
use signal_hook::{flag, low_level};

use crate::poller::{Interest, Poller, Watched};

/// Signals that end a process by default and that nothing here gives another meaning.
const FATAL: [i32; 8] = [SIGABRT, SIGALRM, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTRAP, SIGVTALRM];

/// Signals that are not to end anything: limits send SIGXFSZ for a write that fails anyway and SIGXCPU as a warning, and
/// the others are for a server, which may have another meaning for them.
const HARMLESS: [i32; 4] = [SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ];

/// Signals caught from [`Signals::watch`] on until this is dropped.
#[derive(Debug)]
pub(super) struct Signals {
    pipe: Watched<UnixStream>,
    continued: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    /// The number of the last one of [`FATAL`]; 0 is none.
    fatal: Arc<AtomicUsize>,
    resized: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    ids: Vec<SigId>,
}

/// What has come since the last look. A hang-up (SIGHUP) only wakes, and does not end the process: the terminal itself
/// tells it better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a signal of its own")]
pub(super) struct Taken {
    /// SIGCONT: the process goes on after a stop.
    pub(super) continued: bool,
    /// SIGTERM or SIGINT: the dashboard is to end.
    pub(super) end: bool,
    /// A signal that ends the process.
    pub(super) fatal: Option<i32>,
    /// SIGWINCH: the terminal has a new size, or had one and is back at the old.
    pub(super) resized: bool,
    /// SIGTSTP: the process is to stop.
    pub(super) stop: bool,
}

impl Signals {
    /// Catches the signals; each makes the poller report this key. With `and_end` those that end a process as well.
    pub(super) fn watch(poller: &Poller, key: usize, and_end: bool) -> io::Result<Self> {
        let (ours, handlers) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let pipe = poller.watch(ours, key, Interest::READ).map_err(|(_, why)| why)?;
        let [continued, end, resized, stop] = [(); 4].map(|()| Arc::new(AtomicBool::new(false)));
        let fatal = Arc::new(AtomicUsize::new(0));
        // The flags first: a signal's handlers run in order, and who is woken finds the flag set.
        let mut ids = vec![
            flag::register(SIGCONT, Arc::clone(&continued))?,
            flag::register(SIGTSTP, Arc::clone(&stop))?,
            flag::register(SIGWINCH, Arc::clone(&resized))?,
        ];
        let (ending, deadly): (&[i32], &[i32]) =
            if and_end { (&[SIGINT, SIGTERM], &FATAL) } else { (&[], &[]) };
        for signal in ending {
            ids.push(flag::register(*signal, Arc::clone(&end))?);
        }
        for signal in deadly {
            let number = usize::try_from(*signal).unwrap_or(0);
            ids.push(flag::register_usize(*signal, Arc::clone(&fatal), number)?);
        }
        let waking = [SIGCONT, SIGHUP, SIGTSTP, SIGWINCH];
        for signal in waking.iter().chain(&HARMLESS).chain(ending).chain(deadly) {
            ids.push(low_level::pipe::register(*signal, handlers.try_clone()?)?);
        }
        Ok(Self { pipe, continued, end, fatal, resized, stop, ids })
    }

    /// What has come since the last look.
    pub(super) fn take(&mut self) -> Taken {
        // What does not fit keeps the pipe readable, and the next turn takes it.
        let _ = (&*self.pipe).read(&mut [0; 64]);
        let fatal = i32::try_from(self.fatal.swap(0, Ordering::SeqCst)).ok().filter(|signal| *signal != 0);
        Taken {
            continued: self.continued.swap(false, Ordering::SeqCst),
            end: self.end.swap(false, Ordering::SeqCst),
            fatal,
            resized: self.resized.swap(false, Ordering::SeqCst),
            stop: self.stop.swap(false, Ordering::SeqCst),
        }
    }

    /// Stops the process as SIGTSTP does; returns when it is continued.
    pub(super) fn stop_here() -> io::Result<()> {
        low_level::emulate_default_handler(SIGTSTP)
    }

    /// Ends the process as this signal does by default.
    pub(super) fn die_of(signal: i32) {
        // An error means that the signal has no default to die of; then life goes on.
        let _ = low_level::emulate_default_handler(signal);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            low_level::unregister(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::dash::pty::DEADLINE;
    use crate::poller::Events;

    #[test]
    fn a_signal_wakes_the_poller_and_is_told_once() {
        let poller = Poller::new().expect("poller");
        let mut signals = Signals::watch(&poller, 4, false).expect("signals");
        let mut events = Events::with_capacity(NonZeroUsize::MIN);
        // Not those of a stop: signals are the whole process's, and the dashboard of another test would act on them.
        for signal in [SIGWINCH, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ] {
            low_level::raise(signal).expect("raised");
            poller.wait(&mut events, Some(DEADLINE)).expect("wait");
            assert_eq!(events.iter().map(|ready| ready.key).collect::<Vec<_>>(), [4], "{signal}");
            let taken = signals.take();
            assert!(taken.resized || signal != SIGWINCH, "{taken:?}");
            assert!(!taken.continued && !taken.stop && taken.fatal.is_none(), "{taken:?}");
        }
    }
}
