//! The control socket and `chatops ctl`, from outside: what scripts send and read, what a person sees, and who has
//! the socket.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::server::CHATOPS;
use common::{
    Client, DEADLINE, End, Endpoint, Finished, Home, NO_FLOOD_LIMIT, RealClient, Server, Terminal, installed,
    people, real, wait_until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// An operator on a plain socket, who reads only when told to.
struct Operator {
    stream: UnixStream,
    inbox: Vec<u8>,
}

impl Operator {
    #[track_caller]
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server listens");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, inbox: Vec::new() }
    }

    #[track_caller]
    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server takes requests");
    }

    /// Takes at most so many bytes, of those that there are.
    #[track_caller]
    fn take(&mut self, count: usize) -> usize {
        let mut chunk = vec![0; count];
        let taken = self.stream.read(&mut chunk).expect("something comes in time");
        self.inbox.extend_from_slice(&chunk[..taken]);
        taken
    }

    /// The next answer.
    #[track_caller]
    fn answer(&mut self) -> Value {
        loop {
            if let Some(end) = self.inbox.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.inbox.drain(..=end).collect();
                return serde_json::from_slice(&line).expect("an answer is JSON");
            }
            assert!(self.take(65_536) > 0, "the connection ends before the answer does");
        }
    }

    #[track_caller]
    fn ask(&mut self, request: &str) -> Value {
        self.send(&format!("{request}\n"));
        self.answer()
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// The one line of JSON that a successful `ctl --json` prints.
#[track_caller]
fn parsed(finished: &Finished) -> Value {
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(0), 1), "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap_or_else(|why| panic!("{why}: {finished:?}"))
}

#[test]
fn a_pipe_into_nc_is_answered_and_ends() {
    if !installed(&["nc"]) {
        return;
    }
    let server = Server::start(&[]);
    let path = server.control();
    let mut nc = RealClient::spawn("nc", &["-N", "-U", path.to_str().unwrap()]);
    nc.send_all("status\nconnections\nkcik\n\nrooms");
    assert!(nc.exit(DEADLINE).success());
    let lines: Vec<Value> =
        nc.stdout.wait_for_end(DEADLINE).lines().map(|line| line.parse().unwrap()).collect();
    let oks: Vec<bool> = lines.iter().map(|line| line["ok"].as_bool().unwrap()).collect();
    assert_eq!(oks, [true, true, false, false, true], "{lines:?}");
    assert_eq!(lines[0]["pid"], json!(server.pid()));
    assert_eq!(lines[0]["listeners"], json!([format!("{} (lines)", server.address())]));
    assert!(
        lines[0]["rss_bytes"].as_u64() > Some(100_000) && lines[0]["fds"].as_u64() > Some(5),
        "{lines:?}"
    );
    assert!(lines[2]["error"].as_str().unwrap().contains("no such verb: kcik"), "{lines:?}");
}

#[test]
fn rows_tell_what_the_kernel_knows() {
    let server = Server::start(&[]);
    let [alice, _bob] = people(&server, ["alice", "bob"]);
    let mut operator = Operator::connect(&server.control());
    let answer = operator.ask("connections");
    let rows = answer["connections"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| &row["nick"]).collect::<Vec<_>>(), ["alice", "bob"]);
    assert_eq!(rows[0]["peer"], json!(format!("127.0.0.1:{}", alice.local_port())));
    for field in ["recv_q", "send_q", "rtt_us"] {
        assert!(rows[0][field].is_u64(), "{field} in {}", rows[0]);
    }
    assert!(rows[0]["rtt_us"].as_u64() > Some(0), "{}", rows[0]);
}

#[test]
fn of_a_unix_socket_there_is_no_round_trip_time() {
    let home = Arc::new(Home::new());
    let path = home.path().join("chat.sock");
    let server = Server::in_home(&home, &[&format!("unix:{}", path.display())], &[]);
    Client::connect(&server).greeting();
    let mut client = Client::connect(&server);
    client.greeting();
    let name = format!("chatops-pid-{}.sock", server.pid());
    let answer = Operator::connect(&home.runtime_dir().join(name)).ask("connection 2");
    assert_eq!((&answer["ok"], &answer["peer"]), (&json!(true), &json!("unix")));
    assert!(answer["send_q"].is_u64() && answer.get("rtt_us").is_none(), "{answer}");
    assert_eq!(parsed(&server.ctl(&["--json", "status"]))["clients"], json!(1));
}

#[test]
fn ctl_prints_tables_for_people() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    alice.answer("/topic deploys at noon");
    bob.send("/quit so long");
    bob.wait_for_end(DEADLINE);
    drop(bob);
    wait_until(DEADLINE, "bob is gone", || server.ctl(&["closed"]).stdout.contains("bob"));

    let status = server.ctl(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    for part in [&format!("listening  {} (lines)", server.address()), "clients    1: 0 half-closed, 0 slow"] {
        assert!(status.stdout.contains(part), "{part:?} is not in {status:?}");
    }
    let connections = server.ctl(&["connections"]).stdout;
    let lines: Vec<&str> = connections.lines().collect();
    assert_eq!(lines.len(), 2, "{connections}");
    assert!(lines[0].starts_with("ID  NICK"), "{connections}");
    let row: Vec<&str> = lines[1].split_whitespace().collect();
    let peer = format!("127.0.0.1:{}", alice.local_port());
    assert_eq!(row[..5], ["1", "alice", &peer, "<->", "open"], "{connections}");
    for title in ["NICK", "STATE"] {
        let (at, word) = (lines[0].find(title).unwrap(), if title == "NICK" { "alice" } else { "<-> open" });
        assert_eq!(lines[1].find(word), Some(at), "{title} is not above its cells: {connections}");
    }
    let closed = server.ctl(&["closed"]).stdout;
    assert!(closed.contains("-x- gone") && closed.trim_end().ends_with("quit: so long"), "{closed}");
    assert_eq!(server.ctl(&["rooms"]).stdout, "ROOM    MEMBERS  TOPIC\n#lobby        1  deploys at noon\n");
    let alone = server.ctl(&["connection", "alice"]).stdout;
    let facts: Vec<Vec<&str>> = alone.lines().map(|line| line.split_whitespace().collect()).collect();
    for fact in [&["state", "<->", "open"][..], &["rooms", "#lobby"], &["nick", "alice"]] {
        assert!(facts.iter().any(|known| known == fact), "{fact:?} is not in {alone}");
    }
    assert!(alone.trim_end().ends_with("connected"), "its life comes last: {alone}");
}

#[test]
fn what_stands_behind_the_verb_of_ctl_is_no_option() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let mut dashes = Client::named(&server, "--help");
    alice.forget();
    let said = server.ctl(&["say", "-hi", "--json", "there"]);
    assert_eq!(said.stdout, "told 2 people\n", "{said:?}");
    alice.skip_to("the word", |line| line.ends_with(" *** -hi --json there"));
    let kicked = server.ctl(&["kick", "--help", "-h"]);
    assert_eq!(kicked.code, Some(0), "{kicked:?}");
    dashes.skip_to("the reason", |line| line == "-- kicked by the operator: -h");
    let wrong = server.ctl(&["status", "--verbose"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("if --verbose is an option, it stands before the verb"), "{wrong:?}");
}

#[test]
fn ctl_json_is_the_answer_as_it_came() {
    let server = Server::start(&[]);
    let _alice = Client::named(&server, "alice");
    let rooms = server.ctl(&["--json", "rooms"]);
    assert_eq!(rooms.stdout, "{\"ok\":true,\"rooms\":[{\"name\":\"lobby\",\"members\":1}]}\n");
    assert_eq!(server.ctl(&["rooms", "--json"]).stdout, rooms.stdout);
    assert_eq!(server.ctl(&["connection", "alice", "--json"]).code, Some(0));
    let refused = server.ctl(&["--json", "kick", "nobody"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(refused.stdout, "{\"ok\":false,\"error\":\"nobody here is nobody\"}\n");
}

#[test]
fn a_kick_by_id_and_one_by_nick() {
    let server = Server::start(&[]);
    let [mut alice, mut bob, mut carol] = people(&server, ["alice", "bob", "carol"]);
    let kicked = server.ctl(&["kick", "#2", "be", "nice"]);
    assert_eq!((kicked.code, kicked.stdout.as_str()), (Some(0), "kicked #2 bob\n"), "{kicked:?}");
    let (lines, end) = bob.lines_to_end(DEADLINE);
    assert_eq!(lines, ["-- kicked by the operator: be nice"]);
    assert_eq!(end, End::Fin);
    alice.expect("HH:MM #lobby <-- bob (kicked: be nice)");
    drop(bob);
    assert_eq!(server.ctl(&["kick", "CAROL"]).code, Some(0));
    let (lines, _) = carol.lines_to_end(DEADLINE);
    assert_eq!(lines.last().unwrap(), "-- kicked by the operator");
    wait_until(DEADLINE, "bob is gone", || {
        parsed(&server.ctl(&["--json", "closed"]))["closed"][0]["reason"] == "kicked: be nice"
    });
    let again = server.ctl(&["kick", "2"]);
    assert_eq!(again.code, Some(1));
    assert_eq!(again.stderr, "chatops: #2 is gone already\n");
}

#[test]
fn the_other_verbs_do_what_they_say() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    assert_eq!(server.ctl(&["say", "lunch", "is", "ready"]).stdout, "told 2 people\n");
    alice.expect("HH:MM *** lunch is ready");
    bob.expect("HH:MM *** lunch is ready");
    server.ctl(&["mute", "alice", "for", "300ms"]);
    assert!(alice.refused("hello").contains("muted"));
    wait_until(DEADLINE, "the mute is over", || {
        parsed(&server.ctl(&["--json", "connection", "alice"]))["flags"] == json!([])
    });
    assert_eq!(server.ctl(&["shutdown", "bob", "read"]).code, Some(0));
    let row = parsed(&server.ctl(&["--json", "connection", "bob"]));
    assert_eq!([&row["state"], &row["read"], &row["write"]], ["rd-shut", "shut", "open"]);
    assert_eq!(server.ctl(&["reset", "bob"]).code, Some(0));
    assert_eq!(bob.wait_for_end(DEADLINE), End::Reset);

    assert_eq!(server.ctl(&["pause"]).code, Some(0));
    let status = parsed(&server.ctl(&["--json", "status"]));
    assert_eq!(status["paused"], json!(true));
    assert_eq!(server.ctl(&["resume"]).code, Some(0));
    Client::named(&server, "carol");
}

#[test]
fn a_ban_ends_whom_it_hits_and_keeps_them_out() {
    let server = Server::start(&[]);
    let [mut alice, mut bob, _carol] = people(&server, ["alice", "bob", "carol"]);
    let preview = parsed(&server.ctl(&["--json", "ban", "BOB", "preview"]));
    assert_eq!(preview["hits"], json!([2]));
    let banned = server.ctl(&["ban", "bob", "too", "loud"]);
    assert_eq!(banned.stdout, "banned bob, ended 1 client: #2 bob\n", "{banned:?}");
    let (lines, end) = bob.lines_to_end(DEADLINE);
    assert_eq!((lines, end), (vec!["-- banned by the operator: too loud".to_owned()], End::Fin));
    alice.expect("HH:MM #lobby <-- bob (banned: too loud)");
    assert!(alice.refused("/nick bob").contains("banned"));

    let refused = server.ctl(&["ban", "127.0.0.0/8"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("it would end 2 of "), "{refused:?}");
    assert_eq!(server.ctl(&["ban", "127.0.0.0/8", "for", "1h", "force"]).code, Some(0));
    assert_eq!(alice.lines_to_end(DEADLINE).0, ["-- banned by the operator for 1h"]);
    let (lines, end) = Client::connect(&server).lines_to_end(DEADLINE);
    assert!(lines.len() == 1 && lines[0].starts_with("!! you are banned for another 59 m"), "{lines:?}");
    assert_eq!(end, End::Fin);
    let listed = server.ctl(&["bans"]).stdout;
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["WHAT", "LEFT", "AGE", "REFUSED", "REASON"]);
    assert_eq!((rows[1][0], &rows[1][3..]), ("bob", &["0", "too", "loud"][..]));
    assert_eq!((rows[2][0], rows[2][3]), ("127.0.0.0/8", "1"));
    assert_eq!(server.ctl(&["unban", "127.0.0.0/8"]).stdout, "unbanned 127.0.0.0/8\n");
    Client::named(&server, "dave");
    server.ctl(&["unban", "bob"]);
    assert_eq!(server.ctl(&["bans"]).stdout, "nobody is banned\n");
}

#[test]
fn an_order_of_a_script_that_does_not_wait_for_the_answer_is_carried_out() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    alice.lines_until_now();
    let mut script = Operator::connect(&server.control());
    script.send("connections\nsay backup has begun\n");
    drop(script);
    alice.expect("HH:MM *** backup has begun");
}

#[test]
fn events_and_snapshots_are_followed_until_somebody_has_seen_enough() {
    let server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let control = server.control();
    let control = control.to_str().unwrap();
    let mut follow = Command::new(CHATOPS)
        .args(["ctl", "--control", control, "events", "follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |part: &str| lines.find(|line| line.contains(part)).unwrap();
    assert!(next("accept").contains("#1"));
    assert!(next("nick").contains("was guest-1"));
    server.ctl(&["mute", "alice"]);
    assert!(next("mute alice").ends_with("muted #1 alice"), "it is told as it happens");
    drop(lines);
    server.ctl(&["unmute", "alice"]);
    assert!(follow.wait().unwrap().success(), "nobody reads on");

    let snapshot = parsed(&server.ctl(&["--json", "snapshot"]));
    assert_eq!(snapshot["status"]["clients"], json!(1));
    assert_eq!(snapshot["connections"][0]["nick"], json!("alice"));
    let shown = server.ctl(&["snapshot"]).stdout;
    assert!(shown.contains("clients") && shown.contains("<-> open"), "{shown}");
    alice.expect_nothing();
}

/// Writes the configuration of the user of this home.
fn configure(home: &Home, text: &str) {
    let directory = home.path().join("config/chatops");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), text).unwrap();
}

#[test]
fn a_reload_takes_what_it_can_and_says_what_it_cannot() {
    let home = Arc::new(Home::new());
    configure(&home, "server.motd = 'old'\n");
    let server = Server::in_home(&home, &["127.0.0.1:0"], &["limits.rooms=9"]);
    let mut alice = Client::connect(&server);
    alice.expect("-- old");
    assert_eq!(server.ctl(&["reload"]).stdout, "nothing changed\n");
    configure(
        &home,
        "server.motd = 'new'\nlimits.rooms = 7\nlimits.clients = 2\ncontrol.path = 'off'\nlisten = [{}]\n",
    );
    let answer = parsed(&server.ctl(&["--json", "reload"]));
    assert_eq!(answer["applied"], json!(["server.motd", "limits.clients"]), "{answer}");
    assert_eq!(answer["needs_restart"], json!(["control.path"]), "{answer}");
    Client::connect(&server).expect("-- new");
    wait_until(DEADLINE, "only alice is left", || {
        parsed(&server.ctl(&["--json", "status"]))["clients"] == json!(1)
    });
    let mut bob = Client::named(&server, "bob");
    bob.lines_until_now();
    let (lines, _) = Client::connect(&server).lines_to_end(DEADLINE);
    assert_eq!(lines, ["!! the server is full; try again later"]);

    configure(&home, "limits.clients = 3\nlimits.clents = 4\n");
    let refused = server.ctl(&["reload"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("config.toml:2:") && refused.stderr.contains("clents"), "{refused:?}");
    let (lines, _) = Client::connect(&server).lines_to_end(DEADLINE);
    assert_eq!(lines.len(), 1, "a mistake changes nothing: {lines:?}");

    configure(&home, "limits.clients = 30\nflood.patience = '9m'\n");
    server.signal(Signal::HUP);
    server.stderr.wait_for("what came of it", |log| log.contains("limits.clients, flood.patience"));
    Client::named(&server, "carol");
    bob.expect_line("carol", |line| line.contains("-->"));
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_holds_up_nobody() {
    let home = Arc::new(Home::new());
    configure(&home, "limits.rooms = 7\n");
    let server = Server::in_home(&home, &["127.0.0.1:0"], &[]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let file = home.path().join("config/chatops/config.toml");
    fs::remove_file(&file).unwrap();
    // Whoever opens a pipe for reading waits for somebody who writes.
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    // Without a path ctl would read that file as well.
    let control = server.control();
    let control = control.to_str().unwrap();
    let asking = std::thread::scope(|scope| {
        let asking = scope.spawn(|| server.ctl(&["--control", control, "reload"]));
        alice.send("still here?");
        bob.expect("HH:MM #lobby <alice> still here?");
        assert_eq!(server.ctl(&["--control", control, "rooms"]).code, Some(0), "other operators do not wait");
        asking.join().unwrap()
    });
    assert_eq!(asking.code, Some(1));
    assert!(asking.stderr.contains("takes too long"), "{asking:?}");
    fs::remove_file(&file).unwrap();
    configure(&home, "limits.rooms = 8\n");
    assert_eq!(server.ctl(&["reload"]).stdout, "changed: limits.rooms\n");
}

#[test]
fn malformed_verbs_are_wrong_usage_and_need_no_server() {
    for (arguments, told) in [
        (&["ctl", "kcik", "7"][..], "no such verb: kcik"),
        (&["ctl", "kick"], "expected: kick WHO [REASON]"),
        (&["ctl", "shutdown", "7"], "expected: shutdown WHO read|write|both"),
        (&["ctl", "status", "now"], "status takes no argument"),
        (&["ctl", "say", "two\nlines"], "a request is one line"),
        (&["ctl"], "VERB"),
    ] {
        Finished::run(arguments).assert_refused(&[told]);
    }
}

#[test]
fn without_control_the_only_server_is_meant_or_all_are_listed() {
    let home = Arc::new(Home::new());
    let nobody = Finished::run_in(&home, &["ctl", "status"]);
    nobody.assert_refused(&["no chatops runs here", home.runtime_dir().to_str().unwrap(), "--control"]);
    assert_eq!(nobody.stderr.lines().count(), 1);

    let mut first = Server::in_home(&home, &["127.0.0.1:0"], &[]);
    // What a server leaves behind that was killed.
    drop(UnixListener::bind(home.runtime_dir().join("chatops-1.sock")).unwrap());
    assert_eq!(parsed(&first.ctl(&["--json", "status"]))["pid"], json!(first.pid()));

    let second = Server::in_home(&home, &["127.0.0.1:0"], &[]);
    let [one, two] = [first.control(), second.control()].map(|path| path.to_str().unwrap().to_owned());
    let both = first.ctl(&["status"]);
    both.assert_refused(&["2 servers run here", &one, &two]);
    assert!(!both.stderr.contains("chatops-1.sock"), "{both:?}");
    assert_eq!(parsed(&first.ctl(&["--control", &two, "--json", "status"]))["pid"], json!(second.pid()));
    first.stop();
    assert_eq!(parsed(&second.ctl(&["--json", "status"]))["pid"], json!(second.pid()));
}

#[test]
fn who_is_not_there_or_goes_is_told_apart() {
    let home = Home::new();
    let path = home.path().join("c.sock");
    let named = path.to_str().unwrap();
    Finished::run_in(&home, &["ctl", "--control", named, "status"])
        .assert_refused(&["no server answers on", named]);
    let listener = UnixListener::bind(&path).unwrap();
    Finished::run_in(&home, &["ctl", "--control", "/", "status"]).assert_refused(&["no server answers on /"]);
    let server = std::thread::spawn(move || drop(listener.accept()));
    let lost = Finished::run_in(&home, &["ctl", "--control", named, "status"]);
    server.join().unwrap();
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(lost.stderr.contains("went away before it answered"), "{lost:?}");
}

#[test]
fn the_socket_is_its_owners_alone_whatever_the_umask_and_goes_with_its_server() {
    for umask in ["000", "077", "277"] {
        let mut server = Server::after(&format!("umask {umask}"), &[]);
        let path = server.control();
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
        assert_eq!(mode(&path), 0o600, "umask {umask}");
        assert_eq!(server.ctl(&["status"]).code, Some(0), "umask {umask}");
        assert_eq!(server.stop(), Some(0));
        assert!(!path.exists(), "umask {umask}");
    }
}

#[test]
fn other_users_are_told_that_it_is_not_theirs() {
    // Getting past the mode of the socket takes root, who can then be somebody else.
    if !rustix::process::geteuid().is_root() {
        return real::say_skipped("only root can be another user");
    }
    if !installed(&["nc", "setpriv"]) {
        return;
    }
    let server = Server::start(&[]);
    let path = server.control();
    let asks = |path: &str| {
        let somebody = ["--reuid", "65534", "--clear-groups", "nc", "-N", "-U", path];
        let mut nc = RealClient::spawn("setpriv", &somebody);
        nc.send_all("");
        nc.exit(DEADLINE);
        nc.stdout.wait_for_end(DEADLINE)
    };
    for directory in [server.home().path(), &server.home().runtime_dir()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert_eq!(asks(path.to_str().unwrap()), "", "its mode keeps others out");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let told: Value = asks(path.to_str().unwrap()).parse().unwrap();
    assert_eq!(told["ok"], json!(false));
    assert!(told["error"].as_str().unwrap().contains("runs as user 0"), "{told}");
    assert_eq!(server.ctl(&["status"]).code, Some(0));
}

#[test]
fn a_stale_socket_is_replaced_a_live_one_and_what_is_none_are_refused() {
    let home = Arc::new(Home::new());
    let path = home.path().join("c.sock");
    let option = format!("control.path={}", path.display());
    drop(UnixListener::bind(&path).unwrap());
    let server = Server::in_home(&home, &["127.0.0.1:0"], &[&option]);
    assert_eq!(mode(&path), 0o600);
    assert!(!server.control().exists());
    assert_eq!(Operator::connect(&path).ask("status")["pid"], json!(server.pid()));
    let refused = Finished::run_in(&home, &["serve", "-l", "127.0.0.1:0", "-o", &option]);
    refused.assert_refused(&["no control socket at", path.to_str().unwrap(), "a server answers there"]);
    assert_eq!(Operator::connect(&path).ask("status")["pid"], json!(server.pid()), "it is unharmed");

    let file = home.path().join("precious");
    fs::write(&file, "data").unwrap();
    let option = format!("control.path={}", file.display());
    Finished::run_in(&home, &["serve", "-l", "127.0.0.1:0", "-o", &option]).assert_refused(&["is no socket"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
}

#[test]
fn a_configured_path_is_found_without_being_named() {
    let home = Arc::new(Home::new());
    fs::create_dir_all(home.path().join("config/chatops")).unwrap();
    let config = home.path().join("config/chatops/config.toml");
    fs::write(&config, "[control]\npath = \"here.sock\"\n").unwrap();
    let server = Server::in_home(&home, &["127.0.0.1:0"], &[]);
    assert!(home.path().join("config/chatops/here.sock").exists(), "relative to the file it stands in");
    assert_eq!(parsed(&server.ctl(&["--json", "status"]))["pid"], json!(server.pid()));
}

#[test]
fn a_configuration_that_is_broken_by_now_does_not_keep_the_operator_out() {
    let server = Server::start(&[]);
    let named = Finished::run_in(server.home(), &["-o", "nonsense=1", "ctl", "status"]);
    named.assert_refused(&["nonsense"]);
    let config = server.home().path().join("config/chatops");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), "[control\n").unwrap();
    assert_eq!(server.ctl(&["status"]).code, Some(0));
}

#[test]
fn off_means_none() {
    let server = Server::start(&["control.path=off"]);
    assert!(!server.control().exists());
    server.ctl(&["status"]).assert_refused(&["no chatops runs here"]);
}

#[test]
fn without_a_runtime_directory_it_is_in_a_private_one_of_the_state_directory() {
    let home = Arc::new(Home::new());
    fs::remove_dir(home.runtime_dir()).unwrap();
    let server = Server::in_home(&home, &["127.0.0.1:0"], &[]);
    let directory = home.path().join("state/chatops");
    assert_eq!(mode(&directory), 0o700);
    assert!(directory.join(format!("chatops-{}.sock", server.port())).exists());
    assert_eq!(server.ctl(&["status"]).code, Some(0));
}

#[test]
fn without_any_place_for_it_the_chat_goes_on_and_says_so() {
    let home = Arc::new(Home::new());
    fs::remove_dir(home.runtime_dir()).unwrap();
    fs::write(home.path().join("state"), "no directory").unwrap();
    let server = Server::in_home(&home, &["127.0.0.1:0"], &[]);
    server.stderr.wait_for_text("no control socket");
    Client::connect(&server).greeting();
}

#[test]
fn an_address_in_use_names_the_control_socket_of_who_has_it() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let path = server.control();
    let refused = Finished::run_in(server.home(), &["serve", "-l", &address]);
    refused.assert_refused(&[
        &address,
        "another chatops",
        path.to_str().unwrap(),
        "chatops attach --control",
    ]);
    let elsewhere = Finished::run(&["serve", "-l", &address]);
    elsewhere.assert_refused(&[&address, "another chatops"]);
    assert!(!elsewhere.stderr.contains("control socket"), "another user's is none of ours: {elsewhere:?}");
    assert_eq!(server.ctl(&["pause"]).code, Some(0));
    Finished::run_in(server.home(), &["serve", "-l", &address]).assert_refused(&[path.to_str().unwrap()]);
}

#[test]
fn thousands_of_rows_come_whole_while_the_chat_goes_on() {
    const CROWD: usize = 2_200;
    let server = Server::start(&[NO_FLOOD_LIMIT, "rooms.presence_max=0"]);
    let [mut alice, mut bob] = people(&server, ["alice", "bob"]);
    let crowd: Vec<Client> = (0..CROWD).map(|_| Client::connect(&server)).collect();
    wait_until(DEADLINE, "all are accepted", || {
        parsed(&server.ctl(&["--json", "status"]))["clients"] == json!(CROWD + 2)
    });
    alice.lines_until_now();
    let mut slow = Operator::connect(&server.control());
    slow.send("connections\n");
    assert!(slow.take(1_000) > 0, "it has begun");
    // Nobody waits for the operator who does not read.
    for number in 0..50 {
        alice.send(&format!("line {number}"));
        bob.skip_to("the line", |line| line == format!("HH:MM #lobby <alice> line {number}"));
    }
    let whole = parsed(&server.ctl(&["--json", "connections"]));
    let ids: Vec<u64> =
        whole["connections"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=CROWD as u64 + 2).collect::<Vec<_>>());
    assert!(whole["connections"].as_array().unwrap().iter().all(|row| row["rtt_us"].is_u64()));
    assert_eq!(server.ctl(&["kick", "alice"]).code, Some(0));
    alice.lines_to_end(DEADLINE);
    drop(alice);
    wait_until(DEADLINE, "alice is gone", || {
        server.ctl(&["connections"]).stdout.lines().count() == CROWD + 2
    });
    while slow.inbox.last() != Some(&b'\n') {
        assert!(slow.take(7_000) > 0, "it ends before it is whole");
    }
    let answer = slow.answer();
    let rows = answer["connections"].as_array().unwrap();
    assert_eq!(rows.len(), CROWD + 2, "alice's row was made before she was gone");
    assert_eq!(slow.ask("status")["clients"], json!(CROWD + 1));
    drop(crowd);
}

#[test]
fn there_is_room_for_sixteen_operators() {
    let server = Server::start(&["limits.clients=2"]);
    let path = server.control();
    let mut operators: Vec<Operator> = (0..16).map(|_| Operator::connect(&path)).collect();
    for operator in &mut operators {
        assert_eq!(operator.ask("status")["ok"], json!(true));
    }
    let late = server.ctl(&["status"]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("16 operators are here already"), "{late:?}");
    let _clients = people(&server, ["alice", "bob"]);
    assert_eq!(operators[15].ask("status")["clients"], json!(2), "operators are no clients");
    operators.pop();
    wait_until(DEADLINE, "there is room again", || server.ctl(&["status"]).code == Some(0));
}

#[test]
fn an_operator_is_let_in_when_the_server_is_full_or_paused() {
    let server = Server::start(&["limits.clients=1"]);
    let _alice = Client::named(&server, "alice");
    assert_eq!(server.ctl(&["pause"]).code, Some(0));
    assert_eq!(server.ctl(&["resume"]).code, Some(0));
    assert_eq!(parsed(&server.ctl(&["--json", "status"]))["refused"], json!(0));
}

#[test]
fn who_waits_to_be_accepted_is_counted() {
    let home = Arc::new(Home::new());
    let unix = format!("unix:{}", home.path().join("chat.sock").display());
    let server = Server::in_home(&home, &["127.0.0.1:0", &unix], &[]);
    server.ctl(&["pause"]);
    let _waiting: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    let status = || parsed(&server.ctl(&["--json", "status"]));
    wait_until(DEADLINE, "three are in the queue", || status()["accept_queues"][0]["length"] == json!(3));
    let status = status();
    let [tcp, unix] = &status["accept_queues"].as_array().unwrap()[..] else { panic!("{status}") };
    assert_eq!(tcp["listener"], status["listeners"][0]);
    // The system cuts what is asked for to net.core.somaxconn, which may be less on an older one.
    assert!(tcp["limit"].as_u64().is_some_and(|limit| (128..=1024).contains(&limit)), "{tcp}");
    assert_eq!((&unix["listener"], unix.get("length")), (&status["listeners"][1], None));
    for field in ["machine_accept_overflows", "machine_accept_drops"] {
        assert!(status[field].is_u64(), "{field} in {status}");
    }
    let table = server.ctl(&["status"]).stdout;
    let queue = format!("queue      3 of {}, -; ", tcp["limit"]);
    assert!(table.replace(',', "").contains(&queue.replace(',', "")), "{table}");
    server.ctl(&["resume"]);
    wait_until(DEADLINE, "all are in", || {
        parsed(&server.ctl(&["--json", "status"]))["accept_queues"][0]["length"] == json!(0)
    });
}

#[test]
fn a_server_that_is_told_to_stop_answers_says_goodbye_and_ends() {
    let mut server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    let mut watching = Operator::connect(&server.control());
    watching.ask("status");
    let stopped = server.ctl(&["drain", "3s"]);
    assert_eq!((stopped.code, stopped.stdout.as_str()), (Some(0), "draining 1 client\n"), "{stopped:?}");
    let (lines, end) = alice.lines_to_end(DEADLINE);
    assert_eq!((lines, end), (vec!["HH:MM *** chatops is stopping".to_owned()], End::Fin));
    drop(alice);
    assert_eq!(watching.take(1), 0, "the last who is told is the operator");
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
    assert!(!server.control().exists());
}

#[test]
fn an_operator_who_stays_does_not_hold_up_a_stop() {
    let mut server = Server::start(&[]);
    let _idle = Operator::connect(&server.control());
    server.signal(Signal::TERM);
    assert_eq!(server.exit(Duration::from_secs(2)).code(), Some(0));
}

#[test]
fn verbs_are_logged_and_questions_are_not() {
    let mut server = Server::start(&[]);
    server.ctl(&["say", "hi"]);
    server.ctl(&["status"]);
    server.ctl(&["connections"]);
    server.stop();
    let log = server.stderr.wait_for_end(DEADLINE);
    assert!(log.contains("op say hi: told 0 people"), "{log}");
    assert!(log.contains(server.control().to_str().unwrap()), "{log}");
    assert!(!log.contains("status") && !log.contains("connections"), "{log}");
}

#[test]
fn the_dashboard_answers_questions_on_its_line() {
    let (mut terminal, address) = Terminal::with_dashboard(&[]);
    let mut alice = Client::connect_to(&Endpoint::Tcp(address));
    alice.greeting();
    terminal.verb("rooms");
    terminal.wait_for_row(&["rooms: #lobby 1"]);
    terminal.verb("connection 1");
    terminal.wait_for_row(&["#1 guest-1", "open, idle"]);
}
