//! Closures that try to get out of their transaction, or to leave something behind for others.

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zqlite::{Database, Error, ErrorKind, Options};

use crate::gate::{Gate, ids, insert, open, queue};
use crate::support;

fn db(folder: &TempDir) -> Database {
    open(&folder.path().join("db"), Options::new())
}

#[test]
fn a_cached_commit_does_not_pass_the_authorizer() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    let gate = Gate::close(&d);
    let other = queue(&d, |tx| insert(tx, 1));
    let culprit = queue(&d, |tx| {
        insert(tx, 2)?;
        tx.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    });
    gate.open().unwrap();
    other.join().unwrap().unwrap();
    let error = culprit.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(ids(&d), [0, 1]);
}

#[test]
fn what_follows_a_lost_transaction_is_not_committed_by_itself() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    d.write(|tx| insert(tx, 1)).unwrap();
    let told = d.write(|tx| {
        drop(tx.execute("INSERT OR ROLLBACK INTO t(id) VALUES (1)", []));
        insert(tx, 2)
    });
    assert!(told.is_err());
    assert_eq!(ids(&d), [1]);
}

#[test]
fn what_follows_an_interrupted_statement_is_not_committed_by_itself() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    let told = d.write_within(Duration::from_millis(100), |tx| {
        drop(tx.execute(
            "INSERT INTO t(id) SELECT value FROM (
    WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n) SELECT value FROM n)
    WHERE value < 0",
            [],
        ));
        insert(tx, 2)
    });
    assert_eq!(told.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(ids(&d), [0; 0]);
}

#[test]
fn a_batch_of_no_time_still_runs_one_closure() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let builder = support::builder(&path).create(support::slots());
    let options = Options::new().batch(1, Duration::ZERO);
    let d = Database::open(builder, options).unwrap();
    d.write(|tx| Ok(tx.execute_batch("CREATE TABLE t(id)")?))
        .unwrap();
}

#[test]
fn who_subscribes_while_a_batch_runs_is_told_of_its_commit() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    let gate = Gate::close(&d);
    let mut s = d.subscribe(&["t"]);
    assert_eq!(
        ids(&d),
        [0; 0],
        "what is read after subscribing does not have it"
    );
    gate.open().unwrap();
    assert_eq!(ids(&d), [0]);
    assert!(s.try_next().is_some(), "nobody told the subscriber");
}

#[test]
fn a_forgotten_statement_leaves_no_snapshot_to_the_next_reader() {
    let folder = TempDir::new().unwrap();
    let d = open(
        &folder.path().join("db"),
        Options::new().readers(1, 1).health_check(true),
    );
    d.write(|tx| {
        insert(tx, 1)?;
        insert(tx, 2)
    })
    .unwrap();
    d.read(|c| {
        let mut s = ManuallyDrop::new(c.prepare("SELECT id FROM t")?);
        let mut rows = s.query([])?;
        rows.next()?;
        let _forgotten = ManuallyDrop::new(rows);
        Ok(())
    })
    .unwrap();
    d.write(|tx| insert(tx, 3)).unwrap();
    assert_eq!(ids(&d), [1, 2, 3], "a read sees an old state");
}

#[test]
fn a_deadline_stops_many_short_statements() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    let began = Instant::now();
    let told = d.write_within(Duration::from_millis(100), move |tx| {
        for id in 0..3_000_000 {
            tx.execute("INSERT INTO t(id) VALUES (?1)", [id])?;
            if began.elapsed() > Duration::from_secs(2) {
                return Err(Error::application("never stopped"));
            }
        }
        Ok(())
    });
    assert_eq!(told.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_savepoint_that_fails_leaves_no_transaction_open() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let d = Database::open(
        support::builder(&path)
            .create(support::slots())
            .allow_schema_writes(),
        Options::new().batch(1_024, Duration::from_secs(600)),
    )
    .unwrap();
    d.write(|tx| Ok(tx.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE VIRTUAL TABLE w USING fts5(x, prefix='1 2');
        INSERT INTO w VALUES ('one two three');")?)).unwrap();
    let gate = Gate::close(&d);
    let broken = queue(&d, |tx| {
        tx.execute("INSERT INTO w VALUES ('four')", [])?;
        // Stands for a damaged page of the index.
        tx.execute("UPDATE w_data SET block = x'ffffffffffffffffffff'", [])?;
        Ok(())
    });
    let next = queue(&d, |tx| insert(tx, 2));
    // FTS5 writes when the next savepoint begins, and fails: nobody is acknowledged.
    assert!(gate.open().is_err());
    assert!(broken.join().unwrap().is_err());
    assert!(next.join().unwrap().is_err());
    for id in 10..13 {
        let told = d.write(move |tx| insert(tx, id));
        told.expect("the writer works again");
    }
}

#[test]
fn a_closure_that_switches_off_foreign_keys_does_so_for_nobody_else() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    d.write(|tx| {
        tx.set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
            false,
        )?;
        Ok(())
    })
    .ok();
    let told = d.write(|tx| Ok(tx.execute("INSERT INTO child VALUES (99)", [])?));
    assert!(told.is_err(), "no foreign key is checked");
}

#[test]
fn a_forgotten_statement_in_a_write_closure_does_not_stop_the_writer() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let d = open(
        &path,
        Options::new().busy_timeout(Duration::from_millis(200)),
    );
    d.write(|tx| {
        insert(tx, 1)?;
        insert(tx, 2)
    })
    .unwrap();
    d.write(|tx| {
        let mut s = ManuallyDrop::new(tx.prepare("SELECT id FROM t")?);
        let mut rows = s.query([])?;
        rows.next()?;
        let _forgotten = ManuallyDrop::new(rows);
        Ok(())
    })
    .unwrap();
    support::open(&path)
        .execute("INSERT INTO t(id) VALUES (50)", [])
        .unwrap();
    for id in 3..6 {
        println!("{:?}", d.write(move |tx| insert(tx, id)));
    }
    d.write(move |tx| insert(tx, 10)).unwrap();
}

#[test]
fn the_savepoint_of_a_closure_cannot_be_reached_through_the_cache() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    let gate = Gate::close(&d);
    let escapes = queue(&d, |tx| {
        insert(tx, 1)?;
        tx.prepare_cached("RELEASE zqlite_closure")?.execute([])?;
        // Cached by the closure before.
        tx.prepare_cached("SAVEPOINT zqlite_closure")?.execute([])?;
        Err::<(), _>(Error::application("no"))
    });
    gate.open().unwrap();
    let error = escapes.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(!ids(&d).contains(&1), "told an error, and is there");
}

#[test]
fn a_reader_cannot_leave_its_snapshot_through_the_cache() {
    let folder = TempDir::new().unwrap();
    let d = open(&folder.path().join("db"), Options::new().readers(1, 1));
    assert_eq!(ids(&d), [0; 0]);
    let r = d.read(|c| {
        c.prepare_cached("ROLLBACK")?.execute([])?;
        Ok(())
    });
    assert_eq!(r.unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn a_panic_that_a_closure_catches_rolls_back_its_savepoint() {
    let folder = TempDir::new().unwrap();
    let d = db(&folder);
    d.write(|tx| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tx.savepoint(|tx| -> Result<(), Error> {
                insert(tx, 1)?;
                panic!("on purpose")
            })
        }));
        assert!(caught.is_err());
        insert(tx, 2)
    })
    .unwrap();
    assert_eq!(ids(&d), [2]);
}

#[test]
fn temporary_tables_are_denied() {
    let folder = TempDir::new().unwrap();
    let database = db(&folder);
    let told = database.write(|tx| Ok(tx.execute_batch("CREATE TEMP TABLE t(id, v)")?));
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Denied);
    database.write(|tx| insert(tx, 1)).unwrap();
    assert_eq!(ids(&database), [1]);
}

#[test]
fn connections_that_were_idle_while_the_key_changed_twice_work_again() {
    for rekeys in 1..4 {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("db");
        let database = db(&folder);
        database.write(|tx| insert(tx, 1)).unwrap();
        assert_eq!(ids(&database), [1]);
        for _ in 0..rekeys {
            let options = zqlite::RekeyOptions::new(support::ring());
            zqlite::rekey(&path, options, &mut |_| true).unwrap();
        }
        // A reader that was not idle for long says so, once, and is replaced.
        if let Err(error) =
            database.read(|c| Ok(support::try_one::<i64>(c, "SELECT count(*) FROM t")?))
        {
            assert!(rekeys > 1, "{error}");
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        }
        database.write(|tx| insert(tx, 2)).unwrap();
        assert_eq!(ids(&database), [1, 2]);
    }
}
