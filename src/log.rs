//! The log: a thread of its own that writes lines to stderr, so that nobody else ever waits for it.
//!
//! stderr can block (Ctrl-S, a full pipe) and fail (a hang-up). [`Log::write`] puts a line into a bounded queue or
//! counts it as dropped; the thread tells how many as soon as there is room again. Failing writes are ignored.
//! Time comes with each line; nothing here reads a clock.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};

use crate::config::settings::LogLevel;
use crate::model::event::Event;
use crate::time::Now;
use crate::wire::text::scrub;

/// Lines that wait for the thread; more are dropped and counted.
const QUEUE_LINES: usize = 1_024;
/// Places in the queue that only warnings and errors take: while nobody reads the log, arrivals and departures must not
/// push them out.
const URGENT_LINES: usize = 256;
/// The longest text of one line, in bytes; the rest is cut off.
const TEXT_MAX: usize = 2_048;
/// Room for the text of most lines, in bytes.
const TEXT_USUAL: usize = 96;
/// How long the thread waits for more after each write.
const GATHER_FOR: Duration = Duration::from_millis(10);

/// How long the end of a [`Log`] waits for lines to be written.
const FLUSH_MAX: Duration = Duration::from_millis(500);

/// Writes what happens, one line each: `2026-11-24T18:40:12Z info accept #7 from 127.0.0.1:5000`.
#[derive(Debug)]
pub struct Log {
    level: LogLevel,
    thread: Option<Thread>,
}

/// Our ends of what leads to the writing thread.
#[derive(Debug)]
struct Thread {
    lines: SyncSender<Line>,
    dropped: Arc<Dropped>,
    /// How many lines are in the queue; for a moment one more or less.
    waiting: Arc<AtomicUsize>,
    done: Receiver<()>,
}

/// One line, not yet worded.
#[derive(Debug)]
struct Line {
    unix_ms: i64,
    level: LogLevel,
    text: String,
}

/// Lines that found the queue full and were not told of yet.
#[derive(Debug, Default)]
struct Dropped {
    lines: AtomicU64,
    last_unix_ms: AtomicI64,
}

impl Log {
    /// A log that writes to `sink` what matters at least as much as `level`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(level: LogLevel, sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, queue) = sync_channel(QUEUE_LINES);
        let (finished, done) = sync_channel(1);
        let dropped = Arc::new(Dropped::default());
        let counted = Arc::clone(&dropped);
        let waiting = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&waiting);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_all(&Queue { lines: queue, waiting: taken }, &counted, sink);
            let _ = finished.send(());
        })?;
        Ok(Self { level, thread: Some(Thread { lines, dropped, waiting, done }) })
    }

    /// A log that writes to stderr.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn stderr(level: LogLevel) -> io::Result<Self> {
        Self::start(level, UnlockedStderr)
    }

    /// A log that writes nothing: the dashboard has the terminal.
    #[must_use]
    pub const fn off() -> Self {
        Self { level: LogLevel::Error, thread: None }
    }

    /// Logs a line. Never waits.
    pub fn write(&self, at: Now, level: LogLevel, text: impl Into<String>) {
        let Some(thread) = self.thread.as_ref().filter(|_| level <= self.level) else { return };
        let mut text = text.into();
        let end = (0..=TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        thread.push(Line { unix_ms: at.wall.unix_ms, level, text });
    }

    /// Logs a record: its word, connection and name, and what happened. Never waits.
    pub fn entry(&self, entry: &Event) {
        let level = entry.kind.level();
        if self.thread.is_some() && level <= self.level {
            self.write(entry.at, level, worded(entry));
        }
    }
}

/// Stderr without its lock: a blocked write must not hold what others need to print a last line.
struct UnlockedStderr;

impl Write for UnlockedStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stderr(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Log {
    /// Waits until the lines are written, but not for a sink that blocks.
    fn drop(&mut self) {
        if let Some(Thread { lines, done, .. }) = self.thread.take() {
            drop(lines);
            let _ = done.recv_timeout(FLUSH_MAX);
        }
    }
}

impl Thread {
    /// Puts a line into the queue, after the report of those that were dropped before it.
    fn push(&self, line: Line) {
        let unix_ms = line.unix_ms;
        // An urgent line does not wait until those before it are reported.
        let is_urgent = line.level <= LogLevel::Warn;
        let report = if is_urgent { None } else { self.dropped.report() };
        let reported = report.is_none_or(|(count, report)| {
            let is_sent = self.send(report, false);
            if !is_sent {
                self.dropped.add(count, unix_ms);
            }
            is_sent
        });
        if !reported || !self.send(line, is_urgent) {
            self.dropped.add(1, unix_ms);
        }
    }

    /// Puts a line into the queue if there is a place for it.
    fn send(&self, line: Line, is_urgent: bool) -> bool {
        if !is_urgent && self.waiting.load(Ordering::Relaxed) >= QUEUE_LINES - URGENT_LINES {
            return false;
        }
        // Counted first: the other end takes it away as soon as it is there.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let is_sent = self.lines.try_send(line).is_ok();
        if !is_sent {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        is_sent
    }
}

impl Dropped {
    fn add(&self, lines: u64, unix_ms: i64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.last_unix_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// How many there are, and the line that tells it; they count as told then.
    fn report(&self) -> Option<(u64, Line)> {
        let count = self.lines.swap(0, Ordering::Relaxed);
        if count == 0 {
            return None;
        }
        let unix_ms = self.last_unix_ms.load(Ordering::Relaxed);
        let text = format!("{count} log lines dropped");
        Some((count, Line { unix_ms, level: LogLevel::Warn, text }))
    }
}

/// The other end of the queue.
struct Queue {
    lines: Receiver<Line>,
    waiting: Arc<AtomicUsize>,
}

impl Queue {
    fn try_next(&self) -> Option<Line> {
        self.taken(self.lines.try_recv().ok())
    }

    fn next(&self) -> Option<Line> {
        self.taken(self.lines.recv().ok())
    }

    fn taken(&self, line: Option<Line>) -> Option<Line> {
        if line.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        line
    }
}

fn write_all(queue: &Queue, dropped: &Dropped, mut sink: impl Write) {
    let mut text = String::new();
    let mut stamp = Stamp::default();
    while let Some(first) = next_line(queue, dropped) {
        text.clear();
        let rest = std::iter::from_fn(|| queue.try_next());
        for line in std::iter::once(first).chain(rest).take(QUEUE_LINES) {
            line.write_to(&mut text, &mut stamp);
        }
        // Nobody is left to be told that a log cannot be written.
        let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
        // In a busy hour the next lines are there already: one waking and one write for all of them.
        thread::park_timeout(GATHER_FOR);
    }
}

/// The next line; when the queue is empty the report of dropped ones; else waits. `None` at the end.
fn next_line(queue: &Queue, dropped: &Dropped) -> Option<Line> {
    let waiting = queue.try_next();
    waiting.or_else(|| dropped.report().map(|(_, report)| report)).or_else(|| queue.next())
}

fn worded(entry: &Event) -> String {
    let record = &entry.kind;
    let mut text = String::with_capacity(TEXT_USUAL);
    text.push_str(record.word());
    if let Some(id) = record.subject() {
        let _ = write!(text, " {id}");
    }
    if let Some(nick) = record.nick() {
        let _ = write!(text, " {nick}");
    }
    let _ = write!(text, " {record}");
    text
}

impl Line {
    fn write_to(&self, out: &mut String, stamp: &mut Stamp) {
        let level = match self.level {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        };
        // What people typed arrives scrubbed; this is the last door, for the words of the system.
        let text = scrub(self.text.as_bytes()).text;
        for part in [stamp.of(self.unix_ms), " ", level, " ", &text, "\n"] {
            out.push_str(part);
        }
    }
}

/// The second that was last worded, and its words: in a busy hour the next line is of the same one.
#[derive(Debug, Default)]
struct Stamp {
    second: Option<i64>,
    text: String,
}

impl Stamp {
    /// The second of `unix_ms`, as RFC 3339 has it.
    fn of(&mut self, unix_ms: i64) -> &str {
        let second = unix_ms.div_euclid(1_000);
        if self.second != Some(second) {
            let time = DateTime::from_timestamp(second, 0).unwrap_or_default();
            self.text = time.to_rfc3339_opts(SecondsFormat::Secs, true);
            self.second = Some(second);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnId;
    use crate::model::event::EventKind;
    use crate::model::snapshot::Peer;
    use crate::time::WallTime;
    use std::io::{Read, pipe};

    /// 2026-11-24 18:40:12 UTC.
    const AT: Now = Now {
        moment: crate::time::Moment::START,
        wall: WallTime { unix_ms: 1_795_545_612_000, hour: 0, minute: 0, second: 0 },
    };

    /// A deadline that a healthy machine never reaches.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// What a log at `level` writes.
    fn logged(level: LogLevel, write: impl FnOnce(&Log)) -> String {
        let (mut reader, writer) = pipe().unwrap();
        let log = Log::start(level, writer).unwrap();
        write(&log);
        drop(log);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn records_have_time_level_word_id_and_nick() {
        let id = ConnId::new(7).unwrap();
        let nick = crate::chat::Nick::parse("alice").unwrap();
        let peer = Peer::Tcp(([127, 0, 0, 1], 5000).into());
        let entry = |kind| Event { seq: 1, at: AT, kind };
        let text = logged(LogLevel::Debug, |log| {
            log.entry(&entry(EventKind::Accepted { id, peer }));
            log.entry(&entry(EventKind::Eof { id, nick: Some(nick), unsent: 0 }));
            log.write(AT, LogLevel::Error, "it failed");
        });
        assert_eq!(
            text,
            "2026-11-24T18:40:12Z info accept #7 from 127.0.0.1:5000\n\
             2026-11-24T18:40:12Z debug eof #7 alice sent FIN\n\
             2026-11-24T18:40:12Z error it failed\n"
        );
    }

    #[test]
    fn each_line_has_the_second_of_its_own() {
        let at = |ms| Now { wall: WallTime { unix_ms: AT.wall.unix_ms + ms, ..AT.wall }, ..AT };
        let text = logged(LogLevel::Info, |log| {
            for ms in [0, 999, 1_000, 86_400_000, 0] {
                log.write(at(ms), LogLevel::Info, "x");
            }
        });
        let stamps: Vec<_> = text.lines().filter_map(|line| line.split_once(' ')).map(|(at, _)| at).collect();
        let first = "2026-11-24T18:40:12Z";
        assert_eq!(stamps, [first, first, "2026-11-24T18:40:13Z", "2026-11-25T18:40:12Z", first]);
    }

    #[test]
    fn what_matters_less_than_the_level_is_left_out() {
        let text = logged(LogLevel::Warn, |log| {
            log.write(AT, LogLevel::Info, "less");
            log.write(AT, LogLevel::Warn, "enough");
        });
        assert_eq!(text, "2026-11-24T18:40:12Z warn enough\n");
    }

    #[test]
    fn a_line_is_one_line_and_harmless() {
        let text = logged(LogLevel::Info, |log| {
            log.write(AT, LogLevel::Info, "a\nb\x1b[2J\x7f\u{9b}\u{202e}é");
            log.write(AT, LogLevel::Info, "é".repeat(TEXT_MAX));
        });
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("2026-11-24T18:40:12Z info a␊b␛[2J␡\u{fffd}\u{fffd}é"));
        let cut = lines.next().unwrap();
        assert!(cut.ends_with('é') && cut.len() < TEXT_MAX + 40, "{} bytes", cut.len());
    }

    #[test]
    fn a_blocked_sink_blocks_nobody_and_drops_are_told() {
        const WRITTEN: u64 = 5_000;
        let (reader, writer) = pipe().unwrap();
        let log = Log::start(LogLevel::Info, writer).unwrap();
        let (sender, ended) = sync_channel(1);
        thread::spawn(move || {
            for number in 0..WRITTEN {
                log.write(AT, LogLevel::Info, format!("line {number:0100}"));
            }
            drop(log);
            sender.send(()).unwrap();
        });
        ended.recv_timeout(DEADLINE).expect("neither a write nor the end of the log waits for its sink");

        let text = io::read_to_string(reader).unwrap();
        let dropped: u64 = text
            .lines()
            .filter_map(|line| {
                line.strip_suffix(" log lines dropped")?.rsplit(' ').next()?.parse::<u64>().ok()
            })
            .sum();
        let lines = text.lines().filter(|line| line.contains(" line 0")).count() as u64;
        assert!(dropped > 0, "5,000 lines of 130 bytes do not fit into queue and pipe");
        assert_eq!(lines + dropped, WRITTEN);
    }

    #[test]
    fn what_matters_less_is_dropped_first() {
        let (reader, writer) = pipe().unwrap();
        let log = Log::start(LogLevel::Info, writer).unwrap();
        for number in 0..4_000 {
            log.write(AT, LogLevel::Info, format!("arrival {number:0100}"));
        }
        for number in 0..100 {
            log.write(AT, LogLevel::Error, format!("failure {number}"));
        }
        let (sender, ended) = sync_channel(1);
        thread::spawn(move || {
            drop(log);
            sender.send(()).unwrap();
        });
        ended.recv_timeout(DEADLINE).expect("the end of the log does not wait for its sink");
        let text = io::read_to_string(reader).unwrap();
        assert!(
            text.contains(" log lines dropped"),
            "4,000 lines of 140 bytes do not fit into queue and pipe"
        );
        assert_eq!(text.matches("failure").count(), 100, "each of them is there");
    }

    #[test]
    fn a_closed_sink_is_no_failure() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let log = Log::start(LogLevel::Info, writer).unwrap();
        for _ in 0..2 * QUEUE_LINES {
            log.write(AT, LogLevel::Info, "nobody reads this");
        }
    }

    #[test]
    fn a_log_that_is_off_takes_everything() {
        let log = Log::off();
        log.write(AT, LogLevel::Error, "nobody reads this");
    }
}
