//! What a write closure gets.

use core::ops::Deref;

use rusqlite::Connection;

use super::guard::RESERVED_SAVEPOINTS;
use crate::Error;

/// The transaction that a write closure runs in, as a [`rusqlite::Connection`].
///
/// The closure has a savepoint of its own in a transaction that it may share with others. COMMIT, ROLLBACK, ATTACH,
/// DETACH and PRAGMA are denied; savepoints are allowed, and [`WriteTransaction::savepoint`] makes one.
///
/// Prepare with [`Connection::prepare_cached`]: the connection stays open, and its statements with it.
#[derive(Debug)]
pub struct WriteTransaction<'c> {
    connection: &'c Connection,
}

impl<'c> WriteTransaction<'c> {
    pub(super) const fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// Does something in a savepoint of its own: an error rolls back only that.
    ///
    /// # Errors
    /// The closure's, and SQLite's.
    pub fn savepoint<T, E: From<rusqlite::Error>>(
        &self,
        closure: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.execute_batch("SAVEPOINT nested")?;
        let nested = Nested(Some(self.connection));
        let value = closure(self)?;
        nested.keep();
        self.execute_batch("RELEASE nested")?;
        Ok(value)
    }
}

/// Rolls a nested savepoint back unless it is kept, also where its closure panics and the one around it goes on.
struct Nested<'c>(Option<&'c Connection>);

impl Nested<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        // Where SQLite has rolled back everything, the savepoint is gone, too, and the error says so.
        if let Some(connection) = self.0
            && !connection.is_autocommit()
        {
            drop(connection.execute_batch("ROLLBACK TO nested; RELEASE nested"));
        }
    }
}

impl Deref for WriteTransaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// The savepoint of one closure.
pub(super) struct ClosureSavepoint<'c>(&'c Connection);

const SAVEPOINT: &str = "SAVEPOINT zqlite_closure";
const RELEASE: &str = "RELEASE zqlite_closure";
const ROLLBACK_TO: &str = "ROLLBACK TO zqlite_closure";

impl<'c> ClosureSavepoint<'c> {
    pub(super) fn begin(connection: &'c Connection) -> Result<Self, Error> {
        debug_assert!(SAVEPOINT.contains(RESERVED_SAVEPOINTS));
        run(connection, SAVEPOINT)?;
        Ok(Self(connection))
    }

    pub(super) fn release(self) -> Result<(), Error> {
        run(self.0, RELEASE)
    }

    pub(super) fn roll_back(self) -> Result<(), Error> {
        run(self.0, ROLLBACK_TO)?;
        run(self.0, RELEASE)
    }
}

/// Executes a statement of ours. Not from the cache: from there a closure could take it, past the authorizer.
pub(super) fn run(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.prepare(sql)?.execute([])?;
    Ok(())
}
