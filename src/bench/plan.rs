//! What is to be measured: parsed once, legal when it exists.

use std::net::ToSocketAddrs;
use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::SockAddr;

use super::script::Line;
use crate::time::write_span;

/// Most clients of one run: so many source ports has one address.
const CLIENTS_MAX: u32 = 20_000;
/// Most senders of one run; a count is kept for each pair of a client and a sender.
const SENDERS_MAX: u32 = 1_000;
/// Length of a line's text: below it there is no room for number and time, above it the default
/// `limits.line_bytes` refuses it.
const LINE_BYTES: RangeInclusive<usize> = 24..=4_096;
/// How long may be measured.
const SPAN: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);
/// Most lines a second, all senders together.
const RATE_MAX: u32 = 1_000_000;

/// How fast lines are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each sender says the next line as soon as an earlier one has reached everybody.
    Max,
    /// So many lines a second, all senders together, whatever the server does.
    Rate(NonZeroU32),
}

/// The server that is measured.
#[derive(Clone, Debug)]
pub enum Target {
    /// One of our own, started for this run and ended with it: this program, or another one that is a chatops server
    /// when it is started as one.
    Private(Option<PathBuf>),
    /// One that runs already, outside of this program.
    Running {
        /// As the user wrote it.
        name: String,
        /// Where it listens.
        address: SockAddr,
    },
}

impl Target {
    /// Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:/PATH`. A name is looked up, and its first address taken.
    ///
    /// # Errors
    ///
    /// Says what is wrong and how it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
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
pub struct Plan {
    pub(super) target: Target,
    pub(super) clients: u32,
    pub(super) senders: u32,
    pub(super) pace: Pace,
    pub(super) line_bytes: usize,
    pub(super) span: Duration,
}

impl Plan {
    /// `clients` connections, all of them readers, of which `senders` say lines of `line_bytes` bytes for `span`.
    ///
    /// # Errors
    ///
    /// Names the option that is out of range, and the range.
    pub fn new(
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

    /// How many connections there will be.
    #[must_use]
    pub const fn clients(&self) -> u32 {
        self.clients
    }

    /// How many hear each line: everybody but its sender.
    pub(super) const fn readers(&self) -> u32 {
        self.clients - 1
    }
}

/// Lines that one sender has under way at [`Pace::Max`]: enough to keep the server busy, few enough that latency is
/// not the length of a queue of ours.
const WINDOW_LINES: u32 = 32;

/// What each sender has said, and what it may say.
#[derive(Debug)]
pub(super) struct Pacing {
    said: Vec<u32>,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Rate { lines_per_second: NonZeroU32, started_us: u64, total: u64 },
    Windows(Vec<Window>),
}

/// Lines of one sender that have not reached everybody.
#[derive(Debug)]
struct Window {
    readers: u32,
    /// The first that has not reached everybody.
    oldest: u32,
    /// For each line from the oldest on, by its number modulo the window: the readers that it has not reached.
    waiting: [u32; WINDOW_LINES as usize],
}

impl Pacing {
    /// Nothing said yet; the time begins now.
    pub(super) fn new(plan: &Plan, now_us: u64) -> Self {
        let window = || Window { readers: plan.readers(), oldest: 0, waiting: [0; WINDOW_LINES as usize] };
        let mode = match plan.pace {
            Pace::Max => Mode::Windows((0..plan.senders).map(|_| window()).collect()),
            Pace::Rate(lines_per_second) => Mode::Rate { lines_per_second, started_us: now_us, total: 0 },
        };
        Self { said: vec![0; plan.senders as usize], mode }
    }

    /// How many lines each sender has said.
    pub(super) fn said(&self) -> &[u32] {
        &self.said
    }

    /// How many lines all have said.
    pub(super) fn total(&self) -> u64 {
        self.said.iter().copied().map(u64::from).sum()
    }

    /// When the next line is due, in microseconds; none if that depends on readers.
    pub(super) fn next_due_us(&self) -> Option<u64> {
        match &self.mode {
            Mode::Rate { lines_per_second, started_us, total } => {
                Some(started_us + total * 1_000_000 / u64::from(lines_per_second.get()))
            }
            Mode::Windows(_) => None,
        }
    }

    /// Has everybody who may say lines now say them, for as long as `say` tells that there is room for one more. At a
    /// rate a line bears the time at which it was due, so that a late one counts as slow.
    pub(super) fn take_due(&mut self, now_us: u64, say: &mut impl FnMut(Line) -> bool) {
        while let Some(due_us) = self.next_due_us().filter(|due_us| *due_us <= now_us) {
            if !self.take_rated(due_us, say) {
                return;
            }
        }
        if let Mode::Windows(windows) = &mut self.mode {
            for (sender, (window, said)) in (0..).zip(windows.iter_mut().zip(&mut self.said)) {
                while *said - window.oldest < WINDOW_LINES {
                    window.waiting[(*said % WINDOW_LINES) as usize] = window.readers;
                    let has_room = say(Line { sender, number: *said, said_us: now_us });
                    *said += 1;
                    if !has_room {
                        return;
                    }
                }
            }
        }
    }

    /// A reader is done with these lines of a sender: it has had them, or will not have them any more.
    pub(super) fn dealt_with(&mut self, sender: u32, numbers: Range<u32>) {
        let Mode::Windows(windows) = &mut self.mode else { return };
        let window = &mut windows[sender as usize];
        for number in numbers {
            window.waiting[(number % WINDOW_LINES) as usize] -= 1;
        }
        let said = self.said[sender as usize];
        while window.oldest < said && window.waiting[(window.oldest % WINDOW_LINES) as usize] == 0 {
            window.oldest += 1;
        }
    }

    fn take_rated(&mut self, due_us: u64, say: &mut impl FnMut(Line) -> bool) -> bool {
        let Mode::Rate { total, .. } = &mut self.mode else { return false };
        let senders = self.said.len() as u64;
        let sender = u32::try_from(*total % senders).expect("there are less than 2^32 senders");
        let said = &mut self.said[sender as usize];
        let has_room = say(Line { sender, number: *said, said_us: due_us });
        *said += 1;
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
    fn what_is_out_of_range_is_named_with_its_range() {
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
            lines.push((line.sender, line.number, line.said_us));
            true
        });
        lines
    }

    #[test]
    fn a_backlog_is_said_no_faster_than_there_is_room_for_it() {
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
    fn a_rate_is_shared_in_turn_and_lines_bear_the_time_they_were_due() {
        let mut pacing = pacing(Pace::Rate(NonZeroU32::new(1_000).unwrap()));
        assert_eq!(due(&mut pacing, 1_000), [(0, 0, 1_000)]);
        assert_eq!(due(&mut pacing, 1_999), []);
        assert_eq!(pacing.next_due_us(), Some(2_000));
        assert_eq!(due(&mut pacing, 4_500), [(1, 0, 2_000), (0, 1, 3_000), (1, 1, 4_000)]);
        assert_eq!((pacing.total(), pacing.said()), (4, &[2, 2][..]));
    }

    #[test]
    fn a_window_opens_when_its_oldest_line_has_reached_everybody() {
        let mut pacing = pacing(Pace::Max);
        assert_eq!(due(&mut pacing, 5).len(), 2 * WINDOW_LINES as usize);
        assert_eq!(due(&mut pacing, 6), []);
        pacing.dealt_with(1, 0..2);
        pacing.dealt_with(1, 1..2);
        assert_eq!(due(&mut pacing, 7), [], "the first has reached one reader of two");
        pacing.dealt_with(1, 0..1);
        assert_eq!(due(&mut pacing, 8), [(1, WINDOW_LINES, 8), (1, WINDOW_LINES + 1, 8)]);
    }
}
