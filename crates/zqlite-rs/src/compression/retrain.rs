//! New dictionaries for rows that no longer look like the old ones.

use rusqlite::{Connection, params};

use super::catalog::{self, Column};
use super::column::{Options, atomically};
use super::functions;
use super::moving::count;
use super::slices::{Slice, Slices};
use super::table::{Subject, Table, quoted};
use super::training::train;
use crate::Error;

/// What a new dictionary is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retrained {
    /// Its version.
    pub version: u64,
    /// Its length, in bytes.
    pub dictionary_bytes: u64,
}

/// What recompressing did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recompressed {
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows that were written anew.
    pub changed: u64,
    /// Dictionaries that no row needs any more, and that are gone.
    pub dropped: u64,
}

/// Trains a new dictionary on the values that a compressed column has now. New values are compressed with it; old ones
/// stay as they are, and readable. `options.null_takes_default` means nothing here.
///
/// # Errors
/// [`Error::Column`] if the column is not compressed, or has too little in it to learn from.
pub fn retrain(
    connection: &Connection,
    table: &str,
    column: &str,
    options: &Options,
) -> Result<Retrained, Error> {
    let subject = Subject { table, column };
    options.check(subject)?;
    ready(connection)?;
    atomically(connection, || {
        let own = find(connection, subject)?;
        let names = Subject {
            table: &own.table,
            column: &own.column,
        };
        base_of(connection, &own)?;
        let expression = format!("zqlite_decompress({})", quoted(&own.column));
        let dictionary = train(
            connection,
            names,
            &own.base,
            &expression,
            options,
            &mut || true,
        )?
        .ok_or_else(|| subject.refused("there is too little in it to train a dictionary"))?;
        catalog::set_level(connection, &own, options.level)?;
        Ok(Retrained {
            version: dictionary.version.cast_unsigned(),
            dictionary_bytes: dictionary.bytes.len() as u64,
        })
    })
}

/// Compresses with the newest dictionary what another one compressed, or none, in transactions of some thousand rows, so
/// that others can write in between. Dictionaries that no row needs any more are deleted at the end: only then is the
/// text of deleted rows gone that was in them.
///
/// `progress` hears how many rows of how many are done; `false` stops, and what is done stays done.
///
/// # Errors
/// [`Error::Column`] if the column is not compressed; [`Error::Interrupted`].
pub fn recompress(
    connection: &Connection,
    table: &str,
    column: &str,
    rows_a_step: u32,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Recompressed, Error> {
    let subject = Subject { table, column };
    ready(connection)?;
    let mut outcome = Recompressed {
        rows: 0,
        changed: 0,
        dropped: 0,
    };
    let own = find(connection, subject)?;
    let total = count(connection, &base_of(connection, &own)?.name)?;
    let mut slices = Slices::default();
    loop {
        let stepped = atomically(connection, || {
            let own = find(connection, subject)?;
            let base = base_of(connection, &own)?;
            let slice = slices.next(connection, &base, rows_a_step.max(1))?;
            slice
                .map(|slice| step(connection, &own, &base, &slice))
                .transpose()
        })?;
        let Some((rows, changed)) = stepped else {
            break;
        };
        outcome.rows += rows;
        outcome.changed += changed;
        // Others may have added some since.
        if !progress(outcome.rows, total.max(outcome.rows)) {
            return Err(Error::Interrupted);
        }
    }
    outcome.dropped = atomically(connection, || {
        drop_unused(connection, &find(connection, subject)?)
    })?;
    Ok(outcome)
}

fn ready(connection: &Connection) -> Result<(), Error> {
    if !functions::are_registered(connection)? {
        functions::register(connection)?;
    }
    Ok(())
}

fn find(connection: &Connection, subject: Subject<'_>) -> Result<Column, Error> {
    catalog::columns_of(connection, subject.table)?
        .into_iter()
        .find(|own| own.column.eq_ignore_ascii_case(subject.column))
        .ok_or_else(|| subject.refused("it is not compressed"))
}

/// The table behind a column's view.
fn base_of(connection: &Connection, own: &Column) -> Result<Table, Error> {
    Table::behind(connection, &own.base, &own.column)
}

/// Compresses some rows anew; gives how many there were, and how many have changed.
fn step(
    connection: &Connection,
    own: &Column,
    base: &Table,
    slice: &Slice,
) -> Result<(u64, u64), Error> {
    let id = catalog::newest(connection, &own.table, &own.column)?
        .map_or_else(|| "NULL".to_owned(), |id| id.to_string());
    let column = quoted(&own.column);
    let changed = slice.set(
        connection,
        base,
        (
            &own.column,
            &format!("zqlite_compress(zqlite_decompress({column}), {id})"),
        ),
        &format!(
            "typeof({column}) IN ('text', 'blob') AND zqlite_dictionary_of({column}) IS NOT {id}"
        ),
    )?;
    Ok((slice.rows, changed))
}

/// Deletes the dictionaries that no row needs, but for the newest.
fn drop_unused(connection: &Connection, own: &Column) -> Result<u64, Error> {
    let Some(newest) = catalog::newest(connection, &own.table, &own.column)? else {
        return Ok(0);
    };
    let sql = format!(
        r#"DELETE FROM main.zqlite_dictionaries WHERE "table" = ?1 AND "column" = ?2 AND id <> ?3 AND id NOT IN
           (SELECT zqlite_dictionary_of({column}) FROM main.{base}
            WHERE typeof({column}) = 'blob' AND zqlite_dictionary_of({column}) IS NOT NULL)"#,
        column = quoted(&own.column),
        base = quoted(&own.base)
    );
    let dropped = connection.execute(&sql, params![own.table, own.column, newest])?;
    Ok(dropped as u64)
}
