//! The asynchronous face, on tokio.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::cancel::Cancellable;
use super::changes::Subscription;
use super::database::{Database, Status};
use super::options::Options;
use super::queue::Manner;
use super::shared::Core;
use super::stream::{RowSender, RowStream};
use super::transaction::WriteTransaction;
use crate::{Builder, Error};

/// A database for asynchronous callers. No thread is blocked by a caller that waits.
///
/// Every future can be dropped at any time. A write that waits is taken back, one that runs is finished, and committed; a
/// read is interrupted. No transaction stays open, and no connection is lost.
///
/// Handles are cheap to clone, and [`AsyncDatabase::to_blocking`] gives one for synchronous callers.
#[derive(Clone)]
pub struct AsyncDatabase {
    core: Arc<Core>,
}

impl core::fmt::Debug for AsyncDatabase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AsyncDatabase")
            .field("path", &self.core.path)
            .finish_non_exhaustive()
    }
}

impl AsyncDatabase {
    /// Opens a database, as [`Database::open`] does, on a thread where it may block.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(builder: Builder, options: Options) -> Result<Self, Error> {
        let (sender, opened) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("zqlite-open".to_owned())
            .spawn(move || drop(sender.send(Core::open(builder, options))))
            .map_err(super::keeper::no_thread)?;
        match opened.await {
            Ok(core) => Ok(Self::of(Arc::new(core?))),
            Err(_) => Err(Error::Panicked("while the database was opened".to_owned())),
        }
    }

    pub(super) const fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.core.path
    }

    /// The same database for synchronous callers.
    #[must_use]
    pub fn to_blocking(&self) -> Database {
        Database::of(Arc::clone(&self.core))
    }

    /// See [`Database::write`].
    ///
    /// # Errors
    /// See [`Database::write`].
    pub async fn write<T, F>(&self, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.write_before(None, true, closure).await
    }

    /// See [`Database::write_within`].
    ///
    /// # Errors
    /// See [`Database::write_within`].
    pub async fn write_within<T, F>(&self, time: Duration, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.write_before(Instant::now().checked_add(time), true, closure)
            .await
    }

    /// See [`Database::try_write`].
    ///
    /// # Errors
    /// See [`Database::try_write`].
    pub async fn try_write<T, F>(&self, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.write_before(None, false, closure).await
    }

    async fn write_before<T, F>(
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
            serves: false,
            waits,
        };
        // Dropped with this future, it takes the closure back.
        let (place, mut reply) = self.core.submit(closure, deadline, manner)?;
        let result = match deadline {
            None => reply.await,
            Some(deadline) => {
                let timed = async { tokio::time::timeout_at(deadline.into(), &mut reply).await };
                match self.core.keeper.enter(timed).await {
                    Ok(result) => result,
                    Err(_) if place.take_back() => return Err(self.core.out_of_turn()),
                    Err(_) => reply.await,
                }
            }
        };
        result.unwrap_or_else(|_| Err(self.core.closed()))
    }

    /// Runs a closure that reads, on a thread for what blocks. See [`Database::read`].
    ///
    /// # Errors
    /// See [`Database::read`].
    pub async fn read<T, F>(&self, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.read_before(None, closure).await
    }

    /// See [`Database::read_within`].
    ///
    /// # Errors
    /// See [`Database::read_within`].
    pub async fn read_within<T, F>(&self, time: Duration, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.read_before(Instant::now().checked_add(time), closure)
            .await
    }

    async fn read_before<T, F>(&self, deadline: Option<Instant>, closure: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let getting = self.core.readers.get(deadline);
        let reader = self.core.keeper.enter(getting).await?;
        let (reader, _interrupt) = Cancellable::new(reader);
        let work = move || reader.run(deadline, closure);
        self.core.keeper.run_blocking(work).await
    }

    /// See [`Database::stream`].
    ///
    /// # Errors
    /// See [`Database::stream`].
    pub async fn stream<T, F>(&self, buffer: usize, closure: F) -> Result<RowStream<T>, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &RowSender<T>) -> Result<(), Error> + Send + 'static,
    {
        let reader = self.core.keeper.enter(self.core.readers.get(None)).await?;
        Ok(RowStream::start(&self.core, reader, buffer, closure))
    }

    /// See [`Database::subscribe`].
    #[must_use]
    pub fn subscribe(&self, tables: &[&str]) -> Subscription {
        self.core.changes.subscribe(tables, &self.core.recorder)
    }

    /// See [`Database::checkpoint`].
    ///
    /// # Errors
    /// See [`Database::checkpoint`].
    pub async fn checkpoint(&self) -> Result<(), Error> {
        let core = Arc::clone(&self.core);
        let work = move || core.checkpoint();
        self.core.keeper.run_blocking(work).await
    }

    /// See [`Database::status`].
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// See [`Database::close`].
    ///
    /// # Errors
    /// See [`Database::close`].
    pub async fn close(&self, time: Duration) -> Result<(), Error> {
        let database = self.to_blocking();
        let work = move || database.close(time);
        self.core.keeper.run_blocking(work).await
    }
}
