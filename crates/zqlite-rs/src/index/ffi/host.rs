//! The connection that a virtual table belongs to.

use core::ffi::c_int;
use core::ops::Deref;
use core::ptr;
use std::ffi::CString;

use libsqlite3_sys as sys;
use rusqlite::Connection;

use super::{Fault, Result, check, text};

/// Runs SQL for a virtual table, on the connection that uses it.
pub(crate) struct Host {
    /// Does not own the connection, but its statements, which SQLite wants back before it closes.
    connection: Connection,
    schema: CString,
}

impl Host {
    /// # Safety
    /// An open connection, which stays open as long as this lives.
    pub(super) unsafe fn new(db: *mut sys::sqlite3, schema: &str) -> Result<Self> {
        Ok(Self {
            // SAFETY: by the contract.
            connection: unsafe { Connection::from_handle(db) }?,
            schema: CString::new(schema).map_err(|_| Fault::usage("a zero byte in a name"))?,
        })
    }

    /// A number that changes when the database has been changed: always if by another connection, and with each
    /// commit of this one. Within a read transaction it stays.
    pub(crate) fn data_version(&self) -> Result<u32> {
        let mut version = 0_u32;
        // SAFETY: an open connection; this operation stores a 32-bit number.
        let rc = unsafe {
            sys::sqlite3_file_control(
                self.connection.handle(),
                self.schema.as_ptr(),
                sys::SQLITE_FCNTL_DATA_VERSION,
                (&raw mut version).cast(),
            )
        };
        check(rc, "the version of the database is not known")?;
        Ok(version)
    }

    /// The type that a table declares for a column; empty if it declares none.
    pub(crate) fn declared_type(&self, table: &str, column: &str) -> Result<String> {
        let c_name = |name| CString::new(name).map_err(|_| Fault::usage("a zero byte in a name"));
        let (c_table, c_column) = (c_name(table)?, c_name(column)?);
        let mut declared = ptr::null();
        // SAFETY: an open connection, strings that live through the call, a place for a string of SQLite's, which lives
        // until the schema changes; what may be null is.
        unsafe {
            let rc = sys::sqlite3_table_column_metadata(
                self.connection.handle(),
                self.schema.as_ptr(),
                c_table.as_ptr(),
                c_column.as_ptr(),
                &raw mut declared,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            );
            check(rc, &format!("no such column: {table}.{column}"))?;
            text(declared).map(str::to_owned)
        }
    }

    /// Whether this connection has a write transaction open on the table's database.
    pub(crate) fn is_writing(&self) -> bool {
        // SAFETY: an open connection.
        let state: c_int =
            unsafe { sys::sqlite3_txn_state(self.connection.handle(), self.schema.as_ptr()) };
        state == sys::SQLITE_TXN_WRITE
    }
}

impl Deref for Host {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
