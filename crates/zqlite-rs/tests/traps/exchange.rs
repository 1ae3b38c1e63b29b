//! What moves whole databases: backup, VACUUM, VACUUM INTO, a change of the page size.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use tempfile::tempdir;

use crate::support::{
    assert_clean, assert_sound, builder, contains, count, create, create_sized, fill, fingerprint,
    mode, one, open, register_new,
};

fn back_up(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    Backup::new(from, to)?.run_to_completion(100, Duration::ZERO, None)
}

fn plain(path: &Path, rows: u32) -> Connection {
    let connection = Connection::open(path).unwrap();
    fill(&connection, rows);
    connection
}

#[test]
fn a_backup_from_plain_into_sealed_is_refused_and_the_sealed_file_stays() {
    for rows in [5, 3_000] {
        for journal_mode in ["DELETE", "WAL"] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("sealed.db");
            let mut sealed = create(&path);
            mode(&sealed, journal_mode);
            fill(&sealed, 100);
            let before = fingerprint(&sealed);
            let source = plain(&dir.path().join("plain.db"), rows);
            let result = back_up(&source, &mut sealed);
            assert!(result.is_err(), "{rows} rows into {journal_mode}");
            drop(sealed);
            let again = open(&path);
            assert_eq!(
                fingerprint(&again),
                before,
                "{rows} rows into {journal_mode}"
            );
            assert_sound(&again);
            drop(again);
            assert_clean(&path);
        }
    }
}

/// Its one page has room for the trailer, but says that SQLite may use it.
#[test]
fn a_backup_of_an_empty_plain_database_is_refused_too() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("sealed.db");
    let mut sealed = create(&path);
    fill(&sealed, 100);
    let before = fingerprint(&sealed);
    let source = Connection::open(dir.path().join("plain.db")).unwrap();
    source.execute_batch("PRAGMA user_version=5").unwrap();
    assert!(back_up(&source, &mut sealed).is_err());
    drop(sealed);
    let again = open(&path);
    assert_eq!(fingerprint(&again), before);
    fill(&again, 1);
    drop(again);
    assert_clean(&path);
}

#[test]
fn a_backup_from_plain_into_a_new_sealed_file_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("sealed.db");
    let source = plain(&dir.path().join("plain.db"), 50);
    let mut sealed = create(&path);
    assert!(back_up(&source, &mut sealed).is_err());
    drop(sealed);
    if path.exists() {
        assert!(!contains(&fs::read(&path).unwrap(), b"CREATE TABLE"));
    }
}

#[test]
fn a_backup_from_sealed_into_sealed_is_sealed() {
    let dir = tempdir().unwrap();
    let source = create(&dir.path().join("a.db"));
    fill(&source, 500);
    let path = dir.path().join("b.db");
    let mut target = create(&path);
    back_up(&source, &mut target).unwrap();
    assert_eq!(fingerprint(&target), fingerprint(&source));
    drop(target);
    assert_clean(&path);
    // Into one that holds more already.
    let path = dir.path().join("c.db");
    let mut target = create(&path);
    fill(&target, 900);
    back_up(&source, &mut target).unwrap();
    drop(target);
    assert_eq!(fingerprint(&open(&path)), fingerprint(&source));
    assert_clean(&path);
}

#[test]
fn a_backup_from_sealed_into_plain_is_a_plain_database() {
    let dir = tempdir().unwrap();
    let source = create(&dir.path().join("a.db"));
    fill(&source, 500);
    let path = dir.path().join("plain.db");
    let mut target = Connection::open(&path).unwrap();
    back_up(&source, &mut target).unwrap();
    drop(target);
    let again = Connection::open(&path).unwrap();
    assert_eq!(fingerprint(&again), fingerprint(&source));
    assert_sound(&again);
    assert!(fs::read(&path).unwrap().starts_with(b"SQLite format 3\0"));
}

#[test]
fn a_backup_between_page_sizes_is_refused_and_nothing_is_lost() {
    let dir = tempdir().unwrap();
    let source = create_sized(&dir.path().join("a.db"), 16_384);
    fill(&source, 100);
    let path = dir.path().join("b.db");
    let mut target = create(&path);
    fill(&target, 50);
    let before = fingerprint(&target);
    assert!(back_up(&source, &mut target).is_err());
    drop(target);
    assert_eq!(fingerprint(&open(&path)), before);
    assert_clean(&path);
}

#[test]
fn another_page_size_is_refused_and_has_no_effect_on_a_vacuum() {
    for journal_mode in ["DELETE", "WAL"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = create(&path);
        mode(&connection, journal_mode);
        fill(&connection, 300);
        let before = fingerprint(&connection);
        for other in ["8192", "1024", "65536", "'8192'", " 8192"] {
            let refused = connection.execute_batch(&format!("PRAGMA page_size={other}"));
            assert!(
                refused.is_err_and(|e| e.to_string().contains("page size")),
                "{other}"
            );
            let refused = connection.execute_batch(&format!("PRAGMA main.page_size={other}"));
            assert!(refused.is_err(), "{other}");
        }
        connection
            .execute_batch("PRAGMA page_size=4096; VACUUM;")
            .unwrap();
        assert_eq!(one::<i64>(&connection, "PRAGMA page_size"), 4_096);
        drop(connection);
        let again = open(&path);
        assert_eq!(fingerprint(&again), before);
        drop(again);
        assert_clean(&path);
    }
}

#[test]
fn vacuum_shrinks_the_file_and_keeps_the_rows() {
    for journal_mode in ["DELETE", "WAL"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = create(&path);
        mode(&connection, journal_mode);
        fill(&connection, 2_000);
        connection
            .execute_batch("DELETE FROM t WHERE a > 100")
            .unwrap();
        let pages: i64 = one(&connection, "PRAGMA page_count");
        let before = fingerprint(&connection);
        connection.execute_batch("VACUUM").unwrap();
        assert!(one::<i64>(&connection, "PRAGMA page_count") < pages / 10);
        assert_eq!(fingerprint(&connection), before);
        drop(connection);
        assert_eq!(fingerprint(&open(&path)), before);
        assert_clean(&path);
    }
}

#[test]
fn vacuum_into_makes_a_sealed_or_a_plain_database() {
    let dir = tempdir().unwrap();
    let source_path = dir.path().join("a.db");
    drop(create(&source_path));
    let source = builder(&source_path)
        .create(crate::support::slots())
        .allow_attach()
        .open()
        .unwrap();
    fill(&source, 500);
    let sealed = dir.path().join("sealed.db");
    register_new(&sealed);
    source
        .execute(
            "VACUUM INTO ?1",
            [format!("file:{}?vfs=zqlite", sealed.display())],
        )
        .unwrap();
    assert_eq!(fingerprint(&open(&sealed)), fingerprint(&source));
    assert_clean(&sealed);
    // A file with pages is not overwritten.
    let again = source.execute(
        "VACUUM INTO ?1",
        [format!("file:{}?vfs=zqlite", sealed.display())],
    );
    assert!(again.is_err());
    let plain = dir.path().join("plain.db");
    source
        .execute(
            "VACUUM INTO ?1",
            [format!("file:{}?vfs=unix&reserve=0", plain.display())],
        )
        .unwrap();
    let opened = Connection::open(&plain).unwrap();
    assert_eq!(count(&opened), 500);
    assert_sound(&opened);
}
