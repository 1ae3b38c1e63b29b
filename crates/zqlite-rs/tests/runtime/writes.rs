//! What callers of the writer see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use zqlite::{Error, ErrorKind, Options};

use crate::gate::{Gate, ids, insert, open, queue};
use crate::support;

const LONG: Duration = Duration::from_secs(60);
/// A statement that runs for as long as nobody interrupts it.
const ENDLESS: &str = "INSERT INTO t(id) SELECT value FROM (
    WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n) SELECT value FROM n)
    WHERE value < 0";

#[test]
fn a_write_is_committed_when_it_returns_and_read_by_the_next_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let database = open(&path, Options::new());
    for id in 0..100 {
        let returned = database.write(move |tx| {
            insert(tx, id)?;
            Ok(id * 2)
        });
        assert_eq!(returned.unwrap(), id * 2);
        assert_eq!(ids(&database), (0..=id).collect::<Vec<_>>());
    }
    database.close(LONG).unwrap();
    let error = database.write(|tx| insert(tx, 1_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(
        database.read(|_| Ok(())).unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert!(!support::wal(&path).exists(), "the log is left behind");
    assert_eq!(
        support::one::<i64>(&support::open(&path), "SELECT count(*) FROM t"),
        100
    );
}

#[test]
fn closures_that_wait_share_one_transaction_in_the_order_in_which_they_came() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let gate = Gate::close(&database);
    let mut threads = Vec::new();
    for id in 1..=20 {
        let reads = database.clone();
        threads.push(queue(&database, move |tx| {
            insert(tx, id)?;
            let within = tx.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?;
            Ok((within, ids(&reads)))
        }));
    }
    gate.open().unwrap();
    for (thread, id) in threads.into_iter().zip(1..) {
        let (within, outside) = thread.join().unwrap().unwrap();
        assert_eq!(within, id + 1, "who came before is in the same transaction");
        assert_eq!(outside, [0; 0], "and nothing is committed");
    }
    assert_eq!(ids(&database).len(), 21);
}

#[test]
fn an_error_or_a_panic_rolls_back_its_own_closure_and_no_other() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let gate = Gate::close(&database);
    let first = queue(&database, |tx| insert(tx, 1));
    let fails = queue(&database, |tx| {
        insert(tx, 2)?;
        insert(tx, 1)
    });
    let own = queue(&database, |tx| {
        insert(tx, 3)?;
        Err::<(), _>(Error::application("no more seats"))
    });
    let panics = queue(&database, |tx| -> Result<(), Error> {
        insert(tx, 4)?;
        panic!("a bug, on purpose")
    });
    let last = queue(&database, |tx| {
        // A savepoint of the closure's own.
        let inner = tx.savepoint(|tx| {
            insert(tx, 6)?;
            Err::<(), _>(Error::application("not this"))
        });
        assert!(inner.is_err());
        insert(tx, 5)
    });
    gate.open().unwrap();
    first.join().unwrap().unwrap();
    last.join().unwrap().unwrap();
    let error = fails.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert_eq!(
        error.extended_code(),
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
    );
    assert_eq!(error.path(), Some(database.path()));
    assert!(std::error::Error::source(&error).is_some());
    assert!(!error.is_retryable());
    let error = own.join().unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Application, "no more seats".to_owned())
    );
    let error = panics.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("a bug, on purpose"));
    assert_eq!(ids(&database), [0, 1, 5]);
}

#[test]
fn closures_cannot_end_the_transaction_attach_or_change_settings() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let denied = [
        "COMMIT",
        "END",
        "ROLLBACK",
        "BEGIN",
        "RELEASE zqlite_closure",
        "ROLLBACK TO zqlite_closure",
        "SAVEPOINT Zqlite_Closure",
        "ATTACH ':memory:' AS a",
        "ATTACH 'x' || 'y' AS a",
        "DETACH main",
        "PRAGMA synchronous = OFF",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA user_version",
        "PRAGMA user_version = 5",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "SELECT * FROM pragma_table_info('t')",
    ];
    let gate = Gate::close(&database);
    let mut threads = Vec::new();
    for sql in denied {
        threads.push(queue(&database, move |tx| {
            insert(tx, -1)?;
            Ok(tx.execute_batch(sql)?)
        }));
    }
    let allowed = queue(&database, |tx| {
        tx.execute_batch("SAVEPOINT mine; INSERT INTO t(id) VALUES (7); RELEASE mine")?;
        Ok(())
    });
    gate.open().unwrap();
    for (thread, sql) in threads.into_iter().zip(denied) {
        let error = thread.join().unwrap().expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Denied, "{sql}: {error}");
    }
    allowed.join().unwrap().unwrap();
    assert_eq!(ids(&database), [0, 7]);
    assert_eq!(
        database
            .read(|c| Ok(support::one::<i64>(c, "PRAGMA user_version")))
            .unwrap(),
        0
    );
    // Readers read, and can be told things.
    for sql in [
        "COMMIT",
        "PRAGMA query_only = OFF",
        "PRAGMA wal_checkpoint",
        "DELETE FROM t",
        "ATTACH ':memory:' AS a",
    ] {
        let error = database
            .read(move |c| Ok(c.execute_batch(sql)?))
            .expect_err(sql);
        assert!(
            matches!(error.kind(), ErrorKind::Denied | ErrorKind::ReadOnly),
            "{sql}: {error}"
        );
    }
    assert_eq!(ids(&database), [0, 7]);
}

#[test]
fn full_text_and_rectangle_indexes_work_in_closures() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    database
        .write(|tx| {
            tx.execute_batch(
                "CREATE VIRTUAL TABLE words USING fts5(text);
                 CREATE VIRTUAL TABLE areas USING rtree(id, x0, x1);",
            )?;
            Ok(())
        })
        .unwrap();
    for round in 0..3 {
        database
            .write(move |tx| {
                tx.execute("INSERT INTO words VALUES ('the quick fox')", [])?;
                tx.execute("INSERT INTO areas VALUES (?1, 1, 5)", [round])?;
                let found = "SELECT (SELECT count(*) FROM words('fox')), (SELECT count(*) FROM areas WHERE x0 < 2)";
                let counts = tx.query_row(found, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
                assert_eq!(counts, (round + 1, round + 1));
                Ok(())
            })
            .unwrap();
    }
    let words = "SELECT count(*) FROM words('quick')";
    assert_eq!(
        database
            .read(|c| Ok(support::one::<i64>(c, words)))
            .unwrap(),
        3
    );
}

#[test]
fn a_deferred_foreign_key_fails_the_closure_that_violates_it() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let gate = Gate::close(&database);
    let violates = queue(&database, |tx| {
        tx.execute("INSERT INTO child VALUES (1)", [])?;
        Ok(())
    });
    let mended = queue(&database, |tx| {
        tx.execute("INSERT INTO child VALUES (2)", [])?;
        tx.execute("INSERT INTO parent VALUES (2)", [])?;
        Ok(())
    });
    gate.open().unwrap();
    let error = violates.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert_eq!(
        error.extended_code(),
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
    );
    mended.join().unwrap().unwrap();
    let children = "SELECT group_concat(id) FROM child";
    assert_eq!(
        database
            .read(|c| Ok(support::one::<String>(c, children)))
            .unwrap(),
        "2"
    );
}

#[test]
fn where_sqlite_rolls_back_nobody_is_acknowledged_and_the_others_can_try_again() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let gate = Gate::close(&database);
    let before = queue(&database, |tx| insert(tx, 1));
    let culprit = queue(&database, |tx| {
        tx.execute("INSERT OR ROLLBACK INTO t(id) VALUES (1)", [])?;
        Ok(())
    });
    let after = queue(&database, |tx| insert(tx, 2));
    let hides_it = queue(&database, |tx| {
        drop(tx.execute("INSERT OR ROLLBACK INTO t(id) VALUES (2)", []));
        Ok(())
    });
    let error = gate.open().unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Aborted, true)
    );
    let error = before.join().unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Aborted, true)
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("UNIQUE constraint failed"), "{cause}");
    let error = culprit.join().unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Constraint, false)
    );
    // After a loss closures are committed by themselves for a while: the fourth takes nobody with it.
    after.join().unwrap().unwrap();
    let error = hides_it.join().unwrap().unwrap_err();
    assert_eq!(
        error.extended_code(),
        Some(rusqlite::ffi::SQLITE_ABORT_ROLLBACK)
    );
    assert_eq!(ids(&database), [2]);
    database.write(|tx| insert(tx, 3)).unwrap();
    assert_eq!(ids(&database), [2, 3]);
}

#[test]
fn a_closure_whose_time_is_up_in_the_queue_never_runs() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let gate = Gate::close(&database);
    let ran = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ran);
    let error = database
        .write_within(Duration::from_millis(20), move |tx| {
            told.store(true, Ordering::SeqCst);
            insert(tx, 1)
        })
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::TimedOut, true)
    );
    assert_eq!(database.status().queued, 0);
    assert_eq!(Arc::strong_count(&ran), 1, "the closure is gone");
    gate.open().unwrap();
    database.write_within(LONG, |tx| insert(tx, 2)).unwrap();
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(ids(&database), [0, 2]);
}

#[test]
fn a_closure_whose_time_is_up_while_it_runs_is_interrupted_with_its_batch() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let gate = Gate::close(&database);
    let late = database.clone();
    let late = std::thread::spawn(move || {
        late.write_within(Duration::from_millis(300), |tx| {
            tx.execute(ENDLESS, [])?;
            Ok(())
        })
    });
    crate::gate::until_queued(&database, 1);
    let error = gate.open().unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Aborted, true)
    );
    let error = late.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // Also where the caller runs it himself, and a query, which takes nothing else with it.
    let error = database.write_within(Duration::from_millis(50), |tx| {
        insert(tx, 1)?;
        let endless = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT count(*) FROM n";
        Ok(tx.query_row(endless, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    database.write(|tx| insert(tx, 2)).unwrap();
    assert_eq!(ids(&database), [2]);
}

#[test]
fn a_full_queue_refuses_whoever_will_not_wait() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new().queue_capacity(2));
    let gate = Gate::close(&database);
    let first = queue(&database, |tx| insert(tx, 1));
    let second = queue(&database, |tx| insert(tx, 2));
    let error = database.try_write(|tx| insert(tx, 3)).unwrap_err();
    assert!(matches!(error, Error::QueueFull { capacity: 2, .. }));
    assert!(error.is_retryable());
    let waits = queue(&database, |tx| insert(tx, 4));
    gate.open().unwrap();
    for thread in [first, second, waits] {
        thread.join().unwrap().unwrap();
    }
    database.try_write(|tx| insert(tx, 5)).unwrap();
    assert_eq!(ids(&database), [0, 1, 2, 4, 5]);
}

#[test]
fn a_write_within_a_write_is_refused_instead_of_waiting_for_itself() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let inner = database.clone();
    let error = database.write(move |tx| {
        insert(tx, 1)?;
        assert!(inner.checkpoint().is_err());
        assert!(inner.close(LONG).is_err());
        inner.write(|tx| insert(tx, 2))
    });
    assert_eq!(
        error.unwrap_err().extended_code(),
        Some(rusqlite::ffi::SQLITE_MISUSE)
    );
    database.write(|tx| insert(tx, 3)).unwrap();
    assert_eq!(ids(&database), [3]);
}

#[test]
fn who_closes_or_drops_the_database_gets_what_was_queued_written() {
    let folder = TempDir::new().unwrap();
    for drops in [false, true] {
        let path = folder.path().join(format!("{drops}"));
        let database = open(&path, Options::new());
        let gate = Gate::close(&database);
        let threads: Vec<_> = (1..10)
            .map(|id| queue(&database, move |tx| insert(tx, id)))
            .collect();
        if drops {
            drop(database);
            gate.open().unwrap();
        } else {
            let closing = std::thread::spawn(move || database.close(LONG));
            gate.open().unwrap();
            closing.join().unwrap().unwrap();
        }
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        assert_eq!(
            support::one::<i64>(&support::open(&path), "SELECT count(*) FROM t"),
            10
        );
    }
}

#[test]
fn a_database_that_another_connection_has_locked_is_busy_and_then_is_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let database = open(
        &path,
        Options::new().busy_timeout(Duration::from_millis(100)),
    );
    let other: Connection = support::open(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = database.write(|tx| insert(tx, 1)).unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Busy, true)
    );
    assert_eq!(error.extended_code(), Some(rusqlite::ffi::SQLITE_BUSY));
    // Whoever has less patience gives up alone.
    let error = database
        .write_within(Duration::from_millis(10), |tx| insert(tx, 2))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    other.execute_batch("COMMIT").unwrap();
    database.write(|tx| insert(tx, 3)).unwrap();
    assert_eq!(ids(&database), [3]);
}

#[test]
fn a_log_that_a_reader_pins_is_told_and_is_checkpointed_when_it_is_free() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let options = Options::new()
        .busy_timeout(Duration::from_millis(100))
        .checkpoint_pages(10)
        .log_limit(200_000);
    let database = open(&path, options);
    let reader = support::open(&path);
    reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    let fill = |id: i64| {
        database.write(move |tx| {
            let sql = "INSERT INTO t(id, v) VALUES (?1, randomblob(20000))";
            tx.execute(sql, [id])?;
            Ok(())
        })
    };
    let refused = (1..100).find_map(|id| fill(id).err()).expect("a limit");
    assert!(matches!(refused, Error::LogPinned { .. }), "{refused}");
    assert!(refused.is_retryable());
    assert!(matches!(
        database.checkpoint(),
        Err(Error::LogPinned { .. })
    ));
    let written = ids(&database).len();
    assert!(written > 3);
    reader.execute_batch("COMMIT").unwrap();
    fill(1_000).unwrap();
    database.checkpoint().unwrap();
    assert_eq!(support::len(&support::wal(&path)), 0);
    assert_eq!(ids(&database).len(), written + 1);
}

#[test]
fn a_read_only_database_refuses_writes_and_reads() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let database = open(&path, Options::new());
    database.write(|tx| insert(tx, 1)).unwrap();
    let builder = support::builder(&path).read_only();
    let read_only = zqlite::Database::open(builder, Options::new()).unwrap();
    assert_eq!(ids(&read_only), [1]);
    let error = read_only.write(|tx| insert(tx, 2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert_eq!(
        read_only.checkpoint().unwrap_err().kind(),
        ErrorKind::ReadOnly
    );
    database.write(|tx| insert(tx, 3)).unwrap();
    assert_eq!(ids(&read_only), [1, 3]);
}

#[test]
fn migrations_run_before_anybody_reads_or_writes() {
    use zqlite::migrations::{Migration, Migrations};
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let steps = || {
        vec![
            Migration::sql("CREATE TABLE a(x)"),
            Migration::sql("INSERT INTO a VALUES (1)"),
        ]
    };
    let count = "SELECT count(*) FROM a";
    for _ in 0..2 {
        let builder = support::builder(&path).create(support::slots());
        let options = Options::new().migrations(Migrations::new(steps()));
        let database = zqlite::Database::open(builder, options).unwrap();
        assert_eq!(
            database
                .read(|c| Ok(support::one::<i64>(c, count)))
                .unwrap(),
            1
        );
    }
    let older = Options::new().migrations(Migrations::new(steps().into_iter().take(1).collect()));
    assert!(zqlite::Database::open(support::builder(&path), older).is_err());
}
