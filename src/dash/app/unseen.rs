//! Verbs for somebody whom the picture does not show. It may be older than they are, so the server is asked: if it
//! knows them, the next picture shows them and the verb goes on; if not, its answer is shown.

use super::{App, Mode};
use crate::model::verbs::{OperatorCommand, Question, Who};
use crate::time::Now;

/// A verb that waits for what the server says. Another one takes its place.
#[derive(Debug)]
pub(super) struct Unseen {
    command: OperatorCommand,
    /// Of the question.
    ticket: u64,
    /// The server knows them: every picture from here on shows them, as long as they stay.
    is_known: bool,
}

impl App {
    /// Asks the server whether there is anybody for this verb.
    pub(super) fn ask_server(&mut self, command: OperatorCommand, who: Who, now: Now) {
        if self.refuses_verbs(&verb(&command), now) {
            return;
        }
        self.tell(Ok(format!("{command}: asking the server for {who}")), now);
        let ticket = self.orders.ask(OperatorCommand::Ask(Question::Connection(who)));
        self.unseen = Some(Unseen { command, ticket, is_known: false });
        self.send_orders();
    }

    /// Takes an answer, if it is the one that is waited for.
    pub(super) fn take_word_of_unseen(&mut self, ticket: u64, outcome: &Result<String, String>, now: Now) {
        let Some(unseen) = self.unseen.as_mut().filter(|unseen| unseen.ticket == ticket) else { return };
        unseen.is_known = outcome.is_ok();
        if let Err(why) = outcome {
            let told = format!("{}: {why}", unseen.command);
            self.unseen = None;
            self.tell(Err(told), now);
        }
    }

    /// Goes on with the verb, once a picture has come that shows whom it is for. Nothing is opened over what the
    /// operator has turned to meanwhile.
    pub(super) fn resume_unseen(&mut self, now: Now) {
        let Some(unseen) = self.unseen.take_if(|unseen| unseen.is_known) else { return };
        if matches!(self.mode, Mode::Browse) {
            self.run_seen(unseen.command, now);
        } else {
            self.tell(Err(format!("{}: give it again, something else is open", unseen.command)), now);
        }
    }
}

/// The first word of a command.
fn verb(command: &OperatorCommand) -> String {
    command.to_string().split(' ').next().unwrap_or_default().to_owned()
}
