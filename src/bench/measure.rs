//! The measured phase: senders send lines, and every line is checked at every reader.
//!
//! A sender numbers its lines from 0, and each reader must get them in that order, once. Lines of different senders may
//! arrive in any order. Invariant: a line in order costs one comparison and no memory.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::clients::Clients;
use super::plan::{Pacing, Plan};
use super::report::{Findings, Histogram, Latency};
use super::script::{Line, Script, ServerLine, excerpt};
use super::{BenchError, Context, PAUSE, Progress};
use crate::poller::Readiness;
use crate::time::Moment;

/// Unsent bytes of all senders above which no more lines are sent.
const UNSENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// After the last line was sent: lines that are missing after this time without a delivery are lost.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// The result of the measured phase.
pub(super) struct Measured {
    /// From the first line to the last delivery; at least the planned time.
    pub(super) span: Duration,
    pub(super) lines: u64,
    pub(super) deliveries: u64,
    pub(super) findings: Findings,
    pub(super) latency: Latency,
}

/// The state of the measured phase.
struct Measurement<'a> {
    /// The server, for errors.
    target: String,
    script: &'a Script,
    checker: Checker,
    pacing: Pacing,
    histogram: Histogram,
    deliveries: u64,
    /// Pairs of a line and a reader that are settled: delivered, or counted as missing.
    settled: u64,
    /// The server's last notice and its client. It may say why the server closes that connection.
    notice: Option<(usize, String)>,
}

/// Sends lines for the planned time, then waits until all are delivered or deliveries stop.
pub(super) fn measure(
    context: &Context,
    clients: &mut Clients,
    script: &Script,
    plan: &Plan,
) -> Result<Measured, BenchError> {
    let mut progress = Progress::new();
    let started = context.clock.moment();
    let end = started + plan.span;
    let mut measurement = Measurement::new(script, plan, clients.target(), started);
    let mut last_delivery = started;
    loop {
        context.check_signals()?;
        let now = context.clock.moment();
        let is_over = now >= end;
        // While too much is unsent, the loop waits for writable sockets, not for the time of the next line.
        let may_send = clients.unsent_bytes() < UNSENT_BYTES_MAX;
        if !is_over && may_send {
            measurement.send_due(clients, now)?;
        }
        let missing = measurement.pacing.total() * u64::from(plan.readers()) - measurement.settled;
        let quiet_since = last_delivery.max(end);
        if is_over && (missing == 0 || now.since(quiet_since) > SILENCE_MAX) {
            break;
        }
        let deliveries = measurement.deliveries;
        let timeout = if may_send { measurement.timeout(now, end) } else { PAUSE };
        measurement.turn(context, clients, timeout)?;
        if measurement.deliveries > deliveries {
            last_delivery = context.clock.moment();
        }
        progress.show(now, || {
            let (passed, span) = (now.since(started).as_secs_f64(), plan.span.as_secs_f64());
            format!("{:.1} of {span:.1} s, {} deliveries", passed.min(span), measurement.deliveries)
        });
    }
    // At a rate, the last line is sent one interval before the end. That interval belongs to the measured time.
    Ok(measurement.finish(last_delivery.since(started).max(plan.span)))
}

impl<'a> Measurement<'a> {
    fn new(script: &'a Script, plan: &Plan, target: &str, now: Moment) -> Self {
        Self {
            target: target.to_owned(),
            script,
            checker: Checker::new(plan.clients, plan.senders),
            pacing: Pacing::new(plan, now.micros()),
            histogram: Histogram::new(),
            deliveries: 0,
            settled: 0,
            notice: None,
        }
    }

    /// Sends the lines that are due; the lines of one sender share a write.
    fn send_due(&mut self, clients: &mut Clients, now: Moment) -> Result<(), BenchError> {
        let script = self.script;
        self.pacing.take_due(now.micros(), &mut |line| {
            clients.queue(line.sender as usize, |unsent| script.write(line, unsent));
            clients.unsent_bytes() < UNSENT_BYTES_MAX
        });
        for sender in 0..self.pacing.sent().len() {
            if clients.has_unsent(sender) {
                clients.flush(sender).map_err(|error| self.gone(sender, Some(error)))?;
            }
        }
        Ok(())
    }

    fn turn(
        &mut self,
        context: &Context,
        clients: &mut Clients,
        timeout: Duration,
    ) -> Result<(), BenchError> {
        for at in 0..clients.wait(timeout)? {
            let Readiness { key: client, readable, writable, .. } = clients.ready(at);
            if writable {
                clients.flush(client).map_err(|error| self.gone(client, Some(error)))?;
            }
            if !readable {
                continue;
            }
            let now_us = context.clock.moment().micros();
            match clients.read(client, |line| self.read_line(client, line, now_us))? {
                Ok(true) => {}
                Ok(false) => return Err(self.gone(client, None)),
                Err(error) => return Err(self.gone(client, Some(error))),
            }
        }
        Ok(())
    }

    fn read_line(&mut self, reader: usize, line: &[u8], now_us: u64) -> Result<(), BenchError> {
        match self.script.classify(line) {
            ServerLine::Load(line) => self.delivered(reader, line, now_us),
            ServerLine::Skipped(lines) => self.checker.skipped(lines),
            ServerLine::Throttled => {
                let text = excerpt(line);
                return Err(BenchError::Throttled { target: self.target.clone(), text });
            }
            ServerLine::Refusal => {
                let text = excerpt(line);
                return Err(BenchError::LineRefused { target: self.target.clone(), client: reader, text });
            }
            ServerLine::Other if line.starts_with(b"-- ") => self.notice = Some((reader, excerpt(line))),
            ServerLine::Greeting | ServerLine::Joined | ServerLine::Other => {}
        }
        Ok(())
    }

    fn delivered(&mut self, reader: usize, line: Line, now_us: u64) {
        let sent = self.pacing.sent().get(line.sender as usize).copied().unwrap_or(0);
        if line.number >= sent {
            return;
        }
        match self.checker.delivered(reader, line.sender, line.number) {
            Verdict::Doubled => return,
            Verdict::Next(numbers) => {
                self.settled += u64::from(numbers.end - numbers.start);
                self.pacing.settled(line.sender, numbers);
            }
            Verdict::Reordered => {}
        }
        self.deliveries += 1;
        self.histogram.record(now_us.saturating_sub(line.sent_us));
    }

    /// The time until the next line, the end, or the next check for signals.
    fn timeout(&self, now: Moment, end: Moment) -> Duration {
        if now >= end {
            return PAUSE;
        }
        let due = self.pacing.next_due_us().map_or(end, Moment::from_micros);
        due.min(end).since(now).min(PAUSE)
    }

    fn gone(&self, client: usize, error: Option<io::Error>) -> BenchError {
        let notice = self.notice.clone().filter(|(reader, _)| *reader == client).map(|(_, notice)| notice);
        BenchError::Gone { target: self.target.clone(), client, notice, error }
    }

    fn finish(self, span: Duration) -> Measured {
        let lines = self.pacing.total();
        let findings = self.checker.finish(self.pacing.sent());
        let latency = Latency::of(&self.histogram);
        Measured { span, lines, deliveries: self.deliveries, findings, latency }
    }
}

/// The most gaps kept at once. A late line from a gap that was not kept counts as doubled.
const GAPS_MAX: usize = 4_096;

/// What has come to all readers so far.
#[derive(Debug)]
pub(super) struct Checker {
    senders: usize,
    /// The next expected number, for each reader and sender.
    next: Vec<u32>,
    gaps: Vec<Gap>,
    findings: Findings,
}

/// Lines that a reader has not received although later ones have arrived.
#[derive(Debug)]
struct Gap {
    reader: usize,
    sender: u32,
    numbers: Range<u32>,
}

/// What a delivered line means for its reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The line was delivered before, or came back to its sender.
    Doubled,
    /// The next line of its sender, perhaps after missing ones. These numbers are settled now, this line's included.
    Next(Range<u32>),
    /// A line that was missing arrived after later ones.
    Reordered,
}

impl Checker {
    pub(super) fn new(readers: u32, senders: u32) -> Self {
        let (readers, senders) = (readers as usize, senders as usize);
        Self { senders, next: vec![0; readers * senders], gaps: Vec::new(), findings: Findings::default() }
    }

    /// A line was delivered to `reader`. `sender` must be below the number of senders.
    pub(super) fn delivered(&mut self, reader: usize, sender: u32, number: u32) -> Verdict {
        if reader == sender as usize {
            self.findings.doubled += 1;
            return Verdict::Doubled;
        }
        let next = &mut self.next[reader * self.senders + sender as usize];
        if number < *next {
            return self.out_of_order(reader, sender, number);
        }
        let settled = *next..number + 1;
        *next = number + 1;
        if settled.start != number {
            let numbers = settled.start..number;
            self.findings.lost += u64::from(number - settled.start);
            if self.gaps.len() < GAPS_MAX {
                self.gaps.push(Gap { reader, sender, numbers });
            }
        }
        Verdict::Next(settled)
    }

    /// The server notified a reader of skipped lines. They are also counted as gaps.
    pub(super) fn skipped(&mut self, lines: u64) {
        self.findings.skipped += lines;
    }

    /// The findings after the last delivery, when each sender has sent `sent` lines.
    pub(super) fn finish(mut self, sent: &[u32]) -> Findings {
        for (reader, row) in self.next.chunks_exact(self.senders).enumerate() {
            let delivered = row.iter().zip(sent).enumerate().filter(|(sender, _)| *sender != reader);
            self.findings.lost += delivered.map(|(_, (next, sent))| u64::from(sent - next)).sum::<u64>();
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

    /// Findings if reader 2 of 3 gets these of the `sent` lines of sender 1, and the other readers get all.
    fn found(numbers: &[u32], sent: u32) -> (u64, u64, u64) {
        let mut checker = Checker::new(3, 2);
        for number in 0..sent {
            assert_eq!(checker.delivered(0, 1, number), Verdict::Next(number..number + 1));
        }
        for &number in numbers {
            checker.delivered(2, 1, number);
        }
        let found = checker.finish(&[0, sent]);
        (found.lost, found.doubled, found.reordered)
    }

    #[test]
    fn lines_in_order_have_no_findings() {
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
        assert_eq!(checker.delivered(0, 0, 0), Verdict::Doubled);
        assert_eq!(checker.delivered(1, 0, 0), Verdict::Next(0..1));
        assert_eq!(checker.finish(&[1]), Findings { doubled: 1, ..Findings::default() });
    }

    #[test]
    fn a_reordered_line_is_neither_lost_nor_doubled() {
        assert_eq!(found(&[0, 2, 1, 3], 4), (0, 0, 1));
        assert_eq!(found(&[3, 1, 0, 2], 4), (0, 0, 3));
        assert_eq!(found(&[3, 1, 1], 4), (2, 1, 1));
    }

    #[test]
    fn a_gap_is_settled_by_the_line_after_it() {
        let mut checker = Checker::new(2, 1);
        assert_eq!(checker.delivered(1, 0, 3), Verdict::Next(0..4));
        checker.skipped(3);
        assert_eq!(checker.findings, Findings { lost: 3, skipped: 3, ..Findings::default() });
    }

    #[test]
    fn gaps_beyond_the_most_that_are_kept_still_count() {
        let mut checker = Checker::new(2, 1);
        let gaps = u32::try_from(GAPS_MAX).unwrap() + 1;
        for gap in 0..gaps {
            checker.delivered(1, 0, gap * 2 + 1);
        }
        assert_eq!(checker.gaps.len(), GAPS_MAX);
        assert_eq!(checker.finish(&[gaps * 2]).lost, u64::from(gaps));
    }
}
