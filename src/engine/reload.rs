//! A configuration that is read anew while the server runs.
//!
//! Who reads it is not the engine's business: it says that somebody on the control socket has asked, and is told what
//! came of it.

use super::control::json;
use super::record::Record;
use super::server::{Engine, rules};
use crate::config::settings::{Config, LogLevel};
use crate::id::Slot;
use crate::wire::text::scrub;

/// A configuration that was read, and what is different.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What is in force from now on.
    pub config: Config,
    /// The keys that changed with it.
    pub applied: Vec<&'static str>,
    /// The keys that are different in the file and change with the next start.
    pub needs_restart: Vec<&'static str>,
    /// What the operator is to be told beside it.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Whether somebody on the control socket waits for [`Engine::reloaded`].
    #[must_use]
    pub fn wants_reload(&self) -> bool {
        !self.reload_askers.is_empty()
    }

    /// Takes a configuration that was read anew, or why there is none, and answers whoever has asked for it. Gives what
    /// came of it, in words for the operator.
    ///
    /// # Errors
    ///
    /// Why nothing has changed.
    pub fn reloaded(&mut self, read: Result<Reloaded, String>) -> Result<String, String> {
        let mut answer = Vec::new();
        let told = match read {
            Ok(reloaded) => {
                self.reconfigure(&reloaded.config);
                for warning in &reloaded.warnings {
                    self.note(LogLevel::Warn, warning.clone());
                }
                let message = told(&reloaded);
                json::success(&mut answer, &json::Reload::of(&reloaded, &message));
                Ok(message)
            }
            Err(why) => {
                let why = scrub(why.as_bytes()).text.into_owned();
                json::failure(&mut answer, &why);
                Err(why)
            }
        };
        self.record_reload(&told);
        for slot in std::mem::take(&mut self.reload_askers) {
            self.board.answer_raw(slot, &answer);
            self.answered(slot);
        }
        told
    }

    /// `slot` on the control socket asks for it; its next request waits for the answer.
    pub(super) fn ask_to_reload(&mut self, slot: Slot) {
        self.reload_askers.push(slot);
        if let Some(entry) = self.board.entry_mut(slot) {
            entry.session.set_answering(true);
        }
        self.board.touch(slot);
    }

    fn record_reload(&mut self, told: &Result<String, String>) {
        let outcome = match told {
            Ok(done) => done.clone(),
            Err(why) => format!("refused: {why}"),
        };
        let record = Record::Operator { id: None, verb: "reload".to_owned(), outcome };
        self.board.journal.add(self.board.now, record);
    }

    /// Everything that the engine takes from a configuration, but for its listeners. Nobody is thrown out: who is over a
    /// limit only gets no further.
    fn reconfigure(&mut self, config: &Config) {
        self.hub.set_rules(rules(config));
        self.board.reconfigure(config);
        self.door.reconfigure(config);
        for (_, entry) in self.board.clients() {
            self.door.count_address(entry.peer());
        }
        self.bans.set_max(config.limits.bans as usize);
        self.set_own(config);
    }
}

/// `2 keys changed: limits.clients, flood.enabled; needs a restart: listen`
fn told(reloaded: &Reloaded) -> String {
    let applied = match reloaded.applied.as_slice() {
        [] => "nothing changed".to_owned(),
        keys => format!("changed: {}", keys.join(", ")),
    };
    match reloaded.needs_restart.as_slice() {
        [] => applied,
        keys => format!("{applied}; needs a restart: {}", keys.join(", ")),
    }
}
