//! Spans, which are nothing without the feature `tracing`, and a clock that nobody reads for nothing.

use std::time::Duration;
#[cfg(any(feature = "metrics", feature = "tracing"))]
use std::time::Instant;

/// A span of `tracing`, or nothing. Its target is `zqlite`, its level DEBUG.
#[derive(Clone, Debug)]
pub struct Span {
    #[cfg(feature = "tracing")]
    inner: tracing::Span,
}

macro_rules! span {
    ($name:literal $(, $field:ident = $value:expr)* $(,)?) => {{
        #[cfg(feature = "tracing")]
        let span = Span { inner: tracing::debug_span!(target: "zqlite", $name $(, $field = $value)*) };
        #[cfg(not(feature = "tracing"))]
        let span = { $(let _unused = &$value;)* Span {} };
        span
    }};
}

impl Span {
    /// No span.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            inner: tracing::Span::none(),
        }
    }

    /// The caller's span: what is to be the parent of what another thread does for him.
    #[must_use]
    pub fn current() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            inner: tracing::Span::current(),
        }
    }

    /// Closures that share a transaction.
    #[must_use]
    pub fn batch(database: &str) -> Self {
        span!("batch", database = database)
    }

    /// One closure of a batch. It belongs to its caller's span ([`Span::current`], taken on his thread).
    #[must_use]
    pub fn write(caller: &Self, database: &str) -> Self {
        caller.in_scope(|| span!("write", database = database))
    }

    /// A closure that reads.
    #[must_use]
    pub fn read(caller: &Self, database: &str) -> Self {
        caller.in_scope(|| span!("read", database = database))
    }

    /// The COMMIT of a batch.
    #[must_use]
    pub fn commit(database: &str, closures: usize) -> Self {
        span!("commit", database = database, closures = closures)
    }

    /// A checkpoint.
    #[must_use]
    pub fn checkpoint(database: &str) -> Self {
        span!("checkpoint", database = database)
    }

    /// The wait for a reader.
    #[must_use]
    pub fn checkout(database: &str) -> Self {
        span!("checkout", database = database)
    }

    /// Migrations up to a version.
    #[must_use]
    pub fn migration(version: usize) -> Self {
        span!("migration", version = version)
    }

    /// Does something within the span.
    pub fn in_scope<T>(&self, f: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        {
            self.inner.in_scope(f)
        }
        #[cfg(not(feature = "tracing"))]
        {
            f()
        }
    }

    /// Enters the span each time the future is polled.
    pub async fn instrument<F: Future>(self, future: F) -> F::Output {
        #[cfg(feature = "tracing")]
        {
            use tracing::Instrument as _;
            future.instrument(self.inner).await
        }
        #[cfg(not(feature = "tracing"))]
        {
            future.await
        }
    }
}

/// Measures a duration. Without the features `metrics` and `tracing` it reads no clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    started: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            #[cfg(any(feature = "metrics", feature = "tracing"))]
            started: Instant::now(),
        }
    }

    /// The time since; zero without those features.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        #[cfg(any(feature = "metrics", feature = "tracing"))]
        {
            self.started.elapsed()
        }
        #[cfg(not(any(feature = "metrics", feature = "tracing")))]
        {
            Duration::ZERO
        }
    }
}
