//! Which key stands for which action: the built-in bindings, and those of `dashboard.keys` over them.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{ACTIONS, Action};

/// A `dashboard.keys` entry that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dashboard.keys: {0}")]
pub struct KeyBindingError(pub String);

/// A key with what is held down with it, in the one form in which keys are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Keys with a name, as written in the configuration and shown in help.
const NAMED: [(&str, KeyCode); 15] = [
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Down", KeyCode::Down),
    ("End", KeyCode::End),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Home", KeyCode::Home),
    ("Insert", KeyCode::Insert),
    ("Left", KeyCode::Left),
    ("PgDn", KeyCode::PageDown),
    ("PgUp", KeyCode::PageUp),
    ("Right", KeyCode::Right),
    ("Space", KeyCode::Char(' ')),
    ("Tab", KeyCode::Tab),
    ("Up", KeyCode::Up),
];

impl From<KeyEvent> for Chord {
    /// Terminals tell Shift with letters in more than one way; the letter alone says it.
    fn from(key: KeyEvent) -> Self {
        let mut modifiers = key.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match key.code {
            KeyCode::BackTab => {
                modifiers.insert(KeyModifiers::SHIFT);
                KeyCode::Tab
            }
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => {
                modifiers.remove(KeyModifiers::SHIFT);
                KeyCode::Char(c.to_ascii_lowercase())
            }
            KeyCode::Char(c) => {
                let shifted = modifiers.contains(KeyModifiers::SHIFT);
                modifiers.remove(KeyModifiers::SHIFT);
                KeyCode::Char(if shifted { c.to_ascii_uppercase() } else { c })
            }
            other => other,
        };
        Self { code, modifiers }
    }
}

impl FromStr for Chord {
    type Err = KeyBindingError;

    /// Takes `x`, `X`, `Ctrl-l`, `Alt-x`, `Shift-Tab`, `F5`, `Space`; names without case.
    fn from_str(text: &str) -> Result<Self, KeyBindingError> {
        let mut modifiers = KeyModifiers::NONE;
        let mut name = text;
        while let Some((prefix, rest)) =
            name.split_once('-').filter(|(prefix, rest)| !prefix.is_empty() && !rest.is_empty())
        {
            modifiers |= match prefix.to_ascii_lowercase().as_str() {
                "alt" => KeyModifiers::ALT,
                "ctrl" => KeyModifiers::CONTROL,
                "shift" => KeyModifiers::SHIFT,
                _ => return Err(no_key(text)),
            };
            name = rest;
        }
        let code = key_code(name).ok_or_else(|| no_key(text))?;
        Ok(Self::from(KeyEvent::new(code, modifiers)))
    }
}

fn key_code(name: &str) -> Option<KeyCode> {
    let mut chars = name.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return (!c.is_control()).then_some(KeyCode::Char(c));
    }
    let named = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, code)| *code);
    named.or_else(|| {
        let number = name.strip_prefix(['F', 'f'])?.parse::<u8>().ok()?;
        (1..=12).contains(&number).then_some(KeyCode::F(number))
    })
}

fn no_key(text: &str) -> KeyBindingError {
    let names = NAMED.map(|(name, _)| name).join(", ");
    KeyBindingError(format!(
        "{text:?} is no key: write one character, F1 to F12 or one of {names}, with Ctrl-, Alt- or Shift- before it"
    ))
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, prefix) in
            [(KeyModifiers::CONTROL, "Ctrl-"), (KeyModifiers::ALT, "Alt-"), (KeyModifiers::SHIFT, "Shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(prefix)?;
            }
        }
        match NAMED.iter().find(|(_, code)| *code == self.code) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.code),
        }
    }
}

/// The bindings in force.
#[derive(Clone, Debug)]
pub(crate) struct Keymap(Vec<(Chord, Action)>);

impl Keymap {
    /// The built-in bindings with these over them: `"x" = "kick"`, and `"x" = "none"` for a key that does nothing.
    ///
    /// Ctrl-c and Esc keep their meaning, so that there is always a way back and out.
    pub(crate) fn with(overrides: &[(String, String)]) -> Result<Self, KeyBindingError> {
        let mut bindings = Vec::new();
        for spec in &ACTIONS {
            for key in spec.keys {
                bindings.push((key.parse::<Chord>()?, spec.action));
            }
        }
        let mut keymap = Self(bindings);
        for (key, action) in overrides {
            keymap.bind(key, action)?;
        }
        Ok(keymap)
    }

    fn bind(&mut self, key: &str, action: &str) -> Result<(), KeyBindingError> {
        let chord = key.parse::<Chord>()?;
        if chord == Chord::from(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL))
            || chord == Chord::from(KeyEvent::from(KeyCode::Esc))
        {
            return Err(KeyBindingError(format!("{chord} keeps its meaning, so that there is a way out")));
        }
        self.0.retain(|(bound, _)| *bound != chord);
        if action == "none" {
            return Ok(());
        }
        let spec = ACTIONS.iter().find(|spec| spec.name == action).ok_or_else(|| {
            let names: Vec<&str> = ACTIONS.iter().map(|spec| spec.name).collect();
            KeyBindingError(format!(
                "{key:?} = {action:?}: no such action; there are none, {}",
                names.join(", ")
            ))
        })?;
        self.0.push((chord, spec.action));
        Ok(())
    }

    /// What a key stands for.
    pub(crate) fn action(&self, key: KeyEvent) -> Option<Action> {
        let chord = Chord::from(key);
        self.0.iter().find(|(bound, _)| *bound == chord).map(|(_, action)| *action)
    }

    /// The keys that stand for an action, the built-in ones first.
    pub(crate) fn keys(&self, action: Action) -> impl Iterator<Item = Chord> {
        self.0.iter().filter(move |(_, bound)| *bound == action).map(|(chord, _)| *chord)
    }

    /// The first key that stands for an action, as text.
    pub(crate) fn key(&self, action: Action) -> Option<String> {
        self.keys(action).next().map(|chord| chord.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(key: &str, action: &str) -> Result<Keymap, KeyBindingError> {
        Keymap::with(&[(key.to_owned(), action.to_owned())])
    }

    fn event(text: &str) -> KeyEvent {
        let chord: Chord = text.parse().unwrap();
        KeyEvent::new(chord.code, chord.modifiers)
    }

    #[test]
    fn no_key_stands_for_two_actions() {
        let keymap = Keymap::with(&[]).unwrap();
        for (at, (chord, action)) in keymap.0.iter().enumerate() {
            for (other, again) in &keymap.0[at + 1..] {
                assert!(chord != other, "{chord} stands for {action:?} and {again:?}");
            }
        }
    }

    #[test]
    fn keys_read_back_as_they_are_written() {
        for text in ["x", "X", "Ctrl-l", "Alt-x", "Shift-Tab", "F5", "Space", "PgDn", "-", "/", "Ctrl--"] {
            assert_eq!(text.parse::<Chord>().unwrap().to_string(), text);
        }
        assert_eq!("ctrl-L".parse::<Chord>(), "Ctrl-l".parse());
        assert_eq!("shift-x".parse::<Chord>(), "X".parse());
    }

    #[test]
    fn terminals_that_tell_shift_differently_mean_the_same() {
        let keymap = Keymap::with(&[]).unwrap();
        let plain = KeyEvent::from(KeyCode::Char('X'));
        let shifted = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::SHIFT);
        assert_eq!(keymap.action(plain), Some(Action::Reset));
        assert_eq!(keymap.action(shifted), Some(Action::Reset));
        assert_eq!(keymap.action(KeyEvent::from(KeyCode::BackTab)), Some(Action::PreviousView));
    }

    #[test]
    fn bindings_go_over_the_built_in_ones() {
        let keymap = bind("k", "kick").unwrap();
        assert_eq!(keymap.action(event("k")), Some(Action::Kick));
        assert_eq!(keymap.action(event("x")), Some(Action::Kick));
        assert_eq!(bind("x", "none").unwrap().action(event("x")), None);
    }

    #[test]
    fn what_cannot_be_bound_is_said() {
        for (key, action, told) in [
            ("x", "kcik", "no such action; there are none, "),
            ("hyper-x", "kick", "is no key"),
            ("F13", "kick", "is no key"),
            ("", "kick", "is no key"),
            ("ctrl-c", "kick", "keeps its meaning"),
            ("Esc", "kick", "keeps its meaning"),
        ] {
            let error = bind(key, action).unwrap_err().to_string();
            assert!(error.contains(told) && error.starts_with("dashboard.keys: "), "{error}");
        }
    }
}
