//! What SQLite does, done on sealed files: every journal mode and page size, several connections, big files.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

#[path = "support/support.rs"]
mod support;

use std::path::Path;

use rusqlite::{Connection, ffi};
use tempfile::tempdir;

use support::{
    assert_clean, assert_sound, builder, code, count, create, create_sized, fill, fingerprint,
    mode, one, open, slots, try_one,
};

const JOURNAL_MODES: [&str; 5] = ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL"];
const PAGE_SIZES: [u32; 3] = [4_096, 16_384, 65_536];

/// Runs `scenario` on a new file in every journal mode and with every page size; the file is whole afterwards.
fn everywhere(modes: &[&str], scenario: impl Fn(&Connection, &Path, &str)) {
    for page_size in PAGE_SIZES {
        for journal_mode in modes {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a.db");
            let connection = create_sized(&path, page_size);
            mode(&connection, journal_mode);
            scenario(&connection, &path, &format!("{journal_mode}, {page_size}"));
            assert_eq!(one::<u32>(&connection, "PRAGMA page_size"), page_size);
            assert_sound(&connection);
            drop(connection);
            assert_clean(&path);
        }
    }
}

#[test]
fn rows_are_written_changed_and_read_again() {
    everywhere(&JOURNAL_MODES, |connection, path, what| {
        connection.execute_batch("PRAGMA cache_size=10").unwrap();
        fill(connection, 1_500);
        connection
            .execute_batch(
                "CREATE INDEX i ON t(b); DELETE FROM t WHERE a % 5 = 0;
                 UPDATE t SET b = b || 'x' WHERE a % 7 = 0; INSERT INTO t VALUES (9000, zeroblob(300000));
                 VACUUM;",
            )
            .unwrap();
        let expected = fingerprint(connection);
        assert_eq!(count(connection), 1_201, "{what}");
        if what.starts_with("WAL") {
            assert_eq!(fingerprint(&open(path)), expected, "{what}");
        }
    });
}

#[test]
fn rollback_and_savepoints_bring_back_what_was() {
    everywhere(
        &["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL"],
        |connection, _, what| {
            connection.execute_batch("PRAGMA cache_size=10").unwrap();
            fill(connection, 800);
            let before = fingerprint(connection);
            connection
            .execute_batch("BEGIN; UPDATE t SET b = hex(randomblob(200)); DELETE FROM t WHERE a > 9; ROLLBACK;")
            .unwrap();
            assert_eq!(fingerprint(connection), before, "{what}");
            connection
            .execute_batch(
                "BEGIN; DELETE FROM t WHERE a = 1; SAVEPOINT one; UPDATE t SET b = hex(randomblob(200));
                 SAVEPOINT two; DELETE FROM t; ROLLBACK TO two; RELEASE two; ROLLBACK TO one; COMMIT;",
            )
            .unwrap();
            assert_eq!(count(connection), 799, "{what}");
            // A statement that fails half way undoes itself alone.
            connection.execute_batch("CREATE TABLE u(a UNIQUE); INSERT INTO u VALUES (700); BEGIN; INSERT INTO u VALUES (0);").unwrap();
            assert!(
                connection
                    .execute_batch("INSERT INTO u SELECT a FROM t ORDER BY a")
                    .is_err()
            );
            connection.execute_batch("COMMIT").unwrap();
            assert_eq!(
                one::<i64>(connection, "SELECT count(*) FROM u"),
                2,
                "{what}"
            );
        },
    );
}

/// DEFENSIVE refuses `journal_mode=OFF`.
#[test]
fn without_a_journal_it_works_where_schema_writes_are_allowed() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let guarded = create(&path);
    assert_eq!(one::<String>(&guarded, "PRAGMA journal_mode=OFF"), "delete");
    drop(guarded);
    let connection = builder(&path)
        .create(slots())
        .allow_schema_writes()
        .open()
        .unwrap();
    mode(&connection, "OFF");
    connection.execute_batch("PRAGMA cache_size=5").unwrap();
    fill(&connection, 500);
    drop(connection);
    assert_eq!(count(&open(&path)), 500);
    assert_clean(&path);
}

#[test]
fn the_journal_mode_can_be_changed_at_any_time() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    fill(&connection, 10);
    for (round, journal_mode) in JOURNAL_MODES
        .iter()
        .chain(JOURNAL_MODES.iter().rev())
        .enumerate()
    {
        mode(&connection, journal_mode);
        fill(&connection, 10);
        assert_eq!(count(&connection), 20 + 10 * i64::try_from(round).unwrap());
    }
    drop(connection);
    assert_clean(&path);
}

#[test]
fn several_connections_see_each_others_commits() {
    everywhere(&["DELETE", "WAL", "TRUNCATE"], |connection, path, what| {
        fill(connection, 10);
        let others: Vec<_> = (0..3).map(|_| open(path)).collect();
        for (number, other) in others.iter().enumerate() {
            assert_eq!(
                count(other),
                10 + 3 * i64::try_from(number).unwrap(),
                "{what}"
            );
            fill(other, 3);
            assert_eq!(
                count(connection),
                13 + 3 * i64::try_from(number).unwrap(),
                "{what}"
            );
        }
        // One writes, the others are told to wait.
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        others[0].busy_timeout(std::time::Duration::ZERO).unwrap();
        let refused = others[0].execute_batch("DELETE FROM t");
        assert_eq!(code(refused), ffi::SQLITE_BUSY, "{what}");
        connection.execute_batch("COMMIT").unwrap();
        others[0]
            .execute_batch("DELETE FROM t WHERE a = 1")
            .unwrap();
        assert_eq!(count(connection), 18, "{what}");
    });
}

#[test]
fn a_reader_in_wal_mode_keeps_its_snapshot_over_a_checkpoint_and_a_new_log() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let writer = create(&path);
    mode(&writer, "WAL");
    fill(&writer, 100);
    let reader = open(&path);
    reader.execute_batch("BEGIN").unwrap();
    let snapshot = fingerprint(&reader);
    for _ in 0..5 {
        fill(&writer, 100);
        writer
            .execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
            .unwrap();
        assert_eq!(fingerprint(&reader), snapshot);
    }
    reader.execute_batch("COMMIT").unwrap();
    let busy: i64 = one(&writer, "PRAGMA wal_checkpoint(RESTART)");
    assert_eq!(busy, 0);
    // The log begins anew, with other salts; the reader has the old ones in hand.
    fill(&writer, 1);
    assert_eq!(count(&reader), 601);
    assert_eq!(count(&writer), 601);
    drop((reader, writer));
    assert_clean(&path);
}

#[test]
fn threads_with_connections_of_their_own_write_and_read() {
    for journal_mode in ["DELETE", "WAL"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = create(&path);
        mode(&connection, journal_mode);
        connection
            .execute_batch("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let own = open(&path);
                    own.busy_timeout(std::time::Duration::from_secs(60))
                        .unwrap();
                    own.execute_batch("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=20")
                        .unwrap();
                    for row in 0..60 {
                        own.execute("INSERT INTO t(b) VALUES (?1)", [row]).unwrap();
                        let _: i64 = one(&own, "SELECT sum(length(b)) FROM t");
                    }
                });
            }
        });
        assert_eq!(count(&connection), 180);
        assert_sound(&connection);
        drop(connection);
        assert_clean(&path);
    }
}

#[test]
fn a_read_only_connection_reads_and_writes_nothing() {
    everywhere(&["DELETE", "WAL"], |connection, path, what| {
        fill(connection, 20);
        let reader = builder(path).read_only().open().unwrap();
        assert_eq!(count(&reader), 20, "{what}");
        let refused = reader.execute_batch("DELETE FROM t");
        assert_eq!(code(refused), ffi::SQLITE_READONLY, "{what}");
        fill(connection, 1);
        assert_eq!(count(&reader), 21, "{what}");
    });
}

#[test]
fn auto_vacuum_gives_back_pages() {
    for (vacuum, number) in [("FULL", 1), ("INCREMENTAL", 2)] {
        for journal_mode in ["DELETE", "WAL"] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a.db");
            let connection = create(&path);
            connection
                .execute_batch(&format!("PRAGMA auto_vacuum={vacuum}"))
                .unwrap();
            mode(&connection, journal_mode);
            fill(&connection, 1_000);
            assert_eq!(one::<i64>(&connection, "PRAGMA auto_vacuum"), number);
            let full: i64 = one(&connection, "PRAGMA page_count");
            connection
                .execute_batch("DELETE FROM t WHERE a > 10; PRAGMA incremental_vacuum;")
                .unwrap();
            // Each step of the statement frees one page.
            let mut statement = connection.prepare("PRAGMA incremental_vacuum").unwrap();
            let mut rows = statement.query([]).unwrap();
            while rows.next().unwrap().is_some() {}
            drop(rows);
            drop(statement);
            let now: i64 = one(&connection, "PRAGMA page_count");
            assert!(now < full / 5, "{vacuum}, {journal_mode}: {full} to {now}");
            assert_sound(&connection);
            drop(connection);
            assert_eq!(count(&open(&path)), 10);
            assert_clean(&path);
        }
    }
}

#[test]
fn text_in_utf_16_stays_so() {
    for encoding in ["UTF-16le", "UTF-16be"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = create(&path);
        connection
            .execute_batch(&format!(
                "PRAGMA encoding='{encoding}'; CREATE TABLE t(b TEXT); INSERT INTO t VALUES ('Straße 🦀');"
            ))
            .unwrap();
        connection.execute_batch("VACUUM").unwrap();
        drop(connection);
        let again = open(&path);
        assert_eq!(one::<String>(&again, "PRAGMA encoding"), encoding);
        assert_eq!(one::<String>(&again, "SELECT b FROM t"), "Straße 🦀");
        drop(again);
        assert_clean(&path);
    }
}

#[test]
fn the_header_fields_that_applications_use_are_kept() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    create(&path)
        .execute_batch("PRAGMA application_id=1234; PRAGMA user_version=77; CREATE TABLE t(a)")
        .unwrap();
    let again = builder(&path).create(slots()).open().unwrap();
    assert_eq!(one::<i64>(&again, "PRAGMA application_id"), 1_234);
    assert_eq!(one::<i64>(&again, "PRAGMA user_version"), 77);
}

/// FORMAT.md F-2: the file goes over its hole at 1 GiB, where SQLite has its lock bytes.
#[test]
fn a_file_of_more_than_a_gibibyte_goes_over_the_hole() {
    const ROW: i64 = 16 << 20;
    const GIB: u64 = 1 << 30;
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create_sized(&path, 65_536);
    connection
        .execute_batch("PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        .unwrap();
    for row in 0..66 {
        connection
            .execute("INSERT INTO t VALUES (?1, zeroblob(?2))", [row, ROW])
            .unwrap();
    }
    connection
        .execute("INSERT INTO t VALUES (99, 'behind the hole')", [])
        .unwrap();
    let physical = support::len(&path);
    assert!(physical > GIB + 65_536 + 20 * 65_536, "{physical}");
    assert_eq!(support::peek(&path, GIB, 65_536), [0; 65_536]);
    // No page of SQLite's lies on its lock bytes; both sides are sealed, and belong to one file.
    for at in [GIB - 65_536, GIB + 65_536] {
        assert_ne!(support::peek(&path, at + 65_536 - 48, 24), [0; 24]);
    }
    drop(connection);
    let again = open(&path);
    assert_eq!(
        one::<String>(&again, "SELECT b FROM t WHERE a = 99"),
        "behind the hole"
    );
    assert_eq!(
        one::<i64>(&again, "SELECT length(b) FROM t WHERE a = 65"),
        ROW
    );
    let last: Vec<u8> = one(&again, "SELECT substr(b, -9) FROM t WHERE a = 65");
    assert_eq!(last, [0; 9]);
    // A transaction on both sides of the hole, rolled back and committed.
    mode(&again, "DELETE");
    again
        .execute_batch(
            "PRAGMA synchronous=OFF; BEGIN; UPDATE t SET b = 'x' WHERE a IN (0, 65, 99); ROLLBACK;",
        )
        .unwrap();
    assert_eq!(
        one::<String>(&again, "SELECT b FROM t WHERE a = 99"),
        "behind the hole"
    );
    assert_eq!(
        one::<i64>(&again, "SELECT length(b) FROM t WHERE a = 65"),
        ROW
    );
    drop(again);
    // The whole check takes seconds; a damaged hole is found by the same one.
    support::poke(&path, GIB + 100, &[1]);
    let found = support::problems(&path);
    assert_eq!(found, ["the hole at 1 GiB is not zero"]);
    let read = try_one::<String>(&open(&path), "SELECT b FROM t WHERE a = 99");
    assert_eq!(read.unwrap(), "behind the hole");
}
