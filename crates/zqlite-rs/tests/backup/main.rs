//! Backups: of idle files, beside writers of other processes, interrupted and continued.
#![cfg(all(unix, feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and children report"
)]

mod beside_writers;
mod idle;
#[path = "../crash/rng.rs"]
mod rng;
#[path = "../support/support.rs"]
mod support;
mod unfinished;
