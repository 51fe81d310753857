//! The whole server without its I/O: sessions, hub, deadlines, operator verbs, snapshots, counters.
//!
//! Pure: bytes, ends, errors and time come in; what each socket should do comes out. It runs the same under the
//! reactor, under the tests' virtual clock and under the fault simulator.

pub mod operator;
pub mod record;
pub mod snapshot;
