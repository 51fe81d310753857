//! The terminal as a screen: writes frames and never waits for the terminal.
//!
//! Bytes that the terminal does not take at once are kept and written when it is writable. No frame is drawn before
//! that, so at most one is pending. [`super::tty`] has the device and its restoration.
//!
//! Invariants: no call blocks, and no query is sent to the terminal whose answer would be waited for.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossterm::queue;
use crossterm::style::force_color_output;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::Frame;
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Rect, Size};

use super::tty::{ENTER, Tty};

/// The longest text for the clipboard; xterm and others take no more in one sequence.
pub const COPY_BYTES_MAX: usize = 48 * 1024;

/// The operator's terminal, in raw mode and on its alternate screen. Dropping it restores the terminal, which takes at
/// most 200 ms even if the terminal takes no output.
#[derive(Debug)]
pub struct Terminal {
    tty: Arc<Tty>,
    screen: ratatui::Terminal<Screen>,
    output: Output,
    /// The contents of the terminal are unknown: it is cleared before the next frame.
    stale: bool,
}

impl Terminal {
    /// Opens the controlling terminal. From then on a panic in any thread restores it before the message is printed,
    /// and so does [`super::restore_active`].
    ///
    /// # Errors
    ///
    /// When the process has no terminal (`ENXIO`, `tty(4)`), or its modes cannot be set.
    pub fn open() -> io::Result<Self> {
        let tty = Arc::new(Tty::open()?);
        tty.restore_on_panic();
        Self::enter(tty)
    }

    /// Takes any terminal, given as an open file of its own (no duplicate of a shared descriptor) with `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// When the descriptor is no terminal, or its modes cannot be set.
    pub fn on(fd: OwnedFd) -> io::Result<Self> {
        Self::enter(Arc::new(Tty::new(fd)?))
    }

    fn enter(tty: Arc<Tty>) -> io::Result<Self> {
        // Under NO_COLOR crossterm puts a reset after the attributes, and bold and reverse are lost: whether there is
        // colour is the theme's to decide.
        force_color_output(true);
        let screen = ratatui::Terminal::new(Screen { size: tty.size(), bytes: Vec::new() })?;
        let mut terminal = Self { tty, screen, output: Output::default(), stale: true };
        terminal.resume()?;
        Ok(terminal)
    }

    /// The device, for a poller.
    pub(crate) fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }

    /// Restores the terminal for a while and leaves this text on it.
    pub(crate) fn suspend(&mut self, words: &str) {
        self.tty.leave(words);
        self.output.forget();
    }

    /// Enters the terminal again; the next frame is drawn completely.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.tty.enter()?;
        self.output.forget();
        self.output.pending.extend(ENTER);
        self.stale = true;
        Ok(())
    }

    /// Columns and rows that are drawn.
    #[must_use]
    pub fn size(&self) -> Size {
        self.screen.backend().size
    }

    /// Reads the size of the device; returns whether it has changed.
    pub fn update_size(&mut self) -> bool {
        let size = self.tty.size();
        let changed = size != self.size();
        if changed {
            self.screen.backend_mut().size = size;
            self.stale = true;
        }
        changed
    }

    /// Clears the terminal before the next frame, which then writes every cell.
    pub fn redraw(&mut self) {
        self.stale = true;
    }

    /// Whether the terminal has taken everything, and a frame may be drawn.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.output.is_empty()
    }

    /// Draws a frame and writes what the terminal takes of it; [`Terminal::flush`] writes the rest.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.screen.backend_mut().bytes, BeginSynchronizedUpdate)?;
        if self.stale {
            self.stale = false;
            self.screen.resize(Rect::from((Position::ORIGIN, self.size())))?;
        }
        self.screen.draw(render)?;
        let bytes = &mut self.screen.backend_mut().bytes;
        queue!(*bytes, EndSynchronizedUpdate)?;
        self.output.pending.append(bytes);
        self.flush()
    }

    /// Sends a text to the terminal's clipboard (OSC 52, xterm's ctlseqs).
    ///
    /// # Errors
    ///
    /// When the text is longer than [`COPY_BYTES_MAX`], or earlier output is pending.
    pub fn copy(&mut self, text: &str) -> Result<(), CopyError> {
        if text.len() > COPY_BYTES_MAX {
            return Err(CopyError::TooLong);
        }
        if !self.is_idle() {
            return Err(CopyError::Busy);
        }
        let sequence = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
        self.output.pending.extend(sequence.into_bytes());
        Ok(())
    }

    /// Writes pending output as far as the terminal takes it.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush(&self.tty)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tty.close();
    }
}

/// Why a text was not sent to the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// There is output that the terminal has not taken.
    #[error("not sent: the terminal is busy; try again")]
    Busy,
    /// The text is longer than terminals take.
    #[error("not sent: it is longer than the {} KiB that terminals take", COPY_BYTES_MAX / 1024)]
    TooLong,
}

/// Output that the terminal has not taken: at most one frame and one text for the clipboard.
#[derive(Debug, Default)]
struct Output {
    pending: Vec<u8>,
    /// How many of these bytes the terminal has taken.
    taken: usize,
}

impl Output {
    fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn forget(&mut self) {
        self.pending.clear();
        self.taken = 0;
    }

    fn flush(&mut self, tty: &Tty) -> io::Result<()> {
        while self.taken < self.pending.len() {
            match tty.write(&self.pending[self.taken..]) {
                Ok(0) => return Ok(()),
                Ok(written) => self.taken += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.forget();
        Ok(())
    }
}

/// ratatui's backend: it writes to memory and answers all queries by itself.
#[derive(Debug)]
struct Screen {
    size: Size,
    bytes: Vec<u8>,
}

impl Screen {
    fn crossterm(&mut self) -> CrosstermBackend<&mut Vec<u8>> {
        CrosstermBackend::new(&mut self.bytes)
    }
}

impl Backend for Screen {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.crossterm().draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.crossterm().hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.crossterm().show_cursor()
    }

    /// Only unused calls of ratatui ask for it; the terminal would take up to 2 s to answer.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.crossterm().set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.crossterm().clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.crossterm().clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::ZERO })
    }

    /// [`Terminal::flush`] writes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for sextet in 0..4_usize {
            let index = (bits >> (18 - 6 * sextet)) & 63;
            let is_padding = sextet > group.len();
            text.push(if is_padding { '=' } else { char::from(ALPHABET[index as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::time::Duration;

    use ratatui::text::Text;

    use super::*;
    use crate::clock::Clock;
    use crate::term::pty::Pty;
    use crate::term::tty::LEAVE;

    fn on(pty: &Pty) -> Terminal {
        Terminal::on(pty.open()).expect("a terminal")
    }

    fn fill(terminal: &mut Terminal, symbol: &str) {
        let size = terminal.size();
        let line = symbol.repeat(size.width.into());
        let text = vec![line; size.height.into()].join("\n");
        terminal.draw(|frame| frame.render_widget(Text::raw(text), frame.area())).expect("drawn");
    }

    /// The screen after these bytes.
    fn seen(bytes: &[u8], columns: u16, rows: u16) -> vt100::Screen {
        let cells = |count| NonZeroU16::new(count).expect("not 0");
        let mut parser = vt100::Parser::new(cells(rows), cells(columns), 0);
        parser.process(bytes);
        parser.screen().clone()
    }

    #[test]
    fn a_frame_is_seen_between_enter_and_leave() {
        let pty = Pty::new(40, 3);
        let mut terminal = on(&pty);
        terminal.draw(|frame| frame.render_widget("hello", frame.area())).expect("drawn");
        assert!(terminal.is_idle());
        let before = pty.read_through(b"\x1b[?2026l");
        let screen = seen(&before, 40, 3);
        assert!(screen.contents().starts_with("hello"), "{:?}", screen.contents());
        assert!(screen.alternate_screen() && screen.hide_cursor());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::PressRelease);
        drop(terminal);
        let screen = seen(&[before, pty.read_through(LEAVE)].concat(), 40, 3);
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }

    #[test]
    fn a_stalled_terminal_never_blocks_and_later_continues() {
        let pty = Pty::new(200, 60);
        let mut terminal = on(&pty);
        let clock = Clock::start();
        let mut symbols = ["a", "b"].into_iter().cycle();
        while terminal.is_idle() || pty.takes_more() {
            if terminal.is_idle() {
                fill(&mut terminal, symbols.next().expect("a cycle"));
            }
            terminal.flush().expect("the terminal is there");
        }
        assert_eq!(terminal.copy("x"), Err(CopyError::Busy));
        let spent = Duration::from_micros(clock.now().moment.micros());
        assert!(spent < Duration::from_secs(2), "{spent:?}");
        let mut bytes = Vec::new();
        while !terminal.is_idle() {
            bytes.extend(pty.read_until(|seen| !seen.is_empty()));
            terminal.flush().expect("the terminal is there");
        }
        rustix::io::write(&*terminal.tty, b"\x1b[H!end").expect("room");
        bytes.extend(pty.read_through(b"!end"));
        let screen = seen(&bytes, 200, 60);
        let shown = screen.contents();
        let last = shown.chars().last().expect("a full screen").to_string();
        assert!(shown.lines().skip(1).all(|line| line == last.repeat(200)), "{shown}");
    }

    #[test]
    fn a_new_size_is_redrawn_without_a_query() {
        let pty = Pty::new(10, 2);
        let mut terminal = on(&pty);
        fill(&mut terminal, "a");
        assert!(!terminal.update_size());
        for (columns, rows) in [(12, 3), (4, 1), (1, 1), (30, 4)] {
            pty.resize(columns, rows);
            assert!(terminal.update_size());
            assert_eq!(terminal.size(), Size::new(columns, rows));
            fill(&mut terminal, "b");
        }
        assert!(terminal.is_idle());
        drop(terminal);
        let bytes = pty.read_through(LEAVE);
        assert!(
            !bytes.windows(4).any(|window| window == b"\x1b[6n"),
            "the cursor's position is not asked for"
        );
        let until_leave = &bytes[..bytes.len() - LEAVE.len()];
        let screen = seen(until_leave, 30, 4);
        assert_eq!(screen.contents(), ["b"; 30].concat() + &("\n".to_owned() + &"b".repeat(30)).repeat(3));
    }

    #[test]
    fn redraw_writes_every_cell_again() {
        let pty = Pty::new(10, 1);
        let mut terminal = on(&pty);
        fill(&mut terminal, "a");
        let first = pty.read_through(b"\x1b[?2026l");
        fill(&mut terminal, "a");
        let unchanged = pty.read_through(b"\x1b[?2026l");
        assert!(!unchanged.contains(&b'a'));
        terminal.redraw();
        fill(&mut terminal, "a");
        let again = pty.read_through(b"\x1b[?2026l");
        assert_eq!(seen(&again, 10, 1).contents(), seen(&first, 10, 1).contents());
        assert!(again.windows(4).any(|window| window == b"\x1b[2J"));
    }

    #[test]
    fn after_a_stop_the_modes_are_set_and_the_frame_is_redrawn() {
        let pty = Pty::new(10, 1);
        let mut terminal = on(&pty);
        fill(&mut terminal, "a");
        terminal.suspend("");
        pty.read_through(LEAVE);
        terminal.resume().expect("the terminal is there");
        fill(&mut terminal, "a");
        let bytes = pty.read_through(b"\x1b[?2026l");
        assert!(bytes.starts_with(ENTER));
        assert_eq!(seen(&bytes, 10, 1).contents(), "aaaaaaaaaa");
    }

    #[test]
    fn a_terminal_that_hung_up_is_an_error() {
        let pty = Pty::new(10, 1);
        let mut terminal = on(&pty);
        pty.hang_up();
        assert!(terminal.flush().is_err());
        assert!(terminal.draw(|frame| frame.render_widget("x", frame.area())).is_err());
    }

    #[test]
    fn a_copy_is_sent_or_refused_with_its_reason() {
        let pty = Pty::new(10, 1);
        let mut terminal = on(&pty);
        terminal.flush().expect("room");
        assert_eq!(terminal.copy(&"x".repeat(COPY_BYTES_MAX + 1)), Err(CopyError::TooLong));
        terminal.copy("ab\u{7}").expect("copied");
        terminal.flush().expect("room");
        pty.read_through(b"\x1b]52;c;YWIH\x07");
    }

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xFB, 0xFF, 0xFE]), "+//+");
    }
}
