//! People and rooms: who is called what, who is where, what a line means and how it is worded.
//!
//! Pure: no socket, file, thread or clock. Chat never sees bytes; it is handed scrubbed text and hands
//! [`Line`]s to a [`Delivery`].

pub mod delivery;
pub mod line;
pub mod names;

pub use delivery::{Delivery, RoomId};
pub use line::{Line, Style};
pub use names::{Nick, RoomName};
