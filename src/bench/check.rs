//! Finds, at every reader, lines that are lost, doubled or reordered. PURE.
//!
//! A sender numbers its lines from 0, and each reader is to hear them in that order, once. Lines of different senders
//! may come in any order. Invariant: what comes in order costs one comparison and no memory.

use std::ops::Range;

use super::report::Findings;

/// Most gaps that are remembered at once; a line that comes late from one beyond them counts as doubled.
const GAPS_MAX: usize = 4_096;

/// What has come to all readers so far.
#[derive(Debug)]
pub(super) struct Checker {
    senders: usize,
    /// The number that comes next, for each reader and sender.
    next: Vec<u32>,
    gaps: Vec<Gap>,
    findings: Findings,
}

/// Lines that a reader has not had although later ones have come.
#[derive(Debug)]
struct Gap {
    reader: usize,
    sender: u32,
    numbers: Range<u32>,
}

/// What a line is to its reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has come before, or came back to its sender, who had it already.
    Doubled,
    /// The next of its sender, perhaps after some that are missing; this one included, so many are now dealt with.
    Next(Range<u32>),
    /// One that was missing, after later ones.
    Reordered,
}

impl Checker {
    /// Nothing has come yet.
    pub(super) fn new(readers: u32, senders: u32) -> Self {
        let (readers, senders) = (readers as usize, senders as usize);
        Self { senders, next: vec![0; readers * senders], gaps: Vec::new(), findings: Findings::default() }
    }

    /// A reader has heard a line. The sender is one of those there are.
    pub(super) fn heard(&mut self, reader: usize, sender: u32, number: u32) -> Verdict {
        if reader == sender as usize {
            self.findings.doubled += 1;
            return Verdict::Doubled;
        }
        let next = &mut self.next[reader * self.senders + sender as usize];
        if number < *next {
            return self.out_of_order(reader, sender, number);
        }
        let dealt_with = *next..number + 1;
        *next = number + 1;
        if dealt_with.start != number {
            let numbers = dealt_with.start..number;
            self.findings.lost += u64::from(number - dealt_with.start);
            if self.gaps.len() < GAPS_MAX {
                self.gaps.push(Gap { reader, sender, numbers });
            }
        }
        Verdict::Next(dealt_with)
    }

    /// The server has told a reader that it skipped lines. They show as gaps, too.
    pub(super) fn skipped(&mut self, lines: u64) {
        self.findings.skipped += lines;
    }

    /// What was found, after everything has come that comes: `said` lines of each sender.
    pub(super) fn finish(mut self, said: &[u32]) -> Findings {
        for (reader, row) in self.next.chunks_exact(self.senders).enumerate() {
            let heard = row.iter().zip(said).enumerate().filter(|(sender, _)| *sender != reader);
            self.findings.lost += heard.map(|(_, (next, said))| u64::from(said - next)).sum::<u64>();
        }
        self.findings
    }

    fn out_of_order(&mut self, reader: usize, sender: u32, number: u32) -> Verdict {
        let is_it = |gap: &Gap| gap.reader == reader && gap.sender == sender && gap.numbers.contains(&number);
        let Some(at) = self.gaps.iter().position(is_it) else {
            self.findings.doubled += 1;
            return Verdict::Doubled;
        };
        let Gap { numbers, .. } = self.gaps.swap_remove(at);
        let rests = [numbers.start..number, number + 1..numbers.end];
        let rests = rests.into_iter().filter(|rest| !rest.is_empty());
        self.gaps.extend(rests.map(|numbers| Gap { reader, sender, numbers }));
        self.findings.lost -= 1;
        self.findings.reordered += 1;
        Verdict::Reordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reader 2 of 3 finds when these lines of sender 1 come, of `said`, and the other readers hear all.
    fn found(numbers: &[u32], said: u32) -> (u64, u64, u64) {
        let mut checker = Checker::new(3, 2);
        for number in 0..said {
            assert_eq!(checker.heard(0, 1, number), Verdict::Next(number..number + 1));
        }
        for &number in numbers {
            checker.heard(2, 1, number);
        }
        let found = checker.finish(&[0, said]);
        (found.lost, found.doubled, found.reordered)
    }

    #[test]
    fn all_in_order_is_nothing_found() {
        assert_eq!(found(&[0, 1, 2, 3], 4), (0, 0, 0));
    }

    #[test]
    fn a_lost_line_is_found_wherever_it_was() {
        assert_eq!(found(&[1, 2, 3], 4), (1, 0, 0));
        assert_eq!(found(&[0, 3], 4), (2, 0, 0));
        assert_eq!(found(&[0, 1], 4), (2, 0, 0), "at the end");
        assert_eq!(found(&[], 4), (4, 0, 0));
    }

    #[test]
    fn a_doubled_line_is_found() {
        assert_eq!(found(&[0, 1, 1, 2, 3], 4), (0, 1, 0));
        assert_eq!(found(&[0, 1, 2, 3, 0], 4), (0, 1, 0));
    }

    #[test]
    fn a_line_that_comes_back_to_its_sender_is_doubled() {
        let mut checker = Checker::new(2, 1);
        assert_eq!(checker.heard(0, 0, 0), Verdict::Doubled);
        assert_eq!(checker.heard(1, 0, 0), Verdict::Next(0..1));
        assert_eq!(checker.finish(&[1]), Findings { doubled: 1, ..Findings::default() });
    }

    #[test]
    fn a_reordered_line_is_neither_lost_nor_doubled() {
        assert_eq!(found(&[0, 2, 1, 3], 4), (0, 0, 1));
        assert_eq!(found(&[3, 1, 0, 2], 4), (0, 0, 3));
        assert_eq!(found(&[3, 1, 1], 4), (2, 1, 1));
    }

    #[test]
    fn a_gap_is_dealt_with_by_the_line_behind_it() {
        let mut checker = Checker::new(2, 1);
        assert_eq!(checker.heard(1, 0, 3), Verdict::Next(0..4));
        checker.skipped(3);
        assert_eq!(checker.findings, Findings { lost: 3, skipped: 3, ..Findings::default() });
    }

    #[test]
    fn more_gaps_than_are_remembered_still_count() {
        let mut checker = Checker::new(2, 1);
        let gaps = u32::try_from(GAPS_MAX).unwrap() + 1;
        for gap in 0..gaps {
            checker.heard(1, 0, gap * 2 + 1);
        }
        assert_eq!(checker.gaps.len(), GAPS_MAX);
        assert_eq!(checker.finish(&[gaps * 2]).lost, u64::from(gaps));
    }
}
