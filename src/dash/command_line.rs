//! The `:` line: verbs are typed with completion (Tab) and history (Up, Down).

use crossterm::event::{KeyCode, KeyEvent};

use super::picture::Picture;
use super::text_input::TextInput;
use crate::model::snapshot::{ConnId, Phase};
use crate::model::verbs::VERBS;

/// Lines remembered.
const HISTORY_MAX: usize = 100;
/// Completions offered at a time.
const OFFERS_MAX: usize = 64;

/// What the dashboard itself understands besides the verbs.
pub(crate) const OWN_WORDS: [&str; 3] = ["help", "q", "quit"];

/// The line while it is typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandLine {
    /// What is typed.
    pub(crate) input: TextInput,
    /// How far back in history, 0 for the line of one's own.
    back: usize,
    draft: String,
    offers: Option<Offers>,
}

/// Who can be named in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct People<'a> {
    /// Who is connected.
    pub(crate) picture: &'a Picture,
    /// Whom the table has selected.
    pub(crate) selected: Option<ConnId>,
}

/// Completions that Tab goes through.
#[derive(Clone, Debug)]
struct Offers {
    stem: String,
    words: Vec<String>,
    at: usize,
}

/// The lines entered so far, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct LineHistory(Vec<String>);

impl LineHistory {
    /// Remembers a line, unless it is the last one again.
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
    pub(crate) fn handle_key(&mut self, key: KeyEvent, history: &LineHistory, people: People<'_>) {
        match key.code {
            KeyCode::Up => self.recall(self.back + 1, history),
            KeyCode::Down => self.recall(self.back.saturating_sub(1), history),
            KeyCode::Tab => self.complete(true, people),
            KeyCode::BackTab => self.complete(false, people),
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

    fn complete(&mut self, forward: bool, people: People<'_>) {
        let mut offers = self.offers.take().map_or_else(
            || {
                let stem = self.input.before_cursor().to_owned();
                Offers { words: completions(&stem, people), stem, at: usize::MAX }
            },
            |mut offers| {
                // From the line of one's own, before the first offer, either way leads into the offers.
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

    /// The completions that Tab goes through, and which of them stands in the line.
    pub(crate) fn offers(&self) -> Option<(&[String], usize)> {
        self.offers.as_ref().map(|offers| (offers.words.as_slice(), offers.at))
    }

    /// What the verb under way expects, and what it does.
    pub(crate) fn usage(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let first = self.input.text().split_whitespace().next()?;
        VERBS.into_iter().find(|(verb, ..)| verb.eq_ignore_ascii_case(first))
    }
}

/// The words that can stand where `stem` ends.
fn completions(stem: &str, who: People<'_>) -> Vec<String> {
    let mut words: Vec<&str> = stem.split(' ').collect();
    let begun = words.pop().unwrap_or("");
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let all = match words.as_slice() {
        [] => VERBS.iter().map(|(verb, ..)| *verb).chain(OWN_WORDS).map(str::to_owned).collect(),
        [verb] if takes_who(verb) => people(who, begun),
        ["shutdown", _] => ["read", "write", "both"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    };
    let fits = |word: &String| word.get(..begun.len()).is_some_and(|head| head.eq_ignore_ascii_case(begun));
    all.into_iter().filter(fits).take(OFFERS_MAX).collect()
}

fn takes_who(verb: &str) -> bool {
    VERBS.iter().any(|(name, arguments, _)| *name == verb && arguments.starts_with("WHO"))
}

/// Nicks, or ids where one has begun with a sign or a digit; whom the table has selected comes first.
fn people(who: People<'_>, begun: &str) -> Vec<String> {
    let mut words = all_people(who.picture, begun);
    let word = who.selected.and_then(|id| who.picture.living(id)).map(|row| match row.nick {
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

fn all_people(picture: &Picture, begun: &str) -> Vec<String> {
    let living = picture.rows().iter().filter(|row| row.state != Phase::Gone);
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
