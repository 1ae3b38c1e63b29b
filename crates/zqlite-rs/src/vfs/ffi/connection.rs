//! From a connection back to its files.

use core::ffi::c_int;
use core::ptr;
use std::rc::Rc;

use libsqlite3_sys as sys;

use super::io::METHODS;
use super::shared_memory::x_shm_lock;
use super::{Kind, kind};
use crate::vfs::code::{Code, Result};
use crate::vfs::sealed::Sealed;
use crate::vfs::wal::Wal;

/// Runs `f` on the sealed side of a connection's main database, and on its WAL if that is open.
///
/// # Errors
/// [`Code::NOTFOUND`] if the connection's main database is not a sealed one of ours.
pub(crate) fn with_sealed<T>(
    connection: &rusqlite::Connection,
    f: impl FnOnce(&mut Sealed, Option<&mut Wal>) -> Result<T>,
) -> Result<T> {
    // SAFETY: the handle is that of an open connection that no other thread uses: it is not Sync, and we
    // hold a reference to it.
    let (main, log) = unsafe {
        let handle = connection.handle();
        (
            file_pointer(handle, sys::SQLITE_FCNTL_FILE_POINTER)?,
            file_pointer(handle, sys::SQLITE_FCNTL_JOURNAL_POINTER).ok(),
        )
    };
    // SAFETY: both are open files of ours, and two different ones.
    let (main, log) = unsafe { (kind(main), log.map(|file| kind(file))) };
    let Kind::Database(database) = main else {
        return Err(Code::NOTFOUND);
    };
    let wal = match log {
        Some(Kind::Wal(wal)) => Some(wal),
        _ => None,
    };
    let sealed = Rc::clone(&database.sealed);
    let mut sealed = sealed.borrow_mut();
    f(&mut sealed, wal)
}

/// The lock that every checkpoint takes (slot 1 of the WAL-index), held below SQLite for a connection in WAL mode: as
/// long as it lives nobody writes to the database file, while others go on appending to the log.
///
/// The connection itself must not checkpoint meanwhile; it would find its own log busy.
#[derive(Debug)]
pub(crate) struct CheckpointHold<'a> {
    connection: &'a rusqlite::Connection,
}

/// The slot of the lock.
const CHECKPOINT_SLOT: c_int = 1;

impl<'a> CheckpointHold<'a> {
    /// Takes the lock, once.
    ///
    /// # Errors
    /// [`Code::BUSY`] if a checkpoint runs; [`Code::NOTFOUND`] if the connection has no sealed main database.
    pub(crate) fn try_take(connection: &'a rusqlite::Connection) -> Result<Self> {
        shm_lock(connection, sys::SQLITE_SHM_LOCK)?;
        Ok(Self { connection })
    }

    /// Takes the lock, waiting up to `patience` for a checkpoint that runs.
    ///
    /// # Errors
    /// As [`CheckpointHold::try_take`].
    pub(crate) fn take(
        connection: &'a rusqlite::Connection,
        patience: core::time::Duration,
    ) -> Result<Self> {
        const PAUSE: core::time::Duration = core::time::Duration::from_millis(1);
        let started = std::time::Instant::now();
        loop {
            match Self::try_take(connection) {
                Err(Code::BUSY) if started.elapsed() < patience => std::thread::sleep(PAUSE),
                taken => return taken,
            }
        }
    }
}

impl Drop for CheckpointHold<'_> {
    fn drop(&mut self) {
        // The lock is gone in any case when the connection is.
        let _unlocked = shm_lock(self.connection, sys::SQLITE_SHM_UNLOCK);
    }
}

fn shm_lock(connection: &rusqlite::Connection, operation: c_int) -> Result<()> {
    // SAFETY: an open connection, as in `with_sealed`, whose main file is one of ours.
    let rc = unsafe {
        let file = file_pointer(connection.handle(), sys::SQLITE_FCNTL_FILE_POINTER)?;
        let flags = operation | sys::SQLITE_SHM_EXCLUSIVE;
        x_shm_lock(file, CHECKPOINT_SLOT, 1, flags)
    };
    Code::check(rc)
}

/// Has SQLite reserve the trailer's bytes in every page of a database that has no pages yet.
pub(crate) fn reserve_trailer(connection: &rusqlite::Connection) -> Result<()> {
    let mut len = c_int::try_from(zqlite_pq::page::TRAILER_LEN).map_err(|_| Code::INTERNAL)?;
    // SAFETY: an open connection, as in `with_sealed`; the operation reads and stores an int.
    Code::check(unsafe {
        sys::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            sys::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut len).cast(),
        )
    })
}

/// # Safety
/// `handle` is an open connection.
unsafe fn file_pointer(handle: *mut sys::sqlite3, op: c_int) -> Result<*mut sys::sqlite3_file> {
    let mut file: *mut sys::sqlite3_file = ptr::null_mut();
    // SAFETY: by the contract; the operation stores a file pointer.
    let rc =
        unsafe { sys::sqlite3_file_control(handle, c"main".as_ptr(), op, (&raw mut file).cast()) };
    Code::check(rc)?;
    // SAFETY: null, or a file that SQLite allocated; one that is not open has no methods.
    let ours = !file.is_null() && ptr::eq(unsafe { (*file).pMethods }, &raw const METHODS);
    if ours { Ok(file) } else { Err(Code::NOTFOUND) }
}
