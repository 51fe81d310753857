//! The one loop that owns the clients' sockets. It accepts operators on the control socket, and hands them over.
//!
//! It has each socket do what its session in the [`crate::engine`] wants, and tells the engine what happened.
//! Level-triggered throughout: what is not read or written in one turn shows again in the next. A peer can never
//! bring an error into the loop; it becomes a reason in the engine.

mod accept;
mod control;
mod gauge;
mod ingest;
mod kernel;
mod listener;
mod process;
mod publish;
mod reactor;
mod reload;
mod renew;
mod server;
mod signals;
mod socket;
mod socket_file;
mod table;
mod turn_time;

pub use listener::BindError;
pub use server::{End, Server, Totals};
