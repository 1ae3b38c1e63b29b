//! Migrations: each once, all or none, whatever fails, and however many programs start at once.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may panic"
)]

#[path = "../support/support.rs"]
mod support;

mod atomic;
mod foreign_keys;
mod processes;
mod trial;
mod versions;

use rusqlite::Connection;
use zqlite::Error;
use zqlite::migrations::{Migration, MigrationError, Migrations};

/// Each migration adds its number to the table `seen`, and takes it away again.
fn counting(count: usize) -> Migrations {
    let first = Migration::sql("CREATE TABLE seen(number INTEGER NOT NULL)")
        .then_sql("INSERT INTO seen VALUES (1)")
        .down("DROP TABLE seen");
    let others = (2..=count).map(|number| {
        Migration::sql(format!("INSERT INTO seen VALUES ({number})"))
            .down(format!("DELETE FROM seen WHERE number={number}"))
    });
    std::iter::once(first).chain(others).take(count).collect()
}

/// What the table `seen` holds, in order; nothing if there is no table.
fn seen(db: &Connection) -> Vec<i64> {
    let Ok(mut numbers) = db.prepare("SELECT number FROM seen ORDER BY rowid") else {
        return Vec::new();
    };
    let numbers = numbers.query_map([], |row| row.get(0)).unwrap();
    numbers.collect::<Result<_, _>>().unwrap()
}

fn up_to(number: i64) -> Vec<i64> {
    (1..=number).collect()
}

fn version(db: &Connection) -> i64 {
    support::one(db, "PRAGMA user_version")
}

fn migration_error(error: Error) -> MigrationError {
    match error {
        Error::Migration(error) => error,
        other => panic!("not of a migration: {other}"),
    }
}
