//! `chatops bench` as a user runs it: with a private server, against a running one, and against programs that are no
//! chatops.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use common::process::{fd_count, lives};
use common::server::{CHATOPS, send_signal};
use common::{DEADLINE, Finished, Home, NO_FLOOD_LIMIT, Server, Transcript, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// Runs `chatops bench` with these arguments to its end.
#[track_caller]
fn bench(arguments: &[&str]) -> Finished {
    Finished::run(&[&["bench"], arguments].concat())
}

/// The one object that a run with `--json` printed.
#[track_caller]
fn object(finished: &Finished) -> Value {
    assert_eq!(finished.stdout.lines().count(), 1, "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

#[track_caller]
fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {object}"))
}

/// Checks that every line was delivered once and in order.
#[track_caller]
fn assert_clean(object: &Value) {
    for name in ["lost", "skipped", "doubled", "reordered"] {
        assert_eq!(number(object, name), 0, "{name}: {object}");
    }
    let readers = number(object, "clients") - 1;
    assert!(number(object, "lines") > 0, "{object}");
    assert_eq!(number(object, "deliveries"), number(object, "lines") * readers, "{object}");
    assert!(number(object, "latency_p50_us") <= number(object, "latency_p999_us"), "{object}");
}

#[test]
fn without_a_target_a_private_server_is_measured() {
    let finished = bench(&["--clients", "20", "--for", "1s"]);
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
    for part in ["private server, 20 clients:", "connections ", "deliveries ", "p99.9", "server's CPU"] {
        assert!(finished.stdout.contains(part), "no {part:?}: {finished:?}");
    }
    assert!(
        finished.stdout.ends_with("\nevery line came to every reader once and in order\n"),
        "{finished:?}"
    );
}

#[test]
fn json_has_what_the_table_has() {
    let finished = bench(&["--clients", "20", "--senders", "3", "--bytes", "200", "--for", "1s", "--json"]);
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
    let object = object(&finished);
    assert_clean(&object);
    assert_eq!((number(&object, "senders"), number(&object, "line_bytes")), (3, 200));
    assert!(number(&object, "server_rss_bytes") > 1_000_000, "{object}");
}

#[test]
fn a_running_server_is_measured_at_a_rate() {
    let server = Server::start(&[NO_FLOOD_LIMIT]);
    let target = server.address().to_string();
    let finished = bench(&["--target", &target, "--clients", "20", "--rate", "200", "--for", "1s", "--json"]);
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
    let object = object(&finished);
    assert_clean(&object);
    assert_eq!(object["target"], *target);
    let lines = number(&object, "lines");
    assert!((100..=201).contains(&lines), "200 a second for a second: {object}");
    assert!(object.get("server_cpu_s").is_none(), "the process of a target is not known: {object}");
}

#[test]
fn a_unix_socket_can_be_the_target() {
    let home = std::sync::Arc::new(Home::new());
    let address = format!("unix:{}", home.path().join("chat.sock").display());
    let _server = Server::in_home(&home, &[&address], &[NO_FLOOD_LIMIT]);
    let finished = bench(&["--target", &address, "--clients", "5", "--for", "200ms", "--json"]);
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
    assert_clean(&object(&finished));
}

#[test]
fn a_target_with_flood_limits_is_refused_with_a_remedy() {
    let server = Server::start(&[]);
    let target = server.address().to_string();
    let finished = bench(&["--target", &target, "--clients", "3", "--for", "20s"]);
    assert_eq!((finished.code, &*finished.stdout), (Some(1), ""), "{finished:?}");
    for part in [&*target, "holds its senders back", "lower --rate", "-o flood.enabled=false"] {
        assert!(finished.stderr.contains(part), "no {part:?}: {finished:?}");
    }
}

#[test]
fn a_full_target_is_reported_with_its_own_line() {
    let server = Server::start(&[NO_FLOOD_LIMIT, "limits.clients=5"]);
    let target = server.address().to_string();
    let refused = bench(&["--target", &target, "--clients", "20"]);
    refused.assert_refused(&[&target, "the server is full", "lower --clients"]);
}

#[test]
fn a_target_without_a_server_is_refused() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    bench(&["--target", &address]).assert_refused(&["cannot connect to", &address, "is it running"]);
}

#[test]
fn a_target_that_is_no_chatops_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(b"220 mail.example ESMTP\r\n");
            // Keeps the connection open until the client has read the line.
            let _ = (&stream).read(&mut [0; 1]);
        }
    });
    let refused = bench(&["--target", &address, "--clients", "2"]);
    refused.assert_refused(&[&address, "is no chatops", "220 mail.example ESMTP"]);
}

#[test]
fn wrong_usage_is_refused_with_the_range() {
    for (arguments, part) in [
        (&["--clients", "1"][..], "--clients 1 is out of range: 2 to 20000"),
        (&["--clients", "5", "--senders", "6"], "--senders 6 is out of range: 1 to 5"),
        (&["--bytes", "3"], "--bytes 3 is out of range"),
        (&["--for", "10"], "a time is a number with"),
        (&["--target", "nowhere"], "write HOST:PORT"),
        (&["--rate", "5", "--max"], "cannot be used with"),
        (&["--rate", "0"], "--rate"),
    ] {
        bench(arguments).assert_refused(&[part]);
    }
}

/// Passes the sender's lines on, but loses line 3, doubles line 5, and sends line 7 after line 8.
fn pass_on_badly(sender: &mut impl BufRead, nick: &str, mut reader: &TcpStream) {
    let mut held = String::new();
    for (number, text) in sender.lines().map_while(Result::ok).enumerate() {
        let line = format!("12:34 #bench <{nick}> {text}\r\n");
        let bytes = match number {
            3 => "-- 1 lines skipped\r\n".to_owned(),
            5 => line.repeat(2),
            7 => {
                held = line;
                continue;
            }
            8 => line + &held,
            _ => line,
        };
        if reader.write_all(bytes.as_bytes()).is_err() {
            return;
        }
    }
}

/// Lets a client in as chatops does; returns its nick and its further lines.
fn let_in(stream: &TcpStream) -> (String, BufReader<TcpStream>) {
    let mut stream_to = stream;
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    stream_to.write_all(b"-- fake: you are guest-1 in #lobby (1 here). /help\r\n").unwrap();
    let mut nick = String::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it went before it joined");
        if let Some(name) = line.trim_end().strip_prefix("/nick ") {
            name.clone_into(&mut nick);
        }
        if line.starts_with("/join") {
            stream_to.write_all(b"-- you are in #bench (2 here)\r\n").unwrap();
            return (nick, lines);
        }
    }
}

#[test]
fn lost_doubled_and_reordered_lines_are_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let streams = [(); 2].map(|()| listener.accept().unwrap().0);
        let [first, second] = [0, 1].map(|at| let_in(&streams[at]));
        let is_first = first.0.ends_with("-0");
        let ((nick, mut lines), reader) = if is_first { (first, &streams[1]) } else { (second, &streams[0]) };
        pass_on_badly(&mut lines, &nick, reader);
    });
    let sizes = ["--clients", "2", "--senders", "1", "--rate", "100", "--for", "300ms", "--json"];
    let finished = bench(&[&["--target", &*address][..], &sizes].concat());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("1 lost (1 skipped by the server for slow readers), 1 doubled, 1 reord")
    );
    let object = object(&finished);
    let found = ["lost", "skipped", "doubled", "reordered"].map(|name| number(&object, name));
    assert_eq!(found, [1, 1, 1, 1], "{object}");
}

/// The child processes of this process.
fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Starts a run that lasts until it is ended.
fn long_run(home: &Home) -> Child {
    let mut command = Command::new(CHATOPS);
    command.args(["bench", "--clients", "20", "--rate", "10", "--for", "10m"]).envs(home.environment());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_run_that_is_killed_leaves_no_server_behind() {
    let home = Home::new();
    let mut run = long_run(&home);
    wait_until(DEADLINE, "it starts a server", || !children(run.id()).is_empty());
    let server = children(run.id())[0];
    wait_until(DEADLINE, "clients come in", || fd_count(server) > 20);
    send_signal(run.id(), Signal::KILL);
    run.wait().unwrap();
    wait_until(DEADLINE, "the server ends too", || !lives(server));
}

#[test]
fn a_signal_ends_the_run_and_its_server() {
    // While the server starts, and once all clients are in.
    for (signal, clients_in) in
        [(Signal::INT, false), (Signal::INT, true), (Signal::TERM, true), (Signal::HUP, true)]
    {
        let home = Home::new();
        let mut run = long_run(&home);
        let stderr = Transcript::of(run.stderr.take().unwrap());
        wait_until(DEADLINE, "it starts a server", || !children(run.id()).is_empty());
        let server = children(run.id())[0];
        if clients_in {
            wait_until(DEADLINE, "clients come in", || fd_count(server) > 20);
        }
        send_signal(run.id(), signal);
        wait_until(DEADLINE, "it ends", || run.try_wait().unwrap().is_some());
        assert_eq!(run.wait().unwrap().code(), Some(1), "{signal:?}");
        assert!(stderr.wait_for_end(DEADLINE).contains("interrupted"), "{}", stderr.text());
        assert!(!lives(server), "its server goes on after {signal:?}");
    }
}

#[test]
fn a_signal_ends_the_wait_for_the_first_line_of_the_server() {
    let home = Home::new();
    let program = home.path().join("talker");
    fs::write(&program, "#!/bin/sh\nprintf 'starting... '\n: >\"$HOME/talking\"\nexec sleep 600\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new(CHATOPS);
    command.args(["bench", "--server"]).arg(&program).envs(home.environment());
    let mut run = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = Transcript::of(run.stderr.take().unwrap());
    wait_until(DEADLINE, "the program talks", || home.path().join("talking").exists());
    send_signal(run.id(), Signal::INT);
    assert!(stderr.wait_for_end(DEADLINE).contains("interrupted"), "{}", stderr.text());
    assert_eq!(run.wait().unwrap().code(), Some(1));
}

#[test]
fn a_private_server_that_dies_is_a_failure_while_running() {
    let home = Home::new();
    let mut run = long_run(&home);
    let stderr = Transcript::of(run.stderr.take().unwrap());
    wait_until(DEADLINE, "it starts a server", || !children(run.id()).is_empty());
    let server = children(run.id())[0];
    wait_until(DEADLINE, "clients come in", || fd_count(server) > 20);
    send_signal(server, Signal::KILL);
    wait_until(DEADLINE, "it ends", || run.try_wait().unwrap().is_some());
    let said = stderr.wait_for_end(DEADLINE);
    assert!(run.wait().unwrap().code().is_some_and(|code| code > 0), "{said}");
    assert!(said.contains("private server"), "{said}");
}

#[test]
fn a_target_that_goes_away_is_a_failure_while_running() {
    let server = Server::start(&[NO_FLOOD_LIMIT, "server.drain=100ms"]);
    let target = server.address().to_string();
    let mut command = Command::new(CHATOPS);
    command.args(["bench", "--target", &target, "--clients", "3", "--for", "10m"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    let stderr = Transcript::of(run.stderr.take().unwrap());
    wait_until(DEADLINE, "lines are said", || {
        let status: Value = serde_json::from_str(&server.ctl(&["--json", "status"]).stdout).unwrap();
        number(&status, "lines_in") > 100
    });
    server.signal(Signal::TERM);
    wait_until(DEADLINE, "it ends", || run.try_wait().unwrap().is_some());
    assert_eq!(run.wait().unwrap().code(), Some(1));
    let said = stderr.wait_for_end(DEADLINE);
    assert!(said.contains(&target) && said.contains("closed the connection of client"), "{said}");
}
