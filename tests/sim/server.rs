//! The server of a schedule: its listeners, and random limits that are small enough to be reached.

use std::time::Duration;

use chatops::config::settings::{
    self, ByteSize, Config, HalfClosePolicy, Listen, Listeners, OnFull, PerAddress,
};

use crate::actor::{LINE_BYTES, RECORD_BYTES};
use crate::framing::Framing;
use crate::random::Random;

/// How messages are delimited on each listener; the first is the one of the witness.
pub(crate) const FRAMINGS: [Framing; 4] =
    [Framing::Lines, Framing::Nul, Framing::Length, Framing::Fixed(RECORD_BYTES as usize)];

/// Listeners of every framing, in the order of [`FRAMINGS`].
fn listeners() -> Listeners {
    let record = std::num::NonZeroU32::new(RECORD_BYTES).unwrap();
    let framings = [
        settings::Framing::Lines,
        settings::Framing::Nul,
        settings::Framing::Length,
        settings::Framing::Fixed(record),
    ];
    Listeners(framings.map(|framing| Listen { framing, ..Listen::default() }).to_vec())
}

pub(crate) fn configure(config: &mut Config, random: &mut Random, has_witness: bool) {
    config.listen = listeners();
    config.limits.line_bytes = ByteSize(LINE_BYTES as u64);
    config.limits.outbox_bytes = ByteSize(random.pick(&[700, 1_000, 1_500, 3_000, 10_000]));
    config.limits.stall = Duration::from_secs(random.pick(&[15, 60, 120]));
    // Most actors share an address: a refused one is no actor.
    config.limits.per_ip = PerAddress::Most(0);
    config.flood.enabled = random.percent(60);
    config.flood.burst_lines = random.pick(&[2, 7, 20]);
    config.flood.lines_per_second = random.pick(&[1, 3, 7]);
    config.flood.burst_bytes = ByteSize(random.pick(&[300, 5_000, 100_000]));
    config.flood.bytes_per_second = ByteSize(random.pick(&[77, 1_001, 32 * 1024]));
    if random.percent(40) {
        config.half_close.policy = HalfClosePolicy::Listen;
    }
    config.half_close.timeout = Duration::from_secs(random.pick(&[5, 60, 600]));
    config.limits.inbox_total = ByteSize(random.pick(&[300, 2_000, 64 * 1024 * 1024]));
    config.rooms.presence_max = 1_000;
    if has_witness {
        return;
    }
    config.limits.outbox_bytes = ByteSize(random.pick(&[600, 1_500, 5_000, 100_000]));
    config.limits.outbox_total = ByteSize(random.pick(&[2_000, 10_000, 1_000_000]));
    if random.percent(30) {
        config.limits.on_full = OnFull::Disconnect;
    }
    if random.percent(50) {
        config.rooms.presence_max = 2;
    }
    config.limits.clients = random.pick(&[3, 5, 100]);
    config.limits.rooms = random.pick(&[2, 4, 100]);
    config.limits.rooms_per_client = random.pick(&[1, 2, 20]);
    config.flood.patience = Duration::from_secs(random.pick(&[10, 600]));
}
