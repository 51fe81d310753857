//! `chatops serve` as a child process with its own home directory.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::framing::Framing;
use super::transcript::Transcript;
use super::wait::{DEADLINE, holds_within};

/// The program under test.
pub(crate) const CHATOPS: &str = env!("CARGO_BIN_EXE_chatops");

/// A directory that is home, config, data, state and runtime dir of one process; dropping it removes the directory.
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chatops-test-{}-{number}", std::process::id()));
        let home = Self(path);
        let mut private = fs::DirBuilder::new();
        let made = private.recursive(true).mode(0o700).create(home.runtime_dir());
        made.expect("the temporary directory can be written");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the control sockets of its servers are.
    pub(crate) fn runtime_dir(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The environment that keeps a process within this home and away from the user's.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 6] {
        [
            ("HOME", self.0.clone()),
            ("XDG_CONFIG_HOME", self.0.join("config")),
            ("XDG_DATA_HOME", self.0.join("data")),
            ("XDG_STATE_HOME", self.0.join("state")),
            ("XDG_CACHE_HOME", self.0.join("cache")),
            ("XDG_RUNTIME_DIR", self.0.join("run")),
        ]
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A running `chatops serve`; dropping it kills the process.
pub(crate) struct Server {
    child: Child,
    pub(crate) stdout: Transcript,
    pub(crate) stderr: Transcript,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Of each endpoint.
    pub(crate) framings: Vec<Framing>,
    home: Arc<Home>,
}

impl Server {
    /// Starts on a free port of 127.0.0.1 with these options (`KEY=VALUE`).
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::listening_on(&["127.0.0.1:0"], options)
    }

    /// Starts on these addresses with these options.
    #[track_caller]
    pub(crate) fn listening_on(addresses: &[&str], options: &[&str]) -> Self {
        Self::in_home(&Arc::new(Home::new()), addresses, options)
    }

    /// Starts in this home, which others may share.
    #[track_caller]
    pub(crate) fn in_home(home: &Arc<Home>, addresses: &[&str], options: &[&str]) -> Self {
        let home = Arc::clone(home);
        let mut child = serve(&home, addresses, options).spawn().expect("chatops can be started");
        let stderr = Transcript::of(child.stderr.take().unwrap());
        Self::wait_for_listeners(child, stderr, home, addresses.len())
    }

    /// Starts on a free port of 127.0.0.1 for each of these framings with these options.
    #[track_caller]
    pub(crate) fn framed(framings: &[&str], options: &[&str]) -> Self {
        let listeners = framings
            .iter()
            .map(|framing| format!("{{ address = \"127.0.0.1:0\", framing = \"{framing}\" }}"));
        let listen = format!("listen=[{}]", listeners.collect::<Vec<_>>().join(", "));
        let home = Arc::new(Home::new());
        let mut child = serve(&home, &[], &[&[listen.as_str()], options].concat())
            .spawn()
            .expect("chatops can be started");
        let stderr = Transcript::of(child.stderr.take().unwrap());
        Self::wait_for_listeners(child, stderr, home, framings.len())
    }

    /// Starts with its log going to the pipe at this path, which is kept open and never read.
    #[track_caller]
    pub(crate) fn with_stderr_to(fifo: &Path, options: &[&str]) -> Self {
        let home = Home::new();
        let pipe = fs::File::options().read(true).write(true).open(fifo).expect("the pipe is there");
        let mut command = serve(&home, &["127.0.0.1:0"], options);
        let child = command.stderr(pipe).spawn().expect("chatops can be started");
        Self::wait_for_listeners(child, Transcript::of(io::empty()), Arc::new(home), 1)
    }

    /// Starts with no more file descriptors than these, hard limit and all.
    #[track_caller]
    pub(crate) fn with_descriptors(count: u32, options: &[&str]) -> Self {
        Self::after(&format!("ulimit -n {count}"), options)
    }

    /// Starts from a shell that has run this command first.
    #[track_caller]
    pub(crate) fn after(shell_command: &str, options: &[&str]) -> Self {
        let home = Arc::new(Home::new());
        let plain = serve(&home, &["127.0.0.1:0"], options);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell_command}; exec \"$0\" \"$@\""), CHATOPS]);
        command.args(plain.get_args()).envs(home.environment()).current_dir(home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("sh can be started");
        let stderr = Transcript::of(child.stderr.take().unwrap());
        Self::wait_for_listeners(child, stderr, home, 1)
    }

    /// Starts with this configuration in a pipe, as a shell gives it for `-c <(…)`.
    #[track_caller]
    pub(crate) fn configured_by_a_pipe(configuration: &str) -> Self {
        let home = Arc::new(Home::new());
        let mut command = Command::new("bash");
        let script = format!("exec {CHATOPS} serve -l 127.0.0.1:0 -c <(printf '%s' \"$0\")");
        command.args(["-c", &script, configuration]).envs(home.environment()).current_dir(home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("bash can be started");
        let stderr = Transcript::of(child.stderr.take().unwrap());
        Self::wait_for_listeners(child, stderr, home, 1)
    }

    #[track_caller]
    fn wait_for_listeners(mut child: Child, stderr: Transcript, home: Arc<Home>, count: usize) -> Self {
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let (endpoints, framings) = (Vec::new(), Vec::new());
        let mut server = Self { child, stdout, stderr, endpoints, framings, home };
        let started = holds_within(DEADLINE, || server.stdout.text().matches('\n').count() >= count);
        assert!(started, "it does not listen; stderr:\n{}", server.stderr.text());
        (server.endpoints, server.framings) = server.stdout.text().lines().map(parse_endpoint).unzip();
        server
    }

    /// The directories that are its own.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Its control socket at the default path.
    pub(crate) fn control(&self) -> PathBuf {
        self.home.runtime_dir().join(format!("chatops-{}.sock", self.port()))
    }

    /// Runs `chatops ctl` with these arguments, as the same user.
    #[track_caller]
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Finished {
        let all: Vec<&str> = ["ctl"].into_iter().chain(arguments.iter().copied()).collect();
        Finished::run_in(&self.home, &all)
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address of the first listener, which is a TCP one.
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.endpoints[0] {
            Endpoint::Tcp(address) => *address,
            Endpoint::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address().port()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(crate) fn exit(&mut self, deadline: Duration) -> ExitStatus {
        let child = &mut self.child;
        let ended = holds_within(deadline, || child.try_wait().unwrap().is_some());
        assert!(ended, "it has not ended within {deadline:?}; stderr:\n{}", self.stderr.text());
        self.child.wait().unwrap()
    }

    /// Ends the server with SIGTERM and returns the exit code.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.exit(DEADLINE).code()
    }

    /// Checks that the server still runs.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended: {ended:?}; stderr:\n{}", self.stderr.text());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("stderr of the server:\n{}", self.stderr.text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line of a server in this home.
fn serve(home: &Home, addresses: &[&str], options: &[&str]) -> Command {
    let mut command = chatops(home, &["serve"]);
    for address in addresses {
        command.args(["-l", address]);
    }
    for option in options {
        command.args(["-o", option]);
    }
    command
}

/// `chatops` with these arguments in this home, without a terminal.
fn chatops(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(CHATOPS);
    command.args(arguments).envs(home.environment()).current_dir(home.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `listening on 127.0.0.1:6677 (lines)`
#[track_caller]
fn parse_endpoint(line: &str) -> (Endpoint, Framing) {
    let told = line.strip_prefix("listening on ").and_then(|rest| rest.strip_suffix(')'));
    let parts = told.and_then(|told| told.rsplit_once(" ("));
    let (address, framing) = parts.unwrap_or_else(|| panic!("not a line about a listener: {line:?}"));
    let endpoint = match address.strip_prefix("unix:") {
        Some(path) => Endpoint::Unix(path.into()),
        None => Endpoint::Tcp(address.parse().unwrap_or_else(|_| panic!("no address: {line:?}"))),
    };
    (endpoint, Framing::parse(framing))
}

pub(crate) fn send_signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("process ids are positive");
    kill_process(pid, signal).expect("the process lives and is ours");
}

/// A run of `chatops` that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Runs `chatops` without a terminal until it ends by itself.
    #[track_caller]
    pub(crate) fn run(arguments: &[&str]) -> Self {
        Self::run_in(&Home::new(), arguments)
    }

    /// The same in this home.
    #[track_caller]
    pub(crate) fn run_in(home: &Home, arguments: &[&str]) -> Self {
        let mut child = chatops(home, arguments).spawn().expect("chatops can be started");
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let stderr = Transcript::of(child.stderr.take().unwrap());
        let ended = holds_within(DEADLINE, || child.try_wait().unwrap().is_some());
        if !ended {
            let _ = child.kill();
        }
        let code = child.wait().unwrap().code();
        let finished =
            Self { code, stdout: stdout.wait_for_end(DEADLINE), stderr: stderr.wait_for_end(DEADLINE) };
        assert!(ended, "chatops {arguments:?} goes on instead of ending: {finished:?}");
        finished
    }

    /// Wrong usage, bad configuration, cannot bind: exit 2 and one clear line that contains all of `parts`.
    #[track_caller]
    pub(crate) fn assert_refused(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "stderr lacks {part:?}: {self:?}");
        }
    }
}
