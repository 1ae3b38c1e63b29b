//! What other connections do between two looks of SQLite at the shared-memory index, pages that are kept notice.
#![cfg(all(feature = "pq", unix))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    unsafe_code,
    reason = "helpers of tests may panic; SQLite is stopped between two of its calls"
)]

#[path = "support/support.rs"]
mod support;

use core::ffi::c_int;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::ptr;

use libsqlite3_sys as sys;
use rusqlite::Connection;
use tempfile::tempdir;
use zqlite::Builder;

use support::{builder, create, mode, open};

/// The lowest of the readers' locks that lets a reader use the log.
const FIRST_READER: c_int = 4;

thread_local! {
    static METHODS: Cell<*const sys::sqlite3_io_methods> = const { Cell::new(ptr::null()) };
    /// What happens once, right after the next reader's lock was taken.
    static BETWEEN: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

unsafe extern "C" fn lock(
    file: *mut sys::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the methods that the file had before, which live as long as the program.
    let rc = unsafe {
        let lock = (*METHODS.get()).xShmLock.unwrap();
        lock(file, first, count, flags)
    };
    let shared = sys::SQLITE_SHM_LOCK | sys::SQLITE_SHM_SHARED;
    if rc == sys::SQLITE_OK
        && flags == shared
        && first >= FIRST_READER
        && let Some(between) = BETWEEN.take()
    {
        between();
    }
    rc
}

/// Has a connection call [`lock`] instead of what it called.
fn watch(connection: &Connection) {
    let mut file: *mut sys::sqlite3_file = ptr::null_mut();
    // SAFETY: an open connection, whose main file has methods that may be replaced by others that call them.
    unsafe {
        let rc = sys::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            sys::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        assert_eq!(rc, sys::SQLITE_OK);
        METHODS.set((*file).pMethods);
        let mut methods = *(*file).pMethods;
        methods.xShmLock = Some(lock);
        (*file).pMethods = Box::leak(Box::new(methods));
    }
}

fn value(connection: &Connection, id: i64) -> i64 {
    connection
        .query_row("SELECT value FROM t WHERE id = ?1", [id], |row| row.get(0))
        .unwrap()
}

/// What a reader sees of a row that was committed before it began, if a checkpoint comes after its lock.
fn seen(path: &Path, reader: Builder) -> i64 {
    let writer = create(path);
    mode(&writer, "WAL");
    writer
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0;
             CREATE TABLE t(id INTEGER PRIMARY KEY, value INTEGER, filling TEXT);
             WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT 4000)
             INSERT INTO t SELECT v, 0, hex(zeroblob(400)) FROM n;
             PRAGMA wal_checkpoint(TRUNCATE);
             UPDATE t SET value = 1 WHERE id = 4000;",
        )
        .unwrap();
    let reader = reader.open().unwrap();
    reader.execute_batch("PRAGMA cache_size=4").unwrap();
    for id in [100, 1_500, 3_000, 700, 2_200, 100] {
        assert_eq!(value(&reader, id), 0);
    }
    watch(&reader);
    let other = open(path);
    assert_eq!(value(&other, 100), 0);
    writer
        .execute_batch("UPDATE t SET value = 77 WHERE id = 100")
        .unwrap();
    BETWEEN.set(Some(Box::new(move || {
        let (busy, frames, done): (i64, i64, i64) = other
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(busy, 0);
        assert!(frames > 0 && frames == done);
    })));
    let seen = value(&reader, 100);
    assert!(BETWEEN.take().is_none(), "the checkpoint was not made");
    seen
}

#[test]
fn a_checkpoint_between_a_readers_lock_and_sqlites_look_at_the_index_is_noticed() {
    let dir = tempdir().unwrap();
    let (keeps, keeps_nothing) = (dir.path().join("a.db"), dir.path().join("b.db"));
    assert_eq!(seen(&keeps, builder(&keeps)), 77);
    let none = builder(&keeps_nothing).cache_size(0);
    assert_eq!(seen(&keeps_nothing, none), 77);
}
