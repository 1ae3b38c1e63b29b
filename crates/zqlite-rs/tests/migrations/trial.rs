//! `validate`, for the tests of programs.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use zqlite::migrations::{Migration, MigrationError, Migrations};

use crate::{counting, migration_error, version};

#[test]
fn sound_migrations_pass() {
    counting(0).validate().unwrap();
    counting(8).validate().unwrap();
    Migrations::new(vec![
        Migration::sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)").down("DROP TABLE t"),
        Migration::sql("CREATE INDEX i ON t(b)").down("DROP INDEX i"),
        Migration::sql("ALTER TABLE t ADD COLUMN c").down("ALTER TABLE t DROP COLUMN c"),
        Migration::sql("INSERT INTO t VALUES (1, 2, 3)"),
        Migration::sql("CREATE VIEW v AS SELECT c FROM t").down("DROP VIEW v"),
    ])
    .validate()
    .unwrap();
}

#[test]
fn a_migration_that_is_not_undone_by_what_undoes_it_is_named() {
    let table =
        Migration::sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)").down("DROP TABLE t");
    let cases = [
        (
            Migration::sql("CREATE TABLE u(a); CREATE TABLE v(a)").down("DROP TABLE u"),
            "column v.a",
        ),
        (
            Migration::sql("CREATE INDEX i ON t(b)").down("SELECT 1"),
            "index i",
        ),
        (
            Migration::sql("ALTER TABLE t ADD COLUMN c TEXT").down("SELECT 1"),
            "column t.c TEXT",
        ),
        (Migration::sql("SELECT 1").down("DROP TABLE t"), "is gone"),
        (
            Migration::sql("ALTER TABLE t RENAME COLUMN b TO c")
                .down("ALTER TABLE t RENAME COLUMN c TO d"),
            "column t.b TEXT",
        ),
    ];
    let count = cases.len();
    for (migration, says) in cases {
        let migrations = Migrations::new(vec![table.clone(), migration]);
        let error = migration_error(migrations.validate().unwrap_err());
        assert!(
            matches!(error, MigrationError::NotUndone { version: 2, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(count, 5);
}

#[test]
fn migrations_that_fail_or_leave_rows_without_a_parent_do_not_pass() {
    let bad = Migrations::new(vec![Migration::sql("SELECT 1"), Migration::sql("nonsense")]);
    let error = migration_error(bad.validate().unwrap_err());
    assert!(matches!(error, MigrationError::Failed { version: 2, .. }));
    let bad = Migrations::new(vec![
        Migration::sql("CREATE TABLE p(a PRIMARY KEY); CREATE TABLE c(a REFERENCES p)"),
        Migration::sql("PRAGMA defer_foreign_keys=ON; INSERT INTO c VALUES (1); DELETE FROM c")
            .down("SELECT 1"),
    ]);
    bad.validate().unwrap();
    let orphan = Migration::hook(|tx| {
        tx.execute_batch("INSERT INTO c VALUES (1)")?;
        Ok(())
    });
    let mut db = Connection::open_in_memory().unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    let bad = Migrations::new(vec![
        Migration::sql("CREATE TABLE p(a PRIMARY KEY); CREATE TABLE c(a REFERENCES p)"),
        orphan,
    ]);
    let error = migration_error(bad.validate_on(&mut db).unwrap_err());
    assert!(matches!(
        error,
        MigrationError::ForeignKeys { version: 2, .. }
    ));
}

#[test]
fn a_connection_with_what_the_migrations_need_can_be_given() {
    let migrations = Migrations::new(vec![
        Migration::sql("CREATE TABLE t(a); INSERT INTO t VALUES (twice(21))").down("DROP TABLE t"),
    ]);
    migrations.validate().unwrap_err();
    let mut db = Connection::open_in_memory().unwrap();
    db.create_scalar_function("twice", 1, FunctionFlags::SQLITE_UTF8, |context| {
        Ok(context.get::<i64>(0)? * 2)
    })
    .unwrap();
    migrations.validate_on(&mut db).unwrap();
    assert_eq!(version(&db), 1);
    let answer: i64 = crate::support::one(&db, "SELECT a FROM t");
    assert_eq!(answer, 42);
}
