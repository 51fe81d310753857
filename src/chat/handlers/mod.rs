//! What each command does, one function a command; [`super::table`] names them.
//!
//! A handler gets arguments that are already counted. It either refuses, and then has changed and sent nothing,
//! or acts and answers.

#![expect(clippy::unnecessary_wraps, reason = "all handlers have the one signature of the table")]

pub(super) mod ignore;
pub(super) mod people;
pub(super) mod rooms;
pub(super) mod session;
pub(super) mod talk;
