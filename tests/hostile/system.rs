//! System calls that fail: file descriptors that run out, by a limit from the start or by one that is lowered while the
//! server runs, and errors by `strace --inject`. A call that passes later costs no client a line; an error of one
//! connection closes only that connection.

use std::time::Duration;

use rustix::process::Signal;

use crate::common::process::{self, TcpState};
use crate::common::real::say_skipped;
use crate::common::{Client, DEADLINE, End, RealClient, Server, bystanders, installed, now, wait_until};
use crate::scene::Scene;

/// The processor time that the server may use in a second for the bystanders' chat and for waiting connections.
const BUSY_MAX: Duration = Duration::from_millis(150);

/// Checks that the client reads that the server is full.
fn is_turned_away(client: &mut Client) -> bool {
    client.line_within(Duration::from_millis(100)).is_ok_and(|line| line.starts_with("!! "))
}

/// Checks that the client reads its greeting.
fn gets_in(server: &Server) -> bool {
    Client::connect(server).line_within(DEADLINE).is_ok_and(|line| line.contains("you are guest-"))
}

#[track_caller]
fn expect_calm(server: &Server) {
    let used = process::cpu_time_during(server.pid(), Duration::from_secs(1));
    assert!(used <= BUSY_MAX, "{used:?} of processor time in a second while full");
}

#[test]
fn a_server_with_few_file_descriptors_takes_as_many_clients_as_fit() {
    let scene = Scene::around(Server::with_descriptors(72, &[]));
    let server = &scene.server;
    server.stderr.wait_for("a warning that says why", |log| log.contains("72 open files"));
    let mut crowd: Vec<Client> = (0..100).map(|_| Client::connect(server)).collect();
    assert!(crowd.iter_mut().any(is_turned_away), "nobody was told that the server is full");
    expect_calm(server);
    drop(crowd);
    wait_until(DEADLINE, "somebody gets in again", || gets_in(server));
    assert!(!server.stderr.text().contains("cannot accept"), "{}", server.stderr.text());
    scene.expect_unharmed();
}

#[test]
fn without_file_descriptors_waiting_clients_are_notified_one_by_one() {
    let scene = Scene::start(&[]);
    let server = &scene.server;
    let before = process::limit_descriptors(server.pid(), process::next_fd(server.pid()));
    let mut crowd: Vec<Client> = (0..20).map(|_| Client::connect(server)).collect();
    let told = |crowd: &mut Vec<Client>| crowd.iter_mut().any(is_turned_away);
    wait_until(DEADLINE, "somebody is told that the server is full", || told(&mut crowd));
    expect_calm(server);
    assert!(server.stderr.text().matches("cannot accept").count() <= 3, "{}", server.stderr.text());
    process::limit_descriptors(server.pid(), before);
    drop(crowd);
    wait_until(DEADLINE, "somebody gets in again", || gets_in(server));
    scene.expect_unharmed();
}

/// Both names of the call that waits; a machine has one or both.
const WAIT: &str = "?epoll_wait,epoll_pwait,?epoll_pwait2";

/// The pause between two attempts to accept without descriptors: 200 ms, less a tolerance for clocks.
const PAUSE_MIN: Duration = Duration::from_millis(190);

/// An strace that makes system calls of the server fail or wait, until it is dropped.
struct Faults {
    strace: RealClient,
}

impl Faults {
    /// Injects into these calls, in the syntax of `strace --inject`. Prints and returns `None` where that is not
    /// allowed.
    fn everywhere(server: &Server, calls: &str, how: &str) -> Option<Self> {
        Self::start(server, calls, how, &[])
    }

    /// The same for the calls on the connection of this client alone.
    #[track_caller]
    fn on(client: &Client, server: &Server, calls: &str, how: &str) -> Option<Self> {
        let end = process::connection_from(server.port(), client.local_port()).expect("it is connected");
        Self::start(server, calls, how, &["-P", &format!("socket:[{}]", end.inode)])
    }

    fn start(server: &Server, calls: &str, how: &str, more: &[&str]) -> Option<Self> {
        if !installed(&["strace"]) {
            return None;
        }
        let pid = server.pid().to_string();
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{how}"));
        let arguments = [&["-f", "-p", &pid, "-e", &trace, "-e", &inject], more].concat();
        let strace = RealClient::spawn("strace", &arguments);
        let told = strace.stderr.wait_for("a word of strace", |text| text.contains('\n'));
        if told.contains("not permitted") {
            say_skipped("strace may not trace here");
            return None;
        }
        assert!(told.contains("attached"), "{told}");
        Some(Self { strace })
    }

    /// The number of calls with an injection so far.
    fn count(&self) -> usize {
        let trace = self.strace.stderr.text();
        trace.matches("(INJECTED)").count() + trace.matches("(DELAYED)").count()
    }

    /// Ends the injection; returns the number of calls.
    #[track_caller]
    fn end(mut self) -> usize {
        self.strace.signal(Signal::INT);
        self.strace.exit(DEADLINE);
        self.strace.stderr.wait_for_end(DEADLINE);
        self.count()
    }
}

#[test]
fn blocked_and_interrupted_calls_lose_no_line() {
    let mut scene = Scene::start(&[]);
    let faults = [
        (WAIT, "EINTR"),
        ("recvfrom", "EINTR"),
        ("recvfrom", "EAGAIN"),
        ("sendmsg", "EINTR"),
        ("sendmsg", "EAGAIN"),
        ("sendmsg", "ENOBUFS"),
    ];
    for (calls, error) in faults {
        // Every other call, on any connection.
        let how = format!("error={error}:when=1+2");
        let Some(faults) = Faults::everywhere(&scene.server, calls, &how) else { return };
        scene.rounds(2);
        let count = faults.end();
        assert!(count >= 6, "{calls}: {error} has come {count} times");
    }
    scene.expect_unharmed();
}

#[test]
fn a_connection_whose_writes_all_block_does_not_spin_the_loop() {
    let mut scene = Scene::start(&[]);
    for error in ["EAGAIN", "ENOBUFS"] {
        let mut victim = Client::named(&scene.server, "victim");
        // The kernel reports the socket as writable all the time.
        let how = format!("error={error}:when=1+");
        let Some(faults) = Faults::on(&victim, &scene.server, "sendmsg", &how) else { return };
        scene.rounds(4);
        let count = faults.end();
        assert!((2..=30).contains(&count), "{error}: {count} writes in more than a second");
        let said_last = scene.lines_of_each();
        let mut next = [None; bystanders::NICKS.len()];
        victim.skip_to("all that was said", |line| {
            let Some((speaker, number)) = bystanders::spoken(line) else { return false };
            let expected = next[speaker].replace(number + 1).unwrap_or(number);
            assert_eq!(number, expected, "every line, in order");
            number >= said_last
        });
        victim.send("/quit");
        victim.wait_for_end(DEADLINE);
    }
    scene.expect_unharmed();
}

#[test]
fn an_error_of_one_connection_closes_only_that_one() {
    let scene = Scene::start(&[]);
    let mut witness = Client::named(&scene.server, "witness");
    let faults = [
        ("recvfrom", "ECONNRESET", "connection reset"),
        ("recvfrom", "ETIMEDOUT", "connection failed"),
        ("recvfrom", "EHOSTUNREACH", "connection failed"),
        ("sendmsg", "ECONNRESET", "connection reset"),
        ("sendmsg", "EPIPE", "connection reset"),
        ("sendmsg", "ENETDOWN", "connection failed"),
    ];
    for (calls, error, reason) in faults {
        let mut victim = Client::named(&scene.server, "victim");
        let how = format!("error={error}:when=1");
        let Some(faults) = Faults::on(&victim, &scene.server, calls, &how) else { return };
        victim.send("here");
        let gone = witness.skip_to("somebody's end", |line| line.starts_with("HH:MM #lobby <-- "));
        assert!(gone.starts_with(&format!("HH:MM #lobby <-- victim ({reason}")), "{calls}, {error}: {gone}");
        assert_eq!(victim.wait_for_end(DEADLINE), End::Reset);
        assert_eq!(faults.end(), 1, "{calls}, {error}");
    }
    drop(witness);
    scene.expect_unharmed();
}

#[test]
fn failing_accepts_only_delay_connections() {
    let scene = Scene::start(&[]);
    // The error, how often it is injected, and the number of pauses. Without descriptors or memory, the reserved
    // descriptor serves for a second attempt before each pause, which fails as well.
    let faults = [
        ("EMFILE", 50, 25),
        ("ENFILE", 2, 1),
        ("ENOBUFS", 2, 1),
        ("ENOMEM", 2, 1),
        ("EINTR", 3, 0),
        ("ECONNABORTED", 100, 0),
        ("EPROTO", 100, 0),
    ];
    for (error, times, pauses) in faults {
        let how = format!("error={error}:when=1..{times}");
        let Some(faults) = Faults::everywhere(&scene.server, "accept4", &how) else { return };
        let start = now();
        let mut newcomer = Client::connect(&scene.server);
        newcomer.greeting();
        assert_eq!(faults.end(), times, "{error}");
        assert!(start.elapsed() >= PAUSE_MIN * pauses, "{error}: all that within {:?}", start.elapsed());
    }
    let told = scene.server.stderr.text().matches("cannot accept").count();
    assert!((1..=2).contains(&told), "{}", scene.server.stderr.text());
    scene.expect_unharmed();
}

#[test]
fn a_reset_during_the_last_flush_leaves_no_state() {
    let scene = Scene::start(&[]);
    let port = scene.server.port();
    let mut victim = Client::with_receive_buffer(&scene.server, 4096);
    victim.send_raw("/help\n".repeat(8).as_bytes());
    let state = |victim: &Client| process::connection_from(port, victim.local_port());
    wait_until(DEADLINE, "the kernel holds more of the answers than is taken", || {
        state(&victim).is_some_and(|end| end.recv_q == 0 && end.send_q > 1000)
    });
    // The reset arrives between FIN and the look at Send-Q that follows at once.
    let Some(faults) = Faults::on(&victim, &scene.server, "shutdown", "delay_exit=500000") else { return };
    victim.shutdown_write();
    wait_until(DEADLINE, "FIN is sent", || state(&victim).is_some_and(|end| end.state == TcpState::LastAck));
    victim.reset();
    assert_eq!(faults.end(), 1);
    scene.expect_unharmed();
}
