//! Ends of clients: hundreds at once, in the middle of a line, with RST, or never.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::common::{Client, DEADLINE, NO_FLOOD_LIMIT, Server, process, wait_until};
use crate::scene::Scene;

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect_timeout(&server.address(), DEADLINE).expect("the server listens")
}

#[test]
fn short_connections_leave_no_state() {
    let mut scene = Scene::start(&[]);
    for round in 0..500 {
        let stream = connect(&scene.server);
        match round % 4 {
            0 => drop(stream),
            1 => Client::on_tcp(stream).reset(),
            2 => {
                stream.shutdown(Shutdown::Write).unwrap();
                drop(stream);
            }
            _ => {
                stream.shutdown(Shutdown::Both).unwrap();
                drop(stream);
            }
        }
        if round % 100 == 99 {
            scene.round();
        }
    }
    scene.expect_unharmed();
}

#[test]
fn many_resets_leave_no_state() {
    let mut scene = Scene::start(&[]);
    for wave in 0..5 {
        let mut crowd: Vec<Client> = (0..100).map(|_| Client::connect(&scene.server)).collect();
        // The first wave resets connections that wait to be accepted, the others connections that have sent a line.
        if wave > 0 {
            for client in &mut crowd {
                client.greeting();
                client.send_raw(b"a whole line, and\nhalf a line");
            }
        }
        // SO_LINGER 0 and close(), one after the other without a pause.
        crowd.into_iter().for_each(Client::reset);
        scene.round();
    }
    scene.expect_unharmed();
}

#[test]
fn a_reset_in_the_middle_of_a_line_or_of_an_answer_is_survived() {
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT]);
    for round in 0..100 {
        let mut stream = connect(&scene.server);
        let questions = "/who\n/rooms\n/help\n".repeat(round);
        let _ = stream.write_all(questions.as_bytes());
        let _ = stream.write_all(b"half a li");
        Client::on_tcp(stream).reset();
        if round % 25 == 24 {
            scene.round();
        }
    }
    scene.expect_unharmed();
}

#[test]
fn a_reset_with_data_that_the_server_has_not_read_is_survived() {
    let mut scene = Scene::start(&["limits.receive_buffer=\"16 KiB\"", "rooms.presence_max=1"]);
    let flood = "more than the server will read from one client\n".repeat(5000);
    let mut crowd: Vec<Client> = (0..30).map(|_| Client::connect(&scene.server)).collect();
    for client in &mut crowd {
        client.send_some(flood.as_bytes(), Duration::from_millis(20));
    }
    for client in &crowd {
        let unread = process::unread_from(scene.server.port(), client.local_port());
        assert!(unread > 4096, "{unread} bytes unread: nothing to lose with this reset");
    }
    scene.rounds(2);
    crowd.into_iter().for_each(Client::reset);
    scene.expect_unharmed();
}

#[test]
fn a_close_with_data_that_the_client_has_not_read_is_survived() {
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT, "limits.send_buffer=\"16 KiB\"", "rooms.presence_max=1"]);
    let port = scene.server.port();
    let mut crowd: Vec<Client> = (0..30).map(|_| Client::connect(&scene.server)).collect();
    for (number, client) in crowd.iter_mut().enumerate() {
        // The clients have not read a greeting, an answer, or more than the kernel's buffers hold.
        let questions = "/help\n".repeat([0, 3, 2000][number % 3]);
        client.send_some(questions.as_bytes(), Duration::from_millis(50));
        let is_full =
            || process::connection_from(port, client.local_port()).is_some_and(|end| end.send_q > 0);
        if number % 3 == 2 {
            wait_until(DEADLINE, "the server has more to send than is taken", is_full);
        }
    }
    scene.rounds(2);
    // The kernel sends RST when a socket with unread data is closed (RFC 2525, 2.17).
    drop(crowd);
    scene.expect_unharmed();
}

#[test]
fn hundreds_of_clients_with_half_a_line_cost_nothing() {
    let mut scene = Scene::start(&["rooms.presence_max=1"]);
    let mut crowd: Vec<Client> = (0..300).map(|_| Client::connect(&scene.server)).collect();
    for (number, client) in crowd.iter_mut().enumerate() {
        client.greeting();
        client.send_raw(&b"GET /half a line, or nothing at all"[..number % 35]);
    }
    scene.round();
    let used = scene.cpu_time_in_rounds(4);
    assert!(used <= Duration::from_millis(300), "{used:?} of processor time for who says nothing");
    drop(crowd);
    scene.expect_unharmed();
}

/// Memory that closed connections may keep: events of two kinds have 1 MiB each, the closed list has 4 MiB.
const KEPT_BY_THE_GONE: u64 = 6 * 1024 * 1024;
/// Memory of freed messages that an allocator may keep.
const ALLOCATOR_SLACK: u64 = 10 * 1024 * 1024;

#[test]
fn connections_that_quit_with_long_texts_leave_little() {
    let options = [
        NO_FLOOD_LIMIT,
        "limits.line_bytes=\"64 KiB\"",
        "limits.outbox_bytes=\"1 MiB\"",
        "rooms.lobby=\"hall\"",
    ];
    let server = Server::start(&options);
    let quit = format!("/quit {}\n", "\u{1}".repeat(60 * 1024));
    let attack = |times: usize| {
        for _ in 0..times {
            let mut stream = connect(&server);
            stream.write_all(quit.as_bytes()).unwrap();
            // Read to the end, so that the next client starts after the end of this one.
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        }
    };
    attack(10);
    let before = process::rss(server.pid());
    // Each text has 180 KiB when it is shown, and would be stored four times.
    attack(120);
    let grown = process::rss(server.pid()).saturating_sub(before);
    assert!(grown < KEPT_BY_THE_GONE + ALLOCATOR_SLACK, "grown by {grown} bytes");
}
