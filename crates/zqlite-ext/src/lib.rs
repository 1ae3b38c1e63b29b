//! Sealed files in any program whose SQLite loads extensions, and what `sqlite3.h` lacks as a C API (`zqlite.h`).
//!
//! There is no SQLite in here: every call goes through the table of functions that the host hands to [`entry`].

mod api;
mod connection;
mod entry;
