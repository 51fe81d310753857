//! `chatops`: the server with the dashboard in this terminal. Until its end, only the dashboard writes to the terminal;
//! then one line stays.
//!
//! The dashboard runs on the main thread and the server on a thread of its own. The server continues when the dashboard
//! is left, fails, or loses its terminal.

use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::error::{Failure, StartError};
use super::options::Options;
use super::output::{check_terminal, is_utf8, no_color};
use super::start::{Prepared, die_of, loader, prepare, survive_signals, warn};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::settings::OnHangup;
use crate::count::grouped;
use crate::dash::{Access, App, Outcome};
use crate::log::Log;
use crate::net::{End, Server};
use crate::poller::Poller;
use crate::term::Terminal;
use crate::time::clock_span;

/// Runs until the server ends.
pub(super) fn run(options: Options) -> Result<(), Failure> {
    check_terminal(StartError::NoTerminal, "run `chatops serve`")?;
    survive_signals()?;
    let Prepared { config, file, others, warnings } = prepare(options.clone(), true)?;
    let mut looks = config.dashboard.clone();
    looks.ascii |= !is_utf8();
    let app =
        App::new(&looks, no_color(), Access::Own).map_err(|error| StartError::Keys(error.to_string()))?;
    let clock = Clock::start();
    let mut server =
        Server::bind(&config, clock.clone()).map_err(|error| StartError::Bind(error.to_string()))?;
    warn(&mut server, warnings);
    server.set_loader(loader(options, file, others));
    let address = server.listeners().join(", ");
    let log_sender = log_later(&mut server);
    let poller = Poller::new().map_err(|error| Failure::Running(format!("no event queue: {error}")))?;
    let waker = poller.waker();
    let link = server.attach(move || waker.notify());
    let terminal = Terminal::open().map_err(|_| StartError::NoTerminal)?;
    let server = start(server)?;
    let outcome = crate::dash::run(app, link, &clock, terminal, poller);
    after_dashboard(&outcome, &config, &address, &log_sender);
    wait_for_end(server)
}

/// Events go to the log that is sent when the dashboard no longer has the terminal; until then they are not logged.
fn log_later(server: &mut Server) -> Sender<Log> {
    let (log_sender, log_receiver) = channel();
    let mut log: Option<Log> = None;
    server.set_sink(move |entry| {
        log = log.take().or_else(|| log_receiver.try_recv().ok());
        if let Some(log) = &log {
            log.event(entry);
        }
    });
    log_sender
}

/// Runs the server on its own thread.
fn start(server: Server) -> Result<JoinHandle<io::Result<End>>, Failure> {
    let thread = thread::Builder::new().name("reactor".to_owned());
    thread.spawn(move || server.run()).map_err(|error| Failure::Running(format!("no thread: {error}")))
}

/// Says why the dashboard ended, and starts the log of a server that continues.
fn after_dashboard(outcome: &Outcome, config: &Config, address: &str, log: &Sender<Log>) {
    let pid = std::process::id();
    let goes_on = format!("still serving {address} as pid {pid}; Ctrl-C drains and ends it");
    match outcome {
        Outcome::Left => print_line(&format!("chatops: {goes_on}")),
        Outcome::Failed(why) => print_line(&format!("chatops: the dashboard failed: {why}; {goes_on}")),
        Outcome::HungUp if config.server.on_hangup == OnHangup::Drain => stop_server(),
        Outcome::HungUp => {}
        Outcome::ServerEnded | Outcome::ServerFailed(_) => return,
    }
    if let Ok(stderr) = Log::stderr(config.log.level) {
        // Sending fails only if the server has ended.
        let _ = log.send(stderr);
    }
}

/// Waits for the end of the server and prints the last line.
fn wait_for_end(server: JoinHandle<io::Result<End>>) -> Result<(), Failure> {
    match server.join() {
        Ok(Ok(End::Drained(totals))) => {
            print_line(&farewell(totals.uptime, totals.clients, totals.lines));
            Ok(())
        }
        Ok(Ok(End::Signal(signal))) => Err(die_of(signal)),
        Ok(Ok(End::AtOnce)) => Err(Failure::Running("stopped at once by a second signal".to_owned())),
        Ok(Err(error)) => Err(Failure::Running(format!("the server failed: {error}"))),
        Err(_) => Err(Failure::Running("the server failed".to_owned())),
    }
}

/// How long a terminal may take to accept a line.
const PRINT_MAX: Duration = Duration::from_millis(200);

/// Prints one line, if the terminal takes it within [`PRINT_MAX`]: a stopped terminal (Ctrl-S) must not delay the end.
fn print_line(line: &str) {
    let text = format!("{line}\n");
    let (done, printed) = channel();
    let write = move || {
        let _ = io::stdout().write_all(text.as_bytes());
        let _ = done.send(());
    };
    if thread::Builder::new().name("last line".to_owned()).spawn(write).is_ok() {
        let _ = printed.recv_timeout(PRINT_MAX);
    }
}

/// Sends SIGTERM to this process: the reactor drains and ends.
fn stop_server() {
    // A process may signal itself (kill(2)): the call cannot fail.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
}

/// `chatops: 02:14:07, 42 clients served, 9,120 lines`. The form is fixed, also for one of each: scripts read it.
pub(super) fn farewell(uptime: Duration, clients: u64, lines: u64) -> String {
    format!("chatops: {}, {} clients served, {} lines", clock_span(uptime), grouped(clients), grouped(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_its_form() {
        let line = farewell(Duration::from_secs(2 * 3_600 + 14 * 60 + 7), 42, 9_120);
        assert_eq!(line, "chatops: 02:14:07, 42 clients served, 9,120 lines");
        let line = farewell(Duration::from_millis(999), 0, 0);
        assert_eq!(line, "chatops: 00:00:00, 0 clients served, 0 lines");
        let line = farewell(Duration::from_secs(100 * 3_600), 1_000, 1_234_567);
        assert_eq!(line, "chatops: 100:00:00, 1,000 clients served, 1,234,567 lines");
    }
}
