//! One connection, without its socket: phase, limits, deadlines, unparsed input and unsent output.
//!
//! Pure: no socket, file, thread or clock. Bytes, ends and time are handed in (`handle_*`); what the socket should
//! do is asked (`wants_*`, `poll_*`). A session knows no nick and no room.

mod close;
mod connection;
pub mod flood;
mod hold;
mod intake;
mod limits;
mod outflow;
pub mod phase;
pub mod timeline;
pub mod timers;
mod view;

pub use close::{CloseMode, CloseReason, Linger, REMEMBERED_CHARS_MAX};
pub use connection::{Counters, Input, Output, Session, Wants};
pub use hold::Hold;
pub use intake::Incoming;
pub use limits::{ConnectionLimits, FloodLimits};
pub use outflow::Overflow;
pub use phase::{Half, Phase};
pub use timeline::Milestone;
