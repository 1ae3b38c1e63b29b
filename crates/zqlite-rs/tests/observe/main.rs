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

#[path = "../runtime/gate.rs"]
#[expect(dead_code, reason = "what was written is not looked at here")]
mod gate;

mod database;
mod exposition;
mod guide;
mod moved;
mod scrape;
mod spans;
mod statements;

use std::process::Command;

/// Runs the test of this name once more, alone in a process: `metrics` takes one recorder in its
/// life, and `tracing` one subscriber. `true` there.
pub(crate) fn alone(test: &str) -> bool {
    const ALONE: &str = "ZQLITE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    false
}
