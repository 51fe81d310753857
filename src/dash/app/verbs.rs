//! Verbs: their targets, their confirmation, and their way to the server.

use std::collections::VecDeque;

use super::{Access, App, Effect, Mode, QuitChoice, Shown};
use crate::dash::dialog::{Ban, Dialog, Target, Verb, gone};
use crate::dash::line::TextInput;
use crate::id::ConnId;
use crate::link::Request;
use crate::model::snapshot::Flags;
use crate::model::verbs::{OperatorCommand, Question, Who};
use crate::time::Now;

impl App {
    /// Opens the confirmation of a ban of the chosen connections' addresses.
    pub(super) fn open_ban(&mut self, now: Now) {
        let Some(targets) = self.targets_or_notify(now) else { return };
        let ban = Ban::of(&targets);
        if ban.masks.is_empty() {
            return self
                .notify(Err("a guest on a Unix socket has neither address nor name to ban".to_owned()), now);
        }
        self.open_dialog(Dialog { verb: Verb::Ban(ban), targets: Vec::new() }, now);
    }

    /// Opens the confirmation of a mute; of an unmute when all targets are muted.
    pub(super) fn open_mute(&mut self, now: Now) {
        let targets = self.chosen_targets();
        let is_muted =
            |target: &Target| self.live.live_row(target.id).is_some_and(|row| row.flags.has(Flags::MUTED));
        let unmute = !targets.is_empty() && targets.iter().all(is_muted);
        self.open_for_targets(if unmute { Verb::Unmute } else { Verb::Mute(None) }, now);
    }

    /// Opens the confirmation of pausing or resuming accepting.
    pub(super) fn open_accepting(&mut self, now: Now) {
        let verb = if self.live.status().paused { Verb::Resume } else { Verb::Pause };
        self.open_dialog(Dialog { verb, targets: Vec::new() }, now);
    }

    /// Stops the process, as Ctrl-Z does for any program. In the server's own process that would stop the server with
    /// all its clients.
    pub(super) fn suspend(&mut self, now: Now) {
        if self.access == Access::Own {
            let message =
                "Ctrl-z would stop the server and all its clients; q l leaves it running without a dashboard";
            return self.notify(Err(message.to_owned()), now);
        }
        self.effects.push(Effect::Suspend);
    }

    /// Whether the filter hides the only target.
    fn is_target_hidden(&self) -> bool {
        self.table.marks().is_empty() && !self.table.shows_selected(self.model())
    }

    fn notify_hidden(&mut self, id: ConnId, now: Now) {
        self.notify(Err(format!("{id} is hidden by the filter; select a row first")), now);
    }

    pub(super) fn open_for_targets(&mut self, verb: Verb, now: Now) {
        if let Some(targets) = self.targets_or_notify(now) {
            self.open_dialog(Dialog { verb, targets }, now);
        }
    }

    /// The targets of a verb; without any, notifies why.
    fn targets_or_notify(&mut self, now: Now) -> Option<Vec<Target>> {
        let targets = self.chosen_targets();
        if targets.is_empty() {
            let message = match self.table.selected() {
                Some(id) => gone(id, &self.live),
                None => "nobody is selected".to_owned(),
            };
            self.notify(Err(message), now);
            return None;
        }
        if self.is_target_hidden() {
            let id = targets[0].id;
            self.notify_hidden(id, now);
            return None;
        }
        Some(targets)
    }

    /// The marked connections, else the selected one, as far as they are connected.
    fn chosen_targets(&self) -> Vec<Target> {
        let living = |id| self.live.live_row(id).map(Target::from);
        if self.table.marks().is_empty() {
            self.table.selected().and_then(living).into_iter().collect()
        } else {
            self.table.marks().iter().copied().filter_map(living).collect()
        }
    }

    /// Opens a dialog, unless this dashboard is read-only.
    pub(super) fn open_dialog(&mut self, dialog: Dialog, now: Now) {
        if self.refuse_if_read_only(&dialog.name(), now) {
            return;
        }
        self.mode = Mode::Ask(dialog, Shown::No);
    }

    /// Notifies that this dashboard is read-only, if it is.
    pub(super) fn refuse_if_read_only(&mut self, what: &str, now: Now) -> bool {
        let is_read_only = self.access == Access::ReadOnly;
        if is_read_only {
            self.notify(Err(format!("read-only: no {what} from here")), now);
        }
        is_read_only
    }

    /// Sends the commands of a confirmed dialog.
    pub(super) fn carry_out(&mut self, dialog: &Dialog, now: Now) {
        let commands = dialog.commands(&self.live);
        match commands.as_slice() {
            [] => {
                let message = match dialog.targets.as_slice() {
                    [one] => gone(one.id, &self.live),
                    _ => "all of them are gone".to_owned(),
                };
                return self.notify(Err(message), now);
            }
            [one] => self.notify(Ok(format!("{one}: sent")), now),
            many => self.notify(Ok(format!("{} verbs sent", many.len())), now),
        }
        for command in commands {
            self.verbs.push(command);
        }
        self.table.unmark_all();
        self.send_verbs();
    }

    pub(super) fn toggle_mark(&mut self, now: Now) {
        let Some(id) = self.table.selected().filter(|id| self.live.live_row(*id).is_some()) else { return };
        if self.table.shows_selected(self.model()) {
            self.table.toggle_mark();
        } else {
            self.notify_hidden(id, now);
        }
    }

    pub(super) fn unmark_all(&mut self, now: Now) {
        let count = self.table.unmark_all();
        self.notify(Ok(format!("{count} unmarked")), now);
    }

    pub(super) fn open_say(&mut self, now: Now) {
        if !self.refuse_if_read_only("say", now) {
            self.mode = Mode::Say(TextInput::default());
        }
    }

    /// Runs a typed line. Destructive verbs open a confirmation.
    pub(super) fn run_line(&mut self, line: &str, now: Now) {
        let line = line.trim();
        self.lines.remember(line);
        match line {
            "" => {}
            "q" | "quit" => self.open_quit(),
            "help" => self.mode = Mode::Help(0),
            _ => match line.parse::<OperatorCommand>() {
                Ok(command) => self.run_command(command, now),
                Err(error) => self.notify(Err(error.to_string()), now),
            },
        }
    }

    fn run_command(&mut self, command: OperatorCommand, now: Now) {
        match target_of(&command) {
            Some(who) if !self.knows(&who) => self.look_up(command, who, now),
            _ => self.run_known(command, now),
        }
    }

    /// Runs a verb for a connection in the model, or for the server.
    pub(super) fn run_known(&mut self, command: OperatorCommand, now: Now) {
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
            Some(Err(error)) => return self.notify(Err(error), now),
        };
        self.open_dialog(Dialog { verb, targets }, now);
    }

    /// Whether the model has the connection, also if it is gone.
    fn knows(&self, who: &Who) -> bool {
        match who {
            Who::Id(id) => self.live.row(*id).is_some(),
            Who::Nick(_) => self.find(who).is_ok(),
        }
    }

    fn find(&self, who: &Who) -> Result<Target, String> {
        match who {
            Who::Id(id) => self.live.live_row(*id).map(Target::from).ok_or_else(|| gone(*id, &self.live)),
            Who::Nick(nick) => {
                let named = |row: &&crate::model::snapshot::Row| {
                    row.nick.is_some_and(|other| other.folded() == nick.folded())
                };
                let row =
                    self.live.rows().iter().filter(|row| self.live.live_row(row.id).is_some()).find(named);
                row.map(Target::from).ok_or_else(|| format!("nobody is called {nick} any more"))
            }
        }
    }

    /// Sends a verb that is not destructive.
    pub(super) fn send(&mut self, command: OperatorCommand, now: Now) {
        let line = command.to_string();
        let may_request = matches!(command, OperatorCommand::Ask(_));
        if !may_request && self.refuse_if_read_only(line.split(' ').next().unwrap_or(""), now) {
            return;
        }
        self.notify(Ok(format!("{line}: sent")), now);
        self.verbs.push(command);
        self.send_verbs();
    }

    /// Opens the quit dialog. From another process, or without clients, there is nothing to choose.
    pub(super) fn open_quit(&mut self) {
        if self.access != Access::Own {
            self.effects.push(Effect::Quit(QuitChoice::Leave));
        } else if self.live.has_snapshot() && self.live.status().clients == 0 {
            self.effects.push(Effect::Quit(QuitChoice::Drain));
        } else {
            self.mode = Mode::Quit(Shown::No);
        }
    }
}

/// The target of a verb that acts on one connection.
fn target_of(command: &OperatorCommand) -> Option<Who> {
    match command {
        OperatorCommand::Kick { who, .. }
        | OperatorCommand::Mute { who, .. }
        | OperatorCommand::Reset(who)
        | OperatorCommand::Shutdown { who, .. } => Some(*who),
        _ => None,
    }
}

/// A verb whose target the model does not have. A newer one replaces it.
#[derive(Debug)]
pub(super) struct Lookup {
    command: OperatorCommand,
    /// The ticket of the question.
    ticket: u64,
    /// The server has the connection: every later snapshot has it, as long as it stays.
    is_known: bool,
}

impl App {
    /// Asks the server whether it has the verb's target.
    pub(super) fn look_up(&mut self, command: OperatorCommand, who: Who, now: Now) {
        if self.refuse_if_read_only(&verb(&command), now) {
            return;
        }
        self.notify(Ok(format!("{command}: asking the server for {who}")), now);
        let ticket = self.verbs.push_question(OperatorCommand::Ask(Question::Connection(who)));
        self.lookup = Some(Lookup { command, ticket, is_known: false });
        self.send_verbs();
    }

    /// Takes the answer to the lookup, if this is its ticket.
    pub(super) fn take_lookup_answer(&mut self, ticket: u64, outcome: &Result<String, String>, now: Now) {
        let Some(lookup) = self.lookup.as_mut().filter(|lookup| lookup.ticket == ticket) else { return };
        lookup.is_known = outcome.is_ok();
        if let Err(error) = outcome {
            let message = format!("{}: {error}", lookup.command);
            self.lookup = None;
            self.notify(Err(message), now);
        }
    }

    /// Continues with the verb when the model has its target. Nothing is opened over another mode.
    pub(super) fn resume_lookup(&mut self, now: Now) {
        let Some(lookup) = self.lookup.take_if(|lookup| lookup.is_known) else { return };
        if matches!(self.mode, Mode::Browse) {
            self.run_known(lookup.command, now);
        } else {
            self.notify(Err(format!("{}: give it again, something else is open", lookup.command)), now);
        }
    }
}

/// The first word of a command.
fn verb(command: &OperatorCommand) -> String {
    command.to_string().split(' ').next().unwrap_or_default().to_owned()
}

/// Verbs sent to the server and not answered, at most.
const IN_FLIGHT_MAX: usize = 16;

/// Verbs that were given and have no answer yet, and the results of those given together.
#[derive(Debug, Default)]
pub(crate) struct VerbQueue {
    waiting: VecDeque<QueuedVerb>,
    in_flight: Vec<QueuedVerb>,
    last_ticket: u64,
    given: usize,
    done: usize,
    failure: Option<String>,
}

#[derive(Clone, Debug)]
struct QueuedVerb {
    ticket: u64,
    command: OperatorCommand,
    /// Whether the result is shown.
    is_reported: bool,
}

impl VerbQueue {
    /// Adds a verb whose result is shown.
    pub(super) fn push(&mut self, command: OperatorCommand) {
        self.given += 1;
        self.add(command, true);
    }

    /// Adds a question; its answer has the returned ticket and is not shown.
    pub(super) fn push_question(&mut self, question: OperatorCommand) -> u64 {
        self.add(question, false)
    }

    fn add(&mut self, command: OperatorCommand, is_reported: bool) -> u64 {
        self.last_ticket += 1;
        self.waiting.push_back(QueuedVerb { ticket: self.last_ticket, command, is_reported });
        self.last_ticket
    }

    /// The next request, if the server may have one more.
    pub(super) fn next_request(&mut self) -> Option<Request> {
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let order = self.waiting.pop_front()?;
        let request = Request::Verb { ticket: order.ticket, command: order.command.clone() };
        self.in_flight.push(order);
        Some(request)
    }

    /// Puts back a verb for which the link was too busy; it is the next one to be sent.
    pub(super) fn retry(&mut self, ticket: u64) {
        if let Some(order) = self.take(ticket) {
            self.waiting.push_front(order);
        }
    }

    /// Takes an answer; returns a notice when all verbs given together have answers.
    pub(super) fn take_answer(
        &mut self,
        ticket: u64,
        outcome: Result<String, String>,
    ) -> Option<Result<String, String>> {
        let QueuedVerb { command, .. } = self.take(ticket).filter(|order| order.is_reported)?;
        match &outcome {
            Ok(_) => self.done += 1,
            Err(error) => self.failure = Some(format!("{command}: {error}")),
        }
        if self.given == 1 {
            self.reset();
            return Some(match outcome {
                Ok(said) => Ok(format!("{command}: {said}")),
                Err(error) => Err(format!("{command}: {error}")),
            });
        }
        if self.waiting.iter().chain(&self.in_flight).any(|order| order.is_reported) {
            return None;
        }
        let (given, done, failure) = (self.given, self.done, self.failure.take());
        self.reset();
        Some(match failure {
            None => Ok(format!("{done} of {given} verbs done")),
            Some(failure) => Err(format!("{done} of {given} verbs done; {failure}")),
        })
    }

    fn take(&mut self, ticket: u64) -> Option<QueuedVerb> {
        let at = self.in_flight.iter().position(|order| order.ticket == ticket)?;
        Some(self.in_flight.remove(at))
    }

    fn reset(&mut self) {
        (self.given, self.done, self.failure) = (0, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(request: Option<Request>) -> u64 {
        match request {
            Some(Request::Verb { ticket, .. }) => ticket,
            other => panic!("no verb: {other:?}"),
        }
    }

    #[test]
    fn one_verb_reports_its_result() {
        let mut verbs = VerbQueue::default();
        verbs.push(OperatorCommand::Pause);
        let first = ticket(verbs.next_request());
        assert_eq!(verbs.take_answer(first + 1, Ok(String::new())), None);
        assert_eq!(verbs.take_answer(first, Ok("paused".into())), Some(Ok("pause: paused".into())));
        verbs.push(OperatorCommand::Resume);
        let second = ticket(verbs.next_request());
        assert_eq!(verbs.take_answer(second, Err("no".into())), Some(Err("resume: no".into())));
    }

    #[test]
    fn a_question_does_not_count_as_a_verb() {
        let mut verbs = VerbQueue::default();
        verbs.push(OperatorCommand::Pause);
        let question = verbs.push_question(OperatorCommand::Resume);
        let first = ticket(verbs.next_request());
        assert_eq!(ticket(verbs.next_request()), question);
        assert_eq!(verbs.take_answer(first, Ok("paused".into())), Some(Ok("pause: paused".into())));
        assert_eq!(verbs.take_answer(question, Ok("known".into())), None);
    }

    #[test]
    fn many_verbs_are_sent_a_few_at_a_time_and_report_one_result() {
        let mut verbs = VerbQueue::default();
        for _ in 0..20 {
            verbs.push(OperatorCommand::Pause);
        }
        let mut tickets: VecDeque<u64> =
            std::iter::from_fn(|| verbs.next_request()).map(|request| ticket(Some(request))).collect();
        assert_eq!(tickets.len(), IN_FLIGHT_MAX);
        verbs.retry(tickets.pop_back().unwrap());
        let mut message = Vec::new();
        while let Some(next) = tickets.pop_front() {
            let outcome = if tickets.is_empty() { Err("too late".to_owned()) } else { Ok(String::new()) };
            message.extend(verbs.take_answer(next, outcome));
            tickets.extend(verbs.next_request().map(|request| ticket(Some(request))));
        }
        assert!(
            matches!(message.as_slice(), [Err(text)] if text.starts_with('1') && text.contains("of 20")),
            "{message:?}"
        );
    }
}
