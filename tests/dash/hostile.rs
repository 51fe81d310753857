//! Random keys, sizes and snapshots: nothing panics, and no verb goes to a connection that its dialog did not name.

use std::time::Duration;

use chatops::config::settings::{Dashboard, ThemeName};
use chatops::dash::{Access, App, Effect};
use chatops::link::{Request, Response};
use chatops::model::snapshot::{
    CloseReason, ConnId, Flags, HalfState, Kernel, Peer, Phase, Query, Row, Snapshot, Status, TcpInfo,
    Terminal,
};
use chatops::model::verbs::{OperatorCommand, Who};
use chatops::term::input::{Decoder, Input};
use chatops::time::Moment;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;

use crate::fixture::{answer, at_ms, draw, id, press_key, row};

/// One input of a dashboard.
#[derive(Clone, Debug)]
enum Step {
    Answer,
    Frame(u16, u16),
    Key(KeyEvent),
    Mouse(u16, u16, bool),
    Snapshot(Box<Snapshot>),
    Tick(u64),
    Typed(&'static str),
}

fn key() -> impl Strategy<Value = KeyEvent> {
    let named = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::F(1),
        KeyCode::Char('日'),
        KeyCode::Char('\u{301}'),
    ];
    let plain = prop_oneof![
        3 => prop::sample::select("jkgGxwXumMpiyrwbnlsSFfbtce123/: ?q".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        1 => prop::char::range(' ', '~').prop_map(KeyCode::Char),
        1 => prop::sample::select(named.to_vec()),
    ];
    let modifiers = prop_oneof![
        8 => Just(KeyModifiers::NONE),
        1 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::SHIFT),
        1 => Just(KeyModifiers::ALT)
    ];
    (plain, modifiers).prop_map(|(code, modifiers)| KeyEvent::new(code, modifiers))
}

prop_compose! {
    fn kernel()(recv_q: u32, send_q: u32, rtt_us: u32, peer_window: u32, unacked in 0u32..3, retransmits in 0u32..3)
        -> Kernel
    {
        let tcp = TcpInfo { rtt_us, peer_window, unacked, retransmits, notsent: 0 };
        Kernel { recv_q, send_q, tcp: Some(tcp) }
    }
}

prop_compose! {
    fn client()(
        number in 1u64..30,
        nick in "[a-z]{1,24}",
        state in prop::sample::select(Phase::ALL.to_vec()),
        amounts in prop::array::uniform8(any::<u64>()),
        age in prop::option::of(any::<u64>()),
        kernel in prop::option::of(kernel()),
        moments in prop::array::uniform4(any::<u64>()),
        stuck: bool, flow: bool, muted: bool
    ) -> Row {
        let moment = |at: usize| Moment::from_micros(moments[at] >> (moments[at] % 64));
        let flags = Flags::default().with(Flags::MUTED, muted).with(Flags::STALLED, stuck).with(Flags::FLOW, flow);
        Row {
            id: id(number),
            state,
            read: HalfState::Open,
            since: moment(0),
            heard: moment(1),
            eof_at: (state == Phase::Eof).then(|| moment(2)),
            bytes_in: amounts[0],
            bytes_out: amounts[1],
            lines_in: amounts[2],
            lines_skipped: amounts[3] >> 60,
            inbox_bytes: amounts[4],
            outbox_bytes: amounts[5] >> (amounts[5] % 64),
            outbox_max: amounts[6],
            outbox_age: age.map(Duration::from_micros),
            scrubbed: amounts[7],
            kernel,
            stuck_since: stuck.then(|| moment(3)),
            flow_since: flow.then(|| moment(3)),
            flags,
            terminal: muted.then(|| {
                Box::new(Terminal { name: flow.then(|| "日本".repeat(20).into()), columns: 9, rows: u16::MAX })
            }),
            reason: (state == Phase::Gone).then_some(CloseReason::Stalled),
            gone_at: (state == Phase::Gone).then(|| moment(2)),
            peer: if muted { Peer::Unix } else { Peer::Tcp("[2001:db8::7]:65535".parse().unwrap()) },
            ..row(number, &nick, "192.0.2.1:1")
        }
    }
}

prop_compose! {
    fn snapshot()(
        rows in prop::collection::btree_map(1u64..30, client(), 0..25),
        taken: u64, counters in prop::array::uniform6(any::<u64>()), clients: u32, paused: bool
    ) -> Snapshot {
        let rows = rows.into_iter().map(|(number, row)| Row { id: id(number), ..row }).collect();
        let status = Status {
            name: "日本 chat".to_owned(),
            uptime: Duration::from_micros(counters[0]),
            listeners: vec!["[::]:6677 (lines)".to_owned(), "unix:/tmp/x (lines)".to_owned()],
            clients,
            bytes_in: counters[1],
            bytes_out: counters[2],
            deliveries: counters[3],
            outbox_bytes: counters[4],
            outbox_limit: counters[5] >> (counters[5] % 64),
            closed: vec![("reset".into(), u64::MAX), ("reset-by-peer".into(), u64::MAX)],
            paused,
            ..Status::default()
        };
        Snapshot { taken: at_ms(taken % 100_000_000), status, rows, detail: None, events: Vec::new() }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let lines =
        vec!["kick 3", "reset #4", "shutdown 5 both", "mute 6", "stop", "drain 3s", "kick", "say hi", "q"];
    prop_oneof![
        8 => key().prop_map(Step::Key),
        2 => snapshot().prop_map(|snapshot| Step::Snapshot(Box::new(snapshot))),
        1 => (0u16..180, 0u16..60).prop_map(|(width, height)| Step::Frame(width, height)),
        1 => (0u16..180, 0u16..60, any::<bool>()).prop_map(|(x, y, wheel)| Step::Mouse(x, y, wheel)),
        1 => any::<u64>().prop_map(Step::Tick),
        1 => prop::sample::select(lines).prop_map(Step::Typed),
        1 => Just(Step::Answer),
    ]
}

/// A dashboard with the ids for which verbs may be sent: each as often as a dialog about it was confirmed.
struct Watched {
    app: App,
    allowed: Vec<Option<ConnId>>,
    tickets: Vec<u64>,
}

impl Watched {
    fn key(&mut self, key: KeyEvent) {
        let (asked, chosen) = (self.app.dialog_targets(), self.chosen());
        press_key(&mut self.app, key);
        let asks = self.app.dialog_targets();
        if asked.is_empty() && key.code == KeyCode::Char('y') {
            assert!(asks.is_empty());
        }
        if asked.is_empty() && !asks.is_empty() && key.code != KeyCode::Enter {
            assert!(asks.iter().all(|id| chosen.contains(id)), "{asks:?} of {chosen:?}");
        }
        // Alt with a key may close a dialog and open another one.
        if !asked.is_empty() && !asks.is_empty() && !key.modifiers.contains(KeyModifiers::ALT) {
            assert_eq!(asked, asks, "a dialog changed whom it is for");
        }
        // Shift with a small letter is that letter.
        if key.code == KeyCode::Char('y') && (key.modifiers - KeyModifiers::SHIFT).is_empty() {
            self.allowed.extend(asked.into_iter().map(Some));
        }
    }

    fn chosen(&self) -> Vec<ConnId> {
        let marked = self.app.marked();
        if marked.is_empty() { self.app.selected().into_iter().collect() } else { marked }
    }

    /// Types a line in any mode, and answers its confirmation.
    fn typed(&mut self, line: &str) {
        press_key(&mut self.app, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        for code in [KeyCode::Esc, KeyCode::Esc, KeyCode::Char(':')] {
            press_key(&mut self.app, KeyEvent::from(code));
        }
        for letter in line.chars() {
            press_key(&mut self.app, KeyEvent::from(KeyCode::Char(letter)));
        }
        let target = line.parse::<OperatorCommand>().ok().and_then(|command| target(&command));
        self.allowed.extend(target.map(|who| match who {
            Who::Id(id) => Some(id),
            Who::Nick(_) => None,
        }));
        press_key(&mut self.app, KeyEvent::from(KeyCode::Enter));
    }

    /// Takes the effects, and checks their targets.
    fn check(&mut self) {
        for effect in self.app.take_effects() {
            if let Effect::Request(Request::Verb { ticket, command }) = effect {
                self.tickets.push(ticket);
                if let Some(Who::Id(id)) = target(&command) {
                    let at = self.allowed.iter().position(|allowed| *allowed == Some(id));
                    let at = at.unwrap_or_else(|| panic!("{command} was never said yes to"));
                    self.allowed.remove(at);
                }
            }
        }
    }
}

fn target(command: &OperatorCommand) -> Option<Who> {
    match command {
        OperatorCommand::Kick { who, .. }
        | OperatorCommand::Mute { who, .. }
        | OperatorCommand::Reset(who)
        | OperatorCommand::Shutdown { who, .. }
        | OperatorCommand::Unmute(who) => Some(*who),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_nobody_is_hit_by_mistake(
        steps in prop::collection::vec(step(), 1..80),
        ascii: bool,
        theme in prop::sample::select(vec![ThemeName::Auto, ThemeName::Dark, ThemeName::Mono])
    ) {
        let settings = Dashboard { ascii, theme, ..Dashboard::default() };
        let app = App::new(&settings, false, Access::Own).unwrap();
        let mut watched = Watched { app, allowed: Vec::new(), tickets: Vec::new() };
        let (mut width, mut height) = (80, 24);
        for step in steps {
            match step {
                Step::Answer => {
                    for ticket in watched.tickets.drain(..) {
                        let outcome = if ticket % 2 == 0 { Ok("done".to_owned().into()) } else { Err("no".to_owned()) };
                        watched.app.handle_response(Response::Verb { ticket, outcome }, at_ms(9_000));
                    }
                }
                Step::Frame(columns, rows) => (width, height) = (columns, rows),
                Step::Key(key) => watched.key(key),
                Step::Mouse(column, line, wheel) => {
                    let kind = if wheel { MouseEventKind::ScrollUp } else { MouseEventKind::Down(MouseButton::Left) };
                    let mouse = MouseEvent { kind, column, row: line, modifiers: KeyModifiers::NONE };
                    watched.app.handle_mouse(mouse);
                }
                Step::Snapshot(snapshot) => {
                    watched.app.handle_response(Response::Snapshot(snapshot), at_ms(5_000));
                }
                Step::Tick(ms) => drop(watched.app.tick(at_ms(ms % 100_000_000))),
                Step::Typed(line) => watched.typed(line),
            }
            watched.check();
            draw(&mut watched.app, width, height);
            prop_assert!(watched.app.query().visible.len() <= Query::VISIBLE_MAX);
        }
    }
}

#[test]
fn the_smallest_screens_and_a_storm_of_sizes() {
    let settings = Dashboard::default();
    for keys in ["", "2", "3", "?", "x", "q", "/a", ":kick <", "w", "irun", "<Enter>", " "] {
        let mut app = crate::fixture::watching_at(&settings, 0, 0);
        crate::fixture::press(&mut app, keys);
        for (width, height) in
            [(0, 0), (1, 1), (1, 50), (200, 1), (2, 2), (300, 100), (3, 12), (0, 30), (30, 0)]
        {
            draw(&mut app, width, height);
        }
        for size in 0..60 {
            draw(&mut app, size * 3, size);
        }
    }
}

/// One read of the terminal, and what happens before it.
#[derive(Clone, Debug)]
struct Read {
    bytes: Vec<u8>,
    pause_ms: u64,
    /// The screen is drawn and taken before.
    drawn: bool,
}

fn reads() -> impl Strategy<Value = Vec<Read>> {
    let keys =
        ["x", "y", "X", "B", "w", "b", "u", "P", "R", "n", "r", "q", "d", "l", "j", "m", "\r", "\x1b", "н"];
    let sequences = [
        "\x1b[B",
        "\x1b[121;1u",
        "\x1b[27;1;121~",
        "\x1b[200~",
        "\x1b[201~",
        "\x1b]11;rgb:1/2/3\x07",
        "\x1bP",
        "\x1b[",
        "\x1by",
        "proxy",
        ":kick 17\r",
        ":stop\r",
        "xy",
        "\x03",
    ];
    let piece = prop_oneof![
        6 => prop::sample::select(keys.to_vec()).prop_map(|key| key.as_bytes().to_vec()),
        2 => prop::sample::select(sequences.to_vec()).prop_map(|sequence| sequence.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
    ];
    let read = (
        prop::collection::vec(piece, 1..4),
        0usize..8,
        prop::sample::select(vec![0, 30, 99, 100, 400, 3_000, 6_000]),
        any::<bool>(),
    );
    let cut = |(pieces, cut, pause_ms, drawn): (Vec<Vec<u8>>, usize, u64, bool)| {
        let bytes = pieces.concat();
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        [first.to_vec(), second.to_vec()]
            .into_iter()
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| Read { bytes, pause_ms, drawn })
            .collect::<Vec<_>>()
    };
    prop::collection::vec(read.prop_map(cut), 1..40).prop_map(|reads| reads.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_send_a_verb_without_a_visible_dialog(reads in reads()) {
        let mut app = App::new(&Dashboard::default(), false, Access::Own).unwrap();
        app.resized(80, 24);
        let response = answer(&app, crate::fixture::snapshot());
        app.handle_response(response, at_ms(9_000_000));
        let mut decoder = Decoder::default();
        let (mut ms, mut last_ms, mut seen) = (10_000_000, 0, None);
        for Read { bytes, pause_ms, drawn } in reads {
            ms += pause_ms;
            let silence = decoder.expire(at_ms(ms).moment);
            hand_in(&mut app, silence, ms);
            if drawn {
                draw(&mut app, 80, 24);
                app.frame_drawn();
                app.frame_taken();
            }
            if drawn {
                seen = Some(app.dialog_targets());
            }
            let is_alone = ms - last_ms >= 100;
            let is_yes = ["y", "d", "l", "н", "\x1b[121;1u", "\x1b[27;1;121~"].iter().any(|yes| yes.as_bytes() == bytes);
            let inputs = decoder.feed(&bytes, at_ms(ms).moment);
            last_ms = ms;
            let before = app.take_effects();
            prop_assert!(before.iter().all(|effect| !is_verb(effect)), "{before:?} of silence");
            hand_in(&mut app, inputs, ms);
            for effect in app.take_effects().iter().filter(|effect| is_verb(effect)) {
                prop_assert!(is_alone && is_yes && seen.is_some(), "{effect:?} of {bytes:?}");
                if let Effect::Request(Request::Verb { command, .. }) = effect
                    && let Some(Who::Id(id)) = target(command)
                {
                    let seen = seen.as_ref().expect("checked");
                    prop_assert!(seen.contains(&id), "{effect:?}, but {seen:?} were seen");
                }
            }
            seen = seen.filter(|seen| *seen == app.dialog_targets());
        }
    }
}

fn hand_in(app: &mut App, inputs: Vec<Input>, ms: u64) {
    for input in inputs {
        match input {
            Input::Key(key, typed) => app.handle_key(key, typed, at_ms(ms)),
            Input::Mouse(mouse) => app.handle_mouse(mouse),
            Input::Paste(text) => app.handle_paste(&text, at_ms(ms)),
            Input::PasteStalled => app.paste_stalled(at_ms(ms)),
        }
    }
}

/// Whether the verb changes something for clients.
fn is_verb(effect: &Effect) -> bool {
    match effect {
        Effect::Request(Request::Verb { command, .. }) => {
            !matches!(command, OperatorCommand::Ask(_) | OperatorCommand::Say(_))
        }
        Effect::Quit(_) => true,
        _ => false,
    }
}
