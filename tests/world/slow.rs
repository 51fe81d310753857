//! Readers that are slower than the talk: whole lines are skipped and a notice takes their place, answers never are, and
//! only who takes nothing at all is cut off.

use chatops::config::settings::{ByteSize, Config, OnFull};
use chatops::engine::CloseMode;
use chatops::model::snapshot::Query;

use crate::stage::{Client, Window, World};

/// Small outboxes, and senders as fast as they like.
fn narrow(config: &mut Config) {
    config.flood.enabled = false;
    config.limits.outbox_bytes = ByteSize::kib(4);
}

/// The client's kernel takes this number of bytes, and its program reads none of them.
fn stops_reading(world: &mut World, client: Client, kernel_bytes: usize) {
    world.run();
    let peer = world.peer(client);
    peer.window = Window::Closed;
    peer.kernel_bytes = kernel_bytes;
}

fn reads_again(world: &mut World, client: Client) {
    world.peer(client).window = Window::Open;
}

/// Numbered lines, a few in each turn.
fn talks(world: &mut World, client: Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        world.says(client, &format!("line {number:04}"));
        if number % 7 == 0 {
            world.turn();
        }
    }
    world.run();
}

/// The numbers of the lines that were read, and of those that a marker in their place says were skipped.
fn read_and_skipped(lines: &[String], from: usize) -> (Vec<usize>, usize) {
    let mut next = from;
    let mut read = Vec::new();
    let mut skipped = 0;
    for line in lines {
        if let Some(count) = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" lines skipped")) {
            let count: usize = count.parse().unwrap();
            skipped += count;
            next += count;
        } else {
            assert_eq!(line, &format!("12:34 #lobby <alice> line {next:04}"));
            read.push(next);
            next += 1;
        }
    }
    (read, skipped)
}

#[test]
fn whole_lines_are_skipped_the_oldest_first_and_a_notice_takes_their_place() {
    // Whatever the kernel cuts off, be it in mid-line, is continued before the marker.
    for kernel_bytes in [1, 29, 30, 31, 32, 33, 100, 1_000, 4_000] {
        let mut world = World::with(narrow);
        let [alice, bob] = world.people(["alice", "bob"]);
        stops_reading(&mut world, bob, kernel_bytes);
        talks(&mut world, alice, 0..500);
        reads_again(&mut world, bob);
        let lines = world.lines(bob);
        let (read, skipped) = read_and_skipped(&lines, 0);
        assert_eq!(read.len() + skipped, 500);
        assert!(skipped > 0 && *read.last().unwrap() == 499);
        assert_eq!(world.row(bob).lines_skipped, skipped as u64);
        assert_eq!(lines.iter().filter(|line| line.ends_with(" lines skipped")).count(), 1);
        talks(&mut world, alice, 500..600);
        let (read, skipped) = read_and_skipped(&world.lines(bob), 500);
        assert_eq!((read.len(), skipped), (100, 0), "it has caught up");
    }
}

#[test]
fn what_is_said_in_one_turn_may_be_large_and_keeps_hardly_more_memory_than_its_bytes() {
    let mut world = World::with(|config| {
        config.flood.enabled = false;
        config.limits.outbox_bytes = ByteSize::kib(8 * 1024);
    });
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    stops_reading(&mut world, bob, 1_000);
    for number in 0..40_000 {
        world.says(alice, &format!("line {number:04}"));
    }
    world.run();
    let counts = world.audit_counts();
    assert!(counts.queued_bytes > 1_000_000, "{counts:?}");
    assert!(counts.chunk_bytes * 10 < counts.queued_bytes * 12, "{counts:?}");
    reads_again(&mut world, bob);
    for reader in [bob, carol] {
        let (read, skipped) = read_and_skipped(&world.lines(reader), 0);
        assert_eq!((read.len(), skipped), (40_000, 0));
    }
}

#[test]
fn who_reads_nothing_costs_no_more_memory_than_its_outbox() {
    let mut world = World::with(|config| {
        config.flood.enabled = false;
        config.limits.outbox_bytes = ByteSize::kib(1024);
    });
    let [alice, bob] = world.people(["alice", "bob"]);
    stops_reading(&mut world, bob, 1_000);
    for number in 0..6_000 {
        world.says(alice, &format!("{number:04} {:0400}", 0));
        world.run();
    }
    let counts = world.audit_counts();
    assert!(counts.largest_outbox > 960 * 1024, "{counts:?}");
    // The chunk that is written to may be new.
    assert!(counts.chunk_bytes <= (1024 + 64) * 1024, "{counts:?}");
}

#[test]
fn no_other_client_is_slowed_down() {
    let mut world = World::with(narrow);
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    stops_reading(&mut world, bob, 100);
    talks(&mut world, alice, 0..500);
    let (read, skipped) = read_and_skipped(&world.lines(carol), 0);
    assert_eq!((read.len(), skipped), (500, 0));
}

#[test]
fn a_slow_reader_keeps_little_memory_from_being_freed() {
    let mut world = World::with(narrow);
    let [alice, bob] = world.people(["alice", "bob"]);
    stops_reading(&mut world, bob, 100);
    talks(&mut world, alice, 0..20_000);
    // What waits for bob is in the last chunk or two, each of 64 KiB and half as full as it may be.
    let counts = world.audit_counts();
    assert!(counts.chunk_bytes <= 2 * 2 * 64 * 1024, "{counts:?}");
}

#[test]
fn who_takes_everything_at_once_misses_nothing_however_much_one_turn_brings() {
    let mut world = World::with(narrow);
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    for number in 0..1_500 {
        world.says(alice, &format!("{number}"));
        world.says(bob, &format!("{number}"));
    }
    assert_eq!(world.lines(carol).len(), 3_000);
    assert_eq!(world.row(carol).lines_skipped, 0);
}

#[test]
fn answers_are_never_skipped_and_the_next_line_waits_for_them() {
    let mut world = World::with(narrow);
    let [alice, bob] = world.people(["alice", "bob"]);
    stops_reading(&mut world, bob, 100);
    for number in 0..500 {
        world.says(bob, &format!("/ping {number}"));
    }
    world.run();
    assert!(world.row(bob).inbox_bytes > 1_000, "most lines wait");
    let slot = world.peer(bob).slot.unwrap();
    assert!(!world.engine.wants(slot).unwrap().read);
    talks(&mut world, alice, 0..500);
    assert!(world.row(bob).outbox_bytes <= 4096 + 64);
    reads_again(&mut world, bob);
    let (answers, room): (Vec<_>, Vec<_>) =
        world.lines(bob).into_iter().partition(|line| line.starts_with("-- pong "));
    let all: Vec<String> = (0..500).map(|number| format!("-- pong {number}")).collect();
    assert_eq!(answers, all);
    let (read, skipped) = read_and_skipped(&room, 0);
    assert_eq!(read.len() + skipped, 500);
}

#[test]
fn what_waited_for_room_is_read_in_the_end() {
    let mut world = World::with(narrow);
    let [_alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    stops_reading(&mut world, bob, 100);
    for number in 0..2_000 {
        world.says(bob, &format!("/ping {number}"));
        world.says(bob, &format!("{number}"));
    }
    let mut read = world.lines(carol);
    assert!(read.len() < 2_000, "the rest waits until the answers are read");
    world.peer(bob).kernel_bytes = 100_000;
    reads_again(&mut world, bob);
    read.extend(world.lines(carol));
    let all: Vec<String> = (0..2_000).map(|number| format!("12:34 #lobby <bob> {number}")).collect();
    assert_eq!(read, all);
}

#[test]
fn one_answer_may_be_longer_than_the_outbox() {
    let mut world = World::with(|config| {
        narrow(config);
        config.limits.outbox_bytes = ByteSize(512);
    });
    let [alice, bob] = world.people(["alice", "bob"]);
    stops_reading(&mut world, bob, 10);
    world.says(bob, "/help");
    world.says(bob, "/ping");
    talks(&mut world, alice, 0..10);
    reads_again(&mut world, bob);
    let lines = world.lines(bob);
    assert_eq!(lines.iter().filter(|line| line.starts_with("-- /")).count(), 18);
    assert_eq!(lines.iter().filter(|line| *line == "-- pong").count(), 1);
}

#[test]
fn over_the_limit_of_all_the_largest_outbox_is_skipped_first() {
    let mut world = World::with(|config| {
        config.flood.enabled = false;
        config.limits.outbox_bytes = ByteSize::kib(256);
        config.limits.outbox_total = ByteSize::kib(300);
    });
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.says(carol, "/leave");
    world.everybody_has_read();
    stops_reading(&mut world, bob, 100);
    stops_reading(&mut world, carol, 100);
    talks(&mut world, alice, 0..6_000);
    let large = world.row(bob).outbox_bytes;
    assert!(large > 150_000);
    for number in 0..1_500 {
        world.says(alice, &format!("/msg carol {number} {}", "x".repeat(60)));
        if number % 10 == 0 {
            world.run();
        }
    }
    world.run();
    assert!(world.row(bob).outbox_bytes < large, "bob's lines made room");
    assert_eq!(world.row(carol).lines_skipped, 0);
    let counts = world.audit_counts();
    assert!(counts.queued_bytes <= 300 * 1024 && counts.chunk_bytes <= 600 * 1024, "{counts:?}");
    reads_again(&mut world, carol);
    assert_eq!(world.lines(carol).len(), 1_500);
}

#[test]
fn a_full_outbox_may_end_the_connection_instead() {
    let mut world = World::with(|config| {
        narrow(config);
        config.limits.on_full = OnFull::Disconnect;
    });
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    stops_reading(&mut world, bob, 100);
    for number in 0..300 {
        world.says(alice, &format!("{number}"));
        world.turn();
    }
    world.reads(alice, ["12:34 #lobby <-- bob (reads too slowly)"]);
    assert_eq!(world.lines(carol).len(), 301);
    reads_again(&mut world, bob);
    let lines = world.lines(bob);
    assert_eq!(lines.last().map(String::as_str), Some("-- you read too slowly: goodbye"));
    let said = &lines[..lines.len() - 1];
    assert!(said.len() > 100 && said.iter().all(|line| line.starts_with("12:34 #lobby <alice> ")));
    assert!(world.got_fin(bob));
}

#[test]
fn who_takes_nothing_for_too_long_is_reset() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    stops_reading(&mut world, bob, 1_000);
    world.says(alice, "hello?");
    world.pass("20s");
    assert_eq!(world.state(bob), "open stalled", "it is the kernel that has the bytes");
    world.pass("95s");
    world.reads(alice, []);
    world.pass("10s");
    world.reads(alice, ["12:36 #lobby <-- bob (takes nothing)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
}

#[test]
fn who_takes_a_little_each_time_is_not_reset() {
    let mut world = World::with(narrow);
    let [alice, bob] = world.people(["alice", "bob"]);
    stops_reading(&mut world, bob, 2_000);
    talks(&mut world, alice, 0..500);
    for _ in 0..60 {
        world.pass("110s");
        world.peer(bob).takes(1);
    }
    // Nor is who sends something, be it nothing worth an answer.
    for _ in 0..60 {
        world.pass("110s");
        world.says(bob, "");
    }
    assert_eq!(world.close_mode(bob), None);
    world.pass("125s");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
}

#[test]
fn a_slow_reader_is_recorded_once_until_it_has_caught_up() {
    let mut world = World::with(narrow);
    let [alice, bob] = world.people(["alice", "bob"]);
    world.events();
    for round in 0..2 {
        stops_reading(&mut world, bob, 100);
        talks(&mut world, alice, 0..500);
        let events = world.events();
        // The first loss of all is an event at once; later ones are one event when the reader gets the notice.
        assert_eq!(events.len(), 2 - round, "{events:?}");
        assert!(events[1..].iter().all(|event| event.starts_with("#2 bob full: ")), "{events:?}");
        assert!(events[0].starts_with("#2 bob slow: outbox "), "{events:?}");
        assert_eq!(world.state(bob), "open slow");
        reads_again(&mut world, bob);
        let skipped = world.events();
        assert!(skipped.len() == 1 && skipped[0].starts_with("#2 bob skip: "), "{skipped:?}");
        world.everybody_has_read();
    }
}

#[test]
fn whom_a_turn_has_no_time_for_comes_first_in_the_next() {
    let mut world = World::new();
    let [alice, others @ ..] = world.people(["alice", "bob", "carol", "dave", "erin"]);
    world.served_a_turn = 2;
    let mut have_it = Vec::new();
    for number in 0..6 {
        world.says(alice, &format!("{number}"));
        world.turn();
        world.peers_read();
        have_it.push(others.map(|other| !world.bytes_so_far(other).is_empty()));
    }
    // Alice, who said something, is looked at as well.
    for two in have_it.windows(4) {
        assert!((0..4).all(|who| two.iter().any(|turn| turn[who])), "nobody is forgotten: {have_it:?}");
    }
}

#[test]
fn who_speaks_to_few_does_not_wait_for_a_crowd_that_speaks_to_a_crowd() {
    let mut world = World::with(|config| {
        config.limits.outbox_bytes = ByteSize(4_000);
        config.rooms.presence_max = 0;
    });
    let crowd: Vec<Client> = (0..100).map(|_| world.connect()).collect();
    let aside = world.people(["alice", "bob"]);
    for client in aside {
        world.says(client, "/join #aside");
        world.says(client, "/leave #lobby");
    }
    world.pass("1m");
    world.everybody_has_read();
    for client in crowd {
        for _ in 0..10 {
            world.says(client, &"x".repeat(100));
        }
    }
    // A turn says a dozen of the thousand lines, and serves a quarter of those who read them.
    world.served_a_turn = 25;
    world.turn();
    let [alice, bob] = aside;
    for number in 0..10 {
        world.says(alice, &format!("{number}"));
        let turns = (1..100).find(|_| {
            world.turn();
            world.peers_read();
            !world.bytes_so_far(bob).is_empty()
        });
        assert!(turns.is_some_and(|turns| turns <= 5), "heard after {turns:?} turns");
    }
    assert!(world.engine.has_dirty(), "the crowd is not done");
}

#[test]
fn a_turn_closes_no_more_sockets_than_it_has_the_time_for() {
    let mut world = World::new();
    let [alice, others @ ..] = world.people(["alice", "bob", "carol", "dave", "erin", "frank"]);
    for other in others {
        world.peer(other).resets();
    }
    world.served_a_turn = 2;
    world.turn();
    let closed = others.iter().filter(|other| world.peers[other.0].close_mode.is_some()).count();
    assert_eq!(closed, 2);
    assert_eq!(world.lines(alice).len(), others.len(), "and none is forgotten");
}

#[test]
fn a_turn_says_no_more_than_half_of_an_outbox_even_if_it_is_late() {
    let mut world = World::with(|config| {
        config.limits.outbox_bytes = ByteSize(4_000);
        config.flood.enabled = false;
    });
    let [alice, others @ ..] = world.people(["alice", "bob", "carol", "dave", "erin"]);
    world.served_a_turn = 1;
    for number in 0..1_000 {
        world.says(alice, &format!("{number}"));
    }
    for other in others {
        let read = world.lines(other);
        let expected: Vec<String> =
            (0..1_000).map(|number| format!("12:34 #lobby <alice> {number}")).collect();
        assert_eq!(read, expected, "who reads all the time loses nothing");
    }
}

#[test]
fn a_crowd_that_speaks_at_once_fills_no_more_than_half_of_all_outboxes() {
    let mut world = World::with(|config| {
        config.limits.outbox_total = ByteSize(30_000);
        config.rooms.presence_max = 0;
    });
    let people: Vec<Client> = (0..30).map(|_| world.connect()).collect();
    world.everybody_has_read();
    world.served_a_turn = 3;
    for (number, client) in people.iter().enumerate() {
        world.says(*client, &format!("{number:0100}"));
    }
    for client in people {
        assert_eq!(world.lines(client).len(), 29, "who reads all the time loses nothing");
    }
}

#[test]
fn an_operator_is_read_and_answered_before_a_crowd() {
    let mut world = World::with(|config| {
        config.limits.outbox_bytes = ByteSize(2_000);
        config.rooms.presence_max = 0;
    });
    let people: Vec<Client> = (0..50).map(|_| world.connect()).collect();
    let operator = world.connect_operator();
    world.everybody_has_read();
    world.served_a_turn = 1;
    for client in people {
        world.says(client, &"x".repeat(100));
    }
    world.turn();
    world.says(operator, "status");
    for _ in 0..3 {
        world.turn();
        world.peers_read();
    }
    let answer = String::from_utf8(world.bytes_so_far(operator)).unwrap();
    assert!(answer.starts_with("{\"ok\":true"), "{answer:?}");
}

#[test]
fn what_is_said_in_ever_other_rooms_is_spread_over_turns() {
    let mut world = World::with(|config| {
        config.flood.enabled = false;
        config.rooms.presence_max = 0;
        config.limits.outbox_bytes = ByteSize::kib(64 * 1024);
        config.limits.outbox_total = ByteSize::kib(1024 * 1024);
    });
    let people: Vec<Client> = (0..200).map(|_| world.connect()).collect();
    for client in &people {
        world.says(*client, "/join #a");
    }
    world.everybody_has_read();
    let [alice, bob, ..] = people[..] else { panic!("there are 200") };
    let deliveries = |world: &World| world.engine.snapshot(&Query::default(), |_| None).status.deliveries;
    let before = deliveries(&world);
    world.sends(alice, &b"/join #lobby\nx\n/join #a\nx\n".repeat(600));
    world.turn();
    let in_one = deliveries(&world) - before;
    assert!((10_000..100_000).contains(&in_one), "{in_one} of about 240,000");
    assert_eq!(world.lines(bob).len(), 1_200);
}
