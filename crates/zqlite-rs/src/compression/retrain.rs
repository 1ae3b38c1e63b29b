//! New dictionaries for rows that no longer look like the old ones.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::catalog::{self, Column};
use super::column::{Options, atomically};
use super::functions;
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
        let expression = format!("zqlite_decompress({})", quoted(&own.column));
        let dictionary = train(connection, names, &own.base, &expression, options)?
            .ok_or_else(|| subject.refused("there is too little in it to train a dictionary"))?;
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
    let mut after = None;
    loop {
        let step = atomically(connection, || {
            let own = find(connection, subject)?;
            let step = Step::new(connection, &own)?;
            step.run(connection, after.take(), rows_a_step.max(1))
        })?;
        outcome.rows += step.rows;
        outcome.changed += step.changed;
        let Some(last) = step.last else { break };
        after = Some(last);
        if !progress(outcome.rows, step.total) {
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

/// The SQL of a step over a range of keys.
struct Step {
    base: String,
    column: String,
    /// The names of the key's columns.
    key: Vec<String>,
    newest: Option<i64>,
}

struct Stepped {
    rows: u64,
    changed: u64,
    total: u64,
    /// The last key, unless there are no more rows.
    last: Option<Vec<Value>>,
}

impl Step {
    fn new(connection: &Connection, own: &Column) -> Result<Self, Error> {
        let names = Subject {
            table: &own.base,
            column: &own.column,
        };
        let base = Table::read(connection, names)?;
        Ok(Self {
            base: quoted(&own.base),
            column: quoted(&own.column),
            key: base.key.iter().map(|name| quoted(name)).collect(),
            newest: catalog::newest(connection, &own.table, &own.column)?,
        })
    }

    fn run(
        &self,
        connection: &Connection,
        after: Option<Vec<Value>>,
        limit: u32,
    ) -> Result<Stepped, Error> {
        let Self {
            base, column, key, ..
        } = self;
        let names = key.join(", ");
        let bound = |sign: &str| format!("({names}) {sign} ({})", vec!["?"; key.len()].join(", "));
        let lower = if after.is_some() {
            bound(">")
        } else {
            "1".to_owned()
        };
        let after = after.unwrap_or_default();
        let total = connection
            .query_row(&format!("SELECT count(*) FROM main.{base}"), [], |row| {
                row.get::<_, i64>(0)
            })?
            .cast_unsigned();
        let sql =
            format!("SELECT {names} FROM main.{base} WHERE {lower} ORDER BY {names} LIMIT {limit}");
        let mut statement = connection.prepare(&sql)?;
        let mut found = statement.query(params_from_iter(&after))?;
        let (mut rows, mut last) = (0, None);
        while let Some(row) = found.next()? {
            rows += 1;
            let key: rusqlite::Result<Vec<Value>> = (0..key.len()).map(|at| row.get(at)).collect();
            last = Some(key?);
        }
        let mut changed = 0;
        if let Some(last) = &last {
            let id = self
                .newest
                .map_or_else(|| "NULL".to_owned(), |id| id.to_string());
            let sql = format!(
                "UPDATE main.{base} SET {column} = zqlite_compress(zqlite_decompress({column}), {id})
                 WHERE {lower} AND {} AND typeof({column}) IN ('text', 'blob')
                 AND zqlite_dictionary_of({column}) IS NOT {id}",
                bound("<=")
            );
            changed = connection.execute(&sql, params_from_iter(after.iter().chain(last)))? as u64;
        }
        Ok(Stepped {
            rows,
            changed,
            total,
            last,
        })
    }
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
