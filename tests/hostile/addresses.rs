//! Clients that connect again and again from one address to get more lines or places than one connection may have.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::common::{Client, DEADLINE, Server, let_pass, now, numbered};
use crate::scene::Scene;

/// How long an attack lasts.
const ATTACK: Duration = Duration::from_secs(3);

/// Connects from a loopback address that no other client has.
fn connect_from(host: u8, server: &Server) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 9, 9, host], 0)).into()).unwrap();
    socket.connect_timeout(&server.address().into(), DEADLINE).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn read_to_the_end(mut stream: TcpStream) {
    // RST ends the connection too.
    let _ = stream.read_to_end(&mut Vec::new());
}

/// The lines of the attack that the reader has received.
fn floods(reader: &mut Client) -> usize {
    reader.lines_until_now().iter().filter(|line| line.contains("> flood ")).count()
}

#[test]
fn a_loop_of_connections_has_the_rate_of_one() {
    let scene = Scene::start(&["limits.per_ip_loopback=true"]);
    let mut reader = Client::named(&scene.server, "reader");
    let flood = numbered(0..20, |number| format!("flood {number}"));
    for (host, is_reset) in [(1, false), (2, true)] {
        reader.lines_until_now();
        let start = now();
        while start.elapsed() < ATTACK {
            let mut stream = connect_from(host, &scene.server);
            if stream.write_all(flood.as_bytes()).is_err() {
                continue;
            }
            if is_reset {
                Client::on_tcp(stream).reset();
                let_pass(Duration::from_millis(5));
            } else {
                let _ = stream.shutdown(Shutdown::Write);
                read_to_the_end(stream);
            }
        }
        // The lines of one connection in that time, and those of the last connection until now.
        let allowed = 20 + 5 * (usize::try_from(start.elapsed().as_secs()).unwrap() + 1);
        // Some connections that have reset are accepted and read before the server can know of the reset. They count as
        // simultaneous connections, each with its burst.
        let allowed = allowed * 6 / 5 + if is_reset { 5 * 20 } else { 0 };
        let got = floods(&mut reader);
        assert!(got >= 20 && got <= allowed, "{got} lines, {allowed} are allowed (reset: {is_reset})");
    }
    drop(reader);
    scene.expect_unharmed();
}

/// The lines of the old connection are still read when the next one connects: two count at a time, and not more.
#[test]
fn a_loop_that_does_not_wait_for_its_end_has_the_rate_of_two() {
    let scene = Scene::start(&["limits.per_ip_loopback=true"]);
    let mut reader = Client::named(&scene.server, "reader");
    let flood = numbered(0..20, |number| format!("flood {number}")) + "/quit\n";
    reader.lines_until_now();
    let start = now();
    while start.elapsed() < ATTACK {
        let mut stream = connect_from(1, &scene.server);
        let _ = stream.write_all(flood.as_bytes());
        let_pass(Duration::from_millis(100));
    }
    let one = 20 + 5 * (usize::try_from(start.elapsed().as_secs()).unwrap() + 1);
    let got = floods(&mut reader);
    assert!(got >= 20 && got <= 2 * one * 6 / 5, "{got} lines, one connection may say {one}");
    drop(reader);
    scene.expect_unharmed();
}

#[test]
fn half_closed_clients_that_are_gone_free_their_places() {
    let mut scene = Scene::start(&["limits.clients=60"]);
    for number in 0..200 {
        let mut client = Client::connect(&scene.server);
        client.greeting();
        client.send_raw(b"/leave\n/listen\n");
        client.skip_to("the answer to /listen", |line| line.contains("you stay"));
        drop(client);
        if number % 10 == 9 {
            Client::connect(&scene.server).greeting();
        }
    }
    scene.round();
}

#[test]
fn failed_sockets_free_their_places() {
    let scene = Scene::start(&["limits.clients=60"]);
    let forty = numbered(0..40, |number| format!("/ping {number}"));
    let start = now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while start.elapsed() < ATTACK {
                    let mut client = Client::connect(&scene.server);
                    client.send_some(forty.as_bytes(), Duration::from_millis(20));
                    client.reset();
                }
            });
        }
        while start.elapsed() < ATTACK {
            Client::connect(&scene.server).greeting();
            let_pass(Duration::from_millis(50));
        }
    });
    scene.expect_unharmed();
}

#[test]
fn connections_over_the_rate_of_an_address_wait_and_lose_nothing() {
    let scene = Scene::start(&["limits.per_ip_loopback=true", "limits.connects_burst=10"]);
    let mut reader = Client::named(&scene.server, "reader");
    for _ in 0..60 {
        drop(connect_from(1, &scene.server));
    }
    let mut posts = Vec::new();
    for number in 0..30 {
        let mut stream = connect_from(1, &scene.server);
        stream.write_all(format!("/nick ci\npost {number}").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        posts.push(stream);
    }
    posts.into_iter().for_each(read_to_the_end);
    let heard = reader.lines_until_now();
    for number in 0..30 {
        let post = format!("> post {number}");
        assert_eq!(heard.iter().filter(|line| line.ends_with(&post)).count(), 1, "{post} of {heard:?}");
    }
    drop(reader);
    scene.expect_unharmed();
}
