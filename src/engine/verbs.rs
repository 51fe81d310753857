//! The operator's verbs, carried out.

use std::time::Duration;

use super::budget::work;
use super::connection::Connection;
use super::server::Engine;
use super::summaries::named;
use crate::chat::Nick;
use crate::count::counted;
use crate::id::{ConnId, Slot};
use crate::model::answer::{Done, Outcome};
use crate::model::event::EventKind;
use crate::model::verbs::{OperatorCommand, Who};
use crate::session::{CloseReason, Half, Linger, Phase};
use crate::time::write_span;
use crate::wire::text::scrub;

impl Engine {
    /// Carries out one verb and records it. A question is answered in one line, and not recorded.
    ///
    /// # Errors
    ///
    /// Why nothing was done, in words for the operator.
    pub fn handle_operator(&mut self, command: &OperatorCommand) -> Outcome {
        let before = self.conns.work;
        // A target, and what a ban hits or a summary counts, is looked for among all connections.
        self.conns.charge_rows(self.conns.slab.len());
        let outcome = match command {
            OperatorCommand::Ask(question) => self.summary(*question),
            order => self.order(order),
        };
        self.conns.budget.charge_operators(work::MESSAGE + self.conns.work - before);
        outcome
    }

    fn order(&mut self, command: &OperatorCommand) -> Outcome {
        let (slot, outcome) = match self.target(command) {
            Ok(slot) => (slot, self.carry_out(command, slot)),
            Err(why) => (None, Err(why)),
        };
        let id = slot.and_then(|slot| self.conns.get(slot)).map(|conn| conn.id);
        self.note_order(command, id, &outcome);
        outcome.map(|done| Done { id, ..done })
    }

    /// Records an order of an operator and how it went.
    pub fn note_order(&mut self, command: &OperatorCommand, id: Option<ConnId>, outcome: &Outcome) {
        let outcome = match outcome {
            Ok(done) => done.message.clone(),
            Err(why) => format!("refused: {why}"),
        };
        let verb = scrub(command.to_string().as_bytes()).text.into_owned();
        self.conns.journal.add(self.conns.now, EventKind::Operator { id, verb, outcome });
    }

    /// The connection that a verb is for; none for verbs that are for the server.
    fn target(&self, command: &OperatorCommand) -> Result<Option<Slot>, String> {
        match command {
            // A mute is for a name, and nobody need be there who has it.
            OperatorCommand::Unmute(Who::Nick(nick)) => Ok(self.hub.by_nick(nick)),
            OperatorCommand::Kick { who, .. }
            | OperatorCommand::Mute { who, .. }
            | OperatorCommand::Rename { who, .. }
            | OperatorCommand::Reset(who)
            | OperatorCommand::Shutdown { who, .. }
            | OperatorCommand::Unmute(who) => self.find(*who).map(Some),
            OperatorCommand::Ask(_)
            | OperatorCommand::Ban(_)
            | OperatorCommand::Disconnect(_)
            | OperatorCommand::Drain(_)
            | OperatorCommand::Pause
            | OperatorCommand::Reload
            | OperatorCommand::Resume
            | OperatorCommand::Say(_)
            | OperatorCommand::Stop
            | OperatorCommand::Unban(_) => Ok(None),
        }
    }

    pub(super) fn find(&self, who: Who) -> Result<Slot, String> {
        let found = match who {
            Who::Id(id) => self.conns.clients().find(|(_, conn)| conn.id == id).map(|(slot, _)| slot),
            Who::Nick(nick) => self.hub.by_nick(&nick).or_else(|| self.last_called(&nick)),
        };
        found.ok_or_else(|| match who {
            Who::Id(id) if self.closed.find(id).is_some() => {
                format!("{id} is gone already")
            }
            _ => format!("nobody here is {who}"),
        })
    }

    /// Who had this name when it left the hub, and is not gone yet; of several the last one to come.
    fn last_called(&self, nick: &Nick) -> Option<Slot> {
        let had = |conn: &Connection| {
            conn.left_as.as_ref().is_some_and(|left_as| left_as.folded() == nick.folded())
        };
        let leaving = self.conns.clients().filter(|(_, conn)| had(conn));
        leaving.max_by_key(|(_, conn)| conn.id).map(|(slot, _)| slot)
    }

    fn carry_out(&mut self, command: &OperatorCommand, slot: Option<Slot>) -> Outcome {
        match (command, slot) {
            (OperatorCommand::Ask(question), _) => self.summary(*question),
            (OperatorCommand::Ban(order), _) => self.ban(order),
            (OperatorCommand::Unban(mask), _) => self.unban(mask),
            (OperatorCommand::Drain(within), _) => self.end_server(*within),
            (OperatorCommand::Stop, _) => self.end_server(None),
            (OperatorCommand::Pause, _) => self.pause(true),
            (OperatorCommand::Resume, _) => self.pause(false),
            (OperatorCommand::Say(text), _) => Ok(self.say(text).into()),
            (OperatorCommand::Kick { reason, .. }, Some(slot)) => self.kick(slot, reason),
            (OperatorCommand::Mute { time, .. }, Some(slot)) => self.mute(slot, *time),
            (OperatorCommand::Unmute(_), Some(slot)) => self.unmute(slot),
            (OperatorCommand::Unmute(Who::Nick(nick)), None) => self.unmute_absent(nick),
            (OperatorCommand::Rename { name, .. }, Some(slot)) => self.rename(slot, name),
            (OperatorCommand::Reset(_), Some(slot)) => Ok(self.reset(slot).into()),
            (OperatorCommand::Shutdown { half, .. }, Some(slot)) => self.shutdown(slot, *half),
            (OperatorCommand::Disconnect(_) | OperatorCommand::Reload, _) => {
                Err(format!("{command} is not for the connections"))
            }
            (_, None) => Err("nobody was named".to_owned()),
        }
    }

    fn kick(&mut self, slot: Slot, reason: &str) -> Outcome {
        let name = self.label(slot);
        if self.is_leaving(slot) {
            return Err(format!("{name} is leaving already"));
        }
        let reason = scrub(reason.as_bytes()).text.into_owned();
        let told = if reason.is_empty() {
            "kicked by the operator".to_owned()
        } else {
            format!("kicked by the operator: {reason}")
        };
        self.close_with(slot, &told, CloseReason::Kicked(reason));
        Ok(format!("kicked {name}").into())
    }

    fn reset(&mut self, slot: Slot) -> String {
        let name = self.label(slot);
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.session.reset(CloseReason::ResetByOperator);
        }
        self.conns.touch(slot);
        format!("reset {name}")
    }

    fn shutdown(&mut self, slot: Slot, half: Half) -> Outcome {
        let name = self.label(slot);
        let now = self.conns.now.moment;
        let timeout = self.conns.limits.half_close_timeout;
        if half != Half::Both && self.is_waiting(slot) {
            return Err(format!("{name} waits to be let in: kick or reset it"));
        }
        // What was said until now is still sent.
        self.settle();
        let is_done = self.conns.change_input(slot, |session| match half {
            Half::Read => session.shut_read(now),
            Half::Write => session.shut_write(now),
            Half::Both => session.shut_both(now),
        });
        let Some(conn) = self.conns.get(slot) else { return Err(format!("{name} is gone")) };
        if is_done != Some(true) {
            let state = conn.session.phase();
            return Err(format!("{name} is {state}: that direction has ended"));
        }
        let is_over = half == Half::Both || conn.session.phase() == Phase::Draining;
        if half == Half::Write {
            self.conns.leave_logs(slot);
        }
        if is_over {
            self.close(slot, CloseReason::Shutdown, Linger::for_peer(timeout));
        } else {
            // Lines may have waited for answers to be read: there are none any more.
            self.parse(slot, &[]);
        }
        self.conns.touch(slot);
        Ok(format!("shut down {half} of {name}").into())
    }

    /// Who is muted already may be given another time, and is muted by name who was by address.
    fn mute(&mut self, slot: Slot, time: Option<Duration>) -> Outcome {
        let name = self.label(slot);
        if self.is_waiting(slot) {
            return Err(format!("{name} waits to be let in: kick or reset it"));
        }
        if self.hub.person(slot).is_none() {
            return Err(format!("{name} is leaving already"));
        }
        let mute = self.nick(slot).and_then(|nick| self.hub.mute_of(&nick));
        if time.is_none() && mute == Some(None) {
            return Err(format!("{name} is muted already"));
        }
        let now = self.conns.now.moment;
        let address = self.conns.get(slot).and_then(|conn| self.admission.ledger.address(conn.peer()));
        if let Err(count) = self.hub.mute(slot, address, time.map(|time| now + time), now) {
            return Err(format!("there are {count} mutes already (limits.mutes); unmute one first"));
        }
        let span = time.map(|time| format!(" for {}", write_span(time))).unwrap_or_default();
        Ok(format!("muted {name}{span}").into())
    }

    fn rename(&mut self, slot: Slot, name: &str) -> Outcome {
        let whom = self.label(slot);
        if self.is_waiting(slot) {
            return Err(format!("{whom} waits to be let in: it has no name yet"));
        }
        if self.hub.person(slot).is_none() {
            return Err(format!("{whom} is leaving already"));
        }
        let now = self.conns.now;
        let name = scrub(name.as_bytes()).text;
        let (old, new) = self.hub.operator_renames(slot, &name, now, &mut self.conns)?;
        if let Some(id) = self.conns.get(slot).map(|conn| conn.id) {
            self.conns.journal.add(now, EventKind::Nick { id, old, new });
        }
        Ok(format!("renamed {whom} to {new}").into())
    }

    fn unmute(&mut self, slot: Slot) -> Outcome {
        let name = self.label(slot);
        if !self.hub.unmute_member(slot) {
            return Err(self.not_muted(&name));
        }
        Ok(format!("unmuted {name}").into())
    }

    fn unmute_absent(&mut self, nick: &Nick) -> Outcome {
        if !self.hub.unmute(nick) {
            return Err(self.not_muted(nick.as_str()));
        }
        Ok(format!("unmuted {nick}").into())
    }

    fn not_muted(&self, name: &str) -> String {
        let muted = named(self.hub.muted_names().map(|nick| nick.to_string()));
        if muted.is_empty() {
            format!("{name} is not muted")
        } else {
            format!("{name} is not muted; muted: {muted}")
        }
    }

    /// The mutes whose time is over end.
    pub(super) fn end_mutes(&mut self) {
        let now = self.conns.now;
        while let Some(nick) = self.hub.take_due_mute(now.moment) {
            let member = self.hub.by_nick(&nick).and_then(|slot| self.conns.get(slot));
            let id = member.map(|conn| conn.id);
            let whom = id.map_or_else(|| nick.to_string(), |id| id.to_string());
            let event = EventKind::Operator { id, verb: format!("mute {whom}"), outcome: "over".to_owned() };
            self.conns.journal.add(now, event);
        }
    }

    fn say(&mut self, text: &str) -> String {
        let text = scrub(text.as_bytes()).text;
        self.hub.operator_says(&text, self.conns.now, &mut self.conns);
        format!("told {}", counted(self.hub.people_count() as u64, "person", "people"))
    }

    fn pause(&mut self, on: bool) -> Outcome {
        if self.admission.paused == on {
            return Err(if on { "accepting nobody already" } else { "accepting already" }.to_owned());
        }
        self.admission.paused = on;
        Ok(if on { "accepting nobody" } else { "accepting again" }.to_owned().into())
    }

    fn end_server(&mut self, within: Option<Duration>) -> Outcome {
        if !self.stop(within) {
            return Err("the server is stopping already".to_owned());
        }
        Ok(format!("draining {}", counted(self.admission.clients().into(), "client", "clients")).into())
    }

    /// Whether nobody hears its word any more.
    pub(super) fn is_leaving(&self, slot: Slot) -> bool {
        self.conns.get(slot).is_none_or(|conn| conn.session.is_over() && !conn.session.is_broken())
    }

    /// `#7 alice`
    #[must_use]
    pub fn label(&self, slot: Slot) -> String {
        let id = self.conns.get(slot).map(|conn| conn.id.to_string()).unwrap_or_default();
        match self.nick(slot) {
            Some(nick) => format!("{id} {nick}"),
            None => id,
        }
    }
}
