//! Expensive commands of clients that do not wait for the answers, and many answers that no client reads.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use crate::common::{Client, DEADLINE, NO_FLOOD_LIMIT, Server, process, wait_until};
use crate::scene::Scene;

/// Presence is summed up from the first member on, so that many clients can join quickly.
const NO_PRESENCE: &str = "rooms.presence_max=1";
/// The connections of one attacker, one after the other.
const RAIDS: usize = 400;
/// The processor time that the server may use for one such connection: a small part of the cost of a long answer.
const RAID_COST_MAX: Duration = Duration::from_millis(2);

/// Connects, asks twenty questions and closes, again and again, from two threads.
fn raid(server: &Server, question: &'static str) {
    let address = server.address();
    let raider = move || {
        for _ in 0..RAIDS {
            let Ok(mut stream) = TcpStream::connect(address) else { continue };
            // The server may have closed it already.
            let _ = stream.write_all(question.repeat(20).as_bytes());
        }
    };
    let raiders = [thread::spawn(raider), thread::spawn(raider)];
    for raider in raiders {
        raider.join().unwrap();
    }
}

fn status(server: &Server, field: &str) -> u64 {
    let answer = server.ctl(&["--json", "status"]).stdout;
    let status: serde_json::Value = serde_json::from_str(&answer).unwrap();
    status[field].as_u64().unwrap_or_else(|| panic!("no {field} in {answer}"))
}

/// Checks that the bystanders do not wait for the attackers, and that no answer was built for these connections.
#[track_caller]
fn expect_cheap_raids(mut scene: Scene, question: &'static str) {
    let before = process::cpu_time(scene.server.pid());
    raid(&scene.server, question);
    scene.rounds(2);
    let used = process::cpu_time(scene.server.pid()).saturating_sub(before);
    let raids = u32::try_from(2 * RAIDS).unwrap();
    assert!(used / raids < RAID_COST_MAX, "{used:?} for {raids} raids");
    scene.round();
}

#[test]
fn unread_answers_about_many_members_delay_no_other_client() {
    let scene = Scene::start(&[NO_FLOOD_LIMIT, NO_PRESENCE, "limits.clients=3000"]);
    let crowd: Vec<Client> = (0..1_000).map(|_| Client::connect(&scene.server)).collect();
    wait_until(DEADLINE, "the crowd is here", || status(&scene.server, "clients") >= 1_003);
    expect_cheap_raids(scene, "/who\n");
    drop(crowd);
}

#[test]
fn unread_answers_about_many_rooms_delay_no_other_client() {
    let scene = Scene::start(&[NO_FLOOD_LIMIT, NO_PRESENCE, "limits.clients=3000"]);
    let mut crowd: Vec<Client> = (0..250).map(|_| Client::connect(&scene.server)).collect();
    for (number, client) in crowd.iter_mut().enumerate() {
        let joins: Vec<String> = (0..19).map(|room| format!("/join #room-{number}-{room}\n")).collect();
        client.send_raw(joins.concat().as_bytes());
    }
    wait_until(DEADLINE, "the rooms are there", || status(&scene.server, "rooms") > 250 * 19);
    expect_cheap_raids(scene, "/rooms\n");
    drop(crowd);
}

#[test]
fn verbs_on_many_clients_delay_no_other_client() {
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT, NO_PRESENCE, "limits.clients=3000"]);
    let mut crowd: Vec<Client> = (0..500).map(|_| Client::connect(&scene.server)).collect();
    wait_until(DEADLINE, "the crowd is here", || status(&scene.server, "clients") >= 503);
    let mut operator = UnixStream::connect(scene.server.control()).unwrap();
    operator.write_all("say x\n".repeat(300).as_bytes()).unwrap();
    operator.shutdown(std::net::Shutdown::Write).unwrap();
    let answers = std::io::read_to_string(&operator).unwrap();
    assert_eq!(answers.matches("\"ok\":true").count(), 300);
    scene.round();
    let mut said = 0;
    while said < 300 {
        said += usize::from(crowd[7].line().ends_with("*** x"));
    }
}

#[test]
fn unread_answers_of_many_clients_stay_within_the_limit_and_cost_no_line() {
    let limit = 2 * 1024 * 1024;
    let server = Server::framed(
        &["lines", "fixed:4096"],
        &[NO_FLOOD_LIMIT, NO_PRESENCE, "limits.outbox_total=\"2 MiB\"", "limits.send_buffer=\"16 KiB\""],
    );
    let mut scene = Scene::around(server);
    let mut crowd: Vec<Client> = (0..200).map(|_| Client::connect_nth(&scene.server, 1)).collect();
    let questions = format!("{:4096}{:4096}", "/who", "/help").repeat(4);
    for client in &mut crowd {
        // The server does not take all of it from a client that does not read.
        client.send_some(questions.as_bytes(), Duration::from_millis(2));
    }
    for _ in 0..5 {
        scene.rounds(1);
        assert!(status(&scene.server, "outbox_bytes") <= limit);
    }
    let mut reader = Client::connect(&scene.server);
    assert!(reader.answer("/who").concat().contains("in #lobby: "), "a client that reads is answered");
    scene.round();
    drop(crowd);
}
