//! What stands beside a damaged file: its WAL, or a journal that was not rolled back. And a file that was cut.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zqlite::salvage::{SalvageOptions, SalvageReport, salvage};

use crate::every_page::run;
use crate::support::{
    PAGE, assert_clean, beside, count, crash_copy, create, fill, flip, journal, len, mode, open,
    page_at, ring, set_len, slots, wal,
};

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// 100 rows in the file, 50 in the log, as a crash leaves them.
    fn with_log(&self) -> PathBuf {
        let (live, damaged) = (self.path("live.db"), self.path("damaged.db"));
        for suffix in ["", "-wal", "-journal", "-shm"] {
            drop(std::fs::remove_file(beside(&live, suffix)));
        }
        let connection = create(&live);
        mode(&connection, "WAL");
        connection
            .execute_batch("PRAGMA wal_autocheckpoint=0")
            .unwrap();
        fill(&connection, 100);
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        for _ in 0..50 {
            connection
                .execute("INSERT INTO t(b) VALUES (hex(randomblob(200)))", [])
                .unwrap();
        }
        crash_copy(&live, &damaged);
        damaged
    }

    /// 100 rows before a transaction that was interrupted, whose journal is hot.
    fn with_journal(&self) -> PathBuf {
        let (live, damaged) = (self.path("live.db"), self.path("damaged.db"));
        for suffix in ["", "-wal", "-journal", "-shm"] {
            drop(std::fs::remove_file(beside(&live, suffix)));
        }
        let connection = create(&live);
        fill(&connection, 100);
        connection
            .execute_batch(
                "PRAGMA cache_size=2; BEGIN; UPDATE t SET b = hex(randomblob(200)) WHERE a < 90",
            )
            .unwrap();
        crash_copy(&live, &damaged);
        assert!(len(&journal(&damaged)) > 512);
        damaged
    }
}

fn ignoring(from: &Path, to: &Path) -> SalvageReport {
    let mut options = SalvageOptions::new(ring());
    options.slots = Some(slots());
    options.ignore_wal = true;
    salvage(from, to, options, &mut |_| true).unwrap()
}

#[test]
fn the_readable_part_of_a_log_counts() {
    let bench = Bench::new();
    let damaged = bench.with_log();
    let out = bench.path("out.db");
    let report = run(&damaged, &out).unwrap();
    assert!(report.is_complete());
    assert_eq!(count(&open(&out)), 150);

    // The log ends at a frame that does not open.
    let damaged = bench.with_log();
    let half = len(&wal(&damaged)) / 2;
    flip(&wal(&damaged), half);
    run(&damaged, &out).unwrap();
    let saved = count(&open(&out));
    assert!(100 < saved && saved < 150, "{saved}");
    assert_clean(&out);

    // Without it, what the file holds.
    let damaged = bench.with_log();
    let report = ignoring(&damaged, &bench.path("without.db"));
    assert!(report.is_complete());
    assert_eq!(count(&open(&bench.path("without.db"))), 100);
}

#[test]
fn a_page_that_the_log_holds_is_not_lost() {
    let bench = Bench::new();
    let damaged = bench.with_log();
    let out = bench.path("out.db");
    // The last page of the file is where the log's rows were inserted.
    let last = (len(&damaged) - page_at(1)) / PAGE as u64;
    flip(&damaged, page_at(last) + 50);
    let report = run(&damaged, &out).unwrap();
    assert_eq!(report.bad_pages, [last]);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(count(&open(&out)), 150);
    let report = ignoring(&damaged, &bench.path("without.db"));
    assert!(!report.is_complete());
}

#[test]
fn a_hot_journal_is_rolled_back_and_a_damaged_one_is_reported() {
    let bench = Bench::new();
    let damaged = bench.with_journal();
    let out = bench.path("out.db");
    let report = run(&damaged, &out).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(count(&open(&out)), 100);

    let damaged = bench.with_journal();
    flip(&journal(&damaged), 600);
    let before = std::fs::read(&damaged).unwrap();
    let report = run(&damaged, &out).unwrap();
    assert!(!report.is_complete());
    assert!(report.problems[0].contains("as they stand"), "{report:?}");
    assert_eq!(count(&open(&out)), 100);
    assert_clean(&out);
    assert_eq!(std::fs::read(&damaged).unwrap(), before);
    assert!(len(&journal(&damaged)) > 512, "the journal is gone");
}

#[test]
fn a_file_that_was_cut_gives_what_is_left() {
    let bench = Bench::new();
    let (path, out) = (bench.path("a.db"), bench.path("out.db"));
    let connection = create(&path);
    fill(&connection, 300);
    drop(connection);
    let whole = std::fs::read(&path).unwrap();
    let pages = (len(&path) - page_at(1)) / PAGE as u64;
    let (mut done, mut before) = (0, 300);
    for left in (3..pages).rev() {
        std::fs::write(&path, &whole).unwrap();
        set_len(&path, page_at(left + 1) - 7);
        let report = run(&path, &out).unwrap();
        assert!(!report.is_complete());
        let saved = count(&open(&out));
        assert!(saved <= before, "{saved} {before}");
        assert_clean(&out);
        before = saved;
        done += 1;
    }
    assert!(done > 20 && before < 300, "{done} {before}");
    // Nothing but page 1, and not even that.
    for left in [page_at(2), page_at(1)] {
        set_len(&path, left);
        let report = run(&path, &out);
        assert!(report.is_err() || !report.unwrap().is_complete());
    }
}
