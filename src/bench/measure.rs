//! The measured phase: senders say lines, and every line is checked at every reader.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::clients::Crowd;
use super::plan::{Pacing, Plan};
use super::report::{Findings, Histogram, Latency};
use super::script::{Heard, Line, Script, excerpt};
use super::{BenchError, Ground, Progress};
use crate::poller::Readiness;
use crate::time::Moment;

/// Unsent bytes of all senders above which nothing more is said.
const UNSENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// After the last line was said: so long without one more delivery, and what is missing is lost.
const QUIET: Duration = Duration::from_secs(3);
/// The longest wait before signals are looked at again.
const PAUSE: Duration = Duration::from_millis(50);

/// What the measured phase gave.
pub(super) struct Talked {
    /// From the first line to the last delivery, and no less than was planned.
    pub(super) span: Duration,
    pub(super) lines: u64,
    pub(super) deliveries: u64,
    pub(super) findings: Findings,
    pub(super) latency: Latency,
}

/// All that is known while lines are said.
struct Talk<'a> {
    /// The server, for errors.
    target: String,
    script: &'a Script,
    checker: Checker,
    pacing: Pacing,
    histogram: Histogram,
    deliveries: u64,
    /// Pairs of a line and a reader that are over: delivered, or given up.
    dealt_with: u64,
    /// What the server last told a client: why it closes it, perhaps.
    notice: Option<(usize, String)>,
}

/// Says lines for as long as planned and waits until all have come, or nothing comes any more.
pub(super) fn talk(
    ground: &Ground,
    crowd: &mut Crowd,
    script: &Script,
    plan: &Plan,
) -> Result<Talked, BenchError> {
    let mut progress = Progress::new();
    let started = ground.clock.moment();
    let stop_saying = started + plan.span;
    let mut talk = Talk::new(script, plan, crowd.target(), started);
    let mut last_delivery = started;
    loop {
        ground.check_signals()?;
        let now = ground.clock.moment();
        let is_over = now >= stop_saying;
        // While too much is unsent, room to write is waited for, and not the next line's time.
        let may_say = crowd.unsent_bytes() < UNSENT_BYTES_MAX;
        if !is_over && may_say {
            talk.say_due(crowd, now)?;
        }
        let missing = talk.pacing.total() * u64::from(plan.readers()) - talk.dealt_with;
        let quiet_since = last_delivery.max(stop_saying);
        if is_over && (missing == 0 || now.since(quiet_since) > QUIET) {
            break;
        }
        let deliveries = talk.deliveries;
        let timeout = if may_say { talk.timeout(now, stop_saying) } else { PAUSE };
        talk.turn(ground, crowd, timeout)?;
        if talk.deliveries > deliveries {
            last_delivery = ground.clock.moment();
        }
        progress.show(now, || {
            let (passed, span) = (now.since(started).as_secs_f64(), plan.span.as_secs_f64());
            format!("{:.1} of {span:.1} s, {} deliveries", passed.min(span), talk.deliveries)
        });
    }
    // At a rate the last line is said one interval before the end: the time until then belongs to it.
    Ok(talk.finish(last_delivery.since(started).max(plan.span)))
}

impl<'a> Talk<'a> {
    fn new(script: &'a Script, plan: &Plan, target: &str, now: Moment) -> Self {
        Self {
            target: target.to_owned(),
            script,
            checker: Checker::new(plan.clients, plan.senders),
            pacing: Pacing::new(plan, now.micros()),
            histogram: Histogram::new(),
            deliveries: 0,
            dealt_with: 0,
            notice: None,
        }
    }

    /// Who may say lines says them; what one sender says now goes out in one write.
    fn say_due(&mut self, crowd: &mut Crowd, now: Moment) -> Result<(), BenchError> {
        let script = self.script;
        self.pacing.take_due(now.micros(), &mut |line| {
            crowd.say(line.sender as usize, |unsent| script.say(line, unsent));
            crowd.unsent_bytes() < UNSENT_BYTES_MAX
        });
        for sender in 0..self.pacing.said().len() {
            if crowd.has_unsent(sender) {
                crowd.flush(sender).map_err(|error| self.gone(sender, Some(error)))?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, ground: &Ground, crowd: &mut Crowd, timeout: Duration) -> Result<(), BenchError> {
        for at in 0..crowd.wait(timeout)? {
            let Readiness { key: client, readable, writable, .. } = crowd.ready(at);
            if writable {
                crowd.flush(client).map_err(|error| self.gone(client, Some(error)))?;
            }
            if !readable {
                continue;
            }
            let now_us = ground.clock.moment().micros();
            match crowd.read(client, |line| self.hear(client, line, now_us))? {
                Ok(true) => {}
                Ok(false) => return Err(self.gone(client, None)),
                Err(error) => return Err(self.gone(client, Some(error))),
            }
        }
        Ok(())
    }

    fn hear(&mut self, reader: usize, line: &[u8], now_us: u64) -> Result<(), BenchError> {
        match self.script.hear(line) {
            Heard::Said(line) => self.delivered(reader, line, now_us),
            Heard::Skipped(lines) => self.checker.skipped(lines),
            Heard::SlowDown => {
                let said = excerpt(line);
                return Err(BenchError::HeldBack { target: self.target.clone(), said });
            }
            Heard::Refusal => {
                let said = excerpt(line);
                return Err(BenchError::LineRefused { target: self.target.clone(), client: reader, said });
            }
            Heard::Other if line.starts_with(b"-- ") => self.notice = Some((reader, excerpt(line))),
            Heard::Greeting | Heard::Joined | Heard::Other => {}
        }
        Ok(())
    }

    fn delivered(&mut self, reader: usize, line: Line, now_us: u64) {
        let said = self.pacing.said().get(line.sender as usize).copied().unwrap_or(0);
        if line.number >= said {
            return;
        }
        match self.checker.heard(reader, line.sender, line.number) {
            Verdict::Doubled => return,
            Verdict::Next(numbers) => {
                self.dealt_with += u64::from(numbers.end - numbers.start);
                self.pacing.dealt_with(line.sender, numbers);
            }
            Verdict::Reordered => {}
        }
        self.deliveries += 1;
        self.histogram.record(now_us.saturating_sub(line.said_us));
    }

    /// Until the next line is due, or the end, or signals are to be looked at.
    fn timeout(&self, now: Moment, stop_saying: Moment) -> Duration {
        if now >= stop_saying {
            return PAUSE;
        }
        let due = self.pacing.next_due_us().map_or(stop_saying, Moment::from_micros);
        due.min(stop_saying).since(now).min(PAUSE)
    }

    fn gone(&self, client: usize, error: Option<io::Error>) -> BenchError {
        let notice = self.notice.clone().filter(|(reader, _)| *reader == client).map(|(_, notice)| notice);
        BenchError::Gone { target: self.target.clone(), client, notice, error }
    }

    fn finish(self, span: Duration) -> Talked {
        let lines = self.pacing.total();
        let findings = self.checker.finish(self.pacing.said());
        let latency = Latency::of(&self.histogram);
        Talked { span, lines, deliveries: self.deliveries, findings, latency }
    }
}

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
