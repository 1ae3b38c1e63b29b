//! Whatever the disk does: torn pages, a full disk, a file that may not be written, a call that fails. There is a typed
//! error, no wrong row, and when the cause is gone, the database goes on without help.
//!
//! `ZQLITE_FAULT_STRIDE=1` strikes every call of every workload, instead of some of them.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and say how much they did"
)]

#[path = "../support/support.rs"]
mod support;

mod attached;
mod creation;
mod every_call;
mod faults;
mod full;
mod owner;
mod read_only;
mod story;
mod torn;
mod transfers;
mod workloads;
