//! Nine reads to one durable write.

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::Work;
use crate::row::{Rows, SplitMix};

/// Rows of the table.
pub(crate) const ROWS: u32 = 50_000;

/// Selects or updates random rows, each statement by itself.
pub(crate) fn run(connection: &Connection, operations: u32) -> Result<Work> {
    let source = Rows::new();
    let mut random = SplitMix(4);
    let mut checksum = 0u64;
    for at in 0..operations {
        let id = random.next() % u64::from(ROWS) + 1;
        let id = u32::try_from(id)?;
        if at % 10 == 9 {
            let (_, body) = source.row(id ^ at);
            connection
                .prepare_cached("UPDATE item SET owner = owner + 1, body = ?2 WHERE id = ?1")?
                .execute(params![id, body])?;
        } else {
            let owner: u64 = connection
                .prepare_cached("SELECT owner, body FROM item WHERE id = ?1")?
                .query_row([id], |row| row.get(0))?;
            checksum = checksum.wrapping_mul(31).wrapping_add(owner);
        }
    }
    Ok(Work::new(u64::from(operations), checksum))
}
