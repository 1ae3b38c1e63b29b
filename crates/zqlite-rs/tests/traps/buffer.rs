//! What SQLite gets where it asked for bytes: all of them, or zeros.
#![expect(unsafe_code, reason = "calls a file's xRead as SQLite does")]

use core::ffi::c_int;
use core::ptr;
use std::path::Path;

use rusqlite::{Connection, ffi};
use tempfile::tempdir;

use crate::support::{
    IOERR_DATA, PAGE, count, create, fill, flip, len, mode, one, page_at, peek, poke, wal,
};

/// Where the pages of a log begin: behind its header and that of its first frame.
const FIRST_FRAME: i64 = 32 + 24;

/// Reads from the database file or from the log, into a buffer that is full of something else.
fn read(connection: &Connection, which: c_int, len: usize, offset: i64) -> (c_int, Vec<u8>) {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    let mut bytes = vec![0xa5; len];
    // SAFETY: the connection is open; it gives its own file, and writes no more than it is asked for.
    let rc = unsafe {
        let asked = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            which,
            (&raw mut file).cast(),
        );
        assert_eq!(asked, ffi::SQLITE_OK);
        let read = (*(*file).pMethods).xRead.expect("every file has xRead");
        read(
            file,
            bytes.as_mut_ptr().cast(),
            c_int::try_from(len).expect("a page"),
            offset,
        )
    };
    (rc, bytes)
}

fn database(path: &Path, journal_mode: &str) -> Connection {
    let connection = create(path);
    mode(&connection, journal_mode);
    fill(&connection, 200);
    connection.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&connection), 200);
    connection
}

#[test]
fn a_page_of_the_file_is_whole_or_zeros() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = database(&path, "DELETE");
    let page = |number: i64| {
        let offset = (number - 1) * 4_096;
        read(&connection, ffi::SQLITE_FCNTL_FILE_POINTER, PAGE, offset)
    };
    let (rc, whole) = page(5);
    assert_eq!(rc, ffi::SQLITE_OK);
    assert_eq!(whole[PAGE - 48..], [0; 48], "the reserved bytes");
    assert_eq!(page(5), (ffi::SQLITE_OK, whole), "from a cache or not");
    // Read for the first time, and not by what was read ahead.
    let last: i64 = one(&connection, "PRAGMA page_count");
    let at = page_at(u64::try_from(last).expect("a page"));
    flip(&path, at + 9);
    assert_eq!(page(last), (IOERR_DATA, vec![0; PAGE]));
    flip(&path, at + 9);
    assert_eq!(page(last).0, ffi::SQLITE_OK);
    let beyond = page(last + 1);
    assert_eq!(beyond, (ffi::SQLITE_IOERR_SHORT_READ, vec![0; PAGE]));
}

#[test]
fn a_page_of_the_log_is_whole_or_zeros() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = database(&path, "WAL");
    let frame = |index: i64| {
        let offset = FIRST_FRAME + index * (24 + 4_096);
        read(&connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER, PAGE, offset)
    };
    let (rc, whole) = frame(2);
    assert_eq!(rc, ffi::SQLITE_OK);
    assert_eq!(whole[PAGE - 48..], [0; 48], "the reserved bytes");
    let log = wal(&path);
    let at = 32 + 2 * (24 + 4_096) + 24 + 9;
    let byte = peek(&log, at, 1);
    flip(&log, at);
    assert_eq!(frame(2), (IOERR_DATA, vec![0; PAGE]));
    poke(&log, at, &byte);
    assert_eq!(frame(2), (ffi::SQLITE_OK, whole));
    // No request of SQLite's: nothing below has written to the buffer.
    let odd = read(
        &connection,
        ffi::SQLITE_FCNTL_JOURNAL_POINTER,
        2 * PAGE,
        FIRST_FRAME,
    );
    assert_eq!(odd, (ffi::SQLITE_IOERR_READ, vec![0; 2 * PAGE]));
    let frames = i64::try_from((len(&log) - 32) / (24 + 4_096)).expect("few");
    let (rc, bytes) = frame(frames);
    assert_ne!(rc, ffi::SQLITE_OK);
    assert_eq!(bytes, vec![0; PAGE]);
}
