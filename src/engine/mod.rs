//! The whole server without its I/O: sessions, hub, deadlines, operator verbs, snapshots, counters.
//!
//! Pure: bytes, ends, errors and time come in; what each socket should do comes out. It runs the same under the
//! reactor, under the tests' virtual clock and under the fault simulator.
//!
//! Invariants: nobody is freed but by [`Engine::ended`], when the socket is closed; a session that has said
//! farewell is never in the hub; each accepted id ends in exactly one record.

mod admission;
mod bans;
mod books;
mod briefs;
pub mod control;
mod deadlines;
mod desk;
mod encoding;
mod entry;
mod fanout;
mod inbound;
mod journal;
mod ledger;
pub mod operator;
mod outbound;
mod parting;
mod picture;
pub mod record;
pub mod reload;
mod server;
pub mod snapshot;
mod sockets;
mod status;
mod switchboard;
mod throttle;
mod unhurried;
mod verbs;
mod volume;

pub use crate::session::{CloseMode, Wants};
pub use admission::{AcceptFailure, Accepted};
pub use books::Books;
pub use server::Engine;
pub use sockets::{READ_BUDGET, Sockets, WriteError};
