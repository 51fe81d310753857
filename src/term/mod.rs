//! A terminal that never blocks: its modes, its frames, its input and job control.
//!
//! [`Terminal`] writes frames, [`input`] decodes keys, mouse and pastes. This layer does not know what is drawn or what
//! a key does.

pub mod input;
pub(crate) mod job;
pub(crate) mod key_codes;
#[cfg(test)]
pub(crate) mod pty;
mod terminal;
pub(crate) mod tty;

pub use terminal::{COPY_BYTES_MAX, CopyError, Terminal};
pub use tty::restore_active;
