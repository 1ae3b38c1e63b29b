//! How a database is run.

use std::sync::Arc;
use std::time::Duration;

use crate::migrations::Migrations;

/// How many connections may read one database.
pub const READERS_MAX: usize = 1_024;
/// More than anybody waits; SQLite counts in milliseconds.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_hours(24);

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on the disk: a power cut loses nothing that was acknowledged (`synchronous=FULL`).
    #[default]
    Full,
    /// When the operating system has it: a power cut may lose the last transactions, and leaves those before whole
    /// (`synchronous=NORMAL`). A crash of the program loses nothing.
    Normal,
}

/// How a [`crate::Database`] is run. [`Options::new`] is fit for a server on one machine.
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) durability: Durability,
    pub(super) queue_capacity: usize,
    pub(super) batch_closures: usize,
    pub(super) batch_time: Duration,
    pub(super) batch_delay: Duration,
    pub(super) busy_timeout: Duration,
    pub(super) statements: usize,
    pub(super) writer_cache_bytes: u32,
    pub(super) checkpoint_pages: u32,
    pub(super) log_limit: Option<u64>,
    pub(super) min_readers: usize,
    pub(super) max_readers: usize,
    pub(super) wait_timeout: Duration,
    pub(super) create_timeout: Duration,
    pub(super) recycle_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) health_check: bool,
    pub(super) long_read: Duration,
    pub(super) migrations: Option<Arc<Migrations>>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults, which each setter names.
    #[must_use]
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(4, core::num::NonZero::get);
        Self {
            durability: Durability::Full,
            queue_capacity: 1_024,
            batch_closures: 1_024,
            batch_time: Duration::from_millis(20),
            batch_delay: Duration::from_micros(500),
            busy_timeout: Duration::from_secs(5),
            statements: 128,
            writer_cache_bytes: 64 << 20,
            checkpoint_pages: 8_000,
            log_limit: None,
            min_readers: 1,
            max_readers: (2 * processors).clamp(4, 64),
            wait_timeout: Duration::from_secs(30),
            create_timeout: Duration::from_secs(30),
            recycle_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(5),
            health_check: false,
            long_read: Duration::from_secs(30),
            migrations: None,
        }
    }

    /// When a write is acknowledged (default [`Durability::Full`]).
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many closures may wait for the writer (default 1,024). [`crate::Database::write`] waits behind a full queue,
    /// [`crate::Database::try_write`] is refused.
    #[must_use]
    pub const fn queue_capacity(mut self, closures: usize) -> Self {
        self.queue_capacity = closures;
        self
    }

    /// How many closures share a transaction at most, at least one (default 1,024), and after what time no further one
    /// is taken in (default 20 ms).
    #[must_use]
    pub const fn batch(mut self, closures: usize, time: Duration) -> Self {
        self.batch_closures = if closures == 0 { 1 } else { closures };
        self.batch_time = time;
        self
    }

    /// How long a batch waits at most for callers that are likely to come, because they came before (default 0.5 ms).
    /// A lone caller never waits. Zero: nobody waits.
    #[must_use]
    pub const fn batch_delay(mut self, delay: Duration) -> Self {
        self.batch_delay = delay;
        self
    }

    /// How long to wait for the lock of another process (default 5 s, at most a day).
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(BUSY_TIMEOUT_MAX);
        self
    }

    /// How many prepared statements each connection keeps (default 128).
    #[must_use]
    pub const fn statements(mut self, statements: usize) -> Self {
        self.statements = statements;
        self
    }

    /// How many bytes of pages the writer's connection keeps in memory at most (default 64 MiB): whoever inserts into
    /// indexes in no order reads and changes pages everywhere.
    #[must_use]
    pub const fn writer_cache(mut self, bytes: u32) -> Self {
        self.writer_cache_bytes = bytes;
        self
    }

    /// How many pages of the write-ahead log cause a checkpoint (default 8,000). It comes after a batch is
    /// acknowledged.
    #[must_use]
    pub const fn checkpoint_pages(mut self, pages: u32) -> Self {
        self.checkpoint_pages = pages;
        self
    }

    /// Beyond how many bytes of the write-ahead log writes are refused with [`crate::Error::LogPinned`], while readers
    /// keep it from being checkpointed (default: never).
    #[must_use]
    pub const fn log_limit(mut self, bytes: u64) -> Self {
        self.log_limit = Some(bytes);
        self
    }

    /// How many connections are kept for reading at least (default 1) and at most (default twice the number of
    /// processors, from 4 to 64; at most [`READERS_MAX`]).
    #[must_use]
    pub fn readers(mut self, min: usize, max: usize) -> Self {
        self.max_readers = max.clamp(1, READERS_MAX);
        self.min_readers = min.min(self.max_readers);
        self
    }

    /// How long a read waits for a connection (default 30 s).
    #[must_use]
    pub const fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// How long the opening of a connection may take (default 30 s).
    #[must_use]
    pub const fn create_timeout(mut self, timeout: Duration) -> Self {
        self.create_timeout = timeout;
        self
    }

    /// How long the check of a connection that was idle may take (default 5 s).
    #[must_use]
    pub const fn recycle_timeout(mut self, timeout: Duration) -> Self {
        self.recycle_timeout = timeout;
        self
    }

    /// After what time an unused connection is closed, if there are more than the minimum (default 5 minutes).
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Whether a connection must answer a query each time before it is handed out (default no: only after it was idle for a
    /// second. Whether it was left in order is checked always).
    #[must_use]
    pub const fn health_check(mut self, whether: bool) -> Self {
        self.health_check = whether;
        self
    }

    /// From when on a read is reported as long: it keeps the write-ahead log from shrinking (default 30 s).
    #[must_use]
    pub const fn long_read(mut self, time: Duration) -> Self {
        self.long_read = time;
        self
    }

    /// Brings the schema to the latest version when the database is opened, before anybody reads or writes (default: as it
    /// is).
    #[must_use]
    pub fn migrations(mut self, migrations: Migrations) -> Self {
        self.migrations = Some(Arc::new(migrations));
        self
    }
}
