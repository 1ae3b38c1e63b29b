//! What rusqlite has no name for.
#![expect(unsafe_code, reason = "calls into SQLite")]

use core::ffi::c_int;

use libsqlite3_sys as sys;
use rusqlite::Connection;

/// Resets statements that a closure left running, if there are any: they would keep a snapshot open behind the end of the
/// transaction.
pub(super) fn reset_forgotten(connection: &Connection) {
    // SAFETY: the handle is valid as long as the connection. No Rust object uses these statements any more: each borrows
    // the connection for no longer than the closure ran, and those in the cache are reset.
    unsafe {
        let db = connection.handle();
        if sys::sqlite3_txn_state(db, core::ptr::null()) == sys::SQLITE_TXN_NONE {
            return;
        }
        let mut statement = sys::sqlite3_next_stmt(db, core::ptr::null_mut());
        while !statement.is_null() {
            if sys::sqlite3_stmt_busy(statement) != 0 {
                sys::sqlite3_reset(statement);
            }
            statement = sys::sqlite3_next_stmt(db, statement);
        }
    }
}

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
