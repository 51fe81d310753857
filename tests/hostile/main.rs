//! Clients that mean no good, or do not know better, and system calls that fail: whatever comes, the server neither
//! wedges nor grows nor spins.
//!
//! Every attack is made in a [`scene::Scene`], whose three bystanders chat in the same room all the while and miss no
//! line of each other; afterwards the server has the descriptors it had before, and idles.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod bytes;
mod descriptors;
mod endings;
mod injected;
mod noise;
mod readers;
mod records;
mod scene;
mod work;
