//! Verbs: whom a key is for, what is asked first, and what is sent.

use super::{Access, App, Mode, Shown};
use crate::dash::command_line::CommandLine;
use crate::dash::dialog::{Ban, Dialog, Target, Verb, gone};
use crate::dash::effect::{Effect, QuitChoice};
use crate::dash::text_input::TextInput;
use crate::id::ConnId;
use crate::model::snapshot::Flags;
use crate::model::verbs::{OperatorCommand, Who};
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

    /// Asks whether to mute; when all of them are muted, whether they may speak again.
    pub(crate) fn ask_mute(&mut self, now: Now) {
        let targets = self.chosen_targets();
        let is_muted =
            |target: &Target| self.live.living(target.id).is_some_and(|row| row.flags.has(Flags::MUTED));
        let unmute = !targets.is_empty() && targets.iter().all(is_muted);
        self.ask_about_targets(if unmute { Verb::Unmute } else { Verb::Mute(None) }, now);
    }

    /// Asks whether to pause accepting, or to resume it.
    pub(crate) fn ask_accepting(&mut self, now: Now) {
        let verb = if self.live.status().paused { Verb::Resume } else { Verb::Pause };
        self.ask(Dialog { verb, targets: Vec::new() }, now);
    }

    /// Asks whether to read the configuration again.
    pub(crate) fn ask_reload(&mut self, now: Now) {
        self.ask(Dialog { verb: Verb::Reload, targets: Vec::new() }, now);
    }

    /// Gives the terminal back to the shell for a while, as Ctrl-Z does to any program. In the server's own process it
    /// would stop the server with all its clients.
    pub(crate) fn suspend(&mut self, now: Now) {
        if self.access == Access::Own {
            let told =
                "Ctrl-z would stop the server and all its clients; q l leaves it running without a dashboard";
            return self.tell(Err(told.to_owned()), now);
        }
        self.effects.push(Effect::Suspend);
    }

    /// Whether the only target is a row that the filter hides.
    fn hides_target(&self) -> bool {
        self.table.marks().is_empty() && !self.table.shows_selected(self.picture())
    }

    fn tell_hidden(&mut self, id: ConnId, now: Now) {
        self.tell(Err(format!("{id} is hidden by the filter; select a row first")), now);
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
            self.tell_hidden(id, now);
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
        self.mode = Mode::Ask(dialog, Shown::No);
    }

    /// Says so when there are no verbs here.
    pub(super) fn refuses_verbs(&mut self, what: &str, now: Now) -> bool {
        let is_read_only = self.access == Access::ReadOnly;
        if is_read_only {
            self.tell(Err(format!("read-only: no {what} from here")), now);
        }
        is_read_only
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

    pub(crate) fn toggle_mark(&mut self, now: Now) {
        let Some(id) = self.table.selected().filter(|id| self.live.living(*id).is_some()) else { return };
        if self.table.shows_selected(self.picture()) {
            self.table.toggle_mark();
        } else {
            self.tell_hidden(id, now);
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
            OperatorCommand::Pause => (Verb::Pause, None),
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
                let named = |row: &&crate::model::snapshot::Row| {
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
        let may_ask = matches!(command, OperatorCommand::Ask(_));
        if !may_ask && self.refuses_verbs(line.split(' ').next().unwrap_or(""), now) {
            return;
        }
        self.tell(Ok(format!("{line}: sent")), now);
        self.orders.give(command);
        self.send_orders();
    }

    /// Asks whether the server goes on; without anybody connected, or from another process, there is nothing to ask.
    pub(crate) fn ask_quit(&mut self, _now: Now) {
        if self.access != Access::Own {
            self.effects.push(Effect::Quit(QuitChoice::Leave));
        } else if self.live.is_seen() && self.live.status().clients == 0 {
            self.effects.push(Effect::Quit(QuitChoice::Drain));
        } else {
            self.mode = Mode::Quit(Shown::No);
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
