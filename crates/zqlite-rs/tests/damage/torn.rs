//! Pages of which a power cut left a part: the exact verdict for each. What heals from a hot journal or a log is in
//! `traps`; here is what has nothing to heal from.

use std::fs;
use std::path::Path;

use rusqlite::ffi;
use tempfile::tempdir;
use zqlite::{Error, Verdict};

use crate::faults::{Fault, Faults, Plan, Times};
use crate::support::{
    IOERR_DATA, PAGE, assert_clean, assert_sound, builder, code, count, crash_copy, create, fill,
    len, mode, one, open, page_at, peek, poke, problems, set_len, try_one, wal,
};

const SECTOR: usize = 512;

/// Puts the first sectors of `new` over `old`, as a write that was cut off.
fn torn(path: &Path, at: u64, new: &[u8], sectors: usize) {
    poke(path, at, &new[..sectors * SECTOR]);
}

/// Two states of the same database: the file, and every page of it later.
fn two_states(folder: &Path, journal_mode: &str) -> (std::path::PathBuf, Vec<u8>) {
    let path = folder.join("a.db");
    let connection = create(&path);
    mode(&connection, journal_mode);
    fill(&connection, 100);
    drop(connection);
    let old = fs::read(&path).unwrap();
    let connection = open(&path);
    connection
        .execute_batch("UPDATE t SET b = hex(randomblob(200)); CREATE TABLE u(x)")
        .unwrap();
    drop(connection);
    let new = fs::read(&path).unwrap();
    fs::write(&path, old).unwrap();
    (path, new)
}

#[test]
fn a_page_1_that_is_torn_and_has_nothing_to_heal_from_is_damage_and_not_another_file() {
    let _alone = Faults::alone();
    for journal_mode in ["DELETE", "WAL"] {
        let folder = tempdir().unwrap();
        let (path, new) = two_states(folder.path(), journal_mode);
        assert_clean(&path);
        for sectors in 1..PAGE / SECTOR {
            let at = usize::try_from(page_at(1)).unwrap();
            torn(&path, page_at(1), &new[at..], sectors);
            // The key opens it; that it cannot be read is not for want of one.
            let connection = open(&path);
            assert_eq!(
                code(try_one::<i64>(&connection, "SELECT count(*) FROM t")),
                IOERR_DATA
            );
            assert_eq!(
                code(connection.execute("CREATE TABLE v(x)", [])),
                IOERR_DATA
            );
            let error = connection
                .query_row("SELECT 1 FROM t", [], |_| Ok(()))
                .unwrap_err();
            assert_eq!(Error::Sqlite(error).verdict(), Verdict::Damaged);
            drop(connection);
            let found = problems(&path);
            assert!(
                found
                    .iter()
                    .any(|problem| problem == "page 1 does not open"),
                "{journal_mode} {sectors}: {found:?}"
            );
        }
    }
}

/// A transaction begins with a look at page 1, before SQLite knows that there is a log by now.
#[test]
fn a_torn_page_1_is_healed_from_the_log_for_a_connection_that_has_not_seen_the_log_yet() {
    let _alone = Faults::alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let early = create(&path);
    fill(&early, 20);
    let writer = open(&path);
    mode(&writer, "WAL");
    fill(&writer, 30);
    writer.execute_batch("CREATE TABLE u(x)").unwrap();
    poke(&path, page_at(1), &[0; 3 * SECTOR]);
    assert_eq!(count(&early), 50);
    early.execute_batch("INSERT INTO u VALUES (1)").unwrap();
    drop((early, writer));
    assert_clean(&path);
}

#[test]
fn a_page_that_is_torn_is_damage_where_it_is_read_and_nowhere_else() {
    let _alone = Faults::alone();
    let folder = tempdir().unwrap();
    let (path, new) = two_states(folder.path(), "DELETE");
    let pages = (new.len() as u64 - page_at(1)) / PAGE as u64;
    let last = pages - 2;
    let at = usize::try_from(page_at(last)).unwrap();
    torn(&path, page_at(last), &new[at..], 3);
    let connection = open(&path);
    assert_eq!(one::<i64>(&connection, "SELECT a FROM t LIMIT 1"), 1);
    assert_eq!(
        code(try_one::<String>(&connection, "SELECT max(b) FROM t")),
        IOERR_DATA
    );
    // Rows on other pages may still be written.
    connection
        .execute_batch("UPDATE t SET b = 'x' WHERE a = 1")
        .unwrap();
    drop(connection);
    let found = problems(&path);
    assert!(
        found.contains(&format!("page {last} does not open")),
        "{found:?}"
    );
    assert!(
        found.iter().all(|problem| !problem.contains("page 1 ")),
        "{found:?}"
    );
}

#[test]
fn a_log_whose_header_is_torn_was_never_begun() {
    let _alone = Faults::alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    mode(&connection, "WAL");
    fill(&connection, 30);
    let busy: i64 = one(&connection, "PRAGMA wal_checkpoint(RESTART)");
    assert_eq!(busy, 0);
    let before = peek(&wal(&path), 0, 32);
    fill(&connection, 5);
    let after = peek(&wal(&path), 0, 32);
    assert_ne!(before, after, "the log began anew");
    let copy = folder.path().join("copy.db");
    for kept in 1..32 {
        crash_copy(&path, &copy);
        // The file system kept the old end of the header, under the new beginning.
        poke(&wal(&copy), kept, &before[usize::try_from(kept).unwrap()..]);
        let reader = open(&copy);
        let rows = count(&reader);
        // The bytes that were not rewritten may be the same in both.
        let whole = peek(&wal(&copy), 0, 32) == after;
        assert_eq!(rows, if whole { 35 } else { 30 }, "{kept}");
        assert_sound(&reader);
        drop(reader);
        assert_clean(&copy);
    }
}

#[test]
fn a_file_that_ends_in_the_middle_of_a_page_that_nobody_counted_is_read_and_healed() {
    let _alone = Faults::alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    fill(&connection, 50);
    drop(connection);
    let whole = fs::read(&path).unwrap();
    // A transaction that grew the file was cut off before it wrote page 1.
    let part = &whole[usize::try_from(page_at(2)).unwrap()..][..3 * SECTOR];
    poke(&path, whole.len() as u64, part);
    let found = problems(&path);
    assert_eq!(found, ["the file ends 1536 bytes into a page"]);
    let connection = open(&path);
    assert_eq!(count(&connection), 50);
    fill(&connection, 200);
    assert_eq!(count(&connection), 250);
    assert_sound(&connection);
    drop(connection);
    assert_clean(&path);
}

/// Whether pages are missing is asked of page 1: where that cannot be read, nobody may go on as if none were.
#[test]
fn a_checkpoint_that_cannot_read_page_1_does_not_seal_zeros_in_the_place_of_lost_pages() {
    let faults = Faults::alone();
    let mut cases = 0;
    for at in 1..60 {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = create(&path);
        mode(&connection, "WAL");
        connection
            .execute_batch(
                "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a);
                 INSERT INTO t VALUES (zeroblob(30000));",
            )
            .unwrap();
        assert_eq!(
            one::<i64>(&connection, "PRAGMA wal_checkpoint(TRUNCATE)"),
            0
        );
        connection
            .execute_batch("INSERT INTO t VALUES (randomblob(30000))")
            .unwrap();
        let whole = len(&path);
        set_len(&path, whole - PAGE as u64);
        faults.strike(Plan {
            at,
            fault: Fault::Error,
            times: Times::Once,
        });
        let other = open_despite(&path);
        for _ in 0..2 {
            let refused = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            assert!(refused.is_err(), "call {at}: checkpointed");
        }
        cases += usize::from(!faults.lift().is_empty());
        drop((other, connection));
        // Zeros that were sealed there would be as authentic as those that were lost.
        let found = problems(&path);
        assert!(!found.is_empty(), "call {at}: the loss went unnoticed");
    }
    assert!(cases > 10, "{cases}");
}

/// Opens it, also where the first attempt is struck.
fn open_despite(path: &Path) -> rusqlite::Connection {
    builder(path).open().unwrap_or_else(|_| open(path))
}

#[test]
fn a_file_that_is_not_ours_is_not_taken_for_a_torn_one() {
    let _alone = Faults::alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    fill(&create(&path), 10);
    let connection = rusqlite::Connection::open(folder.path().join("plain.db")).unwrap();
    fill(&connection, 10);
    drop(connection);
    let error = builder(&folder.path().join("plain.db")).open().unwrap_err();
    assert!(
        matches!(
            error,
            Error::NotSealed {
                plain_sqlite: true,
                ..
            }
        ),
        "{error:?}"
    );
    // And the other way: plain SQLite calls a sealed file no database of its own.
    let connection = rusqlite::Connection::open(&path).unwrap();
    let refused = code(try_one::<i64>(
        &connection,
        "SELECT count(*) FROM sqlite_master",
    ));
    assert_eq!(refused, ffi::SQLITE_NOTADB);
}
