//! The dashboard as an operator sees it: golden screens, and keys that never do what they should not.
//!
//! `CHATOPS_BLESS=1` writes the golden screens anew.

mod fixture;
mod golden;
mod hostile;
mod keys;
mod script;
mod words;
