//! Rows move from one table to another.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Statement, ToSql};

use super::slices::Slices;
use super::table::{Table, quoted};
use crate::Error;

/// After so many rows the caller hears how far it is.
pub(super) const ROWS_A_REPORT: u64 = 1_024;

/// Copies all rows; `value` says how a column is written, if not as it is.
pub(super) fn copy(
    connection: &Connection,
    from: &Table,
    to: &str,
    value: &dyn Fn(&str) -> Option<String>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<u64, Error> {
    let rowid = from.rowid.map(str::to_owned);
    let columns: Vec<_> = rowid
        .into_iter()
        .chain(from.written().map(|column| quoted(&column.name)))
        .collect();
    let places: Vec<_> = from
        .rowid
        .map(|_| "?".to_owned())
        .into_iter()
        .chain(
            from.written()
                .map(|column| value(&column.name).unwrap_or_else(|| "?".to_owned())),
        )
        .collect();
    let source = quoted(&from.name);
    let total = count(connection, &from.name)?;
    let list = columns.join(", ");
    let mut read = connection.prepare(&format!("SELECT {list} FROM main.{source}"))?;
    let mut write = connection.prepare(&format!(
        "INSERT INTO main.{}({list}) VALUES ({})",
        quoted(to),
        places.join(", ")
    ))?;
    let mut rows = read.query([])?;
    let mut done = 0;
    while let Some(row) = rows.next()? {
        for at in 0..columns.len() {
            bind(&mut write, at + 1, ToSqlOutput::Borrowed(row.get_ref(at)?))?;
        }
        write.raw_execute()?;
        done += 1;
        if done % ROWS_A_REPORT == 0 && !progress(done, total) {
            return Err(Error::Interrupted);
        }
    }
    if !progress(done, total) {
        return Err(Error::Interrupted);
    }
    Ok(done)
}

/// Sets a column of all rows to an expression, where they are.
pub(super) fn rewrite(
    connection: &Connection,
    base: &Table,
    column: &str,
    expression: &str,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<u64, Error> {
    let total = count(connection, &base.name)?;
    let limit = u32::try_from(ROWS_A_REPORT).unwrap_or(u32::MAX);
    let (mut slices, mut done) = (Slices::default(), 0);
    loop {
        let slice = slices.next(connection, base, limit)?;
        if let Some(slice) = &slice {
            slice.set(connection, base, (column, expression), "1")?;
            done += slice.rows;
        }
        if !progress(done, total) {
            return Err(Error::Interrupted);
        }
        if slice.is_none() {
            return Ok(done);
        }
    }
}

/// How many rows a table has.
pub(super) fn count(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let sql = format!("SELECT count(*) FROM main.{}", quoted(table));
    connection
        .query_row(&sql, [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

fn bind(statement: &mut Statement<'_>, at: usize, value: impl ToSql) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(at, value)
}

/// AUTOINCREMENT goes on where it was.
pub(super) fn move_sequence(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<()> {
    if exists(connection, "sqlite_sequence")? {
        connection.execute(
            "DELETE FROM main.sqlite_sequence WHERE name = ?2 AND EXISTS(SELECT 1 FROM main.sqlite_sequence WHERE name = ?1)",
            [from, to],
        )?;
        connection.execute(
            "INSERT INTO main.sqlite_sequence(name, seq) SELECT ?2, seq FROM main.sqlite_sequence WHERE name = ?1",
            [from, to],
        )?;
    }
    Ok(())
}

/// Bytes of the values of a column.
pub(super) fn bytes(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<u64> {
    let sql = format!(
        "SELECT coalesce(sum(length(CAST({} AS BLOB))), 0) FROM main.{}",
        quoted(column),
        quoted(table)
    );
    connection
        .query_row(&sql, [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

/// Whether something in the schema has a name.
pub(super) fn exists(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS(SELECT 1 FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE)",
        [name],
        |row| row.get(0),
    )
}
