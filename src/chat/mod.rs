//! People and rooms: names, members, what a message means and how a line is formatted.
//!
//! Pure: no socket, file, thread or clock. Chat never sees bytes; it is handed scrubbed text and hands
//! [`Line`]s to a [`Delivery`].
//!
//! [`Hub`] is the way in. A message is parsed in `command`, a command is run by one function of `handlers`,
//! and what it changes is in `people` and `room`. `presence` decides whether a join or leave is announced or counted,
//! `departures` when a departure is announced, `ignores` which people do not read each other, `mutes` who may not speak.

mod command;
mod departures;
pub mod format;
mod handlers;
pub mod hub;
mod ignores;
mod json;
mod long_answer;
pub mod message;
mod mutes;
pub mod names;
mod people;
mod person;
mod presence;
mod remote;
mod room;
#[cfg(test)]
mod script;
pub mod service;
mod table;

pub use command::Takes;
pub use hub::{Hub, Outcome, Profile, RoomSummary, Rules};
pub use message::{Delivery, Kind, Line, Message, Origin, RoomId, Style};
pub use names::{Nick, RoomName, ServerName};
pub use service::{AnswerLine, Job, Reply, Ticket};
pub use table::{Command, command_table_markdown};
