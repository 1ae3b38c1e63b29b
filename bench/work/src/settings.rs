//! Settings that every engine gets, read back: one that silently has others would be compared unfairly.

use anyhow::{Result, ensure};
use rusqlite::Connection;
use rusqlite::types::Value;

/// The kind of journal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// A write-ahead log.
    Wal,
    /// A rollback journal that is deleted: SQLite's default.
    Delete,
}

/// A commit is on the disk when it returns.
pub(crate) fn durable(connection: &Connection, journal: Journal) -> Result<()> {
    set(connection, journal, "FULL", 2)
}

/// Nothing is synced: for tables whose making is not measured.
pub(crate) fn careless(connection: &Connection, journal: Journal) -> Result<()> {
    set(connection, journal, "OFF", 0)
}

fn set(connection: &Connection, journal: Journal, synchronous: &str, level: u8) -> Result<()> {
    let name = match journal {
        Journal::Wal => "wal",
        Journal::Delete => "delete",
    };
    connection.pragma_update(None, "journal_mode", name)?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Some builds overwrite what is deleted, others do not.
    connection.pragma_update(None, "secure_delete", "OFF")?;
    let level = level.to_string();
    let expected = [
        ("journal_mode", name),
        ("synchronous", &level),
        ("page_size", "4096"),
        ("wal_autocheckpoint", "1000"),
        ("secure_delete", "0"),
        ("locking_mode", "normal"),
        ("mmap_size", "0"),
    ];
    for (pragma, expected) in expected {
        // A build without memory mapping answers nothing.
        let mut found = expected.to_owned();
        connection.pragma_query(None, pragma, |row| {
            // SQLCipher answers some of them with text.
            found = match row.get(0)? {
                Value::Integer(number) => number.to_string(),
                Value::Text(text) => text,
                other => format!("{other:?}"),
            };
            Ok(())
        })?;
        ensure!(
            found == expected,
            "{pragma} is {found} instead of {expected}"
        );
    }
    Ok(())
}

/// `PRAGMA cache_size`: pages, or KiB if it is negative.
pub(crate) fn cache(connection: &Connection, size: i64) -> Result<()> {
    connection.pragma_update(None, "cache_size", size)?;
    let found: i64 = connection.pragma_query_value(None, "cache_size", |row| row.get(0))?;
    ensure!(found == size, "cache_size is {found} instead of {size}");
    Ok(())
}
