//! What the VFS counts in a process. The counts are the process's, so that these tests run one after the other.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

#[path = "support/support.rs"]
mod support;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, thread};

use tempfile::tempdir;
use zqlite::vfs::{Counters, PerFile, counters};
use zqlite::{Builder, pq::RawKey};

use support::{
    IOERR_DATA, PAGE, assert_sound, builder, code, count, crash_copy, create, fill, flip, journal,
    len, mode, one, open, page_at, slots, try_one, wal,
};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn grown(
    before: &Counters,
    after: &Counters,
    of: fn(&Counters) -> PerFile<u64>,
) -> (u64, u64, u64) {
    let (before, after) = (of(before), of(after));
    (
        after.database - before.database,
        after.wal - before.wal,
        after.journal - before.journal,
    )
}

fn failures(before: &Counters) -> (u64, u64, u64) {
    grown(before, &counters(), |c| c.authentication_failures)
}

/// A database of some 30 pages in WAL mode, all of them in the file.
fn in_file(path: &Path) {
    let db = create(path);
    mode(&db, "WAL");
    fill(&db, 200);
    one::<i64>(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

#[test]
fn pages_bytes_and_syncs_are_counted_where_they_go() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");

    let before = counters();
    let db = create(&path);
    mode(&db, "DELETE");
    fill(&db, 50);
    fill(&db, 50);
    let rolled = counters();
    let (database, wal, journal) = grown(&before, &rolled, |c| c.pages_sealed);
    assert!(database > 10 && wal == 0 && journal > 0);
    let (database, wal, journal) = grown(&before, &rolled, |c| c.syncs);
    assert!(database >= 2 && wal == 0 && journal >= 2);
    assert!(rolled.sync_time.database > before.sync_time.database);
    assert!(rolled.sync_time.wal == before.sync_time.wal);

    mode(&db, "WAL");
    let before = counters();
    fill(&db, 50);
    let after = counters();
    let (database, wal, journal) = grown(&before, &after, |c| c.pages_sealed);
    assert!(database == 0 && wal > 5 && journal == 0);
    let (_, bytes, _) = grown(&before, &after, |c| c.written_bytes);
    assert!(bytes >= wal * (PAGE as u64 + 24));
    assert!(bytes < wal * (PAGE as u64 + 24) + 1_000);

    one::<i64>(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
    let checkpointed = counters();
    let (database, none, _) = grown(&after, &checkpointed, |c| c.pages_sealed);
    assert!(database > 0 && none == 0);
    let (_, opened, _) = grown(&after, &checkpointed, |c| c.pages_opened);
    assert_eq!(opened, database, "each page comes out of the log");
    assert_eq!(failures(&before), (0, 0, 0));
}

#[test]
fn an_altered_page_is_a_failure_and_an_untouched_one_is_none() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    in_file(&path);

    let before = counters();
    let rows = 200;
    assert_eq!(count(&open(&path)), rows);
    assert_eq!(failures(&before), (0, 0, 0));
    let (opened, ..) = grown(&before, &counters(), |c| c.pages_opened);
    assert!(opened > 20);

    flip(&path, page_at(5) + 100);
    let all = "SELECT sum(length(b)) FROM t";
    let result: rusqlite::Result<i64> = try_one(&open(&path), all);
    assert_eq!(code(result), IOERR_DATA);
    assert_eq!(failures(&before), (1, 0, 0));

    flip(&path, page_at(5) + 100);
    let sum: i64 = one(&open(&path), all);
    assert_eq!(sum, rows * 400);
    assert_eq!(failures(&before), (1, 0, 0));
}

#[test]
fn an_altered_frame_is_a_failure_and_a_torn_tail_that_recovery_ends_at_is_none() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = create(&path);
    mode(&db, "WAL");
    fill(&db, 100);
    let whole = len(&wal(&path));
    fill(&db, 100);

    // The second commit was torn by a power cut: recovery stops there.
    let torn = folder.path().join("torn.db");
    crash_copy(&path, &torn);
    flip(&wal(&torn), whole + 24 + 50);
    let before = counters();
    let recovered = open(&torn);
    assert_eq!(count(&recovered), 100);
    assert_sound(&recovered);
    assert_eq!(failures(&before), (0, 0, 0));

    // A frame that is in the index and is altered in the file: nobody expects that.
    let reader = open(&path);
    let before = counters();
    // A leaf in the middle of the first commit, which the second leaves as it is.
    let leaf = whole - 5 * (24 + PAGE as u64) + 100;
    flip(&wal(&path), leaf);
    let result: rusqlite::Result<i64> = try_one(&reader, "SELECT sum(length(b)) FROM t");
    assert_eq!(code(result), IOERR_DATA);
    let (database, frames, _) = failures(&before);
    assert!(database == 0 && frames == 1, "{database} {frames}");
    flip(&wal(&path), leaf);
    assert_eq!(one::<i64>(&reader, "SELECT sum(length(b)) FROM t"), 80_000);
}

#[test]
fn an_altered_record_of_a_hot_journal_is_a_failure() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = create(&path);
    fill(&db, 100);
    // A small cache spills into the database, so that the journal is synced and hot.
    db.execute_batch("PRAGMA cache_size=2; BEGIN; UPDATE t SET b='x'||b")
        .unwrap();
    let hot = folder.path().join("hot.db");
    crash_copy(&path, &hot);
    let bad = folder.path().join("bad.db");
    crash_copy(&path, &bad);
    drop(db);

    let before = counters();
    assert_eq!(count(&open(&hot)), 100);
    assert_eq!(failures(&before), (0, 0, 0));
    let (_, _, opened) = grown(&before, &counters(), |c| c.pages_opened);
    assert!(opened > 0);

    flip(&journal(&bad), 512 + 4 + 100);
    let result: rusqlite::Result<i64> = try_one(&open(&bad), "SELECT count(*) FROM t");
    assert_eq!(code(result), IOERR_DATA);
    let (_, _, records) = failures(&before);
    assert!(records >= 1);
}

#[test]
fn refused_databases_are_counted_by_reason() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    in_file(&path);
    let refused = |before: &Counters| {
        let (now, before) = (counters().refused, before.refused);
        (
            now.no_key - before.no_key,
            now.damaged - before.damaged,
            now.signature - before.signature,
        )
    };

    let before = counters();
    drop(builder(&path).open().unwrap());
    assert_eq!(refused(&before), (0, 0, 0));
    let wrong = Builder::new(&path).raw_key(RawKey::from_bytes([8; 32]));
    wrong.open().unwrap_err();
    assert_eq!(refused(&before), (1, 0, 0));

    let key = zqlite::keys::SigningKey::generate(&mut zqlite::os_rng());
    let expected = zqlite::keys::Expected {
        key: key.verifying_key().clone(),
        file_id: None,
    };
    builder(&path).signed_by(expected).open().unwrap_err();
    assert_eq!(refused(&before), (1, 0, 1));

    // Both copies, behind the fields that say which kind of file it is.
    flip(&path, 60_000);
    flip(&path, 65_536 + 60_000);
    builder(&path).open().unwrap_err();
    assert_eq!(refused(&before), (1, 1, 1));
    flip(&path, 60_000);
    drop(builder(&path).open().unwrap());
    assert_eq!(refused(&before), (1, 1, 1));
}

#[test]
fn connections_of_many_threads_are_added_up_exactly_also_when_they_are_closed() {
    const THREADS: u64 = 4;
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    in_file(&path);
    let read = || {
        let db = open(&path);
        let sum: i64 = one(&db, "SELECT sum(length(b)) FROM t");
        assert_eq!(sum, 80_000);
    };
    let keeper = open(&path);
    assert_eq!(count(&keeper), 200);

    let before = counters();
    read();
    let (by_one, ..) = grown(&before, &counters(), |c| c.pages_opened);
    assert!(by_one > 20);

    let before = counters();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(read);
        }
    });
    let after = counters();
    let (by_all, ..) = grown(&before, &after, |c| c.pages_opened);
    assert_eq!(by_all, THREADS * by_one);
    assert_eq!(after.open_databases, before.open_databases);
    drop(keeper);
    assert_eq!(counters().open_databases, before.open_databases - 1);
    assert_eq!(counters().pages_opened, after.pages_opened);
}

#[test]
fn a_plain_database_is_not_counted() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let before = counters();
    let path = folder.path().join("plain.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    fill(&db, 50);
    assert_eq!(counters(), before);
    assert!(fs::metadata(&path).unwrap().len() > 10_000);
    let sealed = builder(&folder.path().join("a.db")).create(slots()).open();
    fill(&sealed.unwrap(), 1);
    assert_ne!(counters(), before);
}
