//! Random histories of a table with an index: writes of every kind, transactions, savepoints, failures, a second
//! connection, crashes. After each step the index is compared with the table as both connections see it.

use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;

use crate::support::{assert_sound, crash_copy, create, mode, one, open};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Insert(i64, u8),
    /// By the key, or by another unique column.
    Replace(i64, i64, u8),
    Upsert(i64, u8),
    Update(i64, u8),
    UpdateOrReplace(i64, i64),
    Move(i64, i64),
    Delete(i64),
    DeleteMany(i64),
    /// A statement that fails after it has written a row.
    Fail(i64, u8),
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackTo,
    Release,
    /// By a second connection, which may find the database locked.
    Other(i64, u8),
    OtherDelete(i64),
    Rebuild,
    Vacuum,
    Reopen,
    Crash,
}

fn id() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..12_i64, 1 => -3..0_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let value = 0..24_u8;
    let op = prop_oneof![
        6 => (id(), value.clone()).prop_map(|(id, v)| Op::Insert(id, v)),
        4 => (id(), 0..6_i64, value.clone()).prop_map(|(id, u, v)| Op::Replace(id, u, v)),
        2 => (id(), value.clone()).prop_map(|(id, v)| Op::Upsert(id, v)),
        3 => (id(), value.clone()).prop_map(|(id, v)| Op::Update(id, v)),
        1 => (id(), 0..6_i64).prop_map(|(id, u)| Op::UpdateOrReplace(id, u)),
        2 => (id(), id()).prop_map(|(id, to)| Op::Move(id, to)),
        2 => id().prop_map(Op::Delete),
        1 => id().prop_map(Op::DeleteMany),
        2 => (id(), value.clone()).prop_map(|(id, v)| Op::Fail(id, v)),
        3 => Just(Op::Begin),
        1 => Just(Op::Commit),
        1 => Just(Op::Rollback),
        3 => Just(Op::Savepoint),
        3 => Just(Op::RollbackTo),
        1 => Just(Op::Release),
        3 => (id(), value).prop_map(|(id, v)| Op::Other(id, v)),
        1 => id().prop_map(Op::OtherDelete),
        1 => Just(Op::Rebuild),
        1 => Just(Op::Vacuum),
        1 => Just(Op::Reopen),
        2 => Just(Op::Crash),
    ];
    prop::collection::vec(op, 1..60)
}

/// What is indexed, and how it is compared with the table `t(id, u, a, b)`.
pub(crate) struct Subject {
    /// Creates the index `x` on `t`.
    pub(crate) index: &'static str,
    /// Columns a and b, as SQL text.
    pub(crate) values: fn(u8) -> [String; 2],
    pub(crate) check: fn(&Connection),
}

/// Runs a history, and gives how many of its steps SQLite took.
pub(crate) fn run(folder: &Path, subject: &Subject, ops: &[Op]) -> usize {
    let path = folder.join("a.db");
    let mut db = create(&path);
    mode(&db, "WAL");
    db.execute_batch(&format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u INTEGER UNIQUE, a, b); {}",
        subject.index
    ))
    .unwrap();
    let mut other = open(&path);
    for connection in [&db, &other] {
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    }
    let mut taken = 0;
    for op in ops {
        match op {
            Op::Reopen => {
                drop(db);
                db = open(&path);
                db.busy_timeout(std::time::Duration::ZERO).unwrap();
                taken += 1;
            }
            Op::Crash => {
                let copy = folder.join("crash.db");
                crash_copy(&path, &copy);
                let copy = open(&copy);
                (subject.check)(&copy);
                assert_sound(&copy);
                taken += 1;
            }
            Op::Other(..) | Op::OtherDelete(..) => {
                taken += usize::from(other.execute_batch(&sql(subject, op)).is_ok());
            }
            _ => taken += usize::from(db.execute_batch(&sql(subject, op)).is_ok()),
        }
        (subject.check)(&db);
        (subject.check)(&other);
        if matches!(op, Op::Vacuum) {
            other = open(&path);
            other.busy_timeout(std::time::Duration::ZERO).unwrap();
        }
    }
    assert_sound(&db);
    assert_sound(&other);
    taken
}

fn sql(subject: &Subject, op: &Op) -> String {
    let values = |v: u8| (subject.values)(v).join(", ");
    match op {
        Op::Insert(id, v) => format!("INSERT INTO t VALUES ({id}, NULL, {})", values(*v)),
        Op::Replace(id, u, v) => format!("REPLACE INTO t VALUES ({id}, {u}, {})", values(*v)),
        Op::Upsert(id, v) | Op::Other(id, v) => format!(
            "INSERT INTO t VALUES ({id}, NULL, {})
             ON CONFLICT(id) DO UPDATE SET a = excluded.a, b = excluded.b",
            values(*v)
        ),
        Op::Update(id, v) => {
            format!(
                "UPDATE t SET (a, b) = (SELECT {}) WHERE id = {id}",
                values(*v)
            )
        }
        Op::UpdateOrReplace(id, u) => format!("UPDATE OR REPLACE t SET u = {u} WHERE id = {id}"),
        Op::Move(id, to) => format!("UPDATE OR REPLACE t SET id = {to} WHERE id = {id}"),
        Op::Delete(id) | Op::OtherDelete(id) => format!("DELETE FROM t WHERE id = {id}"),
        Op::DeleteMany(id) => format!("DELETE FROM t WHERE id < {id}"),
        Op::Fail(id, v) => format!(
            "INSERT OR REPLACE INTO t SELECT id, NULL, a, b FROM
             (SELECT {id} AS id, {} UNION ALL SELECT 'no key', NULL, NULL)",
            (subject.values)(*v)
                .iter()
                .zip(["a", "b"])
                .map(|(value, name)| format!("{value} AS {name}"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Op::Begin => "BEGIN".to_owned(),
        Op::Commit => "COMMIT".to_owned(),
        Op::Rollback => "ROLLBACK".to_owned(),
        Op::Savepoint => "SAVEPOINT s".to_owned(),
        Op::RollbackTo => "ROLLBACK TO s".to_owned(),
        Op::Release => "RELEASE s".to_owned(),
        Op::Rebuild => "INSERT INTO x(changed) VALUES ('all')".to_owned(),
        Op::Vacuum => "VACUUM".to_owned(),
        Op::Reopen | Op::Crash => String::new(),
    }
}

/// Runs random histories, of which all steps together must not be few.
pub(crate) fn runs(subject: &Subject, cases: u32) {
    let taken = std::cell::Cell::new(0);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(ops in ops())| {
        let folder = tempfile::tempdir().unwrap();
        taken.set(taken.get() + run(folder.path(), subject, &ops));
    });
    assert!(
        taken.get() > 10 * usize::try_from(cases).unwrap(),
        "{taken:?}"
    );
}

/// How many rows the table has, whatever they hold.
pub(crate) fn rows(db: &Connection) -> i64 {
    one(db, "SELECT count(*) FROM t")
}
