//! The module `cidr`.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::support;

mod brute_force;
mod damage;
mod made_anew;
mod queries;
mod schema;
mod writes;

/// Six routes, one without a prefix, two with the same.
const ROUTES: &str = "
    CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT, via TEXT);
    INSERT INTO routes(id, prefix, via) VALUES
      (1, '0.0.0.0/0', 'default'), (2, '10.0.0.0/8', 'office'), (3, '10.1.0.0/16', 'lab'),
      (4, NULL, 'none'), (5, 'fd00::/8', 'tunnel'), (6, '10.1.0.0/16', 'lab 2');
    CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix);";

pub(crate) fn memory() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    zqlite::index::register(&db).unwrap();
    db
}

pub(crate) fn routes() -> Connection {
    let db = memory();
    db.execute_batch(ROUTES).unwrap();
    db
}

/// The first column of all rows, of which each is an integer.
pub(crate) fn ids(db: &Connection, sql: &str) -> Vec<i64> {
    try_ids(db, sql).unwrap()
}

pub(crate) fn try_ids(db: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// What an error says.
pub(crate) fn message<T: std::fmt::Debug>(result: rusqlite::Result<T>) -> String {
    result.expect_err("this must fail").to_string()
}

pub(crate) fn plan(db: &Connection, sql: &str) -> String {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines: Vec<String> = statement
        .query_map([], |row| row.get("detail"))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    lines.join("\n")
}

pub(crate) fn values(db: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    statement
        .query_map([], |row| (0..columns).map(|at| row.get(at)).collect())
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap()
}

/// That the index agrees with its table.
pub(crate) fn assert_agrees(db: &Connection) {
    support::assert_sound(db);
}
