//! Where a key goes: to whatever is open.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{App, FilterLine, Mode, Shown};
use crate::dash::action::Action;
use crate::dash::command_line::{CommandLine, People};
use crate::dash::dialog::{Answer, Dialog, Verb};
use crate::dash::effect::{Effect, QuitChoice};
use crate::dash::export::Format;
use crate::dash::input::Typed;
use crate::dash::key_codes::latin_key;
use crate::dash::text_input::TextInput;
use crate::model::verbs::OperatorCommand;
use crate::time::Now;

impl App {
    /// Gives a key to what is open. Alt with a key that means nothing there is Esc and the key: terminals send the same
    /// bytes for both.
    pub(super) fn dispatch_key(&mut self, key: KeyEvent, typed: Typed, now: Now) {
        let key = if self.mode.takes_text() { key } else { by_position(key) };
        if self.keymap.action(key) == Some(Action::Suspend) && !is_text(key) {
            return self.suspend(now);
        }
        if !key.modifiers.contains(KeyModifiers::ALT) || self.knows_alt(key) {
            return self.open_key(key, typed, now);
        }
        self.open_key(KeyEvent::from(KeyCode::Esc), typed, now);
        let plain = KeyEvent::new(key.code, key.modifiers - KeyModifiers::ALT);
        self.open_key(plain, Typed::InARow, now);
    }

    fn knows_alt(&self, key: KeyEvent) -> bool {
        match self.mode {
            Mode::Browse | Mode::Help(_) => self.keymap.action(key).is_some(),
            Mode::Ask(..) | Mode::Export(_) | Mode::Quit(_) => false,
            Mode::Command(_) | Mode::Filter(_) | Mode::Reason(..) | Mode::Say(_) => TextInput::takes(key),
        }
    }

    /// What is open is closed by default; what stays open puts itself back.
    fn open_key(&mut self, key: KeyEvent, typed: Typed, now: Now) {
        if self.mode.shown().is_some_and(|shown| *shown != Shown::Yes || typed != Typed::Alone) {
            return self.tell(Err(TOO_SOON.to_owned()), now);
        }
        match std::mem::take(&mut self.mode) {
            Mode::Browse => self.browse_key(key, now),
            Mode::Ask(..) | Mode::Export(_) | Mode::Help(_) if is_ctrl_c(key) => self.ask_quit(now),
            Mode::Ask(dialog, shown) => self.ask_key(dialog, shown, key, now),
            Mode::Command(line) => self.command_key(line, key, now),
            Mode::Export(shown) => self.export_key(shown, key, now),
            Mode::Filter(line) => self.filter_key(line, key, now),
            Mode::Help(scroll) => self.help_key(scroll, key),
            Mode::Quit(shown) => self.quit_key(shown, key),
            Mode::Reason(dialog, input) => self.reason_key(dialog, input, key),
            Mode::Say(input) => self.say_key(input, key, now),
        }
    }

    fn browse_key(&mut self, key: KeyEvent, now: Now) {
        if let Some(action) = self.keymap.action(key) {
            (action.spec().run)(self, now);
        }
    }

    fn ask_key(&mut self, mut dialog: Dialog, shown: Shown, key: KeyEvent, now: Now) {
        match dialog.answer(key) {
            Answer::No => {}
            Answer::Yes => self.carry_out(&dialog, now),
            Answer::None => self.mode = Mode::Ask(dialog, shown),
            Answer::Choose(half) => {
                dialog.verb = Verb::Shutdown(Some(half));
                self.mode = Mode::Ask(dialog, Shown::No);
            }
            Answer::Reason => {
                let input = TextInput::of(dialog.reason());
                self.mode = Mode::Reason(dialog, input);
            }
        }
    }

    /// A reason leads back to the question; only its `y` does anything.
    fn reason_key(&mut self, mut dialog: Dialog, mut input: TextInput, key: KeyEvent) {
        match key.code {
            _ if is_ctrl_c(key) => self.mode = Mode::Ask(dialog, Shown::No),
            KeyCode::Esc => self.mode = Mode::Ask(dialog, Shown::No),
            KeyCode::Enter => {
                dialog.set_reason(input.text().trim());
                self.mode = Mode::Ask(dialog, Shown::No);
            }
            _ => {
                input.handle_key(key);
                self.mode = Mode::Reason(dialog, input);
            }
        }
    }

    fn command_key(&mut self, mut line: CommandLine, key: KeyEvent, now: Now) {
        let emptied = key.code == KeyCode::Backspace && line.input.text().is_empty();
        if key.code == KeyCode::Esc || is_ctrl_c(key) || emptied {
            return;
        }
        if key.code == KeyCode::Enter {
            return self.run_line(line.input.text(), now);
        }
        let people = People { picture: &self.live, selected: self.table.selected() };
        line.handle_key(key, &self.lines, people);
        self.mode = Mode::Command(line);
    }

    fn say_key(&mut self, mut input: TextInput, key: KeyEvent, now: Now) {
        match key.code {
            KeyCode::Esc => {}
            _ if is_ctrl_c(key) => {}
            KeyCode::Enter if input.text().trim().is_empty() => {}
            KeyCode::Enter => self.send(OperatorCommand::Say(input.text().trim().to_owned()), now),
            _ => {
                input.handle_key(key);
                self.mode = Mode::Say(input);
            }
        }
    }

    /// The filter is in force while it is typed; a last term that is wrong, or not finished, is left out of it.
    fn filter_key(&mut self, mut line: FilterLine, key: KeyEvent, now: Now) {
        if key.code == KeyCode::Esc || is_ctrl_c(key) {
            return self.set_filter(&line.before, now);
        }
        if key.code == KeyCode::Enter && line.error.is_none() {
            self.settle();
            let picture = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.picture);
            return self.table.select_shown(picture);
        }
        if line.input.handle_key(key) {
            let text = line.input.text();
            line.error = self.apply_filter(text).err().map(|why| why.to_string());
            if line.error.is_some() {
                let before = text.rfind(' ').map_or("", |space| &text[..space]);
                // What stands before may be wrong as well; then the last right filter stays.
                self.apply_filter(before).ok();
            }
        }
        self.mode = Mode::Filter(line);
    }

    fn export_key(&mut self, shown: Shown, key: KeyEvent, now: Now) {
        match key.code {
            KeyCode::Char('j') => self.export(Format::Json, now),
            KeyCode::Char('c') => self.export(Format::Csv, now),
            KeyCode::Char('n') | KeyCode::Enter | KeyCode::Esc => {}
            _ => self.mode = Mode::Export(shown),
        }
    }

    /// Whatever moves a row moves a line of help; the key for help and the one for back close it.
    fn help_key(&mut self, scroll: usize, key: KeyEvent) {
        let scroll = match self.keymap.action(key) {
            Some(Action::Down) => scroll + 1,
            Some(Action::Up) => scroll.saturating_sub(1),
            Some(Action::PageDown | Action::HalfDown) => scroll + 10,
            Some(Action::PageUp | Action::HalfUp) => scroll.saturating_sub(10),
            Some(Action::Top) => 0,
            Some(Action::Bottom) => usize::MAX,
            Some(Action::Help | Action::Back | Action::Quit | Action::Detail) => return,
            _ => scroll,
        };
        self.mode = Mode::Help(scroll.min(super::super::view::help_scroll_max(self)));
    }

    fn quit_key(&mut self, shown: Shown, key: KeyEvent) {
        let is_plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('d') if is_plain => self.effects.push(Effect::Quit(QuitChoice::Drain)),
            KeyCode::Char('l') if is_plain => self.effects.push(Effect::Quit(QuitChoice::Leave)),
            KeyCode::Char('n') if is_plain => {}
            KeyCode::Enter | KeyCode::Esc => {}
            _ => self.mode = Mode::Quit(shown),
        }
    }
}

/// What is told about a key that does not count as an answer.
pub(crate) const TOO_SOON: &str = "too soon, or with other keys: type the answer alone";

fn is_ctrl_c(key: KeyEvent) -> bool {
    by_position(key).code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// Whether a key can be typed into a line.
fn is_text(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Char(_))
        && !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
}

/// A letter of another alphabet as the one on the same key.
fn by_position(key: KeyEvent) -> KeyEvent {
    match key.code {
        KeyCode::Char(c) => latin_key(c).map_or(key, |latin| KeyEvent { code: KeyCode::Char(latin), ..key }),
        _ => key,
    }
}
