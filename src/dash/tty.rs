//! The terminal as a device: its modes, bytes in and out, and getting it back as it was, come what may.
//!
//! It is opened anew, non-blocking. The descriptors 0, 1 and 2 are shared with the shell and never changed. What is
//! drawn is not known here.
//!
//! Invariant: what [`ENTER`] and raw mode changed is changed back exactly once: by [`Tty::leave`], [`Tty::close`],
//! or dropping it, and for the terminal made known with [`Tty::restore_on_panic`] by any thread's panic, before the
//! panic's message is printed.

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

/// The alternate screen, no cursor, the mouse's buttons and wheel (1000) in a form without a limit of columns (1006),
/// and pastes told from keys (2004). Sources: xterm's ctlseqs.
pub(super) const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[?2004h";

/// Undoes [`ENTER`], a synchronised update (2026) that was cut short, and colours.
pub(super) const LEAVE: &[u8] = b"\x1b[?2026l\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[0m\x1b[?25h\x1b[?1049l";

/// Ends an escape sequence that was cut short (ECMA-48 8.3.6), so that the next one is understood.
const CANCEL: &[u8] = b"\x18";

/// More columns or rows than this are not drawn: whoever may set the size of the terminal decides how much memory a
/// frame takes.
const COLUMNS_MAX: u16 = 1_000;
const ROWS_MAX: u16 = 500;

/// What a terminal has that does not know its size (`tty_ioctl(4)` says 0 by 0), as serial lines do not.
const UNKNOWN_SIZE: Size = Size::new(80, 24);

/// How often, and how long each time, the terminal is waited for when it is given back: 200 ms together.
const RESTORE_WAITS: u32 = 10;
const RESTORE_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The terminal that a panic, or an exit in haste, gives back.
static ACTIVE: Mutex<Weak<Tty>> = Mutex::new(Weak::new());

/// Gives the terminal back, if a dashboard has it. For the way out that does not go through the dashboard: a second
/// SIGTERM, for one. Takes at most 200 ms.
pub fn restore_active() {
    let active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(tty) = active {
        tty.close();
    }
}

/// A terminal.
#[derive(Debug)]
pub(super) struct Tty {
    fd: OwnedFd,
    /// As it was found.
    original: Termios,
    /// Held while something is written, so that nothing comes after [`LEAVE`]. Nothing within can panic.
    state: Mutex<State>,
}

/// Whose the terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As it was found, for good.
    Closed,
    /// Ours.
    Entered {
        /// The last write was taken in part, perhaps in the middle of an escape sequence.
        cut: bool,
    },
    /// As it was found.
    Left,
}

impl Tty {
    /// The terminal this process runs in.
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Self::new(rustix::fs::open("/dev/tty", flags, Mode::empty())?)
    }

    /// Any terminal: an open file of its own, non-blocking.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let original = tcgetattr(&fd)?;
        Ok(Self { fd, original, state: Mutex::new(State::Left) })
    }

    /// From now on a panic in any thread gives this terminal back before it says anything; so does
    /// [`restore_active`].
    pub(super) fn restore_on_panic(self: &Arc<Self>) {
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
    pub(super) fn enter(&self) -> io::Result<()> {
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
    pub(super) fn is_foreground(&self) -> bool {
        job::is_foreground(&self.fd)
    }

    /// Gives the terminal back until [`Tty::enter`] and leaves these words on it. Takes at most 200 ms.
    pub(super) fn leave(&self, words: &str) {
        self.restore(&mut self.lock(), State::Left, words);
    }

    /// Gives the terminal back for good. Takes at most 200 ms.
    pub(super) fn close(&self) {
        self.restore(&mut self.lock(), State::Closed, "");
    }

    /// Whether the terminal was given back for good.
    pub(super) fn is_closed(&self) -> bool {
        *self.lock() == State::Closed
    }

    /// Writes what the terminal takes at once and returns how much that is.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when it takes nothing, or is not ours; anything else means that it is gone.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        let State::Entered { cut } = &mut *state else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, bytes))?;
        *cut = written < bytes.len();
        Ok(written)
    }

    /// Reads what is there; 0 means that the terminal has hung up.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing is there; anything else means that it is gone.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut *buffer))?)
    }

    /// Columns and rows (`TIOCGWINSZ`, `tty_ioctl(4)`), each at least 1.
    pub(super) fn size(&self) -> Size {
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

    fn restore(&self, state: &mut State, next: State, words: &str) {
        if let State::Entered { cut } = *state
            && self.is_foreground()
        {
            let farewell = [if cut { CANCEL } else { &[] }, LEAVE, words.as_bytes()].concat();
            if !self.write_patiently(&farewell) {
                // Nobody reads what we wrote before: throw that away, so that this can still be read one day.
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
    fn write_patiently(&self, mut bytes: &[u8]) -> bool {
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
    use crate::dash::pty::Pty;

    #[test]
    fn it_comes_back_as_it_was() {
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
    fn once_closed_it_stays_closed_and_says_nothing() {
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
    fn a_terminal_that_nobody_reads_is_given_back_in_time() {
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
    fn the_size_is_what_the_terminal_says_within_bounds() {
        let pty = Pty::new(132, 43);
        let tty = Tty::new(pty.open()).expect("a terminal");
        assert_eq!(tty.size(), Size::new(132, 43));
        pty.resize(0, 0);
        assert_eq!(tty.size(), UNKNOWN_SIZE);
        pty.resize(u16::MAX, u16::MAX);
        assert_eq!(tty.size(), Size::new(COLUMNS_MAX, ROWS_MAX));
    }

    #[test]
    fn a_panic_anywhere_gives_it_back_first() {
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
