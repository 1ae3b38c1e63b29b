//! What goes through a whole table that does not fit into memory, and writes as much.

use anyhow::Result;
use rusqlite::Connection;

use crate::settings::Journal;
use crate::{Work, insert};

/// A table of which every third row was deleted.
pub(crate) fn with_gaps(connection: &Connection, rows: u32) -> Result<()> {
    insert::table(connection, Journal::Delete, rows, rows)?;
    connection.execute_batch("DELETE FROM item WHERE id % 3 = 0")?;
    Ok(())
}

/// A table with an index whose order is another.
pub(crate) fn with_index(connection: &Connection, journal: Journal, rows: u32) -> Result<()> {
    insert::table(connection, journal, rows, rows)?;
    connection
        .execute_batch("CREATE INDEX item_body ON item(body); PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// Vacuums it.
pub(crate) fn vacuum(connection: &Connection) -> Result<Work> {
    connection.execute_batch("VACUUM")?;
    seen(connection)
}

/// Changes every row, and with it the index, in one transaction.
pub(crate) fn update(connection: &Connection) -> Result<Work> {
    connection.execute_batch(
        "UPDATE item SET body = substr(body, 200) || substr(body, 1, 199);
         PRAGMA wal_checkpoint(TRUNCATE)",
    )?;
    seen(connection)
}

/// Sorts all rows.
pub(crate) fn sort(connection: &Connection) -> Result<Work> {
    let mut select = connection.prepare("SELECT id FROM item ORDER BY substr(body, 100), body")?;
    let mut found = select.query([])?;
    let mut work = Work::new(0, 0);
    while let Some(row) = found.next()? {
        let id: u64 = row.get(0)?;
        work.operations += 1;
        work.checksum = work.checksum.wrapping_mul(31).wrapping_add(id);
    }
    Ok(work)
}

fn seen(connection: &Connection) -> Result<Work> {
    let (rows, sum): (u64, u64) =
        connection.query_row("SELECT count(*), sum(id) FROM item", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(Work::new(rows, sum))
}
