//! A configuration that is read anew while the server runs.
//!
//! Who reads it is not the engine's business: it says that somebody on the control socket has asked, and is told what
//! came of it.

use super::connection::{Connection, Role};
use super::control::json;
use super::server::{Engine, rules};
use crate::config::settings::{Config, LogLevel};
use crate::id::{ConnId, Slot};
use crate::model::event::EventKind;
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

/// Somebody on the control socket who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    pub(super) slot: Slot,
    pub(super) id: ConnId,
}

impl Engine {
    /// Whether somebody on the control socket asks for it.
    #[must_use]
    pub fn wants_reload(&self) -> bool {
        !self.reload_askers.is_empty()
    }

    /// Takes those who ask: they wait for [`Engine::reloaded`].
    pub fn take_reload_askers(&mut self) -> Vec<Asker> {
        std::mem::take(&mut self.reload_askers)
    }

    /// Takes a configuration that was read anew, or why there is none, and answers those who have asked for it. Gives what
    /// came of it, in words for the operator.
    ///
    /// # Errors
    ///
    /// Why nothing has changed.
    pub fn reloaded(&mut self, read: Result<Reloaded, String>, askers: &[Asker]) -> Result<String, String> {
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
        self.note_reload(&told);
        for Asker { slot, id } in askers {
            // Another connection may have the slot by now.
            let is_here = |conn: &Connection| conn.role == Role::Operator && conn.id == *id;
            if self.conns.get(*slot).is_some_and(is_here) {
                self.conns.answer_raw(*slot, &answer);
                self.answered(*slot);
            }
        }
        told
    }

    /// `slot` on the control socket asks for it; its next request waits for the answer.
    pub(super) fn ask_to_reload(&mut self, slot: Slot) {
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.set_answering(true);
            let id = conn.id;
            self.reload_askers.push(Asker { slot, id });
        }
        self.conns.touch(slot);
    }

    fn note_reload(&mut self, told: &Result<String, String>) {
        let outcome = match told {
            Ok(done) => done.clone(),
            Err(why) => format!("refused: {why}"),
        };
        let event = EventKind::Operator { id: None, verb: "reload".to_owned(), outcome };
        self.conns.journal.add(self.conns.now, event);
    }

    /// Everything that the engine takes from a configuration, but for its listeners. Nobody is thrown out: who is over a
    /// limit only gets no further.
    fn reconfigure(&mut self, config: &Config) {
        let flood = self.conns.limits.flood;
        self.hub.set_rules(rules(config));
        self.conns.reconfigure(config);
        if self.conns.limits.flood != flood {
            self.forgive_floods();
        }
        self.reconfigure_admission(config);
        self.bans.set_max(config.limits.bans as usize);
        self.set_own(config);
    }

    /// The rates are others: nobody has to wait for what it owed under the old ones.
    fn forgive_floods(&mut self) {
        let now = self.conns.now.moment;
        self.admission.ledger.forgive_floods();
        for slot in self.conns.clients().map(|(slot, _)| slot).collect::<Vec<_>>() {
            if let Some(conn) = self.conns.get_mut(slot) {
                conn.session.forgive_flood(now);
            }
            self.parse(slot, &[]);
            self.conns.touch(slot);
        }
    }
}

/// `changed: limits.clients, flood.enabled; needs a restart: listen`
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
