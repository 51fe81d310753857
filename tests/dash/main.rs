//! The dashboard without a terminal: golden screens, keys, filters and random input.
//!
//! `CHATOPS_BLESS=1` writes the golden screens again.

mod fixture;
mod golden;
mod hostile;
mod keys;
mod script;
mod words;
