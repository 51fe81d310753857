//! Questions: what is asked before a verb goes out, for whom, and what will be lost.
//!
//! A dialog holds the ids it was opened for; nothing that moves, sorts or leaves the table changes them. The harmless
//! answer is the default: Enter alone and Esc do nothing to anybody.

mod ban;

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::picture::{Picture, unsent};
use super::units;
use crate::model::snapshot::{ConnId, Flags, HalfState, Nick, Peer, Row};
use crate::model::verbs::{Half, OperatorCommand, Who};
use crate::time::write_span;

pub(crate) use ban::Ban;

/// What a dialog is about to do to its targets, or to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// End whom it hits, and keep them out.
    Ban(Ban),
    /// End the server.
    Drain(Option<Duration>),
    /// A last line with this reason, FIN, close.
    Kick(String),
    /// Refuse what they say.
    Mute(Option<Duration>),
    /// Accept nobody new.
    Pause,
    /// Read the configuration again.
    Reload,
    /// RST.
    Reset,
    /// Accept connections again.
    Resume,
    /// End a direction, once one is chosen.
    Shutdown(Option<Half>),
    /// End the server.
    Stop,
    /// Take what they say again.
    Unmute,
}

/// A connection as it was when it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its number, which decides.
    pub(crate) id: ConnId,
    nick: Option<Nick>,
    peer: Peer,
}

impl Target {
    /// The same connection by the name it has now, or had last.
    fn now(self, live: &Picture) -> Self {
        Self { nick: live.row(self.id).map_or(self.nick, |row| row.nick), ..self }
    }
}

impl From<&Row> for Target {
    fn from(row: &Row) -> Self {
        Self { id: row.id, nick: row.nick, peer: row.peer }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.nick {
            Some(nick) => write!(f, "{} {nick} {}", self.id, self.peer),
            None => write!(f, "{} {}", self.id, self.peer),
        }
    }
}

/// A verb that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialog {
    /// What is about to happen.
    pub(crate) verb: Verb,
    /// To whom; nobody when it is about the server.
    pub(crate) targets: Vec<Target>,
}

/// What a key says to a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This direction.
    Choose(Half),
    /// Nothing that it understands.
    None,
    /// Not now.
    No,
    /// A reason comes first.
    Reason,
    /// Do it.
    Yes,
}

/// A question as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Panel {
    /// The verb as one would type it.
    pub(crate) title: String,
    /// What is asked; the first line names the verb and whom it is for.
    pub(crate) question: String,
    /// What will come of it.
    pub(crate) body: Vec<String>,
    /// Whom it is for, when there are many.
    pub(crate) list: Vec<String>,
    /// Keys and what they do, the default first.
    pub(crate) choices: Vec<(&'static str, String)>,
}

impl Dialog {
    /// What a key says to it.
    pub(crate) fn answer(&self, key: KeyEvent) -> Answer {
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return Answer::None;
        }
        match (key.code, &self.verb) {
            (KeyCode::Char('n') | KeyCode::Enter | KeyCode::Esc, _) => Answer::No,
            (KeyCode::Char('y'), Verb::Shutdown(None)) => Answer::None,
            (KeyCode::Char('y'), _) => Answer::Yes,
            (KeyCode::Char('r'), Verb::Ban(_) | Verb::Kick(_)) => Answer::Reason,
            (KeyCode::Char('r'), Verb::Shutdown(_)) => Answer::Choose(Half::Read),
            (KeyCode::Char('w'), Verb::Shutdown(_)) => Answer::Choose(Half::Write),
            (KeyCode::Char('b'), Verb::Shutdown(_)) => Answer::Choose(Half::Both),
            _ => Answer::None,
        }
    }

    /// The commands that `y` sends: one for each target that is still there, or one for the server.
    pub(crate) fn commands(&self, live: &Picture) -> Vec<OperatorCommand> {
        match &self.verb {
            Verb::Ban(ban) => ban.commands(live),
            Verb::Drain(time) => vec![OperatorCommand::Drain(*time)],
            Verb::Pause => vec![OperatorCommand::Pause],
            Verb::Reload => vec![OperatorCommand::Reload],
            Verb::Resume => vec![OperatorCommand::Resume],
            Verb::Stop => vec![OperatorCommand::Stop],
            _ => {
                let living = self.targets.iter().filter(|target| live.living(target.id).is_some());
                living.filter_map(|target| self.command(target.id)).collect()
            }
        }
    }

    fn command(&self, id: ConnId) -> Option<OperatorCommand> {
        let who = Who::Id(id);
        Some(match &self.verb {
            Verb::Kick(reason) => OperatorCommand::Kick { who, reason: reason.clone() },
            Verb::Mute(time) => OperatorCommand::Mute { who, time: *time },
            Verb::Reset => OperatorCommand::Reset(who),
            Verb::Shutdown(half) => OperatorCommand::Shutdown { who, half: (*half)? },
            Verb::Unmute => OperatorCommand::Unmute(who),
            Verb::Ban(_) | Verb::Drain(_) | Verb::Pause | Verb::Reload | Verb::Resume | Verb::Stop => {
                return None;
            }
        })
    }

    /// What is said with it, if anything can be.
    pub(crate) fn reason(&self) -> &str {
        match &self.verb {
            Verb::Ban(Ban { reason, .. }) | Verb::Kick(reason) => reason,
            _ => "",
        }
    }

    /// This is said with it.
    pub(crate) fn set_reason(&mut self, text: &str) {
        if let Verb::Ban(Ban { reason, .. }) | Verb::Kick(reason) = &mut self.verb {
            text.clone_into(reason);
        }
    }

    /// The question as it is shown now.
    pub(crate) fn panel(&self, live: &Picture, raw: bool) -> Panel {
        let targets: Vec<Target> = self.targets.iter().map(|target| target.now(live)).collect();
        let (whom, known, list) = match (targets.as_slice(), &self.verb) {
            ([], Verb::Ban(ban)) => (format!(" {}", ban.whom(live)), None, ban.list(live, raw)),
            ([], _) => (String::new(), None, Vec::new()),
            ([one], _) => (format!(" {one}"), self.fate(*one, live, raw), Vec::new()),
            (many, _) => {
                let listed = |target: &Target| match self.fate(*target, live, raw) {
                    Some(fate) => format!("{target}: {fate}"),
                    None => target.to_string(),
                };
                (format!(" {} connections", many.len()), None, many.iter().map(listed).collect())
            }
        };
        let word = self.word();
        let mut letters = word.chars();
        let capital: String =
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let left = targets.iter().filter(|target| live.living(target.id).is_some()).count();
        let is_void = left == 0 && !targets.is_empty();
        let consequence = match (is_void, targets.len()) {
            (true, 1) => None,
            (true, _) => Some("All of them are gone.".to_owned()),
            (false, _) => Some(self.consequence(live)),
        };
        Panel {
            title: format!(":{}", self.line()),
            question: format!("{capital}{whom}?"),
            body: known.into_iter().chain(consequence).collect(),
            list,
            choices: if is_void { vec![("n", "back".to_owned())] } else { self.choices(left) },
        }
    }

    /// What is to be known about a target before it is done: that it is gone, or what it stands to lose now.
    fn fate(&self, target: Target, live: &Picture, raw: bool) -> Option<String> {
        let Some(row) = live.living(target.id) else {
            return Some(gone(target.id, live));
        };
        match self.verb {
            Verb::Kick(_) | Verb::Reset | Verb::Shutdown(None | Some(Half::Write | Half::Both)) => {
                Some(loss(row, raw))
            }
            Verb::Mute(None) => row.flags.has(Flags::MUTED).then(|| "muted already".to_owned()),
            _ => None,
        }
    }

    /// The verb in a word or two.
    pub(crate) fn word(&self) -> String {
        match &self.verb {
            Verb::Ban(_) => "ban".to_owned(),
            Verb::Drain(_) => "drain the server".to_owned(),
            Verb::Kick(_) => "kick".to_owned(),
            Verb::Mute(_) => "mute".to_owned(),
            Verb::Pause => "pause accepting".to_owned(),
            Verb::Reload => "reload the configuration".to_owned(),
            Verb::Reset => "reset".to_owned(),
            Verb::Resume => "resume accepting".to_owned(),
            Verb::Shutdown(None) => "shutdown".to_owned(),
            Verb::Shutdown(Some(half)) => format!("shutdown {half}"),
            Verb::Stop => "stop the server".to_owned(),
            Verb::Unmute => "unmute".to_owned(),
        }
    }

    /// What one would type for it.
    fn line(&self) -> String {
        let ids: Vec<String> = self.targets.iter().map(|target| target.id.to_string()).collect();
        let ids = ids.join(" ");
        match &self.verb {
            Verb::Ban(ban) => ban.line(),
            Verb::Drain(time) => OperatorCommand::Drain(*time).to_string(),
            Verb::Kick(reason) if reason.is_empty() => format!("kick {ids}"),
            Verb::Kick(reason) => format!("kick {ids} {reason}"),
            Verb::Shutdown(None) => format!("shutdown {ids} read|write|both"),
            Verb::Shutdown(Some(half)) => format!("shutdown {ids} {half}"),
            Verb::Pause => OperatorCommand::Pause.to_string(),
            Verb::Reload => OperatorCommand::Reload.to_string(),
            Verb::Resume => OperatorCommand::Resume.to_string(),
            Verb::Stop => OperatorCommand::Stop.to_string(),
            Verb::Mute(Some(time)) => format!("mute {ids} for {}", write_span(*time)),
            Verb::Mute(None) | Verb::Reset | Verb::Unmute => format!("{} {ids}", self.word()),
        }
    }

    fn consequence(&self, live: &Picture) -> String {
        let everybody = units::counted(u64::from(live.status().clients), "client", "clients");
        match &self.verb {
            Verb::Ban(ban) => ban.consequence(live),
            Verb::Drain(_) | Verb::Stop => format!("The server ends: {everybody} told, flushed and closed."),
            Verb::Kick(reason) if reason.is_empty() => {
                "A last line, flush, FIN. What is not taken within 5 s is lost.".to_owned()
            }
            Verb::Kick(reason) => {
                format!(
                    "A last line with the reason \"{reason}\", flush, FIN. What is not taken within 5 s is lost."
                )
            }
            Verb::Mute(None) => {
                "What is said is refused until unmute; lines of others still arrive.".to_owned()
            }
            Verb::Mute(Some(time)) => {
                format!("What is said is refused for {}; lines of others still arrive.", write_span(*time))
            }
            Verb::Pause => {
                "New clients wait in the kernel's queue and are let in on resume; those connected stay.".to_owned()
            }
            Verb::Reload => "The file is read again; a mistake in it changes nothing.".to_owned(),
            Verb::Resume => "New clients are accepted again, those who wait first.".to_owned(),
            Verb::Unmute => "What is said is taken again.".to_owned(),
            Verb::Reset => "RST, now, without a last line. What is unsent is lost.".to_owned(),
            Verb::Shutdown(None) => "Which direction? r from the client, w to the client, b both.".to_owned(),
            Verb::Shutdown(Some(half @ (Half::Read | Half::Write))) if self.is_other_half_over(*half, live) => {
                "Then both directions are over: what is queued is flushed, and it is draining until it closes."
                    .to_owned()
            }
            Verb::Shutdown(Some(Half::Read)) => {
                "What it sends is read and discarded from now on; it still receives.".to_owned()
            }
            Verb::Shutdown(Some(Half::Write)) => {
                "Flush, then FIN: it receives nothing more; what it sends is still taken.".to_owned()
            }
            Verb::Shutdown(Some(Half::Both)) => {
                "Flush, then FIN, and what it sends is discarded; it is draining until it closes.".to_owned()
            }
        }
    }

    /// Whether the direction that is not asked about has ended, of the only target.
    fn is_other_half_over(&self, half: Half, live: &Picture) -> bool {
        let [target] = self.targets.as_slice() else { return false };
        live.living(target.id).is_some_and(|row| match half {
            Half::Read => row.write != HalfState::Open,
            Half::Write => row.read != HalfState::Open,
            Half::Both => false,
        })
    }

    fn choices(&self, left: usize) -> Vec<(&'static str, String)> {
        let mut choices = vec![("n", "no".to_owned())];
        if let Verb::Shutdown(_) = self.verb {
            choices.extend([("r", "read".to_owned()), ("w", "write".to_owned()), ("b", "both".to_owned())]);
        }
        if self.verb != Verb::Shutdown(None) {
            let all = match self.targets.len() {
                0 | 1 => String::new(),
                all if left == all => format!(" all {all}"),
                _ => format!(" the {left} still there"),
            };
            choices.push(("y", self.word() + &all));
        }
        if let Verb::Ban(_) | Verb::Kick(_) = self.verb {
            choices.push(("r", "give a reason".to_owned()));
        }
        choices
    }
}

/// What is unsent.
fn loss(row: &Row, raw: bool) -> String {
    let size = |count| units::bytes(count, raw);
    match unsent(row) {
        (0, 0) => "nothing unsent".to_owned(),
        (outbox, 0) => format!("{} unsent", size(outbox)),
        (outbox, send_q) => format!("{} unsent, {} in Send-Q", size(outbox), size(send_q)),
    }
}

/// That a connection is gone, and why if that is still known.
pub(crate) fn gone(id: ConnId, live: &Picture) -> String {
    match live.row(id).and_then(|row| row.reason.as_ref()) {
        Some(reason) => format!("{id} is gone: {reason}"),
        None => format!("{id} is gone"),
    }
}
