//! File descriptors that run out: by a limit from the start, and by a limit that is lowered while the server runs.

use std::time::Duration;

use crate::common::{Client, DEADLINE, Server, process, wait_until};
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
