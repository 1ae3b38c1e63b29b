//! The write-ahead log: crashes, torn tails, exclusive locking mode.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::tempdir;

use crate::support::{
    IOERR_DATA, PAGE, assert_clean, assert_sound, code, count, crash_copy, create, fingerprint,
    flip, len, mode, one, open, open_uri, page_at, peek, poke, problems, register, set_len,
    try_one, wal,
};

const COMMITS: i64 = 50;
const FRAME: u64 = 24 + PAGE as u64;

/// A connection in WAL mode that has committed one row 50 times and checkpointed nothing of it.
fn fifty_commits(path: &Path) -> Connection {
    let connection = create(path);
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);",
        )
        .unwrap();
    commit_rows(&connection);
    connection
}

fn commit_rows(connection: &Connection) {
    for row in 0..COMMITS {
        connection
            .execute("INSERT INTO t(b) VALUES (?1)", [format!("row {row}")])
            .unwrap();
    }
}

fn frames(path: &Path) -> u64 {
    (len(&wal(path)) - 32) / FRAME
}

#[test]
fn every_committed_row_survives_a_crash() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let live = fifty_commits(&path);
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    // Recovery computes SQLite's checksums over whole pages: the reserved bytes must be as they were.
    let recovered = open(&copy);
    assert_eq!(count(&recovered), COMMITS);
    assert_sound(&recovered);
    drop(recovered);
    assert_clean(&copy);
    assert_eq!(count(&live), COMMITS);
}

#[test]
fn psow_0_in_the_uri_does_not_split_a_page() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    drop(create_table(&path));
    register(&path);
    let uri = format!("file:{}?vfs=zqlite&psow=0", path.display());
    let connection = open_uri(&uri).unwrap();
    mode(&connection, "WAL");
    connection
        .execute_batch("PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL;")
        .unwrap();
    commit_rows(&connection);
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    assert_eq!(count(&open(&copy)), COMMITS);
    assert_clean(&copy);
}

fn create_table(path: &Path) -> Connection {
    let connection = create(path);
    connection
        .execute_batch("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        .unwrap();
    connection
}

#[test]
fn a_torn_tail_leaves_a_prefix_of_the_commits() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let _live = fifty_commits(&path);
    let copy = dir.path().join("copy.db");
    let total = len(&wal(&path));
    let mut last = 0;
    for cut in (0..=24).map(|i| total * i / 24 - u64::from(i % 3 == 1)) {
        crash_copy(&path, &copy);
        set_len(&wal(&copy), cut);
        let recovered = open(&copy);
        let rows = try_one(&recovered, "SELECT count(*) FROM t").unwrap_or(0);
        assert!((last..=COMMITS).contains(&rows), "{rows} after {last}");
        assert_sound(&recovered);
        last = rows;
    }
    assert_eq!(last, COMMITS);
}

#[test]
fn a_frame_that_does_not_open_ends_recovery_without_an_error() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let _live = fifty_commits(&path);
    let copy = dir.path().join("copy.db");
    let mut last = -1;
    for frame in [0, 7, 20, frames(&path) - 1] {
        crash_copy(&path, &copy);
        // In the page, in the tag, in the masked checksum: all end the log.
        for at in [24 + 100, FRAME - 1, 20] {
            flip(&wal(&copy), 32 + frame * FRAME + at);
            let recovered = open(&copy);
            let rows = try_one(&recovered, "SELECT count(*) FROM t").unwrap_or(0);
            assert!((0..COMMITS).contains(&rows));
            assert!(rows >= last);
            assert_sound(&recovered);
            last = rows;
            drop(recovered);
            crash_copy(&path, &copy);
        }
    }
    // Nothing but the last commit was lost with the last frame.
    assert_eq!(last, COMMITS - 1);
}

#[test]
fn verify_names_a_bad_frame_before_a_good_one() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let _live = fifty_commits(&path);
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    assert_clean(&copy);
    crash_copy(&path, &copy);
    flip(&wal(&copy), 32 + 10 * FRAME + 500);
    let found = problems(&copy);
    assert!(
        found.iter().any(|p| p.contains("WAL frame 11")),
        "{found:?}"
    );
}

#[test]
fn a_bad_frame_outside_recovery_is_an_error() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let live = fifty_commits(&path);
    // The shared memory is there, so whoever joins now recovers nothing.
    assert_eq!(count(&open(&path)), COMMITS);
    let last = 32 + (frames(&path) - 1) * FRAME;
    flip(&wal(&path), last + 24 + 4_000);
    let other = open(&path);
    let read = try_one::<i64>(&other, "SELECT count(*) FROM t");
    assert_eq!(code(read), IOERR_DATA);
    flip(&wal(&path), last + 24 + 4_000);
    assert_eq!(count(&other), COMMITS);
    assert_eq!(count(&live), COMMITS);
}

#[test]
fn a_frame_moved_to_another_place_does_not_open() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let live = fifty_commits(&path);
    let last = 32 + (frames(&path) - 1) * FRAME;
    let original = peek(&wal(&path), last, 24 + PAGE);
    // An older version of the same page, in this same log.
    let older = peek(&wal(&path), last - FRAME, 24 + PAGE);
    assert_eq!(older[..4], original[..4]);
    poke(&wal(&path), last, &older);
    let other = open(&path);
    assert_eq!(
        code(try_one::<i64>(&other, "SELECT count(*) FROM t")),
        IOERR_DATA
    );
    poke(&wal(&path), last, &original);
    assert_eq!(count(&other), COMMITS);
    drop(live);
}

#[test]
fn exclusive_locking_mode_recovers_a_torn_log() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let _live = fifty_commits(&path);
    let copy = dir.path().join("copy.db");
    for torn in [false, true] {
        crash_copy(&path, &copy);
        if torn {
            flip(&wal(&copy), 32 + (frames(&path) - 1) * FRAME + 24 + 9);
        }
        let expected = COMMITS - i64::from(torn);
        let recovered = open(&copy);
        let locking: String = one(&recovered, "PRAGMA locking_mode=EXCLUSIVE");
        assert_eq!(locking, "exclusive");
        assert_eq!(count(&recovered), expected);
        assert!(!crate::support::beside(&copy, "-shm").exists());
        recovered
            .execute("INSERT INTO t(b) VALUES ('more')", [])
            .unwrap();
        assert_eq!(count(&recovered), expected + 1);
        assert_sound(&recovered);
        drop(recovered);
        assert_eq!(count(&open(&copy)), expected + 1);
        assert_clean(&copy);
    }
}

#[test]
fn a_bad_frame_is_an_error_in_exclusive_locking_mode_too() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    drop(create_table(&path));
    let connection = open(&path);
    let locking: String = one(&connection, "PRAGMA locking_mode=EXCLUSIVE");
    assert_eq!(locking, "exclusive");
    mode(&connection, "WAL");
    connection
        .execute_batch("PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=1;")
        .unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<2000)
             INSERT INTO t(b) SELECT hex(randomblob(200)) FROM n",
        )
        .unwrap();
    assert_eq!(count(&connection), 2_000);
    let before = fs::read(wal(&path)).unwrap();
    for frame in 0..frames(&path) {
        flip(&wal(&path), 32 + frame * FRAME + 24 + 9);
    }
    connection.execute_batch("PRAGMA shrink_memory").unwrap();
    let read = try_one::<i64>(&connection, "SELECT sum(length(b)) FROM t");
    assert_eq!(code(read), IOERR_DATA);
    fs::write(wal(&path), before).unwrap();
    assert_eq!(
        one::<i64>(&connection, "SELECT sum(length(b)) FROM t"),
        800_000
    );
}

#[test]
fn frames_that_a_transaction_writes_again_survive_a_crash() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let live = create_table(&path);
    mode(&live, "WAL");
    live.execute_batch("PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=3;")
        .unwrap();
    // The cache spills, so pages are in the log before the commit; later changes overwrite their frames
    // without a header, and the checksums are made right only at the end.
    live.execute_batch(
        "BEGIN;
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<500)
         INSERT INTO t SELECT x, hex(zeroblob(150)) FROM n;
         SAVEPOINT s;
         UPDATE t SET b = hex(randomblob(150));
         UPDATE t SET b = hex(randomblob(150)) WHERE a % 2 = 0;
         ROLLBACK TO s;
         UPDATE t SET b = hex(randomblob(150)) WHERE a % 3 = 0;
         RELEASE s;
         COMMIT;",
    )
    .unwrap();
    let written = fingerprint(&live);
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    let recovered = open(&copy);
    assert_eq!(fingerprint(&recovered), written);
    assert_sound(&recovered);
    assert_eq!(fingerprint(&live), written);
    assert_sound(&live);
}

#[test]
fn a_torn_page_1_is_healed_from_the_log() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let live = fifty_commits(&path);
    live.execute_batch("CREATE TABLE touches_page_1(x)")
        .unwrap();
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    poke(&copy, page_at(1) + 1_000, &[0xa5; 3_096]);
    let recovered = open(&copy);
    assert_eq!(count(&recovered), COMMITS);
    assert_sound(&recovered);
}

#[test]
fn a_log_of_another_file_is_not_replayed() {
    let dir = tempdir().unwrap();
    let (path, other) = (dir.path().join("live.db"), dir.path().join("other.db"));
    let _live = fifty_commits(&path);
    let stranger = fifty_commits(&other);
    stranger
        .execute_batch("UPDATE t SET b = 'stranger'")
        .unwrap();
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    fs::copy(wal(&other), wal(&copy)).unwrap();
    let opened = open(&copy);
    // The log ends before its first frame, like one that a crash cut.
    let rows: i64 = try_one(&opened, "SELECT count(*) FROM t WHERE b = 'stranger'").unwrap_or(0);
    assert_eq!(rows, 0);
}
