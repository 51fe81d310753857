//! The end of a connection by word: `/quit`, and the operator's `kick` and `reset`.

use std::time::Duration;

use chatops::engine::CloseMode;

use crate::stage::{Client, Window, World};

#[test]
fn a_client_that_quits_is_answered_and_the_room_reads_its_text() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.sends(bob, b"so long\n/quit see you\nnobody hears this\n");
    world.reads(bob, ["-- bye"]);
    world.reads(alice, ["12:34 #lobby <bob> so long", "12:34 #lobby <-- bob (quit: see you)"]);
    assert!(world.got_fin(bob));
    assert_eq!(world.state(bob), "draining");
    world.finishes(bob);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn a_kicked_client_reads_why_last_of_all() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(alice, "before");
    world.turn();
    assert_eq!(world.operator("kick bob too loud").unwrap(), "kicked #2 bob");
    world.says(alice, "after");
    world.reads(bob, ["12:34 #lobby <alice> before", "-- kicked by the operator: too loud"]);
    world.reads(alice, ["12:34 #lobby <-- bob (kicked: too loud)"]);
    assert!(world.got_fin(bob));
    assert_eq!(world.close_mode(bob), None, "its own FIN is waited for");
    world.finishes(bob);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn a_kick_needs_no_reason() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.operator("kick #2").unwrap();
    world.reads(bob, ["-- kicked by the operator"]);
    world.reads(alice, ["12:34 #lobby <-- bob (kicked)"]);
}

#[test]
fn a_kicked_client_that_is_silent_is_closed_after_two_seconds() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    world.operator("kick bob").unwrap();
    world.pass("1999ms");
    assert_eq!(world.close_mode(bob), None);
    world.pass("1ms");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn a_kicked_client_that_goes_on_sending_is_read_for_five_seconds() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.operator("kick bob").unwrap();
    let kicked = world.now().moment;
    world.everybody_has_read();
    for _ in 0..4 {
        world.says(bob, &"x".repeat(200_000));
        world.pass("1s");
        assert!(world.peer(bob).inbound.is_empty(), "what it sends is discarded");
    }
    world.jump_to(kicked + Duration::from_millis(4_999));
    assert_eq!(world.close_mode(bob), None);
    world.jump_to(kicked + Duration::from_secs(5));
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
    world.reads(alice, []);
}

#[test]
fn a_kicked_flooder_is_read_at_once() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    for _ in 0..100_000 {
        world.says(bob, "x");
    }
    world.run();
    assert!(!world.peer(bob).inbound.is_empty(), "it is held back");
    world.operator("kick bob").unwrap();
    let lines = world.lines(bob);
    assert_eq!(lines.last().unwrap(), "-- kicked by the operator");
    assert!(world.peer(bob).inbound.is_empty());
}

#[test]
fn a_kicked_client_that_takes_nothing_is_reset_at_the_deadline() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    for kernel_bytes in [10, 10_000] {
        world.run();
        world.peer(bob).window = Window::Closed;
        world.peer(bob).kernel_bytes = kernel_bytes;
    }
    world.operator("kick bob").unwrap();
    world.pass("4999ms");
    assert_eq!(world.close_mode(bob), None);
    world.pass("1ms");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
}

#[test]
fn a_kicked_client_that_never_got_the_line_is_reset_at_the_deadline() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    world.peer(bob).window = Window::Closed;
    world.peer(bob).kernel_bytes = 3;
    world.operator("kick bob").unwrap();
    world.pass("5s");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
    let events = world.events();
    assert_eq!(events.last().unwrap(), "#2 bob close: kicked; 24 bytes unsent");
}

#[test]
fn a_farewell_is_said_once() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.operator("kick bob").unwrap();
    assert_eq!(world.operator("kick #2").unwrap_err(), "#2 bob is leaving already");
    world.operator("kick bob").unwrap_err();
    world.reads(bob, ["-- kicked by the operator"]);
    world.reads(alice, ["12:34 #lobby <-- bob (kicked)"]);
    world.pass("2s");
    assert_eq!(world.operator("kick #2").unwrap_err(), "#2 is gone already");
    assert_eq!(world.operator("kick #99").unwrap_err(), "nobody here is #99");
}

#[test]
fn a_name_is_free_as_soon_as_its_owner_is_kicked() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.operator("kick bob").unwrap();
    world.says(alice, "/nick bob");
    world.reads(alice, ["12:34 #lobby <-- bob (kicked)", "-- you are now bob"]);
    world.reads(bob, ["-- kicked by the operator"]);
}

#[test]
fn a_reset_is_at_once_and_loses_what_is_unsent() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.peer(bob).window = Window::Closed;
    world.says(alice, "hello");
    world.run();
    assert_eq!(world.operator("reset bob").unwrap(), "reset #2 bob");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
    world.reads(bob, []);
    world.reads(alice, ["12:34 #lobby <-- bob (reset by the operator)"]);
}

#[test]
fn a_client_that_resets_has_left() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "last words");
    world.peer(bob).resets();
    world.reads(alice, ["12:34 #lobby <bob> last words", "12:34 #lobby <-- bob (connection reset)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
}

#[test]
fn what_a_client_sent_before_it_reset_is_read_at_its_rate() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for number in 1..=30 {
        world.says(bob, &format!("{number}"));
    }
    world.sends(bob, b"half a li");
    world.peer(bob).resets();
    let said = |numbers: std::ops::RangeInclusive<u32>| {
        numbers.map(|number| format!("12:34 #lobby <bob> {number}")).collect::<Vec<_>>()
    };
    // A burst has 20 lines.
    assert_eq!(world.lines(alice), said(1..=20));
    assert_eq!(world.state(bob), "draining flow");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset), "its socket has failed: the place is free");
    assert_eq!(world.snapshot().status.clients, 1);
    world.pass("3s");
    let mut expected = said(21..=30);
    expected.push("12:34 #lobby <-- bob (connection reset)".to_owned());
    assert_eq!(world.lines(alice), expected);
    assert_eq!(world.snapshot().status.dropped_bytes, 0);
}

#[test]
fn a_flooder_that_resets_is_read_for_five_seconds_more() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for number in 0..1_000 {
        world.says(bob, &format!("{number}"));
    }
    world.peer(bob).resets();
    world.pass("4999ms");
    assert_eq!(world.audit_counts().orphans, 1);
    world.pass("1ms");
    assert_eq!(world.audit_counts().orphans, 0);
    assert!(world.snapshot().status.dropped_bytes > 3_000, "the rest is counted");
    let lines = world.lines(alice);
    // The rest of the burst, and 5 a second.
    assert!((19 + 24..=19 + 27).contains(&lines.len()), "{} lines", lines.len());
    assert_eq!(lines.last().unwrap(), "12:34 #lobby <-- bob (connection reset)");
}

#[test]
fn a_reset_is_the_reason_although_a_read_after_it_gives_nothing() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    // A failed write takes the error from the socket; the next read gives 0.
    world.peer(bob).resets();
    world.peer(bob).fin = true;
    world.peer(bob).is_watched = false;
    world.says(alice, "hello");
    world.reads(alice, ["12:34 #lobby <-- bob (connection reset)"]);
    let carol = world.connect();
    world.peer(carol).resets();
    world.peer(carol).fin = true;
    world.run();
    let closed = world.snapshot().status.closed;
    assert_eq!(closed, [("reset-by-peer".into(), 2)]);
}

#[test]
fn a_client_that_has_reset_and_is_still_read_can_be_kicked() {
    for verb in ["kick bob", "reset bob"] {
        let mut world = World::new();
        let [alice, bob] = world.people(["alice", "bob"]);
        for number in 0..100 {
            world.says(bob, &format!("{number}"));
        }
        world.peer(bob).resets();
        assert_eq!(world.lines(alice).len(), 20);
        world.operator(verb).unwrap();
        let lines = world.lines(alice);
        assert!(lines.len() == 1 && lines[0].contains("<-- bob"), "{lines:?}");
        assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
    }
}

#[test]
fn a_kicked_client_keeps_its_name_in_all_events() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    world.events();
    world.operator("kick bob").unwrap();
    world.run();
    world.finishes(bob);
    world.pass("1s");
    assert_eq!(
        world.events(),
        ["#2 op: kick bob: kicked #2 bob", "#2 bob eof: sent FIN", "#2 bob close: kicked"]
    );
}

#[test]
fn who_is_leaving_is_found_by_the_name_it_had() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.operator("shutdown bob both").unwrap();
    assert_eq!(world.operator("kick BOB").unwrap_err(), "#2 bob is leaving already");
    assert!(world.operator("connection bob").unwrap().contains("draining"));
    world.says(alice, "/nick bob");
    world.run();
    assert_eq!(world.operator("mute bob").unwrap(), "muted #1 bob", "the name is alice's now");
    assert_eq!(world.operator("reset #2").unwrap(), "reset #2 bob");
    world.run();
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
}

/// A client that reads nothing while a farewell is sent, and ends its input after the server's FIN.
#[track_caller]
fn reads_all_after_both_fins(act: impl FnOnce(&mut World, Client), farewell: &str) {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    world.peer(alice).window = Window::Closed;
    world.says(alice, "/help");
    world.run();
    act(&mut world, alice);
    world.run();
    world.finishes(alice);
    world.run();
    assert_eq!(world.close_mode(alice), None, "Send-Q is not empty: the socket is kept");
    world.peer(alice).window = Window::Open;
    world.pass("1s");
    let lines = world.lines(alice);
    assert!(lines.iter().any(|line| line.starts_with("-- /quit")), "the answer is whole: {lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some(farewell));
    world.pass("5s");
    assert_eq!(world.close_mode(alice), Some(CloseMode::Close));
}

#[test]
fn what_the_kernel_holds_is_kept_when_the_peers_fin_follows_the_servers() {
    reads_all_after_both_fins(|world, alice| world.says(alice, "/quit"), "-- bye");
    reads_all_after_both_fins(
        |world, _| drop(world.operator("kick alice bye")),
        "-- kicked by the operator: bye",
    );
    reads_all_after_both_fins(
        |world, _| drop(world.operator("shutdown alice write")),
        "-- Plain text goes to your active room; //text sends a line that starts with /.",
    );
}
