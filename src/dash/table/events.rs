//! The list of events: which of them are shown, and which one is selected.

use super::filter::Filter;
use crate::dash::model::log::EventLog;
use crate::model::event::{Category, Event, EventKind};
use crate::model::snapshot::ConnId;

/// The shown events and the selected one.
#[derive(Debug, Default)]
pub(crate) struct EventList {
    /// Only these, if any.
    pub(crate) category: Option<Category>,
    /// Only events that match, in the view of events.
    pub(crate) filter: Filter,
    cursor: Option<u64>,
    shown: Vec<u64>,
}

impl EventList {
    /// Whether the newest event is always visible.
    pub(crate) const fn follows(&self) -> bool {
        self.cursor.is_none()
    }

    /// Follows the newest event, or selects the one that is the newest now.
    pub(crate) fn toggle_follow(&mut self) {
        self.cursor = if self.follows() { self.shown.last().copied() } else { None };
    }

    /// The next category; after the last one all of them.
    pub(crate) fn next_category(&mut self) {
        self.category = match self.category {
            None => Some(Category::ALL[0]),
            Some(now) => {
                let at = Category::ALL.iter().position(|category| *category == now);
                at.and_then(|at| Category::ALL.get(at + 1)).copied()
            }
        };
    }

    /// Selects the events that are shown. Must be called when log, category or filter have changed.
    pub(crate) fn rebuild(&mut self, log: &EventLog) {
        let (category, filter) = (self.category, &self.filter);
        self.shown.clear();
        self.shown.extend(
            log.entries()
                .filter(|entry| {
                    // It is unknown whether the missing events would match.
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

    /// The index of the selected event among those shown: the last one when following.
    pub(crate) fn position(&self) -> usize {
        let last = self.shown.len().saturating_sub(1);
        self.cursor.map_or(last, |cursor| self.shown.partition_point(|seq| *seq < cursor).min(last))
    }

    /// Moves the selection; on the last event the list follows again.
    pub(crate) fn move_by(&mut self, rows: isize) {
        let last = self.shown.len().saturating_sub(1);
        let to = self.position().saturating_add_signed(rows).min(last);
        self.cursor = if to == last { None } else { self.shown.get(to).copied() };
    }

    /// The events in a window of this number of rows that has the selected one: the index of the first, and all of
    /// them.
    pub(crate) fn window<'a>(&self, log: &'a EventLog, rows: usize) -> (usize, Vec<&'a Event>) {
        let end = (self.position() + 1).max(rows).min(self.shown.len());
        let start = end.saturating_sub(rows);
        (start, self.shown[start..end].iter().filter_map(|seq| log.get(*seq)).collect())
    }

    /// The connection that the record looked at is about.
    pub(crate) fn subject(&self, log: &EventLog) -> Option<ConnId> {
        log.get(*self.shown.get(self.position())?)?.kind.subject()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::LogLevel;
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

    fn pane(log: &EventLog) -> EventList {
        let mut pane = EventList::default();
        pane.rebuild(log);
        pane
    }

    fn seqs(pane: &EventList, log: &EventLog, rows: usize) -> Vec<u64> {
        pane.window(log, rows).1.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn the_list_follows_the_newest_event_or_keeps_the_selected_one() {
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
