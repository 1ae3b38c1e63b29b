//! A column is compressed, and made plain again.

use rusqlite::Connection;

use super::catalog::{self, Column};
use super::dictionary::Dictionary;
use super::moving::{bytes, copy, count, exists, move_sequence, rewrite};
use super::table::{Subject, Table, literal, quoted};
use super::training::train;
use super::{
    DEFAULT_LEVEL, DICTIONARY_LEN, MAX_DICTIONARY_LEN, MAX_LEVEL, functions, outline, view,
};
use crate::Error;

/// How a column is compressed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How hard zstd works, from 1 to [`MAX_LEVEL`]. Reading is equally fast at each.
    pub level: i32,
    /// The largest dictionary that is tried, in bytes, up to [`MAX_DICTIONARY_LEN`]; 0 for none.
    pub dictionary_len: usize,
    /// A column that has a default and may be NULL: an INSERT of NULL then takes the default, because a view cannot
    /// tell it from a value that is left out. Without this, a table with such a column is refused.
    pub null_takes_default: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: DEFAULT_LEVEL,
            dictionary_len: DICTIONARY_LEN,
            null_takes_default: false,
        }
    }
}

impl Options {
    pub(super) fn check(&self, subject: Subject<'_>) -> Result<(), Error> {
        if !(1..=MAX_LEVEL).contains(&self.level) {
            return Err(subject.refused(format!("levels go from 1 to {MAX_LEVEL}")));
        }
        if self.dictionary_len > MAX_DICTIONARY_LEN {
            return Err(subject.refused(format!(
                "a dictionary has at most {MAX_DICTIONARY_LEN} bytes"
            )));
        }
        Ok(())
    }
}

/// What compressing a column did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compressed {
    /// Rows of the table.
    pub rows: u64,
    /// Bytes of the column's values before.
    pub plain_bytes: u64,
    /// Bytes of the stored values.
    pub stored_bytes: u64,
    /// Bytes of the dictionary; 0 if there was too little to train one.
    pub dictionary_bytes: u64,
}

/// Compresses a column of a table of the main database, in one transaction.
///
/// The rows move to a table `TABLE_zqlite_rows`, and a view takes the table's name, with triggers that write through
/// it. `progress` hears how many rows of how many are done, and stops the operation with `false`: then nothing has
/// changed. Within a transaction of the caller, it is part of that.
///
/// # Errors
/// [`Error::Column`] says what is in the way: an index, a constraint or a trigger that would see compressed values, a
/// foreign key to the table, no primary key, …
pub fn compress_column(
    connection: &Connection,
    table: &str,
    column: &str,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Compressed, Error> {
    let subject = Subject { table, column };
    options.check(subject)?;
    if !functions::are_registered(connection)? {
        functions::register(connection)?;
    }
    atomically(connection, || {
        let mut others = catalog::columns_of(connection, table)?;
        if let Some(gone) = others.first()
            && !exists(connection, &gone.base)?
            && Table::read(connection, subject).is_ok()
        {
            // Somebody dropped the table behind the view, and made another one of its name.
            catalog::forget(connection, &gone.table)?;
            others.clear();
        }
        match others.first() {
            None => compress_first(connection, subject, options, progress),
            Some(first) => {
                let view = first.table.clone();
                let base = first.base.clone();
                let names = (view.as_str(), base.as_str());
                compress_another(connection, subject, options, others, names, progress)
            }
        }
    })
}

fn compress_first(
    connection: &Connection,
    subject: Subject<'_>,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Compressed, Error> {
    let table = Table::read(connection, subject)?;
    let name = table.compressible(connection, subject)?;
    table.check_replaceable(connection, subject, options.null_takes_default)?;
    let base_name = format!("{}_zqlite_rows", table.name);
    let mut taken = view::triggers(&table.name).to_vec();
    taken.push(base_name.clone());
    for name in taken {
        if exists(connection, &name)? {
            return Err(subject.refused(format!("the name {name} is taken")));
        }
    }
    let (base_sql, spelling) = rename(&table.sql, &table.name, &quoted(&base_name), subject)?;
    catalog::create(connection)?;
    connection.execute_batch(&base_sql)?;
    catalog::add_spelling(connection, &table.name, &table.name, &spelling)?;
    let own = Subject {
        table: &table.name,
        column: &name,
    };
    let total = count(connection, &table.name)?;
    let goes_on = &mut || progress(0, total);
    let dictionary = train(
        connection,
        own,
        &table.name,
        &quoted(&name),
        options,
        goes_on,
    )?;
    let id = dictionary.as_ref().map(Dictionary::id);
    let value =
        |column: &str| (column == name).then(|| format!("zqlite_compress(?, {})", id_literal(id)));
    let rows = copy(connection, &table, &base_name, &value, progress)?;
    let plain_bytes = bytes(connection, &table.name, &name)?;
    move_sequence(connection, &table.name, &base_name)?;
    connection.execute_batch(&format!("DROP TABLE main.{}", quoted(&table.name)))?;
    for index in &table.indexes {
        let (sql, spelling) = rename(&index.sql, &table.name, &quoted(&base_name), subject)?;
        connection.execute_batch(&sql)?;
        catalog::add_spelling(connection, &table.name, &index.name, &spelling)?;
    }
    let column = Column {
        table: table.name.clone(),
        column: name.clone(),
        base: base_name.clone(),
        level: options.level,
        dictionaries: 0,
        version: 0,
        null_takes_default: options.null_takes_default,
    };
    catalog::add(connection, &column)?;
    let base = Table::read(connection, base_subject(&base_name, &name))?;
    view::create(connection, &table.name, &base, &[column])?;
    Ok(Compressed {
        rows,
        plain_bytes,
        stored_bytes: bytes(connection, &base_name, &name)?,
        dictionary_bytes: dictionary.map_or(0, |dictionary| dictionary.bytes.len() as u64),
    })
}

/// The table is behind a view already: its values change where they are.
fn compress_another(
    connection: &Connection,
    subject: Subject<'_>,
    options: &Options,
    mut columns: Vec<Column>,
    (view, base_name): (&str, &str),
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Compressed, Error> {
    for column in &columns {
        Table::behind(connection, base_name, &column.column)?;
    }
    let base = Table::read(connection, base_subject(base_name, subject.column))?;
    let name = base.compressible(connection, subject)?;
    if columns.iter().any(|column| column.column == name) {
        return Err(subject.refused("it is compressed already"));
    }
    check_own_triggers(connection, subject, view)?;
    let null_takes_default =
        options.null_takes_default || columns.iter().any(|column| column.null_takes_default);
    base.check_defaults(subject, null_takes_default)?;
    let own = Subject {
        table: view,
        column: &name,
    };
    let total = count(connection, base_name)?;
    let goes_on = &mut || progress(0, total);
    let dictionary = train(connection, own, base_name, &quoted(&name), options, goes_on)?;
    let id = dictionary.as_ref().map(Dictionary::id);
    let plain_bytes = bytes(connection, base_name, &name)?;
    let expression = format!("zqlite_compress({}, {})", quoted(&name), id_literal(id));
    let rows = rewrite(connection, &base, &name, &expression, progress)?;
    let column = Column {
        table: view.to_owned(),
        column: name.clone(),
        base: base_name.to_owned(),
        level: options.level,
        dictionaries: 0,
        version: 0,
        null_takes_default,
    };
    catalog::add(connection, &column)?;
    columns.push(column);
    view::remove(connection, view)?;
    view::create(connection, view, &base, &columns)?;
    Ok(Compressed {
        rows,
        plain_bytes,
        stored_bytes: bytes(connection, base_name, &name)?,
        dictionary_bytes: dictionary.map_or(0, |dictionary| dictionary.bytes.len() as u64),
    })
}

/// Makes a compressed column plain again, in one transaction. After the last one of a table, the table is what it
/// was before, with the text that made it, and its dictionaries are gone. Gives the number of rows.
///
/// # Errors
/// [`Error::Column`] if the column is not compressed, or something was made since that would get lost.
pub fn decompress_column(
    connection: &Connection,
    table: &str,
    column: &str,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<u64, Error> {
    let subject = Subject { table, column };
    if !functions::are_registered(connection)? {
        functions::register(connection)?;
    }
    atomically(connection, || {
        let mut columns = catalog::columns_of(connection, table)?;
        let at = columns
            .iter()
            .position(|own| own.column.eq_ignore_ascii_case(column))
            .ok_or_else(|| subject.refused("it is not compressed"))?;
        let own = columns.remove(at);
        check_own_triggers(connection, subject, &own.table)?;
        let base = Table::behind(connection, &own.base, &own.column)?;
        base.check_unused(connection, subject, &own.column)?;
        for other in &columns {
            Table::behind(connection, &own.base, &other.column)?;
        }
        view::remove(connection, &own.table)?;
        let rows = if columns.is_empty() {
            base.check_replaceable(connection, subject, true)?;
            make_plain(connection, subject, &own, &base, progress)?
        } else {
            let expression = format!("zqlite_decompress({})", quoted(&own.column));
            let rows = rewrite(connection, &base, &own.column, &expression, progress)?;
            view::create(connection, &own.table, &base, &columns)?;
            rows
        };
        catalog::remove(connection, &own)?;
        if columns.is_empty() {
            catalog::clear(connection, &own.table)?;
        }
        Ok(rows)
    })
}

fn make_plain(
    connection: &Connection,
    subject: Subject<'_>,
    own: &Column,
    base: &Table,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<u64, Error> {
    let spelling = |object: &str| -> Result<String, Error> {
        let spelling = catalog::spelling(connection, &own.table, object)?;
        Ok(spelling.unwrap_or_else(|| quoted(&own.table)))
    };
    let (sql, _) = rename(&base.sql, &base.name, &spelling(&own.table)?, subject)?;
    connection.execute_batch(&sql)?;
    let value = |column: &str| (column == own.column).then(|| "zqlite_decompress(?)".to_owned());
    let rows = copy(connection, base, &own.table, &value, progress)?;
    move_sequence(connection, &base.name, &own.table)?;
    connection.execute_batch(&format!("DROP TABLE main.{}", quoted(&base.name)))?;
    for index in &base.indexes {
        let (sql, _) = rename(&index.sql, &base.name, &spelling(&index.name)?, subject)?;
        connection.execute_batch(&sql)?;
    }
    Ok(rows)
}

/// An error about the base table speaks of the base table.
fn base_subject<'a>(base: &'a str, column: &'a str) -> Subject<'a> {
    Subject {
        table: base,
        column,
    }
}

fn rename(
    sql: &str,
    from: &str,
    to: &str,
    subject: Subject<'_>,
) -> Result<(String, String), Error> {
    outline::renamed(sql, from, to)
        .ok_or_else(|| subject.refused("the text that made it or an index of it cannot be read"))
}

fn id_literal(id: Option<i64>) -> String {
    id.map_or_else(|| "NULL".to_owned(), |id| id.to_string())
}

/// A view that is made anew takes its triggers along: others than ours would be lost.
fn check_own_triggers(
    connection: &Connection,
    subject: Subject<'_>,
    view: &str,
) -> Result<(), Error> {
    let own: Vec<_> = view::triggers(view)
        .iter()
        .map(|name| literal(name))
        .collect();
    let mut statement = connection.prepare(&format!(
        "SELECT name FROM (SELECT * FROM main.sqlite_schema UNION ALL SELECT * FROM temp.sqlite_schema)
         WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND name NOT IN ({})",
        own.join(", ")
    ))?;
    let mut rows = statement.query([view])?;
    match rows.next()? {
        None => Ok(()),
        Some(row) => {
            let name: String = row.get(0)?;
            Err(subject.refused(format!("its view has a trigger of somebody else, {name}")))
        }
    }
}

/// Runs a step in a transaction, or, within one, in a savepoint.
pub(super) fn atomically<T>(
    connection: &Connection,
    step: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let is_outermost = connection.is_autocommit();
    let (begin, end, undo) = if is_outermost {
        ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
    } else {
        (
            "SAVEPOINT zqlite_column",
            "RELEASE zqlite_column",
            "ROLLBACK TO zqlite_column; RELEASE zqlite_column",
        )
    };
    connection.execute_batch(begin)?;
    let mut unfinished = Unfinished {
        connection,
        undo: Some(undo),
    };
    let done = step()?;
    connection.execute_batch(end)?;
    unfinished.undo = None;
    Ok(done)
}

/// Takes a step back that failed, or panicked.
struct Unfinished<'a> {
    connection: &'a Connection,
    undo: Option<&'static str>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Some errors have rolled everything back already.
        if let Some(undo) = self.undo
            && !self.connection.is_autocommit()
        {
            // It fails where SQLite cannot go back either; what the caller hears is why the step failed.
            drop(self.connection.execute_batch(undo));
        }
    }
}
