//! Stored pages: swapped, blanked, cut off, never written.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::tempdir;

use crate::support::{
    IOERR_DATA, PAGE, PAGES_AT, assert_clean, assert_sound, builder, code, count, crash_copy,
    create, fill, len, mode, nonces, one, open, page_at, peek, poke, problems, set_len, try_one,
};

fn database(path: &Path, rows: u32) -> i64 {
    let connection = create(path);
    fill(&connection, rows);
    one(&connection, "PRAGMA page_count")
}

/// Reading everything ends in this error.
fn assert_unreadable(path: &Path) {
    let connection = builder(path).open().unwrap();
    let read = try_one::<i64>(&connection, "SELECT sum(length(b)) FROM t");
    assert_eq!(code(read), IOERR_DATA);
}

#[test]
fn a_changed_bit_of_a_page_is_an_error_wherever_it_is() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, 200);
    // Ciphertext, nonce, epoch, zeros, tag.
    for at in [
        0, 2_000, 4_047, 4_048, 4_071, 4_072, 4_075, 4_076, 4_079, 4_080, 4_095,
    ] {
        crate::support::flip(&path, page_at(5) + at);
        assert_unreadable(&path);
        crate::support::flip(&path, page_at(5) + at);
    }
    assert_clean(&path);
}

#[test]
fn a_page_in_the_place_of_another_does_not_open() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, 200);
    let (five, six) = (peek(&path, page_at(5), PAGE), peek(&path, page_at(6), PAGE));
    poke(&path, page_at(5), &six);
    poke(&path, page_at(6), &five);
    assert_unreadable(&path);
    let found = problems(&path);
    assert!(
        found.iter().any(|p| p == "page 5 does not open"),
        "{found:?}"
    );
    assert!(
        found.iter().any(|p| p == "page 6 does not open"),
        "{found:?}"
    );
    poke(&path, page_at(5), &five);
    poke(&path, page_at(6), &six);
    assert_clean(&path);
}

#[test]
fn a_page_of_another_file_does_not_open() {
    let dir = tempdir().unwrap();
    let (path, other) = (dir.path().join("a.db"), dir.path().join("b.db"));
    database(&path, 200);
    database(&other, 200);
    let own = peek(&path, page_at(5), PAGE);
    poke(&path, page_at(5), &peek(&other, page_at(5), PAGE));
    assert_unreadable(&path);
    poke(&path, page_at(5), &own);
    assert_clean(&path);
}

#[test]
fn a_page_of_zeros_is_not_an_empty_page() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, 200);
    let own = peek(&path, page_at(5), PAGE);
    poke(&path, page_at(5), &[0; PAGE]);
    assert_unreadable(&path);
    poke(&path, page_at(5), &own);
    assert_clean(&path);
}

#[test]
fn a_blanked_overflow_page_does_not_shorten_a_value() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    connection
        .execute_batch("CREATE TABLE t(b BLOB); INSERT INTO t VALUES (randomblob(100000));")
        .unwrap();
    let pages: u64 = u64::try_from(one::<i64>(&connection, "PRAGMA page_count")).unwrap();
    drop(connection);
    let own = peek(&path, page_at(pages), PAGE);
    poke(&path, page_at(pages), &[0; PAGE]);
    assert_unreadable_blob(&path);
    poke(&path, page_at(pages), &own);
    assert_clean(&path);
}

/// Reading the bytes of the BLOB is an error.
fn assert_unreadable_blob(path: &Path) {
    let connection = builder(path).open().unwrap();
    let read = try_one::<String>(&connection, "SELECT hex(b) FROM t");
    assert_eq!(code(read), IOERR_DATA);
}

#[test]
fn a_file_cut_anywhere_never_yields_a_wrong_row() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let pages = database(&path, 60);
    let whole = fs::read(&path).unwrap();
    let rows = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
        connection
            .prepare("SELECT a || b FROM t ORDER BY a")?
            .query_map([], |row| row.get(0))?
            .collect()
    };
    let expected = rows(&open(&path)).unwrap();
    for page in 0..=u64::try_from(pages).unwrap() {
        for more in [0, 1, 2_048, 4_095] {
            let cut = PAGES_AT + page * PAGE as u64 + more;
            if cut >= whole.len() as u64 {
                continue;
            }
            fs::write(&path, &whole).unwrap();
            set_len(&path, cut);
            let found = builder(&path)
                .open()
                .map_err(|error| format!("{error}"))
                .and_then(|c| rows(&c).map_err(|error| format!("{error}")));
            assert!(found.is_err(), "{cut}: {} rows", found.unwrap().len());
            assert!(
                !zqlite::verify(
                    &path,
                    zqlite::VerifyOptions::new(crate::support::ring()),
                    &mut |_| true
                )
                .is_ok_and(|report| report.problems.is_empty())
            );
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(rows(&open(&path)).unwrap(), expected);
}

/// FORMAT.md F-24: in WAL mode SQLite asks for pages behind the end of the file, and takes zeros for an empty page.
#[test]
fn overflow_pages_cut_off_in_wal_mode_are_damage_not_zeros() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    mode(&connection, "WAL");
    connection
        .execute_batch(
            "CREATE TABLE t(b BLOB); INSERT INTO t VALUES (randomblob(100000));
             PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint=0;
             CREATE TABLE u(x); INSERT INTO u VALUES (1);",
        )
        .unwrap();
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    let whole: String = one(&open(&copy), "SELECT hex(b) FROM t");
    assert_eq!(whole.len(), 200_000);
    for lost in [1, 2, 10] {
        crash_copy(&path, &copy);
        set_len(&copy, len(&path) - lost * PAGE as u64);
        assert_unreadable_blob(&copy);
    }
}

#[test]
fn a_file_cut_down_to_its_header_is_damage_for_everyone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, 10);
    let whole = fs::read(&path).unwrap();
    set_len(&path, PAGES_AT);
    let cut = fs::read(&path).unwrap();
    for attempt in [
        builder(&path),
        builder(&path).read_only(),
        builder(&path).create(crate::support::slots()),
    ] {
        let writing = attempt.open().and_then(|connection| {
            connection
                .execute_batch("CREATE TABLE IF NOT EXISTS t(a, b); INSERT INTO t VALUES (1, 2)")
                .map_err(zqlite::Error::Sqlite)
        });
        let error = writing.expect_err("a populated file is never empty");
        assert_eq!(error.verdict(), zqlite::Verdict::Damaged, "{error}");
        assert!(fs::read(&path).unwrap() == cut, "something was written");
    }
    assert!(
        problems(&path)
            .iter()
            .any(|p| p.contains("cut down to its header"))
    );
    fs::write(&path, whole).unwrap();
    assert_eq!(count(&open(&path)), 10);
}

#[test]
fn pages_that_nobody_wrote_are_sealed_in_every_state() {
    for vacuum in ["NONE", "FULL", "INCREMENTAL"] {
        for journal_mode in ["DELETE", "WAL"] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a.db");
            let connection = create(&path);
            connection
                .execute_batch(&format!("PRAGMA auto_vacuum={vacuum}"))
                .unwrap();
            mode(&connection, journal_mode);
            fill(&connection, 300);
            let set: i64 = one(&connection, "PRAGMA auto_vacuum");
            assert_eq!(
                set,
                i64::from(vacuum != "NONE") + i64::from(vacuum == "INCREMENTAL")
            );
            for step in [
                "CREATE TABLE z(x); INSERT INTO z VALUES (zeroblob(500000));",
                "DELETE FROM z;",
                "BEGIN; INSERT INTO z VALUES (zeroblob(900000)); DELETE FROM z; COMMIT;",
                "DELETE FROM t WHERE a % 2 = 0;",
                "PRAGMA incremental_vacuum(20);",
                "INSERT INTO z VALUES (zeroblob(200000));",
                "PRAGMA wal_checkpoint(TRUNCATE);",
                "BEGIN; INSERT INTO z VALUES (zeroblob(300000)); ROLLBACK;",
                "VACUUM;",
            ] {
                connection
                    .prepare("SELECT 1")
                    .and_then(|_| connection.execute_batch(step))
                    .unwrap();
                // A copy: whoever verifies must find the file whole without this connection.
                let copy = dir.path().join("copy.db");
                crash_copy(&path, &copy);
                assert_clean(&copy);
                assert_sound(&connection);
            }
            drop(connection);
            assert_clean(&path);
        }
    }
}

#[test]
fn a_database_with_free_pages_that_were_never_written_is_backed_up() {
    for journal_mode in ["DELETE", "WAL"] {
        back_up_with_free_pages(journal_mode);
    }
}

fn back_up_with_free_pages(journal_mode: &str) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    mode(&connection, journal_mode);
    connection
        .execute_batch("PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a INTEGER PRIMARY KEY, b);")
        .unwrap();
    // The pages of the BLOB become free in the transaction that allocated them: nobody writes them.
    connection
        .execute_batch(
            "BEGIN; INSERT INTO t VALUES (1, zeroblob(400000)); INSERT INTO t VALUES (2, 'x');
             DELETE FROM t WHERE a = 1; COMMIT;",
        )
        .unwrap();
    let free: i64 = one(&connection, "PRAGMA freelist_count");
    assert!(free > 50, "{free}");
    let target = dir.path().join("b.db");
    let mut copy = create(&target);
    rusqlite::backup::Backup::new(&connection, &mut copy)
        .unwrap()
        .run_to_completion(100, std::time::Duration::ZERO, None)
        .unwrap();
    assert_eq!(count(&copy), 1);
    assert_sound(&copy);
    drop(copy);
    assert_clean(&target);
    // And the checkpoint that puts the pages behind the end of the file.
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    assert_sound(&connection);
    drop(connection);
    assert_clean(&path);
}

#[test]
fn no_two_pages_of_one_transaction_share_a_nonce() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    database(&path, 500);
    let mut all = nonces(&path);
    let pages = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), pages);
}
