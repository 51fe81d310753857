//! The control socket as an onlooker: operators' connections, their requests, and answers that are made as their reader
//! takes them.
//!
//! [`Operator`] is one connection without its socket, and [`serve`] the thread that has the sockets of all. One request a
//! line, one JSON object a line as the answer, in order. [`client`] is the other end: which control sockets there are,
//! and how to ask one.

mod answer;
pub mod client;
mod json;
mod operator;
mod read;
pub mod remote;
pub mod serve;

pub use operator::{Ending, Operator};

/// The line for a peer that is not let in: `{"ok":false,"error":WHY}`.
#[must_use]
pub fn refusal(why: &str) -> Vec<u8> {
    let mut line = Vec::new();
    json::failure(&mut line, why);
    line
}
