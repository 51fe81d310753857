//! chatops: a chat server for `nc` and `telnet` whose operator sees, and acts on, every socket.
//!
//! Read it from the inside out; arrows go down only:
//!
//! ```text
//! cli ──► dash ─────────────► link ──► engine ──► model ──► chat, session ──► wire
//!  │        └────► term        │
//!  ├────► net ──► control ─────┘
//!  └────► bench
//! ```
//!
//! [`wire`], [`session`], [`chat`], [`model`] and [`engine`] are pure: no socket, file, thread or clock. [`net`] is the
//! one loop that owns the clients' sockets; [`dash`] is the operator's dashboard with [`term`] as its terminal,
//! [`control`] the control socket, and [`link`] the only way between the server and both. `bench` is a load generator
//! that knows a server by its socket only.
//! [`config`]'s settings, [`id`], [`network`] and [`time`] are plain data for all.

#[cfg(not(target_os = "linux"))]
compile_error!("chatops runs on Linux: it needs epoll, SIOCOUTQ and TCP_INFO");

pub(crate) mod bench;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub(crate) mod count;
pub mod dash;
pub mod engine;
pub mod id;
pub mod link;
pub(crate) mod log;
pub mod model;
pub mod net;
pub mod network;
pub mod poller;
pub mod session;
pub(crate) mod signals;
pub mod term;
pub mod time;
pub mod wire;
