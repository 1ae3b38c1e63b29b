//! The synchronous face.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot::error::TryRecvError;

use super::asynchronous::AsyncDatabase;
use super::changes::Subscription;
use super::options::Options;
use super::queue::Manner;
use super::shared::Core;
use super::stream::{RowSender, RowStream};
use super::transaction::WriteTransaction;
use super::wait::block_on;
use crate::observe::PoolStatus;
use crate::{Builder, Error};

/// A database that many threads use at once: one writer, many readers.
///
/// Writes are closures. Those that come at the same time share one transaction and one sync of the disk, each in a
/// savepoint of its own. Reads are closures, too; each sees one state of the database.
///
/// A handle is cheap to clone. When the last one is dropped, the database is closed: what was queued is written first.
#[derive(Clone)]
pub struct Database {
    core: Arc<Core>,
}

impl core::fmt::Debug for Database {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.core.path)
            .finish_non_exhaustive()
    }
}

/// How a database stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// How many closures wait for the writer.
    pub queued: usize,
    /// The connections that read.
    pub readers: PoolStatus,
    /// For how long the read closures run that run now, longest first.
    pub running_reads: Vec<Duration>,
    /// Whether the database is closed, or being closed.
    pub closed: bool,
}

impl Database {
    /// Opens a database, or creates it, as the builder says, in WAL mode.
    ///
    /// A builder that opens read-only gives a database whose writes are refused.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(builder: Builder, options: Options) -> Result<Self, Error> {
        let core = Core::open(builder, options)?;
        Ok(Self {
            core: Arc::new(core),
        })
    }

    pub(super) const fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.core.path
    }

    /// The same database for asynchronous callers.
    #[must_use]
    pub fn to_async(&self) -> AsyncDatabase {
        AsyncDatabase::of(Arc::clone(&self.core))
    }

    /// Runs a closure that writes, and returns when it is committed: with [`crate::Durability::Full`], on the disk.
    ///
    /// An error or a panic of the closure rolls back what it did, and nothing that others did. It may run on another
    /// thread, and a caller's thread may run the closures of others.
    ///
    /// # Errors
    /// The closure's, or why it could not be committed. [`Error::is_retryable`] says whether to try again.
    pub fn write<T, F>(&self, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.write_before(None, true, closure)
    }

    /// As [`Database::write`], and gives up after this time: a closure that waits is taken back, one that runs is
    /// interrupted, and the transaction rolled back that it shares with others, who get an error that says to try again.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and those of [`Database::write`]. A commit that has begun is waited for.
    pub fn write_within<T, F>(&self, time: Duration, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.write_before(Instant::now().checked_add(time), true, closure)
    }

    /// As [`Database::write`], but refused if the queue is full.
    ///
    /// # Errors
    /// [`Error::QueueFull`], and those of [`Database::write`].
    pub fn try_write<T, F>(&self, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.write_before(None, false, closure)
    }

    fn write_before<T, F>(
        &self,
        deadline: Option<Instant>,
        waits: bool,
        closure: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        let manner = Manner {
            // Whoever serves waits for others' closures, checkpoints and locks: not with a deadline.
            serves: deadline.is_none(),
            waits,
        };
        let (mut place, mut reply) = self.core.submit(closure, deadline, manner)?;
        let mut early = None;
        place.serve(|| {
            early = match reply.try_recv() {
                Ok(result) => Some(result),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(Err(self.core.closed())),
            };
            early.is_some()
        });
        if let Some(result) = early {
            return result;
        }
        let mut result = block_on(&mut reply, deadline);
        if result.is_none() {
            if place.take_back() {
                return Err(self.core.out_of_turn());
            }
            // It runs: its end is near, and must be known.
            result = block_on(reply, None);
        }
        match result {
            Some(Ok(result)) => result,
            _ => Err(self.core.closed()),
        }
    }

    /// Runs a closure that reads, on this thread, with a connection of the pool. It sees one state of the database, from
    /// its first statement on.
    ///
    /// # Errors
    /// The closure's; [`Error::TimedOut`] if no connection comes free.
    pub fn read<T>(
        &self,
        closure: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read_before(None, closure)
    }

    /// As [`Database::read`], and gives up after this time.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and those of [`Database::read`].
    pub fn read_within<T>(
        &self,
        time: Duration,
        closure: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read_before(Instant::now().checked_add(time), closure)
    }

    fn read_before<T>(
        &self,
        deadline: Option<Instant>,
        closure: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let reader = self.core.readers.get_blocking(deadline)?;
        reader.run(deadline, closure)
    }

    /// Runs a closure that reads on a thread of its own, and streams what it sends. It is ahead of whoever takes the
    /// values by `buffer` of them at most; a stream that is dropped stops it.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if no connection comes free. The closure's own error is the stream's last item.
    pub fn stream<T, F>(&self, buffer: usize, closure: F) -> Result<RowStream<T>, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &RowSender<T>) -> Result<(), Error> + Send + 'static,
    {
        let reader = self.core.readers.get_blocking(None)?;
        Ok(RowStream::start(&self.core, reader, buffer, closure))
    }

    /// Tells of commits that change one of these tables; of all if none is named.
    ///
    /// Only commits through this database's writer are seen, not those of other processes, and rows of tables
    /// `WITHOUT ROWID`, which SQLite reports nothing of, are not; nor is a DELETE without a WHERE clause.
    #[must_use]
    pub fn subscribe(&self, tables: &[&str]) -> Subscription {
        self.core.changes.subscribe(tables, &self.core.recorder)
    }

    /// Moves all of the write-ahead log into the database, and makes it empty.
    ///
    /// # Errors
    /// [`Error::LogPinned`] if readers still need some of it; nothing is lost, and a later checkpoint can succeed.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.core.checkpoint()
    }

    /// How the database stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// Closes the database: takes no more closures, runs those that wait, waits for the readers, and empties the log. Other
    /// handles get [`Error::Closed`] from then on.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if readers are not back after this time; the writer is closed then, too.
    pub fn close(&self, time: Duration) -> Result<(), Error> {
        self.core.check_closable()?;
        self.core.stop();
        let deadline = Instant::now().checked_add(time);
        let readers = Arc::clone(&self.core.readers);
        let closing = self.core.keeper.enter(readers.close(deadline));
        let all = block_on(closing, deadline).unwrap_or(false);
        self.core.join();
        if all {
            Ok(())
        } else {
            Err(self.core.late("readers that are still busy"))
        }
    }
}
