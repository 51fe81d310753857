//! The dashboard in a process of its own on a controlling pseudo-terminal (`pty(7)`, `tty(4)`): signals, a hang-up and
//! panics, each of which must restore the terminal.
//!
//! The process is this test program again, running [`dashboard_process`] alone, with a server that answers every
//! question and does as [`Scene`] says.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use chatops::clock::Clock;
use chatops::config::settings::Dashboard;
use chatops::dash::{Access, App, Outcome, run};
use chatops::link::local::{Mailbox, local};
use chatops::link::{LinkError, Request, Response};
use chatops::poller::Poller;
use chatops::term::{Terminal, restore_active};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::termios::{LocalModes, Termios, tcgetattr};

/// Longer than any step of a test takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// How soon the server of the process notices SIGTERM.
const NOTICE: Duration = Duration::from_millis(50);

const SCENE: &str = "CHATOPS_PTY_TEST_SCENE";
const ENTERED: &[u8] = b"\x1b[?1049h";
const FRAME: &[u8] = b"\x1b[?2026l";
const LEFT: &[u8] = b"\x1b[?1049l";

/// How the server of the process handles a termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// It ends cleanly.
    Ends,
    /// It exits at once, as after a second signal.
    Exits,
    /// It panics.
    Panics,
}

impl Scene {
    const ALL: [Self; 3] = [Self::Ends, Self::Exits, Self::Panics];

    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Each way to end has an exit status of its own.
fn status(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Failed(_) => 10,
        Outcome::HungUp => 11,
        Outcome::Left => 12,
        Outcome::ServerEnded => 13,
        Outcome::ServerFailed(_) => 14,
    }
}

const IN_HASTE: i32 = 3;

/// Not a test: the program that the tests run in a process of its own.
#[test]
fn dashboard_process() {
    let Ok(name) = std::env::var(SCENE) else { return };
    let scene = Scene::ALL.into_iter().find(|scene| scene.name() == name).expect("a scene");
    let terminate = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&terminate)).expect("SIGTERM");
    let poller = Poller::new().expect("poller");
    let waker = poller.waker();
    let (bell, woken) = channel();
    let ring = move || {
        // The server may have gone first.
        let _ = bell.send(());
    };
    let (link, mailbox) = local(ring, move || waker.notify());
    thread::spawn(move || serve(scene, mailbox, &woken, &terminate));
    let app = App::new(&Dashboard::default(), true, Access::Own).expect("the default keys exist");
    let terminal = Terminal::open().expect("a terminal");
    let outcome = run(app, link, &Clock::start(), terminal, poller);
    // Fails after a hang-up.
    let _ = writeln!(std::io::stdout(), "the dashboard is over");
    exit(status(&outcome));
}

fn serve(scene: Scene, mut mailbox: Mailbox, woken: &Receiver<()>, terminate: &AtomicBool) {
    while !terminate.load(Ordering::SeqCst) {
        // Also after a spurious wake-up.
        let _ = woken.recv_timeout(NOTICE);
        while let Some(request) = mailbox.next() {
            mailbox.answer(match request {
                Request::Snapshot(_) => Response::Snapshot(Box::default()),
                Request::Verb { ticket, .. } => Response::Verb { ticket, outcome: Ok(String::new().into()) },
                other => panic!("no dashboard requests {other:?}"),
            });
        }
    }
    match scene {
        Scene::Ends => mailbox.end(LinkError::Ended),
        Scene::Exits => {
            restore_active();
            exit(IN_HASTE);
        }
        Scene::Panics => panic!("this panic is part of a test"),
    }
}

/// The person at the terminal.
struct LogCursor {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    before: Termios,
}

impl LogCursor {
    fn take(scene: Scene) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let before = modes(&*pair.master);
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "dashboard_process", "--nocapture"]);
        command.env(SCENE, scene.name());
        let child = pair.slave.spawn_command(command).expect("spawned");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let (tell, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if tell.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut seat = Self { master: pair.master, child, output, seen: Vec::new(), before };
        seat.wait_for(ENTERED);
        seat.wait_for(FRAME);
        assert!(!seat.modes().local_modes.contains(LocalModes::ICANON), "raw mode");
        seat
    }

    /// Reads until these bytes have arrived, and returns everything up to their end.
    fn wait_for(&mut self, bytes: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.seen.windows(bytes.len()).position(|window| window == bytes) {
                return self.seen.drain(..at + bytes.len()).collect();
            }
            match self.output.recv_timeout(DEADLINE) {
                Ok(more) => self.seen.extend(more),
                Err(why) => panic!("{why}; only saw {:?}", self.seen.escape_ascii().to_string()),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there");
    }

    fn pid(&self) -> Pid {
        let id = self.child.process_id().expect("the process is there");
        Pid::from_raw(id.try_into().expect("a pid")).expect("not 0")
    }

    fn wait_until_stopped(&self) {
        let (pid, (tell, told)) = (self.pid(), channel());
        thread::spawn(move || tell.send(waitpid(Some(pid), WaitOptions::UNTRACED)));
        let waited =
            told.recv_timeout(DEADLINE).expect("it stops").expect("it is a child").expect("it waited");
        assert!(waited.1.stopped(), "{waited:?}");
    }

    fn exit_status(self) -> u32 {
        exit_status(self.child)
    }

    fn modes(&self) -> Termios {
        modes(&*self.master)
    }

    fn assert_restored(&self) {
        let now = self.modes();
        assert_eq!(now.local_modes, self.before.local_modes);
        assert_eq!(now.input_modes, self.before.input_modes);
        assert_eq!(now.output_modes, self.before.output_modes);
    }
}

fn modes(master: &dyn MasterPty) -> Termios {
    let path = master.tty_name().expect("it has a name");
    let flags = rustix::fs::OFlags::NOCTTY.bits().try_into().expect("a flag");
    let tty = std::fs::File::options().read(true).custom_flags(flags).open(path).expect("the terminal");
    tcgetattr(tty).expect("tcgetattr")
}

fn exit_status(mut child: Box<dyn Child + Send + Sync>) -> u32 {
    let (tell, told) = channel();
    thread::spawn(move || tell.send(child.wait()));
    told.recv_timeout(DEADLINE).expect("it ends").expect("it can be waited for").exit_code()
}

#[test]
fn the_end_of_the_server_gives_the_terminal_back() {
    let mut seat = LogCursor::take(Scene::Ends);
    seat.signal(Signal::TERM);
    seat.wait_for(LEFT);
    seat.wait_for(b"the dashboard is over");
    seat.assert_restored();
    assert_eq!(seat.exit_status(), 13);
}

#[test]
fn a_terminal_that_disappears_ends_only_the_dashboard() {
    let LogCursor { master, child, output, .. } = LogCursor::take(Scene::Ends);
    drop(master);
    // The thread that reads closes its copy when the next frame has no receiver.
    drop(output);
    assert_eq!(exit_status(child), 11);
}

#[test]
fn an_exit_in_haste_gives_the_terminal_back() {
    let mut seat = LogCursor::take(Scene::Exits);
    seat.signal(Signal::TERM);
    seat.wait_for(LEFT);
    assert_eq!(seat.exit_status(), IN_HASTE.unsigned_abs());
}

#[test]
fn a_panic_is_printed_after_the_terminal_is_restored() {
    let mut seat = LogCursor::take(Scene::Panics);
    seat.signal(Signal::TERM);
    let before = seat.wait_for(b"this panic is part of a test");
    assert!(before.windows(LEFT.len()).any(|window| window == LEFT), "first back, then the message");
    seat.wait_for(b"the dashboard is over");
    seat.assert_restored();
    assert_eq!(seat.exit_status(), 14);
}

#[test]
fn a_stop_lends_the_terminal_to_the_shell() {
    let mut seat = LogCursor::take(Scene::Ends);
    seat.signal(Signal::TSTP);
    seat.wait_until_stopped();
    seat.wait_for(LEFT);
    seat.assert_restored();
    seat.signal(Signal::CONT);
    seat.wait_for(ENTERED);
    seat.wait_for(FRAME);
    assert!(!seat.modes().local_modes.contains(LocalModes::ICANON), "raw mode again");
    seat.signal(Signal::TERM);
    seat.wait_for(LEFT);
    assert_eq!(seat.exit_status(), 13);
}

#[test]
fn after_sigstop_the_screen_is_redrawn() {
    let mut seat = LogCursor::take(Scene::Ends);
    seat.signal(Signal::STOP);
    seat.wait_until_stopped();
    seat.signal(Signal::CONT);
    seat.wait_for(ENTERED);
    seat.wait_for(b"\x1b[2J");
    seat.signal(Signal::TERM);
    seat.wait_for(LEFT);
    assert_eq!(seat.exit_status(), 13);
}
