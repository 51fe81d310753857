//! Confirmations: a dialog names its verb, its targets and what would be lost before the verb is sent.
//!
//! A dialog holds the ids it was opened for; rows that move, sort or leave the table do not change them. Enter and Esc
//! cancel.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, unsent};
use crate::count;
use crate::model::snapshot::{ConnId, Flags, HalfState, Nick, Peer, Phase, Row};
use crate::model::verbs::{BanMask, BanOrder, Half, OperatorCommand, Who};
use crate::network::Network;
use crate::time::write_span;

/// What a dialog is about to do to its targets, or to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Close the connections it matches, and refuse new ones.
    Ban(Ban),
    /// End the server.
    Drain(Option<Duration>),
    /// A last line with this reason, FIN, close.
    Kick(String),
    /// Refuse their messages.
    Mute(Option<Duration>),
    /// Pause accepting.
    Pause,
    /// Read the configuration again.
    Reload,
    /// RST.
    Reset,
    /// Accept connections again.
    Resume,
    /// Shut down a direction, once one is chosen.
    Shutdown(Option<Half>),
    /// End the server.
    Stop,
    /// Accept their messages again.
    Unmute,
}

/// A connection as it was when the dialog was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its number, which decides.
    pub(crate) id: ConnId,
    nick: Option<Nick>,
    peer: Peer,
}

impl Target {
    /// The same connection with its present nick, or its last one.
    fn now(self, live: &Model) -> Self {
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
    pub(crate) verb: Verb,
    /// The target connections; none when the verb is for the server.
    pub(crate) targets: Vec<Target>,
}

/// What a key means to a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This direction.
    Choose(Half),
    /// The key has no meaning.
    None,
    /// Not now.
    No,
    /// Edit the reason first.
    Reason,
    Yes,
}

/// A dialog as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Panel {
    /// The verb as it would be typed.
    pub(crate) title: String,
    /// The question; its first line names the verb and the target.
    pub(crate) question: String,
    /// The consequences.
    pub(crate) body: Vec<String>,
    /// The targets, when there are many.
    pub(crate) list: Vec<String>,
    /// Keys and their labels, the default first.
    pub(crate) choices: Vec<(&'static str, String)>,
}

impl Dialog {
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

    /// The commands that `y` sends: one for each target that is still connected, or one for the server.
    pub(crate) fn commands(&self, live: &Model) -> Vec<OperatorCommand> {
        match &self.verb {
            Verb::Ban(ban) => ban.commands(live),
            Verb::Drain(time) => vec![OperatorCommand::Drain(*time)],
            Verb::Pause => vec![OperatorCommand::Pause],
            Verb::Reload => vec![OperatorCommand::Reload],
            Verb::Resume => vec![OperatorCommand::Resume],
            Verb::Stop => vec![OperatorCommand::Stop],
            _ => {
                let living = self.targets.iter().filter(|target| live.live_row(target.id).is_some());
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

    /// The reason, for verbs that have one.
    pub(crate) fn reason(&self) -> &str {
        match &self.verb {
            Verb::Ban(Ban { reason, .. }) | Verb::Kick(reason) => reason,
            _ => "",
        }
    }

    pub(crate) fn set_reason(&mut self, text: &str) {
        if let Verb::Ban(Ban { reason, .. }) | Verb::Kick(reason) = &mut self.verb {
            text.clone_into(reason);
        }
    }

    /// The dialog as it is shown now.
    pub(crate) fn panel(&self, live: &Model, raw: bool) -> Panel {
        let targets: Vec<Target> = self.targets.iter().map(|target| target.now(live)).collect();
        let (target_text, known, list) = match (targets.as_slice(), &self.verb) {
            ([], Verb::Ban(ban)) => (format!(" {}", ban.target_text(live)), None, ban.list(live, raw)),
            ([], _) => (String::new(), None, Vec::new()),
            ([one], _) => (format!(" {one}"), self.target_state(*one, live, raw), Vec::new()),
            (many, _) => {
                let listed = |target: &Target| match self.target_state(*target, live, raw) {
                    Some(target_state) => format!("{target}: {target_state}"),
                    None => target.to_string(),
                };
                (format!(" {} connections", many.len()), None, many.iter().map(listed).collect())
            }
        };
        let name = self.name();
        let mut letters = name.chars();
        let capital: String =
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let left = targets.iter().filter(|target| live.live_row(target.id).is_some()).count();
        let is_void = left == 0 && !targets.is_empty();
        let consequence = match (is_void, targets.len()) {
            (true, 1) => None,
            (true, _) => Some("All of them are gone.".to_owned()),
            (false, _) => Some(self.consequence(live)),
        };
        Panel {
            title: format!(":{}", self.line()),
            question: format!("{capital}{target_text}?"),
            body: known.into_iter().chain(consequence).collect(),
            list,
            choices: if is_void { vec![("n", "back".to_owned())] } else { self.choices(left) },
        }
    }

    /// The state of a target before the verb runs: that it is gone, or what it would lose.
    fn target_state(&self, target: Target, live: &Model, raw: bool) -> Option<String> {
        let Some(row) = live.live_row(target.id) else {
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
    pub(crate) fn name(&self) -> String {
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

    /// The command line of this verb.
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
            Verb::Mute(None) | Verb::Reset | Verb::Unmute => format!("{} {ids}", self.name()),
        }
    }

    fn consequence(&self, live: &Model) -> String {
        let everyone = count::counted(u64::from(live.status().clients), "client", "clients");
        match &self.verb {
            Verb::Ban(ban) => ban.consequence(live),
            Verb::Drain(_) | Verb::Stop => format!("The server ends: {everyone} notified, flushed and closed."),
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

    /// Whether the other direction of the only target has ended already.
    fn is_other_half_over(&self, half: Half, live: &Model) -> bool {
        let [target] = self.targets.as_slice() else { return false };
        live.live_row(target.id).is_some_and(|row| match half {
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
            choices.push(("y", self.name() + &all));
        }
        if let Verb::Ban(_) | Verb::Kick(_) = self.verb {
            choices.push(("r", "give a reason".to_owned()));
        }
        choices
    }
}

/// The unsent bytes of a connection.
fn loss(row: &Row, raw: bool) -> String {
    let size = |count| count::bytes(count, raw);
    match unsent(row) {
        (0, 0) => "nothing unsent".to_owned(),
        (outbox, 0) => format!("{} unsent", size(outbox)),
        (outbox, send_q) => format!("{} unsent, {} in Send-Q", size(outbox), size(send_q)),
    }
}

/// That a connection is gone, and why if that is still known.
pub(crate) fn gone(id: ConnId, live: &Model) -> String {
    match live.row(id).and_then(|row| row.reason.as_ref()) {
        Some(reason) => format!("{id} is gone: {reason}"),
        None => format!("{id} is gone"),
    }
}

/// A ban that waits for confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ban {
    /// Addresses and nicks that it refuses.
    pub(crate) masks: Vec<BanMask>,
    /// For how long, if not until `unban`.
    pub(crate) time: Option<Duration>,
    /// May be empty.
    pub(crate) reason: String,
}

impl Ban {
    /// A ban of the addresses of `targets`, each once; of the nicks of targets without an address.
    pub(crate) fn of(targets: &[Target]) -> Self {
        let mut masks: Vec<BanMask> = Vec::new();
        for mask in targets.iter().filter_map(mask_of) {
            if !masks.iter().any(|other| other.is_same(&mask)) {
                masks.push(mask);
            }
        }
        Self { masks, time: None, reason: String::new() }
    }

    /// The verbs that `y` sends. They are forced where the dialog has shown that more than half of all clients are hit.
    pub(super) fn commands(&self, live: &Model) -> Vec<OperatorCommand> {
        let order = |mask: &BanMask| {
            let hits = live_row(live).filter(|row| is_hit(mask, row)).count();
            let is_forced = is_most(hits, live);
            OperatorCommand::Ban(BanOrder {
                mask: *mask,
                time: self.time,
                is_forced,
                reason: self.reason.clone(),
            })
        };
        self.masks.iter().map(order).collect()
    }

    /// The command line of this ban.
    pub(super) fn line(&self) -> String {
        let masks: Vec<String> = self.masks.iter().map(BanMask::to_string).collect();
        let span = self.span();
        let space = if self.reason.is_empty() { "" } else { " " };
        format!("ban {}{span}{space}{}", masks.join(" "), self.reason)
    }

    /// The masks, and the number of connections that would be closed now.
    pub(super) fn target_text(&self, live: &Model) -> String {
        let target_text = match self.masks.as_slice() {
            [one] => one.to_string(),
            many => format!("{} addresses", many.len()),
        };
        match self.hits(live).count() {
            0 => format!("{target_text}, ending nobody"),
            hits => format!("{target_text}, ending {hits} of {}", clients(live)),
        }
    }

    /// The connections that would be closed now, and what they would lose.
    pub(super) fn list(&self, live: &Model, raw: bool) -> Vec<String> {
        self.hits(live).map(|row| format!("{}: {}", Target::from(row), loss(row, raw))).collect()
    }

    pub(super) fn consequence(&self, live: &Model) -> String {
        let hits = self.hits(live).count();
        let warning = if is_most(hits, live) { "More than half of all clients. " } else { "" };
        let reason = match self.reason.as_str() {
            "" => String::new(),
            reason => format!(" with the reason \"{reason}\""),
        };
        let ended = if hits == 0 { String::new() } else { format!("A last line{reason}, flush, FIN. ") };
        let until = if self.time.is_some() { self.span() } else { " until unban".to_owned() };
        let is_name = |mask: &BanMask| matches!(mask, BanMask::Nick(_));
        let barred = if self.masks.iter().all(is_name) {
            "Nobody may take the name"
        } else {
            "Who comes later is kept out"
        };
        format!("{warning}{ended}{barred}{until}.")
    }

    fn hits<'a>(&'a self, live: &'a Model) -> impl Iterator<Item = &'a Row> {
        live_row(live).filter(|row| self.masks.iter().any(|mask| is_hit(mask, row)))
    }

    fn span(&self) -> String {
        self.time.map(|time| format!(" for {}", write_span(time))).unwrap_or_default()
    }
}

impl From<&BanOrder> for Verb {
    fn from(order: &BanOrder) -> Self {
        Self::Ban(Ban { masks: vec![order.mask], time: order.time, reason: order.reason.clone() })
    }
}

fn mask_of(target: &Target) -> Option<BanMask> {
    match target.peer {
        Peer::Tcp(address) => Some(BanMask::Network(Network::counted_as_one(address.ip()))),
        // A guest nick is never given to another client, so a ban of it would match no client.
        Peer::Unix => target.nick.filter(|nick| Nick::parse(nick.as_str()).is_ok()).map(BanMask::Nick),
    }
}

/// The connections that a ban can close; one that is draining is closed already.
fn live_row(live: &Model) -> impl Iterator<Item = &Row> {
    live.rows().iter().filter(|row| live.live_row(row.id).is_some() && row.state != Phase::Draining)
}

fn is_hit(mask: &BanMask, row: &Row) -> bool {
    match (mask, row.peer) {
        (BanMask::Network(network), Peer::Tcp(address)) => network.holds(address.ip()),
        (BanMask::Network(_), Peer::Unix) => false,
        (BanMask::Nick(nick), _) => row.nick.is_some_and(|other| other.folded() == nick.folded()),
    }
}

fn clients(live: &Model) -> String {
    count::counted(u64::from(live.status().clients), "client", "clients")
}

fn is_most(hits: usize, live: &Model) -> bool {
    hits * 2 > live.status().clients as usize
}
