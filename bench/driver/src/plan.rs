//! The workloads, what each is measured by, and in which order they run: who reads a table comes after who
//! writes it.

use anyhow::{Result, bail};
use serde::Serialize;

/// The engines that are compared: the second over the first.
#[derive(Clone, Copy)]
pub(crate) struct Rivals {
    pub(crate) names: [&'static str; 2],
    /// The limit of every ratio, in place of the workload's own.
    pub(crate) limit: Option<f64>,
}

/// Sealed databases over plain SQLite.
pub(crate) const SEALED: Rivals = Rivals {
    names: ["plain", "sealed"],
    limit: None,
};
/// The loadable extension over the linked library.
pub(crate) const EXTENSION: Rivals = Rivals {
    names: ["sealed", "extension"],
    limit: Some(1.05),
};

/// What a workload must keep.
#[derive(Clone, Copy, Serialize)]
pub(crate) enum Limit {
    /// Prepares something for another.
    None,
    /// Time over plain SQLite's.
    Ratio(f64),
    /// Milliseconds for one operation.
    Milliseconds(f64),
}

/// One workload.
#[derive(Serialize)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) limit: Limit,
    /// The workloads that make what this one reads.
    #[serde(skip)]
    needs: &'static [&'static str],
}

const fn step(
    name: &'static str,
    what: &'static str,
    limit: Limit,
    needs: &'static [&'static str],
) -> Step {
    Step {
        name,
        what,
        limit,
        needs,
    }
}

/// The largest resident set may exceed plain SQLite's by this many bytes.
pub(crate) const MEMORY_LIMIT: u64 = 8 << 20;

/// All workloads.
pub(crate) const PLAN: &[Step] = &[
    step(
        "insert-delete",
        "bulk insert, one transaction, rollback journal",
        Limit::Ratio(1.2),
        &[],
    ),
    step(
        "insert-many",
        "bulk insert, transactions of 10,000 rows, WAL",
        Limit::Ratio(1.2),
        &[],
    ),
    step(
        "insert-one",
        "bulk insert, one transaction, WAL",
        Limit::Ratio(1.2),
        &[],
    ),
    step(
        "select",
        "100,000 random selects, cache of 64 pages",
        Limit::Ratio(1.2),
        &["insert-one"],
    ),
    step(
        "scan",
        "scan of what was written in bulk",
        Limit::Ratio(1.5),
        &["insert-one"],
    ),
    step("prepare-small", "", Limit::None, &[]),
    step(
        "scan-small",
        "scan of what small transactions wrote",
        Limit::Ratio(1.8),
        &["prepare-small"],
    ),
    step(
        "commit",
        "durable commit, WAL, FULL",
        Limit::Ratio(1.1),
        &[],
    ),
    step(
        "open-one",
        "opening with an identity, 1 slot",
        Limit::Milliseconds(1.0),
        &[],
    ),
    step(
        "open-twenty",
        "opening with an identity, 20 slots",
        Limit::Milliseconds(2.0),
        &[],
    ),
];

impl Step {
    /// What the second engine must keep.
    pub(crate) fn limit_for(&self, rivals: Rivals) -> Limit {
        match (self.limit, rivals.limit) {
            (Limit::Ratio(_), Some(limit)) => Limit::Ratio(limit),
            // How a database is opened is another matter for each engine.
            (_, Some(_)) => Limit::None,
            (limit, None) => limit,
        }
    }
}

/// The workloads of these names and what they need; all if there are no names.
pub(crate) fn select(names: &[String]) -> Result<Vec<&'static Step>> {
    for name in names {
        if !PLAN.iter().any(|step| step.name == name) {
            let known: Vec<&str> = PLAN.iter().map(|step| step.name).collect();
            bail!(
                "there is no workload {name}; there are {}",
                known.join(", ")
            );
        }
    }
    let named = |step: &Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let needed = |step: &Step| {
        PLAN.iter()
            .any(|other| named(other) && other.needs.contains(&step.name))
    };
    Ok(PLAN
        .iter()
        .filter(|step| named(step) || needed(step))
        .collect())
}
