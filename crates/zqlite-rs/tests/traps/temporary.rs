//! Files that SQLite unlinks as soon as it has opened them: statement journals, sorter, temporary tables,
//! VACUUM's copy. They are looked at through `/proc/self/fd` while a statement runs (Linux only).

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tempfile::tempdir;

use crate::support::{contains, create};

/// What was seen in unlinked files of this process.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Bytes in all of them, at most.
    bytes: usize,
    /// The marker stood in one of them.
    marker: bool,
}

/// One test at a time: all of a process's files are looked at.
static ALONE: Mutex<()> = Mutex::new(());

/// Virtual machine steps between two looks.
const STEPS: i32 = 500;

/// Runs statements, and looks for a marker in unlinked files all the while.
fn watch(connection: &mut Connection, marker: &str, statements: &str) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let shared = Arc::clone(&seen);
    let needle = marker.as_bytes().to_vec();
    connection
        .progress_handler(
            STEPS,
            Some(move || {
                let files = unlinked_files();
                let mut seen = shared.lock().unwrap();
                seen.bytes = seen.bytes.max(files.iter().map(Vec::len).sum());
                seen.marker |= files.iter().any(|bytes| contains(bytes, &needle));
                false
            }),
        )
        .unwrap();
    connection.execute_batch(statements).unwrap();
    connection
        .progress_handler(0, None::<fn() -> bool>)
        .unwrap();
    *seen.lock().unwrap()
}

/// What stands in the temporary files that this process has open.
fn unlinked_files() -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            // Opened without a name (O_TMPFILE), or unlinked.
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().ends_with(" (deleted)"))
        })
        .filter_map(|entry| {
            let file = fs::File::open(entry.path()).ok()?;
            let mut bytes = vec![0; 1 << 20];
            let read = file.read_at(&mut bytes, 0).ok()?;
            bytes.truncate(read);
            Some(bytes)
        })
        .collect()
}

/// The same statements on a plain and on a sealed database: the plain one shows that there was something to see.
fn compare(marker: &str, prepare: &str, statements: &str) {
    if !Path::new("/proc/self/fd").exists() {
        println!("skipped: there is no /proc/self/fd here");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempdir().unwrap();
    let mut plain = Connection::open(dir.path().join("plain.db")).unwrap();
    let mut sealed = create(&dir.path().join("sealed.db"));
    let rows = format!(
        "PRAGMA cache_size=10;
         CREATE TABLE t(a INTEGER PRIMARY KEY, u INT UNIQUE, b TEXT);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<8000)
         INSERT INTO t SELECT x, x, '{marker} ' || hex(randomblob(200)) FROM n;
         {prepare}"
    );
    plain.execute_batch(&rows).unwrap();
    sealed.execute_batch(&rows).unwrap();
    let seen = watch(&mut plain, marker, statements);
    assert!(seen.marker, "plain SQLite hides it, too: {seen:?}");
    // Its temporary tables go with it.
    drop(plain);
    let seen = watch(&mut sealed, marker, statements);
    assert!(
        seen.bytes > 65_536,
        "no temporary file was written: {seen:?}"
    );
    assert!(!seen.marker, "plaintext in a temporary file");
}

#[test]
fn the_sorter_spills_no_plaintext() {
    compare(
        "marker-of-the-sorter",
        "",
        "CREATE TABLE sorted AS SELECT b, a FROM t ORDER BY substr(b, 40), a;",
    );
}

#[test]
fn a_temporary_table_spills_no_plaintext() {
    compare(
        "marker-of-the-temporary-table",
        "",
        "PRAGMA temp.cache_size=5; CREATE TEMP TABLE s AS SELECT a, b FROM t; SELECT count(*) FROM s;
         UPDATE s SET b = b || 'x';",
    );
}

#[test]
fn a_statement_journal_spills_no_plaintext() {
    compare(
        "marker-of-the-statement-journal",
        "",
        // The second statement changes pages that the transaction has changed: its journal holds those.
        "BEGIN; UPDATE t SET u = -u; UPDATE t SET u = u - 10000, b = b || 'x'; ROLLBACK;",
    );
}

#[test]
fn vacuum_spills_no_plaintext() {
    compare(
        "marker-of-vacuum",
        "DELETE FROM t WHERE a % 3 = 0;",
        "VACUUM;",
    );
}

#[test]
fn nothing_beside_the_database_holds_plaintext() {
    for journal_mode in ["DELETE", "WAL", "PERSIST"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = create(&path);
        crate::support::mode(&connection, journal_mode);
        connection
            .execute_batch(
                "PRAGMA cache_size=5; CREATE TABLE secret_name(b TEXT);
                 WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<500)
                 INSERT INTO secret_name SELECT 'secret value ' || hex(randomblob(100)) FROM n;
                 BEGIN; UPDATE secret_name SET b = b || 'y';",
            )
            .unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let file = entry.unwrap().path();
            let bytes = fs::read(&file).unwrap();
            for text in [&b"secret"[..], b"SQLite format 3", b"CREATE TABLE"] {
                assert!(!contains(&bytes, text), "{}", file.display());
            }
        }
    }
}
