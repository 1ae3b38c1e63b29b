//! What a running database tells: the table of the guide is what is measured, a scrape is what Prometheus can read, and
//! spans hold no values.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic"
)]

#[path = "../support/support.rs"]
mod support;

mod exposition;
mod guide;
mod moved;
mod scrape;
mod statements;
