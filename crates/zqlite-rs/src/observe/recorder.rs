//! The measurements of one database.

use std::path::Path;
use std::sync::{Arc, OnceLock};
#[cfg(feature = "metrics")]
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Counter, Gauge, Histogram};

use super::metric::{self, Metric};
#[cfg(not(feature = "metrics"))]
use super::silent::{Counter, Gauge, Histogram};

/// Takes the measurements of one database. Cheap to clone, and to call: the handles are looked up once.
///
/// Handles belong to the recorder of `metrics` that is installed when this one is made: install yours first, or call
/// [`rebind`] after.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Box<str>,
    first: Handles,
    /// Those of an exporter that was installed later.
    later: OnceLock<Handles>,
}

/// Whether a closure reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

/// What became of a write closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is durable.
    Committed,
    /// It returned an error, or SQLite refused what it did; it alone was rolled back.
    Failed,
    /// It panicked; it alone was rolled back.
    Panicked,
    /// Its deadline passed.
    TimedOut,
    /// Its caller went away before it began.
    Cancelled,
    /// SQLite aborted the transaction that it shared with others.
    Aborted,
    /// It was not taken into the queue: the queue is full, or the writer refuses work.
    Refused,
}

impl Outcome {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Committed, "committed"),
        (Self::Failed, "failed"),
        (Self::Panicked, "panicked"),
        (Self::TimedOut, "timed_out"),
        (Self::Cancelled, "cancelled"),
        (Self::Aborted, "aborted"),
        (Self::Refused, "refused"),
    ];
}

/// A look at the pool of readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections that lie in the pool.
    pub idle: usize,
    /// Connections that are out.
    pub in_use: usize,
    /// Callers that wait for one.
    pub waiting: usize,
    /// How many connections there may be.
    pub max: usize,
}

/// Why the pool closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosedBecause {
    /// Nobody needed it for long.
    Idle,
    /// It failed its health check, or was left in a state that cannot be cleaned.
    Unhealthy,
    /// The pool was closed.
    Shutdown,
}

impl ClosedBecause {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Idle, "idle"),
        (Self::Unhealthy, "unhealthy"),
        (Self::Shutdown, "shutdown"),
    ];
}

/// What a caller waited for when his time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimedOutAt {
    /// A connection that comes back.
    Wait,
    /// A new connection.
    Create,
    /// The health check of a connection that came back.
    Recycle,
}

impl TimedOutAt {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Wait, "wait"),
        (Self::Create, "create"),
        (Self::Recycle, "recycle"),
    ];
}

/// What came of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointResult {
    /// Everything in the WAL is in the database now.
    Complete,
    /// A reader needs pages of the WAL: they stay there.
    Partial,
    /// Another connection was checkpointing or writing.
    Busy,
    /// An error.
    Failed,
}

impl CheckpointResult {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Complete, "complete"),
        (Self::Partial, "partial"),
        (Self::Busy, "busy"),
        (Self::Failed, "failed"),
    ];
}

/// A checkpoint that was made, as `PRAGMA wal_checkpoint` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What came of it.
    pub result: CheckpointResult,
    /// How long it took.
    pub elapsed: Duration,
    /// Pages of the WAL that are not in the database yet.
    pub pending_pages: u64,
}

/// A handle for each value of a label.
#[derive(Debug)]
struct ByLabel<K: 'static, const N: usize>([Counter; N], &'static [(K, &'static str); N]);

impl<K: PartialEq, const N: usize> ByLabel<K, N> {
    fn increment(&self, key: &K) {
        for (counter, (this, _)) in self.0.iter().zip(self.1) {
            if this == key {
                counter.increment(1);
            }
        }
    }
}

#[derive(Debug)]
struct Handles {
    reads: Histogram,
    writes: Histogram,
    commits: Histogram,
    batch_sizes: Histogram,
    queue_depth: Gauge,
    queue_wait: Histogram,
    closures: ByLabel<Outcome, 7>,
    writer_up: Gauge,
    pool_idle: Gauge,
    pool_in_use: Gauge,
    pool_max: Gauge,
    pool_waiting: Gauge,
    pool_wait: Histogram,
    pool_use: Histogram,
    pool_create: Histogram,
    pool_closed: ByLabel<ClosedBecause, 3>,
    pool_timeouts: ByLabel<TimedOutAt, 3>,
    long_reads: Counter,
    oldest_read: Gauge,
    database_bytes: Gauge,
    wal_bytes: Gauge,
    checkpoint_duration: Histogram,
    checkpoints: ByLabel<CheckpointResult, 4>,
    checkpoint_pending: Gauge,
    notifications: Counter,
    notifications_dropped: Counter,
    notification_lag: Histogram,
}

impl Handles {
    fn new(database: &str) -> Self {
        let of = Registration { database };
        Self {
            reads: of.histogram(&metric::QUERY_DURATION, Some(("kind", "read"))),
            writes: of.histogram(&metric::QUERY_DURATION, Some(("kind", "write"))),
            commits: of.histogram(&metric::COMMIT_DURATION, None),
            batch_sizes: of.histogram(&metric::BATCH_SIZE, None),
            queue_depth: of.gauge(&metric::QUEUE_DEPTH, None),
            queue_wait: of.histogram(&metric::QUEUE_WAIT, None),
            closures: of.by_label(&metric::CLOSURES, "outcome", &Outcome::ALL),
            writer_up: of.gauge(&metric::WRITER_UP, None),
            pool_idle: of.gauge(&metric::POOL_CONNECTIONS, Some(("state", "idle"))),
            pool_in_use: of.gauge(&metric::POOL_CONNECTIONS, Some(("state", "in_use"))),
            pool_max: of.gauge(&metric::POOL_MAX, None),
            pool_waiting: of.gauge(&metric::POOL_WAITING, None),
            pool_wait: of.histogram(&metric::POOL_WAIT, None),
            pool_use: of.histogram(&metric::POOL_USE, None),
            pool_create: of.histogram(&metric::POOL_CREATE, None),
            pool_closed: of.by_label(&metric::POOL_CLOSED, "reason", &ClosedBecause::ALL),
            pool_timeouts: of.by_label(&metric::POOL_TIMEOUTS, "stage", &TimedOutAt::ALL),
            long_reads: of.counter(&metric::LONG_READS, None),
            oldest_read: of.gauge(&metric::OLDEST_READ, None),
            database_bytes: of.gauge(&metric::DATABASE_BYTES, None),
            wal_bytes: of.gauge(&metric::WAL_BYTES, None),
            checkpoint_duration: of.histogram(&metric::CHECKPOINT_DURATION, None),
            checkpoints: of.by_label(&metric::CHECKPOINTS, "result", &CheckpointResult::ALL),
            checkpoint_pending: of.gauge(&metric::CHECKPOINT_PENDING, None),
            notifications: of.counter(&metric::NOTIFICATIONS, None),
            notifications_dropped: of.counter(&metric::NOTIFICATIONS_DROPPED, None),
            notification_lag: of.histogram(&metric::NOTIFICATION_LAG, None),
        }
    }
}

/// Looks handles up.
struct Registration<'a> {
    #[cfg_attr(
        not(feature = "metrics"),
        expect(dead_code, reason = "nothing is registered")
    )]
    database: &'a str,
}

type ExtraLabel = Option<(&'static str, &'static str)>;

#[cfg(feature = "metrics")]
impl Registration<'_> {
    fn with<T>(
        &self,
        metric: &Metric,
        label: ExtraLabel,
        register: impl FnOnce(&dyn metrics::Recorder, &metrics::Key, &metrics::Metadata<'_>) -> T,
    ) -> T {
        let mut labels = vec![metrics::Label::new("database", self.database.to_owned())];
        labels.extend(label.map(|(name, value)| metrics::Label::from_static_parts(name, value)));
        let key = metrics::Key::from_parts(metric.name, labels);
        metrics::with_recorder(|recorder| register(recorder, &key, &super::METADATA))
    }

    fn counter(&self, metric: &Metric, label: ExtraLabel) -> Counter {
        self.with(metric, label, |recorder, key, metadata| {
            recorder.register_counter(key, metadata)
        })
    }

    fn gauge(&self, metric: &Metric, label: ExtraLabel) -> Gauge {
        self.with(metric, label, |recorder, key, metadata| {
            recorder.register_gauge(key, metadata)
        })
    }

    fn histogram(&self, metric: &Metric, label: ExtraLabel) -> Histogram {
        self.with(metric, label, |recorder, key, metadata| {
            recorder.register_histogram(key, metadata)
        })
    }
}

#[cfg(not(feature = "metrics"))]
#[expect(
    clippy::unused_self,
    reason = "the registration of a build with metrics"
)]
impl Registration<'_> {
    const fn counter(&self, _: &Metric, _: ExtraLabel) -> Counter {
        Counter
    }

    const fn gauge(&self, _: &Metric, _: ExtraLabel) -> Gauge {
        Gauge
    }

    const fn histogram(&self, _: &Metric, _: ExtraLabel) -> Histogram {
        Histogram
    }
}

impl Registration<'_> {
    fn by_label<K, const N: usize>(
        &self,
        metric: &Metric,
        name: &'static str,
        values: &'static [(K, &'static str); N],
    ) -> ByLabel<K, N> {
        let counters = core::array::from_fn(|at| {
            let value = values.get(at).map(|(_, value)| (name, *value));
            self.counter(metric, value)
        });
        ByLabel(counters, values)
    }
}

/// All recorders that live, for [`rebind`].
#[cfg(feature = "metrics")]
static LIVING: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

impl Recorder {
    /// For the database of this name: the value of the label `database`. A file's name without its folder serves well;
    /// what changes from one start to the next does not.
    #[must_use]
    pub fn new(database: &str) -> Self {
        let inner = Arc::new(Inner {
            database: database.into(),
            first: Handles::new(database),
            later: OnceLock::new(),
        });
        #[cfg(feature = "metrics")]
        {
            super::publish::describe();
            let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
            living.retain(|other| other.strong_count() > 0);
            living.push(Arc::downgrade(&inner));
        }
        Self { inner }
    }

    /// For the database at this path, under the name of the file.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self::new(&name.to_string_lossy())
    }

    /// The value of the label `database`.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.inner.database
    }

    fn handles(&self) -> &Handles {
        self.inner.later.get().unwrap_or(&self.inner.first)
    }

    /// A closure ran, from its first statement to its last.
    pub fn query(&self, kind: QueryKind, elapsed: Duration) {
        let handles = self.handles();
        match kind {
            QueryKind::Read => handles.reads.record(elapsed),
            QueryKind::Write => handles.writes.record(elapsed),
        }
    }

    /// A batch of this many closures was committed; COMMIT took this long.
    pub fn commit(&self, elapsed: Duration, closures: usize) {
        let handles = self.handles();
        handles.commits.record(elapsed);
        handles.batch_sizes.record(count(closures));
    }

    /// This many closures wait for the writer.
    pub fn queue_depth(&self, closures: usize) {
        self.handles().queue_depth.set(count(closures));
    }

    /// A closure came to the head of the queue after this time.
    pub fn queue_wait(&self, waited: Duration) {
        self.handles().queue_wait.record(waited);
    }

    /// What became of a write closure: once for each.
    pub fn outcome(&self, outcome: Outcome) {
        self.handles().closures.increment(&outcome);
    }

    /// Whether the writer accepts work.
    pub fn writer_up(&self, up: bool) {
        self.handles().writer_up.set(if up { 1.0 } else { 0.0 });
    }

    /// How the pool stands.
    pub fn pool(&self, status: PoolStatus) {
        let handles = self.handles();
        handles.pool_idle.set(count(status.idle));
        handles.pool_in_use.set(count(status.in_use));
        handles.pool_waiting.set(count(status.waiting));
        handles.pool_max.set(count(status.max));
    }

    /// A caller got a reader after this time.
    pub fn pool_wait(&self, waited: Duration) {
        self.handles().pool_wait.record(waited);
    }

    /// A reader came back after this time.
    pub fn pool_use(&self, used: Duration) {
        self.handles().pool_use.record(used);
    }

    /// The pool made a connection in this time.
    pub fn pool_created(&self, elapsed: Duration) {
        self.handles().pool_create.record(elapsed);
    }

    /// The pool closed a connection.
    pub fn pool_closed(&self, because: ClosedBecause) {
        self.handles().pool_closed.increment(&because);
    }

    /// A caller got no reader in time.
    pub fn pool_timeout(&self, at: TimedOutAt) {
        self.handles().pool_timeouts.increment(&at);
    }

    /// A read outlived the limit: once for each such read.
    pub fn long_read(&self) {
        self.handles().long_reads.increment(1);
    }

    /// The age of the oldest read that is running.
    pub fn oldest_read(&self, age: Option<Duration>) {
        self.handles()
            .oldest_read
            .set(age.unwrap_or_default().as_secs_f64());
    }

    /// Sizes of the database file and of its WAL, in bytes.
    pub fn sizes(&self, database_bytes: u64, wal_bytes: u64) {
        let handles = self.handles();
        handles.database_bytes.set(database_bytes as f64);
        handles.wal_bytes.set(wal_bytes as f64);
    }

    /// A checkpoint was made, or tried.
    pub fn checkpoint(&self, checkpoint: &Checkpoint) {
        let handles = self.handles();
        handles.checkpoint_duration.record(checkpoint.elapsed);
        handles.checkpoints.increment(&checkpoint.result);
        handles
            .checkpoint_pending
            .set(checkpoint.pending_pages as f64);
    }

    /// A change notification was delivered, this long after its commit.
    pub fn notified(&self, lag: Duration) {
        let handles = self.handles();
        handles.notifications.increment(1);
        handles.notification_lag.record(lag);
    }

    /// This many change notifications were dropped, for their receiver was too slow.
    pub fn notifications_dropped(&self, count: u64) {
        self.handles().notifications_dropped.increment(count);
    }
}

fn count(things: usize) -> f64 {
    things as f64
}

/// Binds the recorders that were made before now to the recorder of `metrics` that is installed now. The first call
/// counts, for `metrics` lets itself be given a recorder once.
#[cfg_attr(
    not(feature = "metrics"),
    expect(
        clippy::missing_const_for_fn,
        reason = "it is not const with the feature"
    )
)]
pub fn rebind() {
    #[cfg(feature = "metrics")]
    {
        super::publish::describe();
        let living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
        for inner in living.iter().filter_map(Weak::upgrade) {
            inner.later.get_or_init(|| Handles::new(&inner.database));
        }
    }
}
