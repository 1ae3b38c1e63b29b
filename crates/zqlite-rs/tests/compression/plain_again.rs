//! A column that is compressed and made plain again leaves nothing behind.

use super::*;

#[test]
fn a_table_that_is_decompressed_is_the_table_that_it_was() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch(
            "CREATE TABLE \"my table\" (id INTEGER PRIMARY KEY AUTOINCREMENT,
               name TEXT NOT NULL COLLATE NOCASE UNIQUE, meta TEXT, extra BLOB, -- a remark
               n INTEGER NOT NULL DEFAULT 7, twice AS (n * 2));
             CREATE INDEX [by n] ON \"my table\"(n);
             CREATE UNIQUE INDEX u ON 'my table'(name, n) WHERE n > 3;
             CREATE VIEW names AS SELECT name FROM \"my table\";",
        )
        .unwrap_or_else(|error| panic!("{error}"));
    for n in 1..=300 {
        connection
            .execute(
                "INSERT INTO \"my table\"(name, meta, extra) VALUES ('n' || ?1, ?2, ?3)",
                (n, meta(n), meta(n + 1).into_bytes()),
            )
            .unwrap();
    }
    connection
        .execute_batch("DELETE FROM \"my table\" WHERE id > 290")
        .unwrap();
    let all = "SELECT * FROM \"my table\" ORDER BY id";
    let state = || {
        (
            schema(&connection),
            rows(&connection, all),
            rows(&connection, "SELECT * FROM sqlite_sequence"),
            rows(&connection, "SELECT * FROM names"),
        )
    };
    let before = state();
    compress(&connection, "my table", "meta").unwrap();
    compress(&connection, "my table", "extra").unwrap();
    let between = state();
    assert_eq!((&between.1, &between.3), (&before.1, &before.3));
    let listed = compression::columns(&connection).unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|c| (c.column.as_str(), c.version))
        .collect();
    assert_eq!(names, [("extra", 1), ("meta", 1)]);
    // AUTOINCREMENT goes on.
    connection
        .execute_batch("INSERT INTO \"my table\"(name) VALUES ('new'); DELETE FROM \"my table\" WHERE name = 'NEW' AND id = 301")
        .unwrap();
    decompress(&connection, "my table", "meta").unwrap();
    assert_eq!(rows(&connection, all), before.1);
    decompress(&connection, "my table", "extra").unwrap();
    let mut after = state();
    assert_eq!(
        after.2,
        [[Value::Text("my table".to_owned()), Value::Integer(301)]]
    );
    after.2.clone_from(&before.2);
    assert_eq!(after, before);
    support::assert_sound(&connection);
    assert_eq!(compression::columns(&connection).unwrap(), []);
}

#[test]
fn a_transaction_of_the_caller_takes_all_of_it_back() {
    let (_folder, connection) = guarded();
    peers(&connection, 100);
    let before = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    connection.execute_batch("BEGIN").unwrap();
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch("UPDATE peer SET meta = 'x' || meta; ROLLBACK")
        .unwrap();
    let after = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    assert_eq!(after, before);
    compress(&connection, "peer", "meta").unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before.1);
}

#[test]
fn values_that_are_left_out_take_their_default() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, meta TEXT NOT NULL DEFAULT '{}', n DEFAULT (1 + 1), s NOT NULL DEFAULT 'a''b')",
        )
        .unwrap();
    let mut options = Options::default();
    options.null_takes_default = true;
    compression::compress_column(&connection, "t", "meta", &options, &mut |_, _| true).unwrap();
    connection
        .execute_batch("INSERT INTO t(id) VALUES (1); INSERT INTO t DEFAULT VALUES; UPDATE t SET n = NULL WHERE id = 2")
        .unwrap();
    let read = rows(&connection, "SELECT meta, n, s FROM t ORDER BY id");
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(
        read,
        [
            [text("{}"), Value::Integer(2), text("a'b")],
            [text("{}"), Value::Null, text("a'b")]
        ]
    );
    let update = connection.execute_batch("UPDATE t SET s = NULL WHERE id = 1");
    assert!(update.is_err());
}

#[test]
fn constraints_hold_behind_the_view() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON; CREATE TABLE p(id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
             CREATE TABLE t(id INTEGER PRIMARY KEY, p REFERENCES p, n CHECK(n > 0), u UNIQUE, meta, twice AS (n * 2));
             INSERT INTO t VALUES (1, 1, 1, 1, 'm');",
        )
        .unwrap();
    compress(&connection, "t", "meta").unwrap();
    let refused = [
        "INSERT INTO t(p) VALUES (2)",
        "INSERT INTO t(n) VALUES (0)",
        "INSERT INTO t(u) VALUES (1)",
        "INSERT INTO t(id) VALUES (1)",
        "INSERT INTO t(id, twice) VALUES (9, 3)",
        "UPDATE t SET twice = 3",
        "UPDATE t SET p = 2",
        "DELETE FROM p",
        "INSERT INTO t(id, meta) VALUES (1, 'x') ON CONFLICT(id) DO UPDATE SET meta = 'y'",
    ];
    let before = rows(&connection, "SELECT * FROM t");
    for sql in refused {
        assert!(connection.execute_batch(sql).is_err(), "{sql}");
        assert_eq!(rows(&connection, "SELECT * FROM t"), before, "{sql}");
    }
    assert_eq!(refused.len(), 9);
    connection
        .execute_batch("INSERT OR IGNORE INTO t(u) VALUES (1); INSERT OR REPLACE INTO t(id, u, meta, n) VALUES (2, 1, 'new', 5)")
        .unwrap();
    let read = rows(&connection, "SELECT id, meta, twice FROM t");
    assert_eq!(
        read,
        [[
            Value::Integer(2),
            Value::Text("new".to_owned()),
            Value::Integer(10)
        ]]
    );
}
