//! The engine on a stage: a virtual clock instead of the real one, and for every client a fake kernel and a peer
//! behind it. Nothing here waits, and the same acts give the same run.
//!
//! [`World::turn`] is the reactor's, step for step:
//!
//! 1. `begin_turn(now)`: all that follows happens at one moment.
//! 2. The operator's verbs (`handle_operator`) and newcomers (`accepted`, `Onlookers::admit`); here
//!    [`World::operator`] and [`World::connect`] do that, between two turns. Those who arrive by
//!    [`World::arrive_on`] wait to be accepted, and find no descriptor left if the test says so.
//! 3. For every connection that the poller calls ready: a writable event on a blocked socket ends the blocking
//!    and `touch`es it; if it `wants.read`, or is broken whatever it wants, `receive`.
//! 4. `Onlookers::serve()`: requests of operators. `handle_timeout()`: deadlines that have passed.
//! 5. `reconcile()`: sockets are closed, written to, finished, looked at and watched, all of it through [`Kernels`].
//!    Operators take and write their answers.
//!
//! The next turn begins at once while `has_dirty`, else with the next event or at `poll_timeout()`.
//!
//! After every turn the counts are checked, and when all is quiet, that no connection wants anything more.

mod arrivals;
mod kernels;
mod operators;
mod peer;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chatops::config::settings::Config;
use chatops::engine::{Accepted, AuditCounts, CloseMode, Engine};
use chatops::id::{ConnId, Slot};
use chatops::link::onlookers::Machine;
use chatops::model::event::EventKind;
use chatops::model::snapshot::{self, AcceptQueue, Flags, Kernel, Query, Row, Snapshot, Status};
use chatops::net::drive;
use chatops::time::{Moment, Now, WallTime, parse_span};

use arrivals::Arrivals;
use kernels::Kernels;
pub(crate) use operators::Operators;
pub(crate) use peer::{Peer, Window};

/// Turns at one moment in which no byte moves and no client comes or goes; more of them are a busy loop.
const IDLE_TURNS_MAX: u32 = 8;
/// More than any answer to one line takes: 100 lines of 400 bytes.
const ANSWER_MAX: usize = 48 * 1024;
/// The budget of a turn and the quarter for operators; one message of each may go beyond it, and people who leave are
/// announced whatever was done.
const TURN_WORK_MAX: u64 = 200_000;
/// The time at which every test begins.
const NOON: WallTime = WallTime { unix_ms: 1_700_000_000_000, hour: 12, minute: 34, second: 0 };

/// One client of a test: never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client(pub(crate) usize);

/// A machine on which everything has the same numbers.
struct FakeMachine;

impl Machine for FakeMachine {
    fn kernel(&self, _: Slot) -> Option<Kernel> {
        let tcp = snapshot::TcpInfo { rtt_us: 250, ..snapshot::TcpInfo::default() };
        Some(Kernel { recv_q: 3, send_q: 5, tcp: Some(tcp) })
    }

    fn complete(&self, status: &mut Status) {
        status.pid = 42;
        status.fds = Some(7);
        status.fds_limit = Some(1024);
        status.rss_bytes = Some(9_000_000);
        status.accept_queues = vec![Some(AcceptQueue { length: 3, limit: 1_024 })];
    }
}

/// The server, its clients and its operators.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) operators: Operators,
    pub(crate) peers: Vec<Peer>,
    /// In which order peers are read; by number if a test says nothing else.
    pub(crate) reading_order: Vec<usize>,
    /// How many one turn has the time to write to.
    pub(crate) served_a_turn: usize,
    by_slot: BTreeMap<Slot, usize>,
    dirty: Vec<Slot>,
    arrivals: Arrivals,
    next_id: ConnId,
    moment: Moment,
    /// By how much the wall clock was set forward; back, if it is negative.
    pub(crate) wall_ahead_s: i64,
    /// The number of the last record taken over, and the events that the test has not taken yet.
    seen: u64,
    events: Vec<EventKind>,
    outbox_limit: Option<usize>,
    /// The most that an answer to one line takes, and a line of the room that was begun: by so much an outbox may
    /// be over its limit.
    pub(crate) answer_max: usize,
    /// Whether something moved in the last turn.
    moved: bool,
    /// Bytes in all outboxes at the end of the last turn, and those of all that were not parsed.
    held_bytes: (usize, usize),
    idle_turns: u32,
}

impl World {
    /// A server as it comes.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A server configured otherwise.
    pub(crate) fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        configure(&mut config);
        let skips = config.limits.on_full == chatops::config::settings::OnFull::Skip;
        let moment = Moment::START + Duration::from_secs(10);
        Self {
            engine: Engine::new(&config, now_at(moment, 0)),
            operators: Operators::new(config.limits.stall),
            peers: Vec::new(),
            reading_order: Vec::new(),
            served_a_turn: usize::MAX,
            by_slot: BTreeMap::new(),
            dirty: Vec::new(),
            arrivals: Arrivals::new(&config),
            next_id: ConnId::FIRST,
            moment,
            wall_ahead_s: 0,
            seen: 0,
            events: Vec::new(),
            answer_max: ANSWER_MAX,
            outbox_limit: skips.then(|| config.limits.outbox_bytes.bytes()),
            moved: false,
            held_bytes: (0, 0),
            idle_turns: 0,
        }
    }

    /// Somebody connects, from this machine.
    pub(crate) fn connect(&mut self) -> Client {
        self.connect_from("127.0.0.1:50000")
    }

    /// Somebody connects from an address, `unix` for a Unix socket.
    pub(crate) fn connect_from(&mut self, address: &str) -> Client {
        self.connect_on(0, address)
    }

    /// Somebody connects from an address to the listener with this number.
    pub(crate) fn connect_on(&mut self, listener: u16, address: &str) -> Client {
        self.engine.begin_turn(self.now());
        let client = self.appear();
        if !self.engine.is_closed_to_newcomers() {
            self.admit(client, listener, peer_at(address));
        }
        client
    }

    /// Somebody connects to the control socket.
    pub(crate) fn connect_operator(&mut self) -> Client {
        self.engine.begin_turn(self.now());
        let client = self.appear();
        self.admit_operator(client);
        client
    }

    /// One more peer, of whom the server knows nothing yet.
    fn appear(&mut self) -> Client {
        let number = self.peers.len();
        self.peers.push(Peer::new());
        self.reading_order.push(number);
        Client(number)
    }

    fn admit(&mut self, client: Client, listener: u16, from: snapshot::Peer) {
        if let Accepted::In(slot) = self.engine.accepted(listener, from) {
            let id = self.next_id;
            self.next_id = id.next();
            self.seat(client, slot, id);
        }
    }

    fn seat(&mut self, client: Client, slot: Slot, id: ConnId) {
        self.peer(client).admitted(slot, id);
        assert!(self.by_slot.insert(slot, client.0).is_none(), "{slot:?} is given twice");
    }

    /// These people are here, and have read everything so far.
    pub(crate) fn people<const N: usize>(&mut self, nicks: [&str; N]) -> [Client; N] {
        let people = nicks.map(|nick| {
            let client = self.connect();
            self.says(client, &format!("/nick {nick}"));
            self.run();
            client
        });
        // A silent newcomer is announced after this time.
        self.pass("2s");
        self.everybody_has_read();
        // The session keeps some times in tenths of a second: the test begins on a full one.
        let tenths = self.moment.micros().div_ceil(100_000);
        self.jump_to(Moment::from_micros(tenths * 100_000));
        people
    }

    /// Drops what all clients have received so far.
    pub(crate) fn everybody_has_read(&mut self) {
        self.run();
        for peer in &mut self.peers {
            peer.received.clear();
        }
    }

    pub(crate) fn peer(&mut self, client: Client) -> &mut Peer {
        &mut self.peers[client.0]
    }

    /// A client types a line. It gets to the server with the next turn.
    pub(crate) fn says(&mut self, client: Client, line: &str) {
        self.sends(client, format!("{line}\n").as_bytes());
    }

    /// A client sends bytes as they are.
    pub(crate) fn sends(&mut self, client: Client, bytes: &[u8]) {
        self.peer(client).inbound.extend(bytes);
    }

    /// A client sends FIN behind what it has sent, and reads on.
    pub(crate) fn finishes(&mut self, client: Client) {
        self.peer(client).fin = true;
    }

    /// All that happens, has happened; then a client has read exactly these lines since it last read.
    #[track_caller]
    pub(crate) fn reads<'a>(&mut self, client: Client, expected: impl AsRef<[&'a str]>) {
        let lines = self.lines(client);
        let expected = expected.as_ref();
        assert!(
            lines == expected,
            "client {} read:\n    {}\ninstead of:\n    {}",
            client.0,
            lines.join("\n    "),
            expected.join("\n    ")
        );
    }

    /// All that happens, has happened; then these are the lines that a client has read since it last read.
    #[track_caller]
    pub(crate) fn lines(&mut self, client: Client) -> Vec<String> {
        self.run();
        self.peer(client).take_lines()
    }

    /// All that happens, has happened; then these are the bytes that a client has read since it last read.
    pub(crate) fn bytes(&mut self, client: Client) -> Vec<u8> {
        self.run();
        self.bytes_so_far(client)
    }

    /// Everything that a client has received since this was last asked, without waiting for more.
    pub(crate) fn bytes_so_far(&mut self, client: Client) -> Vec<u8> {
        std::mem::take(&mut self.peer(client).received)
    }

    /// The operator asks for something, in a turn in which nothing else happens.
    pub(crate) fn operator(&mut self, verb: &str) -> Result<String, String> {
        self.engine.begin_turn(self.now());
        let outcome = self.engine.handle_operator(&verb.parse().unwrap());
        self.reconcile();
        self.note_events();
        outcome.map(|done| done.message)
    }

    /// The clock's reading.
    pub(crate) fn now(&self) -> Now {
        now_at(self.moment, self.wall_ahead_s)
    }

    /// Time passes; whatever falls due in it happens at its moment.
    pub(crate) fn pass(&mut self, span: &str) {
        let end = self.moment + parse_span(span).unwrap();
        self.run();
        while let Some(due) = self.next_deadline().filter(|due| *due <= end) {
            self.jump_to(due);
            self.run();
        }
        // Lines that wait for company may have taken it a little further.
        self.jump_to(end.max(self.moment));
        self.run();
    }

    /// When the reactor's wait would end although nothing happened. A server that has stopped waits no more.
    fn next_deadline(&mut self) -> Option<Moment> {
        let all = [self.engine.poll_timeout(), self.arrivals.again(), self.operators.poll_timeout()];
        all.into_iter().flatten().min().filter(|_| !self.is_stopped())
    }

    /// The clock moves on, and nothing else happens.
    pub(crate) fn jump_to(&mut self, moment: Moment) {
        assert!(moment >= self.moment, "the clock never goes back");
        if moment > self.moment {
            self.idle_turns = 0;
        }
        self.moment = moment;
    }

    /// Turns until nothing more happens at this moment, or by itself in the next: lines that wait for company are
    /// waited for.
    pub(crate) fn run(&mut self) {
        self.run_now();
        while let Some(due) = self.next_deadline().filter(|_| self.audit_counts().delayed > 0) {
            self.jump_to(due);
            self.run_now();
        }
        self.check_quiet();
    }

    fn run_now(&mut self) {
        while self.has_work() {
            self.turn();
        }
    }

    /// Every peer whose window is open reads what there is for it.
    pub(crate) fn peers_read(&mut self) {
        for peer in &mut self.peers {
            self.moved |= peer.read();
        }
    }

    /// Whether the reactor's wait would not sleep.
    pub(crate) fn has_work(&mut self) -> bool {
        self.peers_read();
        self.engine.has_dirty()
            || self.operators.have_work(&self.engine)
            || self.next_deadline().is_some_and(|due| due <= self.moment)
            || self.can_accept()
            || self.peers.iter().any(Peer::is_ready)
    }

    /// One turn in which the poller reports these peers alone, in this order.
    pub(crate) fn turn_with(&mut self, order: Vec<usize>) {
        let all = std::mem::replace(&mut self.reading_order, order);
        self.idle_turns = 0;
        self.turn();
        self.reading_order = all;
    }

    /// The end of the loop: the remaining clients are cut off.
    pub(crate) fn close_all(&mut self) {
        self.engine.begin_turn(self.now());
        for slot in self.engine.slots().collect::<Vec<_>>() {
            if let Some(number) = self.by_slot.remove(&slot) {
                self.peers[number].close(CloseMode::Reset);
            }
            self.engine.handle_closed(slot);
        }
        self.operators.close_all(&mut self.peers, self.moment);
        self.reconcile();
        self.check_quiet();
    }

    /// One turn of the loop; see the head of this file.
    pub(crate) fn turn(&mut self) {
        self.moved = false;
        self.engine.begin_turn(self.now());
        self.accept();
        for number in self.reading_order.clone() {
            self.handle_ready(number);
        }
        self.moved |= self.operators.serve(&mut self.engine);
        let kernels = Kernels::of(&mut self.peers, &mut self.by_slot, &mut self.moved, self.served_a_turn);
        drive::handle_timeout(&mut self.engine, &kernels);
        self.reconcile();
        if self.engine.is_stopped() {
            self.operators.onlookers.stop_operators();
        }
        self.moved |= self.operators.go_on(&mut self.peers, self.moment);
        self.note_events();
        self.check_turn();
    }

    fn handle_ready(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        let Some(slot) = peer.slot.filter(|_| peer.is_ready()) else { return };
        if self.operators.has(number) {
            self.moved = true;
            return self.operators.handle_ready(number, peer, self.moment);
        }
        let Some(wants) = self.engine.wants(slot) else { return };
        if peer.is_writable() {
            peer.blocked = false;
            self.engine.touch(slot);
        }
        let is_broken = peer.is_broken();
        if wants.read || is_broken {
            let mut kernels =
                Kernels::of(&mut self.peers, &mut self.by_slot, &mut self.moved, self.served_a_turn);
            drive::receive(&mut self.engine, slot, is_broken, &mut kernels);
        }
    }

    fn reconcile(&mut self) {
        let mut kernels =
            Kernels::of(&mut self.peers, &mut self.by_slot, &mut self.moved, self.served_a_turn);
        drive::reconcile(&mut self.engine, &mut kernels, &mut self.dirty);
    }

    fn check_turn(&mut self) {
        let counts = self.audit_counts();
        assert_eq!(counts.queued_bytes, counts.unsent_bytes, "the outboxes' bytes are counted right");
        assert_eq!(counts.parked_bytes, counts.unparsed_bytes, "the inboxes' bytes are counted right");
        if let Some(limit) = self.outbox_limit {
            let most = limit + self.answer_max;
            assert!(counts.largest_outbox <= most, "an outbox of {} bytes", counts.largest_outbox);
        }
        self.operators.check_turn(&self.peers);
        assert!(counts.turn_work <= TURN_WORK_MAX, "a turn of {} units of work", counts.turn_work);
        assert_eq!(counts.connections, self.by_slot.len() + counts.orphans, "who is served has a socket");
        assert!(counts.deferred <= counts.connections, "a deferred connection is so once: {counts:?}");
        assert_eq!(counts.counted_clients, counts.clients, "the clients are counted right");
        assert!(counts.people <= counts.connections, "each person in a room has a connection");
        self.check_reading();
        // An answer that was made for a client that reads nothing is a move as well, and so is a line without readers.
        let held = (counts.queued_bytes, counts.parked_bytes);
        self.moved |= std::mem::replace(&mut self.held_bytes, held) != held;
        self.idle_turns = if self.moved { 0 } else { self.idle_turns + 1 };
        // A turn without time may look at one connection only, and find that it wants nothing.
        let most = IDLE_TURNS_MAX.max(u32::try_from(4 * counts.connections).unwrap());
        assert!(self.idle_turns <= most, "a busy loop: {counts:?}");
    }

    /// What has ended is not read: a poller would report it again and again.
    fn check_reading(&self) {
        for (number, peer) in self.peers.iter().enumerate().filter(|(_, peer)| peer.is_eof_read) {
            let wants = peer.slot.and_then(|slot| self.engine.wants(slot));
            assert!(!wants.is_some_and(|wants| wants.read), "{number} is read after its end");
        }
    }

    /// With nothing left to happen at this moment, nothing may be left undone either.
    fn check_quiet(&mut self) {
        self.operators.check_quiet(&self.peers);
        for (number, peer) in self.peers.iter().enumerate().filter(|(number, _)| !self.operators.has(*number))
        {
            let Some(slot) = peer.slot else { continue };
            let wants = self.engine.wants(slot).expect("an open socket has a connection");
            assert!(!wants.write || peer.blocked, "{number} is not written to");
            assert!(
                !wants.fin && !wants.probe && wants.close_mode.is_none(),
                "{number} is forgotten: {wants:?}"
            );
            assert_eq!(peer.is_read, wants.read, "{number} is watched as it wants");
        }
        let due = self.next_deadline();
        assert!(due.is_none_or(|due| due > self.moment), "a deadline that has passed stands");
        let counts = self.audit_counts();
        assert_eq!(counts.misarmed, 0, "every deadline is armed");
        assert_eq!(counts.connections, self.by_slot.len() + counts.orphans);
        if counts.connections == 0 {
            let left = AuditCounts { turn_work: counts.turn_work, ..AuditCounts::default() };
            assert_eq!(counts, left, "nothing is left without connections");
        }
    }

    pub(crate) fn audit_counts(&self) -> AuditCounts {
        self.engine.audit_counts()
    }

    /// How the server closed a client's socket, if it has.
    pub(crate) fn close_mode(&mut self, client: Client) -> Option<CloseMode> {
        self.run();
        self.peer(client).close_mode
    }

    /// Whether a client has got the server's FIN, behind everything else.
    pub(crate) fn got_fin(&mut self, client: Client) -> bool {
        self.run();
        self.peer(client).got_fin()
    }

    /// The server as an onlooker sees it now.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.run();
        self.engine.begin_turn(self.now());
        self.engine.snapshot(&Query::default(), |_| None)
    }

    /// A client as an onlooker sees it now.
    #[track_caller]
    pub(crate) fn row(&mut self, client: Client) -> Row {
        let id = self.peer(client).id.expect("it was let in");
        self.snapshot().rows.into_iter().find(|row| row.id == id).expect("it is shown")
    }

    /// State and flags of a client in words, as in `eof half listen`.
    #[track_caller]
    pub(crate) fn state(&mut self, client: Client) -> String {
        let row = self.row(client);
        let flags: Flags = row.flags;
        std::iter::once(row.state.to_string())
            .chain(flags.words().map(str::to_owned))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What was recorded since this was last asked.
    pub(crate) fn event_kinds(&mut self) -> Vec<EventKind> {
        self.run();
        self.take_events()
    }

    /// What was recorded since this was last asked, with nothing run before.
    pub(crate) fn take_events(&mut self) -> Vec<EventKind> {
        self.note_events();
        std::mem::take(&mut self.events)
    }

    /// Takes over what was recorded, before the journal is full.
    fn note_events(&mut self) {
        for entry in self.engine.events_after(self.seen).map(Cow::into_owned) {
            self.seen = entry.seq;
            self.events.push(entry.kind);
        }
    }

    /// The same in words: `#1 alice close: quit`.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let events = self.event_kinds();
        events.iter().map(in_words).collect()
    }
}

fn in_words(record: &EventKind) -> String {
    let subject = record.subject().map(|id| format!("{id} ")).unwrap_or_default();
    let nick = record.nick().map(|nick| format!("{nick} ")).unwrap_or_default();
    format!("{subject}{nick}{}: {record}", record.word())
}

/// An address, `unix` for a Unix socket.
fn peer_at(address: &str) -> snapshot::Peer {
    match address {
        "unix" => snapshot::Peer::Unix,
        _ => snapshot::Peer::Tcp(address.parse::<SocketAddr>().unwrap()),
    }
}

fn now_at(moment: Moment, ahead_s: i64) -> Now {
    let passed_ms = moment.since(Moment::START).as_millis() - 10_000;
    let passed_ms = i64::try_from(passed_ms).unwrap() + ahead_s * 1_000;
    let second_of_day = (12 * 3600 + 34 * 60 + passed_ms.div_euclid(1000)).rem_euclid(86_400);
    let part = |value: i64| u8::try_from(value).unwrap();
    let wall = WallTime {
        unix_ms: NOON.unix_ms + passed_ms,
        hour: part(second_of_day / 3600),
        minute: part(second_of_day / 60 % 60),
        second: part(second_of_day % 60),
    };
    Now { moment, wall }
}
