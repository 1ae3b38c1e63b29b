//! File controls, and the pragmas among them.

use core::ffi::{CStr, c_char, c_int, c_void};

use libsqlite3_sys as sys;

use super::raw::below;
use super::{Kind, VfsFile, guard, kind};
use crate::vfs::database::Database;

pub(super) unsafe extern "C" fn x_file_control(
    file: *mut sys::sqlite3_file,
    op: c_int,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: an open file of ours.
    let kind = unsafe { kind(file) };
    let raw = kind.raw();
    let pass = || below!(raw, xFileControl, sys::SQLITE_NOTFOUND, op, arg);
    match (op, kind) {
        (sys::SQLITE_FCNTL_VFSNAME, _) => {
            let rc = pass();
            // SAFETY: `arg` is a place for a string from sqlite3_malloc, or null.
            unsafe { prefix_vfs_name(arg.cast::<*mut c_char>()) };
            rc
        }
        // Sizes are logical, and files grow page by page.
        (sys::SQLITE_FCNTL_SIZE_HINT | sys::SQLITE_FCNTL_CHUNK_SIZE, Kind::Database(_)) => {
            sys::SQLITE_OK
        }
        (sys::SQLITE_FCNTL_MMAP_SIZE, _) => sys::SQLITE_NOTFOUND,
        (sys::SQLITE_FCNTL_PDB, Kind::Database(_)) => {
            // SAFETY: an open file of ours.
            unsafe { (*file.cast::<VfsFile>()).host.connection = arg.cast() };
            pass()
        }
        (sys::SQLITE_FCNTL_PRAGMA, Kind::Database(database)) => {
            // SAFETY: `arg` is the array of strings that SQLite documents for this operation.
            match unsafe { pragma(database, arg.cast::<*mut c_char>()) } {
                sys::SQLITE_NOTFOUND => pass(),
                rc => rc,
            }
        }
        (sys::SQLITE_FCNTL_COMMIT_PHASETWO, Kind::Database(database)) => {
            match guard(|| database.committed()) {
                sys::SQLITE_OK => pass(),
                rc => rc,
            }
        }
        _ => pass(),
    }
}

/// `zqlite/` before the name of the VFS below.
///
/// # Safety
/// `out` is a place for a string that SQLite allocated, or null.
unsafe fn prefix_vfs_name(out: *mut *mut c_char) {
    // SAFETY: by the contract.
    unsafe {
        let below = *out;
        *out = sys::sqlite3_mprintf(c"zqlite/%z".as_ptr(), below);
    }
}

/// The page size of a sealed file does not change: a change would be lost with every page.
///
/// # Safety
/// `args` are the strings of `SQLITE_FCNTL_PRAGMA`: result, name, argument or null.
unsafe fn pragma(database: &Database, args: *mut *mut c_char) -> c_int {
    // SAFETY: by the contract.
    let (name, value) = unsafe {
        let name = CStr::from_ptr(*args.add(1));
        let value = *args.add(2);
        (name, (!value.is_null()).then(|| CStr::from_ptr(value)))
    };
    let Some(value) = value else {
        return sys::SQLITE_NOTFOUND;
    };
    if !name.to_bytes().eq_ignore_ascii_case(b"page_size") {
        return sys::SQLITE_NOTFOUND;
    }
    let size = database.sealed.borrow().page_size().get();
    if value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        == Some(size)
    {
        return sys::SQLITE_NOTFOUND;
    }
    // SAFETY: a format with one integer; the result is freed by SQLite.
    unsafe {
        *args = sys::sqlite3_mprintf(
            c"the page size of a sealed database is fixed when it is created (here: %u)".as_ptr(),
            size,
        );
    }
    sys::SQLITE_ERROR
}
