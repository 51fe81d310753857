//! The loop around the dashboard: waits for the terminal, the link, signals and time, and feeds [`App`].
//!
//! It owns the terminal and its end of the link, draws and asks at a measured pace, and does what the state
//! wants done. It decides nothing that a person sees.
//!
//! Invariants: nothing in a turn waits but the poller at its beginning. However it ends, the terminal is given back
//! before [`run`] returns, and the server is not touched.

use std::any::Any;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow::{self, Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::input::{Decoder, Input};
use super::job;
use super::pace::Pace;
use super::signals::Signals;
use super::terminal::Terminal;
use super::tty::Tty;
use super::units;
use super::{Access, App, Effect, QuitChoice, export, view};
use crate::clock::Clock;
use crate::link::local::OUTSTANDING_MAX;
use crate::link::{Link, LinkError, Request, Response};
use crate::poller::{Events, Interest, Poller, Watched};
use crate::time::{Moment, Now};

/// The most that is read from the terminal in one turn.
const READ_BYTES_MAX: usize = 4_096;

/// The terminal and the signals.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");

/// Keys in the poller.
const TERMINAL: usize = 0;
const SIGNALS: usize = 1;

/// How often a dashboard in the background looks whether it is in the foreground again.
const AWAY_INTERVAL: Duration = Duration::from_millis(200);

/// How long the reason of a panic elsewhere is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the dashboard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It broke, and why; the server is well.
    Broke(String),
    /// The terminal is gone.
    HungUp,
    /// The operator left the server running, or a signal ended the dashboard alone.
    Left,
    /// The server has ended.
    ServerEnded,
    /// The server died of a broken invariant.
    ServerFailed(String),
}

/// Shows the dashboard until it is left, or its terminal or the server is gone. `link` must wake `poller`.
pub fn run(app: App, link: impl Link, clock: &Clock, terminal: Terminal, poller: Poller) -> Outcome {
    // The state may be in pieces after a panic, but nothing looks at it any more.
    let turns = AssertUnwindSafe(move || -> io::Result<Outcome> {
        let mut desk = Desk::new(app, link, clock, terminal, poller)?;
        loop {
            if let Break(outcome) = desk.turn()? {
                return Ok(outcome);
            }
        }
    });
    match catch_unwind(turns) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => Outcome::Broke(why.to_string()),
        Err(panic) => Outcome::Broke(panic_message(panic.as_ref()).to_owned()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

/// The operator's place: the state and all it is connected with.
struct Desk<'a, L> {
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
    /// Continued in the background: the terminal is the shell's until this process is in the foreground again.
    is_away: bool,
    /// When a panic elsewhere was found to have taken the terminal.
    closed_at: Option<Moment>,
}

impl<'a, L: Link> Desk<'a, L> {
    fn new(mut app: App, link: L, clock: &'a Clock, terminal: Terminal, poller: Poller) -> io::Result<Self> {
        let signals = Signals::watch(&poller, SIGNALS, app.access != Access::Own)?;
        let device = Arc::clone(terminal.tty());
        let device = poller.watch(device, TERMINAL, Interest::BOTH).map_err(|(_, why)| why)?;
        let size = terminal.size();
        app.resized(size.width, size.height);
        let mut pace = Pace::default();
        pace.change();
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
            is_away: false,
            closed_at: None,
        })
    }

    /// One pass: wait, take what came, do what is wanted, show it. Fails only when it cannot even wait.
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
        // Reading in the background would stop the process (SIGTTIN), and a server with it.
        let wanted = if self.is_away { Interest::NONE } else { Interest { read: true, write } };
        self.device.set_interest(wanted)?;
        Ok(ended)
    }

    fn timeout(&self, now: Moment) -> Duration {
        let until_frame = self.pace.sleep(now, self.terminal.is_idle());
        let until_frame = if self.is_away { until_frame.min(AWAY_INTERVAL) } else { until_frame };
        self.decoder.deadline().map_or(until_frame, |deadline| until_frame.min(deadline - now))
    }

    /// Everything that came in.
    fn take_all(&mut self, now: Now) -> ControlFlow<Outcome> {
        self.take_events(now)?;
        if self.is_away {
            self.come_back()?;
        }
        self.take_silence(now);
        self.take_responses(now)?;
        self.take_size();
        if self.app.tick(now) {
            self.pace.change();
        }
        self.take_close(now.moment)
    }

    fn take_events(&mut self, now: Now) -> ControlFlow<Outcome> {
        let mut signalled = false;
        let mut readable = false;
        for ready in self.events.iter() {
            match ready.key {
                // Nothing that was typed before is worth more than knowing that nobody is there.
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
        let taken = self.signals.take();
        if taken.end {
            return Break(Outcome::Left);
        }
        if let Some(signal) = taken.fatal {
            self.terminal.tty().close();
            Signals::die_of(signal);
            return Break(Outcome::Left);
        }
        if taken.stop {
            let pid = std::process::id();
            let words = if job::is_without_shell() {
                format!("chatops: stopped; no shell here can continue it, but `kill -CONT {pid}` does\r\n")
            } else {
                String::new()
            };
            self.terminal.suspend(&words);
            // Refused only for signals that cannot be caught; then the dashboard just goes on.
            let _ = Signals::stop_here();
        }
        if taken.resized {
            // Even if the size is the same again: the terminal cut off what did not fit in between.
            self.terminal.redraw();
            self.pace.change();
        }
        if taken.stop || taken.continued {
            self.app.screen_lost();
            self.come_back()?;
        }
        Continue(())
    }

    /// Takes the terminal again if this process is in the foreground. Shells do not say when they bring a job there
    /// that already runs, so this is asked again and again.
    fn come_back(&mut self) -> ControlFlow<Outcome> {
        self.is_away = !self.device.is_foreground();
        if self.is_away {
            return Continue(());
        }
        match self.terminal.resume() {
            Ok(()) => self.pace.change(),
            Err(_) if !self.device.is_foreground() => self.is_away = true,
            Err(why) => return gone(why),
        }
        Continue(())
    }

    fn take_input(&mut self, now: Now) -> ControlFlow<Outcome> {
        let mut buffer = [0; READ_BYTES_MAX];
        let read = match self.device.read(&mut buffer) {
            Ok(0) => return Break(Outcome::HungUp),
            Ok(read) => read,
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Break(Outcome::HungUp),
        };
        if read > 0 {
            let inputs = self.decoder.feed(&buffer[..read], now.moment);
            self.handle(inputs, now);
        }
        Continue(())
    }

    /// A sequence that was begun and not ended in time.
    fn take_silence(&mut self, now: Now) {
        let inputs = self.decoder.expire(now.moment);
        self.handle(inputs, now);
    }

    fn handle(&mut self, inputs: Vec<Input>, now: Now) {
        for input in inputs {
            match input {
                Input::Key(key, typed) => self.app.handle_key(key, typed, now),
                Input::Mouse(mouse) => self.app.handle_mouse(mouse, now),
                // Never as keys: what somebody copied somewhere must not kick anybody.
                Input::Paste(text) => self.app.handle_paste(&text, now),
                Input::PasteStalled => self.app.paste_stalled(now),
            }
            self.pace.change();
        }
    }

    fn take_responses(&mut self, now: Now) -> ControlFlow<Outcome> {
        for _ in 0..OUTSTANDING_MAX {
            match self.link.response() {
                Ok(Some(response)) => {
                    match &response {
                        Response::Snapshot(snapshot) => self.pace.answered(snapshot),
                        _ => self.pace.hurry(),
                    }
                    self.app.handle_response(response, now);
                }
                Ok(None) | Err(LinkError::Busy) => break,
                Err(LinkError::Ended) => return Break(Outcome::ServerEnded),
                Err(LinkError::Dismissed(why) | LinkError::Failed(why)) => {
                    return Break(Outcome::ServerFailed(why));
                }
            }
        }
        Continue(())
    }

    fn take_size(&mut self) {
        if self.terminal.update_size() {
            let size = self.terminal.size();
            self.app.resized(size.width, size.height);
            self.pace.change();
        }
    }

    /// A panic in another thread has given the terminal back. If it was the server's, the link says so in a moment.
    fn take_close(&mut self, now: Moment) -> ControlFlow<Outcome> {
        if !self.device.is_closed() {
            return Continue(());
        }
        let closed_at = *self.closed_at.get_or_insert(now);
        if closed_at + LAST_WORDS > now {
            return Continue(());
        }
        Break(Outcome::Broke("another thread panicked".to_owned()))
    }

    /// Everything that goes out.
    fn show(&mut self, now: Now) -> ControlFlow<Outcome> {
        let mut effects = self.app.take_effects();
        while !effects.is_empty() {
            for effect in effects {
                self.carry_out(effect, now)?;
            }
            // To quit and drain is a verb, which is a request.
            effects = self.app.take_effects();
        }
        if self.is_away {
            return Continue(());
        }
        self.terminal.flush().map_or_else(gone, Continue)?;
        if self.terminal.is_idle() && self.pace.may_draw(now.moment) {
            self.draw(now)?;
        }
        if self.terminal.is_idle() && self.app.asks_unseen() {
            // What is there by now was typed before the question could be read.
            self.take_input(self.clock.now())?;
            self.app.frame_taken();
        }
        self.ask(now);
        Continue(())
    }

    fn carry_out(&mut self, effect: Effect, now: Now) -> ControlFlow<Outcome> {
        match effect {
            Effect::Copy { what, text } => {
                let size = units::counted(text.len() as u64, "byte", "bytes");
                // Whether the terminal does anything with it is not known: many ignore it, and tmux passes it on only
                // with `set-clipboard on`.
                let told = format!("{what}, {size}: sent to the terminal's clipboard (OSC 52)");
                let sent = self.terminal.copy(&text).map(|()| told);
                self.app.tell(sent.map_err(|why| why.to_string()), now);
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
                if let Err(why) = job::stop() {
                    self.app.tell(Err(format!("not suspended: {why}")), now);
                }
            }
            Effect::SaveFile { name, contents } => self.app.tell(export::save(&name, &contents), now),
        }
        self.pace.change();
        Continue(())
    }

    fn request(&mut self, request: &Request, now: Now) {
        if let Err(why) = self.link.request(request.clone()) {
            self.app.request_refused(request, &why, now);
        }
    }

    fn draw(&mut self, now: Now) -> ControlFlow<Outcome> {
        let app = &mut self.app;
        let begun = self.clock.now().moment;
        self.terminal.draw(|frame| view::draw(frame, app, now)).map_or_else(gone, Continue)?;
        let spent = self.clock.now().moment - begun;
        self.app.frame_drawn();
        self.app.set_frame_time(u32::try_from(spent.as_micros()).unwrap_or(u32::MAX));
        self.pace.drawn(now.moment);
        Continue(())
    }

    fn ask(&mut self, now: Now) {
        let query = self.app.query();
        if !self.pace.may_ask(now.moment, &query) {
            return;
        }
        match self.link.request(Request::Snapshot(query.clone())) {
            Ok(()) => self.pace.asked(now.moment, query),
            // A server that has ended says so as a response.
            Err(_) => self.pace.refused(now.moment),
        }
    }
}

/// Whatever goes wrong with a terminal, it is of no more use.
fn gone<T>(_why: io::Error) -> ControlFlow<Outcome, T> {
    Break(Outcome::HungUp)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use signal_hook::consts::SIGWINCH;
    use signal_hook::low_level::raise;

    use super::*;
    use crate::config::settings::Dashboard;
    use crate::dash::pty::{DEADLINE, Pty};
    use crate::dash::tty::LEAVE;
    use crate::link::local::{LocalLink, Mailbox, local};
    use crate::model::snapshot::Snapshot;

    fn app() -> App {
        App::new(&Dashboard::default(), true, Access::Own).expect("the default keys exist")
    }

    /// A link that wakes this poller, and the server's end of it with what wakes the server.
    fn connect(poller: &Poller) -> (LocalLink, Mailbox, Receiver<()>) {
        let (bell, woken) = channel();
        let waker = poller.waker();
        let ring = move || {
            // Nobody listens any more at the end of a test.
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

        /// Waits until the dashboard is up and has asked.
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
    fn the_end_of_the_server_ends_it_and_the_terminal_is_back() {
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
    fn a_server_that_fails_is_told_from_one_that_ends() {
        let pty = Pty::new(80, 24);
        let running = Running::start(&pty);
        drop(running.mailbox);
        assert!(matches!(ended(&running.outcome), Outcome::ServerFailed(_)));
        pty.read_through(LEAVE);
    }

    #[test]
    fn a_hang_up_ends_it() {
        let pty = Pty::new(80, 24);
        let mut running = Running::start(&pty);
        running.wait_for_question();
        pty.hang_up();
        assert_eq!(ended(&running.outcome), Outcome::HungUp);
        while running.mailbox.is_watched() {
            running.woken.recv_timeout(DEADLINE).expect("the server is told that nobody watches");
            while running.mailbox.next().is_some() {}
        }
    }

    #[test]
    fn a_stalled_terminal_holds_nothing_up() {
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
    fn half_a_key_holds_nothing_up() {
        let pty = Pty::new(80, 24);
        let mut running = Running::start(&pty);
        running.wait_for_question();
        pty.send(b"\x1b[1;");
        running.mailbox.end(LinkError::Ended);
        assert_eq!(ended(&running.outcome), Outcome::ServerEnded);
    }

    #[test]
    fn a_dashboard_that_panics_gives_the_terminal_back_and_says_why() {
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
        assert_eq!(ended(&outcome), Outcome::Broke("this panic is part of a test".to_owned()));
        assert_eq!(pty.modes().local_modes, before.local_modes);
        pty.read_through(LEAVE);
    }

    #[test]
    fn a_new_size_is_drawn_when_its_signal_comes_even_if_the_old_is_back() {
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

    /// How many turns a dashboard takes in a second, once it is up, with a server that answers all it is asked.
    fn turns_a_second(pty: &Pty) -> usize {
        let poller = Poller::new().expect("poller");
        let (link, mut mailbox, _woken) = connect(&poller);
        let clock = Clock::start();
        let terminal = Terminal::on(pty.open()).expect("a terminal");
        let mut desk = Desk::new(app(), link, &clock, terminal, poller).expect("a desk");
        let mut turns = 0;
        while clock.now().moment.micros() < 2_000_000 {
            assert!(desk.turn().expect("a turn").is_continue());
            while mailbox.next().is_some() {
                mailbox.answer(Response::Snapshot(Box::<Snapshot>::default()));
            }
            // Signals are the whole process's: other tests raise some.
            let signalled = desk.events.iter().any(|ready| ready.key == SIGNALS);
            turns += usize::from(clock.now().moment.micros() >= 1_000_000 && !signalled);
        }
        turns
    }

    #[test]
    fn nothing_to_do_costs_next_to_nothing() {
        let turns = turns_a_second(&Pty::new(80, 24));
        assert!((2..=6).contains(&turns), "{turns}");
    }

    #[test]
    fn a_stalled_terminal_costs_next_to_nothing() {
        let pty = Pty::new(80, 24);
        pty.fill();
        let turns = turns_a_second(&pty);
        assert!((1..=3).contains(&turns), "{turns}");
    }
}
