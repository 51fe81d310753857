//! Senders over their rate: they are warned once, not read for a while, and closed in the end.

use std::time::Duration;

use chatops::config::settings::ByteSize;
use chatops::engine::READ_BUDGET;

use crate::stage::World;

const SLOW_DOWN: &str = "-- slow down: you are read at 5 lines and 32768 bytes a second until you pause";

#[test]
fn a_burst_passes_then_lines_pass_at_their_rate_with_one_warning() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    world.pass("10s");
    for number in 0..30 {
        world.says(alice, &format!("{number}"));
    }
    let mut read = world.lines(bob);
    assert_eq!(read.len(), 20);
    world.reads(alice, [SLOW_DOWN]);
    assert_eq!(world.state(alice), "open flow");
    world.pass("1s");
    read.extend(world.lines(bob));
    assert_eq!(read.len(), 25);
    world.pass("1s");
    read.extend(world.lines(bob));
    let all: Vec<String> = (0..30).map(|number| format!("12:34 #lobby <alice> {number}")).collect();
    assert_eq!(read, all);
    world.reads(alice, []);
    assert_eq!(world.state(alice), "open");
}

#[test]
fn who_is_not_read_hears_all_the_same() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    for _ in 0..100 {
        world.says(alice, "more");
    }
    world.everybody_has_read();
    world.says(bob, "are you all right?");
    world.reads(alice, ["12:34 #lobby <bob> are you all right?"]);
    assert!(world.row(alice).inbox_bytes > 0, "the rest waits");
}

#[test]
fn after_a_pause_a_flooding_client_is_warned_again() {
    let mut world = World::new();
    let [alice, _bob] = world.people(["alice", "bob"]);
    for _ in 0..3 {
        world.pass("10s");
        for _ in 0..21 {
            world.says(alice, "x");
        }
        world.reads(alice, [SLOW_DOWN]);
    }
}

#[test]
fn a_client_that_floods_for_too_long_is_warned_and_closed() {
    let mut world = World::new();
    let [alice, bob] = world.people(["alice", "bob"]);
    let send = |world: &mut World, seconds: u64| {
        for _ in 0..seconds {
            (0..50).for_each(|_| world.says(alice, "x"));
            world.pass("1s");
        }
    };
    send(&mut world, 599);
    world.reads(alice, [SLOW_DOWN]);
    send(&mut world, 1);
    world.reads(alice, ["-- you sent too much for too long without a pause: goodbye"]);
    assert!(world.got_fin(alice));
    let read = world.lines(bob);
    assert_eq!(read.last().unwrap(), "12:44 #lobby <-- alice (flooding)");
    // 10 minutes of 5 lines a second and the burst, not one more.
    assert!((3_000..=3_025).contains(&read.len()), "{} lines", read.len());
}

#[test]
fn a_client_that_pauses_in_time_is_read_on() {
    let mut world = World::new();
    let [alice, _bob] = world.people(["alice", "bob"]);
    for _ in 0..30 {
        for _ in 0..150 {
            world.says(alice, "x");
        }
        world.pass("40s");
    }
    assert_eq!(world.state(alice), "open");
}

#[test]
fn a_pause_counts_although_much_comes_at_its_end() {
    let mut world = World::with(|config| config.flood.burst_bytes = ByteSize::kib(64));
    let [alice, _bob] = world.people(["alice", "bob"]);
    world.pass("10s");
    for _ in 0..21 {
        world.says(alice, "x");
    }
    world.reads(alice, [SLOW_DOWN]);
    world.pass("9m");
    // Each read takes more than half of what may come at once, until long after the ten minutes.
    for _ in 0..100 {
        world.says(alice, &"x".repeat(20_000).repeat(4));
        world.pass("1s");
    }
    assert!(world.close_mode(alice).is_none() && !world.got_fin(alice));
}

#[test]
fn bytes_have_a_rate_of_their_own() {
    let mut world = World::with(|config| {
        config.flood.burst_bytes = ByteSize::kib(8);
        config.flood.bytes_per_second = ByteSize(3_000);
    });
    let [alice, bob] = world.people(["alice", "bob"]);
    world.pass("10s");
    world.peer(alice).read_max = 4_000;
    for _ in 0..10 {
        world.says(alice, &"x".repeat(3_999));
    }
    assert_eq!(world.lines(bob).len(), 3, "the read that crosses the rate is still taken");
    world.reads(alice, ["-- slow down: you are read at 5 lines and 3000 bytes a second until you pause"]);
    world.pass("4s");
    let more = world.lines(bob).len();
    assert!((2..=4).contains(&more), "3,000 bytes a second: {more}");
    world.pass("10s");
    assert_eq!(world.lines(bob).len(), 7 - more);
}

#[test]
fn odd_rates_end_no_pause_too_early_and_never_spin() {
    for (lines, bytes) in [(1, 7), (3, 1_000_003), (7, 999), (1_000_000, 32 * 1024), (999_983, 11)] {
        let mut world = World::with(|config| {
            config.flood.burst_lines = 1;
            config.flood.lines_per_second = lines;
            config.flood.burst_bytes = ByteSize(64);
            config.flood.bytes_per_second = ByteSize(bytes);
        });
        let [alice, bob] = world.people(["alice", "bob"]);
        for number in 0..20 {
            world.says(alice, &format!("{number}"));
        }
        world.pass("5m");
        assert_eq!(world.lines(bob).len(), 20, "{lines} lines and {bytes} bytes a second");
    }
}

#[test]
fn a_line_too_long_is_refused_whole_and_the_session_goes_on() {
    for read_max in [1, 7, 4_096, 4_097, 64 * 1024] {
        let mut world = World::with(|config| config.flood.enabled = false);
        let [alice, bob] = world.people(["alice", "bob"]);
        world.peer(alice).read_max = read_max;
        world.says(alice, &"x".repeat(4_096));
        world.says(alice, &"y".repeat(4_097));
        world.says(alice, &"z".repeat(20_000));
        world.says(alice, "short");
        let read = world.lines(bob);
        assert_eq!(
            read,
            [format!("12:34 #lobby <alice> {}", "x".repeat(4_096)), "12:34 #lobby <alice> short".into()]
        );
        let expected = "!! that line has more than 4096 bytes and was not sent; send it in parts";
        world.reads(alice, [expected, expected]);
    }
}

#[test]
fn without_flood_limits_nothing_waits() {
    let mut world = World::with(|config| config.flood.enabled = false);
    let [alice, bob] = world.people(["alice", "bob"]);
    for _ in 0..1_000 {
        world.says(alice, "x");
    }
    assert_eq!(world.lines(bob).len(), 1_000);
    world.reads(alice, []);
}

#[test]
fn all_unparsed_input_together_is_bounded_and_nothing_of_it_is_lost() {
    const LIMIT: usize = 20 * 1024;
    const FLOODERS: usize = 20;
    const LINES: usize = 1_000;
    const MESSAGE: usize = 4096 + 8;
    let mut world = World::with(|config| {
        config.limits.inbox_total = ByteSize(LIMIT as u64);
        config.flood.lines_per_second = 100;
    });
    let [alice, bob] = world.people(["alice", "bob"]);
    let flooders: Vec<_> = (0..FLOODERS).map(|_| world.connect()).collect();
    world.everybody_has_read();
    let before = world.snapshot().status.lines_in;
    world.events();
    for flooder in &flooders {
        // Lines that do nothing: what is said to the room is no part of this.
        world.sends(*flooder, format!("{:39}\n", "").repeat(LINES).as_bytes());
    }
    let most = LIMIT + READ_BUDGET + FLOODERS * MESSAGE;
    for _ in 0..5 {
        world.turn();
        assert!(world.audit_counts().parked_bytes <= most, "{:?}", world.audit_counts());
    }
    world.run();
    let parked = world.snapshot().status.inbox_bytes;
    assert!(parked > LIMIT as u64, "the limit is reached, with {parked} bytes");
    let unlimited = FLOODERS * LINES * 40;
    assert!(most < unlimited / 2, "without it there would be more");
    let left = |world: &mut World| -> usize {
        flooders.iter().map(|flooder| world.peer(*flooder).inbound.len()).sum()
    };
    assert!(left(&mut world) > unlimited / 2, "the rest waits with the senders");
    let warned = |event: &String| event.contains("over limits.inbox_total");
    assert_eq!(world.events().iter().filter(|event| warned(event)).count(), 1);
    // A client within the rates waits for no other, in one piece or in many.
    world.says(alice, "hello");
    world.reads(bob, ["12:34 #lobby <alice> hello"]);
    for byte in "wor".bytes() {
        world.sends(alice, &[byte]);
        world.run();
    }
    world.says(alice, "ld");
    world.reads(bob, ["12:34 #lobby <alice> world"]);
    world.pass("30s");
    assert_eq!(left(&mut world), 0);
    let status = world.snapshot().status;
    assert_eq!(status.inbox_bytes, 0);
    assert_eq!(status.lines_in - before, (FLOODERS * LINES + 2) as u64);
}

#[test]
fn of_one_that_is_gone_little_is_read_while_too_much_is_unparsed() {
    let mut world = World::with(|config| config.limits.inbox_total = ByteSize(20 * 1024));
    let flooders: Vec<_> = (0..4).map(|_| world.connect()).collect();
    world.everybody_has_read();
    for flooder in &flooders {
        world.sends(*flooder, "x\n".repeat(60_000).as_bytes());
    }
    world.run();
    assert!(world.snapshot().status.inbox_bytes > 20 * 1024, "the limit is reached");
    for flooder in flooders {
        let before = world.peer(flooder).reads;
        world.peer(flooder).resets();
        world.run();
        let reads = world.peer(flooder).reads - before;
        assert!(reads <= 4, "{reads} reads of what one has left behind");
    }
    world.pass("5s");
    assert_eq!(world.audit_counts().connections, 0);
}

/// Whether one that sends a burst and then lines at a steady pace, up to a number, is closed.
fn is_closed(patience_s: u64, burst: usize, every_millis: u64, lines: usize) -> bool {
    is_closed_with((patience_s, burst, every_millis, lines), "a line of the burst", "a line of more")
}

fn is_closed_with(
    (patience_s, burst, every_millis, lines): (u64, usize, u64, usize),
    first: &str,
    then: &str,
) -> bool {
    let mut world = World::with(|config| config.flood.patience = Duration::from_secs(patience_s));
    let [alice, _bob] = world.people(["alice", "bob"]);
    for _ in 0..burst {
        world.says(alice, first);
    }
    for _ in 0..lines {
        world.pass(&format!("{every_millis}ms"));
        if world.got_fin(alice) {
            return true;
        }
        world.says(alice, then);
    }
    false
}

#[test]
fn a_sender_that_keeps_its_rate_after_a_burst_is_never_closed() {
    // 4.8 lines a second: what waits becomes less all the time.
    for (patience_s, burst) in [(5, 40), (1, 40), (2, 25), (10, 400), (60, 1_000)] {
        assert!(!is_closed(patience_s, burst, 208, 800), "{burst} lines, {patience_s} s");
    }
    for (patience_s, burst) in [(3, 40), (3, 100), (10, 200)] {
        for (first, then) in [("x", 60), ("", 60), ("x", 1_000), ("hello", 80), (&*"x".repeat(900), 5)] {
            let is_closed = is_closed_with((patience_s, burst, 208, 400), first, &"y".repeat(then));
            assert!(!is_closed, "{burst} lines of {} bytes, then of {then}, {patience_s} s", first.len());
        }
    }
}

#[test]
fn a_sender_above_its_rate_is_closed_however_little_it_is_above() {
    for (burst, long) in [(40, 1_000), (60, 3_000)] {
        assert!(
            is_closed_with((3, burst, 100, 100), &"x".repeat(long), "y"),
            "{burst} lines of {long} bytes"
        );
    }
    for (patience_s, every_millis) in [(5, 100), (5, 180), (60, 190), (5, 1)] {
        assert!(is_closed(patience_s, 20, every_millis, 10_000), "every {every_millis} ms, {patience_s} s");
    }
}

#[test]
fn what_waits_in_the_kernel_counts_for_patience() {
    let mut world = World::with(|config| config.flood.patience = Duration::from_secs(5));
    let [alice, _bob] = world.people(["alice", "bob"]);
    // Its buffers are full from the beginning and stay full.
    for _ in 0..600 {
        for _ in 0..40 {
            if world.peer(alice).inbound.len() < 60_000 {
                world.says(alice, &"x".repeat(400));
            }
        }
        world.pass("100ms");
    }
    assert!(world.got_fin(alice));
}

#[test]
fn a_sender_blocked_by_its_full_window_is_closed_although_nothing_more_comes_of_it() {
    let mut world = World::with(|config| config.flood.patience = Duration::from_secs(1));
    let [alice, _bob] = world.people(["alice", "bob"]);
    world.sends(alice, &b"on and on\n".repeat(20_000));
    world.pass("3s");
    assert!(world.got_fin(alice));
}
