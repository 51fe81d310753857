//! The whole server without its I/O: sessions, hub, deadlines, operator verbs, snapshots, counters.
//!
//! Pure: bytes, ends, errors and time come in; what each socket should do comes out. It runs the same under the
//! reactor, under the tests' virtual clock and under the fault simulator.
//!
//! Invariants: nobody is freed but by [`Engine::handle_closed`], when the socket is closed; a session that has said
//! farewell is never in the hub; each accepted id ends in exactly one event.

mod admission;
mod audit;
mod bans;
mod budget;
mod close;
mod connection;
mod connections;
mod deadlines;
mod encoding;
mod fanout;
mod input;
mod journal;
mod ledger;
mod output;
mod pages;
pub mod reload;
mod server;
mod services;
mod snapshot;
mod status;
mod summaries;
mod throttle;
mod verbs;

pub use crate::session::{CloseMode, Wants};
pub use admission::{AcceptFailure, Accepted};
pub use audit::AuditCounts;
pub use input::READ_BUDGET;
pub use output::{Flushed, WriteError};
pub use server::Engine;
pub use services::{JOBS_MAX, Service, ServiceWorker, service};
