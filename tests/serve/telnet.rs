//! Telnet (RFC 854, RFC 1143): commands are removed from the text, and only clients that send some get answers.

use crate::common::{Client, NO_FLOOD_LIMIT, Server, people};

const IAC: u8 = 0xff;
const DONT: u8 = 0xfe;
const DO: u8 = 0xfd;
const WONT: u8 = 0xfc;
const WILL: u8 = 0xfb;
const SB: u8 = 0xfa;
const SE: u8 = 0xf0;
const IP: u8 = 0xf4;
const NOP: u8 = 0xf1;
const TIMING_MARK: u8 = 6;
const TERMINAL_TYPE: u8 = 24;
/// Assigned to nothing (IANA, Telnet Options).
const UNKNOWN: u8 = 77;

#[test]
fn telnet_commands_are_removed_from_text() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let mut message = b"he".to_vec();
    message.extend([IAC, NOP]);
    message.extend(b"ll");
    message.extend([IAC, SB, TERMINAL_TYPE, 0, b'x', b'\n', IAC, IAC, b'y', IAC, SE]);
    message.extend(b"o\r\n");
    for byte in message {
        alice.send_raw(&[byte]);
    }
    bob.expect("HH:MM #lobby <alice> hello");
    bob.expect_nothing();
}

#[test]
fn a_telnet_request_is_refused_and_not_shown_to_others() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send_raw(&[IAC, DO, UNKNOWN]);
    assert_eq!(alice.bytes(3), [IAC, WONT, UNKNOWN]);
    alice.send_raw(&[IAC, WILL, UNKNOWN]);
    assert_eq!(alice.bytes(3), [IAC, DONT, UNKNOWN]);
    alice.send("plain");
    bob.expect("HH:MM #lobby <alice> plain");
    // Client checks every line it reads to be UTF-8, which no telnet command is.
    bob.expect_nothing();
    alice.expect_nothing();
}

#[test]
fn after_ctrl_c_a_timing_mark_is_answered() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send_raw(&[IAC, IP, IAC, DO, TIMING_MARK]);
    let answer = alice.bytes(3);
    let marks = [[IAC, WILL, TIMING_MARK], [IAC, WONT, TIMING_MARK]];
    assert!(marks.iter().any(|mark| answer == mark), "{answer:x?}");
    alice.send("still here");
    bob.expect("HH:MM #lobby <alice> still here");
    alice.expect_nothing();
}

#[test]
fn a_refusal_is_not_answered() {
    let server = Server::start(&[]);
    let [mut alice, _bob] = people(&server, ["alice", "bob"]);
    alice.send_raw(&[IAC, DONT, TERMINAL_TYPE, IAC, WONT, TERMINAL_TYPE]);
    alice.expect_nothing();
}

#[test]
fn an_unfinished_subnegotiation_takes_no_memory() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let before = crate::common::process::rss(server.pid());
    alice.send_raw(&[IAC, SB, TERMINAL_TYPE]);
    let block = vec![b'q'; 1024 * 1024];
    for _ in 0..32 {
        alice.send_raw(&block);
    }
    alice.send_raw(&[IAC, SE]);
    alice.send("out again");
    bob.expect("HH:MM #lobby <alice> out again");
    let grown = crate::common::process::rss(server.pid()).saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "grown by {grown} bytes");
}

#[test]
fn a_client_that_sends_no_telnet_gets_none() {
    let server = Server::start(&[]);
    let mut quiet = Client::connect(&server);
    let greeting = quiet.bytes(1);
    assert!(!greeting.contains(&IAC), "{}", greeting.escape_ascii());
}
