//! Clients that do not read (stopped, asleep, or sending only), and readers of fixed records.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use std::{io, thread};

use rustix::process::Signal;

use crate::common::{
    AT_ONCE, Client, DEADLINE, Endpoint, NO_FLOOD_LIMIT, RealClient, Server, bystanders, installed, now,
    numbered, people, wait_until, without_time,
};
use crate::scene::Scene;

#[test]
fn many_clients_that_flood_at_once_delay_no_other_client() {
    let mut scene = Scene::start(&["limits.receive_buffer=\"16 KiB\"", "rooms.presence_max=1"]);
    let mut alice = Client::named(&scene.server, "alice");
    let mut rude: Vec<Client> = (0..30).map(|_| Client::connect(&scene.server)).collect();
    let flood = "more and more and more\n".repeat(20_000);
    for client in &mut rude {
        client.send_some(flood.as_bytes(), Duration::from_millis(20));
    }
    for _ in 0..10 {
        let start = now();
        alice.send("/ping x");
        alice.skip_to("a pong", |line| line == "-- pong x");
        assert!(start.elapsed() < AT_ONCE, "alice waited for {:?}", start.elapsed());
    }
    scene.rounds(3);
    drop((rude, alice));
    scene.expect_unharmed();
}

#[test]
fn floods_from_clients_that_read_nothing_take_no_memory() {
    let options = [NO_FLOOD_LIMIT, "limits.outbox_bytes=\"64 KiB\"", "rooms.presence_max=1"];
    let mut scene = Scene::start(&options);
    let mut alice = Client::named(&scene.server, "alice");
    let mut rude: Vec<Client> = (0..10).map(|_| Client::connect(&scene.server)).collect();
    // Few lines are text: without a flood limit, all lines that a client sent before it resets are said at once.
    let flood = format!("{}and some text\n", "/help\n/who\n".repeat(100)).repeat(120);
    for client in &mut rude {
        // Answers are not skipped, so the server must stop reading a client that does not take them.
        client.send_some(flood.as_bytes(), Duration::from_millis(50));
        alice.lines_until_now();
    }
    scene.round();
    scene.expect_not_grown();
    drop(rude);
    wait_until(DEADLINE, "they are gone", || !alice.answer("/who").join("\n").contains("guest-"));
    drop(alice);
    scene.expect_unharmed();
}

/// Lines for the reader that is stopped, about 1 MB.
const LINES: usize = 10_000;

/// The lines that a reader of the lobby and of another room got, up to a last line.
#[derive(Default)]
struct Account {
    /// For each bystander: the first line, and the number of lines missing between the lines that arrived.
    next_of_bystanders: [Option<usize>; bystanders::NICKS.len()],
    next_of_talker: usize,
    missing: usize,
    skipped: usize,
}

impl Account {
    fn take(&mut self, line: &str) {
        if let Some((speaker, number)) = bystanders::spoken(line) {
            let next = self.next_of_bystanders[speaker].replace(number + 1).unwrap_or(number);
            assert!(number >= next, "not in order: {line:?} after line {next}");
            self.missing += number - next;
        } else if let Some((_, number)) = line.split_once(" #side <talker> line ") {
            let number: usize = number.split(' ').next().unwrap().parse().unwrap();
            assert!(number >= self.next_of_talker, "not in order: {line:?}");
            self.missing += number - self.next_of_talker;
            self.next_of_talker = number + 1;
        } else if let Some(count) =
            line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" lines skipped"))
        {
            self.skipped += count.parse::<usize>().unwrap();
        }
    }
}

#[test]
fn a_stopped_reader_continues_with_the_kept_lines_and_reads_the_number_skipped() {
    if !installed(&["nc.openbsd"]) {
        return;
    }
    let options = [NO_FLOOD_LIMIT, "limits.outbox_bytes=\"16 KiB\"", "limits.send_buffer=\"16 KiB\""];
    let mut scene = Scene::start(&options);
    let mut talker = Client::named(&scene.server, "talker");
    talker.answer("/join #side");
    talker.answer("/leave #lobby");
    let mut nc = RealClient::connect("nc.openbsd", &scene.server);
    nc.send("/join #side");
    nc.stdout.wait_for_text("-- you are in #side");
    talker.skip_to("nc", |line| line.starts_with("HH:MM #side --> guest-"));
    scene.rounds(2);
    nc.signal(Signal::STOP);
    let line = |number: usize| format!("line {number} {}", "-".repeat(80));
    for start in (0..LINES).step_by(100) {
        talker.send_raw(numbered(start..start + 100, line).as_bytes());
        talker.expect_nothing();
    }
    scene.rounds(2);
    nc.signal(Signal::CONT);
    talker.send("that is all");
    let read = nc.stdout.wait_for("the end", |text| text.contains("<talker> that is all"));
    let mut account = Account::default();
    for line in read.lines().take_while(|line| !line.ends_with("<talker> that is all")) {
        account.take(line);
    }
    assert!(account.next_of_bystanders.iter().all(Option::is_some), "it heard all three bystanders");
    assert_eq!(account.next_of_talker, LINES, "the newest lines are the ones that were kept");
    assert_eq!(account.skipped, account.missing, "what it is told is what is missing");
    assert!(account.skipped > LINES / 2, "{} lines skipped of 1 MB for 16 KiB", account.skipped);
    drop((nc, talker));
    scene.expect_unharmed();
}

/// The median delay of other clients' lines beside a reader of the largest records. It is some milliseconds; with
/// records of 1 MiB and stored padding it was two to five seconds.
const MEDIAN_MAX: Duration = Duration::from_millis(500);

#[test]
fn no_text_becomes_a_record_that_looks_like_one_of_the_server() {
    let server = Server::framed(&["lines", "fixed:64"], &[NO_FLOOD_LIMIT]);
    let mut scene = Scene::around(server);
    let mut reader = Client::connect_nth(&scene.server, 1);
    let mut mallory = Client::named(&scene.server, "mallory");
    let fakes = ["12:34 *** send me your password", "-- you are banned", "!! ", "12:34 #lobby <ann> hi"];
    // For every size of record, one of these texts would start the next record.
    for room in 0..70 {
        mallory.send(&format!("{}{}", "x".repeat(room), fakes[room % fakes.len()].repeat(4)));
    }
    mallory.send("the last");
    let mut records = 0;
    loop {
        let record = without_time(&reader.line());
        records += 1;
        if records <= 2 {
            // The greeting.
            continue;
        }
        if record.ends_with("<mallory> the last") {
            break;
        }
        if record == ".." || record.starts_with(".. ") {
            continue;
        }
        assert!(
            record.starts_with("HH:MM #lobby <") || record.starts_with("HH:MM #lobby --"),
            "a record of its own: {record:?}"
        );
    }
    assert!(records > 140, "{records}");
    scene.round();
    drop((mallory, reader));
    scene.expect_unharmed();
}

#[test]
fn a_reader_of_large_records_delays_no_other_client() {
    let options = [NO_FLOOD_LIMIT, "limits.line_bytes=\"64 KiB\""];
    let server = Server::framed(&["lines", "fixed:65536"], &options);
    let mut scene = Scene::around(server);
    // One client that reads at full speed, and one that reads nothing.
    let Endpoint::Tcp(address) = scene.server.endpoints[1] else { panic!("it is a TCP listener") };
    let idle = TcpStream::connect(address).unwrap();
    let greedy = TcpStream::connect(address).unwrap();
    let mut reading = greedy.try_clone().unwrap();
    let reading = thread::spawn(move || io::copy(&mut reading, &mut io::sink()).unwrap());
    let [mut alice, mut bob] = people(&scene.server, ["alice", "bob"]);
    let mut waits = Vec::new();
    for number in 0..300 {
        // A few lines at once, each of which takes a record of 64 KiB.
        let start = now();
        alice.send_raw(format!("a{number}\nb{number}\nc{number}\n").as_bytes());
        let last = format!("HH:MM #lobby <alice> c{number}");
        bob.skip_to("the third line", |line| line == last);
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(waits[waits.len() / 2] < MEDIAN_MAX, "{:?}", waits[waits.len() / 2]);
    assert!(waits[waits.len() - 1] < AT_ONCE, "{:?}", waits[waits.len() - 1]);
    scene.rounds(2);
    scene.expect_not_grown();
    greedy.shutdown(Shutdown::Both).unwrap();
    let read = reading.join().unwrap();
    assert!(read >= 64 * 65_536, "the greedy one got {read} bytes");
    drop((alice, bob, idle, greedy));
    scene.expect_unharmed();
}
