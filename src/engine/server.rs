//! The engine itself: what it consists of, how a turn begins, and when it wants the next one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::admission::{Admission, since_last_told};
use super::bans::Bans;
use super::close::Closed;
use super::connections::Connections;
use super::deadlines::{Deadline, Deadlines};
use super::journal::JOURNAL_MAX;
use super::services::Services;
use super::throttle::Throttle;
use crate::chat::{Hub, Nick, RoomName, Rules};
use crate::config::settings::{Config, LogLevel};
use crate::id::Slot;
use crate::model::event::{self, EventKind};
use crate::time::{Moment, Now};
use crate::wire::text::scrub;

/// A standstill of the loop that an operator is to know of.
const LATE_NOTED: Duration = Duration::from_secs(1);
/// The whole server without its I/O.
///
/// A caller owns the sockets and the clock. In each turn it calls, in this order: [`Engine::begin_turn`] with the time;
/// [`Engine::accepted`] and the `handle_*` methods for everything that happened; [`Engine::handle_timeout`]; then, until
/// [`Engine::take_dirty`] returns nothing, what [`Engine::wants`] and [`Engine::close_mode`] say of each dirty connection;
/// and [`Engine::end_turn`]. The next turn is due at [`Engine::poll_timeout`], or at once if [`Engine::has_dirty`].
/// [`crate::net::drive`] does the part between. Getters may be called at any time; verbs ([`Engine::handle_operator`])
/// between `begin_turn` and `handle_timeout`.
#[derive(Debug)]
pub struct Engine {
    pub(super) hub: Hub,
    pub(super) conns: Connections,
    pub(super) admission: Admission,
    pub(super) bans: Bans,
    pub(super) deadlines: Deadlines,
    pub(super) closed: Closed,
    pub(super) services: Services,
    /// As printed at the start, by the number that connections know.
    pub(super) listeners: Arc<[String]>,
    pub(super) name: String,
    pub(super) drain: Duration,
    /// The end of the clean stop under way.
    pub(super) stopping: Option<Moment>,
    /// Lines and bytes a second.
    pub(super) flood_rates: (u32, u64),
    /// Reads cut short because too much is unparsed.
    pub(super) full_inboxes: Throttle,
    /// Turns that began or ended late.
    pub(super) standstills: Throttle,
    /// Whether the last turn had no time left for some connections.
    pub(super) is_behind: bool,
    /// Connections whose patience has to be judged.
    pub(super) impatient: Vec<Slot>,
    /// The message under way; kept for its memory.
    pub(super) text: String,
    /// What a telnet client sent, without its commands; kept for its memory.
    pub(super) telnet_text: Vec<u8>,
}

impl Engine {
    /// A server with nobody in it.
    #[must_use]
    pub fn new(config: &Config, now: Now) -> Self {
        let mut engine = Self {
            hub: Hub::new(rules(config)),
            conns: Connections::new(config, now),
            admission: Admission::new(config),
            bans: Bans::new(config.limits.bans as usize),
            deadlines: Deadlines::default(),
            closed: Closed::default(),
            services: Services::default(),
            listeners: Arc::new([]),
            name: String::new(),
            drain: Duration::ZERO,
            stopping: None,
            flood_rates: (0, 0),
            full_inboxes: Throttle::default(),
            standstills: Throttle::default(),
            is_behind: false,
            impatient: Vec::new(),
            text: String::new(),
            telnet_text: Vec::new(),
        };
        engine.set_own(config);
        engine
    }

    /// What stands in the engine itself.
    pub(super) fn set_own(&mut self, config: &Config) {
        self.name = scrub(config.server.name.as_bytes()).text.into_owned();
        self.drain = config.server.drain;
        self.flood_rates = (config.flood.lines_per_second, config.flood.bytes_per_second.0);
    }

    /// The moment of the turn.
    #[must_use]
    pub const fn now(&self) -> Now {
        self.conns.now
    }

    /// The listeners as they are printed, in the order of the numbers given to [`Engine::accepted`].
    pub fn set_listeners(&mut self, listeners: Vec<String>) {
        self.listeners = listeners.into();
    }

    /// Everything until the next call happens at `now`.
    ///
    /// Connections that were held back in the last turn are parsed first, and those of them that get nothing in this
    /// one are first in the next. While the loop is behind with its writes, what is said counts on and no client is
    /// parsed: no outbox fills up because the server is slow.
    pub fn begin_turn(&mut self, now: Now) {
        self.conns.now = now;
        self.conns.begin_turn(self.is_behind);
        let mut waiting = std::mem::take(&mut self.conns.deferred);
        waiting.retain(|conn| self.conns.is_deferred(*conn));
        let mut still_waiting = Vec::new();
        for (slot, id) in waiting {
            if self.is_behind {
                still_waiting.push((slot, id));
                continue;
            }
            let before = self.conns.work;
            if let Some(conn) = self.conns.get_mut(slot) {
                conn.deferred = false;
            }
            self.parse(slot, &[]);
            self.conns.touch(slot);
            if self.conns.work == before {
                still_waiting.extend(self.conns.deferred.pop_if(|last| *last == (slot, id)));
            }
        }
        still_waiting.append(&mut self.conns.deferred);
        self.conns.deferred = still_waiting;
        self.take_replies();
    }

    /// Whether this turn has work left for a request of an operator.
    #[must_use]
    pub const fn takes_requests(&self) -> bool {
        !self.conns.budget.is_used_up_by_operators()
    }

    /// When [`Engine::handle_timeout`] is wanted next.
    pub fn poll_timeout(&mut self) -> Option<Moment> {
        self.set_deadlines();
        self.deadlines.next()
    }

    /// Sets the deadlines of the server as a whole by what its parts want now.
    pub(super) fn set_deadlines(&mut self) {
        let of_server = [
            (Deadline::FlushPresence, self.conns.flush_at),
            (Deadline::LetIn, self.admission.ledger.next()),
            (Deadline::Reply, self.services.next()),
            (Deadline::Stop, self.stopping),
            (Deadline::Summary, self.hub.poll_timeout()),
            (Deadline::Unban, self.bans.next()),
            (Deadline::Unmute, self.hub.next_mute_end()),
        ];
        for (deadline, at) in of_server {
            self.deadlines.set(deadline, at);
        }
    }

    /// The turn's work on `slot` is done: its next deadline is noted.
    pub fn arm(&mut self, slot: Slot) {
        if let Some(conn) = self.conns.get(slot) {
            self.deadlines.arm(slot, conn.session.poll_timeout());
        }
    }

    /// Events after sequence number `seq`, oldest first. For those that are there no longer a
    /// [`EventKind::Missed`] stands before the rest.
    pub fn events_after(&self, seq: u64) -> impl Iterator<Item = Cow<'_, event::Event>> {
        self.conns.journal.after(seq, JOURNAL_MAX)
    }

    /// Notes something about the server as a whole.
    pub fn note(&mut self, level: LogLevel, text: String) {
        self.conns.journal.add(self.conns.now, EventKind::Server { level, text, by_clients: false });
    }

    /// Notes a warning that clients can cause as often as they like.
    pub(super) fn note_caused_by_clients(&mut self, text: String) {
        let event = EventKind::Server { level: LogLevel::Warn, text, by_clients: true };
        self.conns.journal.add(self.conns.now, event);
    }

    /// The loop stood still for so long; it is noted above `LATE_NOTED`, at a limited rate.
    pub fn loop_stood_still(&mut self, time: Duration) {
        if time < LATE_NOTED {
            return;
        }
        if let Some(others) = self.standstills.happened(self.conns.now.moment) {
            let since = since_last_told(others);
            let seconds = time.as_secs_f64();
            let text = format!(
                "the server stood still for {seconds:.1} s: the process was stopped, or the machine was busy{since}"
            );
            self.note(LogLevel::Warn, text);
        }
    }

    /// Clients let in and messages received so far.
    #[must_use]
    pub const fn served(&self) -> (u64, u64) {
        (self.conns.totals.accepted - self.conns.totals.refused, self.conns.totals.lines_in)
    }

    /// The slots of all connections.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.conns.slab.iter().map(|(index, _)| Slot::at(index))
    }

    /// The name of a connection, or the one under which it has left.
    pub(super) fn nick(&self, slot: Slot) -> Option<Nick> {
        let left_as = || self.conns.get(slot)?.left_as.as_deref().copied();
        self.hub.person(slot).map(|person| *person.nick()).or_else(left_as)
    }
}

/// What chat needs of the configuration.
pub(super) fn rules(config: &Config) -> Rules {
    Rules {
        server_name: scrub(config.server.name.as_bytes()).text.into_owned(),
        motd: config.server.motd.lines().map(|line| scrub(line.as_bytes()).text.into_owned()).collect(),
        lobby: RoomName::parse(&config.rooms.lobby).expect("a Config that exists is legal"),
        rooms_max: config.limits.rooms,
        rooms_per_client: config.limits.rooms_per_client,
        ignores_per_client: config.limits.ignores_per_client,
        mutes_max: config.limits.mutes,
        presence_max: config.rooms.presence_max,
    }
}
