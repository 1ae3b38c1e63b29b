//! Drives the binary as its users do.

mod bad_input;
mod demo;
mod interrupted;
mod keys;
mod query_output;
mod round_trip;
mod shell;
mod support;
