//! What onlookers see: events as things happen, and snapshots whose every field is true.

use std::collections::BTreeMap;
use std::time::Duration;

use chatops::config::settings::ByteSize;
use chatops::model::event::EventKind;
use chatops::model::snapshot::{HalfState, Kernel, Query};

use crate::stage::{Window, World};

#[test]
fn a_life_in_event_kinds() {
    let mut world = World::new();
    let alice = world.connect_from("192.0.2.1:7");
    world.says(alice, "/nick alice");
    world.run();
    world.finishes(alice);
    assert_eq!(
        world.events(),
        [
            "#1 accept: from 192.0.2.1:7",
            "#1 alice nick: was guest-1",
            "#1 alice eof: sent FIN",
            "#1 alice close: end of input",
        ]
    );
}

#[test]
fn each_way_to_end_has_its_reason_and_is_recorded_once() {
    let mut world = World::with(|config| config.limits.clients = 8);
    let [alice, bob, carol, dave, _erin, frank, grace, heidi] =
        world.people(["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]);
    let refused = world.connect();
    world.finishes(alice);
    world.says(bob, "/quit");
    world.peer(carol).resets();
    world.run();
    for verb in ["kick dave", "reset erin", "shutdown frank both"] {
        world.operator(verb).unwrap();
    }
    world.peer(grace).window = Window::Closed;
    world.says(heidi, "/msg grace take this");
    world.run();
    for client in [bob, dave, frank] {
        world.finishes(client);
    }
    world.pass("3m");
    world.operator("stop").unwrap();
    world.pass("1s");
    let mut ends = BTreeMap::new();
    let mut accepted = 0;
    for record in world.event_kinds() {
        match record {
            EventKind::Accepted { .. } => accepted += 1,
            EventKind::Closed { id, nick, reason, .. } => {
                let end = format!("{} {}", nick.unwrap(), reason.word());
                assert_eq!(ends.insert(id, end), None, "{id} ends twice");
            }
            _ => {}
        }
    }
    assert_eq!(accepted, 8);
    assert_eq!(
        ends.into_values().collect::<Vec<_>>(),
        [
            "alice eof",
            "bob quit",
            "carol reset-by-peer",
            "dave kicked",
            "erin reset",
            "frank shutdown",
            "grace stalled",
            "heidi server-stop",
        ]
    );
    let status = world.snapshot().status;
    assert_eq!(status.closed.iter().map(|(_, count)| count).sum::<u64>(), 9);
    assert!(status.closed.contains(&("refused".into(), 1)));
    world.lines(refused);
}

#[test]
fn a_row_counts_what_went_through() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    let before = (world.row(alice), world.row(bob));
    world.says(alice, "h\u{7}i");
    world.says(alice, "there");
    world.sends(alice, b"unfini");
    world.run();
    let (row, heard) = (world.row(alice), world.row(bob));
    assert_eq!(row.bytes_in - before.0.bytes_in, 4 + 6 + 6);
    assert_eq!(row.lines_in - before.0.lines_in, 2);
    assert_eq!((row.inbox_bytes, row.scrubbed), (6, 1));
    assert_eq!(row.lines_out, before.0.lines_out);
    let expected = "12:34 #lobby <alice> h␇i\r\n12:34 #lobby <alice> there\r\n";
    assert_eq!(heard.bytes_out - before.1.bytes_out, expected.len() as u64);
    assert_eq!(heard.lines_out - before.1.lines_out, 2);
    assert_eq!((heard.outbox_bytes, heard.outbox_age), (0, None));
    assert_eq!(row.rooms, 1);
    assert_eq!(row.heard, world.now().moment);
}

#[test]
fn a_row_tells_what_waits_and_for_how_long() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.peer(bob).window = Window::Closed;
    world.peer(bob).kernel_bytes = 7;
    // Whatever the greeting left under way is settled.
    world.pass("2s");
    world.says(alice, "hi");
    world.run();
    world.pass("4s");
    world.says(alice, "hi");
    world.run();
    let line = "12:34 #lobby <alice> hi\r\n".len() as u64;
    let row = world.row(bob);
    assert_eq!(row.outbox_bytes, 2 * line - 7);
    assert!(row.outbox_max >= row.outbox_bytes);
    assert_eq!(row.outbox_age, Some(Duration::from_secs(4)));
    assert_eq!(row.send_q_seen, 7);
    // Acknowledgements are seen when Send-Q is looked at, a second after the first write.
    let stuck = world.now().moment.since(row.stuck_since.unwrap());
    assert!((Duration::from_secs(3)..=Duration::from_secs(4)).contains(&stuck), "{stuck:?}");
    let status = world.snapshot().status;
    assert_eq!(status.outbox_bytes, 2 * line - 7);
    world.peer(bob).window = Window::Open;
    world.pass("2s");
    let row = world.row(bob);
    assert_eq!((row.outbox_bytes, row.outbox_age, row.stuck_since), (0, None, None));
    assert_eq!(row.send_q_seen, 0);
}

#[test]
fn both_directions_are_shown_as_they_are() {
    use HalfState::{Eof, Open, Shut};
    let mut world = World::new();
    let [alice, bob, carol, dave] = world.people(["alice", "bob", "carol", "dave"]);
    world.says(alice, "/listen");
    world.finishes(alice);
    world.operator("shutdown bob read").unwrap();
    world.operator("shutdown carol write").unwrap();
    for (client, halves) in
        [(alice, (Eof, Open)), (bob, (Shut, Open)), (carol, (Open, Shut)), (dave, (Open, Open))]
    {
        let row = world.row(client);
        assert_eq!((row.read, row.write), halves);
        assert_eq!(row.eof_at, (row.read == Eof).then_some(world.now().moment));
    }
    assert_eq!(world.snapshot().status.half_closed, 1);
}

#[test]
fn the_gone_are_shown_for_a_while_with_their_reason() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.operator("reset bob").unwrap();
    world.run();
    let row = world.row(bob);
    assert_eq!(row.state.to_string(), "gone");
    assert_eq!(row.reason.unwrap().to_string(), "reset by the operator");
    assert_eq!(row.nick.unwrap().as_str(), "bob");
    assert_eq!(world.snapshot().status.clients, 1);
    world.pass("4s");
    world.row(bob);
    world.pass("1s");
    let rows = world.snapshot().rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].id, world.peer(alice).id.unwrap());
}

#[test]
fn the_sums_are_those_of_the_rows() {
    let mut world = World::with(|config| {
        config.limits.outbox_bytes = ByteSize::kib(1);
    });
    let [alice, bob, _carol] = world.people(["alice", "bob", "carol"]);
    world.peer(bob).window = Window::Closed;
    world.peer(bob).kernel_bytes = 10;
    for _ in 0..60 {
        world.says(alice, "some words to the room");
        world.says(bob, "/ping");
    }
    world.pass("2s");
    let snapshot = world.snapshot();
    let sum = |field: fn(&chatops::model::snapshot::Row) -> u64| snapshot.rows.iter().map(field).sum::<u64>();
    let status = &snapshot.status;
    assert_eq!(status.bytes_in, sum(|row| row.bytes_in));
    assert_eq!(status.bytes_out, sum(|row| row.bytes_out));
    assert_eq!(status.lines_in, sum(|row| row.lines_in));
    assert_eq!(status.lines_skipped, sum(|row| row.lines_skipped));
    assert!(status.lines_skipped > 0);
    assert_eq!(status.deliveries, sum(|row| row.lines_out + row.lines_skipped));
    assert_eq!(status.outbox_bytes, sum(|row| row.outbox_bytes));
    assert_eq!(status.slow, 1);
    assert_eq!((status.clients, status.rooms), (3, 1));
}

#[test]
fn records_that_are_too_many_for_one_snapshot_are_counted_in_it() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    let mut seen = world.snapshot().events.last().unwrap().seq;
    for number in 0..1_500 {
        world.operator(&format!("say {number}")).unwrap();
    }
    for expected in [1_001, 0] {
        let query = Query { events_after: seen, ..Query::default() };
        let events = world.engine.snapshot(&query, |_| None).events;
        assert_eq!(events.len(), expected);
        if let Some(first) = events.first() {
            assert_eq!(first.kind, EventKind::Missed { events: 500 });
            assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "without gaps");
            seen = events.last().unwrap().seq;
        }
    }
    world.lines(alice);
}

#[test]
fn only_visible_rows_have_their_kernel_queues_read() {
    let mut world = World::new();
    let [_alice, bob, _carol] = world.people(["alice", "bob", "carol"]);
    let bob = world.peer(bob).id.unwrap();
    let query = Query { visible: vec![bob], ..Query::default() };
    let snapshot = world.engine.snapshot(&query, |_| Some(Kernel { send_q: 9, ..Kernel::default() }));
    let read: Vec<_> = snapshot.rows.iter().filter(|row| row.kernel.is_some()).map(|row| row.id).collect();
    assert_eq!(read, [bob]);
}

#[test]
fn connections_that_are_held_back_have_their_kernel_queues_read_too() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    for _ in 0..100 {
        world.says(bob, "more than it may");
    }
    world.run();
    let kernel = |_| Some(Kernel { recv_q: 9, ..Kernel::default() });
    let snapshot = world.engine.snapshot(&Query::default(), kernel);
    let read: Vec<_> = snapshot.rows.iter().filter(|row| row.kernel.is_some()).map(|row| row.id).collect();
    assert_eq!(read, [world.peer(bob).id.unwrap()]);
}

#[test]
fn the_detail_tells_a_life_in_order() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "/join #ops");
    world.run();
    world.peer(bob).window = Window::Closed;
    world.peer(bob).kernel_bytes = 10;
    world.says(alice, "hi");
    world.run();
    world.pass("1s");
    world.peer(bob).window = Window::Open;
    world.peer(bob).kernel_bytes = 1_000;
    world.run();
    world.finishes(bob);
    world.peer(bob).kernel_bytes = 10;
    world.says(alice, "hi");
    let id = world.peer(bob).id.unwrap();
    world.turn();
    let query = Query { detail: Some(id), ..Query::default() };
    let detail = world.engine.snapshot(&query, |_| None).detail.unwrap();
    let read: Vec<String> = detail.timeline.iter().map(|(_, milestone)| milestone.to_string()).collect();
    assert_eq!(
        read,
        [
            "connected",
            "partial write 10 of 25",
            "all flushed",
            "read 0: peer sent FIN",
            "draining: end of input",
            "partial write 10 of 25",
        ]
    );
    let times: Vec<_> = detail.timeline.iter().map(|(at, _)| at.moment).collect();
    assert!(times.is_sorted());
}

#[test]
fn no_client_is_idle_for_longer_than_it_is_connected() {
    let mut world = World::new();
    world.jump_to(world.now().moment + Duration::from_millis(77));
    let alice = world.connect();
    world.says(alice, "hi");
    let row = world.row(alice);
    assert!(row.heard >= row.since, "{:?} {:?}", row.heard, row.since);
}

#[test]
fn the_life_of_a_socket_is_known_when_it_is_gone() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    let id = world.peer(bob).id;
    world.finishes(bob);
    world.run();
    let query = Query { detail: id, ..Query::default() };
    let detail = world.engine.snapshot(&query, |_| None).detail.expect("it is still known");
    let lived: Vec<String> = detail.timeline.iter().map(|(_, what)| what.to_string()).collect();
    assert_eq!(lived, ["connected", "read 0: peer sent FIN", "draining: end of input", "FIN sent"]);
}
