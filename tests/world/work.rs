//! What a turn may cost: dear questions, crowds of requests and of unread answers, and those who wait beside them.

use std::num::NonZeroU32;

use chatops::config::settings::{ByteSize, Config, Framing, Listen, Listeners};
use chatops::engine::CloseMode;
use chatops::model::snapshot::Query;

use crate::stage::{Client, Window, World};

/// Senders as fast as they like, and no lines about who comes and goes.
fn unhindered(config: &mut Config) {
    config.flood.enabled = false;
    config.rooms.presence_max = 0;
}

/// Guests in the lobby, and one client alone in another room.
fn crowd_and_bystander(world: &mut World, count: usize) -> (Vec<Client>, Client) {
    let people = (0..count).map(|_| world.connect()).collect();
    let bystander = world.connect();
    world.says(bystander, "/join #quiet");
    world.says(bystander, "/leave #lobby");
    world.everybody_has_read();
    (people, bystander)
}

/// Turns until a client has an answer to its `/ping`.
fn turns_to_pong(world: &mut World, client: Client) -> usize {
    world.peers_read();
    world.peer(client).received.clear();
    world.says(client, "/ping");
    (1..=1_000)
        .find(|_| {
            world.turn();
            world.peers_read();
            !world.peer(client).received.is_empty()
        })
        .expect("it is answered")
}

fn deliveries(world: &World) -> u64 {
    world.engine.snapshot(&Query::default(), |_| None).status.deliveries
}

#[test]
fn questions_about_a_crowd_are_spread_over_turns_and_delay_no_other_client() {
    let mut world = World::with(unhindered);
    let (people, bystander) = crowd_and_bystander(&mut world, 400);
    for client in &people {
        world.sends(*client, &b"/who\n".repeat(20));
    }
    world.turn();
    assert!(world.engine.has_dirty(), "one turn is not enough");
    for _ in 0..20 {
        assert!(turns_to_pong(&mut world, bystander) <= 2);
    }
    for client in people.into_iter().take(3) {
        let lines = world.lines(client);
        assert_eq!(lines.iter().filter(|line| line.starts_with("-- 400 in #lobby: ")).count(), 20);
        assert_eq!(lines.concat().matches("guest-").count(), 20 * 400);
    }
}

#[test]
fn one_session_has_a_small_part_of_a_turn() {
    let mut world = World::with(unhindered);
    let (people, bystander) = crowd_and_bystander(&mut world, 100);
    world.sends(people[0], &b"/whois guest-7\n".repeat(4_000));
    world.turn();
    assert!(turns_to_pong(&mut world, bystander) <= 2);
    assert!(turns_to_pong(&mut world, people[1]) <= 2);
    assert_eq!(world.lines(people[0]).len(), 8_000);
}

#[test]
fn sessions_that_wait_have_their_turns_one_after_the_other() {
    let mut world = World::with(unhindered);
    let (people, _) = crowd_and_bystander(&mut world, 200);
    for client in &people {
        world.sends(*client, &b"/whois guest-7\n".repeat(1_000));
    }
    for _ in 0..60 {
        world.turn();
        world.peers_read();
    }
    let answered: Vec<usize> = people.iter().map(|client| world.peers[client.0].received.len()).collect();
    let (least, most) = (*answered.iter().min().unwrap(), *answered.iter().max().unwrap());
    assert!(least > 0 && most <= 8 * least, "{least} to {most} bytes of answers");
}

#[test]
fn a_question_of_a_connection_that_was_reset_costs_no_answer() {
    let mut world = World::with(unhindered);
    let (people, _) = crowd_and_bystander(&mut world, 50);
    let before = deliveries(&world);
    for client in &people {
        world.sends(*client, &b"/who\n/rooms\n/help\n/whois guest-1\n/ping\n".repeat(20));
        world.peer(*client).rst = true;
    }
    world.run();
    assert!(people.iter().all(|client| world.peers[client.0].close_mode == Some(CloseMode::Reset)));
    let made = deliveries(&world) - before;
    // The first read of some comes before the reset is known: a step of one answer each.
    assert!(made <= 50 * 25, "{made} lines for nobody");
}

#[test]
fn requests_of_operators_are_spread_over_turns_and_all_are_carried_out() {
    let mut world = World::with(unhindered);
    let (people, bystander) = crowd_and_bystander(&mut world, 400);
    let operator = world.connect_operator();
    world.run();
    world.sends(operator, &b"say x\n".repeat(200));
    world.turn();
    let told_in_one_turn = deliveries(&world);
    assert!(turns_to_pong(&mut world, bystander) <= 2);
    world.run();
    let answers = String::from_utf8(world.bytes(operator)).unwrap();
    assert_eq!(answers.matches("\"ok\":true").count(), 200);
    assert_eq!(world.lines(people[0]).len(), 200);
    assert!(told_in_one_turn < 50_000, "{told_in_one_turn} lines in one turn");
}

#[test]
fn requests_without_a_target_are_spread_over_turns_as_well() {
    let mut world = World::with(unhindered);
    let (_, bystander) = crowd_and_bystander(&mut world, 800);
    let operator = world.connect_operator();
    world.run();
    world.sends(operator, &b"kick 99999\nconnection nobody\n".repeat(500));
    world.turn();
    assert!(world.has_work(), "one turn is not enough");
    assert!(turns_to_pong(&mut world, bystander) <= 2);
    world.run();
    let answers = String::from_utf8(world.bytes(operator)).unwrap();
    assert_eq!(answers.lines().count(), 1_000);
}

const RECORDS: u16 = 1;

/// A listener for lines and one for large records.
fn with_records(config: &mut Config) {
    unhindered(config);
    let records = Listen { framing: Framing::Fixed(NonZeroU32::new(4_096).unwrap()), ..Listen::default() };
    config.listen = Listeners(vec![Listen::default(), records]);
    config.limits.outbox_total = ByteSize::mib(1);
}

#[test]
fn unread_answers_stay_within_the_limit_of_all_outboxes() {
    let mut world = World::with(with_records);
    world.answer_max = usize::MAX / 2;
    let silent: Vec<Client> = (0..300).map(|_| world.connect_on(RECORDS, "127.0.0.1:50000")).collect();
    let [alice, bob] = [world.connect(), world.connect()];
    world.everybody_has_read();
    for client in &silent {
        let peer = world.peer(*client);
        peer.window = Window::Closed;
        peer.kernel_bytes = 0;
    }
    let mut read = Vec::new();
    for round in 0..20 {
        for client in &silent {
            world.sends(*client, &record("/who"));
            world.sends(*client, &record("/help"));
        }
        world.says(alice, &format!("{round}"));
        world.says(bob, "/who");
        for _ in 0..10 {
            world.turn();
            world.peers_read();
            let counts = world.audit_counts();
            assert!(counts.queued_bytes <= 1024 * 1024, "{counts:?}");
        }
        read.extend(world.lines(bob));
    }
    assert_eq!(read.iter().filter(|line| line.contains("> ")).count(), 20, "a reader loses no line");
    assert_eq!(read.iter().filter(|line| line.contains(" in #lobby: ")).count(), 20, "and is answered");
}

#[test]
fn a_long_answer_goes_on_as_its_reader_takes_it() {
    let mut world = World::with(with_records);
    let (_, _) = crowd_and_bystander(&mut world, 800);
    let reader = world.connect_on(RECORDS, "127.0.0.1:50000");
    world.everybody_has_read();
    let peer = world.peer(reader);
    peer.window = Window::Closed;
    peer.kernel_bytes = 0;
    world.sends(reader, &[record("/who"), record("/ping")].concat());
    world.run();
    let counts = world.audit_counts();
    assert!(counts.kept_bytes <= 3 * 4_096, "few lines are made ahead: {counts:?}");
    world.peer(reader).window = Window::Open;
    world.peer(reader).kernel_bytes = 10_000;
    let text = String::from_utf8(world.bytes(reader)).unwrap();
    assert_eq!(text.matches("guest-").count(), 801);
    assert!(text.trim_end().ends_with("-- pong"), "what waits behind an answer comes behind it");
}

#[test]
fn what_is_dropped_is_read_while_an_answer_is_under_way() {
    let mut world = World::with(with_records);
    let (_, _) = crowd_and_bystander(&mut world, 500);
    let reader = world.connect_on(RECORDS, "127.0.0.1:50000");
    world.everybody_has_read();
    world.peer(reader).kernel_bytes = 5_000;
    world.peer(reader).window = Window::Closed;
    world.sends(reader, &record("/who"));
    world.run();
    let id = world.peer(reader).id.unwrap();
    world.operator(&format!("shutdown {id} read")).unwrap();
    world.sends(reader, &record("dropped"));
    world.run();
    world.peer(reader).window = Window::Open;
    world.run();
    assert!(world.peer(reader).inbound.is_empty(), "it is read");
    world.finishes(reader);
    world.run();
    assert_eq!(world.close_mode(reader), Some(CloseMode::Close), "its end is seen");
}

/// A record of 4,096 bytes.
fn record(text: &str) -> Vec<u8> {
    format!("{text:4096}").into_bytes()
}

#[test]
fn an_order_is_charged_for_a_quarter_of_the_rows_that_it_looks_at() {
    let mut world = World::with(unhindered);
    crowd_and_bystander(&mut world, 399);
    world.operator("mute 400").unwrap();
    let alone = world.audit_counts().turn_work;
    assert!((100..200).contains(&alone), "400 rows and a request cost {alone} units");
}

#[test]
fn unread_short_answers_stay_within_the_limit_of_all_outboxes() {
    let limit = 64 * 1024;
    let mut world = World::with(|config| {
        unhindered(config);
        config.limits.outbox_total = ByteSize(limit);
    });
    world.answer_max = usize::MAX / 2;
    let silent: Vec<Client> = (0..100).map(|_| world.connect()).collect();
    world.everybody_has_read();
    for client in &silent {
        let peer = world.peer(*client);
        peer.window = Window::Closed;
        peer.kernel_bytes = 0;
    }
    for client in &silent {
        world.sends(*client, &format!("/ping {}\n", "x".repeat(60)).into_bytes().repeat(50));
    }
    for _ in 0..100 {
        world.turn();
        let queued = world.audit_counts().queued_bytes as u64;
        assert!(queued <= limit, "{queued} bytes");
    }
    assert!(world.audit_counts().unparsed_bytes > 0, "the next questions wait");
}
