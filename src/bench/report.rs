//! The result of a run and its two forms, a table for people and JSON for programs; and the histogram of latencies.
//! PURE.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::plan::Pace;
use crate::count::grouped;

/// Deliveries that were wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Lines that a reader never got, summed over all readers.
    pub(crate) lost: u64,
    /// Those of them that the server skipped because the reader was slow.
    pub(crate) skipped: u64,
    /// Lines that were delivered again.
    pub(crate) doubled: u64,
    /// Lines that were delivered after a later one of the same sender.
    pub(crate) reordered: u64,
}

impl Findings {
    /// Whether every line was delivered once and in order.
    #[must_use]
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// The time from sending a line to reading it, in microseconds.
#[expect(clippy::struct_field_names, reason = "units belong in names")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
}

impl Latency {
    pub(super) fn of(histogram: &Histogram) -> Self {
        Self {
            p50_us: histogram.per_mille(500),
            p99_us: histogram.per_mille(990),
            p999_us: histogram.per_mille(999),
            max_us: histogram.max_us(),
        }
    }
}

/// What a process used during the measured phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessUse {
    pub(crate) cpu: Duration,
    /// Resident memory at the end.
    pub(crate) rss_bytes: u64,
}

/// The result of one run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) clients: u32,
    pub(crate) senders: u32,
    pub(crate) pace: Pace,
    pub(crate) line_bytes: usize,
    /// The time until all clients were in the room.
    pub(crate) arrival: Duration,
    pub(crate) measured: Duration,
    pub(crate) lines: u64,
    /// Lines that a reader got, summed over all readers.
    pub(crate) deliveries: u64,
    pub(crate) latency: Latency,
    pub(crate) findings: Findings,
    /// Processor time of the load in the measured phase, where the system reports it. If it is close to the measured
    /// time, the load was the limit, not the server.
    pub(crate) load_cpu: Option<Duration>,
    /// What a private server used, where the system reports it.
    pub(crate) server: Option<ProcessUse>,
}

/// The JSON form. Units are in the names; unknown values are absent.
#[derive(Serialize)]
struct Json<'a> {
    target: &'a str,
    clients: u32,
    senders: u32,
    line_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_lines_per_s: Option<u32>,
    connect_s: f64,
    connections_per_s: f64,
    talk_s: f64,
    lines: u64,
    lines_per_s: f64,
    deliveries: u64,
    deliveries_per_s: f64,
    latency_p50_us: u64,
    latency_p99_us: u64,
    latency_p999_us: u64,
    latency_max_us: u64,
    lost: u64,
    skipped: u64,
    doubled: u64,
    reordered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_cpu_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu_ns_per_delivery: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_rss_bytes: Option<u64>,
}

/// If the load is busy for a larger part of the time, it may be slower than the server.
const LOAD_BUSY_PERCENT: u64 = 90;

impl Report {
    /// One JSON object on one line.
    #[must_use]
    pub(crate) fn json(&self) -> String {
        let Self { latency, findings, .. } = self;
        let json = Json {
            target: &self.target,
            clients: self.clients,
            senders: self.senders,
            line_bytes: self.line_bytes,
            rate_lines_per_s: match self.pace {
                Pace::Max => None,
                Pace::Rate(rate) => Some(rate.get()),
            },
            connect_s: to_micros(self.arrival),
            connections_per_s: to_tenths(per_second(self.clients.into(), self.arrival)),
            talk_s: to_micros(self.measured),
            lines: self.lines,
            lines_per_s: to_tenths(per_second(self.lines, self.measured)),
            deliveries: self.deliveries,
            deliveries_per_s: to_tenths(per_second(self.deliveries, self.measured)),
            latency_p50_us: latency.p50_us,
            latency_p99_us: latency.p99_us,
            latency_p999_us: latency.p999_us,
            latency_max_us: latency.max_us,
            lost: findings.lost,
            skipped: findings.skipped,
            doubled: findings.doubled,
            reordered: findings.reordered,
            load_cpu_s: self.load_cpu.map(|cpu| cpu.as_secs_f64()),
            server_cpu_s: self.server.map(|server| server.cpu.as_secs_f64()),
            server_cpu_ns_per_delivery: self.cpu_ns_per_delivery(),
            server_rss_bytes: self.server.map(|server| server.rss_bytes),
        };
        // Numbers and strings always serialize.
        serde_json::to_string(&json).unwrap_or_default() + "\n"
    }

    /// A table for people, followed by the verdict.
    #[must_use]
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.heading());
        let mut row = |name: &str, value: String, more: &str| {
            let _ = writeln!(text, "{}", format!("{name:<16}{value:>16}  {more}").trim_end());
        };
        let rate = |count, span| format!("{} /s", grouped(rounded(per_second(count, span))));
        let within = |count, span: Duration| format!("{} in {:.2} s", grouped(count), span.as_secs_f64());
        let clients = u64::from(self.clients);
        row("connections", rate(clients, self.arrival), &within(clients, self.arrival));
        row("lines said", rate(self.lines, self.measured), &within(self.lines, self.measured));
        row("deliveries", rate(self.deliveries, self.measured), &within(self.deliveries, self.measured));
        let Latency { p50_us, p99_us, p999_us, max_us } = self.latency;
        let latencies = [("latency", p50_us, "p50"), ("", p99_us, "p99"), ("", p999_us, "p99.9")];
        for (name, us, which) in latencies.into_iter().chain([("", max_us, "longest")]) {
            row(name, milliseconds(us), which);
        }
        if let Some(ns) = self.cpu_ns_per_delivery() {
            row("server's CPU", format!("{} ns", grouped(ns)), "a delivery");
        }
        if let Some(ProcessUse { rss_bytes, .. }) = self.server {
            row("server's memory", format!("{} KiB", grouped(rss_bytes / 1024)), "resident at the end");
        }
        if let Some(percent) = self.load_percent() {
            row("load's own CPU", format!("{percent} %"), "of one core; near 100 it is the limit");
        }
        let _ = writeln!(text, "\n{}", self.verdict());
        text
    }

    /// One sentence about lost, doubled and reordered lines.
    #[must_use]
    pub(crate) fn verdict(&self) -> String {
        let Findings { lost, skipped, doubled, reordered } = self.findings;
        if self.findings.is_clean() {
            return "every line came to every reader once and in order".to_owned();
        }
        let (lost, doubled, reordered) = (grouped(lost), grouped(doubled), grouped(reordered));
        let mut text = format!("not every line came once and in order: {lost} lost");
        if skipped > 0 {
            let _ = write!(text, " ({} skipped by the server for slow readers)", grouped(skipped));
        }
        let _ = write!(text, ", {doubled} doubled, {reordered} reordered");
        if let Some(percent) = self.load_percent().filter(|percent| *percent >= LOAD_BUSY_PERCENT) {
            let _ = write!(
                text,
                "; the load was busy itself for {percent} % of the time: it may be the slow reader"
            );
        }
        text
    }

    fn heading(&self) -> String {
        let pace = match self.pace {
            Pace::Max => "as fast as they arrive".to_owned(),
            Pace::Rate(rate) => format!("{} a second", grouped(rate.get().into())),
        };
        format!(
            "{}, {} clients:\n{} of them say lines of {} bytes, {pace}",
            self.target,
            grouped(self.clients.into()),
            grouped(self.senders.into()),
            grouped(self.line_bytes as u64)
        )
    }

    /// The part of the measured time in which the load was busy.
    fn load_percent(&self) -> Option<u64> {
        let cpu = self.load_cpu?.as_secs_f64();
        Some(rounded(100.0 * cpu / self.measured.as_secs_f64().max(1e-6)))
    }

    fn cpu_ns_per_delivery(&self) -> Option<u64> {
        let ns = self.server?.cpu.as_nanos().checked_div(self.deliveries.into())?;
        u64::try_from(ns).ok()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64().max(1e-6)
}

/// Seconds, rounded to the precision of the clock.
fn to_micros(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e6
}

fn to_tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// `0.123 ms`
fn milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", grouped(us / 1_000), us % 1_000)
}

/// Buckets for each doubling. Up to twice this number, each microsecond has its own bucket.
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const SUB_BITS: u32 = 6;
/// Doublings above the linear part: up to 2^39 microseconds, six days.
const DOUBLINGS: usize = 32;
const BUCKETS: usize = (DOUBLINGS + 2) << SUB_BITS;

/// Latencies as counts in log-linear buckets, 64 for each doubling. A value that is read is at most 1.6 % above the
/// true one, from a microsecond to days, in 17 KiB.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_us: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max_us: 0 }
    }

    /// Adds one latency, in microseconds.
    pub(super) fn record(&mut self, us: u64) {
        self.counts[bucket(us)] += 1;
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    /// The latency in microseconds that `per_mille` of a thousand do not exceed; 0 without any.
    pub(super) fn per_mille(&self, per_mille: u64) -> u64 {
        let rank = (self.total * per_mille).div_ceil(1_000);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank && seen > 0
        });
        at.map_or(0, |at| highest(at).min(self.max_us))
    }

    /// The longest latency, in microseconds.
    pub(super) const fn max_us(&self) -> u64 {
        self.max_us
    }
}

/// The bucket of a latency; the last one has all that are longer.
fn bucket(us: u64) -> usize {
    let shift = (us | SUB_BUCKETS).ilog2() - SUB_BITS;
    let at = u64::from(shift) * SUB_BUCKETS + (us >> shift);
    usize::try_from(at).map_or(BUCKETS - 1, |at| at.min(BUCKETS - 1))
}

/// The longest latency, in microseconds, that falls into a bucket.
const fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / SUB_BUCKETS).saturating_sub(1);
    ((bucket - shift * SUB_BUCKETS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Findings, server: Option<ProcessUse>) -> Report {
        Report {
            target: "private server".to_owned(),
            clients: 1_000,
            senders: 10,
            pace: Pace::Max,
            line_bytes: 64,
            arrival: Duration::from_millis(250),
            measured: Duration::from_secs(2),
            lines: 2_000,
            deliveries: 1_998_000,
            latency: Latency { p50_us: 950, p99_us: 12_345, p999_us: 20_000, max_us: 1_234_567 },
            findings,
            load_cpu: Some(Duration::from_secs(1)),
            server,
        }
    }

    const USED: ProcessUse = ProcessUse { cpu: Duration::from_millis(1_998), rss_bytes: 12 * 1024 * 1024 };

    #[test]
    fn the_table_is_aligned() {
        let expected = "\
private server, 1,000 clients:
10 of them say lines of 64 bytes, as fast as they arrive

connections             4,000 /s  1,000 in 0.25 s
lines said              1,000 /s  2,000 in 2.00 s
deliveries            999,000 /s  1,998,000 in 2.00 s
latency                 0.950 ms  p50
                       12.345 ms  p99
                       20.000 ms  p99.9
                    1,234.567 ms  longest
server's CPU            1,000 ns  a delivery
server's memory       12,288 KiB  resident at the end
load's own CPU              50 %  of one core; near 100 it is the limit

every line came to every reader once and in order
";
        assert_eq!(report(Findings::default(), Some(USED)).table(), expected);
    }

    #[test]
    fn the_verdict_has_all_findings_and_names_a_busy_load() {
        let findings = Findings { lost: 1_200, skipped: 1_000, doubled: 2, reordered: 3 };
        let mut report = report(findings, None);
        let expected = "not every line came once and in order: 1,200 lost (1,000 skipped by the server for slow \
                        readers), 2 doubled, 3 reordered";
        assert_eq!(report.verdict(), expected);
        assert!(!report.table().contains("server's"), "{}", report.table());
        report.load_cpu = Some(report.measured);
        let blamed = "; the load was busy itself for 100 % of the time: it may be the slow reader";
        assert_eq!(report.verdict(), format!("{expected}{blamed}"));
    }

    #[test]
    fn json_has_units_in_its_names_and_no_unknown_values() {
        let read = |report: &Report| serde_json::from_str::<serde_json::Value>(&report.json()).unwrap();
        let known = read(&report(Findings::default(), Some(USED)));
        assert_eq!((&known["lost"], &known["latency_p999_us"]), (&0.into(), &20_000.into()));
        assert_eq!(known["server_cpu_ns_per_delivery"], 1_000);
        assert!(known.get("rate_lines_per_s").is_none());
        assert!(read(&report(Findings::default(), None)).get("server_rss_bytes").is_none());
    }

    #[test]
    fn buckets_are_adjacent_and_narrow() {
        let mut us = 0;
        for at in 0..BUCKETS - 1 {
            assert_eq!((bucket(us), bucket(highest(at))), (at, at), "{us}");
            assert!((highest(at) - us) * SUB_BUCKETS <= us, "{us} to {} is wide", highest(at));
            us = highest(at) + 1;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.per_mille(500), histogram.max_us()), (0, 0));
        (1..=1_000).for_each(|us| histogram.record(us));
        assert_eq!(histogram.per_mille(50), 50);
        for (per_mille, us) in [(500, 500), (990, 990), (999, 999), (1_000, 1_000)] {
            let read = histogram.per_mille(per_mille);
            assert!(read >= us && read <= us + us / SUB_BUCKETS, "{per_mille}: {read}");
        }
        assert_eq!(histogram.max_us(), 1_000);
    }
}
