//! What a running database tells about itself: measurements through the facade `metrics`, spans through the facade
//! `tracing`.
//!
//! Everything here exists without the features `metrics` and `tracing`, too, and then does nothing: what is measured
//! need not ask. The guide `docs/guides/observability.md` has the table of all measurements.
//!
//! `zqlite::Database` opens its own [`Recorder`]. A program that works with connections of its own can make one.

#[cfg(feature = "prometheus")]
mod exporter;
mod metric;
mod publish;
mod recorder;
#[cfg(not(feature = "metrics"))]
mod silent;
mod span;
#[cfg(feature = "tracing")]
mod statements;

use rusqlite::Connection;

#[cfg(feature = "prometheus")]
pub use exporter::{Exporter, serve, serve_on};
pub use metric::{BATCH_BUCKETS, DURATION_BUCKETS, Kind, METRICS, Metric, Unit};
pub use publish::publish;
pub use recorder::{
    Checkpoint, CheckpointResult, ClosedBecause, Outcome, PoolStatus, QueryKind, Recorder,
    TimedOutAt, rebind,
};
pub use span::{Span, Stopwatch};

/// Where measurements come from.
#[cfg(feature = "metrics")]
const METADATA: metrics::Metadata<'static> =
    metrics::Metadata::new("zqlite", metrics::Level::INFO, None);

/// Opens a span of `tracing` for each statement that the connection runs: `statement`, target `zqlite::sql`, level
/// DEBUG, with the text `sql` and, at its end, `elapsed_seconds`.
///
/// The text is the one that was prepared. A value that is bound to a parameter never appears; a literal that stands in
/// the SQL text does.
///
/// Does nothing without the feature `tracing`, or if nobody listens at level DEBUG when it is called: then statements
/// cost nothing. Call it again when a subscriber was installed. It takes the place of any other trace callback of the
/// connection.
///
/// # Errors
/// What SQLite says to the callback.
#[cfg_attr(
    not(feature = "tracing"),
    expect(
        clippy::missing_const_for_fn,
        reason = "it is not const with the feature"
    )
)]
pub fn trace(connection: &mut Connection) -> rusqlite::Result<()> {
    #[cfg(feature = "tracing")]
    {
        statements::trace(connection)
    }
    #[cfg(not(feature = "tracing"))]
    {
        let _untraced = connection;
        Ok(())
    }
}
