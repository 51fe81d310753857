//! What is to be measured: parsed once, legal when it exists.

use std::net::ToSocketAddrs;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::SockAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
