//! `chatops serve` from outside, over plain sockets: each promise of the chat, of the command line and of the
//! limits as something that a client sees.

#[path = "../common/mod.rs"]
mod common;

mod chat;
mod flow;
mod framings;
mod half_close;
mod lines;
mod listeners;
mod rooms;
mod stop;
