//! Each layer by itself, without I/O: framer, text scrubbing, fan-out through the engine, a snapshot of ten thousand.

use std::hint::black_box;

use chatops::engine::snapshot::Query;
use chatops::wire::framer::Framer;
use chatops::wire::framing::Framing;
use chatops::wire::text::scrub;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

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

/// A line of ordinary text, one with an emoji, and one full of control characters.
#[divan::bench(args = ["the deploy is done, all is well", "fini \u{1F469}\u{200D}\u{1F680} à côté", "\u{1b}[2J\u{202e}\0\0\u{7f}"])]
fn scrubbing(bencher: Bencher<'_, '_>, text: &str) {
    bencher.counter(BytesCount::new(text.len())).bench_local(|| scrub(black_box(text.as_bytes())).replaced);
}

/// A turn in which one speaker says 32 lines to so many readers: what a delivery costs beside its share of a write.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn fan_out(bencher: Bencher<'_, '_>, readers: usize) {
    let mut room = Room::of(readers);
    let input = lines(32);
    bencher.counter(ItemsCount::new(readers * 32)).bench_local(|| room.turn(&input));
}

/// What the dashboard is handed each time it asks.
#[divan::bench(sample_count = 20)]
fn snapshot_of_10_000(bencher: Bencher<'_, '_>) {
    let room = Room::of(10_000);
    bencher.bench_local(|| room.engine.snapshot(&Query::default(), |_| None).rows.len());
}
