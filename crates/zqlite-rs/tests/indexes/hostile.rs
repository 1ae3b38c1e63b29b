//! Schemas and shadow tables that somebody made who holds a key.

use rusqlite::Connection;
use rusqlite::ffi::SQLITE_CORRUPT_VTAB;

use crate::cidr::{ids, memory, message, routes, try_ids};
use crate::support::{code, create, one, open};

/// Another statement in the place of one in the schema.
fn rewrite(db: &Connection, name: &str, sql: &str) {
    db.execute_batch("PRAGMA writable_schema=ON").unwrap();
    let changed = db
        .execute(
            "UPDATE sqlite_schema SET sql = ?2 WHERE name = ?1",
            [name, sql],
        )
        .unwrap();
    assert_eq!(changed, 1);
    db.execute_batch("PRAGMA writable_schema=RESET").unwrap();
}

#[test]
fn a_view_that_leads_back_to_its_index_is_an_error_and_no_end_of_the_process() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
         INSERT INTO t VALUES (1, '10.0.0.0/8');
         CREATE VIRTUAL TABLE b USING bitmap(t, a);
         CREATE VIRTUAL TABLE c USING cidr(t, a);",
    )
    .unwrap();
    rewrite(
        &db,
        "b_source",
        "CREATE VIEW \"b_source\" AS SELECT rowid AS id, a AS v1 FROM b",
    );
    rewrite(
        &db,
        "c_source",
        "CREATE VIEW \"c_source\" AS SELECT rowid AS id, a AS v1 FROM b",
    );
    assert!(message(try_ids(&db, "SELECT a FROM b")).contains("lead back"));
    for sql in [
        "UPDATE t SET a = '11.0.0.0/8'",
        "INSERT INTO c(changed) VALUES ('all')",
    ] {
        assert!(
            message(db.execute_batch(sql)).contains("lead back"),
            "{sql}"
        );
    }
    let report: String = one(&db, "PRAGMA integrity_check(1)");
    assert!(report.contains("lead back"), "{report}");
    // What does not go there is answered.
    assert_eq!(ids(&db, "SELECT count FROM b WHERE a = '10.0.0.0/8'"), [1]);
}

#[test]
fn a_trigger_on_a_shadow_table_that_leads_back_is_an_error() {
    let db = routes();
    db.execute_batch(
        "CREATE TRIGGER evil AFTER INSERT ON route_ip_rows BEGIN
           INSERT INTO routes(prefix) VALUES ('11.0.0.0/8');
         END;",
    )
    .unwrap();
    let refused = db.execute("INSERT INTO routes(prefix) VALUES ('12.0.0.0/8')", []);
    assert!(message(refused).contains("lead back"));
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM routes"), 6);
    db.execute_batch("DROP TRIGGER evil").unwrap();
    db.execute("INSERT INTO routes(prefix) VALUES ('12.0.0.0/8')", [])
        .unwrap();
    crate::cidr::assert_agrees(&db);
}

#[test]
fn affinities_that_are_not_those_of_the_table_are_damage() {
    for (sql, answer, report) in [
        (
            "UPDATE x_state SET value = 'text' WHERE id = 3",
            false,
            "other affinities",
        ),
        (
            "UPDATE x_state SET value = 7 WHERE id = 3",
            false,
            "other affinities",
        ),
        (
            "DELETE FROM x_state WHERE id = 3",
            false,
            "other affinities",
        ),
        (
            "UPDATE x_state SET value = 1 WHERE id = 3",
            true,
            "other affinities",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let db = create(&path);
        db.execute_batch(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER);
             INSERT INTO t VALUES (1, 5);
             CREATE VIRTUAL TABLE x USING bitmap(t, n);",
        )
        .unwrap();
        assert_eq!(ids(&db, "SELECT rowid FROM x WHERE n = '5'"), [1]);
        drop(db);
        let bare = crate::support::builder(&path)
            .allow_schema_writes()
            .open()
            .unwrap();
        bare.execute_batch(sql).unwrap();
        drop(bare);
        let db = open(&path);
        let asked = try_ids(&db, "SELECT rowid FROM x WHERE n = 5");
        if answer {
            drop(asked.unwrap());
        } else {
            assert_eq!(code(asked), SQLITE_CORRUPT_VTAB, "{sql}");
        }
        let found: String = one(&db, "PRAGMA integrity_check(1)");
        assert!(found.contains(report), "{sql}: {found}");
        db.execute_batch("DROP TABLE x").unwrap();
        assert_eq!(one::<i64>(&db, "SELECT count(*) FROM sqlite_schema"), 1);
    }
}

#[test]
fn an_index_that_is_locked_when_it_is_connected_is_read_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = create(&path);
    crate::support::mode(&db, "DELETE");
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER);
         INSERT INTO t VALUES (1, 5);
         CREATE VIRTUAL TABLE x USING bitmap(t, n);",
    )
    .unwrap();
    let other = open(&path);
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    // It knows the schema, but has not used the index.
    assert_eq!(ids(&other, "SELECT count(*) FROM t"), [1]);
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let asked = "SELECT rowid FROM x WHERE n = '5'";
    let refused = code(try_ids(&other, asked));
    assert_eq!(refused & 0xff, rusqlite::ffi::SQLITE_BUSY);
    db.execute_batch("COMMIT").unwrap();
    assert_eq!(ids(&other, asked), [1]);
}

#[test]
fn a_later_format_is_not_written_even_by_a_statement_that_fails() {
    let db = routes();
    db.execute_batch(
        "UPDATE route_ip_state SET value = 2 WHERE id = 1;
         DELETE FROM route_ip_rows WHERE id = 3;
         BEGIN;",
    )
    .unwrap();
    for changed in ["3", "'all'"] {
        let write = format!("INSERT INTO route_ip(changed) VALUES ({changed})");
        assert!(message(db.execute_batch(&write)).contains("format 2 is not supported"));
    }
    db.execute_batch("COMMIT").unwrap();
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM route_ip_rows"), 4);
}

#[test]
fn what_is_read_while_the_connection_writes_is_no_damage() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50)
         INSERT INTO t SELECT x, 'a' FROM n;
         CREATE VIRTUAL TABLE x USING bitmap(t, a);",
    )
    .unwrap();
    let mut statement = db.prepare("SELECT rowid, a FROM x WHERE a = 'a'").unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut seen = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let id: i64 = row.get(0).unwrap();
        assert_eq!(row.get::<_, String>(1).unwrap(), "a");
        // The two that follow.
        db.execute("DELETE FROM t WHERE id IN (?1 + 1, ?1 + 2)", [id])
            .unwrap();
        seen.push(id);
    }
    assert_eq!(seen, (0..17).map(|n| 1 + 3 * n).collect::<Vec<_>>());
}
