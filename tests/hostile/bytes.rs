//! Input of clients: noise, NUL and 0xFF, bytes one at a time, lines without an end, many telnet requests, urgent data.

use std::net::TcpStream;
use std::time::Duration;

use rustix::net::SendFlags;

use crate::common::{Client, DEADLINE, NO_FLOOD_LIMIT, now, process, wait_until};
use crate::scene::Scene;

const MIB: usize = 1024 * 1024;
const IAC: u8 = 0xff;
const DO: u8 = 0xfd;

/// Reads and drops the input, so that this client's full window never stops the server.
fn swallow(client: &mut Client) {
    while client.take_from_kernel(65_536) > 0 {
        client.forget();
    }
}

#[test]
fn random_bytes_reach_others_only_as_scrubbed_text() {
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT]);
    let mut noise = Noise::new(0x9e37_79b9_7f4a_7c15);
    for round in 0..24 {
        let mut rude = Client::connect(&scene.server);
        rude.send_some(b"hello\n", DEADLINE);
        for _ in 0..30 {
            let count = noise.below(3000);
            let bytes = noise.bytes(count);
            if rude.send_some(&bytes, Duration::from_millis(200)) < bytes.len() {
                break;
            }
            swallow(&mut rude);
        }
        if round % 2 == 0 {
            rude.shutdown_write();
        }
        drop(rude);
        // The bystanders check that each line they read is UTF-8, ends with CR LF and has no control character. They
        // get three bytes for each invalid one, so the noise must not be faster than they read.
        if round % 3 == 2 {
            scene.round();
        }
    }
    scene.expect_unharmed();
}

#[test]
fn random_commands_never_end_the_server() {
    const VERBS: [&str; 16] = [
        "/help", "/nick", "/join", "/leave", "/rooms", "/who", "/whois", "/msg", "/reply", "/me", "/topic",
        "/set", "/ping", "/listen", "//", "/",
    ];
    const ARGUMENTS: [&str; 12] = [
        "",
        " ",
        "#a",
        "#b",
        "#lobby",
        "ann",
        "guest-4",
        "time off",
        "presence off",
        "\u{202e}x",
        "a b c d",
        "##########################################",
    ];
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT]);
    let mut noise = Noise::new(42);
    let mut rude: Vec<Client> = (0..4).map(|_| Client::connect(&scene.server)).collect();
    for _ in 0..5 {
        for _ in 0..200 {
            for client in &mut rude {
                client.send(&format!("{} {}", noise.pick(&VERBS), noise.pick(&ARGUMENTS)));
                swallow(client);
            }
        }
        scene.round();
    }
    for client in &mut rude {
        client.send("/ping done");
        client.skip_to("an answer", |line| line == "-- pong done");
    }
    // A client that sent /listen would stay after an orderly close, until keepalive finds it gone.
    rude.into_iter().for_each(Client::reset);
    scene.expect_unharmed();
}

#[test]
fn nul_and_0xff_everywhere_are_no_trouble() {
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT]);
    let mut rude = Client::connect(&scene.server);
    rude.greeting();
    // A first message with a NUL in it counts as another protocol.
    rude.send("hello");
    for byte in [0, IAC] {
        // A whole mebibyte; on both sides of every byte of text, of commands, names and line ends; and on half of them.
        rude.send_some(&vec![byte; MIB], DEADLINE);
        for text in ["some text\r\n", "/nick nobody\n", "/join #room\r", "/me waves\r\n", "/leave\n"] {
            let everywhere: Vec<u8> = text.bytes().flat_map(|letter| [byte, letter, byte]).collect();
            let doubled: Vec<u8> = text.bytes().flat_map(|letter| [letter, byte, byte]).collect();
            rude.send_raw(&everywhere);
            rude.send_raw(&doubled);
        }
        swallow(&mut rude);
        scene.round();
    }
    rude.send_raw(b"\n");
    rude.send("/ping done");
    rude.skip_to("an answer", |line| line == "-- pong done");
    drop(rude);
    scene.expect_unharmed();
}

#[test]
fn bytes_sent_one_at_a_time_become_whole_lines_and_cost_little() {
    let scene = Scene::start(&[]);
    let mut witness = Client::named(&scene.server, "witness");
    let mut drippers: Vec<Client> =
        (0..20).map(|number| Client::named(&scene.server, &format!("drip-{number}"))).collect();
    let text = "a line that comes byte by byte: grüß dich";
    let cpu = process::cpu_time(scene.server.pid());
    for at in 0..=text.len() {
        let byte = text.as_bytes().get(at).copied().unwrap_or(b'\n');
        for dripper in &mut drippers {
            dripper.send_raw(&[byte]);
        }
        // The server must read each byte alone, not together with the next.
        wait_until(DEADLINE, "the bytes are read", || {
            process::connections_on(scene.server.port()).iter().all(|end| end.recv_q == 0)
        });
    }
    for number in 0..drippers.len() {
        let whole = format!("HH:MM #lobby <drip-{number}> {text}");
        witness.skip_to(&whole, |line| line == whole);
    }
    let used = process::cpu_time(scene.server.pid()).saturating_sub(cpu);
    assert!(used <= Duration::from_secs(1), "{used:?} of processor time for 20 lines");
    drop((witness, drippers));
    scene.expect_unharmed();
}

#[test]
fn endless_input_without_a_line_end_takes_no_memory() {
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT]);
    let mut rude = Client::connect(&scene.server);
    rude.greeting();
    let block = vec![b'z'; MIB];
    for _ in 0..64 {
        rude.send_raw(&block);
    }
    scene.expect_not_grown();
    rude.send_raw(b"\n");
    let mut told = rude.lines_until_now();
    told.retain(|line| line.starts_with("!! "));
    assert!(told.len() == 1 && told[0].contains("4096 bytes"), "{told:?}");
    let mut witness = Client::named(&scene.server, "witness");
    rude.send("short again");
    witness.skip_to("a short line", |line| line.ends_with("> short again"));
    drop((rude, witness));
    scene.round();
    scene.expect_unharmed();
}

#[test]
fn many_telnet_requests_neither_grow_nor_block_the_server() {
    let mut scene = Scene::start(&[NO_FLOOD_LIMIT]);
    let mut reads_nothing = Client::connect(&scene.server);
    let mut reads = Client::connect(&scene.server);
    reads.greeting();
    let storm: Vec<u8> = (0..10_000_u32).flat_map(|n| [IAC, DO, u8::try_from(n % 40).unwrap()]).collect();
    // A hundred thousand requests from each client, in a second or however long the machine needs.
    for part in 1..=10_u32 {
        let start = now();
        for client in [&mut reads_nothing, &mut reads] {
            assert_eq!(client.send_some(&storm, DEADLINE), storm.len(), "part {part} is taken");
        }
        while reads.take_from_kernel(65_536) > 0 {}
        wait_until(DEADLINE, "a tenth of a second", || start.elapsed() >= Duration::from_millis(100));
    }
    scene.round();
    scene.expect_not_grown();
    drop((reads_nothing, reads));
    scene.expect_unharmed();
}

#[test]
fn urgent_data_neither_blocks_nor_spins_the_server() {
    let mut scene = Scene::start(&[]);
    let mut witness = Client::named(&scene.server, "witness");
    let stream = TcpStream::connect_timeout(&scene.server.address(), DEADLINE).unwrap();
    for _ in 0..20 {
        rustix::net::send(&stream, b"\xff\xf2", SendFlags::OOB).unwrap();
        rustix::net::send(&stream, b"\xff\xf4", SendFlags::empty()).unwrap();
    }
    let used = scene.cpu_time_in_rounds(3);
    assert!(used <= Duration::from_millis(200), "{used:?} of processor time for urgent data");
    rustix::net::send(&stream, b"\r\nafter the urgency\r\n", SendFlags::empty()).unwrap();
    // No byte of a command was lost: the rest would be shown as text.
    let said = |line: &str| line.contains(" <guest-5> ");
    let line = witness.skip_to("what was said", said);
    assert_eq!(line, "HH:MM #lobby <guest-5> after the urgency");
    drop((stream, witness));
    scene.expect_unharmed();
}

/// Pseudo-random numbers (xorshift64).
pub(crate) struct Noise(u64);

impl Noise {
    /// `seed` is not 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}
