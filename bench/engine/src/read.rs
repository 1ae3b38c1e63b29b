//! Reading the large table.

use anyhow::Result;
use rusqlite::Connection;

use crate::Work;
use crate::row::SplitMix;

/// How many rows are selected.
const SELECTS: u32 = 100_000;

/// Selects rows by random keys, one statement each.
pub(crate) fn select(connection: &mut Connection, rows: u32) -> Result<Work> {
    let transaction = connection.transaction()?;
    let mut select = transaction.prepare("SELECT owner, body FROM item WHERE id = ?1")?;
    let mut random = SplitMix(2);
    let mut checksum = 0u64;
    for _ in 0..SELECTS {
        let id = random.next() % u64::from(rows) + 1;
        let (owner, first) = select.query_row([i64::try_from(id)?], |row| {
            let body = row.get_ref(1)?.as_blob()?;
            Ok((row.get::<_, u32>(0)?, body.first().copied()))
        })?;
        checksum = checksum
            .wrapping_mul(31)
            .wrapping_add(u64::from(owner))
            .wrapping_add(u64::from(first.unwrap_or_default()));
    }
    Ok(Work {
        operations: u64::from(SELECTS),
        checksum,
    })
}

/// Visits every row.
pub(crate) fn scan(connection: &Connection) -> Result<Work> {
    let (count, sum, bytes): (u64, u64, u64) = connection.query_row(
        "SELECT count(*), sum(owner), sum(length(body)) FROM item",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(Work {
        operations: count,
        checksum: sum.wrapping_mul(31).wrapping_add(bytes),
    })
}

/// The largest key.
pub(crate) fn last_id(connection: &Connection) -> Result<u64> {
    Ok(connection.query_row("SELECT max(id) FROM item", [], |row| row.get(0))?)
}
