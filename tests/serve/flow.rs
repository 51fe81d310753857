//! Back-pressure: a client that floods is not read, lines for a client that does not read are skipped, and no other
//! client notices.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{
    AT_ONCE, Client, DEADLINE, End, Home, NO_FLOOD_LIMIT, Server, now, numbered, people, process, wait_until,
    without_time,
};

const MIB: u64 = 1024 * 1024;

#[test]
fn a_flooding_client_is_warned_once_and_not_read() {
    let server = Server::start(&["limits.receive_buffer=\"16 KiB\""]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    let before = process::rss(server.pid());
    let flood = "spam, spam, spam\n".repeat(1_000_000);
    let sent = alice.send_some(flood.as_bytes(), Duration::from_millis(500));
    assert!(sent < flood.len(), "the server read on: {sent} bytes taken");
    for _ in 0..20 {
        let start = now();
        carol.send("/ping x");
        carol.skip_to("a pong", |line| line == "-- pong x");
        assert!(start.elapsed() < AT_ONCE, "carol waited for {:?}", start.elapsed());
    }
    let heard = bob.lines_until_now();
    assert!(heard.iter().all(|line| line == "HH:MM #lobby <alice> spam, spam, spam"), "{heard:?}");
    assert!(heard.len() <= 200, "{} lines passed the limit", heard.len());
    let mut told = Vec::new();
    while let Ok(line) = alice.line_within(Duration::from_millis(300)) {
        told.push(line);
    }
    assert_eq!(told.len(), 1, "told exactly once: {told:?}");
    assert!(told[0].starts_with("-- ") || told[0].starts_with("!! "), "{told:?}");
    let grown = process::rss(server.pid()).saturating_sub(before);
    assert!(grown < 4 * MIB, "grown by {grown} bytes");
}

#[test]
fn lines_of_a_flooding_client_arrive_in_order_at_the_rate() {
    let server = Server::start(&["flood.burst_lines=20", "flood.lines_per_second=100"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let start = now();
    let lines = numbered(0..220, |number| format!("number {number}"));
    alice.send_raw(lines.as_bytes());
    for number in 0..220 {
        bob.expect(&format!("HH:MM #lobby <alice> number {number}"));
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1800), "220 lines at 100 a second and 20 at once took {took:?}");
}

#[test]
fn bytes_are_limited_as_well_as_lines() {
    let options =
        ["flood.burst_bytes=\"4 KiB\"", "flood.bytes_per_second=\"4 KiB\"", "flood.burst_lines=1000"];
    let server = Server::start(&options);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let start = now();
    let long = "b".repeat(1000);
    for _ in 0..12 {
        alice.send(&long);
    }
    for _ in 0..12 {
        bob.expect(&format!("HH:MM #lobby <alice> {long}"));
    }
    // One read may take more than the limit allows; then alice is not read until the bucket has refilled.
    alice.send("next");
    bob.expect("HH:MM #lobby <alice> next");
    assert!(start.elapsed() >= Duration::from_millis(1500), "12,000 bytes passed in {:?}", start.elapsed());
}

#[test]
fn a_client_that_floods_for_too_long_is_warned_then_closed() {
    let server = Server::start(&["flood.patience=1s", "limits.receive_buffer=\"16 KiB\""]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let before = process::fd_count(server.pid());
    let flood = "on and on\n".repeat(200_000);
    alice.send_some(flood.as_bytes(), Duration::from_millis(300));
    bob.skip_to("the end of alice", |line| line == "HH:MM #lobby <-- alice (flooding)");
    wait_until(DEADLINE, "her socket is closed", || process::fd_count(server.pid()) < before);
}

/// Alice sends `count` lines of about 100 bytes, and bob reads each at once; returns the lines.
fn talk(alice: &mut Client, bob: &mut Client, count: usize) -> Vec<String> {
    let text = |number: usize| format!("line {number:06} {}", "-".repeat(80));
    let said: Vec<String> =
        (0..count).map(|number| format!("HH:MM #lobby <alice> {}", text(number))).collect();
    for start in (0..count).step_by(100) {
        let end = count.min(start + 100);
        alice.send_raw(numbered(start..end, text).as_bytes());
        for line in &said[start..end] {
            bob.expect(line);
        }
    }
    said
}

#[test]
fn a_slow_reader_loses_whole_lines_and_reads_where_and_how_many() {
    let options = [NO_FLOOD_LIMIT, "limits.outbox_bytes=\"32 KiB\"", "limits.send_buffer=\"16 KiB\""];
    let server = Server::start(&options);
    let [mut alice, mut bob, mut slow] = people(&server, ["alice", "bob", "slow"]);
    let before = process::rss(server.pid());
    let said = talk(&mut alice, &mut bob, 60_000);
    let grown = process::rss(server.pid()).saturating_sub(before);
    assert!(grown < 4 * MIB, "6 MB for a reader that reads nothing: grown by {grown} bytes");

    let mut next = 0;
    let mut skipped = 0;
    while next < said.len() {
        let line = without_time(&slow.line());
        if let Some(count) = lines_skipped(&line) {
            next += count;
            skipped += count;
        } else {
            assert_eq!(line, said[next], "whole lines in order, markers in the place of what is missing");
            next += 1;
        }
    }
    assert_eq!(next, said.len(), "received and skipped lines are all there were");
    assert!(skipped > 40_000, "{skipped} skipped");
    slow.expect_nothing();
    alice.send("and now?");
    slow.expect("HH:MM #lobby <alice> and now?");
}

/// The number in `-- 137 lines skipped`.
fn lines_skipped(line: &str) -> Option<usize> {
    let (count, rest) = line.strip_prefix("-- ")?.split_once(" line")?;
    rest.contains("skipped").then(|| count.replace(',', "").parse().ok())?
}

#[test]
fn answers_are_never_skipped() {
    let options = [NO_FLOOD_LIMIT, "limits.outbox_bytes=\"8 KiB\"", "limits.send_buffer=\"8 KiB\""];
    let server = Server::start(&options);
    let [mut alice, mut bob, mut slow] = people(&server, ["alice", "bob", "slow"]);
    talk(&mut alice, &mut bob, 5000);
    // The outbox is full; the client's own commands must wait for room, and are then answered in order.
    for number in 0..200 {
        slow.send(&format!("/ping {number}"));
    }
    talk(&mut alice, &mut bob, 2000);
    let mut answered = Vec::new();
    while answered.len() < 200 {
        let line = slow.line();
        if let Some(token) = line.strip_prefix("-- pong ") {
            answered.push(token.parse::<usize>().unwrap());
        }
    }
    assert_eq!(answered, (0..200).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_takes_nothing_is_reset() {
    let options = [NO_FLOOD_LIMIT, "limits.stall=2s", "limits.send_buffer=\"16 KiB\""];
    let server = Server::start(&options);
    let [mut alice, mut bob, mut stuck] = people(&server, ["alice", "bob", "stuck"]);
    let start = now();
    talk(&mut alice, &mut bob, 10_000);
    let line = bob.skip_to("its end", |line| line.starts_with("HH:MM #lobby <-- stuck"));
    assert_eq!(line, "HH:MM #lobby <-- stuck (takes nothing)");
    assert!(start.elapsed() >= Duration::from_millis(1900), "after {:?}", start.elapsed());
    let port = stuck.local_port();
    let left = || process::connections_on(server.port()).into_iter().any(|end| end.remote_port == port);
    wait_until(DEADLINE, "nothing of it is left in the kernel", || !left());
    assert_eq!(stuck.wait_for_end(DEADLINE), End::Reset);
    bob.expect_nothing();
}

#[test]
fn an_idle_client_is_not_stalled() {
    let server = Server::start(&["limits.stall=1s"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    crate::common::let_pass(Duration::from_millis(2500));
    alice.send("nothing was under way");
    bob.expect("HH:MM #lobby <alice> nothing was under way");
}

#[test]
fn a_slow_but_living_reader_is_not_reset() {
    let options = [NO_FLOOD_LIMIT, "limits.stall=1s", "limits.send_buffer=\"16 KiB\""];
    let server = Server::start(&options);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    // A small buffer acknowledges what is read soon: a large one waits until much of it is free.
    let mut slow = Client::with_receive_buffer(&server, 8 * 1024);
    slow.greeting();
    slow.rename("slow");
    bob.lines_until_now();
    talk(&mut alice, &mut bob, 10_000);
    let start = now();
    // Taking a little all the time, three times as long as a stall lasts.
    while start.elapsed() < Duration::from_secs(3) {
        slow.take_from_kernel(16_384);
        crate::common::let_pass(Duration::from_millis(100));
    }
    alice.send("the end");
    slow.skip_to("the end", |line| line == "HH:MM #lobby <alice> the end");
}

#[test]
fn under_the_disconnect_rule_a_full_outbox_ends_the_connection() {
    let options = [
        NO_FLOOD_LIMIT,
        "limits.on_full=disconnect",
        "limits.outbox_bytes=\"16 KiB\"",
        "limits.send_buffer=\"16 KiB\"",
    ];
    let server = Server::start(&options);
    let [mut alice, mut bob, mut slow] = people(&server, ["alice", "bob", "slow"]);
    let mut gone = false;
    for number in 0..20_000 {
        alice.send(&format!("line {number:06} {}", "-".repeat(80)));
        let line = without_time(&bob.line());
        if line.starts_with("HH:MM #lobby <-- ") {
            assert_eq!(line, "HH:MM #lobby <-- slow (reads too slowly)");
            gone = true;
            break;
        }
    }
    assert!(gone, "a client that reads nothing was kept");
    slow.wait_for_end(DEADLINE);
}

#[test]
fn all_outboxes_together_are_bounded() {
    let options = [
        NO_FLOOD_LIMIT,
        "limits.outbox_bytes=\"1 MiB\"",
        "limits.outbox_total=\"2 MiB\"",
        "limits.send_buffer=\"8 KiB\"",
    ];
    let server = Server::start(&options);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    // Each is in a room of its own with alice, so that no line can be shared between two of them.
    let mut crowd: Vec<Client> = Vec::new();
    for number in 0..10 {
        let mut client = Client::named(&server, &format!("sleeper-{number}"));
        client.answer(&format!("/join #room-{number}"));
        client.answer("/leave #lobby");
        crowd.push(client);
        alice.answer(&format!("/join #room-{number}"));
    }
    bob.lines_until_now();
    let before = process::rss(server.pid());
    // Answers are never skipped: the server does not make more of them while the client takes none.
    let questions = "/help\n/who\n/rooms\n".repeat(2_000);
    for client in &mut crowd {
        client.send_some(questions.as_bytes(), Duration::from_millis(50));
    }
    let filler = "f".repeat(1000);
    for number in 0..10 {
        alice.answer(&format!("/join #room-{number}"));
        for _ in 0..30 {
            let part = format!("{filler}\n").repeat(50);
            alice.send_raw(part.as_bytes());
            alice.expect_nothing();
        }
    }
    let grown = process::rss(server.pid()).saturating_sub(before);
    assert!(grown < 8 * MIB, "15 MB and answers for ten readers that read nothing: grown by {grown} bytes");
    alice.answer("/join #lobby");
    alice.send("awake");
    bob.expect("HH:MM #lobby <alice> awake");
}

#[test]
fn order_and_number_hold_for_many_senders() {
    let server = Server::start(&[NO_FLOOD_LIMIT, "rooms.presence_max=1"]);
    let mut reader = Client::named(&server, "reader");
    let mut senders: Vec<Client> = (0..20).map(|n| Client::named(&server, &format!("sender-{n}"))).collect();
    reader.lines_until_now();
    for number in 0..50 {
        for sender in &mut senders {
            sender.send(&format!("{number}"));
        }
    }
    let mut next = vec![0; senders.len()];
    let mut seen = BTreeSet::new();
    while seen.len() < 20 * 50 {
        let line = reader.skip_to("a sender's line", |line| line.contains(" <sender-"));
        let (sender, number) = line
            .split_once("<sender-")
            .and_then(|(_, rest)| rest.split_once("> "))
            .expect("a line of a sender");
        let (sender, number): (usize, usize) = (sender.parse().unwrap(), number.parse().unwrap());
        assert_eq!(number, next[sender], "the lines of sender {sender} in order");
        next[sender] += 1;
        assert!(seen.insert((sender, number)), "twice: {line}");
    }
    drop(senders);
}

#[test]
fn lines_sent_before_a_unix_socket_closes_are_delivered_at_the_rate() {
    let home = Arc::new(Home::new());
    let unix = format!("unix:{}", home.path().join("chat.sock").display());
    let options = ["flood.burst_lines=5", "flood.lines_per_second=50"];
    let server = Server::in_home(&home, &["127.0.0.1:0", &unix], &options);
    let mut bob = Client::named(&server, "bob");
    let mut alice = Client::named_on(&server, 1, "alice");
    bob.skip_to("alice", |line| line.ends_with("<alice> hello"));
    alice.send_raw(numbered(0..30, |number| format!("line {number}")).as_bytes());
    // On a Unix socket this is a hang-up in both directions.
    drop(alice);
    for number in 0..30 {
        bob.expect(&format!("HH:MM #lobby <alice> line {number}"));
    }
    bob.expect_line("that alice has left", |line| line.starts_with("HH:MM #lobby <-- alice ("));
}
