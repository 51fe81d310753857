//! Signals and the end: notice, flush, exit code, within a bounded time.

use std::time::Duration;

use rustix::process::Signal;

use crate::common::{AT_ONCE, Client, DEADLINE, End, Finished, NO_FLOOD_LIMIT, Server, now, people, process};

#[test]
fn sigterm_and_sigint_notify_all_clients_and_end_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
        server.signal(signal);
        for client in [&mut alice, &mut bob] {
            let (lines, end) = client.lines_to_end(DEADLINE);
            assert!(!lines.is_empty(), "{signal:?}: no notice");
            assert!(
                lines.iter().all(|line| line.starts_with("-- ") || line.starts_with("HH:MM *** ")),
                "{lines:?}"
            );
            assert_eq!(end, End::Fin);
        }
        assert_eq!(server.exit(DEADLINE).code(), Some(0), "{signal:?}");
    }
}

#[test]
fn a_server_without_clients_ends_at_once() {
    let mut server = Server::start(&["server.drain=30s"]);
    let start = now();
    assert_eq!(server.stop(), Some(0));
    assert!(start.elapsed() < AT_ONCE, "took {:?}", start.elapsed());
}

#[test]
fn clients_that_close_at_once_do_not_delay_the_end() {
    let mut server = Server::start(&["server.drain=30s"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let start = now();
    server.signal(Signal::TERM);
    alice.wait_for_end(DEADLINE);
    bob.wait_for_end(DEADLINE);
    drop((alice, bob));
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
    assert!(start.elapsed() < AT_ONCE, "took {:?}", start.elapsed());
}

/// A server with a client that takes nothing while a megabyte waits for it.
fn server_with_a_stuck_client(drain: &str) -> (Server, [Client; 3]) {
    let server = Server::start(&[NO_FLOOD_LIMIT, drain, "limits.outbox_bytes=\"1 MiB\""]);
    let [mut alice, mut bob, stuck] = people(&server, ["alice", "bob", "stuck"]);
    let line = "w".repeat(1000);
    for _ in 0..2000 {
        alice.send(&line);
        bob.line();
    }
    (server, [alice, bob, stuck])
}

#[test]
fn the_end_takes_at_most_the_drain() {
    let (mut server, [_alice, _bob, _stuck]) = server_with_a_stuck_client("server.drain=1s");
    let start = now();
    server.signal(Signal::TERM);
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(1) + AT_ONCE, "took {:?}", start.elapsed());
    let left = process::connections_on(server.port());
    let left: Vec<_> = left.iter().filter(|end| end.state == process::TcpState::FinWait1).collect();
    assert!(left.is_empty(), "kernel memory is held for ended clients: {left:?}");
}

#[test]
fn unsent_bytes_are_flushed_before_the_end() {
    let (mut server, [alice, bob, mut stuck]) = server_with_a_stuck_client("server.drain=20s");
    server.signal(Signal::TERM);
    let mut lines = Vec::new();
    while let Ok(line) = stuck.line_within(DEADLINE) {
        lines.push(line);
    }
    let last = lines.last().expect("lines came");
    assert!(last.starts_with("-- ") || last.contains(" *** "), "the notice comes last: {last:?}");
    assert!(lines.len() > 1000, "{} lines were flushed", lines.len());
    drop((stuck, alice, bob));
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let (mut server, [mut alice, _bob, _stuck]) = server_with_a_stuck_client("server.drain=60s");
    server.signal(Signal::TERM);
    alice.skip_to("the notice", |line| line.starts_with("-- ") || line.starts_with("HH:MM *** "));
    server.assert_alive();
    let start = now();
    server.signal(Signal::TERM);
    assert_eq!(server.exit(DEADLINE).code(), Some(1), "that was no clean end");
    assert!(start.elapsed() < AT_ONCE, "took {:?}", start.elapsed());
}

#[test]
fn a_draining_server_lets_no_client_in() {
    let (mut server, [mut alice, _bob, _stuck]) = server_with_a_stuck_client("server.drain=60s");
    server.signal(Signal::TERM);
    alice.skip_to("the notice", |line| line.starts_with("-- ") || line.starts_with("HH:MM *** "));
    let late = std::net::TcpStream::connect_timeout(&server.address(), DEADLINE);
    if let Ok(stream) = late {
        let (lines, _) = Client::on_tcp(stream).lines_to_end(DEADLINE);
        assert!(!lines.iter().any(|line| line.contains("you are guest-")), "{lines:?}");
    }
    server.assert_alive();
}

#[test]
fn sighup_does_not_end_the_server() {
    let mut server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    server.signal(Signal::HUP);
    server.stderr.wait_for("a word about SIGHUP", |log| log.contains("SIGHUP"));
    alice.expect_nothing();
    server.assert_alive();
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn without_a_terminal_the_dashboard_names_the_command_to_run() {
    let finished = Finished::run(&["-l", "127.0.0.1:0"]);
    finished.assert_refused(&["no terminal here: run `chatops serve`"]);
    assert_eq!(finished.stderr.trim_end().lines().count(), 1, "{finished:?}");
}

#[test]
fn bad_options_and_files_end_with_2_before_anything_listens() {
    let listen = ["serve", "-l", "127.0.0.1:0"];
    let run = |more: &[&str]| Finished::run(&[&listen[..], more].concat());
    run(&["-o", "limits.line_bites=1"]).assert_refused(&["limits.line_bites"]);
    run(&["-o", "limits.clients=many"]).assert_refused(&["limits.clients"]);
    run(&["-o", "limits.stall=-5s"]).assert_refused(&["limits.stall"]);
    run(&["-c", "/nonexistent/chatops.toml"]).assert_refused(&["/nonexistent/chatops.toml"]);
    let home = crate::common::Home::new();
    let file = home.path().join("chatops.toml");
    std::fs::write(&file, "[limits]\nclients = 5\nstall = 7\n").unwrap();
    let file = file.to_str().unwrap();
    run(&["-c", file]).assert_refused(&[&format!("{file}:3"), "stall"]);
}
