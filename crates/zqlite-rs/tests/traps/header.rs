//! The two header copies: destroyed, repaired, raced for.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};

use tempfile::tempdir;
use zqlite::{Error, Verdict};

use crate::support::{
    PAGES_AT, assert_clean, builder, count, create, fill, header_of, mode, one, open, open_uri,
    peek, poke, problems, register, slots,
};

const COPY: u64 = 65_536;

fn database(path: &Path, journal_mode: &str) {
    let connection = create(path);
    mode(&connection, journal_mode);
    fill(&connection, 100);
}

fn copies_are_equal(path: &Path) -> bool {
    peek(path, 0, 65_536) == peek(path, COPY, 65_536)
}

#[test]
fn one_destroyed_copy_is_reported_and_the_next_writer_repairs_it() {
    for journal_mode in ["DELETE", "WAL"] {
        for (copy, name) in [(0, "copy A"), (1, "copy B")] {
            for what in [vec![0; 65_536], vec![0xff; 65_536], vec![0x55; 16]] {
                let dir = tempdir().unwrap();
                let path = dir.path().join("a.db");
                database(&path, journal_mode);
                assert_clean(&path);
                poke(&path, copy * COPY, &what);
                let found = problems(&path);
                assert!(found.iter().any(|p| p.contains(name)), "{found:?}");
                // A reader goes on and repairs nothing.
                assert_eq!(count(&builder(&path).read_only().open().unwrap()), 100);
                assert!(!copies_are_equal(&path));
                assert_eq!(count(&open(&path)), 100);
                open(&path)
                    .execute_batch("INSERT INTO t(b) VALUES ('repair')")
                    .unwrap();
                assert!(copies_are_equal(&path), "{journal_mode}, {name}");
                assert_clean(&path);
            }
        }
    }
}

#[test]
fn a_copy_torn_behind_its_first_bytes_is_repaired_too() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, "DELETE");
    poke(&path, COPY + 40_000, &[1]);
    assert!(!problems(&path).is_empty());
    open(&path)
        .execute_batch("DELETE FROM t WHERE a = 1")
        .unwrap();
    assert!(copies_are_equal(&path));
    assert_clean(&path);
}

#[test]
fn with_both_copies_destroyed_nothing_opens_and_nothing_is_written() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, "DELETE");
    let whole = fs::read(&path).unwrap();
    for what in [0_u8, 0xff] {
        fs::write(&path, &whole).unwrap();
        poke(&path, 0, &[what; 131_072]);
        let destroyed = fs::read(&path).unwrap();
        for attempt in [
            builder(&path),
            builder(&path).create(slots()),
            builder(&path).read_only(),
        ] {
            let error = attempt.open().expect_err("there is no header");
            assert!(matches!(error, Error::NotSealed { .. }), "{error}");
        }
        // The magic alone says that it was one of ours.
        poke(&path, 0, b"zqlite sealed\r\n\x1a");
        let error = builder(&path)
            .create(slots())
            .open()
            .expect_err("still no header");
        assert!(matches!(error, Error::VersionUnsupported { .. }), "{error}");
        poke(&path, 0, &destroyed[..16]);
        assert!(fs::read(&path).unwrap() == destroyed);
    }
    fs::write(&path, &whole).unwrap();
    assert_clean(&path);
}

#[test]
fn an_interrupted_creation_is_begun_again_by_a_creator_only() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, "DELETE");
    let whole = fs::read(&path).unwrap();
    for left in [0, 1, 16, 40_000, 65_535] {
        fs::write(&path, &whole[..left]).unwrap();
        let error = builder(&path).open().expect_err("there is no database yet");
        assert!(
            matches!(error, Error::Empty { .. } | Error::Damaged { .. }),
            "{error}"
        );
        let connection = builder(&path).create(slots()).open().unwrap();
        fill(&connection, 3);
        drop(connection);
        assert_eq!(count(&open(&path)), 3);
        assert_clean(&path);
    }
    // Copy A alone is a database without pages, which the owner may fill.
    fs::write(&path, &whole[..65_536]).unwrap();
    let error = builder(&path)
        .create(slots())
        .open()
        .and_then(|connection| {
            connection
                .execute_batch("CREATE TABLE t(a)")
                .map_err(Error::Sqlite)
        });
    assert_eq!(
        error.expect_err("it was populated").verdict(),
        Verdict::Damaged
    );
}

#[test]
fn the_populated_flag_is_set_by_the_first_commit_in_both_copies() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    assert!(
        !path.exists() || crate::support::len(&path) == 0,
        "nothing is written at open"
    );
    connection.execute_batch("CREATE TABLE t(a)").unwrap();
    assert!(header_of(&path).header.populated());
    assert!(copies_are_equal(&path));
    drop(connection);
    assert_clean(&path);
}

#[test]
fn a_rolled_back_first_transaction_leaves_an_empty_database() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    connection
        .execute_batch(
            "PRAGMA cache_size=5; BEGIN; CREATE TABLE t(a, b);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<500)
             INSERT INTO t SELECT x, hex(randomblob(200)) FROM n; ROLLBACK;",
        )
        .unwrap();
    assert_eq!(
        one::<i64>(&connection, "SELECT count(*) FROM sqlite_master"),
        0
    );
    assert!(!header_of(&path).header.populated());
    connection.execute_batch("CREATE TABLE t(a)").unwrap();
    drop(connection);
    assert_clean(&path);
}

#[test]
fn two_creators_make_one_header_and_both_go_on() {
    for round in 0..8 {
        let dir = tempdir().unwrap();
        let path = Arc::new(dir.path().join("a.db"));
        let start = Arc::new(Barrier::new(2));
        let creators: Vec<_> = (0..2)
            .map(|number| {
                let (path, start) = (Arc::clone(&path), Arc::clone(&start));
                std::thread::spawn(move || {
                    let connection = create(&path);
                    connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
                    start.wait();
                    for row in 0..10 {
                        connection
                            .execute_batch(
                                "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b);",
                            )
                            .unwrap();
                        connection
                            .execute("INSERT INTO t(b) VALUES (?1)", [number * 100 + row])
                            .unwrap();
                        connection.execute_batch("COMMIT").unwrap();
                    }
                    header_of(&path).header.file_id().to_owned()
                })
            })
            .collect();
        let ids: Vec<_> = creators.into_iter().map(|c| c.join().unwrap()).collect();
        assert_eq!(ids[0], ids[1], "round {round}");
        assert_eq!(count(&open(&path)), 20);
        assert!(copies_are_equal(&path));
        assert_clean(&path);
    }
}

#[test]
fn read_only_immutable_and_nolock_work_as_in_sqlite() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, "DELETE");
    register(&path);
    for parameter in [
        "mode=ro",
        "immutable=1",
        "nolock=1",
        "mode=ro&immutable=1",
        "mode=ro&nolock=1",
    ] {
        let before = fs::read(&path).unwrap();
        let uri = format!("file:{}?vfs=zqlite&{parameter}", path.display());
        let connection = open_uri(&uri).unwrap();
        assert_eq!(count(&connection), 100, "{parameter}");
        let write = connection.execute_batch("DELETE FROM t WHERE a = 1");
        assert_eq!(write.is_ok(), parameter == "nolock=1", "{parameter}");
        drop(connection);
        assert_eq!(fs::read(&path).unwrap() == before, parameter != "nolock=1");
        assert_clean(&path);
        fs::write(&path, before).unwrap();
    }
}

#[test]
fn a_reader_without_leave_to_write_opens_a_database_in_wal_mode() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, "WAL");
    assert_eq!(count(&builder(&path).read_only().open().unwrap()), 100);
    assert_eq!(crate::support::len(&path) % 4_096, 0);
    assert!(crate::support::len(&path) > PAGES_AT);
}
