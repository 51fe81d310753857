//! A dashboard in another process: what it asks on the control socket, and that it sees the same as one in this.

use std::cell::RefCell;

use chatops::control::remote;
use chatops::id::ConnId;
use chatops::model::event::{Event, EventKind};
use chatops::model::snapshot::{Kernel, Query, Row, Snapshot, Status};
use chatops::time::Moment;
use serde_json::{Value, json};

use crate::stage::{Client, Window, World};

fn id(number: u64) -> ConnId {
    ConnId::new(number).unwrap()
}

/// The one answer to one request.
#[track_caller]
fn ask(world: &mut World, operator: Client, request: &str) -> String {
    world.says(operator, request);
    let text = String::from_utf8(world.bytes(operator)).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    text
}

#[track_caller]
fn look(world: &mut World, operator: Client, query: &Query) -> Snapshot {
    let world = RefCell::new(world);
    let answer = |line: &str| {
        let mut world = world.borrow_mut();
        let answer = ask(&mut world, operator, line);
        Ok((answer, world.now()))
    };
    remote::snapshot(query, answer).unwrap()
}

/// People of every kind: one that reads nothing, one half-closed, one muted, one gone, one on the way out.
fn crowd(world: &mut World) -> Client {
    world.engine.set_listeners(vec!["127.0.0.1:6677 (lines)".to_owned()]);
    let [alice, bob, carol, _dave, _eve, _frank] =
        world.people(["alice", "bob", "carol", "dave", "eve", "frank"]);
    world.peer(bob).window = Window::Closed;
    world.peer(bob).kernel_bytes = 100;
    for _ in 0..20 {
        world.says(alice, &"x".repeat(200));
        world.pass("1s");
    }
    world.says(carol, "/listen");
    world.finishes(carol);
    world.sends(carol, b"\xff");
    world.operator("mute dave").unwrap();
    world.operator("shutdown dave read").unwrap();
    world.operator("kick eve too loud").unwrap();
    world.operator("reset frank").unwrap();
    world.operator("kick nobody").unwrap_err();
    world.connect_from("[2001:db8::1]:7");
    world.connect_from("unix");
    world.run();
    world.connect_operator()
}

#[test]
fn a_snapshot_from_afar_is_the_snapshot_from_within() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    let query = Query { visible: vec![id(2), id(9)], detail: Some(id(2)), events_after: 3 };
    let mut seen = look(&mut world, operator, &query);
    let mut here = world.engine.snapshot(&query, |_| None);
    // What only the machine knows is another matter.
    let known = |row: &Row| (row.kernel.is_some(), row.id == id(2));
    assert!(seen.rows.iter().map(known).all(|(is_known, is_asked)| is_known == is_asked), "{seen:?}");
    for row in &mut seen.rows {
        row.kernel = None;
    }
    // Of one that has ended the rooms are not told, and the time of day is that of the reader's zone.
    for row in here.rows.iter_mut().filter(|row| row.gone_at.is_some()) {
        row.rooms = 0;
    }
    let events = |snapshot: &Snapshot| -> Vec<(u64, EventKind, i64)> {
        let facts = |event: &Event| (event.seq, event.kind.clone(), event.at.wall.unix_ms);
        snapshot.events.iter().map(facts).collect()
    };
    let lived = |snapshot: &Snapshot| -> Vec<(i64, Moment, String)> {
        let timeline = snapshot.detail.iter().flat_map(|detail| &detail.timeline);
        timeline.map(|(at, what)| (at.wall.unix_ms, at.moment, what.to_string())).collect()
    };
    assert_eq!((events(&seen), lived(&seen)), (events(&here), lived(&here)));
    let rest = |snapshot: &Snapshot| {
        let detail = snapshot.detail.clone().map(|detail| (detail.id, detail.rooms, detail.outbox_limit));
        (snapshot.taken, snapshot.rows.clone(), detail)
    };
    assert_eq!(rest(&seen), rest(&here));
    assert_eq!((seen.status.pid, seen.status.operators), (42, 1));
    here.status = Status { outbox_limit: here.status.outbox_limit, ..seen.status.clone() };
    assert_eq!(seen.status, here.status);
    assert!(here.rows.iter().any(|row| row.gone_at.is_some()), "one is gone");
    assert!(!lived(&here).is_empty());
    assert!(here.events.iter().any(|entry| matches!(entry.kind, EventKind::Operator { .. })));
}

#[test]
fn the_status_from_afar_has_every_number_of_the_status_from_within() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    let seen = look(&mut world, operator, &Query::default()).status;
    let here = world.engine.status();
    let machine = Status {
        pid: here.pid,
        fds: here.fds,
        fds_limit: here.fds_limit,
        rss_bytes: here.rss_bytes,
        accept_queues: here.accept_queues.clone(),
        operators: here.operators,
        ..seen
    };
    assert_eq!(machine, here);
}

#[test]
fn only_newer_records_come_again() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    let first = look(&mut world, operator, &Query::default());
    let events_after = first.events.last().unwrap().seq;
    let query = Query { events_after, ..Query::default() };
    assert!(look(&mut world, operator, &query).events.is_empty());
    world.operator("say hello").unwrap();
    let newer = look(&mut world, operator, &query).events;
    assert_eq!(newer.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [events_after + 1]);
    for _ in 0..3_000 {
        world.operator("say hello").unwrap();
    }
    let many = look(&mut world, operator, &query).events;
    // The journal keeps so many of the operator's acts.
    assert_eq!(many.len(), 2_048 + 1);
    assert!(matches!(many[0].kind, EventKind::Missed { events: 953 }), "{:?}", many[0]);
}

/// What a dashboard reads that asks one thing after the other, and is slow.
fn read_slowly(world: &mut World, operator: Client, line: &str, turns: usize) -> String {
    world.peer(operator).window = Window::Closed;
    world.peer(operator).kernel_bytes = 10_000;
    world.says(operator, line);
    for _ in 0..turns {
        world.turn();
    }
    world.peer(operator).window = Window::Open;
    let text = String::from_utf8(world.bytes(operator)).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "{line}");
    text
}

#[test]
fn a_snapshot_of_thousands_is_whole_though_its_reader_is_slow() {
    let mut world = World::new();
    for _ in 0..2_000 {
        world.connect();
    }
    world.run();
    let operator = world.connect_operator();
    let now = world.now();
    let seen =
        remote::snapshot(&Query::default(), |line| Ok((read_slowly(&mut world, operator, line, 100), now)));
    let seen = seen.unwrap();
    assert_eq!(seen.rows.len(), 2_000);
    assert!(seen.rows.is_sorted_by_key(|row| row.id));
    assert_eq!(seen.rows[0].kernel, None::<Kernel>);
}

#[test]
fn questions_are_answered_in_the_words_of_the_command_line() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    for question in ["status", "connections", "connection #1", "connection bob", "rooms", "closed", "bans"] {
        let answer = ask(&mut world, operator, &format!("{question} brief"));
        let told: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(told["message"], json!(world.operator(question).unwrap()), "{question}");
    }
    let nobody = ask(&mut world, operator, "connection 99 brief");
    assert_eq!(nobody, "{\"ok\":false,\"error\":\"nobody here is #99\"}\n");
    let nobody = ask(&mut world, operator, "connection brief");
    assert!(nobody.contains("nobody here is brief"), "it may be a name as well: {nobody}");
}

#[test]
fn what_is_malformed_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    let before = world.snapshot().rows;
    for (request, told) in [
        ("kick 1 brief", "kicked #1 alice"),
        ("connections queues x", "expected: connections queues ID,ID"),
        ("connections queues 1,0", "expected: connections queues ID,ID"),
        ("connections please", "connections takes no argument"),
        ("closed for", "closed takes no argument"),
        ("closed for ever", "expected: closed for TIME"),
        ("events after", "expected: events [follow]"),
        ("events after x", "expected: events after N"),
        ("picture {}", "no such verb: picture"),
    ] {
        let answer = ask(&mut world, operator, request);
        assert!(answer.contains(told), "{request}: {answer}");
    }
    assert_eq!(before.len(), world.snapshot().rows.len());
}

#[test]
fn a_list_may_be_asked_for_in_part() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    let part = |world: &mut World, line: &str| -> Value {
        serde_json::from_str(&ask(world, operator, line)).unwrap()
    };
    let rows = part(&mut world, "connections queues 3,#1");
    let known: Vec<(u64, bool)> = rows["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["id"].as_u64().unwrap(), row["send_q"].is_u64()))
        .collect();
    assert_eq!(known, [(1, true), (2, false), (3, true), (4, false), (5, false), (7, false), (8, false)]);
    assert_eq!(part(&mut world, "closed for 5s")["closed"][0]["nick"], json!("frank"));
    world.pass("10s");
    assert_eq!(part(&mut world, "closed for 5s")["closed"], json!([]));
    let events = part(&mut world, "events")["events"].as_array().unwrap().clone();
    let last = events.last().unwrap()["seq"].as_u64().unwrap();
    assert_eq!(
        part(&mut world, &format!("events after {}", last - 2))["events"],
        json!(events[events.len() - 2..])
    );
    assert_eq!(part(&mut world, &format!("events after {last} follow"))["events"], json!([]));
    world.operator("say hello").unwrap();
    world.run();
    let text = String::from_utf8(world.bytes(operator)).unwrap();
    assert!(text.contains("say hello") && text.matches('\n').count() == 1, "{text}");
}

#[test]
fn who_ends_while_a_snapshot_is_made_is_gone_and_not_missing() {
    let mut world = World::new();
    let clients: Vec<Client> = (0..600).map(|_| world.connect()).collect();
    world.run();
    let operator = world.connect_operator();
    let events_after = look(&mut world, operator, &Query::default()).events.last().unwrap().seq;
    let now = world.now();
    let seen = remote::snapshot(&Query { events_after, ..Query::default() }, |line| {
        if !line.starts_with("connections") {
            return Ok((ask(&mut world, operator, line), now));
        }
        world.says(operator, line);
        for chunk in clients.chunks(100) {
            // Each turn makes 128 rows at most.
            world.turn();
            world.turn();
            for client in &chunk[..50] {
                world.peer(*client).resets();
            }
        }
        Ok((String::from_utf8(world.bytes(operator)).unwrap(), now))
    });
    let seen = seen.unwrap();
    let ids: Vec<u64> = seen.rows.iter().map(|row| row.id.get()).collect();
    assert_eq!(ids, (1..=600).collect::<Vec<u64>>());
    // Those of the first chunk were told among the living, and then ended: what was last is true.
    assert!(seen.rows[..50].iter().all(|row| row.gone_at.is_some()), "{:?}", &seen.rows[..50]);
    assert!(seen.rows[50..100].iter().all(|row| row.gone_at.is_none()), "{:?}", &seen.rows[50..100]);
}
