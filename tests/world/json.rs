//! JSON mode: one object a message, whatever the server has to say, beside people who read text.

use chatops::config::settings::{ByteSize, Config, Framing, Listen, Listeners};
use serde_json::{Value, json};

use crate::stage::{Client, Window, World};

/// A room of two, the second a program.
fn alice_and_bot(configure: impl FnOnce(&mut Config)) -> (World, Client, Client) {
    let mut world = World::with(configure);
    let [alice, bot] = world.people(["alice", "bot"]);
    world.says(bot, "/set mode json");
    assert_eq!(objects(&mut world, bot), [json!({"kind": "notice", "text": "mode is json"})]);
    (world, alice, bot)
}

/// What a program has read since it last read, version and time apart.
#[track_caller]
fn objects(world: &mut World, client: Client) -> Vec<Value> {
    world.lines(client).iter().map(|line| object(line)).collect()
}

#[track_caller]
fn object(line: &str) -> Value {
    let mut value: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{line:?}: {why}"));
    let fields = value.as_object_mut().expect("every message is an object");
    assert_eq!(fields.remove("v"), Some(json!(1)), "{line}");
    let time = fields.remove("time").expect("every message has its time");
    assert!(time.as_str().is_some_and(|time| time.starts_with("2023-11-14T22:13:2")), "{line}");
    value
}

#[test]
fn a_room_holds_people_and_programs() {
    let (mut world, alice, bot) = alice_and_bot(|_| {});
    world.says(alice, "say \"please\"");
    world.says(bot, r#"{"kind":"say","text":"done"}"#);
    world.says(alice, "/me waves");
    world.says(alice, "/msg bot psst");
    world.says(alice, "/topic \\o/");
    world.says(alice, "/nick ada");
    world.run();
    let arrival = world.connect();
    world.pass("2s");
    world.says(arrival, "/quit bye");
    assert_eq!(
        objects(&mut world, bot),
        [
            json!({"kind": "say", "room": "lobby", "from": "alice", "text": "say \"please\""}),
            json!({"kind": "action", "room": "lobby", "from": "alice", "text": "waves"}),
            json!({"kind": "private", "from": "alice", "to": "bot", "text": "psst"}),
            json!({"kind": "topic", "room": "lobby", "from": "alice", "text": "\\o/"}),
            json!({"kind": "rename", "room": "lobby", "from": "alice", "to": "ada"}),
            json!({"kind": "join", "room": "lobby", "from": "guest-3"}),
            json!({"kind": "leave", "room": "lobby", "from": "guest-3", "text": "quit: bye"}),
        ]
    );
    assert!(world.lines(alice).contains(&"12:34 #lobby <bot> done".to_owned()));
}

#[test]
fn what_the_server_itself_tells_is_an_object() {
    let (mut world, _alice, bot) = alice_and_bot(|config| config.limits.line_bytes = ByteSize::kib(1));
    world.says(bot, &"x".repeat(1_025));
    world.says(bot, "hello");
    world.run();
    world.operator("say soon").unwrap();
    world.operator("kick bot too \"loud\"").unwrap();
    let read = objects(&mut world, bot);
    let kinds: Vec<&str> = read.iter().filter_map(|object| object["kind"].as_str()).collect();
    assert_eq!(kinds, ["refused", "refused", "operator", "notice"]);
    assert_eq!(read[3]["text"], "kicked by the operator: too \"loud\"");
    assert!(world.got_fin(bot));
}

#[test]
fn a_slow_program_gets_a_notice_in_place_of_what_it_misses() {
    let (mut world, alice, bot) = alice_and_bot(|config| {
        config.flood.enabled = false;
        config.limits.outbox_bytes = ByteSize::kib(8);
    });
    let peer = world.peer(bot);
    (peer.window, peer.kernel_bytes) = (Window::Closed, 100);
    for number in 0..500 {
        world.says(alice, &format!("{number}"));
        world.turn();
    }
    world.peer(bot).window = Window::Open;
    let mut next = 0;
    let mut skipped = 0;
    for object in objects(&mut world, bot) {
        let text = object["text"].as_str().unwrap().to_owned();
        if let Some(count) = text.strip_suffix(" lines skipped") {
            assert_eq!(object["kind"], "notice");
            let count: usize = count.parse().unwrap();
            skipped += count;
            next += count;
        } else {
            assert_eq!(text, next.to_string());
            next += 1;
        }
    }
    assert!(next == 500 && skipped > 0, "{next} of 500, {skipped} skipped");
}

#[test]
fn every_framing_carries_objects() {
    let (mut world, alice, _bot) = alice_and_bot(|config| {
        let framings = [Framing::Lines, Framing::Nul];
        config.listen = Listeners(framings.map(|framing| Listen { framing, ..Listen::default() }).to_vec());
    });
    let program = world.connect_on(1, "127.0.0.1:50000");
    world.sends(program, b"/set mode json\0{\"kind\":\"say\",\n\"text\":\"a\\nb\"}\0");
    assert!(world.lines(alice).contains(&"12:34 #lobby <guest-3> a␊b".to_owned()));
    world.everybody_has_read();
    world.says(alice, "hi");
    let bytes = world.bytes(program);
    let text = str::from_utf8(&bytes).unwrap().strip_suffix('\0').expect("one message");
    assert_eq!(object(text), json!({"kind": "say", "room": "lobby", "from": "alice", "text": "hi"}));
}

#[test]
fn the_longest_line_of_quotes_reaches_a_program() {
    let (mut world, alice, bot) = alice_and_bot(|config| config.flood.enabled = false);
    let quotes = "\"".repeat(4_096);
    for _ in 0..40 {
        world.says(alice, &quotes);
    }
    let said = json!({"kind": "say", "room": "lobby", "from": "alice", "text": quotes});
    assert_eq!(objects(&mut world, bot), vec![said; 40]);
}
