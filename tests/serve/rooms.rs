//! Rooms: joining, leaving, the active one, topics, lists, and presence in crowds.

use std::time::Duration;

use crate::common::{Client, NO_FLOOD_LIMIT, Server, now, people};

#[test]
fn joining_is_answered_and_announced_to_the_room_alone() {
    let server = Server::start(&[]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    assert_eq!(alice.answer("/join #rust"), ["-- you are in #rust (1 here)"]);
    assert_eq!(bob.answer("/join #RUST"), ["-- you are in #rust (2 here)"]);
    alice.expect("HH:MM #rust --> bob");
    alice.expect_nothing();
    carol.expect_nothing();
}

#[test]
fn text_goes_to_the_room_joined_last() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    alice.answer("/join #rust");
    bob.answer("/join #rust");
    alice.lines_until_now();
    alice.send("in rust");
    bob.expect("HH:MM #rust <alice> in rust");
    assert_eq!(alice.answer("/join #lobby"), ["-- you are in #lobby (3 here)"]);
    alice.send("in the lobby");
    bob.expect("HH:MM #lobby <alice> in the lobby");
    carol.expect("HH:MM #lobby <alice> in the lobby");
    carol.expect_nothing();
}

#[test]
fn leaving_the_active_room_makes_the_one_before_active() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    for room in ["#one", "#two"] {
        alice.answer(&format!("/join {room}"));
        bob.answer(&format!("/join {room}"));
    }
    alice.lines_until_now();
    let answer = alice.answer("/leave");
    assert!(!answer.is_empty() && answer.iter().all(|line| line.starts_with("-- ")), "{answer:?}");
    bob.expect_line("alice's leaving", |line| line.starts_with("HH:MM #two <-- alice ("));
    alice.send("in one");
    bob.expect("HH:MM #one <alice> in one");
    alice.answer("/leave #lobby");
    bob.expect_line("alice's leaving", |line| line.starts_with("HH:MM #lobby <-- alice ("));
    alice.send("still in one");
    bob.expect("HH:MM #one <alice> still in one");
}

#[test]
fn text_of_a_client_in_no_room_is_refused() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.answer("/leave");
    bob.lines_until_now();
    for line in ["hello?", "/leave", "/me waves", "/topic gone", "//hello"] {
        alice.refused(line);
    }
    bob.send("nobody hears this");
    bob.expect_nothing();
    alice.expect_nothing();
    assert_eq!(alice.answer("/join #lobby"), ["-- you are in #lobby (2 here)"]);
    bob.expect("HH:MM #lobby --> alice");
}

#[test]
fn an_invalid_room_name_is_refused() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let mut alice = Client::named(&server, "alice");
    let long = format!("/join #{}", "r".repeat(25));
    for command in
        ["/join", "/join #", "/join #a/b", "/join #größe", &long, "/leave #nowhere", "/who #nowhere"]
    {
        alice.refused(command);
    }
    let longest = "r".repeat(24);
    assert_eq!(alice.answer(&format!("/join #{longest}")), [format!("-- you are in #{longest} (1 here)")]);
}

#[test]
fn a_topic_is_announced_in_its_room_and_kept() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let answer = alice.answer("/topic release on friday");
    assert!(!answer.is_empty() && answer.iter().all(|line| line.starts_with("-- ")), "{answer:?}");
    bob.expect("HH:MM #lobby -- alice set the topic: release on friday");
    let answer = bob.answer("/topic");
    assert!(
        answer.iter().any(|line| line.starts_with("-- ") && line.contains("release on friday")),
        "{answer:?}"
    );
}

#[test]
fn who_lists_members_and_rooms_lists_rooms() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    bob.answer("/join #rust");
    let here = alice.answer("/who").join("\n");
    assert!(["alice", "bob", "carol"].iter().all(|nick| here.contains(nick)), "{here}");
    let there = alice.answer("/who #rust").join("\n");
    assert!(there.contains("bob") && !there.contains("carol"), "{there}");
    let rooms = carol.answer("/rooms").join("\n");
    assert!(rooms.contains("#lobby") && rooms.contains("#rust"), "{rooms}");
    for line in [here, there, rooms].iter().flat_map(|text| text.lines()) {
        assert!(line.starts_with("-- "), "{line:?}");
    }
}

#[test]
fn a_room_ends_with_its_last_member() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    bob.answer("/join #brief");
    bob.answer("/topic of no account");
    bob.answer("/leave #brief");
    let rooms = alice.answer("/rooms").join("\n");
    assert!(rooms.contains("#lobby") && !rooms.contains("#brief"), "{rooms}");
    alice.answer("/join #brief");
    let topic = alice.answer("/topic").join("\n");
    assert!(!topic.contains("of no account"), "a new room of that name has no topic: {topic}");
}

#[test]
fn the_members_of_a_room_read_when_a_member_leaves() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let [mut alice, mut bob, carol] = people(&server, ["alice", "bob", "carol"]);
    alice.answer("/join #rust");
    bob.answer("/join #rust");
    alice.lines_until_now();
    bob.send("/quit");
    let told = [alice.line(), alice.line()].map(|line| crate::common::without_time(&line));
    assert!(told.contains(&"HH:MM #rust <-- bob (quit)".to_owned()), "{told:?}");
    assert!(told.contains(&"HH:MM #lobby <-- bob (quit)".to_owned()), "{told:?}");
    alice.expect_nothing();
    drop(carol);
}

#[test]
fn long_lists_wrap_at_400_bytes() {
    let server = Server::start(&[NO_FLOOD_LIMIT, "rooms.presence_max=1"]);
    let crowd: Vec<Client> =
        (0..60).map(|number| Client::named(&server, &format!("somebody-with-a-name-{number:02}"))).collect();
    let mut alice = Client::named(&server, "alice");
    let lines = alice.answer("/who");
    assert!(lines.len() > 3, "{lines:#?}");
    for line in &lines {
        assert!(line.starts_with("-- ") && line.len() <= 400, "{} bytes: {line}", line.len());
    }
    let text = lines.join("\n");
    for number in 0..crowd.len() {
        assert!(text.contains(&format!("somebody-with-a-name-{number:02}")), "{number} is missing");
    }
}

#[test]
fn longer_lists_end_after_100_lines_with_a_count() {
    let options = [NO_FLOOD_LIMIT, "limits.rooms_per_client=3000"];
    let server = Server::start(&options);
    let mut alice = Client::named(&server, "alice");
    for number in 0..2500 {
        alice.send(&format!("/join #a-room-with-a-name-{number}"));
        alice.expect(&format!("-- you are in #a-room-with-a-name-{number} (1 here)"));
    }
    let lines = alice.answer("/rooms");
    let last = lines.last().unwrap();
    assert!(lines.len() <= 101, "{} lines", lines.len());
    assert!(last.starts_with("-- and ") && last.ends_with(" more"), "{last:?}");
    let count: usize = last["-- and ".len()..last.len() - " more".len()].replace(',', "").parse().unwrap();
    let listed = lines.iter().map(|line| line.matches("#a-room-with-a-name-").count()).sum::<usize>();
    assert!(count >= 1 && count + listed >= 2500, "{count} more, {listed} listed");
}

#[test]
fn presence_is_summed_up_in_a_large_room() {
    let server = Server::start(&[NO_FLOOD_LIMIT, "rooms.presence_max=3"]);
    let [mut alice, _bob, _carol] = people(&server, ["alice", "bob", "carol"]);
    let start = now();
    let crowd: Vec<Client> = (0..6)
        .map(|_| {
            let mut client = Client::connect(&server);
            client.greeting();
            client
        })
        .collect();
    let (mut joined, mut summaries) = (0, 0);
    while joined < crowd.len() {
        assert!(start.elapsed() < Duration::from_secs(30), "{joined} of {} joins told", crowd.len());
        let Ok(line) = alice.line_within(Duration::from_secs(1)) else { continue };
        if line.contains("#lobby --> guest-") {
            joined += 1;
        } else if let Some((_, sum)) = crate::common::without_time(&line).split_once("HH:MM #lobby -- ") {
            summaries += 1;
            joined += count_before(sum, " joined");
        } else {
            panic!("neither a join nor a sum: {line:?}");
        }
    }
    assert_eq!(joined, crowd.len());
    assert!((1..=4).contains(&summaries), "{summaries} sums for 6 joins");
}

/// The number before `name` in a list such as `12 joined, 3 left`.
fn count_before(sum: &str, word: &str) -> usize {
    let part = sum.split(", ").find_map(|part| part.strip_suffix(word));
    part.map_or(0, |number| number.parse().unwrap())
}

#[test]
fn rooms_are_limited_for_a_client_and_for_the_server() {
    let server = Server::start(&[NO_FLOOD_LIMIT, "limits.rooms_per_client=3", "limits.rooms=4"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.answer("/join #one");
    alice.answer("/join #two");
    alice.refused("/join #three");
    assert_eq!(alice.answer("/join #one"), ["-- you are in #one (1 here)"], "one is in it already");
    bob.answer("/join #three");
    bob.refused("/join #four");
    alice.answer("/leave #two");
    assert_eq!(bob.answer("/join #four"), ["-- you are in #four (1 here)"], "a place is free again");
}
