//! No two seals share a nonce: over transactions, connections, crashes, and a fork.
#![cfg(unix)]
#![expect(unsafe_code, reason = "fork is a call to C")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::support::{assert_clean, count, create, mode, nonces, one, open, wal};

const CHILD: &str = "ZQLITE_TEST_FORK_IN";
const FRAME: usize = 24 + 4_096;

/// The nonces of the WAL's frames.
fn wal_nonces(path: &Path) -> Vec<[u8; 24]> {
    fs::read(wal(path)).unwrap()[32..]
        .chunks_exact(FRAME)
        .map(|frame| frame[FRAME - 48..FRAME - 24].try_into().unwrap())
        .collect()
}

#[test]
fn transactions_and_connections_never_repeat_a_nonce() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let first = create(&path);
    mode(&first, "WAL");
    first
        .execute_batch("PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        .unwrap();
    let second = open(&path);
    second.execute_batch("PRAGMA wal_autocheckpoint=0").unwrap();
    for row in 0..300 {
        let connection = if row % 3 == 0 { &second } else { &first };
        connection
            .execute("INSERT INTO t(b) VALUES (?1)", [row])
            .unwrap();
    }
    // More than one batch of 1,024 in one transaction.
    first
        .execute_batch(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<2500)
             INSERT INTO t(b) SELECT hex(randomblob(1900)) FROM n",
        )
        .unwrap();
    let mut all = wal_nonces(&path);
    let frames = all.len();
    assert!(frames > 2_700);
    first.execute_batch("PRAGMA wal_checkpoint").unwrap();
    all.extend(nonces(&path));
    let distinct: HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    // Each transaction, and each 1,024 seals, drew a prefix of its own.
    let prefixes: HashSet<_> = all[..frames].iter().map(|nonce| &nonce[..12]).collect();
    assert!(prefixes.len() >= 303, "{}", prefixes.len());
}

#[test]
fn writing_the_same_again_does_not_repeat_a_nonce_or_a_page() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    connection
        .execute_batch(
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x')",
        )
        .unwrap();
    // As after a restored backup: the same transaction from the same file, twice.
    let start = fs::read(&path).unwrap();
    let mut results = Vec::new();
    drop(connection);
    for _ in 0..2 {
        fs::write(&path, &start).unwrap();
        open(&path).execute_batch("UPDATE t SET b = 'y'").unwrap();
        results.push(nonces(&path));
    }
    assert!(results[0].iter().zip(&results[1]).any(|(a, b)| a != b));
    assert!(
        results[0]
            .iter()
            .filter(|n| results[1].contains(n))
            .all(|n| {
                let untouched = &start[131_072..];
                untouched
                    .chunks(4_096)
                    .any(|page| page[4_048..4_072] == n[..])
            })
    );
}

/// A role, not a test: only where the variable names a folder does it do anything.
#[test]
fn child_forks_in_the_middle_of_a_transaction() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let path = Path::new(&folder).join("a.db");
    let connection = create(&path);
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=1; PRAGMA synchronous=OFF;
             CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); BEGIN;",
        )
        .unwrap();
    let rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<40)
                INSERT INTO t(b) SELECT hex(randomblob(1500)) FROM n";
    // The cache spills: there is a batch with nonces in use.
    connection.execute_batch(rows).unwrap();
    let common = wal_nonces(&path).len();
    assert!(common > 20);
    // Whoever comes after a fork writes into the same log at the same place: first the child, then we.
    // SAFETY: the child uses what it has, and ends with _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done = connection.execute_batch(rows).is_ok();
        // SAFETY: ends the child without running what belongs to its parent.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let mut status = -1;
    // SAFETY: waits for the child.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0, "the child could not write");
    fs::copy(wal(&path), Path::new(&folder).join("child-wal")).unwrap();
    connection.execute_batch(rows).unwrap();
    fs::copy(wal(&path), Path::new(&folder).join("parent-wal")).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    fs::write(Path::new(&folder).join("common"), common.to_string()).unwrap();
}

#[test]
fn after_a_fork_parent_and_child_use_other_nonces() {
    let dir = tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "nonces::child_forks_in_the_middle_of_a_transaction",
            "--test-threads=1",
        ])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stdout)
    );
    let read = |name: &str| -> Vec<Vec<u8>> {
        fs::read(dir.path().join(name)).unwrap()[32..]
            .chunks_exact(FRAME)
            .map(|frame| frame[FRAME - 48..FRAME - 24].to_vec())
            .collect()
    };
    let common: usize = fs::read_to_string(dir.path().join("common"))
        .unwrap()
        .parse()
        .unwrap();
    let (child, parent) = (read("child-wal"), read("parent-wal"));
    let (child, parent) = (&child[common..], &parent[common..]);
    assert!(child.len() > 10 && parent.len() > 10);
    let used: HashSet<_> = child.iter().collect();
    assert!(
        parent.iter().all(|nonce| !used.contains(nonce)),
        "a nonce twice under one key"
    );
    let prefixes: HashSet<_> = child.iter().map(|nonce| nonce[..12].to_vec()).collect();
    assert!(parent.iter().all(|nonce| !prefixes.contains(&nonce[..12])));
    let path = dir.path().join("a.db");
    assert_eq!(count(&open(&path)), 80);
    assert_eq!(one::<String>(&open(&path), "PRAGMA integrity_check"), "ok");
    assert_clean(&path);
}
