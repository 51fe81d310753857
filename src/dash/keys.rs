//! Actions and their keys: the table of actions, the built-in bindings, and the bindings of `dashboard.keys`, which
//! replace them.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Back,
    Ban,
    Bottom,
    Category,
    Clients,
    Command,
    Copy,
    Detail,
    Down,
    Events,
    Export,
    Filter,
    Follow,
    HalfDown,
    HalfUp,
    Help,
    Kick,
    Mark,
    Mute,
    NextView,
    PageDown,
    PageUp,
    Pause,
    PauseAccepting,
    PreviousView,
    Quit,
    Raw,
    Redraw,
    Reload,
    Reset,
    ReverseSort,
    Say,
    Shutdown,
    Sort,
    Suspend,
    Theme,
    Top,
    Traffic,
    UnmarkAll,
    Up,
}

/// Under which heading help lists an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Navigation.
    Move,
    /// What is shown.
    Look,
    /// Verbs.
    Act,
    /// The dashboard itself.
    Dashboard,
}

impl Group {
    /// All headings in their order.
    pub(crate) const ALL: [Self; 4] = [Self::Move, Self::Look, Self::Act, Self::Dashboard];

    /// The heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Look => "Look",
            Self::Act => "Act",
            Self::Dashboard => "Dashboard",
        }
    }
}

/// An action and its names.
pub(crate) struct Spec {
    /// Which.
    pub(crate) action: Action,
    /// Its name in `dashboard.keys`.
    pub(crate) name: &'static str,
    /// Its built-in keys.
    pub(crate) keys: &'static [&'static str],
    /// Its heading in help.
    pub(crate) group: Group,
    /// The meaning, for help.
    pub(crate) help: &'static str,
}

const fn spec(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    group: Group,
    help: &'static str,
) -> Spec {
    Spec { action, name, keys, group, help }
}

/// Every action, in the order of help.
#[rustfmt::skip]
pub(crate) static ACTIONS: [Spec; 40] = [
    spec(Action::Down, "down", &["j", "Down"], Group::Move, "next row"),
    spec(Action::Up, "up", &["k", "Up"], Group::Move, "previous row"),
    spec(Action::Top, "top", &["g", "Home"], Group::Move, "first row"),
    spec(Action::Bottom, "bottom", &["G", "End"], Group::Move, "last row"),
    spec(Action::PageDown, "page-down", &["PgDn", "Ctrl-f"], Group::Move, "a page down"),
    spec(Action::PageUp, "page-up", &["PgUp", "Ctrl-b"], Group::Move, "a page up"),
    spec(Action::HalfDown, "half-down", &["Ctrl-d"], Group::Move, "half a page down"),
    spec(Action::HalfUp, "half-up", &["Ctrl-u"], Group::Move, "half a page up"),
    spec(Action::Clients, "clients", &["1"], Group::Move, "the clients"),
    spec(Action::Traffic, "traffic", &["2"], Group::Move, "the charts"),
    spec(Action::Events, "events", &["3"], Group::Move, "the event log"),
    spec(Action::NextView, "next-view", &["Tab"], Group::Move, "next view"),
    spec(Action::PreviousView, "previous-view", &["Shift-Tab"], Group::Move, "previous view"),
    spec(Action::Detail, "detail", &["Enter"], Group::Move, "details of this connection"),
    spec(Action::Back, "back", &["Esc"], Group::Move, "back; never quits"),
    spec(Action::Filter, "filter", &["/"], Group::Look, "filter while typing"),
    spec(Action::Sort, "sort", &["s"], Group::Look, "sort by the next column"),
    spec(Action::ReverseSort, "reverse-sort", &["S"], Group::Look, "sort the other way"),
    spec(Action::Pause, "pause", &["Space", "p"], Group::Look, "freeze the screen, not the server"),
    spec(Action::Follow, "follow", &["F"], Group::Look, "follow the newest event"),
    spec(Action::Category, "category", &["f"], Group::Look, "next category of events"),
    spec(Action::Raw, "raw", &["b"], Group::Look, "bytes with all their digits"),
    spec(Action::Theme, "theme", &["t"], Group::Look, "next theme"),
    spec(Action::Mark, "mark", &["m"], Group::Act, "mark this row for the next verb"),
    spec(Action::UnmarkAll, "unmark-all", &["M"], Group::Act, "remove all marks"),
    spec(Action::Kick, "kick", &["x"], Group::Act, "kick: a last line, FIN, close"),
    spec(Action::Shutdown, "shutdown", &["w"], Group::Act, "shutdown: one direction, or both"),
    spec(Action::Reset, "reset", &["X"], Group::Act, "reset: RST, now"),
    spec(Action::Ban, "ban", &["B"], Group::Act, "ban its address, which asks"),
    spec(Action::Mute, "mute", &["u"], Group::Act, "mute, which asks; or unmute"),
    spec(Action::Say, "say", &["i"], Group::Act, "send a line to all clients"),
    spec(Action::PauseAccepting, "pause-accepting", &["P"], Group::Act, "pause accepting, or resume"),
    spec(Action::Reload, "reload", &["R"], Group::Act, "read the configuration again"),
    spec(Action::Command, "command", &[":"], Group::Act, "type any verb"),
    spec(Action::Copy, "copy", &["c"], Group::Dashboard, "copy this row"),
    spec(Action::Export, "export", &["e"], Group::Dashboard, "write the table to a file"),
    spec(Action::Redraw, "redraw", &["Ctrl-l"], Group::Dashboard, "redraw the screen"),
    spec(Action::Suspend, "suspend", &["Ctrl-z"], Group::Dashboard, "suspend it, when it is attached"),
    spec(Action::Help, "help", &["?"], Group::Dashboard, "this"),
    spec(Action::Quit, "quit", &["q", "Ctrl-c"], Group::Dashboard, "quit; asks first"),
];

/// A `dashboard.keys` entry that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dashboard.keys: {0}")]
pub struct KeyBindingError(pub String);

/// A key and its modifiers, in the one form in which keys are compared.
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
    /// Terminals report Shift with letters in more than one way; only the case of the letter is kept.
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
    /// The built-in bindings, replaced by these: `"x" = "kick"`, and `"x" = "none"` for a key without an action.
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

    /// The action of a key.
    pub(crate) fn action(&self, key: KeyEvent) -> Option<Action> {
        let chord = Chord::from(key);
        self.0.iter().find(|(bound, _)| *bound == chord).map(|(_, action)| *action)
    }

    /// The keys of an action, the built-in ones first.
    pub(crate) fn keys(&self, action: Action) -> impl Iterator<Item = Chord> {
        self.0.iter().filter(move |(_, bound)| *bound == action).map(|(chord, _)| *chord)
    }

    /// The first key of an action, as text.
    pub(crate) fn key(&self, action: Action) -> Option<String> {
        self.keys(action).next().map(|chord| chord.to_string())
    }
}

/// A letter of another alphabet, replaced by the letter on the same key.
pub(crate) fn by_position(key: KeyEvent) -> KeyEvent {
    match key.code {
        KeyCode::Char(c) => latin_key(c).map_or(key, |latin| KeyEvent { code: KeyCode::Char(latin), ..key }),
        _ => key,
    }
}

/// The character on the same key of a US keyboard, for the Cyrillic layouts of Russia and its neighbours and for the
/// Greek one: an operator who uses them can answer without changing the layout.
fn latin_key(c: char) -> Option<char> {
    const CYRILLIC: &str = "йцукенгшщзхъфывапролджэячсмитьбю";
    const LATIN: &str = "qwertyuiop[]asdfghjkl;'zxcvbnm,.";
    const GREEK: &str = "ςερτυθιοπασδφγηξκλζχψωβνμ";
    const LATIN_OF_GREEK: &str = "wertyuiopasdfghjklzxcvbnm";
    let lower = c.to_lowercase().next()?;
    let on = |layout: &str, latin: &str| {
        let place = layout.chars().position(|other| other == lower)?;
        latin.chars().nth(place)
    };
    let extra = match lower {
        // Ukrainian, Belarusian.
        'і' => Some('s'),
        'ї' => Some(']'),
        'є' => Some('\''),
        'ў' => Some('o'),
        _ => None,
    };
    let latin = on(CYRILLIC, LATIN).or_else(|| on(GREEK, LATIN_OF_GREEK)).or(extra)?;
    Some(if c == lower { latin } else { latin.to_ascii_uppercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_in_the_table_once() {
        // The enum is in alphabetical order, so its last variant gives the number of actions.
        assert_eq!(ACTIONS.len(), Action::Up as usize + 1);
        for (at, spec) in ACTIONS.iter().enumerate() {
            for other in &ACTIONS[at + 1..] {
                assert!(spec.action != other.action && spec.name != other.name, "{}", spec.name);
            }
        }
    }

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
    fn an_invalid_binding_is_an_error() {
        for (key, action, message) in [
            ("x", "kcik", "no such action; there are none, "),
            ("hyper-x", "kick", "is no key"),
            ("F13", "kick", "is no key"),
            ("", "kick", "is no key"),
            ("ctrl-c", "kick", "keeps its meaning"),
            ("Esc", "kick", "keeps its meaning"),
        ] {
            let error = bind(key, action).unwrap_err().to_string();
            assert!(error.contains(message) && error.starts_with("dashboard.keys: "), "{error}");
        }
    }
}
