//! The events received, and their text.

use std::collections::VecDeque;

use crate::count;
use crate::model::event::{Event, EventKind};
use crate::model::snapshot::{ConnId, Nick};

/// Events kept that clients cause; the oldest are dropped first.
const CLIENTS_MAX: usize = 5_000;
/// Events kept that the server or the operator causes; the oldest are dropped first.
const SERVER_MAX: usize = 2_048;

/// The events, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventLog(VecDeque<Event>);

impl EventLog {
    /// Adds the events that are newer than the last one.
    pub(crate) fn append(&mut self, entries: Vec<Event>) {
        for entry in entries {
            if entry.seq > self.last_seq() {
                self.0.push_back(entry);
            }
        }
        self.drop_oldest();
    }

    /// Drops the oldest events of each kind over its limit. A [`EventKind::Missed`] counts them where older events of the
    /// other kind stay: there are at most as many of these as events of the server.
    fn drop_oldest(&mut self) {
        let is_of_server = |entry: &&Event| entry.kind.is_of_server();
        let is_missed = |entry: &Event| matches!(entry.kind, EventKind::Missed { .. });
        let of_server = self.0.iter().filter(is_of_server).count();
        let of_clients = self.0.iter().filter(|entry| !is_of_server(entry) && !is_missed(entry)).count();
        let mut server_excess = of_server.saturating_sub(SERVER_MAX);
        let mut client_excess = of_clients.saturating_sub(CLIENTS_MAX);
        if server_excess == 0 && client_excess == 0 {
            return;
        }
        let mut kept = VecDeque::with_capacity(self.0.len());
        let mut gap: Option<Event> = None;
        for entry in self.0.drain(..) {
            let excess = if is_of_server(&&entry) { &mut server_excess } else { &mut client_excess };
            let events = match entry.kind {
                EventKind::Missed { events } => events,
                _ if *excess > 0 => {
                    *excess -= 1;
                    1
                }
                _ => {
                    kept.extend(gap.take().filter(|_| !kept.is_empty()));
                    kept.push_back(entry);
                    continue;
                }
            };
            let before = match gap.take().map(|gap| gap.kind) {
                Some(EventKind::Missed { events }) => events,
                _ => 0,
            };
            gap = Some(Event { kind: EventKind::Missed { events: before + events }, ..entry });
        }
        kept.extend(gap);
        self.0 = kept;
    }

    /// The sequence number of the newest event; 0 without any.
    pub(crate) fn last_seq(&self) -> u64 {
        self.0.back().map_or(0, |entry| entry.seq)
    }

    /// The events, the newest last.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.0.iter()
    }

    /// The last nick of a connection in the events before this one.
    pub(crate) fn nick_before(&self, seq: u64, id: ConnId) -> Option<Nick> {
        let before = self.0.partition_point(|entry| entry.seq < seq);
        let mut about = self.0.range(..before).rev().filter(|entry| entry.kind.subject() == Some(id));
        about.find_map(|entry| entry.kind.nick())
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Event> {
        let at = self.0.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.0.get(at)
    }
}

/// The text of an event, with byte counts in units.
pub(crate) fn format_event(record: &EventKind, raw: bool) -> String {
    let size = |count: u64| count::bytes(count, raw);
    match record {
        EventKind::Closed { reason, unsent, .. } if *unsent > 0 => {
            format!("{reason}; {} unsent", size(*unsent))
        }
        EventKind::Eof { unsent, .. } if *unsent > 0 => format!("sent FIN; {} still to flush", size(*unsent)),
        EventKind::Missed { events } => {
            format!("{} not shown: too many at once", count::counted(*events, "event", "events"))
        }
        EventKind::Slow { outbox, limit, .. } => format!("outbox {} of {}", size(*outbox), size(*limit)),
        EventKind::Operator { id: Some(id), verb, outcome } => format_verb(*id, verb, outcome),
        other => other.to_string(),
    }
}

/// A verb without its target, which is shown before it, and without the parts of the outcome that repeat the verb.
fn format_verb(id: ConnId, verb: &str, outcome: &str) -> String {
    let mut words = verb.splitn(3, ' ');
    let (name, rest) = (words.next().unwrap_or(verb), words.nth(1).unwrap_or(""));
    let label = id.to_string();
    if let Some(error) = outcome.strip_prefix("refused: ") {
        let error = error.strip_prefix(&label).unwrap_or(error).trim_start();
        return format!("{name} refused: {error}");
    }
    let gap = match (name, rest) {
        (_, "") => "",
        ("kick", _) => ": ",
        _ => " ",
    };
    let repeats = outcome.split(' ').any(|word| word == label);
    let outcome = if repeats { String::new() } else { format!("; {outcome}") };
    format!("{name}{gap}{rest}{outcome}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::LogLevel;
    use crate::model::snapshot::Peer;
    use crate::time::Now;

    fn entry(seq: u64, level: LogLevel) -> Event {
        Event {
            seq,
            at: Now::default(),
            kind: EventKind::Server { level, text: format!("entry {seq}"), by_clients: false },
        }
    }

    fn log(count: u64) -> EventLog {
        let mut log = EventLog::default();
        log.append((1..=count).map(|seq| entry(seq, LogLevel::Info)).collect());
        log
    }

    #[test]
    fn an_event_is_kept_once_and_the_oldest_are_dropped() {
        let mut log = log(3);
        log.append(vec![entry(3, LogLevel::Info), entry(4, LogLevel::Info)]);
        assert_eq!(log.entries().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        log.append((5..=6_000).map(|seq| entry(seq, LogLevel::Info)).collect());
        assert_eq!(log.entries().count(), CLIENTS_MAX);
        assert_eq!(log.last_seq(), 6_000);
    }

    /// The sequence number of each event, and the number of events that it stands for.
    fn shape(log: &EventLog) -> Vec<(u64, u64)> {
        let events = |entry: &Event| match entry.kind {
            EventKind::Missed { events } => events,
            _ => 1,
        };
        log.entries().map(|entry| (entry.seq, events(entry))).collect()
    }

    #[test]
    fn events_of_clients_never_displace_those_of_the_server() {
        let arrival = |seq| Event {
            kind: EventKind::Accepted { id: ConnId::new(seq).unwrap(), peer: Peer::Unix },
            ..entry(seq, LogLevel::Info)
        };
        let by_client = |seq| Event {
            kind: EventKind::Server { level: LogLevel::Warn, text: String::new(), by_clients: true },
            ..entry(seq, LogLevel::Info)
        };
        let act = EventKind::Operator { id: None, verb: "pause".to_owned(), outcome: "done".to_owned() };
        let mut log = EventLog::default();
        log.append(vec![arrival(1), entry(2, LogLevel::Warn), by_client(3), entry(4, LogLevel::Error)]);
        log.append(vec![Event { kind: act, ..arrival(5) }]);
        let mut seq = 5;
        for _ in 0..3 * CLIENTS_MAX / 100 {
            log.append(
                (seq + 1..=seq + 100)
                    .map(|seq| if seq % 2 == 0 { arrival(seq) } else { by_client(seq) })
                    .collect(),
            );
            seq += 100;
        }
        let dropped = 3 * CLIENTS_MAX as u64 - CLIENTS_MAX as u64;
        let shape = shape(&log);
        assert_eq!(shape[..5], [(2, 1), (3, 1), (4, 1), (5, 1), (5 + dropped, dropped)]);
        assert!(matches!(log.entries().nth(1).unwrap().kind, EventKind::Missed { events: 1 }));
        assert_eq!(
            shape.iter().map(|(_, events)| events).sum::<u64>() + 1,
            seq,
            "each but the first is there or counted"
        );
        assert_eq!(
            log.entries().filter(|entry| !matches!(entry.kind, EventKind::Missed { .. })).count(),
            CLIENTS_MAX + 3
        );
    }

    #[test]
    fn events_of_the_operator_never_displace_those_of_clients() {
        let mut log = log(3);
        log.append((4..4 + 2 * SERVER_MAX as u64).map(|seq| entry(seq, LogLevel::Warn)).collect());
        assert_eq!(shape(&log)[..4], [(1, 1), (2, 1), (3, 1), (3 + SERVER_MAX as u64, SERVER_MAX as u64)]);
        assert_eq!(log.entries().count(), 4 + SERVER_MAX);
    }

    #[test]
    fn adjacent_gaps_are_merged() {
        let missed = |seq, events| Event { kind: EventKind::Missed { events }, ..entry(seq, LogLevel::Info) };
        let mut log = EventLog::default();
        let many = CLIENTS_MAX as u64;
        log.append(vec![
            entry(1, LogLevel::Warn),
            entry(2, LogLevel::Info),
            missed(9, 7),
            entry(10, LogLevel::Info),
        ]);
        log.append((11..=many + 9).map(|seq| entry(seq, LogLevel::Info)).collect());
        assert_eq!(shape(&log)[..3], [(1, 1), (9, 8), (10, 1)]);
        log.append(vec![entry(many + 10, LogLevel::Info)]);
        assert_eq!(shape(&log)[..3], [(1, 1), (10, 9), (11, 1)]);
    }

    #[test]
    fn a_verb_is_shown_once_and_with_its_reason() {
        let message = |verb: &str, outcome: &str| {
            let (verb, outcome) = (verb.to_owned(), outcome.to_owned());
            format_event(&EventKind::Operator { id: ConnId::new(6), verb, outcome }, false)
        };
        assert_eq!(message("kick #6 far too loud", "kicked #6 flooder"), "kick: far too loud");
        assert_eq!(message("kick flooder", "kicked #6 flooder"), "kick");
        assert_eq!(message("mute #6 for 10s", "muted #6 flooder for 10s"), "mute for 10s");
        assert_eq!(message("mute #6", "over"), "mute; over");
        assert_eq!(message("shutdown #6 write", "shut down write of #6 flooder"), "shutdown write");
        assert_eq!(
            message("kick #6 now", "refused: #6 flooder is leaving already"),
            "kick refused: flooder is leaving already"
        );
    }
}
