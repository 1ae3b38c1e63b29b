//! What is counted for the whole process, and what the measurements mean: told to the recorder of `metrics` that is
//! installed at that moment.

/// Hands over what the VFS has counted for the whole process, under the names of the table.
///
/// An open `zqlite::Database` calls it every second, and the exporter of feature `prometheus` before each scrape.
/// Whoever has neither calls it from time to time. Without the features `metrics` and `pq` it does nothing.
#[cfg_attr(
    not(all(feature = "metrics", feature = "pq")),
    expect(
        clippy::missing_const_for_fn,
        reason = "it is not const with the features"
    )
)]
pub fn publish() {
    #[cfg(all(feature = "metrics", feature = "pq"))]
    process::publish();
}

/// Tells the recorder of `metrics` that is installed what each measurement means, and in which unit it is.
#[cfg(feature = "metrics")]
pub(super) fn describe() {
    use super::metric::{Kind, METRICS, Unit};

    metrics::with_recorder(|recorder| {
        for metric in METRICS {
            let name = metrics::KeyName::from_const_str(metric.name);
            let unit = Some(match metric.unit {
                Unit::Count => metrics::Unit::Count,
                Unit::Seconds => metrics::Unit::Seconds,
                Unit::Bytes => metrics::Unit::Bytes,
            });
            let help = metric.help.into();
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}

#[cfg(all(feature = "metrics", feature = "pq"))]
mod process {
    use metrics::{Key, Label, Recorder};

    use super::super::METADATA;
    use super::super::metric::{self, Metric};
    use crate::vfs::{self, PerFile};

    pub(super) fn publish() {
        let now = vfs::counters();
        metrics::with_recorder(|to| {
            per_file(to, &metric::PAGES_SEALED, now.pages_sealed);
            per_file(to, &metric::PAGES_OPENED, now.pages_opened);
            let failures = now.authentication_failures;
            per_file(to, &metric::AUTHENTICATION_FAILURES, failures);
            per_file(to, &metric::WRITTEN_BYTES, now.written_bytes);
            per_file(to, &metric::SYNCS, now.syncs);
            for (reason, value) in [
                ("no_key", now.refused.no_key),
                ("damaged", now.refused.damaged),
                ("signature", now.refused.signature),
            ] {
                counter(to, &metric::REFUSED, ("reason", reason), value);
            }
            let open = Key::from_static_name(metric::OPEN_CONNECTIONS.name);
            to.register_gauge(&open, &METADATA)
                .set(now.open_databases as f64);
        });
    }

    fn per_file(to: &dyn Recorder, metric: &Metric, values: PerFile<u64>) {
        for (file, value) in [
            ("database", values.database),
            ("wal", values.wal),
            ("journal", values.journal),
        ] {
            counter(to, metric, ("file", file), value);
        }
    }

    fn counter(
        to: &dyn Recorder,
        metric: &Metric,
        label: (&'static str, &'static str),
        value: u64,
    ) {
        let labels = vec![Label::from_static_parts(label.0, label.1)];
        let key = Key::from_parts(metric.name, labels);
        to.register_counter(&key, &METADATA).absolute(value);
    }
}
