//! Indexes that SQLite lacks, as virtual tables over tables of the same database.
//!
//! [`register`] makes them known to a connection; [`Builder`](crate::Builder) does so for those that it opens.
//!
//! - [`bitmap`]: AND, OR and NOT over columns, and counts.
//! - [`cidr`]: which prefixes hold an address, which lie in a prefix.
//! - [`timeseries`]: points in time, in compressed chunks; it is no index, but a table of its own.
//!
//! An index is bound to a table with an INTEGER PRIMARY KEY by triggers, stands in *shadow tables* beside it, and is as
//! durable, and as sealed, as the table is: a transaction changes both or neither. A query names the index, joins it
//! with the table by its rowid, and EXPLAIN QUERY PLAN shows what the index does.
//!
//! ```
//! use rusqlite::Connection;
//!
//! let db = Connection::open_in_memory()?;
//! zqlite::index::register(&db)?;
//! db.execute_batch(
//!     "CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT, via TEXT);
//!      INSERT INTO routes(prefix, via) VALUES ('10.0.0.0/8', 'office'), ('10.1.0.0/16', 'lab');
//!      CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix);",
//! )?;
//! let via: String = db.query_row(
//!     "SELECT via FROM route_ip JOIN routes ON routes.id = route_ip.rowid
//!      WHERE longest_match = ?1",
//!     ["10.1.2.3"],
//!     |row| row.get(0),
//! )?;
//! assert_eq!(via, "lab");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Writes
//!
//! A write to the table changes the index, by any statement and in any program that has registered the module; where
//! it is not registered, the triggers fail and with them the write. REPLACE deletes the rows that are in its way, and
//! SQLite runs the triggers for that only with `PRAGMA recursive_triggers=ON`, which [`register`] switches on: without
//! it, writes to the table are refused. An authorizer must let that pragma be read.
//!
//! Nobody writes to the index itself, but for `INSERT INTO route_ip(changed) VALUES ('all')`, which indexes all rows
//! anew. `PRAGMA integrity_check` compares the index with its table.
//!
//! Dropping the index drops its triggers, its view and its shadow tables. When its table is dropped, drop it, too: until
//! then its queries fail.

mod binding;
pub mod bitmap;
pub mod cidr;
mod fault;
mod ffi;
mod module;
mod name;
mod numbers;
pub mod timeseries;

use rusqlite::Connection;

use crate::Error;
use fault::Fault;

/// Registers the virtual tables on a connection, and switches `recursive_triggers` on.
///
/// # Errors
/// [`Error::Sqlite`] if SQLite refuses: the connection runs a statement of one of the modules.
pub fn register(connection: &Connection) -> Result<(), Error> {
    register_modules(connection)?;
    connection.pragma_update(None, "recursive_triggers", true)?;
    Ok(())
}

/// Registers the virtual tables on a connection and changes nothing else, for a connection that is somebody else's:
/// while `recursive_triggers` is off there, writes that would change an index are refused.
///
/// # Errors
/// As [`register`].
pub fn register_modules(connection: &Connection) -> Result<(), Error> {
    let registered = || -> Result<(), Fault> {
        ffi::register::<bitmap::Bitmap>(connection)?;
        ffi::register::<cidr::Cidr>(connection)?;
        ffi::register::<timeseries::TimeSeries>(connection)
    };
    registered().map_err(|fault| {
        Error::Sqlite(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(fault.code),
            Some(fault.message),
        ))
    })
}
