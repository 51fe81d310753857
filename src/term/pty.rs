//! For tests: a pseudo-terminal (`pty(7)`), used from both ends.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::clock::Clock;

/// Longer than any step of a test takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A pseudo-terminal. Dropping it hangs up, if no other descriptor has its other end open.
#[derive(Debug)]
pub(crate) struct Pty {
    /// The side of the person.
    master: OwnedFd,
    /// The side of the program, kept open so that its closing its own is no hang-up.
    slave: OwnedFd,
}

impl Pty {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        rustix::io::ioctl_fionbio(&master, true).expect("nonblocking");
        let slave = open_other_end(&master);
        let pty = Self { master, slave };
        pty.resize(columns, rows);
        pty
    }

    /// The terminal as a program opens it.
    pub(crate) fn open(&self) -> OwnedFd {
        open_other_end(&self.master)
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("TIOCSWINSZ");
    }

    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.slave).expect("tcgetattr")
    }

    /// Whether a program could write, now or in a moment: the kernel moves written bytes to the reader's side in the
    /// background.
    pub(crate) fn takes_more(&self) -> bool {
        let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        poll(&mut [PollFd::new(&self.slave, PollFlags::OUT)], Some(&moment)).expect("poll") > 0
    }

    /// Fills it, so that a program can write nothing until the other end is read.
    pub(crate) fn fill(&self) {
        let before = self.modes();
        let mut raw = before.clone();
        // Without raw mode the kernel reserves room for the CR that it adds before LF.
        raw.make_raw();
        tcsetattr(&self.slave, OptionalActions::Now, &raw).expect("raw mode");
        while rustix::io::write(&self.slave, b"x").is_ok() || self.takes_more() {}
        tcsetattr(&self.slave, OptionalActions::Now, &before).expect("as before");
    }

    /// Types.
    pub(crate) fn send(&self, bytes: &[u8]) {
        assert_eq!(rustix::io::write(&self.master, bytes).expect("room"), bytes.len());
    }

    /// Reads until `enough`; panics at the deadline.
    pub(crate) fn read_until(&self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let clock = Clock::start();
        let mut seen = Vec::new();
        while !enough(&seen) {
            let spent = clock.now().moment.micros();
            assert!(
                u128::from(spent) < DEADLINE.as_micros(),
                "only saw {:?}",
                seen.escape_ascii().to_string()
            );
            let step = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&step)).expect("poll");
            let mut buffer = [0; 4_096];
            if let Ok(read) = rustix::io::read(&self.master, &mut buffer) {
                seen.extend(&buffer[..read]);
            }
        }
        seen
    }

    /// Reads until these bytes have arrived.
    pub(crate) fn read_through(&self, bytes: &[u8]) -> Vec<u8> {
        self.read_until(|seen| seen.windows(bytes.len()).any(|window| window == bytes))
    }

    /// Closes the terminal's window.
    pub(crate) fn hang_up(self) {
        drop(self);
    }
}

fn open_other_end(master: &OwnedFd) -> OwnedFd {
    let name = ptsname(master, Vec::new()).expect("ptsname");
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = Path::new(OsStr::from_bytes(name.as_bytes()));
    rustix::fs::open(path, flags, Mode::empty()).expect("the other end")
}
