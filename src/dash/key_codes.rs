//! What the numbers and letters in a terminal's sequences mean: keys, modifiers, buttons. Where a sequence begins and
//! ends is not known here.
//!
//! Source: xterm's ctlseqs, "PC-Style Function Keys" and "Mouse Tracking".

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEventKind};

/// Decimal numbers between semicolons, an empty one being 0; `None` for anything else, as private sequences have.
pub(super) fn numbers(parameters: &[u8]) -> Option<Vec<u16>> {
    let number = |digits: &[u8]| match digits {
        [] => Some(0),
        _ => std::str::from_utf8(digits).ok()?.parse().ok(),
    };
    parameters.split(|byte| *byte == b';').map(number).collect()
}

/// 1 more than a set of bits: 1 Shift, 2 Alt, 4 Control.
pub(super) fn key_modifiers(number: u16) -> KeyModifiers {
    modifiers(number.saturating_sub(1), [1, 2, 4])
}

/// Among the bits of a button: 4 Shift, 8 Alt, 16 Control.
pub(super) fn mouse_modifiers(bits: u16) -> KeyModifiers {
    modifiers(bits, [4, 8, 16])
}

fn modifiers(bits: u16, [shift, alt, control]: [u16; 3]) -> KeyModifiers {
    [(shift, KeyModifiers::SHIFT), (alt, KeyModifiers::ALT), (control, KeyModifiers::CONTROL)]
        .into_iter()
        .filter(|(bit, _)| bits & bit != 0)
        .fold(KeyModifiers::NONE, |held, (_, modifier)| held | modifier)
}

/// The last byte of a sequence that names its key by it, with or without modifiers before it.
pub(super) const fn letter_key(last: u8) -> Option<KeyCode> {
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
pub(super) fn numbered_key(number: u16) -> Option<KeyCode> {
    let function = |offset: u16| u8::try_from(number - offset).ok().map(KeyCode::F);
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
pub(super) const fn mouse_kind(bits: u16, released: bool) -> Option<MouseEventKind> {
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
