//! Process groups and sessions (credentials(7)), as job control of a terminal needs them. They are read through nix: in a
//! container the leader of a group or session can be outside its PID namespace and has the id 0 there, which rustix's
//! `Pid` cannot hold.

use std::io;
use std::os::fd::AsFd;

use nix::unistd::{Pid, getpgrp, getppid, getsid, tcgetpgrp};
use rustix::process::{Signal, kill_current_process_group};

/// Whether this process may set the modes of a terminal. In the background it would be stopped for it, with all its
/// clients (SIGTTOU, tcsetattr(3)). A terminal that is not the controlling one stops nobody.
pub(crate) fn is_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
}

/// Whether no shell of this session can continue a stopped process, because none of them started it (POSIX calls its
/// group orphaned), as under `ssh -t HOST chatops attach`. A parent outside the namespace has the id 0.
pub(super) fn is_without_shell() -> bool {
    let parent = getppid();
    parent == Pid::from_raw(0) || getsid(Some(parent)).ok() != getsid(None).ok()
}

/// Sends SIGTSTP to all processes of this group, as the terminal does for Ctrl-Z.
pub(super) fn stop() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::TSTP)?)
}
