//! `chatops` on a terminal: a pty with a screen that can be read, typed at, not read for a while, and hung up.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::Signal;

use super::server::{CHATOPS, Home, send_signal};
use super::wait::{DEADLINE, holds_within, let_pass, now, wait_until};

/// A little longer than the pause that the dashboard requires before a key that answers a question.
const ANSWER_GAP: Duration = Duration::from_millis(120);
/// How long a dashboard on a busy machine takes to act on a key.
const REACTION: Duration = Duration::from_secs(2);

/// The screen so far, and whether the terminal takes output.
struct State {
    parser: vt100::Parser,
    /// The terminal takes no output, as after Ctrl-S.
    stalled: bool,
    /// The terminal is about to close.
    closing: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A terminal with a program on it; dropping it kills the program.
pub(crate) struct Terminal {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    _home: Home,
}

impl Terminal {
    /// Starts `chatops` with these arguments on a terminal of 100 columns and 30 rows.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_sized(arguments, 30, 100)
    }

    /// Starts `chatops` on a terminal of this size.
    pub(crate) fn start_sized(arguments: &[&str], rows: u16, cols: u16) -> Self {
        Self::run(CHATOPS, arguments, rows, cols)
    }

    /// Starts a program on a terminal of this size.
    pub(crate) fn run(program: &str, arguments: &[&str], rows: u16, cols: u16) -> Self {
        Self::run_in(program, arguments, &[], rows, cols)
    }

    /// Starts a program on a terminal of this size, with these variables in its environment.
    pub(crate) fn run_in(
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        rows: u16,
        cols: u16,
    ) -> Self {
        let home = Home::new();
        let pty = native_pty_system().openpty(size(rows, cols)).expect("the system has a pty");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(home.path());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        for (key, value) in home.environment() {
            command.env(key, value);
        }
        for (key, value) in variables {
            command.env(key, value);
        }
        let child = pty.slave.spawn_command(command).expect("the program can be started");
        let shared = Arc::new(Shared { state: Mutex::new(State::new(rows, cols)), changed: Condvar::new() });
        let source = pty.master.try_clone_reader().expect("the pty is open");
        let drawn = Arc::clone(&shared);
        let reader = Some(std::thread::spawn(move || draw(source, &drawn)));
        let writer = Some(pty.master.take_writer().expect("it is taken once"));
        Self { shared, reader, master: Some(pty.master), writer, child, _home: home }
    }

    /// Starts bash with job control on a terminal of 100 columns and 30 rows.
    #[track_caller]
    pub(crate) fn shell() -> Self {
        let mut terminal = Self::run("bash", &["--norc", "--noprofile", "-i"], 30, 100);
        terminal.keys("bind 'set enable-bracketed-paste off'; PS1='ready''> '\r");
        terminal.wait_for_row(&["ready> "]);
        terminal
    }

    /// Starts `chatops` on a free port of 127.0.0.1 and waits for its dashboard; also returns its address.
    #[track_caller]
    pub(crate) fn with_dashboard(options: &[&str]) -> (Self, SocketAddr) {
        let mut arguments = vec!["-l", "127.0.0.1:0"];
        arguments.extend(options.iter().flat_map(|option| ["-o", option]));
        let terminal = Self::start(&arguments);
        let screen =
            terminal.wait_for("the dashboard with its address", |screen| address_in(screen).is_some());
        let address = address_in(&screen).unwrap();
        (terminal, address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// Types these characters.
    pub(crate) fn keys(&mut self, keys: &str) {
        let writer = self.writer.as_mut().expect("the terminal is there");
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).expect("the terminal takes keys");
    }

    /// Answers a question that is on the screen: a key counts only if nothing was typed in the 100 ms before it. A busy
    /// machine may read two keys at once that were typed apart; then the question stays, and the key is typed again.
    pub(crate) fn answer(&mut self, key: &str) {
        for _ in 0..5 {
            let_pass(ANSWER_GAP);
            self.keys(key);
            if holds_within(REACTION, || !is_asking(&self.text())) {
                return;
            }
        }
    }

    /// The text on the screen.
    pub(crate) fn text(&self) -> String {
        self.state().parser.screen().contents()
    }

    /// Waits until the screen has this property; fails with the screen if it does not.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let start = now();
        let mut state = self.state();
        loop {
            let screen = state.parser.screen().contents();
            if condition(&screen) {
                return screen;
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "not within {DEADLINE:?}: {what}; the screen is\n{screen}");
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until the screen contains `part`.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, part: &str) -> String {
        self.wait_for(&format!("{part:?} on the screen"), |screen| screen.contains(part))
    }

    /// Waits for a line of the screen that contains all of `parts`, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_row(&self, parts: &[&str]) -> String {
        let find = |screen: &str| row_with(screen, parts);
        let screen = self.wait_for(&format!("a row with {parts:?}"), |screen| find(screen).is_some());
        find(&screen).unwrap()
    }

    /// Enters a verb on the `:` line, and confirms it if the dashboard asks.
    #[track_caller]
    pub(crate) fn verb(&mut self, verb: &str) {
        assert!(!is_asking(&self.text()), "a dialog is open already:\n{}", self.text());
        self.keys(":");
        self.keys(verb);
        self.wait_for_text(verb);
        self.keys("\r");
        let screen = self.wait_for("the verb is taken or asks", |screen| {
            is_asking(screen) || row_with(screen, &[&format!(":{verb}")]).is_none()
        });
        if is_asking(&screen) {
            self.answer("y");
            self.wait_for("the dialog is closed", |screen| !is_asking(screen));
        }
    }

    /// Moves the selection to the row with this nick.
    #[track_caller]
    pub(crate) fn select(&mut self, nick: &str) {
        self.keys("g");
        for _ in 0..50 {
            let screen = self.wait_for("a selected row", |screen| selected(screen).is_some());
            let row = selected(&screen).unwrap();
            if row.split_whitespace().any(|word| word == nick) {
                return;
            }
            self.keys("j");
            self.wait_for("the selection moves", |screen| selected(screen).is_some_and(|now| now != row));
        }
        panic!("{nick} cannot be selected:\n{}", self.text());
    }

    /// Whether the terminal is restored: normal screen, visible cursor, no mouse.
    pub(crate) fn is_restored(&self) -> bool {
        let state = self.state();
        let screen = state.parser.screen();
        let mouse = screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
        !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste() && !mouse
    }

    /// Waits until the terminal is restored.
    #[track_caller]
    pub(crate) fn wait_until_restored(&self) {
        let restored = holds_within(DEADLINE, || self.is_restored());
        assert!(
            restored,
            "not within {DEADLINE:?}: the terminal is restored; the screen is\n{}",
            self.text()
        );
    }

    /// Whether the terminal shows the alternate screen.
    pub(crate) fn on_alternate_screen(&self) -> bool {
        self.state().parser.screen().alternate_screen()
    }

    /// Stops or continues the output of the terminal.
    pub(crate) fn stall(&self, stalled: bool) {
        self.state().stalled = stalled;
        self.shared.changed.notify_all();
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        // What is drawn for the new size is looked at in the new size.
        let mut state = self.state();
        let master = self.master.as_ref().expect("the terminal is there");
        master.resize(size(rows, cols)).expect("a pty has a size");
        state.parser.set_size(nonzero(rows), nonzero(cols));
    }

    /// Closes the terminal of the program, as a closed window or a broken line does.
    ///
    /// The thread that reads the screen holds the terminal as well; a change of size makes the dashboard draw,
    /// which wakes it to leave.
    pub(crate) fn hang_up(&mut self) {
        self.state().closing = true;
        self.shared.changed.notify_all();
        self.resize(31, 101);
        let reader = self.reader.take().expect("it hangs up once");
        wait_until(DEADLINE, "the dashboard draws after a change of size", || reader.is_finished());
        self.writer = None;
        self.master = None;
    }

    /// Waits for the end of the program and returns its exit code.
    #[track_caller]
    pub(crate) fn exit(&mut self, deadline: Duration) -> u32 {
        let child = &mut self.child;
        let ended = holds_within(deadline, || child.try_wait().unwrap().is_some());
        assert!(ended, "it has not ended within {deadline:?}; the screen is\n{}", self.text());
        self.child.wait().unwrap().exit_code()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl State {
    fn new(rows: u16, cols: u16) -> Self {
        let parser = vt100::Parser::new(nonzero(rows), nonzero(cols), 0);
        Self { parser, stalled: false, closing: false }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The pty's own kill() begins with SIGHUP, which chatops survives.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            send_signal(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// The start and end of a synchronised update: the terminal shows all of it at once.
const UPDATE_BEGINS: &[u8] = b"\x1b[?2026h";
const UPDATE_ENDS: &[u8] = b"\x1b[?2026l";

/// The number of `bytes` that may be shown: those before an unfinished update.
fn showable(bytes: &[u8]) -> usize {
    let last = |sequence: &[u8]| bytes.windows(sequence.len()).rposition(|window| window == sequence);
    match (last(UPDATE_BEGINS), last(UPDATE_ENDS)) {
        (Some(begin), None) => begin,
        (Some(begin), Some(end)) if begin > end => begin,
        _ => {
            let cut = |length: &usize| bytes.ends_with(&UPDATE_BEGINS[..*length]);
            bytes.len() - (1..UPDATE_BEGINS.len()).rev().find(cut).unwrap_or(0)
        }
    }
}

/// Feeds the screen from the pty until it closes.
fn draw(mut source: impl Read, shared: &Shared) {
    let mut pending = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        {
            let state = shared.state.lock().unwrap();
            let stalled = |state: &mut State| state.stalled && !state.closing;
            let state = shared.changed.wait_while(state, stalled).unwrap();
            if state.closing {
                return;
            }
        }
        let Ok(count @ 1..) = source.read(&mut chunk) else { return };
        pending.extend_from_slice(&chunk[..count]);
        let shown = showable(&pending);
        shared.state.lock().unwrap().parser.process(&pending[..shown]);
        pending.drain(..shown);
        shared.changed.notify_all();
    }
}

/// The first line of the screen that contains all of `parts`.
pub(crate) fn row_with(screen: &str, parts: &[&str]) -> Option<String> {
    screen.lines().find(|row| parts.iter().all(|part| row.contains(part))).map(str::to_owned)
}

/// Whether a dialog is on the screen.
fn is_asking(screen: &str) -> bool {
    screen.contains("[n] no")
}

/// The row that is selected: it starts with `>`.
fn selected(screen: &str) -> Option<String> {
    screen.lines().find(|row| row.starts_with('>')).map(str::to_owned)
}

/// The address in the header: ` chatops 127.0.0.1:6677  up …`.
pub(crate) fn address_in(screen: &str) -> Option<SocketAddr> {
    screen.split_whitespace().find_map(|word| word.parse::<SocketAddr>().ok().filter(|at| at.port() != 0))
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn nonzero(length: u16) -> NonZeroU16 {
    NonZeroU16::new(length).expect("a screen has rows and columns")
}
