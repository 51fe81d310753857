//! The operator ends one direction of a connection, or both; mutes, pauses, speaks.

use std::time::Duration;

use chatops::engine::CloseMode;

use crate::stage::World;

#[test]
fn shutdown_read_discards_what_comes_and_delivers_on() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    assert_eq!(world.operator("shutdown bob read").unwrap(), "shut down read of #2 bob");
    assert_eq!(world.state(bob), "rd-shut op");
    world.says(bob, "can you hear me?");
    world.says(alice, "no");
    world.reads(alice, []);
    world.reads(bob, ["12:34 #lobby <alice> no"]);
    assert!(world.peer(bob).inbound.is_empty());
    world.finishes(bob);
    world.reads(alice, ["12:34 #lobby <-- bob (end of input)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn shutdown_read_discards_within_the_flood_limits() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    world.operator("shutdown bob read").unwrap();
    let before = world.row(bob).bytes_in;
    for _ in 0..20 {
        world.sends(bob, &b"x".repeat(50_000));
    }
    world.run();
    let taken = world.row(bob).bytes_in - before;
    assert!((131_072..=131_072 + 65_536).contains(&taken), "{taken} bytes");
    assert_eq!(world.state(bob), "rd-shut flow op");
    world.pass("30s");
    assert!(world.peer(bob).inbound.is_empty());
    assert_eq!(world.state(bob), "rd-shut op");
}

#[test]
fn shutdown_read_ends_the_patience_with_a_flood() {
    let mut world = World::with(|config| config.flood.patience = Duration::from_secs(10));
    let [_alice, bob] = world.people(["alice", "bob"]);
    world.sends(bob, &b"x\n".repeat(300_000));
    world.run();
    world.operator("shutdown bob read").unwrap();
    for _ in 0..30 {
        world.sends(bob, &b"x".repeat(50_000));
        world.pass("1s");
    }
    assert_eq!(world.close_mode(bob), None, "what is dropped annoys nobody");
}

#[test]
fn shutdown_read_drops_what_was_not_yet_parsed() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for number in 0..30 {
        world.says(bob, &format!("{number}"));
    }
    let read = world.lines(alice).len();
    world.operator("shutdown bob read").unwrap();
    world.pass("1m");
    world.reads(alice, []);
    assert!(read < 30);
    assert_eq!(world.row(bob).inbox_bytes, 0);
}

#[test]
fn shutdown_write_flushes_sends_fin_and_goes_on_hearing() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(alice, "before");
    world.turn();
    assert_eq!(world.operator("shutdown bob write").unwrap(), "shut down write of #2 bob");
    world.says(alice, "after");
    world.reads(bob, ["12:34 #lobby <alice> before"]);
    assert!(world.got_fin(bob));
    assert_eq!(world.state(bob), "wr-shut op");
    world.pass("1h");
    world.says(bob, "still here");
    world.says(bob, "/ping nobody answers");
    world.says(bob, "/join #ops");
    world.reads(alice, ["13:34 #lobby <bob> still here"]);
    world.reads(bob, []);
    world.finishes(bob);
    world.reads(alice, ["13:34 #lobby <-- bob (end of input)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn shutdown_write_lets_waiting_lines_be_read() {
    let mut world = World::with(|config| {
        config.flood.enabled = false;
        config.limits.outbox_bytes = chatops::config::settings::ByteSize::kib(1);
    });
    let [alice, bob] = world.people(["alice", "bob"]);
    world.peer(bob).window = crate::stage::Window::Closed;
    world.peer(bob).kernel_bytes = 10;
    for number in 0..100 {
        world.says(bob, &format!("/ping {number}"));
    }
    world.says(bob, "at last");
    world.reads(alice, []);
    world.operator("shutdown bob write").unwrap();
    world.reads(alice, ["12:34 #lobby <bob> at last"]);
}

#[test]
fn shutdown_both_drains_until_the_peer_ends_it() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    assert_eq!(world.operator("shutdown bob both").unwrap(), "shut down both of #2 bob");
    world.reads(alice, ["12:34 #lobby <-- bob (shut down by the operator)"]);
    assert!(world.got_fin(bob));
    assert_eq!(world.state(bob), "draining op");
    world.pass("9m");
    assert_eq!(world.close_mode(bob), None);
    world.finishes(bob);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn shutdown_both_ends_after_the_timeout_at_the_latest() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    world.operator("shutdown bob both").unwrap();
    for _ in 0..599 {
        world.says(bob, "x");
        world.pass("1s");
    }
    assert_eq!(world.close_mode(bob), None);
    world.pass("1s");
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn two_halves_are_both() {
    for order in [["read", "write"], ["write", "read"]] {
        let mut world = World::new();
        let [alice, bob] = world.people(["alice", "bob"]);
        for half in order {
            world.operator(&format!("shutdown bob {half}")).unwrap();
            world.run();
        }
        world.reads(alice, ["12:34 #lobby <-- bob (shut down by the operator)"]);
        assert!(world.got_fin(bob));
        assert_eq!(world.state(bob), "draining op");
        world.pass("10m");
        assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
    }
}

#[test]
fn after_the_peers_end_shutdown_write_is_the_rest() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "/listen");
    world.finishes(bob);
    world.everybody_has_read();
    world.operator("shutdown bob write").unwrap();
    world.reads(alice, ["12:34 #lobby <-- bob (shut down by the operator)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Close));
}

#[test]
fn a_direction_that_has_ended_cannot_end_again() {
    let ended = |how: &str, verb: &str| {
        let mut world = World::new();
        let [_alice, bob] = world.people(["alice", "bob"]);
        match how {
            "fin" => {
                world.says(bob, "/listen");
                world.finishes(bob);
            }
            verb => {
                world.operator(verb).unwrap();
            }
        }
        world.run();
        let before = world.state(bob);
        let why = world.operator(verb).unwrap_err();
        assert_eq!(world.state(bob), before, "what is refused changes nothing");
        why
    };
    assert_eq!(ended("shutdown #2 read", "shutdown #2 read"), "#2 bob is rd-shut: that direction has ended");
    assert_eq!(
        ended("shutdown #2 write", "shutdown #2 write"),
        "#2 bob is wr-shut: that direction has ended"
    );
    assert_eq!(ended("fin", "shutdown #2 read"), "#2 bob is eof: that direction has ended");
    for half in ["read", "write", "both"] {
        for end in ["kick #2", "shutdown #2 both"] {
            let why = ended(end, &format!("shutdown #2 {half}"));
            assert_eq!(why, "#2 bob is draining: that direction has ended");
        }
    }
}

#[test]
fn the_muted_read_on_and_are_refused() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    assert_eq!(world.operator("mute bob").unwrap(), "muted #2 bob");
    assert_eq!(world.operator("mute bob").unwrap_err(), "#2 bob is muted already");
    world.says(bob, "hello?");
    world.says(alice, "hello");
    world.reads(alice, []);
    let lines = world.lines(bob);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().any(|line| line.starts_with("!! the operator has muted you")), "{lines:?}");
    assert_eq!(world.state(bob), "open muted");
    assert_eq!(world.operator("unmute bob").unwrap(), "unmuted #2 bob");
    world.says(bob, "hello!");
    world.reads(alice, ["12:34 #lobby <bob> hello!"]);
}

#[test]
fn all_clients_read_the_operator() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "/leave");
    world.everybody_has_read();
    assert_eq!(world.operator("say maintenance\u{7} at 5").unwrap(), "told 2 people");
    for client in [alice, bob] {
        world.reads(client, ["12:34 *** maintenance␇ at 5"]);
    }
}

#[test]
fn verbs_are_recorded_with_what_came_of_them() {
    let mut world = World::new();
    world.people(["alice"]);
    world.events();
    world.operator("mute alice").unwrap();
    world.operator("reset nobody").unwrap_err();
    world.operator("pause").unwrap();
    assert_eq!(
        world.events(),
        [
            "#1 op: mute alice: muted #1 alice",
            "op: reset nobody: refused: nobody here is nobody",
            "op: pause: accepting nobody",
        ]
    );
}

#[test]
fn a_fin_that_finds_no_peer_is_a_reset_by_the_peer() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    // Its machine has restarted: it answers the first segment of the connection with RST.
    world.peer(bob).is_closed = true;
    world.operator("say one more").unwrap();
    assert_eq!(world.operator("shutdown bob write").unwrap(), "shut down write of #2 bob");
    // The line is taken, its RST comes at once, and the FIN behind the line fails (shutdown(2): ENOTCONN).
    world.reads(alice, ["12:34 *** one more", "12:34 #lobby <-- bob (connection reset)"]);
    assert_eq!(world.close_mode(bob), Some(CloseMode::Reset));
}
