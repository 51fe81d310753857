//! Commands that a service answers later: the person's input waits, and no other client's.

use chatops::chat::{AnswerLine, Command, Job, Kind, Message, Nick, Origin, Reply, RoomName, Takes};
use chatops::engine::{CloseMode, JOBS_MAX, ServiceWorker, service};
use chatops::time::WallTime;

use crate::stage::{Client, Window, World};

static COMMANDS: [Command; 1] =
    [Command::of_service("find", Takes::Text("WORDS"), "find earlier lines", &["All words must occur."])];

/// A server with a service, and the service's end of the queues.
fn world_with_service() -> (World, ServiceWorker) {
    let mut world = World::new();
    let (service, worker) = service(&COMMANDS, || ());
    world.engine.add_service(service);
    (world, worker)
}

fn notice(text: &str) -> AnswerLine {
    AnswerLine::Notice(text.to_owned().into())
}

/// The service replies to a job; its wake-up gives the server a turn.
fn reply(world: &mut World, worker: &ServiceWorker, job: &Job, lines: Vec<AnswerLine>) {
    worker.reply(Reply { ticket: job.ticket, lines: Ok(lines) });
    world.turn();
    world.run();
}

/// A person asks, and this is the job that the service gets.
fn asks(world: &mut World, worker: &ServiceWorker, client: Client, lines: &str) -> Job {
    world.says(client, lines);
    world.run();
    worker.poll_job().expect("the service is asked")
}

#[test]
fn the_input_of_a_person_who_asked_waits_for_the_reply_and_keeps_its_order() {
    let (mut world, worker) = world_with_service();
    let [alice, bob] = world.people(["alice", "bob"]);
    let job = asks(&mut world, &worker, alice, "before\n/find  red  fox \n/ping\nafter");
    assert_eq!((job.command, &*job.arguments), ("find", "red  fox"));
    assert_eq!(job.rooms, [RoomName::parse("lobby").unwrap()]);
    world.says(bob, "meanwhile");
    world.reads(bob, ["12:34 #lobby <alice> before"]);
    world.reads(alice, ["12:34 #lobby <bob> meanwhile"]);
    let at = WallTime { unix_ms: 0, hour: 7, minute: 5, second: 0 };
    let past = Message {
        at,
        origin: Origin::Home,
        room: Some(RoomName::parse("lobby").unwrap()),
        from: Some(Nick::parse("carol").unwrap()),
        kind: Kind::Say,
        text: "the red fox".to_owned(),
    };
    reply(&mut world, &worker, &job, vec![notice("1 line:"), AnswerLine::Message(past), notice("end")]);
    world.reads(alice, ["-- 1 line:", "07:05 #lobby <carol> the red fox", "-- end", "-- pong"]);
    world.reads(bob, ["12:34 #lobby <alice> after"]);
}

#[test]
fn a_program_gets_the_reply_as_objects() {
    let (mut world, worker) = world_with_service();
    let [alice] = world.people(["alice"]);
    world.says(alice, "/set mode json");
    world.everybody_has_read();
    let job = asks(&mut world, &worker, alice, r#"{"kind":"command","text":"/find fox"}"#);
    let text = "of an hour ago".to_owned();
    let at = WallTime { unix_ms: 1_600_000_000_000, ..WallTime::default() };
    let past = Message { at, origin: Origin::Home, room: None, from: None, kind: Kind::Operator, text };
    reply(&mut world, &worker, &job, vec![AnswerLine::Message(past)]);
    world.reads(
        alice,
        [r#"{"v":1,"kind":"operator","time":"2020-09-13T12:26:40.000Z","text":"of an hour ago"}"#],
    );
}

#[test]
fn a_person_who_waits_for_a_reply_keeps_its_name() {
    let (mut world, worker) = world_with_service();
    let [alice, bob] = world.people(["alice", "bob"]);
    let job = asks(&mut world, &worker, alice, "/find fox\n/nick eve");
    world.says(bob, "/msg alice still you");
    world.reads(bob, ["12:34 [bob -> alice] still you"]);
    world.everybody_has_read();
    reply(&mut world, &worker, &job, vec![notice("none")]);
    world.reads(alice, ["-- none", "-- you are now eve"]);
}

#[test]
fn a_script_that_ends_its_input_is_answered_and_then_closed() {
    let (mut world, worker) = world_with_service();
    let client = world.connect();
    world.everybody_has_read();
    world.finishes(client);
    let job = asks(&mut world, &worker, client, "/find fox");
    world.pass("3s");
    assert_eq!(world.close_mode(client), None, "it waits for its answer");
    reply(&mut world, &worker, &job, vec![notice("none")]);
    world.reads(client, ["-- none"]);
    assert_eq!(world.close_mode(client), Some(CloseMode::Close));
}

#[test]
fn the_reply_for_a_person_who_has_left_is_dropped() {
    let (mut world, worker) = world_with_service();
    let [alice] = world.people(["alice"]);
    let job = asks(&mut world, &worker, alice, "/find fox");
    let slot = world.peer(alice).slot;
    world.peer(alice).resets();
    world.run();
    let successor = world.connect();
    world.everybody_has_read();
    assert_eq!(world.peer(successor).slot, slot);
    world.says(successor, "/find hen");
    world.run();
    reply(&mut world, &worker, &job, vec![notice("for alice")]);
    world.reads(successor, [""; 0]);
    let job = worker.poll_job().unwrap();
    reply(&mut world, &worker, &job, vec![notice("for the successor")]);
    world.reads(successor, ["-- for the successor"]);
}

#[test]
fn a_kick_ends_the_wait_for_a_reply() {
    let (mut world, worker) = world_with_service();
    let [alice, bob] = world.people(["alice", "bob"]);
    let job = asks(&mut world, &worker, alice, "/find fox\nnever said");
    world.operator("kick alice enough").unwrap();
    world.reads(alice, ["-- kicked by the operator: enough"]);
    reply(&mut world, &worker, &job, vec![notice("too late")]);
    world.reads(alice, [""; 0]);
    world.reads(bob, ["12:34 #lobby <-- alice (kicked: enough)"]);
}

#[test]
fn a_service_that_has_ended_is_a_refusal() {
    let (mut world, worker) = world_with_service();
    let [alice] = world.people(["alice"]);
    asks(&mut world, &worker, alice, "/find fox\n/ping");
    drop(worker);
    world.turn();
    world.reads(alice, ["!! its service has ended; try again later", "-- pong"]);
    world.says(alice, "/find fox\n/ping");
    world.reads(alice, ["!! /find is not available now; try again later", "-- pong"]);
}

#[test]
fn a_full_queue_is_a_refusal() {
    let (mut world, worker) = world_with_service();
    let waiting: Vec<Client> = (0..JOBS_MAX).map(|_| world.connect()).collect();
    let last = world.connect();
    world.everybody_has_read();
    for client in &waiting {
        world.says(*client, "/find fox");
    }
    world.run();
    world.says(last, "/find fox\n/ping");
    world.reads(last, ["!! /find is busy; try again later", "-- pong"]);
    let jobs: Vec<Job> = std::iter::from_fn(|| worker.poll_job()).collect();
    assert_eq!(jobs.len(), JOBS_MAX);
    for (job, client) in jobs.iter().zip(waiting) {
        reply(&mut world, &worker, job, vec![notice("none")]);
        world.reads(client, ["-- none"]);
    }
}

#[test]
fn a_service_that_does_not_reply_is_a_refusal_after_ten_seconds() {
    let (mut world, worker) = world_with_service();
    let [alice] = world.people(["alice"]);
    let late = asks(&mut world, &worker, alice, "/find fox");
    world.pass("9s");
    world.reads(alice, [""; 0]);
    world.pass("1s");
    world.reads(alice, ["!! no answer came in time; try again later"]);
    let job = asks(&mut world, &worker, alice, "/find hen");
    reply(&mut world, &worker, &late, vec![notice("a fox")]);
    world.reads(alice, [""; 0]);
    reply(&mut world, &worker, &job, vec![notice("a hen")]);
    world.reads(alice, ["-- a hen"]);
    world.pass("20s");
    world.reads(alice, [""; 0]);
}

#[test]
fn a_long_reply_is_made_as_its_reader_takes_it() {
    let (mut world, worker) = world_with_service();
    let [alice] = world.people(["alice"]);
    let job = asks(&mut world, &worker, alice, "/find fox\n/ping");
    let peer = world.peer(alice);
    peer.window = Window::Closed;
    peer.kernel_bytes = 0;
    let lines = (0..500).map(|number| notice(&format!("{number:0100}"))).collect();
    reply(&mut world, &worker, &job, lines);
    let kept_bytes = world.audit_counts().kept_bytes;
    assert!((8_000..10_000).contains(&kept_bytes), "{kept_bytes} bytes of the answer are made");
    let peer = world.peer(alice);
    peer.window = Window::Open;
    peer.kernel_bytes = 10_000;
    let lines = world.lines(alice);
    assert_eq!((lines.len(), &*lines[500]), (501, "-- pong"));
    assert!(lines[..500].is_sorted());
}

#[test]
fn help_explains_the_commands_of_services() {
    let (mut world, _worker) = world_with_service();
    let [alice] = world.people(["alice"]);
    world.says(alice, "/help find");
    world.reads(alice, ["-- /find WORDS: find earlier lines", "-- All words must occur."]);
    world.says(alice, "/help");
    assert!(world.lines(alice).iter().any(|line| line.starts_with("-- /find WORDS ")));
    world.says(alice, "/fnid fox");
    world.reads(alice, ["!! no command /fnid; did you mean /find WORDS? /help lists all"]);
    world.says(alice, "/find");
    world.reads(alice, ["!! too few arguments; usage: /find WORDS"]);
}
