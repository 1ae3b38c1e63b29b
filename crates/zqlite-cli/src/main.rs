//! The command `zqlite`: makes keys, seals SQLite databases, runs SQL on them, inspects and verifies them.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

mod args;
mod command;
mod demo;
mod dump;
mod exit;
mod keys;
mod keyword;
mod new_keys;
mod open;
mod output;
mod process;
mod progress;
mod rows;
mod secret_file;
mod shell;
mod statement;
mod table;

fn main() -> ExitCode {
    process::harden();
    // The panic hook has spoken; a panic is a failure like any other, status 1.
    let status = catch_unwind(AssertUnwindSafe(run)).unwrap_or(exit::Status::Failure);
    status.into()
}

fn run() -> exit::Status {
    let args = match args::parse() {
        Ok(args) => args,
        Err(status) => return status,
    };
    let may_be_cut_short = args.command.may_be_cut_short();
    match command::run(args) {
        Ok(()) => exit::Status::Done,
        Err(error) if may_be_cut_short && exit::is_broken_pipe(&error) => exit::Status::Done,
        Err(error) => exit::report(&error),
    }
}
