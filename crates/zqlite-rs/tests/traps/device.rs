//! What the device below claims must not lead SQLite to read or write less than a page.

use core::ffi::c_int;

use rusqlite::ffi;
use tempfile::tempdir;

use crate::probe::{Event, Probe, characteristics_seen};
use crate::support::{assert_clean, count, create, open, open_uri, register_new};

const SUBPAGE_READ: c_int = 0x8000;

#[test]
fn claims_about_less_than_a_page_are_masked() {
    let claims = ffi::SQLITE_IOCAP_SAFE_APPEND
        | ffi::SQLITE_IOCAP_BATCH_ATOMIC
        | ffi::SQLITE_IOCAP_ATOMIC
        | ffi::SQLITE_IOCAP_ATOMIC4K
        | SUBPAGE_READ;
    let probe = Probe::install("zq-boastful", claims);
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    register_new(&path);
    let uri = format!("file:{}?vfs=zq-boastful", path.display());
    let connection = open_uri(&uri).unwrap();
    let seen = characteristics_seen(&connection);
    assert_eq!(seen & claims, 0, "{seen:#x}");
    assert_ne!(seen & ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE, 0);
    connection
        .execute_batch("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        .unwrap();
    probe.take_events();
    connection
        .execute_batch("INSERT INTO t(b) VALUES (zeroblob(1000000))")
        .unwrap();
    // SAFE_APPEND would leave out the count in the journal's header, ATOMIC the journal.
    let count_written = probe.take_events().iter().any(
        |event| matches!(event, Event::Write { name, offset: 0, len: 80 } if name == "a.db-journal"),
    );
    assert!(count_written);
    drop(connection);
    // A large BLOB is read through the cache, page by page.
    let again = open(&path);
    let long: i64 = again
        .query_row("SELECT length(hex(b)) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(long, 2_000_000);
    assert_clean(&path);
}

#[test]
fn the_default_vfs_claims_are_masked() {
    let dir = tempdir().unwrap();
    let connection = create(&dir.path().join("a.db"));
    let seen = characteristics_seen(&connection);
    assert_eq!(seen & (SUBPAGE_READ | ffi::SQLITE_IOCAP_SAFE_APPEND), 0);
}

#[test]
fn memory_mapping_does_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    connection
        .execute_batch("PRAGMA mmap_size=268435456")
        .unwrap();
    crate::support::fill(&connection, 500);
    drop(connection);
    let again = open(&path);
    again.execute_batch("PRAGMA mmap_size=268435456").unwrap();
    assert_eq!(count(&again), 500);
    assert_clean(&path);
}

/// FORMAT.md F-29: a count stands in a journal header only once the records it counts are synced.
#[test]
fn a_record_count_is_written_only_after_a_sync() {
    let probe = Probe::install("zq-syncs", 0);
    for synchronous in ["NORMAL", "FULL", "EXTRA"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        register_new(&path);
        let uri = format!("file:{}?vfs=zq-syncs", path.display());
        let connection = open_uri(&uri).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA synchronous={synchronous}; PRAGMA cache_size=5"
            ))
            .unwrap();
        crate::support::fill(&connection, 300);
        probe.take_events();
        connection
            .execute_batch("UPDATE t SET b = hex(randomblob(200))")
            .unwrap();
        let mut unsynced = 0;
        let mut counts = 0;
        for event in probe.take_events() {
            match event {
                Event::Sync { name } if name == "a.db-journal" => unsynced = 0,
                Event::Write {
                    name, len: 4096, ..
                } if name == "a.db-journal" => unsynced += 1,
                Event::Write { name, len: 80, .. } if name == "a.db-journal" => {
                    counts += 1;
                    assert_eq!(unsynced, 0, "synchronous={synchronous}");
                }
                _ => {}
            }
        }
        assert!(counts > 1, "{counts}");
    }
}
