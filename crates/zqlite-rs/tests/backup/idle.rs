//! Backups of files that nobody else uses.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zqlite::{BackedUp, BackupOptions, Builder, Error, Verdict, backup};

use crate::support::{
    PAGE, assert_clean, count, create, create_sized, fill, fingerprint, flip, header_of, len, mode,
    one, open, page_at, ring, ring_of, slots_of, wal,
};

pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn run(from: &Path, to: &Path) -> Result<BackedUp, Error> {
    backup(from, to, BackupOptions::new(ring()), &mut |_| true)
}

#[test]
fn a_backup_is_the_same_file_with_the_log_folded_in() {
    let mut done = 0;
    for journal in ["WAL", "DELETE", "PERSIST"] {
        for page_size in [4_096, 65_536] {
            let bench = Bench::new();
            let (path, out) = (bench.path("a.db"), bench.path("out.db"));
            let connection = create_sized(&path, page_size);
            mode(&connection, journal);
            fill(&connection, 500);
            connection
                .execute_batch("CREATE INDEX i ON t(b); DELETE FROM t WHERE a % 7 = 0")
                .unwrap();
            if journal == "WAL" {
                assert!(len(&wal(&path)) > 0);
            }
            let made = run(&path, &out).unwrap();
            // Pages that the log held at first are written twice.
            assert!(made.pages <= made.pages_written && made.pages_written < made.pages + 20);
            assert!(!made.resumed);
            let before = fingerprint(&connection);
            // Nothing else was written since: the file is the backup, byte for byte.
            assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&out).unwrap());
            connection.execute_batch("DELETE FROM t").unwrap();
            drop(connection);
            let copy = open(&out);
            assert_eq!(fingerprint(&copy), before);
            assert_eq!(
                one::<String>(&copy, "PRAGMA journal_mode").to_uppercase(),
                journal.replace("PERSIST", "DELETE")
            );
            drop(copy);
            let leaves: &[&str] = match journal {
                "PERSIST" => &["a.db", "a.db-journal", "out.db"],
                _ => &["a.db", "out.db"],
            };
            assert_eq!(bench.names(), leaves);
            assert_clean(&out);
            done += 1;
        }
    }
    assert_eq!(done, 6);
}

#[test]
fn a_backup_for_others_has_an_id_and_a_key_of_its_own() {
    let bench = Bench::new();
    let (path, out) = (bench.path("a.db"), bench.path("out.db"));
    let connection = create(&path);
    mode(&connection, "WAL");
    fill(&connection, 500);
    let mut options = BackupOptions::new(ring());
    options.slots = Some(slots_of([9; 32]));
    let made = backup(&path, &out, options, &mut |_| true).unwrap();
    assert_ne!(made.file_id, *header_of(&path).header.file_id());
    let other = || {
        Builder::new(&out)
            .keyring(ring_of([9; 32]))
            .accept_any_maker()
            .open()
    };
    assert_eq!(fingerprint(&other().unwrap()), fingerprint(&connection));
    let refused = Builder::new(&out).keyring(ring()).open();
    assert!(matches!(refused, Err(Error::NoKey { .. })), "{refused:?}");
    let report = zqlite::verify(
        &out,
        zqlite::VerifyOptions::new(ring_of([9; 32])),
        &mut |_| true,
    );
    assert_eq!(report.unwrap().problems, [""; 0]);
}

#[test]
fn a_file_with_a_damaged_page_gives_no_backup() {
    let bench = Bench::new();
    let (path, out) = (bench.path("a.db"), bench.path("out.db"));
    let connection = create(&path);
    fill(&connection, 100);
    drop(connection);
    flip(&path, page_at(7) + 100);
    let error = run(&path, &out).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Damaged, "{error}");
    assert!(error.to_string().contains("page 7"), "{error}");
    assert_eq!(bench.names(), ["a.db"]);
    flip(&path, page_at(7) + 100);
    run(&path, &out).unwrap();
    // A page that is missing at the end, too.
    std::fs::remove_file(&out).unwrap();
    crate::support::set_len(&path, len(&path) - PAGE as u64);
    let error = run(&path, &out).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Damaged, "{error}");
    assert_eq!(bench.names(), ["a.db"]);
}

#[test]
fn what_is_there_is_replaced_only_by_force_and_with_what_stands_beside_it() {
    let bench = Bench::new();
    let (path, out) = (bench.path("a.db"), bench.path("out.db"));
    let connection = create(&path);
    fill(&connection, 100);
    std::fs::write(&out, "old").unwrap();
    std::fs::write(bench.path("out.db-wal"), "old").unwrap();
    assert!(matches!(run(&path, &out), Err(Error::Exists { .. })));
    assert_eq!(std::fs::read(&out).unwrap(), b"old");
    assert!(matches!(run(&path, &path), Err(Error::Create(_))));
    let mut options = BackupOptions::new(ring());
    options.force = true;
    backup(&path, &out, options, &mut |_| true).unwrap();
    assert_eq!(bench.names(), ["a.db", "out.db"]);
    assert_eq!(count(&open(&out)), 100);
}
