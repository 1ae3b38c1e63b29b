//! What a table is made of, and what keeps it from standing behind a view.

use rusqlite::{Connection, OptionalExtension};

use super::outline;
use crate::Error;

/// A table of the main database.
#[derive(Debug)]
pub(super) struct Table {
    /// As the schema spells it.
    pub(super) name: String,
    pub(super) sql: String,
    pub(super) columns: Vec<ColumnInfo>,
    /// The columns by which a row is found: one row has these values.
    pub(super) key: Vec<String>,
    /// A name of the rowid, where the table has one that is no column.
    pub(super) rowid: Option<&'static str>,
    pub(super) indexes: Vec<Index>,
    is_strict: bool,
}

#[derive(Debug)]
pub(super) struct ColumnInfo {
    pub(super) name: String,
    declared: String,
    not_null: bool,
    /// The expression of its default, unless that is NULL.
    pub(super) default: Option<String>,
    pub(super) is_generated: bool,
    key_position: i64,
}

#[derive(Debug)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) sql: String,
}

/// An identifier in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Makes errors that name a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) table: &'a str,
    pub(super) column: &'a str,
}

impl Subject<'_> {
    pub(super) fn refused(&self, what: impl Into<String>) -> Error {
        Error::Column {
            table: self.table.to_owned(),
            column: self.column.to_owned(),
            what: what.into(),
        }
    }
}

impl Table {
    /// Reads what the schema says of a table.
    pub(super) fn read(connection: &Connection, subject: Subject<'_>) -> Result<Self, Error> {
        let (name, sql, without_rowid, is_strict): (_, _, bool, _) = connection
            .query_row(
                "SELECT l.name, coalesce(s.sql, ''), l.wr, l.strict, l.type
                 FROM pragma_table_list l LEFT JOIN main.sqlite_schema s ON s.name = l.name AND s.type = 'table'
                 WHERE l.schema = 'main' AND l.name = ?1 COLLATE NOCASE",
                [subject.table],
                |row| {
                    let kind: String = row.get(4)?;
                    let fits = kind == "table" && !row.get_ref(0)?.as_str()?.starts_with("sqlite_");
                    Ok(fits.then_some((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                },
            )
            .optional()?
            .ok_or_else(|| subject.refused("there is no such table"))?
            .ok_or_else(|| subject.refused("not an ordinary table"))?;
        let mut table = Self {
            name,
            sql,
            columns: Vec::new(),
            key: Vec::new(),
            rowid: None,
            indexes: Vec::new(),
            is_strict,
        };
        table.columns = table.read_columns(connection)?;
        table.indexes = table.read_indexes(connection)?;
        let names_rowid = |name: &str| {
            let is_column = |column: &ColumnInfo| column.name.eq_ignore_ascii_case(name);
            !without_rowid && !table.columns.iter().any(is_column)
        };
        let rowid = ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|name| names_rowid(name));
        let mut key: Vec<_> = table
            .columns
            .iter()
            .filter(|c| c.key_position > 0)
            .collect();
        key.sort_by_key(|column| column.key_position);
        let has_key_index: bool = connection.query_row(
            "SELECT count(*) > 0 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'",
            [&table.name],
            |row| row.get(0),
        )?;
        let is_rowid = !without_rowid && key.len() == 1 && !has_key_index;
        let is_key = is_rowid || without_rowid || key.iter().all(|column| column.not_null);
        table.key = if is_key {
            key.iter().map(|column| column.name.clone()).collect()
        } else {
            Vec::new()
        };
        table.rowid = rowid.filter(|_| !is_rowid);
        Ok(table)
    }

    fn read_columns(&self, connection: &Connection) -> rusqlite::Result<Vec<ColumnInfo>> {
        let mut statement = connection.prepare(
            r#"SELECT name, type, "notnull", dflt_value, hidden, pk FROM pragma_table_xinfo(?1, 'main') ORDER BY cid"#,
        )?;
        let columns = statement.query_map([&self.name], |row| {
            let default: Option<String> = row.get(3)?;
            Ok(ColumnInfo {
                name: row.get(0)?,
                declared: row.get(1)?,
                not_null: row.get(2)?,
                default: default.filter(|text| !text.trim().eq_ignore_ascii_case("null")),
                is_generated: row.get::<_, i64>(4)? != 0,
                key_position: row.get(5)?,
            })
        })?;
        columns.collect()
    }

    fn read_indexes(&self, connection: &Connection) -> rusqlite::Result<Vec<Index>> {
        let mut statement = connection.prepare(
            "SELECT name, sql FROM main.sqlite_schema
             WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL ORDER BY rowid",
        )?;
        let indexes = statement.query_map([&self.name], |row| {
            Ok(Index {
                name: row.get(0)?,
                sql: row.get(1)?,
            })
        })?;
        indexes.collect()
    }

    /// The table behind a view, which has the column.
    pub(super) fn behind(connection: &Connection, base: &str, column: &str) -> Result<Self, Error> {
        let subject = Subject {
            table: base,
            column,
        };
        let table = Self::read(connection, subject)?;
        if table.columns.iter().any(|own| own.name == column) {
            Ok(table)
        } else {
            Err(subject.refused("there is no such column"))
        }
    }

    /// The columns that hold nothing but blobs.
    pub(super) fn blobs_only(&self) -> impl Iterator<Item = &ColumnInfo> {
        self.columns
            .iter()
            .filter(|column| self.is_strict && column.declared.eq_ignore_ascii_case("BLOB"))
    }

    /// The columns that are written.
    pub(super) fn written(&self) -> impl Iterator<Item = &ColumnInfo> {
        self.columns.iter().filter(|column| !column.is_generated)
    }

    /// The column as the schema spells it, if nothing in its definition or the table's keeps it from being compressed.
    pub(super) fn compressible(
        &self,
        connection: &Connection,
        subject: Subject<'_>,
    ) -> Result<String, Error> {
        let column = self
            .columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(subject.column))
            .ok_or_else(|| subject.refused("there is no such column"))?;
        if let Some(what) = outline::obstacle(&self.sql, &column.name) {
            return Err(subject.refused(what));
        }
        if column.key_position > 0 {
            return Err(subject.refused("it is part of the primary key"));
        }
        if self.is_strict && !["BLOB", "ANY"].contains(&column.declared.to_uppercase().as_str()) {
            return Err(subject.refused(
                "the table is STRICT, and only its columns of type BLOB or ANY hold compressed values",
            ));
        }
        self.check_unused(connection, subject, &column.name)?;
        Ok(column.name.clone())
    }

    /// Whether no index and no foreign key uses a column. SQLite is asked, too: it takes a text literal for a name.
    pub(super) fn check_unused(
        &self,
        connection: &Connection,
        subject: Subject<'_>,
        column: &str,
    ) -> Result<(), Error> {
        let named = self
            .indexes
            .iter()
            .find(|index| outline::mentions(&index.sql, column))
            .map(|index| index.name.clone());
        let of_names = |sql: &str| {
            connection
                .query_row(sql, [&self.name, column], |row| row.get::<_, String>(0))
                .optional()
        };
        let used = of_names(
            "SELECT l.name FROM pragma_index_list(?1, 'main') l JOIN pragma_index_xinfo(l.name, 'main') x
             WHERE x.name = ?2 COLLATE NOCASE AND x.key",
        )?;
        if let Some(index) = named.or(used) {
            return Err(subject.refused(format!("the index {index} uses it")));
        }
        let key = of_names(
            r#"SELECT "table" FROM pragma_foreign_key_list(?1, 'main') WHERE "from" = ?2 COLLATE NOCASE"#,
        )?;
        match key {
            Some(parent) => {
                Err(subject.refused(format!("a foreign key to the table {parent} uses it")))
            }
            None => Ok(()),
        }
    }

    /// Whether a view can stand in the place of the table.
    pub(super) fn check_replaceable(
        &self,
        connection: &Connection,
        subject: Subject<'_>,
        null_takes_default: bool,
    ) -> Result<(), Error> {
        if self.key.is_empty() {
            return Err(subject.refused(
                "the table has no primary key that is NOT NULL, and a view has no rowid to find a row by",
            ));
        }
        if outline::has_collated_key(&self.sql) {
            return Err(subject.refused("the primary key has a collation of its own"));
        }
        self.check_defaults(subject, null_takes_default)?;
        let own = self.indexes.iter().map(|index| &index.sql);
        if own
            .chain([&self.sql])
            .any(|sql| outline::qualifies(sql, &self.name))
        {
            return Err(subject.refused("a constraint or an index names the table"));
        }
        let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
        if encoding != "UTF-8" {
            return Err(subject.refused(format!("the database's encoding is {encoding}")));
        }
        if let Some(trigger) = self.first_name(
            connection,
            "SELECT name FROM (SELECT * FROM main.sqlite_schema UNION ALL SELECT * FROM temp.sqlite_schema)
             WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE",
        )? {
            return Err(subject.refused(format!("the table has a trigger, {trigger}")));
        }
        if let Some(child) = self.first_name(
            connection,
            r#"SELECT s.name FROM main.sqlite_schema s JOIN pragma_foreign_key_list(s.name, 'main') f
               WHERE s.type = 'table' AND f."table" = ?1 COLLATE NOCASE"#,
        )? {
            return Err(subject.refused(format!(
                "the table {child} has a foreign key to the table, and a view cannot be its parent"
            )));
        }
        Ok(())
    }

    /// Whether an INSERT through a view can mean what it means for the table.
    pub(super) fn check_defaults(
        &self,
        subject: Subject<'_>,
        null_takes_default: bool,
    ) -> Result<(), Error> {
        let ambiguous = |column: &&ColumnInfo| column.default.is_some() && !column.not_null;
        match self.columns.iter().find(ambiguous) {
            Some(column) if !null_takes_default => Err(subject.refused(format!(
                "the column {} has a default and may be NULL: a view cannot tell a NULL from a value that is left out, unless NULL is to take the default",
                column.name
            ))),
            _ => Ok(()),
        }
    }

    fn first_name(&self, connection: &Connection, sql: &str) -> rusqlite::Result<Option<String>> {
        connection
            .query_row(sql, [&self.name], |row| row.get(0))
            .optional()
    }
}
