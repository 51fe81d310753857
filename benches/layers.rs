//! Each layer by itself, without I/O: framer, text scrubbing, fan-out through the engine, a snapshot of ten thousand
//! and a frame of the dashboard that shows them.

use std::hint::black_box;

use chatops::config::settings::Dashboard;
use chatops::dash::{Access, App, view};
use chatops::link::Response;
use chatops::model::snapshot::Query;
use chatops::time::Now;
use chatops::wire::framer::Framer;
use chatops::wire::framing::Framing;
use chatops::wire::text::scrub;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

mod room;

use room::{Room, lines};

fn main() {
    divan::main();
}

/// A read of 64 KiB, cut into messages.
#[divan::bench(args = [64, 1024])]
fn framer(bencher: Bencher<'_, '_>, line_bytes: usize) {
    let read = format!("{}\n", "x".repeat(line_bytes - 1)).repeat(64 * 1024 / line_bytes).into_bytes();
    bencher.counter(BytesCount::new(read.len())).bench_local(|| {
        let mut framer = Framer::new(Framing::Lines);
        let mut input = &read[..];
        let mut count = 0;
        while framer.next(&mut input, 4096).is_some() {
            count += 1;
        }
        count
    });
}

/// The bytes of the lines.
const TEXTS: [(&str, &str); 3] = [
    ("ordinary", "the deploy is done, all is well"),
    ("emoji", "fini \u{1F469}\u{200D}\u{1F680} à côté"),
    ("controls", "\u{1b}[2J\u{202e}\0\0\u{7f}"),
];

/// Scrubbing a line, for each kind of bytes.
#[divan::bench(args = TEXTS.map(|(name, _)| name))]
fn scrubbing(bencher: Bencher<'_, '_>, name: &str) {
    let (_, text) =
        TEXTS.into_iter().find(|(other, _)| *other == name).expect("the names are those of the texts");
    bencher.counter(BytesCount::new(text.len())).bench_local(|| scrub(black_box(text.as_bytes())).replaced);
}

/// A turn in which one client sends 32 lines to this many readers: the cost of a delivery without its share of a write.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn fan_out(bencher: Bencher<'_, '_>, readers: usize) {
    let mut room = Room::of(readers);
    let input = lines(32);
    bencher.counter(ItemsCount::new(readers * 32)).bench_local(|| room.turn(&input));
}

/// A snapshot as the dashboard requests it.
#[divan::bench(sample_count = 20)]
fn snapshot_of_10_000(bencher: Bencher<'_, '_>) {
    let room = Room::of(10_000);
    bencher.bench_local(|| room.engine.snapshot(&Query::default(), |_| None).rows.len());
}

/// A new snapshot of ten thousand connections, and the frame with its first rows on a large screen.
#[divan::bench(sample_count = 20, args = [10, 10_000])]
fn frame(bencher: Bencher<'_, '_>, clients: usize) {
    let room = Room::of(clients);
    let now = Now::default();
    let mut app = App::new(&Dashboard::default(), false, Access::Own).expect("the default keys are good");
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).expect("a backend without a device");
    app.resized(200, 60);
    let query = app.query();
    let picture = || Response::Snapshot(Box::new(room.engine.snapshot(&query, |_| None)));
    bencher.with_inputs(picture).bench_local_values(|picture| {
        app.handle_response(picture, now);
        terminal.draw(|frame| view::draw(frame, &mut app, now)).expect("a backend without a device");
    });
}
