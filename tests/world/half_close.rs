//! A client ends its input: what it sent is answered, and then it goes or stays.

use std::time::Duration;

use chatops::config::settings::HalfClosePolicy;
use chatops::engine::CloseMode;

use crate::stage::{Client, Window, World};

fn listening_world() -> World {
    World::with(|config| config.half_close.policy = HalfClosePolicy::Listen)
}

/// A client that has ended its input and reads on.
fn half_closed(world: &mut World, client: Client) {
    world.finishes(client);
    world.run();
    assert!(!world.got_fin(client));
}

#[test]
fn a_script_posts_its_lines_is_answered_and_ends() {
    let mut world = World::new();
    let [bob] = world.people(["bob"]);
    let script = world.connect();
    world.sends(script, b"/nick ci\ndeploy done");
    world.finishes(script);
    world.reads(
        script,
        ["-- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.", "-- you are now ci"],
    );
    assert!(world.got_fin(script));
    assert_eq!(world.close_mode(script), Some(CloseMode::Close));
    world.reads(
        bob,
        ["12:34 #lobby --> ci", "12:34 #lobby <ci> deploy done", "12:34 #lobby <-- ci (end of input)"],
    );
}

#[test]
fn those_who_end_in_one_turn_go_together() {
    let mut world = World::new();
    let [alice, bob, carol, dave] = world.people(["alice", "bob", "carol", "dave"]);
    world.finishes(alice);
    world.finishes(bob);
    world.says(carol, "still here");
    world.finishes(dave);
    world.reads(
        carol,
        [
            "12:34 #lobby <-- alice (end of input)",
            "12:34 #lobby <-- bob (end of input)",
            "12:34 #lobby <-- dave (end of input)",
        ],
    );
    world.reads(alice, []);
    // Neither reads about the other: both had left when it was announced.
    world.reads(bob, []);
    world.reads(
        dave,
        [
            "12:34 #lobby <-- alice (end of input)",
            "12:34 #lobby <-- bob (end of input)",
            "12:34 #lobby <carol> still here",
        ],
    );
}

#[test]
fn who_reads_late_still_gets_every_answer() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    world.peer(alice).window = Window::Closed;
    world.peer(alice).kernel_bytes = 10;
    world.says(alice, "/ping 1");
    world.says(alice, "/ping 2");
    world.finishes(alice);
    world.pass("1m");
    assert_eq!(world.state(alice), "draining stalled");
    world.peer(alice).window = Window::Open;
    world.reads(alice, ["-- pong 1", "-- pong 2"]);
    assert!(world.got_fin(alice));
    // Only the acknowledgement was missing; it is looked for by timer.
    world.pass("1s");
    assert_eq!(world.close_mode(alice), Some(CloseMode::Close));
}

#[test]
fn who_asks_to_listen_stays_for_as_long_as_it_lives() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "/listen");
    half_closed(&mut world, bob);
    world.everybody_has_read();
    assert_eq!(world.state(bob), "eof half listen");
    world.pass("5h");
    world.says(alice, "still there?");
    world.reads(bob, ["17:34 #lobby <alice> still there?"]);
    world.peer(bob).closes();
    world.says(alice, "and now?");
    world.run();
    // The first write to a closed socket succeeds, the RST that answers it is seen then.
    world.reads(alice, ["17:34 #lobby <-- bob (connection reset)"]);
}

#[test]
fn under_the_policy_listen_every_client_stays_for_a_while() {
    let mut world = listening_world();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "see you");
    half_closed(&mut world, bob);
    world.reads(alice, ["12:34 #lobby <bob> see you"]);
    world.pass("9m");
    world.says(alice, "hello");
    world.reads(bob, ["12:43 #lobby <alice> hello"]);
    world.pass("1m");
    world.reads(bob, ["-- half-closed for too long: goodbye"]);
    world.reads(alice, ["12:44 #lobby <-- bob (half-closed for too long)"]);
    assert!(world.got_fin(bob));
    world.pass("5ms");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn under_the_policy_of_listening_too_one_may_ask_to_stay() {
    let mut world = listening_world();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "/listen");
    half_closed(&mut world, bob);
    world.everybody_has_read();
    world.pass("1h");
    world.says(alice, "hello");
    world.reads(bob, ["13:34 #lobby <alice> hello"]);
}

#[test]
fn what_was_sent_before_the_end_is_answered_even_if_its_rate_makes_it_wait() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for number in 1..=40 {
        world.says(bob, &format!("{number}"));
    }
    world.finishes(bob);
    world.pass("1s");
    let early = world.lines(alice).len();
    assert!((20..30).contains(&early), "{early} lines");
    world.pass("4s");
    let late = world.lines(alice);
    assert_eq!(late[late.len() - 2..], ["12:34 #lobby <bob> 40", "12:34 #lobby <-- bob (end of input)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn what_waits_when_both_directions_end_is_read_before_the_end() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.operator("shutdown bob write").unwrap();
    for number in 1..=30 {
        world.says(bob, &format!("{number}"));
    }
    world.finishes(bob);
    world.pass("10s");
    let read = world.lines(alice);
    assert_eq!(read[read.len() - 2..], ["12:34 #lobby <bob> 30", "12:34 #lobby <-- bob (end of input)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn a_client_that_is_gone_looks_half_closed_until_something_is_written() {
    let mut world = listening_world();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.peer(bob).closes();
    world.run();
    assert_eq!(world.state(bob), "eof half");
    world.says(alice, "anybody?");
    world.reads(alice, ["12:34 #lobby <-- bob (connection reset)"]);
    world.reads(bob, []);
}

#[test]
fn whether_one_who_stays_is_still_there_is_found_out_soon() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(alice, "/listen");
    world.finishes(alice);
    world.finishes(bob);
    world.run();
    assert!(world.peer(alice).is_probed_sooner);
    assert!(!world.peer(bob).is_probed_sooner, "bob was answered, and goes");
}

#[test]
fn who_reads_slowly_after_its_end_of_input_gets_all_of_its_answers() {
    let mut world = World::with(|config| {
        config.half_close.timeout = Duration::from_secs(1);
        config.flood.enabled = false;
    });
    let [alice] = world.people(["alice"]);
    world.peer(alice).window = Window::Closed;
    world.peer(alice).kernel_bytes = 100;
    for _ in 0..20 {
        world.says(alice, "/help");
    }
    world.finishes(alice);
    world.pass("10s");
    for _ in 0..5_000 {
        world.peer(alice).takes(10);
        world.pass("1s");
        if world.peer(alice).got_fin() {
            break;
        }
    }
    assert!(world.peer(alice).server_fin, "all was flushed");
    world.peer(alice).window = Window::Open;
    world.run();
    assert_eq!(world.close_mode(alice), Some(CloseMode::Close));
}
