//! `chatops attach`: the dashboard over the control socket of a server without a terminal, which continues without it.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use common::server::CHATOPS;
use common::{Client, DEADLINE, End, Finished, Server, Terminal, installed, real, wait_until};
use rustix::process::Signal;

/// A dashboard that is attached to this server and shows it.
#[track_caller]
fn attached(server: &Server, options: &[&str]) -> Terminal {
    let control = server.control();
    let mut arguments = vec!["attach", "--control", control.to_str().unwrap()];
    arguments.extend(options);
    let terminal = Terminal::start(&arguments);
    terminal.wait_for_row(&["chatops", &server.address().to_string()]);
    terminal
}

#[test]
fn the_dashboard_shows_the_server_and_acts_on_the_selected_client() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = ["alice", "bob"].map(|nick| Client::named(&server, nick));
    alice.lines_until_now();
    let mut terminal = attached(&server, &[]);
    terminal.wait_for_row(&["alice", "<-> open"]);
    terminal.wait_for_row(&["accept", "#2", "from"]);
    bob.answer("/listen");
    bob.shutdown_write();
    terminal.wait_for_row(&["bob", "--> eof"]);
    terminal.select("bob");
    terminal.keys("\r");
    terminal.wait_for_row(&["read 0: peer sent FIN"]);
    terminal.keys("\x1b");
    // Esc and a key that follows at once are Alt and that key.
    terminal.wait_for("the detail is closed", |screen| !screen.contains("read 0: peer sent FIN"));
    terminal.verb("status");
    terminal.wait_for_row(&["status: up", "2 clients, 2 accepted"]);
    terminal.keys("x");
    terminal.wait_for("the dialog", |screen| screen.contains("Kick #2"));
    terminal.answer("y");
    let (lines, end) = bob.lines_to_end(DEADLINE);
    assert_eq!((lines.last().map(String::as_str), end), (Some("-- kicked by the operator"), End::Fin));
    alice.expect("HH:MM #lobby <-- bob (kicked)");
    terminal.wait_for_row(&["op", "#2 bob", "kick"]);
    terminal.verb("kick nobody-else");
    terminal.wait_for_text("nobody here is nobody-else");
    alice.expect_nothing();
}

#[test]
fn leaving_the_dashboard_leaves_the_server_running() {
    for end in ["q", "\x03", "SIGTERM", "SIGINT"] {
        let mut server = Server::start(&[]);
        let mut alice = Client::named(&server, "alice");
        let mut terminal = attached(&server, &[]);
        match end {
            "SIGTERM" => terminal.signal(Signal::TERM),
            "SIGINT" => terminal.signal(Signal::INT),
            keys => terminal.keys(keys),
        }
        assert_eq!(terminal.exit(DEADLINE), 0, "{end:?}");
        terminal.wait_until_restored();
        assert_eq!(terminal.text().trim(), "chatops: left; the server goes on", "{end:?}");
        alice.expect_nothing();
        server.assert_alive();
    }
}

#[test]
fn a_lost_terminal_ends_it_and_nothing_else() {
    let mut server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let mut terminal = attached(&server, &[]);
    terminal.hang_up();
    assert_eq!(terminal.exit(DEADLINE), 0);
    alice.expect_nothing();
    server.assert_alive();
}

#[test]
fn it_ends_with_the_server_and_can_end_it() {
    let mut server = Server::start(&[]);
    let mut terminal = attached(&server, &[]);
    terminal.verb("stop");
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
    assert_eq!(terminal.exit(DEADLINE), 0);
    terminal.wait_until_restored();
    assert_eq!(terminal.text().trim(), "chatops: the server has ended");
}

#[test]
fn read_only_has_no_verbs() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let mut terminal = attached(&server, &["--read-only"]);
    terminal.wait_for_row(&["alice", "<-> open"]);
    terminal.keys("x");
    terminal.wait_for_row(&["! read-only: no kick from here"]);
    terminal.verb("rooms");
    terminal.wait_for_row(&["rooms: #lobby 1"]);
    alice.expect_nothing();
    terminal.keys("q");
    assert_eq!(terminal.exit(DEADLINE), 0);
}

#[test]
fn several_watch_at_once_and_see_what_the_others_do() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let [mut first, second] = [(); 2].map(|()| attached(&server, &[]));
    first.verb("mute alice");
    second.wait_for_row(&["alice", "muted"]);
    second.wait_for_row(&["op", "#1 alice", "mute"]);
    assert!(alice.refused("hello").contains("muted"));
    // On one connection: `ctl` opens two, one after the other, and the first may still be counted.
    let mut control = UnixStream::connect(server.control()).unwrap();
    let mut answers = BufReader::new(control.try_clone().unwrap());
    wait_until(DEADLINE, "both are operators", || {
        let mut status = String::new();
        control.write_all(b"status\n").and_then(|()| answers.read_line(&mut status)).unwrap();
        status.contains("\"operators\":3")
    });
}

#[test]
fn what_keeps_it_from_a_server_is_said() {
    Finished::run(&["attach"]).assert_refused(&["no terminal here", "chatops ctl"]);
    let mut terminal = Terminal::start(&["attach", "--control", "/nonexistent/chatops.sock"]);
    assert_eq!(terminal.exit(DEADLINE), 2);
    terminal.wait_for_text("no server answers on /nonexistent/chatops.sock");
    let mut terminal = Terminal::start(&["attach"]);
    assert_eq!(terminal.exit(DEADLINE), 2);
    terminal.wait_for_text("no chatops runs here");
}

#[test]
fn signals_end_it_with_the_terminal_given_back_or_not_at_all() {
    let server = Server::start(&[]);
    let mut terminal = attached(&server, &[]);
    for signal in [Signal::USR1, Signal::USR2, Signal::XCPU, Signal::XFSZ] {
        terminal.signal(signal);
    }
    terminal.keys("2");
    terminal.wait_for_text("[2 Traffic]");
    for signal in [Signal::QUIT, Signal::ALARM, Signal::ABORT] {
        let mut terminal = attached(&server, &[]);
        terminal.signal(signal);
        terminal.exit(DEADLINE);
        terminal.wait_until_restored();
    }
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_brings_it_back() {
    if !installed(&["bash"]) {
        return;
    }
    let server = Server::start(&[]);
    let control = server.control();
    let mut terminal = Terminal::shell();
    terminal.keys(&format!("{CHATOPS} attach --control {}\r", control.to_str().unwrap()));
    let address = server.address().to_string();
    terminal.wait_for_row(&["chatops", &address, "LIVE"]);
    for stop in ["\x1a", ":half a verb\x1a", "x\x1a"] {
        terminal.keys(stop);
        terminal.wait_until_restored();
        terminal.wait_for_text("Stopped");
        for resume in ["bg\r", "clear; echo the $((40 + 2)) shell\r"] {
            terminal.keys(resume);
        }
        terminal.wait_for_text("the 42 shell");
        assert!(terminal.is_restored());
        terminal.keys("fg\r");
        terminal.wait_for_row(&["chatops", &address]);
        assert!(terminal.on_alternate_screen());
    }
    terminal.keys("\x1b");
    terminal.wait_for("nothing is open", |screen| screen.contains("q quit"));
    terminal.keys("q");
    terminal.wait_until_restored();
    terminal.wait_for_text("the server goes on");
}

/// As under `docker run -it`, where the leaders of the group and of the session have no ids that this process can see.
#[test]
fn in_a_pid_namespace_of_its_own_it_is_drawn_and_survives_ctrl_z() {
    let unshare = ["--pid", "--fork"];
    if !installed(&["unshare"]) {
        return;
    }
    if !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success()) {
        return real::say_skipped("this user may not make a PID namespace");
    }
    let server = Server::start(&[]);
    let control = server.control();
    let attach = [CHATOPS, "attach", "--control", control.to_str().unwrap()];
    let mut terminal = Terminal::run("unshare", &[&unshare[..], &attach].concat(), 30, 100);
    terminal.wait_for_row(&["chatops", &server.address().to_string()]);
    // The first process of a namespace cannot be stopped from within.
    terminal.keys("\x1aq");
    assert_eq!(terminal.exit(DEADLINE), 0);
}

#[test]
fn without_a_shell_to_continue_it_ctrl_z_says_how() {
    let server = Server::start(&[]);
    let mut terminal = attached(&server, &[]);
    terminal.keys("\x1a");
    terminal.wait_until_restored();
    terminal.wait_for_text(&format!("kill -CONT {}", terminal.pid()));
    terminal.signal(Signal::CONT);
    terminal.wait_for_row(&["chatops", &server.address().to_string()]);
    assert!(terminal.on_alternate_screen());
}
