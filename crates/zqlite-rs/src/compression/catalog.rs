//! The tables in which compressed columns and their dictionaries are listed.

use rusqlite::{Connection, OptionalExtension, params};

use super::MAX_DICTIONARY_LEN;
use super::dictionary::Dictionary;
use crate::Error;

/// Dictionaries come last in their rows, so that looking for the newest reads none.
const SCHEMA: &str = r#"
CREATE TABLE IF NOT EXISTS zqlite_dictionaries(
  id INTEGER PRIMARY KEY, "table" TEXT NOT NULL, "column" TEXT NOT NULL, version INTEGER NOT NULL,
  level INTEGER NOT NULL, created TEXT NOT NULL, dictionary BLOB NOT NULL,
  UNIQUE("table", "column", version));
CREATE TABLE IF NOT EXISTS zqlite_compressed(
  "table" TEXT NOT NULL, "column" TEXT NOT NULL, base TEXT NOT NULL, level INTEGER NOT NULL,
  nulls INTEGER NOT NULL, PRIMARY KEY("table", "column")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS zqlite_spellings(
  "table" TEXT NOT NULL, object TEXT NOT NULL, spelling TEXT NOT NULL,
  PRIMARY KEY("table", object)) WITHOUT ROWID;
"#;

/// A compressed column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// The table, which is a view now.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table that holds the stored values.
    pub base: String,
    /// How hard zstd works for it.
    pub level: i32,
    /// How many dictionaries it has.
    pub dictionaries: u64,
    /// The version of the newest; 0 without one.
    pub version: u64,
    /// Whether NULL, where a column has a default, means the default.
    pub(super) null_takes_default: bool,
}

/// Lists the compressed columns of a database.
///
/// # Errors
/// SQLite's.
pub fn columns(connection: &Connection) -> Result<Vec<Column>, Error> {
    if !exists(connection)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(
        r#"SELECT c."table", c."column", c.base, c.level, c.nulls, count(d.id), coalesce(max(d.version), 0)
           FROM main.zqlite_compressed c LEFT JOIN main.zqlite_dictionaries d
           ON d."table" = c."table" AND d."column" = c."column"
           GROUP BY c."table", c."column" ORDER BY c."table", c."column""#,
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Column {
            table: row.get(0)?,
            column: row.get(1)?,
            base: row.get(2)?,
            level: row.get(3)?,
            null_takes_default: row.get(4)?,
            dictionaries: row.get::<_, i64>(5)?.cast_unsigned(),
            version: row.get::<_, i64>(6)?.cast_unsigned(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The compressed columns of one table.
pub(super) fn columns_of(connection: &Connection, table: &str) -> Result<Vec<Column>, Error> {
    let mut all = columns(connection)?;
    all.retain(|column| column.table.eq_ignore_ascii_case(table));
    Ok(all)
}

fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT count(*) = 2 FROM main.sqlite_schema
         WHERE type = 'table' AND name IN ('zqlite_compressed', 'zqlite_dictionaries')",
        [],
        |row| row.get(0),
    )
}

/// Makes the tables if they are not there.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

pub(super) fn add(connection: &Connection, column: &Column) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO main.zqlite_compressed VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            column.table,
            column.column,
            column.base,
            column.level,
            column.null_takes_default
        ],
    )
}

/// Remembers how hard zstd works for a column from now on.
pub(super) fn set_level(
    connection: &Connection,
    column: &Column,
    level: i32,
) -> rusqlite::Result<usize> {
    connection.execute(
        r#"UPDATE main.zqlite_compressed SET level = ?3 WHERE "table" = ?1 AND "column" = ?2"#,
        params![column.table, column.column, level],
    )
}

/// Forgets the columns of a table that somebody dropped. Its dictionaries stay: values may have been copied.
pub(super) fn forget(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    for catalog in ["zqlite_compressed", "zqlite_spellings"] {
        connection.execute(
            &format!(r#"DELETE FROM main.{catalog} WHERE "table" = ?1"#),
            [table],
        )?;
    }
    Ok(())
}

/// Forgets a column and its dictionaries.
pub(super) fn remove(connection: &Connection, column: &Column) -> rusqlite::Result<()> {
    for table in ["zqlite_compressed", "zqlite_dictionaries"] {
        connection.execute(
            &format!(r#"DELETE FROM main.{table} WHERE "table" = ?1 AND "column" = ?2"#),
            params![column.table, column.column],
        )?;
    }
    Ok(())
}

/// Remembers how a table's name was written in the text that made it or an index of it.
pub(super) fn add_spelling(
    connection: &Connection,
    table: &str,
    object: &str,
    spelling: &str,
) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO main.zqlite_spellings VALUES (?1, ?2, ?3)",
        [table, object, spelling],
    )
}

pub(super) fn spelling(
    connection: &Connection,
    table: &str,
    object: &str,
) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            r#"SELECT spelling FROM main.zqlite_spellings WHERE "table" = ?1 AND object = ?2"#,
            [table, object],
            |row| row.get(0),
        )
        .optional()
}

/// Forgets the spellings of a table; what is empty then goes, too.
pub(super) fn clear(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    connection.execute(
        r#"DELETE FROM main.zqlite_spellings WHERE "table" = ?1"#,
        [table],
    )?;
    let used: bool = connection.query_row(
        "SELECT EXISTS(SELECT 1 FROM main.zqlite_compressed) OR EXISTS(SELECT 1 FROM main.zqlite_dictionaries)",
        [],
        |row| row.get(0),
    )?;
    if !used {
        connection.execute_batch(
            "DROP TABLE main.zqlite_spellings; DROP TABLE main.zqlite_compressed; DROP TABLE main.zqlite_dictionaries;",
        )?;
    }
    Ok(())
}

pub(super) fn add_dictionary(
    connection: &Connection,
    dictionary: &Dictionary,
) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO main.zqlite_dictionaries VALUES (?1, ?2, ?3, ?4, ?5, strftime('%Y-%m-%dT%H:%M:%SZ'), ?6)",
        params![
            dictionary.id(),
            dictionary.table,
            dictionary.column,
            dictionary.version,
            dictionary.level,
            dictionary.bytes
        ],
    )
}

/// A dictionary by its id; one that is too large is not found.
fn dictionary(connection: &Connection, schema: &str, id: i64) -> rusqlite::Result<Dictionary> {
    let max_len = i64::try_from(MAX_DICTIONARY_LEN).unwrap_or(i64::MAX);
    let schema = schema.replace('"', "\"\"");
    let sql = format!(
        r#"SELECT "table", "column", version, level, dictionary FROM "{schema}".zqlite_dictionaries
           WHERE id = ?1 AND length(dictionary) <= ?2"#
    );
    connection.query_row(&sql, params![id, max_len], |row| {
        Ok(Dictionary {
            table: row.get(0)?,
            column: row.get(1)?,
            version: row.get(2)?,
            level: row.get(3)?,
            bytes: row.get(4)?,
        })
    })
}

/// Looks for a dictionary in the main database, and then in the others. The first needs no pragma: there are
/// connections on which none may be used.
pub(super) fn find_dictionary(
    connection: &Connection,
    id: i64,
) -> rusqlite::Result<Option<Dictionary>> {
    if exists(connection)?
        && let Some(found) = dictionary(connection, "main", id).optional()?
    {
        return Ok(Some(found));
    }
    let mut statement = connection.prepare(
        "SELECT DISTINCT schema FROM pragma_table_list
         WHERE name = 'zqlite_dictionaries' AND type = 'table' AND schema <> 'main'",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let schema: String = row.get(0)?;
        if let Some(found) = dictionary(connection, &schema, id).optional()? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The id of the newest dictionary of a column. It reads no dictionary, only the index.
pub(super) fn newest(
    connection: &Connection,
    table: &str,
    column: &str,
) -> rusqlite::Result<Option<i64>> {
    if !exists(connection)? {
        return Ok(None);
    }
    connection
        .query_row(
            r#"SELECT id FROM main.zqlite_dictionaries WHERE "table" = ?1 AND "column" = ?2
               ORDER BY version DESC LIMIT 1"#,
            [table, column],
            |row| row.get(0),
        )
        .optional()
}

/// The highest version that a column ever had, as far as is known; 0 for none.
pub(super) fn last_version(
    connection: &Connection,
    table: &str,
    column: &str,
) -> rusqlite::Result<i64> {
    connection.query_row(
        r#"SELECT coalesce(max(version), 0) FROM main.zqlite_dictionaries WHERE "table" = ?1 AND "column" = ?2"#,
        [table, column],
        |row| row.get(0),
    )
}
