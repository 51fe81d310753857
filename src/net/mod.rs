//! The one loop that owns the clients' sockets. It accepts operators on the control socket, and hands them over.
//!
//! It makes each socket do what its session in the [`crate::engine`] wants, and notifies the engine of what happened.
//! Polling is level-triggered: an event that one turn does not handle appears again in the next. An error of one peer
//! never leaves the loop; it becomes a close reason in the engine.

mod accept;
mod control;
pub mod drive;
mod gauge;
mod ingest;
mod kernel;
mod listener;
mod process;
mod publish;
mod reactor;
mod reload;
mod server;
mod socket;
mod socket_file;
mod table;

pub use listener::BindError;
pub use server::{End, Server, Totals};
