//! The connection's temporary files: encrypted only if the connection's VFS is ours.

use core::ffi::{c_char, c_int};
use core::ptr;
use std::path::PathBuf;

use libsqlite3_sys as sys;

use super::open::x_open;
use super::{Kind, VfsFile, fail, kind};
use crate::Error;

/// When a read transaction begins: SQLite writes temporary files through the VFS of the *connection*. If that
/// is not ours, they would hold plaintext, unless they stay in memory.
///
/// # Safety
/// `file` is an open file of ours.
pub(super) unsafe fn begin_read(file: *mut sys::sqlite3_file) -> c_int {
    // SAFETY: by the contract; `connection` is null or, see `Host`, valid as long as the file is open.
    let (host, connection) = unsafe {
        let host = &mut (*file.cast::<VfsFile>()).host;
        let connection = if host.connection.is_null() {
            ptr::null_mut()
        } else {
            *host.connection
        };
        (host, connection)
    };
    // The check runs a statement, which resets SQLite's count of busy retries: inside a busy loop it would never
    // end. A retry follows an attempt that was checked.
    if connection.is_null() || core::mem::take(&mut host.retries) {
        return sys::SQLITE_OK;
    }
    // SAFETY: SQLite is in a call on this connection, on this thread.
    if unsafe { temporary_files_are_safe(connection) } {
        return sys::SQLITE_OK;
    }
    // SAFETY: an open file of ours.
    let path = match unsafe { kind(file) } {
        Kind::Database(database) => database.sealed.borrow().path().to_owned(),
        _ => PathBuf::new(),
    };
    let error = Error::TemporaryFiles { path };
    fail(error).0
}

/// Whether the connection's temporary files are encrypted, or in memory.
///
/// # Safety
/// `connection` is open, and this thread is in a call on it.
unsafe fn temporary_files_are_safe(connection: *mut sys::sqlite3) -> bool {
    let own: OpenFn = x_open;
    let mut vfs: *mut sys::sqlite3_vfs = ptr::null_mut();
    // SAFETY: by the contract; the operation stores a VFS pointer, and calls no method of a file.
    let ours = unsafe {
        sys::sqlite3_file_control(
            connection,
            c"main".as_ptr(),
            sys::SQLITE_FCNTL_VFS_POINTER,
            (&raw mut vfs).cast(),
        ) == sys::SQLITE_OK
            && !vfs.is_null()
            && (*vfs).xOpen.is_some_and(|open| ptr::fn_addr_eq(open, own))
    };
    // SAFETY: reads a string.
    if ours || unsafe { sys::sqlite3_compileoption_used(c"TEMP_STORE=3".as_ptr()) } != 0 {
        return true;
    }
    let mut statement: *mut sys::sqlite3_stmt = ptr::null_mut();
    // This statement needs no schema, so it takes no lock and touches no file: it may run inside another.
    // SAFETY: by the contract; the statement is finalised before we return. Finalising null does nothing.
    unsafe {
        let rc = sys::sqlite3_prepare_v2(
            connection,
            c"PRAGMA temp_store".as_ptr(),
            -1,
            &raw mut statement,
            ptr::null_mut(),
        );
        let in_memory = rc == sys::SQLITE_OK
            && sys::sqlite3_step(statement) == sys::SQLITE_ROW
            && sys::sqlite3_column_int(statement, 0) == TEMP_STORE_MEMORY;
        sys::sqlite3_finalize(statement);
        in_memory
    }
}

/// The value of `PRAGMA temp_store` for files in memory.
const TEMP_STORE_MEMORY: c_int = 2;

type OpenFn = unsafe extern "C" fn(
    *mut sys::sqlite3_vfs,
    *const c_char,
    *mut sys::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;
