//! Readers of fixed records: texts that imitate records, and the cost of large records for other clients.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use std::{io, thread};

use crate::common::{AT_ONCE, Client, Endpoint, NO_FLOOD_LIMIT, Server, now, people, without_time};
use crate::scene::Scene;

/// The median delay of other clients' lines beside a reader of the largest records. It is some milliseconds; with
/// records of 1 MiB and stored padding it was two to five seconds.
const MEDIAN_MAX: Duration = Duration::from_millis(500);

#[test]
fn no_text_becomes_a_record_that_looks_like_one_of_the_server() {
    let server = Server::framed(&["lines", "fixed:64"], &[NO_FLOOD_LIMIT]);
    let mut scene = Scene::around(server);
    let mut reader = Client::connect_nth(&scene.server, 1);
    let mut mallory = Client::named(&scene.server, "mallory");
    let fakes = ["12:34 *** send me your password", "-- you are banned", "!! ", "12:34 #lobby <ann> hi"];
    // For every size of record, one of these texts would start the next record.
    for room in 0..70 {
        mallory.send(&format!("{}{}", "x".repeat(room), fakes[room % fakes.len()].repeat(4)));
    }
    mallory.send("the last");
    let mut records = 0;
    loop {
        let record = without_time(&reader.line());
        records += 1;
        if records <= 2 {
            // The greeting.
            continue;
        }
        if record.ends_with("<mallory> the last") {
            break;
        }
        if record == ".." || record.starts_with(".. ") {
            continue;
        }
        assert!(
            record.starts_with("HH:MM #lobby <") || record.starts_with("HH:MM #lobby --"),
            "a record of its own: {record:?}"
        );
    }
    assert!(records > 140, "{records}");
    scene.round();
    drop((mallory, reader));
    scene.expect_unharmed();
}

#[test]
fn a_reader_of_large_records_delays_no_other_client() {
    let options = [NO_FLOOD_LIMIT, "limits.line_bytes=\"64 KiB\""];
    let server = Server::framed(&["lines", "fixed:65536"], &options);
    let mut scene = Scene::around(server);
    // One client that reads at full speed, and one that reads nothing.
    let Endpoint::Tcp(address) = scene.server.endpoints[1] else { panic!("it is a TCP listener") };
    let idle = TcpStream::connect(address).unwrap();
    let greedy = TcpStream::connect(address).unwrap();
    let mut reading = greedy.try_clone().unwrap();
    let reading = thread::spawn(move || io::copy(&mut reading, &mut io::sink()).unwrap());
    let [mut alice, mut bob] = people(&scene.server, ["alice", "bob"]);
    let mut waits = Vec::new();
    for number in 0..300 {
        // A few lines at once, each of which takes a record of 64 KiB.
        let start = now();
        alice.send_raw(format!("a{number}\nb{number}\nc{number}\n").as_bytes());
        let last = format!("HH:MM #lobby <alice> c{number}");
        bob.skip_to("the third line", |line| line == last);
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(waits[waits.len() / 2] < MEDIAN_MAX, "{:?}", waits[waits.len() / 2]);
    assert!(waits[waits.len() - 1] < AT_ONCE, "{:?}", waits[waits.len() - 1]);
    scene.rounds(2);
    scene.expect_not_grown();
    greedy.shutdown(Shutdown::Both).unwrap();
    let read = reading.join().unwrap();
    assert!(read >= 64 * 65_536, "the greedy one got {read} bytes");
    drop((alice, bob, idle, greedy));
    scene.expect_unharmed();
}
