//! Hostile and broken clients, and system calls that fail: the server never blocks, grows or spins.
//!
//! Every attack is made in a [`scene::Scene`], whose three bystanders chat in the same room and miss no line of each
//! other. After the attack the server has the descriptors that it had before, and idles.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod bytes;
mod endings;
mod readers;
mod scene;
mod system;
mod work;
