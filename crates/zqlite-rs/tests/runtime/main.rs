//! The database as a runtime: group commit, readers, both faces.
//!
//! `ZQLITE_SOAK_SECONDS`: how long the soak lasts (default 5).
#![cfg(all(unix, feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

#[path = "../support/support.rs"]
mod support;

mod asynchronous;
mod attacks;
mod changes;
mod gate;
mod readers;
mod soak;
mod writes;
