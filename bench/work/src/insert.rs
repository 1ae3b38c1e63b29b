//! Writing the large table.

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::row::{Rows, TABLE};
use crate::settings::{self, Journal};
use crate::{Work, read};

/// Makes the table and inserts `rows` rows in transactions of `batch`; then a checkpoint.
pub(crate) fn table(
    connection: &Connection,
    journal: Journal,
    rows: u32,
    batch: u32,
) -> Result<Work> {
    settings::durable(connection, journal)?;
    fill(connection, rows, batch)?;
    Ok(Work::new(u64::from(rows), read::last_id(connection)?))
}

/// Inserts `rows` rows, each page or two in a transaction of its own. Nothing is synced: the speed of this is
/// not what is measured.
pub(crate) fn in_small_transactions(connection: &Connection, rows: u32) -> Result<Work> {
    settings::careless(connection, Journal::Delete)?;
    fill(connection, rows, 8)?;
    Ok(Work::new(u64::from(rows), read::last_id(connection)?))
}

fn fill(connection: &Connection, rows: u32, batch: u32) -> Result<()> {
    connection.execute_batch(TABLE)?;
    let source = Rows::new();
    let mut next = 1;
    while next <= rows {
        let transaction = connection.unchecked_transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO item VALUES (?1, ?2, ?3)")?;
        let end = rows.min(next.saturating_add(batch - 1));
        for id in next..=end {
            let (owner, body) = source.row(id);
            insert.execute(params![id, owner, body])?;
        }
        drop(insert);
        transaction.commit()?;
        next = end + 1;
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
