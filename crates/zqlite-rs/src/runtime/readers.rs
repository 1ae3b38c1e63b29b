//! Connections that read, in a pool.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{
    self, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, TimeoutType,
    Timeouts,
};
use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Notify;

use super::ffi;
use super::guard::{self, Guard, Kind};
use super::job::caught;
use super::keeper::Keeper;
use super::options::Options;
use super::sync::lock;
use super::transaction::run;
use super::wait::block_on;
use super::writer::{configure, explained, is_out_of_date};
use crate::Error;
use crate::builder::Opener;
use crate::observe::{ClosedBecause, PoolStatus, QueryKind, Recorder, Span, Stopwatch, TimedOutAt};

/// After having been idle for so long a connection is checked: the file's key may have been replaced meanwhile.
const IDLE: Duration = Duration::from_secs(1);

/// A connection of the pool.
pub(super) struct Reader {
    /// `None` while it is checked.
    connection: Option<Connection>,
    guard: Arc<Guard>,
    /// Whether it had an error that another connection need not have.
    broken: AtomicBool,
}

/// A reader that was taken out. Dropped, it goes back.
pub(super) struct Lent {
    /// `None` only while it is dropped.
    reader: Option<Object<Manager>>,
    guard: Arc<Guard>,
    opener: Arc<Opener>,
    /// The span of whoever took it.
    caller: Span,
    since: Stopwatch,
    recorder: Recorder,
    path: Arc<PathBuf>,
    lending: Arc<Lending>,
}

/// How many readers are out, for whoever waits for all of them.
#[derive(Default)]
struct Lending {
    out: AtomicUsize,
    back: Notify,
}

pub(super) struct Readers {
    pool: Pool<Manager>,
    keeper: Arc<Keeper>,
    options: Options,
    recorder: Recorder,
    path: Arc<PathBuf>,
    guards: Arc<Mutex<Vec<Weak<Guard>>>>,
    lending: Arc<Lending>,
}

/// Opens and checks readers, for `deadpool`.
pub(super) struct Manager {
    opener: Arc<Opener>,
    keeper: Arc<Keeper>,
    options: Options,
    recorder: Recorder,
    guards: Arc<Mutex<Vec<Weak<Guard>>>>,
}

impl managed::Manager for Manager {
    type Type = Reader;
    type Error = Error;

    async fn create(&self) -> Result<Reader, Error> {
        let watch = Stopwatch::start();
        let opener = Arc::clone(&self.opener);
        let options = self.options.clone();
        // A passphrase takes its time.
        let reader = self
            .keeper
            .run_blocking(move || Reader::open(&opener, &options))
            .await?;
        self.recorder.pool_created(watch.elapsed());
        let mut guards = lock(&self.guards);
        guards.retain(|guard| guard.strong_count() > 0);
        guards.push(Arc::downgrade(&reader.guard));
        drop(guards);
        Ok(reader)
    }

    async fn recycle(&self, reader: &mut Reader, metrics: &Metrics) -> RecycleResult<Error> {
        let idle = self.options.health_check || metrics.last_used() >= IDLE;
        let healthy = reader.is_in_order() && (!idle || self.answers(reader).await);
        if healthy {
            Ok(())
        } else {
            self.recorder.pool_closed(ClosedBecause::Unhealthy);
            Err(RecycleError::message("out of order"))
        }
    }
}

impl Manager {
    /// Whether a reader still reads. It may have to wait for the disk, or for a lock.
    async fn answers(&self, reader: &mut Reader) -> bool {
        let Some(connection) = reader.connection.take() else {
            return false;
        };
        let asked = self.keeper.run_blocking(move || {
            let schema = "SELECT count(*) FROM sqlite_schema";
            let rows = connection.query_row(schema, [], |row| row.get::<_, i64>(0));
            Ok((connection, rows.is_ok()))
        });
        match asked.await {
            Ok((connection, answers)) => {
                reader.connection = Some(connection);
                answers
            }
            Err(_) => false,
        }
    }
}

impl Reader {
    fn open(opener: &Opener, options: &Options) -> Result<Self, Error> {
        let (connection, guard) = guard::connect(opener, Kind::Reader)?;
        configure(&connection, options)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self {
            connection: Some(connection),
            guard,
            broken: AtomicBool::new(false),
        })
    }

    /// Whether it had no error, and is in no transaction.
    fn is_in_order(&self) -> bool {
        let is_clean = |connection: &Connection| {
            connection.is_autocommit() || run(connection, "ROLLBACK").is_ok()
        };
        !self.broken.load(Ordering::Relaxed) && self.connection.as_ref().is_some_and(is_clean)
    }
}

impl Lent {
    /// The parts, which are there until this is dropped.
    fn parts(&self) -> Result<(&Reader, &Connection), Error> {
        let parts = self.reader.as_deref().and_then(|reader| {
            let connection = reader.connection.as_ref()?;
            Some((reader, connection))
        });
        parts.ok_or_else(|| Error::Closed {
            path: self.path.to_path_buf(),
        })
    }

    /// Runs a closure, which sees one state of the database from its first statement on.
    pub(super) fn run<T>(
        &self,
        deadline: Option<Instant>,
        closure: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let watch = Stopwatch::start();
        let (reader, connection) = self.parts()?;
        let result = explained(|| {
            run(connection, "BEGIN")?;
            let _within = self.guard.enter(deadline);
            let span = Span::read(&self.caller, self.recorder.database());
            span.in_scope(|| caught(|| closure(connection)))
        });
        self.recorder.query(QueryKind::Read, watch.elapsed());
        self.opener.reassert(connection);
        ffi::reset_forgotten(connection);
        // Nothing was written: how the transaction ends makes no difference.
        let ended = if connection.is_autocommit() {
            Ok(())
        } else {
            run(connection, "ROLLBACK")
        };
        ffi::reset_forgotten(connection);
        let result = match result {
            Err(_) if self.guard.expired() => Err(Error::TimedOut {
                path: self.path.to_path_buf(),
                what: "the closure",
            }),
            other => other,
        };
        let error = match (result, ended) {
            (Ok(value), Ok(())) => return Ok(value),
            (Err(error), _) | (_, Err(error)) => error,
        };
        if is_out_of_order(&error) {
            reader.broken.store(true, Ordering::Relaxed);
        }
        Err(error.at(&self.path, "read"))
    }

    pub(super) const fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    pub(super) fn interrupt_handle(&self) -> Option<InterruptHandle> {
        self.parts()
            .ok()
            .map(|(_, connection)| connection.get_interrupt_handle())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.recorder.pool_use(self.since.elapsed());
        // It goes back, or is closed with the pool, before anybody is told so.
        drop(self.reader.take());
        self.lending.out.fetch_sub(1, Ordering::AcqRel);
        self.lending.back.notify_waiters();
    }
}

/// Whether an error may be the connection's, and not the file's or the statement's.
fn is_out_of_order(error: &Error) -> bool {
    use rusqlite::ffi;
    is_out_of_date(error)
        || error.extended_code().is_some_and(|code| {
            matches!(
                code & 0xff,
                ffi::SQLITE_CANTOPEN | ffi::SQLITE_CORRUPT | ffi::SQLITE_IOERR | ffi::SQLITE_NOTADB
            )
        })
}

impl Readers {
    pub(super) fn new(
        opener: Arc<Opener>,
        options: &Options,
        recorder: &Recorder,
        keeper: &Arc<Keeper>,
    ) -> Result<Self, Error> {
        let path = Arc::new(opener.path().to_owned());
        let guards = Arc::<Mutex<Vec<Weak<Guard>>>>::default();
        let manager = Manager {
            opener,
            keeper: Arc::clone(keeper),
            options: options.clone(),
            recorder: recorder.clone(),
            guards: Arc::clone(&guards),
        };
        let pool = Pool::builder(manager)
            .max_size(options.max_readers)
            // The one that was used last has the warmest cache, and the others can go.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::application(error.to_string()))?;
        Ok(Self {
            pool,
            keeper: Arc::clone(keeper),
            options: options.clone(),
            recorder: recorder.clone(),
            path,
            guards,
            lending: Arc::default(),
        })
    }

    fn timeouts(&self, wait: Duration, deadline: Option<Instant>) -> Timeouts {
        let mut create = self.options.create_timeout;
        if let Some(deadline) = deadline {
            create = create.min(deadline.saturating_duration_since(Instant::now()));
        }
        Timeouts {
            wait: Some(wait),
            create: Some(create),
            recycle: Some(self.options.recycle_timeout),
        }
    }

    /// Takes a reader out, and blocks the thread until there is one.
    pub(super) fn get_blocking(&self, deadline: Option<Instant>) -> Result<Lent, Error> {
        block_on(self.keeper.enter(self.get(deadline)), None).unwrap_or_else(|| Err(self.closed()))
    }

    /// Takes a reader out.
    pub(super) async fn get(&self, deadline: Option<Instant>) -> Result<Lent, Error> {
        let watch = Stopwatch::start();
        let found = match self
            .pool
            .timeout_get(&self.timeouts(Duration::ZERO, deadline))
            .await
        {
            Err(PoolError::Timeout(TimeoutType::Wait)) => self.wait(deadline).await,
            Err(PoolError::NoRuntimeSpecified) => return Err(self.closed()),
            found => found,
        };
        self.recorder.pool_wait(watch.elapsed());
        let reader = found.map_err(|error| self.pool_error(error))?;
        self.lending.out.fetch_add(1, Ordering::AcqRel);
        Ok(Lent {
            guard: Arc::clone(&reader.guard),
            opener: Arc::clone(&self.pool.manager().opener),
            reader: Some(reader),
            lending: Arc::clone(&self.lending),
            since: Stopwatch::start(),
            recorder: self.recorder.clone(),
            path: Arc::clone(&self.path),
            caller: Span::current(),
        })
    }

    async fn wait(&self, deadline: Option<Instant>) -> Result<Object<Manager>, PoolError<Error>> {
        let mut patience = self.options.wait_timeout;
        if let Some(deadline) = deadline {
            patience = patience.min(deadline.saturating_duration_since(Instant::now()));
        }
        let span = Span::checkout(self.recorder.database());
        // A patience of zero would be taken for not waiting at all, which has been tried.
        let timeouts = self.timeouts(patience.max(Duration::from_nanos(1)), deadline);
        span.instrument(self.pool.timeout_get(&timeouts)).await
    }

    fn pool_error(&self, error: PoolError<Error>) -> Error {
        let timed_out = |at, what| {
            self.recorder.pool_timeout(at);
            Error::TimedOut {
                path: self.path.to_path_buf(),
                what,
            }
        };
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                timed_out(TimedOutAt::Wait, "a connection that reads")
            }
            PoolError::Timeout(TimeoutType::Create) => {
                timed_out(TimedOutAt::Create, "the opening of a connection")
            }
            PoolError::Timeout(TimeoutType::Recycle) => {
                timed_out(TimedOutAt::Recycle, "the check of a connection")
            }
            PoolError::Backend(error) => error.at(&self.path, "open a connection that reads"),
            _ => self.closed(),
        }
    }

    fn closed(&self) -> Error {
        Error::Closed {
            path: self.path.to_path_buf(),
        }
    }

    pub(super) fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            idle: status.available,
            in_use: status.size.saturating_sub(status.available),
            waiting: status.waiting,
            max: status.max_size,
        }
    }

    /// Opens as many connections as are always kept.
    pub(super) async fn fill(&self) -> Result<(), Error> {
        let mut held = Vec::new();
        while held.len() < self.options.min_readers
            && self.pool.status().size < self.options.min_readers
        {
            held.push(self.get(None).await?);
        }
        Ok(())
    }

    /// Closes what nobody has used for long, and says which reads take long.
    pub(super) fn tend(&self) {
        let spare = self
            .pool
            .status()
            .size
            .saturating_sub(self.options.min_readers);
        let mut closed = 0;
        let idle = self.options.idle_timeout;
        let result = self.pool.retain(|_, metrics| {
            let keep = closed >= spare || metrics.last_used() < idle;
            closed += usize::from(!keep);
            keep
        });
        for reader in result.removed {
            self.recorder.pool_closed(ClosedBecause::Idle);
            // Closing may take a checkpoint: not here.
            self.keeper.detach(move || drop(reader));
        }
        self.recorder.pool(self.status());
        let running = self.running();
        self.recorder.oldest_read(running.iter().max().copied());
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        self.recorder.sizes(size(&self.path), size(log.as_ref()));
    }

    /// For how long the closures run that run now; what is long is reported, once.
    pub(super) fn running(&self) -> Vec<Duration> {
        let mut all = Vec::new();
        for guard in lock(&self.guards).iter().filter_map(Weak::upgrade) {
            if let Some(elapsed) = guard.running() {
                if elapsed >= self.options.long_read && guard.report() {
                    self.recorder.long_read();
                }
                all.push(elapsed);
            }
        }
        all
    }

    /// Hands out no more, and closes those that are in the pool.
    pub(super) fn shut(&self) {
        if self.pool.is_closed() {
            return;
        }
        let open = self.pool.status().size;
        self.pool.close();
        for _ in 0..open {
            self.recorder.pool_closed(ClosedBecause::Shutdown);
        }
    }

    /// Hands out no more, and waits until all are back; `false` if that is not before the deadline.
    pub(super) async fn close(&self, deadline: Option<Instant>) -> bool {
        self.shut();
        loop {
            let back = self.lending.back.notified();
            if self.lending.out.load(Ordering::Acquire) == 0 {
                return true;
            }
            match deadline {
                None => back.await,
                Some(deadline) => {
                    if tokio::time::timeout_at(deadline.into(), back)
                        .await
                        .is_err()
                    {
                        return self.lending.out.load(Ordering::Acquire) == 0;
                    }
                }
            }
        }
    }
}
