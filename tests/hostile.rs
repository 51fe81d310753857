//! Clients that mean no good, or do not know better: whatever they send, and however they end, the server neither
//! wedges nor grows nor spins, and the others chat on.

mod common;

use std::net::TcpStream;
use std::time::Duration;

use common::{AT_ONCE, Client, DEADLINE, NO_FLOOD_LIMIT, Server, now, people, process, wait_until};
use rustix::net::SendFlags;

const MIB: u64 = 1024 * 1024;

/// Pseudo-random bytes that are the same in every run (xorshift64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// The server after the attack: two people chat, memory and descriptors are as before, nothing spins.
struct Watch {
    server: Server,
    alice: Client,
    bob: Client,
    rss: u64,
    fds: usize,
}

impl Watch {
    fn start(options: &[&str]) -> Self {
        let server = Server::start(options);
        let [alice, bob] = people(&server, ["alice", "bob"]);
        let (rss, fds) = (process::rss(server.pid()), process::fd_count(server.pid()));
        Self { server, alice, bob, rss, fds }
    }

    #[track_caller]
    fn expect_unharmed(&mut self) {
        let (server, before) = (&mut self.server, self.fds);
        server.assert_alive();
        wait_until(DEADLINE, "all sockets of the attack are closed", || {
            process::fd_count(server.pid()) <= before
        });
        let grown = process::rss(server.pid()).saturating_sub(self.rss);
        assert!(grown < 16 * MIB, "grown by {grown} bytes");
        let used = process::cpu_time_during(server.pid(), Duration::from_secs(1));
        assert!(used <= Duration::from_millis(50), "{used:?} of processor time in a second of nothing");
        self.bob.lines_until_now();
        self.alice.send("all well?");
        self.bob.expect("HH:MM #lobby <alice> all well?");
        assert_eq!(self.server.stop(), Some(0));
    }
}

/// Reads and drops what comes, so that the sender's own window is never the reason to stop.
fn swallow(client: &mut Client) {
    while client.take_from_kernel(65_536) > 0 {
        client.forget();
    }
}

#[test]
fn random_bytes_are_survived_and_reach_others_only_as_clean_text() {
    let mut watch = Watch::start(&[NO_FLOOD_LIMIT]);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..40 {
        let mut rude = Client::connect(&watch.server);
        rude.send_some(b"hello\n", DEADLINE);
        for _ in 0..50 {
            let count = usize::try_from(noise.next() % 3000).unwrap();
            let bytes = noise.bytes(count);
            if rude.send_some(&bytes, Duration::from_millis(200)) < bytes.len() {
                break;
            }
            swallow(&mut rude);
        }
        if round % 2 == 0 {
            rude.shutdown_write();
        }
        drop(rude);
        // Client checks that each line bob reads is UTF-8, ends with CR LF and has no control character.
        watch.bob.lines_until_now();
        watch.alice.lines_until_now();
    }
    watch.expect_unharmed();
}

#[test]
fn random_commands_never_end_the_server() {
    const VERBS: [&str; 16] = [
        "/help", "/nick", "/join", "/leave", "/rooms", "/who", "/whois", "/msg", "/reply", "/me", "/topic",
        "/set", "/ping", "/listen", "//", "/",
    ];
    const ARGUMENTS: [&str; 12] = [
        "",
        " ",
        "#a",
        "#b",
        "#lobby",
        "alice",
        "guest-3",
        "time off",
        "presence off",
        "\u{202e}x",
        "a b c d",
        "##########################################",
    ];
    let mut watch = Watch::start(&[NO_FLOOD_LIMIT]);
    let mut noise = Noise(42);
    let mut pick = |list: &[&'static str]| list[usize::try_from(noise.next()).unwrap_or(0) % list.len()];
    let mut rude: Vec<Client> = (0..4).map(|_| Client::connect(&watch.server)).collect();
    for _ in 0..1000 {
        for client in &mut rude {
            client.send(&format!("{} {}", pick(&VERBS), pick(&ARGUMENTS)));
            swallow(client);
        }
    }
    for client in &mut rude {
        client.send("/ping done");
        client.skip_to("an answer", |line| line == "-- pong done");
    }
    // Who said /listen would stay after an orderly close, until keepalive finds it gone.
    rude.into_iter().for_each(Client::reset);
    watch.alice.lines_until_now();
    watch.expect_unharmed();
}

#[test]
fn connections_that_come_and_go_leave_nothing() {
    let mut watch = Watch::start(&[]);
    for round in 0..500 {
        let stream = TcpStream::connect_timeout(&watch.server.address(), DEADLINE).unwrap();
        match round % 4 {
            0 => drop(stream),
            1 => Client::on_tcp(stream).reset(),
            2 => {
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                drop(stream);
            }
            _ => {
                stream.shutdown(std::net::Shutdown::Both).unwrap();
                drop(stream);
            }
        }
    }
    watch.alice.lines_until_now();
    watch.expect_unharmed();
}

#[test]
fn a_reset_in_the_middle_of_a_line_or_of_an_answer_is_survived() {
    let mut watch = Watch::start(&[NO_FLOOD_LIMIT]);
    for round in 0..100 {
        let stream = TcpStream::connect_timeout(&watch.server.address(), DEADLINE).unwrap();
        let questions = "/who\n/rooms\n/help\n".repeat(round);
        let _ = (&mut &stream as &mut dyn std::io::Write).write_all(questions.as_bytes());
        let _ = (&mut &stream as &mut dyn std::io::Write).write_all(b"half a li");
        Client::on_tcp(stream).reset();
    }
    watch.alice.lines_until_now();
    watch.expect_unharmed();
}

#[test]
fn urgent_data_is_no_trouble() {
    let mut watch = Watch::start(&[]);
    let stream = TcpStream::connect_timeout(&watch.server.address(), DEADLINE).unwrap();
    for _ in 0..20 {
        rustix::net::send(&stream, b"\xff\xf2", SendFlags::OOB).unwrap();
        rustix::net::send(&stream, b"\xff\xf4", SendFlags::empty()).unwrap();
    }
    let used = process::cpu_time_during(watch.server.pid(), Duration::from_secs(1));
    assert!(used <= Duration::from_millis(50), "{used:?} of processor time for urgent data");
    rustix::net::send(&stream, b"\r\nafter the urgency\r\n", SendFlags::empty()).unwrap();
    // No byte of a command went astray: that would show as text of its own.
    watch.bob.expect("HH:MM #lobby --> guest-3");
    watch.bob.expect("HH:MM #lobby <guest-3> after the urgency");
    drop(stream);
    watch.expect_unharmed();
}

#[test]
fn a_crowd_that_floods_all_at_once_is_held_off() {
    let mut watch = Watch::start(&["limits.receive_buffer=\"16 KiB\"", "rooms.presence_max=1"]);
    let mut rude: Vec<Client> = (0..30).map(|_| Client::connect(&watch.server)).collect();
    let flood = "more and more and more\n".repeat(20_000);
    for client in &mut rude {
        client.send_some(flood.as_bytes(), Duration::from_millis(20));
    }
    for _ in 0..10 {
        let start = now();
        watch.alice.send("/ping x");
        watch.alice.skip_to("a pong", |line| line == "-- pong x");
        assert!(start.elapsed() < AT_ONCE, "alice waited for {:?}", start.elapsed());
    }
    drop(rude);
    watch.alice.lines_until_now();
    watch.expect_unharmed();
}

#[test]
fn floods_from_clients_that_read_nothing_take_no_memory() {
    let mut watch = Watch::start(&[NO_FLOOD_LIMIT, "limits.outbox_bytes=\"16 KiB\"", "rooms.presence_max=1"]);
    let mut rude: Vec<Client> = (0..10).map(|_| Client::connect(&watch.server)).collect();
    let flood = "/help\n/who\nand some text\n".repeat(5000);
    for client in &mut rude {
        // Answers are not skipped, so the server must stop reading who does not take them.
        client.send_some(flood.as_bytes(), Duration::from_millis(50));
        watch.alice.lines_until_now();
        watch.bob.lines_until_now();
    }
    let grown = process::rss(watch.server.pid()).saturating_sub(watch.rss);
    assert!(grown < 16 * MIB, "grown by {grown} bytes");
    drop(rude);
    wait_until(DEADLINE, "they are gone", || !watch.alice.answer("/who").join("\n").contains("guest-"));
    watch.expect_unharmed();
}

/// Told that there is no room.
fn is_turned_away(client: &mut Client) -> bool {
    client.line_within(Duration::from_millis(100)).is_ok_and(|line| line.starts_with("!! "))
}

/// Told its name.
fn gets_in(server: &Server) -> bool {
    Client::connect(server).line_within(DEADLINE).is_ok_and(|line| line.contains("you are guest-"))
}

#[test]
fn a_server_with_few_file_descriptors_takes_as_many_clients_as_fit() {
    let server = Server::with_descriptors(72, &[]);
    server.stderr.wait_for("a warning that says why", |log| log.contains("72 open files"));
    let mut alice = Client::named(&server, "alice");
    let mut crowd: Vec<Client> = (0..100).map(|_| Client::connect(&server)).collect();
    assert!(crowd.iter_mut().any(is_turned_away), "nobody was told that the server is full");
    let used = process::cpu_time_during(server.pid(), Duration::from_secs(1));
    assert!(used <= Duration::from_millis(100), "{used:?} of processor time while full");
    alice.lines_until_now();
    drop(crowd);
    wait_until(DEADLINE, "somebody gets in again", || gets_in(&server));
    alice.lines_until_now();
    assert!(!server.stderr.text().contains("cannot accept"), "{}", server.stderr.text());
}

#[test]
fn when_file_descriptors_run_out_those_at_the_door_are_told_one_by_one() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let before = process::limit_descriptors(server.pid(), process::next_fd(server.pid()));
    let mut crowd: Vec<Client> = (0..20).map(|_| Client::connect(&server)).collect();
    let told = |crowd: &mut Vec<Client>| crowd.iter_mut().any(is_turned_away);
    wait_until(DEADLINE, "somebody is told that the server is full", || told(&mut crowd));
    let used = process::cpu_time_during(server.pid(), Duration::from_secs(1));
    assert!(used <= Duration::from_millis(100), "{used:?} of processor time while full");
    alice.lines_until_now();
    assert!(server.stderr.text().matches("cannot accept").count() <= 3, "{}", server.stderr.text());
    process::limit_descriptors(server.pid(), before);
    drop(crowd);
    wait_until(DEADLINE, "somebody gets in again", || gets_in(&server));
    alice.lines_until_now();
}
