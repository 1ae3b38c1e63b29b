//! A schema that grows with the program: numbered steps, each applied once.
//!
//! The number of steps that a database has seen is its `user_version`, as `rusqlite_migration` has it: a program can
//! change from the one to the other.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::Error;
use crate::observe::Span;

mod error;
mod statement;
mod validate;

use statement::Failure;

pub use error::{ForeignKeyViolation, MigrationError};

/// How many migrations there may be: `user_version` is a signed number of 32 bits.
pub const MIGRATIONS_MAX: usize = i32::MAX as usize;

type Hook = dyn Fn(&Transaction<'_>) -> Result<(), Error> + Send + Sync;

#[derive(Clone)]
enum Step {
    Sql(Cow<'static, str>),
    Hook(Arc<Hook>),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(sql) => f.debug_tuple("Sql").field(sql).finish(),
            Self::Hook(_) => f.write_str("Hook"),
        }
    }
}

/// One change of the schema, and how it is undone.
#[derive(Clone, Debug)]
pub struct Migration {
    up: Vec<Step>,
    down: Vec<Step>,
    checks_foreign_keys: bool,
}

impl Migration {
    /// Statements of SQL, separated by semicolons.
    ///
    /// They run within a transaction, and neither begin nor end one. A PRAGMA that does nothing within a transaction
    /// (`journal_mode`, `foreign_keys`) does nothing here.
    #[must_use]
    pub fn sql(sql: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Step::Sql(sql.into()))
    }

    /// A function that is given the transaction. It may be called again, if another program was in the way.
    ///
    /// An error of the application's own is wrapped by [`Error::application`].
    #[must_use]
    pub fn hook(
        hook: impl Fn(&Transaction<'_>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Step::Hook(Arc::new(hook)))
    }

    fn of(step: Step) -> Self {
        Self {
            up: vec![step],
            down: Vec::new(),
            checks_foreign_keys: false,
        }
    }

    /// More SQL, after what is there.
    #[must_use]
    pub fn then_sql(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.up.push(Step::Sql(sql.into()));
        self
    }

    /// A function, after what is there: it can fill what the SQL before it has made.
    #[must_use]
    pub fn then_hook(
        mut self,
        hook: impl Fn(&Transaction<'_>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        self.up.push(Step::Hook(Arc::new(hook)));
        self
    }

    /// The SQL that undoes it. With more than one call, they run in the order of the calls.
    #[must_use]
    pub fn down(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.down.push(Step::Sql(sql.into()));
        self
    }

    /// A function that undoes it, or a part of it.
    #[must_use]
    pub fn down_hook(
        mut self,
        hook: impl Fn(&Transaction<'_>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        self.down.push(Step::Hook(Arc::new(hook)));
        self
    }

    /// Says that the migration rebuilds tables that others refer to.
    ///
    /// If one of the migrations that are to run says so, foreign keys are not enforced while they all run, as SQLite
    /// advises (<https://www.sqlite.org/lang_altertable.html>, section 7), and are checked after each of them. What the
    /// connection had set before is set again.
    #[must_use]
    pub const fn foreign_key_check(mut self) -> Self {
        self.checks_foreign_keys = true;
        self
    }
}

/// The migrations of a program, in their order. One that was published stays as it is, in its place: a change is a new
/// one. `zqlite::Options::migrations` applies them when a `zqlite::Database` is opened.
///
/// ```
/// use zqlite::migrations::{Migration, Migrations};
///
/// let migrations = Migrations::new(vec![
///     Migration::sql("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
///         .down("DROP TABLE note"),
///     Migration::sql("ALTER TABLE note ADD COLUMN words INTEGER").then_hook(|tx| {
///         let mut notes = tx.prepare("SELECT id, body FROM note")?;
///         let mut rows = notes.query([])?;
///         while let Some(row) = rows.next()? {
///             let (id, body): (i64, String) = (row.get(0)?, row.get(1)?);
///             let words = body.split_whitespace().count() as i64;
///             tx.execute("UPDATE note SET words=?2 WHERE id=?1", (id, words))?;
///         }
///         Ok(())
///     }),
/// ]);
/// // In a test of yours:
/// migrations.validate()?;
///
/// let mut db = zqlite::rusqlite::Connection::open_in_memory()?;
/// let done = migrations.to_latest(&mut db)?;
/// assert_eq!((done.from, done.to), (0, 2));
/// // The next start of the program finds nothing to do.
/// let done = migrations.to_latest(&mut db)?;
/// assert_eq!((done.from, done.to), (2, 2));
/// # Ok::<(), zqlite::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Migrations {
    list: Vec<Migration>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version before.
    pub from: usize,
    /// The version now.
    pub to: usize,
}

impl FromIterator<Migration> for Migrations {
    fn from_iter<T: IntoIterator<Item = Migration>>(iter: T) -> Self {
        Self::new(iter.into_iter().collect())
    }
}

impl Migrations {
    /// The first leads from version 0, an empty database, to version 1.
    #[must_use]
    pub const fn new(list: Vec<Migration>) -> Self {
        Self { list }
    }

    /// How many there are: the latest version.
    #[must_use]
    pub const fn latest(&self) -> usize {
        self.list.len()
    }

    /// The version of a database: how many migrations it has seen.
    ///
    /// # Errors
    /// [`MigrationError::InvalidVersion`] if another program uses `user_version` for something else; what SQLite says.
    pub fn current_version(&self, connection: &Connection) -> Result<usize, Error> {
        current_version(connection)
    }

    /// Applies all migrations that the database has not seen.
    ///
    /// All of them run in one transaction (`BEGIN IMMEDIATE`, as far as the busy timeout allows), so that the database
    /// has the latest version afterwards, or the one that it had, and nothing in between: also if a migration fails or
    /// panics, or the process dies. The version is read again within the transaction, so that of several processes
    /// that start at once one applies them. A database that is at the latest version is not locked.
    ///
    /// # Errors
    /// [`Error::Migration`]: see [`MigrationError`]; what SQLite says, [`crate::ErrorKind::Busy`] among it.
    pub fn to_latest(&self, connection: &mut Connection) -> Result<Migrated, Error> {
        self.to_version(connection, self.latest())
    }

    /// Applies migrations, or undoes them, until the database has this version; as [`Migrations::to_latest`], in one
    /// transaction.
    ///
    /// # Errors
    /// As [`Migrations::to_latest`]; [`MigrationError::NotReversible`] before anything is done.
    pub fn to_version(
        &self,
        connection: &mut Connection,
        target: usize,
    ) -> Result<Migrated, Error> {
        if target > self.latest() || target > MIGRATIONS_MAX {
            return Err(MigrationError::NoSuchVersion {
                target,
                known: self.latest(),
            }
            .into());
        }
        loop {
            let from = current_version(connection)?;
            let plan = self.plan(from, target)?;
            if from == target {
                return Ok(Migrated { from, to: target });
            }
            let unenforced = plan.iter().any(|part| part.migration.checks_foreign_keys);
            let mut foreign_keys = ForeignKeys::suspend(connection, unenforced)?;
            let transaction = foreign_keys.begin()?;
            if current_version(&transaction)? != from {
                // Another process was faster: what is to be done has changed.
                continue;
            }
            for part in plan {
                part.run(&transaction, unenforced)?;
            }
            let version = i64::try_from(target).unwrap_or(i64::MAX);
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
            return Ok(Migrated { from, to: target });
        }
    }

    /// What leads from one version to another.
    fn plan(&self, from: usize, to: usize) -> Result<Vec<Part<'_>>, Error> {
        if from > self.latest() {
            return Err(MigrationError::TooNew {
                found: from,
                known: self.latest(),
            }
            .into());
        }
        let upwards = from <= to;
        let (lowest, highest) = (from.min(to), from.max(to));
        let mut plan: Vec<_> = self
            .list
            .iter()
            .zip(1..)
            .take(highest)
            .skip(lowest)
            .map(|(migration, version)| Part {
                migration,
                version,
                upwards,
            })
            .collect();
        if !upwards {
            plan.reverse();
            if let Some(part) = plan.iter().find(|part| part.migration.down.is_empty()) {
                let version = part.version;
                return Err(MigrationError::NotReversible { version }.into());
            }
        }
        Ok(plan)
    }
}

/// One migration, in one direction.
struct Part<'a> {
    migration: &'a Migration,
    version: usize,
    upwards: bool,
}

impl Part<'_> {
    fn run(&self, transaction: &Transaction<'_>, check: bool) -> Result<(), Error> {
        let version = self.version;
        let steps = if self.upwards {
            &self.migration.up
        } else {
            &self.migration.down
        };
        let run = || -> Result<(), Failure> {
            for step in steps {
                match step {
                    Step::Sql(sql) => statement::run(transaction, sql)?,
                    Step::Hook(hook) => hook(transaction)?,
                }
                if transaction.is_autocommit() {
                    return Err(Failure::Transaction);
                }
            }
            Ok(())
        };
        Span::migration(version)
            .in_scope(run)
            .map_err(|error| error.of(version))?;
        if check {
            let violations = error::violations(transaction)?;
            if !violations.is_empty() {
                return Err(MigrationError::ForeignKeys {
                    version,
                    violations,
                }
                .into());
            }
        }
        Ok(())
    }
}

fn current_version(connection: &Connection) -> Result<usize, Error> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    usize::try_from(version).map_err(|_| MigrationError::InvalidVersion { found: version }.into())
}

/// Keeps foreign keys from being enforced while it lives. Within a transaction that cannot be switched: it outlives it.
struct ForeignKeys<'a> {
    connection: &'a mut Connection,
    enforce_again: bool,
}

impl<'a> ForeignKeys<'a> {
    fn suspend(connection: &'a mut Connection, suspend: bool) -> Result<Self, Error> {
        let mut enforce_again = false;
        if suspend {
            enforce_again = connection.query_row("PRAGMA foreign_keys", [], |row| row.get(0))?;
            connection.pragma_update(None, "foreign_keys", false)?;
        }
        Ok(Self {
            connection,
            enforce_again,
        })
    }

    fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        let immediate = TransactionBehavior::Immediate;
        Ok(self.connection.transaction_with_behavior(immediate)?)
    }
}

impl Drop for ForeignKeys<'_> {
    fn drop(&mut self) {
        if self.enforce_again {
            let _enforced = self.connection.pragma_update(None, "foreign_keys", true);
        }
    }
}
