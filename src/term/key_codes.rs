//! The meaning of the numbers and letters in a terminal's sequences: keys, modifiers, buttons. `input` finds where
//! sequences begin and end.
//!
//! Sources: xterm's ctlseqs ("PC-Style Function Keys", "Mouse Tracking", modifyOtherKeys) and the kitty keyboard
//! protocol.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEventKind};

/// A number of a sequence and up to two more after colons; a missing one is 0.
pub(crate) type Parameter = [u32; 3];

/// Decimal numbers between semicolons; `None` for anything else, as in private sequences.
pub(crate) fn parameters(bytes: &[u8]) -> Option<Vec<Parameter>> {
    let number = |digits: &[u8]| match digits {
        [] => Some(0),
        _ => std::str::from_utf8(digits).ok()?.parse().ok(),
    };
    let parameter = |part: &[u8]| {
        let mut parameter = Parameter::default();
        for (place, digits) in parameter.iter_mut().zip(part.split(|byte| *byte == b':')) {
            *place = number(digits)?;
        }
        Some(parameter)
    };
    bytes.split(|byte| *byte == b';').map(parameter).collect()
}

/// 1 more than a set of bits: 1 Shift, 2 Alt, 4 Control. `None` with a modifier that no binding can name: 8 Super,
/// 16 Hyper, 32 Meta.
pub(crate) fn key_modifiers([number, ..]: Parameter) -> Option<KeyModifiers> {
    let bits = held_bits(number);
    (bits & 0b11_1000 == 0).then(|| modifiers(bits, [1, 2, 4]))
}

/// The lock keys are among the modifiers of `CSI u`.
const CAPS_LOCK: u16 = 64;

fn held_bits(number: u32) -> u16 {
    u16::try_from(number.saturating_sub(1)).unwrap_or(u16::MAX)
}

/// Whether the key was let go (the kitty keyboard protocol, "Event types").
pub(crate) const fn is_release([_, event, _]: Parameter) -> bool {
    event == 3
}

/// The key of `CSI code : shifted ; modifiers u` and of xterm's modifyOtherKeys, in its form without them.
pub(crate) fn coded_key([code, shifted, _]: Parameter, held: Parameter) -> Option<(KeyCode, KeyModifiers)> {
    let modifiers = key_modifiers(held)?;
    if let Some(code) = keypad_key(code) {
        return Some((code, modifiers));
    }
    let is_shifted = modifiers.contains(KeyModifiers::SHIFT);
    match code {
        8 | 127 => return Some((KeyCode::Backspace, modifiers)),
        9 if is_shifted => return Some((KeyCode::BackTab, modifiers)),
        9 => return Some((KeyCode::Tab, modifiers)),
        13 => return Some((KeyCode::Enter, modifiers)),
        27 => return Some((KeyCode::Esc, modifiers)),
        _ => {}
    }
    let character = char::from_u32(code).filter(|c| !c.is_control() && !is_private(*c))?;
    if modifiers.contains(KeyModifiers::CONTROL) {
        let plain = modifiers - KeyModifiers::CONTROL;
        return Some(match character {
            '[' => (KeyCode::Esc, plain),
            'h' => (KeyCode::Backspace, plain),
            'i' => (KeyCode::Tab, plain),
            'j' | 'm' => (KeyCode::Enter, plain),
            _ => (KeyCode::Char(character), modifiers),
        });
    }
    let is_capital = is_shifted != (held_bits(held[0]) & CAPS_LOCK != 0 && character.is_alphabetic());
    let character = match char::from_u32(shifted).filter(|c| is_shifted && !c.is_control()) {
        Some(shifted) => shifted,
        None if is_capital => character.to_uppercase().next().unwrap_or(character),
        None => character,
    };
    let shift = if character.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    Some((KeyCode::Char(character), (modifiers - KeyModifiers::SHIFT) | shift))
}

/// Keys without a character have numbers in the private use area; those of the keypad are decoded.
fn keypad_key(code: u32) -> Option<KeyCode> {
    Some(match code {
        57_399..=57_408 => KeyCode::Char(char::from_digit(code - 57_399, 10)?),
        57_414 => KeyCode::Enter,
        57_417 => KeyCode::Left,
        57_418 => KeyCode::Right,
        57_419 => KeyCode::Up,
        57_420 => KeyCode::Down,
        57_421 => KeyCode::PageUp,
        57_422 => KeyCode::PageDown,
        57_423 => KeyCode::Home,
        57_424 => KeyCode::End,
        57_425 => KeyCode::Insert,
        57_426 => KeyCode::Delete,
        _ => return None,
    })
}

const fn is_private(c: char) -> bool {
    matches!(c, '\u{E000}'..='\u{F8FF}')
}

/// Among the bits of a button: 4 Shift, 8 Alt, 16 Control.
pub(crate) fn mouse_modifiers(bits: u16) -> KeyModifiers {
    modifiers(bits, [4, 8, 16])
}

fn modifiers(bits: u16, [shift, alt, control]: [u16; 3]) -> KeyModifiers {
    [(shift, KeyModifiers::SHIFT), (alt, KeyModifiers::ALT), (control, KeyModifiers::CONTROL)]
        .into_iter()
        .filter(|(bit, _)| bits & bit != 0)
        .fold(KeyModifiers::NONE, |held, (_, modifier)| held | modifier)
}

/// The key that the last byte of a sequence names, with or without modifiers before it.
pub(crate) const fn letter_key(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P'..=b'S' => KeyCode::F(last - b'P' + 1),
        b'Z' => KeyCode::BackTab,
        _ => return None,
    })
}

/// The number before `~`.
pub(crate) fn numbered_key(number: u32) -> Option<KeyCode> {
    let function = |offset: u32| u8::try_from(number - offset).ok().map(KeyCode::F);
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        11..=15 => function(10),
        17..=21 => function(11),
        23..=26 => function(12),
        _ => None,
    }
}

/// Bits 0 and 1 the button, 32 motion, 64 the wheel, 128 further buttons.
pub(crate) const fn mouse_kind(bits: u16, released: bool) -> Option<MouseEventKind> {
    let button = match bits & 3 {
        0 => Some(MouseButton::Left),
        1 => Some(MouseButton::Middle),
        2 => Some(MouseButton::Right),
        _ => None,
    };
    match (bits & 0b1110_0000, button, released) {
        (0, Some(button), false) => Some(MouseEventKind::Down(button)),
        (0 | 32, Some(button), true) => Some(MouseEventKind::Up(button)),
        (32, Some(button), false) => Some(MouseEventKind::Drag(button)),
        (32, None, _) => Some(MouseEventKind::Moved),
        (64, Some(MouseButton::Left), false) => Some(MouseEventKind::ScrollUp),
        (64, Some(MouseButton::Middle), false) => Some(MouseEventKind::ScrollDown),
        (64, Some(MouseButton::Right), false) => Some(MouseEventKind::ScrollLeft),
        (64, None, false) => Some(MouseEventKind::ScrollRight),
        _ => None,
    }
}
