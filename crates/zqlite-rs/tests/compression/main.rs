//! Compressed columns against plain tables, hostile values, and what is refused.
#![cfg(all(feature = "pq", feature = "compression"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may panic"
)]

use rusqlite::Connection;
use rusqlite::types::Value;
use zqlite::Error;
use zqlite::compression::{self, Compressed, Options};

#[path = "../support/support.rs"]
mod support;

mod beside;
mod changed;
mod dictionaries;
mod hostile;
mod leaks;
mod model;
mod plain_again;
mod refused;
mod values;

/// A connection with all guards of the builder, on a database in a folder of its own.
fn guarded() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = support::create(&folder.path().join("a.db"));
    (folder, connection)
}

/// What describes a machine, as text of some 300 bytes that has much in common with its like.
fn meta(n: i64) -> String {
    format!(
        r#"{{"hostname":"host-{n}.region-{}.example.org","os":"linux","version":"6.{}.{}","endpoints":["10.0.{}.{}:41641","192.0.2.{}:41641"],"tags":["tag:server","tag:site-{}"],"capabilities":{{"ssh":true,"funnel":false,"exit":{}}},"note":"{:x}"}}"#,
        n % 7,
        n % 19,
        n % 23,
        n / 256 % 256,
        n % 256,
        n % 254,
        n % 11,
        n % 3 == 0,
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())
    )
}

/// A table of machines.
fn peers(connection: &Connection, rows: i64) {
    connection
        .execute_batch(
            "CREATE TABLE peer(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, meta TEXT);
             CREATE INDEX peer_by_length ON peer(length(name));",
        )
        .unwrap();
    for n in 1..=rows {
        connection
            .execute(
                "INSERT INTO peer VALUES (?1, 'peer ' || ?1, ?2)",
                (n, meta(n)),
            )
            .unwrap();
    }
}

fn compress(connection: &Connection, table: &str, column: &str) -> Result<Compressed, Error> {
    compression::compress_column(
        connection,
        table,
        column,
        &Options::default(),
        &mut |_, _| true,
    )
}

fn decompress(connection: &Connection, table: &str, column: &str) -> Result<u64, Error> {
    compression::decompress_column(connection, table, column, &mut |_, _| true)
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

/// The text of everything in the schema, by name.
fn schema(connection: &Connection) -> Vec<Vec<Value>> {
    rows(
        connection,
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name",
    )
}
