//! Bans: which clients are closed and refused, what they read, and what protects the operator from an accident.

use chatops::engine::CloseMode;
use serde_json::json;

use crate::control::ask;
use crate::stage::{Client, World};

/// Somebody from this address, who has read all so far.
fn come(world: &mut World, address: &str) -> Client {
    let client = world.connect_from(address);
    world.run();
    world.everybody_has_read();
    client
}

/// The last line that a new client from there reads.
fn knock(world: &mut World, address: &str) -> String {
    let client = world.connect_from(address);
    world.lines(client).pop().unwrap_or_default()
}

#[test]
fn a_banned_client_gets_a_line_is_closed_and_stays_out() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    let (near, far) = (come(&mut world, "10.1.1.1:7"), come(&mut world, "192.0.2.1:7"));
    world.pass("2s");
    world.everybody_has_read();
    assert_eq!(
        world.operator("ban 10.0.0.0/8 too  loud").unwrap(),
        "banned 10.0.0.0/8, ended 1 client: #3 guest-3"
    );
    world.reads(near, ["-- banned by the operator: too  loud"]);
    assert!(world.got_fin(near));
    for other in [alice, bob, far] {
        world.reads(other, ["12:34 #lobby <-- guest-3 (banned: too  loud)"]);
    }
    world.finishes(near);
    assert_eq!(world.close_mode(near), Some(CloseMode::Close));
    assert_eq!(world.snapshot().status.closed, [("banned".into(), 1)]);
    assert_eq!(knock(&mut world, "10.9.9.9:1"), "!! you are banned: too  loud");
    assert_eq!(knock(&mut world, "[::ffff:10.9.9.9]:1"), "!! you are banned: too  loud");
    assert!(knock(&mut world, "11.0.0.1:1").contains("you are guest-"));
    assert_eq!(world.operator("unban 10.0.0.0/8").unwrap(), "unbanned 10.0.0.0/8");
    assert!(knock(&mut world, "10.9.9.9:1").contains("you are guest-"));
    assert_eq!(
        world.operator("unban 10.0.0.0/8").unwrap_err(),
        "there is no ban for 10.0.0.0/8; bans lists them"
    );
}

#[test]
fn a_banned_name_cannot_be_taken() {
    let mut world = World::new();
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]);
    world.operator("ban BOB").unwrap();
    world.reads(bob, ["-- banned by the operator"]);
    world.reads(alice, ["12:34 #lobby <-- bob (banned)"]);
    world.everybody_has_read();
    world.says(carol, "/nick Bob");
    world.reads(carol, ["!! Bob is banned; try another: /nick NAME"]);
    world.reads(alice, []);
    world.operator("unban bob").unwrap();
    world.says(carol, "/nick Bob");
    world.reads(carol, ["-- you are now Bob"]);
}

#[test]
fn a_ban_may_have_a_time() {
    let mut world = World::new();
    world.people(["alice", "bob"]);
    let near = come(&mut world, "10.1.1.1:7");
    world.events();
    assert_eq!(
        world.operator("ban 10.1.1.1 for 10m spam").unwrap(),
        "banned 10.1.1.1 for 10m, ended 1 client: #3 guest-3"
    );
    world.reads(near, ["-- banned by the operator for 10m: spam"]);
    world.operator("ban mallory for 5m").unwrap();
    world.pass("47500ms");
    assert_eq!(knock(&mut world, "10.1.1.1:8"), "!! you are banned for another 9 m 12 s: spam");
    world.pass("552500ms");
    assert!(knock(&mut world, "10.1.1.1:9").contains("you are guest-"));
    let operator = world.connect_operator();
    assert_eq!(ask(&mut world, operator, "bans"), json!({"ok": true, "bans": []}));
    let events = world.events().join("\n");
    assert!(events.contains("op: ban mallory: over"), "{events}");
    assert!(events.contains("op: ban 10.1.1.1: over"), "{events}");
}

#[test]
fn an_operator_does_not_lock_out_all_clients_by_accident() {
    let mut world = World::new();
    let [alice, _bob, _carol] = world.people(["alice", "bob", "carol"]);
    let near = come(&mut world, "10.1.1.1:7");
    let operator = world.connect_operator();
    assert_eq!(
        ask(&mut world, operator, "ban 127.0.0.0/8 preview"),
        json!({"ok": true, "hits": [1, 2, 3],
            "message": "ban 127.0.0.0/8 would end 3 clients: #1 alice, #2 bob, #3 carol"})
    );
    assert_eq!(
        ask(&mut world, operator, "ban 127.0.0.1 go away"),
        json!({"ok": false, "error": "it would end 3 of 4 clients, more than half: \
            see ban 127.0.0.1 preview, then put the word force behind it"})
    );
    world.reads(alice, []);
    assert_eq!(ask(&mut world, operator, "bans"), json!({"ok": true, "bans": []}));
    assert_eq!(
        ask(&mut world, operator, "ban 127.0.0.1 force go away"),
        json!({"ok": true, "hits": [1, 2, 3],
            "message": "banned 127.0.0.1, ended 3 clients: #1 alice, #2 bob, #3 carol"})
    );
    world.reads(alice, ["-- banned by the operator: go away"]);
    world.everybody_has_read();
    assert_eq!(world.state(near), "open");
    assert_eq!(
        ask(&mut world, operator, "ban 127.0.0.1 preview"),
        json!({"ok": true, "hits": [], "message": "ban 127.0.0.1 would end 0 clients"}),
        "who is going already is not ended again"
    );
}

#[test]
fn a_ban_of_every_address_needs_force_even_without_clients() {
    let mut world = World::new();
    for order in ["ban 1.2.3.4/0", "ban 2001:db8::/0 for 1h", "ban ::ffff:10.0.0.1/96"] {
        let refused = world.operator(order).unwrap_err();
        assert!(refused.ends_with("bans every address of its family; add `force` to do it"), "{refused}");
    }
    assert!(knock(&mut world, "203.0.113.1:1").contains("you are guest-"));
    assert_eq!(world.operator("ban 10.0.0.0/8").unwrap(), "banned 10.0.0.0/8, ended 0 clients");
    assert_eq!(world.operator("ban 2001:db8::/0 force").unwrap(), "banned ::/0, ended 0 clients");
}

#[test]
fn bans_are_listed_with_what_they_did() {
    let mut world = World::with(|config| config.limits.bans = 2);
    world.people(["alice"]);
    let operator = world.connect_operator();
    assert_eq!(
        ask(&mut world, operator, "ban 10.0.0.0/8 for 1h spam"),
        json!({"ok": true, "hits": [], "message": "banned 10.0.0.0/8 for 1h, ended 0 clients"})
    );
    ask(&mut world, operator, "ban mallory");
    world.pass("60s");
    knock(&mut world, "10.0.0.1:1");
    knock(&mut world, "10.0.0.2:1");
    assert_eq!(
        ask(&mut world, operator, "bans"),
        json!({"ok": true, "bans": [
            {"what": "10.0.0.0/8", "reason": "spam", "age_s": 60.0, "left_s": 3540.0, "refused": 2},
            {"what": "mallory", "reason": "", "age_s": 60.0, "refused": 0},
        ]})
    );
    let status = ask(&mut world, operator, "status");
    assert_eq!((&status["bans"], &status["refused"]), (&json!(2), &json!(2)));
    assert_eq!(
        ask(&mut world, operator, "ban 192.0.2.1")["error"],
        json!("there are 2 bans already (limits.bans); unban one first")
    );
    assert_eq!(ask(&mut world, operator, "ban MALLORY again")["ok"], json!(true), "it takes its own place");
    assert_eq!(world.operator("bans").unwrap(), "10.0.0.0/8, MALLORY");
    assert_eq!(world.operator("ban 10.0.0.0/8 preview").unwrap(), "ban 10.0.0.0/8 would end 0 clients");
}

#[test]
fn no_client_on_a_unix_socket_comes_from_an_address() {
    let mut world = World::new();
    world.people(["alice"]);
    world.operator("ban 0.0.0.0/0 force").unwrap();
    world.operator("ban ::/0 force").unwrap();
    assert!(knock(&mut world, "unix").contains("you are guest-"));
    assert_eq!(knock(&mut world, "203.0.113.1:1"), "!! you are banned");
}

#[test]
fn a_crowd_at_the_door_that_is_banned_costs_nothing() {
    let mut world = World::new();
    world.people(["alice"]);
    world.operator("ban 10.0.0.0/8").unwrap();
    let crowd: Vec<Client> = (0..100).map(|n| world.connect_from(&format!("10.0.0.{n}:1"))).collect();
    let noticed = crowd.iter().filter(|client| world.peer(**client).id.is_some()).count();
    assert_eq!(noticed, 16);
    assert_eq!(world.snapshot().status.refused, 100);
}

#[test]
fn of_several_bans_the_longest_is_named() {
    let mut world = World::new();
    world.people(["alice"]);
    world.operator("ban 127.9.0.0/16 for 1m storm").unwrap();
    world.operator("ban 127.9.0.1 -- for ever").unwrap();
    assert_eq!(knock(&mut world, "127.9.0.1:1"), "!! you are banned: for ever");
    assert!(knock(&mut world, "127.9.0.2:1").ends_with("storm"));
}
