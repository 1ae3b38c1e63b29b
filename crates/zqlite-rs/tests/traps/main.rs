//! Each trap that a VFS can fall into, and each attack on a stored page.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and say what they skip"
)]

#[path = "../support/probe.rs"]
mod probe;
#[path = "../support/support.rs"]
mod support;

mod buffer;
mod device;
mod exchange;
mod header;
mod journal;
mod killed;
mod nonces;
mod page;
mod super_journal;
mod temporary;
mod wal;
