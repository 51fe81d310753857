//! What onlookers of a server see and ask: rows, status, events, and the operator's verbs, as plain data.
//!
//! Nothing here knows how it is made ([`crate::engine`]), how it is transported, or how it is drawn.

pub mod answer;
pub mod event;
pub mod snapshot;
pub mod verbs;
