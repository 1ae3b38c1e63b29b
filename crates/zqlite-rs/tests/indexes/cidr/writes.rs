//! Writes to the table, and what refuses them.

use rusqlite::Connection;

use super::{assert_agrees, ids, memory, message, routes};
use crate::support::{code, create, mode, one, open};

fn covering(db: &Connection) -> Vec<i64> {
    ids(db, "SELECT rowid FROM route_ip WHERE covers = '10.1.2.3'")
}

#[test]
fn every_kind_of_write_reaches_the_index() {
    let db = routes();
    db.execute_batch("CREATE UNIQUE INDEX one_via ON routes(via);")
        .unwrap();
    for (sql, found) in [
        (
            "INSERT INTO routes VALUES (7, '10.1.2.0/24', 'a')",
            &[7, 3, 6, 2, 1][..],
        ),
        (
            "UPDATE routes SET prefix = '11.0.0.0/8' WHERE id = 7",
            &[3, 6, 2, 1],
        ),
        ("UPDATE routes SET id = 10 WHERE id = 3", &[6, 10, 2, 1]),
        (
            "UPDATE routes SET _rowid_ = 3, prefix = '10.1.2.3' WHERE id = 10",
            &[3, 6, 2, 1],
        ),
        ("UPDATE routes SET prefix = NULL WHERE id = 6", &[3, 2, 1]),
        ("UPDATE routes SET via = 'x' WHERE id = 3", &[3, 2, 1]),
        // Row 3 has the same `via`, and goes.
        (
            "INSERT OR REPLACE INTO routes VALUES (8, '10.0.0.0/9', 'x')",
            &[8, 2, 1],
        ),
        (
            "REPLACE INTO routes VALUES (8, '10.0.0.0/10', 'y')",
            &[8, 2, 1],
        ),
        (
            "UPDATE OR REPLACE routes SET via = 'office' WHERE id = 8",
            &[8, 1],
        ),
        (
            "INSERT INTO routes VALUES (8, '', 'z') ON CONFLICT(id) DO UPDATE SET prefix = '10.1.0.0/16'",
            &[8, 1],
        ),
        (
            "INSERT OR IGNORE INTO routes VALUES (8, '10.1.2.3', 'z')",
            &[8, 1],
        ),
        (
            "INSERT INTO routes SELECT id + 100, prefix, id FROM routes",
            &[8, 108, 1, 101],
        ),
        ("DELETE FROM routes WHERE id > 100", &[8, 1]),
        (
            "DELETE FROM routes WHERE id IN (SELECT rowid FROM route_ip WHERE covers = '10.0.0.0/8')",
            &[8],
        ),
        ("DELETE FROM routes", &[]),
    ] {
        db.execute_batch(sql).unwrap();
        assert_eq!(covering(&db), found, "{sql}");
        assert_agrees(&db);
    }
}

#[test]
fn a_row_that_cannot_be_indexed_is_not_written() {
    let db = routes();
    for statement in [
        "INSERT INTO routes VALUES (7, '10.1.2.0/24', ''), (8, '10.1.2.0/8', '')",
        "INSERT OR IGNORE INTO routes VALUES (7, '10.1.2.0/24', ''), (8, '10.1.2.0/8', '')",
        "INSERT OR FAIL INTO routes VALUES (7, '10.1.2.0/24', ''), (8, '10.1.2.0/8', '')",
        "REPLACE INTO routes VALUES (3, '10.1.2.0/24', ''), (2, 'x', '')",
        "UPDATE OR IGNORE routes SET prefix = prefix || '1'",
        "UPDATE routes SET prefix = x'00' WHERE id = 2",
    ] {
        let refused = db.execute_batch(statement);
        assert_eq!(code(refused), rusqlite::ffi::SQLITE_MISMATCH, "{statement}");
        assert_eq!(one::<i64>(&db, "SELECT count(*) FROM routes"), 6);
        assert_eq!(covering(&db), [3, 6, 2, 1], "{statement}");
        assert_agrees(&db);
    }
    let refused = db.execute(
        "INSERT INTO routes(id, prefix) VALUES (8, '10.1.2.0/8')",
        [],
    );
    assert!(
        message(refused)
            .contains("row 8 cannot be indexed: bits after the prefix length are set: 10.1.2.0/8")
    );
}

#[test]
fn the_order_of_triggers_does_not_matter() {
    let before = "CREATE TRIGGER a_before AFTER INSERT ON routes WHEN new.via = 'twice' BEGIN
           UPDATE routes SET prefix = '10.1.2.3' WHERE id = new.id;
           DELETE FROM routes WHERE via = 'old';
         END;
         CREATE TRIGGER a_delete AFTER DELETE ON routes WHEN old.via = 'back' BEGIN
           INSERT INTO routes VALUES (old.id, '10.1.2.0/24', 'again');
         END;";
    let index = "CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix);";
    for schema in [[before, index], [index, before]] {
        let db = memory();
        db.execute_batch("CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT, via TEXT)")
            .unwrap();
        db.execute_batch(&schema.concat()).unwrap();
        db.execute_batch(
            "INSERT INTO routes VALUES (1, '10.0.0.0/8', 'old');
             INSERT INTO routes VALUES (2, '11.0.0.0/8', 'twice');",
        )
        .unwrap();
        assert_eq!(covering(&db), [2]);
        db.execute_batch(
            "INSERT INTO routes VALUES (3, '12.0.0.0/8', 'back'); DELETE FROM routes WHERE id = 3;",
        )
        .unwrap();
        assert_eq!(covering(&db), [2, 3]);
        assert_agrees(&db);
    }
}

#[test]
fn foreign_keys_that_cascade_reach_the_index() {
    let db = memory();
    db.execute_batch(
        "PRAGMA foreign_keys=ON;
         CREATE TABLE peers(id INTEGER PRIMARY KEY);
         CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT, peer REFERENCES peers ON DELETE CASCADE);
         CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix);
         INSERT INTO peers VALUES (1), (2);
         INSERT INTO routes VALUES (1, '10.0.0.0/8', 1), (2, '10.1.0.0/16', 2), (3, '10.1.2.0/24', 2);
         DELETE FROM peers WHERE id = 2;",
    )
    .unwrap();
    assert_eq!(covering(&db), [1]);
    assert_agrees(&db);
}

#[test]
fn without_recursive_triggers_the_table_is_not_written() {
    let db = routes();
    let writes = [
        "REPLACE INTO routes VALUES (3, '10.1.2.0/24', '')",
        "INSERT INTO routes VALUES (9, '10.1.2.0/24', '')",
        "UPDATE routes SET prefix = NULL WHERE id = 3",
        "DELETE FROM routes WHERE id = 3",
    ];
    for begin in [
        "",
        "BEGIN; INSERT INTO routes VALUES (8, '11.0.0.0/8', '');",
    ] {
        db.execute_batch(begin).unwrap();
        db.execute_batch("PRAGMA recursive_triggers=OFF").unwrap();
        for write in writes {
            let message = message(db.execute_batch(write));
            // Within a transaction it is a savepoint that is refused, and SQLite drops the words.
            assert!(
                message.contains("without PRAGMA recursive_triggers=ON") || !begin.is_empty(),
                "{write}: {message}"
            );
        }
        // What the index does not hold could be an UPDATE that replaces other rows.
        drop(
            db.execute("UPDATE routes SET via = 'x' WHERE id = 3", [])
                .unwrap_err(),
        );
        assert_eq!(covering(&db), [3, 6, 2, 1]);
        db.execute_batch("PRAGMA recursive_triggers=ON").unwrap();
        for write in writes {
            db.execute_batch(&format!("SAVEPOINT a; {write}; ROLLBACK TO a; RELEASE a"))
                .unwrap();
        }
    }
    db.execute_batch("COMMIT").unwrap();
    assert_agrees(&db);
}

#[test]
fn a_program_that_does_not_know_the_module_cannot_write_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.db");
    let db = Connection::open(&path).unwrap();
    zqlite::index::register(&db).unwrap();
    db.execute_batch(super::ROUTES).unwrap();
    let other = Connection::open(&path).unwrap();
    let refused = other.execute("DELETE FROM routes WHERE id = 3", []);
    assert!(message(refused).contains("no such module: cidr"));
    assert_eq!(ids(&other, "SELECT count(*) FROM routes"), [6]);
    assert_eq!(covering(&db), [3, 6, 2, 1]);
}

#[test]
fn the_index_itself_is_written_by_nobody() {
    let db = routes();
    for sql in [
        "INSERT INTO route_ip(rowid, prefix) VALUES (9, '10.0.0.0/8')",
        "INSERT INTO route_ip(prefix) VALUES ('10.0.0.0/8')",
        "INSERT INTO route_ip(changed) VALUES ('none')",
        "INSERT INTO route_ip(changed, prefix) VALUES (1, '10.0.0.0/8')",
        "DELETE FROM route_ip WHERE rowid = 1",
    ] {
        let message = message(db.execute_batch(sql));
        assert!(
            message.contains("is an index: write to its table"),
            "{sql}: {message}"
        );
    }
    // It fails before it comes to writing: the columns that ask have no value.
    drop(
        db.execute("UPDATE route_ip SET length = 3 WHERE rowid = 1", [])
            .unwrap_err(),
    );
    // What the triggers say is true, or does nothing.
    db.execute_batch("INSERT INTO route_ip(changed) VALUES (1), (4), (77)")
        .unwrap();
    assert_eq!(covering(&db), [3, 6, 2, 1]);
    assert_agrees(&db);
}

#[test]
fn a_transaction_sees_its_own_writes_and_a_rollback_undoes_them() {
    let db = routes();
    // Loads the prefixes.
    for _ in 0..100 {
        assert_eq!(covering(&db), [3, 6, 2, 1]);
    }
    db.execute_batch("BEGIN; DELETE FROM routes WHERE id = 3")
        .unwrap();
    assert_eq!(covering(&db), [6, 2, 1]);
    db.execute_batch("SAVEPOINT a; DELETE FROM routes WHERE id = 2")
        .unwrap();
    assert_eq!(covering(&db), [6, 1]);
    db.execute_batch("SAVEPOINT b; INSERT INTO routes VALUES (9, '10.1.2.0/24', '')")
        .unwrap();
    assert_eq!(covering(&db), [9, 6, 1]);
    db.execute_batch("ROLLBACK TO a").unwrap();
    assert_eq!(covering(&db), [6, 2, 1]);
    db.execute_batch("RELEASE a; ROLLBACK").unwrap();
    assert_eq!(covering(&db), [3, 6, 2, 1]);
    db.execute_batch("BEGIN; DELETE FROM routes WHERE id = 3; COMMIT")
        .unwrap();
    assert_eq!(covering(&db), [6, 2, 1]);
    assert_agrees(&db);
}

#[test]
fn what_another_connection_commits_is_seen_and_a_snapshot_stays() {
    let folder = tempfile::tempdir().unwrap();
    for journal in ["WAL", "DELETE"] {
        let path = folder.path().join(journal);
        let db = create(&path);
        mode(&db, journal);
        db.execute_batch(super::ROUTES).unwrap();
        let other = open(&path);
        for db in [&db, &other] {
            for _ in 0..100 {
                assert_eq!(covering(db), [3, 6, 2, 1]);
            }
        }
        other
            .execute("DELETE FROM routes WHERE id = 3", [])
            .unwrap();
        assert_eq!(covering(&db), [6, 2, 1]);
        if journal == "WAL" {
            db.execute_batch("BEGIN").unwrap();
            assert_eq!(covering(&db), [6, 2, 1]);
            other
                .execute("DELETE FROM routes WHERE id = 6", [])
                .unwrap();
            assert_eq!(covering(&db), [6, 2, 1]);
            db.execute_batch("COMMIT").unwrap();
            assert_eq!(covering(&db), [2, 1]);
        }
        // Schema changes of another.
        other.execute_batch("DROP TABLE routes").unwrap();
        let asked = "SELECT rowid FROM route_ip WHERE covers = '10.1.2.3'";
        assert!(message(super::try_ids(&db, asked)).contains("not bound"));
    }
}
