//! A checkpoint lets the file grow: what it may take for a page that was never there, and what was cut off (F-24).
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

use rusqlite::Connection;
use tempfile::TempDir;

#[path = "support/support.rs"]
mod support;
use support::{
    IOERR_DATA, PAGE, PAGES_AT, assert_clean, assert_sound, code, create, len, mode, one, open,
    peek, poke, set_len,
};

fn checkpoint(connection: &Connection, kind: &str) -> rusqlite::Result<(i64, i64, i64)> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
}

/// A checkpointed table with a value over several pages, the last ones of the file.
fn with_a_big_value(folder: &TempDir) -> (std::path::PathBuf, Connection) {
    let path = folder.path().join("a.db");
    let connection = create(&path);
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x');
             CREATE TABLE big(b); INSERT INTO big VALUES (randomblob(30000));",
        )
        .unwrap();
    checkpoint(&connection, "TRUNCATE").unwrap();
    (path, connection)
}

#[test]
fn a_page_that_was_cut_off_is_missed_by_a_checkpoint_that_writes_no_page_behind_it() {
    let mut refused = 0;
    for (exclusive, kind) in [(false, "PASSIVE"), (false, "TRUNCATE"), (true, "PASSIVE")] {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = with_a_big_value(&folder);
        let value: String = one(&connection, "SELECT hex(b) FROM big");
        if exclusive {
            connection
                .execute_batch("PRAGMA locking_mode=EXCLUSIVE")
                .unwrap();
        }
        connection.execute_batch("UPDATE t SET b = 'y'").unwrap();
        let whole = len(&path);
        let last = peek(&path, whole - PAGE as u64, PAGE);
        set_len(&path, whole - PAGE as u64);
        assert_eq!(code(checkpoint(&connection, kind)), IOERR_DATA, "{kind}");
        assert_eq!(len(&path), whole - PAGE as u64);
        refused += 1;
        // It comes back, and all is well.
        poke(&path, whole - PAGE as u64, &last);
        checkpoint(&connection, kind).unwrap();
        assert_eq!(one::<String>(&connection, "SELECT hex(b) FROM big"), value);
        drop(connection);
        assert_clean(&path);
    }
    assert_eq!(refused, 3);
}

#[test]
fn a_page_that_was_cut_off_is_missed_though_page_1_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let (path, connection) = with_a_big_value(&folder);
    connection.execute_batch("CREATE TABLE grows(a)").unwrap();
    for cut in [true, false] {
        let copy = folder.path().join("b.db");
        support::crash_copy(&path, &copy);
        if cut {
            set_len(&copy, len(&copy) - PAGE as u64);
        }
        poke(&copy, PAGES_AT + 1_000, &[0xaa; 64]);
        let other = open(&copy);
        let checkpointed = checkpoint(&other, "TRUNCATE");
        if cut {
            assert_eq!(code(checkpointed), IOERR_DATA);
        } else {
            // A torn page 1 alone is healed from the log.
            checkpointed.unwrap();
            assert_sound(&other);
            assert_eq!(one::<i64>(&other, "SELECT count(*) FROM grows"), 0);
        }
    }
    drop(connection);
}

/// The page at 1 GiB, in which SQLite's lock bytes lie, never stands in the log.
#[test]
fn a_file_that_grows_past_its_lock_bytes_loses_nothing_to_a_checkpoint_that_stops_at_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = support::create_sized(&path, 65_536);
    writer
        .execute_batch(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
             CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x'); CREATE TABLE big(b);",
        )
        .unwrap();
    for _ in 0..3 {
        writer
            .execute("INSERT INTO big VALUES (zeroblob(335000000))", [])
            .unwrap();
    }
    let pages: i64 = one(&writer, "PRAGMA page_count");
    let rest = (16_380 - pages) * 65_400;
    writer
        .execute("INSERT INTO big VALUES (zeroblob(?1))", [rest])
        .unwrap();
    drop(writer);
    let writer = open(&path);
    mode(&writer, "WAL");
    writer
        .execute_batch(
            "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;
             BEGIN; CREATE TABLE keep(v); INSERT INTO keep VALUES ('precious'); INSERT INTO big VALUES (zeroblob(1000000)); COMMIT;",
        )
        .unwrap();
    assert!(one::<i64>(&writer, "PRAGMA page_count") > 16_385);
    let reader = open(&path);
    reader.execute_batch("BEGIN; SELECT * FROM t;").unwrap();
    writer.execute_batch("UPDATE t SET b = 'y'").unwrap();
    let (busy, frames, copied) = checkpoint(&writer, "PASSIVE").unwrap();
    assert!(busy == 0 && copied < frames, "{copied} of {frames}");
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    let value = "SELECT v FROM keep";
    assert_eq!(one::<String>(&open(&path), value), "precious");
    checkpoint(&writer, "TRUNCATE").unwrap();
    drop(writer);
    let again = open(&path);
    assert_eq!(one::<String>(&again, value), "precious");
    assert_eq!(one::<String>(&again, "SELECT b FROM t"), "y");
    assert_sound(&again);
}
