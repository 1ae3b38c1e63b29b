//! The virtual tables over tables of the same database: each against brute force, through whatever a connection, a
//! second one, a rollback or a crash can do to it.
#![cfg(all(feature = "indexes", feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

#[path = "../support/support.rs"]
mod support;

mod bitmap;
mod cidr;
mod comparisons;
mod example;
mod history;
mod hostile;
mod moved;
mod runtime;
mod schemas;
mod transactions;
