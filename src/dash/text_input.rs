//! A line that is typed: editing keys as in a shell.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};
use unicode_segmentation::UnicodeSegmentation;

use super::measure;

/// The longest line that can be typed, in characters.
pub(crate) const CHARS_MAX: usize = 1_024;

/// One line under the cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextInput(Input);

impl TextInput {
    /// A line that holds this text, the cursor behind it.
    pub(crate) fn of(text: &str) -> Self {
        Self(Input::new(text.chars().take(CHARS_MAX).collect()))
    }

    /// What stands in the line.
    pub(crate) fn text(&self) -> &str {
        self.0.value()
    }

    /// What stands before the cursor.
    pub(crate) fn before_cursor(&self) -> &str {
        let text = self.0.value();
        let end = text.char_indices().nth(self.0.cursor()).map_or(text.len(), |(at, _)| at);
        &text[..end]
    }

    /// Whether a key edits a line.
    pub(crate) fn takes(key: KeyEvent) -> bool {
        request(key).is_some()
    }

    /// Edits the line. False for a key that does not edit.
    pub(crate) fn handle_key(&mut self, key: KeyEvent) -> bool {
        let Some(request) = request(key) else { return false };
        let is_full = self.0.value().chars().count() >= CHARS_MAX;
        if !(is_full && matches!(request, InputRequest::InsertChar(_) | InputRequest::Yank)) {
            self.0.handle(request);
        }
        true
    }

    /// The part of the line that `cells` cells can show with the cursor among them, and the cursor's cell in it.
    pub(crate) fn visible(&self, cells: usize) -> (String, usize) {
        let cells = cells.max(1);
        let cursor = measure::width(self.before_cursor());
        let skip = (cursor + 1).saturating_sub(cells);
        let mut kept = String::new();
        let (mut start, mut end, mut first) = (0, 0, None);
        for grapheme in self.0.value().graphemes(true) {
            let width = measure::width(grapheme);
            start += std::mem::replace(&mut end, width);
            if start < skip {
                continue;
            }
            if start + width - *first.get_or_insert(start) > cells {
                break;
            }
            kept.push_str(grapheme);
        }
        (kept, cursor.saturating_sub(first.unwrap_or(cursor)).min(cells - 1))
    }
}

/// What a key asks of the line.
fn request(key: KeyEvent) -> Option<InputRequest> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match (key.code, control, alt) {
        (KeyCode::Char('a'), true, false) | (KeyCode::Home, ..) => InputRequest::GoToStart,
        (KeyCode::Char('e'), true, false) | (KeyCode::End, ..) => InputRequest::GoToEnd,
        (KeyCode::Char('d'), true, false) | (KeyCode::Delete, ..) => InputRequest::DeleteNextChar,
        (KeyCode::Char('k'), true, false) => InputRequest::DeleteTillEnd,
        (KeyCode::Char('u'), true, false) => InputRequest::DeleteFromStart,
        (KeyCode::Char('y'), true, false) => InputRequest::Yank,
        (KeyCode::Char('w'), true, false) | (KeyCode::Backspace, false, true) => InputRequest::DeletePrevWord,
        (KeyCode::Char('b'), false, true) | (KeyCode::Left, true, _) => InputRequest::GoToPrevWord,
        (KeyCode::Char('f'), false, true) | (KeyCode::Right, true, _) => InputRequest::GoToNextWord,
        (KeyCode::Char('d'), false, true) => InputRequest::DeleteNextWord,
        (KeyCode::Char('h'), true, false) | (KeyCode::Backspace, ..) => InputRequest::DeletePrevChar,
        (KeyCode::Char('b'), true, false) | (KeyCode::Left, ..) => InputRequest::GoToPrevChar,
        (KeyCode::Char('f'), true, false) | (KeyCode::Right, ..) => InputRequest::GoToNextChar,
        (KeyCode::Char(c), false, false) if !c.is_control() => InputRequest::InsertChar(c),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TextInput {
        let mut input = TextInput::default();
        for c in text.chars() {
            assert!(input.handle_key(KeyEvent::from(KeyCode::Char(c))));
        }
        input
    }

    fn control(input: &mut TextInput, c: char) {
        assert!(input.handle_key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)));
    }

    #[test]
    fn it_edits_as_a_shell_does() {
        let mut input = typed("kick bob loud");
        control(&mut input, 'w');
        assert_eq!(input.text(), "kick bob ");
        control(&mut input, 'a');
        control(&mut input, 'k');
        assert_eq!(input.text(), "");
        assert!(!input.handle_key(KeyEvent::from(KeyCode::Enter)));
        assert!(!input.handle_key(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn it_is_bounded() {
        let mut input = TextInput::of(&"x".repeat(CHARS_MAX + 9));
        input.handle_key(KeyEvent::from(KeyCode::Char('y')));
        assert_eq!(input.text().len(), CHARS_MAX);
    }

    #[test]
    fn the_cursor_is_always_in_sight() {
        assert_eq!(typed("abc").visible(10), ("abc".to_owned(), 3));
        assert_eq!(typed("abcdef").visible(4), ("def".to_owned(), 3));
        assert_eq!(typed("日本語").visible(4).1, 2);
        let mut input = typed("abcdef");
        control(&mut input, 'a');
        assert_eq!(input.visible(4), ("abcd".to_owned(), 0));
        assert_eq!(TextInput::default().visible(0), (String::new(), 0));
    }
}
