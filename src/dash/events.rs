//! What happened: the records kept, which of them are shown, and which one is looked at.

use std::collections::VecDeque;

use super::filter::Filter;
use super::units;
use crate::engine::record::{Category, Entry, Record};
use crate::engine::snapshot::{ConnId, Nick};

/// Records kept; the oldest go first.
pub(crate) const KEPT_MAX: usize = 5_000;

/// The records so far, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(VecDeque<Entry>);

impl Log {
    /// Adds what is newer than what is there.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if entry.seq <= self.last_seq() {
                continue;
            }
            if self.0.len() == KEPT_MAX {
                self.0.pop_front();
            }
            self.0.push_back(entry);
        }
    }

    /// The sequence number of the newest record; 0 without any.
    pub(crate) fn last_seq(&self) -> u64 {
        self.0.back().map_or(0, |entry| entry.seq)
    }

    /// The records, the newest last.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.0.iter()
    }

    /// The name that a connection had when a record was made, from the records before it.
    pub(crate) fn nick_before(&self, seq: u64, id: ConnId) -> Option<Nick> {
        let before = self.0.partition_point(|entry| entry.seq < seq);
        let mut about = self.0.range(..before).rev().filter(|entry| entry.record.subject() == Some(id));
        about.find_map(|entry| entry.record.nick())
    }

    fn get(&self, seq: u64) -> Option<&Entry> {
        let at = self.0.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.0.get(at)
    }
}

/// Which records are shown, and the one that is looked at.
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
    /// Whether the newest record is always the one in sight.
    pub(crate) const fn follows(&self) -> bool {
        self.cursor.is_none()
    }

    /// Follows the newest record, or stops at the one that is the newest now.
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

    /// Chooses anew which records are shown. To be called whenever log, category or filter changed.
    pub(crate) fn rebuild(&mut self, log: &Log) {
        let (category, filter) = (self.category, &self.filter);
        self.shown.clear();
        self.shown.extend(
            log.entries()
                .filter(|entry| {
                    // Whether any of what is missing would be shown is not known.
                    matches!(entry.record, Record::Missed { .. })
                        || category.is_none_or(|category| entry.record.category() == category)
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

    /// The place of the record that is looked at among those shown: the newest when following.
    pub(crate) fn position(&self) -> usize {
        let last = self.shown.len().saturating_sub(1);
        self.cursor.map_or(last, |cursor| self.shown.partition_point(|seq| *seq < cursor).min(last))
    }

    /// Looks at the record so many places further down; at the last one it follows again.
    pub(crate) fn move_by(&mut self, rows: isize) {
        let last = self.shown.len().saturating_sub(1);
        let to = self.position().saturating_add_signed(rows).min(last);
        self.cursor = if to == last { None } else { self.shown.get(to).copied() };
    }

    /// The records shown in a window of so many rows that holds the one looked at: the number of the first, and
    /// all of them.
    pub(crate) fn window<'a>(&self, log: &'a Log, rows: usize) -> (usize, Vec<&'a Entry>) {
        let end = (self.position() + 1).max(rows).min(self.shown.len());
        let start = end.saturating_sub(rows);
        (start, self.shown[start..end].iter().filter_map(|seq| log.get(*seq)).collect())
    }

    /// The connection that the record looked at is about.
    pub(crate) fn subject(&self, log: &Log) -> Option<ConnId> {
        log.get(*self.shown.get(self.position())?)?.record.subject()
    }
}

/// What a record says, with byte counts as people read them.
pub(crate) fn wording(record: &Record, raw: bool) -> String {
    let size = |count: u64| units::bytes(count, raw);
    match record {
        Record::Closed { reason, unsent, .. } if *unsent > 0 => format!("{reason}; {} unsent", size(*unsent)),
        Record::Eof { unsent, .. } if *unsent > 0 => format!("sent FIN; {} still to flush", size(*unsent)),
        Record::Missed { events } => {
            format!("{} not shown: too many at once", units::counted(*events, "event", "events"))
        }
        Record::Slow { outbox, limit, .. } => format!("outbox {} of {}", size(*outbox), size(*limit)),
        Record::Operator { id: Some(id), verb, outcome } => operator_wording(*id, verb, outcome),
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
    use crate::time::Now;

    fn entry(seq: u64, level: LogLevel) -> Entry {
        Entry { seq, at: Now::default(), record: Record::Server { level, text: format!("entry {seq}") } }
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
        assert_eq!(log.entries().count(), KEPT_MAX);
        assert_eq!(log.last_seq(), 6_000);
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
            wording(&Record::Operator { id: ConnId::new(6), verb, outcome }, false)
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
