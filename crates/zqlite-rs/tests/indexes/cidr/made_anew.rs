//! Tables that become others behind their index: it says so, and what to do.

use rusqlite::Connection;

use crate::cidr::{assert_agrees, ids, memory, message, try_ids};
use crate::support::one;

const TABLES: &str = "
    CREATE TABLE net(id INTEGER PRIMARY KEY, prefix TEXT, os TEXT, more);
    INSERT INTO net VALUES (1, '10.0.0.0/8', 'a', 1), (2, '10.1.0.0/16', 'b', 2);
    CREATE VIRTUAL TABLE tags USING bitmap(net, os);
    CREATE VIRTUAL TABLE ip USING cidr(net, prefix);";

fn tables(legacy: bool) -> Connection {
    let db = memory();
    db.execute_batch(TABLES).unwrap();
    db.pragma_update(None, "legacy_alter_table", legacy)
        .unwrap();
    db
}

const QUERIES: [&str; 4] = [
    "SELECT rowid FROM tags WHERE os = 'a'",
    "SELECT count FROM tags",
    "SELECT rowid FROM ip WHERE covers = '10.1.2.3'",
    "SELECT rowid FROM ip",
];

fn assert_fails_until_created_again(db: &Connection, what: &str) {
    for sql in QUERIES {
        let said = message(try_ids(db, sql));
        assert!(
            said.contains("drop the index, and create it again"),
            "{what}: {said}"
        );
    }
    for sql in [
        "INSERT INTO tags(changed) VALUES ('all')",
        "INSERT INTO ip(changed) VALUES ('all')",
        // It would be bound to whatever has the table's name now.
        "ALTER TABLE tags RENAME TO other",
        "ALTER TABLE ip RENAME TO other",
    ] {
        let said = message(db.execute_batch(sql));
        // SQLite looks first, unless it is told to be as it once was.
        let known = said.contains("drop the index") || said.contains("error in view");
        assert!(known, "{what}: {sql}: {said}");
    }
    let found: String = one(
        db,
        "SELECT group_concat(integrity_check) FROM pragma_integrity_check",
    );
    for index in ["tags", "ip"] {
        assert!(
            found.contains(&format!("index {index}: it is not bound")),
            "{what}: {found}"
        );
    }
    db.execute_batch("DROP TABLE tags; DROP TABLE ip").unwrap();
    let left = "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'tags*' OR name GLOB 'ip*'";
    assert_eq!(ids(db, left), [0], "{what}");
    assert_agrees(db);
}

const ANEW: &str = "CREATE TABLE net(id INTEGER PRIMARY KEY, prefix TEXT, os TEXT, more);
    INSERT INTO net VALUES (7, '10.1.2.0/24', 'a', 1);";

#[test]
fn an_index_of_a_table_that_became_another_fails_until_it_is_created_again() {
    let mut cases = 0;
    for legacy in [false, true] {
        for change in [
            "DROP TABLE net;",
            // The new table has the name, and the old one the triggers, or nobody has.
            "ALTER TABLE net RENAME TO old;",
            "ALTER TABLE net RENAME TO old; DROP TABLE old;",
        ] {
            if !legacy && change.ends_with("TO old;") {
                continue;
            }
            let db = tables(legacy);
            db.execute_batch(&format!("{change} {ANEW}")).unwrap();
            assert_fails_until_created_again(&db, &format!("{legacy}: {change}"));
            db.execute_batch(
                "CREATE VIRTUAL TABLE tags USING bitmap(net, os); CREATE VIRTUAL TABLE ip USING cidr(net, prefix);",
            )
            .unwrap();
            assert_eq!(ids(&db, QUERIES[0]), [7]);
            assert_eq!(ids(&db, QUERIES[2]), [7]);
            assert_agrees(&db);
            cases += 1;
        }
    }
    assert_eq!(cases, 5);
}

#[test]
fn a_table_that_is_renamed_beside_its_view_keeps_its_index_once_it_is_renamed_back() {
    let db = tables(true);
    db.execute_batch("ALTER TABLE net RENAME TO other").unwrap();
    for sql in QUERIES {
        assert!(
            message(try_ids(&db, sql)).contains("drop the index"),
            "{sql}"
        );
    }
    let written = db.execute_batch("INSERT INTO other VALUES (7, '10.1.2.0/24', 'a', 1)");
    assert!(message(written).contains("drop the index"));
    db.execute_batch(
        "ALTER TABLE other RENAME TO net; INSERT INTO net VALUES (7, '10.1.2.0/24', 'a', 1)",
    )
    .unwrap();
    assert_eq!(ids(&db, QUERIES[0]), [1, 7]);
    assert_eq!(ids(&db, QUERIES[2]), [7, 2, 1]);
    assert_agrees(&db);
}

#[test]
fn a_column_that_is_dropped_in_spite_of_its_index_stops_writes_and_says_why() {
    let db = tables(true);
    db.execute_batch("ALTER TABLE net DROP COLUMN os").unwrap();
    for sql in [
        "INSERT INTO net VALUES (7, '10.1.2.0/24', 1)",
        "DELETE FROM net",
        "INSERT INTO tags(changed) VALUES ('all')",
    ] {
        let said = message(db.execute_batch(sql));
        assert!(
            said.contains("drop the index tags, and create it again"),
            "{sql}: {said}"
        );
    }
    // Nothing was written since: what the sets say is still so.
    assert_eq!(ids(&db, "SELECT count(*) FROM net"), [2]);
    assert_eq!(ids(&db, QUERIES[1]), [2]);
    db.execute_batch("DROP TABLE tags; INSERT INTO net VALUES (7, '10.1.2.0/24', 1)")
        .unwrap();
    assert_eq!(ids(&db, QUERIES[2]), [7, 2, 1]);
    assert_agrees(&db);
}

#[test]
fn every_other_change_of_the_table_leaves_the_index_true_or_is_refused() {
    for legacy in [false, true] {
        for change in [
            "ALTER TABLE net RENAME COLUMN os TO system",
            "ALTER TABLE net RENAME COLUMN id TO \"the key\"",
            "ALTER TABLE net DROP COLUMN more; ALTER TABLE net ADD COLUMN last DEFAULT 5",
            "ALTER TABLE net ADD COLUMN last AS (os || more)",
        ] {
            let db = tables(legacy);
            db.execute_batch(&format!(
                "{change}; INSERT INTO net SELECT 7, '10.1.2.0/24', 'a', 1; DELETE FROM net WHERE prefix = '10.0.0.0/8'"
            ))
            .unwrap();
            assert_eq!(ids(&db, QUERIES[0]), [7], "{change}");
            assert_eq!(ids(&db, QUERIES[2]), [7, 2], "{change}");
            assert_agrees(&db);
        }
        for change in [
            "ALTER TABLE tags ADD COLUMN x",
            "ALTER TABLE tags DROP COLUMN os",
            "ALTER TABLE tags RENAME COLUMN os TO system",
            "ALTER TABLE tags_source RENAME TO x",
        ] {
            let db = tables(legacy);
            drop(db.execute_batch(change).expect_err(change));
            assert_eq!(ids(&db, QUERIES[0]), [1], "{change}");
            assert_agrees(&db);
        }
    }
}
