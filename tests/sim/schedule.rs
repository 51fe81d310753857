//! One schedule: a server with random settings, and random steps until every client is gone. The checks after each step
//! are here and in the stage, those at the end in [`verdict`].

mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use chatops::engine::READ_BUDGET;
use chatops::model::event::EventKind;
use chatops::session::CloseReason;

use crate::actor::{Actor, LINE_BYTES, RECORD_BYTES};
use crate::framing::Framing;
use crate::operator::Operator;
use crate::random::Random;
use crate::server::{FRAMINGS, configure};
use crate::stage::{Client, Window, World};
use crate::tally::Tally;
use crate::transcript::ServerLine;

/// Rooms that the witness is in.
const OPEN_ROOMS: [&str; 4] = ["#lobby", "#a", "#b", "#c"];
/// Clients at most, the witness included.
const CLIENTS_MAX: usize = 9;
/// Raids at most; each is one client more.
const RAIDS_MAX: usize = 8;
/// Commands in one raid, including the expensive ones.
const QUESTIONS: [&str; 6] = ["/who", "/rooms", "/help", "/who #lobby", "/set", "/whois guest-1"];
/// Operators on the control socket at most.
const OPERATORS_MAX: usize = 3;
/// The longest answer in these schedules: `/help`.
const ANSWER_MAX: usize = 2_048;
/// The longest answer where a line takes a record.
const ANSWER_IN_EVENTS_MAX: usize = 8_192;
/// Acts that are shown of a schedule that failed.
const TRACE_MAX: usize = 60;

/// The kinds of steps.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An operator types requests.
    Ask,
    Burst,
    Close,
    Connect,
    /// The process runs out of descriptors, or has some again.
    Descriptors,
    /// An operator comes.
    Enter,
    Finish,
    /// A client ignores another, or ends that.
    Ignore,
    Kernel,
    Letter,
    /// An operator's verb on a connection.
    Operator,
    Pass,
    /// A client connects, sends expensive commands and leaves, with the answers unread.
    Raid,
    Read,
    Reset,
    Say,
    Type,
    /// The wall clock is set forward or back.
    Wall,
    Window,
}

/// The weight of each step.
const STEPS: [(usize, Step); 19] = [
    (6, Step::Ask),
    (3, Step::Burst),
    (1, Step::Close),
    (8, Step::Connect),
    (1, Step::Descriptors),
    (1, Step::Enter),
    (3, Step::Finish),
    (4, Step::Kernel),
    (1, Step::Ignore),
    (1, Step::Letter),
    (3, Step::Operator),
    (9, Step::Pass),
    (2, Step::Raid),
    (8, Step::Read),
    (1, Step::Reset),
    (1, Step::Say),
    (55, Step::Type),
    (1, Step::Wall),
    (6, Step::Window),
];

/// One run of a server from its first client to its last.
pub(crate) struct Schedule {
    random: Random,
    world: World,
    actors: Vec<Actor>,
    operators: Vec<Operator>,
    raids: usize,
    /// Client 0 is the witness, and no fault happens to it.
    has_witness: bool,
    is_exhausted: bool,
    /// Whether the wall clock is set at times.
    wall_jumps: bool,
    accepted: BTreeSet<u64>,
    closed: BTreeMap<u64, CloseReason>,
    /// Lines that the events say were skipped, of each id.
    skipped: BTreeMap<u64, u64>,
    outbox_total: usize,
    inbox_total: usize,
    tally: Tally,
    trace: Trace,
}

/// What happened in it; shown when it fails.
struct Trace(Vec<String>);

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last of {} steps:", self.0.len());
            for step in &self.0[self.0.len().saturating_sub(TRACE_MAX)..] {
                eprintln!("  {step}");
            }
        }
    }
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let has_witness = random.percent(75);
        let (mut outbox_total, mut inbox_total) = (0, 0);
        let mut world = World::with(|config| {
            configure(config, &mut random, has_witness);
            outbox_total = config.limits.outbox_total.bytes();
            inbox_total = config.limits.inbox_total.bytes();
        });
        world.answer_max = ANSWER_MAX;
        let mut schedule = Self {
            random,
            world,
            actors: Vec::new(),
            operators: Vec::new(),
            raids: 0,
            has_witness,
            is_exhausted: false,
            wall_jumps: true,
            accepted: BTreeSet::new(),
            closed: BTreeMap::new(),
            skipped: BTreeMap::new(),
            outbox_total,
            inbox_total,
            tally: Tally { schedules: 1, ..Tally::default() },
            trace: Trace(vec![format!("seed {seed}, witness: {has_witness}")]),
        };
        if has_witness {
            schedule.seat_the_witness();
        }
        schedule
    }

    fn seat_the_witness(&mut self) {
        let witness = self.world.connect();
        self.actors.push(Actor::new(witness, Framing::Lines, false));
        for room in OPEN_ROOMS {
            self.world.says(witness, &format!("/join {room}"));
        }
        self.world.pass("1m");
    }

    /// The same schedule, with a wall clock that is never set.
    pub(crate) fn without_wall_jumps(mut self) -> Self {
        self.wall_jumps = false;
        self
    }

    /// Plays the schedule to its end, and checks everything.
    pub(crate) fn play(mut self) -> Tally {
        self.run();
        self.judge();
        self.tally
    }

    /// Plays the schedule to its end; returns the lines of every client, without times, and how each connection ended.
    pub(crate) fn lines_and_ends(mut self) -> (Vec<Vec<ServerLine>>, BTreeMap<u64, CloseReason>) {
        self.run();
        let lines = self.transcripts().into_iter().map(|transcript| transcript.lines).collect();
        (lines, self.closed)
    }

    fn run(&mut self) {
        for _ in 0..self.random.within(40, 160) {
            let step = self.random.weighted(&STEPS);
            self.take(step);
            self.check();
            if self.random.percent(85) {
                self.turn();
            }
            if self.random.percent(10) {
                self.world.run();
                self.check();
                self.check_answered();
            }
        }
        if self.random.percent(25) {
            self.stop();
        } else {
            self.everybody_leaves();
        }
        self.check();
    }

    /// One turn in which the poller reports some of the peers, in any order, and reads and writes come in parts.
    fn turn(&mut self) {
        let mut order: Vec<usize> = (0..self.world.peers.len()).collect();
        self.random.shuffle(&mut order);
        if self.random.percent(30) {
            order.truncate(self.random.below(order.len() + 1));
        }
        let others = usize::from(self.has_witness);
        for peer in &mut self.world.peers[others..] {
            peer.read_max = self.random.pick(&[1, 2, 7, 40, 64 * 1024, 64 * 1024]);
            peer.write_max = self.random.pick(&[1, 30, 500, usize::MAX, usize::MAX]);
        }
        self.world.served_a_turn = self.random.pick(&[1, 2, 5, usize::MAX, usize::MAX]);
        self.world.turn_with(order);
        for peer in &mut self.world.peers {
            // Byte by byte until all is quiet would take too many turns.
            peer.read_max = peer.read_max.max(100);
            peer.write_max = peer.write_max.max(100);
        }
        self.check();
    }

    fn check(&mut self) {
        let books = self.world.audit_counts();
        // These bytes cannot be skipped: answers, one started line for each client, and a line that the operator has
        // said since the last turn, in two records for some clients.
        let begun = books.connections * (LINE_BYTES + 64 + 2 * RECORD_BYTES as usize);
        assert!(books.queued_bytes <= self.outbox_total + books.kept_bytes + begun, "{books:?}");
        // The read that exceeded the limit, and a message that each client has started since.
        let begun = READ_BUDGET + books.connections * (LINE_BYTES + 8);
        assert!(books.parked_bytes <= self.inbox_total + begun, "{books:?}");
        for record in self.world.take_events() {
            match record {
                EventKind::Accepted { id, .. } => assert!(self.accepted.insert(id.get())),
                EventKind::Closed { id, reason, .. } => {
                    assert!(self.accepted.contains(&id.get()), "{id} was never accepted");
                    let before = self.closed.insert(id.get(), reason);
                    assert_eq!(before, None, "{id} ends twice");
                }
                EventKind::Skipped { id, lines, .. } => *self.skipped.entry(id.get()).or_default() += lines,
                _ => {}
            }
        }
    }

    fn note(&mut self, step: String) {
        self.trace.0.push(step);
    }

    /// The number of an actor other than the witness, if there is any.
    fn other_actor(&mut self) -> Option<usize> {
        let first = usize::from(self.has_witness);
        (self.actors.len() > first).then(|| self.random.within(first, self.actors.len() - 1))
    }

    /// A client other than the witness, or an operator, if there is any.
    fn other_client(&mut self) -> Option<Client> {
        let first = usize::from(self.has_witness);
        let count = self.world.peers.len();
        (count > first).then(|| Client(self.random.within(first, count - 1)))
    }

    /// From now on lines of this client may be lost, and its commands unanswered.
    fn taint(&mut self, client: Client) {
        self.actors
            .iter_mut()
            .filter(|actor| actor.client == client)
            .for_each(|actor| actor.is_tainted = true);
        let operators = self.operators.iter_mut().filter(|operator| operator.client == client);
        operators.for_each(|operator| operator.is_tainted = true);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Ask => self.ask(),
            Step::Burst => self.type_at_length(),
            Step::Connect => self.connect(),
            Step::Descriptors => self.run_out_of_descriptors(),
            Step::Enter => self.enter(),
            Step::Ignore => self.ignore(),
            Step::Letter => self.write_letter(),
            Step::Operator => self.operate(),
            Step::Pass => self.pass(),
            Step::Raid => self.raid(),
            Step::Say => {
                self.note("operator: say".to_owned());
                self.world.operator("say a word to all").unwrap();
            }
            Step::Type => self.type_lines(),
            Step::Wall => {
                let ahead_s = self.random.pick(&[-86_400, -3_600, -1, 1, 3_600, 86_400]);
                self.note(format!("the wall clock is put forward by {ahead_s} s"));
                self.world.wall_ahead_s += if self.wall_jumps { ahead_s } else { 0 };
            }
            Step::Close | Step::Finish | Step::Kernel | Step::Read | Step::Reset | Step::Window => {
                if let Some(client) = self.other_client() {
                    self.note(format!("{}: {step:?}", client.0));
                    self.meddle(client, step);
                }
            }
        }
    }

    /// A fault between a peer and the server.
    fn meddle(&mut self, client: Client, step: Step) {
        match step {
            Step::Close => {
                self.taint(client);
                self.world.peer(client).closes();
            }
            Step::Finish => self.finish(client),
            Step::Kernel => {
                self.world.peer(client).kernel_bytes = self.random.pick(&[0, 1, 30, 200, 3_000, 100_000]);
            }
            Step::Read => {
                let count = self.random.pick(&[1, 10, 100, 1_000]);
                self.world.peer(client).takes(count);
            }
            Step::Reset => {
                self.taint(client);
                self.world.peer(client).resets();
            }
            Step::Window => {
                self.world.peer(client).window =
                    self.random.pick(&[Window::Closed, Window::Closed, Window::Open]);
            }
            _ => unreachable!("not between a peer and the server: {step:?}"),
        }
    }

    fn connect(&mut self) {
        if self.actors.len() == CLIENTS_MAX + self.raids {
            return;
        }
        let is_tcp = self.random.percent(80);
        let listener = if self.random.percent(50) { 0 } else { self.random.within(1, FRAMINGS.len() - 1) };
        let framing = FRAMINGS[listener];
        if matches!(framing, Framing::Fixed(_)) {
            self.world.answer_max = ANSWER_IN_EVENTS_MAX;
        }
        let address = if is_tcp { "192.0.2.7:1" } else { "unix" };
        let client = self.world.arrive_on(u16::try_from(listener).unwrap(), address);
        self.note(format!("{} connects: {framing:?}", client.0));
        self.actors.push(Actor::new(client, framing, is_tcp && framing == Framing::Lines));
        self.equip(client);
    }

    fn raid(&mut self) {
        if self.raids == RAIDS_MAX {
            return;
        }
        self.raids += 1;
        let client = self.world.arrive_on(0, "192.0.2.66:1");
        let count = self.random.within(1, 40);
        let questions: Vec<&str> = (0..count).flat_map(|_| [self.random.pick(&QUESTIONS), "\n"]).collect();
        let mut raider = Actor::new(client, Framing::Lines, false);
        raider.is_tainted = true;
        let end = self.random.pick(&[Step::Close, Step::Reset, Step::Finish, Step::Window]);
        raider.has_finished = !matches!(end, Step::Window);
        self.actors.push(raider);
        self.equip(client);
        self.world.sends(client, questions.concat().as_bytes());
        self.note(format!("{} asks {count} questions: {end:?}", client.0));
        if self.random.percent(50) {
            self.turn();
        }
        let peer = self.world.peer(client);
        match end {
            Step::Close => peer.closes(),
            Step::Reset => peer.resets(),
            Step::Finish => peer.fin = true,
            _ => peer.window = Window::Closed,
        }
    }

    fn enter(&mut self) {
        if self.operators.len() == OPERATORS_MAX {
            return;
        }
        let client = self.world.arrive_operator();
        self.note(format!("{} comes as an operator", client.0));
        self.operators.push(Operator::new(client));
        self.equip(client);
    }

    fn equip(&mut self, client: Client) {
        let kernel_bytes = self.random.pick(&[10, 300, 3_000, 100_000]);
        let window = self.random.pick(&[Window::Closed, Window::Open, Window::Open]);
        let peer = self.world.peer(client);
        peer.kernel_bytes = kernel_bytes;
        peer.window = window;
    }

    fn run_out_of_descriptors(&mut self) {
        self.is_exhausted = !self.is_exhausted;
        self.note(format!("no descriptor left: {}", self.is_exhausted));
        self.world.set_exhausted(self.is_exhausted);
    }

    /// An operator that can still type, if there is any.
    fn any_operator(&mut self) -> Option<usize> {
        let count = self.operators.len();
        let number = (count > 0).then(|| self.random.below(count))?;
        let operator = &self.operators[number];
        let can_type = !operator.has_finished && !self.world.peer(operator.client).is_closed;
        can_type.then_some(number)
    }

    fn ask(&mut self) {
        let Some(number) = self.any_operator() else { return };
        let id_max = self.accepted.len() as u64 + 1;
        for _ in 0..self.random.pick(&[1, 1, 1, 3, 8]) {
            let operator = &mut self.operators[number];
            let line = operator.asks(&mut self.random, id_max);
            self.trace.0.push(format!("{} asks {:?}", operator.client.0, &line[..line.len().min(40)]));
        }
        self.send_requests(number);
    }

    fn send_requests(&mut self, number: usize) {
        let operator = &mut self.operators[number];
        let bytes = operator.sends(&mut self.random);
        self.world.sends(operator.client, &bytes);
    }

    /// The number of a random actor, if it can still type.
    fn any_typist(&mut self) -> Option<usize> {
        let number = self.other_actor()?;
        let actor = &self.actors[number];
        let can_type = !actor.has_finished && !self.world.peer(actor.client).is_closed;
        can_type.then_some(number)
    }

    fn type_lines(&mut self) {
        let Some(number) = self.any_typist() else { return };
        let rooms = if self.has_witness { &OPEN_ROOMS[..] } else { &["#lobby", "#a", "#b", "#x", "#y"][..] };
        let actor = &mut self.actors[number];
        for _ in 0..self.random.pick(&[1, 1, 1, 3, 8]) {
            let line = actor.types(&mut self.random, rooms);
            self.trace.0.push(format!("{} types {line:?}", actor.client.0));
        }
        self.send_typed(number);
    }

    fn type_at_length(&mut self) {
        let Some(number) = self.any_typist() else { return };
        let count = self.random.within(5, 40);
        let actor = &mut self.actors[number];
        actor.types_at_length(&mut self.random, count);
        self.trace.0.push(format!("{} types at length", actor.client.0));
        self.send_typed(number);
    }

    fn write_letter(&mut self) {
        let Some(number) = self.any_typist() else { return };
        let Some(to) = self.other_actor() else { return };
        let Some(nick) = self.actors[to].nick() else { return };
        if to != number {
            self.actors[to].letters += 1;
        }
        self.actors[number].writes_to(&mut self.random, &nick);
        self.trace.0.push(format!("{} writes to {nick}", self.actors[number].client.0));
        self.send_typed(number);
    }

    fn ignore(&mut self) {
        let Some(number) = self.any_typist() else { return };
        let Some(whom) = self.other_actor() else { return };
        let Some(nick) = self.actors[whom].nick() else { return };
        let whom = self.actors[whom].client;
        let line = self.actors[number].ignores(&mut self.random, whom, &nick);
        self.trace.0.push(format!("{} types {line:?}", self.actors[number].client.0));
        self.send_typed(number);
    }

    fn send_typed(&mut self, number: usize) {
        let actor = &mut self.actors[number];
        let bytes = actor.sends(&mut self.random);
        self.world.sends(actor.client, &bytes);
    }

    fn finish(&mut self, client: Client) {
        if self.world.peer(client).is_closed {
            return;
        }
        let rest = if let Some(actor) = self.actors.iter_mut().find(|actor| actor.client == client) {
            if std::mem::replace(&mut actor.has_finished, true) {
                return;
            }
            actor.sends_the_rest(&mut self.random)
        } else {
            let operator = self.operators.iter_mut().find(|operator| operator.client == client);
            operator.expect("a peer is a client or an operator").sends_the_rest(&mut self.random)
        };
        self.world.sends(client, &rest);
        self.world.finishes(client);
    }

    fn operate(&mut self) {
        let Some(number) = self.other_actor() else { return };
        let Some(id) = self.world.peer(self.actors[number].client).id else { return };
        let verb = self.random.pick(&[
            "kick",
            "reset",
            "mute",
            "mute for 5s",
            "unmute",
            "shutdown read",
            "shutdown write",
            "shutdown both",
            "pause",
            "resume",
            "ban 198.51.100.0/24 for 5s",
            "unban 198.51.100.0/24",
        ]);
        let about_all = match verb {
            "pause" | "resume" => Some("accepting"),
            _ => verb.contains("ban ").then_some("198.51.100.0/24"),
        };
        let line = match verb.split_once(' ') {
            _ if about_all.is_some() => verb.to_owned(),
            Some((verb, rest)) => format!("{verb} {id} {rest}"),
            None => format!("{verb} {id}"),
        };
        let about = about_all.map_or_else(|| id.to_string(), str::to_owned);
        let is_done = self.order(&line, &about);
        let actor = &mut self.actors[number];
        if is_done && about_all.is_none() {
            actor.is_tainted = true;
            actor.is_write_shut |= verb == "shutdown write";
        }
    }

    /// Gives an order, on the control socket if an operator can type. Returns whether it was or may be carried out.
    fn order(&mut self, line: &str, about: &str) -> bool {
        let operator = if self.random.percent(50) { self.any_operator() } else { None };
        if let Some(number) = operator {
            self.operators[number].orders(&mut self.random, line, about);
            self.note(format!("{} orders {line}", self.operators[number].client.0));
            self.send_requests(number);
            return true;
        }
        let outcome = self.world.operator(line);
        self.note(format!("operator: {line}: {outcome:?}"));
        outcome.is_ok()
    }

    /// Time passes, deadline by deadline or in one jump over all of them.
    fn pass(&mut self) {
        let span = self
            .random
            .pick(&["1ms", "1ms", "50ms", "200ms", "200ms", "1s", "1s", "3s", "20s", "70s", "11m"]);
        let is_jump = self.random.percent(40);
        if self.is_exhausted && self.random.percent(30) {
            self.run_out_of_descriptors();
        }
        self.note(format!("{span} pass, jump: {is_jump}"));
        if is_jump {
            let span = chatops::time::parse_span(span).unwrap();
            self.world.peers_read();
            self.world.jump_to(self.world.now().moment + span);
        } else {
            self.world.pass(span);
        }
    }

    /// Ends every client in a random way, the witness last.
    fn everybody_leaves(&mut self) {
        self.note("everybody leaves".to_owned());
        self.world.set_exhausted(false);
        if self.random.percent(50) {
            // It may not be paused at all.
            let _ = self.world.operator("resume");
        }
        let first = usize::from(self.has_witness);
        let mut leaving: Vec<Client> = (first..self.world.peers.len()).map(Client).collect();
        self.random.shuffle(&mut leaving);
        self.everybody_reads();
        self.world.pass("30s");
        self.check_answered();
        for client in leaving {
            self.finish(client);
            self.turn();
        }
        self.world.pass("1h");
        // Clients that sent /listen are still there.
        for number in first..self.actors.len() {
            let client = self.actors[number].client;
            if let Some(id) = self.world.peer(client).id.filter(|_| self.is_there(client)) {
                assert!(self.actors[number].asked_to_listen, "{} does not go", client.0);
                self.actors[number].is_tainted = true;
                self.world.operator(&format!("kick {id}")).unwrap();
            }
        }
        self.world.pass("10s");
        if self.has_witness {
            self.finish(Client(0));
            self.world.pass("1h");
        }
        let count = self.world.peers.len();
        let left: Vec<Client> = (0..count).map(Client).filter(|client| self.is_there(*client)).collect();
        assert!(left.is_empty(), "{left:?} do not go");
    }

    fn stop(&mut self) {
        self.note("the server stops".to_owned());
        for actor in &mut self.actors {
            actor.is_tainted = true;
        }
        for operator in &mut self.operators {
            operator.is_tainted = true;
        }
        let verb = self.random.pick(&["stop", "drain 200ms", "drain 1m"]);
        self.order(verb, "");
        self.world.run();
        if !self.world.engine.is_stopping() {
            // The operator that was to order it has not sent the order yet.
            self.world.operator(verb).unwrap();
        }
        if self.random.percent(70) {
            self.everybody_reads();
        }
        self.world.pass("1m");
        assert!(self.world.is_stopped());
        self.world.close_all();
    }

    fn everybody_reads(&mut self) {
        for peer in &mut self.world.peers {
            peer.window = Window::Open;
            peer.kernel_bytes = 100_000;
            peer.read_max = 64 * 1024;
            peer.write_max = usize::MAX;
        }
    }

    fn is_there(&mut self, client: Client) -> bool {
        self.world.peer(client).slot.is_some()
    }

    /// Checks, when the server has no work left, that every client that reads everything has all its answers.
    fn check_answered(&self) {
        for operator in &self.operators {
            let peer = &self.world.peers[operator.client.0];
            if peer.window == Window::Open && peer.kernel_bytes > 0 {
                operator.check_answered(peer);
            }
        }
    }
}
