//! The table of measurements: names, kinds, units and labels.

/// How a measurement behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// What a measurement is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, as it is exported.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it is counted in.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// Upper bounds in seconds for the buckets of durations: from 10 µs to 10 s.
pub const DURATION_BUCKETS: [f64; 19] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds for the buckets of batch sizes.
pub const BATCH_BUCKETS: [f64; 11] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        unit: Unit::Count,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        unit: Unit::Count,
        labels,
        help,
    }
}

const fn duration(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels,
        help,
    }
}

impl Metric {
    /// Upper bounds of the buckets that serve a histogram; `None` for what is none.
    #[must_use]
    pub const fn buckets(&self) -> Option<&'static [f64]> {
        match (self.kind, self.unit) {
            (Kind::Histogram, Unit::Seconds) => Some(&DURATION_BUCKETS),
            (Kind::Histogram, Unit::Count | Unit::Bytes) => Some(&BATCH_BUCKETS),
            (Kind::Counter | Kind::Gauge, _) => None,
        }
    }

    const fn in_bytes(self) -> Self {
        Self {
            unit: Unit::Bytes,
            ..self
        }
    }

    const fn in_seconds(self) -> Self {
        Self {
            unit: Unit::Seconds,
            ..self
        }
    }

    const fn of_counts(self) -> Self {
        Self {
            unit: Unit::Count,
            ..self
        }
    }
}

pub(super) const QUERY_DURATION: Metric = duration(
    "zqlite_query_duration_seconds",
    &["database", "kind"],
    "Time that a closure of a read or a write took.",
);
pub(super) const COMMIT_DURATION: Metric = duration(
    "zqlite_commit_duration_seconds",
    &["database"],
    "Time that COMMIT of a batch took, with its fsync.",
);
pub(super) const BATCH_SIZE: Metric = duration(
    "zqlite_batch_size",
    &["database"],
    "Closures in one committed transaction.",
)
.of_counts();
pub(super) const QUEUE_DEPTH: Metric = gauge(
    "zqlite_queue_depth",
    &["database"],
    "Closures that wait for the writer.",
);
pub(super) const QUEUE_WAIT: Metric = duration(
    "zqlite_queue_wait_seconds",
    &["database"],
    "Time that a closure waited for the writer.",
);
pub(super) const CLOSURES: Metric = counter(
    "zqlite_closures_total",
    &["database", "outcome"],
    "Write closures, by what became of them.",
);
pub(super) const WRITER_UP: Metric = gauge(
    "zqlite_writer_up",
    &["database"],
    "1 while the writer accepts work; 0 after a failed fsync, until the database is opened again.",
);
pub(super) const POOL_CONNECTIONS: Metric = gauge(
    "zqlite_pool_connections",
    &["database", "state"],
    "Connections of the pool of readers.",
);
pub(super) const POOL_MAX: Metric = gauge(
    "zqlite_pool_connections_max",
    &["database"],
    "Connections that the pool may have.",
);
pub(super) const POOL_WAITING: Metric = gauge(
    "zqlite_pool_waiting",
    &["database"],
    "Callers that wait for a reader.",
);
pub(super) const POOL_WAIT: Metric = duration(
    "zqlite_pool_wait_seconds",
    &["database"],
    "Time that a caller waited for a reader.",
);
pub(super) const POOL_USE: Metric = duration(
    "zqlite_pool_use_seconds",
    &["database"],
    "Time that a reader was out of the pool.",
);
pub(super) const POOL_CREATE: Metric = duration(
    "zqlite_pool_create_seconds",
    &["database"],
    "Time that a new connection took; its count is that of the connections created.",
);
pub(super) const POOL_CLOSED: Metric = counter(
    "zqlite_pool_closed_total",
    &["database", "reason"],
    "Connections that the pool closed.",
);
pub(super) const POOL_TIMEOUTS: Metric = counter(
    "zqlite_pool_timeouts_total",
    &["database", "stage"],
    "Callers that got no reader in time.",
);
pub(super) const LONG_READS: Metric = counter(
    "zqlite_long_reads_total",
    &["database"],
    "Reads that outlived the limit and kept the WAL from being emptied.",
);
pub(super) const OLDEST_READ: Metric = gauge(
    "zqlite_oldest_read_seconds",
    &["database"],
    "Age of the oldest read that is running; 0 if there is none.",
)
.in_seconds();
pub(super) const DATABASE_BYTES: Metric = gauge(
    "zqlite_database_bytes",
    &["database"],
    "Size of the database file.",
)
.in_bytes();
pub(super) const WAL_BYTES: Metric =
    gauge("zqlite_wal_bytes", &["database"], "Size of the WAL.").in_bytes();
pub(super) const CHECKPOINT_DURATION: Metric = duration(
    "zqlite_checkpoint_duration_seconds",
    &["database"],
    "Time that a checkpoint took.",
);
pub(super) const CHECKPOINTS: Metric = counter(
    "zqlite_checkpoints_total",
    &["database", "result"],
    "Checkpoints, by what came of them.",
);
pub(super) const CHECKPOINT_PENDING: Metric = gauge(
    "zqlite_checkpoint_pending_pages",
    &["database"],
    "Pages of the WAL that the last checkpoint left behind, for a reader needs them.",
);
pub(super) const NOTIFICATIONS: Metric = counter(
    "zqlite_notifications_total",
    &["database"],
    "Change notifications that were delivered.",
);
pub(super) const NOTIFICATIONS_DROPPED: Metric = counter(
    "zqlite_notifications_dropped_total",
    &["database"],
    "Change notifications that a receiver was too slow for.",
);
pub(super) const NOTIFICATION_LAG: Metric = duration(
    "zqlite_notification_lag_seconds",
    &["database"],
    "Time from a commit to the delivery of its change notification.",
);

pub(super) const PAGES_SEALED: Metric =
    counter("zqlite_pages_sealed_total", &["file"], "Pages sealed.");
pub(super) const PAGES_OPENED: Metric =
    counter("zqlite_pages_opened_total", &["file"], "Pages opened.");
pub(super) const AUTHENTICATION_FAILURES: Metric = counter(
    "zqlite_authentication_failures_total",
    &["file"],
    "Requests that failed, for what stands in the file does not authenticate.",
);
pub(super) const REFUSED: Metric = counter(
    "zqlite_refused_total",
    &["reason"],
    "Databases that were refused for their header or its keys.",
);
pub(super) const WRITTEN_BYTES: Metric = counter(
    "zqlite_written_bytes_total",
    &["file"],
    "Bytes that SQLite wrote.",
)
.in_bytes();
pub(super) const SYNCS: Metric = counter(
    "zqlite_syncs_total",
    &["file"],
    "Syncs that SQLite asked for.",
);
pub(super) const OPEN_CONNECTIONS: Metric = gauge(
    "zqlite_open_connections",
    &[],
    "Connections that have a sealed database open.",
);

/// Every measurement, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    QUERY_DURATION,
    COMMIT_DURATION,
    BATCH_SIZE,
    QUEUE_DEPTH,
    QUEUE_WAIT,
    CLOSURES,
    WRITER_UP,
    POOL_CONNECTIONS,
    POOL_MAX,
    POOL_WAITING,
    POOL_WAIT,
    POOL_USE,
    POOL_CREATE,
    POOL_CLOSED,
    POOL_TIMEOUTS,
    LONG_READS,
    OLDEST_READ,
    DATABASE_BYTES,
    WAL_BYTES,
    CHECKPOINT_DURATION,
    CHECKPOINTS,
    CHECKPOINT_PENDING,
    NOTIFICATIONS,
    NOTIFICATIONS_DROPPED,
    NOTIFICATION_LAG,
    PAGES_SEALED,
    PAGES_OPENED,
    AUTHENTICATION_FAILURES,
    REFUSED,
    WRITTEN_BYTES,
    SYNCS,
    OPEN_CONNECTIONS,
];
