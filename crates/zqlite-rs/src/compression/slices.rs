//! A table, some rows at a time, in the order of its key.

use rusqlite::types::{FromSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::table::{Table, quoted};
use crate::Error;

/// Where in a table the last slice ended.
#[derive(Default)]
pub(super) struct Slices {
    after: Vec<Part>,
}

/// Rows that follow each other.
pub(super) struct Slice {
    pub(super) rows: u64,
    bounds: Vec<Part>,
    condition: String,
}

/// A value of a key, as SQLite has it: text need not be UTF-8.
#[derive(Clone)]
enum Part {
    Text(Vec<u8>),
    Other(Value),
}

impl FromSql for Part {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        match value {
            ValueRef::Text(text) => Ok(Self::Text(text.to_vec())),
            other => Value::column_result(other).map(Self::Other),
        }
    }
}

impl ToSql for Part {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => Ok(ToSqlOutput::Borrowed(ValueRef::Text(text))),
            Self::Other(value) => value.to_sql(),
        }
    }
}

impl Slices {
    /// The next rows, at most so many. `None` if there are no more.
    pub(super) fn next(
        &mut self,
        connection: &Connection,
        base: &Table,
        limit: u32,
    ) -> Result<Option<Slice>, Error> {
        let key: Vec<_> = base.key.iter().map(|name| quoted(name)).collect();
        let names = key.join(", ");
        let places = vec!["?"; key.len()].join(", ");
        let lower = if self.after.is_empty() {
            "1".to_owned()
        } else {
            format!("({names}) > ({places})")
        };
        let sql = format!(
            "SELECT {names} FROM main.{} WHERE {lower} ORDER BY {names} LIMIT {limit}",
            quoted(&base.name)
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(&self.after))?;
        let (mut rows, mut last) = (0, Vec::new());
        while let Some(row) = found.next()? {
            rows += 1;
            let key: rusqlite::Result<Vec<Part>> = (0..key.len()).map(|at| row.get(at)).collect();
            last = key?;
        }
        if rows == 0 {
            return Ok(None);
        }
        let mut bounds = core::mem::replace(&mut self.after, last.clone());
        bounds.extend(last);
        Ok(Some(Slice {
            rows,
            bounds,
            condition: format!("{lower} AND ({names}) <= ({places})"),
        }))
    }
}

impl Slice {
    /// Sets a column of these rows to an expression, where a condition holds; gives the number of rows that were set.
    pub(super) fn set(
        &self,
        connection: &Connection,
        base: &Table,
        (column, expression): (&str, &str),
        condition: &str,
    ) -> Result<u64, Error> {
        let sql = format!(
            "UPDATE main.{} SET {} = {expression} WHERE {} AND {condition}",
            quoted(&base.name),
            quoted(column),
            self.condition
        );
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.execute(params_from_iter(&self.bounds))? as u64)
    }
}
