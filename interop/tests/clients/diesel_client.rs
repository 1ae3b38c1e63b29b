//! diesel: connections by URI, and a pool of them.

use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};

use crate::sealed_file::{MARKER, SCHEMA, SealedFile};

diesel::table! {
    note (id) {
        id -> Integer,
        body -> Text,
    }
}

fn open(file: &SealedFile) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(&file.uri()).unwrap();
    connection
        .batch_execute("PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL")
        .unwrap();
    connection
}

fn insert(connection: &mut SqliteConnection, body: &str) {
    let inserted = diesel::insert_into(note::table)
        .values(note::body.eq(body))
        .execute(connection)
        .unwrap();
    assert_eq!(inserted, 1);
}

fn rows(connection: &mut SqliteConnection) -> Vec<String> {
    note::table
        .select(note::body)
        .order(note::id)
        .load(connection)
        .unwrap()
}

#[test]
fn diesel_creates_writes_and_reads_a_sealed_file_in_wal_mode() {
    let file = SealedFile::registered();
    let mut connection = open(&file);
    connection.batch_execute(SCHEMA).unwrap();
    insert(&mut connection, MARKER);
    let (in_file, in_log) = file.assert_no_plaintext();
    assert!(in_file >= 131_072, "{in_file}");
    assert!(in_log > 4_096, "{in_log}");
    assert_eq!(rows(&mut connection), [MARKER]);
    drop(connection);
    assert_eq!(rows(&mut open(&file)), [MARKER]);
    assert_eq!(file.rows_by_rusqlite(), [MARKER]);
}

#[test]
fn a_transaction_of_diesel_that_fails_leaves_nothing() {
    let file = SealedFile::registered();
    let mut connection = open(&file);
    connection.batch_execute(SCHEMA).unwrap();
    let result = connection.transaction(|connection| {
        insert(connection, "undone");
        Err::<(), _>(diesel::result::Error::RollbackTransaction)
    });
    assert!(result.is_err());
    insert(&mut connection, "kept");
    assert_eq!(rows(&mut connection), ["kept"]);
    assert_eq!(file.rows_by_rusqlite(), ["kept"]);
}

#[test]
fn a_pool_of_diesel_connections_loses_no_row() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 20;
    let file = SealedFile::registered();
    open(&file).batch_execute(SCHEMA).unwrap();
    let pool = Pool::builder()
        .max_size(4)
        .build(ConnectionManager::<SqliteConnection>::new(file.uri()))
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mut connection = pool.get().unwrap();
                    connection
                        .batch_execute("PRAGMA busy_timeout = 60000")
                        .unwrap();
                    insert(&mut connection, &format!("{thread} {round}"));
                    let bodies = rows(&mut connection);
                    assert!(bodies.len() > round, "{bodies:?}");
                }
            });
        }
    });
    let mut bodies = file.rows_by_rusqlite();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), THREADS * ROUNDS);
}

#[test]
fn a_wrong_key_is_refused_and_the_reason_is_at_hand() {
    let file = SealedFile::registered();
    open(&file).batch_execute(SCHEMA).unwrap();
    open(&file);

    file.register_stranger();
    let error = SqliteConnection::establish(&file.uri())
        .map(drop)
        .unwrap_err();
    // What SQLite says for SQLITE_AUTH.
    assert!(
        error.to_string().contains("authorization denied"),
        "{error}"
    );
    let reason = zqlite::vfs::take_last_error().unwrap();
    assert!(matches!(reason, zqlite::Error::NoKey { .. }), "{reason:?}");
}
