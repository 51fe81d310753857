//! The terminal as a device: its modes, its bytes, and its restoration.
//!
//! The device is opened again, non-blocking: the descriptors 0, 1 and 2 are shared with the shell and never changed.
//!
//! Invariant: the changes of [`ENTER`] and of raw mode are reverted exactly once: by [`Tty::leave`], [`Tty::close`] or
//! a drop, and after [`Tty::restore_on_panic`] also by a panic of any thread, before its message is printed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

use ratatui::layout::Size;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr};

use super::job;

/// The alternate screen, no cursor, the mouse's buttons and wheel (1000) in a form without a limit of columns (1006), and
/// brackets around pastes (2004). Sources: xterm's ctlseqs.
pub(crate) const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[?2004h";

/// Undoes [`ENTER`], a synchronised update (2026) that was cut short, and colours.
pub(crate) const LEAVE: &[u8] = b"\x1b[?2026l\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[0m\x1b[?25h\x1b[?1049l";

/// Cancels an unfinished escape sequence (ECMA-48 8.3.6), so that the next one is decoded.
const CANCEL: &[u8] = b"\x18";

/// A larger terminal is drawn in part: its size may be set by another process, and it decides how much memory a frame
/// takes.
const COLUMNS_MAX: u16 = 1_000;
const ROWS_MAX: u16 = 500;

/// The size of a terminal that does not know it (`tty_ioctl(4)` reports 0 by 0), such as a serial line.
const UNKNOWN_SIZE: Size = Size::new(80, 24);

/// How often, and how long each time, a restoration waits for the terminal: 200 ms in all.
const RESTORE_WAITS: u32 = 10;
const RESTORE_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The terminal that a panic or [`restore_active`] restores.
static ACTIVE: Mutex<Weak<Tty>> = Mutex::new(Weak::new());

/// Restores the terminal of the dashboard, if there is one: for ends that bypass the dashboard, such as a second
/// SIGTERM. Takes at most 200 ms.
pub fn restore_active() {
    let active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(tty) = active {
        tty.close();
    }
}

/// A terminal.
#[derive(Debug)]
pub(crate) struct Tty {
    fd: OwnedFd,
    /// The modes before [`Tty::enter`].
    original: Termios,
    /// Locked during writes, so that nothing is written after [`LEAVE`]. No code under the lock can panic.
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Restored for good.
    Closed,
    /// In raw mode, on the alternate screen.
    Entered {
        /// The last write was taken in part, perhaps in the middle of an escape sequence.
        cut: bool,
    },
    /// Restored.
    Left,
}

impl Tty {
    /// The terminal this process runs in.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Self::new(rustix::fs::open("/dev/tty", flags, Mode::empty())?)
    }

    /// Any terminal: an open file of its own, non-blocking.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let original = tcgetattr(&fd)?;
        Ok(Self { fd, original, state: Mutex::new(State::Left) })
    }

    /// From now on a panic in any thread restores this terminal before its message is printed; so does
    /// [`restore_active`].
    pub(crate) fn restore_on_panic(self: &Arc<Self>) {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let print = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore_active();
                print(info);
            }));
        });
        *ACTIVE.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(self);
    }

    /// Raw mode (`termios(3)`); the caller is to write [`ENTER`] next. Again after a stop, when the shell has had
    /// the terminal.
    pub(crate) fn enter(&self) -> io::Result<()> {
        let mut state = self.lock();
        if *state == State::Closed {
            return Ok(());
        }
        if !self.is_foreground() {
            return Err(io::Error::other("this process is in the background"));
        }
        let mut raw = self.original.clone();
        raw.make_raw();
        tcsetattr(&self.fd, OptionalActions::Now, &raw)?;
        *state = State::Entered { cut: false };
        Ok(())
    }

    /// See [`job::is_foreground`].
    pub(crate) fn is_foreground(&self) -> bool {
        job::is_foreground(&self.fd)
    }

    /// Restores the terminal until [`Tty::enter`] and leaves this text on it. Takes at most 200 ms.
    pub(crate) fn leave(&self, text: &str) {
        self.restore(&mut self.lock(), State::Left, text);
    }

    /// Gives the terminal back for good. Takes at most 200 ms.
    pub(crate) fn close(&self) {
        self.restore(&mut self.lock(), State::Closed, "");
    }

    /// Whether the terminal was given back for good.
    pub(crate) fn is_closed(&self) -> bool {
        *self.lock() == State::Closed
    }

    /// Writes as much as the terminal takes at once, and returns the number of bytes.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when it takes nothing, or is restored; any other error means that it is gone.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        let State::Entered { cut } = &mut *state else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, bytes))?;
        *cut = written < bytes.len();
        Ok(written)
    }

    /// Reads available input; 0 means that the terminal has hung up.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no input; any other error means that it is gone.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut *buffer))?)
    }

    /// Columns and rows (`TIOCGWINSZ`, `tty_ioctl(4)`), each at least 1.
    pub(crate) fn size(&self) -> Size {
        match tcgetwinsize(&self.fd) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size::new(size.ws_col.min(COLUMNS_MAX), size.ws_row.min(ROWS_MAX))
            }
            Ok(_) | Err(_) => UNKNOWN_SIZE,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restore(&self, state: &mut State, next: State, text: &str) {
        if let State::Entered { cut } = *state
            && self.is_foreground()
        {
            let farewell = [if cut { CANCEL } else { &[] }, LEAVE, text.as_bytes()].concat();
            if !self.write_within_limit(&farewell) {
                // Earlier output is not read: it is discarded, so that this can be read later.
                let _ = tcflush(&self.fd, QueueSelector::OFlush);
                let _ = rustix::io::write(&self.fd, &[CANCEL, LEAVE].concat());
            }
            // Fails only when the terminal is gone. TCSANOW: waiting for the output could take for ever.
            let _ = tcsetattr(&self.fd, OptionalActions::Now, &self.original);
        }
        if *state != State::Closed {
            *state = next;
        }
    }

    /// Whether all was taken within [`RESTORE_WAITS`].
    fn write_within_limit(&self, mut bytes: &[u8]) -> bool {
        let mut waits = 0;
        while !bytes.is_empty() {
            match rustix::io::write(&self.fd, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::AGAIN | Errno::INTR) if waits < RESTORE_WAITS => {
                    waits += 1;
                    let _ = poll(&mut [PollFd::new(&self.fd, PollFlags::OUT)], Some(&RESTORE_WAIT));
                }
                Err(_) => return false,
            }
        }
        true
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::termios::LocalModes;

    use super::*;
    use crate::clock::Clock;
    use crate::term::pty::Pty;

    #[test]
    fn the_terminal_is_restored() {
        let pty = Pty::new(80, 24);
        let before = pty.modes();
        let tty = Tty::new(pty.open()).expect("a terminal");
        tty.enter().expect("raw mode");
        assert!(
            !pty.modes().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
        );
        assert_eq!(tty.write(ENTER).expect("room"), ENTER.len());
        drop(tty);
        assert_eq!(pty.modes().local_modes, before.local_modes);
        assert_eq!(pty.modes().output_modes, before.output_modes);
        assert_eq!(pty.read_through(LEAVE), [ENTER, LEAVE].concat());
    }

    #[test]
    fn leave_undoes_all_that_enter_does() {
        let modes = |sequence: &[u8], last: u8| {
            let text = std::str::from_utf8(sequence).expect("ASCII").to_owned();
            let mut modes: Vec<_> = text
                .split("\x1b[?")
                .filter_map(|mode| mode.find(char::from(last)).map(|end| mode[..end].to_owned()))
                .collect();
            modes.sort();
            modes
        };
        let left = modes(LEAVE, b'l');
        for mode in modes(ENTER, b'h') {
            assert!(left.contains(&mode), "{mode} is not left");
        }
        assert_eq!((modes(ENTER, b'l'), modes(LEAVE, b'h')), (vec!["25".to_owned()], vec!["25".to_owned()]));
    }

    #[test]
    fn a_closed_terminal_stays_closed_and_takes_no_output() {
        let pty = Pty::new(80, 24);
        let before = pty.modes();
        let tty = Tty::new(pty.open()).expect("a terminal");
        tty.enter().expect("raw mode");
        tty.leave("");
        tty.enter().expect("raw mode again");
        tty.close();
        tty.close();
        tty.enter().expect("no error");
        assert!(tty.is_closed());
        assert_eq!(tty.write(b"x").expect_err("not ours").kind(), io::ErrorKind::WouldBlock);
        drop(tty);
        assert_eq!(pty.modes().local_modes, before.local_modes);
        let end = pty.open();
        rustix::io::write(&end, b"end").expect("room");
        assert_eq!(pty.read_through(b"end"), [LEAVE, LEAVE, b"end"].concat());
    }

    #[test]
    fn a_terminal_that_takes_no_output_is_restored_in_time() {
        let pty = Pty::new(80, 24);
        let before = pty.modes();
        let tty = Tty::new(pty.open()).expect("a terminal");
        tty.enter().expect("raw mode");
        assert_eq!(tty.write(ENTER).expect("room"), ENTER.len());
        pty.fill();
        let clock = Clock::start();
        tty.close();
        let spent = Duration::from_micros(clock.now().moment.micros());
        assert!((Duration::from_millis(150)..Duration::from_secs(2)).contains(&spent), "{spent:?}");
        assert_eq!(pty.modes().local_modes, before.local_modes);
        pty.read_through(&[CANCEL, LEAVE].concat());
    }

    #[test]
    fn the_size_is_the_terminals_within_bounds() {
        let pty = Pty::new(132, 43);
        let tty = Tty::new(pty.open()).expect("a terminal");
        assert_eq!(tty.size(), Size::new(132, 43));
        pty.resize(0, 0);
        assert_eq!(tty.size(), UNKNOWN_SIZE);
        pty.resize(u16::MAX, u16::MAX);
        assert_eq!(tty.size(), Size::new(COLUMNS_MAX, ROWS_MAX));
    }

    #[test]
    fn a_panic_of_any_thread_restores_the_terminal() {
        let pty = Pty::new(80, 24);
        let before = pty.modes();
        let tty = Arc::new(Tty::new(pty.open()).expect("a terminal"));
        tty.restore_on_panic();
        tty.enter().expect("raw mode");
        let panicked = std::thread::spawn(|| panic!("this panic is part of a test"));
        panicked.join().expect_err("it panicked");
        assert!(tty.is_closed());
        assert_eq!(pty.modes().local_modes, before.local_modes);
        assert_eq!(pty.read_through(LEAVE), LEAVE);
    }
}
