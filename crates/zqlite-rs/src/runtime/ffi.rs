//! What rusqlite has no name for.
#![expect(unsafe_code, reason = "calls into SQLite")]

use core::cell::Cell;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use std::panic::catch_unwind;

use libsqlite3_sys as sys;
use rusqlite::Connection;

/// Resets statements that a closure left running, if there are any: they would keep a snapshot open behind the end of the
/// transaction.
pub(super) fn reset_forgotten(connection: &Connection) {
    // SAFETY: the handle is valid as long as the connection. No Rust object uses these statements any more: each borrows
    // the connection for no longer than the closure ran, and those in the cache are reset.
    unsafe {
        let db = connection.handle();
        if sys::sqlite3_txn_state(db, ptr::null()) == sys::SQLITE_TXN_NONE {
            return;
        }
        let mut statement = sys::sqlite3_next_stmt(db, ptr::null_mut());
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

thread_local! {
    /// What SQLite told this thread last of a log's pages.
    static LOG_PAGES: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Has SQLite tell of the log's pages after each commit of this connection, instead of checkpointing by itself.
///
/// rusqlite's own hook has another type in each version.
pub(super) fn note_log_pages(connection: &Connection) {
    // SAFETY: the handle is valid as long as the connection, and the hook needs nothing that could go before it.
    unsafe { sys::sqlite3_wal_hook(connection.handle(), Some(log_grew), ptr::null_mut()) };
}

/// The pages of the log after the commit that this thread has just made, if it wrote any.
pub(super) fn log_pages() -> Option<u32> {
    LOG_PAGES.take()
}

unsafe extern "C" fn log_grew(
    _context: *mut c_void,
    _connection: *mut sys::sqlite3,
    _schema: *const c_char,
    pages: c_int,
) -> c_int {
    // A thread that is ending has nobody to tell.
    let told = || LOG_PAGES.try_with(|told| told.set(u32::try_from(pages).ok()));
    let _no_panic_crosses_into_c = catch_unwind(told);
    sys::SQLITE_OK
}
