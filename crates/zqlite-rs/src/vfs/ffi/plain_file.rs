//! Reading a file through SQLite's own file layer.
//!
//! On POSIX systems, whoever opens a file and closes it again drops all locks that his process has on it, also those
//! of SQLite's connections. SQLite's file layer knows its own locks and closes such a file later. So any file that
//! might be a database is read here, a key file too: its name may come from SQL.

use core::ffi::{c_char, c_int};
use core::ptr;
use std::ffi::CString;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use libsqlite3_sys as sys;
use zeroize::Zeroizing;

use super::raw::{RawFile, Read};
use crate::key_file;

/// A VFS of SQLite that is not ours: it stays registered.
#[derive(Clone, Copy)]
pub(crate) struct PlainVfs(pub(super) *mut sys::sqlite3_vfs);

impl PlainVfs {
    /// SQLite's default one.
    pub(crate) fn of_sqlite() -> Result<Self> {
        // SAFETY: null asks for the default VFS.
        let vfs = unsafe { sys::sqlite3_vfs_find(ptr::null()) };
        if vfs.is_null() {
            return Err(Error::other("SQLite has no default VFS"));
        }
        Ok(Self(vfs))
    }

    /// A whole key file, which must be a regular file and short.
    pub(crate) fn read_key_file(self, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let file = PlainFile::open(self, path)?;
        let len = file.len()?;
        if len > key_file::MAX_LEN {
            return Err(Error::new(
                ErrorKind::InvalidData,
                key_file::KeyFileError::TooLong,
            ));
        }
        let len = usize::try_from(len).map_err(Error::other)?;
        let mut content = Zeroizing::new(vec![0; len]);
        file.read_exact(&mut content, 0)?;
        Ok(content)
    }
}

/// The content of a key file, which must be a regular file of at most [`key_file::MAX_LEN`] bytes.
///
/// Read by SQLite's file layer: should the path name a database, its locks are kept.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn read_key_file(path: &Path) -> core::result::Result<Zeroizing<Vec<u8>>, crate::Error> {
    PlainVfs::of_sqlite()
        .and_then(|vfs| vfs.read_key_file(path))
        .map_err(|source| crate::Error::Io {
            path: path.to_owned(),
            source,
        })
}

/// An open file, for reading.
pub(crate) struct PlainFile {
    raw: RawFile,
    /// SQLite's allocation of the name, which has to live as long as the file.
    name: *const c_char,
    /// Where the file below lives: its address is in `raw`.
    _memory: Vec<u64>,
}

impl PlainFile {
    /// Opens a regular file.
    pub(crate) fn open(vfs: PlainVfs, path: &Path) -> Result<Self> {
        // A pipe would be waited for, a folder read as an empty file.
        if !std::fs::metadata(path)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        let full = full_path(vfs, path)?;
        // SAFETY: a registered VFS; only read.
        let (size, open) = unsafe { ((*vfs.0).szOsFile, (*vfs.0).xOpen) };
        let size = usize::try_from(size).map_err(Error::other)?;
        let open = open.ok_or_else(|| Error::other("the file layer opens nothing"))?;
        let mut memory = vec![0_u64; size.div_ceil(size_of::<u64>())];
        let raw = RawFile(memory.as_mut_ptr().cast());
        // As a database: so its locks are kept. Names of databases have a tail, which this function gives them.
        // SAFETY: a string for the path, two empty ones, and no parameters.
        let name: *const c_char = unsafe {
            sys::sqlite3_create_filename(
                full.as_ptr(),
                c"".as_ptr(),
                c"".as_ptr(),
                0,
                ptr::null_mut(),
            )
        };
        if name.is_null() {
            return Err(ErrorKind::OutOfMemory.into());
        }
        let flags = sys::SQLITE_OPEN_MAIN_DB | sys::SQLITE_OPEN_READONLY;
        let mut opened_flags = 0;
        // SAFETY: zeroed memory of the size that the VFS asks for, and a name as SQLite passes it.
        let rc = unsafe { open(vfs.0, name, raw.0, flags, &raw mut opened_flags) };
        let file = Self {
            raw,
            name,
            _memory: memory,
        };
        if rc == sys::SQLITE_OK {
            Ok(file)
        } else {
            Err(last_error(vfs, rc))
        }
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        self.raw.len().map_err(|code| sqlite_error(code.0))
    }

    /// Fills the buffer from an offset.
    pub(crate) fn read_exact(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        match self.raw.read(buf, offset) {
            Ok(Read::Full) => Ok(()),
            Ok(Read::Short) => Err(ErrorKind::UnexpectedEof.into()),
            Err(code) => Err(sqlite_error(code.0)),
        }
    }
}

impl Drop for PlainFile {
    fn drop(&mut self) {
        // SAFETY: methods are set if the file is open; the name is SQLite's and no longer used after the close.
        unsafe {
            if !(*self.raw.0).pMethods.is_null() {
                self.raw.close();
            }
            sys::sqlite3_free_filename(self.name.cast_mut());
        }
    }
}

/// The path as the VFS wants it.
fn full_path(vfs: PlainVfs, path: &Path) -> Result<CString> {
    let name = c_path(path)?;
    // SAFETY: a registered VFS; only read.
    let (len, full_pathname) = unsafe { ((*vfs.0).mxPathname, (*vfs.0).xFullPathname) };
    let Some(full_pathname) = full_pathname else {
        return Ok(name);
    };
    let room = usize::try_from(len).map_err(Error::other)? + 1;
    let mut out = vec![0_u8; room];
    // SAFETY: the buffer is one byte longer than said, so that what comes out ends with a zero.
    let rc = unsafe { full_pathname(vfs.0, name.as_ptr(), len, out.as_mut_ptr().cast()) };
    if rc & 0xff != sys::SQLITE_OK {
        return Err(last_error(vfs, rc));
    }
    out.truncate(out.iter().position(|byte| *byte == 0).unwrap_or(0));
    CString::new(out).map_err(Error::other)
}

#[cfg(unix)]
fn c_path(path: &Path) -> Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(not(unix))]
fn c_path(path: &Path) -> Result<CString> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the path is no Unicode text"))?;
    Ok(CString::new(text)?)
}

/// What the operating system said, else SQLite's code.
fn last_error(vfs: PlainVfs, rc: c_int) -> Error {
    // SAFETY: a registered VFS; the call takes a buffer of no bytes.
    let errno = unsafe {
        (*vfs.0)
            .xGetLastError
            .map_or(0, |last| last(vfs.0, 0, ptr::null_mut()))
    };
    if errno == 0 {
        sqlite_error(rc)
    } else {
        Error::from_raw_os_error(errno)
    }
}

fn sqlite_error(rc: c_int) -> Error {
    Error::other(format!("SQLite's file layer returned {rc}"))
}
