//! A soak: connections by the hundred thousand through one server, most of them ending badly, to see that nothing is
//! left of any of them. It takes minutes, so it runs only when asked for, with a release build:
//!
//! ```sh
//! cargo test --locked --release --test soak -- --ignored --nocapture
//! ```
//!
//! `CHATOPS_SOAK_CONNECTIONS` says how many; a million without it.

mod common;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use common::wait::holds_within;
use common::{Bystanders, Client, DEADLINE, End, Server, now, process, wait_until};
use socket2::{Domain, Socket, Type};

/// How many connections, if nobody says otherwise.
const CONNECTIONS: usize = 1_000_000;
/// Looks at the server, evenly over all connections.
const LOOKS: usize = 200;
/// Of so many looks one is printed.
const LOOKS_PRINTED: usize = 10;
/// The longest between two of them, however busy the machine is.
const PROGRESS_MAX: Duration = Duration::from_secs(120);
/// Threads that make connections, one at a time each.
const WORKERS: usize = 4;
/// Connections that each of them leaves open and does not read, the oldest ended for each new one.
const LINGERERS: usize = 20;
/// Addresses of this machine that they come from: each has 28,000 ports, and a port rests for a minute (TIME-WAIT).
const SOURCES: usize = 200;
/// The most by which the server may grow for a thousand connections, by a line through the second half: the smallest
/// piece of memory lost by one connection in ten is over it.
const SLOPE_BYTES_MAX: f64 = 2048.0;
/// The fewest connections with which that line means anything; with less only descriptors are judged.
const SLOPE_CONNECTIONS_MIN: usize = 200_000;

/// What a connection does with its life.
#[derive(Clone, Copy)]
enum Life {
    /// Reads the greeting, speaks, gets an answer, and says goodbye.
    Chat,
    /// Closes without having read the greeting, which makes that an RST.
    CloseUnread,
    /// Speaks, asks, sends FIN, and reads to the end.
    HalfClose,
    /// Stays for a while and reads nothing.
    Linger,
    /// Resets as soon as it is connected.
    ResetAtOnce,
    /// Resets in the middle of a line.
    ResetInLine,
}

impl Life {
    /// Of ten connections two chat, two half-close, four reset, one closes, one stays.
    const TEN: [Self; 10] = [
        Self::Chat,
        Self::ResetAtOnce,
        Self::HalfClose,
        Self::ResetInLine,
        Self::CloseUnread,
        Self::Chat,
        Self::ResetAtOnce,
        Self::HalfClose,
        Self::ResetInLine,
        Self::Linger,
    ];
}

/// How the server stood after so many connections.
struct Look {
    connections: usize,
    rss: u64,
}

fn connections_asked_for() -> usize {
    let asked = std::env::var("CHATOPS_SOAK_CONNECTIONS").ok();
    asked.map_or(CONNECTIONS, |digits| {
        digits.parse().unwrap_or_else(|_| panic!("CHATOPS_SOAK_CONNECTIONS={digits} is no number"))
    })
}

/// Connects from the address whose turn it is.
fn connect(server: SocketAddr, number: usize) -> Client {
    let last = u8::try_from(1 + number % SOURCES).expect("there are fewer than 255");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be had");
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).expect("a port is free");
    socket.connect_timeout(&server.into(), DEADLINE).expect("the server listens");
    socket.set_tcp_nodelay(true).expect("the socket is open");
    Client::on_tcp(TcpStream::from(socket))
}

fn live(life: Life, server: SocketAddr, number: usize, lingerers: &mut VecDeque<Client>) {
    let mut client = connect(server, number);
    match life {
        Life::Chat => {
            client.greeting();
            client.send_raw(format!("this is {number}\n/ping {number}\n").as_bytes());
            let pong = format!("-- pong {number}");
            client.skip_to("an answer", |line| line == pong);
            client.send("/quit");
            assert_eq!(client.wait_for_end(DEADLINE), End::Fin);
        }
        Life::CloseUnread => drop(client),
        Life::HalfClose => {
            client.send_raw(format!("posted by {number}\n/ping {number}").as_bytes());
            client.shutdown_write();
            let pong = format!("-- pong {number}");
            client.skip_to("an answer", |line| line == pong);
            assert_eq!(client.wait_for_end(DEADLINE), End::Fin);
        }
        Life::Linger => {
            client.send("here for a while");
            lingerers.push_back(client);
            if lingerers.len() > LINGERERS {
                lingerers.pop_front();
            }
        }
        Life::ResetAtOnce => client.reset(),
        Life::ResetInLine => {
            client.greeting();
            client.send_raw(b"a whole line\nand half a li");
            client.reset();
        }
    }
}

/// Makes connections until there were `total` of all workers together.
fn work(server: SocketAddr, begun: &AtomicUsize, done: &AtomicUsize, total: usize) {
    let mut lingerers = VecDeque::new();
    loop {
        let number = begun.fetch_add(1, Ordering::Relaxed);
        if number >= total {
            return;
        }
        live(Life::TEN[number % Life::TEN.len()], server, number, &mut lingerers);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks at the server again and again until all connections have come.
fn watch(
    server: &Server,
    done: &AtomicUsize,
    total: usize,
    workers: &[ScopedJoinHandle<'_, ()>],
) -> Vec<Look> {
    let start = now();
    let mut looks = Vec::with_capacity(LOOKS);
    println!("connections  RSS (KiB)  descriptors  seconds");
    for look in 1..=LOOKS {
        let wanted = total * look / LOOKS;
        wait_until(PROGRESS_MAX, "further connections have come", || {
            done.load(Ordering::Relaxed) >= wanted || workers.iter().all(ScopedJoinHandle::is_finished)
        });
        let (rss, fds) = (process::rss(server.pid()), process::fd_count(server.pid()));
        looks.push(Look { connections: wanted, rss });
        if look % LOOKS_PRINTED == 0 {
            let seconds = start.elapsed().as_secs_f64();
            println!("{wanted:>11}  {:>9}  {fds:>11}  {seconds:>7.1}", rss / 1024);
        }
    }
    looks
}

/// The slope of the line of least squares, in bytes for each 1,000 connections.
#[expect(clippy::cast_precision_loss, reason = "connections and bytes stay far below 2 to the 52nd")]
fn slope(looks: &[Look]) -> f64 {
    let points = looks.iter().map(|look| (look.connections as f64 / 1000.0, look.rss as f64));
    let count = looks.len() as f64;
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(sum_x, sum_y), (x, y)| (sum_x + x, sum_y + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (above, below) = points.fold((0.0, 0.0), |(above, below), (x, y)| {
        (above + (x - mean_x) * (y - mean_y), below + (x - mean_x).powi(2))
    });
    above / below
}

#[test]
fn a_slope_is_in_bytes_for_each_thousand() {
    let looks = [(500_000, 7000), (600_000, 7100), (700_000, 7150), (800_000, 7250)];
    let looks = looks.map(|(connections, rss)| Look { connections, rss });
    assert!((slope(&looks) - 0.8).abs() < 1e-9, "{}", slope(&looks));
    let flat = [1000, 2000, 3000].map(|connections| Look { connections, rss: 4096 });
    assert!(slope(&flat).abs() < 1e-9, "{}", slope(&flat));
}

#[ignore = "takes minutes; CONTRIBUTING.md says how to run it"]
#[test]
fn nothing_is_left_of_a_million_connections() {
    let total = connections_asked_for();
    let mut server = Server::start(&["log.level=warn"]);
    let bystanders = Bystanders::connect(&server);
    let fds_before = process::fd_count(server.pid());
    let talk = bystanders.start_talking();
    let (address, start) = (server.address(), now());
    let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let looks = thread::scope(|scope| {
        let workers = [(); WORKERS].map(|()| scope.spawn(|| work(address, &begun, &done, total)));
        watch(&server, &done, total, &workers)
    });
    let took = start.elapsed();
    let _silent = talk.end();
    let is_all_gone = holds_within(DEADLINE, || process::fd_count(server.pid()) == fds_before);
    assert!(is_all_gone, "these are left:\n{}", server.ctl(&["connections"]).stdout);
    let second_half = &looks[LOOKS / 2..];
    let slope = slope(second_half);
    println!(
        "{total} connections in {:.0} s: {slope:.0} bytes of RSS for each 1,000 in the second half; \
         {fds_before} descriptors before and after",
        took.as_secs_f64()
    );
    assert!(
        total < SLOPE_CONNECTIONS_MIN || slope <= SLOPE_BYTES_MAX,
        "{slope:.0} bytes for each 1,000 connections"
    );
    assert_eq!(server.stop(), Some(0));
}
