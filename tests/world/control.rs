//! The control socket: one request a line, one JSON object a line as the answer, made as its reader takes it.

use std::time::Duration;

use chatops::engine::CloseMode;
use chatops::link::onlookers::OPERATORS_MAX;
use chatops::model::event::EventKind;
use chatops::model::verbs::OperatorCommand;
use serde_json::{Value, json};

use crate::stage::{Client, Window, World};

/// What an operator has received since it last read: one value for each line.
#[track_caller]
fn answers(world: &mut World, operator: Client) -> Vec<Value> {
    let text = String::from_utf8(world.bytes(operator)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "an answer is a whole line: {text:?}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect()
}

/// The one answer to one request.
#[track_caller]
pub(crate) fn ask(world: &mut World, operator: Client, request: &str) -> Value {
    world.says(operator, request);
    let mut answers = answers(world, operator);
    assert_eq!(answers.len(), 1, "{request}: {answers:?}");
    answers.remove(0)
}

fn ids(answer: &Value, list: &str) -> Vec<u64> {
    let rows = answer[list].as_array().unwrap_or_else(|| panic!("no {list} in {answer}"));
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[test]
fn status_has_every_field_of_the_contract() {
    let mut world = World::new();
    world.engine.set_listeners(vec!["127.0.0.1:6677 (lines)".to_owned()]);
    let [alice, _bob] = world.people(["alice", "bob"]);
    world.says(alice, "/listen");
    world.finishes(alice);
    world.run();
    let operator = world.connect_operator();
    let status = ask(&mut world, operator, "status");
    for (field, expected) in [
        ("ok", json!(true)),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("pid", json!(42)),
        ("uptime_s", json!(12.1)),
        ("listeners", json!(["127.0.0.1:6677 (lines)"])),
        ("accept_queues", json!([{"listener": "127.0.0.1:6677 (lines)", "length": 3, "limit": 1024}])),
        ("clients", json!(2)),
        ("half_closed", json!(1)),
        ("slow", json!(0)),
        ("operators", json!(1)),
        ("accepted", json!(2)),
        ("refused", json!(0)),
        ("accept_failures", json!(0)),
        ("closed", json!({})),
        ("bytes_in", json!(30)),
        ("lines_in", json!(3)),
        ("lines_skipped", json!(0)),
        ("inbox_bytes", json!(0)),
        ("outbox_bytes", json!(0)),
        ("rooms", json!(1)),
        ("loop", json!({"turns": 0, "p50_us": 0, "p99_us": 0, "max_us": 0, "late_max_us": 0})),
        ("fds", json!(7)),
        ("rss_bytes", json!(9_000_000)),
        ("paused", json!(false)),
    ] {
        assert_eq!(status[field], expected, "{field} in {status}");
    }
    assert!(status.get("machine_accept_drops").is_none(), "what is not known is absent");
    assert!(status["bytes_out"].as_u64() > Some(100) && status["deliveries"].as_u64() > Some(3), "{status}");
}

#[test]
fn a_row_has_every_field_of_the_contract() {
    let mut world = World::new();
    world.engine.set_listeners(vec!["127.0.0.1:6677 (lines)".to_owned()]);
    let alice = world.connect_from("192.0.2.1:7");
    world.says(alice, "/nick alice");
    world.says(alice, "/join #ops");
    world.pass("2500ms");
    let operator = world.connect_operator();
    let answer = ask(&mut world, operator, "connections");
    let row = &answer["connections"][0];
    for (field, expected) in [
        ("id", json!(1)),
        ("nick", json!("alice")),
        ("peer", json!("192.0.2.1:7")),
        ("listener", json!("127.0.0.1:6677 (lines)")),
        ("state", json!("open")),
        ("age_s", json!(2.5)),
        ("idle_s", json!(2.5)),
        ("rooms", json!(["lobby", "ops"])),
        ("bytes_in", json!(23)),
        ("lines_in", json!(2)),
        ("lines_out", json!(3)),
        ("lines_skipped", json!(0)),
        ("inbox_bytes", json!(0)),
        ("outbox_bytes", json!(0)),
        ("outbox_age_s", json!(0.0)),
        ("recv_q", json!(3)),
        ("send_q", json!(5)),
        ("rtt_us", json!(250)),
        ("read", json!("open")),
        ("write", json!("open")),
        ("flags", json!([])),
    ] {
        assert_eq!(row[field], expected, "{field} in {row}");
    }
    assert!(row["bytes_out"].as_u64() > Some(0) && row["outbox_max"].as_u64() > Some(0), "{row}");
    assert_eq!(row.get("reason"), None);
    let alone = ask(&mut world, operator, "connection ALICE");
    assert_eq!((&alone["ok"], &alone["id"], &alone["nick"]), (&json!(true), &json!(1), &json!("alice")));
    assert_eq!(alone["timeline"][0]["what"], "connected");
}

#[test]
fn who_is_gone_is_known_with_its_reason() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    let operator = world.connect_operator();
    assert_eq!(ask(&mut world, operator, "closed"), json!({"ok": true, "closed": []}));
    world.says(bob, "/quit");
    world.finishes(bob);
    world.says(operator, "kick alice too loud");
    world.run();
    world.finishes(alice);
    let _ = answers(&mut world, operator);
    let closed = ask(&mut world, operator, "closed");
    let told: Vec<_> = closed["closed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| [&row["id"], &row["nick"], &row["state"], &row["reason"]].map(Clone::clone))
        .collect();
    assert_eq!(
        told,
        [
            [json!(2), json!("bob"), json!("gone"), json!("quit")],
            [json!(1), json!("alice"), json!("gone"), json!("kicked: too loud")],
        ]
    );
    for field in ["recv_q", "send_q", "rtt_us"] {
        assert_eq!(closed["closed"][0].get(field), None, "of a socket that is gone nothing is known");
    }
    let alone = ask(&mut world, operator, "connection 2");
    assert_eq!((&alone["ok"], &alone["reason"]), (&json!(true), &json!("quit")));
    assert_eq!(ask(&mut world, operator, "kick 2"), json!({"ok": false, "error": "#2 is gone already"}));
    let status = ask(&mut world, operator, "status");
    assert_eq!(status["closed"], json!({"kicked": 1, "quit": 1}));
}

#[test]
fn rooms_are_told_by_name() {
    let mut world = World::new();
    let [alice, _bob] = world.people(["alice", "bob"]);
    world.says(alice, "/join #Ops");
    world.says(alice, "/topic \"deploys\"");
    let operator = world.connect_operator();
    assert_eq!(
        ask(&mut world, operator, "rooms"),
        json!({"ok": true, "rooms": [
            {"name": "lobby", "members": 2},
            {"name": "Ops", "members": 1, "topic": "\"deploys\""},
        ]})
    );
}

#[test]
fn orders_are_carried_out_answered_and_recorded_and_questions_leave_no_trace() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    let operator = world.connect_operator();
    world.events();
    assert_eq!(
        ask(&mut world, operator, "say back in a minute"),
        json!({"ok": true, "message": "told 1 person"})
    );
    world.reads(alice, ["12:34 *** back in a minute"]);
    assert_eq!(
        ask(&mut world, operator, "mute alice"),
        json!({"ok": true, "id": 1, "message": "muted #1 alice"})
    );
    for question in ["status", "connections", "connection 1", "closed", "rooms", "connection 9"] {
        ask(&mut world, operator, question);
    }
    assert_eq!(
        world.events(),
        ["op: say back in a minute: told 1 person", "#1 op: mute alice: muted #1 alice"]
    );
}

#[test]
fn malformed_verbs_are_told_what_was_expected() {
    let mut world = World::new();
    world.people(["alice"]);
    let operator = world.connect_operator();
    for (request, told) in [
        ("", "a verb is expected"),
        ("kcik 7", "no such verb: kcik"),
        ("kick", "expected: kick WHO [REASON]"),
        ("shutdown 1 sideways", "expected: shutdown WHO read|write|both"),
        ("status now", "status takes no argument"),
        ("kick a\u{1b}[2J/b", "neither a connection id nor a nick"),
        ("kick 99", "nobody here is #99"),
        (&"x".repeat(9_000), "at most 8192 bytes"),
        ("{\"verb\":\"status\"}", "no such verb"),
    ] {
        let answer = ask(&mut world, operator, request);
        assert_eq!(answer["ok"], json!(false), "{request}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(told), "{request}: {answer}");
    }
    world.sends(operator, b"\xff\xfe\x00status\n");
    assert_eq!(answers(&mut world, operator)[0]["ok"], json!(false));
    assert_eq!(ask(&mut world, operator, "status")["ok"], json!(true), "the session goes on");
}

#[test]
fn requests_of_another_protocol_end_the_session() {
    let mut world = World::new();
    let operator = world.connect_operator();
    world.sends(operator, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let answers = answers(&mut world, operator);
    assert_eq!(answers.len(), 1);
    assert!(answers[0]["error"].as_str().unwrap().contains("control socket"), "{answers:?}");
    assert!(world.got_fin(operator));
}

#[test]
fn half_close_answers_everything_and_ends() {
    let mut world = World::new();
    world.people(["alice", "bob"]);
    let operator = world.connect_operator();
    world.sends(operator, b"status\nconnections\n\nkick 1\nconnections");
    world.finishes(operator);
    let answers = answers(&mut world, operator);
    assert_eq!(answers.len(), 5);
    assert_eq!(ids(&answers[1], "connections"), [1, 2]);
    assert_eq!(answers[3]["message"], "kicked #1 alice");
    assert_eq!(answers[4]["connections"][0]["state"], "draining");
    assert!(world.got_fin(operator));
    world.pass("1s");
    assert_eq!(world.close_mode(operator), Some(CloseMode::Close));
}

#[test]
fn an_order_without_its_line_end_is_not_carried_out() {
    let mut world = World::new();
    let people = world.people(["alice", "bob"]);
    for order in ["reset 1", "kick alice because", "shutdown 1 both", "mute 1", "say hello", "pause", "stop"]
    {
        let operator = world.connect_operator();
        world.sends(operator, format!("status\n{order}").as_bytes());
        world.finishes(operator);
        let answers = answers(&mut world, operator);
        assert_eq!(answers.len(), 2, "{order}");
        assert_eq!(answers[1], json!({"ok": false, "error": "the request has no line end"}), "{order}");
        world.pass("1s");
    }
    for client in people {
        assert_eq!(world.close_mode(client), None);
        world.reads(client, []);
    }
    let operator = world.connect_operator();
    world.sends(operator, b"reset 1\n");
    world.finishes(operator);
    assert_eq!(answers(&mut world, operator)[0]["ok"], true, "what stands before the end is whole");
}

#[test]
fn an_operator_is_no_part_of_the_chat() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    let before = world.snapshot().status;
    let operator = world.connect_operator();
    ask(&mut world, operator, "status");
    let connections = ask(&mut world, operator, "connections");
    assert_eq!(ids(&connections, "connections"), [1]);
    world.says(alice, "/who");
    world.reads(alice, ["-- 1 in #lobby: alice"]);
    world.finishes(operator);
    world.run();
    let after = world.snapshot();
    assert_eq!(after.rows.len(), 1);
    assert_eq!((after.status.accepted, after.status.clients), (1, 1));
    assert_eq!(after.status.closed, []);
    assert_eq!(after.status.lines_in, before.lines_in + 1);
    let bob = world.connect();
    world.run();
    assert_eq!(world.row(bob).id.get(), 2, "operators use up no ids");
    let events = world.event_kinds();
    let arrivals = events.iter().filter(|record| matches!(record, EventKind::Accepted { .. }));
    assert_eq!(arrivals.count(), 2);
}

#[test]
fn telnet_and_flood_limits_do_not_apply() {
    let mut world = World::new();
    let operator = world.connect_operator();
    for _ in 0..500 {
        world.says(operator, "rooms");
    }
    assert_eq!(answers(&mut world, operator).len(), 500);
    world.sends(operator, b"\xff\xfd\x01rooms\n");
    let answer = answers(&mut world, operator);
    assert_eq!(answer.len(), 1, "IAC DO ECHO is bytes like others");
    assert_eq!(answer[0]["ok"], json!(false));
}

#[test]
fn there_are_only_so_many_operators_and_each_has_its_turn() {
    let mut world = World::new();
    let operators: Vec<Client> = (0..OPERATORS_MAX).map(|_| world.connect_operator()).collect();
    let late = world.connect_operator();
    assert_eq!(world.peer(late).slot, None);
    for operator in &operators {
        world.says(*operator, "connections");
    }
    for operator in &operators {
        assert_eq!(answers(&mut world, *operator).len(), 1);
    }
    world.finishes(operators[0]);
    world.run();
    let next = world.connect_operator();
    assert!(world.peer(next).slot.is_some());
}

/// A server full of people.
fn crowd(count: usize) -> World {
    let mut world = World::with(|config| config.limits.clients = 100_000);
    for _ in 0..count {
        world.connect();
    }
    world.run();
    world
}

#[test]
fn a_long_answer_is_made_as_its_reader_takes_it_and_each_row_is_true_then() {
    let mut world = crowd(3_000);
    let operator = world.connect_operator();
    world.peer(operator).window = Window::Closed;
    world.peer(operator).kernel_bytes = 4_096;
    world.says(operator, "connections");
    world.says(operator, "status");
    world.run();
    let waiting = world.largest_answer();
    assert!(waiting < 72 * 1024, "{waiting} bytes are made ahead of the reader");
    world.operator("reset 2999").unwrap();
    world.operator("mute 3000").unwrap();
    world.run();
    let late = world.connect();
    world.pass("30s");
    world.peer(operator).window = Window::Open;
    let answers = answers(&mut world, operator);
    assert_eq!(answers.len(), 2, "the next request waited for the answer, and was answered");
    let told = ids(&answers[0], "connections");
    let expected: Vec<u64> = (1..=3_000).filter(|id| *id != 2_999).collect();
    assert_eq!(told, expected, "by rising id, without whoever went or came in between");
    let last = &answers[0]["connections"][2_998];
    assert_eq!((&last["id"], &last["flags"]), (&json!(3_000), &json!(["muted"])));
    assert_eq!(answers[1]["clients"], json!(3_000));
    assert!(world.row(late).id.get() == 3_001);
}

#[test]
fn a_turn_makes_only_so_many_rows() {
    let mut world = crowd(2_000);
    let operator = world.connect_operator();
    world.says(operator, "connections");
    let mut turns = 0;
    while world.peer(operator).received.last() != Some(&b'\n') {
        let before = world.peer(operator).received.len();
        world.turn();
        world.peer(operator).read();
        let made = world.peer(operator).received.len() - before;
        assert!(made <= 80 * 1024, "{made} bytes in one turn");
        turns += 1;
        assert!(turns < 1_000, "it does not end");
    }
    assert!(turns >= 2_000 / 128, "{turns} turns");
    assert_eq!(answers(&mut world, operator).len(), 1);
}

#[test]
fn a_reader_that_takes_nothing_is_reset_in_the_end() {
    let mut world = crowd(2_000);
    let operator = world.connect_operator();
    world.peer(operator).window = Window::Closed;
    world.peer(operator).kernel_bytes = 4_096;
    world.says(operator, "connections");
    world.pass("121s");
    assert_eq!(world.close_mode(operator), Some(CloseMode::Reset));
    let next = world.connect_operator();
    assert_eq!(ask(&mut world, next, "status")["operators"], json!(1));
}

#[test]
fn an_operator_who_goes_in_the_middle_of_an_answer_leaves_nothing_behind() {
    let mut world = crowd(2_000);
    let operator = world.connect_operator();
    world.peer(operator).window = Window::Closed;
    world.says(operator, "connections");
    world.run();
    world.peer(operator).resets();
    world.run();
    assert_eq!(world.close_mode(operator), Some(CloseMode::Reset));
    assert_eq!((world.largest_answer(), world.audit_counts().unsent_bytes), (0, 0));
}

#[test]
fn orders_of_an_operator_that_has_gone_are_carried_out_and_half_an_order_is_not() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    let operator = world.connect_operator();
    world.sends(operator, b"connections\nreload\nsay one\nsay two\nstatus\nsay three\nreset 1");
    world.peer(operator).resets();
    world.reads(alice, ["12:34 *** one", "12:34 *** two", "12:34 *** three"]);
    assert_eq!(world.close_mode(operator), Some(CloseMode::Reset));
    assert_eq!(world.close_mode(alice), None);
}

#[test]
fn a_mute_ends_with_its_time() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    let refused = "!! the operator has muted you; wait until they let you speak again";
    assert_eq!(world.operator("mute alice for 10s").unwrap(), "muted #1 alice for 10s");
    world.says(alice, "hello?");
    world.reads(alice, [refused]);
    world.pass("5s");
    assert_eq!(world.operator("mute alice for 1m").unwrap(), "muted #1 alice for 1m");
    world.pass("59999ms");
    world.says(alice, "hello?");
    world.reads(alice, [refused]);
    world.pass("1ms");
    world.says(alice, "hello!");
    world.reads(bob, ["12:35 #lobby <alice> hello!"]);
    assert!(world.events().contains(&"#1 op: mute #1: over".to_owned()));
    world.operator("mute alice for 1s").unwrap();
    world.operator("mute alice").unwrap();
    assert_eq!(world.operator("mute alice").unwrap_err(), "#1 alice is muted already");
    world.pass("1h");
    assert_eq!(world.state(alice), "open muted", "a mute without a time replaces one with a time");
    world.operator("mute bob for 1h").unwrap();
    world.operator("unmute bob").unwrap();
    world.operator("unmute alice").unwrap();
    world.operator("mute bob").unwrap();
    world.pass("2h");
    assert_eq!(world.state(bob), "open muted", "what was unmuted has no time any more");
}

#[test]
fn rename_gives_another_nick_by_the_rules_of_nick() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.events();
    assert_eq!(world.operator("rename #1 anna").unwrap(), "renamed #1 alice to anna");
    world.reads(alice, ["-- the operator renamed you: you are now anna"]);
    world.reads(bob, ["12:34 #lobby -- alice is now anna"]);
    assert_eq!(
        world.events(),
        ["#1 anna nick: was alice", "#1 op: rename #1 anna: renamed #1 alice to anna"]
    );
    for (verb, refusal) in [
        ("rename anna bob", "bob is taken"),
        ("rename anna anna", "anna has that name already"),
        ("rename anna 42", "42: "),
        ("rename anna root", "root: "),
        ("rename anna guest-9", "guest-9: "),
        ("rename nobody carol", "nobody here is nobody"),
    ] {
        let refused = world.operator(verb).unwrap_err();
        assert!(refused.starts_with(refusal), "{verb}: {refused}");
    }
    world.operator("rename anna Anna").unwrap();
    world.reads(alice, ["-- the operator renamed you: you are now Anna"]);
    world.operator("ban eve").unwrap();
    assert_eq!(world.operator("rename bob eve").unwrap_err(), "eve is banned");
    world.operator("mute bob").unwrap();
    assert!(world.operator("rename bob carol").unwrap_err().contains("unmute it first"));
    assert!(
        "rename bob".parse::<OperatorCommand>().is_err()
            && "rename bob a b".parse::<OperatorCommand>().is_err()
    );
    world.says(alice, "/nick alice");
    world.reads(alice, ["-- you are now alice"]);
}

#[test]
fn a_mute_is_for_a_name_and_outlives_its_connection() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    world.operator("mute alice for 10s").unwrap();
    world.finishes(alice);
    world.pass("1s");
    let [bob, again] = world.people(["bob", "alice"]);
    assert_eq!((world.state(bob), world.state(again)), ("open".to_owned(), "open muted".to_owned()));
    world.events();
    world.pass("20s");
    assert_eq!(world.events(), ["#3 op: mute #3: over"], "the place in the table is bob's by now");
    assert_eq!(world.state(again), "open");
    world.operator("mute alice for 10s").unwrap();
    world.finishes(again);
    world.pass("20s");
    assert!(world.events().contains(&"op: mute alice: over".to_owned()), "nobody has the name");
    world.operator("mute bob").unwrap();
    world.finishes(bob);
    world.pass("1s");
    assert_eq!(world.operator("unmute carol").unwrap_err(), "carol is not muted; muted: bob");
    assert_eq!(world.operator("unmute BOB").unwrap(), "unmuted BOB");
    assert_eq!(world.operator("unmute bob").unwrap_err(), "bob is not muted");
    let [bob] = world.people(["bob"]);
    assert_eq!(world.state(bob), "open");
}

#[test]
fn newcomers_from_the_address_of_a_muted_one_are_muted_if_it_counts() {
    let mut world = World::with(|config| config.limits.trusted = vec!["198.51.100.0/24".parse().unwrap()]);
    for (address, is_muted) in [("192.0.2.7", true), ("198.51.100.7", false), ("127.0.0.7", false)] {
        let noisy = world.connect_from(&format!("{address}:1"));
        let id = world.peer(noisy).id.unwrap();
        world.operator(&format!("mute {id}")).unwrap();
        world.finishes(noisy);
        world.pass("9m");
        let next = world.connect_from(&format!("{address}:2"));
        world.run();
        assert_eq!(world.state(next).ends_with("muted"), is_muted, "{address}");
        world.pass("10m");
        let later = world.connect_from(&format!("{address}:3"));
        world.run();
        assert_eq!(world.state(later), "open", "{address}");
    }
}

#[test]
fn the_operator_who_ends_the_server_is_answered_and_sees_it_end() {
    let mut world = World::new();
    let [alice] = world.people(["alice"]);
    let operator = world.connect_operator();
    let idle = world.connect_operator();
    assert_eq!(ask(&mut world, operator, "drain 3s")["message"], "draining 1 client");
    assert_eq!(ask(&mut world, operator, "status")["draining"], json!(true));
    assert_eq!(ask(&mut world, operator, "stop")["error"], "the server is stopping already");
    assert!(!world.got_fin(operator), "while clients are left operators may watch");
    world.finishes(alice);
    world.run();
    assert!(world.got_fin(operator) && world.got_fin(idle));
    world.finishes(operator);
    world.pass("250ms");
    assert!(world.is_stopped());
}

#[test]
fn a_server_with_nobody_but_operators_stops_at_once() {
    let mut world = World::new();
    let operator = world.connect_operator();
    world.sends(operator, b"stop\n");
    world.finishes(operator);
    assert_eq!(answers(&mut world, operator)[0]["ok"], json!(true));
    assert!(world.is_stopped());
}

#[test]
fn accepting_is_paused_and_resumed_from_here() {
    let mut world = World::new();
    let operator = world.connect_operator();
    assert_eq!(ask(&mut world, operator, "pause")["message"], "accepting nobody");
    assert!(world.engine.is_closed_to_newcomers());
    let other = world.connect_operator();
    assert_eq!(ask(&mut world, other, "status")["paused"], json!(true));
    assert_eq!(ask(&mut world, other, "resume")["message"], "accepting again");
    assert!(!world.engine.is_closed_to_newcomers());
}

#[test]
fn time_passes_between_the_rows_of_a_slow_answer() {
    let mut world = crowd(1_000);
    let operator = world.connect_operator();
    world.peer(operator).window = Window::Closed;
    world.peer(operator).kernel_bytes = 4_096;
    world.says(operator, "connections");
    for _ in 0..60 {
        world.pass("10s");
        world.peer(operator).takes(20_000);
    }
    world.peer(operator).window = Window::Open;
    let answers = answers(&mut world, operator);
    let rows = answers[0]["connections"].as_array().unwrap();
    assert_eq!(rows.len(), 1_000);
    let age = |at: usize| Duration::from_secs_f64(rows[at]["age_s"].as_f64().unwrap());
    assert!(age(0) < Duration::from_secs(1), "{:?}", age(0));
    assert!(age(999) > Duration::from_secs(60), "{:?}", age(999));
}

#[test]
fn questions_on_the_line_of_the_dashboard_are_answered_in_one_line() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.says(alice, "/join #ops");
    world.says(bob, "/quit");
    world.finishes(bob);
    world.run();
    world.events();
    assert_eq!(
        world.operator("status").unwrap(),
        "up 12 s: 1 client, 2 accepted, 0 refused, 2 rooms, 4 lines in, 0 skipped"
    );
    assert_eq!(world.operator("connections").unwrap(), "1 connection, 0 half-closed, 0 slow");
    assert_eq!(world.operator("rooms").unwrap(), "#lobby 1, #ops 1");
    assert_eq!(world.operator("closed").unwrap(), "1 known, the last #2 bob (quit)");
    assert_eq!(world.operator("connection 2").unwrap(), "#2 bob (quit)");
    let alone = world.operator("connection alice").unwrap();
    assert!(alone.starts_with("#1 alice 127.0.0.1:50000 open, idle 0 s, "), "{alone}");
    assert_eq!(world.operator("connection 9").unwrap_err(), "nobody here is #9");
    assert_eq!(world.events(), [""; 0], "questions are not recorded");
}

#[test]
fn events_are_told_and_followed() {
    let mut world = World::new();
    let [alice, _bob] = world.people(["alice", "bob"]);
    let [once, follower] = [(); 2].map(|()| world.connect_operator());
    let told = ask(&mut world, once, "events");
    let kinds: Vec<&str> =
        told["events"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["accept", "nick", "accept", "nick"]);
    assert_eq!(
        told["events"][3],
        json!({"seq": 4, "unix_ms": told["events"][3]["unix_ms"], "kind": "nick", "category": "join", "id": 2,
            "nick": "bob", "text": "was guest-2"})
    );
    assert_eq!(ask(&mut world, follower, "events follow"), told);
    world.operator("mute bob").unwrap();
    let next = answers(&mut world, follower);
    assert_eq!(next.len(), 1, "{next:?}");
    assert_eq!((&next[0]["ok"], ids(&next[0], "events")), (&json!(true), vec![2]));
    world.says(alice, "/nick ann");
    world.says(alice, "/quit");
    world.run();
    world.sends(follower, b"status\n");
    let kinds: Vec<String> = answers(&mut world, follower)
        .iter()
        .flat_map(|answer| answer["events"].as_array().unwrap().clone())
        .map(|row| row["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["nick"], "what is asked behind it waits");
    assert_eq!(answers(&mut world, once), [] as [Value; 0]);
}

#[test]
fn a_follower_that_reads_nothing_misses_events_and_is_told_how_many() {
    let mut world = World::new();
    let follower = world.connect_operator();
    ask(&mut world, follower, "events follow");
    world.peer(follower).window = Window::Closed;
    world.peer(follower).kernel_bytes = 1_000;
    for number in 0..5_000 {
        world.operator("say hello").unwrap();
        if number % 100 == 0 {
            world.run();
        }
    }
    assert!(world.largest_answer() <= 192 * 1024);
    world.peer(follower).window = Window::Open;
    world.run();
    let events: Vec<Value> = answers(&mut world, follower)
        .iter()
        .flat_map(|answer| answer["events"].as_array().unwrap().clone())
        .collect();
    let seqs: Vec<u64> = events.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted() && *seqs.last().unwrap() == 5_000, "{seqs:?}");
    let missed = events.iter().filter(|row| row["kind"] == "missed").count();
    assert!(missed >= 1 && seqs.len() < 5_000, "{missed}");
}

#[test]
fn snapshots_follow_each_other_by_the_second() {
    let mut world = World::new();
    world.people(["alice", "bob"]);
    let follower = world.connect_operator();
    let first = ask(&mut world, follower, "snapshot follow");
    assert_eq!(first["status"]["clients"], json!(2));
    assert_eq!(ids(&first, "connections"), [1, 2]);
    world.pass("999ms");
    assert_eq!(answers(&mut world, follower), [] as [Value; 0]);
    world.operator("kick bob").unwrap();
    world.pass("5001ms");
    let told = answers(&mut world, follower);
    assert!((5..=6).contains(&told.len()), "{}", told.len());
    assert_eq!(ids(told.last().unwrap(), "connections"), [1]);
    // Whoever ends its input goes on reading, and the end of the server is the end of it.
    world.finishes(follower);
    world.pass("1s");
    assert!(!answers(&mut world, follower).is_empty());
    world.operator("drain 1s").unwrap();
    world.pass("1s");
    assert!(world.got_fin(follower) || world.is_stopped());
}

#[test]
fn each_operator_is_idle_since_its_own_last_request() {
    let mut world = World::new();
    let [first, second] = [world.connect_operator(), world.connect_operator()];
    for operator in [first, second] {
        ask(&mut world, operator, "status");
    }
    world.pass("60s");
    ask(&mut world, second, "status");
    world.pass("5s");
    let answer = ask(&mut world, second, "operators");
    let idle: Vec<f64> = answer["operators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["idle_s"].as_f64().unwrap_or(0.0))
        .collect();
    assert_eq!(idle, [65.0, 0.0], "{answer}");
}
