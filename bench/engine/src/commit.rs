//! Transactions that survive a power cut.

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::engine::Database;
use crate::row::{Rows, TABLE};
use crate::{Work, read};

pub(crate) fn prepare(database: &Database) -> Result<Connection> {
    let connection = database.open()?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(TABLE)?;
    Ok(connection)
}

/// Commits `count` rows one by one.
pub(crate) fn run(connection: &mut Connection, count: u32) -> Result<Work> {
    let source = Rows::new();
    for id in 1..=count {
        let (owner, body) = source.row(id);
        connection
            .prepare_cached("INSERT INTO item VALUES (?1, ?2, ?3)")?
            .execute(params![id, owner, body])?;
    }
    Ok(Work {
        operations: u64::from(count),
        checksum: read::last_id(connection)?,
    })
}
