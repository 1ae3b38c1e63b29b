//! The extension in programs that others wrote, and the C API.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and say what they skip"
)]

mod abi;
mod c;
mod go;
mod guides;
mod node;
mod python;
mod shell;
mod support;
mod tables;
