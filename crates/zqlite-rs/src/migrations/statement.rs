//! The SQL of a migration, statement by statement.

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Transaction};

use super::error::MigrationError;
use crate::Error;

/// Why a step failed.
pub(super) enum Failure {
    /// It begins or ends a transaction.
    Transaction,
    Error(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Failure {
    /// The error of the migration of this number.
    pub(super) fn of(self, version: usize) -> Error {
        let error = match self {
            Self::Transaction => MigrationError::Transaction { version },
            Self::Error(source) => MigrationError::Failed {
                version,
                source: Box::new(source),
            },
        };
        error.into()
    }
}

/// Runs statements one after the other. One that ends the transaction is refused before it runs: what came before it
/// would be committed.
pub(super) fn run(transaction: &Transaction<'_>, sql: &str) -> Result<(), Failure> {
    let mut batch = Batch::new(transaction, sql);
    while let Some(mut statement) = batch.next()? {
        let controls = statement
            .expanded_sql()
            .is_some_and(|sql: String| controls_transaction(&sql));
        if controls {
            return Err(Failure::Transaction);
        }
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Whether a statement begins or ends a transaction, by its first word. Savepoints are welcome.
fn controls_transaction(sql: &str) -> bool {
    let sql = skip_comments(sql);
    let mut words = sql
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    let is = |word: Option<&str>, one_of: &[&str]| {
        word.is_some_and(|word| one_of.iter().any(|other| word.eq_ignore_ascii_case(other)))
    };
    let first = words.next();
    if is(first, &["ROLLBACK"]) {
        // ROLLBACK [TRANSACTION] TO [SAVEPOINT] name
        let next = words.next();
        let next = if is(next, &["TRANSACTION"]) {
            words.next()
        } else {
            next
        };
        return !is(next, &["TO"]);
    }
    is(first, &["BEGIN", "COMMIT", "END"])
}

/// What stands behind white space and comments.
fn skip_comments(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ';');
        let rest = if let Some(comment) = sql.strip_prefix("--") {
            comment.split_once('\n').map(|(_, rest)| rest)
        } else if let Some(comment) = sql.strip_prefix("/*") {
            comment.split_once("*/").map(|(_, rest)| rest)
        } else {
            return sql;
        };
        sql = rest.unwrap_or("");
    }
}

#[cfg(test)]
mod tests {
    use super::controls_transaction;

    #[test]
    fn what_begins_or_ends_a_transaction_is_known_by_its_first_word() {
        let control = [
            "COMMIT",
            "commit;",
            " -- why\n/* and\nhow */ END TRANSACTION",
            "BEGIN IMMEDIATE",
            "ROLLBACK",
            "ROLLBACK TRANSACTION;",
            "rollback/**/",
            ";;COMMIT",
        ];
        for sql in control {
            assert!(controls_transaction(sql), "{sql}");
        }
        let others = [
            "",
            "SAVEPOINT a",
            "RELEASE a",
            "ROLLBACK TO a",
            "ROLLBACK TRANSACTION TO SAVEPOINT a",
            "SELECT 'COMMIT'",
            "-- COMMIT",
            "/* COMMIT",
            "CREATE TABLE commit_(a)",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; END",
        ];
        for sql in others {
            assert!(!controls_transaction(sql), "{sql}");
        }
        assert_eq!(control.len() + others.len(), 18);
    }
}
