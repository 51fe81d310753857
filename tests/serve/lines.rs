//! Bytes and lines: every line end, every cut of the input, input that is no chat, and telnet (RFC 854, RFC 1143), whose
//! commands are removed from the text and answered.

use crate::common::{Client, End, NO_FLOOD_LIMIT, Server, people, process, wait_until};

#[test]
fn a_line_may_come_byte_by_byte() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for byte in "drip by drip: grüß\n".as_bytes() {
        alice.send_raw(&[*byte]);
    }
    bob.expect("HH:MM #lobby <alice> drip by drip: grüß");
}

#[test]
fn many_lines_may_come_at_once() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let lines: Vec<String> = (0..500).map(|number| format!("number {number}")).collect();
    alice.send_raw((lines.join("\n") + "\n").as_bytes());
    for line in &lines {
        bob.expect(&format!("HH:MM #lobby <alice> {line}"));
    }
}

#[test]
fn every_cut_of_a_conversation_gives_the_same_lines() {
    let conversation = "one\r\ntwo\nthree\r\0four\rfive \u{fe}é\r\nsix\n".as_bytes();
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for cut in 1..conversation.len() {
        let (head, tail) = conversation.split_at(cut);
        alice.send_raw(head);
        // The answer shows that the first part was read alone; it must not end the unfinished line.
        wait_until_read(&server, &alice);
        alice.send_raw(tail);
        for line in ["one", "two", "three", "four", "five þé", "six"] {
            bob.expect(&format!("HH:MM #lobby <alice> {line}"));
        }
    }
    bob.expect_nothing();
}

/// Waits until the server has read all that this client sent.
fn wait_until_read(server: &Server, client: &Client) {
    let port = client.local_port();
    wait_until(crate::common::DEADLINE, "the server reads", || {
        process::unread_from(server.port(), port) == 0
    });
}

#[test]
fn lf_cr_lf_cr_nul_and_a_lone_cr_end_a_line() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for end in ["\n", "\r\n", "\r\0", "\r"] {
        alice.send_raw(format!("line{end}").as_bytes());
        bob.expect("HH:MM #lobby <alice> line");
    }
    alice.send_raw(b"one\rtwo\r\nthree\r\0four\n");
    for line in ["one", "two", "three", "four"] {
        bob.expect(&format!("HH:MM #lobby <alice> {line}"));
    }
    bob.expect_nothing();
}

#[test]
fn the_last_line_needs_no_line_end() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send_raw(b"first\nlast words");
    alice.shutdown_write();
    bob.expect("HH:MM #lobby <alice> first");
    bob.expect("HH:MM #lobby <alice> last words");
    bob.expect("HH:MM #lobby <-- alice (end of input)");
    alice.expect_eof();
}

#[test]
fn a_line_too_long_is_refused_whole_and_the_session_continues() {
    let server = Server::start(&["limits.line_bytes=1024"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let longest = "x".repeat(1024);
    alice.send(&longest);
    bob.expect(&format!("HH:MM #lobby <alice> {longest}"));
    alice.expect_nothing();
    let told = alice.refused(&"y".repeat(1025));
    assert!(told.contains("1024") || told.contains("1,024") || told.contains("1 KiB"), "{told}");
    alice.refused(&"/quit ".repeat(1000));
    alice.send("and on");
    bob.expect("HH:MM #lobby <alice> and on");
}

#[test]
fn a_line_too_long_at_the_end_of_input_is_refused_too() {
    let server = Server::start(&["limits.line_bytes=1024"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send_raw("z".repeat(5000).as_bytes());
    alice.shutdown_write();
    let (lines, end) = alice.lines_to_end(crate::common::DEADLINE);
    assert!(lines.len() == 1 && lines[0].starts_with("!! "), "{lines:?}");
    assert_eq!(end, End::Fin);
    bob.expect("HH:MM #lobby <-- alice (end of input)");
}

#[test]
fn bytes_that_are_no_utf8_are_replaced_the_same_way_for_every_cut() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    // A lone continuation byte, a cut-off three-byte sequence, an overlong form, a surrogate, a good character.
    let message = b"a\x80b\xe2\x82c\xc0\xafd\xed\xa0\x80e\xc3\xa9\n";
    let expected = "HH:MM #lobby <alice> a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}d\u{fffd}\u{fffd}\u{fffd}eé";
    alice.send_raw(message);
    bob.expect(expected);
    for cut in 1..message.len() {
        let (head, tail) = message.split_at(cut);
        alice.send_raw(head);
        wait_until_read(&server, &alice);
        alice.send_raw(tail);
        bob.expect(expected);
    }
}

#[test]
fn nul_and_0xff_are_no_end_and_no_trouble() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send_raw(b"nul\0nul\n");
    bob.expect_line("a stand-in for NUL", |line| {
        line.starts_with("HH:MM #lobby <alice> nul") && line.ends_with("nul") && !line.contains('\0')
    });
    alice.send_raw(b"ff\xff\xffff\n");
    bob.expect("HH:MM #lobby <alice> ff\u{fffd}ff");
    alice.send("fine");
    bob.expect("HH:MM #lobby <alice> fine");
}

#[test]
fn other_protocols_get_one_line_and_the_end() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let long = format!("GET /?q={} HTTP/1.1\r\nCookie: secret\r\n\r\n", "a".repeat(5_000));
    let openings: [&[u8]; 12] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        long.as_bytes(),
        b"\r\nGET / HTTP/1.1 \r\nCookie: secret\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 56324 443\r\nhello\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x08\xdc\x04\x01\xbbhello\r\n",
        b"\x05\x01\0",
        b"\0\x1e\0\x06\x01\0\0\x01",
        b"CAP LS 302\r\nNICK bob\r\nUSER bob 0 * :Bob\r\n",
        b"EHLO example.org\r\n",
        b"POST /hook HTTP/1.0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    ];
    for opening in openings {
        let mut stranger = Client::connect(&server);
        stranger.greeting();
        stranger.send_raw(opening);
        let (lines, _) = stranger.lines_to_end(crate::common::DEADLINE);
        assert_eq!(lines.len(), 1, "{}: {lines:?}", opening.escape_ascii());
        // It is announced, and its end, only where its bytes came 2 s late.
        for line in alice.lines_until_now() {
            let is_presence =
                ["-->", "<--"].iter().any(|sign| line.starts_with(&format!("HH:MM #lobby {sign} guest-")));
            assert!(is_presence, "{}: {line}", opening.escape_ascii());
        }
    }
}

#[test]
fn a_person_may_sound_like_a_protocol() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for text in ["GET well soon", "SSH is down", "POST it", "GET / HTTP/1.1"] {
        alice.send(text);
        bob.expect(&format!("HH:MM #lobby <alice> {text}"));
    }
    let mut carol = Client::connect(&server);
    carol.greeting();
    carol.send("GET well soon");
    bob.expect_line("carol's arrival", |line| line.contains("--> guest-"));
    bob.expect_line("her first line", |line| line.ends_with("> GET well soon"));
}

#[test]
fn a_typed_line_is_corrected_on_tcp_and_shown_elsewhere() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for typed in
        [&b"my secret\xff\xf8hello\n"[..], b"helo\x08lo\r\n", b"hellp\xff\xf7o\n", b"xyz\x15hello\x7fo\r\0"]
    {
        alice.send_raw(typed);
        bob.expect("HH:MM #lobby <alice> hello");
    }
    alice.send_raw("xe\u{301}👨🏽\u{200D}👩🏿\u{7F}\u{7F}y\n".as_bytes());
    bob.expect("HH:MM #lobby <alice> xy");
}

#[test]
fn texts_of_real_languages_are_delivered_unchanged() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for line in include_str!("../field/words.txt").lines().filter(|line| !line.starts_with('#')) {
        let (_, word) = line.split_once('\t').expect("a language and a word");
        alice.send(word);
        bob.expect(&format!("HH:MM #lobby <alice> {word}"));
    }
}

#[test]
fn a_byte_order_mark_before_the_first_line_is_dropped() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let mut alice = Client::named(&server, "alice");
    let mut stranger = Client::connect(&server);
    stranger.greeting();
    stranger.send("\u{FEFF}/nick bob");
    stranger.expect("-- you are now bob");
    stranger.send("hello");
    alice.skip_to("bob's line", |line| line == "HH:MM #lobby <bob> hello");
}

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
