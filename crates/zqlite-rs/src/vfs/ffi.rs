//! The only unsafe code of this crate, with the modules below it: SQLite's callbacks, and the file below ours.
//!
//! Contract: <https://www.sqlite.org/c3ref/vfs.html> and <https://www.sqlite.org/c3ref/io_methods.html>.
//! SQLite serialises all calls on the files of one connection, gives buffers of the lengths that it names,
//! and calls nothing on a file after xClose. A panic does not cross into C: it becomes `SQLITE_IOERR`.
#![expect(
    unsafe_code,
    reason = "callbacks from C; every block says why it holds"
)]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::ffi::{CString, OsString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Once;
use std::time::Instant;

use libsqlite3_sys as sys;
use zqlite_pq::page::PageSize;

use super::access::{self, Access};
use super::code::{Code, Result};
use super::counters::{self, Counts, File};
use super::database::{self, Database};
use super::journal::Journal;
use super::read_cache;
use super::sealed::Sealed;
use super::temp::TempFile;
use super::uri::Content;
use super::wal::Wal;
use crate::Error;
use crate::key_file::is_exposed;

#[cfg(feature = "rusqlite")]
mod connection;
mod control;
#[cfg(feature = "rusqlite")]
mod keyless;
mod memory;
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

use control::x_file_control;
use passed_on::{
    x_access, x_current_time, x_current_time_int64, x_delete, x_dl_close, x_dl_error, x_dl_open,
    x_dl_sym, x_full_pathname, x_get_last_error, x_randomness, x_sleep,
};
use raw::{below, position};
use shared_memory::{x_shm_barrier, x_shm_lock, x_shm_map, x_shm_unmap};
use temporary::begin_read;

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

// --- files --------------------------------------------------------------------------------------

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

static METHODS: sys::sqlite3_io_methods = sys::sqlite3_io_methods {
    // 2: shared memory, but no memory mapping, which would show SQLite the sealed bytes.
    iVersion: 2,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: Some(x_shm_map),
    xShmLock: Some(x_shm_lock),
    xShmBarrier: Some(x_shm_barrier),
    xShmUnmap: Some(x_shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn x_open(
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
            let access = super::uri::access(&given, &read).map_err(fail)?;
            Ok(Some((path, Arc::new(access))))
        }
        (Some(_), Some(first)) => Err(fail(super::uri::refuse(
            first.parameter,
            "names keys or rules, and others are registered for this file",
        ))),
        (None, None) => Err(fail(Error::NoKey { path })),
    }
}

/// The code of an error, which is kept for whoever asks, and logged.
fn fail(error: Error) -> Code {
    let code = Code::from(&error);
    log(code, &error);
    access::set_last_error(error);
    code
}

#[cfg(unix)]
fn os_string(text: &CStr) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(text.to_bytes()).to_owned()
}

#[cfg(not(unix))]
fn os_string(text: &CStr) -> OsString {
    text.to_string_lossy().into_owned().into()
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

unsafe extern "C" fn x_close(file: *mut sys::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once, after all other calls; the state is the box that x_open leaked.
    let mut kind = unsafe {
        (*file).pMethods = ptr::null();
        Box::from_raw((*file.cast::<VfsFile>()).kind)
    };
    if let Kind::Wal(wal) = &mut *kind {
        let _no_frame_without_its_page = guard(|| wal.finish_begun());
    }
    let raw = kind.raw();
    drop(kind);
    raw.close()
}

unsafe extern "C" fn x_read(
    file: *mut sys::sqlite3_file,
    buf: *mut c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    guard(|| {
        let len = usize::try_from(len).map_err(|_| Code::READ)?;
        let offset = u64::try_from(offset).map_err(|_| Code::READ)?;
        // SAFETY: an open file of ours.
        let whole_page = len >= PageSize::MIN.to_usize()
            && matches!(unsafe { kind(file) }, Kind::Database(_) | Kind::Wal(_));
        if !whole_page {
            // SAFETY: SQLite gives a buffer of `len` bytes.
            unsafe { ptr::write_bytes(buf.cast::<u8>(), 0, len) };
        }
        // SAFETY: SQLite gives a buffer of `len` bytes, which is foreign memory: what stands in it is unknown, but it is
        // bytes. Zeroing pages first, which are written as a whole below, costs a tenth of opening them.
        let buf = unsafe { core::slice::from_raw_parts_mut(buf.cast::<u8>(), len) };
        // SAFETY: an open file of ours.
        let read = unsafe { read(file, buf, offset) };
        if whole_page && read.is_err() {
            buf.fill(0);
        }
        // SAFETY: an open file of ours.
        unsafe { note(file, read) }
    })
}

/// # Safety
/// An open file of ours.
unsafe fn read(file: *mut sys::sqlite3_file, buf: &mut [u8], offset: u64) -> Result<()> {
    // With nolock=1 or immutable=1 no lock tells that a read transaction begins.
    // SAFETY: by the contract.
    let unlocked =
        matches!(unsafe { kind(file) }, Kind::Database(database) if database.is_unlocked());
    if unlocked {
        // SAFETY: by the contract.
        Code::check(unsafe { begin_read(file) })?;
    }
    // SAFETY: by the contract.
    match unsafe { kind(file) } {
        Kind::Database(file) => file.read(buf, offset),
        Kind::Wal(file) => file.read(buf, offset),
        Kind::Journal(file) => file.read(buf, offset),
        Kind::Temp(file, _) => file.read(buf, offset),
        Kind::Super(raw) => match raw.read(buf, offset)? {
            Read::Full => Ok(()),
            Read::Short => Err(Code::SHORT_READ),
        },
    }
}

unsafe extern "C" fn x_write(
    file: *mut sys::sqlite3_file,
    buf: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    guard(|| {
        let len = usize::try_from(len).map_err(|_| Code::WRITE)?;
        let offset = u64::try_from(offset).map_err(|_| Code::WRITE)?;
        // SAFETY: SQLite gives `len` bytes.
        let buf = unsafe { core::slice::from_raw_parts(buf.cast::<u8>(), len) };
        // SAFETY: an open file of ours.
        let written = match unsafe { kind(file) } {
            Kind::Database(file) => file.write(buf, offset),
            Kind::Wal(file) => file.write(buf, offset),
            Kind::Journal(file) => file.write(buf, offset),
            Kind::Temp(file, _) => file.write(buf, offset),
            Kind::Super(raw) => raw.write(buf, offset),
        };
        if written.is_ok() {
            // SAFETY: an open file of ours.
            unsafe { kind(file) }.count(|counts, file| counts.written(file, len));
        }
        // SAFETY: an open file of ours.
        unsafe { note(file, written) }
    })
}

unsafe extern "C" fn x_truncate(file: *mut sys::sqlite3_file, len: i64) -> c_int {
    guard(|| {
        let len = u64::try_from(len).map_err(|_| Code::WRITE)?;
        // SAFETY: an open file of ours.
        match unsafe { kind(file) } {
            Kind::Database(file) => file.truncate(len),
            Kind::Wal(file) => file.truncate(len),
            Kind::Journal(file) => file.truncate(len),
            Kind::Temp(file, _) => file.truncate(len),
            Kind::Super(raw) => raw.truncate(len),
        }
    })
}

unsafe extern "C" fn x_sync(file: *mut sys::sqlite3_file, flags: c_int) -> c_int {
    guard(|| {
        // SAFETY: an open file of ours.
        let kind = unsafe { kind(file) };
        let started = Instant::now();
        match kind {
            Kind::Database(file) => file.sync(flags),
            Kind::Wal(file) => file.sync(flags),
            Kind::Journal(file) => file.sync(flags),
            Kind::Temp(_, raw) | Kind::Super(raw) => raw.sync_with(flags),
        }?;
        kind.count(|counts, file| counts.synced(file, started.elapsed()));
        Ok(())
    })
}

unsafe extern "C" fn x_file_size(file: *mut sys::sqlite3_file, out: *mut i64) -> c_int {
    guard(|| {
        // SAFETY: an open file of ours.
        let len = match unsafe { kind(file) } {
            Kind::Database(file) => file.len()?,
            Kind::Journal(file) => file.len()?,
            Kind::Temp(file, _) => file.len(),
            Kind::Wal(file) => file.len()?,
            Kind::Super(raw) => raw.len()?,
        };
        // SAFETY: SQLite gives a place for the size.
        unsafe { *out = position(len)? };
        Ok(())
    })
}

unsafe extern "C" fn x_lock(file: *mut sys::sqlite3_file, level: c_int) -> c_int {
    if level == sys::SQLITE_LOCK_SHARED {
        // SAFETY: an open file of ours.
        let rc = unsafe { begin_read(file) };
        if rc != sys::SQLITE_OK {
            return rc;
        }
    }
    let rc = guard(|| {
        // SAFETY: an open file of ours.
        match unsafe { kind(file) } {
            Kind::Database(file) => file.lock(level),
            other => other.raw().lock(level),
        }
    });
    // SAFETY: an open file of ours.
    unsafe { (*file.cast::<VfsFile>()).host.retries = rc == sys::SQLITE_BUSY };
    rc
}

unsafe extern "C" fn x_unlock(file: *mut sys::sqlite3_file, level: c_int) -> c_int {
    guard(|| {
        // SAFETY: an open file of ours.
        match unsafe { kind(file) } {
            Kind::Database(file) => file.unlock(level),
            other => other.raw().unlock(level),
        }
    })
}

unsafe extern "C" fn x_check_reserved_lock(file: *mut sys::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: an open file of ours.
    let raw = unsafe { kind(file) }.raw();
    below!(raw, xCheckReservedLock, sys::SQLITE_OK, out)
}

unsafe extern "C" fn x_sector_size(file: *mut sys::sqlite3_file) -> c_int {
    // SAFETY: an open file of ours.
    let raw = unsafe { kind(file) }.raw();
    below!(raw, xSectorSize, 4_096)
}

unsafe extern "C" fn x_device_characteristics(file: *mut sys::sqlite3_file) -> c_int {
    // SAFETY: an open file of ours.
    let raw = unsafe { kind(file) }.raw();
    database::characteristics(below!(raw, xDeviceCharacteristics, 0))
}
