//! Keys and the mouse: the selection is a connection; marks, filters, the frozen snapshot, the `:` line.

use chatops::config::settings::Dashboard;
use chatops::dash::{Access, App, Effect};
use chatops::link::{LinkError, Request, Response};
use chatops::model::snapshot::{CloseReason, ConnId, Phase, Row, Snapshot};
use chatops::term::input::{Decoder, Input};
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::fixture::{
    answer, at, at_ms, id, lines, mono, now, press, row, rows, snapshot, verbs, watching_at,
};

fn watching() -> App {
    watching_at(&mono(), 100, 30)
}

fn feed(app: &mut App, rows: Vec<Row>) {
    let response = answer(app, Snapshot { rows, ..snapshot() });
    app.handle_response(response, now());
}

fn screen(app: &mut App) -> String {
    lines(app, 100, 30).join("\n")
}

/// The ids of the rows in sight, from above.
fn ids(app: &App) -> Vec<u64> {
    app.query().visible.into_iter().map(ConnId::get).collect()
}

#[test]
fn the_selection_is_a_connection_not_a_row() {
    let mut app = watching();
    press(&mut app, "jj");
    assert_eq!(app.selected(), Some(id(8)));
    for keys in ["s", "S", "s", "G", "/e"] {
        let before = app.selected();
        press(&mut app, keys);
        if keys != "G" {
            assert_eq!(app.selected(), before, "after {keys}");
        }
    }
    press(&mut app, "<Esc>");
    let selected = app.selected();
    let mut more = rows();
    more.retain(|row| row.id.get() % 3 != 0 || Some(row.id) == selected);
    more.push(Row { outbox_bytes: 260_000, ..row(99, "loud", "192.0.2.1:1") });
    feed(&mut app, more);
    assert_eq!(app.selected(), selected);
}

#[test]
fn a_connection_that_is_gone_stays_selected_and_refuses_verbs() {
    let mut app = watching();
    assert_eq!(app.selected(), Some(id(17)));
    let mut gone = rows();
    for row in &mut gone {
        if row.id == id(17) {
            row.state = Phase::Gone;
            row.reason = Some(CloseReason::ResetByPeer);
        }
    }
    feed(&mut app, gone);
    press(&mut app, "xy");
    assert!(verbs(&mut app).is_empty());
    assert!(screen(&mut app).contains("#17 is gone: connection reset"));
    feed(&mut app, rows().into_iter().filter(|row| row.id != id(17)).collect());
    press(&mut app, "Xy");
    assert!(verbs(&mut app).is_empty());
    assert_eq!(app.selected(), Some(id(17)));
    press(&mut app, "j");
    assert_eq!(app.selected(), Some(id(23)), "the row that came into its place is the first step");
}

#[test]
fn a_dialog_keeps_the_ids_it_was_opened_for() {
    let mut app = watching();
    press(&mut app, "x");
    feed(&mut app, rows().into_iter().filter(|row| row.id != id(23)).collect());
    assert_eq!(app.dialog_targets(), [id(17)]);
    feed(&mut app, rows().into_iter().filter(|row| row.id != id(17)).collect());
    assert_eq!(app.dialog_targets(), [id(17)]);
    press(&mut app, "y");
    assert!(verbs(&mut app).is_empty(), "nobody is hit in its place");
    assert!(screen(&mut app).contains("#17 is gone"));
}

#[test]
fn marked_rows_have_one_dialog_and_one_verb_each() {
    let mut app = watching();
    press(&mut app, "mjmjjm");
    assert_eq!(app.marked(), [id(17), id(23), id(38)]);
    press(&mut app, "x");
    assert_eq!(app.dialog_targets(), [id(17), id(23), id(38)]);
    feed(&mut app, rows().into_iter().filter(|row| row.id != id(23)).collect());
    press(&mut app, "y");
    assert_eq!(verbs(&mut app), ["kick #17", "kick #38"]);
    assert!(app.marked().is_empty());
    press(&mut app, "mM");
    assert!(app.marked().is_empty());
}

#[test]
fn verbs_for_many_targets_are_sent_a_few_at_a_time_and_reach_all() {
    let mut app = watching();
    for _ in 0..40 {
        press(&mut app, "mj");
    }
    let marked = app.marked().len();
    press(&mut app, "Xy");
    let mut sent = 0;
    loop {
        let tickets: Vec<u64> = app
            .take_effects()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Request(Request::Verb { ticket, .. }) => Some(ticket),
                _ => None,
            })
            .collect();
        if tickets.is_empty() {
            break;
        }
        sent += tickets.len();
        for ticket in tickets {
            app.handle_response(Response::Verb { ticket, outcome: Ok("reset".to_owned().into()) }, now());
        }
    }
    assert_eq!(sent, marked);
    assert!(screen(&mut app).contains(&format!("{marked} of {marked} verbs done")));
}

#[test]
fn the_reply_comes_to_the_footer() {
    let mut app = watching();
    press(&mut app, "uy");
    let Some(Effect::Request(Request::Verb { ticket, command })) = app.take_effects().pop() else {
        panic!("a verb goes out");
    };
    assert_eq!(command.to_string(), "mute #17");
    app.handle_response(Response::Verb { ticket, outcome: Err("no such connection".to_owned()) }, now());
    assert!(screen(&mut app).contains("! mute #17: no such connection"));
}

#[test]
fn a_busy_link_is_tried_again() {
    let mut app = watching();
    press(&mut app, "Xy");
    let Some(Effect::Request(request)) = app.take_effects().pop() else { panic!("a verb goes out") };
    app.request_refused(&request, &LinkError::Busy, now());
    assert!(verbs(&mut app).is_empty());
    feed(&mut app, rows());
    assert_eq!(verbs(&mut app), ["reset #17"]);
}

#[test]
fn a_filter_is_live_and_goes_back_with_esc() {
    let mut app = watching();
    press(&mut app, "/state:eof");
    assert_eq!(ids(&app), [23]);
    press(&mut app, "<Enter>");
    assert_eq!(app.selected(), Some(id(23)), "one that is hidden is not aimed at");
    press(&mut app, "/<C-u>outbox>10k -nick:bob<Enter>");
    assert_eq!(ids(&app), [17]);
    press(&mut app, "/<C-u>ip:10.1.2.0/24 /guest-(2|5)$/");
    assert!(ids(&app).is_empty(), "the expression is over the whole row");
    press(&mut app, "<C-u>ip:10.1.2.0/24 /guest-(2|5) /");
    assert_eq!(ids(&app), [2]);
    press(&mut app, "<Esc>");
    assert_eq!(ids(&app), [17]);
    press(&mut app, "<Esc>");
    assert!(ids(&app).len() > 1);
}

#[test]
fn an_unfinished_filter_hides_no_row_and_is_not_applied() {
    let mut app = watching();
    press(&mut app, "/alice outbox>");
    assert_eq!(ids(&app), [8]);
    assert!(screen(&mut app).contains("outbox> what?"));
    press(&mut app, "<Enter>");
    assert!(screen(&mut app).contains("outbox> what?"), "Enter does not take it");
    press(&mut app, "1k<Enter>");
    assert_eq!(ids(&app), [8]);
}

#[test]
fn a_hidden_selection_is_no_target() {
    let mut app = watching();
    press(&mut app, "/outbox>100k<Enter>");
    assert_eq!(app.selected(), Some(id(17)));
    let mut drained = rows();
    for row in &mut drained {
        row.outbox_bytes = 0;
    }
    feed(&mut app, drained);
    press(&mut app, "xy");
    assert!(verbs(&mut app).is_empty());
    assert!(screen(&mut app).contains("#17 is hidden by the filter"));
}

#[test]
fn a_row_that_the_filter_hides_is_not_marked() {
    let mut app = watching();
    press(&mut app, "/outbox>100k<Enter>");
    let mut drained = rows();
    for row in &mut drained {
        row.outbox_bytes = 0;
    }
    feed(&mut app, drained);
    press(&mut app, "m");
    assert!(screen(&mut app).contains("#17 is hidden by the filter"));
    assert!(!screen(&mut app).contains("1 marked"));
}

#[test]
fn verbs_act_on_the_live_snapshot_while_the_screen_is_frozen() {
    let mut app = watching();
    press(&mut app, " ");
    let before = ids(&app);
    feed(&mut app, vec![row(23, "bob", "198.51.100.7:40112")]);
    assert_eq!(ids(&app), before);
    press(&mut app, "xy");
    assert!(verbs(&mut app).is_empty());
    assert!(screen(&mut app).contains("#17 is gone"));
    press(&mut app, "jxy");
    assert_eq!(verbs(&mut app), ["kick #23"]);
    press(&mut app, " ");
    assert_eq!(ids(&app), [23]);
}

#[test]
fn the_command_line_has_completion_history_and_errors() {
    let mut app = watching();
    press(&mut app, ":ki<Tab>mal<Tab>");
    assert!(screen(&mut app).contains(":kick mallory"));
    press(&mut app, "<Enter><Esc>:<Up>");
    assert!(screen(&mut app).contains(":kick mallory"));
    press(&mut app, "<Down><Esc>:shutdown 5 <Tab><Tab>");
    assert!(screen(&mut app).contains(":shutdown 5 write"));
    press(&mut app, "<Esc>:frobnicate<Enter>");
    assert!(screen(&mut app).contains("! no such verb: frobnicate"));
    press(&mut app, ":reset 12<Enter>");
    assert!(screen(&mut app).contains("! #12 is gone: connection reset"));
    press(&mut app, ":say back soon<Enter>");
    press(&mut app, ":mute bob<Enter>y");
    assert_eq!(verbs(&mut app), ["say back soon", "mute #23"]);
    press(&mut app, ":stop<Enter>");
    assert!(verbs(&mut app).is_empty());
    press(&mut app, "y");
    assert_eq!(verbs(&mut app), ["stop"]);
}

/// The server answers the only question of the dashboard.
fn answer_question(app: &mut App, question: &str, outcome: Result<&str, &str>) {
    let requests = app.take_effects();
    let [Effect::Request(Request::Verb { ticket, command })] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(command.to_string(), question);
    let outcome = outcome.map(|said| said.to_owned().into()).map_err(str::to_owned);
    app.handle_response(Response::Verb { ticket: *ticket, outcome }, now());
}

#[test]
fn a_target_newer_than_the_snapshot_is_looked_up() {
    for line in ["kick #44 too loud", "kick newcomer too loud"] {
        let mut app = watching();
        press(&mut app, &format!(":{line}<Enter>"));
        assert!(screen(&mut app).contains("asking the server"));
        let who = line.split(' ').nth(1).unwrap();
        answer_question(&mut app, &format!("connection {who}"), Ok("#44 newcomer, idle 0 s"));
        assert!(app.dialog_targets().is_empty(), "{line}: nobody is seen yet");
        let mut rows = rows();
        rows.push(row(44, "newcomer", "192.0.2.44:1"));
        feed(&mut app, rows);
        assert!(screen(&mut app).contains("Kick #44 newcomer 192.0.2.44:1?"), "{line}");
        press(&mut app, "y");
        assert_eq!(verbs(&mut app), ["kick #44 too loud"]);
    }
}

#[test]
fn a_failed_lookup_shows_the_servers_answer() {
    let mut app = watching();
    press(&mut app, ":reset 99<Enter>");
    answer_question(&mut app, "connection #99", Err("nobody here is #99"));
    assert!(screen(&mut app).contains("! reset #99: nobody here is #99"));
    feed(&mut app, rows());
    assert!(app.dialog_targets().is_empty());
    // The target was connected at the lookup and left before the snapshot.
    press(&mut app, ":kick late<Enter>");
    answer_question(&mut app, "connection late", Ok("#44 late"));
    feed(&mut app, rows());
    assert!(screen(&mut app).contains("! nobody is called late any more"));
}

#[test]
fn a_lookup_opens_no_dialog_over_another_and_the_last_verb_replaces_it() {
    let mut app = watching();
    press(&mut app, ":kick #44<Enter>");
    answer_question(&mut app, "connection #44", Ok("#44"));
    press(&mut app, ":say hello");
    let mut rows = rows();
    rows.push(row(44, "newcomer", "192.0.2.44:1"));
    feed(&mut app, rows);
    assert!(app.dialog_targets().is_empty());
    press(&mut app, "<Esc>");
    assert!(screen(&mut app).contains("! kick #44: give it again, something else is open"));
    let mut read_only = App::new(&mono(), false, Access::ReadOnly).unwrap();
    press(&mut read_only, ":kick #44<Enter>");
    assert!(verbs(&mut read_only).is_empty());
}

#[test]
fn a_typed_verb_that_is_not_destructive_is_sent_at_once() {
    let mut app = watching();
    press(&mut app, ":resume<Enter>:unmute 26<Enter>");
    assert_eq!(verbs(&mut app), ["resume", "unmute #26"]);
    press(&mut app, ":mute bob for 10s<Enter>");
    assert!(screen(&mut app).contains("Mute #23 bob"), "it asks");
    assert_eq!(verbs(&mut app), Vec::<String>::new());
    press(&mut app, "y");
    assert_eq!(verbs(&mut app), ["mute #23 for 10s"]);
}

#[test]
fn a_dialog_shows_its_targets_present_nick_and_offers_nothing_when_it_is_gone() {
    let mut app = watching_at(&mono(), 100, 30);
    press(&mut app, "x");
    assert!(screen(&mut app).contains("Kick #17 mallory "));
    let trudy = row(17, "trudy", "203.0.113.9:51822");
    let renamed = |row: Row| if row.id == trudy.id { trudy.clone() } else { row };
    feed(&mut app, rows().into_iter().map(renamed).collect());
    assert!(screen(&mut app).contains("Kick #17 trudy "));
    feed(&mut app, rows().into_iter().filter(|row| row.id != id(17)).collect());
    let said = screen(&mut app);
    assert!(said.contains("#17 is gone") && !said.contains("y kick"), "{said}");
    press(&mut app, "y");
    assert!(verbs(&mut app).is_empty());
}

#[test]
fn the_selected_connection_is_completed_first() {
    let mut app = watching_at(&mono(), 100, 30);
    press(&mut app, ":kick <Tab>");
    assert!(screen(&mut app).contains(":kick mallory"));
    press(&mut app, "<Esc>:kick #<Tab>");
    assert!(screen(&mut app).contains(":kick #17"));
    press(&mut app, "<Esc>:kick a<Tab>");
    assert!(screen(&mut app).contains(":kick alice"));
}

#[test]
fn read_only_takes_the_verbs_away() {
    let mut app = App::new(&mono(), false, Access::ReadOnly).unwrap();
    app.resized(100, 30);
    feed(&mut app, rows());
    for keys in [
        "xy",
        "wwy",
        "Xy",
        "uy",
        "ihello<Enter>",
        "P",
        "R",
        ":kick 17<Enter>y",
        ":stop<Enter>y",
        ":pause<Enter>",
    ] {
        press(&mut app, keys);
        assert!(screen(&mut app).contains("! read-only: no "), "{keys}");
        press(&mut app, "<Esc>");
    }
    assert!(verbs(&mut app).is_empty());
    press(&mut app, ":connection 17<Enter>");
    assert_eq!(verbs(&mut app), ["connection #17"], "questions change nothing");
}

#[test]
fn keys_can_be_bound_anew() {
    let keys = vec![("k".to_owned(), "kick".to_owned()), ("F5".to_owned(), "sort".to_owned())];
    let mut app = watching_at(&Dashboard { keys, ..mono() }, 100, 30);
    press(&mut app, "ky");
    assert_eq!(verbs(&mut app), ["kick #17"]);
    press(&mut app, "?");
    assert!(screen(&mut app).contains("x k            kick"));
    let wrong = Dashboard { keys: vec![("x".to_owned(), "kcik".to_owned())], ..mono() };
    assert!(App::new(&wrong, false, Access::Own).unwrap_err().to_string().contains("no such action"));
}

fn click(app: &mut App, column: u16, line: u16) {
    let kind = MouseEventKind::Down(MouseButton::Left);
    app.handle_mouse(MouseEvent { kind, column, row: line, modifiers: KeyModifiers::NONE });
}

#[test]
fn the_mouse_selects_sorts_and_turns_views() {
    let mut app = watching();
    click(&mut app, 5, 5);
    assert_eq!(app.selected(), Some(id(8)));
    click(&mut app, 3, 2);
    assert_eq!(ids(&app)[..2], [1, 2]);
    click(&mut app, 3, 2);
    press(&mut app, "g");
    assert_eq!(ids(&app)[..1], [43]);
    click(&mut app, 15, 1);
    assert!(screen(&mut app).contains("[2 Traffic]"));
    click(&mut app, 3, 1);
    let wheel =
        MouseEvent { kind: MouseEventKind::ScrollDown, column: 9, row: 9, modifiers: KeyModifiers::NONE };
    press(&mut app, "g");
    app.handle_mouse(wheel);
    assert_eq!(app.selected(), Some(id(40)));
    press(&mut app, "x");
    click(&mut app, 5, 5);
    assert_eq!(app.dialog_targets(), [id(40)], "a click beside a dialog changes nothing");
}

#[test]
fn rows_are_copied_and_exported_as_shown() {
    let mut app = watching();
    press(&mut app, "c/nick:bob<Enter>ej");
    press(&mut app, "ec");
    let effects = app.take_effects();
    let [
        Effect::Copy { what, text: copied },
        Effect::SaveFile { name, contents },
        Effect::SaveFile { contents: csv, .. },
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    assert_eq!(what, "the row of #17");
    assert!(copied.starts_with("id=17 nick=mallory peer=203.0.113.9:51822"), "{copied}");
    assert_eq!(name, "chatops-clients-120401.json");
    assert!(
        contents.starts_with("[\n{\"id\":23,\"nick\":\"bob\",\"peer\":\"198.51.100.7:40112\","),
        "{contents}"
    );
    assert!(contents.contains("\"flags\":[\"half\"],\"reason\":null,\"terminal\":null,"), "{contents}");
    assert!(contents.ends_with("}\n]\n"), "{contents}");
    assert!(csv.starts_with("id,nick,peer,listener,state,age_s,"), "{csv}");
    assert!(csv.contains("\r\n23,bob,198.51.100.7:40112,127.0.0.1:6677 (lines),eof,"), "{csv}");
}

#[test]
fn enter_on_an_event_selects_its_connection() {
    let mut app = watching();
    press(&mut app, "3kkk<Enter>");
    assert_eq!(app.selected(), Some(id(31)));
    assert!(screen(&mut app).contains("[1 Clients]"));
}

#[test]
fn notices_and_silence_pass_with_time() {
    let mut app = watching();
    press(&mut app, "t");
    let second = now().moment.micros() / 1_000_000;
    assert!(!app.tick(at(second + 1)));
    assert!(app.tick(at(second + 11)), "the notice ends");
    assert!(app.tick(at(second + 12)), "the silence grows");
    press(&mut app, " ");
    feed(&mut app, rows());
    assert!(app.tick(at(second + 13)));
    assert!(!app.tick(at(second + 13)));
}

#[test]
fn a_paste_is_text_where_a_line_is_typed_and_never_a_key() {
    let mut app = watching();
    app.handle_paste("xyq", now());
    assert!(screen(&mut app).contains("text is pasted where a line is typed"));
    press(&mut app, "x");
    app.handle_paste("y", now());
    assert!(verbs(&mut app).is_empty(), "a pasted y answers no question");
    press(&mut app, "<Esc>i");
    app.handle_paste("two\nlines\x1b[31m\n", now());
    press(&mut app, "<Enter>");
    assert_eq!(verbs(&mut app), ["say two lines [31m"]);
    press(&mut app, ":");
    app.handle_paste("say  two \r\n", now());
    press(&mut app, "x");
    assert!(screen(&mut app).contains(":say  two x"), "its spaces stay");
    app.handle_paste("\u{2028}\u{e0041}\u{202e}", now());
    let shown = screen(&mut app);
    assert!(shown.contains("x\u{fffd}\u{fffd}\u{fffd}"), "{shown}");
    assert!(!shown.contains(['\u{2028}', '\u{e0041}', '\u{202e}']));
}

/// Hands in one read of the terminal.
fn read(app: &mut App, decoder: &mut Decoder, bytes: &str, ms: u64) {
    for input in decoder.feed(bytes.as_bytes(), at_ms(ms).moment) {
        match input {
            Input::Key(key, typed) => app.handle_key(key, typed, at_ms(ms)),
            Input::Paste(text) => app.handle_paste(&text, at_ms(ms)),
            other => panic!("{other:?}"),
        }
    }
}

/// The terminal has taken the frame with the open dialog.
fn see(app: &mut App) {
    app.frame_drawn();
    app.frame_taken();
}

#[test]
fn a_key_answers_only_alone_and_after_the_question_was_visible() {
    let fresh = || (watching(), Decoder::default());
    let (mut app, mut decoder) = fresh();
    read(&mut app, &mut decoder, "x", 1_000);
    read(&mut app, &mut decoder, "y", 2_000);
    assert!(verbs(&mut app).is_empty(), "it was not drawn");
    assert_eq!(app.dialog_targets(), [id(17)], "and it stays open");
    app.frame_drawn();
    read(&mut app, &mut decoder, "y", 3_000);
    assert!(verbs(&mut app).is_empty(), "the terminal had not taken it");
    app.frame_taken();
    read(&mut app, &mut decoder, "y\r", 4_000);
    read(&mut app, &mut decoder, "\r", 4_050);
    assert!(verbs(&mut app).is_empty() && !app.dialog_targets().is_empty(), "in a row");
    assert!(screen(&mut app).contains("type the answer alone"), "{}", screen(&mut app));
    read(&mut app, &mut decoder, "y", 4_150);
    assert_eq!(verbs(&mut app), ["kick #17"]);
    for paste in
        ["proxy", "proxyyy\ryy", "Xy", "By", "uy", "Py", "Ry", "qd", "ql", "\x03d", "wwy", "xyxyxy", "ec"]
    {
        for piece in [1, 2, 3, 99] {
            let (mut app, mut decoder) = fresh();
            let letters: Vec<char> = paste.chars().collect();
            for (at, part) in letters.chunks(piece).enumerate() {
                read(&mut app, &mut decoder, &part.iter().collect::<String>(), 1_000 + 20 * at as u64);
                see(&mut app);
            }
            let effects = app.take_effects();
            assert!(effects.is_empty(), "{paste} in pieces of {piece}: {effects:?}");
        }
    }
}

#[test]
fn a_question_that_changes_has_to_be_seen_again() {
    let (mut app, mut decoder) = (watching(), Decoder::default());
    read(&mut app, &mut decoder, "w", 1_000);
    see(&mut app);
    read(&mut app, &mut decoder, "w", 2_000);
    read(&mut app, &mut decoder, "y", 3_000);
    assert!(verbs(&mut app).is_empty());
    see(&mut app);
    read(&mut app, &mut decoder, "y", 4_000);
    assert_eq!(verbs(&mut app), ["shutdown #17 write"]);
}

#[test]
fn alt_with_an_unbound_key_is_esc_and_the_key() {
    let mut app = watching();
    press(&mut app, "<Enter>");
    press(&mut app, "<A-2>");
    assert!(screen(&mut app).contains("[2 Traffic]"));
    press(&mut app, "1:kick <A-x>");
    assert_eq!(app.dialog_targets(), [id(17)]);
    press(&mut app, "<A-y>");
    assert!(app.dialog_targets().is_empty() && verbs(&mut app).is_empty(), "Esc closes the question first");
    press(&mut app, ":say two words<A-b><C-k><Enter>");
    assert_eq!(verbs(&mut app), ["say two"], "where Alt means something it stays Alt");
}

#[test]
fn keys_are_found_by_position_on_cyrillic_and_greek_keyboards() {
    for (keys, verb) in
        [("чн", "kick #17"), ("χυ", "kick #17"), ("цин", "shutdown #17 both"), ("Чн", "reset #17")]
    {
        let mut app = watching();
        press(&mut app, keys);
        assert_eq!(verbs(&mut app), [verb], "{keys}");
    }
    let mut app = watching();
    press(&mut app, "xт");
    assert!(app.dialog_targets().is_empty());
    press(&mut app, "q");
    press(&mut app, "д");
    assert!(matches!(app.take_effects().as_slice(), [Effect::Quit(_)]));
    press(&mut app, "iчай<Enter>");
    assert_eq!(verbs(&mut app), ["say чай"], "what is typed stays as it is");
}

#[test]
fn ctrl_z_suspends_an_attached_dashboard_and_never_a_server() {
    for keys in ["<C-z>", ":kick<C-z>", "x<C-z>"] {
        let mut app = watching();
        press(&mut app, keys);
        assert!(app.take_effects().is_empty());
        let message = screen(&mut app).replace('\n', " ");
        assert!(message.contains("would stop the server") || keys.starts_with([':', 'x']), "{message}");
        let mut attached = App::new(&mono(), false, Access::Attached).unwrap();
        press(&mut attached, keys);
        assert!(matches!(attached.take_effects().as_slice(), [Effect::Suspend]), "{keys}");
    }
}
