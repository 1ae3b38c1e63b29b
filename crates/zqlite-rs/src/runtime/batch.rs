//! One transaction for many closures.
//!
//! Each closure has a savepoint of its own: an error or a panic rolls back what it did, and nothing else. Where SQLite
//! gives up the whole transaction, nobody is told that his closure was committed: whose closure it was gets its error, the
//! others one that says to try again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ffi;
use super::job::Job;
use super::queue::{Queue, Ticket};
use super::transaction::{ClosureSavepoint, WriteTransaction, run};
use super::writer::Writer;
use crate::observe::{Outcome, QueryKind, Span, Stopwatch};
use crate::{Error, ErrorKind};

/// How many commits their mean duration looks back on.
const WEIGHT: u32 = 8;

/// What the last batches were like: how many callers are likely to come back, and how long a commit takes.
pub(super) struct Rhythm {
    callers: usize,
    commit: Duration,
    /// How many closures share a transaction: one after it was lost, twice as many after each commit. Else a closure
    /// that SQLite aborts, tried again and again, keeps all others from ever being committed.
    share: usize,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            callers: 0,
            commit: Duration::ZERO,
            share: usize::MAX,
        }
    }
}

impl Rhythm {
    /// How many callers may wait together: those that were served, and those that came meanwhile.
    fn after(&mut self, committed: usize, queued: usize, commit: Duration) {
        let callers = committed + queued;
        // It rises at once, and falls slowly: a batch that was cut short says little.
        self.callers = callers.max(self.callers - self.callers / 4);
        if committed <= 1 && queued == 0 {
            self.callers = 1;
        }
        self.commit = (self.commit * (WEIGHT - 1) + commit) / WEIGHT;
    }

    /// How long to wait for company: less than the commit that is saved by it.
    fn patience(&self, most: Duration) -> Duration {
        (self.commit / 2).min(most)
    }
}

/// How the closure's run left the transaction.
enum Ran {
    /// In it is what the closure did.
    Kept,
    /// It is as it was before.
    RolledBack(Error),
    /// There is none any more.
    Lost(Error),
}

type Done = Vec<Box<dyn Job>>;

impl Writer {
    /// Runs what is queued in one transaction, and tells everybody how it ended. The transaction has begun.
    pub(super) fn batch(&mut self, queue: &Queue<Box<dyn Job>>) -> Result<(), Arc<Error>> {
        let began = Instant::now();
        let mut done: Done = Vec::new();
        let mut lingered = false;
        let most = self.options.batch_closures.min(self.rhythm.share);
        // One is always taken.
        let mut taken = 0;
        while taken == 0 || (done.len() < most && began.elapsed() < self.options.batch_time) {
            let Some((mut job, left)) = queue.pop(Ticket::MAX) else {
                if !lingered && self.linger(queue, done.len()) {
                    lingered = true;
                    continue;
                }
                break;
            };
            taken += 1;
            self.recorder.queue_depth(left);
            self.recorder.queue_wait(job.queued().elapsed());
            match self.run_closure(job.as_mut()) {
                Ran::Kept => done.push(job),
                Ran::RolledBack(error) => self.answer(job, Err(error)),
                Ran::Lost(error) => {
                    self.changes.forget();
                    self.rhythm.share = 1;
                    let reason = Arc::new(error.echo());
                    self.answer(job, Err(error));
                    self.abort(done, &reason);
                    return Ok(());
                }
            }
        }
        self.commit(done, queue)
    }

    /// Waits for callers that are likely to come, if the batch is small without them. Whether anybody came.
    fn linger(&self, queue: &Queue<Box<dyn Job>>, have: usize) -> bool {
        let most = self.options.batch_closures.min(self.rhythm.share);
        let expected = self.rhythm.callers.min(most);
        let patience = self.rhythm.patience(self.options.batch_delay);
        if have >= expected || patience.is_zero() {
            return false;
        }
        queue.wait_for(expected - have, Instant::now() + patience);
        queue.len() > 0
    }

    fn run_closure(&mut self, job: &mut dyn Job) -> Ran {
        if job
            .deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            return Ran::RolledBack(self.late("its turn at the writer"));
        }
        let watch = Stopwatch::start();
        let connection = &self.connection;
        let savepoint = match ClosureSavepoint::begin(connection) {
            Ok(savepoint) => savepoint,
            Err(error) => {
                self.roll_back();
                return Ran::Lost(error);
            }
        };
        self.changes.begin_closure(connection);
        let mut result = {
            let _within = self.guard.enter(job.deadline());
            let span = Span::write(job.caller(), self.recorder.database());
            span.in_scope(|| job.run(&WriteTransaction::new(connection)))
        };
        self.recorder.query(QueryKind::Write, watch.elapsed());
        self.opener.reassert(connection);
        if self.guard.expired() {
            result = Err(self.late("the closure"));
        }
        if connection.is_autocommit() {
            return Ran::Lost(result.err().unwrap_or_else(swallowed_error));
        }
        if result.is_ok() && ffi::violates_deferred_foreign_keys(connection) {
            result = Err(foreign_key_error());
        }
        let ended = match &result {
            Ok(()) => savepoint.release(),
            Err(_) => savepoint.roll_back(),
        };
        match (result, ended) {
            (Ok(()), Ok(())) => {
                self.changes.keep_closure(connection, self.guard.dropped());
                Ran::Kept
            }
            (Err(error), Ok(())) => {
                self.changes.drop_closure();
                Ran::RolledBack(error)
            }
            (_, Err(error)) => {
                self.roll_back();
                Ran::Lost(error)
            }
        }
    }

    fn commit(&mut self, done: Done, queue: &Queue<Box<dyn Job>>) -> Result<(), Arc<Error>> {
        if done.is_empty() {
            self.changes.forget();
            self.roll_back();
            return Ok(());
        }
        let started = Instant::now();
        let span = Span::commit(self.recorder.database(), done.len());
        match span.in_scope(|| run(&self.connection, "COMMIT")) {
            Ok(()) => {
                let elapsed = started.elapsed();
                self.recorder.commit(elapsed, done.len());
                self.rhythm.share = self.rhythm.share.saturating_mul(2);
                self.rhythm.after(done.len(), queue.len(), elapsed);
                self.changes.publish();
                for job in done {
                    self.answer(job, Ok(()));
                }
                Ok(())
            }
            Err(error) => {
                self.changes.forget();
                self.rhythm.share = 1;
                self.roll_back();
                if leaves_doubt(&error) {
                    // Whether the disk has it, nobody knows: nobody is told that nothing was written.
                    let reason = Arc::new(error);
                    for job in done {
                        let refused = self.refusal(&reason);
                        self.answer(job, Err(refused));
                    }
                    return Err(reason);
                }
                match <[_; 1]>::try_from(done) {
                    // Alone, it is the closure's own.
                    Ok([job]) => self.answer(job, Err(error.at(&self.path, "commit"))),
                    Err(done) => self.abort(done, &Arc::new(error)),
                }
                Ok(())
            }
        }
    }

    /// Tells everybody to try again.
    fn abort(&self, done: Done, reason: &Arc<Error>) {
        for job in done {
            let error = Error::BatchAborted {
                path: self.path.clone(),
                source: Arc::clone(reason),
            };
            self.answer(job, Err(error));
        }
    }

    pub(super) fn answer(&self, job: Box<dyn Job>, outcome: Result<(), Error>) {
        self.recorder.outcome(match &outcome {
            Ok(()) => Outcome::Committed,
            Err(error) => match error.kind() {
                ErrorKind::Panicked => Outcome::Panicked,
                ErrorKind::TimedOut => Outcome::TimedOut,
                ErrorKind::Aborted => Outcome::Aborted,
                ErrorKind::Closed | ErrorKind::Exhausted => Outcome::Refused,
                _ => Outcome::Failed,
            },
        });
        job.finish(outcome.map_err(|error| error.at(&self.path, "write")));
    }

    fn late(&self, what: &'static str) -> Error {
        Error::TimedOut {
            path: self.path.clone(),
            what,
        }
    }
}

/// Whether a COMMIT that failed so may have been one. Only where a page could not be read or written, or the lock not be
/// had, it certainly was none.
fn leaves_doubt(error: &Error) -> bool {
    use rusqlite::ffi;
    let Some(code) = error.extended_code() else {
        return true;
    };
    let certain = matches!(
        code,
        ffi::SQLITE_IOERR_READ
            | ffi::SQLITE_IOERR_SHORT_READ
            | ffi::SQLITE_IOERR_WRITE
            | ffi::SQLITE_IOERR_DATA
    ) || matches!(
        code & 0xff,
        ffi::SQLITE_BUSY | ffi::SQLITE_CONSTRAINT | ffi::SQLITE_FULL | ffi::SQLITE_INTERRUPT
    );
    !certain
}

/// SQLite had rolled back the transaction, and the closure went on regardless.
fn swallowed_error() -> Error {
    sqlite_error(
        rusqlite::ffi::SQLITE_ABORT_ROLLBACK,
        "the transaction was rolled back while the closure ran",
    )
}

fn foreign_key_error() -> Error {
    sqlite_error(
        rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY,
        "FOREIGN KEY constraint failed",
    )
}

pub(super) fn sqlite_error(code: core::ffi::c_int, text: &str) -> Error {
    let code = rusqlite::ffi::Error::new(code);
    Error::Sqlite(rusqlite::Error::SqliteFailure(code, Some(text.to_owned())))
}

#[cfg(all(test, feature = "pq"))]
mod tests;
