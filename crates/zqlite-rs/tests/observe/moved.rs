//! Every measurement of the guide's table moves.

use std::path::Path;
use std::time::Duration;

use tempfile::tempdir;
use zqlite::observe::{
    self, Checkpoint, CheckpointResult, ClosedBecause, Outcome, PoolStatus, QueryKind, Recorder,
    TimedOutAt,
};
use zqlite::pq::RawKey;
use zqlite::{Builder, keys};

use crate::exposition::Exposition;
use crate::guide::{self, Row};
use crate::scrape::{anywhere, scrape};
use crate::support::{
    PAGE, builder, code, crash_copy, create, fill, flip, journal, len, mode, one, open, page_at,
    try_one, wal,
};

/// What a series says: for a histogram, how often it was measured.
pub(crate) fn level(at: &Exposition, row: &Row, labels: &[(&str, &str)]) -> Option<f64> {
    let suffix = if row.kind == "histogram" {
        "_count"
    } else {
        ""
    };
    at.value(&format!("{}{suffix}", row.name), labels)
}

#[test]
fn every_measurement_of_the_table_moves() {
    const DATABASE: &str = "moved.db";
    let exporter = observe::serve(anywhere()).unwrap();
    let folder = tempdir().unwrap();
    let before = scrape(&exporter);

    let held = drive_process(folder.path());
    drive(&Recorder::new(DATABASE));

    let after = scrape(&exporter);
    drop(held);
    let mut moved = 0;
    for row in guide::rows() {
        assert_eq!(after.kinds.get(&row.name), Some(&row.kind), "{}", row.name);
        assert!(after.helps.contains_key(&row.name), "{}", row.name);
        for labels in row.label_sets(DATABASE) {
            let then = level(&before, &row, &labels).unwrap_or(0.0);
            let now = level(&after, &row, &labels);
            assert!(
                now.is_some_and(|now| now > then),
                "{} {labels:?}: {then} {now:?}",
                row.name
            );
            moved += 1;
        }
    }
    assert_eq!(moved, 59, "series");
    let unknown: Vec<_> = after
        .kinds
        .keys()
        .filter(|name| guide::rows().iter().all(|row| row.name != **name))
        .collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
}

/// What a database calls.
fn drive(recorder: &Recorder) {
    let some = Duration::from_millis(3);
    recorder.query(QueryKind::Read, some);
    recorder.query(QueryKind::Write, some);
    recorder.commit(some, 17);
    recorder.queue_depth(5);
    recorder.queue_wait(some);
    for outcome in [
        Outcome::Committed,
        Outcome::Failed,
        Outcome::Panicked,
        Outcome::TimedOut,
        Outcome::Cancelled,
        Outcome::Aborted,
        Outcome::Refused,
    ] {
        recorder.outcome(outcome);
    }
    recorder.writer_up(true);
    recorder.pool(PoolStatus {
        idle: 1,
        in_use: 2,
        waiting: 3,
        max: 4,
    });
    recorder.pool_wait(some);
    recorder.pool_use(some);
    recorder.pool_created(some);
    for because in [
        ClosedBecause::Idle,
        ClosedBecause::Unhealthy,
        ClosedBecause::Shutdown,
    ] {
        recorder.pool_closed(because);
    }
    for at in [TimedOutAt::Wait, TimedOutAt::Create, TimedOutAt::Recycle] {
        recorder.pool_timeout(at);
    }
    recorder.long_read();
    recorder.oldest_read(Some(some));
    recorder.sizes(131_072, 32);
    for result in [
        CheckpointResult::Complete,
        CheckpointResult::Partial,
        CheckpointResult::Busy,
        CheckpointResult::Failed,
    ] {
        recorder.checkpoint(&Checkpoint {
            result,
            elapsed: some,
            pending_pages: 9,
        });
    }
    recorder.notified(some);
    recorder.notifications_dropped(2);
}

/// What the VFS counts, in all its files. Gives back a connection that is open.
fn drive_process(folder: &Path) -> rusqlite::Connection {
    let path = folder.join("a.db");
    let db = create(&path);
    fill(&db, 100);
    db.execute_batch("PRAGMA cache_size=2; BEGIN; UPDATE t SET b='x'||b")
        .unwrap();
    for name in ["hot.db", "bad.db"] {
        crash_copy(&path, &folder.join(name));
    }
    db.execute_batch("ROLLBACK").unwrap();
    // Journal: one hot journal is rolled back, of another a record was altered.
    let sum = "SELECT sum(length(b)) FROM t";
    assert_eq!(one::<i64>(&open(&folder.join("hot.db")), sum), 40_000);
    flip(&journal(&folder.join("bad.db")), 512 + 4 + 100);
    code(try_one::<i64>(&open(&folder.join("bad.db")), sum));

    // Database and log: one page each.
    mode(&db, "WAL");
    fill(&db, 100);
    let leaf = len(&wal(&path)) - 5 * (24 + PAGE as u64) + 100;
    flip(&wal(&path), leaf);
    code(try_one::<i64>(&open(&path), sum));
    flip(&wal(&path), leaf);
    one::<i64>(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
    flip(&path, page_at(5) + 100);
    code(try_one::<i64>(&open(&path), sum));
    flip(&path, page_at(5) + 100);

    // Refusals.
    let wrong = Builder::new(&path).raw_key(RawKey::from_bytes([8; 32]));
    wrong.open().unwrap_err();
    let owner = keys::SigningKey::generate(&mut zqlite::os_rng());
    let expected = keys::Expected {
        key: owner.verifying_key().clone(),
        file_id: None,
    };
    builder(&path).signed_by(expected).open().unwrap_err();
    flip(&path, 60_000);
    flip(&path, 65_536 + 60_000);
    builder(&path).open().unwrap_err();
    flip(&path, 60_000);
    flip(&path, 65_536 + 60_000);
    let held = open(&path);
    assert_eq!(one::<i64>(&held, sum), 80_000);
    held
}
