//! The only unsafe code of this crate, with the modules below it: SQLite's callbacks, and the file below ours.
//!
//! Contract: <https://www.sqlite.org/c3ref/vfs.html> and <https://www.sqlite.org/c3ref/io_methods.html>.
//! SQLite serialises all calls on the files of one connection, gives buffers of the lengths that it names,
//! and calls nothing on a file after xClose. A panic does not cross into C: it becomes `SQLITE_IOERR`.
#![expect(
    unsafe_code,
    reason = "callbacks from C; every block says why it holds"
)]

#[cfg(feature = "rusqlite")]
use core::ffi::CStr;
use core::ffi::c_int;
use core::ptr;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Once;

use libsqlite3_sys as sys;

use super::access::{self};
use super::code::{Code, Result};
use super::counters::{Counts, File};
use super::database::Database;
use super::journal::Journal;
use super::read_cache;
use super::temp::TempFile;
use super::wal::Wal;
use crate::Error;

#[cfg(feature = "rusqlite")]
mod connection;
mod control;
mod io;
#[cfg(feature = "rusqlite")]
mod keyless;
mod memory;
mod open;
mod passed_on;
mod plain_file;
mod process;
mod raw;
mod shared_memory;
mod signals;
mod temporary;
mod text;
mod uri;
mod wal_index;

#[cfg(feature = "rusqlite")]
pub(crate) use connection::{CheckpointHold, reserve_trailer, with_sealed};
pub use control::host_warning;
#[cfg(feature = "rusqlite")]
pub(crate) use keyless::KeylessFile;
pub(crate) use memory::prefer_large_pages;
#[cfg(feature = "rusqlite")]
pub(crate) use plain_file::PlainFile;
pub(crate) use plain_file::PlainVfs;
pub use plain_file::read_key_file;
pub(crate) use process::generation as process;
pub(crate) use raw::{RawFile, Read};
pub(crate) use signals::without_signals;
pub(crate) use wal_index::WalIndex;

use open::x_open;
use passed_on::{
    x_access, x_current_time, x_current_time_int64, x_delete, x_dl_close, x_dl_error, x_dl_open,
    x_dl_sym, x_full_pathname, x_get_last_error, x_randomness, x_sleep,
};

/// The name under which [`register`] registers the VFS.
pub const NAME: &str = "zqlite";

/// Registers the VFS `zqlite` over SQLite's default VFS, once; it does not become the default.
///
/// # Errors
/// [`Error::Io`] if SQLite has no default VFS or refuses another.
pub fn register() -> core::result::Result<(), Error> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| result = register_over(NAME, None));
    result
}

/// Registers the VFS under another name or over another VFS (`None`: the default).
///
/// # Errors
/// [`Error::Io`] if there is no such VFS below, or SQLite refuses.
pub fn register_over(name: &str, below: Option<&str>) -> core::result::Result<(), Error> {
    let failed = |what: &str| Error::Io {
        path: PathBuf::from(name),
        source: std::io::Error::other(what.to_owned()),
    };
    let c_string =
        |text: &str| CString::new(text).map_err(|_| failed("a VFS name holds a zero byte"));
    // Here rather than at the first page: while they look, no other thread should fork.
    let _generation = process();
    let _looked_up = (read_cache::budget(), read_cache::processors());
    let own_name = c_string(name)?;
    let below_name = below.map(c_string).transpose()?;
    // SAFETY: the name is null or a string that lives through the call; SQLite, which initialises itself here,
    // returns null or a VFS that lives as long as it is registered.
    let below = unsafe {
        sys::sqlite3_vfs_find(
            below_name
                .as_ref()
                .map_or(ptr::null(), |name| name.as_ptr()),
        )
    };
    if below.is_null() {
        return Err(failed("there is no such VFS to build on"));
    }
    // SAFETY: a registered VFS; only read.
    let below_ref = unsafe { &*below };
    let vfs = Box::new(sys::sqlite3_vfs {
        iVersion: 2.min(below_ref.iVersion),
        szOsFile: c_int::try_from(FILE_LEN)
            .unwrap_or(c_int::MAX)
            .saturating_add(below_ref.szOsFile),
        mxPathname: below_ref.mxPathname,
        pNext: ptr::null_mut(),
        zName: own_name.into_raw(),
        pAppData: below.cast(),
        xOpen: Some(x_open),
        xDelete: Some(x_delete),
        xAccess: Some(x_access),
        xFullPathname: Some(x_full_pathname),
        xDlOpen: Some(x_dl_open),
        xDlError: Some(x_dl_error),
        xDlSym: Some(x_dl_sym),
        xDlClose: Some(x_dl_close),
        xRandomness: Some(x_randomness),
        xSleep: Some(x_sleep),
        xCurrentTime: Some(x_current_time),
        xGetLastError: Some(x_get_last_error),
        xCurrentTimeInt64: Some(x_current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    });
    // SAFETY: the VFS and its name are leaked: they live as long as the process.
    let rc = unsafe { sys::sqlite3_vfs_register(Box::into_raw(vfs), 0) };
    Code::check(rc).map_err(|_| failed("SQLite refused the VFS"))
}

/// The name of SQLite's default VFS: what reads and writes plain files.
#[cfg(feature = "rusqlite")]
pub(crate) fn default_vfs_name() -> Option<String> {
    // SAFETY: a registered VFS and its name live as long as it is registered.
    unsafe {
        let vfs = sys::sqlite3_vfs_find(ptr::null());
        (!vfs.is_null()).then(|| CStr::from_ptr((*vfs).zName).to_string_lossy().into_owned())
    }
}

/// What SQLite allocates for a file of ours: this, and the file below behind it.
#[repr(C)]
struct VfsFile {
    base: sys::sqlite3_file,
    /// A leaked `Box<Kind>`, from a successful xOpen to xClose.
    kind: *mut Kind,
    host: Host,
}

/// The connection that a database file belongs to.
#[derive(Clone, Copy)]
struct Host {
    /// From `SQLITE_FCNTL_PDB`: where SQLite keeps, as long as the file is open, the connection that is using
    /// it. Null until it is told.
    connection: *mut *mut sys::sqlite3,
    /// The last lock was refused: SQLite may be in a loop around the busy handler.
    retries: bool,
}

impl Host {
    const UNKNOWN: Self = Self {
        connection: ptr::null_mut(),
        retries: false,
    };
}

const FILE_LEN: usize = size_of::<VfsFile>();

enum Kind {
    Database(Database),
    Wal(Wal),
    Journal(Journal),
    Temp(TempFile, RawFile),
    /// A super-journal, or a child journal that SQLite opens to look for the super-journal's name.
    Super(RawFile),
}

impl Kind {
    const fn raw(&self) -> RawFile {
        match self {
            Self::Database(file) => file.raw,
            Self::Wal(file) => file.raw,
            Self::Journal(file) => file.raw,
            Self::Temp(_, raw) | Self::Super(raw) => *raw,
        }
    }

    /// Counts something, if it is a file that is counted.
    fn count(&self, what: impl FnOnce(&Counts, File)) {
        let (sealed, file) = match self {
            Self::Database(file) => (&file.sealed, File::Database),
            Self::Wal(file) => (&file.sealed, File::Wal),
            Self::Journal(file) => (&file.sealed, File::Journal),
            Self::Temp(..) | Self::Super(_) => return,
        };
        what(&sealed.borrow().counts, file);
    }
}

/// What a request ended with is counted, if the bytes in the file did not authenticate.
///
/// # Safety
/// `file` is an open file of ours; no other reference to its state lives.
unsafe fn note(file: *mut sys::sqlite3_file, result: Result<()>) -> Result<()> {
    if result == Err(Code::DATA) {
        // SAFETY: by the contract.
        unsafe { kind(file) }.count(Counts::failed);
    }
    result
}

/// Runs a callback's body; errors and panics become result codes.
fn guard(body: impl FnOnce() -> Result<()>) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => sys::SQLITE_OK,
        Ok(Err(code)) => code.0,
        Err(_) => sys::SQLITE_IOERR,
    }
}

/// The state of a file of ours.
///
/// # Safety
/// `file` is a file that [`x_open`] opened and that is not closed; no other reference to its state lives.
unsafe fn kind<'a>(file: *mut sys::sqlite3_file) -> &'a mut Kind {
    // SAFETY: by the contract, `kind` is the leaked box of an open file.
    unsafe { &mut *(*file.cast::<VfsFile>()).kind }
}

/// The code of an error, which is kept for whoever asks, and logged.
fn fail(error: Error) -> Code {
    let code = Code::from(&error);
    log(code, &error);
    access::set_last_error(error);
    code
}

/// Writes an error to SQLite's log: other clients see nothing but the code.
fn log(code: Code, error: &Error) {
    log_text(code, &error.to_string());
}

fn log_text(code: Code, text: &str) {
    if let Ok(text) = CString::new(text) {
        // SAFETY: a format with one string, and the string.
        unsafe { sys::sqlite3_log(code.0, c"%s".as_ptr(), text.as_ptr()) };
    }
}
