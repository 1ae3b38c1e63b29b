//! Indexes in transactions that go wrong, and writes that no trigger tells of.

use rusqlite::Connection;

use crate::cidr::{assert_agrees, ids, memory, message, routes};
use crate::support::{create, mode, one};

const LAB: &str = "SELECT rowid FROM route_ip WHERE longest_match = '10.1.2.3'";

#[test]
fn without_recursive_triggers_an_update_that_may_replace_rows_is_refused() {
    for kind in ["cidr(routes, prefix)", "bitmap(routes, prefix)"] {
        let db = memory();
        db.execute_batch(&format!(
            "CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT, via TEXT UNIQUE);
             INSERT INTO routes VALUES (1, '10.0.0.0/8', 'a'), (2, '10.1.0.0/16', 'b');
             CREATE VIRTUAL TABLE route_ip USING {kind};"
        ))
        .unwrap();
        let replace = "UPDATE OR REPLACE routes SET via = 'b' WHERE id = 1";
        // By itself, as the first of a transaction, and after another write.
        for (begin, end) in [
            ("", ""),
            ("BEGIN", "ROLLBACK"),
            (
                "BEGIN; UPDATE routes SET prefix = '11.0.0.0/8' WHERE id = 1",
                "ROLLBACK",
            ),
        ] {
            db.execute_batch(begin).unwrap();
            db.execute_batch("PRAGMA recursive_triggers=OFF").unwrap();
            drop(db.execute(replace, []).expect_err(replace));
            assert_eq!(ids(&db, "SELECT count(*) FROM routes"), [2]);
            db.execute_batch("PRAGMA recursive_triggers=ON").unwrap();
            db.execute_batch(end).unwrap();
            assert_agrees(&db);
        }
        db.execute(replace, []).unwrap();
        assert_eq!(ids(&db, "SELECT rowid FROM route_ip"), [1]);
        assert_agrees(&db);
    }
}

/// SQLite changes the setting when the PRAGMA is prepared; no statement is told.
#[test]
fn recursive_triggers_that_are_switched_off_without_a_step_are_missed_at_once() {
    for kind in ["cidr(routes, prefix)", "bitmap(routes, prefix)"] {
        let db = memory();
        db.execute_batch(&format!(
            "CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT, via TEXT UNIQUE);
             INSERT INTO routes VALUES (1, '10.0.0.0/8', 'a');
             CREATE VIRTUAL TABLE route_ip USING {kind};
             BEGIN; INSERT INTO routes VALUES (2, '10.1.0.0/16', 'b');"
        ))
        .unwrap();
        let replace = "REPLACE INTO routes VALUES (3, '10.2.0.0/16', 'a')";
        let explained = |to: &str| {
            let sql = format!("EXPLAIN PRAGMA recursive_triggers={to}");
            drop(db.prepare(&sql).unwrap());
        };
        explained("OFF");
        drop(db.execute(replace, []).expect_err(replace));
        explained("ON");
        db.execute(replace, []).unwrap();
        db.execute_batch("COMMIT").unwrap();
        assert_eq!(
            ids(&db, "SELECT rowid FROM route_ip ORDER BY rowid"),
            [2, 3]
        );
        assert_agrees(&db);
    }
}

#[test]
fn an_index_that_cannot_be_created_in_a_transaction_leaves_nothing_behind() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT);
         BEGIN; INSERT INTO routes VALUES (1, '10.0.0.0/8'), (2, 'no prefix');",
    )
    .unwrap();
    let create = "CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix)";
    assert!(message(db.execute_batch(create)).contains("row 2 cannot be indexed"));
    // Neither the file nor what SQLite remembers of it has the triggers.
    db.execute_batch("INSERT INTO routes VALUES (3, 'nor this')")
        .unwrap();
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM sqlite_schema"), 1);
    db.execute_batch("DELETE FROM routes WHERE id > 1; COMMIT")
        .unwrap();
    db.execute_batch(create).unwrap();
    assert_eq!(ids(&db, LAB), [1]);
    assert_agrees(&db);
}

#[test]
fn an_index_that_cannot_be_dropped_keeps_its_triggers() {
    for begin in ["", "BEGIN"] {
        let db = routes();
        db.execute_batch(begin).unwrap();
        {
            let mut statement = db.prepare("SELECT id FROM route_ip_rows").unwrap();
            let mut reading = statement.query([]).unwrap();
            assert!(reading.next().unwrap().is_some());
            assert!(message(db.execute_batch("DROP TABLE route_ip")).contains("locked"));
        }
        db.execute_batch("DELETE FROM routes WHERE id = 3").unwrap();
        assert_eq!(ids(&db, LAB), [6]);
        assert_agrees(&db);
        db.execute_batch("DROP TABLE route_ip").unwrap();
        assert_eq!(one::<i64>(&db, "SELECT count(*) FROM sqlite_schema"), 1);
    }
}

#[test]
fn a_drop_that_is_rolled_back_leaves_the_index_as_it_was() {
    for undo in ["ROLLBACK", "ROLLBACK TO a; COMMIT"] {
        let db = routes();
        db.execute_batch(
            "BEGIN; SAVEPOINT a; DELETE FROM routes WHERE id = 6; DROP TABLE route_ip",
        )
        .unwrap();
        db.execute_batch("DELETE FROM routes WHERE id = 3").unwrap();
        db.execute_batch(undo).unwrap();
        assert_eq!(ids(&db, LAB), [3, 6]);
        db.execute_batch("DELETE FROM routes WHERE id = 3").unwrap();
        assert_eq!(ids(&db, LAB), [6]);
        assert_agrees(&db);
    }
}

#[test]
fn an_index_that_cannot_be_rebuilt_stays_as_it_was() {
    let db = routes();
    // A row that the index would have refused.
    db.set_db_config(
        rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        false,
    )
    .unwrap();
    db.execute_batch("INSERT INTO routes VALUES (9, 'no prefix', '')")
        .unwrap();
    db.execute_batch("BEGIN").unwrap();
    let rebuild = "INSERT INTO route_ip(changed) VALUES ('all')";
    assert!(message(db.execute_batch(rebuild)).contains("row 9 cannot be indexed"));
    db.execute_batch("COMMIT").unwrap();
    assert_eq!(ids(&db, LAB), [3, 6]);
    db.execute_batch("DELETE FROM routes WHERE id = 9").unwrap();
    assert_agrees(&db);
}

fn checkpoint(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA wal_checkpoint", [], |row| row.get(0))
}

#[test]
fn a_checkpoint_right_after_the_switch_to_wal_is_not_locked_out() {
    let folder = tempfile::tempdir().unwrap();
    for (name, index) in [
        ("none", ""),
        ("cidr", "CREATE VIRTUAL TABLE x USING cidr(t, a)"),
        ("bitmap", "CREATE VIRTUAL TABLE x USING bitmap(t, a, b)"),
        ("timeseries", "CREATE VIRTUAL TABLE x USING timeseries"),
        ("rtree", "CREATE VIRTUAL TABLE x USING rtree(id, a, b)"),
        ("fts5", "CREATE VIRTUAL TABLE x USING fts5(a)"),
    ] {
        for asked in [false, true] {
            let path = folder.path().join(format!("{name}{asked}.db"));
            let db = create(&path);
            db.execute_batch(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b);
                 INSERT INTO t VALUES (1, '10.0.0.0/8', 1);",
            )
            .unwrap();
            db.execute_batch(index).unwrap();
            if asked && !index.is_empty() {
                assert!(ids(&db, "SELECT rowid FROM x").len() < 2);
            }
            mode(&db, "WAL");
            assert_eq!(checkpoint(&db).unwrap(), 0, "{name} {asked}");
            db.execute_batch("DELETE FROM t").unwrap();
            assert_eq!(checkpoint(&db).unwrap(), 0, "{name} {asked}");
        }
    }
}

#[test]
fn a_trigger_that_ignores_what_follows_it_is_named_by_the_integrity_check() {
    let db = routes();
    db.execute_batch(
        "CREATE TRIGGER quiet AFTER INSERT ON routes BEGIN SELECT RAISE(IGNORE); END;
         INSERT INTO routes VALUES (9, '10.1.2.0/24', '');",
    )
    .unwrap();
    assert_eq!(ids(&db, LAB), [3, 6]);
    let found: String = one(&db, "PRAGMA integrity_check");
    assert!(found.contains("row 9 has 10.1.2.0/24"), "{found}");
    db.execute_batch("INSERT INTO route_ip(changed) VALUES ('all')")
        .unwrap();
    assert_eq!(ids(&db, LAB), [9]);
    assert_agrees(&db);
}
