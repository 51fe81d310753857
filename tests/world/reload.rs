//! The configuration is reloaded: what changes for present clients, and who gets the answer.

use chatops::config::settings::{ByteSize, Config, OnFull, PerAddress};
use chatops::engine::reload::Reloaded;
use serde_json::{Value, json};

use crate::stage::{Client, Window, World};

/// What the process hands over when this was changed in the file.
fn reloaded(change: impl FnOnce(&mut Config)) -> Reloaded {
    let mut config = Config::default();
    change(&mut config);
    Reloaded { config, applied: vec!["limits.clients"], needs_restart: vec!["listen"], warnings: Vec::new() }
}

/// What was read is handed over to those who have asked so far.
fn reload(world: &mut World, read: Result<Reloaded, String>) -> Result<String, String> {
    let askers = world.operators.onlookers.take_reload_askers();
    let outcome = world.engine.reloaded(read);
    world.operators.onlookers.answer_reload(&askers, &outcome);
    outcome.map(|done| done.message)
}

fn answers(world: &mut World, operator: Client) -> Vec<Value> {
    let text = String::from_utf8(world.bytes(operator)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_reload_is_answered_when_the_file_is_read_and_the_next_request_waits() {
    let mut world = World::new();
    let operators = [(); 2].map(|()| world.connect_operator());
    world.events();
    assert!(!world.operators.onlookers.want_reload());
    for operator in operators {
        world.sends(operator, b"reload\nstatus\n");
    }
    for operator in operators {
        assert_eq!(answers(&mut world, operator), [] as [Value; 0]);
    }
    assert!(world.operators.onlookers.want_reload());
    let read = reload(&mut world, Ok(reloaded(|_| {}))).unwrap();
    assert_eq!(read, "changed: limits.clients; needs a restart: listen");
    assert!(!world.operators.onlookers.want_reload());
    for operator in operators {
        let answers = answers(&mut world, operator);
        assert_eq!(
            answers[0],
            json!({"ok": true, "applied": ["limits.clients"], "needs_restart": ["listen"], "message": read})
        );
        assert!(answers[1]["uptime_s"].is_number());
    }
    assert_eq!(world.events(), [format!("op: reload: {read}")]);
}

#[test]
fn a_mistake_in_it_changes_nothing() {
    let mut world = World::new();
    let operator = world.connect_operator();
    world.says(operator, "reload");
    world.run();
    let why = "/etc/chatops/config.toml:3:1: limits.clents is no key\u{1b}[2J".to_owned();
    let read = reload(&mut world, Err(why)).unwrap_err();
    assert_eq!(read, "/etc/chatops/config.toml:3:1: limits.clents is no key␛[2J");
    assert_eq!(answers(&mut world, operator), [json!({"ok": false, "error": read})]);
}

#[test]
fn who_asked_and_left_is_not_answered() {
    let mut world = World::new();
    let operator = world.connect_operator();
    world.says(operator, "reload");
    world.run();
    world.peer(operator).resets();
    world.run();
    assert!(!world.operators.onlookers.want_reload());
    let cut = world.connect_operator();
    world.sends(cut, b"reload");
    world.finishes(cut);
    assert_eq!(answers(&mut world, cut), [json!({"ok": false, "error": "the request has no line end"})]);
    assert!(!world.operators.onlookers.want_reload(), "half an order is none");
}

#[test]
fn new_limits_hold_for_present_clients_and_close_none() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    reload(
        &mut world,
        Ok(reloaded(|config| {
            config.limits.clients = 1;
            config.limits.line_bytes = ByteSize(64);
            config.limits.rooms_per_client = 1;
            config.server.motd = "new rules".to_owned();
        })),
    )
    .unwrap();
    let carol = world.connect();
    world.reads(carol, ["!! the server is full; try again later"]);
    world.says(alice, &"x".repeat(65));
    world.reads(alice, ["!! that line has more than 64 bytes and was not sent; send it in parts"]);
    world.says(bob, "/join #ops");
    assert!(world.lines(bob)[0].starts_with("!! "));
    world.says(alice, "hello");
    world.reads(bob, ["12:34 #lobby <alice> hello"]);
    reload(&mut world, Ok(reloaded(|config| config.server.motd = "new rules".to_owned()))).unwrap();
    let dave = world.connect();
    assert_eq!(world.lines(dave)[0], "-- new rules");
}

#[test]
fn a_message_under_way_may_be_too_long_all_at_once() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.sends(alice, &[b'x'; 3_000]);
    world.run();
    reload(&mut world, Ok(reloaded(|config| config.limits.line_bytes = ByteSize(100)))).unwrap();
    world.sends(alice, b"x\nshort\n");
    world.reads(alice, ["!! that line has more than 100 bytes and was not sent; send it in parts"]);
    world.reads(bob, ["12:34 #lobby <alice> short"]);
}

#[test]
fn floods_and_addresses_are_counted_by_the_new_rules() {
    let mut world = World::with(|config| config.flood.enabled = false);
    let [alice, bob] = world.people(["alice", "bob"]);
    let first = world.connect_from("203.0.113.9:1");
    world.everybody_has_read();
    reload(
        &mut world,
        Ok(reloaded(|config| {
            config.flood.burst_lines = 2;
            config.limits.per_ip = PerAddress::Most(1);
        })),
    )
    .unwrap();
    for _ in 0..5 {
        world.says(alice, "x");
    }
    assert_eq!(world.lines(bob).len(), 2);
    world.reads(alice, ["-- slow down: you are read at 5 lines and 32768 bytes a second until you pause"]);
    let second = world.connect_from("203.0.113.9:2");
    world.reads(second, ["!! too many connections from your address; try again later"]);
    world.finishes(first);
    world.run();
    let third = world.connect_from("203.0.113.9:3");
    assert!(world.lines(third)[0].contains("you are guest-"));
}

#[test]
fn an_outbox_over_its_new_limit_is_held_to_it() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.peer(bob).window = Window::Closed;
    world.peer(bob).kernel_bytes = 0;
    for _ in 0..40 {
        world.pass("1s");
        world.says(alice, &"x".repeat(1_000));
    }
    world.run();
    assert!(world.row(bob).outbox_bytes > 39_000);
    reload(
        &mut world,
        Ok(reloaded(|config| {
            config.limits.outbox_bytes = ByteSize::kib(16);
            config.limits.on_full = OnFull::Skip;
        })),
    )
    .unwrap();
    world.pass("1s");
    world.says(alice, "one more");
    let row = world.row(bob);
    assert!(row.outbox_bytes <= 16 * 1024 && row.lines_skipped > 20, "{row:?}");
}

#[test]
fn a_late_answer_goes_to_no_other_client() {
    let mut world = World::new();
    let operator = world.connect_operator();
    world.says(operator, "reload");
    world.run();
    let askers = world.operators.onlookers.take_reload_askers();
    world.peer(operator).resets();
    world.run();
    let successor = world.connect_operator();
    let outcome = world.engine.reloaded(Ok(reloaded(|_| {})));
    world.operators.onlookers.answer_reload(&askers, &outcome);
    assert_eq!(answers(&mut world, successor), [] as [Value; 0]);
}

#[test]
fn what_was_owed_under_other_rates_is_forgiven() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for number in 0..100 {
        world.says(alice, &format!("{number}"));
    }
    assert_eq!(world.lines(bob).len(), 20);
    assert_eq!(world.state(alice), "open flow");
    reload(&mut world, Ok(reloaded(|config| config.flood.enabled = false))).unwrap();
    assert_eq!(world.lines(bob).len(), 80);
    assert_eq!(world.state(alice), "open");
}
