//! A connection as sqllogictest wants one: results as text, formatted by the column letters of the script.

use std::sync::{Arc, Mutex};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ffi};
use sqllogictest::{DB, DBOutput, DefaultColumnType};

/// The column letters of the query that runs next; `None` for a statement.
pub(crate) type Columns = Arc<Mutex<Option<Vec<DefaultColumnType>>>>;

pub(crate) struct Database {
    connection: Connection,
    columns: Columns,
    /// Formats real numbers: SQLite's `%.3f` shows 16 digits, Rust's all that there are.
    formatter: Connection,
}

impl DB for Database {
    type Error = rusqlite::Error;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, rusqlite::Error> {
        let columns = self.columns.lock().unwrap().take();
        let result = match columns {
            Some(columns) => self.query(sql, columns),
            None => self
                .connection
                .execute_batch(sql)
                .map(|()| DBOutput::StatementComplete(0)),
        };
        if let Err(error) = &result {
            // Where a script expects an error, it is one about SQL; never one that a file causes.
            assert!(is_about_sql(error), "{error}: {sql}");
        }
        result
    }

    fn engine_name(&self) -> &'static str {
        "sqlite"
    }
}

impl Database {
    pub(crate) fn new(connection: Connection, columns: Columns) -> Self {
        Self {
            connection,
            columns,
            formatter: Connection::open_in_memory().unwrap(),
        }
    }

    fn query(
        &self,
        sql: &str,
        types: Vec<DefaultColumnType>,
    ) -> rusqlite::Result<DBOutput<DefaultColumnType>> {
        let mut statement = self.connection.prepare(sql)?;
        assert_eq!(statement.column_count(), types.len(), "{sql}");
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = types.iter().enumerate();
            let row: rusqlite::Result<_> = values
                .map(|(at, letter)| Ok(self.text(row.get_ref(at)?, letter)))
                .collect();
            rows.push(row?);
        }
        Ok(DBOutput::Rows { types, rows })
    }

    fn text(&self, value: ValueRef<'_>, letter: &DefaultColumnType) -> String {
        if value == ValueRef::Null {
            return "NULL".to_owned();
        }
        match letter {
            DefaultColumnType::Integer => integer(value).to_string(),
            DefaultColumnType::FloatingPoint => {
                let mut format = self.formatter.prepare("SELECT printf('%.3f', ?1)");
                let format = format.as_mut().unwrap();
                format.query_row([real(value)], |row| row.get(0)).unwrap()
            }
            _ => printable(value),
        }
    }
}

fn is_about_sql(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::SqlInputError { .. }
            | rusqlite::Error::SqliteFailure(
                ffi::Error {
                    code: ErrorCode::Unknown | ErrorCode::ConstraintViolation,
                    ..
                },
                _
            )
    )
}

/// As `sqlite3_column_int64` converts.
fn integer(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Integer(value) => value,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "cut off and clamped, as SQLite does"
        )]
        ValueRef::Real(value) => value as i64,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let text = text.trim_start();
            let digits = text
                .char_indices()
                .position(|(at, c)| !(c.is_ascii_digit() || at == 0 && "+-".contains(c)));
            text[..digits.unwrap_or(text.len())].parse().unwrap_or(0)
        }
        ValueRef::Null => unreachable!(),
    }
}

/// As `sqlite3_column_double` converts.
fn real(value: ValueRef<'_>) -> f64 {
    match value {
        ValueRef::Real(value) => value,
        #[expect(clippy::cast_precision_loss, reason = "as SQLite does")]
        ValueRef::Integer(value) => value as f64,
        other => panic!("the corpus has no column R with {other:?}"),
    }
}

fn printable(value: ValueRef<'_>) -> String {
    let text = match value {
        ValueRef::Integer(value) => value.to_string().into_bytes(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
        other => panic!("the corpus has no column T with {other:?}"),
    };
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let shown = text.iter().map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '@',
    });
    shown.collect()
}
