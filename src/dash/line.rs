//! Lines that are typed: editing keys as in a shell, and the `:` line with completion (Tab) and history (Up, Down).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};
use unicode_segmentation::UnicodeSegmentation;

use super::measure;
use super::model::Model;
use crate::model::snapshot::{ConnId, Phase};
use crate::model::verbs::VERBS;

/// The longest line that can be typed, in characters.
pub(crate) const CHARS_MAX: usize = 1_024;

/// A line with a cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextInput(Input);

impl TextInput {
    /// A line with this text; the cursor is at its end.
    pub(crate) fn of(text: &str) -> Self {
        Self(Input::new(text.chars().take(CHARS_MAX).collect()))
    }

    pub(crate) fn text(&self) -> &str {
        self.0.value()
    }

    /// The text before the cursor.
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

    /// The part of the line that fits into `cells` cells with the cursor among them, and the cursor's cell in it.
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

/// The edit that a key makes.
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

/// Lines remembered.
const HISTORY_MAX: usize = 100;
/// Completions offered at a time.
const OFFERS_MAX: usize = 64;

/// Commands of the dashboard itself, besides the verbs.
pub(crate) const LOCAL_COMMANDS: [&str; 3] = ["help", "q", "quit"];

/// The `:` line.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandLine {
    pub(crate) input: TextInput,
    /// The position in history, counted back; 0 is the line that was being typed.
    back: usize,
    draft: String,
    offers: Option<Completions>,
}

/// Connections that a line can name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidates<'a> {
    pub(crate) model: &'a Model,
    /// The selected connection.
    pub(crate) selected: Option<ConnId>,
}

/// Completions that Tab goes through.
#[derive(Clone, Debug)]
struct Completions {
    stem: String,
    words: Vec<String>,
    at: usize,
}

/// The lines entered so far, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct LineHistory(Vec<String>);

impl LineHistory {
    /// Adds a line, unless it repeats the last one.
    pub(crate) fn remember(&mut self, line: &str) {
        if line.is_empty() || self.0.last().is_some_and(|last| last == line) {
            return;
        }
        if self.0.len() == HISTORY_MAX {
            self.0.remove(0);
        }
        self.0.push(line.to_owned());
    }

    fn back(&self, lines: usize) -> Option<&str> {
        self.0.len().checked_sub(lines).and_then(|at| self.0.get(at)).map(String::as_str)
    }
}

impl CommandLine {
    /// Edits the line, goes through history or completes. Enter and Esc are the caller's.
    pub(crate) fn handle_key(&mut self, key: KeyEvent, history: &LineHistory, candidates: Candidates<'_>) {
        match key.code {
            KeyCode::Up => self.recall(self.back + 1, history),
            KeyCode::Down => self.recall(self.back.saturating_sub(1), history),
            KeyCode::Tab => self.complete(true, candidates),
            KeyCode::BackTab => self.complete(false, candidates),
            _ => {
                self.input.handle_key(key);
                self.offers = None;
            }
        }
    }

    fn recall(&mut self, back: usize, history: &LineHistory) {
        if self.back == 0 {
            self.input.text().clone_into(&mut self.draft);
        }
        let line = if back == 0 { Some(self.draft.as_str()) } else { history.back(back) };
        if let Some(line) = line {
            self.input = TextInput::of(line);
            self.back = back;
            self.offers = None;
        }
    }

    fn complete(&mut self, forward: bool, candidates: Candidates<'_>) {
        let mut offers = self.offers.take().map_or_else(
            || {
                let stem = self.input.before_cursor().to_owned();
                Completions { words: completions(&stem, candidates), stem, at: usize::MAX }
            },
            |mut offers| {
                // Before the first completion both directions lead to a completion.
                offers.at = if forward { offers.at.wrapping_add(1) } else { offers.at.wrapping_sub(1) };
                offers
            },
        );
        let count = offers.words.len();
        if count == 0 {
            return;
        }
        if offers.at >= count {
            offers.at = if forward || offers.at == count { 0 } else { count - 1 };
        }
        let kept = offers.stem.rfind(' ').map_or(0, |space| space + 1);
        let word = &offers.words[offers.at];
        let space = if count == 1 { " " } else { "" };
        self.input = TextInput::of(&format!("{}{word}{space}", &offers.stem[..kept]));
        self.offers = (count > 1).then_some(offers);
    }

    /// The completions that Tab goes through, and the index of the one in the line.
    pub(crate) fn offers(&self) -> Option<(&[String], usize)> {
        self.offers.as_ref().map(|offers| (offers.words.as_slice(), offers.at))
    }

    /// The arguments and the meaning of the typed verb.
    pub(crate) fn usage(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let first = self.input.text().split_whitespace().next()?;
        VERBS.into_iter().find(|(verb, ..)| verb.eq_ignore_ascii_case(first))
    }
}

/// The words that can complete `stem`.
fn completions(stem: &str, who: Candidates<'_>) -> Vec<String> {
    let mut words: Vec<&str> = stem.split(' ').collect();
    let begun = words.pop().unwrap_or("");
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let all = match words.as_slice() {
        [] => VERBS.iter().map(|(verb, ..)| *verb).chain(LOCAL_COMMANDS).map(str::to_owned).collect(),
        [verb] if takes_target(verb) => candidates(who, begun),
        ["shutdown", _] => ["read", "write", "both"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    };
    let fits = |word: &String| word.get(..begun.len()).is_some_and(|head| head.eq_ignore_ascii_case(begun));
    all.into_iter().filter(fits).take(OFFERS_MAX).collect()
}

fn takes_target(verb: &str) -> bool {
    VERBS.iter().any(|(name, arguments, _)| *name == verb && arguments.starts_with("WHO"))
}

/// Nicks, or ids when the word begins with `#` or a digit. The selected connection comes first.
fn candidates(who: Candidates<'_>, begun: &str) -> Vec<String> {
    let mut words = all_candidates(who.model, begun);
    let word = who.selected.and_then(|id| who.model.live_row(id)).map(|row| match row.nick {
        _ if begun.starts_with(|c: char| c.is_ascii_digit()) => row.id.get().to_string(),
        Some(nick) if !begun.starts_with('#') => nick.to_string(),
        _ => row.id.to_string(),
    });
    if let Some(word) = word {
        words.retain(|other| *other != word);
        words.insert(0, word);
    }
    words
}

fn all_candidates(model: &Model, begun: &str) -> Vec<String> {
    let living = model.rows().iter().filter(|row| row.state != Phase::Gone);
    if begun.starts_with('#') {
        living.map(|row| row.id.to_string()).collect()
    } else if begun.starts_with(|c: char| c.is_ascii_digit()) {
        living.map(|row| row.id.get().to_string()).collect()
    } else {
        let mut nicks: Vec<String> = living.filter_map(|row| row.nick).map(|nick| nick.to_string()).collect();
        nicks.sort_unstable_by_key(|nick| nick.to_ascii_lowercase());
        nicks
    }
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
    fn a_line_has_the_editing_keys_of_a_shell() {
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
    fn a_line_has_a_maximum_length() {
        let mut input = TextInput::of(&"x".repeat(CHARS_MAX + 9));
        input.handle_key(KeyEvent::from(KeyCode::Char('y')));
        assert_eq!(input.text().len(), CHARS_MAX);
    }

    #[test]
    fn the_cursor_is_always_visible() {
        assert_eq!(typed("abc").visible(10), ("abc".to_owned(), 3));
        assert_eq!(typed("abcdef").visible(4), ("def".to_owned(), 3));
        assert_eq!(typed("日本語").visible(4).1, 2);
        let mut input = typed("abcdef");
        control(&mut input, 'a');
        assert_eq!(input.visible(4), ("abcd".to_owned(), 0));
        assert_eq!(TextInput::default().visible(0), (String::new(), 0));
    }
}
