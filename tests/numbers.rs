//! Numbers that are promised: a thousand people in one room, and a thousand who say nothing.

mod common;

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::real::{installed, say_skipped};
use common::{Client, DEADLINE, Endpoint, Server, let_pass, now, process};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::Timespec;

const CLIENTS: usize = 1000;
const SENDERS: usize = 10;
/// Lines of each sender in a round, and the time between two of them; within the flood limits.
const LINES: usize = 15;
const PERIOD: Duration = Duration::from_millis(500);
/// Time between two bytes of the client that drips.
const DRIP: Duration = Duration::from_millis(100);
const DRIPPED: &str = "one byte at a time";
/// The slowest of 99 in 100 deliveries.
const P99_MAX: Duration = Duration::from_millis(50);
/// Rounds of which one must be as fast as that.
const ROUNDS_MAX: usize = 4;
/// The share of a processor that others may use in a round that counts.
const OTHERS_MAX: f64 = 0.2;

/// Tests of this file measure time: one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raises the limit of file descriptors as far as needed; says aloud when that is not allowed.
fn enough_descriptors() -> bool {
    let needed = u64::try_from(CLIENTS).unwrap() + 200;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return true;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum });
    if raised.is_err() {
        say_skipped(&format!("only {:?} file descriptors are allowed, {needed} needed", limit.current));
    }
    raised.is_ok()
}

/// One of the thousand: a non-blocking socket and what has come in on it.
struct Member {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// For each sender, the number of the line that must come next.
    next: [usize; SENDERS],
    dripped: usize,
    greeted: bool,
}

impl Member {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the server listens");
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, inbox: Vec::new(), next: [0; SENDERS], dripped: 0, greeted: false }
    }

    /// Reads what is there and hands each whole line to `each`.
    fn read(&mut self, mut each: impl FnMut(&mut Self, &str)) {
        let mut chunk = [0; 16_384];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => panic!("the server closed a member's connection"),
                Ok(count) => self.inbox.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("a member cannot read: {error}"),
            }
        }
        let end = self.inbox.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.inbox.drain(..end).collect();
        for line in String::from_utf8(lines).unwrap().split_terminator("\r\n") {
            each(self, line);
        }
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("a few bytes always fit");
    }
}

/// What a round of talk was like.
struct Round {
    p50: Duration,
    p99: Duration,
    /// Processor time that neither the server nor this test used, for each second that passed.
    others: f64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, others } = self;
        write!(f, "p50 {p50:.1?}, p99 {p99:.1?}, {others:.2} processors busy with other things")
    }
}

/// Measures a [`Round`] but for its latencies.
struct Gauge {
    server: u32,
    start: Instant,
    others: Duration,
}

impl Gauge {
    fn start(server: u32) -> Self {
        Self { server, start: now(), others: Self::others(server) }
    }

    fn others(server: u32) -> Duration {
        let ours = process::cpu_time(server) + process::cpu_time(std::process::id());
        process::machine_cpu_time().saturating_sub(ours)
    }

    fn share_of_others(&self) -> f64 {
        let used = Self::others(self.server).saturating_sub(self.others);
        used.as_secs_f64() / self.start.elapsed().as_secs_f64()
    }
}

/// The room with its members, who said what when, and how long each delivery took.
struct Crowd {
    members: Vec<Member>,
    said_at: Vec<Vec<Instant>>,
    latencies: Vec<Duration>,
}

impl Crowd {
    fn connect(address: SocketAddr) -> Self {
        let mut crowd = Self {
            members: Vec::with_capacity(CLIENTS),
            said_at: vec![Vec::new(); SENDERS],
            latencies: Vec::new(),
        };
        for _ in 0..CLIENTS {
            crowd.members.push(Member::connect(address));
            crowd.turn(Duration::ZERO);
        }
        let start = now();
        while !crowd.members.iter().all(|member| member.greeted) {
            assert!(start.elapsed() < DEADLINE * 3, "not everybody was greeted");
            crowd.turn(Duration::from_millis(20));
        }
        crowd
    }

    /// Waits up to `patience` for something to read and reads all there is.
    fn turn(&mut self, patience: Duration) {
        let timeout = Timespec::try_from(patience).unwrap();
        let mut fds: Vec<PollFd<'_>> =
            self.members.iter().map(|member| PollFd::new(&member.stream, PollFlags::IN)).collect();
        poll(&mut fds, Some(&timeout)).expect("poll works");
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let (said_at, latencies) = (&self.said_at, &mut self.latencies);
        for (member, _) in self.members.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            member.read(|member, line| hear(member, line, said_at, latencies));
        }
    }

    /// The `number`th line of each sender.
    fn say(&mut self, sender: usize) {
        let number = self.said_at[sender].len();
        self.said_at[sender].push(now());
        self.members[sender].send(&format!("s={sender} n={number} {}\n", "x".repeat(200)));
    }

    /// Whether everybody has heard `lines` lines of every sender but themselves.
    fn has_heard(&self, lines: usize) -> bool {
        self.members.iter().enumerate().all(|(index, member)| {
            let heard = |sender: usize| member.next[sender] == lines || sender == index;
            member.dripped == 1 && (0..SENDERS).all(heard)
        })
    }

    /// A round of talk, with `drip` called all the time.
    fn talk(&mut self, server: u32, mut drip: impl FnMut(Duration)) -> Round {
        let gauge = Gauge::start(server);
        self.latencies.clear();
        let before = self.said_at[0].len();
        let start = now();
        while !self.has_heard(before + LINES) {
            let passed = start.elapsed();
            assert!(passed < DEADLINE * 3, "not everybody heard everything");
            for sender in 0..SENDERS {
                // The senders take turns, so that a line is said every 50 ms rather than ten at once.
                let offset = PERIOD * u32::try_from(sender).unwrap() / u32::try_from(SENDERS).unwrap();
                let said = self.said_at[sender].len() - before;
                if said < LINES && passed >= offset + PERIOD * u32::try_from(said).unwrap() {
                    self.say(sender);
                }
            }
            drip(passed);
            self.turn(Duration::from_millis(5));
        }
        assert_eq!(self.latencies.len(), SENDERS * LINES * (CLIENTS - 1));
        self.latencies.sort_unstable();
        let at = |percent: usize| self.latencies[self.latencies.len() * percent / 100];
        Round { p50: at(50), p99: at(99), others: gauge.share_of_others() }
    }
}

/// Notes a line: that it comes next in its sender's order, and how long it was under way.
fn hear(member: &mut Member, line: &str, said_at: &[Vec<Instant>], latencies: &mut Vec<Duration>) {
    if line.contains(": you are guest-") {
        member.greeted = true;
    } else if line.ends_with(DRIPPED) {
        member.dripped += 1;
    } else if let Some((_, rest)) = line.split_once("> s=") {
        let mut words = rest.split(' ');
        let sender: usize = words.next().unwrap().parse().unwrap();
        let number: usize = words.next().and_then(|word| word.strip_prefix("n=")).unwrap().parse().unwrap();
        assert_eq!(number, member.next[sender], "every line of sender {sender}, once and in order");
        member.next[sender] += 1;
        latencies.push(said_at[sender][number].elapsed());
    } else {
        assert!(!line.contains("skipped"), "a line was skipped for a reader that reads: {line:?}");
    }
}

#[test]
fn a_thousand_people_hear_every_line_in_time() {
    let _turn = alone();
    if !enough_descriptors() {
        return;
    }
    let server = Server::start(&["limits.outbox_bytes=\"16 KiB\"", "limits.send_buffer=\"16 KiB\""]);
    let mut never_reads = Client::connect(&server);
    never_reads.greeting();
    let mut dripper = Client::connect(&server);
    dripper.greeting();
    let mut crowd = Crowd::connect(server.address());
    let mut drops = DRIPPED.bytes().chain([b'\n']).enumerate().peekable();
    let mut drip = |passed| {
        while let Some((_, byte)) = drops.next_if(|(at, _)| passed >= DRIP * u32::try_from(*at).unwrap()) {
            dripper.send_raw(&[byte]);
        }
    };
    let mut rounds: Vec<Round> = Vec::new();
    while rounds.len() < ROUNDS_MAX && rounds.last().is_none_or(|round| round.p99 > P99_MAX) {
        rounds.push(crowd.talk(server.pid(), &mut drip));
    }
    let told = rounds.iter().map(Round::to_string).collect::<Vec<_>>().join("\n");
    println!("{told}");
    if rounds.iter().all(|round| round.p99 > P99_MAX) {
        assert!(rounds.iter().all(|round| round.others > OTHERS_MAX), "too slow:\n{told}");
        say_skipped("the machine was too busy with other things to tell how fast deliveries are");
    }
    drop((never_reads, dripper));
}

/// A server with a thousand clients who have been greeted and say nothing more.
fn idle_server() -> (Server, Vec<TcpStream>) {
    let server = Server::start(&[]);
    let crowd = Crowd::connect(server.address());
    let mut last = Client::connect_to(&Endpoint::Tcp(server.address()));
    last.greeting();
    last.send("/quit");
    last.wait_for_end(DEADLINE);
    // Summed-up presence goes out after at most ten seconds; from then on there is nothing to do.
    let_pass(Duration::from_secs(11));
    (server, crowd.members.into_iter().map(|member| member.stream).collect())
}

#[test]
fn a_thousand_idle_clients_cost_next_to_nothing() {
    let _turn = alone();
    if !enough_descriptors() {
        return;
    }
    let (server, _clients) = idle_server();
    let seconds = 5;
    let sleeps = process::sleeps(server.pid());
    let cpu = process::cpu_time_during(server.pid(), Duration::from_secs(seconds));
    let sleeps = process::sleeps(server.pid()) - sleeps;
    println!("in {seconds} s: {cpu:?} of processor time, woken {sleeps} times");
    assert!(cpu <= Duration::from_millis(20), "{cpu:?} of processor time in {seconds} s");
    assert!(sleeps <= 2 * seconds, "woken {sleeps} times in {seconds} s");
    system_calls_while_idle(&server, seconds);
}

/// The same by strace, which also counts system calls.
fn system_calls_while_idle(server: &Server, seconds: u64) {
    if !installed(&["strace", "timeout"]) {
        return;
    }
    let pid = server.pid().to_string();
    let arguments =
        ["--signal=INT", &seconds.to_string(), "strace", "-f", "-c", "-U", "calls,name", "-p", &pid];
    let traced = Command::new("timeout").args(arguments).output().expect("timeout is there");
    let report = String::from_utf8_lossy(&traced.stderr);
    if report.contains("Operation not permitted") {
        say_skipped("strace may not trace here");
        return;
    }
    let calls = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        let rows = report.lines().filter_map(|row| {
            let mut words = row.split_whitespace();
            Some((words.next()?.parse::<u64>().ok()?, words.next()?))
        });
        rows.filter(|(_, name)| *name != "total" && wanted(name)).map(|(count, _)| count).sum()
    };
    let all = calls(&|_| true);
    let waits = calls(&|name| name.starts_with("epoll_") && name.contains("wait"));
    println!("in {seconds} s by strace: {all} system calls, {waits} waits");
    assert!(all <= 10 * seconds, "{all} system calls in {seconds} s:\n{report}");
    assert!(waits <= 2 * seconds, "{waits} wake-ups in {seconds} s:\n{report}");
}
