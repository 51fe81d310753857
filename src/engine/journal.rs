//! The last records, numbered: for the event pane and the log.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::record::{Entry, Record};
use crate::time::Now;

/// Records kept; the oldest go first.
pub(super) const JOURNAL_MAX: usize = 2_048;

#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    last: u64,
}

impl Journal {
    pub(super) fn add(&mut self, at: Now, record: Record) {
        if self.entries.len() == JOURNAL_MAX {
            self.entries.pop_front();
        }
        self.last += 1;
        self.entries.push_back(Entry { seq: self.last, at, record });
    }

    /// The sequence number of the last one; 0 before the first.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Those after sequence number `seq`, oldest first, at most the last `most` of them. If there were others, one that
    /// stands for them comes first and says how many.
    pub(super) fn after(&self, seq: u64, most: usize) -> impl Iterator<Item = Cow<'_, Entry>> {
        let newer = usize::try_from(self.last.saturating_sub(seq)).unwrap_or(usize::MAX);
        let given = self.entries.range(self.entries.len().saturating_sub(newer.min(most))..);
        let missed = newer.saturating_sub(given.len()) as u64;
        let first = given.clone().next().filter(|_| missed > 0);
        let gap = first.map(|first| Entry {
            seq: first.seq - 1,
            at: first.at,
            record: Record::Missed { events: missed },
        });
        gap.map(Cow::Owned).into_iter().chain(given.map(Cow::Borrowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::LogLevel;

    #[test]
    fn it_is_numbered_and_bounded() {
        let mut journal = Journal::default();
        for number in 1..=JOURNAL_MAX + 10 {
            let text = number.to_string();
            journal.add(Now::default(), Record::Server { level: LogLevel::Info, text });
        }
        let last = (JOURNAL_MAX + 10) as u64;
        let seqs = |after: u64, most| journal.after(after, most).map(|entry| entry.seq).collect::<Vec<_>>();
        assert_eq!(seqs(last - 2, 100), [last - 1, last]);
        assert!(seqs(last, 100).is_empty());
        assert!(seqs(last + 5, 100).is_empty());
        assert_eq!(journal.after(10, JOURNAL_MAX).count(), JOURNAL_MAX);
    }

    #[test]
    fn what_is_left_out_is_counted_in_its_place() {
        let mut journal = Journal::default();
        for _ in 0..JOURNAL_MAX + 10 {
            journal.add(Now::default(), Record::Server { level: LogLevel::Info, text: String::new() });
        }
        let last = (JOURNAL_MAX + 10) as u64;
        let begin = |after: u64, most| {
            let given: Vec<_> = journal.after(after, most).collect();
            let missed = match given[0].record {
                Record::Missed { events } => events,
                _ => 0,
            };
            (missed, given[0].seq, given.len(), given.last().unwrap().seq)
        };
        // What the journal has no longer, and what is too much at once.
        assert_eq!(begin(0, usize::MAX), (10, 10, JOURNAL_MAX + 1, last));
        assert_eq!(begin(0, 3), (last - 3, last - 3, 4, last));
        assert_eq!(begin(last - 5, 3), (2, last - 3, 4, last));
        assert_eq!(begin(last - 3, 3), (0, last - 2, 3, last));
    }
}
