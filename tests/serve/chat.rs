//! The greeting, names, and the exact form of every line.

use crate::common::{Client, End, NO_FLOOD_LIMIT, Server, people};

#[test]
fn the_greeting_has_the_name_of_the_client() {
    let server = Server::start(&[]);
    let mut alice = Client::connect(&server);
    alice.expect("-- chatops: you are guest-1 in #lobby (1 here). /help lists the commands.");
    let mut bob = Client::connect(&server);
    bob.expect("-- chatops: you are guest-2 in #lobby (2 here). /help lists the commands.");
    bob.expect("HH:MM #lobby --> guest-1");
    alice.expect("HH:MM #lobby --> guest-2");
    alice.expect_nothing();
    bob.expect_nothing();
}

#[test]
fn a_probe_is_not_announced_and_a_post_is_one_arrival_one_line_and_one_leaving() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    for input in [&b""[..], b"\n", b"/nick probe\n/who\n/quit\n", b"/nick ci\ndeploy done"] {
        let mut script = Client::connect(&server);
        script.send_raw(input);
        script.shutdown_write();
        script.wait_for_end(crate::common::DEADLINE);
    }
    drop(Client::connect(&server));
    alice.expect("HH:MM #lobby --> ci");
    alice.expect("HH:MM #lobby <ci> deploy done");
    alice.expect("HH:MM #lobby <-- ci (end of input)");
    alice.expect_nothing();
}

#[test]
fn the_greeting_has_the_name_of_the_server_and_its_lobby() {
    let server = Server::start(&["server.name=ops desk", "rooms.lobby=hall"]);
    Client::connect(&server)
        .expect("-- ops desk: you are guest-1 in #hall (1 here). /help lists the commands.");
}

#[test]
fn the_motd_comes_line_by_line_before_the_greeting() {
    let server = Server::start(&[r#"server.motd="be kind\nback at noon""#]);
    let mut alice = Client::connect(&server);
    alice.expect("-- be kind");
    alice.expect("-- back at noon");
    alice.greeting();
}

#[test]
fn a_line_reaches_the_other_members_and_not_its_sender() {
    let server = Server::start(&[]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    alice.send("good morning");
    bob.expect("HH:MM #lobby <alice> good morning");
    carol.expect("HH:MM #lobby <alice> good morning");
    alice.expect_nothing();
    bob.expect_nothing();
    carol.expect_nothing();
}

#[test]
fn a_line_starts_with_the_time_of_day() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send("tick");
    let line = bob.line();
    let (time, rest) = line.split_once(' ').unwrap();
    let (hour, minute) = time.split_once(':').expect("HH:MM");
    assert_eq!((hour.len(), minute.len(), rest), (2, 2, "#lobby <alice> tick"), "{line:?}");
    assert!(hour.parse::<u8>().unwrap() < 24 && minute.parse::<u8>().unwrap() < 60, "{line:?}");
}

#[test]
fn lines_keep_their_order() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for number in 0..200 {
        alice.send(&format!("line {number}"));
    }
    for number in 0..200 {
        bob.expect(&format!("HH:MM #lobby <alice> line {number}"));
    }
}

#[test]
fn an_action_is_shown_with_a_star() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send("/me waves to all");
    bob.expect("HH:MM #lobby * alice waves to all");
    alice.expect_nothing();
}

#[test]
fn two_slashes_send_one() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send("//etc/hosts is a file");
    bob.expect("HH:MM #lobby <alice> /etc/hosts is a file");
    alice.expect_nothing();
}

#[test]
fn a_room_name_before_a_text_is_text() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send("#rust is down the hall");
    bob.expect("HH:MM #lobby <alice> #rust is down the hall");
}

#[test]
fn an_empty_message_does_nothing() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send_raw(b"\n\r\n\n");
    alice.expect_nothing();
    bob.expect_nothing();
}

#[test]
fn a_new_name_is_answered_and_announced() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    assert_eq!(alice.answer("/nick Ada_[1]"), ["-- you are now Ada_[1]"]);
    bob.expect("HH:MM #lobby -- alice is now Ada_[1]");
    bob.expect_nothing();
    alice.send("still me");
    bob.expect("HH:MM #lobby <Ada_[1]> still me");
}

#[test]
fn a_client_may_change_the_case_of_its_name() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    assert_eq!(alice.answer("/nick ALICE"), ["-- you are now ALICE"]);
    bob.expect("HH:MM #lobby -- alice is now ALICE");
}

#[test]
fn a_name_is_free_after_a_rename() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.rename("ada");
    bob.rename("alice");
    alice.expect("HH:MM #lobby -- bob is now alice");
}

#[test]
fn an_invalid_name_is_refused_and_not_announced() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let too_long = "x".repeat(25);
    let refused = [
        "bob", "BOB", "12345", "server", "System", "ADMIN", "operator", "root", "chatops", "guest-7",
        "Guest-99", "a/b", "ünal", "a.b", "<bob>", &too_long, "",
    ];
    for name in refused {
        alice.refused(&format!("/nick {name}"));
    }
    bob.expect_nothing();
    alice.send("same as before");
    bob.expect("HH:MM #lobby <alice> same as before");
}

#[test]
fn the_shortest_and_longest_names_are_accepted() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let mut alice = Client::named(&server, "alice");
    let longest = "x".repeat(24);
    for name in ["a", "_-[]{}^|", "7of9", "guest", "guest-x", "serverless", &longest] {
        assert_eq!(alice.answer(&format!("/nick {name}")), [format!("-- you are now {name}")]);
    }
}

#[test]
fn a_private_line_reaches_only_its_sender_and_recipient() {
    let server = Server::start(&[]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    assert_eq!(alice.answer("/msg BOB are you in?"), ["HH:MM [alice -> bob] are you in?"]);
    bob.expect("HH:MM [alice -> bob] are you in?");
    assert_eq!(bob.answer("/reply just now"), ["HH:MM [bob -> alice] just now"]);
    alice.expect("HH:MM [bob -> alice] just now");
    carol.expect_nothing();
}

#[test]
fn a_private_line_reaches_across_rooms() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    bob.answer("/leave");
    alice.lines_until_now();
    alice.answer("/msg bob where are you?");
    bob.expect("HH:MM [alice -> bob] where are you?");
}

#[test]
fn a_private_line_to_an_unknown_nick_is_refused() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.refused("/msg zoe hello");
    alice.refused("/msg bob");
    alice.refused("/msg");
    alice.refused("/reply hello");
    bob.expect_nothing();
}

#[test]
fn whois_describes_a_client_and_hides_its_address() {
    let server = Server::start(&[]);
    let [mut alice, bob] = people(&server, ["alice", "bob"]);
    let port = bob.local_port().to_string();
    let answer = alice.answer("/whois bob");
    assert!(!answer.is_empty() && answer.iter().all(|line| line.starts_with("-- ")), "{answer:#?}");
    let text = answer.join("\n");
    assert!(text.contains("bob") && text.contains("#lobby"), "{text}");
    assert!(!text.contains("127.0.0.1") && !text.contains(&port), "an address is for the operator: {text}");
    alice.refused("/whois zoe");
    alice.refused("/whois");
}

#[test]
fn ping_is_answered_with_its_token() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    alice.send("/ping abc-123");
    alice.expect("-- pong abc-123");
    alice.send("/ping");
    alice.expect_line("a pong without a token", |line| line.trim_end() == "-- pong");
}

#[test]
fn help_lists_every_command_and_explains_each() {
    const COMMANDS: [&str; 15] = [
        "help", "nick", "join", "leave", "rooms", "who", "whois", "msg", "reply", "me", "topic", "set",
        "ping", "listen", "quit",
    ];
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let mut alice = Client::named(&server, "alice");
    let help = alice.answer("/help");
    assert!(help.iter().all(|line| line.starts_with("-- ")), "{help:#?}");
    let text = help.join("\n");
    for command in COMMANDS {
        assert!(text.contains(&format!("/{command}")), "/{command} is missing in:\n{text}");
        let one = alice.answer(&format!("/help {command}"));
        let explained = one.iter().all(|line| line.starts_with("-- ")) && one.join("\n").contains(command);
        assert!(explained, "/help {command} gave {one:#?}");
    }
    alice.refused("/help dance");
}

#[test]
fn a_line_that_is_no_command_is_refused_once() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.refused("/dance");
    alice.refused("/");
    alice.refused("/ hello");
    alice.refused("/me");
    bob.expect_nothing();
}

#[test]
fn quit_says_goodbye_to_the_room_and_ends_the_connection() {
    let server = Server::start(&[]);
    let [mut alice, mut bob, carol] = people(&server, ["alice", "bob", "carol"]);
    alice.send("/quit lunch");
    bob.expect("HH:MM #lobby <-- alice (quit: lunch)");
    let (lines, end) = alice.lines_to_end(crate::common::DEADLINE);
    assert!(lines.iter().all(|line| line.starts_with("-- ")), "{lines:?}");
    assert_eq!(end, End::Fin);
    drop(carol);
    bob.expect_line("carol's leaving", |line| line.starts_with("HH:MM #lobby <-- carol ("));
}

#[test]
fn a_name_is_free_after_its_owner_has_gone() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.send("/quit");
    bob.expect("HH:MM #lobby <-- alice (quit)");
    assert_eq!(bob.answer("/nick alice"), ["-- you are now alice"]);
}

#[test]
fn times_and_presence_can_be_switched_off() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    for command in ["/set time off", "/set presence off", "/set"] {
        let answer = bob.answer(command);
        assert!(!answer.is_empty() && answer.iter().all(|line| line.starts_with("-- ")), "{answer:?}");
    }
    alice.send("no clock");
    assert_eq!(bob.line(), "#lobby <alice> no clock");
    carol.expect("HH:MM #lobby <alice> no clock");
    alice.rename("ada");
    Client::connect(&server).send("/nick dave\nhello\n/quit");
    carol.expect("HH:MM #lobby -- alice is now ada");
    carol.expect("HH:MM #lobby --> dave");
    carol.expect("HH:MM #lobby <dave> hello");
    carol.expect("HH:MM #lobby <-- dave (quit)");
    assert_eq!(bob.line(), "#lobby <dave> hello");
    bob.expect_nothing();
    bob.answer("/set time hh:mm");
    alice.send("with a clock");
    bob.expect("HH:MM #lobby <ada> with a clock");
    for command in ["/set time sundial", "/set moon on", "/set presence maybe", "/set time"] {
        bob.refused(command);
    }
}

#[test]
fn control_characters_are_shown_as_visible_stand_ins() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let hidden = ['\0', '\x07', '\x1b', '\u{9b}', '\u{202e}', '\u{2028}', '\u{200b}', '\u{e0041}'];
    for c in hidden {
        alice.send(&format!("a{c}b"));
        let line = bob.line();
        let (_, shown) = line.split_once("<alice> ").unwrap();
        assert!(!shown.contains(c), "U+{:04X} came through", u32::from(c));
        assert!(shown.len() > 2 && shown.starts_with('a') && shown.ends_with('b'), "{shown:?}");
    }
    alice.send("tab\tstays");
    bob.expect("HH:MM #lobby <alice> tab\tstays");
    alice.send("/topic \x1b]0;owned\x07");
    bob.expect_line("a scrubbed topic", |line| line.contains("owned") && !line.contains('\x1b'));
}

#[test]
fn text_of_all_scripts_is_delivered_unchanged() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for text in ["grüß Gott", "日本語", "مرحبا", "नमस्ते", "👩\u{200d}👩\u{200d}👧", "❤\u{fe0f}", "e\u{301}"]
    {
        alice.send(text);
        bob.expect(&format!("HH:MM #lobby <alice> {text}"));
    }
}
