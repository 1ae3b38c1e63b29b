//! A database full of markers goes through everything that writes a file. No byte of a marker reaches one: every write
//! is watched from a VFS below ours, and every file that the process has open through `/proc`. The same work on plain
//! SQLite leaves the markers in every kind of file: so there was something to see.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and say what they skip"
)]

#[path = "../support/support.rs"]
mod support;

mod crash;
mod markers;
mod open_files;
mod watcher;
mod workload;
mod writes;
