//! What is to be measured, and when each sender sends its next line. PURE, but for the look-up of a target's name.

use std::net::ToSocketAddrs;
use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::SockAddr;

use super::script::Line;
use crate::time::write_span;

/// Most clients of one run; one address has about as many source ports.
const CLIENTS_MAX: u32 = 20_000;
/// Most senders of one run; a count is kept for each pair of a client and a sender.
const SENDERS_MAX: u32 = 1_000;
/// Length of a line's text. A shorter line has no room for number and time; the default `limits.line_bytes` refuses a
/// longer one.
const LINE_BYTES: RangeInclusive<usize> = 24..=4_096;
/// The measured time.
const SPAN: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);
/// Most lines a second, all senders together.
const RATE_MAX: u32 = 1_000_000;

/// How fast lines are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each sender sends the next line as soon as an earlier one has reached all readers.
    Max,
    /// Lines a second of all senders together, whatever the server does.
    Rate(NonZeroU32),
}

/// The server that is measured.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A server that is started for this run and ends with it: this program, or the given one, which must be a chatops.
    Private(Option<PathBuf>),
    /// A server that runs already.
    Running { name: String, address: SockAddr },
}

impl Target {
    /// Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:/PATH`. A name is looked up; its first address is used.
    ///
    /// # Errors
    ///
    /// Says what is wrong and how it is written.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let address = match text.strip_prefix("unix:") {
            Some(path) => SockAddr::unix(Path::new(path))
                .map_err(|error| format!("{text:?} is no path of a socket ({error})"))?,
            None => tcp_address(text)?,
        };
        Ok(Self::Running { name: text.to_owned(), address })
    }
}

fn tcp_address(text: &str) -> Result<SockAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| {
        format!("{text:?} is no address ({error}): write HOST:PORT, such as 127.0.0.1:6677, or unix:/PATH")
    })?;
    let first = found.next().ok_or_else(|| format!("no address is known for {text:?}"))?;
    Ok(SockAddr::from(first))
}

/// What one run does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) target: Target,
    pub(super) clients: u32,
    pub(super) senders: u32,
    pub(super) pace: Pace,
    pub(super) line_bytes: usize,
    pub(super) span: Duration,
}

impl Plan {
    /// `clients` connections that read, of which `senders` send lines of `line_bytes` bytes for `span`.
    ///
    /// # Errors
    ///
    /// Names the option that is out of range, and the range.
    pub(crate) fn new(
        target: Target,
        clients: u32,
        senders: u32,
        pace: Pace,
        line_bytes: usize,
        span: Duration,
    ) -> Result<Self, String> {
        let in_range = |option: &str, value: u64, range: RangeInclusive<u64>| {
            if range.contains(&value) {
                return Ok(());
            }
            Err(format!("{option} {value} is out of range: {} to {}", range.start(), range.end()))
        };
        in_range("--clients", clients.into(), 2..=CLIENTS_MAX.into())?;
        in_range("--senders", senders.into(), 1..=SENDERS_MAX.min(clients).into())?;
        in_range("--bytes", line_bytes as u64, *LINE_BYTES.start() as u64..=*LINE_BYTES.end() as u64)?;
        if let Pace::Rate(rate) = pace {
            in_range("--rate", rate.get().into(), 1..=RATE_MAX.into())?;
        }
        if !SPAN.contains(&span) {
            return Err(format!("--for {} is out of range: 100ms to 1h", write_span(span)));
        }
        Ok(Self { target, clients, senders, pace, line_bytes, span })
    }

    #[must_use]
    pub(crate) const fn clients(&self) -> u32 {
        self.clients
    }

    /// The readers of each line: all clients but its sender.
    pub(super) const fn readers(&self) -> u32 {
        self.clients - 1
    }
}

/// Undelivered lines of one sender at [`Pace::Max`]: enough to keep the server busy, and few enough that latency does
/// not measure a queue of the load.
const WINDOW_LINES: u32 = 32;

/// What each sender has sent, and what it may send.
#[derive(Debug)]
pub(super) struct Pacing {
    sent: Vec<u32>,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Rate { lines_per_second: NonZeroU32, started_us: u64, total: u64 },
    Windows(Vec<Window>),
}

/// Lines of one sender that have not reached all readers.
#[derive(Debug)]
struct Window {
    readers: u32,
    /// The first line that has not reached all readers.
    oldest: u32,
    /// For each line from the oldest on, by its number modulo the window: the number of readers it has not reached.
    waiting: [u32; WINDOW_LINES as usize],
}

impl Pacing {
    /// The measured time begins at `now_us`.
    pub(super) fn new(plan: &Plan, now_us: u64) -> Self {
        let window = || Window { readers: plan.readers(), oldest: 0, waiting: [0; WINDOW_LINES as usize] };
        let mode = match plan.pace {
            Pace::Max => Mode::Windows((0..plan.senders).map(|_| window()).collect()),
            Pace::Rate(lines_per_second) => Mode::Rate { lines_per_second, started_us: now_us, total: 0 },
        };
        Self { sent: vec![0; plan.senders as usize], mode }
    }

    /// The number of lines that each sender has sent.
    pub(super) fn sent(&self) -> &[u32] {
        &self.sent
    }

    /// The number of lines that all senders have sent.
    pub(super) fn total(&self) -> u64 {
        self.sent.iter().copied().map(u64::from).sum()
    }

    /// When the next line is due, in microseconds; `None` if that depends on readers.
    pub(super) fn next_due_us(&self) -> Option<u64> {
        match &self.mode {
            Mode::Rate { lines_per_second, started_us, total } => {
                Some(started_us + total * 1_000_000 / u64::from(lines_per_second.get()))
            }
            Mode::Windows(_) => None,
        }
    }

    /// Calls `write` with each line that is due, until `write` returns that there is no room for one more. At a rate, a
    /// line carries the time at which it was due, so that a late line counts as slow.
    pub(super) fn take_due(&mut self, now_us: u64, write: &mut impl FnMut(Line) -> bool) {
        while let Some(due_us) = self.next_due_us().filter(|due_us| *due_us <= now_us) {
            if !self.take_rated(due_us, write) {
                return;
            }
        }
        if let Mode::Windows(windows) = &mut self.mode {
            for (sender, (window, sent)) in (0..).zip(windows.iter_mut().zip(&mut self.sent)) {
                while *sent - window.oldest < WINDOW_LINES {
                    window.waiting[(*sent % WINDOW_LINES) as usize] = window.readers;
                    let has_room = write(Line { sender, number: *sent, sent_us: now_us });
                    *sent += 1;
                    if !has_room {
                        return;
                    }
                }
            }
        }
    }

    /// These lines of a sender are settled for one reader: delivered, or counted as missing.
    pub(super) fn settled(&mut self, sender: u32, numbers: Range<u32>) {
        let Mode::Windows(windows) = &mut self.mode else { return };
        let window = &mut windows[sender as usize];
        for number in numbers {
            window.waiting[(number % WINDOW_LINES) as usize] -= 1;
        }
        let sent = self.sent[sender as usize];
        while window.oldest < sent && window.waiting[(window.oldest % WINDOW_LINES) as usize] == 0 {
            window.oldest += 1;
        }
    }

    fn take_rated(&mut self, due_us: u64, write: &mut impl FnMut(Line) -> bool) -> bool {
        let Mode::Rate { total, .. } = &mut self.mode else { return false };
        let senders = self.sent.len() as u64;
        let sender = u32::try_from(*total % senders).expect("there are less than 2^32 senders");
        let sent = &mut self.sent[sender as usize];
        let has_room = write(Line { sender, number: *sent, sent_us: due_us });
        *sent += 1;
        *total += 1;
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Target;
    use std::time::Duration;

    fn plan(clients: u32, senders: u32, line_bytes: usize, span_ms: u64) -> Result<Plan, String> {
        let span = Duration::from_millis(span_ms);
        Plan::new(Target::Private(None), clients, senders, Pace::Max, line_bytes, span)
    }

    #[test]
    fn an_option_out_of_range_is_refused_with_its_range() {
        assert!(plan(2, 2, 24, 100).is_ok());
        for (refused, why) in [
            (plan(1, 1, 64, 1_000), "--clients 1 is out of range: 2 to 20000"),
            (plan(20, 21, 64, 1_000), "--senders 21 is out of range: 1 to 20"),
            (plan(20, 0, 64, 1_000), "--senders 0 is out of range: 1 to 20"),
            (plan(20, 1, 23, 1_000), "--bytes 23 is out of range: 24 to 4096"),
            (plan(20, 1, 64, 99), "--for 99ms is out of range: 100ms to 1h"),
        ] {
            assert_eq!(refused.unwrap_err(), why);
        }
    }

    #[test]
    fn targets_are_read() {
        for text in ["127.0.0.1:6677", "[::1]:6677", "unix:/run/c.sock"] {
            assert!(matches!(Target::parse(text), Ok(Target::Running { name, .. }) if name == text));
        }
        assert!(Target::parse("6677").unwrap_err().contains("write HOST:PORT"));
    }

    fn pacing(pace: Pace) -> Pacing {
        let plan = Plan::new(Target::Private(None), 3, 2, pace, 64, Duration::from_secs(1)).unwrap();
        Pacing::new(&plan, 1_000)
    }

    fn due(pacing: &mut Pacing, now_us: u64) -> Vec<(u32, u32, u64)> {
        let mut lines = Vec::new();
        pacing.take_due(now_us, &mut |line| {
            lines.push((line.sender, line.number, line.sent_us));
            true
        });
        lines
    }

    #[test]
    fn lines_that_are_due_wait_for_room() {
        for pace in [Pace::Rate(NonZeroU32::new(1_000_000).unwrap()), Pace::Max] {
            let mut pacing = pacing(pace);
            for round in 1..=3 {
                let mut room = 5;
                pacing.take_due(1_000_000, &mut |_| {
                    room -= 1;
                    room > 0
                });
                assert_eq!((room, pacing.total()), (0, round * 5));
            }
        }
    }

    #[test]
    fn senders_share_a_rate_in_turn_and_lines_carry_the_time_they_were_due() {
        let mut pacing = pacing(Pace::Rate(NonZeroU32::new(1_000).unwrap()));
        assert_eq!(due(&mut pacing, 1_000), [(0, 0, 1_000)]);
        assert_eq!(due(&mut pacing, 1_999), []);
        assert_eq!(pacing.next_due_us(), Some(2_000));
        assert_eq!(due(&mut pacing, 4_500), [(1, 0, 2_000), (0, 1, 3_000), (1, 1, 4_000)]);
        assert_eq!((pacing.total(), pacing.sent()), (4, &[2, 2][..]));
    }

    #[test]
    fn a_window_moves_when_its_oldest_line_has_reached_all_readers() {
        let mut pacing = pacing(Pace::Max);
        assert_eq!(due(&mut pacing, 5).len(), 2 * WINDOW_LINES as usize);
        assert_eq!(due(&mut pacing, 6), []);
        pacing.settled(1, 0..2);
        pacing.settled(1, 1..2);
        assert_eq!(due(&mut pacing, 7), [], "the first has reached one reader of two");
        pacing.settled(1, 0..1);
        assert_eq!(due(&mut pacing, 8), [(1, WINDOW_LINES, 8), (1, WINDOW_LINES + 1, 8)]);
    }
}
