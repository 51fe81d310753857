//! Telnet is understood from a client that speaks it, and sent to no other.

use serde_json::Value;

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
fn what_a_client_tells_of_its_terminal_is_shown_to_the_operator() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    assert_eq!(world.row(alice).terminal, None);
    // An offer of NAWS (31) and TERMINAL-TYPE (24): both are welcome, and the type is asked for.
    world.sends(alice, &[IAC, 251, 31, IAC, 251, 24]);
    assert_eq!(world.bytes(alice), [IAC, 253, 31, IAC, 253, 24, IAC, 250, 24, 1, IAC, 240]);
    assert_eq!(world.row(alice).terminal, None, "nothing is known yet");
    world.sends(alice, &[IAC, 250, 31, 0, 132, 0, 43, IAC, 240]);
    assert_eq!(world.row(alice).terminal.unwrap().to_string(), "132x43");
    let hostile = "XTERM\u{1b}[2J\u{202e}".as_bytes();
    world.sends(alice, &[&[IAC, 250, 24, 0], hostile, &[IAC, 240]].concat());
    assert_eq!(world.row(alice).terminal.unwrap().to_string(), "XTERM␛[2J\u{FFFD} 132x43");
    // It has another window now, and does not know how many rows that has.
    world.sends(alice, &[IAC, 250, 31, 1, 0, 0, 0, IAC, 240]);
    let operator = world.connect_operator();
    world.says(operator, "connections");
    let answer: Value = serde_json::from_slice(&world.bytes(operator)).unwrap();
    let [row, other] = &answer["connections"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!(row["terminal"], "XTERM␛[2J\u{FFFD}");
    assert_eq!(row["terminal_columns"], 256);
    for (row, field) in [(row, "terminal_rows"), (other, "terminal"), (other, "terminal_columns")] {
        assert_eq!(row.get(field), None, "{field} is not known");
    }
    world.reads(bob, []);
    world.says(alice, "/quit");
    world.finishes(alice);
    world.run();
    world.says(operator, "closed");
    let closed = String::from_utf8(world.bytes(operator)).unwrap();
    assert!(closed.contains("\"terminal_columns\":256"), "{closed}");
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
    let (answers, read) = sent.split_at(64 * 3);
    assert_eq!(answers, [IAC, 251, 6].repeat(64), "as many as one has in store");
    assert!(
        read.starts_with(b"-- ")
            && read.ends_with(
                b"-- slow down: you are read at 5 lines and 32768 bytes a second until you pause\r\n"
            )
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
    world.reads(bob, ["12:34 #lobby --> guest-2", "12:34 #lobby <guest-2> \u{FFFD}\u{FFFD}␆x"]);
}
