//! Why a callback fails: a code of SQLite's, and words.

use core::ffi::c_int;

use libsqlite3_sys as sys;

pub(crate) type Result<T> = core::result::Result<T, Fault>;

/// What a callback gives back to SQLite.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: c_int,
    pub(crate) message: String,
}

impl Fault {
    /// The caller's mistake.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: sys::SQLITE_ERROR,
            message: message.into(),
        }
    }

    /// A value that an index cannot hold.
    pub(crate) fn mismatch(message: impl Into<String>) -> Self {
        Self {
            code: sys::SQLITE_MISMATCH,
            message: message.into(),
        }
    }

    /// Whether it is about what is stored, not about what keeps it from being read.
    pub(crate) const fn says_what_is_wrong(&self) -> bool {
        matches!(
            self.code,
            sys::SQLITE_ERROR | sys::SQLITE_MISMATCH | sys::SQLITE_CORRUPT_VTAB
        )
    }

    /// Shadow tables that no version of ours would have written.
    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self {
            code: sys::SQLITE_CORRUPT_VTAB,
            message: message.into(),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let code = match (&error, error.sqlite_error()) {
            (_, Some(error)) => error.extended_code,
            // A shadow table whose columns have other types, or that lacks a row.
            (
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::QueryReturnedNoRows,
                None,
            ) => sys::SQLITE_CORRUPT_VTAB,
            _ => sys::SQLITE_ERROR,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}
