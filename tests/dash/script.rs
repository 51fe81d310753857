//! Texts that scripts rely on, and that no information is in colour alone.

use chatops::dash::{Access, App, Effect, QuitChoice};
use chatops::model::snapshot::{Flags, Phase, Row, Snapshot, Status};
use ratatui::style::Color;

use crate::fixture::{answer, draw, id, lines, mono, now, press, row, snapshot, status, verbs, watching_at};

/// A dashboard with one row.
fn one(row: Row) -> App {
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    app.resized(160, 50);
    let response = answer(&app, Snapshot { rows: vec![row], ..snapshot() });
    app.handle_response(response, now());
    app
}

fn table(app: &mut App, width: u16) -> Vec<String> {
    let lines = lines(app, width, 30);
    let head =
        lines.iter().position(|line| line.trim_start().starts_with("ID ")).expect("a table has a head");
    lines[head..].to_vec()
}

#[test]
fn the_head_starts_with_id_and_nick() {
    for width in [40, 60, 80, 100, 140, 200] {
        let mut app = watching_at(&mono(), width, 30);
        let head = table(&mut app, width).remove(0);
        assert_eq!(head.split_whitespace().take(2).collect::<Vec<_>>(), ["ID", "NICK"], "{head}");
    }
}

#[test]
fn a_row_has_its_id_before_its_nick_and_the_arrow_before_the_state() {
    for phase in Phase::ALL {
        let mut app = one(Row { state: phase, ..row(17, "mallory", "203.0.113.9:51822") });
        for width in [40, 80, 100] {
            let row = table(&mut app, width).remove(1);
            let words: Vec<&str> = row.trim_start_matches(['>', '*', 'x']).split_whitespace().collect();
            assert_eq!(words[..2], ["17", "mallory"], "{row}");
            let state = words.iter().position(|word| *word == phase.to_string()).expect("the state is there");
            assert_eq!(words[state - 1], phase.arrow(), "{row}");
        }
    }
}

#[test]
fn exactly_the_selected_row_starts_with_a_sign() {
    let mut app = watching_at(&mono(), 100, 30);
    press(&mut app, "jjj");
    let rows = table(&mut app, 100);
    let selected: Vec<&String> = rows.iter().filter(|row| row.starts_with('>')).collect();
    assert_eq!(selected.len(), 1);
    let number = app.selected().expect("there are rows").get().to_string();
    assert_eq!(selected[0].trim_start_matches('>').split_whitespace().next(), Some(number.as_str()));
}

#[test]
fn the_header_shows_that_the_screen_is_frozen() {
    for (width, height) in [(40, 10), (80, 24), (100, 30)] {
        let mut app = watching_at(&mono(), width, height);
        assert!(!lines(&mut app, width, height)[0].contains("PAUSED"));
        press(&mut app, " ");
        assert!(lines(&mut app, width, height)[0].contains("PAUSED"));
        press(&mut app, "p");
        assert!(!lines(&mut app, width, height)[0].contains("PAUSED"));
    }
}

#[test]
fn a_dialog_names_its_verb_and_target_and_only_y_confirms() {
    for (keys, named, verb) in [
        ("x", "Kick #17", "kick #17"),
        ("xrtoo loud<Enter>", "Kick #17", "kick #17 too loud"),
        ("wr", "Shutdown read #17", "shutdown #17 read"),
        ("ww", "Shutdown write #17", "shutdown #17 write"),
        ("wb", "Shutdown both #17", "shutdown #17 both"),
        ("X", "Reset #17", "reset #17"),
        ("u", "Mute #17", "mute #17"),
        (":kick mallory<Enter>", "Kick #17", "kick #17"),
        (":reset 17<Enter>", "Reset #17", "reset #17"),
        (":shutdown #17 write<Enter>", "Shutdown write #17", "shutdown #17 write"),
    ] {
        let mut app = watching_at(&mono(), 80, 24);
        for harmless in ["<Enter>", "<Esc>", "n"] {
            press(&mut app, keys);
            assert_eq!(app.dialog_targets(), [id(17)], "{keys}");
            assert!(lines(&mut app, 80, 24).iter().any(|line| line.contains(named)), "{keys}");
            press(&mut app, harmless);
            assert!(verbs(&mut app).is_empty(), "{keys} and {harmless}");
            assert!(app.dialog_targets().is_empty(), "{keys} and {harmless}");
        }
        press(&mut app, keys);
        press(&mut app, "y");
        assert_eq!(verbs(&mut app), [verb]);
    }
}

#[test]
fn a_ban_lists_the_connections_it_matches_and_only_y_confirms() {
    for (keys, named, message, verb) in [
        ("B", "Ban 203.0.113.9, ending 1 of 42 clients?", "#17 mallory 203.0.113.9:51822", "ban 203.0.113.9"),
        (
            "Brtoo loud<Enter>",
            "Ban 203.0.113.9, ending 1",
            "with the reason \"too loud\"",
            "ban 203.0.113.9 too loud",
        ),
        ("mjmB", "Ban 2 addresses, ending 2 of 42 clients?", "#23 bob", "ban 203.0.113.9"),
        (
            ":ban MALLORY for 5m loud<Enter>",
            "Ban MALLORY, ending 1 of 42",
            "Nobody may take",
            "ban MALLORY for 5m loud",
        ),
        (":ban 0.0.0.0/0<Enter>", "Ban 0.0.0.0/0, ending", "More than half", "ban 0.0.0.0/0 force"),
        (
            ":ban 192.0.2.99<Enter>",
            "Ban 192.0.2.99, ending nobody?",
            "kept out until unban",
            "ban 192.0.2.99",
        ),
    ] {
        let mut app = watching_at(&mono(), 80, 24);
        for harmless in ["<Enter>", "<Esc>", "n"] {
            press(&mut app, keys);
            let lines = lines(&mut app, 80, 24);
            for expected in [named, message] {
                assert!(lines.iter().any(|line| line.contains(expected)), "{keys}: {expected}\n{lines:#?}");
            }
            press(&mut app, harmless);
            assert!(verbs(&mut app).is_empty(), "{keys} and {harmless}");
            press(&mut app, "Mk");
        }
        press(&mut app, keys);
        press(&mut app, "y");
        assert_eq!(verbs(&mut app)[0], verb);
    }
}

#[test]
fn a_direction_has_to_be_chosen_before_anything_is_shut_down() {
    let mut app = watching_at(&mono(), 80, 24);
    press(&mut app, "wy");
    assert!(verbs(&mut app).is_empty());
    assert_eq!(app.dialog_targets(), [id(17)]);
}

#[test]
fn the_quit_dialog_names_its_choices() {
    for (key, choice) in [("l", QuitChoice::Leave), ("d", QuitChoice::Drain)] {
        for quit in ["q", "<C-c>", ":q<Enter>", "x<C-c>"] {
            let mut app = watching_at(&mono(), 40, 10);
            press(&mut app, quit);
            let screen = lines(&mut app, 40, 10).join("\n");
            for named in ["[n] cancel", "l leave running", "d drain"] {
                assert!(screen.contains(named), "{screen}");
            }
            press(&mut app, "<Enter>");
            press(&mut app, "q");
            press(&mut app, "<Esc>");
            press(&mut app, "q");
            press(&mut app, "n");
            assert!(app.take_effects().is_empty());
            press(&mut app, quit);
            press(&mut app, key);
            let effects = app.take_effects();
            assert!(matches!(effects.as_slice(), [Effect::Quit(quit)] if *quit == choice), "{effects:?}");
        }
    }
}

#[test]
fn without_clients_quitting_needs_no_confirmation() {
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    let empty = Snapshot { rows: Vec::new(), status: Status { clients: 0, ..status() }, ..snapshot() };
    let response = answer(&app, empty);
    app.handle_response(response, now());
    press(&mut app, "q");
    assert!(matches!(app.take_effects().as_slice(), [Effect::Quit(QuitChoice::Drain)]));
}

/// The text of the row without its id, nick and peer.
fn message(row: Row) -> String {
    let mut app = one(row);
    table(&mut app, 160).remove(1)
}

#[test]
fn every_state_differs_in_text_alone() {
    let plain = || row(17, "mallory", "203.0.113.9:51822");
    let states = Phase::ALL.map(|state| message(Row { state, ..plain() }));
    let flags = [
        Flags::FLOW,
        Flags::SLOW,
        Flags::STALLED,
        Flags::MUTED,
        Flags::TELNET,
        Flags::LISTEN,
        Flags::OP,
        Flags::HALF,
    ];
    let flags = flags.map(|flags| message(Row { flags, ..plain() }));
    let loads = [60_000, 130_000, 250_000].map(|outbox_bytes| message(Row { outbox_bytes, ..plain() }));
    let all: Vec<&String> = states.iter().chain(&flags).chain(&loads).collect();
    for (at, text) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            assert_ne!(text, other);
        }
    }
}

#[test]
fn without_colour_there_is_none_on_any_screen() {
    for keys in ["", "2", "3", "?", "x", "mjmx", "/outbox>much", ":kcik<Enter>", " ", "q"] {
        let mut app = watching_at(&mono(), 100, 30);
        press(&mut app, keys);
        for cell in draw(&mut app, 100, 30).content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "after {keys:?}");
        }
    }
}

#[test]
fn ascii_screens_are_ascii() {
    let settings = chatops::config::settings::Dashboard { ascii: true, ..mono() };
    for keys in ["", "2", "3", "?", "x", "mjmx", "<Enter>", " ", "/nick:", ":kick <Tab>", "b", "s", "S"] {
        let mut app = watching_at(&settings, 100, 30);
        press(&mut app, keys);
        for line in lines(&mut app, 100, 30) {
            assert!(line.is_ascii(), "after {keys:?}: {line}");
        }
    }
}

#[test]
fn destructive_keys_ask_and_harmless_typed_verbs_do_not() {
    for (keys, named, verb) in [
        ("R", "Reload the configuration?", "reload"),
        ("P", "Pause accepting?", "pause"),
        (":pause<Enter>", "Pause accepting?", "pause"),
        ("/spammer<Enter>u", "Unmute #26", "unmute #26"),
    ] {
        let mut app = watching_at(&mono(), 80, 24);
        press(&mut app, keys);
        assert!(lines(&mut app, 80, 24).iter().any(|line| line.contains(named)), "{keys}");
        assert!(verbs(&mut app).is_empty(), "{keys}");
        press(&mut app, "y");
        assert_eq!(verbs(&mut app), [verb]);
    }
    let mut app = watching_at(&mono(), 80, 24);
    press(&mut app, ":reload<Enter>:resume<Enter>:unmute 26<Enter>");
    assert_eq!(verbs(&mut app), ["reload", "resume", "unmute #26"]);
}

#[test]
fn while_accepting_is_paused_every_header_says_so_and_the_key_resumes_it() {
    for width in [40, 60, 80, 100, 200] {
        let mut app = App::new(&mono(), false, Access::Own).unwrap();
        app.resized(width, 24);
        let response = answer(&app, Snapshot { status: Status { paused: true, ..status() }, ..snapshot() });
        app.handle_response(response, now());
        assert!(lines(&mut app, width, 24)[0].contains("NOT ACCEPTING"), "{width}");
        press(&mut app, "P");
        assert!(lines(&mut app, width, 24).iter().any(|line| line.contains("Resume accepting?")));
        press(&mut app, "y");
        assert_eq!(verbs(&mut app), ["resume"]);
    }
}
