//! A database file of SQLite's default VFS, opened beside the connections of this process: an ordinary `open` and `close`
//! would drop their POSIX locks.

use core::ffi::c_int;
use core::ptr;
use std::ffi::CString;
use std::path::Path;

use libsqlite3_sys as sys;

use super::raw::RawFile;
use crate::vfs::code::{Code, Result};

/// A database file that is open for reading, without keys.
pub(crate) struct KeylessFile {
    raw: RawFile,
    /// What `raw` points to: szOsFile bytes, aligned to 8.
    _memory: Vec<u64>,
    /// The file's name in SQLite's form, which the file may point to.
    _name: Name,
}

impl KeylessFile {
    /// Opens a file.
    ///
    /// # Errors
    /// SQLite's code; [`Code::CANTOPEN`] also for a path that no file can have.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let path = c_path(path).ok_or(Code::CANTOPEN)?;
        // SAFETY: initialises SQLite once; the VFS that is found lives as long as it is registered.
        let vfs = unsafe { sys::sqlite3_vfs_find(ptr::null()) };
        if vfs.is_null() {
            return Err(Code::CANTOPEN);
        }
        // SAFETY: a registered VFS; only read.
        let (file_len, path_len, open, full_path) = unsafe {
            let vfs = &*vfs;
            (vfs.szOsFile, vfs.mxPathname, vfs.xOpen, vfs.xFullPathname)
        };
        let (Some(open), Some(full_path)) = (open, full_path) else {
            return Err(Code::CANTOPEN);
        };
        let len = |bytes: c_int| usize::try_from(bytes).map_err(|_| Code::CANTOPEN);
        let mut full: Vec<core::ffi::c_char> = vec![0; len(path_len)? + 1];
        // SAFETY: the path is a string, the buffer has the length that is named. `SQLITE_OK_SYMLINK` is success.
        let rc = unsafe { full_path(vfs, path.as_ptr(), path_len + 1, full.as_mut_ptr()) };
        if rc & 0xff != sys::SQLITE_OK {
            return Err(Code(rc));
        }
        let name = Name::new(&full)?;
        let mut memory = vec![0u64; len(file_len)?.div_ceil(size_of::<u64>()).max(1)];
        let raw = RawFile(memory.as_mut_ptr().cast());
        let mut opened = 0;
        // SAFETY: the name is in SQLite's form, the memory is zeroed and long enough; both outlive the file.
        let rc = unsafe {
            let flags = sys::SQLITE_OPEN_READONLY | sys::SQLITE_OPEN_MAIN_DB;
            open(vfs, name.0, raw.0, flags, &raw mut opened)
        };
        if rc != sys::SQLITE_OK {
            // SAFETY: a VFS whose xOpen fails may still have set methods: then it is to be closed.
            if !unsafe { (*raw.0).pMethods }.is_null() {
                raw.close();
            }
            return Err(Code(rc));
        }
        Ok(Self {
            raw,
            _memory: memory,
            _name: name,
        })
    }

    /// The open file; valid as long as this one lives.
    pub(crate) const fn raw(&self) -> RawFile {
        self.raw
    }

    /// Takes a SHARED lock, until the file is closed.
    ///
    /// # Errors
    /// [`Code::BUSY`] if somebody writes to the file.
    pub(crate) fn lock_shared(&self) -> Result<()> {
        self.raw.lock(sys::SQLITE_LOCK_SHARED)
    }
}

impl Drop for KeylessFile {
    fn drop(&mut self) {
        let _read_only = self.raw.unlock(sys::SQLITE_LOCK_NONE);
        self.raw.close();
    }
}

/// A file name as xOpen takes it, with room for parameters behind it.
struct Name(*const core::ffi::c_char);

impl Name {
    fn new(full: &[core::ffi::c_char]) -> Result<Self> {
        let none = c"".as_ptr();
        // SAFETY: `full` ends with a zero byte, since xFullPathname succeeded; no parameters.
        let name: *const core::ffi::c_char =
            unsafe { sys::sqlite3_create_filename(full.as_ptr(), none, none, 0, ptr::null_mut()) };
        if name.is_null() {
            return Err(Code(sys::SQLITE_NOMEM));
        }
        Ok(Self(name))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // SAFETY: from `sqlite3_create_filename`, freed once.
        unsafe { sys::sqlite3_free_filename(self.0.cast_mut()) };
    }
}

fn c_path(path: &Path) -> Option<CString> {
    #[cfg(unix)]
    let bytes = {
        use std::os::unix::ffi::OsStrExt;
        path.as_os_str().as_bytes().to_vec()
    };
    #[cfg(not(unix))]
    let bytes = path.to_str()?.as_bytes().to_vec();
    CString::new(bytes).ok()
}
