//! Every view and every dialog at four sizes, as text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chatops::config::settings::{ClockFormat, Dashboard};
use chatops::dash::{Access, App};
use chatops::link::Response;
use chatops::model::event::{Event, EventKind};
use chatops::model::snapshot::{AcceptQueue, Nick, Snapshot, Status};
use unicode_width::UnicodeWidthStr;

use crate::fixture::{UPTIME_S, answer, at, id, lines, mono, now, press, row, snapshot, status, watching_at};

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (100, 30), (160, 50)];

/// Compares with the golden file, or writes it under `CHATOPS_BLESS=1`.
fn check(name: &str, width: u16, height: u16, lines: &[String], failures: &mut String) {
    let path = golden().join(format!("{name}-{width}x{height}.txt"));
    let text = lines.join("\n") + "\n";
    for line in lines {
        assert!(line.width() <= usize::from(width), "{name} {width}x{height} is too wide: {line}");
    }
    if std::env::var_os("CHATOPS_BLESS").is_some() {
        std::fs::create_dir_all(golden()).unwrap();
        return std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    if golden != text {
        writeln!(failures, "\n{}", path.display()).unwrap();
        diff(&golden, &text, failures);
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn diff(golden: &str, drawn: &str, out: &mut String) {
    let (mut golden, mut drawn) = (golden.lines(), drawn.lines());
    for at in 1.. {
        match (golden.next(), drawn.next()) {
            (None, None) => break,
            (was, is) if was == is => {}
            (was, is) => {
                writeln!(out, "{at:>3} - {}\n    + {}", was.unwrap_or(""), is.unwrap_or("")).unwrap();
            }
        }
    }
}

/// Draws the dashboard in the state that `arrange` makes, at every size.
fn screens(name: &str, settings: &Dashboard, arrange: fn(&mut App)) {
    let mut failures = String::new();
    for (width, height) in SIZES {
        let mut app = watching_at(settings, width, height);
        arrange(&mut app);
        let lines = lines(&mut app, width, height);
        check(name, width, height, &lines, &mut failures);
    }
    assert!(failures.is_empty(), "screens differ; CHATOPS_BLESS=1 writes them anew{failures}");
}

fn screen(name: &str, arrange: fn(&mut App)) {
    screens(name, &mono(), arrange);
}

#[test]
fn clients() {
    screen("clients", |_| {});
}

#[test]
fn clients_in_ascii() {
    screens("clients-ascii", &Dashboard { ascii: true, ..mono() }, |_| {});
}

#[test]
fn clients_with_raw_numbers() {
    screen("clients-raw", |app| press(app, "b"));
}

#[test]
fn clients_filtered_and_marked() {
    screen("clients-filtered", |app| press(app, "/-guest outbox<100k<Enter>mjm"));
}

#[test]
fn clients_paused() {
    screen("clients-paused", |app| press(app, " "));
}

#[test]
fn clients_with_a_selected_one_gone() {
    screen("clients-gone", |app| press(app, "/dave<Enter><Esc>x"));
}

#[test]
fn clients_that_nothing_matches() {
    screen("clients-no-match", |app| press(app, "/nick:nobody<Enter>"));
}

#[test]
fn a_ban_asks() {
    screen("dialog-ban", |app| press(app, ":ban 10.0.0.0/8 for 10m too loud<Enter>"));
}

#[test]
fn nobody_yet() {
    screen("clients-nobody", |app| {
        let empty = Status { clients: 0, half_closed: 0, slow: 0, outbox_bytes: 0, ..status() };
        let empty = Snapshot { rows: Vec::new(), status: empty, ..snapshot() };
        let response = answer(app, empty);
        app.handle_response(response, now());
    });
}

#[test]
fn nothing_seen_yet() {
    screen("clients-unseen", |app| *app = App::new(&mono(), false, Access::Own).unwrap());
}

#[test]
fn detail() {
    screen("detail", |app| press(app, "<Enter>"));
}

#[test]
fn detail_of_a_telnet_client() {
    screen("detail-telnet", |app| press(app, "/zoe<Enter><Enter>"));
}

#[test]
fn traffic() {
    screen("traffic", |app| press(app, "2"));
}

#[test]
fn events() {
    screen("events", |app| press(app, "3"));
}

#[test]
fn events_of_a_category_looked_back() {
    screen("events-part", |app| press(app, "3ffk"));
}

#[test]
fn events_by_age() {
    screens("events-age", &Dashboard { clock: ClockFormat::Age, ..mono() }, |app| press(app, "3"));
}

#[test]
fn events_that_were_too_many() {
    screen("events-missed", |app| {
        let missed = |(seq, ago, kind)| Event { seq, at: at(UPTIME_S - ago), kind };
        let nick = |name| Some(Nick::of_anybody(name).unwrap());
        let events = [
            (324, 1, EventKind::Missed { events: 312 }),
            (325, 1, EventKind::Eof { id: id(5), nick: nick("zoe"), unsent: 0 }),
            (326, 0, EventKind::Skipped { id: id(17), nick: nick("mallory"), lines: 14 }),
        ];
        let events = events.map(missed).to_vec();
        app.handle_response(Response::Snapshot(Box::new(Snapshot { events, ..snapshot() })), now());
        press(app, "3fff");
    });
}

#[test]
fn help() {
    screen("help", |app| press(app, "?"));
}

#[test]
fn help_to_its_end() {
    screen("help-end", |app| press(app, "?G"));
}

#[test]
fn filter_under_way() {
    screen("filter", |app| press(app, "/nick:gue state:op"));
}

#[test]
fn an_invalid_filter() {
    screen("filter-wrong", |app| press(app, "/outbox>much"));
}

#[test]
fn command() {
    screen("command", |app| press(app, ":kick m"));
}

#[test]
fn command_completed() {
    screen("command-completed", |app| press(app, ":kick <Tab><Tab>"));
}

#[test]
fn an_invalid_command() {
    screen("command-wrong", |app| press(app, ":kcik 7<Enter>"));
}

#[test]
fn kick() {
    screen("kick", |app| press(app, "x"));
}

#[test]
fn kick_with_a_reason_under_way() {
    screen("kick-reason", |app| press(app, "xrtoo loud"));
}

#[test]
fn kick_with_a_reason() {
    screen("kick-reasoned", |app| press(app, "xrtoo loud<Enter>"));
}

#[test]
fn kick_of_many() {
    screen("kick-many", |app| press(app, "mjmjmx"));
}

#[test]
fn kick_of_very_many() {
    screen("kick-crowd", |app| {
        press(app, "g");
        for _ in 0..20 {
            press(app, "mj");
        }
        press(app, "x");
    });
}

#[test]
fn kick_sent() {
    screen("kick-sent", |app| press(app, "xy"));
}

#[test]
fn shutdown() {
    screen("shutdown", |app| press(app, "w"));
}

#[test]
fn shutdown_of_a_direction() {
    screen("shutdown-write", |app| press(app, "ww"));
}

#[test]
fn reset() {
    screen("reset", |app| press(app, "X"));
}

#[test]
fn mute() {
    screen("mute", |app| press(app, "u"));
}

#[test]
fn say() {
    screen("say", |app| press(app, "iback in five minutes"));
}

#[test]
fn pause_accepting() {
    screen("pause-accepting", |app| press(app, "P"));
}

#[test]
fn an_accept_queue_that_nobody_empties() {
    screen("accept-queue", |app| {
        let queues = vec![
            Some(AcceptQueue { length: 5, limit: 16 }),
            None,
            Some(AcceptQueue { length: 900, limit: 1_024 }),
            Some(AcceptQueue { length: 12, limit: 16 }),
        ];
        let crowded = Status { paused: true, accept_queues: queues, ..status() };
        let response = answer(app, Snapshot { status: crowded, ..snapshot() });
        app.handle_response(response, now());
        press(app, "2");
    });
}

#[test]
fn quit() {
    screen("quit", |app| press(app, "q"));
}

#[test]
fn export() {
    screen("export", |app| press(app, "e"));
}

#[test]
fn stop() {
    screen("stop", |app| press(app, ":stop<Enter>"));
}

#[test]
fn names_and_ids_as_long_as_they_can_be() {
    screen("clients-long", |app| {
        let mut long = snapshot();
        let peer = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";
        long.rows.push(row(9_876_543, "abcdefghijklmnopqrstuvwx", peer));
        long.rows.retain(|row| row.id == id(17) || row.id.get() > 40);
        let response = answer(app, long);
        app.handle_response(response, now());
        press(app, "G");
    });
}
