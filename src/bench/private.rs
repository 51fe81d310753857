//! The private server: the same program as a child process, with its limits raised.
//!
//! The child has its own process group, so that Ctrl-C reaches only this program, which then ends the child. If this
//! program is killed, the child ends too.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::report::ProcessUse;
use super::script::excerpt;
use super::{BenchError, Context, PAUSE};
use crate::poller::{Events, Interest, Poller};

/// How long the server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// Clients that the server takes beyond those of the run.
const CLIENTS_SPARE: u32 = 16;
/// How long a server may take to end after it closed its connections or its output.
const ENDING_MAX: Duration = Duration::from_millis(500);
/// The longest first line of the server.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// The most that is read of the server's stderr.
const STDERR_BYTES_MAX: usize = 4 * 1024;
/// Clock ticks a second in `/proc/PID/stat`, the same on every Linux in use (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: u64 = 100;

/// A child process; dropping it kills it and waits for its end.
pub(super) struct PrivateServer {
    child: Child,
}

impl PrivateServer {
    /// Starts this program, or `program`, as a server for `clients` clients. Waits until it listens, and returns its
    /// address too.
    pub(super) fn start(
        context: &Context,
        program: Option<&Path>,
        clients: u32,
    ) -> Result<(Self, SocketAddr), BenchError> {
        let failed = |error: std::io::Error| BenchError::PrivateServer(error.to_string());
        let program =
            program.map_or_else(std::env::current_exe, |path| Ok(path.to_owned())).map_err(failed)?;
        let mut command = Command::new(&program);
        // An empty file in place of the user's: only the defaults and these options are in force.
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
        let line = first_line(context, stdout)?;
        let address =
            line.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        match address {
            Some(address) => Ok((server, address)),
            None if line.is_empty() => Err(BenchError::PrivateServer(server.failure())),
            None => {
                let first = excerpt(line.trim_end().as_bytes());
                let why = format!("its first line is \"{first}\" and does not say where it listens");
                Err(BenchError::PrivateServer(why))
            }
        }
    }

    /// Processor time and memory used so far; `None` where the system does not report them.
    pub(super) fn usage(&self) -> Option<ProcessUse> {
        usage_of(&self.child.id().to_string())
    }

    /// Ends the server; says how it ended and what it wrote to stderr.
    pub(super) fn failure(&mut self) -> String {
        let (output, has_ended) = self.read_stderr();
        let _ = self.child.kill();
        let end = match self.child.wait() {
            Ok(status) if has_ended => status.to_string(),
            _ => "it did not end".to_owned(),
        };
        match String::from_utf8_lossy(&output).trim() {
            "" => format!("{end}, and it wrote nothing"),
            text => format!("{end}, and it wrote \"{}\"", excerpt(text.as_bytes())),
        }
    }

    /// What the server wrote to stderr, and whether it has closed it.
    fn read_stderr(&mut self) -> (Vec<u8>, bool) {
        let mut output = Vec::new();
        let Some(stderr) = self.child.stderr.take() else { return (output, false) };
        let Ok(poller) = Poller::new() else { return (output, false) };
        let Ok(stderr) = poller.watch(stderr, 0, Interest::READ) else { return (output, false) };
        let mut events = Events::with_capacity(NonZeroUsize::MIN);
        let mut buffer = [0; LINE_BYTES_MAX];
        while output.len() < STDERR_BYTES_MAX
            && poller.wait(&mut events, Some(ENDING_MAX)).is_ok_and(|ready| ready > 0)
        {
            match rustix::io::read(&*stderr, &mut buffer) {
                Ok(0) => return (output, true),
                Ok(count) => output.extend_from_slice(&buffer[..count]),
                Err(_) => break,
            }
        }
        (output, false)
    }
}

impl Drop for PrivateServer {
    /// Kills at once: the server has nothing to store, and its clients are those of the run.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Options that raise the limits which would be measured in place of the server.
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

/// The server's first line, cut at [`LINE_BYTES_MAX`]; less if the server ends before that.
fn first_line(context: &Context, stdout: ChildStdout) -> Result<String, BenchError> {
    let failed = |error: std::io::Error| BenchError::PrivateServer(error.to_string());
    let poller = Poller::new().map_err(failed)?;
    let stdout = poller.watch(stdout, 0, Interest::READ).map_err(|(_, error)| failed(error))?;
    let mut events = Events::with_capacity(NonZeroUsize::MIN);
    let deadline = context.clock.moment() + START_MAX;
    let mut line = Vec::new();
    let mut buffer = [0; LINE_BYTES_MAX];
    loop {
        context.check_signals()?;
        if context.clock.moment() >= deadline {
            let why = format!("it does not listen after {} s", START_MAX.as_secs());
            return Err(BenchError::PrivateServer(why));
        }
        if poller.wait(&mut events, Some(PAUSE)).map_err(failed)? == 0 {
            continue;
        }
        // The pipe has bytes or has ended: the read does not block.
        let count = rustix::io::read(&*stdout, &mut buffer).map_err(|error| failed(error.into()))?;
        line.extend_from_slice(&buffer[..count]);
        if count == 0 || line.contains(&b'\n') || line.len() >= LINE_BYTES_MAX {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// Processor time and memory of this program; `None` where the system does not report them.
pub(super) fn own_usage() -> Option<ProcessUse> {
    usage_of("self")
}

fn usage_of(process: &str) -> Option<ProcessUse> {
    usage(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` (proc(5)). The name in parentheses may have spaces, so fields are counted after it. utime is
/// field 14, stime 15, and rss, in pages, 24.
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
