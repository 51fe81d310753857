//! Decodes the bytes of a terminal: keys, mouse and pastes, as the types of [`crossterm::event`].
//!
//! The decoder is our own because the parsers of two crates fail its tests. `termina`'s sans-IO `Parser` (0.4.0) makes
//! keys of APC, PM and SOS strings and of the end of a sequence that another one interrupts (`ESC [ 1 ESC [ B` gives
//! `B`); after an unknown sequence with `?` or `>` it drops later keys. crossterm's reader reads a descriptor that
//! blocks: half a sequence stops the thread until the next key, and after a hang-up it spins.
//!
//! The decoder is pure: bytes and moments in, inputs out. The same bytes give the same inputs however they are split,
//! with one exception: ESC and a character are Alt and that character only if they arrive together, as terminals send
//! them. An unknown sequence is dropped whole, also when its bytes arrive late, so that no part of it becomes a key.
//! Between the start of a bracketed paste and its end no byte is a key, however late the end arrives.
//!
//! `key_codes` has the meaning of the codes.
//!
//! Sources: ECMA-48 5.4 (control sequences); xterm's ctlseqs ("PC-Style Function Keys", "Mouse Tracking",
//! "Bracketed Paste Mode"); the kitty keyboard protocol (`CSI u`).

use std::mem;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent};

use super::key_codes::{
    Parameter, coded_key, is_release, key_modifiers, letter_key, mouse_kind, mouse_modifiers, numbered_key,
    parameters,
};
use crate::time::Moment;

/// The longest sequence that is decoded; a longer one is dropped whole.
const SEQUENCE_BYTES_MAX: usize = 64;

/// Bytes of one paste that are kept; the rest is dropped.
pub const PASTE_BYTES_MAX: usize = 64 * 1024;

/// ESC without a byte after it for this time is the Escape key.
const ESCAPE_TIMEOUT: Duration = Duration::from_millis(50);

/// A sequence that is not complete this long after its last byte is dropped. Slow lines split sequences by 100 ms and
/// more, and bytes after the timeout would be keys, so it is long. Its price: the key after an accidental Alt-[ is
/// lost.
const SEQUENCE_TIMEOUT: Duration = Duration::from_secs(5);

/// After this silence within a paste the operator is told how to end it.
const PASTE_TIMEOUT: Duration = Duration::from_secs(2);

/// Ctrl-C this many times, each alone in its read, ends a stalled paste: a terminal that never sends the end must not
/// lock the keyboard, and no paste looks like that.
const PASTE_INTERRUPTS: u8 = 3;

/// A key is [`Typed::Alone`] only if no byte arrived for this time before it.
pub const ANSWER_GAP: Duration = Duration::from_millis(100);

const ESC: u8 = 0x1B;
const BEL: u8 = 0x07;
const ETX: u8 = 0x03;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1A;
const PASTE_END: &[u8] = b"\x1b[201~";

/// One input of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent, Typed),
    /// The mouse was clicked or its wheel turned; columns and rows count from 0.
    Mouse(MouseEvent),
    /// Text was pasted (bracketed paste); not scrubbed.
    Paste(String),
    /// A paste began, and neither its end nor another byte arrived for `PASTE_TIMEOUT`.
    PasteStalled,
}

/// How a key arrived. Keys in a burst are a paste without brackets, or were typed ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Typed {
    /// Alone in its read, and no byte arrived in the [`ANSWER_GAP`] before.
    Alone,
    /// With other bytes, or soon after some.
    #[default]
    Burst,
}

/// Where in a sequence the bytes so far end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between two inputs.
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC, which was the last byte of its read.
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
    /// In a string (OSC, DCS, APC, PM, SOS); whether its last byte was ESC.
    Text { escaped: bool },
    /// In a paste. The last bytes may be the beginning of its end.
    Paste { text: Vec<u8>, tail: Vec<u8>, stalled: bool, interrupts: u8 },
}

/// Turns bytes into inputs.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    inputs: Vec<Input>,
    /// When bytes last arrived.
    fed_at: Option<Moment>,
    /// How the keys of the last read arrived; also for a lone ESC, which becomes a key later.
    typed: Typed,
    /// ESC became the Escape key; the next bytes may still be the rest of its sequence.
    escape_was_key: bool,
    /// The present sequence follows such an ESC and is dropped.
    drops_sequence: bool,
}

impl Decoder {
    /// Takes the bytes of one read and returns the inputs that they complete, in order.
    pub fn feed(&mut self, bytes: &[u8], now: Moment) -> Vec<Input> {
        if self.interrupts_paste(bytes) {
            self.fed_at = Some(now);
            return Vec::new();
        }
        let was_between = self.state == State::Ground;
        let was_quiet = self.fed_at.is_none_or(|at| at + ANSWER_GAP <= now);
        if self.fed_at.is_some_and(|at| at + SEQUENCE_TIMEOUT <= now) {
            self.escape_was_key = false;
        }
        self.fed_at = Some(now);
        let mut begun = 0;
        for byte in bytes {
            begun += usize::from(self.begins_input(*byte));
            self.take(*byte);
        }
        if self.state == State::Escape {
            self.state = State::LoneEscape;
        }
        // Dropped bytes count as well: the read was more than one key press.
        let is_one = match self.state {
            State::Ground => begun == 1 && self.inputs.len() == 1,
            State::LoneEscape => begun == 1 && self.inputs.is_empty(),
            _ => false,
        };
        // An incomplete character is dropped where the next one begins.
        let is_whole = std::str::from_utf8(bytes).is_ok();
        let is_alone = was_between && was_quiet && is_one && is_whole;
        self.typed = if is_alone { Typed::Alone } else { Typed::Burst };
        self.take_inputs()
    }

    /// When [`Decoder::expire`] is due if no more bytes arrive.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let patience = match self.state {
            State::Ground | State::Paste { stalled: true, .. } => return None,
            State::Paste { .. } => PASTE_TIMEOUT,
            State::LoneEscape => ESCAPE_TIMEOUT,
            _ => SEQUENCE_TIMEOUT,
        };
        self.fed_at.map(|at| at + patience)
    }

    /// Handles a timeout: a lone ESC becomes a key, an unfinished sequence is dropped.
    pub fn expire(&mut self, now: Moment) -> Vec<Input> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        self.drops_sequence = false;
        match mem::take(&mut self.state) {
            State::LoneEscape => {
                self.key(KeyCode::Esc, KeyModifiers::NONE);
                self.escape_was_key = true;
            }
            State::Paste { text, tail, interrupts, .. } => {
                self.inputs.push(Input::PasteStalled);
                self.state = State::Paste { text, tail, stalled: true, interrupts };
            }
            _ => {}
        }
        self.take_inputs()
    }

    /// Whether this byte begins an input: between two inputs any byte does, and within a sequence an ESC that interrupts
    /// it.
    fn begins_input(&self, byte: u8) -> bool {
        match self.state {
            State::Ground => true,
            State::Escape | State::LoneEscape | State::Paste { .. } => false,
            _ => byte == ESC,
        }
    }

    fn take_inputs(&mut self) -> Vec<Input> {
        let mut inputs = mem::take(&mut self.inputs);
        for input in &mut inputs {
            if let Input::Key(_, typed) = input {
                *typed = self.typed;
            }
        }
        inputs
    }

    /// Whether these bytes are a Ctrl-C for a stalled paste; the last of them ends it.
    fn interrupts_paste(&mut self, bytes: &[u8]) -> bool {
        let State::Paste { stalled: true, interrupts, .. } = &mut self.state else { return false };
        if bytes != [ETX] {
            *interrupts = 0;
            return false;
        }
        *interrupts += 1;
        if *interrupts == PASTE_INTERRUPTS {
            self.state = State::Ground;
        }
        true
    }

    fn take(&mut self, byte: u8) {
        let escape_was_key = mem::take(&mut self.escape_was_key);
        self.state = match mem::take(&mut self.state) {
            State::Ground if escape_was_key && matches!(byte, b'[' | b'O') => {
                self.drops_sequence = true;
                self.escape(byte)
            }
            State::Ground => self.ground(byte, KeyModifiers::NONE),
            State::Escape => self.escape(byte),
            State::LoneEscape => self.lone_escape(byte),
            State::Ss3 => self.ss3(byte),
            State::Csi(bytes) => self.csi(bytes, byte),
            State::LinuxFunction => self.linux_function(byte),
            State::Mouse(report) => self.x10_mouse(report, byte),
            State::Utf8 { bytes, expected, modifiers } => self.utf8(bytes, expected, modifiers, byte),
            State::Text { escaped } => self.text(escaped, byte),
            State::Paste { text, tail, stalled, interrupts } => {
                self.pasted(text, tail, byte, (stalled, interrupts))
            }
        };
        if self.state == State::Ground {
            self.drops_sequence = false;
        }
    }

    fn ground(&mut self, byte: u8, modifiers: KeyModifiers) -> State {
        let control = modifiers | KeyModifiers::CONTROL;
        match byte {
            ESC => return State::Escape,
            // In raw mode Enter is CR. LF comes from scripts and from Ctrl-J, which means the same.
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
            b']' | b'P' | b'X' | b'^' | b'_' => State::Text { escaped: false },
            _ => self.ground(byte, KeyModifiers::ALT),
        }
    }

    /// The rest of a sequence, or a key after the Escape key. `X` is a key here: it is bound, and no terminal sends
    /// SOS.
    fn lone_escape(&mut self, byte: u8) -> State {
        match byte {
            b'[' | b'O' | b']' | b'P' | b'^' | b'_' => self.escape(byte),
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
    fn csi(&mut self, mut bytes: Vec<u8>, byte: u8) -> State {
        match byte {
            ESC => State::Escape,
            b'[' if bytes.is_empty() => State::LinuxFunction,
            b'M' if bytes.is_empty() => State::Mouse(Vec::new()),
            0x20..=0x3F => {
                if bytes.len() <= SEQUENCE_BYTES_MAX {
                    bytes.push(byte);
                }
                State::Csi(bytes)
            }
            0x40..=0x7E if bytes.len() > SEQUENCE_BYTES_MAX => State::Ground,
            0x40..=0x7E => self.sequence(&bytes, byte),
            _ => State::Ground,
        }
    }

    fn sequence(&mut self, bytes: &[u8], last: u8) -> State {
        if let Some(report) = bytes.strip_prefix(b"<") {
            self.sgr_mouse(report, last);
            return State::Ground;
        }
        let Some(parameters) = parameters(bytes) else { return State::Ground };
        let at = |index: usize| parameters.get(index).copied().unwrap_or_default();
        let ([first, ..], held) = (at(0), at(1));
        if (first, last) == (200, b'~') {
            return State::Paste { text: Vec::new(), tail: Vec::new(), stalled: false, interrupts: 0 };
        }
        match (first, last) {
            _ if is_release(held) => {}
            // xterm's modifyOtherKeys: CSI 27 ; modifiers ; code ~
            (27, b'~') => self.coded_key(at(2), held),
            (_, b'u') => self.coded_key(at(0), held),
            (_, b'~') => self.named_key(numbered_key(first), held),
            (0 | 1, _) => self.named_key(letter_key(last), held),
            // The answer to a question about the cursor looks like F3, but for its numbers.
            _ => {}
        }
        State::Ground
    }

    fn coded_key(&mut self, code: Parameter, held: Parameter) {
        if let Some((code, modifiers)) = coded_key(code, held) {
            self.key(code, modifiers);
        }
    }

    fn named_key(&mut self, code: Option<KeyCode>, held: Parameter) {
        match (code, key_modifiers(held)) {
            (Some(KeyCode::BackTab), Some(modifiers)) => {
                self.key(KeyCode::BackTab, modifiers | KeyModifiers::SHIFT);
            }
            (Some(code), Some(modifiers)) => self.key(code, modifiers),
            _ => {}
        }
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
        let small = |parameter: &Parameter| u16::try_from(parameter[0]).ok();
        let numbers: Option<Vec<u16>> =
            parameters(report).and_then(|parameters| parameters.iter().map(small).collect());
        if let Some([button, column, row]) = numbers.as_deref() {
            self.mouse(*button, released, *column, *row);
        }
    }

    /// `ESC [ M`, then button, column and row, each a byte with 32 added (mode 1000 alone).
    fn x10_mouse(&mut self, mut report: Vec<u8>, byte: u8) -> State {
        report.push(byte);
        let [button, column, row] = report[..] else { return State::Mouse(report) };
        let button = u16::from(button.saturating_sub(32));
        // Button 3 is a release; the report does not say of which button.
        let (button, released) = if button & 0b110_0011 == 3 { (button & !3, true) } else { (button, false) };
        self.mouse(button, released, column.saturating_sub(32).into(), row.saturating_sub(32).into());
        State::Ground
    }

    fn mouse(&mut self, bits: u16, released: bool, column: u16, row: u16) {
        let Some(kind) = mouse_kind(bits, released) else { return };
        let modifiers = mouse_modifiers(bits);
        let (column, row) = (column.saturating_sub(1), row.saturating_sub(1));
        if !self.drops_sequence {
            self.inputs.push(Input::Mouse(MouseEvent { kind, column, row, modifiers }));
        }
    }

    /// A string lasts until BEL or ESC \. Another sequence, CAN or SUB cancel it, and so does Ctrl-C, for an operator
    /// who has typed Alt-P or Alt-].
    fn text(&mut self, escaped: bool, byte: u8) -> State {
        match byte {
            BEL | ETX | CAN | SUB => State::Ground,
            b'\\' if escaped => State::Ground,
            ESC => State::Text { escaped: true },
            _ if escaped => self.escape(byte),
            _ => State::Text { escaped: false },
        }
    }

    fn pasted(&mut self, mut text: Vec<u8>, mut tail: Vec<u8>, byte: u8, kept: (bool, u8)) -> State {
        tail.push(byte);
        if tail == PASTE_END {
            self.inputs.push(Input::Paste(String::from_utf8_lossy(&text).into_owned()));
            return State::Ground;
        }
        if !PASTE_END.starts_with(&tail) {
            // Only ESC can begin the end, so the rest begins at the last ESC.
            let done = if byte == ESC { tail.len() - 1 } else { tail.len() };
            let room = PASTE_BYTES_MAX - text.len();
            text.extend(&tail[..done.min(room)]);
            tail.drain(..done);
        }
        let (stalled, interrupts) = kept;
        State::Paste { text, tail, stalled, interrupts }
    }

    /// Capitals have Shift, as in crossterm.
    fn character(&mut self, character: char, modifiers: KeyModifiers) {
        let shift = if character.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
        self.key(KeyCode::Char(character), modifiers | shift);
    }

    fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        if !self.drops_sequence {
            self.inputs.push(Input::Key(KeyEvent::new(code, modifiers), Typed::Burst));
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{MouseButton, MouseEventKind};
    use proptest::prelude::*;

    use super::*;

    /// Long enough after whatever was before.
    const QUIET: Moment = Moment::from_micros(100_000_000);

    fn ms(ms: u64) -> Moment {
        Moment::from_micros(ms * 1_000)
    }

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
        Input::Key(KeyEvent::new(code, modifiers), Typed::Burst)
    }

    fn plain(code: KeyCode) -> Input {
        key(code, KeyModifiers::NONE)
    }

    fn letters(text: &str) -> Vec<Input> {
        text.chars().map(|character| plain(KeyCode::Char(character))).collect()
    }

    /// Inputs without how they were typed.
    fn bare(inputs: Vec<Input>) -> Vec<Input> {
        let bare = |input| match input {
            Input::Key(key, _) => Input::Key(key, Typed::Burst),
            other => other,
        };
        inputs.into_iter().map(bare).collect()
    }

    fn decode(bytes: &[u8]) -> Vec<Input> {
        let mut decoder = Decoder::default();
        let inputs = decoder.feed(bytes, QUIET);
        assert_eq!(decoder.deadline(), None, "{bytes:?} is complete");
        bare(inputs)
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
    fn an_unknown_sequence_is_dropped_whole() {
        for reply in [
            &b"\x1b[?62;22c"[..],
            b"\x1b[?2026;2$y",
            b"\x1b[>1;95;0c",
            b"\x1b[12;40R",
            b"\x1b[32;5;6M",
            b"\x1b[I",
            b"\x1b[99~",
            b"\x1bOy",
            b"\x1b[?1;2x",
            b"\x1b[=1z",
            b"\x1b[5$~",
            b"\x1b[98765432109876~",
            b"\x1b^pm\x1b\\",
            b"\x1bXsos\x1b\\",
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
        assert_eq!(decode(&long), letters("q"), "{} bytes", long.len());
        assert_eq!(decode(b"\xe6q"), letters("q"), "a character cut short does not take the next key");
        assert_eq!(decode(b"\x1b[1\x1b[B"), [plain(KeyCode::Down)], "nor does a sequence cut short");
        assert_eq!(decode(b"\x1b]11;rgb\x1b[B"), [plain(KeyCode::Down)], "nor does a string");
        assert_eq!(decode(b"\x1b]11;rgb\x03q"), letters("q"), "which Ctrl-C ends");
    }

    #[test]
    fn a_paste_is_one_input() {
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
    fn keys_in_the_forms_of_csi_u_and_modify_other_keys() {
        use KeyCode::{BackTab, Char, Enter, Esc, Left, Tab};
        let (control, alt, shift) = (KeyModifiers::CONTROL, KeyModifiers::ALT, KeyModifiers::SHIFT);
        let none = KeyModifiers::NONE;
        let table: &[(&[u8], KeyCode, KeyModifiers)] = &[
            (b"\x1b[120u", Char('x'), none),
            (b"\x1b[120;1u", Char('x'), none),
            (b"\x1b[120;1:1u", Char('x'), none),
            (b"\x1b[120;1:2u", Char('x'), none),
            (b"\x1b[120:88;2u", Char('X'), shift),
            (b"\x1b[120;2u", Char('X'), shift),
            (b"\x1b[120;65u", Char('X'), shift),
            (b"\x1b[47:63;2u", Char('?'), none),
            (b"\x1b[1095:1063:120;2u", Char('Ч'), shift),
            (b"\x1b[99;5u", Char('c'), control),
            (b"\x1b[120;3u", Char('x'), alt),
            (b"\x1b[13u", Enter, none),
            (b"\x1b[27u", Esc, none),
            (b"\x1b[27;1;27~", Esc, none),
            (b"\x1b[91;5u", Esc, none),
            (b"\x1b[109;5u", Enter, none),
            (b"\x1b[9u", Tab, none),
            (b"\x1b[9;2u", BackTab, shift),
            (b"\x1b[27;2;9~", BackTab, shift),
            (b"\x1b[27;5;108~", Char('l'), control),
            (b"\x1b[27;5;122~", Char('z'), control),
            (b"\x1b[27;2;88~", Char('X'), shift),
            (b"\x1b[27;2;63~", Char('?'), none),
            (b"\x1b[57417u", Left, none),
            (b"\x1b[57402u", Char('3'), none),
        ];
        for (bytes, code, modifiers) in table {
            let name = bytes.escape_ascii().to_string();
            assert_eq!(decode(bytes), [key(*code, *modifiers)], "{name}");
        }
        for none in [
            &b"\x1b[120;1:3u"[..],
            b"\x1b[1;1:3A",
            b"\x1b[120;9u",
            b"\x1b[57441u",
            b"\x1b[27;5;~",
            b"\x1b[4294967295u",
        ] {
            assert_eq!(decode(none), [], "{:?}", none.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_lone_escape_becomes_a_key_and_an_unfinished_sequence_never_does() {
        let table: &[(&[u8], Vec<Input>)] = &[
            (b"\x1b", vec![plain(KeyCode::Esc)]),
            (b"\x1b[", vec![]),
            (b"\x1bO", vec![]),
            (b"\x1bP", vec![]),
            (b"\x1b]", vec![]),
            (b"\x1b[1;5", vec![]),
            (b"\x1b]11;rgb", vec![]),
            (b"\x1b[M!", vec![]),
            (b"\xe6\xbc", vec![]),
        ];
        for (bytes, expected) in table {
            let mut decoder = Decoder::default();
            assert_eq!(decoder.feed(bytes, QUIET), [], "{bytes:?}");
            assert_eq!(decoder.expire(QUIET), [], "{bytes:?}: too early");
            let deadline = decoder.deadline().expect("it waits");
            assert_eq!(bare(decoder.expire(deadline)), *expected, "{bytes:?}");
            assert_eq!(bare(decoder.feed(b"q", deadline)), letters("q"), "{bytes:?}");
        }
    }

    #[test]
    fn escape_and_a_later_key_are_two_keys() {
        let mut decoder = Decoder::default();
        let escape = plain(KeyCode::Esc);
        assert_eq!(decoder.feed(b"\x1b", ms(0)), []);
        assert_eq!(decoder.feed(b"x", ms(20)), [escape.clone(), plain(KeyCode::Char('x'))]);
        assert_eq!(decoder.feed(b"\x1b", ms(40)), []);
        assert_eq!(
            decoder.feed(b"[A", ms(60)),
            [plain(KeyCode::Up)],
            "a sequence may be cut there on a slow line"
        );
        assert_eq!(decoder.feed(b"\x1b\x1b", ms(80)), [plain(KeyCode::Esc)]);
        assert_eq!(decoder.expire(ms(130)), [escape]);
        assert_eq!(decoder.expire(ms(9_000)), []);
    }

    #[test]
    fn a_sequence_split_by_a_pause_never_leaks_its_tail() {
        for sequence in [
            &b"\x1b[B"[..],
            b"\x1bOB",
            b"\x1b[1;5B",
            b"\x1b[<0;3;4M",
            b"\x1b[120;1u",
            b"\x1b[M !!",
            "\u{e9}".as_bytes(),
        ] {
            for cut in 1..sequence.len() {
                for pause in [60, 100, 1_000, 4_000] {
                    let mut decoder = Decoder::default();
                    let mut inputs = decoder.feed(&sequence[..cut], ms(0));
                    for time in (0..pause).step_by(10) {
                        inputs.extend(decoder.expire(ms(time)));
                    }
                    inputs.extend(decoder.feed(&sequence[cut..], ms(pause)));
                    let whole = decode(sequence);
                    let escape = vec![plain(KeyCode::Esc)];
                    let inputs = bare(inputs);
                    assert!(
                        inputs == whole || inputs == escape,
                        "{sequence:?} cut at {cut} by {pause}: {inputs:?}"
                    );
                    assert_eq!(bare(decoder.feed(b"q", ms(pause + 200))), letters("q"));
                }
            }
        }
    }

    #[test]
    fn nothing_in_an_unfinished_paste_is_a_key() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b[200~hello pro", ms(0)), []);
        assert_eq!(decoder.expire(ms(1_999)), []);
        assert_eq!(decoder.expire(ms(2_000)), [Input::PasteStalled]);
        assert_eq!(decoder.expire(ms(60_000)), [], "said once");
        assert_eq!(decoder.feed(b"xy", ms(60_000)), []);
        assert_eq!(decoder.feed(b"\x1b", ms(61_000)), []);
        assert_eq!(decoder.expire(ms(62_000)), []);
        assert_eq!(decoder.feed(b"[201~", ms(62_000)), [Input::Paste("hello proxy".to_owned())]);
        assert_eq!(bare(decoder.feed(b"q", ms(63_000))), letters("q"));
    }

    #[test]
    fn ctrl_c_three_times_ends_a_stalled_paste() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~half", ms(0));
        for time in 1..10 {
            assert_eq!(decoder.feed(b"\x03", ms(time)), [], "it has not stalled");
        }
        decoder.expire(ms(3_000));
        for bytes in [&b"\x03"[..], b"\x03", b"y", b"\x03", b"\x03", b"\x03"] {
            assert_eq!(decoder.feed(bytes, ms(4_000)), []);
        }
        assert_eq!(bare(decoder.feed(b"q", ms(5_000))), letters("q"));
    }

    #[test]
    fn a_key_is_alone_without_bytes_beside_it_and_before_it() {
        let typed = |decoder: &mut Decoder, bytes: &[u8], at| match decoder.feed(bytes, ms(at)).as_slice() {
            [Input::Key(_, typed)] => *typed,
            other => panic!("{other:?}"),
        };
        let mut decoder = Decoder::default();
        assert_eq!(typed(&mut decoder, b"y", 0), Typed::Alone);
        assert_eq!(typed(&mut decoder, b"y", 99), Typed::Burst);
        assert_eq!(typed(&mut decoder, b"y", 199), Typed::Alone);
        assert_eq!(typed(&mut decoder, b"\x1b[121;1u", 400), Typed::Alone);
        assert_eq!(typed(&mut decoder, "н".as_bytes(), 550), Typed::Alone);
        assert_eq!(typed(&mut decoder, b"\xc2\xd0\xbd", 700), Typed::Burst, "half a character before it");
        for cut in [&b"\x1bP\x1b[121;1u"[..], b"\x1b[1\x1b[121;1u"] {
            let mut decoder = Decoder::default();
            assert_eq!(typed(&mut decoder, cut, 0), Typed::Burst, "an unfinished sequence before it");
        }
        let two = [Input::Key(KeyEvent::from(KeyCode::Char('y')), Typed::Burst), plain(KeyCode::Enter)];
        assert_eq!(decoder.feed(b"y\r", ms(800)), two);
        assert_eq!(decoder.feed(b"\xc3", ms(1_000)), []);
        assert_eq!(typed(&mut decoder, b"y", 2_000), Typed::Burst, "it ended a character that was cut");
        assert_eq!(decoder.feed(b"y\x80", ms(2_500)), letters("y"), "with a byte that means nothing");
        assert_eq!(decoder.feed(b"y\x1b", ms(3_000)), letters("y"));
        assert!(matches!(decoder.expire(ms(3_100)).as_slice(), [Input::Key(_, Typed::Burst)]));
        assert_eq!(decoder.feed(b"\x1b", ms(4_000)), []);
        assert!(matches!(decoder.expire(ms(4_100)).as_slice(), [Input::Key(_, Typed::Alone)]));
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
        fn every_split_gives_the_same_inputs(
            bytes in terminal_bytes(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        ) {
            let mut whole = Decoder::default();
            let expected = bare(whole.feed(&bytes, QUIET));
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            // Only a split between ESC and a character makes a difference.
            cuts.retain(|cut| *cut == 0 || bytes[cut - 1] != ESC);
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut pieces = Decoder::default();
            let seen: Vec<_> =
                cuts.windows(2).flat_map(|ends| pieces.feed(&bytes[ends[0]..ends[1]], QUIET)).collect();
            prop_assert_eq!(&bare(seen), &expected);
            let late = QUIET + SEQUENCE_TIMEOUT;
            prop_assert_eq!(bare(pieces.expire(late)), bare(whole.expire(late)));
            prop_assert_eq!(whole.deadline(), None);
        }

        #[test]
        fn any_bytes_are_accepted_and_every_state_times_out(pieces in prop::collection::vec(terminal_bytes(), 0..6)) {
            let mut decoder = Decoder::default();
            for piece in pieces {
                decoder.feed(&piece, QUIET);
            }
            decoder.expire(QUIET + SEQUENCE_TIMEOUT);
            prop_assert_eq!(decoder.deadline(), None);
        }
    }
}
