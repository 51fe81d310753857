//! The log: a thread of its own writes lines to stderr, so that no other thread waits for stderr.
//!
//! stderr can block (Ctrl-S, a full pipe) and fail (a hang-up). [`Log::write`] puts a line into a bounded queue or
//! counts it as dropped; when the queue has room again, a line reports the number. Failed writes are ignored.
//! The time is a parameter of each line; nothing here reads a clock.

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

/// The most lines in the queue; more are dropped and counted.
const QUEUE_LINES: usize = 1_024;
/// Places in the queue for warnings and errors only: while stderr is blocked, arrivals and departures must not displace
/// them.
const URGENT_LINES: usize = 256;
/// The longest text of one line, in bytes; a longer text is cut.
const TEXT_MAX: usize = 2_048;
/// The initial capacity for a text, in bytes; most lines fit.
const TEXT_USUAL: usize = 96;
/// How long the thread waits for more lines after each write.
const GATHER_FOR: Duration = Duration::from_millis(10);

/// How long dropping a [`Log`] waits for its lines to be written.
const FLUSH_MAX: Duration = Duration::from_millis(500);

/// Writes what happens, one line each: `2026-11-24T18:40:12Z info accept #7 from 127.0.0.1:5000`.
#[derive(Debug)]
pub(crate) struct Log {
    level: LogLevel,
    thread: Option<Thread>,
}

/// The writing thread, as the other threads use it.
#[derive(Debug)]
struct Thread {
    lines: SyncSender<Line>,
    dropped: Arc<Dropped>,
    /// The number of lines in the queue; it may briefly be off by one.
    waiting: Arc<AtomicUsize>,
    done: Receiver<()>,
}

/// One line, not yet formatted.
#[derive(Debug)]
struct Line {
    unix_ms: i64,
    level: LogLevel,
    text: String,
}

/// Dropped lines that have not been reported.
#[derive(Debug, Default)]
struct Dropped {
    lines: AtomicU64,
    last_unix_ms: AtomicI64,
}

impl Log {
    /// A log that writes to `sink` the lines of `level` and of more important levels.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn start(level: LogLevel, sink: impl Write + Send + 'static) -> io::Result<Self> {
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
    pub(crate) fn stderr(level: LogLevel) -> io::Result<Self> {
        Self::start(level, UnlockedStderr)
    }

    /// Logs a line. Never waits.
    pub(crate) fn write(&self, at: Now, level: LogLevel, text: impl Into<String>) {
        let Some(thread) = self.thread.as_ref().filter(|_| level <= self.level) else { return };
        let mut text = text.into();
        let end = (0..=TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        thread.push(Line { unix_ms: at.wall.unix_ms, level, text });
    }

    /// Logs an event: its name, connection and nick, and what happened. Never waits.
    pub(crate) fn event(&self, event: &Event) {
        let level = event.kind.level();
        if self.thread.is_some() && level <= self.level {
            self.write(event.at, level, format_event(event));
        }
    }
}

/// Stderr without the lock of the standard library: a blocked write must not keep `main` from printing its last line.
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
    /// Waits until the lines are written, at most [`FLUSH_MAX`].
    fn drop(&mut self) {
        if let Some(Thread { lines, done, .. }) = self.thread.take() {
            drop(lines);
            let _ = done.recv_timeout(FLUSH_MAX);
        }
    }
}

impl Thread {
    /// Puts a line into the queue, after a report of the lines that were dropped before it.
    fn push(&self, line: Line) {
        let unix_ms = line.unix_ms;
        // An urgent line goes ahead of the report.
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

    /// Puts a line into the queue if it has a place for its level.
    fn send(&self, line: Line, is_urgent: bool) -> bool {
        if !is_urgent && self.waiting.load(Ordering::Relaxed) >= QUEUE_LINES - URGENT_LINES {
            return false;
        }
        // Counted first: the thread may take the line, and count it off, at once.
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

    /// Takes the number of dropped lines, with the line that reports it.
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

/// The thread's end of the queue.
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
        // A log that cannot be written has no place to say so.
        let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
        // Under load, lines that arrive within this time share one wake-up and one write.
        thread::park_timeout(GATHER_FOR);
    }
}

/// The next line. If the queue is empty, the report of dropped lines; without one, waits. `None` at the end.
fn next_line(queue: &Queue, dropped: &Dropped) -> Option<Line> {
    let waiting = queue.try_next();
    waiting.or_else(|| dropped.report().map(|(_, report)| report)).or_else(|| queue.next())
}

fn format_event(event: &Event) -> String {
    let record = &event.kind;
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
        // Text of clients arrives scrubbed; error texts of the system do not.
        let text = scrub(self.text.as_bytes()).text;
        for part in [stamp.of(self.unix_ms), " ", level, " ", &text, "\n"] {
            out.push_str(part);
        }
    }
}

/// The second that was last formatted, with its text: under load, the next line is mostly of the same second.
#[derive(Debug, Default)]
struct Stamp {
    second: Option<i64>,
    text: String,
}

impl Stamp {
    /// The second of `unix_ms`, in RFC 3339.
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
    fn events_have_time_level_name_id_and_nick() {
        let id = ConnId::new(7).unwrap();
        let nick = crate::chat::Nick::parse("alice").unwrap();
        let peer = Peer::Tcp(([127, 0, 0, 1], 5000).into());
        let event = |kind| Event { seq: 1, at: AT, kind };
        let text = logged(LogLevel::Debug, |log| {
            log.event(&event(EventKind::Accepted { id, peer }));
            log.event(&event(EventKind::Eof { id, nick: Some(nick), unsent: 0 }));
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
    fn each_line_has_its_own_second() {
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
    fn lines_below_the_level_are_left_out() {
        let text = logged(LogLevel::Warn, |log| {
            log.write(AT, LogLevel::Info, "less");
            log.write(AT, LogLevel::Warn, "enough");
        });
        assert_eq!(text, "2026-11-24T18:40:12Z warn enough\n");
    }

    #[test]
    fn a_line_is_scrubbed_and_cut() {
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
    fn a_blocked_sink_blocks_no_writer_and_dropped_lines_are_reported() {
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
    fn warnings_and_errors_are_dropped_last() {
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
    fn writes_to_a_closed_sink_are_ignored() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let log = Log::start(LogLevel::Info, writer).unwrap();
        for _ in 0..2 * QUEUE_LINES {
            log.write(AT, LogLevel::Info, "not read");
        }
    }
}
