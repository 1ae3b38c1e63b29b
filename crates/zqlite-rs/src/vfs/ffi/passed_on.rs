//! Calls of the VFS that go to the VFS below as they are.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use libsqlite3_sys as sys;

/// Calls a method of the VFS below; `$default` if it has none.
macro_rules! vfs_below {
    ($vfs:expr, $method:ident, $default:expr $(, $arg:expr)*) => {{
        // SAFETY: pAppData is the VFS below, which stays registered; the arguments are SQLite's own.
        unsafe {
            let below = (*$vfs).pAppData.cast::<sys::sqlite3_vfs>();
            match (*below).$method {
                Some(method) => method(below $(, $arg)*),
                None => $default,
            }
        }
    }};
}

pub(super) unsafe extern "C" fn x_delete(
    vfs: *mut sys::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    vfs_below!(vfs, xDelete, sys::SQLITE_IOERR_DELETE, name, sync_dir)
}

pub(super) unsafe extern "C" fn x_access(
    vfs: *mut sys::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    vfs_below!(vfs, xAccess, sys::SQLITE_IOERR_ACCESS, name, flags, out)
}

pub(super) unsafe extern "C" fn x_full_pathname(
    vfs: *mut sys::sqlite3_vfs,
    name: *const c_char,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    vfs_below!(vfs, xFullPathname, sys::SQLITE_CANTOPEN, name, len, out)
}

pub(super) unsafe extern "C" fn x_dl_open(
    vfs: *mut sys::sqlite3_vfs,
    name: *const c_char,
) -> *mut c_void {
    vfs_below!(vfs, xDlOpen, ptr::null_mut(), name)
}

pub(super) unsafe extern "C" fn x_dl_error(
    vfs: *mut sys::sqlite3_vfs,
    len: c_int,
    out: *mut c_char,
) {
    vfs_below!(vfs, xDlError, (), len, out);
}

pub(super) type Symbol = unsafe extern "C" fn(*mut sys::sqlite3_vfs, *mut c_void, *const c_char);

pub(super) unsafe extern "C" fn x_dl_sym(
    vfs: *mut sys::sqlite3_vfs,
    library: *mut c_void,
    name: *const c_char,
) -> Option<Symbol> {
    vfs_below!(vfs, xDlSym, None, library, name)
}

pub(super) unsafe extern "C" fn x_dl_close(vfs: *mut sys::sqlite3_vfs, library: *mut c_void) {
    vfs_below!(vfs, xDlClose, (), library);
}

pub(super) unsafe extern "C" fn x_randomness(
    vfs: *mut sys::sqlite3_vfs,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    vfs_below!(vfs, xRandomness, 0, len, out)
}

pub(super) unsafe extern "C" fn x_sleep(vfs: *mut sys::sqlite3_vfs, microseconds: c_int) -> c_int {
    vfs_below!(vfs, xSleep, 0, microseconds)
}

pub(super) unsafe extern "C" fn x_current_time(vfs: *mut sys::sqlite3_vfs, out: *mut f64) -> c_int {
    vfs_below!(vfs, xCurrentTime, sys::SQLITE_ERROR, out)
}

pub(super) unsafe extern "C" fn x_get_last_error(
    vfs: *mut sys::sqlite3_vfs,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    vfs_below!(vfs, xGetLastError, 0, len, out)
}

pub(super) unsafe extern "C" fn x_current_time_int64(
    vfs: *mut sys::sqlite3_vfs,
    out: *mut i64,
) -> c_int {
    vfs_below!(vfs, xCurrentTimeInt64, sys::SQLITE_ERROR, out)
}
