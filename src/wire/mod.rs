//! Bytes and messages: framing, telnet, text, and what waits to be sent.
//!
//! Pure, and the lowest layer: it knows no other module of this crate.

pub mod chunks;
pub mod foreign;
pub mod framer;
pub mod framing;
pub mod outbox;
pub mod telnet;
pub mod text;
