//! What a connection gets beside the VFS: the virtual tables, and the functions that read and write compressed columns.
//!
//! Programs load the extension on one connection and open sealed databases on others. SQLite's automatic extensions
//! reach those; they would reach every other connection of the process, too, so what runs there looks at the main
//! database first, and leaves a connection whose database another VFS reads as the host made it.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use std::ffi::CString;

use libsqlite3_sys as sys;
use rusqlite::Connection;
use zqlite::{compression, index, vfs};

use crate::entry::zqlite_auto_init;

/// Which connections are equipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The one that loads the extension, whatever its database is.
    Whoever,
    /// One whose main database is sealed.
    Sealed,
}

/// Registers virtual tables and functions, without a look into the file: it may be locked. `recursive_triggers` is
/// switched on where the main database is sealed: on another connection it would change what the host's own triggers do.
///
/// # Safety
/// `db` is null or an open connection of the host whose table of functions is in use.
pub(crate) unsafe fn equip(db: *mut sys::sqlite3, whom: For) -> Result<(), String> {
    if db.is_null() {
        return Ok(());
    }
    // SAFETY: by the contract.
    let is_sealed = unsafe { is_sealed(db) }?;
    if whom == For::Sealed && !is_sealed {
        return Ok(());
    }
    // SAFETY: by the contract; it is not closed when this is dropped.
    let connection = unsafe { Connection::from_handle(db) }.map_err(|error| error.to_string())?;
    match compression::register(&connection) {
        Ok(()) => index::register_modules(&connection).map_err(|error| error.to_string())?,
        // The functions are there, and a statement runs, as `SELECT load_extension(…)` is one: SQLite replaces none now.
        Err(error) if error.extended_code() == Some(sys::SQLITE_BUSY) => {}
        Err(error) => return Err(error.to_string()),
    }
    if is_sealed {
        connection
            .pragma_update(None, "recursive_triggers", true)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether the VFS of the main database is ours.
///
/// # Safety
/// `db` is an open connection.
unsafe fn is_sealed(db: *mut sys::sqlite3) -> Result<bool, String> {
    const MAIN: &CStr = c"main";
    let name = CString::new(vfs::NAME).map_err(|error| error.to_string())?;
    let mut own: *mut sys::sqlite3_vfs = ptr::null_mut();
    // SAFETY: an open connection, strings, and a place for a pointer, which a file without an answer leaves null.
    let zqlite = unsafe {
        sys::sqlite3_file_control(
            db,
            MAIN.as_ptr(),
            sys::SQLITE_FCNTL_VFS_POINTER,
            (&raw mut own).cast(),
        );
        sys::sqlite3_vfs_find(name.as_ptr())
    };
    Ok(!own.is_null() && own == zqlite)
}

/// Connections that are opened from now on are looked at.
pub(crate) fn equip_later_ones() -> Result<(), String> {
    type Init = unsafe extern "C" fn(
        *mut sys::sqlite3,
        *mut *mut c_char,
        *const sys::sqlite3_api_routines,
    ) -> c_int;
    // SAFETY: SQLite declares the argument without its parameters, and calls it with these.
    let rc = unsafe {
        let init = core::mem::transmute::<Init, unsafe extern "C" fn()>(zqlite_auto_init);
        sys::sqlite3_auto_extension(Some(init))
    };
    if rc == sys::SQLITE_OK {
        Ok(())
    } else {
        Err(format!("SQLite takes no automatic extension: code {rc}"))
    }
}
