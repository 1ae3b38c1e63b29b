//! From one version to another.

use rusqlite::Connection;
use tempfile::tempdir;
use zqlite::migrations::{Migrated, Migration, MigrationError, Migrations};
use zqlite::{Database, ErrorKind, Options};

use crate::support::{assert_clean, builder, create, open, slots};
use crate::{counting, migration_error, seen, up_to, version};

#[test]
fn each_migration_runs_once_in_its_order() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut db = create(&path);
    assert_eq!(
        counting(0).to_latest(&mut db).unwrap(),
        Migrated { from: 0, to: 0 }
    );
    for (count, from) in [(3, 0), (3, 3), (7, 3), (8, 7)] {
        let migrations = counting(count);
        assert_eq!(migrations.latest(), count);
        let done = migrations.to_latest(&mut db).unwrap();
        assert_eq!(done, Migrated { from, to: count });
        assert_eq!(migrations.current_version(&db).unwrap(), count);
        assert_eq!(seen(&db), up_to(i64::try_from(count).unwrap()));
    }
    // The number is SQLite's own, and outlives the connection.
    drop(db);
    let mut db = open(&path);
    assert_eq!(version(&db), 8);
    assert_eq!(
        counting(8).to_latest(&mut db).unwrap(),
        Migrated { from: 8, to: 8 }
    );
    assert_eq!(seen(&db), up_to(8));
    assert_clean(&path);
}

#[test]
fn the_way_back_undoes_in_the_opposite_order() {
    let mut db = Connection::open_in_memory().unwrap();
    let migrations = counting(5);
    migrations.to_latest(&mut db).unwrap();
    assert_eq!(
        migrations.to_version(&mut db, 2).unwrap(),
        Migrated { from: 5, to: 2 }
    );
    assert_eq!(seen(&db), up_to(2));
    assert_eq!(version(&db), 2);
    assert_eq!(
        migrations.to_version(&mut db, 4).unwrap(),
        Migrated { from: 2, to: 4 }
    );
    assert_eq!(seen(&db), up_to(4));
    migrations.to_version(&mut db, 0).unwrap();
    assert_eq!((version(&db), seen(&db)), (0, Vec::new()));
}

#[test]
fn a_database_that_a_newer_program_migrated_is_refused_and_left_alone() {
    let mut db = Connection::open_in_memory().unwrap();
    counting(5).to_latest(&mut db).unwrap();
    for target in [0, 3, 4] {
        let error = counting(4).to_version(&mut db, target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("newer program"), "{error}");
        let error = migration_error(error);
        assert!(matches!(
            error,
            MigrationError::TooNew { found: 5, known: 4 }
        ));
    }
    assert_eq!((version(&db), seen(&db)), (5, up_to(5)));
    assert_eq!(counting(5).current_version(&db).unwrap(), 5);
    counting(6).to_latest(&mut db).unwrap();
}

#[test]
fn a_version_that_there_is_not_is_refused() {
    let mut db = Connection::open_in_memory().unwrap();
    let error = migration_error(counting(2).to_version(&mut db, 3).unwrap_err());
    assert!(matches!(
        error,
        MigrationError::NoSuchVersion {
            target: 3,
            known: 2
        }
    ));
    db.pragma_update(None, "user_version", -1).unwrap();
    let error = migration_error(counting(2).to_latest(&mut db).unwrap_err());
    assert!(matches!(
        error,
        MigrationError::InvalidVersion { found: -1 }
    ));
    let error = migration_error(counting(2).current_version(&db).unwrap_err());
    assert!(matches!(
        error,
        MigrationError::InvalidVersion { found: -1 }
    ));
    db.pragma_update(None, "user_version", 0).unwrap();
    assert_eq!(counting(2).to_latest(&mut db).unwrap().to, 2);
}

#[test]
fn what_cannot_be_undone_is_known_before_anything_is_done() {
    let mut db = Connection::open_in_memory().unwrap();
    let mut list: Vec<_> = vec![
        Migration::sql("CREATE TABLE seen(number)").down("DROP TABLE seen"),
        Migration::sql("INSERT INTO seen VALUES (2)"),
    ];
    list.push(
        Migration::sql("INSERT INTO seen VALUES (3)").down("DELETE FROM seen WHERE number=3"),
    );
    let migrations = Migrations::new(list);
    migrations.to_latest(&mut db).unwrap();
    let error = migration_error(migrations.to_version(&mut db, 0).unwrap_err());
    assert!(matches!(
        error,
        MigrationError::NotReversible { version: 2 }
    ));
    assert_eq!((version(&db), seen(&db)), (3, vec![2, 3]));
    migrations.to_version(&mut db, 2).unwrap();
    assert_eq!((version(&db), seen(&db)), (2, vec![2]));
}

#[test]
fn sql_and_functions_run_in_the_order_in_which_they_are_given() {
    let mut db = Connection::open_in_memory().unwrap();
    let insert = |number: i64| {
        move |tx: &rusqlite::Transaction<'_>| {
            tx.execute("INSERT INTO seen VALUES (?1)", [number])?;
            Ok(())
        }
    };
    let migrations = Migrations::new(vec![
        Migration::sql("CREATE TABLE seen(number); INSERT INTO seen VALUES (1); -- and\n")
            .then_hook(insert(2))
            .then_sql("INSERT INTO seen VALUES (3); SELECT * FROM seen;")
            .then_hook(insert(4)),
        Migration::hook(insert(5))
            .down("DELETE FROM seen WHERE number=5")
            .down_hook(insert(6))
            .down("INSERT INTO seen VALUES (7)"),
    ]);
    migrations.to_latest(&mut db).unwrap();
    assert_eq!(seen(&db), up_to(5));
    migrations.to_version(&mut db, 1).unwrap();
    assert_eq!(seen(&db), [1, 2, 3, 4, 6, 7]);
}

#[test]
fn a_database_is_migrated_when_it_is_opened() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let open_with = |count: usize| {
        let builder = builder(&path).create(slots());
        Database::open(builder, Options::new().migrations(counting(count)))
    };
    let numbers = |database: &Database| database.read(|db| Ok(seen(db))).unwrap();
    assert_eq!(numbers(&open_with(3).unwrap()), up_to(3));
    assert_eq!(numbers(&open_with(5).unwrap()), up_to(5));
    let error = open_with(4).unwrap_err();
    assert!(error.to_string().contains("newer program"), "{error}");
    let read_only = builder(&path).read_only();
    let database = Database::open(read_only, Options::new().migrations(counting(9))).unwrap();
    assert_eq!(numbers(&database), up_to(5));
}
