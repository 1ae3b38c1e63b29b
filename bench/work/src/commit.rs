//! Transactions that survive a power cut.

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::row::{Rows, TABLE};
use crate::settings::{self, Journal};
use crate::{Work, read};

/// Makes the empty table.
pub(crate) fn prepare(connection: &Connection) -> Result<()> {
    settings::durable(connection, Journal::Wal)?;
    connection.execute_batch(TABLE)?;
    Ok(())
}

/// Commits `count` rows one by one.
pub(crate) fn run(connection: &Connection, count: u32) -> Result<Work> {
    let source = Rows::new();
    for id in 1..=count {
        let (owner, body) = source.row(id);
        connection
            .prepare_cached("INSERT INTO item VALUES (?1, ?2, ?3)")?
            .execute(params![id, owner, body])?;
    }
    Ok(Work::new(u64::from(count), read::last_id(connection)?))
}
