//! Where pages stand, around the hole at 1 GiB: in sparse files, which not every system has.
#![cfg(unix)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use zqlite::pq::RawKey;
use zqlite::pq::header::{self, COPY_LEN, Keyring, NewSlot, SlotKey};
use zqlite::pq::page::{PageContext, PageOpener, PageSealer, PageSize, Place, Trailer};
use zqlite::rusqlite::config::DbConfig;
use zqlite::{Builder, Verdict};

use super::{unpack, vectors};

const HEADER: u64 = 131_072;

#[test]
fn the_logical_size_of_a_file_is_that_of_the_vectors() {
    let file = super::file("signed.zqlite");
    let dir = tempfile::tempdir().unwrap();
    let path = unpack(&file, dir.path());
    let handle = File::options().write(true).open(&path).unwrap();
    let sizes = vectors().get("unit").list("logical_size");
    // Below the end of copy A there is no header to look at.
    let sizes: Vec<_> = sizes
        .iter()
        .filter(|v| v.number::<u64>("physical") >= COPY_LEN as u64)
        .collect();
    assert_eq!(sizes.len(), 23);
    for v in sizes {
        handle.set_len(v.number("physical")).unwrap();
        let inspection = zqlite::inspect(&path).unwrap();
        assert_eq!(inspection.file_len, v.number::<u64>("physical"));
        assert_eq!(
            inspection.database_len,
            v.number::<u64>("logical"),
            "{}",
            v.0
        );
    }
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add_raw_key(RawKey::from_bytes([5; 32]));
    keyring
}

/// A database whose table `t` says that its root is the page `root`, which is not there yet.
fn create(path: &Path, page_size: u32, root: u32) {
    let slot = NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes([5; 32])),
        label: String::new(),
    };
    let builder = Builder::new(path).keyring(keyring()).create(vec![slot]);
    let connection = builder
        .page_size(PageSize::new(page_size).unwrap())
        .open()
        .unwrap();
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    let sql = "CREATE TABLE t(a); INSERT INTO t VALUES('here'); PRAGMA writable_schema=ON;";
    connection.execute_batch(sql).unwrap();
    let sql = "UPDATE sqlite_master SET rootpage=?1 WHERE name='t'";
    assert_eq!(connection.execute(sql, [root]).unwrap(), 1);
}

/// Seals the old root page as page `root` at its place, and lets page 1 say that the database reaches it.
fn move_root(path: &Path, page_size: u32, root: u32, physical: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let read = |offset: u64, len: usize| {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    };
    let (a, b) = (read(0, COPY_LEN), read(COPY_LEN as u64, COPY_LEN));
    let opened = header::open(&a, &b, &keyring()).unwrap();
    let context = |number| PageContext {
        file_id: *opened.header.file_id(),
        number,
        place: Place::Database,
    };
    let len = usize::try_from(page_size).unwrap();
    let keys = opened.epochs.newest();
    let mut sealer = PageSealer::new(keys, &[0xff; 24]);
    for (from, to, at) in [(1, 1, HEADER), (2, root, physical)] {
        let mut page = read(HEADER + u64::from((from - 1) * page_size), len);
        assert_eq!(Trailer::decode(&page).unwrap().epoch, keys.epoch());
        PageOpener::new()
            .open(keys, &context(from), &mut page)
            .unwrap();
        if from == 1 {
            page[28..32].copy_from_slice(&root.to_be_bytes());
            page.copy_within(24..28, 92);
        }
        sealer.seal(&context(to), &mut page).unwrap();
        file.write_all_at(&page, at).unwrap();
    }
}

#[test]
fn pages_around_the_hole_are_read_and_written_where_the_vectors_place_them() {
    let mut places = 0;
    for v in vectors().get("unit").list("page_offset") {
        let (page_size, page, physical) = (
            v.number("page_size"),
            v.number("page"),
            v.number("physical"),
        );
        if page == 1 || v.get("lock_byte_page").0.as_bool().unwrap() {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        create(&path, page_size, page);
        move_root(&path, page_size, page, physical);
        let connection = Builder::new(&path).keyring(keyring()).open().unwrap();
        let read = || connection.query_row("SELECT a FROM t", [], |row| row.get::<_, String>(0));
        assert_eq!(read().unwrap(), "here", "{}", v.0);
        connection.execute("UPDATE t SET a='there'", []).unwrap();
        drop(connection);
        let mut stored = vec![0; usize::try_from(page_size).unwrap()];
        let file = File::open(&path).unwrap();
        file.read_exact_at(&mut stored, physical).unwrap();
        assert_eq!(
            file.metadata().unwrap().len(),
            physical + u64::from(page_size)
        );
        let opened = {
            let bytes = |offset: u64| {
                let mut copy = vec![0; COPY_LEN];
                file.read_exact_at(&mut copy, offset).unwrap();
                copy
            };
            header::open(&bytes(0), &bytes(COPY_LEN as u64), &keyring()).unwrap()
        };
        let context = PageContext {
            file_id: *opened.header.file_id(),
            number: page,
            place: Place::Database,
        };
        PageOpener::new()
            .open(opened.epochs.newest(), &context, &mut stored)
            .unwrap();
        assert!(stored.windows(5).any(|bytes| bytes == b"there"));
        // A page wholly beyond the end of the file that page 1 counts is damage (F-24).
        let cut = File::options().write(true).open(&path).unwrap();
        cut.set_len(physical - u64::from(page_size)).unwrap();
        let connection = Builder::new(&path).keyring(keyring()).open().unwrap();
        let error = connection.query_row("SELECT a FROM t", [], |row| row.get::<_, String>(0));
        assert_eq!(
            zqlite::Error::Sqlite(error.unwrap_err()).verdict(),
            Verdict::Damaged
        );
        places += 1;
    }
    assert_eq!(places, 20);
}

#[test]
fn the_vector_files_have_no_hole() {
    for file in vectors().list("files") {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let inspection = zqlite::inspect(&path).unwrap();
        let len = file.number::<u64>("pages") * file.number::<u64>("page_size");
        assert_eq!(
            (inspection.database_len, inspection.file_len),
            (len, HEADER + len)
        );
    }
}
