//! The operator: the real program on a terminal, with real sockets behind it. Sees a client, acts on it, and leaves
//! the terminal as it was found.

mod common;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use common::screen::{address_in, row_with};
use common::server::{CHATOPS, send_signal};
use common::wait::holds_within;
use common::{
    AT_ONCE, Client, DEADLINE, End, Endpoint, Home, Terminal, installed, let_pass, now, process, wait_until,
};
use rustix::process::Signal;

/// The longest that a kicked client is waited for.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// A dashboard with these people connected, in this order: #1, #2 and so on.
fn dashboard_with<const N: usize>(options: &[&str], nicks: [&str; N]) -> (Terminal, SocketAddr, [Client; N]) {
    let (terminal, address) = Terminal::with_dashboard(options);
    let mut clients = nicks.map(|nick| {
        let mut client = Client::connect_to(&Endpoint::Tcp(address));
        client.arrive_as(nick);
        client
    });
    for client in &mut clients {
        client.lines_until_now();
    }
    for nick in nicks {
        terminal.wait_for_row(&[nick, "<-> open"]);
    }
    (terminal, address, clients)
}

/// The server's end of this client's connection, as long as the kernel has it.
fn server_end(address: SocketAddr, client_port: u16) -> Option<process::TcpSocket> {
    process::connections_on(address.port()).into_iter().find(|end| end.remote_port == client_port)
}

#[test]
fn the_dashboard_shows_who_is_there() {
    let (terminal, address, [alice, _bob]) = dashboard_with(&[], ["alice", "bob"]);
    assert!(terminal.on_alternate_screen());
    let header = terminal.wait_for_row(&["ID", "NICK", "STATE", "OUTBOX"]);
    assert!(header.find("ID").unwrap() < header.find("NICK").unwrap(), "{header:?}");
    let row = terminal.wait_for_row(&["alice", &format!("127.0.0.1:{}", alice.local_port())]);
    let place = |part: &str| row.find(part).unwrap_or_else(|| panic!("{part:?} is not in {row:?}"));
    assert!(place("1") < place("alice") && place("<->") < place("open"), "{row:?}");
    terminal.wait_for_row(&["chatops", &address.to_string(), "2 clients"]);
}

#[test]
fn the_state_of_a_row_follows_its_socket() {
    let (terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    alice.answer("/listen");
    alice.shutdown_write();
    terminal.wait_for_row(&["alice", "--> eof"]);
    bob.send("/quit");
    terminal.wait_for_row(&["bob", "-x- gone"]);
}

#[test]
fn a_kick_by_key_asks_names_its_target_and_acts() {
    let (mut terminal, address, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.select("bob");
    for harmless in ["\r", "\x1b", "n"] {
        terminal.keys("x");
        terminal.wait_for("the dialog", |screen| screen.contains("Kick #2"));
        terminal.answer(harmless);
        terminal.wait_for("the dialog is closed", |screen| !screen.contains("Kick #2"));
    }
    bob.expect_nothing();
    terminal.keys("x");
    terminal.wait_for("the dialog again", |screen| screen.contains("Kick #2"));
    terminal.answer("y");
    let port = bob.local_port();
    let (lines, end) = bob.lines_to_end(DEADLINE);
    let last = lines.last().expect("a last line");
    assert!(last.starts_with("-- kicked by the operator"), "{lines:?}");
    assert_eq!(end, End::Fin);
    alice.expect_line("bob's leaving", |line| line.starts_with("HH:MM #lobby <-- bob (kicked"));
    terminal.wait_for_row(&["bob", "-x- "]);
    drop(bob);
    terminal.wait_for_row(&["bob", "-x- gone"]);
    wait_until(DEADLINE, "the socket is gone", || server_end(address, port).is_none());
    alice.expect_nothing();
}

#[test]
fn the_selection_stays_with_its_connection() {
    let (mut terminal, address, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.select("bob");
    terminal.keys("x");
    terminal.wait_for("the dialog", |screen| screen.contains("Kick #2"));
    let mut carol = Client::connect_to(&Endpoint::Tcp(address));
    carol.greeting();
    carol.rename("aaron");
    alice.send("/quit");
    terminal.wait_for_row(&["alice", "gone"]);
    terminal.answer("y");
    let (lines, _) = bob.lines_to_end(DEADLINE);
    assert!(lines.last().unwrap().starts_with("-- kicked by the operator"), "{lines:?}");
    carol.lines_until_now();
    carol.expect_nothing();
}

#[test]
fn a_kick_by_verb_gives_the_reason_to_the_kicked_and_to_the_room() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.verb("kick bob be nice");
    let (lines, end) = bob.lines_to_end(DEADLINE);
    assert_eq!(lines.last().map(String::as_str), Some("-- kicked by the operator: be nice"));
    assert_eq!(end, End::Fin);
    alice.expect("HH:MM #lobby <-- bob (kicked: be nice)");
    alice.expect_nothing();
}

#[test]
fn shutdown_write_sends_fin_and_still_takes_what_comes() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.verb("shutdown 2 write");
    terminal.wait_for_row(&["bob", "<-- wr-shut"]);
    let end = bob.wait_for_end(DEADLINE);
    assert_eq!(end, End::Fin);
    bob.send("you may still hear me");
    alice.expect("HH:MM #lobby <bob> you may still hear me");
    alice.send("but you hear nothing");
    alice.expect_nothing();
}

#[test]
fn shutdown_read_discards_what_comes_and_still_delivers() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.verb("shutdown 2 read");
    terminal.wait_for_row(&["bob", "--> rd-shut"]);
    bob.send("nobody hears this");
    alice.send("you still hear me");
    bob.skip_to("alice's line", |line| line == "HH:MM #lobby <alice> you still hear me");
    alice.expect_nothing();
}

#[test]
fn shutdown_both_ends_when_the_peer_ends() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.verb("shutdown 2 both");
    terminal.wait_for_row(&["bob", "-x- draining"]);
    assert_eq!(bob.wait_for_end(DEADLINE), End::Fin);
    drop(bob);
    terminal.wait_for_row(&["bob", "-x- gone"]);
    alice.expect_line("bob's leaving", |line| line.starts_with("HH:MM #lobby <-- bob ("));
}

#[test]
fn reset_is_immediate() {
    let (mut terminal, address, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    let port = bob.local_port();
    terminal.verb("reset 2");
    assert_eq!(bob.wait_for_end(DEADLINE), End::Reset);
    alice.expect_line("bob's leaving", |line| line.starts_with("HH:MM #lobby <-- bob ("));
    assert_eq!(server_end(address, port), None);
}

#[test]
fn say_reaches_everybody_in_every_room() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    bob.answer("/leave");
    alice.lines_until_now();
    terminal.verb("say back in five minutes");
    alice.expect("HH:MM *** back in five minutes");
    bob.expect("HH:MM *** back in five minutes");
}

#[test]
fn mute_refuses_lines_until_unmute() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.verb("mute bob");
    wait_until(DEADLINE, "bob is muted", || {
        bob.answer("am I heard?").iter().any(|line| line.starts_with("!! "))
    });
    alice.lines_until_now();
    bob.refused("and now?");
    alice.expect_nothing();
    terminal.verb("unmute bob");
    wait_until(DEADLINE, "bob is heard", || bob.answer("and now?").is_empty());
    alice.expect("HH:MM #lobby <bob> and now?");
}

#[test]
fn verbs_that_are_none_are_said_and_harm_nobody() {
    let (mut terminal, _, [mut alice]) = dashboard_with(&[], ["alice"]);
    terminal.keys(":kcik alice\r");
    terminal.wait_for_text("no such verb: kcik");
    terminal.keys("\x1b");
    alice.expect_nothing();
}

#[test]
fn a_kicked_client_that_takes_nothing_leaves_nothing_in_the_kernel() {
    let options = ["flood.enabled=false"];
    let (mut terminal, address, [mut alice, mut bob, stuck]) =
        dashboard_with(&options, ["alice", "bob", "stuck"]);
    let line = "w".repeat(1000);
    for _ in 0..3000 {
        alice.send(&line);
        bob.line();
    }
    let port = stuck.local_port();
    terminal.verb("kick stuck take something");
    let start = now();
    for client in [&mut alice, &mut bob] {
        client.expect("HH:MM #lobby <-- stuck (kicked: take something)");
    }
    wait_until(DEADLINE, "no FIN-WAIT-1 is left", || server_end(address, port).is_none());
    assert!(start.elapsed() < FAREWELL_MAX + AT_ONCE, "took {:?}", start.elapsed());
    alice.expect_nothing();
    drop(stuck);
}

#[test]
fn leaving_with_nobody_connected_ends_at_once() {
    let (mut terminal, _) = Terminal::with_dashboard(&[]);
    terminal.keys("q");
    assert_eq!(terminal.exit(DEADLINE), 0);
    terminal.wait_until_restored();
    expect_summary(&terminal, "0 clients served, 0 lines");
}

/// After the end the terminal has one line of it: `chatops: 02:14:07, 42 clients served, 9,120 lines`.
#[track_caller]
fn expect_summary(terminal: &Terminal, counts: &str) {
    let row = terminal.wait_for_row(&["chatops: ", counts]);
    let uptime = row.trim().strip_prefix("chatops: ").and_then(|rest| rest.split(',').next()).unwrap();
    let digits = |at: usize| uptime.as_bytes()[at].is_ascii_digit();
    assert!(uptime.len() == 8 && digits(0) && digits(4) && digits(7), "{row:?}");
    let rows: Vec<String> =
        terminal.text().lines().map(str::to_owned).filter(|row| !row.is_empty()).collect();
    assert_eq!(rows.len(), 1, "one line stays: {rows:#?}");
}

#[test]
fn quitting_with_people_connected_asks_and_drains() {
    let (mut terminal, _, [mut alice]) = dashboard_with(&[], ["alice"]);
    alice.send("one");
    alice.expect_nothing();
    terminal.keys("q");
    terminal.wait_for("the three choices", |screen| {
        ["l leave", "d drain", "[n] cancel"].iter().all(|choice| screen.contains(choice))
    });
    terminal.answer("n");
    terminal.wait_for("the dialog is closed", |screen| !screen.contains("d drain"));
    alice.expect_nothing();
    terminal.keys("q");
    terminal.wait_for_text("d drain");
    terminal.answer("d");
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert!(!lines.is_empty() && end == End::Fin, "{lines:?}, {end:?}");
    drop(alice);
    assert_eq!(terminal.exit(DEADLINE), 0);
    terminal.wait_until_restored();
    expect_summary(&terminal, "1 client");
}

#[test]
fn quitting_can_leave_the_server_running() {
    let (mut terminal, address, [mut alice]) = dashboard_with(&[], ["alice"]);
    terminal.keys("q");
    terminal.wait_for_text("l leave");
    terminal.answer("l");
    terminal.wait_until_restored();
    let pid = terminal.pid().to_string();
    terminal.wait_for("where it runs and how to end it", |screen| {
        screen.contains(&address.to_string()) && screen.contains(&pid) && screen.contains("Ctrl-C")
    });
    alice.expect_nothing();
    Client::connect_to(&Endpoint::Tcp(address)).greeting();
    terminal.keys("\x03");
    let (lines, _) = alice.lines_to_end(DEADLINE);
    assert!(!lines.is_empty(), "no notice");
    assert_eq!(terminal.exit(DEADLINE), 0);
}

#[test]
fn sigterm_restores_the_terminal_and_ends_cleanly() {
    let (mut terminal, _, [mut alice]) = dashboard_with(&[], ["alice"]);
    terminal.signal(Signal::TERM);
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert!(!lines.is_empty() && end == End::Fin, "{lines:?}, {end:?}");
    drop(alice);
    assert_eq!(terminal.exit(DEADLINE), 0);
    terminal.wait_until_restored();
    expect_summary(&terminal, "1 client");
}

#[test]
fn nothing_but_the_dashboard_writes_to_its_terminal() {
    let (terminal, address, [_alice]) = dashboard_with(&["log.level=debug"], ["alice"]);
    for _ in 0..20 {
        Client::connect_to(&Endpoint::Tcp(address)).greeting();
    }
    let screen = terminal.wait_for("the frame and the table", |screen| {
        screen.lines().next().is_some_and(|row| row.contains("chatops")) && screen.contains("NICK")
    });
    assert!(!screen.contains("listening on"), "{screen}");
}

#[test]
fn a_lost_terminal_drops_nobody_and_burns_nothing() {
    let (mut terminal, address, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.hang_up();
    alice.send("did you feel that?");
    bob.expect("HH:MM #lobby <alice> did you feel that?");
    let mut guest = Client::connect_to(&Endpoint::Tcp(address));
    guest.send("hello");
    guest.lines_until_now();
    drop(guest);
    bob.skip_to("the guest's end", |line| line.contains("<-- guest-3"));
    assert!(process::lives(terminal.pid()));
    let used = process::cpu_time_during(terminal.pid(), Duration::from_secs(2));
    assert!(used <= Duration::from_millis(200), "{used:?} of processor time in 2 s without a terminal");
    alice.lines_until_now();
    bob.send("not at all");
    alice.expect("HH:MM #lobby <bob> not at all");
    terminal.signal(Signal::TERM);
    alice.wait_for_end(DEADLINE);
    bob.wait_for_end(DEADLINE);
    drop((alice, bob));
    assert_eq!(terminal.exit(DEADLINE), 0);
}

#[test]
fn a_lost_terminal_ends_the_server_when_asked_to() {
    let (mut terminal, _, [mut alice]) = dashboard_with(&["server.on_hangup=drain"], ["alice"]);
    terminal.hang_up();
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert!(!lines.is_empty() && end == End::Fin, "{lines:?}, {end:?}");
    drop(alice);
    assert_eq!(terminal.exit(DEADLINE), 0);
}

#[test]
fn a_stalled_terminal_delays_nobody_and_can_still_end() {
    let options = ["flood.enabled=false"];
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&options, ["alice", "bob"]);
    terminal.stall(true);
    // More pictures than the pty holds: the terminal is stuck before the last of these lines.
    for number in 0..300 {
        let start = now();
        alice.send(&format!("line {number}"));
        bob.expect(&format!("HH:MM #lobby <alice> line {number}"));
        assert!(start.elapsed() < AT_ONCE, "line {number} took {:?}", start.elapsed());
        let_pass(Duration::from_millis(10));
    }
    terminal.signal(Signal::TERM);
    alice.wait_for_end(DEADLINE);
    bob.wait_for_end(DEADLINE);
    drop((alice, bob));
    assert_eq!(terminal.exit(DEADLINE), 0);
}

#[test]
fn sizes_of_all_kinds_and_their_changes_do_no_harm() {
    let (terminal, _, [mut alice]) = dashboard_with(&[], ["alice"]);
    for (rows, cols) in [(24, 80), (10, 40), (1, 1), (50, 160), (2, 200), (60, 3), (11, 79), (30, 100)] {
        terminal.resize(rows, cols);
    }
    terminal.wait_for_row(&["alice", "<-> open"]);
    for _ in 0..10 {
        // So fast that the size may seem never to have changed, but the cells are gone.
        terminal.resize(1, 1);
        terminal.resize(30, 100);
        terminal.wait_for_row(&["alice", "<-> open"]);
    }
    alice.expect_nothing();
}

/// A tmux server of its own with one window, which ends with this value.
struct Tmux(Home);

impl Tmux {
    /// Runs this command line of a shell in a window of 100 columns and 30 rows.
    fn start(command: &str) -> Self {
        let tmux = Self(Home::new());
        tmux.command(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", command]);
        tmux
    }

    fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-S", "tmux.sock"]).args(arguments).envs(self.0.environment());
        let output = command.current_dir(self.0.path()).env("TERM", "xterm-256color").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let holds = holds_within(DEADLINE, || {
            screen = self.command(&["capture-pane", "-p"]);
            condition(&screen)
        });
        assert!(holds, "not within {DEADLINE:?}: {what}; the screen is\n{screen}");
        screen
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.command(&["kill-server"]);
    }
}

#[test]
fn in_tmux_the_dashboard_shows_acts_and_leaves() {
    if !installed(&["tmux"]) {
        return;
    }
    let tmux = Tmux::start(&format!("{CHATOPS} -l 127.0.0.1:0; echo ended with $?; exec cat"));
    let screen = tmux.wait_for("the dashboard with its address", |screen| address_in(screen).is_some());
    let mut alice = Client::connect_to(&Endpoint::Tcp(address_in(&screen).unwrap()));
    alice.greeting();
    alice.rename("alice");
    tmux.wait_for("her row", |screen| row_with(screen, &["> ", "alice", "<-> open"]).is_some());
    tmux.command(&["send-keys", "x"]);
    tmux.wait_for("the dialog", |screen| screen.contains("Kick #1 alice"));
    let_pass(Duration::from_millis(120));
    tmux.command(&["send-keys", "y"]);
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert!(lines.last().unwrap().starts_with("-- kicked by the operator"), "{lines:?}");
    assert_eq!(end, End::Fin);
    drop(alice);
    tmux.wait_for("the end of her row", |screen| row_with(screen, &["alice", "-x- gone"]).is_some());
    tmux.command(&["send-keys", "q"]);
    let screen = tmux.wait_for("the end", |screen| screen.contains("ended with 0"));
    let rows: Vec<&str> = screen.lines().filter(|row| !row.is_empty()).collect();
    assert!(rows.len() == 2 && rows[0].starts_with("chatops: 00:00:"), "{screen}");
}

#[test]
fn in_tmux_emoji_leave_nothing_in_other_cells() {
    if !installed(&["tmux"]) {
        return;
    }
    let tmux = Tmux::start(&format!("LC_ALL=C.UTF-8 {CHATOPS} -l 127.0.0.1:0; exec cat"));
    let screen = tmux.wait_for("the dashboard with its address", |screen| address_in(screen).is_some());
    let address = address_in(&screen).unwrap();
    for words in [
        "🇨🇭🇩🇪🇫🇷 flags",
        "👨\u{200d}👩\u{200d}👧\u{200d}👦 family",
        "👋\u{1f3fd} skin",
        "❤\u{fe0f}1\u{fe0f}\u{20e3} signs",
    ] {
        let mut client = Client::connect_to(&Endpoint::Tcp(address));
        client.greeting();
        client.send(&format!("/quit {words}"));
        client.wait_for_end(DEADLINE);
    }
    tmux.command(&["send-keys", "3"]);
    tmux.wait_for("the last event", |screen| screen.contains("signs"));
    // Frozen, so that nothing but the drawing can differ.
    tmux.command(&["send-keys", "Space"]);
    tmux.wait_for("a picture that stands still", |screen| screen.contains("PAUSED"));
    for view in ["1", "2", "3"] {
        tmux.command(&["send-keys", view]);
        tmux.wait_for("the view", |screen| screen.contains(&format!("[{view} ")));
    }
    let rows = |screen: &str| screen.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    let drawn = rows(&tmux.command(&["capture-pane", "-p"]));
    assert!(drawn.iter().any(|row| row.contains("quit: CHDEFR flags")), "{drawn:#?}");
    tmux.command(&["send-keys", "C-l"]);
    tmux.command(&["send-keys", "f"]);
    tmux.wait_for("another category", |screen| screen.contains("[join]"));
    for _ in 0..5 {
        tmux.command(&["send-keys", "f"]);
    }
    tmux.wait_for("all of them again, drawn once more", |screen| screen.contains("[all]"));
    assert_eq!(rows(&tmux.command(&["capture-pane", "-p"])), drawn);
}

#[test]
fn an_idle_dashboard_costs_little() {
    let (terminal, _, [_alice]) = dashboard_with(&[], ["alice"]);
    let used = process::cpu_time_during(terminal.pid(), Duration::from_secs(3));
    assert!(used <= Duration::from_millis(300), "{used:?} of processor time in 3 s of nothing");
}

#[test]
fn keys_that_were_on_their_way_before_a_question_was_drawn_never_answer_it() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.select("bob");
    for paste in ["proxy", "xy", "xyyyyy", "Xy", "uy", "By", "Py", "x\ry"] {
        for piece in [1, 2, paste.len()] {
            for part in paste.as_bytes().chunks(piece) {
                terminal.keys(std::str::from_utf8(part).unwrap());
                let_pass(Duration::from_millis(20));
            }
            let dialog = |screen: &str| screen.contains("[n] no");
            terminal.wait_for("the dialog, or what p has frozen", dialog);
            terminal.answer("n");
            terminal.wait_for("no dialog", |screen| !dialog(screen));
            if paste.starts_with('p') {
                terminal.wait_for_text("PAUSED");
                terminal.keys("p");
                terminal.wait_for("a live picture", |screen| !screen.contains("PAUSED"));
            }
        }
    }
    assert!(!terminal.text().contains("NOT ACCEPTING"));
    alice.expect_nothing();
    bob.expect_nothing();
    bob.answer("/ping still here");
}

#[test]
fn accepting_is_paused_and_resumed_by_a_key_that_asks() {
    let (mut terminal, _, [_alice]) = dashboard_with(&[], ["alice"]);
    for (question, is_paused) in [("Pause accepting?", true), ("Resume accepting?", false)] {
        terminal.keys("P");
        terminal.wait_for_text(question);
        terminal.answer("y");
        terminal.wait_for(question, |screen| screen.contains("NOT ACCEPTING") == is_paused);
    }
}

#[test]
fn bytes_that_come_late_are_no_keys() {
    let (mut terminal, _, [mut alice, mut bob]) = dashboard_with(&[], ["alice", "bob"]);
    terminal.select("alice");
    terminal.keys("\x1b[");
    let_pass(Duration::from_millis(300));
    terminal.keys("B");
    terminal.wait_for_row(&["> ", "bob"]);
    assert!(!terminal.text().contains("Ban "));
    terminal.keys("\x1b[200~hello pro");
    terminal.wait_for_text("has not ended it");
    terminal.keys("xy");
    let_pass(Duration::from_millis(300));
    terminal.keys("xy\x1b[201~");
    terminal.wait_for_text("text is pasted where a line is typed");
    assert!(!terminal.text().contains("Kick "));
    terminal.keys("\x1b[120;1u");
    terminal.wait_for_text("Kick #2");
    terminal.answer("\x1b[27;1;121~");
    let (lines, _) = bob.lines_to_end(DEADLINE);
    assert!(lines.last().unwrap().starts_with("-- kicked by the operator"), "{lines:?}");
    alice.expect_line("bob's leaving", |line| line.starts_with("HH:MM #lobby <-- bob (kicked"));
}

#[test]
fn signals_that_are_for_others_leave_the_dashboard_where_it_is() {
    let (mut terminal, _, [mut alice]) = dashboard_with(&[], ["alice"]);
    for signal in [Signal::USR2, Signal::XCPU, Signal::XFSZ] {
        terminal.signal(signal);
    }
    terminal.keys("2");
    terminal.wait_for_text("[2 Traffic]");
    assert!(terminal.on_alternate_screen());
    alice.expect_nothing();
}

#[test]
fn a_server_that_was_stopped_goes_on_in_the_background_and_comes_back() {
    if !installed(&["bash"]) {
        return;
    }
    let mut terminal = Terminal::shell();
    terminal.keys(&format!("{CHATOPS} -l 127.0.0.1:0 -o control.path=off\r"));
    let screen = terminal.wait_for("the dashboard", |screen| address_in(screen).is_some());
    let address = address_in(&screen).unwrap();
    let mut alice = Client::connect_to(&Endpoint::Tcp(address));
    alice.greeting();
    terminal.keys("\x1a");
    terminal.wait_for_text("would stop the server");
    let pid = process::children(terminal.pid())[0];
    for _ in 0..2 {
        send_signal(pid, Signal::TSTP);
        terminal.wait_until_restored();
        terminal.wait_for_text("Stopped");
        terminal.keys("bg\r");
        alice.answer("/ping in the background");
        terminal.keys("clear; echo still the $((40 + 2)) shell\r");
        terminal.wait_for_text("still the 42 shell");
        assert!(terminal.is_restored());
        terminal.keys("fg\r");
        terminal.wait_for("the dashboard is back", |screen| address_in(screen) == Some(address));
        assert!(terminal.on_alternate_screen());
    }
    terminal.keys("2");
    terminal.wait_for_text("[2 Traffic]");
}

#[test]
fn a_terminal_that_cannot_place_its_cursor_gets_a_line_and_no_dashboard() {
    for term in ["dumb", "", "unknown"] {
        for arguments in [&["-l", "127.0.0.1:0"][..], &["attach"]] {
            let mut terminal = Terminal::run_in(CHATOPS, arguments, &[("TERM", term)], 30, 100);
            assert_eq!(terminal.exit(DEADLINE), 2);
            terminal.wait_for_text("cannot show the dashboard");
            assert!(terminal.text().contains(&format!("TERM={term}")), "{}", terminal.text());
            assert!(!terminal.on_alternate_screen());
        }
    }
}

#[test]
fn a_locale_that_is_not_utf_8_gets_ascii() {
    let arguments = ["-l", "127.0.0.1:0"];
    for (variables, is_ascii) in [([("LC_ALL", "C")], true), ([("LC_ALL", "C.UTF-8")], false)] {
        let terminal = Terminal::run_in(CHATOPS, &arguments, &variables, 30, 100);
        let screen = terminal.wait_for_text("LIVE");
        assert_eq!(screen.is_ascii(), is_ascii, "{screen}");
    }
}
