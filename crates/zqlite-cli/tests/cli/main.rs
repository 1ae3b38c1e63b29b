//! Drives the binary as its users do.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are no tests to clippy"
)]

mod age;
mod backup;
mod bad_input;
mod closed_stdout;
mod compress;
mod compress_stopped;
mod demo;
mod interrupted;
mod keys;
mod killed;
mod owner;
mod query_output;
mod restore;
mod round_trip;
mod salvage;
mod shell;
mod signed_states;
mod support;
mod terminal;
