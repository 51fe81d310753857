//! Listeners of every framing: all share the rooms, and no bytes can block them, use up memory or lose messages.

use crate::common::{
    Client, DEADLINE, End, Framing, NO_FLOOD_LIMIT, Server, numbered, process, wait_until, without_time,
};

const MIB: usize = 1024 * 1024;

/// Lines for slow readers.
const SAID: usize = 20_000;

/// One listener of each framing; records hold every line of these tests, the greeting too.
const ALL: [&str; 4] = ["lines", "nul", "length", "fixed:128"];

/// The client's nick on each listener.
const NICKS: [&str; 4] = ["lina", "nula", "lena", "fixa"];

/// A server with a listener of each framing, and a client on each that has read the lines about the others' arrival.
fn people_of_all(options: &[&str]) -> (Server, [Client; 4]) {
    let server = Server::framed(&ALL, &[&[NO_FLOOD_LIMIT], options].concat());
    let mut listener = 0..;
    let mut people = NICKS.map(|nick| Client::named_on(&server, listener.next().unwrap(), nick));
    for client in &mut people {
        client.lines_until_now();
    }
    (server, people)
}

/// Every client but this one gets the line.
#[track_caller]
fn all_but(speaker: usize, people: &mut [Client; 4], line: &str) {
    for client in
        people.iter_mut().enumerate().filter(|(index, _)| *index != speaker).map(|(_, client)| client)
    {
        client.expect(line);
    }
}

#[test]
fn stdout_shows_the_framing_with_the_address() {
    let server = Server::framed(&ALL, &[]);
    let told: Vec<String> =
        server.stdout.text().lines().map(|line| line.rsplit_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(told, ["(lines)", "(nul)", "(length)", "(fixed:128)"]);
}

#[test]
fn clients_of_every_framing_share_a_room() {
    let (_server, mut people) = people_of_all(&[]);
    for speaker in 0..4 {
        let nick = NICKS[speaker];
        people[speaker].send("hello, wörld");
        all_but(speaker, &mut people, &format!("HH:MM #lobby <{nick}> hello, wörld"));
        people[speaker].send("/me waves");
        all_but(speaker, &mut people, &format!("HH:MM #lobby * {nick} waves"));
        people[speaker].send("/topic about bytes");
        people[speaker].expect("-- topic of #lobby set: about bytes");
        all_but(speaker, &mut people, &format!("HH:MM #lobby -- {nick} set the topic: about bytes"));
    }
    people[1].send("/msg fixa between us");
    for at in [1, 3] {
        people[at].expect("HH:MM [nula -> fixa] between us");
    }
    assert_eq!(people[2].answer("/who").len(), 1);
    people[3].send("/set time off");
    people[3].expect("-- time is off");
    people[0].send("not everybody wants the time");
    people[3].expect("#lobby <lina> not everybody wants the time");
    people[2].expect("HH:MM #lobby <lina> not everybody wants the time");
    for client in &mut people {
        client.lines_until_now();
        client.expect_nothing();
    }
}

#[test]
fn any_cut_of_a_conversation_gives_the_same_lines() {
    let (server, mut people) = people_of_all(&[]);
    for speaker in 1..4 {
        let framing = people[speaker].framing();
        let nick = NICKS[speaker];
        let said = ["one", "", "zwölf"];
        let conversation: Vec<u8> = said.iter().flat_map(|text| framing.encode(text.as_bytes())).collect();
        for cut in (1..conversation.len()).take(40) {
            let (head, tail) = conversation.split_at(cut);
            people[speaker].send_raw(head);
            wait_until_read(&server, speaker, &people[speaker]);
            people[speaker].send_raw(tail);
            for text in ["one", "zwölf"] {
                all_but(speaker, &mut people, &format!("HH:MM #lobby <{nick}> {text}"));
            }
        }
        for byte in &conversation {
            people[speaker].send_raw(&[*byte]);
        }
        for text in ["one", "zwölf"] {
            all_but(speaker, &mut people, &format!("HH:MM #lobby <{nick}> {text}"));
        }
    }
}

/// Waits until the server has read all that this client sent.
fn wait_until_read(server: &Server, listener: usize, client: &Client) {
    let crate::common::Endpoint::Tcp(address) = &server.endpoints[listener] else { panic!("no TCP") };
    let port = client.local_port();
    wait_until(DEADLINE, "the server reads", || process::unread_from(address.port(), port) == 0);
}

#[test]
fn line_ends_inside_a_message_are_shown_as_symbols() {
    let (_server, mut people) = people_of_all(&[]);
    for (speaker, nick) in [(1, "nula"), (2, "lena"), (3, "fixa")] {
        people[speaker].send("two\nlines\r\n!! not the server");
        all_but(speaker, &mut people, &format!("HH:MM #lobby <{nick}> two␊lines␍␊!! not the server"));
    }
    people[2].send("nul\0in it");
    all_but(2, &mut people, "HH:MM #lobby <lena> nul␀in it");
}

#[test]
fn telnet_is_spoken_on_lines_listeners_only() {
    let (_server, mut people) = people_of_all(&[]);
    for speaker in 1..4 {
        let framing = people[speaker].framing();
        // "Are you there", and an IAC that would take the end of the message with it.
        people[speaker].send_raw(&framing.encode(b"\xff\xf6 and \xff\xff"));
        let nick = NICKS[speaker];
        let shown = "\u{fffd}\u{fffd} and \u{fffd}\u{fffd}";
        all_but(speaker, &mut people, &format!("HH:MM #lobby <{nick}> {shown}"));
        people[speaker].expect_nothing();
    }
}

#[test]
fn empty_messages_do_nothing() {
    let (_server, mut people) = people_of_all(&[]);
    for client in &mut people {
        for _ in 0..5 {
            client.send("");
        }
        client.expect_nothing();
    }
    for client in &mut people {
        client.expect_nothing();
    }
}

#[test]
fn a_message_too_long_is_refused_whole_and_the_session_continues() {
    let (_server, mut people) = people_of_all(&["limits.line_bytes=1024"]);
    for (speaker, nick) in [(1, "nula"), (2, "lena")] {
        let longest = "x".repeat(1000);
        people[speaker].send(&longest);
        people[0].expect(&format!("HH:MM #lobby <{nick}> {longest}"));
        for size in [1025, 5000, 200_000] {
            let told = people[speaker].refused(&"y".repeat(size));
            assert!(told.contains("1024"), "{told}");
        }
        people[speaker].send("and on");
        people[3 - speaker].lines_until_now();
        people[0].expect(&format!("HH:MM #lobby <{nick}> and on"));
    }
}

#[test]
fn a_long_line_continues_in_further_records() {
    let server = Server::framed(&["lines", "fixed:64"], &[]);
    let mut alice = Client::named(&server, "alice");
    let mut bob = Client::connect_nth(&server, 1);
    let greeting = String::from_utf8(bob.bytes(128)).unwrap();
    assert!(greeting.starts_with("-- chatops: you are guest-"), "{greeting:?}");
    assert_eq!(greeting[64..].trim_end_matches(' '), ".. commands.");
    alice.lines_until_now();
    // A character crosses the end of the first record. The others start with the mark of a continuation.
    let text = format!("{}ü{}", "a".repeat(64 - "12:34 #lobby <alice> ".len() - 1), "b".repeat(64));
    alice.send(&text);
    let bytes = bob.bytes(192);
    let records: Vec<&[u8]> = bytes.chunks(64).collect();
    let rest = records[1..].iter().flat_map(|record| record.strip_prefix(b".. ").expect("it goes on"));
    let line = String::from_utf8(records[0].iter().chain(rest).copied().collect()).unwrap();
    assert_eq!(without_time(line.trim_end_matches(' ')), format!("HH:MM #lobby <alice> {text}"));
    // A text that fills its record to the last byte needs no second one.
    let text = "c".repeat(64 - "12:34 #lobby <alice> ".len());
    alice.send(&text);
    alice.send("next");
    bob.expect(&format!("HH:MM #lobby <alice> {text}"));
    bob.expect("HH:MM #lobby <alice> next");
}

/// A fifth client on the listener with this number; the others have read its arrival.
#[track_caller]
fn fifth(server: &Server, listener: usize, people: &mut [Client; 4]) -> Client {
    let leaver = Client::named_on(server, listener, "leaver");
    for client in people {
        client.skip_to("the first line", |line| line.ends_with("<leaver> hello"));
    }
    leaver
}

#[test]
fn at_the_end_of_input_an_unfinished_delimited_message_counts() {
    let (server, mut people) = people_of_all(&[]);
    for listener in [0, 1] {
        let mut leaver = fifth(&server, listener, &mut people);
        leaver.send("first words");
        leaver.send_raw(b"last words");
        leaver.shutdown_write();
        leaver.expect_eof();
        for client in &mut people {
            client.expect("HH:MM #lobby <leaver> first words");
            client.expect("HH:MM #lobby <leaver> last words");
            client.expect("HH:MM #lobby <-- leaver (end of input)");
        }
    }
}

#[test]
fn at_the_end_of_input_an_incomplete_message_is_dropped() {
    let (server, mut people) = people_of_all(&[]);
    let incomplete: [(usize, &[u8]); 5] = [
        (2, b"\0\0"),
        (2, b"\0\0\0\x0blast words"),
        (2, b"\xff\xff\xff\xfflast"),
        (3, b" "),
        (3, b"last words"),
    ];
    for (listener, rest) in incomplete {
        let mut leaver = fifth(&server, listener, &mut people);
        leaver.send("first words");
        leaver.send_raw(rest);
        leaver.shutdown_write();
        let (lines, end) = leaver.lines_to_end(DEADLINE);
        let told = usize::from(rest.starts_with(b"\xff"));
        assert!(lines.len() == told && lines.iter().all(|line| line.starts_with("!! ")), "{lines:?}");
        assert_eq!(end, End::Fin);
        for client in &mut people {
            client.expect("HH:MM #lobby <leaver> first words");
            client.expect("HH:MM #lobby <-- leaver (end of input)");
        }
    }
}

#[test]
fn hostile_lengths_take_no_memory_and_disturb_no_client() {
    let (mut server, mut people) = people_of_all(&[]);
    let before = process::rss(server.pid());
    let block = vec![0xaa; MIB];
    let lengths = [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0, 0, 0x10, 0x01]];
    let mut crowd = lengths.map(|length| {
        let mut hostile = Client::connect_nth(&server, 2);
        hostile.greeting();
        hostile.send_raw(&length);
        let told = hostile.skip_to("a refusal", |line| line.starts_with("!! "));
        assert!(told.contains("4096"), "{told}");
        hostile
    });
    for hostile in &mut crowd[..3] {
        for _ in 0..16 {
            hostile.send_raw(&block);
        }
    }
    // The last one's message ends at last, and it goes on.
    crowd[3].send_raw(&[b'z'; 0x1001]);
    crowd[3].send("well then");
    people[0].skip_to("the last one", |line| line.ends_with("> well then"));
    let grown = process::rss(server.pid()).saturating_sub(before);
    assert!(grown < 4 * MIB as u64, "grown by {grown} bytes");
    drop(crowd);
    people[2].send("undisturbed");
    people[0].skip_to("the others", |line| line == "HH:MM #lobby <lena> undisturbed");
    server.assert_alive();
}

#[test]
fn endless_input_takes_no_memory() {
    let (server, mut people) = people_of_all(&[]);
    let before = process::rss(server.pid());
    let block = vec![b'z'; MIB];
    for _ in 0..64 {
        people[1].send_raw(&block);
    }
    people[1].send_raw(b"\0");
    let lines = people[1].lines_until_now();
    assert!(lines.len() == 1 && lines[0].starts_with("!! "), "{lines:?}");
    let grown = process::rss(server.pid()).saturating_sub(before);
    assert!(grown < 4 * MIB as u64, "grown by {grown} bytes");
}

#[test]
fn slow_readers_of_every_framing_lose_whole_messages() {
    let options = ["limits.outbox_bytes=\"32 KiB\"", "limits.send_buffer=\"16 KiB\""];
    let server =
        Server::framed(&["lines", "nul", "length", "fixed:64"], &[&[NO_FLOOD_LIMIT], &options[..]].concat());
    let mut alice = Client::named(&server, "alice");
    let mut bob = Client::named(&server, "bob");
    let mut slow: Vec<Client> = (1..4).map(|listener| Client::connect_nth(&server, listener)).collect();
    for client in &mut slow {
        client.greeting();
    }
    bob.lines_until_now();
    alice.lines_until_now();
    let text = |number: usize| format!("line {number:06} {}", "-".repeat(60));
    for start in (0..SAID).step_by(100) {
        alice.send_raw(numbered(start..start + 100, text).as_bytes());
        for number in start..start + 100 {
            bob.expect(&format!("HH:MM #lobby <alice> {}", text(number)));
        }
    }
    for client in &mut slow {
        assert!(take_all(client, SAID, &text) > SAID / 2);
    }
}

/// Reads every line of alice or the notice that it was skipped; returns the number skipped.
#[track_caller]
fn take_all(client: &mut Client, count: usize, text: &impl Fn(usize) -> String) -> usize {
    let (mut next, mut skipped) = (0, 0);
    while next < count {
        let mut line = without_time(&client.line());
        if let Some(lost) = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" lines skipped")) {
            let lost: usize = lost.parse().unwrap();
            skipped += lost;
            next += lost;
        } else if line.contains(" <alice> ") {
            if client.framing() == Framing::Fixed(64) {
                line += client.line().strip_prefix(".. ").expect("a record that goes on");
            }
            assert_eq!(line, format!("HH:MM #lobby <alice> {}", text(next)), "{:?}", client.framing());
            next += 1;
        }
    }
    skipped
}

#[test]
fn a_refused_or_closed_client_reads_the_reason() {
    let mut server = Server::framed(&ALL, &["limits.clients=4"]);
    let mut people = [0, 1, 2, 3].map(|listener| Client::connect_nth(&server, listener));
    for client in &mut people {
        client.greeting();
    }
    for listener in 0..4 {
        let (lines, end) = Client::connect_nth(&server, listener).lines_to_end(DEADLINE);
        assert_eq!((lines.len(), end), (1, End::Fin));
        assert!(lines[0].starts_with("!! the server is full"), "{lines:?}");
    }
    server.signal(rustix::process::Signal::TERM);
    for client in &mut people {
        let (lines, end) = client.lines_to_end(DEADLINE);
        assert_eq!(lines.last().map(String::as_str), Some("HH:MM *** chatops is stopping"));
        assert_eq!(end, End::Fin);
    }
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
}

#[test]
fn other_protocols_get_one_line_and_the_end_here_too() {
    let (server, _people) = people_of_all(&[]);
    let request = b"POST /a-path-that-fills-most-of-a-record-of-128-bytes HTTP/1.1\r\nHost: localhost\r\n\
        Content-Length: 40\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n/nick sneaky\0hello\0";
    for listener in 1..4 {
        let mut stranger = Client::connect_nth(&server, listener);
        stranger.greeting();
        stranger.send_raw(request);
        if listener == 2 {
            // "POST" is a length of more than a gibibyte, all of which is passed over.
            stranger.shutdown_write();
        }
        let (lines, _) = stranger.lines_to_end(DEADLINE);
        assert!(
            lines.len() == 1 && lines[0].starts_with("!! "),
            "{:?}: {lines:?}",
            server.framings[listener]
        );
    }
}

#[test]
fn records_longer_than_the_longest_message_are_delivered_whole() {
    let server = Server::framed(&["lines", "fixed:65536"], &[NO_FLOOD_LIMIT]);
    let mut alice = Client::named_on(&server, 0, "alice");
    let mut bob = Client::connect_nth(&server, 1);
    let record = |text: &str| {
        let mut record = text.as_bytes().to_vec();
        record.resize(65_536, b' ');
        record
    };
    let both = [record("a first message"), record(&"x".repeat(5_000)), record("a last one")].concat();
    for piece in both.chunks(10_007) {
        bob.send_raw(piece);
    }
    alice.skip_to("his first message", |line| line.ends_with("> a first message"));
    alice.skip_to("his last one", |line| line.ends_with("> a last one"));
    bob.skip_to("the refusal", |line| line.starts_with("!! that line has more than 4096 bytes"));
}
