//! Telnet is understood from whoever speaks it, and spoken to nobody else.

use crate::stage::World;

const IAC: u8 = 255;

#[test]
fn telnet_is_stripped_and_answered_only_to_who_spoke_it() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    // Ctrl-C of Debian's telnet: interrupt, and a wish for a timing mark.
    world.sends(alice, &[b'h', IAC, 244, IAC, 253, 6, b'i', b'\r', b'\n']);
    assert_eq!(world.bytes(alice), [IAC, 251, 6]);
    world.reads(bob, ["12:34 #lobby <alice> hi"]);
    assert_eq!(world.state(alice), "open telnet");
    assert_eq!(world.state(bob), "open");
}

#[test]
fn however_the_bytes_come_the_text_is_the_same() {
    let input = [
        b'a', IAC, 251, 31, b'b', IAC, 250, 31, 0, 80, 0, 24, IAC, 240, b'c', IAC, IAC, b'd', IAC, 241,
        b'\r', 0,
    ];
    for read_max in 1..=input.len() {
        let mut world = World::new();
        let [alice, bob] = world.people(["alice", "bob"]);
        world.peer(alice).read_max = read_max;
        world.sends(alice, &input);
        world.reads(bob, ["12:34 #lobby <alice> abc\u{FFFD}d"]);
        assert_eq!(world.bytes(alice), [IAC, 253, 31], "window size is welcome");
    }
}

#[test]
fn answers_stand_between_lines() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(bob, "before");
    world.sends(alice, &[IAC, 246]);
    // Bob is read first.
    world.reading_order = vec![bob.0, alice.0];
    world.reads(alice, ["12:34 #lobby <bob> before", "-- [yes]"]);
}

#[test]
fn a_client_that_only_sends_commands_is_neither_answered_for_ever_nor_read() {
    let mut world = World::new();
    let [alice, _bob] = world.people(["alice", "bob"]);
    world.sends(alice, &[IAC, 253, 6].repeat(100_000));
    let sent = world.bytes(alice);
    let (answers, told) = sent.split_at(64 * 3);
    assert_eq!(answers, [IAC, 251, 6].repeat(64), "as many as one has in store");
    assert!(
        told.starts_with(b"-- ")
            && told.ends_with(b"-- slow down: you are read at 5 lines a second until you pause\r\n")
    );
    assert!(!world.peer(alice).inbound.is_empty(), "its bytes have a rate like all others");
}

#[test]
fn on_a_unix_socket_there_is_no_telnet() {
    let mut world = World::new();
    let [bob] = world.people(["bob"]);
    let alice = world.connect_from("unix");
    world.everybody_has_read();
    world.sends(alice, &[IAC, 253, 6, b'x', b'\n']);
    world.reads(alice, []);
    world.reads(bob, ["12:34 #lobby <guest-2> \u{FFFD}\u{FFFD}␆x"]);
}
