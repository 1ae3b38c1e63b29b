//! Time series against brute force, hostile chunks, retention, plans.
#![cfg(all(feature = "indexes", feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may panic"
)]

use rusqlite::Connection;
use rusqlite::types::Value;

#[path = "../support/support.rs"]
mod support;

mod buckets;
mod hostile;
mod joins;
mod model;
mod points;

/// A connection with all guards of the builder, on a database in a folder of its own, and a table with small chunks.
fn guarded() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = support::create(&folder.path().join("a.db"));
    connection
        .execute_batch("PRAGMA synchronous=OFF; CREATE VIRTUAL TABLE m USING timeseries(chunk=16)")
        .unwrap();
    (folder, connection)
}

fn put(connection: &Connection, series: &str, time: i64, value: f64) {
    connection
        .prepare_cached("INSERT INTO m VALUES (?1, ?2, ?3)")
        .unwrap()
        .execute((series, time, value))
        .unwrap();
}

/// All rows of a query.
fn rows(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(sql).unwrap();
    let count = statement.column_count();
    let rows = statement
        .query_map([], |row| (0..count).map(|at| row.get(at)).collect())
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// What EXPLAIN QUERY PLAN says.
fn plan(connection: &Connection, sql: &str) -> String {
    let plan = rows(connection, &format!("EXPLAIN QUERY PLAN {sql}"));
    let lines: Vec<_> = plan
        .iter()
        .map(|row| match &row[3] {
            Value::Text(line) => line.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    lines.join("\n")
}

fn chunks(connection: &Connection) -> i64 {
    support::one(connection, "SELECT count(*) FROM m_chunks")
}

fn integers(connection: &Connection, sql: &str) -> Vec<i64> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
