//! The one connection that writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::batch::{Rhythm, sqlite_error};
use super::changes::Tracker;
use super::ffi;
use super::guard::{self, Guard, Kind};
use super::job::Job;
use super::log::Log;
use super::options::{Durability, Options};
use super::queue::{Queue, Ticket};
use super::transaction::run;
use crate::Error;
use crate::builder::Opener;
use crate::observe::{Recorder, Span};

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) guard: Arc<Guard>,
    pub(super) opener: Arc<Opener>,
    pub(super) path: PathBuf,
    pub(super) options: Options,
    pub(super) recorder: Recorder,
    pub(super) changes: Tracker,
    pub(super) rhythm: Rhythm,
    pub(super) log: Log,
    /// Why nothing is written any more.
    failed: Option<Arc<Error>>,
}

impl Writer {
    pub(super) fn open(
        opener: &Arc<Opener>,
        options: &Options,
        recorder: &Recorder,
        changes: Tracker,
    ) -> Result<Self, Error> {
        let (mut connection, guard) = connect(opener, options)?;
        if let Some(migrations) = &options.migrations {
            migrations.to_latest(&mut connection)?;
        }
        let log = Log::watch(&connection, options)?;
        Ok(Self {
            connection,
            guard,
            opener: Arc::clone(opener),
            path: opener.path().to_owned(),
            options: options.clone(),
            recorder: recorder.clone(),
            changes,
            rhythm: Rhythm::default(),
            log,
            failed: None,
        })
    }

    /// Opens the connection anew: the file's key was replaced while it was idle, more than once.
    fn reopen(&mut self) -> Result<(), Error> {
        let (connection, guard) = connect(&self.opener, &self.options)?;
        self.log = Log::watch(&connection, &self.options)?;
        self.changes.unhooked();
        self.connection = connection;
        self.guard = guard;
        Ok(())
    }

    /// Runs one batch of what is queued.
    pub(super) fn serve(&mut self, queue: &Queue<Box<dyn Job>>) {
        let last = queue.last();
        if let Err(error) = self.begin() {
            self.refuse(queue, last, &error);
            return;
        }
        let span = Span::batch(self.recorder.database());
        let ended = span.in_scope(|| self.batch(queue));
        ffi::reset_forgotten(&self.connection);
        match ended {
            Err(reason) => self.fail(reason),
            Ok(()) => self.tend_log(),
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        if let Some(reason) = &self.failed {
            return Err(self.refusal(reason));
        }
        self.check_log()?;
        self.changes.prepare(&mut self.connection)?;
        match self.begin_once() {
            Err(error) if is_out_of_date(&error) => {
                self.reopen().map_err(|_| error)?;
                self.changes.prepare(&mut self.connection)?;
                self.begin_once()
            }
            begun => begun,
        }
    }

    fn begin_once(&self) -> Result<(), Error> {
        if !self.connection.is_autocommit() {
            run(&self.connection, "ROLLBACK")?;
        }
        // A closure may have set another.
        self.connection.busy_timeout(self.options.busy_timeout)?;
        explained(|| run(&self.connection, "BEGIN IMMEDIATE"))
    }

    /// Refuses what came until `last`.
    fn refuse(&self, queue: &Queue<Box<dyn Job>>, last: Ticket, error: &Error) {
        while let Some((job, left)) = queue.pop(last) {
            self.recorder.queue_depth(left);
            self.answer(job, Err(self.same(error)));
        }
        // Those who waited may all have gone.
        self.recorder.queue_depth(queue.len());
    }

    /// An error for one of many.
    fn same(&self, error: &Error) -> Error {
        match error {
            Error::WriterFailed { source, .. } => self.refusal(source),
            other => other.echo(),
        }
    }

    pub(super) fn refusal(&self, reason: &Arc<Error>) -> Error {
        Error::WriterFailed {
            path: self.path.clone(),
            source: Arc::clone(reason),
        }
    }

    pub(super) fn fail(&mut self, reason: Arc<Error>) {
        self.recorder.writer_up(false);
        self.failed = Some(reason);
    }

    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // Where SQLite cannot roll back, the next BEGIN tries again, and says why it cannot.
            drop(run(&self.connection, "ROLLBACK"));
        }
    }
}

fn connect(opener: &Opener, options: &Options) -> Result<(Connection, Arc<Guard>), Error> {
    let (connection, guard) = guard::connect(opener, Kind::Writer)?;
    // SQLite falls back to that, where it cannot write.
    if connection.is_readonly("main")? {
        return Err(read_only(opener.path()));
    }
    configure(&connection, options)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Error::Update {
            path: opener.path().to_owned(),
            what: "it cannot be switched to a write-ahead log here".to_owned(),
        });
    }
    connection.pragma_update(
        None,
        "synchronous",
        match options.durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        },
    )?;
    // Negative: in KiB.
    let cache = i64::from(options.writer_cache_bytes / 1_024);
    connection.pragma_update(None, "cache_size", -cache.max(1))?;
    // What a closure's rollback needs goes to memory, not page by page to a file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok((connection, guard))
}

/// What every connection of a database gets.
pub(super) fn configure(connection: &Connection, options: &Options) -> Result<(), Error> {
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(options.statements);
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Runs a statement; where the VFS had a reason to refuse it, that is the error.
#[cfg(feature = "pq")]
pub(super) fn explained<T>(statement: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    drop(crate::vfs::take_last_error());
    statement().map_err(|error| match error.extended_code() {
        Some(rusqlite::ffi::SQLITE_AUTH) => crate::vfs::take_last_error().unwrap_or(error),
        _ => error,
    })
}

/// Runs a statement: a plain database has no reasons of its own.
#[cfg(not(feature = "pq"))]
pub(super) fn explained<T>(statement: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    statement()
}

/// Whether a connection that is opened anew may succeed where this one does not. What the authorizer denies is no reason.
pub(super) const fn is_out_of_date(error: &Error) -> bool {
    matches!(error, Error::KeyReplaced { .. } | Error::NoKey { .. })
}

pub(super) fn read_only(path: &Path) -> Error {
    let what = "attempt to write a readonly database";
    sqlite_error(rusqlite::ffi::SQLITE_READONLY, what).at(path, "write")
}
