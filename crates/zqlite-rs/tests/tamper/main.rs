//! Tampering, in the large: every byte of every file flipped in turn, pages and frames exchanged, files cut
//! anywhere, journals made up and doctored, and older copies put back. SECURITY.md has the verdicts; the single
//! cases with a story of their own are in `traps` and `live_files`.
//!
//! `ZQLITE_TAMPER_STRIDE` (16 if unset) is the distance of the bytes that are flipped, and of the places where a
//! file is cut. The first one, and what is flipped in each byte (the lowest bit, the highest, or all), are drawn
//! from `ZQLITE_TAMPER_SEED`, which is random if unset, and printed. With a stride of 1 every byte is taken (four
//! minutes on two cores); with `ZQLITE_TAMPER_MASKS=all` in all three ways.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic, and say what they drew"
)]

#[path = "../support/probe.rs"]
#[expect(dead_code, reason = "deletions are all that is watched here")]
mod probe;
#[path = "../support/support.rs"]
mod support;

mod caught;
mod hot;
mod journal;
mod log;
mod pages;
mod planted;
mod replays;
mod sample;
mod schedule;
mod signed;
mod super_journal;
mod sweep;
mod truncation;
mod wal;
