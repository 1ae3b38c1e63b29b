//! What rusqlite has no name for.
#![expect(unsafe_code, reason = "calls into SQLite")]

use core::ffi::c_int;

use libsqlite3_sys as sys;
use rusqlite::Connection;

/// Whether the transaction violates a foreign key whose check is deferred to its end.
pub(super) fn violates_deferred_foreign_keys(connection: &Connection) -> bool {
    let (mut current, mut highest): (c_int, c_int) = (0, 0);
    // SAFETY: the handle is valid as long as the connection; both integers outlive the call.
    let rc = unsafe {
        sys::sqlite3_db_status(
            connection.handle(),
            sys::SQLITE_DBSTATUS_DEFERRED_FKS,
            &raw mut current,
            &raw mut highest,
            0,
        )
    };
    rc == sys::SQLITE_OK && current != 0
}
