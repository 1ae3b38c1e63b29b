//! What happens to a compressed table when somebody changes the schema around it.

use super::*;

const TABLE: &str = "CREATE TABLE peer(id INTEGER PRIMARY KEY, meta TEXT, more TEXT)";

/// A table with two columns that are much alike.
fn filled(sql: &str) -> (tempfile::TempDir, Connection) {
    let (folder, connection) = guarded();
    connection.execute_batch(sql).unwrap();
    for n in 0..300 {
        let insert = "INSERT INTO peer(id, meta, more) VALUES (?1, ?2, ?3)";
        connection
            .execute(insert, (n, meta(n), meta(n + 1)))
            .unwrap();
    }
    (folder, connection)
}

#[test]
fn a_column_that_was_renamed_behind_the_view_is_not_decompressed_into_rubbish() {
    let (_folder, connection) = filled(TABLE);
    let before = rows(&connection, "SELECT * FROM peer");
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch("ALTER TABLE peer_zqlite_rows RENAME COLUMN meta TO data")
        .unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    let all = &mut |_, _| true;
    let outcomes = [
        decompress(&connection, "peer", "meta").map(drop),
        compress(&connection, "peer", "more").map(drop),
        compression::retrain(&connection, "peer", "meta", &Options::default()).map(drop),
        compression::recompress(&connection, "peer", "meta", 100, all).map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Column { .. }), "{error}");
        assert!(error.to_string().contains("no such column"), "{error}");
    }
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    connection
        .execute_batch("ALTER TABLE peer_zqlite_rows RENAME COLUMN data TO meta")
        .unwrap();
    decompress(&connection, "peer", "meta").unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    let typed: i64 = support::one(
        &connection,
        "SELECT count(*) FROM peer WHERE typeof(meta) = 'text'",
    );
    assert_eq!(typed, 300);
}

#[test]
fn a_table_behind_the_view_that_was_renamed_is_found_again_under_its_name_only() {
    let (_folder, connection) = filled(TABLE);
    let before = rows(&connection, "SELECT * FROM peer");
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch("ALTER TABLE peer_zqlite_rows RENAME TO elsewhere")
        .unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    for outcome in [
        decompress(&connection, "peer", "meta").map(drop),
        compress(&connection, "peer", "more").map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::Column { .. })));
    }
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    connection
        .execute_batch("ALTER TABLE elsewhere RENAME TO peer_zqlite_rows")
        .unwrap();
    decompress(&connection, "peer", "meta").unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
}

#[test]
fn a_view_that_was_dropped_keeps_nobody_from_decompressing() {
    let (_folder, connection) = filled(TABLE);
    let before = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    compress(&connection, "peer", "meta").unwrap();
    connection.execute_batch("DROP VIEW peer").unwrap();
    decompress(&connection, "peer", "meta").unwrap();
    let after = (schema(&connection), rows(&connection, "SELECT * FROM peer"));
    assert_eq!(after, before);
}

#[test]
fn a_table_that_was_dropped_and_made_anew_is_compressed_again() {
    let (_folder, connection) = filled(TABLE);
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch(&format!(
            "DROP VIEW peer; DROP TABLE peer_zqlite_rows; {TABLE}"
        ))
        .unwrap();
    for n in 0..300 {
        let insert = "INSERT INTO peer(meta) VALUES (?1)";
        connection.execute(insert, [meta(n)]).unwrap();
    }
    let before = rows(&connection, "SELECT * FROM peer");
    compress(&connection, "peer", "meta").unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    decompress(&connection, "peer", "meta").unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    let left: i64 = support::one(
        &connection,
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'zqlite%'",
    );
    assert_eq!(left, 0);
}

#[test]
fn a_column_that_is_added_behind_the_view_is_kept() {
    let (_folder, connection) = filled(TABLE);
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch(
            "ALTER TABLE peer_zqlite_rows ADD COLUMN note TEXT DEFAULT 'none';
             UPDATE peer_zqlite_rows SET note = NULL WHERE id = 7",
        )
        .unwrap();
    // The view that would be made now cannot tell NULL from a value that is left out.
    let error = compress(&connection, "peer", "more").unwrap_err();
    assert!(
        error.to_string().contains("column note has a default"),
        "{error}"
    );
    let mut options = Options::default();
    options.null_takes_default = true;
    compression::compress_column(&connection, "peer", "more", &options, &mut |_, _| true).unwrap();
    decompress(&connection, "peer", "meta").unwrap();
    decompress(&connection, "peer", "more").unwrap();
    let notes = rows(&connection, "SELECT note, count(*) FROM peer GROUP BY note");
    assert_eq!(
        notes,
        [
            [Value::Null, Value::Integer(1)],
            [Value::Text("none".to_owned()), Value::Integer(299)]
        ]
    );
}

#[test]
fn a_trigger_of_somebody_else_is_found_however_it_spells_the_view() {
    let (_folder, connection) = filled(TABLE);
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch("CREATE TRIGGER mine INSTEAD OF INSERT ON PEER BEGIN SELECT 1; END")
        .unwrap();
    for outcome in [
        compress(&connection, "peer", "more").map(drop),
        decompress(&connection, "peer", "meta").map(drop),
    ] {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("somebody else, mine"), "{error}");
    }
}

#[test]
fn an_index_that_decompresses_is_not_left_on_a_plain_table() {
    let (_folder, connection) = filled(TABLE);
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch("CREATE INDEX by_os ON peer_zqlite_rows(zqlite_decompress(meta) ->> 'os')")
        .unwrap();
    // It goes through VACUUM and a retraining.
    connection
        .execute_batch("VACUUM; REINDEX; ANALYZE")
        .unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    compression::recompress(&connection, "peer", "meta", 50, &mut |_, _| true).unwrap();
    support::assert_sound(&connection);
    let error = decompress(&connection, "peer", "meta").unwrap_err();
    assert!(
        error.to_string().contains("the index by_os uses it"),
        "{error}"
    );
    connection.execute_batch("DROP INDEX by_os").unwrap();
    decompress(&connection, "peer", "meta").unwrap();
    support::assert_sound(&connection);
}

#[test]
fn a_strict_column_refuses_through_the_view_what_the_table_refused() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, meta BLOB, any ANY) STRICT")
        .unwrap();
    compress(&connection, "t", "meta").unwrap();
    compress(&connection, "t", "any").unwrap();
    connection
        .execute("INSERT INTO t VALUES (1, CAST(?1 AS BLOB), ?1)", [meta(1)])
        .unwrap();
    for sql in [
        "INSERT INTO t(id, meta) VALUES (2, ?1)",
        "UPDATE t SET meta = ?1",
        "INSERT INTO t(id, meta) VALUES (2, substr(?1, 1, 3))",
        "INSERT INTO t(id, meta) VALUES (2, length(?1))",
    ] {
        let error = connection.execute(sql, [meta(2)]).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("value in BLOB column"), "{sql}: {said}");
    }
    let before = rows(&connection, "SELECT * FROM t");
    assert_eq!(before[0][1], Value::Blob(meta(1).into_bytes()));
    decompress(&connection, "t", "meta").unwrap();
    decompress(&connection, "t", "any").unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM t"), before);
}

#[test]
fn every_spelling_of_a_default_means_behind_the_view_what_it_meant() {
    let defaults = [
        "word",
        "\"quoted word\"",
        "'it''s'",
        "-5",
        "+2.5e1",
        "x'7afa'",
        "TRUE",
        "CURRENT_DATE",
        "(abs(-3) || 'x')",
        "(json_object('a', 1))",
    ];
    let mut ran = 0;
    for default in defaults {
        let (_folder, connection) = guarded();
        let column = format!("id INTEGER PRIMARY KEY, d NOT NULL DEFAULT {default}, meta");
        connection
            .execute_batch(&format!(
                "CREATE TABLE plain({column}); CREATE TABLE t({column})"
            ))
            .unwrap_or_else(|error| panic!("{default}: {error}"));
        compress(&connection, "t", "meta").unwrap_or_else(|error| panic!("{default}: {error}"));
        for table in ["plain", "t"] {
            connection
                .execute_batch(&format!("INSERT INTO {table}(meta) VALUES (1)"))
                .unwrap_or_else(|error| panic!("{default}: {error}"));
        }
        let read = |table: &str| rows(&connection, &format!("SELECT d, meta FROM {table}"));
        assert_eq!(read("t"), read("plain"), "{default}");
        decompress(&connection, "t", "meta").unwrap();
        assert_eq!(read("t"), read("plain"), "{default}");
        ran += 1;
    }
    assert_eq!(ran, defaults.len());
}

#[test]
fn keys_that_are_no_utf_8_are_recompressed_too() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("CREATE TABLE peer(k TEXT PRIMARY KEY, meta) WITHOUT ROWID")
        .unwrap();
    for n in 0..240 {
        let insert = "INSERT INTO peer VALUES (CAST(x'ff00' || ?1 AS TEXT), ?2)";
        connection.execute(insert, (n, meta(n))).unwrap();
    }
    compress(&connection, "peer", "meta").unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    let done = compression::recompress(&connection, "peer", "meta", 7, &mut |_, _| true).unwrap();
    assert_eq!((done.rows, done.changed, done.dropped), (240, 240, 1));
}
