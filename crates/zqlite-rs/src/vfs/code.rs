//! SQLite's result codes, and the one table from our errors to them.

use core::ffi::c_int;
use std::path::Path;

use libsqlite3_sys as sys;

use crate::Error;

/// A result code that is not `SQLITE_OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) c_int);

pub(crate) type Result<T> = core::result::Result<T, Code>;

impl Code {
    /// The bytes do not authenticate.
    pub(crate) const DATA: Self = Self(sys::SQLITE_IOERR_DATA);
    pub(crate) const SHORT_READ: Self = Self(sys::SQLITE_IOERR_SHORT_READ);
    pub(crate) const READ: Self = Self(sys::SQLITE_IOERR_READ);
    pub(crate) const WRITE: Self = Self(sys::SQLITE_IOERR_WRITE);
    pub(crate) const CORRUPT: Self = Self(sys::SQLITE_CORRUPT);
    pub(crate) const READONLY: Self = Self(sys::SQLITE_READONLY);
    #[cfg(feature = "rusqlite")]
    pub(crate) const NOTFOUND: Self = Self(sys::SQLITE_NOTFOUND);
    #[cfg(feature = "rusqlite")]
    pub(crate) const BUSY: Self = Self(sys::SQLITE_BUSY);
    pub(crate) const CANTOPEN: Self = Self(sys::SQLITE_CANTOPEN);
    pub(crate) const AUTH: Self = Self(sys::SQLITE_AUTH);
    pub(crate) const NOTADB: Self = Self(sys::SQLITE_NOTADB);
    pub(crate) const INTERNAL: Self = Self(sys::SQLITE_IOERR);

    /// The code as an error about a file.
    pub(crate) fn at(self, path: &Path) -> Error {
        let source = std::io::Error::other(format!("SQLite's file layer returned {}", self.0));
        Error::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// `Ok` for `SQLITE_OK`.
    pub(crate) const fn check(rc: c_int) -> Result<()> {
        if rc == sys::SQLITE_OK {
            Ok(())
        } else {
            Err(Self(rc))
        }
    }
}

impl From<&Error> for Code {
    fn from(error: &Error) -> Self {
        match error {
            Error::NotSealed { .. } | Error::Empty { .. } => Self::NOTADB,
            Error::Damaged { .. } | Error::HeaderTooOld { .. } => Self::CORRUPT,
            Error::NoKey { .. }
            | Error::KeyReplaced { .. }
            | Error::MakerUnspecified { .. }
            | Error::SignatureMissing { .. }
            | Error::SignatureUnexpected { .. } => Self::AUTH,
            _ => Self::CANTOPEN,
        }
    }
}
