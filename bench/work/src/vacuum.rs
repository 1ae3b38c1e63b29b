//! VACUUM.

use anyhow::Result;
use rusqlite::Connection;

use crate::settings::Journal;
use crate::{Work, insert};

/// A table of which every third row was deleted.
pub(crate) fn prepare(connection: &Connection, rows: u32) -> Result<()> {
    insert::table(connection, Journal::Delete, rows, rows)?;
    connection.execute_batch("DELETE FROM item WHERE id % 3 = 0")?;
    Ok(())
}

/// Vacuums it.
pub(crate) fn run(connection: &Connection) -> Result<Work> {
    connection.execute_batch("VACUUM")?;
    let (rows, sum): (u64, u64) =
        connection.query_row("SELECT count(*), sum(id) FROM item", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(Work::new(rows, sum))
}
