//! The usual client programs `nc`, `ncat`, `socat` and `telnet`, run as child processes.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::server::{Server, send_signal};
use super::transcript::Transcript;
use super::wait::holds_within;

/// Whether these programs are installed. Prints which is missing, so that a skipped test is never taken for a
/// passed one.
pub(crate) fn installed(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |program: &&&str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let missing = programs.iter().find(|program| !found(program));
    if let Some(program) = missing {
        say_skipped(&format!("{program} is not installed"));
    }
    missing.is_none()
}

/// Prints that a test is skipped, around the capture of the test harness.
pub(crate) fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(io::stderr(), "SKIPPED: {why} ({test})");
}

/// A running client program; dropping it kills the process.
pub(crate) struct RealClient {
    child: Child,
    stdin: Option<ChildStdin>,
    pub(crate) stdout: Transcript,
    pub(crate) stderr: Transcript,
}

impl RealClient {
    /// Starts a program with its input held open.
    #[track_caller]
    pub(crate) fn spawn(program: &str, arguments: &[&str]) -> Self {
        Self::spawn_with_input(program, arguments, Stdio::piped())
    }

    /// Starts a program with this as its input.
    #[track_caller]
    pub(crate) fn spawn_with_input(program: &str, arguments: &[&str], input: Stdio) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let stdin = child.stdin.take();
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let stderr = Transcript::of(child.stderr.take().unwrap());
        Self { child, stdin, stdout, stderr }
    }

    /// Connects a client program to the first listener of `server`.
    #[track_caller]
    pub(crate) fn connect(program: &str, server: &Server) -> Self {
        let arguments = connect_arguments(program, server.port());
        Self::spawn(program, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[track_caller]
    pub(crate) fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("the client takes input");
    }

    /// Sends `text` unchanged and ends the input, as `printf TEXT |` does.
    #[track_caller]
    pub(crate) fn send_all(&mut self, text: &str) {
        let mut stdin = self.stdin.take().expect("its input is open");
        stdin.write_all(text.as_bytes()).expect("the client takes input");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.child.id(), signal);
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub(crate) fn exit(&mut self, deadline: Duration) -> ExitStatus {
        let child = &mut self.child;
        let ended = holds_within(deadline, || child.try_wait().unwrap().is_some());
        assert!(ended, "it has not ended within {deadline:?}; output:\n{}", self.stdout.text());
        self.child.wait().unwrap()
    }

    /// Ends the program at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for RealClient {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The arguments that make `program` a chat client of 127.0.0.1.
pub(crate) fn connect_arguments(program: &str, port: u16) -> Vec<String> {
    match program {
        "socat" => vec!["-".to_owned(), format!("TCP:127.0.0.1:{port}")],
        _ => vec!["127.0.0.1".to_owned(), port.to_string()],
    }
}
