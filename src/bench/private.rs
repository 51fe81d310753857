//! A server of our own: the same program as a child process, with every limit out of the way.
//!
//! It has a process group of its own, so that Ctrl-C reaches this program alone, which then ends it. Should this program
//! be killed, the server ends with it.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::report::ProcessUse;
use super::script::excerpt;
use super::{BenchError, Ground};
use crate::poller::{Events, Interest, Poller};

/// How long the server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// The longest wait before signals are looked at again.
const PAUSE: Duration = Duration::from_millis(50);
/// Clients that the server takes beyond those of the run.
const CLIENTS_SPARE: u32 = 16;
/// How long a server that has closed its connections or its output may take to end.
const ENDING_MAX: Duration = Duration::from_millis(500);
/// The longest that the server's first line may be.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// What is read of the server's complaints.
const COMPLAINT_BYTES_MAX: usize = 4 * 1024;
/// Clock ticks a second in `/proc/PID/stat`, the same on every Linux in use (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: u64 = 100;

/// Ended, and waited for, when it is dropped.
pub(super) struct PrivateServer {
    child: Child,
}

impl PrivateServer {
    /// Starts it, or another program in its place, for so many clients, and waits until it listens; gives its address
    /// too.
    pub(super) fn start(
        ground: &Ground,
        program: Option<&Path>,
        clients: u32,
    ) -> Result<(Self, SocketAddr), BenchError> {
        let told = |error: std::io::Error| BenchError::PrivateServer(error.to_string());
        let program = program.map_or_else(std::env::current_exe, |path| Ok(path.to_owned())).map_err(told)?;
        let mut command = Command::new(&program);
        // An empty file instead of the user's: nothing but the defaults and these options is in force.
        command.args(["serve", "-c", "/dev/null", "-l", "127.0.0.1:0"]);
        command.args(["--with-parent", &std::process::id().to_string()]);
        for option in options(clients) {
            command.args(["-o", &option]);
        }
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let named =
            |error: std::io::Error| BenchError::PrivateServer(format!("{}: {error}", program.display()));
        let mut server = Self { child: command.spawn().map_err(named)? };
        let stdout = server.child.stdout.take().expect("it was piped");
        let line = first_line(ground, stdout)?;
        let address =
            line.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        match address {
            Some(address) => Ok((server, address)),
            None if line.is_empty() => Err(BenchError::PrivateServer(server.complaint())),
            None => {
                let said = excerpt(line.trim_end().as_bytes());
                let why = format!("it said \"{said}\", and not where it listens");
                Err(BenchError::PrivateServer(why))
            }
        }
    }

    /// Processor time used so far and memory in use; none where the system does not tell.
    pub(super) fn usage(&self) -> Option<ProcessUse> {
        usage_of(&self.child.id().to_string())
    }

    /// Why it failed, in its own words and those of the system; it is ended.
    pub(super) fn complaint(&mut self) -> String {
        let (said, has_ended) = self.last_words();
        let _ = self.child.kill();
        let end = match self.child.wait() {
            Ok(status) if has_ended => status.to_string(),
            _ => "it went on".to_owned(),
        };
        match String::from_utf8_lossy(&said).trim() {
            "" => format!("{end}, and it said nothing"),
            said => format!("{end}, and it said \"{}\"", excerpt(said.as_bytes())),
        }
    }

    /// What it complains of, and whether it comes to an end by that.
    fn last_words(&mut self) -> (Vec<u8>, bool) {
        let mut said = Vec::new();
        let Some(stderr) = self.child.stderr.take() else { return (said, false) };
        let Ok(poller) = Poller::new() else { return (said, false) };
        let Ok(stderr) = poller.watch(stderr, 0, Interest::READ) else { return (said, false) };
        let mut events = Events::with_capacity(NonZeroUsize::MIN);
        let mut buffer = [0; LINE_BYTES_MAX];
        while said.len() < COMPLAINT_BYTES_MAX
            && poller.wait(&mut events, Some(ENDING_MAX)).is_ok_and(|ready| ready > 0)
        {
            match rustix::io::read(&*stderr, &mut buffer) {
                Ok(0) => return (said, true),
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(_) => break,
            }
        }
        (said, false)
    }

    /// Ends it at once: it has nothing to keep, and its clients are ours.
    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The limits that would be measured instead of the server.
fn options(clients: u32) -> Vec<String> {
    let fixed = [
        "flood.enabled=false",
        "limits.outbox_bytes=64 MiB",
        "limits.outbox_total=64 GiB",
        "control.path=off",
        "log.level=error",
    ];
    let clients = format!("limits.clients={}", clients + CLIENTS_SPARE);
    fixed.iter().map(|option| (*option).to_owned()).chain([clients]).collect()
}

/// What the server says first, up to its line end or [`LINE_BYTES_MAX`]; less if it ends before that.
fn first_line(ground: &Ground, stdout: ChildStdout) -> Result<String, BenchError> {
    let told = |error: std::io::Error| BenchError::PrivateServer(error.to_string());
    let poller = Poller::new().map_err(told)?;
    let stdout = poller.watch(stdout, 0, Interest::READ).map_err(|(_, error)| told(error))?;
    let mut events = Events::with_capacity(NonZeroUsize::MIN);
    let deadline = ground.clock.moment() + START_MAX;
    let mut line = Vec::new();
    let mut buffer = [0; LINE_BYTES_MAX];
    loop {
        ground.check_signals()?;
        if ground.clock.moment() >= deadline {
            let why = format!("it does not listen after {} s", START_MAX.as_secs());
            return Err(BenchError::PrivateServer(why));
        }
        if poller.wait(&mut events, Some(PAUSE)).map_err(told)? == 0 {
            continue;
        }
        // There is something, or the end: to read it does not block.
        let count = rustix::io::read(&*stdout, &mut buffer).map_err(|error| told(error.into()))?;
        line.extend_from_slice(&buffer[..count]);
        if count == 0 || line.contains(&b'\n') || line.len() >= LINE_BYTES_MAX {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// Processor time and memory of this program itself; none where the system does not tell.
pub(super) fn own_usage() -> Option<ProcessUse> {
    usage_of("self")
}

fn usage_of(process: &str) -> Option<ProcessUse> {
    usage(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// Reads `/proc/PID/stat`. The name in parentheses may hold spaces: fields are counted behind it, where utime is field
/// 14, stime 15 and rss, in pages, 24.
fn usage(stat: &str) -> Option<ProcessUse> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = number(14)? + number(15)?;
    Some(ProcessUse {
        cpu: Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND),
        rss_bytes: number(24)? * rustix::param::page_size() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_whatever_the_name() {
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 2 0 99 1000 7 18";
        let used = usage(stat).unwrap();
        assert_eq!(used.cpu, Duration::from_millis(1_750));
        assert_eq!(used.rss_bytes, 7 * rustix::param::page_size() as u64);
        assert_eq!(usage("12 (a) S 1"), None);
    }
}
