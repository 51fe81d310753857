//! Listeners of every framing: what the engine makes of them, seen from inside.

use std::num::NonZeroU32;

use chatops::config::settings::{Config, Framing, HalfClosePolicy, Listen, Listeners};
use chatops::model::snapshot::{Milestone, Query};

use crate::stage::{Client, World};

const LINES: u16 = 0;
const NUL: u16 = 1;
const LENGTH: u16 = 2;
const FIXED: u16 = 3;

/// A listener of each framing, in the order of these numbers; records have 64 bytes.
fn framed(config: &mut Config) {
    let record = NonZeroU32::new(64).unwrap();
    let framings = [Framing::Lines, Framing::Nul, Framing::Length, Framing::Fixed(record)];
    config.listen = Listeners(framings.map(|framing| Listen { framing, ..Listen::default() }).to_vec());
}

fn connect(world: &mut World, listener: u16) -> Client {
    let client = world.connect_on(listener, "127.0.0.1:50000");
    world.run();
    client
}

/// What happened to a client's socket, in order.
fn timeline(world: &mut World, client: Client) -> Vec<Milestone> {
    world.run();
    let query = Query { detail: world.peer(client).id, ..Query::default() };
    let detail = world.engine.snapshot(&query, |_| None).detail.expect("it is there");
    detail.timeline.into_iter().map(|(_, milestone)| milestone).collect()
}

#[test]
fn a_line_is_encoded_as_each_listener_says() {
    let mut world = World::with(framed);
    let alice = connect(&mut world, LINES);
    let others = [NUL, LENGTH, FIXED].map(|listener| connect(&mut world, listener));
    world.pass("2s");
    world.everybody_has_read();
    world.says(alice, "a");
    world.says(alice, "bc");
    let said = ["12:34 #lobby <guest-1> a", "12:34 #lobby <guest-1> bc"];
    let [nul, length, fixed] = others.map(|client| String::from_utf8(world.bytes(client)).unwrap());
    assert_eq!(nul, said.map(|line| format!("{line}\0")).concat());
    assert_eq!(length, format!("\0\0\0\x18{}\0\0\0\x19{}", said[0], said[1]));
    assert_eq!(fixed, said.map(|line| format!("{line:64}")).concat());
}

#[test]
fn what_exceeds_a_record_goes_on_in_one_that_says_so() {
    let mut world = World::with(framed);
    let alice = connect(&mut world, LINES);
    let fixed = connect(&mut world, FIXED);
    world.pass("2s");
    world.everybody_has_read();
    let text = "x".repeat(64 - "12:34 #lobby <guest-1> ".len())
        + "12:34 *** send me your password "
        + &"y".repeat(60);
    world.says(alice, &text);
    let line = format!("12:34 #lobby <guest-1> {text}");
    let records = String::from_utf8(world.bytes(fixed)).unwrap();
    assert_eq!(records, format!("{}.. {}.. {:61}", &line[..64], &line[64..125], &line[125..]));
}

#[test]
fn clients_with_the_same_encoding_share_its_bytes() {
    let mut world = World::with(framed);
    let alice = connect(&mut world, LINES);
    let crowd: Vec<Client> = (0..20).map(|number| connect(&mut world, number % 4)).collect();
    world.everybody_has_read();
    for client in &crowd {
        world.peer(*client).kernel_bytes = 0;
    }
    world.says(alice, "hello");
    world.run();
    assert_eq!(world.audit_counts().chunks, 4, "one chunk for each encoding, however many read it");
    world.says(crowd[1], "/set time off");
    for client in &crowd {
        world.peer(*client).kernel_bytes = 1_000;
    }
    world.run();
    assert_eq!(world.audit_counts().unsent_bytes, 0);
}

#[test]
fn a_message_within_which_the_input_ended_is_dropped_and_counted() {
    for (listener, sent) in [(LENGTH, &b"\0\0\0\x02hi\0\0\0\x09unfini"[..]), (FIXED, &[b'x'; 63])] {
        let mut world = World::with(|config| {
            framed(config);
            config.half_close.policy = HalfClosePolicy::Listen;
        });
        let client = connect(&mut world, listener);
        world.sends(client, sent);
        world.run();
        assert_eq!(world.row(client).lines_incomplete, 0, "more of it may come");
        world.finishes(client);
        let row = world.row(client);
        assert_eq!((row.lines_incomplete, row.inbox_bytes), (1, 0));
        assert_eq!(world.snapshot().status.lines_incomplete, 1);
        let timeline = timeline(&mut world, client);
        let bytes = if listener == LENGTH { 10 } else { 63 };
        assert!(timeline.contains(&Milestone::Incomplete { bytes }), "{timeline:?}");
    }
}

#[test]
fn what_a_byte_ends_is_never_incomplete() {
    for listener in [LINES, NUL] {
        let mut world = World::with(framed);
        let alice = connect(&mut world, LINES);
        let client = connect(&mut world, listener);
        world.everybody_has_read();
        world.sends(client, b"last words");
        world.finishes(client);
        world.reads(
            alice,
            [
                "12:34 #lobby --> guest-2",
                "12:34 #lobby <guest-2> last words",
                "12:34 #lobby <-- guest-2 (end of input)",
            ],
        );
        assert_eq!(world.snapshot().status.lines_incomplete, 0);
    }
}

#[test]
fn an_end_within_a_message_waits_for_what_came_before_it() {
    let mut world = World::with(|config| {
        framed(config);
        config.flood.burst_lines = 2;
        config.flood.lines_per_second = 1;
    });
    let alice = connect(&mut world, LINES);
    let client = connect(&mut world, LENGTH);
    world.everybody_has_read();
    world.sends(client, &b"\0\0\0\x02hi".repeat(4));
    world.sends(client, b"\0\0\0\x02h");
    world.finishes(client);
    world
        .reads(alice, ["12:34 #lobby --> guest-2", "12:34 #lobby <guest-2> hi", "12:34 #lobby <guest-2> hi"]);
    assert_eq!(world.snapshot().status.lines_incomplete, 0);
    world.pass("10s");
    world.reads(
        alice,
        ["12:34 #lobby <guest-2> hi", "12:34 #lobby <guest-2> hi", "12:34 #lobby <-- guest-2 (end of input)"],
    );
    assert_eq!(world.snapshot().status.lines_incomplete, 1);
}

#[test]
fn a_length_that_is_too_long_is_passed_over_whatever_its_bytes_are() {
    let mut world = World::with(framed);
    let alice = connect(&mut world, LINES);
    let client = connect(&mut world, LENGTH);
    world.everybody_has_read();
    world.sends(client, b"\0\0\x20\0");
    world.sends(client, &b"\0\0\0\x02no".repeat(0x2000 / 6 + 1)[..0x2000]);
    world.sends(client, b"\0\0\0\x03yes");
    world.reads(alice, ["12:34 #lobby --> guest-2", "12:34 #lobby <guest-2> yes"]);
    let read = String::from_utf8(world.bytes(client)).unwrap();
    assert_eq!(read.matches("!! ").count(), 1, "{read:?}");
}

#[test]
fn other_protocols_are_known_on_every_listener() {
    let long = format!("GET /?q={} HTTP/1.1\r\nCookie: secret\r\n\r\n", "a".repeat(5_000));
    for listener in [LINES, NUL, LENGTH, FIXED] {
        for (opening, protocol) in [
            ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP"),
            ("\r\n\r\nGET / HTTP/1.1 \r\n\r\n", "HTTP"),
            (&long, "HTTP"),
            ("OPTIONS sip:nm SIP/2.0\r\n", "HTTP"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
            ("\x16\x03\x01", "TLS"),
            ("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\nhello\r\n", "PROXY protocol"),
            ("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0chello", "PROXY protocol"),
            ("\x05\x01\0", "SOCKS"),
            ("l\0\x0b\0\0\0", "binary protocol"),
            ("CAP LS 302\r\nNICK bob\r\n", "IRC"),
            ("EHLO example.org\r\n", "SMTP"),
        ] {
            // A length or a message that a NUL ends may be anything, and then it is no text of a person's.
            if matches!(listener, NUL | LENGTH) && matches!(protocol, "SOCKS" | "binary protocol") {
                continue;
            }
            let mut world = World::with(framed);
            let alice = connect(&mut world, LINES);
            let client = connect(&mut world, listener);
            world.pass("2s");
            world.everybody_has_read();
            for byte in opening.bytes() {
                world.sends(client, &[byte]);
                world.run();
            }
            let read = String::from_utf8(world.bytes(client)).unwrap();
            assert!(read.contains(&format!("a chat server and no {protocol}")), "{listener}: {read:?}");
            assert!(world.got_fin(client));
            world.reads(alice, [format!("12:34 #lobby <-- guest-2 (speaks {protocol})").as_str()]);
        }
    }
    let mut world = World::with(framed);
    let alice = connect(&mut world, LINES);
    let poet = connect(&mut world, NUL);
    world.everybody_has_read();
    world.sends(poet, b"GET well soon\nSSH-2.0- is no line of mine\n\0");
    world.reads(
        alice,
        ["12:34 #lobby --> guest-2", "12:34 #lobby <guest-2> GET well soon␊SSH-2.0- is no line of mine␊"],
    );
}

#[test]
fn a_client_that_sends_lines_where_lengths_are_wanted_is_refused() {
    let mut world = World::with(framed);
    let client = connect(&mut world, LENGTH);
    world.bytes(client);
    world.sends(client, b"hello\n");
    let read = String::from_utf8(world.bytes(client)).unwrap();
    assert!(read.contains("!! that message has more than 4096 bytes"), "{read:?}");
    assert!(read.contains("4 bytes, big-endian"), "{read:?}");
}
