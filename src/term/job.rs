//! Job control: process groups and sessions (credentials(7)), and the signals that a program on a terminal gets (signal(7)).
//!
//! Groups are read through nix: in a container the leader of a group or session can be outside its PID namespace and has
//! the id 0 there, which rustix's `Pid` cannot hold.

use std::io;
use std::os::fd::AsFd;

use nix::unistd::{Pid, getpgrp, getppid, getsid, tcgetpgrp};
use rustix::process::{Signal, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::low_level;

use crate::signals::FATAL;

/// Signals that end a program on a terminal.
pub(crate) const END: [i32; 2] = [SIGINT, SIGTERM];

/// Signals that concern a terminal. SIGHUP only wakes the program: the terminal itself reports the hang-up.
const TERMINAL: [i32; 4] = [SIGCONT, SIGHUP, SIGTSTP, SIGWINCH];

/// The signals to catch. A server in the same process catches those that end it by itself: then `and_end` is false.
pub(crate) fn caught_signals(and_end: bool) -> impl Iterator<Item = i32> {
    TERMINAL.into_iter().chain(END.into_iter().chain(FATAL).filter(move |_| and_end))
}

/// Whether this process may set the modes of a terminal. A process in the background would be stopped by SIGTTOU
/// (tcsetattr(3)), and a server with all its clients. A terminal that is not the controlling one stops no process.
pub(crate) fn is_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
}

/// Whether no shell of this session can continue a stopped process, because none of them started it (POSIX calls its
/// group orphaned), as under `ssh -t HOST chatops attach`. A parent outside the namespace has the id 0.
pub(crate) fn is_without_shell() -> bool {
    let parent = getppid();
    parent == Pid::from_raw(0) || getsid(Some(parent)).ok() != getsid(None).ok()
}

/// Sends SIGTSTP to all processes of this group, as the terminal does for Ctrl-Z.
pub(crate) fn stop_group() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::TSTP)?)
}

/// Stops this process, as SIGTSTP does by default; returns when it is continued.
pub(crate) fn stop_process() {
    // SIGSTOP, which this raises, is never refused.
    let _ = low_level::emulate_default_handler(SIGTSTP);
}
