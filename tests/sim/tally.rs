//! Counts events of many schedules, so that a run shows that every simulated fault happened.

use std::collections::BTreeMap;

use crate::transcript::Transcript;

/// The events of one schedule or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) schedules: u64,
    /// Clients whose streams were compared line by line.
    pub(crate) compared: u64,
    pub(crate) lines_read: u64,
    /// Streams with a marker for skipped lines.
    pub(crate) skipping_streams: u64,
    /// Streams that were cut off.
    pub(crate) cut_streams: u64,
    /// Streams of clients that ignore another.
    pub(crate) ignoring_streams: u64,
    pub(crate) turned_away: u64,
    /// Clients that connected without a free descriptor and got the notice.
    pub(crate) exhausted: u64,
    /// Answers to operators.
    pub(crate) answers: u64,
    /// Messages in which the input ended.
    pub(crate) incomplete: u64,
    pub(crate) ends: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.compared += other.compared;
        self.lines_read += other.lines_read;
        self.skipping_streams += other.skipping_streams;
        self.cut_streams += other.cut_streams;
        self.ignoring_streams += other.ignoring_streams;
        self.turned_away += other.turned_away;
        self.exhausted += other.exhausted;
        self.answers += other.answers;
        self.incomplete += other.incomplete;
        for (word, count) in &other.ends {
            *self.ends.entry(word).or_default() += count;
        }
    }

    pub(crate) fn add_stream(&mut self, transcript: &Transcript) {
        self.lines_read += transcript.lines.len() as u64;
        self.skipping_streams += u64::from(transcript.skipped() > 0);
        self.cut_streams += u64::from(!transcript.is_complete);
        let ignores = transcript.own().any(|text| text.starts_with("-- you ignore "));
        self.ignoring_streams += u64::from(ignores);
    }

    /// Checks that every simulated fault has happened.
    pub(crate) fn check(&self) {
        assert!(self.compared * 2 > self.schedules, "most schedules are compared line by line");
        assert!(self.skipping_streams > 0 && self.cut_streams > 0 && self.turned_away > 0);
        assert!(self.ignoring_streams > 0);
        assert!(self.incomplete > 0 && self.exhausted > 0 && self.answers > self.schedules);
        for word in [
            "eof",
            "half-close-timeout",
            "kicked",
            "outbox-full",
            "quit",
            "reset",
            "reset-by-peer",
            "server-stop",
            "shutdown",
            "stalled",
        ] {
            assert!(self.ends.contains_key(word), "nobody ended by {word}");
        }
    }
}
