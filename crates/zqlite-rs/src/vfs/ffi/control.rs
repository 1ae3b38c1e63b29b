//! File controls, and the pragmas among them.

use core::ffi::{CStr, c_char, c_int, c_void};
#[cfg(feature = "rusqlite")]
use std::sync::Arc;

use libsqlite3_sys as sys;

use super::raw::below;
use super::text::sqlite_string;
use super::{Kind, NAME, VfsFile, guard, kind};
use crate::vfs::database::Database;
use crate::vfs::status;

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
    // SAFETY: by the contract; the old string is SQLite's, and is given back once.
    unsafe {
        let below = *out;
        let mut name = NAME.to_owned();
        if !below.is_null() {
            name.push('/');
            name.push_str(&CStr::from_ptr(below).to_string_lossy());
        }
        *out = sqlite_string(&name);
        sys::sqlite3_free(below.cast());
    }
}

/// Our own pragmas; and the page size of a sealed file, which does not change: that would lose every page.
///
/// # Safety
/// `args` are the strings of `SQLITE_FCNTL_PRAGMA`: result, name, argument or null.
unsafe fn pragma(database: &mut Database, args: *mut *mut c_char) -> c_int {
    // SAFETY: by the contract.
    let (name, value) = unsafe {
        let name = CStr::from_ptr(*args.add(1));
        let value = *args.add(2);
        (name, (!value.is_null()).then(|| CStr::from_ptr(value)))
    };
    let own = PRAGMAS
        .iter()
        .find(|(own, _)| name.to_bytes().eq_ignore_ascii_case(own.as_bytes()));
    if let Some((_, answer)) = own {
        let (rc, answer) = answer(database);
        // SAFETY: by the contract, a place for a string that SQLite frees.
        unsafe { *args = sqlite_string(&answer) };
        return rc;
    }
    let Some(value) = value else {
        return sys::SQLITE_NOTFOUND;
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<i64>().ok());
    if name.to_bytes().eq_ignore_ascii_case(b"cache_size") {
        // SQLite sets its own cache by it.
        if let Some(number) = number {
            database.set_cache_size(number);
        }
        return sys::SQLITE_NOTFOUND;
    }
    if !name.to_bytes().eq_ignore_ascii_case(b"page_size") {
        return sys::SQLITE_NOTFOUND;
    }
    let size = database.sealed.borrow().page_size().get();
    if number == Some(size.into()) {
        return sys::SQLITE_NOTFOUND;
    }
    let message =
        format!("the page size of a sealed database is fixed when it is created (here: {size})");
    // SAFETY: by the contract, a place for a string that SQLite frees.
    unsafe { *args = sqlite_string(&message) };
    sys::SQLITE_ERROR
}

/// What a pragma of ours answers: a result code, and a text.
type Answer = fn(&Database) -> (c_int, String);

const PRAGMAS: [(&str, Answer); 2] = [("zqlite_status", status), ("zqlite_verify", verify)];

/// What is wrong with the SQLite in use, if it is so old that it can corrupt a database.
#[must_use]
pub fn host_warning() -> Option<&'static str> {
    // SAFETY: returns a number, and needs no connection.
    status::host_warning(unsafe { sys::sqlite3_libversion_number() })
}

fn status(database: &Database) -> (c_int, String) {
    // SAFETY: SQLite's version, which needs no connection and is a static string.
    let (version, number) = unsafe {
        let text = CStr::from_ptr(sys::sqlite3_libversion());
        (text.to_string_lossy(), sys::sqlite3_libversion_number())
    };
    let status = status::json(&database.sealed.borrow(), (&version, number));
    (sys::SQLITE_OK, status)
}

/// By a connection of its own, whose read transaction nobody is in the middle of.
#[cfg(feature = "rusqlite")]
fn verify(database: &Database) -> (c_int, String) {
    let (path, access) = {
        let sealed = database.sealed.borrow();
        (sealed.path().to_owned(), Arc::clone(sealed.access()))
    };
    match crate::verify::problems(&path, access) {
        Ok(problems) if problems.is_empty() => (sys::SQLITE_OK, "ok".to_owned()),
        Ok(problems) => (sys::SQLITE_OK, problems.join("\n")),
        Err(error) => (sys::SQLITE_ERROR, error.to_string()),
    }
}

#[cfg(not(feature = "rusqlite"))]
fn verify(_: &Database) -> (c_int, String) {
    let what = "this build of zqlite has no feature `rusqlite`, which verification needs";
    (sys::SQLITE_ERROR, what.to_owned())
}
