//! The measured phase: senders say lines, and every line is checked at every reader.

use std::io;
use std::time::Duration;

use super::check::{Checker, Verdict};
use super::crowd::Crowd;
use super::error::BenchError;
use super::histogram::Histogram;
use super::pace::Pacing;
use super::plan::Plan;
use super::progress::Progress;
use super::report::{Findings, Latency};
use super::run::Ground;
use super::script::{Heard, Line, Script, excerpt};
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
