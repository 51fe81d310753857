//! The end of the server: every client gets a notice, is flushed and closed, in time.

use chatops::engine::CloseMode;

use crate::stage::{Window, World};

#[test]
fn all_clients_get_a_notice_and_are_closed() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(alice, "one last thing");
    world.turn();
    assert_eq!(world.operator("stop").unwrap(), "draining 2 clients");
    assert_eq!(world.operator("drain 6s").unwrap_err(), "the server is stopping already");
    world.reads(bob, ["12:34 #lobby <alice> one last thing", "12:34 *** chatops is stopping"]);
    world.reads(alice, ["12:34 *** chatops is stopping"]);
    assert!(world.got_fin(alice) && world.got_fin(bob));
    assert!(!world.engine.is_stopped());
    world.finishes(alice);
    assert_eq!(world.close_mode(alice), Some(CloseMode::Close));
    // Bob has everything; he is not waited for much longer.
    world.pass("250ms");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
    assert!(world.engine.is_stopped());
}

#[test]
fn no_client_is_let_in_any_more() {
    let mut world = World::new();
    world.people(["alice"]);
    world.operator("drain").unwrap();
    let late = world.connect();
    assert_eq!(world.peer(late).id, None);
}

#[test]
fn who_takes_nothing_is_waited_for_until_the_end_of_the_drain() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    world.peer(alice).window = Window::Closed;
    world.peer(alice).kernel_bytes = 10;
    world.operator("drain 3s").unwrap();
    world.pass("2999ms");
    assert!(!world.engine.is_stopped());
    assert_eq!(world.close_mode(alice), None);
    world.pass("1ms");
    assert!(world.engine.is_stopped());
}

#[test]
fn a_stop_under_way_can_be_hurried_and_not_delayed() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    world.peer(alice).window = Window::Closed;
    world.peer(alice).kernel_bytes = 10;
    world.operator("drain 1m").unwrap();
    world.pass("10s");
    assert_eq!(world.operator("drain 5m").unwrap_err(), "the server is stopping already");
    // As SIGTERM does.
    assert_eq!(world.operator("stop").unwrap(), "draining 1 client");
    world.pass("4999ms");
    assert!(!world.engine.is_stopped());
    assert_eq!(world.close_mode(alice), None);
    world.pass("1ms");
    assert_eq!(world.close_mode(alice), Some(CloseMode::Reset));
    assert!(world.engine.is_stopped());
}

#[test]
fn a_slow_reader_gets_everything_if_it_is_in_time() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.peer(bob).window = Window::Closed;
    world.peer(bob).kernel_bytes = 10;
    for number in 0..10 {
        world.says(alice, &format!("{number}"));
    }
    world.run();
    world.operator("stop").unwrap();
    world.pass("4s");
    world.peer(bob).window = Window::Open;
    let lines = world.lines(bob);
    assert_eq!(lines.len(), 11);
    assert_eq!(lines.last().unwrap(), "12:34 *** chatops is stopping");
    assert!(world.got_fin(bob));
}

#[test]
fn an_empty_server_stops_at_once() {
    let mut world = World::new();
    world.operator("stop").unwrap();
    assert!(world.engine.is_stopped());
}
