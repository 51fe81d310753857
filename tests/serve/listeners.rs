//! Listeners: the lines on stdout, IPv6, Unix sockets, and addresses that cannot be bound; and admission: the number of
//! clients, of clients from one address, and the cost of many refusals.

use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::common::{Client, DEADLINE, End, Endpoint, Finished, Home, Server, let_pass, process, wait_until};

#[test]
fn stdout_has_one_line_for_each_listener_and_nothing_else() {
    let home = Home::new();
    let path = home.path().join("chat.sock");
    let unix = format!("unix:{}", path.display());
    let mut server = Server::listening_on(&["127.0.0.1:0", "127.0.0.2:0", &unix], &["log.level=debug"]);
    let Endpoint::Tcp(first) = server.endpoints[0] else { panic!("{:?}", server.endpoints) };
    let Endpoint::Tcp(second) = server.endpoints[1] else { panic!("{:?}", server.endpoints) };
    for endpoint in &server.endpoints {
        Client::connect_to(endpoint).greeting();
    }
    assert_eq!(server.stop(), Some(0));
    let expected = format!(
        "listening on 127.0.0.1:{} (lines)\nlistening on 127.0.0.2:{} (lines)\nlistening on {unix} (lines)\n",
        first.port(),
        second.port()
    );
    assert_eq!(server.stdout.wait_for_end(DEADLINE), expected);
}

#[test]
fn clients_of_all_listeners_share_a_room() {
    let home = Home::new();
    let unix = format!("unix:{}", home.path().join("chat.sock").display());
    let server = Server::listening_on(&["127.0.0.1:0", &unix], &[]);
    let mut alice = Client::named(&server, "alice");
    let mut bob = Client::connect_to(&server.endpoints[1]);
    bob.greeting();
    bob.send("over the file system");
    alice.expect("HH:MM #lobby --> guest-2");
    alice.expect("HH:MM #lobby <guest-2> over the file system");
    bob.send_raw(b"and out");
    bob.shutdown_write();
    alice.expect("HH:MM #lobby <guest-2> and out");
    bob.expect_eof();
}

#[test]
fn ipv6_works_like_ipv4() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        crate::common::real::say_skipped("this machine has no IPv6");
        return;
    }
    let server = Server::listening_on(&["[::1]:0"], &[]);
    let line = server.stdout.text();
    assert!(line.starts_with("listening on [::1]:") && line.ends_with(" (lines)\n"), "{line:?}");
    let mut alice = Client::connect(&server);
    alice.greeting();
    assert_eq!(alice.answer("/ping six"), ["-- pong six"]);
}

#[test]
fn a_port_in_use_is_said_and_ends_with_2() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    Finished::run(&["serve", "-l", &address]).assert_refused(&[&address, "in use"]);
    Client::connect(&server).greeting();
}

#[test]
fn one_address_in_use_of_two_opens_neither() {
    let server = Server::start(&[]);
    let home = Home::new();
    let path = home.path().join("chat.sock");
    let unix = format!("unix:{}", path.display());
    let address = server.address().to_string();
    Finished::run(&["serve", "-l", &unix, "-l", &address]).assert_refused(&[&address]);
    assert!(!path.exists(), "it leaves a socket behind");
}

#[test]
fn the_server_removes_its_socket_file_at_its_end() {
    let home = Home::new();
    let path = home.path().join("chat.sock");
    let mut server = Server::listening_on(&[&format!("unix:{}", path.display())], &[]);
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    assert_eq!(server.stop(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let home = Home::new();
    let path = home.path().join("chat.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the file outlives its listener");
    let server = Server::listening_on(&[&format!("unix:{}", path.display())], &[]);
    Client::connect(&server).greeting();
}

#[test]
fn a_live_socket_is_refused() {
    let home = Home::new();
    let path = home.path().join("chat.sock");
    let unix = format!("unix:{}", path.display());
    let server = Server::listening_on(&[&unix], &[]);
    Finished::run(&["serve", "-l", &unix]).assert_refused(&[path.to_str().unwrap()]);
    Client::connect(&server).greeting();
}

#[test]
fn a_file_that_is_no_socket_is_refused_and_kept() {
    let home = Home::new();
    let file = home.path().join("precious");
    fs::write(&file, "data").unwrap();
    for path in [&file, &home.path().to_owned()] {
        let unix = format!("unix:{}", path.display());
        Finished::run(&["serve", "-l", &unix]).assert_refused(&[path.to_str().unwrap()]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
}

#[test]
fn a_path_too_long_or_without_a_directory_is_refused() {
    let home = Home::new();
    let long = home.path().join("s".repeat(200));
    let nowhere = home.path().join("missing/chat.sock");
    for path in [long, nowhere] {
        let unix = format!("unix:{}", path.display());
        Finished::run(&["serve", "-l", &unix]).assert_refused(&["unix:"]);
    }
}

#[test]
fn an_invalid_address_is_wrong_usage() {
    for address in ["nowhere", "127.0.0.1", "127.0.0.1:99999", "unix:", ""] {
        let finished = Finished::run(&["serve", "-l", address]);
        assert_eq!(finished.code, Some(2), "{address:?}: {finished:?}");
        assert!(!finished.stderr.trim().is_empty(), "{address:?}: {finished:?}");
    }
}

#[test]
fn a_listener_beyond_loopback_causes_one_warning() {
    let mut open = Server::listening_on(&["0.0.0.0:0"], &[]);
    let port = open.port();
    let warning = format!("0.0.0.0:{port} is open to all who can reach it, in plain text");
    open.stderr.wait_for("a warning with the port that it got", |text| text.contains(&warning));
    assert_eq!(open.stop(), Some(0));
    let log = open.stderr.wait_for_end(DEADLINE).to_lowercase();
    assert_eq!(log.matches("plain text").count(), 1, "{log}");

    let mut closed = Server::start(&[]);
    Client::connect(&closed).greeting();
    assert_eq!(closed.stop(), Some(0));
    let log = closed.stderr.wait_for_end(DEADLINE).to_lowercase();
    assert!(!log.contains("plain text"), "{log}");
}

#[test]
fn arrivals_and_departures_are_logged_on_stderr() {
    let server = Server::start(&[]);
    let client = Client::named(&server, "alice");
    let port = client.local_port();
    server.stderr.wait_for_text(&format!("127.0.0.1:{port}"));
    drop(client);
    server.stderr.wait_for("the departure", |log| log.contains("alice") && log.contains("close"));
}

#[test]
fn a_blocked_log_does_not_stop_the_chat() {
    let home = Home::new();
    let fifo = home.path().join("log");
    // A pipe of 64 KiB that is open and never read, as by a stopped pager.
    let status = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is in coreutils");
    assert!(status.success());
    let server = Server::with_stderr_to(&fifo, &["log.level=debug", "flood.enabled=false"]);
    let mut alice = Client::named(&server, "alice");
    for number in 0..2000 {
        let mut client = Client::connect(&server);
        client.greeting();
        drop(client);
        if number % 100 == 0 {
            alice.lines_until_now();
        }
    }
    alice.lines_until_now();
    wait_until(DEADLINE, "the guests are gone", || {
        let who = alice.answer("/who").join("\n");
        !who.contains("guest-")
    });
}

/// Checks that the client is refused: one line with the reason, then the end.
#[track_caller]
fn expect_turned_away(client: &mut Client) {
    let (lines, end) = client.lines_to_end(DEADLINE);
    assert!(lines.len() == 1 && lines[0].starts_with("!! "), "{lines:?}");
    assert_eq!(end, End::Fin);
}

#[test]
fn a_client_over_the_limit_reads_why_and_is_closed() {
    let server = Server::start(&["limits.clients=2"]);
    let mut alice = Client::named(&server, "alice");
    let mut bob = Client::named(&server, "bob");
    alice.lines_until_now();
    expect_turned_away(&mut Client::connect(&server));
    alice.expect_nothing();
    bob.send("/quit");
    alice.expect("HH:MM #lobby <-- bob (quit)");
    drop(bob);
    wait_until(DEADLINE, "a place is free", || {
        let mut carol = Client::connect(&server);
        carol.line().contains("you are guest-")
    });
}

#[test]
fn addresses_are_limited_and_loopback_only_when_asked() {
    let free = Server::start(&["limits.per_ip=1"]);
    let mut both = [Client::connect(&free), Client::connect(&free)];
    for client in &mut both {
        client.greeting();
    }

    let strict = Server::start(&["limits.per_ip=1", "limits.per_ip_loopback=true"]);
    let mut first = Client::connect(&strict);
    first.greeting();
    expect_turned_away(&mut Client::connect(&strict));
    drop(first);
    wait_until(DEADLINE, "the address has a place again", || {
        Client::connect(&strict).line().contains("you are guest-")
    });
}

#[test]
fn refusals_of_many_connections_cost_little() {
    let server = Server::start(&["limits.clients=1"]);
    let mut alice = Client::named(&server, "alice");
    let before = process::fd_count(server.pid());
    // None of the clients reads or closes: each refusal could linger.
    let crowd: Vec<Client> = (0..300).map(|_| Client::connect(&server)).collect();
    let (mut most, start) = (0, crate::common::now());
    while start.elapsed() < Duration::from_secs(1) {
        most = most.max(process::fd_count(server.pid()));
        let_pass(Duration::from_millis(10));
    }
    assert!(most <= before + 16 + 4, "{most} file descriptors, {before} before the crowd came");
    drop(crowd);
    wait_until(DEADLINE, "the refused are gone", || process::fd_count(server.pid()) <= before);
    let used = process::cpu_time_during(server.pid(), Duration::from_secs(1));
    assert!(used <= Duration::from_millis(50), "{used:?} of processor time in a second of nothing");
    alice.expect_nothing();
}
