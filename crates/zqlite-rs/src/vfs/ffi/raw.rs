//! An open file of the VFS below.

use core::ffi::c_int;

use libsqlite3_sys as sys;

use crate::vfs::code::{Code, Result};

/// Whether a read found all the bytes it asked for; what was missing is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Full,
    Short,
}

/// An open file of the VFS below.
///
/// Valid from the xOpen below to the xClose below; [`Kind`] and [`Sealed`] live no longer than that.
#[derive(Clone, Copy)]
pub(crate) struct RawFile(pub(super) *mut sys::sqlite3_file);

/// Calls a method of the file below; `$default` if it has none.
macro_rules! below {
    ($raw:expr, $method:ident, $default:expr $(, $arg:expr)*) => {{
        let file = $raw.0;
        // SAFETY: the file is open (see `RawFile`), so its methods are set and take these arguments.
        match unsafe { (*(*file).pMethods).$method } {
            // SAFETY: as above.
            Some(method) => unsafe { method(file $(, $arg)*) },
            None => $default,
        }
    }};
}

pub(super) use below;

impl RawFile {
    pub(crate) fn read(self, buf: &mut [u8], offset: u64) -> Result<Read> {
        let (len, offset) = (length(buf.len())?, position(offset)?);
        match below!(
            self,
            xRead,
            sys::SQLITE_IOERR_READ,
            buf.as_mut_ptr().cast(),
            len,
            offset
        ) {
            sys::SQLITE_OK => Ok(Read::Full),
            sys::SQLITE_IOERR_SHORT_READ => Ok(Read::Short),
            rc => Err(Code(rc)),
        }
    }

    pub(crate) fn write(self, buf: &[u8], offset: u64) -> Result<()> {
        let (len, offset) = (length(buf.len())?, position(offset)?);
        Code::check(below!(
            self,
            xWrite,
            sys::SQLITE_IOERR_WRITE,
            buf.as_ptr().cast(),
            len,
            offset
        ))
    }

    pub(crate) fn truncate(self, len: u64) -> Result<()> {
        Code::check(below!(
            self,
            xTruncate,
            sys::SQLITE_IOERR_TRUNCATE,
            position(len)?
        ))
    }

    pub(crate) fn sync(self) -> Result<()> {
        self.sync_with(sys::SQLITE_SYNC_FULL)
    }

    pub(crate) fn sync_with(self, flags: c_int) -> Result<()> {
        Code::check(below!(self, xSync, sys::SQLITE_IOERR_FSYNC, flags))
    }

    pub(crate) fn len(self) -> Result<u64> {
        let mut len = 0;
        Code::check(below!(
            self,
            xFileSize,
            sys::SQLITE_IOERR_FSTAT,
            &raw mut len
        ))?;
        u64::try_from(len).map_err(|_| Code(sys::SQLITE_IOERR_FSTAT))
    }

    pub(crate) fn lock(self, level: c_int) -> Result<()> {
        Code::check(below!(self, xLock, sys::SQLITE_OK, level))
    }

    pub(crate) fn unlock(self, level: c_int) -> Result<()> {
        Code::check(below!(self, xUnlock, sys::SQLITE_OK, level))
    }

    pub(super) fn close(self) -> c_int {
        below!(self, xClose, sys::SQLITE_OK)
    }
}

fn length(len: usize) -> Result<c_int> {
    c_int::try_from(len).map_err(|_| Code::INTERNAL)
}

pub(super) fn position(offset: u64) -> Result<i64> {
    i64::try_from(offset).map_err(|_| Code::INTERNAL)
}
