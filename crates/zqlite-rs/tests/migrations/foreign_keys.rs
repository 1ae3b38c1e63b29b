//! Tables that others refer to are rebuilt.

use rusqlite::Connection;
use zqlite::migrations::{Migration, MigrationError, Migrations};

use crate::support::{count, one};
use crate::{migration_error, version};

const FAMILY: &str = "
    CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE t(id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent(id) ON DELETE CASCADE);
    INSERT INTO parent VALUES (1, 'a'), (2, 'b');
    INSERT INTO t VALUES (10, 1), (20, 2)";

/// SQLite's way to change a table: make another, copy, drop, rename.
const REBUILD: &str = "
    CREATE TABLE new_parent(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    INSERT INTO new_parent SELECT * FROM parent;
    DROP TABLE parent;
    ALTER TABLE new_parent RENAME TO parent";

fn database(enforced: bool) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.pragma_update(None, "foreign_keys", enforced).unwrap();
    db
}

fn enforced(db: &Connection) -> bool {
    one(db, "PRAGMA foreign_keys")
}

#[test]
fn a_rebuilt_table_keeps_the_rows_that_refer_to_it_only_with_the_check() {
    let mut db = database(true);
    let first = Migration::sql(FAMILY);
    Migrations::new(vec![first.clone(), Migration::sql(REBUILD)])
        .to_latest(&mut db)
        .unwrap();
    assert_eq!(count(&db), 0, "SQLite deletes them with the table");

    let mut db = database(true);
    Migrations::new(vec![first, Migration::sql(REBUILD).foreign_key_check()])
        .to_latest(&mut db)
        .unwrap();
    assert_eq!(count(&db), 2);
    assert!(enforced(&db));
    db.execute("INSERT INTO t VALUES (30, 3)", []).unwrap_err();
}

#[test]
fn rows_that_refer_to_nothing_fail_the_migration_that_left_them() {
    for on in [true, false] {
        let mut db = database(on);
        let migrations = Migrations::new(vec![
            Migration::sql(FAMILY),
            Migration::sql("DELETE FROM parent WHERE id=2"),
            Migration::sql("SELECT 1").foreign_key_check(),
        ]);
        let error = migration_error(migrations.to_latest(&mut db).unwrap_err());
        let text = error.to_string();
        let MigrationError::ForeignKeys {
            version: 2,
            violations,
        } = error
        else {
            panic!("{error}");
        };
        assert!(
            text.ends_with(
                "leaves one row that refer to nothing; the first: row 20 of t, to parent"
            )
        );
        let [violation] = violations.as_slice() else {
            panic!("{violations:?}");
        };
        assert_eq!((violation.table.as_str(), violation.rowid), ("t", Some(20)));
        assert_eq!(version(&db), 0);
        assert_eq!(enforced(&db), on);
    }
}

#[test]
fn without_the_check_what_the_connection_enforces_stays() {
    let mut db = database(true);
    let migrations = Migrations::new(vec![
        Migration::sql(FAMILY),
        Migration::sql("DELETE FROM parent WHERE id=2"),
    ]);
    migrations.to_latest(&mut db).unwrap();
    assert_eq!(count(&db), 1, "deleted with its parent");
    assert!(enforced(&db));
}

#[test]
fn a_long_list_of_violations_is_cut() {
    let mut db = database(false);
    let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<1000)
                INSERT INTO t(parent) SELECT 77 FROM n";
    let migrations = Migrations::new(vec![
        Migration::sql(FAMILY).then_sql(many).foreign_key_check(),
    ]);
    let error = migration_error(migrations.to_latest(&mut db).unwrap_err());
    assert!(error.to_string().contains("100 rows or more"));
    assert!(
        matches!(error, MigrationError::ForeignKeys { violations, .. } if violations.len() == 100)
    );
}
