//! Why a database cannot be brought to a version.

use core::fmt;

use rusqlite::Connection;

use crate::Error;

/// Why a database cannot be brought to a version. It has the version that it had, unless said otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// A later version of the program has migrated the database.
    #[error(
        "the database has version {found}, and this program knows those up to {known}: use a newer program"
    )]
    TooNew {
        /// The version of the database.
        found: usize,
        /// The latest version that the program knows.
        known: usize,
    },
    /// `user_version` is negative: it is not a number of migrations.
    #[error("the database has the user_version {found}, which no migration has set")]
    InvalidVersion {
        /// The number.
        found: i64,
    },
    /// There are fewer migrations.
    #[error("there is no version {target}: the latest is {known}")]
    NoSuchVersion {
        /// The version that was asked for.
        target: usize,
        /// The latest version.
        known: usize,
    },
    /// A migration that had to be undone does not say how.
    #[error("migration {version} cannot be undone")]
    NotReversible {
        /// Its number, from 1.
        version: usize,
    },
    /// A migration began or ended a transaction. If a hook did, what was done up to there may be committed.
    #[error("migration {version} begins or ends a transaction: they all run in one")]
    Transaction {
        /// Its number, from 1.
        version: usize,
    },
    /// A migration left rows that refer to nothing.
    #[error(
        "migration {version} leaves {} that refer to nothing; the first: {}",
        rows(violations),
        first(violations)
    )]
    ForeignKeys {
        /// Its number, from 1.
        version: usize,
        /// Some of them, [`VIOLATIONS_MAX`] at most.
        violations: Vec<ForeignKeyViolation>,
    },
    /// A migration failed.
    #[error("migration {version}: {source}")]
    Failed {
        /// Its number, from 1.
        version: usize,
        /// Why.
        source: Box<Error>,
    },
    /// Found by [`crate::migrations::Migrations::validate`]: what undoes a migration leaves another schema than there
    /// was before it.
    #[error("what undoes migration {version} leaves another schema than there was before: {what}")]
    NotUndone {
        /// Its number, from 1.
        version: usize,
        /// What differs first.
        what: String,
    },
}

/// A row that refers to one that is not there (`PRAGMA foreign_key_check`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignKeyViolation {
    /// The table of the row.
    pub table: String,
    /// The row; `None` in a table without row ids.
    pub rowid: Option<i64>,
    /// The table that it refers to.
    pub parent: String,
}

impl fmt::Display for ForeignKeyViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            table,
            rowid,
            parent,
        } = self;
        match rowid {
            Some(rowid) => write!(f, "row {rowid} of {table}, to {parent}"),
            None => write!(f, "a row of {table}, to {parent}"),
        }
    }
}

/// How many violations an error lists.
pub(crate) const VIOLATIONS_MAX: usize = 100;

fn rows(violations: &[ForeignKeyViolation]) -> String {
    match violations.len() {
        VIOLATIONS_MAX => format!("{VIOLATIONS_MAX} rows or more"),
        1 => "one row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

fn first(violations: &[ForeignKeyViolation]) -> String {
    violations
        .first()
        .map_or_else(String::new, ToString::to_string)
}

pub(super) fn violations(connection: &Connection) -> Result<Vec<ForeignKeyViolation>, Error> {
    let mut check = connection.prepare("PRAGMA foreign_key_check")?;
    let found = check.query_map([], |row| {
        Ok(ForeignKeyViolation {
            table: row.get(0)?,
            rowid: row.get(1)?,
            parent: row.get(2)?,
        })
    })?;
    Ok(found.take(VIOLATIONS_MAX).collect::<Result<_, _>>()?)
}
