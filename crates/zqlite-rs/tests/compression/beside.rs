//! Others read and write while a column is compressed, retrained and made plain again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

/// Ends the other threads, also where this one panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_and_writers_beside_retraining_see_every_value_and_lose_none() {
    const WRITERS: i64 = 2;
    let (folder, connection) = guarded();
    support::mode(&connection, "wal");
    // SQLite's waiting is not fair.
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    peers(&connection, 300);
    compress(&connection, "peer", "meta").unwrap();
    let path = folder.path().join("a.db");
    let stop = AtomicBool::new(false);
    let (mut written, mut seen) = (Vec::new(), 0_u64);
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=WRITERS)
            .map(|writer| {
                let (path, stop) = (&path, &stop);
                scope.spawn(move || {
                    let own = support::open(path);
                    own.busy_timeout(Duration::from_secs(60)).unwrap();
                    let mut id = writer * 1_000_000;
                    while !stop.load(Ordering::Relaxed) || id < writer * 1_000_000 + 50 {
                        id += 1;
                        let insert = "INSERT INTO peer VALUES (?1, 'writer ' || ?1, ?2)";
                        own.execute(insert, (id, meta(id))).unwrap();
                        if id % 3 == 0 {
                            own.execute_batch("BEGIN IMMEDIATE; UPDATE peer SET meta = meta || 'x' WHERE id % 7 = 3; ROLLBACK")
                                .unwrap();
                        }
                    }
                    id - writer * 1_000_000
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let own = support::open(&path);
            let mut seen = 0_u64;
            while !stop.load(Ordering::Relaxed) || seen == 0 {
                for row in rows(&own, "SELECT id, meta FROM peer") {
                    let [Value::Integer(id), Value::Text(read)] = &row[..] else {
                        panic!("{row:?}");
                    };
                    assert_eq!(*read, meta(*id));
                    seen += 1;
                }
            }
            seen
        });
        let ended = Stop(&stop);
        for _ in 0..4 {
            compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
            let mut done = 0;
            compression::recompress(&connection, "peer", "meta", 20, &mut |rows, _| {
                done = rows;
                true
            })
            .unwrap();
            assert!(done >= 300);
        }
        drop(ended);
        written = writers.into_iter().map(|w| w.join().unwrap()).collect();
        seen = reader.join().unwrap();
    });
    assert!(seen >= 300 && written.iter().all(|rows| *rows >= 50));
    let all: i64 = support::one(&connection, "SELECT count(*) FROM peer");
    assert_eq!(all, 300 + written.iter().sum::<i64>());
    for row in rows(&connection, "SELECT id, meta FROM peer") {
        let Value::Integer(id) = row[0] else {
            panic!("{row:?}");
        };
        assert_eq!(row[1], Value::Text(meta(id)));
    }
    decompress(&connection, "peer", "meta").unwrap();
    support::assert_sound(&connection);
}

#[test]
fn a_connection_that_knows_an_old_dictionary_writes_with_the_newest() {
    let (folder, connection) = guarded();
    support::mode(&connection, "wal");
    peers(&connection, 300);
    compress(&connection, "peer", "meta").unwrap();
    let other = support::open(&folder.path().join("a.db"));
    let insert = "INSERT INTO peer VALUES (?1, 'other ' || ?1, ?2)";
    other.execute(insert, (1001, meta(1001))).unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    compression::recompress(&connection, "peer", "meta", 1000, &mut |_, _| true).unwrap();
    // The statement is cached in a program, and the dictionary that it used is gone.
    other.execute(insert, (1002, meta(1002))).unwrap();
    let gone: i64 = support::one(
        &connection,
        "SELECT count(*) FROM peer_zqlite_rows WHERE zqlite_dictionary_of(meta) NOT IN (SELECT id FROM zqlite_dictionaries)",
    );
    assert_eq!(gone, 0);
    let read: String = support::one(&connection, "SELECT meta FROM peer WHERE id = 1002");
    assert_eq!(read, meta(1002));
}

#[test]
fn a_closure_of_the_runtime_reads_and_writes_the_view_and_compresses_nothing() {
    let (folder, connection) = guarded();
    peers(&connection, 200);
    compress(&connection, "peer", "meta").unwrap();
    drop(connection);
    let path = folder.path().join("a.db");
    let db = zqlite::Database::open(support::builder(&path), zqlite::Options::new()).unwrap();
    let written = db.write(|tx| {
        let insert = "INSERT INTO peer VALUES (999, 'x', ?1)";
        Ok(tx.execute(insert, [meta(999)])?)
    });
    assert!(written.is_ok(), "{written:?}");
    let select = "SELECT meta FROM peer WHERE id = 999";
    let read: String = db
        .read(move |c| Ok(c.query_row(select, [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(read, meta(999));
    let refused = db.write(|tx| decompress(tx, "peer", "meta"));
    assert!(refused.is_err());
    db.close(Duration::from_secs(10)).unwrap();
    let connection = support::open(&path);
    assert_eq!(compression::columns(&connection).unwrap().len(), 1);
    decompress(&connection, "peer", "meta").unwrap();
    assert_eq!(support::one::<String>(&connection, select), meta(999));
}

#[test]
fn every_operation_is_stopped_by_its_progress_whatever_column_it_is() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
        .unwrap();
    for n in 0..5_000 {
        let insert = "INSERT INTO t(a, b) VALUES (?1, ?2)";
        connection.execute(insert, (meta(n), meta(n + 1))).unwrap();
    }
    let state = || (schema(&connection), rows(&connection, "SELECT * FROM t"));
    let options = Options::default();
    let mut ran = 0;
    for column in ["a", "b"] {
        let before = state();
        for stop_at in [1, 3] {
            let mut calls = 0;
            let outcome =
                compression::compress_column(&connection, "t", column, &options, &mut |_, _| {
                    calls += 1;
                    calls < stop_at
                });
            assert!(matches!(outcome, Err(Error::Interrupted)), "{column}");
            assert!(connection.is_autocommit());
            assert_eq!(state(), before);
            ran += 1;
        }
        let mut last = (0, 0);
        compression::compress_column(&connection, "t", column, &options, &mut |done, total| {
            assert!(done >= last.0 && done <= total);
            last = (done, total);
            true
        })
        .unwrap();
        assert_eq!(last, (5_000, 5_000), "{column}");
    }
    for column in ["a", "b"] {
        let before = state();
        for stop_at in [1, 3] {
            let mut calls = 0;
            let outcome = compression::decompress_column(&connection, "t", column, &mut |_, _| {
                calls += 1;
                calls < stop_at
            });
            assert!(matches!(outcome, Err(Error::Interrupted)), "{column}");
            assert_eq!(state(), before);
            ran += 1;
        }
        let mut last = (0, 0);
        compression::decompress_column(&connection, "t", column, &mut |done, total| {
            last = (done, total);
            true
        })
        .unwrap();
        assert_eq!(last, (5_000, 5_000), "{column}");
    }
    assert_eq!(ran, 8);
}

#[test]
fn a_panic_in_the_progress_leaves_no_transaction_open() {
    let (_folder, connection) = guarded();
    peers(&connection, 50);
    let before = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        compression::compress_column(
            &connection,
            "peer",
            "meta",
            &Options::default(),
            &mut |_, _| panic!("in the progress"),
        )
    }));
    assert!(outcome.is_err());
    assert!(connection.is_autocommit());
    let after = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    assert_eq!(after, before);
}
