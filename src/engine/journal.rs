//! The last records, numbered: for the event pane and the log.

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

    /// Those after sequence number `seq` that are still there, oldest first.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        let newer = usize::try_from(self.last.saturating_sub(seq)).unwrap_or(usize::MAX);
        self.entries.range(self.entries.len().saturating_sub(newer)..)
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
        assert_eq!(journal.after(last - 2).map(|entry| entry.seq).collect::<Vec<_>>(), [last - 1, last]);
        assert_eq!(journal.after(0).count(), JOURNAL_MAX);
        assert_eq!(journal.after(last).count(), 0);
        assert_eq!(journal.after(last + 5).count(), 0);
    }
}
