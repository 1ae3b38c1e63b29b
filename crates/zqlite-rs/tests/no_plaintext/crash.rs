//! A process that dies in the middle of a transaction: what it wrote, and what it leaves behind. A process is this test
//! binary, started again with a role.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::tempdir;

use crate::markers::{COLUMN, TABLE, find};
use crate::support::{assert_clean, one};
use crate::watcher::Watcher;
use crate::workload::{Bench, Side};

const ROLE: &str = "ZQLITE_TEST_PLAINTEXT_CRASH";
const FOLDER: &str = "ZQLITE_TEST_PLAINTEXT_FOLDER";

/// A role, not a test: works on a database, says what it wrote, and aborts.
#[test]
fn crash_role() {
    let (Ok(role), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else {
        return;
    };
    let (side, journal_mode) = role.split_once(' ').unwrap();
    let (watcher, folder) = (Watcher::alone(), PathBuf::from(folder));
    let bench = Bench {
        folder: &folder,
        side: if side == "plain" {
            Side::Plain
        } else {
            Side::Sealed
        },
    };
    let connection = bench.fill("a.db", journal_mode, "UTF-8");
    connection
        .execute_batch(&format!(
            "PRAGMA wal_autocheckpoint=100;
             UPDATE {TABLE} SET {COLUMN} = {COLUMN} || ' committed' WHERE id < 1000;
             BEGIN;
             UPDATE {TABLE} SET {COLUMN} = {COLUMN} || ' never';
             UPDATE {TABLE} SET u = -u;"
        ))
        .unwrap();
    for (kind, written) in watcher.take() {
        let markers = !written.markers.is_empty();
        println!(
            "\nwrote {kind}, {}",
            if markers { "with markers" } else { "sealed" }
        );
    }
    std::process::abort();
}

/// What the process said before it died, and the markers in the files that it left.
fn crash(folder: &Path, role: &str) -> (String, Vec<(String, BTreeSet<&'static str>)>) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::crash_role", "--nocapture"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        // A core dump would hold everything.
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(!output.status.success(), "it did not die");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("wrote database"), "{role}: {said}");
    let left = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), find(&bytes))
    });
    let mut left: Vec<_> = left.filter(|(name, _)| name.starts_with("a.db")).collect();
    left.sort();
    (said, left)
}

#[test]
fn a_process_that_dies_leaves_no_plaintext() {
    let mut cases = 0;
    for journal_mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        let (plain, sealed) = (tempdir().unwrap(), tempdir().unwrap());
        let (said, left) = crash(plain.path(), &format!("plain {journal_mode}"));
        let beside = if journal_mode == "WAL" {
            "a.db-wal"
        } else {
            "a.db-journal"
        };
        assert!(
            said.contains("wrote statement journal, with markers"),
            "{said}"
        );
        for name in ["a.db", beside] {
            let found = left.iter().find(|(left, _)| left == name);
            let (_, markers) = found.unwrap_or_else(|| panic!("{name}: {left:?}"));
            assert!(markers.len() >= 2, "{journal_mode}: {left:?}");
        }
        let (said, left_sealed) = crash(sealed.path(), &format!("sealed {journal_mode}"));
        assert!(said.contains("wrote statement journal, sealed"), "{said}");
        assert!(!said.contains("with markers"), "{journal_mode}: {said}");
        // The same files, and none of them has one.
        let names = |left: &[(String, BTreeSet<&'static str>)]| -> Vec<String> {
            left.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&left_sealed), names(&left));
        for (name, markers) in &left_sealed {
            assert_eq!(*markers, BTreeSet::new(), "{journal_mode}: {name}");
        }
        recover(sealed.path());
        cases += 1;
    }
    assert_eq!(cases, 4);
}

fn recover(folder: &Path) {
    let _watcher = Watcher::alone();
    let bench = Bench {
        folder,
        side: Side::Sealed,
    };
    let connection = bench.open("a.db");
    let rows = |pattern: &str| -> u32 {
        one(
            &connection,
            &format!("SELECT count(*) FROM {TABLE} WHERE {COLUMN} LIKE '%{pattern}'"),
        )
    };
    assert_eq!((rows("committed"), rows("never")), (999, 0));
    drop(connection);
    assert_clean(&bench.path("a.db"));
}
