//! sqlx, diesel and rusqlite, in one binary with one SQLite, on sealed files whose keys the process has
//! registered.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod diesel_client;
mod one_sqlite;
mod sealed_file;
mod sqlx_client;
