//! A dashboard in another process: what it asks on the control socket, and that it sees the same as one in this.

use chatops::control::picture::{brief_request, picture_request, read_outcome, read_picture};
use chatops::id::ConnId;
use chatops::model::event::EventKind;
use chatops::model::snapshot::{Kernel, Query, Snapshot};
use chatops::model::verbs::{OperatorCommand, Question};

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
    read_picture(&ask(world, operator, &picture_request(query))).unwrap()
}

/// People of every kind: one that reads nothing, one half-closed, one muted, one gone, one on the way out.
fn crowd(world: &mut World) -> Client {
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
fn a_picture_from_afar_is_the_picture_from_within() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    let query = Query { visible: vec![id(2), id(9)], detail: Some(id(2)), events_after: 3 };
    let mut seen = look(&mut world, operator, &query);
    let mut here = world.engine.snapshot(&query, |_| None);
    // What only the machine knows is another matter.
    let known = |row: &chatops::model::snapshot::Row| (row.kernel.is_some(), row.id == id(2));
    assert!(seen.rows.iter().map(known).all(|(is_known, is_asked)| is_known == is_asked), "{seen:?}");
    for row in &mut seen.rows {
        row.kernel = None;
    }
    assert_eq!(seen.status.pid, 42);
    here.status = seen.status.clone();
    here.taken = seen.taken;
    assert_eq!(seen, here);
    assert!(here.rows.iter().any(|row| row.gone_at.is_some()), "one is gone");
    assert!(here.detail.is_some_and(|detail| !detail.timeline.is_empty()));
    assert!(here.events.iter().any(|entry| matches!(entry.kind, EventKind::Operator { .. })));
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
    assert_eq!(many.len(), Query::EVENTS_MAX + 1);
    assert!(matches!(many[0].kind, EventKind::Missed { events: 2_001 }), "{:?}", many[0]);
}

#[test]
fn a_picture_of_thousands_is_whole_though_its_reader_is_slow() {
    let mut world = World::new();
    for _ in 0..2_000 {
        world.connect();
    }
    world.run();
    let operator = world.connect_operator();
    world.peer(operator).window = Window::Closed;
    world.peer(operator).kernel_bytes = 10_000;
    world.says(operator, &picture_request(&Query::default()));
    for _ in 0..100 {
        world.turn();
    }
    world.peer(operator).window = Window::Open;
    world.run();
    let seen = read_picture(&String::from_utf8(world.bytes(operator)).unwrap()).unwrap();
    assert_eq!(seen.rows.len(), 2_000);
    assert!(seen.rows.is_sorted_by_key(|row| row.id));
    assert_eq!(seen.rows[0].kernel, None::<Kernel>);
}

#[test]
fn questions_are_answered_in_the_words_of_the_command_line() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    for question in ["status", "connections", "connection #1", "connection bob", "rooms", "closed", "bans"] {
        let Ok(OperatorCommand::Ask(question)) = question.parse() else { panic!("no question") };
        let told = read_outcome(&ask(&mut world, operator, &brief_request(&question)));
        assert_eq!(told, world.operator(&question.to_string()), "{question}");
    }
    let nobody = Question::Connection("99".parse().map(chatops::model::verbs::Who::Id).unwrap());
    let told = read_outcome(&ask(&mut world, operator, &brief_request(&nobody)));
    assert_eq!(told.unwrap_err(), "nobody here is #99");
}

#[test]
fn what_is_malformed_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let operator = crowd(&mut world);
    for (request, told) in [
        ("brief kick 1", "expected: brief QUESTION"),
        ("brief", "no such verb: brief"),
        ("brief sideways", "no such verb: sideways"),
        ("picture", "no such verb: picture"),
        ("picture {}", "picture: missing field"),
        ("picture {\"visible\":[0],\"detail\":null,\"events_after\":0}", "picture: invalid value"),
        ("picture [", "picture: EOF"),
    ] {
        let answer = ask(&mut world, operator, request);
        assert!(read_outcome(&answer).unwrap_err().contains(told), "{request}: {answer}");
        assert!(read_picture(&answer).unwrap_err().contains(told), "{request}: {answer}");
    }
    let other = r#"{"ok":true,"version":"99.0","surprise":1}"#;
    let told = format!("the server is chatops 99.0, this is {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(read_picture(other).unwrap_err(), told);
    assert!(read_picture("{").unwrap_err().starts_with("the server's picture cannot be read"));
}

#[test]
fn who_ends_while_a_picture_is_made_is_gone_and_not_missing() {
    let mut world = World::new();
    let clients: Vec<Client> = (0..600).map(|_| world.connect()).collect();
    world.run();
    let operator = world.connect_operator();
    let events_after = look(&mut world, operator, &Query::default()).events.last().unwrap().seq;
    // Without events, the first turns tell the living.
    world.says(operator, &picture_request(&Query { events_after, ..Query::default() }));
    for chunk in clients.chunks(100) {
        // Each turn makes 128 rows.
        world.turn();
        for client in &chunk[..50] {
            world.peer(*client).resets();
        }
    }
    let seen = read_picture(&String::from_utf8(world.bytes(operator)).unwrap()).unwrap();
    let ids: Vec<u64> = seen.rows.iter().map(|row| row.id.get()).collect();
    assert_eq!(ids, (1..=600).collect::<Vec<u64>>());
    // Those of the first chunk were told among the living, and then ended: what was last is true.
    assert!(seen.rows[..50].iter().all(|row| row.gone_at.is_some()), "{:?}", &seen.rows[..50]);
    assert!(seen.rows[50..100].iter().all(|row| row.gone_at.is_none()), "{:?}", &seen.rows[50..100]);
}
