//! What cannot stand behind a view is refused, with a word about why, and nothing has changed.

use super::*;

const CASES: [(&str, &str); 27] = [
    ("", "no such table"),
    ("CREATE VIEW t AS SELECT 1 AS meta", "not an ordinary table"),
    (
        "CREATE VIRTUAL TABLE t USING fts5(meta)",
        "not an ordinary table",
    ),
    ("CREATE TABLE t(id INTEGER PRIMARY KEY)", "no such column"),
    ("CREATE TABLE t(meta)", "no primary key"),
    (
        "CREATE TABLE t(id TEXT PRIMARY KEY, meta)",
        "no primary key",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta UNIQUE)",
        "UNIQUE",
    ),
    (
        "CREATE TABLE t(meta TEXT PRIMARY KEY) WITHOUT ROWID",
        "PRIMARY",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta COLLATE NOCASE)",
        "COLLATE",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta CHECK(json_valid(meta)))",
        "CHECK",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta, CHECK(length(meta) < 9))",
        "a constraint",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta, n AS (length(meta)))",
        "another column",
    ),
    (
        "CREATE TABLE u(id INTEGER PRIMARY KEY); CREATE TABLE t(id INTEGER PRIMARY KEY, meta REFERENCES u)",
        "REFERENCES",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta); CREATE INDEX i ON t(meta)",
        "the index i uses it",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta); CREATE INDEX i ON t(id) WHERE meta IS NULL",
        "the index i uses it",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta); CREATE INDEX i ON t(meta ->> 'x')",
        "the index i uses it",
    ),
    // A text literal is a column's name in these places.
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta); CREATE UNIQUE INDEX i ON t('meta')",
        "the index i uses it",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta, UNIQUE('meta'))",
        "index",
    ),
    (
        "CREATE TABLE t(meta, PRIMARY KEY('meta')) WITHOUT ROWID",
        "primary key",
    ),
    (
        "CREATE TABLE u(id INTEGER PRIMARY KEY); CREATE TABLE t(id INTEGER PRIMARY KEY, meta, FOREIGN KEY('meta') REFERENCES u)",
        "foreign key",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta, n, CHECK(t.n > 0))",
        "names the table",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta TEXT) STRICT",
        "STRICT",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta, d DEFAULT 1)",
        "column d has a default",
    ),
    (
        "CREATE TABLE t(a NOT NULL, meta, PRIMARY KEY(a COLLATE NOCASE))",
        "a collation of its own",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta); CREATE TABLE c(t REFERENCES T)",
        "table c has a foreign key",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
        "has a trigger, r",
    ),
    (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta); CREATE TABLE t_zqlite_rows(a)",
        "t_zqlite_rows is taken",
    ),
];

#[test]
fn whatever_would_see_compressed_values_or_get_lost_is_refused_and_named() {
    let mut ran = 0;
    for (sql, what) in CASES {
        let (_folder, connection) = guarded();
        connection.execute_batch(sql).unwrap();
        let before = schema(&connection);
        let error = compress(&connection, "t", "meta").unwrap_err();
        assert!(matches!(error, Error::Column { .. }), "{sql}: {error}");
        let said = error.to_string();
        assert!(
            said.starts_with("t.meta: ") && said.contains(what),
            "{sql}: {said}"
        );
        assert_eq!(schema(&connection), before, "{sql}");
        assert!(connection.is_autocommit());
        ran += 1;
    }
    assert_eq!(ran, 27);
}

#[test]
fn tables_of_every_other_kind_are_compressed() {
    let tables = [
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta)",
        "CREATE TABLE T(id INTEGER PRIMARY KEY AUTOINCREMENT, \"Meta\" TEXT NOT NULL DEFAULT '{}')",
        "CREATE TABLE t(a TEXT, b INT, meta JSON, PRIMARY KEY(a, b)) WITHOUT ROWID",
        "CREATE TABLE t(a TEXT NOT NULL COLLATE NOCASE PRIMARY KEY, meta)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta BLOB, other TEXT) STRICT",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, meta, twice AS (id * 2), kept AS (id + 1) STORED)",
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE t(id INTEGER PRIMARY KEY, p REFERENCES p, meta)",
        "CREATE TABLE [t](id INTEGER PRIMARY KEY, rowid, meta); CREATE UNIQUE INDEX i ON \"t\"(rowid)",
    ];
    for sql in tables {
        let (_folder, connection) = guarded();
        connection.execute_batch(sql).unwrap();
        let before = schema(&connection);
        compress(&connection, "t", "meta").unwrap();
        assert_ne!(schema(&connection), before);
        decompress(&connection, "t", "META").unwrap();
        assert_eq!(schema(&connection), before, "{sql}");
    }
    assert_eq!(tables.len(), 8);
}

#[test]
fn databases_of_another_encoding_are_refused() {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("PRAGMA encoding='UTF-16le'; CREATE TABLE t(id INTEGER PRIMARY KEY, meta)")
        .unwrap();
    let error = compress(&connection, "t", "meta").unwrap_err().to_string();
    assert!(error.contains("encoding is UTF-16le"), "{error}");
}

#[test]
fn options_out_of_range_are_refused() {
    let (_folder, connection) = guarded();
    peers(&connection, 1);
    let mut ran = 0;
    for (level, dictionary_len) in [(0, 0), (-1, 0), (20, 0), (3, (1 << 20) + 1)] {
        let mut options = Options::default();
        options.level = level;
        options.dictionary_len = dictionary_len;
        let outcome =
            compression::compress_column(&connection, "peer", "meta", &options, &mut |_, _| true);
        assert!(matches!(outcome, Err(Error::Column { .. })));
        ran += 1;
    }
    assert_eq!(ran, 4);
    assert!(compress(&connection, "peer", "meta").is_ok());
    let error = compress(&connection, "PEER", "Meta").unwrap_err();
    assert!(error.to_string().contains("compressed already"), "{error}");
}

#[test]
fn what_is_stopped_has_changed_nothing() {
    let (_folder, connection) = guarded();
    peers(&connection, 50);
    let before = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    let outcome = compression::compress_column(
        &connection,
        "peer",
        "meta",
        &Options::default(),
        &mut |_, _| false,
    );
    assert!(matches!(outcome, Err(Error::Interrupted)));
    let after = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    assert_eq!(before, after);
    assert!(connection.is_autocommit());
}

#[test]
fn a_trigger_of_somebody_else_on_the_view_is_not_lost() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, meta, more)")
        .unwrap();
    compress(&connection, "t", "meta").unwrap();
    connection
        .execute_batch("CREATE TRIGGER mine INSTEAD OF INSERT ON t BEGIN SELECT 1; END")
        .unwrap();
    for outcome in [
        compress(&connection, "t", "more").map(drop),
        decompress(&connection, "t", "meta").map(drop),
    ] {
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.contains("a trigger of somebody else, mine"),
            "{error}"
        );
    }
    connection.execute_batch("DROP TRIGGER mine").unwrap();
    compress(&connection, "t", "more").unwrap();
    decompress(&connection, "t", "meta").unwrap();
    decompress(&connection, "t", "more").unwrap();
}
