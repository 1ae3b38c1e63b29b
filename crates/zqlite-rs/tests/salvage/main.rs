//! Damaged files are salvaged: what opens is in the new file, and the report says what is not.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

mod companions;
mod every_page;
mod hostile;
mod pages_of_rows;
mod recipients;
#[path = "../support/support.rs"]
mod support;
