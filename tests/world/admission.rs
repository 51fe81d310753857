//! The limits on connections, and what clients over them read.

use std::io;

use chatops::config::settings::PerAddress;
use chatops::engine::{AcceptFailure, CloseMode};

use crate::stage::{Client, World};

const FULL: &str = "!! the server is full; try again later";
const CROWDED: &str = "!! too many connections from your address; try again later";

fn is_in(world: &mut World, client: Client) -> bool {
    world.lines(client).iter().any(|line| line.contains("you are guest-"))
}

#[test]
fn a_client_over_the_limit_gets_a_line_and_is_closed() {
    let mut world = World::with(|config| config.limits.clients = 2);
    let [alice, bob] = world.people(["alice", "bob"]);
    let carol = world.connect();
    world.says(carol, "let me in");
    world.reads(carol, [FULL]);
    assert!(world.got_fin(carol));
    world.reads(alice, []);
    world.pass("2s");
    assert_eq!(world.close_mode(carol), Some(CloseMode::Close));
    world.finishes(bob);
    world.run();
    let dave = world.connect();
    assert!(is_in(&mut world, dave), "there is room again");
}

#[test]
fn at_most_sixteen_refusals_linger_at_a_time() {
    let mut world = World::with(|config| config.limits.clients = 1);
    world.people(["alice"]);
    let crowd: Vec<Client> = (0..100).map(|_| world.connect()).collect();
    let noticed = crowd.iter().filter(|client| world.peer(**client).id.is_some()).count();
    assert_eq!(noticed, 16);
    world.run();
    assert_eq!(world.audit_counts().connections, 17);
    let status = world.snapshot().status;
    assert_eq!((status.clients, status.accepted, status.refused), (1, 101, 100));
    world.pass("5s");
    assert_eq!(world.audit_counts().connections, 1);
    let next = world.connect();
    world.reads(next, [FULL]);
}

#[test]
fn one_address_has_its_own_limit() {
    let mut world = World::with(|config| config.limits.per_ip = PerAddress::Most(2));
    let come = |world: &mut World, address: &str| {
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
    // Strangers share the /64 of link-local addresses, and of those that stand for IPv4 ones.
    for number in 1..5 {
        assert!(!come(&mut world, &format!("[fe80::{number}]:1")).1);
        assert!(!come(&mut world, &format!("[64:ff9b::198.51.100.{number}]:1")).1);
    }
    // An IPv4 address is the same by way of IPv6.
    assert!(come(&mut world, "[::ffff:203.0.113.9]:1").1);
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
        config.limits.per_ip = PerAddress::Most(1);
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
fn failures_to_accept_are_counted_and_logged_at_a_limited_rate() {
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

#[test]
fn by_default_one_address_has_a_tenth_of_all_places() {
    for (clients, most) in [(200, 20), (50, 10), (5, 5)] {
        let mut world = World::with(|config| config.limits.clients = clients);
        let conns: Vec<_> = (0..30).map(|port| world.connect_from(&format!("192.0.2.1:{port}"))).collect();
        let let_in = conns.iter().filter(|client| is_in(&mut world, **client)).count();
        assert_eq!(let_in, most, "of {clients}");
    }
    let mut world = World::with(|config| {
        config.limits.clients = 50;
        config.limits.trusted = vec!["192.0.2.0/24".parse().unwrap()];
    });
    let conns: Vec<_> = (0..30).map(|port| world.connect_from(&format!("192.0.2.1:{port}"))).collect();
    assert!(conns.iter().all(|client| is_in(&mut world, *client)), "a trusted network has no limit");
}

/// Five at once, then one each 100 ms.
fn slow_to_let_in() -> World {
    World::with(|config| {
        config.limits.connects_burst = 5;
        config.limits.connects_per_second = 10;
    })
}

fn crowd(world: &mut World, count: usize) -> Vec<Client> {
    (0..count).map(|port| world.connect_from(&format!("192.0.2.1:{port}"))).collect()
}

#[test]
fn over_the_rate_of_its_address_a_connection_waits_and_loses_nothing() {
    let mut world = slow_to_let_in();
    let [alice] = world.people(["alice"]);
    let crowd = crowd(&mut world, 8);
    let elsewhere = world.connect_from("192.0.2.2:1");
    assert!(is_in(&mut world, elsewhere), "others do not wait");
    for client in &crowd {
        world.says(*client, "hello");
    }
    world.run();
    assert_eq!(
        crowd.iter().map(|client| world.state(*client)).collect::<Vec<_>>()[4..],
        ["open", "waiting", "waiting", "waiting"]
    );
    world.reads(crowd[5], []);
    assert_eq!(world.row(crowd[5]).bytes_in, 0, "it is not read");
    assert_eq!(world.snapshot().status.clients, 10, "it has a place");
    world.everybody_has_read();
    world.pass("100ms");
    assert_eq!(world.state(crowd[5]), "open");
    assert_eq!(world.state(crowd[6]), "waiting");
    world.pass("200ms");
    let read = world.lines(alice);
    let hellos: Vec<_> = read.iter().filter(|line| line.ends_with("> hello")).collect();
    assert_eq!(hellos.len(), 3, "in order and complete: {read:?}");
    assert!(is_in(&mut world, crowd[7]));
}

#[test]
fn a_hundred_of_one_address_wait_and_further_ones_are_refused() {
    let mut world = slow_to_let_in();
    let crowd = crowd(&mut world, 106);
    world.reads(crowd[105], ["!! too many new connections from your address; try again later"]);
    world.reads(crowd[104], []);
    assert_eq!(world.snapshot().status.refused, 1);
    world.pass("10s");
    assert!(is_in(&mut world, crowd[104]));
}

#[test]
fn one_that_resets_while_it_waits_goes_at_once() {
    let mut world = slow_to_let_in();
    let [alice] = world.people(["alice"]);
    let crowd = crowd(&mut world, 7);
    world.pass("50ms");
    world.everybody_has_read();
    world.says(crowd[5], "unread");
    world.peer(crowd[5]).resets();
    assert_eq!(world.close_mode(crowd[5]), Some(CloseMode::Reset));
    world.pass("50ms");
    assert_eq!(world.state(crowd[6]), "open", "the next one takes its turn");
    world.pass("3s");
    assert!(world.lines(alice).iter().all(|line| !line.contains("guest-7")), "nobody hears of it");
}

#[test]
fn a_client_that_ends_without_a_byte_is_dropped_in_its_turn_and_costs_no_other_client_a_turn() {
    let mut world = slow_to_let_in();
    let [alice] = world.people(["alice"]);
    let crowd = crowd(&mut world, 8);
    world.everybody_has_read();
    world.finishes(crowd[5]);
    world.sends(crowd[6], b"/nick ci\ndeploy done");
    world.finishes(crowd[6]);
    world.run();
    assert_eq!(world.state(crowd[5]), "waiting");
    world.pass("100ms");
    assert_eq!(world.close_mode(crowd[5]), Some(CloseMode::Close));
    world.reads(crowd[5], []);
    let read = world.lines(alice);
    assert!(read.contains(&"12:34 #lobby <ci> deploy done".to_owned()), "{read:?}");
    assert_eq!(world.state(crowd[7]), "waiting");
    world.pass("100ms");
    assert_eq!(world.state(crowd[7]), "open");
}

#[test]
fn the_operator_may_end_one_that_waits() {
    let mut world = slow_to_let_in();
    let crowd = crowd(&mut world, 9);
    assert_eq!(world.operator("shutdown 6 read").unwrap_err(), "#6 waits to be let in: kick or reset it");
    assert_eq!(world.operator("mute 6").unwrap_err(), "#6 waits to be let in: kick or reset it");
    world.operator("kick 6 no").unwrap();
    world.reads(crowd[5], ["-- kicked by the operator: no"]);
    world.operator("reset 7").unwrap();
    assert_eq!(world.close_mode(crowd[6]), Some(CloseMode::Reset));
    world.pass("100ms");
    assert_eq!(world.state(crowd[7]), "open");
    world.operator("ban 192.0.2.1 force").unwrap();
    assert!(world.got_fin(crowd[8]));
}

#[test]
fn a_stop_ends_those_that_wait() {
    let mut world = slow_to_let_in();
    crowd(&mut world, 9);
    world.engine.stop(None);
    world.pass("5s");
    assert!(world.engine.is_stopped());
}

#[test]
fn a_reload_leaves_no_client_waiting_for_ever() {
    let mut world = slow_to_let_in();
    let crowd = crowd(&mut world, 8);
    let mut config = chatops::config::settings::Config::default();
    config.limits.trusted = vec!["192.0.2.0/24".parse().unwrap()];
    let reloaded = chatops::engine::reload::Reloaded {
        config,
        applied: Vec::new(),
        needs_restart: Vec::new(),
        warnings: Vec::new(),
    };
    world.engine.reloaded(Ok(reloaded)).unwrap();
    world.operator("kick 6").unwrap();
    world.pass("100ms");
    assert!(is_in(&mut world, crowd[7]));
}

/// How a client of a loop ends its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// FIN, and it reads to the end.
    Fin,
    /// RST, and at once again.
    Reset,
    /// FIN of the one before, when the next one is connected already.
    Overlapping,
}

/// How many lines a second alice reads of one address behind its burst: in a loop, connect, 20 lines, the end, again.
#[expect(clippy::cast_precision_loss, reason = "a few hundred lines")]
fn after_the_burst(end: End) -> f64 {
    let mut world = World::with(|config| {
        config.limits.connects_burst = 1_000;
        config.limits.connects_per_second = 1_000;
    });
    let [alice] = world.people(["alice"]);
    let mut conns: std::collections::VecDeque<Client> = std::collections::VecDeque::new();
    let start = world.now().moment;
    for step in 0..300 {
        conns.retain(|client| world.close_mode(*client).is_none());
        let kept = usize::from(end == End::Overlapping);
        if conns.len() <= kept {
            let next = world.connect_from(&format!("192.0.2.1:{step}"));
            conns.push_back(next);
        }
        world.pass("5ms");
        if conns.len() > kept {
            let client = conns[0];
            for number in 0..20 {
                world.says(client, &format!("flood {number}"));
            }
            if end == End::Reset {
                world.peer(client).resets();
            } else if !world.peer(client).fin {
                world.finishes(client);
            }
        }
        world.pass("5ms");
    }
    let lines = world.lines(alice).iter().filter(|line| line.contains("> flood ")).count();
    let passed = world.now().moment.since(start).as_secs_f64();
    (lines as f64 - 20.0) / passed
}

#[test]
fn reconnecting_buys_no_more_lines() {
    // One connection has its burst, and 5 a second.
    let fin = after_the_burst(End::Fin);
    assert!((4.0..=6.0).contains(&fin), "{fin}");
    // One whose socket has failed says nothing more beside the one that has inherited what it owes.
    let resets = after_the_burst(End::Reset);
    assert!(resets <= 6.0, "{resets}");
    // Two at a time have the rate of two, and two bursts.
    let overlapping = after_the_burst(End::Overlapping);
    assert!(overlapping <= 10.0 + 20.0 / 3.0, "{overlapping}");
}

#[test]
fn sixty_posts_of_a_script_in_a_loop_lose_nothing() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    let mut read = Vec::new();
    for number in 0..60 {
        let script = world.connect_from(&format!("192.0.2.1:{number}"));
        world.sends(script, format!("/nick ci\npost {number}").as_bytes());
        world.finishes(script);
        while world.close_mode(script).is_none() {
            world.pass("50ms");
        }
        assert!(world.got_fin(script), "{number}");
        read.extend(world.lines(alice));
    }
    let posts: Vec<_> = read.iter().filter(|line| line.contains(" <ci> post ")).collect();
    assert_eq!(posts.len(), 60);
    assert!(world.snapshot().status.closed.iter().all(|(reason, _)| reason == "eof"));
}

#[test]
fn thirty_people_behind_one_address_do_not_pay_for_each_other() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    let office: Vec<Client> = (0..30).map(|port| world.connect_from(&format!("192.0.2.1:{port}"))).collect();
    let flooder = world.connect_from("192.0.2.1:99");
    for number in 0..200 {
        world.says(flooder, &format!("x {number}"));
    }
    for client in &office {
        for number in 0..15 {
            world.says(*client, &format!("y {number}"));
        }
    }
    let read = world.lines(alice);
    assert_eq!(
        read.iter().filter(|line| line.contains("> y ")).count(),
        30 * 15,
        "at once, every one of them"
    );
    // The network goes away and comes back: each has what one of them had left.
    for client in &office {
        world.peer(*client).resets();
    }
    world.run();
    for port in 0..30 {
        let back = world.connect_from(&format!("192.0.2.1:{}", 1_000 + port));
        for number in 0..5 {
            world.says(back, &format!("z {number}"));
        }
    }
    // Eleven of them wait for a second, for 61 have connected at once.
    world.pass("2s");
    let read = world.lines(alice);
    assert_eq!(read.iter().filter(|line| line.contains("> z ")).count(), 30 * 5);
}

#[test]
fn what_was_inherited_does_not_count_for_patience() {
    let mut world = World::with(|config| {
        config.flood.patience = std::time::Duration::from_secs(2);
        config.flood.burst_lines = 100;
    });
    let [alice] = world.people(["alice"]);
    let flooder = world.connect_from("192.0.2.1:1");
    for _ in 0..100 {
        world.says(flooder, "x");
    }
    world.run();
    world.peer(flooder).resets();
    world.run();
    let neighbour = world.connect_from("192.0.2.1:2");
    for number in 0..5 {
        world.pass("1s");
        world.says(neighbour, &format!("hello {number}"));
    }
    world.pass("30s");
    assert_eq!(world.state(neighbour), "open");
    assert_eq!(world.lines(alice).iter().filter(|line| line.contains("> hello ")).count(), 5);
}

#[test]
fn one_that_has_inherited_and_kept_its_rate_is_no_flooder_ten_minutes_later() {
    let mut world = World::new();
    let flooder = world.connect_from("192.0.2.1:1");
    for _ in 0..20 {
        world.says(flooder, "x");
    }
    world.run();
    world.peer(flooder).resets();
    world.run();
    let neighbour = world.connect_from("192.0.2.1:2");
    let start = world.now().moment;
    world.run();
    // What was owed is paid after 4 s, and patience would be over 10 minutes later.
    world.jump_to(start + std::time::Duration::from_millis(603_990));
    for _ in 0..15 {
        world.says(neighbour, "a burst");
    }
    world.pass("1s");
    assert_eq!(world.state(neighbour), "open");
}

#[test]
fn a_reset_gives_the_place_back_and_what_was_not_said_is_bounded() {
    let mut world = World::with(|config| config.limits.clients = 20);
    let [alice] = world.people(["alice"]);
    for number in 0..100 {
        let client = world.connect_from(&format!("192.0.2.{number}:1"));
        assert!(is_in(&mut world, client), "there is a place for number {number}");
        for line in 0..40 {
            world.says(client, &format!("{line}"));
        }
        world.peer(client).resets();
        world.run();
    }
    assert_eq!(world.snapshot().status.clients, 1);
    assert_eq!(world.audit_counts().orphans, 100);
    world.pass("10s");
    assert_eq!(world.audit_counts().orphans, 0);
    assert_eq!(world.lines(alice).iter().filter(|line| line.contains("> 39")).count(), 100);
    assert_eq!(world.snapshot().status.dropped_bytes, 0);
    for number in 0..400 {
        let client = world.connect_from(&format!("198.51.{}.{}:1", number / 200, number % 200));
        for line in 0..40 {
            world.says(client, &format!("{line}"));
        }
        world.peer(client).resets();
        world.run();
    }
    assert_eq!(world.audit_counts().orphans, 256);
    assert!(world.snapshot().status.dropped_bytes > 144 * 40, "what is dropped is counted");
}

#[test]
fn half_closed_listeners_have_a_quarter_of_the_places() {
    let mut world = World::with(|config| {
        config.limits.clients = 100;
        config.limits.per_ip = PerAddress::Most(0);
    });
    let watch = |world: &mut World, address: &str| {
        let client = world.connect_from(address);
        world.sends(client, b"/leave\n/listen\n");
        world.run();
        world.finishes(client);
        world.run();
        client
    };
    let honest: Vec<Client> = (0..15).map(|host| watch(&mut world, &format!("203.0.113.{host}:1"))).collect();
    let mut stranger = Vec::new();
    for port in 0..40 {
        let client = watch(&mut world, &format!("192.0.2.1:{port}"));
        world.peer(client).closes();
        stranger.push(client);
        world.pass("10ms");
    }
    assert!(
        honest.iter().all(|client| world.close_mode(*client).is_none()),
        "no stranger takes their places"
    );
    assert!(world.snapshot().status.half_closed <= 25);
    assert!(world.snapshot().status.closed.iter().any(|(reason, _)| reason == "half-close-limit"));
    let last = watch(&mut world, "192.0.2.7:1");
    assert_eq!(world.state(last), "eof half listen");
    let newcomer = world.connect_from("192.0.2.8:1");
    assert!(is_in(&mut world, newcomer));
}

#[test]
fn of_listeners_whose_address_does_not_count_the_oldest_goes_with_a_line() {
    let mut world = World::with(|config| {
        config.limits.clients = 40;
        config.half_close.policy = chatops::config::settings::HalfClosePolicy::Listen;
    });
    let conns: Vec<Client> = (0..11).map(|_| world.connect()).collect();
    for client in &conns {
        world.finishes(*client);
        world.run();
    }
    let lines = world.lines(conns[0]);
    let goodbye =
        "-- too many half-closed connections listen, and yours is the oldest of its address: goodbye";
    assert!(lines.contains(&goodbye.to_owned()), "{lines:?}");
    world.pass("100ms");
    assert_eq!(world.close_mode(conns[0]), Some(CloseMode::Close));
    assert_eq!(world.snapshot().status.half_closed, 10);
}

#[test]
fn the_engine_knows_when_it_is_full_and_how_many_it_has_served() {
    let mut world = World::with(|config| config.limits.clients = 2);
    let [alice] = world.people(["alice"]);
    assert!(!world.engine.is_full());
    let [bob] = world.people(["bob"]);
    assert!(world.engine.is_full());
    let (_, before) = world.engine.served();
    world.connect();
    world.says(alice, "hello");
    world.run();
    assert_eq!(world.engine.served(), (2, before + 1), "who was turned away was not served");
    world.finishes(bob);
    world.run();
    assert!(!world.engine.is_full());
}
