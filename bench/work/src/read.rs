//! Reading the large table.

use anyhow::Result;
use rusqlite::Connection;

use crate::Work;
use crate::row::SplitMix;

/// How many selects are timed.
pub(crate) const SELECTS: u32 = 100_000;
/// Rows that fit into a cache of 64 MiB.
pub(crate) const HOT_ROWS: u32 = 50_000;
/// How many ranges are read, and of how many rows.
const RANGES: u32 = 2_000;
const RANGE_ROWS: u32 = 100;

/// What the first rows of the table stand on comes into SQLite's cache.
pub(crate) fn fill_cache(connection: &Connection, rows: u32) -> Result<()> {
    connection.query_row(
        "SELECT sum(length(body)) FROM item WHERE id <= ?1",
        [rows],
        |_| Ok(()),
    )?;
    Ok(())
}

/// Selects rows by random keys, `count` statements, in one transaction.
pub(crate) fn select(
    connection: &mut Connection,
    rows: u32,
    count: u32,
    seed: u64,
) -> Result<Work> {
    let transaction = connection.transaction()?;
    let mut select = transaction.prepare("SELECT owner, body FROM item WHERE id = ?1")?;
    let mut random = SplitMix(seed);
    let mut checksum = 0u64;
    for _ in 0..count {
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
    Ok(Work::new(u64::from(count), checksum))
}

/// Visits every row.
pub(crate) fn scan(connection: &Connection) -> Result<Work> {
    let (count, sum, bytes): (u64, u64, u64) = connection.query_row(
        "SELECT count(*), sum(owner), sum(length(body)) FROM item",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(Work::new(count, sum.wrapping_mul(31).wrapping_add(bytes)))
}

/// Reads runs of rows from random places, in one transaction.
pub(crate) fn ranges(connection: &mut Connection, rows: u32) -> Result<Work> {
    let transaction = connection.transaction()?;
    let mut select = transaction
        .prepare("SELECT sum(owner), sum(length(body)) FROM item WHERE id BETWEEN ?1 AND ?2")?;
    let mut random = SplitMix(3);
    let mut checksum = 0u64;
    for _ in 0..RANGES {
        let last = u64::from(rows.saturating_sub(RANGE_ROWS).max(1));
        let first = i64::try_from(random.next() % last + 1)?;
        let (owners, bytes) = select
            .query_row([first, first + i64::from(RANGE_ROWS) - 1], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))
            })?;
        checksum = checksum
            .wrapping_mul(31)
            .wrapping_add(owners)
            .wrapping_add(bytes);
    }
    Ok(Work::new(u64::from(RANGES), checksum))
}

/// The largest key.
pub(crate) fn last_id(connection: &Connection) -> Result<u64> {
    Ok(connection.query_row("SELECT max(id) FROM item", [], |row| row.get(0))?)
}
