//! The load generator behind `chatops bench`: clients that come in, some that talk, and a check of every line at
//! every reader.
//!
//! `script` words what a client says and reads what it hears, `check` finds what is lost, doubled or reordered,
//! `pace` decides who says the next line and when, `histogram` keeps latencies, `report` puts them into words: these
//! are pure. `crowd` owns the sockets, `arrival` brings the clients in, `talk` is the measured part, `private` a
//! server of our own, `progress` the line on a terminal. It speaks to the server as anybody does, over a socket, and
//! names no layer of it.
//!
//! Invariants: one thread and one poller. What a reader hears is checked in the buffer it was read into. A private
//! server never outlives [`run`].

mod arrival;
mod check;
mod crowd;
mod error;
mod histogram;
mod pace;
mod plan;
mod private;
mod progress;
mod report;
mod run;
mod script;
mod talk;

pub use error::BenchError;
pub use plan::{Pace, Plan, Target};
pub use report::{Findings, Latency, ProcessUse, Report};
pub use run::run;
