//! The rules that people rely on, tested on the engine alone: no socket, no clock, no thread.
//!
//! `stage` is the harness, with a virtual clock and a fake kernel for every client. Each of the other files has the tests
//! of one subject.

#[allow(dead_code, reason = "shared with the fault simulator, which uses another part of it")]
mod stage;

mod admission;
mod bans;
mod chat;
mod control;
mod farewell;
mod flood;
mod framings;
mod half_close;
mod json;
mod onlooker;
mod picture;
mod reload;
mod services;
mod shutdown;
mod slow;
mod stop;
mod telnet;
mod work;
