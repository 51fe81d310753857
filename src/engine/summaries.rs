//! Questions answered in one line, for the dashboard's `:` line.

use std::time::Duration;

use super::server::Engine;
use crate::count::counted;
use crate::model::answer::Outcome;
use crate::model::snapshot::Row;
use crate::model::verbs::{Question, Who};

/// How many of many are named in one line.
const NAMED_MAX: usize = 5;

impl Engine {
    pub(super) fn summary(&self, question: Question) -> Outcome {
        let message = match question {
            Question::Bans => self.bans_summary(),
            Question::Closed => self.closed_summary(),
            Question::Connection(who) => self.connection_summary(who)?,
            Question::Connections => {
                let status = self.status();
                let (clients, half, slow) = (status.clients, status.half_closed, status.slow);
                let connections = counted(clients.into(), "connection", "connections");
                format!("{connections}, {half} half-closed, {slow} slow")
            }
            Question::Events(_) => self.events_summary(),
            Question::Preview(mask) => return Ok(self.preview(&mask)),
            Question::Operators => return Err("no control socket is here".to_owned()),
            Question::Rooms => self.rooms_summary(),
            Question::Snapshot(_) | Question::Status => {
                let status = self.status();
                let up = in_words(status.uptime);
                format!(
                    "up {up}: {}, {} accepted, {} refused, {}, {} lines in, {} skipped",
                    counted(status.clients.into(), "client", "clients"),
                    status.accepted,
                    status.refused,
                    counted(status.rooms.into(), "room", "rooms"),
                    status.lines_in,
                    status.lines_skipped
                )
            }
        };
        Ok(message.into())
    }

    fn bans_summary(&self) -> String {
        match self.bans.len() {
            0 => "nobody is banned".to_owned(),
            _ => named(self.bans.after(0).iter().map(|ban| ban.row.mask.to_string())),
        }
    }

    fn closed_summary(&self) -> String {
        match self.closed.last() {
            None => "nobody has left yet".to_owned(),
            Some(last) => format!("{} known, the last {}", self.closed.len(), gone_in_words(&last.row)),
        }
    }

    fn events_summary(&self) -> String {
        let last = self.conns.journal.last();
        let newest = self.conns.journal.after(last.saturating_sub(1), 1).last();
        newest.map_or_else(
            || "nothing has happened yet".to_owned(),
            |event| format!("{last} so far, the last: {} {}", event.kind.word(), event.kind),
        )
    }

    fn connection_summary(&self, who: Who) -> Result<String, String> {
        let now = self.conns.now.moment;
        match self.find(who) {
            Ok(slot) => {
                let conn = self.conns.get(slot).ok_or_else(|| format!("{who} is gone"))?;
                let row = self.row(slot, conn);
                let idle = in_words(now.since(row.heard));
                Ok(format!(
                    "{} {} {}, idle {idle}, {} bytes in, {} out, outbox {}",
                    self.label(slot),
                    row.peer,
                    row.state,
                    row.bytes_in,
                    row.bytes_out,
                    row.outbox_bytes
                ))
            }
            Err(why) => match self.closed.named(who) {
                Some(gone) => Ok(gone_in_words(&gone.row)),
                None => Err(why),
            },
        }
    }

    fn rooms_summary(&self) -> String {
        match self.hub.room_count() {
            0 => "no rooms".to_owned(),
            _ => named(self.hub.rooms().map(|room| format!("{} {}", room.name, room.members))),
        }
    }
}

/// `#7 alice, #9 bob and 12 more`
pub(super) fn named(mut all: impl Iterator<Item = String>) -> String {
    let first: Vec<String> = all.by_ref().take(NAMED_MAX).collect();
    match all.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// `#7 alice (quit)`
fn gone_in_words(row: &Row) -> String {
    let nick = row.nick.map(|nick| format!(" {nick}")).unwrap_or_default();
    let reason = row.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{}{nick}{reason}", row.id)
}

/// `41 s`, `3 m 20 s`, `2 h 14 m`
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3_600, seconds / 60 % 60),
    }
}
