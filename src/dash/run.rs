//! The loop of the dashboard: waits for the terminal, the link, signals and time, and gives them to [`App`].
//!
//! It owns the terminal and one end of the link, draws and requests at the pace of `Pace`, and carries out the
//! effects of the state. It decides nothing that the operator sees.
//!
//! Invariants: only the poller at the beginning of a turn waits. The terminal is restored before [`run`] returns,
//! however the dashboard ends, and the server is not affected.

use std::any::Any;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow::{self, Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::{SIGCONT, SIGTSTP, SIGWINCH};

use super::app::{Access, App, Effect, QuitChoice};
use super::pace::Pace;
use super::{export, view};
use crate::clock::Clock;
use crate::count;
use crate::link::local::OUTSTANDING_MAX;
use crate::link::{Link, LinkError, Request, Response};
use crate::poller::{Events, Interest, Poller, Watched};
use crate::signals::{self, FATAL, Signals};
use crate::term::input::{Decoder, Input};
use crate::term::tty::Tty;
use crate::term::{Terminal, job};
use crate::time::{Moment, Now};

/// Bytes read from the terminal in one turn.
const READ_BYTES_MAX: usize = 4_096;

/// The terminal and the signals.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");

/// Keys in the poller.
const TERMINAL: usize = 0;
const SIGNALS: usize = 1;

/// How often a dashboard in the background checks whether it is in the foreground again.
const FOREGROUND_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// How long the dashboard waits for the link to report the panic of another thread.
const PANIC_REASON_TIMEOUT: Duration = Duration::from_secs(1);

/// How the dashboard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It failed, and why; the server continues.
    Failed(String),
    /// The terminal is gone.
    HungUp,
    /// The operator left the server running, or a signal ended the dashboard alone.
    Left,
    /// The server has ended.
    ServerEnded,
    /// The server died of a broken invariant.
    ServerFailed(String),
}

/// Shows the dashboard until the operator leaves it, or its terminal or the server is gone. `link` must wake `poller`.
pub fn run(app: App, link: impl Link, clock: &Clock, terminal: Terminal, poller: Poller) -> Outcome {
    // A panic may leave the state inconsistent, but no code reads it afterwards.
    let turns = AssertUnwindSafe(move || -> io::Result<Outcome> {
        let mut event_loop = EventLoop::new(app, link, clock, terminal, poller)?;
        loop {
            if let Break(outcome) = event_loop.turn()? {
                return Ok(outcome);
            }
        }
    });
    match catch_unwind(turns) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Err(panic) => Outcome::Failed(panic_message(panic.as_ref()).to_owned()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

/// The state with the terminal, the link and the signals.
struct EventLoop<'a, L> {
    app: App,
    link: L,
    clock: &'a Clock,
    device: Watched<Arc<Tty>>,
    terminal: Terminal,
    signals: Signals,
    poller: Poller,
    events: Events,
    decoder: Decoder,
    pace: Pace,
    /// The server is to end with the dashboard.
    is_draining: bool,
    /// This process continues in the background: the shell has the terminal until it is in the foreground again.
    is_background: bool,
    /// When the dashboard found that a panic of another thread had restored the terminal.
    closed_at: Option<Moment>,
}

impl<'a, L: Link> EventLoop<'a, L> {
    fn new(mut app: App, link: L, clock: &'a Clock, terminal: Terminal, poller: Poller) -> io::Result<Self> {
        let signals = Signals::watch(&poller, SIGNALS, job::caught_signals(app.access != Access::Own))?;
        let device = Arc::clone(terminal.tty());
        let device = poller.watch(device, TERMINAL, Interest::BOTH).map_err(|(_, error)| error)?;
        let size = terminal.size();
        app.resized(size.width, size.height);
        let mut pace = Pace::default();
        pace.mark_changed();
        Ok(Self {
            app,
            link,
            clock,
            device,
            terminal,
            signals,
            poller,
            events: Events::with_capacity(EVENTS_MAX),
            decoder: Decoder::default(),
            pace,
            is_draining: false,
            is_background: false,
            closed_at: None,
        })
    }

    /// One turn: wait, take input, carry out effects, draw. Fails only when the poller fails.
    fn turn(&mut self) -> io::Result<ControlFlow<Outcome>> {
        let timeout = self.timeout(self.clock.now().moment);
        self.poller.wait(&mut self.events, Some(timeout))?;
        let now = self.clock.now();
        let ended = self.take_all(now);
        if ended.is_break() {
            return Ok(ended);
        }
        let ended = self.show(now);
        let write = !self.terminal.is_idle();
        // Reading in the background would stop the process (SIGTTIN), and the server with it.
        let wanted = if self.is_background { Interest::NONE } else { Interest { read: true, write } };
        self.device.set_interest(wanted)?;
        Ok(ended)
    }

    fn timeout(&self, now: Moment) -> Duration {
        let until_frame = self.pace.sleep(now, self.terminal.is_idle());
        let until_frame =
            if self.is_background { until_frame.min(FOREGROUND_CHECK_INTERVAL) } else { until_frame };
        self.decoder.deadline().map_or(until_frame, |deadline| until_frame.min(deadline - now))
    }

    /// Takes all input.
    fn take_all(&mut self, now: Now) -> ControlFlow<Outcome> {
        self.take_events(now)?;
        if self.is_background {
            self.return_to_foreground()?;
        }
        self.expire_input(now);
        self.take_responses(now)?;
        self.take_size();
        if self.app.tick(now) {
            self.pace.mark_changed();
        }
        self.check_closed(now.moment)
    }

    fn take_events(&mut self, now: Now) -> ControlFlow<Outcome> {
        let mut signalled = false;
        let mut readable = false;
        for ready in self.events.iter() {
            match ready.key {
                // A hang-up comes before input: there is no operator who could see its effect.
                TERMINAL if ready.hangup || ready.error => return Break(Outcome::HungUp),
                TERMINAL => readable |= ready.readable,
                _ => signalled = true,
            }
        }
        if signalled {
            self.take_signals()?;
        }
        if readable {
            self.take_input(now)?;
        }
        Continue(())
    }

    fn take_signals(&mut self) -> ControlFlow<Outcome> {
        let received = self.signals.take();
        if received.first_of(&job::END).is_some() {
            return Break(Outcome::Left);
        }
        if let Some(signal) = received.first_of(&FATAL) {
            self.terminal.tty().close();
            signals::die_of(signal);
            return Break(Outcome::Left);
        }
        let stops = received.has(SIGTSTP);
        if stops {
            let pid = std::process::id();
            let words = if job::is_without_shell() {
                format!("chatops: stopped; no shell here can continue it, but `kill -CONT {pid}` does\r\n")
            } else {
                String::new()
            };
            self.terminal.suspend(&words);
            job::stop_process();
        }
        if received.has(SIGWINCH) {
            // Also when the size is the same as before: the terminal may have cut off text in between.
            self.terminal.redraw();
            self.pace.mark_changed();
        }
        if stops || received.has(SIGCONT) {
            self.app.frame_lost();
            self.return_to_foreground()?;
        }
        Continue(())
    }

    /// Enters the terminal again if this process is in the foreground. Shells send no signal to a running job that they
    /// bring there, so this is checked repeatedly.
    fn return_to_foreground(&mut self) -> ControlFlow<Outcome> {
        self.is_background = !self.device.is_foreground();
        if self.is_background {
            return Continue(());
        }
        match self.terminal.resume() {
            Ok(()) => self.pace.mark_changed(),
            Err(_) if !self.device.is_foreground() => self.is_background = true,
            Err(error) => return hung_up(error),
        }
        Continue(())
    }

    fn take_input(&mut self, now: Now) -> ControlFlow<Outcome> {
        let mut buffer = [0; READ_BYTES_MAX];
        let read = match self.device.read(&mut buffer) {
            Ok(0) => return Break(Outcome::HungUp),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Break(Outcome::HungUp),
        };
        if read > 0 {
            let inputs = self.decoder.feed(&buffer[..read], now.moment);
            self.handle(inputs, now);
        }
        Continue(())
    }

    /// Handles a sequence that did not end in time.
    fn expire_input(&mut self, now: Now) {
        let inputs = self.decoder.expire(now.moment);
        self.handle(inputs, now);
    }

    fn handle(&mut self, inputs: Vec<Input>, now: Now) {
        for input in inputs {
            match input {
                Input::Key(key, typed) => self.app.handle_key(key, typed, now),
                Input::Mouse(mouse) => self.app.handle_mouse(mouse),
                // A paste never becomes keys: its text must not run verbs.
                Input::Paste(text) => self.app.handle_paste(&text, now),
                Input::PasteStalled => self.app.paste_stalled(now),
            }
            self.pace.mark_changed();
        }
    }

    fn take_responses(&mut self, now: Now) -> ControlFlow<Outcome> {
        for _ in 0..OUTSTANDING_MAX {
            match self.link.response() {
                Ok(Some(response)) => {
                    match &response {
                        Response::Snapshot(snapshot) => self.pace.snapshot_received(snapshot),
                        _ => self.pace.request_soon(),
                    }
                    self.app.handle_response(response, now);
                }
                Ok(None) | Err(LinkError::Busy) => break,
                Err(LinkError::Ended) => return Break(Outcome::ServerEnded),
                Err(LinkError::Dismissed(error) | LinkError::Failed(error)) => {
                    return Break(Outcome::ServerFailed(error));
                }
            }
        }
        Continue(())
    }

    fn take_size(&mut self) {
        if self.terminal.update_size() {
            let size = self.terminal.size();
            self.app.resized(size.width, size.height);
            self.pace.mark_changed();
        }
    }

    /// Handles a panic of another thread, which has restored the terminal. If it was the server's, the link reports it
    /// soon.
    fn check_closed(&mut self, now: Moment) -> ControlFlow<Outcome> {
        if !self.device.is_closed() {
            return Continue(());
        }
        let closed_at = *self.closed_at.get_or_insert(now);
        if closed_at + PANIC_REASON_TIMEOUT > now {
            return Continue(());
        }
        Break(Outcome::Failed("another thread panicked".to_owned()))
    }

    /// Carries out effects, draws and requests.
    fn show(&mut self, now: Now) -> ControlFlow<Outcome> {
        let mut effects = self.app.take_effects();
        while !effects.is_empty() {
            for effect in effects {
                self.carry_out(effect, now)?;
            }
            // An effect can cause another: to quit and drain is a verb, which is a request.
            effects = self.app.take_effects();
        }
        if self.is_background {
            return Continue(());
        }
        self.terminal.flush().map_or_else(hung_up, Continue)?;
        if self.terminal.is_idle() && self.pace.may_draw(now.moment) {
            self.draw(now)?;
        }
        if self.terminal.is_idle() && self.app.has_unread_question() {
            // Input that is available now was typed before the question was visible.
            self.take_input(self.clock.now())?;
            self.app.frame_taken();
        }
        self.request_snapshot(now);
        Continue(())
    }

    fn carry_out(&mut self, effect: Effect, now: Now) -> ControlFlow<Outcome> {
        match effect {
            Effect::Copy { what, text } => {
                let size = count::counted(text.len() as u64, "byte", "bytes");
                // Whether the terminal uses it is unknown: many ignore it, and tmux passes it on only with
                // `set-clipboard on`.
                let message = format!("{what}, {size}: sent to the terminal's clipboard (OSC 52)");
                let sent = self.terminal.copy(&text).map(|()| message);
                self.app.notify(sent.map_err(|error| error.to_string()), now);
            }
            Effect::Quit(QuitChoice::Drain) => {
                if !std::mem::replace(&mut self.is_draining, true) {
                    self.app.drain_server();
                }
            }
            Effect::Quit(QuitChoice::Leave) => return Break(Outcome::Left),
            Effect::Redraw => self.terminal.redraw(),
            Effect::Request(request) => self.request(&request, now),
            Effect::Suspend => {
                if let Err(error) = job::stop_group() {
                    self.app.notify(Err(format!("not suspended: {error}")), now);
                }
            }
            Effect::SaveFile { name, contents } => self.app.notify(export::save(&name, &contents), now),
        }
        self.pace.mark_changed();
        Continue(())
    }

    fn request(&mut self, request: &Request, now: Now) {
        if let Err(error) = self.link.request(request.clone()) {
            self.app.request_refused(request, &error, now);
        }
    }

    fn draw(&mut self, now: Now) -> ControlFlow<Outcome> {
        let app = &mut self.app;
        let begun = self.clock.now().moment;
        self.terminal.draw(|frame| view::draw(frame, app, now)).map_or_else(hung_up, Continue)?;
        let spent = self.clock.now().moment - begun;
        self.app.frame_drawn();
        self.app.set_frame_time(u32::try_from(spent.as_micros()).unwrap_or(u32::MAX));
        self.pace.drawn(now.moment);
        Continue(())
    }

    fn request_snapshot(&mut self, now: Now) {
        let query = self.app.query();
        if !self.pace.may_request(now.moment, &query) {
            return;
        }
        match self.link.request(Request::Snapshot(query.clone())) {
            Ok(()) => self.pace.snapshot_requested(now.moment, query),
            // The end of the server is reported as a response.
            Err(_) => self.pace.request_refused(now.moment),
        }
    }
}

/// After any error the terminal is treated as hung up.
fn hung_up<T>(_why: io::Error) -> ControlFlow<Outcome, T> {
    Break(Outcome::HungUp)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use signal_hook::low_level::raise;

    use super::*;
    use crate::config::settings::Dashboard;
    use crate::link::local::{LocalLink, Mailbox, local};
    use crate::model::snapshot::Snapshot;
    use crate::term::pty::{DEADLINE, Pty};
    use crate::term::tty::LEAVE;

    fn app() -> App {
        App::new(&Dashboard::default(), true, Access::Own).expect("the default keys exist")
    }

    /// A link that wakes this poller, and the server's end of it with what wakes the server.
    fn connect(poller: &Poller) -> (LocalLink, Mailbox, Receiver<()>) {
        let (bell, woken) = channel();
        let waker = poller.waker();
        let ring = move || {
            // The receiver is gone at the end of a test.
            let _ = bell.send(());
        };
        let (link, mailbox) = local(ring, move || waker.notify());
        (link, mailbox, woken)
    }

    /// A dashboard on a thread of its own.
    struct Running {
        mailbox: Mailbox,
        woken: Receiver<()>,
        outcome: Receiver<Outcome>,
    }

    impl Running {
        fn start(pty: &Pty) -> Self {
            let poller = Poller::new().expect("poller");
            let (link, mailbox, woken) = connect(&poller);
            let outcome = Self::start_with(pty, poller, link);
            Self { mailbox, woken, outcome }
        }

        fn start_with(pty: &Pty, poller: Poller, link: impl Link + Send + 'static) -> Receiver<Outcome> {
            let fd = pty.open();
            let (tell, outcome) = channel();
            thread::spawn(move || {
                let terminal = Terminal::on(fd).expect("a terminal");
                let _ = tell.send(run(app(), link, &Clock::start(), terminal, poller));
            });
            outcome
        }

        /// Waits for the first request.
        fn wait_for_question(&mut self) {
            while self.mailbox.next().is_none() {
                self.woken.recv_timeout(DEADLINE).expect("a question");
            }
        }
    }

    fn ended(outcome: &Receiver<Outcome>) -> Outcome {
        outcome.recv_timeout(DEADLINE).expect("the end")
    }

    #[test]
    fn the_dashboard_ends_with_the_server_and_restores_the_terminal() {
        let pty = Pty::new(80, 24);
        let before = pty.modes();
        let mut running = Running::start(&pty);
        running.wait_for_question();
        assert_ne!(pty.modes().local_modes, before.local_modes);
        running.mailbox.end(LinkError::Ended);
        assert_eq!(ended(&running.outcome), Outcome::ServerEnded);
        assert_eq!(pty.modes().local_modes, before.local_modes);
        assert!(pty.read_through(LEAVE).ends_with(LEAVE));
    }

    #[test]
    fn a_failed_server_and_an_ended_server_have_different_outcomes() {
        let pty = Pty::new(80, 24);
        let running = Running::start(&pty);
        drop(running.mailbox);
        assert!(matches!(ended(&running.outcome), Outcome::ServerFailed(_)));
        pty.read_through(LEAVE);
    }

    #[test]
    fn a_hang_up_ends_the_dashboard() {
        let pty = Pty::new(80, 24);
        let mut running = Running::start(&pty);
        running.wait_for_question();
        pty.hang_up();
        assert_eq!(ended(&running.outcome), Outcome::HungUp);
        while running.mailbox.is_watched() {
            running.woken.recv_timeout(DEADLINE).expect("the server learns that the dashboard is gone");
            while running.mailbox.next().is_some() {}
        }
    }

    #[test]
    fn a_stalled_terminal_does_not_delay_the_end() {
        let pty = Pty::new(80, 24);
        let before = pty.modes();
        pty.fill();
        let running = Running::start(&pty);
        let clock = Clock::start();
        running.mailbox.end(LinkError::Ended);
        assert_eq!(ended(&running.outcome), Outcome::ServerEnded);
        let spent = Duration::from_micros(clock.now().moment.micros());
        assert!(spent < Duration::from_secs(3), "{spent:?}");
        assert_eq!(pty.modes().local_modes, before.local_modes);
    }

    #[test]
    fn half_a_key_does_not_delay_the_end() {
        let pty = Pty::new(80, 24);
        let mut running = Running::start(&pty);
        running.wait_for_question();
        pty.send(b"\x1b[1;");
        running.mailbox.end(LinkError::Ended);
        assert_eq!(ended(&running.outcome), Outcome::ServerEnded);
    }

    #[test]
    fn a_dashboard_that_panics_restores_the_terminal_and_reports_the_panic() {
        struct Broken;
        impl Link for Broken {
            fn request(&mut self, _: Request) -> Result<(), LinkError> {
                Ok(())
            }

            fn response(&mut self) -> Result<Option<Response>, LinkError> {
                panic!("this panic is part of a test");
            }
        }
        let pty = Pty::new(80, 24);
        let before = pty.modes();
        let outcome = Running::start_with(&pty, Poller::new().expect("poller"), Broken);
        assert_eq!(ended(&outcome), Outcome::Failed("this panic is part of a test".to_owned()));
        assert_eq!(pty.modes().local_modes, before.local_modes);
        pty.read_through(LEAVE);
    }

    #[test]
    fn a_resize_signal_redraws_also_at_the_old_size() {
        let pty = Pty::new(80, 24);
        let mut running = Running::start(&pty);
        running.wait_for_question();
        pty.read_through(b"\x1b[?2026l");
        let clock = Clock::start();
        raise(SIGWINCH).expect("raised");
        pty.read_through(b"\x1b[2J");
        let spent = Duration::from_micros(clock.now().moment.micros());
        assert!(spent < Duration::from_millis(500), "{spent:?}: by the next tick, not by the signal");
    }

    /// The turns in one second of a dashboard whose server answers every request.
    fn turns_a_second(pty: &Pty) -> usize {
        let poller = Poller::new().expect("poller");
        let (link, mut mailbox, _woken) = connect(&poller);
        let clock = Clock::start();
        let terminal = Terminal::on(pty.open()).expect("a terminal");
        let mut event_loop = EventLoop::new(app(), link, &clock, terminal, poller).expect("a desk");
        let mut turns = 0;
        while clock.now().moment.micros() < 2_000_000 {
            assert!(event_loop.turn().expect("a turn").is_continue());
            while mailbox.next().is_some() {
                mailbox.answer(Response::Snapshot(Box::<Snapshot>::default()));
            }
            // Signals are sent to the process: other tests raise some.
            let signalled = event_loop.events.iter().any(|ready| ready.key == SIGNALS);
            turns += usize::from(clock.now().moment.micros() >= 1_000_000 && !signalled);
        }
        turns
    }

    #[test]
    fn an_idle_dashboard_takes_few_turns() {
        let turns = turns_a_second(&Pty::new(80, 24));
        assert!((2..=6).contains(&turns), "{turns}");
    }

    #[test]
    fn a_dashboard_on_a_stalled_terminal_takes_few_turns() {
        let pty = Pty::new(80, 24);
        pty.fill();
        let turns = turns_a_second(&pty);
        assert!((1..=3).contains(&turns), "{turns}");
    }
}
