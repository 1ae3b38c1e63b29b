//! The write-ahead log, and when it is moved into the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::ffi;
use super::options::Options;
use super::writer::Writer;
use crate::Error;
use crate::observe::{Checkpoint, CheckpointResult, Span};

/// Where readers overlap for so long that the log is this many times as long as it should be, new ones are kept from it for a
/// moment.
const LONG: u32 = 4;
/// That moment: writers wait meanwhile.
const MOMENT: Duration = Duration::from_millis(20);

/// What is known of the write-ahead log.
pub(super) struct Log {
    /// Its pages after the last commit: SQLite tells it.
    pages: u32,
    page_size: u64,
    /// At how many pages the next checkpoint is tried.
    next: u32,
}

impl Log {
    /// Has SQLite tell how long the log is, in the place of its own checkpoints: ours come after the acknowledgement.
    pub(super) fn watch(connection: &Connection, options: &Options) -> Result<Self, Error> {
        ffi::note_log_pages(connection);
        let page_size: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        Ok(Self {
            pages: 0,
            page_size: page_size.into(),
            next: options.checkpoint_pages,
        })
    }

    fn bytes(&self) -> u64 {
        u64::from(self.pages).saturating_mul(self.page_size)
    }
}

/// What is to become of the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// What no reader needs goes into the database.
    Shorter,
    /// All of it, so that the next commit begins it anew; readers are waited for.
    Anew(Duration),
    /// All of it, and the file is cut to nothing.
    Empty,
}

impl Writer {
    /// After a batch: a checkpoint, if the log has grown long enough.
    pub(super) fn tend_log(&mut self) {
        let pages = ffi::log_pages().unwrap_or(self.log.pages);
        if pages < self.log.pages {
            self.log.next = self.options.checkpoint_pages;
        }
        self.log.pages = pages;
        if pages >= self.log.next {
            let long = self.options.checkpoint_pages.saturating_mul(LONG);
            let aim = if pages >= long {
                Aim::Anew(MOMENT)
            } else {
                Aim::Shorter
            };
            // What it finds, whoever asks for a checkpoint is told.
            drop(self.checkpoint(aim));
        }
    }

    /// Refuses to let the log grow beyond its limit.
    pub(super) fn check_log(&mut self) -> Result<(), Error> {
        match self.options.log_limit {
            Some(limit) if self.log.bytes() > limit => {
                // For others, too: not as long as for the lock of another writer.
                let patience = self.options.busy_timeout / 4;
                self.checkpoint(Aim::Anew(patience)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Moves pages from the log into the database. If only a shorter log is asked for, it is no error if readers keep all.
    pub(super) fn checkpoint(&mut self, aim: Aim) -> Result<Checkpoint, Error> {
        let started = Instant::now();
        let (sql, patience) = match aim {
            Aim::Shorter => ("PRAGMA wal_checkpoint(PASSIVE)", Duration::ZERO),
            Aim::Anew(patience) => ("PRAGMA wal_checkpoint(RESTART)", patience),
            Aim::Empty => (
                "PRAGMA wal_checkpoint(TRUNCATE)",
                self.options.busy_timeout / 4,
            ),
        };
        self.connection.busy_timeout(patience)?;
        let span = Span::checkpoint(self.recorder.database());
        let found = span.in_scope(|| {
            self.connection.query_row(sql, [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))
            })
        });
        self.connection.busy_timeout(self.options.busy_timeout)?;
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
        // Readers may still be on the log, which then goes on growing; not every batch tries again.
        self.log.next = log.saturating_add(self.options.checkpoint_pages);
        if let Err(error) = found {
            return Err(self.checkpoint_error(error.into()));
        }
        if aim != Aim::Shorter && result != CheckpointResult::Complete {
            return Err(Error::LogPinned {
                path: self.path.clone(),
                what: format!(
                    "{} of its {log} pages are needed by readers, or another process writes",
                    log.saturating_sub(moved)
                ),
            });
        }
        if aim != Aim::Shorter {
            self.log.pages = 0;
        }
        Ok(checkpoint)
    }

    fn checkpoint_error(&mut self, error: Error) -> Error {
        let error = error.at(&self.path, "checkpoint");
        if !is_failed_sync(&error) {
            return error;
        }
        let reason = Arc::new(error);
        let refusal = self.refusal(&reason);
        self.fail(reason);
        refusal
    }
}

/// Whether the disk refused to keep what it had taken. What it has then, nobody knows.
fn is_failed_sync(error: &Error) -> bool {
    matches!(
        error.extended_code(),
        Some(rusqlite::ffi::SQLITE_IOERR_FSYNC | rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC)
    )
}
