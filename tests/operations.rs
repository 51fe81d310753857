//! Events around a server on a real machine: it is stopped and continued, its files disappear, it gets signals and
//! limits, several servers start at once.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::server::CHATOPS;
use common::{
    AT_ONCE, Client, DEADLINE, Endpoint, Finished, Home, Server, Terminal, installed, let_pass, now, process,
    real, wait_until,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The answer of `ctl --json` with these arguments.
#[track_caller]
fn ctl(server: &Server, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["--json"].into_iter().chain(arguments.iter().copied()).collect();
    let finished = server.ctl(&arguments);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|why| panic!("{why}: {finished:?}"))
}

#[test]
fn a_frozen_server_reports_how_late_it_was() {
    let server = Server::start(&[]);
    let frozen = Duration::from_millis(2_500);
    server.signal(Signal::STOP);
    wait_until(DEADLINE, "it is stopped", || process::is_stopped(server.pid()));
    let_pass(frozen);
    server.signal(Signal::CONT);
    let status = ctl(&server, &["status"]);
    // The server's wait should have ended within a second of the stop.
    let late = Duration::from_micros(status["loop"]["late_max_us"].as_u64().unwrap());
    assert!(late + Duration::from_secs(1) >= frozen, "{late:?}: {status}");
    let events = ctl(&server, &["events"]).to_string();
    assert!(events.contains("the server stood still for"), "{events}");
}

/// The log so far, when it contains `part`.
#[track_caller]
fn logged(server: &Server, part: &str) -> String {
    wait_until(DEADLINE, &format!("the log has {part:?}"), || server.stderr.text().contains(part));
    server.stderr.text()
}

/// How long the file of a socket may be missing.
const RENEWED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_control_socket_whose_file_is_gone_is_replaced() {
    let server = Server::start(&[]);
    let path = server.control();
    let since = now();
    fs::remove_file(&path).unwrap();
    wait_until(RENEWED_WITHIN, "it is there again", || path.exists());
    assert!(since.elapsed() <= RENEWED_WITHIN);
    assert_eq!(ctl(&server, &["status"])["ok"], true);
    logged(&server, "the file of the control socket was gone; it is at unix:");
}

#[test]
fn sigusr1_replaces_missing_socket_files_at_once() {
    let home = Arc::new(Home::new());
    let directory = home.path().join("chat");
    let path = directory.join("chat.sock");
    fs::create_dir(&directory).unwrap();
    let unix = format!("unix:{}", path.display());
    let mut server = Server::in_home(&home, &["127.0.0.1:0", &unix], &[]);
    let mut before = Client::connect_to(&server.endpoints[1]);
    before.greeting();
    assert_eq!(before.answer("/set presence off").len(), 1);
    for with_directories in [false, true] {
        if with_directories {
            fs::remove_dir_all(&directory).unwrap();
            fs::remove_dir_all(home.runtime_dir()).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
            fs::remove_file(server.control()).unwrap();
        }
        server.signal(Signal::USR1);
        wait_until(AT_ONCE, "both are there again", || path.exists() && server.control().exists());
        Client::connect_to(&server.endpoints[1]).greeting();
        assert_eq!(ctl(&server, &["status"])["ok"], true);
    }
    assert_eq!(before.answer("/ping"), ["-- pong"]);
    assert_eq!(server.stop(), Some(0));
    assert!(!path.exists() && !server.control().exists(), "new files go with the server too");
}

#[test]
fn a_control_socket_without_a_directory_goes_to_the_state_directory() {
    let mut server = Server::start(&[]);
    fs::remove_dir_all(server.home().runtime_dir()).unwrap();
    fs::write(server.home().runtime_dir(), "in the way").unwrap();
    server.signal(Signal::USR1);
    let moved = server.home().path().join("state/chatops").join(server.control().file_name().unwrap());
    wait_until(AT_ONCE, "it is in the state directory", || moved.exists());
    assert_eq!(ctl(&server, &["status"])["ok"], true);
    assert_eq!(server.stop(), Some(0));
    assert!(!moved.exists());
}

#[test]
fn a_control_socket_whose_path_is_too_long_is_refused_with_its_length() {
    let path = format!("/tmp/{}.sock", "x".repeat(120));
    let length = format!("has {} bytes, but the path of a socket has at most 107", path.len());
    let option = format!("control.path={path}");
    Finished::run(&["serve", "-l", "127.0.0.1:0", "-o", &option]).assert_refused(&[&path, &length]);
    Finished::run(&["ctl", "--control", &path, "status"]).assert_refused(&[&path, &length]);
}

#[test]
fn the_socket_file_of_another_server_is_kept() {
    let home = Arc::new(Home::new());
    let path = home.path().join("chat.sock");
    let unix = format!("unix:{}", path.display());
    let mut server = Server::in_home(&home, &["127.0.0.1:0", &unix], &[]);
    fs::remove_file(&path).unwrap();
    let mut other = Server::in_home(&home, &["127.0.0.1:0", &unix], &[]);
    server.signal(Signal::USR1);
    logged(&server, "the file of a listener is gone and cannot be made again: a server answers there");
    assert_eq!(server.stop(), Some(0));
    Client::connect_to(&other.endpoints[1]).greeting();
    assert_eq!(other.stop(), Some(0));
}

#[test]
fn of_two_starts_on_one_stale_socket_one_server_is_reachable() {
    if !installed(&["strace"]) {
        return;
    }
    let home = Arc::new(Home::new());
    let path = home.path().join("chat.sock");
    drop(UnixListener::bind(&path).unwrap());
    // The first server is delayed between checking the file and removing it.
    let unix = format!("unix:{}", path.display());
    let calls = home.path().join("calls");
    let inject = "inject=unlink,unlinkat:delay_enter=800000";
    let arguments = ["-f", "-qq", "-o", calls.to_str().unwrap(), "-e", "trace=unlink,unlinkat", "-e", inject];
    let start = |program: &str, before: &[&str]| {
        let mut command = Command::new(program);
        command.args(before).args(["serve", "-l", &unix, "-o", "control.path=off"]);
        command.envs(home.environment()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Started(command.spawn().expect("it can be started"))
    };
    let traced: Vec<&str> = arguments.iter().copied().chain([CHATOPS]).collect();
    let mut slow = start("strace", &traced);
    let looked = || fs::read_to_string(&calls).unwrap_or_default().contains("chat.sock");
    wait_until(DEADLINE, "it has found the file to be stale, or may not be traced", || {
        looked() || slow.exit_code().is_some()
    });
    let mut quick = start(CHATOPS, &[]);
    wait_until(DEADLINE, "one of them gives up", || {
        slow.exit_code().is_some() || quick.exit_code().is_some()
    });
    let lost = if slow.exit_code().is_some() { &mut slow } else { &mut quick };
    let said = std::io::read_to_string(lost.0.stderr.take().unwrap()).unwrap();
    if said.contains("Operation not permitted") {
        return real::say_skipped("strace may not trace here");
    }
    assert_eq!(lost.exit_code(), Some(2), "{said}");
    assert!(said.contains("in use by another chatops"), "{said}");
    Client::connect_to(&Endpoint::Unix(path)).greeting();
}

/// A child process; dropping it ends the child and its own children, which may be traced.
struct Started(Child);

impl Started {
    fn exit_code(&mut self) -> Option<i32> {
        self.0.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        for pid in fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            let pid = pid.parse().ok().and_then(Pid::from_raw).expect("process ids are positive");
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_live_server_is_found_among_hundreds_of_stale_sockets() {
    let server = Server::start(&[]);
    for number in 0..300 {
        drop(UnixListener::bind(server.home().runtime_dir().join(format!("chatops-1{number:04}.sock"))));
    }
    assert_eq!(ctl(&server, &["status"])["pid"], server.pid());
}

#[test]
fn a_unix_listener_has_the_mode_of_the_configuration_whatever_the_umask() {
    let home = Arc::new(Home::new());
    let listen = |name: &str, mode: &str| {
        format!("{{ address = \"unix:{}\"{mode} }}", home.path().join(name).display())
    };
    let listeners = [listen("open", ""), listen("team", ", mode = \"0660\"")].join(", ");
    let _server = Server::in_home(&home, &[], &[&format!("listen=[{listeners}]")]);
    let mode = |name: &str| fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
    wait_until(DEADLINE, "both are there", || home.path().join("team").exists());
    assert_eq!((mode("open"), mode("team")), (0o666, 0o660));
    Finished::run(&["serve", "-o", "listen=[{ address = \"unix:/x\", mode = \"rw\" }]"])
        .assert_refused(&["listen.mode", "octal digits"]);
}

#[test]
fn an_address_in_use_is_refused_with_a_command_that_finds_its_owner() {
    let home = Home::new();
    let path = home.path().join("other.sock");
    let _other = UnixListener::bind(&path).unwrap();
    Finished::run(&["serve", "-l", &format!("unix:{}", path.display())])
        .assert_refused(&[&format!("`ss -lxp src {}`", path.display())]);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    Finished::run(&["serve", "-l", &address.to_string()])
        .assert_refused(&[&format!("`ss -ltnp sport = :{}`", address.port())]);
}

#[test]
fn a_relative_home_is_not_used() {
    let home = Home::new();
    let relative = |arguments: &[&str]| {
        let mut command = Command::new(CHATOPS);
        command.args(arguments).env_clear().env("HOME", "relative-home").current_dir(home.path());
        let ended = command.stdin(Stdio::null()).output().expect("it can be started");
        String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()
    };
    let places = relative(&["config", "path"]);
    assert!(places.contains("/etc/chatops/config.toml") && !places.contains("relative-home"), "{places}");
    let looked = relative(&["ctl", "status"]);
    assert!(!looked.contains("relative-home") && !home.path().join("relative-home").exists(), "{looked}");
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo is there").success());
}

#[test]
fn a_pipe_without_a_writer_as_configuration_is_refused() {
    let home = Home::new();
    let pipe = home.path().join("pipe");
    make_pipe(&pipe);
    let path = pipe.to_str().unwrap();
    for arguments in [&["serve", "-c", path][..], &["serve", "-o", &format!("server.motd_file={path}")]] {
        let since = now();
        Finished::run_in(&home, arguments).assert_refused(&[path, "within 5 s"]);
        assert!(since.elapsed() >= Duration::from_secs(4), "a writer may take a moment");
    }
}

#[test]
fn a_reload_refuses_what_it_cannot_read_again_and_changes_nothing() {
    let from_pipe = Server::configured_by_a_pipe("server.motd = 'first'");
    Client::connect(&from_pipe).expect("-- first");
    for _ in 0..8 {
        let refused = from_pipe.ctl(&["reload"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("/dev/fd/") && refused.stderr.contains("cannot be read twice"),
            "{refused:?}"
        );
    }
    Client::connect(&from_pipe).expect("-- first");

    let home = Arc::new(Home::new());
    let file = home.path().join("config/chatops/config.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "server.motd = 'first'").unwrap();
    let server = Server::in_home(&home, &["127.0.0.1:0"], &[]);
    fs::remove_file(&file).unwrap();
    let gone = server.ctl(&["reload"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.stderr.contains("config.toml: was read before and is gone"), "{gone:?}");
    Client::connect(&server).expect("-- first");
    fs::write(&file, "server.motd = 'second'").unwrap();
    assert_eq!(server.ctl(&["reload"]).stdout, "changed: server.motd\n");
    Client::connect(&server).expect("-- second");
}

#[test]
fn a_background_job_is_refused_with_a_remedy() {
    if !installed(&["script", "bash"]) {
        return;
    }
    let home = Home::new();
    let job = format!("{CHATOPS} & wait $!; echo \"exit $?\"");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("bash -mc '{job}'"), "/dev/null"]);
    command.envs(home.environment()).env("TERM", "xterm").stdin(Stdio::null());
    let said = String::from_utf8_lossy(&command.output().expect("script is there").stdout).into_owned();
    assert!(
        said.contains("a background job has no terminal to draw on") && said.contains("exit 2"),
        "{said}"
    );
}

#[test]
fn signals_of_shells_and_limits_do_not_end_the_server() {
    let mut server = Server::start(&[]);
    let mut alice = Client::named(&server, "alice");
    for signal in [Signal::PIPE, Signal::XFSZ, Signal::XCPU, Signal::USR1, Signal::USR2] {
        server.signal(signal);
    }
    assert_eq!(alice.answer("/ping"), ["-- pong"]);
    server.assert_alive();
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_fatal_signal_leaves_no_socket_file() {
    let home = Arc::new(Home::new());
    let path = home.path().join("chat.sock");
    let unix = format!("unix:{}", path.display());
    for signal in [Signal::QUIT, Signal::ALARM, Signal::SYS] {
        let mut server = Server::in_home(&home, &["127.0.0.1:0", &unix], &[]);
        assert!(path.exists() && server.control().exists());
        server.signal(signal);
        assert_eq!(server.exit(DEADLINE).signal(), Some(signal.as_raw()), "the parent sees of what it died");
        assert!(!path.exists() && !server.control().exists(), "{signal:?} leaves a socket behind");
    }
}

#[test]
fn every_end_of_the_dashboard_restores_the_terminal() {
    for signal in [Signal::QUIT, Signal::TERM, Signal::ALARM] {
        let (mut terminal, _) = Terminal::with_dashboard(&[]);
        for harmless in [Signal::XFSZ, Signal::USR1, Signal::USR2] {
            terminal.signal(harmless);
        }
        terminal.verb("rooms");
        terminal.wait_for_row(&["no rooms"]);
        terminal.signal(signal);
        terminal.exit(DEADLINE);
        terminal.wait_until_restored();
    }
}

#[test]
fn clients_get_half_of_few_descriptors_and_the_operator_gets_in() {
    // Files that the parent of the tests left open count as well, and take a few of the smallest number.
    for (count, clients) in [(72, 36), (64, 32), (24, 8)] {
        let server = Server::with_descriptors(count, &[]);
        let mut crowd: Vec<Client> = (0..count).map(|_| Client::connect(&server)).collect();
        for client in &mut crowd[..clients] {
            client.greeting();
        }
        let status = ctl(&server, &["status"]);
        assert!(status["clients"].as_u64() >= Some(clients as u64), "{count}: {status}");
    }
    for count in [16, 23] {
        let limited = format!("ulimit -n {count}; exec {CHATOPS} serve -l 127.0.0.1:0");
        let refused = Command::new("sh").args(["-c", &limited]).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(
            said.contains(&format!("{count} open files are too few")) && said.contains("ulimit -Hn"),
            "{said}"
        );
    }
}

#[test]
fn a_follower_that_reads_nothing_does_not_delay_a_drain() {
    let mut server = Server::start(&["server.drain=\"2m\""]);
    let mut follower = UnixStream::connect(server.control()).unwrap();
    follower.write_all(b"snapshot follow\n").unwrap();
    let mut crowd: Vec<Client> = (0..200).map(|_| Client::connect(&server)).collect();
    for client in &mut crowd {
        client.greeting();
    }
    let is_full = || {
        let queued = rustix::io::ioctl_fionread(&follower).unwrap();
        let_pass(Duration::from_millis(1_500));
        queued > 0 && rustix::io::ioctl_fionread(&follower).unwrap() == queued
    };
    // Each second a snapshot of 200 clients is due: a queue that does not grow for longer is full.
    wait_until(DEADLINE, "the kernel takes nothing more for the follower", is_full);
    drop(crowd);
    server.signal(Signal::TERM);
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
}

#[test]
fn sixteen_idle_operators_do_not_lock_out_another() {
    let server = Server::start(&[]);
    let mut idle: Vec<UnixStream> = (0..16).map(|_| UnixStream::connect(server.control()).unwrap()).collect();
    // A new operator has a moment to send its first request.
    wait_until(DEADLINE, "one of them gives up its place", || server.ctl(&["status"]).code == Some(0));
    let listed = ctl(&server, &["operators"]);
    let rows = listed["operators"].as_array().unwrap();
    // The operators that sent requests, and those that are still closing.
    assert!((1..=2 * 16).contains(&rows.len()), "{listed}");
    assert!(rows[0]["pid"].is_u64() && rows[0]["uid"].is_u64(), "{listed}");
    assert_eq!(ctl(&server, &["status"])["ok"], true);
    let ended = server.ctl(&["disconnect", "16"]);
    assert_eq!(ended.stdout, "disconnected operator 16\n", "{ended:?}");
    // Several connected at the same moment: any of them may be the refused one.
    let is_told = |stream: &mut UnixStream| {
        stream.set_nonblocking(true).unwrap();
        let mut told = String::new();
        BufReader::new(stream).read_line(&mut told).is_ok() && told.contains("it was idle for longest")
    };
    wait_until(DEADLINE, "one is told why it goes", || idle.iter_mut().any(is_told));
}

/// The local time that date(1) prints with this `TZ`, or without `TZ` for `None`.
fn date(zone: Option<&str>) -> String {
    let mut date = Command::new("date");
    date.arg("+%H:%M").env_remove("TZ").envs(zone.map(|zone| ("TZ", zone)));
    String::from_utf8(date.output().expect("date is everywhere").stdout).unwrap().trim().to_owned()
}

#[test]
fn lines_have_the_local_time() {
    let absolute = "/usr/share/zoneinfo/Asia/Kathmandu";
    let zones = [
        "EET-2EEST,M3.4.4/50,M10.4.4/50",
        "<-03>3",
        "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
        "NST3:30:30",
        "EST5EDT",
        "IST-2IDT,J60/-120,J300/167",
        "Asia/Kolkata",
        "posix/Asia/Kolkata",
        "../zoneinfo/Asia/Kolkata",
        ":Europe/Berlin",
        absolute,
        "UTC",
        "",
        ":",
    ];
    // These are no zones, hence UTC. Not tested are rules that POSIX does not allow, of which the C library reads a
    // part; summer time without days of change, which it takes from a file "posixrules" if there is one; and zones
    // below "right", whose leap seconds are left out.
    let others = ["Europe/Nowhere", "asia/kolkata", "garbage", ":garbage", "é", "/etc/passwd"];
    let all = zones.iter().chain(&others).map(|zone| Some(*zone)).chain([None]);
    for zone in all {
        let set = zone.map_or("unset TZ".to_owned(), |zone| format!("export TZ='{zone}'"));
        let server = Server::after(&set, &[]);
        let mut speaker = Client::named(&server, "speaker");
        let mut reader = Client::named(&server, "reader");
        let before = date(zone);
        speaker.send("what time is it");
        let line = std::iter::repeat_with(|| reader.line()).find(|line| line.contains("what time is it"));
        let line = line.expect("there are lines until it comes");
        let after = date(zone);
        assert!([before.as_str(), &after].contains(&&line[..5]), "{zone:?}: {line:?}, date has {before}");
    }
}

#[test]
fn an_unknown_zone_in_tz_causes_one_warning() {
    let unknown = ["Europe/Nowhere", "asia/kolkata", "garbage", "EST5EDT,M3.2.0"].map(|zone| (zone, 1));
    let known =
        ["Europe/London", ":Europe/London", "EET-2EEST,M3.4.4/50,M10.4.4/50", "WET0WEST", "UTC", "", ":"];
    for (zone, warnings) in unknown.into_iter().chain(known.map(|zone| (zone, 0))) {
        let mut server = Server::after(&format!("export TZ='{zone}'"), &[]);
        let mut client = Client::named(&server, "reader");
        assert_eq!(client.answer("/ping"), ["-- pong"]);
        assert_eq!(server.stop(), Some(0));
        let log = server.stderr.wait_for_end(DEADLINE);
        let about: Vec<&str> = log.lines().filter(|line| line.contains("TZ")).collect();
        assert_eq!(about.len(), warnings, "{zone:?}: {log}");
        assert!(about.iter().all(|line| line.contains(" warn ") && line.contains(zone)), "{about:?}");
    }
}
