//! One schedule: a server configured by chance, and steps by chance until everybody is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chatops::config::settings::{self, ByteSize, Config, HalfClosePolicy, Listen, Listeners, OnFull};
use chatops::engine::record::Record;
use chatops::engine::{Engine, Fate, READ_BUDGET};
use chatops::session::CloseReason;

use crate::actor::{Actor, LINE_BYTES, RECORD_BYTES};
use crate::framing::Framing;
use crate::oracle;
use crate::random::Random;
use crate::stage::{Client, Window, World};
use crate::transcript::{Heard, Names, Transcript};

/// Rooms that the witness is in.
const OPEN_ROOMS: [&str; 4] = ["#lobby", "#a", "#b", "#c"];
/// Clients at most, the witness included.
const CLIENTS_MAX: usize = 9;
/// The longest answer in these schedules: `/help`.
const ANSWER_MAX: usize = 2_048;
/// The longest answer where a line takes a record.
const ANSWER_IN_RECORDS_MAX: usize = 8_192;
/// How messages are delimited on each listener; the first is the one of the witness.
const FRAMINGS: [Framing; 4] =
    [Framing::Lines, Framing::Nul, Framing::Length, Framing::Fixed(RECORD_BYTES as usize)];
/// Acts that are shown of a schedule that failed.
const TRACE_MAX: usize = 60;

/// What somebody does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Burst,
    Close,
    Connect,
    Finish,
    Kernel,
    Letter,
    Operator,
    Pass,
    Read,
    Reset,
    Say,
    Type,
    Window,
}

/// How often each happens.
const STEPS: [(usize, Step); 13] = [
    (3, Step::Burst),
    (1, Step::Close),
    (8, Step::Connect),
    (3, Step::Finish),
    (4, Step::Kernel),
    (1, Step::Letter),
    (3, Step::Operator),
    (9, Step::Pass),
    (8, Step::Read),
    (1, Step::Reset),
    (1, Step::Say),
    (55, Step::Type),
    (6, Step::Window),
];

/// One run of a server from its first client to its last.
pub(crate) struct Schedule {
    random: Random,
    world: World,
    actors: Vec<Actor>,
    /// Client 0 watches, and nothing is done to it.
    has_witness: bool,
    names: Names,
    accepted: BTreeSet<u64>,
    closed: BTreeMap<u64, CloseReason>,
    /// Lines that the records say were skipped, of each id.
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

/// What happened in one schedule or in many: whoever reads it sees that the faults did happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    schedules: u64,
    /// Those whose streams were compared line by line.
    compared: u64,
    lines_read: u64,
    /// Streams with a marker for skipped lines.
    skipping_streams: u64,
    /// Streams that were cut off.
    cut_streams: u64,
    turned_away: u64,
    /// Messages within which the input ended.
    incomplete: u64,
    ends: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.compared += other.compared;
        self.lines_read += other.lines_read;
        self.skipping_streams += other.skipping_streams;
        self.cut_streams += other.cut_streams;
        self.turned_away += other.turned_away;
        self.incomplete += other.incomplete;
        for (word, count) in &other.ends {
            *self.ends.entry(word).or_default() += count;
        }
    }

    /// Everything that is to be simulated has been.
    pub(crate) fn check(&self) {
        assert!(self.compared * 2 > self.schedules, "most schedules are compared line by line");
        assert!(self.skipping_streams > 0 && self.cut_streams > 0 && self.turned_away > 0);
        assert!(self.incomplete > 0);
        for word in [
            "eof",
            "half-close-timeout",
            "kicked",
            "outbox-full",
            "quit",
            "reset",
            "reset-by-peer",
            "server-stop",
            "shutdown",
            "stalled",
        ] {
            assert!(self.ends.contains_key(word), "nobody ended by {word}");
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
            has_witness,
            names: Names::default(),
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
        self.names.add(1, witness.0);
        for room in OPEN_ROOMS {
            self.world.says(witness, &format!("/join {room}"));
        }
        self.world.pass("1m");
    }

    /// Plays it to its end, and checks everything.
    pub(crate) fn play(mut self) -> Tally {
        for _ in 0..self.random.within(40, 160) {
            let step = self.random.weighted(&STEPS);
            self.take(step);
            if self.random.percent(85) {
                self.turn();
            }
            if self.random.percent(10) {
                self.world.run();
                self.check();
            }
        }
        if self.random.percent(25) {
            self.stop();
        } else {
            self.everybody_leaves();
        }
        self.check();
        self.check_streams();
        self.check_records();
        self.tally.incomplete += self.world.snapshot().status.lines_incomplete;
        self.tally
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
        self.world.turn_with(order);
        for peer in &mut self.world.peers {
            // Byte by byte until all is quiet would take too many turns.
            peer.read_max = peer.read_max.max(100);
            peer.write_max = peer.write_max.max(100);
        }
        self.check();
    }

    fn check(&mut self) {
        let books = self.world.books();
        // What cannot be skipped: answers, and a line for each that was begun.
        let begun = books.connections * (LINE_BYTES + 64);
        assert!(books.queued_bytes <= self.outbox_total + books.kept_bytes + begun, "{books:?}");
        // The read that went beyond the limit, and a message that each has begun since.
        let begun = READ_BUDGET + books.connections * (LINE_BYTES + 8);
        assert!(books.parked_bytes <= self.inbox_total + begun, "{books:?}");
        for record in self.world.take_records() {
            match record {
                Record::Accepted { id, .. } => assert!(self.accepted.insert(id.get())),
                Record::Closed { id, reason, .. } => {
                    assert!(self.accepted.contains(&id.get()), "{id} was never accepted");
                    let before = self.closed.insert(id.get(), reason);
                    assert_eq!(before, None, "{id} ends twice");
                }
                Record::Skipped { id, lines, .. } => *self.skipped.entry(id.get()).or_default() += lines,
                _ => {}
            }
        }
    }

    fn note(&mut self, step: String) {
        self.trace.0.push(step);
    }

    /// Somebody who is not the witness, if there is anybody.
    fn anybody(&mut self) -> Option<usize> {
        let first = usize::from(self.has_witness);
        (self.actors.len() > first).then(|| self.random.within(first, self.actors.len() - 1))
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Connect => return self.connect(),
            Step::Operator => return self.operate(),
            Step::Pass => return self.pass(),
            Step::Say => {
                self.note("operator: say".to_owned());
                self.world.operator("say a word to all").unwrap();
                return;
            }
            _ => {}
        }
        let Some(number) = self.anybody() else { return };
        if !matches!(step, Step::Type) {
            self.note(format!("{number}: {step:?}"));
        }
        let client = Client(number);
        match step {
            Step::Burst => self.type_at_length(number),
            Step::Close => {
                self.actors[number].is_tainted = true;
                self.world.peer(client).closes();
            }
            Step::Finish => self.finish(number),
            Step::Kernel => {
                self.world.peer(client).kernel_bytes = self.random.pick(&[0, 1, 30, 200, 3_000, 100_000]);
            }
            Step::Letter => self.write_letter(number),
            Step::Read => {
                let count = self.random.pick(&[1, 10, 100, 1_000]);
                self.world.peer(client).takes(count);
            }
            Step::Reset => {
                self.actors[number].is_tainted = true;
                self.world.peer(client).resets();
            }
            Step::Type => self.type_lines(number),
            Step::Window => {
                self.world.peer(client).window =
                    self.random.pick(&[Window::Closed, Window::Closed, Window::Open]);
            }
            Step::Connect | Step::Operator | Step::Pass | Step::Say => {}
        }
    }

    fn connect(&mut self) {
        if self.actors.len() == CLIENTS_MAX {
            return;
        }
        let is_tcp = self.random.percent(80);
        let listener = if self.random.percent(50) { 0 } else { self.random.within(1, FRAMINGS.len() - 1) };
        let framing = FRAMINGS[listener];
        if matches!(framing, Framing::Fixed(_)) {
            self.world.answer_max = ANSWER_IN_RECORDS_MAX;
        }
        let address = if is_tcp { "192.0.2.7:1" } else { "unix" };
        let client = self.world.connect_on(u16::try_from(listener).unwrap(), address);
        self.note(format!("{} connects: {framing:?}", client.0));
        self.actors.push(Actor::new(client, framing, is_tcp && framing == Framing::Lines));
        let kernel_bytes = self.random.pick(&[10, 300, 3_000, 100_000]);
        let window = self.random.pick(&[Window::Closed, Window::Open, Window::Open]);
        let peer = self.world.peer(client);
        peer.kernel_bytes = kernel_bytes;
        peer.window = window;
        if let Some(id) = peer.id {
            self.names.add(id.get(), client.0);
        }
    }

    fn type_lines(&mut self, number: usize) {
        let rooms = if self.has_witness { &OPEN_ROOMS[..] } else { &["#lobby", "#a", "#b", "#x", "#y"][..] };
        let actor = &mut self.actors[number];
        if actor.has_finished || self.world.peer(Client(number)).is_closed {
            return;
        }
        for _ in 0..self.random.pick(&[1, 1, 1, 3, 8]) {
            let line = actor.types(&mut self.random, rooms);
            self.trace.0.push(format!("{number} types {line:?}"));
        }
        let bytes = actor.sends(&mut self.random);
        self.world.sends(Client(number), &bytes);
    }

    fn type_at_length(&mut self, number: usize) {
        let actor = &mut self.actors[number];
        if actor.has_finished || self.world.peer(Client(number)).is_closed {
            return;
        }
        let count = self.random.within(5, 40);
        actor.types_at_length(&mut self.random, count);
        let bytes = actor.sends(&mut self.random);
        self.world.sends(Client(number), &bytes);
    }

    fn write_letter(&mut self, number: usize) {
        let Some(to) = self.anybody() else { return };
        let Some(nick) = self.actors[to].nick() else { return };
        if self.actors[number].has_finished || self.world.peer(Client(number)).is_closed {
            return;
        }
        if to != number {
            self.actors[to].letters += 1;
        }
        self.actors[number].writes_to(&mut self.random, &nick);
        let bytes = self.actors[number].sends(&mut self.random);
        self.world.sends(Client(number), &bytes);
    }

    fn finish(&mut self, number: usize) {
        let actor = &mut self.actors[number];
        if std::mem::replace(&mut actor.has_finished, true) || self.world.peer(Client(number)).is_closed {
            return;
        }
        let rest = actor.sends_the_rest(&mut self.random);
        self.world.sends(Client(number), &rest);
        self.world.finishes(Client(number));
    }

    fn operate(&mut self) {
        let Some(number) = self.anybody() else { return };
        let Some(id) = self.world.peer(Client(number)).id else { return };
        let verb = self.random.pick(&[
            "kick",
            "reset",
            "mute",
            "unmute",
            "shutdown read",
            "shutdown write",
            "shutdown both",
            "pause",
            "resume",
        ]);
        let line = match verb.split_once(' ') {
            Some((verb, half)) => format!("{verb} {id} {half}"),
            None if verb == "pause" || verb == "resume" => verb.to_owned(),
            None => format!("{verb} {id}"),
        };
        let outcome = self.world.operator(&line);
        self.note(format!("operator: {line}: {outcome:?}"));
        let actor = &mut self.actors[number];
        if outcome.is_ok() && !["pause", "resume"].contains(&verb) {
            actor.is_tainted = true;
            actor.is_write_shut |= verb == "shutdown write";
        }
    }

    /// Time passes, deadline by deadline or in one jump over all of them.
    fn pass(&mut self) {
        let span = self
            .random
            .pick(&["1ms", "1ms", "50ms", "200ms", "200ms", "1s", "1s", "3s", "20s", "70s", "11m"]);
        let is_jump = self.random.percent(40);
        self.note(format!("{span} pass, jump: {is_jump}"));
        if is_jump {
            let span = chatops::time::parse_span(span).unwrap();
            self.world.peers_read();
            self.world.jump_to(self.world.now().moment + span);
        } else {
            self.world.pass(span);
        }
    }

    /// Everybody ends as they like, the witness last.
    fn everybody_leaves(&mut self) {
        self.note("everybody leaves".to_owned());
        let mut numbers: Vec<usize> = (usize::from(self.has_witness)..self.actors.len()).collect();
        self.random.shuffle(&mut numbers);
        self.everybody_reads();
        self.world.pass("30s");
        for number in numbers {
            self.finish(number);
            self.turn();
        }
        self.world.pass("1h");
        // Those who asked to listen are still there.
        for number in usize::from(self.has_witness)..self.actors.len() {
            if let Some(id) = self.world.peer(Client(number)).id.filter(|_| self.is_there(number)) {
                assert!(self.actors[number].asked_to_listen, "{number} does not go");
                self.actors[number].is_tainted = true;
                self.world.operator(&format!("kick {id}")).unwrap();
            }
        }
        self.world.pass("10s");
        if self.has_witness {
            self.finish(0);
            self.world.pass("1h");
        }
        let left: Vec<usize> = (0..self.actors.len()).filter(|number| self.is_there(*number)).collect();
        assert!(left.is_empty(), "{left:?} do not go");
    }

    fn stop(&mut self) {
        self.note("the server stops".to_owned());
        for actor in &mut self.actors {
            actor.is_tainted = true;
        }
        self.world.operator(self.random.pick(&["stop", "drain 200ms", "drain 1m"])).unwrap();
        if self.random.percent(70) {
            self.everybody_reads();
        }
        self.world.pass("1m");
        assert!(self.world.engine.is_stopped());
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

    fn is_there(&mut self, number: usize) -> bool {
        self.world.peer(Client(number)).slot.is_some()
    }

    fn check_streams(&mut self) {
        let streams = self.world.peers.iter().zip(&self.actors);
        let transcripts: Vec<Transcript> =
            streams.map(|(peer, actor)| Transcript::of(peer, actor.framing, &self.names)).collect();
        let is_whole = |transcript: &Transcript| {
            transcript.is_complete && !transcript.lines.iter().any(|line| matches!(line, Heard::Skipped(_)))
        };
        let order = self.has_witness.then(|| &transcripts[0]).filter(|witness| is_whole(witness));
        self.tally.compared += u64::from(order.is_some());
        for (actor, transcript) in self.actors.iter().zip(&transcripts) {
            let markers = transcript.lines.iter().filter_map(|line| match line {
                Heard::Skipped(count) => Some(*count as u64),
                _ => None,
            });
            let marked: u64 = markers.sum();
            self.tally.lines_read += transcript.lines.len() as u64;
            self.tally.skipping_streams += u64::from(marked > 0);
            self.tally.cut_streams += u64::from(!transcript.is_complete);
            oracle::check_alone(actor, transcript);
            let is_telnet = self.world.peers[actor.client.0].received.contains(&255);
            assert!(!is_telnet || actor.has_spoken_telnet, "{}: telnet unasked for", actor.client.0);
            let id = self.world.peers[actor.client.0].id;
            let Some(id) = id.map(chatops::id::ConnId::get).filter(|id| self.accepted.contains(id)) else {
                self.tally.turned_away += 1;
                continue;
            };
            if transcript.is_complete {
                let skipped = self.skipped.get(&id).copied().unwrap_or(0);
                assert_eq!(marked, skipped, "{}: markers and records say the same", actor.client.0);
            }
            if let Some(order) = order.filter(|_| actor.client.0 > 0) {
                oracle::check_against(actor, transcript, &order.lines);
                oracle::check_heard(actor, transcript, &order.lines);
            }
        }
    }

    fn check_records(&mut self) {
        let ended: BTreeSet<u64> = self.closed.keys().copied().collect();
        assert_eq!(ended, self.accepted, "each accepted id ends in one record");
        for reason in self.closed.values() {
            *self.tally.ends.entry(reason.word()).or_default() += 1;
        }
        for peer in &self.world.peers {
            assert!(peer.slot.is_none());
            assert!(peer.id.is_none() || matches!(peer.fate, Some(Fate::Close | Fate::Reset)));
        }
        let engine: &Engine = &self.world.engine;
        assert_eq!(engine.slots().count(), 0);
    }
}

/// Listeners of every framing, in the order of [`FRAMINGS`].
fn listeners() -> Listeners {
    let record = std::num::NonZeroU32::new(RECORD_BYTES).unwrap();
    let framings = [
        settings::Framing::Lines,
        settings::Framing::Nul,
        settings::Framing::Length,
        settings::Framing::Fixed(record),
    ];
    Listeners(framings.map(|framing| Listen { framing, ..Listen::default() }).to_vec())
}

fn configure(config: &mut Config, random: &mut Random, has_witness: bool) {
    config.listen = listeners();
    config.limits.line_bytes = ByteSize(LINE_BYTES as u64);
    config.limits.outbox_bytes = ByteSize(random.pick(&[700, 1_000, 1_500, 3_000, 10_000]));
    config.limits.stall = Duration::from_secs(random.pick(&[15, 60, 120]));
    config.flood.enabled = random.percent(60);
    config.flood.burst_lines = random.pick(&[2, 7, 20]);
    config.flood.lines_per_second = random.pick(&[1, 3, 7]);
    config.flood.burst_bytes = ByteSize(random.pick(&[300, 5_000, 100_000]));
    config.flood.bytes_per_second = ByteSize(random.pick(&[77, 1_001, 32 * 1024]));
    if random.percent(40) {
        config.half_close.policy = HalfClosePolicy::Listen;
    }
    config.half_close.timeout = Duration::from_secs(random.pick(&[5, 60, 600]));
    config.limits.inbox_total = ByteSize(random.pick(&[300, 2_000, 64 * 1024 * 1024]));
    config.rooms.presence_max = 1_000;
    if has_witness {
        return;
    }
    config.limits.outbox_bytes = ByteSize(random.pick(&[600, 1_500, 5_000, 100_000]));
    config.limits.outbox_total = ByteSize(random.pick(&[2_000, 10_000, 1_000_000]));
    if random.percent(30) {
        config.limits.on_full = OnFull::Disconnect;
    }
    if random.percent(50) {
        config.rooms.presence_max = 2;
    }
    config.limits.clients = random.pick(&[3, 5, 100]);
    config.limits.rooms = random.pick(&[2, 4, 100]);
    config.limits.rooms_per_client = random.pick(&[1, 2, 20]);
    config.flood.patience = Duration::from_secs(random.pick(&[10, 600]));
}
