//! Texts that are a number. SQLite compares them as one with what it takes for a number, such as a column of the type
//! INTEGER, and a virtual table is not told of the type of what it is compared with: it has to find them, and to leave
//! it to SQLite which of them are meant.

use rusqlite::types::Value;

use super::fault::Result;
use super::ffi::Host;
use super::name::quoted;

/// The number that a value is compared as, where it is compared as a number and is one.
pub(crate) fn of(host: &Host, value: &Value) -> Result<Option<Value>> {
    match value {
        Value::Integer(_) | Value::Real(_) => Ok(Some(value.clone())),
        Value::Text(text) if may_be(text) => {
            // The comparison converts a text only if all of it is a number.
            let sql = "SELECT iif(CAST(?1 AS NUMERIC) = ?1, CAST(?1 AS NUMERIC), NULL)";
            Ok(host
                .prepare_cached(sql)?
                .query_row([value], |row| row.get(0))?)
        }
        _ => Ok(None),
    }
}

/// Whether a text begins as numbers do.
pub(crate) fn may_be(text: &str) -> bool {
    let rest = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    rest.starts_with(|it: char| it.is_ascii_digit() || matches!(it, '+' | '-' | '.'))
}

/// The condition that a column is a text and, as a number, this one. [`create_index`] makes it fast.
pub(crate) fn is(column: &str, number: &str) -> String {
    format!("CAST({column} AS NUMERIC) = {number} AND {}", any(column))
}

fn any(column: &str) -> String {
    format!("typeof({column}) = 'text' AND CAST({column} AS NUMERIC) = {column}")
}

/// Makes the index `TABLE_numbers`, which finds the texts of a column that are a number; `before` are columns that come
/// first, each with a comma. SQLite does not rename it with the table: the name may be taken by that of another
/// table that had this name once.
pub(crate) fn create_index(
    host: &Host,
    schema: &str,
    owner: &str,
    table: &str,
    before: &str,
    column: &str,
) -> Result<()> {
    let schema = quoted(schema);
    let sql = format!("SELECT 1 FROM {schema}.sqlite_schema WHERE name = ?1 COLLATE NOCASE");
    let mut names = host.prepare(&sql)?;
    let mut name = format!("{owner}_numbers");
    let mut others = 1..u32::MAX;
    while names.exists([&name])?
        && let Some(other) = others.next()
    {
        name = format!("{owner}_numbers_{other}");
    }
    // With the column itself in it, SQLite prefers it to the one that tells all values apart.
    Ok(host.execute_batch(&format!(
        "CREATE INDEX {schema}.{} ON {}({before}CAST({column} AS NUMERIC), {column}) WHERE {}",
        quoted(&name),
        quoted(table),
        any(column)
    ))?)
}
