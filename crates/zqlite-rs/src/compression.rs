//! Columns whose values are compressed before the page is sealed.
//!
//! Each value of such a column is one small zstd frame, made with a dictionary that was trained on the table's
//! own rows: so a row of a kilobyte shrinks as if it stood in one large file with all the others, and is still
//! read without them. [`compress_column`] puts a view in the place of the table, and programs go on as before.
//!
//! How a stored value looks stands in FORMAT.md, what compressing before encrypting gives away in SECURITY.md, and
//! what differs from a plain table in `docs/guides/compression.md`.
//!
//! ```
//! use zqlite::compression::{self, Options};
//! use zqlite::rusqlite::Connection;
//!
//! # fn main() -> Result<(), zqlite::Error> {
//! let connection = Connection::open_in_memory()?;
//! connection.execute_batch("CREATE TABLE peer(id INTEGER PRIMARY KEY, meta TEXT)")?;
//! for id in 0..500 {
//!     let meta = format!(r#"{{"hostname":"host-{id}.example.org","os":"linux","tags":["a","b"]}}"#);
//!     connection.execute("INSERT INTO peer(meta) VALUES (?1)", [meta])?;
//! }
//! let done = compression::compress_column(&connection, "peer", "meta", &Options::default(), &mut |_, _| true)?;
//! assert!(done.stored_bytes * 2 < done.plain_bytes);
//! let host: String = connection.query_row("SELECT meta ->> 'hostname' FROM peer WHERE id = 7", [], |row| row.get(0))?;
//! assert_eq!(host, "host-6.example.org");
//! # Ok(())
//! # }
//! ```

mod catalog;
mod column;
mod dictionary;
mod ffi;
mod functions;
mod moving;
mod outline;
mod retrain;
mod slices;
mod stored;
mod table;
mod training;
mod view;

pub use catalog::{Column, columns};
pub use column::{Compressed, Options, compress_column, decompress_column};
pub use functions::register;
pub use retrain::{Recompressed, Retrained, recompress, retrain};

/// The largest value that is compressed, and that a stored value may claim to be, in bytes. Larger ones are stored as
/// they are. SQLite's own limit, if it is lower, counts too.
pub const MAX_VALUE_LEN: usize = 64 << 20;

/// The largest dictionary that is tried unless told otherwise, in bytes: zstd's own default. Of a few lengths up to it, the one
/// that saves most of rows that it was not trained on is taken.
pub const DICTIONARY_LEN: usize = 112_640;

/// The largest dictionary that is read from a database, in bytes.
pub const MAX_DICTIONARY_LEN: usize = 1 << 20;

/// How hard zstd works unless told otherwise.
pub const DEFAULT_LEVEL: i32 = 3;

/// The highest level: above it, zstd's tables need more memory than a row is worth.
pub const MAX_LEVEL: i32 = 19;
