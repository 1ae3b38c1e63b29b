//! The one connection that writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::batch::{Rhythm, sqlite_error};
use super::changes::Tracker;
use super::guard::{self, Guard, Kind};
use super::job::Job;
use super::options::{Durability, Options};
use super::queue::{Queue, Ticket};
use super::transaction::run;
use crate::builder::Opener;
use crate::observe::{Checkpoint, CheckpointResult, Recorder, Span};
use crate::{Error, ErrorKind};

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) guard: Arc<Guard>,
    pub(super) path: PathBuf,
    pub(super) options: Options,
    pub(super) recorder: Recorder,
    pub(super) changes: Tracker,
    pub(super) rhythm: Rhythm,
    log: Log,
    /// Why nothing is written any more.
    failed: Option<Arc<Error>>,
}

/// What is known of the write-ahead log.
struct Log {
    /// Its pages after the last commit: SQLite tells it.
    pages: Arc<AtomicU32>,
    page_size: u64,
    /// At how many pages the next checkpoint is tried.
    next: u32,
    /// How many pages the last checkpoint had to leave in it.
    pinned: u32,
}

impl Writer {
    pub(super) fn open(
        opener: &Opener,
        options: &Options,
        recorder: &Recorder,
        changes: Tracker,
    ) -> Result<Self, Error> {
        let (mut connection, guard) = guard::connect(opener, Kind::Writer)?;
        // SQLite falls back to that, where it cannot write.
        if connection.is_readonly("main")? {
            return Err(read_only(opener.path()));
        }
        configure(&connection, options)?;
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(Error::Busy {
                path: opener.path().to_owned(),
                what: "the database cannot be switched to a write-ahead log",
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
        if let Some(migrations) = &options.migrations {
            migrations.to_latest(&mut connection)?;
        }
        let pages = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&pages);
        // In the place of SQLite's own checkpoints: ours come after the acknowledgement.
        connection.wal_hook(Some(move |_: &mut Wal, pages: core::ffi::c_int| {
            told.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let page_size: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        recorder.writer_up(true);
        Ok(Self {
            connection,
            guard,
            path: opener.path().to_owned(),
            options: options.clone(),
            recorder: recorder.clone(),
            changes,
            rhythm: Rhythm::default(),
            log: Log {
                pages,
                page_size: page_size.into(),
                next: options.checkpoint_pages,
                pinned: 0,
            },
            failed: None,
        })
    }

    /// Runs one batch of what is queued. Nobody waits for another process's lock for longer than until then.
    pub(super) fn serve(&mut self, queue: &Queue<Box<dyn Job>>, until: Option<Instant>) {
        let last = queue.last();
        if let Err(error) = self.begin(until) {
            match error {
                // Whose patience it was that ended goes; the others' has not.
                Refusal::Impatient => {}
                Refusal::Everybody(error) => self.refuse(queue, last, &error),
            }
            return;
        }
        let span = Span::batch(self.recorder.database());
        if let Err(reason) = span.in_scope(|| self.batch(queue)) {
            self.fail(reason);
        } else if self.log.pages.load(Ordering::Relaxed) >= self.log.next {
            // What it finds, whoever asks for a checkpoint is told.
            drop(self.checkpoint("PASSIVE"));
        }
    }

    fn begin(&mut self, until: Option<Instant>) -> Result<(), Refusal> {
        if let Some(reason) = &self.failed {
            return Err(Refusal::Everybody(self.refusal(reason)));
        }
        self.check_log().map_err(Refusal::Everybody)?;
        self.changes
            .prepare(&mut self.connection)
            .map_err(Refusal::Everybody)?;
        let usual = self.options.busy_timeout;
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let shortened = left.filter(|left| *left < usual);
        if let Some(left) = shortened {
            self.set_patience(left);
        }
        let begun = run(&self.connection, "BEGIN IMMEDIATE");
        if shortened.is_some() {
            self.set_patience(usual);
        }
        begun.map_err(|error| {
            if shortened.is_some() && error.kind() == ErrorKind::Busy {
                Refusal::Impatient
            } else {
                Refusal::Everybody(error)
            }
        })
    }

    fn set_patience(&self, patience: Duration) {
        // It only fails for a time that is no time.
        drop(self.connection.busy_timeout(patience));
    }

    /// Refuses what came until `last`.
    fn refuse(&self, queue: &Queue<Box<dyn Job>>, last: Ticket, error: &Error) {
        while let Some(job) = queue.pop(last) {
            self.answer(job, Err(self.same(error)));
        }
        self.recorder.queue_depth(queue.len());
    }

    /// An error for one of many.
    fn same(&self, error: &Error) -> Error {
        match error {
            Error::WriterFailed { source, .. } => self.refusal(source),
            Error::LogPinned { path, what } => Error::LogPinned {
                path: path.clone(),
                what: what.clone(),
            },
            other => other.echo(),
        }
    }

    pub(super) fn refusal(&self, reason: &Arc<Error>) -> Error {
        Error::WriterFailed {
            path: self.path.clone(),
            source: Arc::clone(reason),
        }
    }

    fn fail(&mut self, reason: Arc<Error>) {
        self.recorder.writer_up(false);
        self.failed = Some(reason);
    }

    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // Where SQLite cannot roll back, it has done so already, or the next BEGIN says why it cannot.
            drop(run(&self.connection, "ROLLBACK"));
        }
    }

    // --- the write-ahead log ---------------------------------------------------------------------

    /// Refuses to let the log grow beyond its limit.
    fn check_log(&mut self) -> Result<(), Error> {
        let Some(limit) = self.options.log_limit else {
            return Ok(());
        };
        let too_long = |log: &Log| {
            u64::from(log.pages.load(Ordering::Relaxed)).saturating_mul(log.page_size) > limit
        };
        if !too_long(&self.log) {
            return Ok(());
        }
        self.checkpoint("RESTART").map(drop)
    }

    /// Moves pages from the log into the database. In mode PASSIVE it is no error if readers keep some there.
    pub(super) fn checkpoint(&mut self, mode: &'static str) -> Result<Checkpoint, Error> {
        let started = Instant::now();
        if mode != "PASSIVE" {
            // Readers are waited for, but not for as long as the lock of another writer.
            self.set_patience(self.options.busy_timeout / 4);
        }
        let span = Span::checkpoint(self.recorder.database());
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let found = span.in_scope(|| {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_row([], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            })
        });
        self.set_patience(self.options.busy_timeout);
        let pages = |count: i64| u32::try_from(count.max(0)).unwrap_or(u32::MAX);
        let (result, log, moved) = match &found {
            Ok((busy, log, moved)) => {
                let (log, moved) = (pages(*log), pages(*moved));
                let result = if moved < log {
                    CheckpointResult::Partial
                } else if *busy != 0 {
                    CheckpointResult::Busy
                } else {
                    CheckpointResult::Complete
                };
                (result, log, moved)
            }
            Err(_) => (CheckpointResult::Failed, 0, 0),
        };
        let checkpoint = Checkpoint {
            result,
            elapsed: started.elapsed(),
            pending_pages: log.saturating_sub(moved).into(),
        };
        self.recorder.checkpoint(&checkpoint);
        self.log.pinned = log.saturating_sub(moved);
        // After a complete one the log begins anew. After another one, not every batch tries again.
        self.log.next = self
            .options
            .checkpoint_pages
            .saturating_add(self.log.pinned);
        if mode != "PASSIVE" && result == CheckpointResult::Complete {
            self.log.pages.store(0, Ordering::Relaxed);
        }
        if let Err(error) = found {
            let error = Error::from(error).at(&self.path, "checkpoint");
            if is_failed_sync(&error) {
                let reason = Arc::new(error);
                let refusal = self.refusal(&reason);
                self.fail(reason);
                return Err(refusal);
            }
            return Err(error);
        }
        if mode != "PASSIVE" && result != CheckpointResult::Complete {
            return Err(Error::LogPinned {
                path: self.path.clone(),
                what: format!(
                    "{} of its {log} pages are needed by readers, or another process writes",
                    log.saturating_sub(moved)
                ),
            });
        }
        Ok(checkpoint)
    }
}

enum Refusal {
    /// Only of whoever serves.
    Impatient,
    Everybody(Error),
}

/// What every connection of a database gets.
pub(super) fn configure(connection: &Connection, options: &Options) -> Result<(), Error> {
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(options.statements);
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Whether the disk refused to keep what it had taken. What it has then, nobody knows.
fn is_failed_sync(error: &Error) -> bool {
    matches!(
        error.extended_code(),
        Some(rusqlite::ffi::SQLITE_IOERR_FSYNC | rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC)
    )
}

pub(super) fn read_only(path: &Path) -> Error {
    let what = "attempt to write a readonly database";
    sqlite_error(rusqlite::ffi::SQLITE_READONLY, what).at(path, "write")
}
