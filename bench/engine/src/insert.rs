//! Writing the large table.

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::engine::Database;
use crate::row::{Rows, TABLE};
use crate::{Work, read};

/// Inserts `rows` rows in transactions of `batch`, and closes the database.
pub(crate) fn run(database: &Database, journal_mode: &str, rows: u32, batch: u32) -> Result<Work> {
    let mut connection = database.open()?;
    prepare(&connection, journal_mode, "FULL")?;
    fill(&mut connection, rows, batch)?;
    done(&connection, rows)
}

/// Inserts `rows` rows, each page or two in a transaction of its own. Nothing is synced: the speed of this is
/// not what is measured.
pub(crate) fn in_small_transactions(database: &Database, rows: u32) -> Result<Work> {
    let mut connection = database.open()?;
    prepare(&connection, "TRUNCATE", "OFF")?;
    fill(&mut connection, rows, 8)?;
    done(&connection, rows)
}

fn prepare(connection: &Connection, journal_mode: &str, synchronous: &str) -> Result<()> {
    connection.pragma_update(None, "journal_mode", journal_mode)?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute_batch(TABLE)?;
    Ok(())
}

fn fill(connection: &mut Connection, rows: u32, batch: u32) -> Result<()> {
    let source = Rows::new();
    let mut next = 1;
    while next <= rows {
        let transaction = connection.transaction()?;
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

fn done(connection: &Connection, rows: u32) -> Result<Work> {
    Ok(Work {
        operations: u64::from(rows),
        checksum: read::last_id(connection)?,
    })
}
