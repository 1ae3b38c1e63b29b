//! Attacks on the files of a database that is open: the shared-memory index is honest, the files are not.
//!
//! Test processes write to files that they have open through SQLite, by path and without SQLite's locks, as an
//! attacker on the same machine can.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

use std::fs;

#[path = "support/support.rs"]
mod support;

use support::{
    IOERR_DATA, KEY, PAGE, assert_clean, builder, code, count, create, journal, len, mode, one,
    open, page_at, poke, set_len, slots, try_one, wal,
};
use tempfile::tempdir;
use zqlite::pq::RawKey;

fn checkpoint(connection: &rusqlite::Connection, kind: &str) {
    let sql = format!("PRAGMA wal_checkpoint({kind})");
    connection.query_row(&sql, [], |_| Ok(())).unwrap();
}

/// Frame 1 of the first generation holds a page of table a, frame 1 of the second one of table b. Both are authentic.
#[test]
fn a_frame_of_an_earlier_generation_is_not_taken_for_the_page_that_stands_there_now() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; CREATE TABLE a(v); CREATE TABLE b(v);
             INSERT INTO a VALUES ('a-one'); INSERT INTO b VALUES ('b-one');",
        )
        .unwrap();
    checkpoint(&connection, "RESTART");
    connection
        .execute_batch("UPDATE a SET v = 'a-two'")
        .unwrap();
    let earlier = fs::read(wal(&path)).unwrap();
    checkpoint(&connection, "RESTART");
    connection
        .execute_batch("UPDATE b SET v = 'b-two'")
        .unwrap();
    let now = fs::read(wal(&path)).unwrap();

    let reader = open(&path);
    assert_eq!(one::<String>(&reader, "SELECT v FROM b"), "b-two");
    drop(reader);
    poke(&wal(&path), 0, &earlier);
    let victim = open(&path);
    assert_eq!(
        code(try_one::<String>(&victim, "SELECT v FROM b")),
        IOERR_DATA
    );
    poke(&wal(&path), 0, &now);
    assert_eq!(one::<String>(&victim, "SELECT v FROM b"), "b-two");
}

/// SQLite overwrites the frame of a page that it has spilled, without the header: what stands in the header is the
/// attacker's to choose.
#[test]
fn a_frame_header_that_was_changed_does_not_rename_the_page_that_is_written_behind_it() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=10;
             CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<500)
             INSERT INTO t SELECT x, hex(randomblob(150)) FROM n;",
        )
        .unwrap();
    checkpoint(&connection, "TRUNCATE");
    connection
        .execute_batch("BEGIN; UPDATE t SET b = 'one ' || b")
        .unwrap();
    // Every frame that was spilled is made to name page 2.
    let frame_len = 24 + PAGE as u64;
    let frames = (len(&wal(&path)) - 32) / frame_len;
    assert!(frames > 20, "nothing was spilled");
    for frame in 0..frames {
        poke(&wal(&path), 32 + frame * frame_len, &[0, 0, 0, 2]);
    }
    // Whether this fails or not: nothing wrong is ever read.
    let rewritten = connection.execute_batch("UPDATE t SET b = 'two ' || b; COMMIT");
    drop(connection);
    let connection = open(&path);
    let sound: String = one(
        &connection,
        "SELECT CASE WHEN count(*) = 500 AND sum(b LIKE 'two one %') IN (0, 500) THEN 'sound' ELSE 'wrong' END FROM t",
    );
    assert_eq!(sound, "sound", "{rewritten:?}");
}

/// A file that lost its last page, and grows: the page that is missing must not be sealed as zeros.
#[test]
fn a_checkpoint_does_not_seal_zeros_in_the_place_of_a_page_that_was_cut_off() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a); INSERT INTO t VALUES (randomblob(30000));",
        )
        .unwrap();
    checkpoint(&connection, "TRUNCATE");
    let sum: String = one(&connection, "SELECT hex(a) FROM t");
    let whole = len(&path);
    connection
        .execute_batch("INSERT INTO t VALUES (randomblob(30000))")
        .unwrap();
    let last = support::peek(&path, whole - PAGE as u64, PAGE);
    set_len(&path, whole - PAGE as u64);

    let other = open(&path);
    assert_eq!(
        code(try_one::<String>(&other, "SELECT hex(a) FROM t")),
        IOERR_DATA
    );
    let refused = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    assert_eq!(code(refused), IOERR_DATA);
    assert!(try_one::<String>(&other, "SELECT hex(a) FROM t").is_err());

    // The page comes back, and all is well: nothing was lost.
    poke(&path, whole - PAGE as u64, &last);
    checkpoint(&other, "TRUNCATE");
    assert_eq!(one::<String>(&other, "SELECT hex(a) FROM t LIMIT 1"), sum);
    drop((connection, other));
    assert_clean(&path);
}

/// What a crash in the middle of a checkpoint leaves is no damage.
#[test]
fn a_file_that_grows_in_a_checkpoint_never_names_pages_that_it_does_not_have() {
    let folder = tempdir().unwrap();
    for synchronous in ["FULL", "NORMAL", "OFF"] {
        let path = folder.path().join(format!("{synchronous}.db"));
        let connection = create(&path);
        mode(&connection, "WAL");
        connection
            .execute_batch(&format!(
                "PRAGMA synchronous={synchronous}; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a);"
            ))
            .unwrap();
        for _ in 0..5 {
            connection
                .execute_batch(
                    "BEGIN; INSERT INTO t VALUES (randomblob(100000)); CREATE TABLE x(a);
                     INSERT INTO x VALUES (zeroblob(200000)); DROP TABLE x; COMMIT",
                )
                .unwrap();
            checkpoint(&connection, "PASSIVE");
        }
        assert_eq!(count(&connection), 5);
        drop(connection);
        assert_clean(&path);
    }
}

#[test]
fn a_journal_that_was_cut_between_two_records_is_an_error_and_stays() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    connection
        .execute_batch(
            "PRAGMA cache_size=30; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<2000)
             INSERT INTO t SELECT x, 'old ' || hex(randomblob(150)) FROM n;",
        )
        .unwrap();
    connection
        .execute_batch("BEGIN; UPDATE t SET b = 'new ' || substr(b, 5)")
        .unwrap();
    let copy = folder.path().join("b.db");
    support::crash_copy(&path, &copy);
    let records = u32::from_be_bytes(support::peek(&journal(&copy), 8, 4).try_into().unwrap());
    assert!(records > 3, "nothing was spilled");
    let whole = fs::read(journal(&copy)).unwrap();
    set_len(&journal(&copy), 512 + 2 * (PAGE as u64 + 8));
    let cut = builder(&copy).open().unwrap();
    assert_eq!(
        code(try_one::<i64>(&cut, "SELECT count(*) FROM t")),
        IOERR_DATA
    );
    drop(cut);
    assert!(journal(&copy).exists());

    fs::write(journal(&copy), whole).unwrap();
    let healed = builder(&copy).open().unwrap();
    assert_eq!(
        one::<i64>(&healed, "SELECT sum(b LIKE 'old %') FROM t"),
        2_000
    );
}

#[test]
fn a_name_that_is_computed_does_not_get_past_the_denial_of_attach() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    connection.execute_batch("CREATE TABLE t(a)").unwrap();
    let out = folder.path().join("out.db");
    fs::write(&out, []).unwrap();
    let name = format!("file:{}?vfs=unix", out.display());
    for sql in [
        format!("ATTACH '{name}' || '' AS p"),
        format!("ATTACH (SELECT '{name}') AS p"),
        format!("VACUUM INTO '{name}' || ''"),
    ] {
        assert!(connection.execute_batch(&sql).is_err(), "{sql}");
    }
    assert!(connection.execute("ATTACH ?1 AS p", [&name]).is_err());
    assert_eq!(len(&out), 0);
    // Allowed on purpose, it works.
    let allowed = builder(&path).allow_attach().open().unwrap();
    allowed.execute("ATTACH ?1 AS p", [&name]).unwrap();
    connection.execute_batch("VACUUM").unwrap();
}

#[test]
fn a_creation_that_fails_can_be_tried_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = zqlite::Builder::new(&path)
        .raw_key(RawKey::from_bytes(KEY))
        .create(slots())
        .open()
        .unwrap();
    connection
        .execute_batch("BEGIN; CREATE TABLE t(a); ROLLBACK")
        .unwrap();
    connection
        .execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
        .unwrap();
    assert_eq!(count(&connection), 1);
    drop(connection);
    assert!(len(&path) > page_at(1));
    assert_clean(&path);
}

/// SQLite trims a log that was begun anew to `journal_size_limit`, behind the frames that it still needs.
#[test]
fn a_log_that_is_trimmed_in_exclusive_mode_keeps_its_frames() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    let exclusive: String = one(&connection, "PRAGMA locking_mode=EXCLUSIVE");
    assert_eq!(exclusive, "exclusive");
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=5; PRAGMA journal_size_limit=0;
             CREATE TABLE t(a); INSERT INTO t VALUES (randomblob(400000));",
        )
        .unwrap();
    checkpoint(&connection, "PASSIVE");
    let long = len(&wal(&path));
    connection
        .execute_batch("INSERT INTO t VALUES (zeroblob(100000))")
        .unwrap();
    assert!(len(&wal(&path)) < long, "the log was not trimmed");
    let sum: i64 = one(
        &connection,
        "SELECT sum(length(a) + instr(a, x'ffffffffff')) > 0 FROM t",
    );
    assert_eq!((sum, count(&connection)), (1, 2));
    drop(connection);
    assert_clean(&path);
}
