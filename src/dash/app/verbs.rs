//! Verbs: whom a key is for, what is asked first, and what is sent.

use super::{Access, App, Mode};
use crate::dash::command_line::CommandLine;
use crate::dash::dialog::{Ban, Dialog, Target, Verb, gone};
use crate::dash::effect::{Effect, QuitChoice};
use crate::dash::text_input::TextInput;
use crate::engine::operator::{OperatorCommand, Who};
use crate::engine::snapshot::Flags;
use crate::time::Now;

impl App {
    /// Asks whether to ban the addresses of the chosen connections.
    pub(crate) fn ask_ban(&mut self, now: Now) {
        let Some(targets) = self.targets_or_tell(now) else { return };
        let ban = Ban::of(&targets);
        if ban.masks.is_empty() {
            return self
                .tell(Err("a guest on a Unix socket has neither address nor name to ban".to_owned()), now);
        }
        self.ask(Dialog { verb: Verb::Ban(ban), targets: Vec::new() }, now);
    }

    pub(crate) fn ask_kick(&mut self, now: Now) {
        self.ask_about_targets(Verb::Kick(String::new()), now);
    }

    pub(crate) fn ask_shutdown(&mut self, now: Now) {
        self.ask_about_targets(Verb::Shutdown(None), now);
    }

    pub(crate) fn ask_reset(&mut self, now: Now) {
        self.ask_about_targets(Verb::Reset, now);
    }

    /// Asks whether to mute; when all of them are muted it lets them speak again, which takes nothing from anybody.
    pub(crate) fn ask_mute(&mut self, now: Now) {
        let targets = self.chosen_targets();
        let is_muted =
            |target: &Target| self.live.living(target.id).is_some_and(|row| row.flags.has(Flags::MUTED));
        let unmute = !targets.is_empty() && targets.iter().all(is_muted);
        if !unmute || self.hides_target() {
            return self.ask_about_targets(Verb::Mute(None), now);
        }
        if self.refuses_verbs("unmute", now) {
            return;
        }
        for target in targets {
            self.send(OperatorCommand::Unmute(Who::Id(target.id)), now);
        }
        self.table.unmark_all();
    }

    /// Pauses accepting, or resumes it: the same key takes it back, so it is not asked about.
    pub(crate) fn toggle_accepting(&mut self, now: Now) {
        let paused = self.live.status().paused;
        self.send(if paused { OperatorCommand::Resume } else { OperatorCommand::Pause }, now);
    }

    /// Reads the configuration anew; what is in force afterwards is told, and a mistake changes nothing.
    pub(crate) fn reload(&mut self, now: Now) {
        self.send(OperatorCommand::Reload, now);
    }

    /// Whether the only target is a row that the filter hides.
    fn hides_target(&self) -> bool {
        self.table.marks().is_empty() && !self.table.shows_selected(self.picture())
    }

    fn ask_about_targets(&mut self, verb: Verb, now: Now) {
        if let Some(targets) = self.targets_or_tell(now) {
            self.ask(Dialog { verb, targets }, now);
        }
    }

    /// Whom a verb is for, or word of why it is for nobody.
    fn targets_or_tell(&mut self, now: Now) -> Option<Vec<Target>> {
        let targets = self.chosen_targets();
        if targets.is_empty() {
            let told = match self.table.selected() {
                Some(id) => gone(id, &self.live),
                None => "nobody is selected".to_owned(),
            };
            self.tell(Err(told), now);
            return None;
        }
        if self.hides_target() {
            let id = targets[0].id;
            self.tell(Err(format!("{id} is hidden by the filter; select a row first")), now);
            return None;
        }
        Some(targets)
    }

    /// The marked connections, else the selected one, as far as they are still there.
    fn chosen_targets(&self) -> Vec<Target> {
        let living = |id| self.live.living(id).map(Target::from);
        if self.table.marks().is_empty() {
            self.table.selected().and_then(living).into_iter().collect()
        } else {
            self.table.marks().iter().copied().filter_map(living).collect()
        }
    }

    /// Opens a dialog, unless verbs are taken away.
    pub(super) fn ask(&mut self, dialog: Dialog, now: Now) {
        if self.refuses_verbs(&dialog.word(), now) {
            return;
        }
        self.mode = Mode::Ask(dialog);
    }

    /// Says so when there are no verbs here.
    pub(super) fn refuses_verbs(&mut self, what: &str, now: Now) -> bool {
        let is_read_only = self.access == Access::ReadOnly;
        if is_read_only {
            self.tell(Err(format!("read-only: no {what} from here")), now);
        } else if let Some(why) = &self.ended {
            let told = format!("no {what}: {why}");
            self.tell(Err(told), now);
        }
        is_read_only || self.ended.is_some()
    }

    /// Does what a dialog asked about.
    pub(super) fn carry_out(&mut self, dialog: &Dialog, now: Now) {
        let commands = dialog.commands(&self.live);
        match commands.as_slice() {
            [] => {
                let told = match dialog.targets.as_slice() {
                    [one] => gone(one.id, &self.live),
                    _ => "all of them are gone".to_owned(),
                };
                return self.tell(Err(told), now);
            }
            [one] => self.tell(Ok(format!("{one}: sent")), now),
            many => self.tell(Ok(format!("{} verbs sent", many.len())), now),
        }
        for command in commands {
            self.orders.give(command);
        }
        self.table.unmark_all();
        self.send_orders();
    }

    pub(crate) fn toggle_mark(&mut self, _now: Now) {
        if self.table.selected().is_some_and(|id| self.live.living(id).is_some()) {
            self.table.toggle_mark();
        }
    }

    pub(crate) fn unmark_all(&mut self, now: Now) {
        let count = self.table.unmark_all();
        self.tell(Ok(format!("{count} unmarked")), now);
    }

    pub(crate) fn open_say(&mut self, now: Now) {
        if !self.refuses_verbs("say", now) {
            self.mode = Mode::Say(TextInput::default());
        }
    }

    pub(crate) fn open_command(&mut self, now: Now) {
        let _ = now;
        self.mode = Mode::Command(CommandLine::default());
    }

    /// Runs a typed line. Verbs that take something from somebody ask first, whoever typed them.
    pub(super) fn run_line(&mut self, line: &str, now: Now) {
        let line = line.trim();
        self.lines.remember(line);
        match line {
            "" => {}
            "q" | "quit" => self.ask_quit(now),
            "help" => self.open_help(now),
            _ => match line.parse::<OperatorCommand>() {
                Ok(command) => self.run_command(command, now),
                Err(why) => self.tell(Err(why.to_string()), now),
            },
        }
    }

    fn run_command(&mut self, command: OperatorCommand, now: Now) {
        match target_of(&command) {
            Some(who) if !self.knows(&who) => self.ask_server(command, who, now),
            _ => self.run_seen(command, now),
        }
    }

    /// Runs a verb for somebody whom the picture shows, or has shown, or for the server.
    pub(super) fn run_seen(&mut self, command: OperatorCommand, now: Now) {
        let (verb, who) = match command {
            OperatorCommand::Ban(order) => (Verb::from(&order), None),
            OperatorCommand::Drain(time) => (Verb::Drain(time), None),
            OperatorCommand::Kick { who, reason } => (Verb::Kick(reason), Some(who)),
            OperatorCommand::Mute { who, time } => (Verb::Mute(time), Some(who)),
            OperatorCommand::Reset(who) => (Verb::Reset, Some(who)),
            OperatorCommand::Shutdown { who, half } => (Verb::Shutdown(Some(half)), Some(who)),
            OperatorCommand::Stop => (Verb::Stop, None),
            harmless => return self.send(harmless, now),
        };
        let targets = match who.map(|who| self.find(&who)) {
            None => Vec::new(),
            Some(Ok(target)) => vec![target],
            Some(Err(why)) => return self.tell(Err(why), now),
        };
        self.ask(Dialog { verb, targets }, now);
    }

    /// Whether the picture tells anything of them, if only that they are gone.
    fn knows(&self, who: &Who) -> bool {
        match who {
            Who::Id(id) => self.live.row(*id).is_some(),
            Who::Nick(_) => self.find(who).is_ok(),
        }
    }

    fn find(&self, who: &Who) -> Result<Target, String> {
        match who {
            Who::Id(id) => self.live.living(*id).map(Target::from).ok_or_else(|| gone(*id, &self.live)),
            Who::Nick(nick) => {
                let named = |row: &&crate::engine::snapshot::Row| {
                    row.nick.is_some_and(|other| other.folded() == nick.folded())
                };
                let row =
                    self.live.rows().iter().filter(|row| self.live.living(row.id).is_some()).find(named);
                row.map(Target::from).ok_or_else(|| format!("nobody is called {nick} any more"))
            }
        }
    }

    /// Sends a verb that takes nothing from anybody connected.
    pub(super) fn send(&mut self, command: OperatorCommand, now: Now) {
        let line = command.to_string();
        let may_ask = matches!(command, OperatorCommand::Ask(_)) && self.ended.is_none();
        if !may_ask && self.refuses_verbs(line.split(' ').next().unwrap_or(""), now) {
            return;
        }
        self.tell(Ok(format!("{line}: sent")), now);
        self.orders.give(command);
        self.send_orders();
    }

    /// Asks whether the server goes on; without anybody connected, without a server, or from another process there is
    /// nothing to ask.
    pub(crate) fn ask_quit(&mut self, _now: Now) {
        if self.ended.is_some() {
            self.effects.push(Effect::Quit(QuitChoice::Drain));
        } else if self.access != Access::Own {
            self.effects.push(Effect::Quit(QuitChoice::Leave));
        } else if self.live.is_seen() && self.live.status().clients == 0 {
            self.effects.push(Effect::Quit(QuitChoice::Drain));
        } else {
            self.mode = Mode::Quit;
        }
    }
}

/// Whom a verb takes something from; nobody for verbs that need no question, or are for the server.
fn target_of(command: &OperatorCommand) -> Option<Who> {
    match command {
        OperatorCommand::Kick { who, .. }
        | OperatorCommand::Mute { who, .. }
        | OperatorCommand::Reset(who)
        | OperatorCommand::Shutdown { who, .. } => Some(*who),
        _ => None,
    }
}
