//! One turn of the loop.
//!
//! Order of a turn: wait, read the clock once, ingest (read, accept; again if the loop is busy), requests of onlookers,
//! deadlines, reconcile (close, write, FIN, interest), publish. Nobody is freed before reconcile, so nothing is
//! closed inside a broadcast. Whoever a turn has no time left for shows again: level-triggered events repeat, and what
//! stays dirty keeps the next wait from sleeping.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::accept::Renewal;
use super::drive::{self, Sockets};
use super::gauge::Gauge;
use super::ingest::{ReadingOrder, caught_signals};
use super::kernel;
use super::listener::Listener;
use super::reload::Configuration;
use super::server::Sink;
use super::table::Table;
use crate::clock::Clock;
use crate::config::settings::Config;
use crate::control::serve::Service;
use crate::engine::{CloseMode, Engine};
use crate::link::onlookers::Onlookers;
use crate::poller::{Events, Interest, Poller, Watched};
use crate::signals::Signals;
use crate::time::{Moment, Now};

/// Events taken in one turn.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not 0");
/// How long a busy loop looks for events before it sleeps, and the longest wait that leaves it busy: whoever was just
/// written to answers in no time, and to be woken costs both sides more.
const LOOK_FOR: Duration = Duration::from_micros(30);
/// After no longer a wait it is worth to gather: so much was there already that more will be.
const SHORT_WAIT: Duration = Duration::from_micros(15);
/// How long a busy loop goes on looking for more before it writes.
const GATHER_FOR: Duration = Duration::from_micros(50);
/// The least number of recipients for whom it does: each that shares a write saves one, and a look costs two.
const GATHER_AUDIENCE: usize = 32;
/// The longest wait: a loop that stood still for longer is found out by how late the wait ends.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Keys of what is no connection have this bit.
pub(super) const SPECIAL: usize = 1 << (usize::BITS - 1);
pub(super) const KEY_SIGNALS: usize = SPECIAL;
pub(super) const KEY_CONTROL: usize = SPECIAL | 1;
pub(super) const KEY_LISTENERS: usize = SPECIAL | 2;

/// How the loop came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Cleanly.
    Drained,
    /// At once, by a second signal.
    AtOnce,
    /// At once, by a signal of which the process is to die.
    Signal(i32),
}

/// The loop's state.
pub(super) struct Reactor {
    pub(super) engine: Engine,
    pub(super) poller: Poller,
    pub(super) listeners: Vec<Watched<Listener>>,
    pub(super) control: Option<Watched<Listener>>,
    pub(super) onlookers: Onlookers,
    /// The thread that has the operators' sockets; none without a control socket.
    pub(super) operators: Option<Service>,
    pub(super) configuration: Configuration,
    pub(super) clock: Clock,
    pub(super) signals: Signals,
    /// The signal of which the process is to die.
    pub(super) end_signal: Option<i32>,
    pub(super) renewal: Renewal,
    pub(super) stop_signals: usize,
    pub(super) sockets: Table,
    /// Connections whose sockets are looked at in this turn; kept for its memory.
    dirty: Vec<crate::id::Slot>,
    /// A descriptor held back, to accept and close with when there is no other.
    pub(super) reserve: Option<std::fs::File>,
    pub(super) accept_again: Option<Moment>,
    pub(super) reading: ReadingOrder,
    pub(super) gauge: Gauge,
    /// The length of the last turn.
    last_took: Duration,
    /// Whether it is of use to look for events before a wait sleeps.
    can_look: bool,
    /// Whether the last wait was over as good as at once.
    is_busy: bool,
    pub(super) logged: u64,
    pub(super) sink: Sink,
}

impl Reactor {
    pub(super) fn new(
        engine: Engine,
        poller: Poller,
        listeners: Vec<Listener>,
        control: Option<Listener>,
        clock: Clock,
        config: &Config,
    ) -> io::Result<Self> {
        let watched = listeners
            .into_iter()
            .enumerate()
            .map(|(index, listener)| watch(&poller, listener, KEY_LISTENERS + index))
            .collect::<io::Result<Vec<_>>>()?;
        let signals = Signals::watch(&poller, KEY_SIGNALS, caught_signals())?;
        let operators = match &control {
            Some(_) => Some(Service::start(clock.clone(), kernel::send_q)?),
            None => None,
        };
        Ok(Self {
            engine,
            listeners: watched,
            control: control.map(|control| watch(&poller, control, KEY_CONTROL)).transpose()?,
            onlookers: Onlookers::default(),
            operators,
            configuration: Configuration::new(config.clone()),
            sockets: Table::new(&config.keepalive, clock.clone()),
            clock,
            signals,
            end_signal: None,
            renewal: Renewal::default(),
            poller,
            stop_signals: 0,
            reserve: open_reserve(),
            accept_again: None,
            dirty: Vec::new(),
            reading: ReadingOrder::default(),
            gauge: Gauge::new(),
            last_took: Duration::ZERO,
            can_look: has_processors(),
            is_busy: false,
            logged: 0,
            sink: Box::new(|_| {}),
        })
    }

    /// Where records go from now on, beside the onlooker.
    pub(super) fn set_sink(&mut self, sink: Sink) {
        self.sink = sink;
    }

    /// Turns until the server has stopped.
    pub(super) fn run(&mut self) -> io::Result<Stop> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        // What was noted while starting is told now: the first wait may be long.
        self.publish();
        while !self.is_over() && self.stop_signals < 2 && self.end_signal.is_none() {
            self.turn(&mut events)?;
        }
        let is_clean = self.stop_signals < 2;
        self.close_all();
        Ok(match self.end_signal {
            Some(signal) => Stop::Signal(signal),
            None if is_clean => Stop::Drained,
            None => Stop::AtOnce,
        })
    }

    /// Whether the stop is over: nobody is left, operators included, or its time is up.
    fn is_over(&self) -> bool {
        let is_late = self.engine.stop_deadline().is_some_and(|end| end <= self.engine.now().moment);
        self.engine.is_stopped() && (is_late || self.onlookers.operator_count() == 0)
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let asked = self.clock.moment();
        let due = self.wait_until(asked);
        self.wait(events, asked, due)?;
        let now = self.clock.now();
        let late = now.moment.since(due);
        let waited = now.moment.since(asked);
        self.is_busy = waited <= LOOK_FOR;
        self.gauge.record_late(now.moment, late);
        self.engine.begin_turn(now);
        self.engine.loop_stood_still(late.max(self.last_took));
        self.sockets.time.begin(now.moment);
        self.ingest(events, now.moment);
        if waited <= SHORT_WAIT {
            self.gather(events, now.moment)?;
        }
        // Behind every wait of this turn, which may have taken in the bell that tells of mail.
        self.answer(now.moment);
        self.see_to_reload(now.moment);
        drive::handle_timeout(&mut self.engine, &self.sockets);
        self.reopen(now.moment);
        self.renew_files(now.moment);
        drive::reconcile(&mut self.engine, &mut self.sockets, &mut self.dirty);
        self.publish();
        self.last_took = self.clock.moment().since(now.moment);
        self.gauge.record(self.last_took);
        Ok(())
    }

    /// Waits for events, from `asked` on. A busy loop looks for them a while before it sleeps.
    fn wait(&self, events: &mut Events, asked: Moment, due: Moment) -> io::Result<()> {
        let may_look = self.can_look && self.is_busy && due > asked;
        while may_look && self.clock.moment().since(asked) < LOOK_FOR {
            // The bell of a link counts: it rings once, and would be slept upon.
            if self.poller.wait(events, Some(Duration::ZERO))? > 0 {
                return Ok(());
            }
        }
        self.poller.wait(events, Some(due.since(self.clock.moment()))).map(|_| ())
    }

    /// Takes in more before anything is written: a busy loop will be back at once, and each line that it finds now
    /// shares its recipients' writes with those that it has.
    fn gather(&mut self, events: &mut Events, start: Moment) -> io::Result<()> {
        while self.engine.waiting() >= GATHER_AUDIENCE && self.clock.moment().since(start) < GATHER_FOR {
            if self.poller.wait(events, Some(Duration::ZERO))? > 0 {
                self.ingest(events, start);
            }
        }
        Ok(())
    }

    /// When a wait that begins at `asked` has to end, if nothing happens before.
    fn wait_until(&mut self, asked: Moment) -> Moment {
        if self.engine.has_dirty() || self.onlookers.are_due(&self.engine) {
            return asked;
        }
        let own = [self.accept_again, self.configuration.poll_timeout(), self.engine.poll_timeout()];
        own.into_iter().flatten().fold(asked + WAIT_MAX, Moment::min)
    }

    /// The end: whoever is left is cut off.
    fn close_all(&mut self) {
        let now: Now = self.clock.now();
        self.engine.begin_turn(now);
        for slot in self.engine.slots().collect::<Vec<_>>() {
            self.sockets.close(slot, CloseMode::Reset);
            self.engine.handle_closed(slot);
        }
        self.publish();
    }
}

/// Adds a source to the poller.
fn watch<S: std::os::fd::AsFd + 'static>(poller: &Poller, source: S, key: usize) -> io::Result<Watched<S>> {
    poller.watch(source, key, Interest::READ).map_err(|(_, error)| error)
}

/// Whether there are several processors: with one, nobody can send while the loop looks. Where the system does not say
/// it, there is one. (That the process may run on one only does not matter.)
fn has_processors() -> bool {
    std::fs::read_to_string("/sys/devices/system/cpu/online").is_ok_and(|online| online.trim() != "0")
}

/// A descriptor to hold back.
pub(super) fn open_reserve() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}
