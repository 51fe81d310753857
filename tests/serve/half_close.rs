//! The end of a client's input: everything is answered first, and a client that asks for it may continue to receive.

use std::time::Duration;

use rustix::process::Signal;

use crate::common::{
    AT_ONCE, Client, DEADLINE, End, NO_FLOOD_LIMIT, Server, let_pass, now, numbered, people, process,
    wait_until,
};

#[test]
fn everything_received_is_answered_before_the_end() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let commands = numbered(0..300, |number| format!("/ping {number}"));
    alice.send_raw(commands.as_bytes());
    alice.send_raw(b"bye all\n/who");
    alice.shutdown_write();
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert_eq!(end, End::Fin);
    let pongs: Vec<String> = (0..300).map(|number| format!("-- pong {number}")).collect();
    assert_eq!(lines[..300], pongs[..]);
    let who = lines[300..].join("\n");
    assert!(
        who.contains("alice") && who.contains("bob"),
        "the unfinished last line is answered too: {who:?}"
    );
    bob.expect("HH:MM #lobby <alice> bye all");
    bob.expect("HH:MM #lobby <-- alice (end of input)");
}

#[test]
fn answers_that_must_wait_for_the_rate_still_come() {
    let server = Server::start(&["flood.burst_lines=5", "flood.lines_per_second=20"]);
    let mut alice = Client::named(&server, "alice");
    let commands = numbered(0..45, |number| format!("/ping {number}"));
    alice.send_raw(commands.as_bytes());
    alice.shutdown_write();
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert_eq!(end, End::Fin);
    let pongs: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("-- pong ")).collect();
    let expected: Vec<String> = (0..45).map(|number| number.to_string()).collect();
    assert_eq!(pongs, expected);
}

#[test]
fn an_answer_larger_than_all_buffers_is_flushed_before_the_end() {
    let options = [NO_FLOOD_LIMIT, "limits.send_buffer=\"8 KiB\"", "limits.outbox_bytes=\"16 KiB\""];
    let server = Server::start(&options);
    let mut alice = Client::named(&server, "alice");
    // Answers are never skipped: the server takes the next line only when the answer to this one fits.
    let filler = "x".repeat(500);
    let commands = numbered(0..2000, |number| format!("/ping {number}-{filler}"));
    let (head, tail) = commands.as_bytes().split_at(commands.len() / 2);
    std::thread::scope(|scope| {
        // Reading and writing at once, as a client that pipes a file into nc does.
        let mut reader = alice.second_half();
        let lines = scope.spawn(move || reader.lines_to_end(Duration::from_secs(60)));
        alice.send_raw(head);
        alice.send_raw(tail);
        alice.shutdown_write();
        let (lines, end) = lines.join().unwrap();
        assert_eq!(end, End::Fin);
        assert_eq!(lines.len(), 2000);
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(line, &format!("-- pong {number}-{filler}"));
        }
    });
}

#[test]
fn under_the_listen_policy_a_half_closed_client_receives_until_its_timeout() {
    let server = Server::start(&["half_close.policy=listen", "half_close.timeout=2s"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let start = now();
    alice.shutdown_write();
    bob.expect_nothing();
    bob.send("are you listening?");
    alice.expect("HH:MM #lobby <bob> are you listening?");
    let (lines, end) = alice.lines_to_end(DEADLINE);
    let took = start.elapsed();
    assert_eq!(end, End::Fin);
    assert!(lines.iter().all(|line| line.starts_with("-- ")), "{lines:?}");
    assert!(
        took >= Duration::from_millis(1900) && took < Duration::from_secs(2) + AT_ONCE,
        "ended after {took:?}"
    );
    bob.expect("HH:MM #lobby <-- alice (half-closed for too long)");
}

#[test]
fn a_client_that_sent_listen_stays_after_the_timeout() {
    let server = Server::start(&["half_close.timeout=1s"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let answer = alice.answer("/listen");
    assert!(!answer.is_empty() && answer.iter().all(|line| line.starts_with("-- ")), "{answer:?}");
    alice.send_raw(b"one last thing");
    alice.shutdown_write();
    bob.expect("HH:MM #lobby <alice> one last thing");
    let_pass(Duration::from_millis(2500));
    bob.send("still there?");
    alice.expect("HH:MM #lobby <bob> still there?");
    bob.expect_nothing();
}

#[test]
fn a_half_closed_client_is_probed_sooner() {
    let server = Server::start(&["keepalive.idle=10m", "keepalive.idle_half_closed=30s"]);
    let [mut alice, bob] = people(&server, ["alice", "bob"]);
    // While bytes are unacknowledged, the socket runs another timer.
    let is_due = |client: &Client, within: std::ops::Range<u64>| {
        let ends = process::connections_on(server.port());
        let end = ends.into_iter().find(|end| end.remote_port == client.local_port());
        end.and_then(|end| end.keepalive_in).is_some_and(|due| within.contains(&due.as_secs()))
    };
    wait_until(DEADLINE, "keepalive waits for ten minutes", || is_due(&alice, 500..601));
    alice.answer("/listen");
    alice.shutdown_write();
    wait_until(DEADLINE, "keepalive waits for half a minute", || is_due(&alice, 0..31));
    wait_until(DEADLINE, "that of others is as it was", || is_due(&bob, 500..601));
}

#[test]
fn half_closed_clients_cost_no_processor_time() {
    let server = Server::start(&["half_close.policy=listen"]);
    let mut listeners: Vec<Client> = (0..20)
        .map(|number| {
            let mut client = Client::named(&server, &format!("listener-{number}"));
            client.shutdown_write();
            client
        })
        .collect();
    let mut bob = Client::named(&server, "bob");
    bob.expect_nothing();
    let used = process::cpu_time_during(server.pid(), Duration::from_secs(2));
    assert!(used <= Duration::from_millis(100), "{used:?} of processor time in 2 s of nothing");
    bob.send("good night");
    for listener in &mut listeners {
        listener.skip_to("bob's line", |line| line == "HH:MM #lobby <bob> good night");
    }
}

#[test]
fn clients_that_were_answered_leave_no_state() {
    let server = Server::start(&[]);
    let mut bob = Client::named(&server, "bob");
    let before = process::fd_count(server.pid());
    for _ in 0..30 {
        let mut client = Client::connect(&server);
        client.send_raw(b"/ping x");
        client.shutdown_write();
        client.lines_to_end(DEADLINE);
    }
    wait_until(DEADLINE, "the sockets are closed", || process::fd_count(server.pid()) <= before);
    bob.lines_until_now();
    let who = bob.answer("/who").join("\n");
    assert!(!who.contains("guest-"), "{who}");
}

#[test]
fn a_client_reads_nothing_about_departures_before_it_was_let_in() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    server.signal(Signal::STOP);
    wait_until(DEADLINE, "the server stands still", || process::is_stopped(server.pid()));
    // Both events are in one turn of the server, the new connection first.
    let mut carol = Client::connect(&server);
    bob.shutdown_write();
    server.signal(Signal::CONT);
    carol.expect("-- chatops: you are guest-3 in #lobby (2 here). /help lists the commands.");
    carol.expect_nothing();
    alice.expect("HH:MM #lobby <-- bob (end of input)");
    alice.expect("HH:MM #lobby --> guest-3");
}

#[test]
fn bytes_in_send_q_are_delivered_after_both_fins() {
    let server = Server::start(&[]);
    let mut alice = Client::with_receive_buffer(&server, 2048);
    alice.send_raw(format!("{}/quit\n", "/help\n".repeat(19)).as_bytes());
    let row = || -> serde_json::Value {
        let answer = server.ctl(&["--json", "connections"]).stdout;
        serde_json::from_str::<serde_json::Value>(&answer).expect("JSON")["connections"][0].clone()
    };
    wait_until(DEADLINE, "FIN is behind all answers", || row()["write"] == "shut");
    assert!(row()["send_q"].as_u64().is_some_and(|bytes| bytes > 0), "{}", row());
    alice.shutdown_write();
    wait_until(DEADLINE, "her FIN is seen, or she is gone", || row()["read"] != "open");
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert_eq!((lines.last().map(String::as_str), end), (Some("-- bye"), End::Fin));
    assert_eq!(lines.iter().filter(|line| line.starts_with("-- /quit")).count(), 19);
}
