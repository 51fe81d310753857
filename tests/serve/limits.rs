//! Admission: the number of clients, of clients from one address, and the cost of many refusals.

use std::time::Duration;

use crate::common::{Client, DEADLINE, End, Server, let_pass, process, wait_until};

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
