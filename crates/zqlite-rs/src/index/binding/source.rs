//! The view through which an index sees its table, and the triggers on the table.

use rusqlite::OptionalExtension as _;

use super::super::fault::{Fault, Result};
use super::super::ffi::Host;
use super::super::name::{quoted, unquoted};
use super::{CHANGED, SOURCE, qualified};

/// After which events there are triggers; also the suffixes of their names.
pub(super) const EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// The table of an index, its key, and the indexed columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    table: String,
    key: String,
    columns: Vec<String>,
}

impl Source {
    /// A table that an index can be bound to: one with an INTEGER PRIMARY KEY, since VACUUM keeps no other row numbers.
    /// No pragma is asked: an authorizer may deny it.
    pub(super) fn of_table(
        host: &Host,
        schema: &str,
        table: String,
        columns: Vec<String>,
    ) -> Result<Self> {
        let no_key = || {
            Fault::usage(format!(
                "{table}: an index needs a table with an INTEGER PRIMARY KEY, which says what row is what"
            ))
        };
        let name = qualified(schema, &table);
        // Tells "no such table" from the rest.
        drop(host.prepare(&format!("SELECT * FROM {name}"))?);
        // The name of a result is that of the column behind it; of none, it is one of these.
        let key = match host.prepare(&format!("SELECT _rowid_ FROM {name}")) {
            Ok(statement) => statement.column_name(0)?.to_owned(),
            Err(_) => return Err(no_key()),
        };
        if ["rowid", "oid", "_rowid_"]
            .iter()
            .any(|it| key.eq_ignore_ascii_case(it))
        {
            return Err(no_key());
        }
        Ok(Self {
            table,
            key,
            columns,
        })
    }

    /// What the view says, as SQLite has rewritten it since.
    pub(super) fn of_view(host: &Host, schema: &str, view: &str) -> Result<Self> {
        let sql: Option<String> = host
            .query_row(
                &format!(
                    "SELECT sql FROM {}.sqlite_schema WHERE type = 'view' AND name = ?1",
                    quoted(schema)
                ),
                [view],
                |row| row.get(0),
            )
            .optional()?;
        sql.as_deref()
            .and_then(Self::parse)
            .ok_or_else(|| Fault::corrupt(format!("the view {view} is missing, or not ours")))
    }

    /// The types that the table declares for the indexed columns; none for ANY in a STRICT table, which keeps values as
    /// they are, unlike the same word in another table.
    pub(super) fn types(&self, host: &Host, schema: &str) -> Result<Vec<String>> {
        let sql: String = host.query_row(
            &format!(
                "SELECT sql FROM {}.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
                quoted(schema)
            ),
            [&self.table],
            |row| row.get(0),
        )?;
        // Its options are the last of it; WITHOUT ROWID is not for us, and else there is a parenthesis.
        let is_strict = sql.trim_end().to_ascii_lowercase().ends_with("strict");
        self.columns
            .iter()
            .map(|column| {
                let name = host.declared_type(&self.table, column)?;
                let is_any = is_strict && name.eq_ignore_ascii_case("any");
                Ok(if is_any { String::new() } else { name })
            })
            .collect()
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    fn view(&self) -> String {
        let columns: String = (1..)
            .zip(&self.columns)
            .map(|(at, column)| format!(", t.{} AS v{at}", quoted(column)))
            .collect();
        format!(
            "AS SELECT t.{} AS id{columns} FROM {} AS t",
            quoted(&self.key),
            quoted(&self.table)
        )
    }

    /// Reads what [`view`](Self::view) writes.
    fn parse(sql: &str) -> Option<Self> {
        let (_, select) = sql.split_once(" AS SELECT t.")?;
        let (key, mut rest) = leading_name(select)?;
        rest = rest.strip_prefix(" AS id")?;
        let mut columns = Vec::new();
        while let Some(column) = rest.strip_prefix(", t.") {
            let (name, after) = leading_name(column)?;
            columns.push(name);
            rest = after.strip_prefix(&format!(" AS v{}", columns.len()))?;
        }
        let (table, rest) = leading_name(rest.strip_prefix(" FROM ")?)?;
        let source = Self {
            table,
            key,
            columns,
        };
        (rest == " AS t").then_some(source)
    }

    /// The statements that make the view and the triggers.
    pub(super) fn create(&self, schema: &str, index: &str) -> String {
        let object = |suffix: &str| qualified(schema, &format!("{index}_{suffix}"));
        let (into, table) = (quoted(index), quoted(&self.table));
        let (key, changed) = (quoted(&self.key), quoted(CHANGED));
        let differs: String = self
            .columns
            .iter()
            .map(|column| {
                let column = quoted(column);
                format!(" OR old.{column} COLLATE BINARY IS NOT new.{column}")
            })
            .collect();
        format!(
            "CREATE VIEW {view} {select};
             CREATE TRIGGER {insert} AFTER INSERT ON {table} BEGIN
               INSERT INTO {into}({changed}) VALUES (new.{key});
             END;
             CREATE TRIGGER {update} AFTER UPDATE ON {table}
             WHEN old.{key} IS NOT new.{key}{differs} BEGIN
               INSERT INTO {into}({changed}) VALUES (old.{key});
               INSERT INTO {into}({changed}) SELECT new.{key} WHERE old.{key} IS NOT new.{key};
             END;
             CREATE TRIGGER {delete} AFTER DELETE ON {table} BEGIN
               INSERT INTO {into}({changed}) VALUES (old.{key});
             END;",
            view = object(SOURCE),
            select = self.view(),
            insert = object("insert"),
            update = object("update"),
            delete = object("delete"),
        )
    }
}

/// A name between double quotes at the beginning, and what follows it.
fn leading_name(sql: &str) -> Option<(String, &str)> {
    let mut rest = sql.strip_prefix('"')?;
    loop {
        rest = &rest[rest.find('"')? + 1..];
        match rest.strip_prefix('"') {
            Some(after) => rest = after,
            None => break,
        }
    }
    let (name, rest) = sql.split_at(sql.len() - rest.len());
    Some((unquoted(name), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_as_it_was_written() {
        let source = |table: &str, columns: &[&str]| Source {
            table: table.to_owned(),
            key: "i\"d".to_owned(),
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
        };
        for source in [
            source("routes", &["prefix"]),
            source("\"", &["a", "\"\"", " AS v1"]),
            source(" FROM \"x\"", &[]),
        ] {
            let sql = format!("CREATE VIEW \"r AS SELECT_source\" {}", source.view());
            assert_eq!(Source::parse(&sql), Some(source));
        }
        assert_eq!(
            Source::parse("CREATE VIEW v AS SELECT t.\"a\" AS id FROM b AS t"),
            None
        );
    }
}
