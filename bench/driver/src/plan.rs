//! The workloads, who takes part, and in which order they run: who reads a table comes after who writes it.

use anyhow::{Result, bail};
use serde::Serialize;

/// Somebody who takes part in a workload.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Contender {
    /// The name in tables.
    pub(crate) label: &'static str,
    pub(crate) engine: &'static str,
    pub(crate) workload: &'static str,
}

/// What is measured under one name.
#[derive(Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The first is the one whom the others are compared with.
    pub(crate) contenders: Vec<Contender>,
    /// Prepares something for others.
    #[serde(skip)]
    pub(crate) prepares: bool,
    /// The steps that make what this one reads.
    #[serde(skip)]
    needs: &'static [&'static str],
}

/// The fastest cipher of SQLite3MultipleCiphers at reading, by `./run --ciphers` (README).
pub(crate) const FASTEST_CIPHER: &str = "mc:aegis128x4";

/// Which comparison is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contest {
    /// Sealed databases, plain ones, and those of others.
    Rivals,
    /// The loadable extension and the linked library.
    Extension,
    /// The ciphers of SQLite3MultipleCiphers.
    Ciphers,
}

/// The name in tables, and that of the engine.
type Rival = (&'static str, &'static str);

const PLAIN: Rival = ("plain", "plain");
const SQLCIPHER: Rival = ("sqlcipher", "sqlcipher");
const MC: Rival = ("sqlite3mc", FASTEST_CIPHER);
const EVERYBODY: &[Rival] = &[PLAIN, SQLCIPHER, MC];

/// All ciphers that authenticate, then those that do not.
const CIPHERS: &[Rival] = &[
    ("aegis128l", "mc:aegis128l"),
    ("aegis128x2", "mc:aegis128x2"),
    ("aegis128x4", "mc:aegis128x4"),
    ("aegis256", "mc:aegis256"),
    ("aegis256x2", "mc:aegis256x2"),
    ("aegis256x4", "mc:aegis256x4"),
    ("chacha20", "mc:chacha20"),
    ("ascon128", "mc:ascon128"),
    ("as sqlcipher", "mc:sqlcipher"),
    ("aes128cbc", "mc:aes128cbc"),
    ("aes256cbc", "mc:aes256cbc"),
    ("rc4", "mc:rc4"),
    ("no cipher", "mc:none"),
];

/// Name, what it is, rivals, what it needs.
type Row = (
    &'static str,
    &'static str,
    &'static [Rival],
    &'static [&'static str],
);

const BULK: &[&str] = &["insert-one"];

/// The workloads that are one and the same for every engine.
const ROWS: &[Row] = &[
    (
        "insert-delete",
        "bulk insert, one transaction, rollback journal",
        EVERYBODY,
        &[],
    ),
    (
        "insert-many",
        "bulk insert, transactions of 10,000 rows, WAL",
        EVERYBODY,
        &[],
    ),
    (
        "insert-one",
        "bulk insert, one transaction, WAL",
        EVERYBODY,
        &[],
    ),
    (
        "select-miss",
        "random selects, cache of 64 pages each",
        EVERYBODY,
        BULK,
    ),
    (
        "select-hit",
        "random selects of rows in a cache of 64 MiB each",
        EVERYBODY,
        BULK,
    ),
    (
        "select-default",
        "random selects, default settings",
        EVERYBODY,
        BULK,
    ),
    (
        "select-tenth",
        "random selects among a tenth of the rows, default settings",
        EVERYBODY,
        BULK,
    ),
    ("scan", "scan, default settings", EVERYBODY, BULK),
    (
        "range",
        "ranges of 100 rows, cache of 2,000 KiB each",
        EVERYBODY,
        BULK,
    ),
    ("prepare-small", "", EVERYBODY, &[]),
    (
        "scan-small",
        "scan of what small transactions wrote",
        EVERYBODY,
        &["prepare-small"],
    ),
    (
        "commit",
        "lone durable commit of one row, WAL",
        EVERYBODY,
        &[],
    ),
    (
        "mixed",
        "9 selects to 1 durable update, WAL",
        EVERYBODY,
        &[],
    ),
    (
        "beside",
        "p99 of a point read, 2 readers, a busy writer, WAL",
        EVERYBODY,
        &[],
    ),
    ("open", "opening with a raw key", EVERYBODY, &[]),
    (
        "open-one",
        "opening with an identity, 1 slot; plain without",
        &[PLAIN],
        &[],
    ),
    (
        "open-twenty",
        "opening with an identity, 20 slots; plain without",
        &[PLAIN],
        &[],
    ),
    (
        "update-delete",
        "every row and an index changed, rollback journal",
        EVERYBODY,
        &[],
    ),
    (
        "update-one",
        "every row and an index changed, WAL",
        EVERYBODY,
        &[],
    ),
    (
        "sort",
        "sorting, default settings; the rivals with ciphers sort in memory",
        EVERYBODY,
        &[],
    ),
    (
        "vacuum",
        "VACUUM after every third row was deleted; the same",
        EVERYBODY,
        &[],
    ),
];

fn contender(label: &'static str, engine: &'static str, workload: &'static str) -> Contender {
    Contender {
        label,
        engine,
        workload,
    }
}

fn all(contest: Contest) -> Vec<Step> {
    let (first, shared): (Rival, Option<&[Rival]>) = match contest {
        Contest::Rivals => (("sealed", "sealed"), None),
        Contest::Extension => (("extension", "extension"), Some(&[("sealed", "sealed")])),
        Contest::Ciphers => (("sealed", "sealed"), Some(CIPHERS)),
    };
    let mut steps: Vec<Step> = ROWS
        .iter()
        .map(|&(name, what, rivals, needs)| Step {
            name,
            what,
            contenders: core::iter::once(&first)
                .chain(shared.unwrap_or(rivals))
                .map(|&(label, engine)| contender(label, engine, name))
                .collect(),
            prepares: what.is_empty(),
            needs,
        })
        .collect();
    match contest {
        Contest::Rivals => steps.extend(writers()),
        // How a database is opened is another matter for each.
        Contest::Extension => steps.retain(|step| !step.name.starts_with("open")),
        Contest::Ciphers => {
            let reads = ["insert-one", "select-miss", "scan", "range"];
            steps.retain(|step| reads.contains(&step.name));
        }
    }
    steps
}

/// Many callers: the sealed database has group commit, its rivals have what they have.
fn writers() -> [Step; 2] {
    let step = |name, what, contenders| Step {
        name,
        what,
        contenders,
        prepares: false,
        needs: &[],
    };
    [
        step(
            "writers-64",
            "64 concurrent durable inserts, 1 KB, 4 indexes",
            vec![
                contender("sealed", "sealed", "group64"),
                contender("plain", "plain", "queued64"),
                contender("plain, 64 connections", "plain", "clients64"),
                contender("sqlcipher", "sqlcipher", "queued64"),
                contender("sqlite3mc", FASTEST_CIPHER, "queued64"),
            ],
        ),
        step(
            "writers-512",
            "512 concurrent durable inserts, 1 KB, 4 indexes",
            vec![
                contender("sealed", "sealed", "group512"),
                contender("plain", "plain", "queued512"),
                contender("plain, DELETE", "plain", "queued-delete512"),
                contender("sqlcipher", "sqlcipher", "queued512"),
                contender("sqlite3mc", FASTEST_CIPHER, "queued512"),
            ],
        ),
    ]
}

/// The steps of these names and what they need; all if there are no names.
pub(crate) fn select(contest: Contest, names: &[String]) -> Result<Vec<Step>> {
    let steps = all(contest);
    let others = || crate::others::names().filter(|_| contest == Contest::Rivals);
    for name in names {
        if !steps.iter().any(|step| step.name == name) && !others().any(|other| other == name) {
            let known: Vec<&str> = steps.iter().map(|step| step.name).chain(others()).collect();
            bail!(
                "there is no workload {name}; there are {}",
                known.join(", ")
            );
        }
    }
    let named = |step: &Step| {
        !step.prepares && (names.is_empty() || names.iter().any(|name| name == step.name))
    };
    let needed = |step: &Step| {
        steps
            .iter()
            .any(|other| named(other) && other.needs.contains(&step.name))
    };
    Ok(steps
        .iter()
        .filter(|step| named(step) || needed(step))
        .cloned()
        // What is only needed is made once.
        .map(|mut step| {
            step.prepares |= !named(&step);
            step
        })
        .collect())
}
