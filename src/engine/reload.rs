//! A configuration that is reloaded while the server runs. The caller reads it.

use super::server::{Engine, rules};
use crate::config::settings::{Config, LogLevel};
use crate::model::answer::{Done, Outcome, ReloadedKeys};
use crate::model::verbs::OperatorCommand;
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
    /// Puts a configuration that was read into force, or records why there is none.
    ///
    /// # Errors
    ///
    /// Why nothing has changed.
    pub fn reloaded(&mut self, read: Result<Reloaded, String>) -> Outcome {
        let outcome = match read {
            Ok(reloaded) => {
                self.reconfigure(&reloaded.config);
                for warning in &reloaded.warnings {
                    self.note(LogLevel::Warn, warning.clone());
                }
                let message = told(&reloaded);
                let Reloaded { applied, needs_restart, .. } = reloaded;
                Ok(Done { reload: Some(ReloadedKeys { applied, needs_restart }), ..message.into() })
            }
            Err(why) => Err(scrub(why.as_bytes()).text.into_owned()),
        };
        self.note_order(&OperatorCommand::Reload, None, &outcome);
        outcome
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
