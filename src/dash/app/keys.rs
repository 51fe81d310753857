//! Where a key goes: to the open dialog or line, else to the views. The mouse selects and never sends a verb.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{App, Effect, FilterLine, Mode, QuitChoice, Shown};
use crate::dash::dialog::{Answer, Dialog, Verb};
use crate::dash::export::Format;
use crate::dash::help::Help;
use crate::dash::keys::{Action, by_position};
use crate::dash::layout::View;
use crate::dash::line::{Candidates, CommandLine, TextInput};
use crate::dash::table::columns::place;
use crate::model::verbs::OperatorCommand;
use crate::term::input::Typed;
use crate::time::Now;

impl App {
    /// Gives a key to the open mode. Alt with a key that the mode does not bind is Esc and the key: terminals send the
    /// same bytes for both.
    pub(super) fn dispatch_key(&mut self, key: KeyEvent, typed: Typed, now: Now) {
        let key = if self.mode.takes_text() { key } else { by_position(key) };
        if self.keymap.action(key) == Some(Action::Suspend) && !is_text(key) {
            return self.suspend(now);
        }
        if !key.modifiers.contains(KeyModifiers::ALT) || self.binds_alt(key) {
            return self.open_key(key, typed, now);
        }
        self.open_key(KeyEvent::from(KeyCode::Esc), typed, now);
        let plain = KeyEvent::new(key.code, key.modifiers - KeyModifiers::ALT);
        self.open_key(plain, Typed::Burst, now);
    }

    fn binds_alt(&self, key: KeyEvent) -> bool {
        match self.mode {
            Mode::Browse | Mode::Help(_) => self.keymap.action(key).is_some(),
            Mode::Ask(..) | Mode::Export(_) | Mode::Quit(_) => false,
            Mode::Command(_) | Mode::Filter(_) | Mode::Reason(..) | Mode::Say(_) => TextInput::takes(key),
        }
    }

    /// A key closes the open mode by default; a mode that stays open sets itself again.
    fn open_key(&mut self, key: KeyEvent, typed: Typed, now: Now) {
        if self.mode.shown().is_some_and(|shown| *shown != Shown::Yes || typed != Typed::Alone) {
            return self.notify(Err(TOO_SOON.to_owned()), now);
        }
        match std::mem::take(&mut self.mode) {
            Mode::Browse => self.browse_key(key, now),
            Mode::Ask(..) | Mode::Export(_) | Mode::Help(_) if is_ctrl_c(key) => self.open_quit(),
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
            self.run(action, now);
        }
    }

    fn run(&mut self, action: Action, now: Now) {
        match action {
            Action::Down => self.move_by(1),
            Action::Up => self.move_by(-1),
            Action::Top => self.move_by(isize::MIN / 2),
            Action::Bottom => self.move_by(isize::MAX / 2),
            Action::PageDown => self.move_by(self.page()),
            Action::PageUp => self.move_by(-self.page()),
            Action::HalfDown => self.move_by((self.page() / 2).max(1)),
            Action::HalfUp => self.move_by(-(self.page() / 2).max(1)),
            Action::Clients => self.view = View::Clients,
            Action::Traffic => self.view = View::Traffic,
            Action::Events => self.view = View::Events,
            Action::NextView => self.turn_view(1),
            Action::PreviousView => self.turn_view(View::ALL.len() - 1),
            Action::Detail => self.open_detail(now),
            Action::Back => self.back(now),
            Action::Filter => self.open_filter(),
            Action::Sort => self.sort_by(self.table.sort.next()),
            Action::ReverseSort => self.sort_by(self.table.sort.reversed()),
            Action::Pause => self.toggle_pause(now),
            Action::Follow => self.toggle_follow(now),
            Action::Category => self.next_category(),
            Action::Raw => self.toggle_raw(now),
            Action::Theme => self.next_theme(now),
            Action::Mark => self.toggle_mark(now),
            Action::UnmarkAll => self.unmark_all(now),
            Action::Kick => self.open_for_targets(Verb::Kick(String::new()), now),
            Action::Shutdown => self.open_for_targets(Verb::Shutdown(None), now),
            Action::Reset => self.open_for_targets(Verb::Reset, now),
            Action::Ban => self.open_ban(now),
            Action::Mute => self.open_mute(now),
            Action::Say => self.open_say(now),
            Action::PauseAccepting => self.open_accepting(now),
            Action::Reload => self.open_dialog(Dialog { verb: Verb::Reload, targets: Vec::new() }, now),
            Action::Command => self.mode = Mode::Command(CommandLine::default()),
            Action::Copy => self.copy(now),
            Action::Export => self.open_export(now),
            Action::Redraw => self.effects.push(Effect::Redraw),
            Action::Suspend => self.suspend(now),
            Action::Help => self.mode = Mode::Help(0),
            Action::Quit => self.open_quit(),
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

    /// After the reason the dialog is shown again; only its `y` confirms.
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
        let candidates = Candidates { model: &self.live, selected: self.table.selected() };
        line.handle_key(key, &self.lines, candidates);
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

    /// The filter applies while it is typed, without its last term if that is wrong or unfinished.
    fn filter_key(&mut self, mut line: FilterLine, key: KeyEvent, now: Now) {
        if key.code == KeyCode::Esc || is_ctrl_c(key) {
            return self.set_filter(&line.before, now);
        }
        if key.code == KeyCode::Enter && line.error.is_none() {
            self.settle();
            let model = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.model);
            return self.table.select_shown(model);
        }
        if line.input.handle_key(key) {
            let text = line.input.text();
            line.error = self.apply_filter(text).err().map(|error| error.to_string());
            if line.error.is_some() {
                let before = text.rfind(' ').map_or("", |space| &text[..space]);
                // The terms before it may be wrong as well: then the last valid filter stays.
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

    /// Keys that move a row scroll the help; the keys for help and back close it.
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
        self.mode = Mode::Help(scroll.min(Help::new(&self.keymap, self.size).scroll_max()));
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

/// The notice for a key that is not accepted as an answer.
pub(crate) const TOO_SOON: &str = "too soon, or with other keys: type the answer alone";

fn is_ctrl_c(key: KeyEvent) -> bool {
    by_position(key).code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// Whether a key can be typed into a line.
fn is_text(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Char(_))
        && !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
}

/// Rows for one notch of the wheel.
const WHEEL_ROWS: isize = 3;

impl App {
    pub(super) fn dispatch_mouse(&mut self, mouse: MouseEvent) {
        if !matches!(self.mode, Mode::Browse) {
            return;
        }
        match mouse.kind {
            MouseEventKind::ScrollDown => self.move_by(WHEEL_ROWS),
            MouseEventKind::ScrollUp => self.move_by(-WHEEL_ROWS),
            MouseEventKind::Down(MouseButton::Left) => self.click(Position::new(mouse.column, mouse.row)),
            _ => {}
        }
    }

    fn click(&mut self, at: Position) {
        let regions = self.regions();
        if regions.tabs.contains(at) {
            self.click_tab(at.x);
        } else if regions.table.contains(at) && at.y == regions.table.y {
            self.click_head(at.x, regions.table);
        } else if regions.table.contains(at) {
            self.click_row(usize::from(at.y - regions.table.y - 1));
        } else if self.view == View::Events && regions.events.contains(at) && at.y > regions.events.y {
            self.click_event(usize::from(at.y - regions.events.y - 1));
        }
    }

    fn click_tab(&mut self, x: u16) {
        if let Some(view) = View::tab_at(x) {
            self.view = view;
        }
    }

    fn click_head(&mut self, x: u16, table: Rect) {
        let placed = place(table.width, self.table.wants, self.raw);
        let hit = placed.iter().find(|placed| (placed.x..placed.x + placed.width).contains(&x));
        if let Some(placed) = hit {
            self.sort_by_head(placed.column);
        }
    }

    fn click_row(&mut self, row: usize) {
        let window = self.table.window(self.table_rows());
        let position = window.start + row;
        if window.contains(&position) {
            let model = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.model);
            self.table.select_at(position, model);
        }
    }

    fn click_event(&mut self, row: usize) {
        let rows = usize::from(self.regions().events.height.saturating_sub(1));
        let (start, shown) = self.events.window(&self.model().log, rows);
        if row < shown.len() {
            let step = (start + row).cast_signed() - self.events.position().cast_signed();
            self.events.move_by(step);
        }
    }
}
