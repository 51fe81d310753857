//! The last events, numbered: for the event pane and the log.
//!
//! Events that clients cause go into one ring, those about the server and the operator into another: whatever clients
//! do, they push out events of their own kind only.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::model::event::{Event, EventKind};
use crate::time::Now;

/// Events kept of what clients cause; the oldest go first.
const CLIENTS_MAX: usize = 2_048;
/// Events kept of warnings and errors of the server and of the operator's acts; the oldest go first.
const SERVER_MAX: usize = 2_048;
/// Events kept.
pub(super) const JOURNAL_MAX: usize = CLIENTS_MAX + SERVER_MAX;
/// Bytes of the events of either kind, texts included; the oldest go first.
const RING_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Journal {
    clients: Ring,
    server: Ring,
    last: u64,
}

/// Events by rising sequence number.
#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Event>,
    bytes: usize,
}

impl Ring {
    fn push(&mut self, entry: Event, most: usize) {
        self.bytes += bytes_of(&entry);
        self.entries.push_back(entry);
        while self.entries.len() > most || self.bytes > RING_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= bytes_of(&oldest);
        }
    }
}

fn bytes_of(entry: &Event) -> usize {
    size_of::<Event>() + entry.kind.text_bytes()
}

impl Journal {
    pub(super) fn add(&mut self, at: Now, kind: EventKind) {
        let (ring, max) = if kind.is_of_server() {
            (&mut self.server, SERVER_MAX)
        } else {
            (&mut self.clients, CLIENTS_MAX)
        };
        self.last += 1;
        ring.push(Event { seq: self.last, at, kind: kind.shortened() }, max);
    }

    /// The sequence number of the last one; 0 before the first.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Those after sequence number `seq`, oldest first, at most the last `most` of them; of either ring at least half as
    /// many, if it has them. In the place of those left out stands one that says how many.
    pub(super) fn after(&self, seq: u64, most: usize) -> impl Iterator<Item = Cow<'_, Event>> {
        let (server, clients) = (&self.server.entries, &self.clients.entries);
        let newer = |ring: &VecDeque<Event>| ring.len() - ring.partition_point(|entry| entry.seq <= seq);
        let (newer_server, newer_clients) = (newer(server), newer(clients));
        let of_server = newer_server.min((most / 2).max(most.saturating_sub(newer_clients)));
        let of_clients = newer_clients.min(most - of_server);
        let mut server = server.range(server.len() - of_server..).peekable();
        let mut clients = clients.range(clients.len() - of_clients..).peekable();
        let mut previous = seq;
        std::iter::from_fn(move || {
            let is_server_next = match (server.peek(), clients.peek()) {
                (Some(one), Some(other)) => one.seq < other.seq,
                (one, _) => one.is_some(),
            };
            let next = if is_server_next { &mut server } else { &mut clients };
            let entry = *next.peek()?;
            let missed = entry.seq - previous - 1;
            if missed > 0 {
                previous = entry.seq - 1;
                let kind = EventKind::Missed { events: missed };
                return Some(Cow::Owned(Event { seq: previous, at: entry.at, kind }));
            }
            previous = entry.seq;
            next.next().map(Cow::Borrowed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::LogLevel;
    use crate::id::ConnId;
    use crate::model::snapshot::Peer;
    use crate::session::{CloseReason, REMEMBERED_CHARS_MAX};

    #[test]
    fn it_is_numbered_and_bounded() {
        let mut journal = Journal::default();
        for number in 1..=CLIENTS_MAX + 10 {
            let text = number.to_string();
            journal.add(Now::default(), EventKind::Server { level: LogLevel::Info, text, by_clients: false });
        }
        let last = (CLIENTS_MAX + 10) as u64;
        let seqs = |after: u64, most| journal.after(after, most).map(|entry| entry.seq).collect::<Vec<_>>();
        assert_eq!(seqs(last - 2, 100), [last - 1, last]);
        assert!(seqs(last, 100).is_empty());
        assert!(seqs(last + 5, 100).is_empty());
        assert_eq!(journal.after(10, JOURNAL_MAX).count(), CLIENTS_MAX);
    }

    #[test]
    fn clients_never_push_out_warnings_errors_and_operator_acts() {
        let mut journal = Journal::default();
        let kind = |level, by_clients| EventKind::Server { level, text: String::new(), by_clients };
        let act = EventKind::Operator { id: None, verb: "pause".to_owned(), outcome: "done".to_owned() };
        journal.add(Now::default(), kind(LogLevel::Warn, false));
        journal.add(Now::default(), kind(LogLevel::Warn, true));
        journal.add(Now::default(), kind(LogLevel::Error, false));
        journal.add(Now::default(), act);
        for _ in 0..3 * CLIENTS_MAX {
            journal.add(Now::default(), kind(LogLevel::Error, true));
            journal.add(Now::default(), EventKind::Refused { peer: Peer::Unix, why: "full".into() });
        }
        for most in [100, JOURNAL_MAX] {
            let given: Vec<_> = journal.after(0, most).collect();
            let seqs: Vec<u64> = given.iter().map(|entry| entry.seq).collect();
            assert_eq!(seqs[..4], [1, 2, 3, 4], "the one that clients caused is counted in its place");
            assert_eq!(given[1].kind, EventKind::Missed { events: 1 });
            assert_eq!(seqs.last(), Some(&journal.last()), "the newest is there too");
            let told: u64 = given
                .iter()
                .map(|entry| match entry.kind {
                    EventKind::Missed { events } => events,
                    _ => 1,
                })
                .sum();
            assert_eq!(told, journal.last(), "each is there or counted");
        }
        assert_eq!(
            journal.after(0, 2).filter(|entry| !matches!(entry.kind, EventKind::Missed { .. })).count(),
            2
        );
    }

    #[test]
    fn an_operator_pushes_out_nothing_that_clients_caused() {
        let mut journal = Journal::default();
        journal.add(Now::default(), EventKind::Refused { peer: Peer::Unix, why: "full".into() });
        for _ in 0..2 * SERVER_MAX {
            let act = EventKind::Operator { id: None, verb: "say x".to_owned(), outcome: "done".to_owned() };
            journal.add(Now::default(), act);
        }
        assert_eq!(journal.after(0, JOURNAL_MAX).next().map(|first| first.seq), Some(1));
        assert_eq!(journal.server.entries.len(), SERVER_MAX);
    }

    #[test]
    fn what_is_left_out_is_counted_in_its_place() {
        let mut journal = Journal::default();
        for _ in 0..CLIENTS_MAX + 10 {
            journal.add(
                Now::default(),
                EventKind::Server { level: LogLevel::Info, text: String::new(), by_clients: false },
            );
        }
        let last = (CLIENTS_MAX + 10) as u64;
        let begin = |after: u64, most| {
            let given: Vec<_> = journal.after(after, most).collect();
            let missed = match given[0].kind {
                EventKind::Missed { events } => events,
                _ => 0,
            };
            (missed, given[0].seq, given.len(), given.last().unwrap().seq)
        };
        // What the journal has no longer, and what is too much at once.
        assert_eq!(begin(0, usize::MAX), (10, 10, CLIENTS_MAX + 1, last));
        assert_eq!(begin(0, 3), (last - 3, last - 3, 4, last));
        assert_eq!(begin(last - 5, 3), (2, last - 3, 4, last));
        assert_eq!(begin(last - 3, 3), (0, last - 2, 3, last));
    }

    #[test]
    fn records_are_bounded_in_bytes_and_their_texts_in_characters() {
        let mut journal = Journal::default();
        for number in 0..CLIENTS_MAX {
            let reason = CloseReason::Quit(format!("{number}{}", "␀".repeat(20_000)));
            let id = ConnId::new(number as u64 + 1).unwrap();
            journal.add(Now::default(), EventKind::Closed { id, nick: None, reason, unsent: 0 });
            let verb = format!("say {number}{}", "x".repeat(8_000));
            journal.add(Now::default(), EventKind::Operator { id: None, verb, outcome: "y".repeat(9_000) });
        }
        let kept = || journal.after(0, JOURNAL_MAX).filter(|entry| entry.kind.word() != "missed");
        let bytes: usize = kept().map(|entry| bytes_of(&entry)).sum();
        assert!((RING_BYTES_MAX..=2 * RING_BYTES_MAX).contains(&bytes), "{bytes}");
        for entry in kept() {
            assert!(entry.kind.text_bytes() <= 2 * 3 * REMEMBERED_CHARS_MAX, "{:?}", entry.kind);
        }
        assert_eq!(journal.clients.entries.back().unwrap().seq + 1, journal.last());
    }
}
