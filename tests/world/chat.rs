//! What people read: the greeting, each other's lines, in order and once, and how they want them.

use std::time::Duration;

use crate::stage::World;

#[test]
fn a_session_begins_with_the_message_of_the_day_and_the_greeting() {
    let mut world = World::with(|config| {
        config.server.name = "base".to_owned();
        config.server.motd = "Welcome.\nBe kind.".to_owned();
    });
    let alice = world.connect();
    world.reads(
        alice,
        [
            "-- Welcome.",
            "-- Be kind.",
            "-- base: you are guest-1 in #lobby (1 here). /help lists the commands.",
        ],
    );
    world.connect_from("unix");
    world.reads(alice, []);
    world.pass("2s");
    world.reads(alice, ["12:34 #lobby --> guest-2"]);
}

#[test]
fn another_protocol_gets_one_line_and_the_end() {
    for (opening, name) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
    ] {
        for read_max in [1, 2, 1_000] {
            let mut world = World::new();
            let [bob] = world.people(["bob"]);
            let stray = world.connect();
            world.everybody_has_read();
            world.peer(stray).read_max = read_max;
            world.sends(stray, opening);
            let expected = format!("!! this is a chat server and no {name}: connect with nc or telnet");
            world.reads(stray, [expected.as_str()]);
            assert!(world.got_fin(stray));
            world.pass("2s");
            world.reads(bob, []);
        }
    }
}

#[test]
fn what_a_person_types_is_no_other_protocol() {
    let mut world = World::new();
    let [bob] = world.people(["bob"]);
    let alice = world.connect();
    world.everybody_has_read();
    world.says(alice, "GET well soon");
    world.says(alice, "GET / HTTP/1.1");
    world.reads(
        bob,
        [
            "12:34 #lobby --> guest-2",
            "12:34 #lobby <guest-2> GET well soon",
            "12:34 #lobby <guest-2> GET / HTTP/1.1",
        ],
    );
}

#[test]
fn every_line_end_ends_one_line_however_the_bytes_come() {
    let text = b"a\nb\r\nc\r\0d\re\n\n\xc3\xa9\xfe\xe2\x82\n\x1b[31mred\n";
    let read = ["a", "b", "c", "d", "e", "é\u{FFFD}\u{FFFD}", "␛[31mred"]
        .map(|text| format!("12:34 #lobby <alice> {text}"));
    let read = read.each_ref().map(String::as_str);
    for read_max in 1..=text.len() {
        let mut world = World::new();
        let [alice, bob] = world.people(["alice", "bob"]);
        world.peer(alice).read_max = read_max;
        world.sends(alice, text);
        world.reads(bob, read);
        world.reads(alice, []);
    }
}

#[test]
fn all_but_the_speaker_read_a_line_once() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.says(alice, "hi");
    world.says(alice, "");
    world.says(alice, " \t ");
    world.says(bob, "/me waves");
    world.says(alice, "//who is a command");
    world.reads(alice, ["12:34 #lobby * bob waves"]);
    world.reads(bob, ["12:34 #lobby <alice> hi", "12:34 #lobby <alice> /who is a command"]);
    world.reads(
        carol,
        ["12:34 #lobby <alice> hi", "12:34 #lobby <alice> /who is a command", "12:34 #lobby * bob waves"],
    );
}

#[test]
fn a_refused_line_gets_one_line_and_no_other_client_reads_it() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for line in ["/nick bob", "/jion #ops", "/join", "/msg nobody hi", "/leave #nowhere", "/reply hi"] {
        world.says(alice, line);
        let answer = world.lines(alice);
        assert!(answer.len() == 1 && answer[0].starts_with("!! "), "{line} was answered {answer:?}");
    }
    world.reads(bob, []);
}

#[test]
fn who_comes_in_mid_turn_hears_only_what_is_said_after_it() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    for client in [alice, carol] {
        world.says(client, "/join #ops");
    }
    world.everybody_has_read();
    // All of it is one turn, in this order.
    world.says(alice, "before");
    world.says(bob, "/join #ops");
    world.says(carol, "after");
    world.turn();
    world.reads(bob, ["-- you are in #ops (3 here)", "12:34 #ops <carol> after"]);
    world.reads(carol, ["12:34 #ops <alice> before", "12:34 #ops --> bob"]);
    world.reads(alice, ["12:34 #ops --> bob", "12:34 #ops <carol> after"]);
}

#[test]
fn who_leaves_in_mid_turn_hears_only_what_was_said_before_it() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.says(alice, "before");
    world.says(bob, "/leave");
    world.says(carol, "after");
    world.turn();
    world.reads(bob, ["12:34 #lobby <alice> before", "-- you left #lobby; you are in no room: /join #ROOM"]);
}

#[test]
fn lines_keep_their_order_across_rooms() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    for (client, rooms) in [(alice, ["#a", "#b"]), (bob, ["#a", "#b"]), (carol, ["#b", "#a"])] {
        for room in rooms {
            world.says(client, &format!("/join {room}"));
        }
    }
    world.everybody_has_read();
    // Alice speaks in #b, then #a, then #b; carol, who is read behind her, in #a and #b: one turn.
    for line in ["1", "/join #a", "2", "/msg bob 3", "/join #b", "4"] {
        world.says(alice, line);
    }
    for line in ["5", "/join #b", "6"] {
        world.says(carol, line);
    }
    world.turn();
    world.reads(
        bob,
        [
            "12:34 #b <alice> 1",
            "12:34 #a <alice> 2",
            "12:34 [alice -> bob] 3",
            "12:34 #b <alice> 4",
            "12:34 #a <carol> 5",
            "12:34 #b <carol> 6",
        ],
    );
}

#[test]
fn an_answer_stands_between_the_lines_said_before_and_after_it() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.says(alice, "before");
    world.says(bob, "/ping now");
    world.says(carol, "after");
    world.turn();
    world.reads(bob, ["12:34 #lobby <alice> before", "-- pong now", "12:34 #lobby <carol> after"]);
}

#[test]
fn each_client_gets_the_format_it_asked_for() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.says(bob, "/set time off");
    world.says(carol, "/set presence off");
    world.everybody_has_read();
    world.says(alice, "hi");
    let dave = world.connect();
    world.says(dave, "hello");
    world.says(dave, "/nick dave");
    world.run();
    world.finishes(dave);
    world.reads(
        bob,
        [
            "#lobby <alice> hi",
            "#lobby --> guest-4",
            "#lobby <guest-4> hello",
            "#lobby -- guest-4 is now dave",
            "#lobby <-- dave (end of input)",
        ],
    );
    world.reads(carol, ["12:34 #lobby <alice> hi", "12:34 #lobby <guest-4> hello"]);
    world.says(bob, "/set time hh:mm");
    world.reads(bob, ["-- time is hh:mm"]);
    world.says(alice, "hi");
    world.reads(bob, ["12:34 #lobby <alice> hi"]);
}

#[test]
fn a_change_of_format_in_mid_turn_loses_nothing() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.says(alice, "one");
    world.says(bob, "/set time off");
    world.says(carol, "two");
    world.turn();
    world.reads(bob, ["12:34 #lobby <alice> one", "-- time is off", "#lobby <carol> two"]);
}

#[test]
fn a_crowd_reads_a_summary_of_who_comes_and_goes() {
    let mut world = World::with(|config| config.rooms.presence_max = 3);
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    let dave = world.connect();
    world.says(dave, "hello");
    world.says(dave, "/nick dave");
    for client in [alice, bob] {
        world.reads(client, ["12:34 #lobby <guest-4> hello"]);
    }
    world.finishes(carol);
    world.pass("200ms");
    world.reads(bob, []);
    world.pass("200ms");
    world.reads(alice, ["12:34 #lobby -- 1 joined, 1 left, 1 renamed"]);
    world.reads(bob, ["12:34 #lobby -- 1 joined, 1 left, 1 renamed"]);
}

#[test]
fn summaries_that_are_due_together_are_sent_one_a_turn() {
    let mut world = World::with(|config| config.rooms.presence_max = 2);
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    for client in [alice, bob, carol] {
        world.says(client, "/join #ops");
    }
    world.pass("20s");
    world.everybody_has_read();
    let dave = world.connect();
    world.says(dave, "hello");
    world.says(dave, "/join #ops");
    world.everybody_has_read();
    world.jump_to(world.now().moment + Duration::from_secs(1));
    for expected in ["12:34 #lobby -- 1 joined\r\n", "12:34 #ops -- 1 joined\r\n"] {
        world.turn();
        world.peers_read();
        assert_eq!(String::from_utf8(world.bytes_so_far(alice)).unwrap(), expected);
    }
}

#[test]
fn a_summary_waits_until_all_members_have_what_was_said() {
    let mut world = World::with(|config| config.rooms.presence_max = 2);
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.pass("20s");
    let dave = world.connect();
    world.says(dave, "hello");
    world.everybody_has_read();
    world.says(alice, "hi");
    world.served_a_turn = 1;
    world.turn();
    world.jump_to(world.now().moment + Duration::from_secs(1));
    let others = [bob, carol, dave];
    let mut texts = others.map(|_| String::new());
    for _ in 0..20 {
        world.turn();
        world.peers_read();
        for (text, other) in texts.iter_mut().zip(others) {
            text.push_str(&String::from_utf8(world.bytes_so_far(other)).unwrap());
        }
        let is_summed_up = texts.iter().any(|text| text.contains("1 joined"));
        assert!(!is_summed_up || texts.iter().all(|text| text.contains("<alice> hi")), "{texts:?}");
    }
    let both = "12:34 #lobby <alice> hi\r\n12:34 #lobby -- 1 joined\r\n";
    assert_eq!(texts, [both, both, "12:34 #lobby <alice> hi\r\n"]);
}

#[test]
fn private_lines_are_read_by_two() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.says(alice, "/msg bob psst");
    world.reads(alice, ["12:34 [alice -> bob] psst"]);
    world.says(bob, "/reply what?");
    world.reads(bob, ["12:34 [alice -> bob] psst", "12:34 [bob -> alice] what?"]);
    world.reads(alice, ["12:34 [bob -> alice] what?"]);
    world.reads(carol, []);
}

#[test]
fn a_room_ends_with_its_last_member_and_can_begin_again() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for round in 0..3 {
        for client in [alice, bob] {
            world.says(client, "/join #ops");
        }
        world.run();
        world.says(alice, "/topic all hands");
        world.says(alice, &format!("round {round}"));
        world.run();
        let read = world.lines(bob);
        assert_eq!(read[read.len() - 1], format!("12:34 #ops <alice> round {round}"));
        assert_eq!(world.audit_counts().rooms, 2);
        for client in [alice, bob] {
            world.says(client, "/leave #ops");
        }
        world.run();
        assert_eq!(world.audit_counts().rooms, 1);
    }
}

#[test]
fn a_client_that_ignores_speakers_reads_the_others_in_order() {
    // More than one chunk of lines is said in one turn, and what is ignored stands before, between and behind the rest.
    let mut world = World::with(|config| config.flood.enabled = false);
    let [alice, dave, frank, mallory, bob, eve, carol] =
        world.people(["alice", "dave", "frank", "mallory", "bob", "eve", "carol"]);
    world.says(dave, "/set time off");
    for client in [alice, dave] {
        world.says(client, "/ignore mallory");
        world.says(client, "/ignore eve");
    }
    world.run();
    world.everybody_has_read();
    let speakers = [(mallory, "mallory"), (bob, "bob"), (eve, "eve"), (carol, "carol")];
    let said = |name: &str, number: usize| format!("{name} {number} {}", "x".repeat(3_000));
    for (client, name) in speakers {
        for number in 0..8 {
            world.says(client, &said(name, number));
        }
    }
    world.turn_with(speakers.map(|(client, _)| client.0).to_vec());
    let words_of = |names: &[&str]| {
        let line = |name: &&str, number| format!("#lobby <{name}> {}", said(name, number));
        names.iter().flat_map(|name| (0..8).map(move |number| line(name, number))).collect::<Vec<_>>()
    };
    let without_time = |lines: Vec<String>| {
        lines.iter().map(|line| line.trim_start_matches("12:34 ").to_owned()).collect::<Vec<_>>()
    };
    for client in [alice, dave] {
        assert_eq!(without_time(world.lines(client)), words_of(&["bob", "carol"]));
    }
    assert_eq!(without_time(world.lines(frank)), words_of(&["mallory", "bob", "eve", "carol"]));
    assert_eq!(without_time(world.lines(bob)), words_of(&["mallory", "eve", "carol"]));
}

#[test]
fn a_join_is_sent_a_moment_later_or_with_the_next_line() {
    let mut world = World::new();
    let [_alice, bob] = world.people(["alice", "bob"]);
    let received = |world: &mut World| {
        world.turn();
        world.peers_read();
        String::from_utf8(world.bytes_so_far(bob)).unwrap()
    };
    let carol = world.connect();
    assert_eq!(received(&mut world), "", "a line of presence waits for company");
    world.says(carol, "hi");
    assert_eq!(received(&mut world), "12:34 #lobby --> guest-3\r\n12:34 #lobby <guest-3> hi\r\n");
    world.says(carol, "/nick carol");
    assert_eq!(received(&mut world), "");
    world.jump_to(world.now().moment + Duration::from_millis(10));
    assert_eq!(received(&mut world), "12:34 #lobby -- guest-3 is now carol\r\n");
}
