//! The caps on connections, and what those over them are told.

use std::io;

use chatops::engine::{AcceptFailure, Fate};

use crate::stage::{Client, World};

const FULL: &str = "!! the server is full; try again later";
const CROWDED: &str = "!! too many connections from your address; try again later";

fn is_in(world: &mut World, client: Client) -> bool {
    world.lines(client).iter().any(|line| line.contains("you are guest-"))
}

#[test]
fn over_the_limit_one_is_told_and_closed() {
    let mut world = World::with(|config| config.limits.clients = 2);
    let [alice, bob] = world.people(["alice", "bob"]);
    let carol = world.connect();
    world.says(carol, "let me in");
    world.reads(carol, [FULL]);
    assert!(world.got_fin(carol));
    world.reads(alice, []);
    world.pass("2s");
    assert_eq!(world.fate(carol), Some(Fate::Close));
    world.finishes(bob);
    world.run();
    let dave = world.connect();
    assert!(is_in(&mut world, dave), "there is room again");
}

#[test]
fn at_most_sixteen_are_told_at_a_time() {
    let mut world = World::with(|config| config.limits.clients = 1);
    world.people(["alice"]);
    let crowd: Vec<Client> = (0..100).map(|_| world.connect()).collect();
    let told = crowd.iter().filter(|client| world.peer(**client).id.is_some()).count();
    assert_eq!(told, 16);
    world.run();
    assert_eq!(world.books().connections, 17);
    let status = world.snapshot().status;
    assert_eq!((status.clients, status.accepted, status.refused), (1, 101, 100));
    world.pass("5s");
    assert_eq!(world.books().connections, 1);
    let next = world.connect();
    world.reads(next, [FULL]);
}

#[test]
fn one_address_has_its_own_limit() {
    let mut world = World::with(|config| config.limits.per_ip = 2);
    let come = |world: &mut World, address| {
        let client = world.connect_from(address);
        let lines = world.lines(client);
        (client, lines.last().unwrap() == CROWDED)
    };
    let (first, refused) = come(&mut world, "203.0.113.9:1000");
    assert!(!refused);
    assert!(!come(&mut world, "203.0.113.9:1001").1);
    assert!(come(&mut world, "203.0.113.9:1002").1);
    assert!(!come(&mut world, "203.0.113.10:1002").1);
    // An IPv6 site is one address.
    assert!(!come(&mut world, "[2001:db8::1]:1").1);
    assert!(!come(&mut world, "[2001:db8::2]:1").1);
    assert!(come(&mut world, "[2001:db8::3:4]:1").1);
    assert!(!come(&mut world, "[2001:db8:0:1::1]:1").1);
    // Neither the machine itself nor a Unix socket is counted.
    for address in ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "[::1]:1", "[::1]:2", "[::1]:3"] {
        assert!(!come(&mut world, address).1);
    }
    for _ in 0..3 {
        assert!(!come(&mut world, "unix").1);
    }
    world.finishes(first);
    world.run();
    assert!(!come(&mut world, "203.0.113.9:1003").1, "one is gone");
}

#[test]
fn the_machine_itself_is_counted_if_asked() {
    let mut world = World::with(|config| {
        config.limits.per_ip = 1;
        config.limits.per_ip_loopback = true;
    });
    let first = world.connect_from("127.0.0.1:1");
    assert!(is_in(&mut world, first));
    let second = world.connect_from("127.0.0.1:2");
    world.reads(second, [CROWDED]);
}

#[test]
fn the_operator_may_shut_the_door_for_a_while() {
    let mut world = World::new();
    world.people(["alice"]);
    assert_eq!(world.operator("pause").unwrap(), "accepting nobody");
    assert_eq!(world.operator("pause").unwrap_err(), "accepting nobody already");
    let bob = world.connect();
    assert_eq!(world.peer(bob).id, None);
    assert!(world.snapshot().status.paused);
    assert_eq!(world.operator("resume").unwrap(), "accepting again");
    assert_eq!(world.operator("resume").unwrap_err(), "accepting already");
    let bob = world.connect();
    assert!(is_in(&mut world, bob));
}

#[test]
fn rooms_have_limits_too() {
    let mut world = World::with(|config| {
        config.limits.rooms = 3;
        config.limits.rooms_per_client = 2;
    });
    let [alice, bob] = world.people(["alice", "bob"]);
    for (client, line, is_granted) in [
        (alice, "/join #a", true),
        (alice, "/join #b", false),
        (bob, "/join #b", true),
        (bob, "/leave #b", true),
        (bob, "/join #c", true),
        (alice, "/leave #lobby", true),
        (alice, "/join #d", false),
    ] {
        world.says(client, line);
        let answer = world.lines(client).pop().unwrap();
        assert_eq!(answer.starts_with("-- "), is_granted, "{line}: {answer}");
    }
}

#[test]
fn other_protocols_are_counted_and_warned_of_at_a_limited_rate() {
    let mut world = World::new();
    world.people(["alice"]);
    world.events();
    for (number, first) in ["GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\u{16}\u{3}\u{1}"].into_iter().enumerate()
    {
        let browser = world.connect_from(&format!("192.0.2.1:{number}"));
        world.sends(browser, first.as_bytes());
        world.finishes(browser);
        world.run();
    }
    let warnings = |world: &mut World| {
        let events = world.events().into_iter();
        events.filter(|event| event.starts_with("server: ")).collect::<Vec<_>>()
    };
    assert_eq!(warnings(&mut world), ["server: #2 from 192.0.2.1:0 speaks HTTP, not chat: closed"]);
    assert_eq!(world.snapshot().status.closed, [("foreign".into(), 3)]);
    world.pass("10s");
    let browser = world.connect_from("192.0.2.2:1");
    world.says(browser, "SSH-2.0-y");
    assert_eq!(
        warnings(&mut world),
        [
            "server: #5 from 192.0.2.2:1 speaks SSH, not chat: closed (2 more like it since this was last told)"
        ]
    );
}

#[test]
fn failures_to_accept_are_counted_and_told_at_a_limited_rate() {
    let mut world = World::new();
    let exhausted = io::Error::other("no descriptors");
    let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);
    for _ in 0..50 {
        world.engine.accept_failed(AcceptFailure::Exhausted, &exhausted);
        world.engine.accept_failed(AcceptFailure::Connection, &aborted);
    }
    assert_eq!(
        world.events(),
        [
            "server: cannot accept: no descriptors; trying again",
            "server: a connection was lost before it was accepted: connection aborted",
        ]
    );
    assert_eq!(world.snapshot().status.accept_failures, 100);
    world.pass("10s");
    world.snapshot();
    world.engine.accept_failed(AcceptFailure::Exhausted, &exhausted);
    assert_eq!(
        world.events(),
        ["server: cannot accept: no descriptors; trying again (49 more like it since this was last told)"]
    );
}
