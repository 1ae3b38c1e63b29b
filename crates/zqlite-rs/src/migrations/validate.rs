//! Trying all migrations out, for tests.

use rusqlite::Connection;

use super::Migrations;
use super::error::{MigrationError, violations};
use crate::Error;

impl Migrations {
    /// Applies all migrations to an empty database in memory, one by one; undoes each that can be undone and applies it
    /// again. For a test of the program's.
    ///
    /// # Errors
    /// What the migrations end with; [`MigrationError::NotUndone`] if undoing one leaves other tables, columns, indexes,
    /// views or triggers than there were before; [`MigrationError::ForeignKeys`].
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_on(&mut Connection::open_in_memory()?)
    }

    /// [`Migrations::validate`] on a connection that has what the migrations need: functions, virtual tables. Its
    /// database is empty, or has some version from which the trial begins.
    ///
    /// # Errors
    /// As [`Migrations::validate`].
    pub fn validate_on(&self, connection: &mut Connection) -> Result<(), Error> {
        let first = self.current_version(connection)?;
        let reversible = |version: usize| {
            let before = version.checked_sub(1).and_then(|at| self.list.get(at));
            before.is_some_and(|migration| !migration.down.is_empty())
        };
        for version in first + 1..=self.latest() {
            let before = schema(connection)?;
            self.to_version(connection, version)?;
            if reversible(version) {
                self.to_version(connection, version - 1)?;
                let after = schema(connection)?;
                if let Some(what) = difference(&before, &after) {
                    return Err(MigrationError::NotUndone { version, what }.into());
                }
                self.to_version(connection, version)?;
            }
            let violations = violations(connection)?;
            if !violations.is_empty() {
                return Err(MigrationError::ForeignKeys {
                    version,
                    violations,
                }
                .into());
            }
        }
        self.to_latest(connection)?;
        Ok(())
    }
}

/// Tables with their columns, indexes, views and triggers, one in a line. Texts are no part of it: `ALTER TABLE` and its
/// undoing may write the same table differently.
fn schema(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut lines = connection.prepare(
        "SELECT s.type || ' ' || s.name || ' on ' || s.tbl_name FROM sqlite_schema AS s
         UNION ALL
         SELECT 'column ' || s.name || '.' || c.name || ' ' || c.type || ' notnull ' || c.\"notnull\"
                || ' default ' || coalesce(c.dflt_value, 'none') || ' key ' || c.pk || ' hidden ' || c.hidden
         FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c WHERE s.type IN ('table', 'view')
         UNION ALL
         SELECT 'index ' || i.name || ' column ' || c.seqno || ' ' || coalesce(c.name, 'expression')
         FROM sqlite_schema AS i, pragma_index_info(i.name) AS c WHERE i.type = 'index'
         ORDER BY 1",
    )?;
    let lines = lines.query_map([], |row| row.get(0))?;
    Ok(lines.collect::<Result<_, _>>()?)
}

/// What is gone, or is there that was not.
fn difference(before: &[String], after: &[String]) -> Option<String> {
    let gone = before.iter().find(|line| !after.contains(line));
    let left = after.iter().find(|line| !before.contains(line));
    gone.map(|line| format!("{line} is gone"))
        .or_else(|| left.map(|line| format!("{line} is left")))
}
