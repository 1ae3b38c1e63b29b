//! xOpen: which of the files of a database it is, and with whose keys.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use libsqlite3_sys as sys;

use super::io::METHODS;
use super::{Host, Kind, PlainVfs, RawFile, VfsFile, fail, guard, kind, log_text, uri};
use crate::Error;
use crate::key_file::is_exposed;
use crate::vfs::access::{self, Access};
use crate::vfs::code::{Code, Result};
use crate::vfs::counters;
use crate::vfs::database::Database;
use crate::vfs::journal::Journal;
use crate::vfs::sealed::Sealed;
use crate::vfs::temp::TempFile;
use crate::vfs::uri::Content;
use crate::vfs::wal::Wal;

pub(super) unsafe extern "C" fn x_open(
    vfs: *mut sys::sqlite3_vfs,
    name: *const c_char,
    file: *mut sys::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // A null pMethods tells SQLite not to call xClose.
    // SAFETY: SQLite allocated szOsFile bytes for the file.
    unsafe { (*file).pMethods = ptr::null() };
    guard(|| {
        // SAFETY: pAppData is the VFS below; the memory behind `VfsFile` has its szOsFile bytes.
        let (below, raw) = unsafe {
            (
                (*vfs).pAppData.cast::<sys::sqlite3_vfs>(),
                RawFile(file.cast::<VfsFile>().add(1).cast()),
            )
        };
        // SAFETY: the name is null or SQLite's, with the flags it came with.
        let database = unsafe { named_database(name, flags, PlainVfs(below)) }?;
        // Who may not create a file shall not leave an empty one.
        let flags = match &database {
            Some((_, access)) if !access.may_create() => flags & !sys::SQLITE_OPEN_CREATE,
            _ => flags,
        };
        let mut opened_flags = 0;
        // SAFETY: the VFS below is registered; arguments are SQLite's own.
        let rc = unsafe {
            (*raw.0).pMethods = ptr::null();
            match (*below).xOpen {
                Some(open) => open(below, name, raw.0, flags, &raw mut opened_flags),
                None => sys::SQLITE_CANTOPEN,
            }
        };
        if rc != sys::SQLITE_OK {
            // SAFETY: a VFS whose xOpen fails may still have set methods: then it is to be closed.
            if !unsafe { (*raw.0).pMethods }.is_null() {
                raw.close();
            }
            return Err(match database {
                Some((path, access)) if rc == sys::SQLITE_CANTOPEN && !access.may_create() => {
                    fail(Error::NotThere { path })
                }
                _ => Code(rc),
            });
        }
        // SAFETY: the name is null or SQLite's, with the flags it came with.
        let kind = match unsafe { open_kind(name, raw, flags, opened_flags, database) } {
            Ok(kind) => kind,
            Err(code) => {
                raw.close();
                return Err(code);
            }
        };
        // SAFETY: as at the top; `out_flags` is null or a place for an int.
        unsafe {
            (*file.cast::<VfsFile>()).kind = Box::into_raw(Box::new(kind));
            (*file.cast::<VfsFile>()).host = Host::UNKNOWN;
            (*file).pMethods = &raw const METHODS;
            if !out_flags.is_null() {
                *out_flags = opened_flags;
            }
        }
        Ok(())
    })
}

/// What kind of file SQLite opens.
///
/// # Safety
/// `name` is null, or the name that SQLite passed to xOpen together with `flags`.
unsafe fn open_kind(
    name: *const c_char,
    raw: RawFile,
    flags: c_int,
    opened_flags: c_int,
    database: Option<(PathBuf, Arc<Access>)>,
) -> Result<Kind> {
    if name.is_null() {
        return Ok(Kind::Temp(TempFile::new(raw)?, raw));
    }
    if let Some((path, access)) = database {
        let writable = opened_flags & sys::SQLITE_OPEN_READONLY == 0;
        return match Sealed::open(raw, path, access, writable) {
            Ok(sealed) => Ok(Kind::Database(Database::new(raw, sealed))),
            Err(error) => {
                counters::refused(&error);
                Err(fail(error))
            }
        };
    }
    if flags & (sys::SQLITE_OPEN_WAL | sys::SQLITE_OPEN_MAIN_JOURNAL) != 0 {
        // SAFETY: for the names of WALs and journals SQLite finds the main file that they belong to; it was
        // opened by the VFS that is asked for its journal, by us.
        let sealed = unsafe {
            let main = sys::sqlite3_database_file_object(name);
            // A VFS above ours has main files of its own.
            if main.is_null() || !ptr::eq((*main).pMethods, &raw const METHODS) {
                return Err(Code::CANTOPEN);
            }
            match kind(main) {
                Kind::Database(database) => Rc::clone(&database.sealed),
                _ => return Err(Code::CANTOPEN),
            }
        };
        return Ok(if flags & sys::SQLITE_OPEN_WAL != 0 {
            Kind::Wal(Wal::new(raw, sealed))
        } else {
            Kind::Journal(Journal::new(raw, sealed))
        });
    }
    if flags & sys::SQLITE_OPEN_SUPER_JOURNAL != 0 {
        return Ok(Kind::Super(raw));
    }
    Ok(Kind::Temp(TempFile::new(raw)?, raw))
}

/// Path and keys of the main database that SQLite opens; `None` if it opens another kind of file.
///
/// # Safety
/// `name` is null, or the name that SQLite passed to xOpen together with `flags`.
unsafe fn named_database(
    name: *const c_char,
    flags: c_int,
    below: PlainVfs,
) -> Result<Option<(PathBuf, Arc<Access>)>> {
    if name.is_null() || flags & sys::SQLITE_OPEN_MAIN_DB == 0 {
        return Ok(None);
    }
    // SAFETY: not null, and SQLite's names end with a zero byte.
    let path = PathBuf::from(os_string(unsafe { CStr::from_ptr(name) }));
    // SAFETY: by the contract.
    let given = unsafe { uri::parameters(name) }.map_err(fail)?;
    match (access::find(&path), given.first()) {
        (Some(access), None) => Ok(Some((path, access))),
        (None, Some(_)) => {
            let read = |path: &Path, content| {
                let exposed = std::fs::metadata(path).is_ok_and(|data| is_exposed(&data));
                if content == Content::Secret && exposed {
                    log_text(
                        Code(sys::SQLITE_WARNING),
                        "a key file that a URI names: others can read it; its mode should be 600",
                    );
                }
                below.read_key_file(path)
            };
            let access = crate::vfs::uri::access(&given, &read).map_err(fail)?;
            Ok(Some((path, Arc::new(access))))
        }
        (Some(_), Some(first)) => Err(fail(crate::vfs::uri::refuse(
            first.parameter,
            "names keys or rules, and others are registered for this file",
        ))),
        (None, None) => Err(fail(Error::NoKey { path })),
    }
}

#[cfg(unix)]
pub(super) fn os_string(text: &CStr) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(text.to_bytes()).to_owned()
}

#[cfg(not(unix))]
pub(super) fn os_string(text: &CStr) -> OsString {
    text.to_string_lossy().into_owned().into()
}
