//! All or none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use tempfile::tempdir;
use zqlite::migrations::{Migration, MigrationError, Migrations};
use zqlite::{Error, ErrorKind};

use crate::support::{assert_clean, assert_sound, create, mode};
use crate::{counting, migration_error, seen, up_to, version};

/// Ten migrations, of which this one is given.
fn with(number: usize, migration: Migration) -> Migrations {
    let mut list: Vec<_> = (1..=10)
        .map(|number| Migration::sql(format!("INSERT INTO seen VALUES ({number})")))
        .collect();
    list.insert(0, Migration::sql("CREATE TABLE seen(number)"));
    if let Some(place) = list.get_mut(number - 1) {
        *place = migration;
    }
    Migrations::new(list)
}

#[test]
fn a_migration_that_fails_leaves_the_version_that_was_there() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut db = create(&path);
    mode(&db, "WAL");
    counting(2).to_latest(&mut db).unwrap();

    let bad = [
        Migration::sql("INSERT INTO seen VALUES (99); INSERT INTO nowhere VALUES (1)"),
        Migration::sql("INSERT INTO seen VALUES (99); syntax error"),
        Migration::sql("INSERT INTO seen VALUES (NULL)"),
        Migration::sql("INSERT OR ROLLBACK INTO seen VALUES (NULL)"),
        Migration::sql("CREATE TABLE t(a)").then_sql("CREATE TABLE t(a)"),
        Migration::hook(|tx| {
            tx.execute("INSERT INTO seen VALUES (99)", [])?;
            Err(Error::application("the application says no"))
        }),
    ];
    let cases = bad.len();
    for migration in bad {
        let mut list: Vec<_> = (1..=4)
            .map(|number| Migration::sql(format!("INSERT INTO seen VALUES ({number})")))
            .collect();
        list.push(migration);
        let error = Migrations::new(list).to_latest(&mut db).unwrap_err();
        let error = migration_error(error);
        assert!(
            matches!(error, MigrationError::Failed { version: 5, .. }),
            "{error}"
        );
        assert!(error.to_string().starts_with("migration 5: "), "{error}");
        assert_eq!((version(&db), seen(&db)), (2, up_to(2)));
        assert!(db.is_autocommit());
    }
    assert_eq!(cases, 6);
    counting(6).to_latest(&mut db).unwrap();
    assert_eq!(seen(&db), up_to(6));
    assert_sound(&db);
    drop(db);
    assert_clean(&path);
}

#[test]
fn the_error_of_a_migration_says_what_it_is_about() {
    let mut db = Connection::open_in_memory().unwrap();
    let error = |migration, db: &mut Connection| {
        Migrations::new(vec![migration]).to_latest(db).unwrap_err()
    };
    let constraint = error(
        Migration::sql("CREATE TABLE t(a NOT NULL); INSERT INTO t VALUES (NULL)"),
        &mut db,
    );
    assert_eq!(constraint.kind(), ErrorKind::Constraint);
    assert_eq!(
        constraint.extended_code(),
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL)
    );
    let own = error(Migration::hook(|_| Err(Error::application("no"))), &mut db);
    assert_eq!(own.kind(), ErrorKind::Application);
}

#[test]
fn a_function_that_panics_leaves_the_version_that_was_there() {
    let mut db = Connection::open_in_memory().unwrap();
    db.pragma_update(None, "foreign_keys", true).unwrap();
    let panics = Migration::hook(|tx| {
        tx.execute("INSERT INTO seen VALUES (99)", [])?;
        panic!("on purpose");
    });
    let migrations = with(5, panics.foreign_key_check());
    let result = catch_unwind(AssertUnwindSafe(|| migrations.to_latest(&mut db)));
    assert!(result.is_err());
    assert!(db.is_autocommit());
    assert_eq!((version(&db), seen(&db)), (0, Vec::new()));
    let enforced: bool = crate::support::one(&db, "PRAGMA foreign_keys");
    assert!(enforced, "as it was before");
    counting(3).to_latest(&mut db).unwrap();
    assert_eq!(seen(&db), up_to(3));
}

#[test]
fn statements_that_begin_or_end_a_transaction_are_refused_before_they_run() {
    let mut db = Connection::open_in_memory().unwrap();
    let statements = [
        "COMMIT",
        "END",
        "ROLLBACK",
        "BEGIN",
        "INSERT INTO seen VALUES (99); -- and then\n COMMIT; INSERT INTO seen VALUES (98)",
        "/* a */ rollback transaction",
    ];
    for sql in statements {
        let error = migration_error(with(4, Migration::sql(sql)).to_latest(&mut db).unwrap_err());
        assert!(
            matches!(error, MigrationError::Transaction { version: 4 }),
            "{sql}"
        );
        assert_eq!((version(&db), seen(&db)), (0, Vec::new()), "{sql}");
        assert!(db.is_autocommit());
    }
    assert_eq!(statements.len(), 6);
    // A function that does so is found out, too late.
    let ends = Migration::hook(|tx| Ok(tx.execute_batch("ROLLBACK")?));
    let error = migration_error(with(4, ends).to_latest(&mut db).unwrap_err());
    assert!(matches!(error, MigrationError::Transaction { version: 4 }));
    assert_eq!((version(&db), seen(&db)), (0, Vec::new()));

    let savepoints = "SAVEPOINT a; INSERT INTO seen VALUES (99); ROLLBACK TO a; RELEASE a;
                      CREATE TRIGGER t AFTER INSERT ON seen BEGIN SELECT 1; END;";
    with(4, Migration::sql(savepoints))
        .to_latest(&mut db)
        .unwrap();
    assert_eq!((version(&db), seen(&db).len()), (11, 9));
}

#[test]
fn a_database_at_the_latest_version_is_not_locked_and_a_locked_one_is_waited_for() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut db = create(&path);
    mode(&db, "WAL");
    counting(2).to_latest(&mut db).unwrap();
    let other = crate::support::open(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    db.busy_timeout(std::time::Duration::ZERO).unwrap();
    counting(2).to_latest(&mut db).unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ran);
    let migrations = Migrations::new(vec![
        Migration::sql("SELECT 1"),
        Migration::sql("SELECT 2"),
        Migration::hook(move |_| {
            told.store(true, Ordering::Relaxed);
            Ok(())
        }),
    ]);
    let error = migrations.to_latest(&mut db).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_retryable());
    assert!(!ran.load(Ordering::Relaxed));
    other.execute_batch("COMMIT").unwrap();
    migrations.to_latest(&mut db).unwrap();
    assert!(ran.load(Ordering::Relaxed));

    // Within a transaction of the caller's there is no room for one.
    db.execute_batch("BEGIN").unwrap();
    let mut more = counting(5);
    more.to_latest(&mut db).unwrap_err();
    db.execute_batch("ROLLBACK").unwrap();
    more = counting(5);
    assert_eq!(more.to_latest(&mut db).unwrap().from, 3);
}
