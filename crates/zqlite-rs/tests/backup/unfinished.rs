//! Backups that were interrupted.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use zqlite::{BackupOptions, Error, backup};

use crate::idle::{Bench, run};
use crate::support::{
    assert_clean, count, create, fill, fingerprint, header_of, len, mode, one, open, page_at, poke,
    ring,
};

/// A database of more than 1 MiB.
fn bench() -> (Bench, PathBuf, PathBuf, PathBuf) {
    let bench = Bench::new();
    let (path, out) = (bench.path("a.db"), bench.path("out.db"));
    let connection = create(&path);
    mode(&connection, "WAL");
    fill(&connection, 9_000);
    drop(connection);
    let id = header_of(&path).header.file_id().to_string();
    let unfinished = bench.path(&format!(".out.db.zqlite-tmp-{id}"));
    (bench, path, out, unfinished)
}

/// Stops a backup in its first pass.
fn stop(path: &Path, out: &Path) {
    let mut calls = 0;
    let stopped = backup(path, out, BackupOptions::new(ring()), &mut |_| {
        calls += 1;
        calls < 3
    });
    assert!(
        matches!(stopped, Err(Error::BackupStopped { .. })),
        "{stopped:?}"
    );
}

#[test]
fn a_backup_goes_on_where_it_was_stopped() {
    let (bench, path, out, unfinished) = bench();
    stop(&path, &out);
    assert_eq!(bench.names().len(), 2);
    assert!(unfinished.exists() && !out.exists());
    let mode = std::fs::metadata(&unfinished).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let made = run(&path, &out).unwrap();
    assert!(made.resumed);
    assert_eq!(
        made.pages - made.pages_written,
        512,
        "two steps of 1 MiB were done"
    );
    assert_eq!(bench.names(), ["a.db", "out.db"]);
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&out).unwrap());
}

#[test]
fn what_was_torn_in_an_unfinished_backup_is_copied_again() {
    let (bench, path, out, unfinished) = bench();
    stop(&path, &out);
    // Their trailers are as they ought to be.
    for page in [1, 5, 400] {
        poke(&unfinished, page_at(page) + 8, &[0x5a; 512]);
    }
    poke(&unfinished, len(&unfinished) - 1, &[1]);
    run(&path, &out).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&out).unwrap());
    assert_eq!(bench.names(), ["a.db", "out.db"]);
}

#[test]
fn changes_since_the_interruption_are_in_the_backup() {
    let (_bench, path, out, _) = bench();
    stop(&path, &out);
    let connection = open(&path);
    connection
        .execute_batch(
            "UPDATE t SET b = 'changed' WHERE a % 100 = 0; DELETE FROM t WHERE a > 8000; VACUUM",
        )
        .unwrap();
    let before = fingerprint(&connection);
    run(&path, &out).unwrap();
    assert_eq!(fingerprint(&open(&out)), before);
    assert_eq!(
        one::<i64>(&open(&out), "SELECT count(*) FROM t WHERE b = 'changed'"),
        80
    );
    assert_clean(&out);
}

#[test]
fn a_link_in_the_place_of_the_unfinished_file_is_not_followed() {
    let (bench, path, out, unfinished) = bench();
    let precious = bench.path("precious");
    std::fs::write(&precious, "precious").unwrap();
    symlink(&precious, &unfinished).unwrap();
    assert!(matches!(run(&path, &out), Err(Error::NotAFile { .. })));
    std::fs::remove_file(&unfinished).unwrap();
    std::fs::hard_link(&precious, &unfinished).unwrap();
    assert!(matches!(run(&path, &out), Err(Error::NotAFile { .. })));
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    std::fs::remove_file(&unfinished).unwrap();
    run(&path, &out).unwrap();
    assert_eq!(count(&open(&out)), 9_000);
}
