//! The end of a schedule: every stream against what was said, every connection against its records.

use std::collections::BTreeSet;

use chatops::engine::CloseMode;
use chatops::id::ConnId;

use super::Schedule;
use crate::actor::Actor;
use crate::oracle;
use crate::transcript::{Names, ServerLine, Transcript};

impl Schedule {
    pub(super) fn judge(&mut self) {
        for operator in &self.operators {
            self.tally.answers += operator.check(&self.world.peers[operator.client.0]) as u64;
        }
        let transcripts = self.transcripts();
        let order = self.has_witness.then(|| &transcripts[0]).filter(|witness| is_whole(witness));
        self.tally.compared += u64::from(order.is_some());
        for (number, transcript) in transcripts.iter().enumerate() {
            self.tally.add_stream(transcript);
            self.judge_stream(number, transcript, order);
        }
        self.judge_events();
        self.tally.incomplete += self.world.snapshot().status.lines_incomplete;
    }

    /// What every client has read, in the order of the actors.
    pub(super) fn transcripts(&self) -> Vec<Transcript> {
        let mut names = Names::default();
        for actor in &self.actors {
            if let Some(id) = self.id_of(actor) {
                names.add(id.get(), actor.client.0);
            }
        }
        let stream = |actor: &Actor| Transcript::of(&self.world.peers[actor.client.0], actor.framing, &names);
        self.actors.iter().map(stream).collect()
    }

    fn id_of(&self, actor: &Actor) -> Option<ConnId> {
        self.world.peers[actor.client.0].id
    }

    fn judge_stream(&mut self, number: usize, transcript: &Transcript, order: Option<&Transcript>) {
        let actor = &self.actors[number];
        let me = actor.client.0;
        oracle::check_alone(actor, transcript);
        let has_telnet = self.world.peers[me].received.contains(&255);
        assert!(!has_telnet || actor.has_spoken_telnet, "{me}: telnet unasked for");
        let Some(id) = self.id_of(actor).map(ConnId::get) else {
            self.tally.exhausted += u64::from(oracle::is_sent_away(transcript));
            return;
        };
        let Some(reason) = self.closed.get(&id) else {
            self.tally.turned_away += 1;
            return;
        };
        if transcript.is_complete {
            let skipped = self.skipped.get(&id).copied().unwrap_or(0);
            assert_eq!(transcript.skipped(), skipped, "{me}: markers and records say the same");
        }
        let is_released = ["eof", "half-close-timeout"].contains(&reason.word());
        let may_stay = transcript.listens() && !actor.is_write_shut;
        assert!(!(is_released && may_stay), "{me} asked to stay and ends by {reason}");
        if let Some(order) = order.filter(|_| me > 0) {
            oracle::check_against(actor, transcript, &order.lines);
            // Whoever was closed for flooding had more to say.
            if reason.word() != "flood" {
                oracle::check_received(actor, transcript, &order.lines);
            }
        }
    }

    fn judge_events(&mut self) {
        let ended: BTreeSet<u64> = self.closed.keys().copied().collect();
        assert_eq!(ended, self.accepted, "each accepted id ends in one record");
        for reason in self.closed.values() {
            *self.tally.ends.entry(reason.word()).or_default() += 1;
        }
        for peer in &self.world.peers {
            assert!(peer.slot.is_none());
            assert!(
                peer.id.is_none() || matches!(peer.close_mode, Some(CloseMode::Close | CloseMode::Reset))
            );
        }
        assert_eq!(self.world.engine.slots().count(), 0);
    }
}

/// Whether the stream has every line that it should have.
fn is_whole(transcript: &Transcript) -> bool {
    transcript.is_complete && !transcript.lines.iter().any(|line| matches!(line, ServerLine::Skipped(_)))
}
