//! The table of the guide.

use zqlite::observe::{Kind, METRICS, Unit};

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: String,
    unit: String,
    /// Names of labels, and the values that they can have; none where they are not known before.
    pub(crate) labels: Vec<(String, Vec<String>)>,
    help: String,
}

impl Row {
    /// Every combination of values; `database` is given.
    pub(crate) fn label_sets<'a>(&'a self, database: &'a str) -> Vec<Vec<(&'a str, &'a str)>> {
        let mut sets = vec![Vec::new()];
        for (name, values) in &self.labels {
            let values: Vec<&str> = if name == "database" {
                vec![database]
            } else {
                values.iter().map(String::as_str).collect()
            };
            sets = sets
                .iter()
                .flat_map(|set: &Vec<_>| {
                    let with = |value| [set.as_slice(), &[(name.as_str(), value)]].concat();
                    values
                        .iter()
                        .map(move |value| with(*value))
                        .collect::<Vec<_>>()
                })
                .collect();
        }
        sets
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let guide = include_str!("../../../../docs/guides/observability.md");
    let code = |cell: &str| cell.trim_matches('`').to_owned();
    guide
        .lines()
        .filter(|line| line.starts_with("| `zqlite_"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, unit, labels, help] = cells.as_slice() else {
                panic!("{line}");
            };
            let labels = labels
                .split(';')
                .map(str::trim)
                .filter(|label| *label != "-");
            Row {
                name: code(name),
                kind: (*kind).to_owned(),
                unit: (*unit).to_owned(),
                labels: labels
                    .map(|label| match label.split_once(": ") {
                        Some((name, values)) => {
                            (code(name), values.split(", ").map(code).collect())
                        }
                        None => (code(label), Vec::new()),
                    })
                    .collect(),
                help: format!("{help}."),
            }
        })
        .collect()
}

#[test]
fn the_table_of_the_guide_is_what_the_code_measures() {
    let rows = rows();
    assert_eq!(rows.len(), METRICS.len());
    for (row, metric) in rows.iter().zip(METRICS) {
        assert_eq!(row.name, metric.name);
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            _ => "unknown",
        };
        assert_eq!(row.kind, kind, "{}", row.name);
        let unit = match metric.unit {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            _ => "-",
        };
        assert_eq!(row.unit, unit, "{}", row.name);
        let labels: Vec<_> = row.labels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(labels, metric.labels, "{}", row.name);
        assert_eq!(row.help, metric.help, "{}", row.name);
        assert_eq!(metric.buckets().is_some(), kind == "histogram");
    }
    assert_eq!(rows.len(), 32);
}

#[test]
fn names_keep_the_conventions_of_prometheus() {
    for metric in METRICS {
        let name = metric.name;
        assert!(name.starts_with("zqlite_"), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}"
        );
        let stem = name.trim_end_matches("_total");
        assert_eq!(
            stem.ends_with("_seconds"),
            metric.unit == Unit::Seconds,
            "{name}"
        );
        assert_eq!(
            stem.ends_with("_bytes"),
            metric.unit == Unit::Bytes,
            "{name}"
        );
        if let Some(bounds) = metric.buckets() {
            assert!(bounds.is_sorted(), "{name}");
            assert!(bounds.len() > 10, "{name}");
        }
    }
}
