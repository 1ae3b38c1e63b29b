//! What happens to the objects of an index when the schema around it changes.

use super::{assert_agrees, ids, memory, message, routes, try_ids, values};
use crate::support::{create, one, open};

const LAB: &str = "longest_match = '10.1.2.3'";

fn lab(db: &rusqlite::Connection, index: &str) -> Vec<i64> {
    ids(db, &format!("SELECT rowid FROM \"{index}\" WHERE {LAB}"))
}

#[test]
fn a_renamed_table_or_column_stays_indexed() {
    let db = routes();
    db.execute_batch(
        "ALTER TABLE routes RENAME TO \"my \"\"routes\"\"\";
         ALTER TABLE \"my \"\"routes\"\"\" RENAME COLUMN prefix TO \"the net\";
         INSERT INTO \"my \"\"routes\"\"\"(id, \"the net\") VALUES (7, '10.1.2.0/24');",
    )
    .unwrap();
    assert_eq!(lab(&db, "route_ip"), [7]);
    db.execute("DELETE FROM \"my \"\"routes\"\"\" WHERE id = 7", [])
        .unwrap();
    assert_eq!(lab(&db, "route_ip"), [3, 6]);
    db.execute("INSERT INTO route_ip(changed) VALUES ('all')", [])
        .unwrap();
    assert_agrees(&db);
}

#[test]
fn a_renamed_index_takes_everything_along() {
    for legacy in [false, true] {
        let db = routes();
        db.pragma_update(None, "legacy_alter_table", legacy)
            .unwrap();
        db.execute_batch(
            "ALTER TABLE routes RENAME COLUMN prefix TO net;
             ALTER TABLE route_ip RENAME TO \"by ip\";
             INSERT INTO routes(id, net) VALUES (7, '10.1.2.0/24');",
        )
        .unwrap();
        assert_eq!(lab(&db, "by ip"), [7]);
        let left = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'route@_ip%' ESCAPE '@'";
        assert_eq!(one::<i64>(&db, left), 0);
        db.execute_batch(
            "CREATE VIRTUAL TABLE route_ip USING cidr(routes, net);
             DELETE FROM routes WHERE id = 7;",
        )
        .unwrap();
        assert_eq!(lab(&db, "by ip"), [3, 6]);
        assert_eq!(lab(&db, "route_ip"), [3, 6]);
        assert_agrees(&db);
    }
}

#[test]
fn a_rename_that_is_rolled_back_leaves_the_index_as_it_was() {
    let db = routes();
    db.execute_batch(
        "BEGIN; ALTER TABLE route_ip RENAME TO other;
         INSERT INTO routes(id, prefix) VALUES (7, '10.1.2.0/24');",
    )
    .unwrap();
    assert_eq!(lab(&db, "other"), [7]);
    db.execute_batch("ROLLBACK").unwrap();
    assert_eq!(lab(&db, "route_ip"), [3, 6]);
    db.execute("DELETE FROM routes WHERE id = 3", []).unwrap();
    assert_eq!(lab(&db, "route_ip"), [6]);
    assert_agrees(&db);
}

#[test]
fn a_dropped_index_leaves_its_table_alone_and_nothing_behind() {
    let db = routes();
    let objects = "SELECT count(*) FROM sqlite_schema";
    assert!(one::<i64>(&db, objects) > 1);
    db.execute_batch("DROP TABLE route_ip").unwrap();
    assert_eq!(one::<i64>(&db, objects), 1);
    db.execute("INSERT INTO routes(prefix) VALUES ('no prefix')", [])
        .unwrap();
    db.execute_batch(
        "BEGIN; DELETE FROM routes WHERE prefix = 'no prefix';
         CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix); ROLLBACK;",
    )
    .unwrap();
    assert_eq!(one::<i64>(&db, objects), 1);
}

#[test]
fn an_index_whose_table_is_gone_answers_with_an_error_until_it_is_dropped() {
    for gone in [
        "DROP TABLE routes",
        // The way to change a table that SQLite's documentation shows.
        "CREATE TABLE new(id INTEGER PRIMARY KEY, prefix TEXT); INSERT INTO new SELECT id, prefix FROM routes;
         DROP TABLE routes; PRAGMA legacy_alter_table=ON; ALTER TABLE new RENAME TO routes",
        "DROP TRIGGER route_ip_update",
    ] {
        let db = routes();
        assert_eq!(lab(&db, "route_ip"), [3, 6]);
        db.execute_batch(&format!("BEGIN; {gone}")).unwrap();
        let asked = |condition: &str| {
            let sql = format!("SELECT rowid FROM route_ip WHERE {condition}");
            message(try_ids(&db, &sql))
        };
        for condition in [LAB, "within = '::/0'", "rowid = 1", "length > 0"] {
            assert!(asked(condition).contains("not bound to its table"), "{gone}");
        }
        db.execute_batch("ROLLBACK").unwrap();
        assert_eq!(lab(&db, "route_ip"), [3, 6], "{gone}");
        db.execute_batch(gone).unwrap();
        assert!(asked(LAB).contains("not bound to its table"), "{gone}");
        let found: String = one(&db, "PRAGMA integrity_check");
        assert!(found.contains("not bound to its table"), "{found}");
        db.execute_batch("DROP TABLE route_ip").unwrap();
        assert_agrees(&db);
    }
}

#[test]
fn a_column_that_is_indexed_cannot_be_dropped() {
    let db = routes();
    db.execute_batch("ALTER TABLE routes DROP COLUMN via")
        .unwrap();
    let dropped = db.execute_batch("ALTER TABLE routes DROP COLUMN prefix");
    assert!(message(dropped).contains("route_ip"));
    assert_eq!(lab(&db, "route_ip"), [3, 6]);
    assert_agrees(&db);
}

#[test]
fn a_vacuum_keeps_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = create(&path);
    db.execute_batch(super::ROUTES).unwrap();
    db.execute_batch("DELETE FROM routes WHERE id = 2; VACUUM;")
        .unwrap();
    assert_eq!(lab(&db, "route_ip"), [3, 6]);
    db.execute("DELETE FROM routes WHERE id = 3", []).unwrap();
    assert_agrees(&db);
    drop(db);
    let db = open(&path);
    assert_eq!(lab(&db, "route_ip"), [6]);
    assert_agrees(&db);
}

#[test]
fn what_cannot_be_indexed_is_refused_and_leaves_nothing() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE good(id INTEGER PRIMARY KEY, a TEXT, b TEXT);
         CREATE TABLE rowid_only(a TEXT);
         CREATE TABLE text_key(id TEXT PRIMARY KEY, a TEXT);
         CREATE TABLE int_key(id INT PRIMARY KEY, a TEXT);
         CREATE TABLE two_keys(id INTEGER, other INTEGER, a TEXT, PRIMARY KEY(id, other));
         CREATE TABLE without(id INTEGER PRIMARY KEY, a TEXT) WITHOUT ROWID;
         CREATE TABLE rowid_key(rowid TEXT PRIMARY KEY, a TEXT);
         CREATE TABLE bad(id INTEGER PRIMARY KEY, a TEXT);
         INSERT INTO bad VALUES (1, '10.0.0.0/8'), (9, '10.0.0.1/8');
         CREATE VIEW v AS SELECT id, a FROM good;",
    )
    .unwrap();
    let before: i64 = one(&db, "SELECT count(*) FROM sqlite_schema");
    let key = "needs a table with an INTEGER PRIMARY KEY";
    for (schema, arguments, why) in [
        ("main", "rowid_only, a", key),
        ("main", "text_key, a", key),
        ("main", "int_key, a", key),
        ("main", "two_keys, a", key),
        ("main", "without, a", key),
        ("main", "rowid_key, a", key),
        ("main", "v, a", key),
        ("main", "good, missing", "no such column"),
        ("main", "missing, a", "no such table"),
        ("main", "good, a, b", "it indexes one column"),
        ("main", "good", "name the table"),
        (
            "main",
            "bad, a",
            "row 9 cannot be indexed: bits after the prefix length are set",
        ),
        ("temp", "good, a", "temp has none that last"),
    ] {
        let sql = format!("CREATE VIRTUAL TABLE {schema}.x USING cidr({arguments})");
        let message = message(db.execute_batch(&sql));
        assert!(message.contains(why), "{arguments}: {message}");
        assert!(!message.contains("drop the index"), "{message}");
        assert_eq!(
            one::<i64>(&db, "SELECT count(*) FROM sqlite_schema"),
            before
        );
    }
    db.execute_batch("CREATE VIRTUAL TABLE x USING cidr('good', \"a\")")
        .unwrap();
}

#[test]
fn an_attached_database_has_indexes_of_its_own() {
    let db = routes();
    db.execute_batch(
        "ATTACH ':memory:' AS \"other db\";
         CREATE TABLE \"other db\".routes(id INTEGER PRIMARY KEY, prefix TEXT);
         CREATE VIRTUAL TABLE \"other db\".route_ip USING cidr(routes, prefix);
         INSERT INTO \"other db\".routes VALUES (9, '10.1.0.0/16');",
    )
    .unwrap();
    assert_eq!(lab(&db, "route_ip"), [3, 6]);
    assert_eq!(
        ids(
            &db,
            &format!("SELECT rowid FROM \"other db\".route_ip WHERE {LAB}")
        ),
        [9]
    );
    assert_agrees(&db);
}

#[test]
fn shadow_tables_are_not_written_by_others_while_defensive_is_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = create(&path);
    db.execute_batch(super::ROUTES).unwrap();
    for sql in [
        "DELETE FROM route_ip_rows",
        "UPDATE route_ip_state SET value = 1",
        "DROP TABLE route_ip_rows",
        "CREATE TABLE routes_x(a); ALTER TABLE routes_x RENAME TO route_ip_source",
    ] {
        drop(db.execute_batch(sql).expect_err(sql));
    }
    assert_eq!(lab(&db, "route_ip"), [3, 6]);
    assert_agrees(&db);
}

/// As `.dump` writes a database, and its reader reads it.
#[test]
fn a_dump_that_is_read_back_has_a_true_index() {
    let db = routes();
    let copy = memory();
    copy.execute_batch("PRAGMA writable_schema=ON; BEGIN;")
        .unwrap();
    for row in values(
        &db,
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL
         ORDER BY type <> 'table', rowid",
    ) {
        let text = |at: usize| match &row[at] {
            rusqlite::types::Value::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let (kind, name, sql) = (text(0), text(1), text(2));
        if sql.starts_with("CREATE VIRTUAL TABLE") {
            copy.execute(
                "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?1, 0, ?2)",
                [&name, &sql],
            )
            .unwrap();
            continue;
        }
        copy.execute_batch(&sql).unwrap();
        if kind != "table" {
            continue;
        }
        for row in values(&db, &format!("SELECT * FROM {name}")) {
            let places = vec!["?"; row.len()].join(", ");
            copy.execute(
                &format!("INSERT INTO {name} VALUES ({places})"),
                rusqlite::params_from_iter(row),
            )
            .unwrap();
        }
    }
    copy.execute_batch("PRAGMA writable_schema=RESET; COMMIT;")
        .unwrap();
    assert_eq!(lab(&copy, "route_ip"), [3, 6]);
    copy.execute("DELETE FROM routes WHERE id = 3", []).unwrap();
    assert_eq!(lab(&copy, "route_ip"), [6]);
    assert_agrees(&copy);
}
