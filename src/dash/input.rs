//! From the bytes a terminal sends to keys, mouse and paste, as the types of [`crossterm::event`].
//!
//! crossterm's own reader is not used: it reads a descriptor that blocks, so that half an escape sequence stops the
//! thread until the next key, and after a hang-up it spins. This one is pure: bytes in, inputs out, the same however
//! they are cut; but ESC and a character are Alt and that character only if they come together, as a terminal sends
//! them. What it does not know it drops whole, so that no part of a sequence is ever taken for a key. What the codes
//! mean is in `key_codes`.
//!
//! Sources: ECMA-48 5.4 (control sequences); xterm's ctlseqs ("PC-Style Function Keys", "Mouse Tracking",
//! "Bracketed Paste Mode").

use std::mem;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent};

use super::key_codes::{key_modifiers, letter_key, mouse_kind, mouse_modifiers, numbered_key, numbers};

/// The longest sequence that is looked at; what is longer is dropped up to its end.
const SEQUENCE_BYTES_MAX: usize = 64;

/// The most of one paste that is kept; the rest of it is dropped.
pub const PASTE_BYTES_MAX: usize = 64 * 1024;

/// Within this time the rest of a sequence follows its first byte; else it was the Escape key.
const SEQUENCE_PATIENCE: Duration = Duration::from_millis(50);

/// A paste may come in pieces over a slow line, and its rest must not become keys; a terminal that forgets to end it
/// must not lock the keyboard for good.
const PASTE_PATIENCE: Duration = Duration::from_secs(2);

const ESC: u8 = 0x1B;
const BEL: u8 = 0x07;
const PASTE_END: &[u8] = b"\x1b[201~";

/// One thing a person did at the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was clicked or its wheel turned; columns and rows count from 0.
    Mouse(MouseEvent),
    /// Text was pasted (bracketed paste); not scrubbed.
    Paste(String),
}

/// Where in a sequence the bytes so far end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between two inputs.
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC, which was the last of what came together.
    LoneEscape,
    /// After ESC O: one more byte.
    Ss3,
    /// After ESC [: parameters so far.
    Csi(Vec<u8>),
    /// After ESC [ [, the Linux console's first five function keys: one more byte.
    LinuxFunction,
    /// After ESC [ M, mouse reports of terminals that know no others: three bytes.
    Mouse(Vec<u8>),
    /// In a multi-byte character, with Alt held or not.
    Utf8 { bytes: Vec<u8>, expected: usize, modifiers: KeyModifiers },
    /// In an answer nobody asked for (OSC, DCS, APC, PM, SOS): which, whether it has a body, its last byte.
    Text { introducer: u8, empty: bool, last: u8 },
    /// In a paste. Its last bytes may be the beginning of its end.
    Paste { text: Vec<u8>, tail: Vec<u8> },
}

/// Turns bytes into inputs.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    inputs: Vec<Input>,
}

impl Decoder {
    /// Takes what the terminal sent and returns what it completes, in order.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        for byte in bytes {
            self.take(*byte);
        }
        if self.state == State::Escape {
            self.state = State::LoneEscape;
        }
        mem::take(&mut self.inputs)
    }

    /// How long to wait for more bytes before [`Decoder::expire`]; `None` between two inputs.
    #[must_use]
    pub const fn patience(&self) -> Option<Duration> {
        match self.state {
            State::Ground => None,
            State::Paste { .. } => Some(PASTE_PATIENCE),
            _ => Some(SEQUENCE_PATIENCE),
        }
    }

    /// No more bytes came in time: what looked like the beginning of a sequence was a key, or is dropped.
    pub fn expire(&mut self) -> Vec<Input> {
        match mem::take(&mut self.state) {
            State::Escape | State::LoneEscape => self.key(KeyCode::Esc, KeyModifiers::NONE),
            State::Ss3 => self.key(KeyCode::Char('O'), KeyModifiers::ALT | KeyModifiers::SHIFT),
            State::Csi(parameters) if parameters.is_empty() => {
                self.key(KeyCode::Char('['), KeyModifiers::ALT);
            }
            State::Text { introducer, empty: true, .. } => {
                self.character(introducer.into(), KeyModifiers::ALT);
            }
            State::Paste { mut text, tail } => {
                text.extend(tail);
                self.paste(&text);
            }
            State::Ground
            | State::Csi(_)
            | State::LinuxFunction
            | State::Mouse(_)
            | State::Utf8 { .. }
            | State::Text { .. } => {}
        }
        mem::take(&mut self.inputs)
    }

    fn take(&mut self, byte: u8) {
        self.state = match mem::take(&mut self.state) {
            State::Ground => self.ground(byte, KeyModifiers::NONE),
            State::Escape => self.escape(byte),
            State::LoneEscape => self.lone_escape(byte),
            State::Ss3 => self.ss3(byte),
            State::Csi(parameters) => self.csi(parameters, byte),
            State::LinuxFunction => self.linux_function(byte),
            State::Mouse(report) => self.x10_mouse(report, byte),
            State::Utf8 { bytes, expected, modifiers } => self.utf8(bytes, expected, modifiers, byte),
            State::Text { introducer, last, .. } => text(introducer, last, byte),
            State::Paste { text, tail } => self.pasted(text, tail, byte),
        };
    }

    fn ground(&mut self, byte: u8, modifiers: KeyModifiers) -> State {
        let control = modifiers | KeyModifiers::CONTROL;
        match byte {
            ESC => return State::Escape,
            // A person's Enter is CR in raw mode; LF comes from scripts and from Ctrl-J, which means the same.
            b'\r' | b'\n' => self.key(KeyCode::Enter, modifiers),
            b'\t' => self.key(KeyCode::Tab, modifiers),
            // Terminals differ in which of the two the Backspace key sends.
            0x08 | 0x7F => self.key(KeyCode::Backspace, modifiers),
            0x00 => self.key(KeyCode::Char(' '), control),
            0x01..=0x1A => self.key(KeyCode::Char(char::from(byte - 0x01 + b'a')), control),
            0x1C..=0x1F => self.key(KeyCode::Char(char::from(byte - 0x1C + b'4')), control),
            0x20..=0x7E => self.character(byte.into(), modifiers),
            0xC2..=0xDF => return State::Utf8 { bytes: vec![byte], expected: 2, modifiers },
            0xE0..=0xEF => return State::Utf8 { bytes: vec![byte], expected: 3, modifiers },
            0xF0..=0xF4 => return State::Utf8 { bytes: vec![byte], expected: 4, modifiers },
            0x80..=0xC1 | 0xF5..=0xFF => {}
        }
        State::Ground
    }

    fn escape(&mut self, byte: u8) -> State {
        match byte {
            ESC => {
                self.key(KeyCode::Esc, KeyModifiers::NONE);
                State::Escape
            }
            b'[' => State::Csi(Vec::new()),
            b'O' => State::Ss3,
            b']' | b'P' | b'X' | b'^' | b'_' => State::Text { introducer: byte, empty: true, last: 0 },
            _ => self.ground(byte, KeyModifiers::ALT),
        }
    }

    fn lone_escape(&mut self, byte: u8) -> State {
        match byte {
            ESC | b'[' | b'O' | b']' | b'P' | b'^' | b'_' => self.escape(byte),
            _ => {
                self.key(KeyCode::Esc, KeyModifiers::NONE);
                self.ground(byte, KeyModifiers::NONE)
            }
        }
    }

    fn ss3(&mut self, byte: u8) -> State {
        if byte == ESC {
            return State::Escape;
        }
        match letter_key(byte) {
            Some(code) => self.key(code, KeyModifiers::NONE),
            None if byte == b'M' => self.key(KeyCode::Enter, KeyModifiers::NONE),
            None => {}
        }
        State::Ground
    }

    /// ECMA-48 5.4: parameter and intermediate bytes 2/0 to 3/15, then one final byte 4/0 to 7/14.
    fn csi(&mut self, mut parameters: Vec<u8>, byte: u8) -> State {
        match byte {
            ESC => State::Escape,
            b'[' if parameters.is_empty() => State::LinuxFunction,
            b'M' if parameters.is_empty() => State::Mouse(Vec::new()),
            0x20..=0x3F => {
                if parameters.len() < SEQUENCE_BYTES_MAX {
                    parameters.push(byte);
                }
                State::Csi(parameters)
            }
            0x40..=0x7E => self.sequence(&parameters, byte),
            _ => State::Ground,
        }
    }

    fn sequence(&mut self, parameters: &[u8], last: u8) -> State {
        if let Some(report) = parameters.strip_prefix(b"<") {
            self.sgr_mouse(report, last);
            return State::Ground;
        }
        let Some(numbers) = numbers(parameters) else { return State::Ground };
        let first = numbers.first().copied().unwrap_or(0);
        if (first, last) == (200, b'~') {
            return State::Paste { text: Vec::new(), tail: Vec::new() };
        }
        let modifiers = numbers.get(1).map_or(KeyModifiers::NONE, |number| key_modifiers(*number));
        let code = match (first, last) {
            (_, b'~') => numbered_key(first),
            (0 | 1, _) => letter_key(last),
            // The answer to a question about the cursor looks like F3, but for its numbers.
            _ => None,
        };
        match code {
            Some(KeyCode::BackTab) => self.key(KeyCode::BackTab, modifiers | KeyModifiers::SHIFT),
            Some(code) => self.key(code, modifiers),
            None => {}
        }
        State::Ground
    }

    fn linux_function(&mut self, byte: u8) -> State {
        if let b'A'..=b'E' = byte {
            self.key(KeyCode::F(byte - b'A' + 1), KeyModifiers::NONE);
        }
        State::Ground
    }

    fn utf8(&mut self, mut bytes: Vec<u8>, expected: usize, modifiers: KeyModifiers, byte: u8) -> State {
        if !(0x80..=0xBF).contains(&byte) {
            return self.ground(byte, KeyModifiers::NONE);
        }
        bytes.push(byte);
        if bytes.len() < expected {
            return State::Utf8 { bytes, expected, modifiers };
        }
        if let Some(character) = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
            self.character(character, modifiers);
        }
        State::Ground
    }

    /// `ESC [ < BUTTON ; COLUMN ; ROW`, then `M` for a press and `m` for a release (mode 1006).
    fn sgr_mouse(&mut self, report: &[u8], last: u8) {
        let released = match last {
            b'M' => false,
            b'm' => true,
            _ => return,
        };
        if let Some([button, column, row]) = numbers(report).as_deref() {
            self.mouse(*button, released, *column, *row);
        }
    }

    /// `ESC [ M`, then button, column and row, each a byte with 32 added (mode 1000 alone).
    fn x10_mouse(&mut self, mut report: Vec<u8>, byte: u8) -> State {
        report.push(byte);
        let [button, column, row] = report[..] else { return State::Mouse(report) };
        let button = u16::from(button.saturating_sub(32));
        // Button 3 is a release; it does not say of which button.
        let (button, released) = if button & 0b110_0011 == 3 { (button & !3, true) } else { (button, false) };
        self.mouse(button, released, column.saturating_sub(32).into(), row.saturating_sub(32).into());
        State::Ground
    }

    fn mouse(&mut self, bits: u16, released: bool, column: u16, row: u16) {
        let Some(kind) = mouse_kind(bits, released) else { return };
        let modifiers = mouse_modifiers(bits);
        let (column, row) = (column.saturating_sub(1), row.saturating_sub(1));
        self.inputs.push(Input::Mouse(MouseEvent { kind, column, row, modifiers }));
    }

    fn pasted(&mut self, mut text: Vec<u8>, mut tail: Vec<u8>, byte: u8) -> State {
        tail.push(byte);
        if tail == PASTE_END {
            self.paste(&text);
            return State::Ground;
        }
        if !PASTE_END.starts_with(&tail) {
            // Only ESC can begin the end, so what may still do so begins at the last one.
            let kept = if byte == ESC { tail.len() - 1 } else { tail.len() };
            let room = PASTE_BYTES_MAX - text.len();
            text.extend(&tail[..kept.min(room)]);
            tail.drain(..kept);
        }
        State::Paste { text, tail }
    }

    fn paste(&mut self, text: &[u8]) {
        self.inputs.push(Input::Paste(String::from_utf8_lossy(text).into_owned()));
    }

    /// Capitals carry Shift, as crossterm has it.
    fn character(&mut self, character: char, modifiers: KeyModifiers) {
        let shift = if character.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
        self.key(KeyCode::Char(character), modifiers | shift);
    }

    fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        self.inputs.push(Input::Key(KeyEvent::new(code, modifiers)));
    }
}

/// An OSC, DCS and the like go on until BEL or ESC \.
fn text(introducer: u8, last: u8, byte: u8) -> State {
    match (last, byte) {
        (_, BEL) | (ESC, b'\\') => State::Ground,
        _ => State::Text { introducer, empty: false, last: byte },
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{MouseButton, MouseEventKind};
    use proptest::prelude::*;

    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
        Input::Key(KeyEvent::new(code, modifiers))
    }

    fn plain(code: KeyCode) -> Input {
        key(code, KeyModifiers::NONE)
    }

    fn letters(text: &str) -> Vec<Input> {
        text.chars().map(|character| plain(KeyCode::Char(character))).collect()
    }

    fn decode(bytes: &[u8]) -> Vec<Input> {
        let mut decoder = Decoder::default();
        let inputs = decoder.feed(bytes);
        assert_eq!(decoder.patience(), None, "{bytes:?} is complete");
        inputs
    }

    #[test]
    fn keys() {
        use KeyCode::{
            BackTab, Backspace, Char, Delete, Down, End, Enter, F, Home, Left, PageDown, PageUp, Tab, Up,
        };
        let (control, alt, shift) = (KeyModifiers::CONTROL, KeyModifiers::ALT, KeyModifiers::SHIFT);
        let none = KeyModifiers::NONE;
        let table: &[(&[u8], KeyCode, KeyModifiers)] = &[
            (b"a", Char('a'), none),
            (b"G", Char('G'), shift),
            (b"/", Char('/'), none),
            (b" ", Char(' '), none),
            ("é".as_bytes(), Char('é'), none),
            ("漢".as_bytes(), Char('漢'), none),
            ("😀".as_bytes(), Char('😀'), none),
            (b"\r", Enter, none),
            (b"\n", Enter, none),
            (b"\t", Tab, none),
            (b"\x7f", Backspace, none),
            (b"\x08", Backspace, none),
            (b"\x03", Char('c'), control),
            (b"\x15", Char('u'), control),
            (b"\x1c", Char('4'), control),
            (b"\0", Char(' '), control),
            (b"\x1bx", Char('x'), alt),
            ("\u{1b}é".as_bytes(), Char('é'), alt),
            (b"\x1b\x03", Char('c'), alt | control),
            (b"\x1b[A", Up, none),
            (b"\x1bOB", Down, none),
            (b"\x1b[1;5D", Left, control),
            (b"\x1b[1;4H", Home, shift | alt),
            (b"\x1b[F", End, none),
            (b"\x1b[3~", Delete, none),
            (b"\x1b[5~", PageUp, none),
            (b"\x1b[6;2~", PageDown, shift),
            (b"\x1b[Z", BackTab, shift),
            (b"\x1bOM", Enter, none),
            (b"\x1bOP", F(1), none),
            (b"\x1b[1;2R", F(3), shift),
            (b"\x1b[[B", F(2), none),
            (b"\x1b[15~", F(5), none),
            (b"\x1b[17~", F(6), none),
            (b"\x1b[24~", F(12), none),
        ];
        for (bytes, code, modifiers) in table {
            let name = bytes.escape_ascii().to_string();
            assert_eq!(decode(bytes), [key(*code, *modifiers)], "{name}");
        }
    }

    #[test]
    fn the_mouse() {
        let none = KeyModifiers::NONE;
        let at = |kind, column, row, modifiers| [Input::Mouse(MouseEvent { kind, column, row, modifiers })];
        let left = MouseButton::Left;
        assert_eq!(decode(b"\x1b[<0;1;1M"), at(MouseEventKind::Down(left), 0, 0, none));
        assert_eq!(decode(b"\x1b[<0;300;20m"), at(MouseEventKind::Up(left), 299, 19, none));
        assert_eq!(decode(b"\x1b[<64;5;6M"), at(MouseEventKind::ScrollUp, 4, 5, none));
        assert_eq!(decode(b"\x1b[<81;5;6M"), at(MouseEventKind::ScrollDown, 4, 5, KeyModifiers::CONTROL));
        assert_eq!(decode(b"\x1b[<35;5;6M"), at(MouseEventKind::Moved, 4, 5, none));
        assert_eq!(decode(b"\x1b[M !\""), at(MouseEventKind::Down(left), 0, 1, none));
        assert_eq!(decode(b"\x1b[M#!!"), at(MouseEventKind::Up(left), 0, 0, none));
        assert_eq!(decode(b"\x1b[<0;0;99999M"), []);
    }

    #[test]
    fn what_is_unknown_is_dropped_whole() {
        for reply in [
            &b"\x1b[?62;22c"[..],
            b"\x1b[?2026;2$y",
            b"\x1b[>1;95;0c",
            b"\x1b[12;40R",
            b"\x1b[32;5;6M",
            b"\x1b[I",
            b"\x1b[99~",
            b"\x1bOy",
            b"\x1b]11;rgb:1111/2222/3333\x07",
            b"\x1b]52;c;eHkK\x1b\\",
            b"\x1bP>|xterm(390)\x1b\\",
            b"\x1b_Gi=1;OK\x1b\\",
            b"\xff\xfe\x80",
            b"\xed\xa0\x80",
        ] {
            assert_eq!(decode(reply), [], "{:?}", reply.escape_ascii().to_string());
        }
        let long = [b"\x1b[", &b"1;"[..].repeat(1_000)[..], b"Aq"].concat();
        assert_eq!(decode(&long).last(), Some(&plain(KeyCode::Char('q'))), "{} bytes", long.len());
        assert_eq!(decode(b"\xe6q"), letters("q"), "a character cut short does not take the next key");
        assert_eq!(decode(b"\x1b[1\x1b[B"), [plain(KeyCode::Down)], "nor does a sequence cut short");
    }

    #[test]
    fn a_paste_is_one_input_whatever_is_in_it() {
        assert_eq!(decode(b"\x1b[200~xy\r\x1b[A\x1b[201~q"), {
            let mut expected = vec![Input::Paste("xy\r\u{1b}[A".to_owned())];
            expected.extend(letters("q"));
            expected
        });
        assert_eq!(decode(b"\x1b[200~\x1b\x1b[201~"), [Input::Paste("\u{1b}".to_owned())]);
        assert_eq!(decode(b"\x1b[200~\x1b[20\x1b[201~"), [Input::Paste("\u{1b}[20".to_owned())]);
        let huge = [b"\x1b[200~", "x".repeat(PASTE_BYTES_MAX + 10).as_bytes(), PASTE_END].concat();
        assert_eq!(decode(&huge), [Input::Paste("x".repeat(PASTE_BYTES_MAX))]);
    }

    #[test]
    fn a_lone_beginning_becomes_a_key_in_time() {
        let alt = KeyModifiers::ALT;
        let table: &[(&[u8], Vec<Input>)] = &[
            (b"\x1b", vec![plain(KeyCode::Esc)]),
            (b"\x1b[", vec![key(KeyCode::Char('['), alt)]),
            (b"\x1bO", vec![key(KeyCode::Char('O'), alt | KeyModifiers::SHIFT)]),
            (b"\x1bP", vec![key(KeyCode::Char('P'), alt | KeyModifiers::SHIFT)]),
            (b"\x1b]", vec![key(KeyCode::Char(']'), alt)]),
            (b"\x1b[1;5", vec![]),
            (b"\x1b]11;rgb", vec![]),
            (b"\x1b[M!", vec![]),
            (b"\xe6\xbc", vec![]),
            (b"\x1b[200~half\x1b[2", vec![Input::Paste("half\u{1b}[2".to_owned())]),
        ];
        for (bytes, expected) in table {
            let mut decoder = Decoder::default();
            assert_eq!(decoder.feed(bytes), [], "{bytes:?}");
            assert!(decoder.patience().is_some(), "{bytes:?}");
            assert_eq!(decoder.expire(), *expected, "{bytes:?}");
            assert_eq!(decoder.feed(b"q"), letters("q"), "{bytes:?}");
        }
    }

    #[test]
    fn escape_and_what_is_typed_after_it_are_two_keys() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert_eq!(decoder.feed(b"x"), [plain(KeyCode::Esc), plain(KeyCode::Char('x'))]);
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert_eq!(decoder.feed(b"[A"), [plain(KeyCode::Up)], "a sequence may be cut there on a slow line");
        assert_eq!(decoder.feed(b"\x1b\x1b"), [plain(KeyCode::Esc)]);
        assert_eq!(decoder.expire(), [plain(KeyCode::Esc)]);
        assert_eq!(decoder.expire(), []);
    }

    /// Bytes that often are, or nearly are, sequences.
    fn terminal_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            prop::sample::select(vec![
                &b"\x1b"[..],
                b"\x1b[",
                b"\x1bO",
                b"\x1b[<0;3;",
                b"\x1b[200~",
                b"\x1b[201~",
                b"\x1b[M",
                b"\x1b]",
                b"\x1b\\",
                b"1;5",
                b"A",
                "é漢".as_bytes(),
            ])
            .prop_map(<[u8]>::to_vec),
        ];
        prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_cutting_gives_the_same(
            bytes in terminal_bytes(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        ) {
            let mut whole = Decoder::default();
            let expected = whole.feed(&bytes);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            // Between ESC and a character is the one place where it matters.
            cuts.retain(|cut| *cut == 0 || bytes[cut - 1] != ESC);
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut pieces = Decoder::default();
            let seen: Vec<_> =
                cuts.windows(2).flat_map(|ends| pieces.feed(&bytes[ends[0]..ends[1]])).collect();
            prop_assert_eq!(&seen, &expected);
            prop_assert_eq!(pieces.expire(), whole.expire());
            prop_assert_eq!(whole.patience(), None);
        }

        #[test]
        fn no_bytes_panic_and_silence_ends_everything(pieces in prop::collection::vec(terminal_bytes(), 0..6)) {
            let mut decoder = Decoder::default();
            for piece in pieces {
                decoder.feed(&piece);
            }
            decoder.expire();
            prop_assert_eq!(decoder.patience(), None);
        }
    }
}
