//! The programs people really chat with, as they come with Debian: each talks and listens, and the one-liners that
//! scripts are made of end as promised.
//!
//! A program that is not installed is skipped, aloud.

mod common;

use std::process::Stdio;
use std::time::Duration;

use common::{
    AT_ONCE, Client, DEADLINE, RealClient, Server, Terminal, installed, now, people, process, without_time,
};

/// The text has this line, whatever the time before it.
fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|found| without_time(found) == line)
}

/// `program` reads the greeting, is heard, hears, and says goodbye.
fn chats_both_ways(program: &str) {
    if !installed(&[program]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let mut other = RealClient::connect(program, &server);
    other.stdout.wait_for_text("-- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.");
    other.send("good morning");
    alice.expect("HH:MM #lobby --> guest-2");
    alice.expect("HH:MM #lobby <guest-2> good morning");
    other.send("/nick bob");
    other.stdout.wait_for_text("-- you are now bob");
    alice.expect("HH:MM #lobby -- guest-2 is now bob");
    other.send("hello from a real client: grüß dich");
    alice.expect("HH:MM #lobby <bob> hello from a real client: grüß dich");
    alice.send("and hello to you: 日本");
    other
        .stdout
        .wait_for("alice's line", |text| has_line(text, "HH:MM #lobby <alice> and hello to you: 日本"));
    other.send("/quit see you");
    alice.expect("HH:MM #lobby <-- bob (quit: see you)");
    let output = other.stdout.bytes();
    let garbage = output.iter().find(|&&byte| byte == 0xff || (byte < b' ' && !b"\r\n\t".contains(&byte)));
    assert_eq!(garbage, None, "telnet or control bytes: {}", output.escape_ascii());
}

#[test]
fn nc_openbsd_chats() {
    chats_both_ways("nc.openbsd");
}

#[test]
fn nc_traditional_chats() {
    chats_both_ways("nc.traditional");
}

#[test]
fn ncat_chats() {
    chats_both_ways("ncat");
}

#[test]
fn socat_chats() {
    chats_both_ways("socat");
}

#[test]
fn telnet_chats() {
    chats_both_ways("telnet");
}

#[test]
fn telnet_goes_on_after_ctrl_c() {
    if !installed(&["telnet"]) {
        return;
    }
    let server = Server::start(&[common::NO_FLOOD_LIMIT]);
    let mut alice = Client::named(&server, "alice");
    let mut telnet = Terminal::run("telnet", &["127.0.0.1", &server.port().to_string()], 24, 80);
    telnet.wait_for_text("you are guest-2");
    alice.expect("HH:MM #lobby --> guest-2");
    // It asks for a timing mark and prints nothing until that comes (RFC 860); some lines may fall into that time.
    telnet.keys("\x03");
    telnet.keys("still here\r");
    alice.expect("HH:MM #lobby <guest-2> still here");
    common::wait_until(DEADLINE, "telnet prints again", || {
        alice.send("are you still there?");
        telnet.text().contains("<alice> are you still there?")
    });
    alice.expect_nothing();
}

#[test]
fn nc_chats_on_a_unix_socket() {
    if !installed(&["nc.openbsd"]) {
        return;
    }
    let home = common::Home::new();
    let path = home.path().join("chat.sock");
    let path = path.to_str().unwrap();
    let server = Server::listening_on(&["127.0.0.1:0", &format!("unix:{path}")], &[]);
    let mut alice = Client::named(&server, "alice");
    let mut script = RealClient::spawn("nc.openbsd", &["-N", "-U", path]);
    script.send_all("by file\n/who");
    assert!(script.exit(DEADLINE).success());
    alice.skip_to("the line", |line| line == "HH:MM #lobby <guest-2> by file");
    let output = script.stdout.wait_for_end(DEADLINE);
    assert!(output.contains("alice"), "{output}");
}

/// Runs `printf INPUT | PROGRAM ARGUMENTS… HOST PORT` and gives what it printed, and how long it took.
fn pipe_through(program: &str, arguments: &[&str], server: &Server, input: &str) -> (String, Duration) {
    let address = common::real::connect_arguments(program, server.port());
    let all: Vec<&str> = arguments.iter().copied().chain(address.iter().map(String::as_str)).collect();
    let mut client = RealClient::spawn(program, &all);
    let start = now();
    client.send_all(input);
    assert!(client.exit(DEADLINE).success(), "{program} failed: {}", client.stderr.text());
    (client.stdout.wait_for_end(DEADLINE), start.elapsed())
}

/// What takes this long ends at once, on one of a few tries: the machine may have had other things to do.
#[track_caller]
fn within_a_second(program: &str, mut took: impl FnMut() -> Duration) {
    const TRIES: usize = 5;
    const SECOND: Duration = Duration::from_secs(1);
    let tries: Vec<Duration> = (0..TRIES).map(|_| took()).take_while(|took| *took >= SECOND).collect();
    assert!(tries.len() < TRIES, "{program} took {tries:?}");
}

#[test]
fn a_line_piped_into_nc_is_posted_and_nc_ends_at_once() {
    for (program, arguments) in [("nc.openbsd", &["-N"][..]), ("nc.openbsd", &["-q0"]), ("socat", &[])] {
        if !installed(&[program]) {
            continue;
        }
        let server = Server::start(&[]);
        let mut alice = Client::named(&server, "alice");
        within_a_second(program, || {
            let (_, took) = pipe_through(program, arguments, &server, "/nick ci\ndeploy done");
            alice.expect("HH:MM #lobby --> ci");
            alice.expect("HH:MM #lobby <ci> deploy done");
            alice.expect("HH:MM #lobby <-- ci (end of input)");
            took
        });
    }
}

#[test]
fn a_probe_by_nc_is_not_announced() {
    if !installed(&["nc.openbsd"]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    for _ in 0..3 {
        let probe = RealClient::spawn("nc.openbsd", &["-z", "127.0.0.1", &server.port().to_string()]);
        assert!({ probe }.exit(DEADLINE).success());
    }
    pipe_through("nc.openbsd", &["-N"], &server, "/nick ci\ndeploy done");
    alice.expect("HH:MM #lobby --> ci");
    alice.expect("HH:MM #lobby <ci> deploy done");
    alice.expect("HH:MM #lobby <-- ci (end of input)");
    alice.expect_nothing();
}

#[test]
fn a_program_posts_an_object_through_nc_and_reads_objects() {
    if !installed(&["nc.openbsd"]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let input = "/set mode json\n{\"kind\":\"say\",\"text\":\"deploy done\"}\nhello\n";
    let (output, _) = pipe_through("nc.openbsd", &["-N"], &server, input);
    alice.skip_to("the line", |line| line == "HH:MM #lobby <guest-2> deploy done");
    let told: Vec<&str> = output.lines().collect();
    assert!(told[0].starts_with("-- chatops: you are guest-2"), "{output}");
    assert!(told[1].starts_with(r#"{"v":1,"kind":"notice","time":"#), "{output}");
    assert!(told[2].starts_with(r#"{"v":1,"kind":"refused","time":"#), "{output}");
    assert_eq!(told.len(), 3, "{output}");
}

#[test]
fn a_question_piped_into_nc_is_answered_before_it_ends() {
    for (program, arguments) in [("nc.openbsd", &["-N"][..]), ("ncat", &[]), ("socat", &[])] {
        if !installed(&[program]) {
            continue;
        }
        let server = Server::start(&[]);
        let _alice = Client::named(&server, "alice");
        within_a_second(program, || {
            let (output, took) = pipe_through(program, arguments, &server, "/who\n");
            let answer = output.lines().any(|line| line.starts_with("-- ") && line.contains("alice"));
            assert!(answer, "{program} printed:\n{output}");
            took
        });
    }
}

#[test]
fn a_long_file_piped_into_nc_is_answered_to_its_last_line() {
    if !installed(&["nc.openbsd"]) {
        return;
    }
    let server = Server::start(&[common::NO_FLOOD_LIMIT]);
    let input = common::numbered(0..5000, |number| format!("/ping {number}"));
    let (output, _) = pipe_through("nc.openbsd", &["-N"], &server, &input);
    let pongs: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("-- pong ")).collect();
    let expected: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    assert_eq!(pongs, expected);
}

#[test]
fn nc_that_never_ends_its_input_stays_until_it_quits() {
    if !installed(&["nc.openbsd"]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let mut other = RealClient::connect("nc.openbsd", &server);
    other.stdout.wait_for_text("you are guest-2");
    alice.expect("HH:MM #lobby --> guest-2");
    other.kill();
    alice.skip_to("its end", |line| line.starts_with("HH:MM #lobby <-- guest-2 ("));
}

/// The programs that a kick is tried on while `yes` floods through them.
const FLOODERS: [&str; 4] = ["nc.openbsd", "nc.traditional", "ncat", "socat"];
/// How many of each.
const FLOODS: usize = 12;

/// A `yes` whose output goes into `program`.
struct Flood {
    _yes: RealYes,
    client: RealClient,
    id: u64,
}

/// The `yes` of a flood; killed when this value goes.
struct RealYes(std::process::Child);

impl Drop for RealYes {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Flood {
    fn start(program: &str, port: u16) -> Self {
        let mut yes = std::process::Command::new("yes").stdout(Stdio::piped()).spawn().expect("yes is there");
        let output = yes.stdout.take().unwrap();
        let arguments = common::real::connect_arguments(program, port);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let client = RealClient::spawn_with_input(program, &arguments, output.into());
        let greeting = client.stdout.wait_for("the greeting", |text| text.contains(" in #lobby ("));
        let (_, rest) = greeting.split_once("you are guest-").expect("the greeting names it");
        let id = rest.split(' ').next().and_then(|digits| digits.parse().ok()).expect("guest-ID");
        Self { _yes: RealYes(yes), client, id }
    }
}

#[test]
fn yes_piped_into_clients_disturbs_nobody() {
    if !installed(&FLOODERS) {
        return;
    }
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let floods = FLOODERS.map(|program| Flood::start(program, server.port()));
    alice.lines_until_now();
    let before = process::rss(server.pid());
    let used = process::cpu_time_during(server.pid(), Duration::from_secs(2));
    assert!(used <= Duration::from_millis(300), "{used:?} of processor time in 2 s of floods");
    let start = now();
    for number in 0..10 {
        alice.send(&format!("number {number}"));
        bob.skip_to("alice's line", |line| line.ends_with(&format!("<alice> number {number}")));
    }
    assert!(start.elapsed() < AT_ONCE, "ten lines took {:?}", start.elapsed());
    let grown = process::rss(server.pid()).saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "grown by {grown} bytes");
    drop(floods);
}

#[test]
fn a_kicked_flood_reads_the_reason_and_its_socket_is_gone() {
    for program in FLOODERS {
        if !installed(&[program]) {
            continue;
        }
        let (mut terminal, address) = Terminal::with_dashboard(&[]);
        let floods: Vec<Flood> = (0..FLOODS).map(|_| Flood::start(program, address.port())).collect();
        terminal.wait_for_row(&[&format!("{FLOODS} clients")]);
        let start = now();
        for flood in &floods {
            terminal.verb(&format!("kick #{} enough of that", flood.id));
        }
        let told = |flood: &&Flood| {
            let seen = flood.client.stdout.wait_for("the farewell", |text| {
                text.lines().any(|line| line == "-- kicked by the operator: enough of that")
            });
            seen.lines().last() == Some("-- kicked by the operator: enough of that")
        };
        let read = floods.iter().filter(told).count();
        assert_eq!(read, FLOODS, "{program}: {read} of {FLOODS} read the reason as their last line");
        common::wait_until(DEADLINE, "the sockets are gone", || {
            process::connections_on(address.port()).is_empty()
        });
        println!("{program}: {read} of {FLOODS} told, all gone after {:?}", start.elapsed());
    }
}

/// A scan of versions asks in thirty protocols (20 s): none of it is said, and the server chats on.
#[test]
fn nothing_of_a_scan_is_said_in_the_room() {
    if !installed(&["nmap"]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let port = server.port().to_string();
    let mut scan = RealClient::spawn("nmap", &["-sV", "-Pn", "-n", "-p", &port, "127.0.0.1"]);
    assert!(scan.exit(Duration::from_secs(180)).success());
    scan.stdout.wait_for_text("Nmap done");
    let mut bob = Client::connect(&server);
    bob.rename("bob");
    bob.send("is anybody hurt?");
    loop {
        let line = without_time(&alice.line());
        if line == "HH:MM #lobby <bob> is anybody hurt?" {
            break;
        }
        let is_presence = ["-->", "<--", "--"].iter().any(|sign| line.split(' ').nth(2) == Some(sign));
        assert!(is_presence, "{line}");
    }
}
