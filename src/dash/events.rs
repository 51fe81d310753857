//! What happened: the events kept, which of them are shown, and which one is looked at.

use std::collections::VecDeque;

use super::filter::Filter;
use super::units;
use crate::model::event::{Category, Event, EventKind};
use crate::model::snapshot::{ConnId, Nick};

/// Events kept of what clients cause; the oldest go first.
const CLIENTS_MAX: usize = 5_000;
/// Events kept of warnings and errors of the server and of the operator's acts; the oldest go first.
const SERVER_MAX: usize = 2_048;

/// The events so far, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(VecDeque<Event>);

impl Log {
    /// Adds what is newer than what is there.
    pub(crate) fn append(&mut self, entries: Vec<Event>) {
        for entry in entries {
            if entry.seq > self.last_seq() {
                self.0.push_back(entry);
            }
        }
        self.drop_oldest();
    }

    /// Drops the oldest of each kind that are too many. Where older ones of the other kind stay, a [`EventKind::Missed`]
    /// counts them: there are at most as many of these as events of the server.
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

    /// The name that a connection had when an event was made, from the events before it.
    pub(crate) fn nick_before(&self, seq: u64, id: ConnId) -> Option<Nick> {
        let before = self.0.partition_point(|entry| entry.seq < seq);
        let mut about = self.0.range(..before).rev().filter(|entry| entry.kind.subject() == Some(id));
        about.find_map(|entry| entry.kind.nick())
    }

    fn get(&self, seq: u64) -> Option<&Event> {
        let at = self.0.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.0.get(at)
    }
}

/// Which events are shown, and the one that is looked at.
#[derive(Debug, Default)]
pub(crate) struct EventPane {
    /// Only these, if any.
    pub(crate) category: Option<Category>,
    /// Only those that match, in the view of its own.
    pub(crate) filter: Filter,
    cursor: Option<u64>,
    shown: Vec<u64>,
}

impl EventPane {
    /// Whether the newest event is always the one in sight.
    pub(crate) const fn follows(&self) -> bool {
        self.cursor.is_none()
    }

    /// Follows the newest event, or stops at the one that is the newest now.
    pub(crate) fn toggle_follow(&mut self) {
        self.cursor = if self.follows() { self.shown.last().copied() } else { None };
    }

    /// The next category, after the last all of them.
    pub(crate) fn next_category(&mut self) {
        self.category = match self.category {
            None => Some(Category::ALL[0]),
            Some(now) => {
                let at = Category::ALL.iter().position(|category| *category == now);
                at.and_then(|at| Category::ALL.get(at + 1)).copied()
            }
        };
    }

    /// Chooses anew which events are shown. To be called whenever log, category or filter changed.
    pub(crate) fn rebuild(&mut self, log: &Log) {
        let (category, filter) = (self.category, &self.filter);
        self.shown.clear();
        self.shown.extend(
            log.entries()
                .filter(|entry| {
                    // Whether any of what is missing would be shown is not known.
                    matches!(entry.kind, EventKind::Missed { .. })
                        || category.is_none_or(|category| entry.kind.category() == category)
                            && filter.accepts_entry(entry)
                })
                .map(|entry| entry.seq),
        );
        if self.cursor.is_some_and(|cursor| self.shown.first().is_none_or(|first| cursor < *first)) {
            self.cursor = self.shown.first().copied();
        }
    }

    /// How many are shown.
    pub(crate) fn len(&self) -> usize {
        self.shown.len()
    }

    /// The place of the event that is looked at among those shown: the newest when following.
    pub(crate) fn position(&self) -> usize {
        let last = self.shown.len().saturating_sub(1);
        self.cursor.map_or(last, |cursor| self.shown.partition_point(|seq| *seq < cursor).min(last))
    }

    /// Looks at the event so many places further down; at the last one it follows again.
    pub(crate) fn move_by(&mut self, rows: isize) {
        let last = self.shown.len().saturating_sub(1);
        let to = self.position().saturating_add_signed(rows).min(last);
        self.cursor = if to == last { None } else { self.shown.get(to).copied() };
    }

    /// The events shown in a window of so many rows that holds the one looked at: the number of the first, and
    /// all of them.
    pub(crate) fn window<'a>(&self, log: &'a Log, rows: usize) -> (usize, Vec<&'a Event>) {
        let end = (self.position() + 1).max(rows).min(self.shown.len());
        let start = end.saturating_sub(rows);
        (start, self.shown[start..end].iter().filter_map(|seq| log.get(*seq)).collect())
    }

    /// The connection that the event looked at is about.
    pub(crate) fn subject(&self, log: &Log) -> Option<ConnId> {
        log.get(*self.shown.get(self.position())?)?.kind.subject()
    }
}

/// What an event says, with byte counts as people read them.
pub(crate) fn wording(record: &EventKind, raw: bool) -> String {
    let size = |count: u64| units::bytes(count, raw);
    match record {
        EventKind::Closed { reason, unsent, .. } if *unsent > 0 => {
            format!("{reason}; {} unsent", size(*unsent))
        }
        EventKind::Eof { unsent, .. } if *unsent > 0 => format!("sent FIN; {} still to flush", size(*unsent)),
        EventKind::Missed { events } => {
            format!("{} not shown: too many at once", units::counted(*events, "event", "events"))
        }
        EventKind::Slow { outbox, limit, .. } => format!("outbox {} of {}", size(*outbox), size(*limit)),
        EventKind::Operator { id: Some(id), verb, outcome } => operator_wording(*id, verb, outcome),
        other => other.to_string(),
    }
}

/// A verb without whom it was for, who stands before it, and of its outcome only what the verb does not say.
fn operator_wording(id: ConnId, verb: &str, outcome: &str) -> String {
    let mut words = verb.splitn(3, ' ');
    let (name, rest) = (words.next().unwrap_or(verb), words.nth(1).unwrap_or(""));
    let label = id.to_string();
    if let Some(why) = outcome.strip_prefix("refused: ") {
        let why = why.strip_prefix(&label).unwrap_or(why).trim_start();
        return format!("{name} refused: {why}");
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

    fn log(count: u64) -> Log {
        let mut log = Log::default();
        log.append((1..=count).map(|seq| entry(seq, LogLevel::Info)).collect());
        log
    }

    fn pane(log: &Log) -> EventPane {
        let mut pane = EventPane::default();
        pane.rebuild(log);
        pane
    }

    fn seqs(pane: &EventPane, log: &Log, rows: usize) -> Vec<u64> {
        pane.window(log, rows).1.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn records_come_once_and_the_oldest_go() {
        let mut log = log(3);
        log.append(vec![entry(3, LogLevel::Info), entry(4, LogLevel::Info)]);
        assert_eq!(log.entries().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        log.append((5..=6_000).map(|seq| entry(seq, LogLevel::Info)).collect());
        assert_eq!(log.entries().count(), CLIENTS_MAX);
        assert_eq!(log.last_seq(), 6_000);
    }

    /// An event's sequence number, and how many it stands for.
    fn shape(log: &Log) -> Vec<(u64, u64)> {
        let events = |entry: &Event| match entry.kind {
            EventKind::Missed { events } => events,
            _ => 1,
        };
        log.entries().map(|entry| (entry.seq, events(entry))).collect()
    }

    #[test]
    fn clients_never_push_out_warnings_errors_and_operator_acts() {
        let arrival = |seq| Event {
            kind: EventKind::Accepted { id: ConnId::new(seq).unwrap(), peer: Peer::Unix },
            ..entry(seq, LogLevel::Info)
        };
        let by_client = |seq| Event {
            kind: EventKind::Server { level: LogLevel::Warn, text: String::new(), by_clients: true },
            ..entry(seq, LogLevel::Info)
        };
        let act = EventKind::Operator { id: None, verb: "pause".to_owned(), outcome: "done".to_owned() };
        let mut log = Log::default();
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
    fn an_operator_pushes_out_nothing_that_clients_caused() {
        let mut log = log(3);
        log.append((4..4 + 2 * SERVER_MAX as u64).map(|seq| entry(seq, LogLevel::Warn)).collect());
        assert_eq!(shape(&log)[..4], [(1, 1), (2, 1), (3, 1), (3 + SERVER_MAX as u64, SERVER_MAX as u64)]);
        assert_eq!(log.entries().count(), 4 + SERVER_MAX);
    }

    #[test]
    fn gaps_that_meet_are_one() {
        let missed = |seq, events| Event { kind: EventKind::Missed { events }, ..entry(seq, LogLevel::Info) };
        let mut log = Log::default();
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
    fn following_shows_the_newest_and_a_look_back_stays_where_it_is() {
        let mut log = log(10);
        let mut pane = pane(&log);
        assert_eq!(seqs(&pane, &log, 3), [8, 9, 10]);
        pane.move_by(-4);
        assert!(!pane.follows());
        assert_eq!(seqs(&pane, &log, 3), [4, 5, 6]);
        log.append(vec![entry(11, LogLevel::Info)]);
        pane.rebuild(&log);
        assert_eq!(seqs(&pane, &log, 3), [4, 5, 6]);
        pane.move_by(100);
        assert!(pane.follows());
        assert_eq!(seqs(&pane, &log, 3), [9, 10, 11]);
        assert_eq!(seqs(&pane, &log, 100).len(), 11);
        assert_eq!(seqs(&pane, &log, 0).len(), 0);
    }

    #[test]
    fn a_verb_is_told_once_and_with_its_reason() {
        let told = |verb: &str, outcome: &str| {
            let (verb, outcome) = (verb.to_owned(), outcome.to_owned());
            wording(&EventKind::Operator { id: ConnId::new(6), verb, outcome }, false)
        };
        assert_eq!(told("kick #6 far too loud", "kicked #6 flooder"), "kick: far too loud");
        assert_eq!(told("kick flooder", "kicked #6 flooder"), "kick");
        assert_eq!(told("mute #6 for 10s", "muted #6 flooder for 10s"), "mute for 10s");
        assert_eq!(told("mute #6", "over"), "mute; over");
        assert_eq!(told("shutdown #6 write", "shut down write of #6 flooder"), "shutdown write");
        assert_eq!(
            told("kick #6 now", "refused: #6 flooder is leaving already"),
            "kick refused: flooder is leaving already"
        );
    }

    #[test]
    fn categories_go_round() {
        let mut log = log(2);
        log.append(vec![entry(3, LogLevel::Warn)]);
        let mut pane = pane(&log);
        let mut words = Vec::new();
        for _ in 0..=Category::ALL.len() {
            words.push((pane.category.map_or("all", Category::word), pane.len()));
            pane.next_category();
            pane.rebuild(&log);
        }
        assert_eq!(words, [("all", 3), ("join", 0), ("part", 0), ("slow", 0), ("error", 1), ("op", 2)]);
        assert_eq!(pane.category, None);
    }
}
