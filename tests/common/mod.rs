//! What the black-box tests share: the real `chatops` as a child process, clients of it, and what the kernel
//! reports about both.
//!
//! Nothing here knows the source of `chatops`; it starts the binary as a user does. Every wait has a
//! deadline and ends with a report of what was seen until then.

#![allow(dead_code, unused_imports, reason = "each test crate uses its own part of this module")]

pub(crate) mod bystanders;
pub(crate) mod client;
pub(crate) mod framing;
pub(crate) mod process;
pub(crate) mod real;
pub(crate) mod screen;
pub(crate) mod server;
pub(crate) mod transcript;
pub(crate) mod wait;

pub(crate) use bystanders::{Bystanders, Talk};
pub(crate) use client::{Client, End, people};
pub(crate) use framing::Framing;
pub(crate) use real::{RealClient, installed};
pub(crate) use screen::Terminal;
pub(crate) use server::{Endpoint, Finished, Home, Server};
pub(crate) use transcript::Transcript;
pub(crate) use wait::{AT_ONCE, DEADLINE, let_pass, now, wait_until};

/// Switches flood limits off, for tests about something else.
pub(crate) const NO_FLOOD_LIMIT: &str = "flood.enabled=false";

/// Text of one line for each number, each with a line end.
pub(crate) fn numbered(numbers: std::ops::Range<usize>, line: impl Fn(usize) -> String) -> String {
    numbers.fold(String::new(), |text, number| text + &line(number) + "\n")
}

/// The line with its time replaced by `HH:MM`, so that it can be compared as a whole.
pub(crate) fn without_time(line: &str) -> String {
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let timed = digit(0) && digit(1) && digit(3) && digit(4);
    if timed && bytes[2] == b':' && bytes.get(5) == Some(&b' ') {
        format!("HH:MM{}", &line[5..])
    } else {
        line.to_owned()
    }
}
