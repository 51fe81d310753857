//! The remarks about a connection, and the rows that a filter accepts.

use std::time::Duration;

use chatops::config::settings::Dashboard;
use chatops::dash::{Access, App};
use chatops::model::snapshot::{
    CloseReason, ConnId, Flags, HalfState, Kernel, Phase, Row, Snapshot, TcpInfo,
};

use crate::fixture::{
    UPTIME_S, answer, at, at_ms, id, lines, mono, now, press, remarkable, row, snapshot, watching_at,
};

fn seconds_ago(seconds: u64) -> chatops::time::Moment {
    at(UPTIME_S - seconds).moment
}

/// The remarks about this connection in the open detail.
fn detail(row: &Row) -> String {
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    app.resized(160, 50);
    for _ in 0..2 {
        let response = answer(&app, Snapshot { rows: vec![row.clone()], ..snapshot() });
        app.handle_response(response, now());
    }
    press(&mut app, "<Enter>");
    lines(&mut app, 160, 50).join("\n")
}

fn plain() -> Row {
    row(17, "mallory", "203.0.113.9:51822")
}

fn tcp(tcp: TcpInfo) -> Kernel {
    Kernel { recv_q: 0, send_q: 65_536, tcp: Some(tcp) }
}

#[test]
fn the_detail_says_why_in_words() {
    let open_window = TcpInfo { peer_window: 9_000, ..TcpInfo::default() };
    for (row, message) in [
        (plain(), "nothing waits, nothing is held back"),
        (
            Row { kernel: Some(tcp(TcpInfo::default())), stuck_since: Some(seconds_ago(41)), ..plain() },
            "window 0: not reading since 12:03:20, or slowly",
        ),
        (
            Row { kernel: Some(tcp(TcpInfo { retransmits: 4, unacked: 1, ..open_window })), ..plain() },
            "unplugged: 4 retransmits, 1 segment unacknowledged",
        ),
        (
            Row { kernel: Some(tcp(open_window)), stuck_since: Some(seconds_ago(11)), ..plain() },
            "takes nothing since 12:03:50",
        ),
        (
            Row { kernel: Some(tcp(TcpInfo::default())), stuck_since: Some(seconds_ago(9)), ..plain() },
            "64.0K under way, its window is full at the moment",
        ),
        (
            Row { kernel: Some(tcp(open_window)), stuck_since: Some(seconds_ago(9)), ..plain() },
            "64.0K under way",
        ),
        (Row { flow_since: Some(seconds_ago(6)), ..plain() }, "flow: over its rate, not read since 12:03:55"),
        (
            Row {
                state: Phase::Eof,
                read: HalfState::Eof,
                eof_at: Some(seconds_ago(41)),
                outbox_bytes: 11_980,
                flags: Flags::default().with(Flags::LISTEN, true),
                ..plain()
            },
            "half-closed: sent FIN 41s ago, 11.7K to flush, stays to listen",
        ),
        (Row { state: Phase::RdShut, ..plain() }, "shutdown read: what it sends is discarded"),
        (Row { state: Phase::WrShut, ..plain() }, "shutdown write: we sent FIN, it may still send"),
        (Row { outbox_bytes: 262_144, ..plain() }, "outbox full: the next lines are skipped"),
        (
            Row { outbox_bytes: 250_000, lines_skipped: 1_400, ..plain() },
            "outbox full: lines are skipped, 1,400 so far",
        ),
        (Row { lines_skipped: 1, ..plain() }, "1 line skipped: its outbox was full"),
        (
            Row { flags: Flags::default().with(Flags::MUTED, true), scrubbed: 1_200, ..plain() },
            "muted: its lines are refused; sent 1,200 characters that were replaced",
        ),
        (
            Row {
                state: Phase::Draining,
                reason: Some(CloseReason::Kicked("too loud".to_owned())),
                ..plain()
            },
            "draining: kicked: too loud",
        ),
        (
            Row {
                state: Phase::Gone,
                reason: Some(CloseReason::Stalled),
                gone_at: Some(seconds_ago(3)),
                ..plain()
            },
            "gone 3.0 s ago: takes nothing",
        ),
    ] {
        let said = detail(&row);
        assert!(said.contains(message), "{message:?} is not in\n{said}");
    }
}

#[test]
fn a_window_of_0_is_a_peer_that_does_not_read_after_a_minute() {
    let said = |seconds| {
        detail(&Row {
            kernel: Some(tcp(TcpInfo::default())),
            stuck_since: Some(seconds_ago(seconds)),
            ..plain()
        })
    };
    assert!(said(59).contains("window 0: not reading since 12:03:02, or slowly"), "{}", said(59));
    let sure = said(61);
    assert!(sure.contains("window 0: not reading since 12:03:00") && !sure.contains("slowly"), "{sure}");
}

#[test]
fn an_outbox_that_grows_has_a_forecast() {
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    app.resized(100, 30);
    for second in 0..60 {
        let taken = at(UPTIME_S - 60 + second);
        let rows = vec![Row { outbox_bytes: second * 2_048, ..plain() }];
        let response = answer(&app, Snapshot { taken, rows, ..snapshot() });
        app.handle_response(response, taken);
    }
    let screen = lines(&mut app, 100, 30).join("\n");
    assert!(screen.contains("reaches its limit in 1 m at this rate"), "{screen}");
}

#[test]
fn an_outbox_near_its_limit_has_no_forecast_but_its_loss() {
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    app.resized(100, 30);
    for second in 0..60 {
        let taken = at(UPTIME_S - 60 + second);
        let full = 262_144 - 1_000 * (second % 3 + 20);
        let rows = vec![Row { outbox_bytes: full, lines_skipped: second * 7, ..plain() }];
        let response = answer(&app, Snapshot { taken, rows, ..snapshot() });
        app.handle_response(response, taken);
        let screen = lines(&mut app, 100, 30).join("\n");
        assert!(!screen.contains("at this rate"), "{screen}");
        let message = format!("outbox full: lines are skipped, {} so far", second * 7);
        assert!(second == 0 || screen.contains(&message), "{message:?} is not in\n{screen}");
    }
}

#[test]
fn a_stall_keeps_its_time_in_every_snapshot() {
    let since = seconds_ago(53);
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    app.resized(100, 30);
    for step in 0..40 {
        let mut taken = at_ms((UPTIME_S - 40) * 1_000 + step * 130);
        // The wall clock drifts by a millisecond.
        taken.wall.unix_ms -= i64::try_from(step % 2).unwrap();
        let rows = vec![Row { stuck_since: Some(since), ..plain() }];
        let response = answer(&app, Snapshot { taken, rows, ..snapshot() });
        app.handle_response(response, taken);
        let screen = lines(&mut app, 100, 30).join("\n");
        assert!(screen.contains("takes nothing since 12:03:08"), "{screen}");
    }
}

/// The ids that a filter lets through, sorted.
fn passing(filter: &str) -> Vec<u64> {
    let mut app = App::new(&Dashboard::default(), false, Access::Own).unwrap();
    app.resized(100, 40);
    let rows = remarkable();
    let response = answer(&app, Snapshot { rows, ..snapshot() });
    app.handle_response(response, now());
    press(&mut app, &format!("/{filter}<Enter>"));
    let mut ids: Vec<u64> = app.query().visible.into_iter().map(ConnId::get).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn filters_accept_the_rows_that_match() {
    for (filter, ids) in [
        ("", vec![5, 8, 12, 17, 23, 26, 31, 38]),
        ("bob", vec![23]),
        ("BOB", vec![23]),
        ("#17", vec![17]),
        ("17", vec![17]),
        ("id:31", vec![31]),
        ("nick:a", vec![8, 12, 17, 26]),
        ("state:shut", vec![8, 31]),
        ("state:open -nick:zoe", vec![17, 26]),
        ("flag:op", vec![8, 31]),
        ("stalled", vec![17]),
        ("ip:192.0.2.0/24", vec![5, 8, 12, 38]),
        ("ip:192.0.2.77", vec![5]),
        ("ip:2001:db8::/32", vec![31]),
        ("-ip:0.0.0.0/0", vec![31]),
        ("outbox>10k", vec![17, 23]),
        ("outbox>10k outbox<100k", vec![23]),
        ("outbox=512", vec![38]),
        ("sendq>1.0k -bob", vec![17]),
        ("recvq>0", vec![26, 31]),
        ("load>50%", vec![17]),
        ("idle>30", vec![31, 38]),
        ("idle<10s", vec![5, 8, 12, 26]),
        ("age>41m", vec![5, 8]),
        ("/^#(8|38) /", vec![8, 38]),
        ("/OPEN$/", vec![5]),
        ("-/\\d/", vec![]),
        ("198.51.100", vec![23, 26]),
        ("2001:db8::42", vec![31]),
    ] {
        assert_eq!(passing(filter), ids, "{filter}");
    }
}

#[test]
fn spans_without_an_end_do_not_overflow() {
    let said = detail(&Row { outbox_age: Some(Duration::MAX), ..plain() });
    assert!(said.contains("#17 mallory"));
    assert_eq!(passing("id:17").first(), Some(&id(17).get()));
}

#[test]
fn what_a_gone_connection_had_waiting_waits_no_more() {
    let mut app = watching_at(&mono(), 100, 30);
    let mut picture = snapshot();
    for row in &mut picture.rows {
        row.outbox_bytes = 0;
        row.send_q_seen = 0;
        row.kernel = None;
    }
    let gone = picture.rows.iter_mut().find(|row| row.state == Phase::Gone).expect("one is gone");
    gone.outbox_bytes = 163_000;
    gone.send_q_seen = 71_000;
    picture.status.outbox_bytes = 0;
    let response = answer(&app, picture);
    app.handle_response(response, now());
    let lines = lines(&mut app, 100, 30);
    assert!(lines.iter().any(|line| line.contains("fullest -  Send-Q 0")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains('█') || !line.contains("dave")), "{lines:#?}");
}

#[test]
fn an_unknown_receive_queue_sorts_last_and_matches_no_comparison() {
    let mut rows = remarkable();
    for row in &mut rows {
        if [5, 8, 17].contains(&row.id.get()) {
            row.kernel = None;
        }
    }
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    app.resized(100, 40);
    let response = answer(&app, Snapshot { rows, ..snapshot() });
    app.handle_response(response, now());
    let ids = |app: &App| app.query().visible.into_iter().map(ConnId::get).collect::<Vec<_>>();
    for (filter, passing) in
        [("recvq>10k", vec![26]), ("recvq<10k", vec![12, 23, 31, 38]), ("-recvq>10k", vec![12, 23, 31, 38])]
    {
        press(&mut app, &format!("/<C-u>{filter}<Enter>"));
        let mut shown = ids(&app);
        shown.sort_unstable();
        assert_eq!(shown, passing, "{filter}");
        let screen = lines(&mut app, 100, 40).join("\n");
        assert!(screen.contains("3 not known"), "{screen}");
    }
    press(&mut app, "/<C-u>bob recvq>1<Enter>");
    assert!(!lines(&mut app, 100, 40).join("\n").contains("not known"), "what is not known cannot matter");
    press(&mut app, "/<C-u><Enter>");
    while !lines(&mut app, 100, 40).join("\n").contains("sort RECV-Q") {
        press(&mut app, "s");
    }
    for _ in 0..2 {
        press(&mut app, "g");
        let mut last = ids(&app).split_off(4);
        last.sort_unstable();
        assert_eq!(last, [5, 8, 12, 17], "with one that is gone");
        press(&mut app, "S");
    }
}

#[test]
fn seconds_without_a_snapshot_are_gaps_and_lateness_has_a_chart() {
    let mut app = App::new(&mono(), false, Access::Own).unwrap();
    app.resized(100, 40);
    for second in (0..40).chain(47..60) {
        let taken = at(UPTIME_S - 60 + second);
        let mut snapshot = Snapshot { taken, ..snapshot() };
        snapshot.status.bytes_in = second * 1_000;
        snapshot.status.turns.late_us = if second == 47 { 7_500_000 } else { 90 };
        let response = answer(&app, snapshot);
        app.handle_response(response, taken);
    }
    press(&mut app, "2");
    let screen = lines(&mut app, 100, 40);
    let gaps: Vec<&String> = screen.iter().filter(|line| line.contains("╎╎╎╎╎╎╎")).collect();
    assert!(!gaps.is_empty(), "{screen:#?}");
    assert!(gaps.iter().all(|line| !line.contains("╎╎╎╎╎╎╎╎")), "{gaps:#?}");
    assert!(
        screen.iter().any(|line| line.contains("late, most") && line.contains("peak 7.5 s")),
        "{screen:#?}"
    );
}
