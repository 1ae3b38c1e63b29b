//! The table of functions.
#![expect(unsafe_code, reason = "a VFS is a table of C functions")]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::sync::Mutex;

use rusqlite::ffi;

use super::{Fault, fails, is_read_only, lock, strike, takes};

const SECTOR_LEN: i64 = 512;

/// The VFS that does the work.
static BELOW: Mutex<Option<Below>> = Mutex::new(None);

#[derive(Clone, Copy)]
struct Below(ffi::sqlite3_vfs);

// SAFETY: SQLite's own VFS, which any thread may call; nobody changes it.
unsafe impl Send for Below {}

fn below() -> ffi::sqlite3_vfs {
    lock(&BELOW).unwrap().0
}

pub(super) fn install() {
    let mut installed = lock(&BELOW);
    if installed.is_some() {
        return;
    }
    // SAFETY: the default VFS is registered and stays so; ours is leaked.
    unsafe {
        ffi::sqlite3_initialize();
        let default = *ffi::sqlite3_vfs_find(ptr::null());
        let own = Box::leak(Box::new(ffi::sqlite3_vfs {
            zName: c"faults".as_ptr(),
            pNext: ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            ..default
        }));
        *installed = Some(Below(default));
        assert_eq!(ffi::sqlite3_vfs_register(own, 1), ffi::SQLITE_OK);
    }
}

unsafe fn base_name(path: *const c_char) -> String {
    if path.is_null() {
        return "(temporary)".to_owned();
    }
    // SAFETY: SQLite's names end with a zero byte.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    path.rsplit('/').next().unwrap_or(&path).to_owned()
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's own arguments, for the VFS that ours is a copy of.
    unsafe {
        (*file).pMethods = ptr::null();
        let base = base_name(name);
        if fails("open", &base) {
            return ffi::SQLITE_CANTOPEN;
        }
        let mut flags = flags;
        // A folder for temporary files is elsewhere.
        if is_read_only() && !name.is_null() {
            flags &= !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE);
            flags |= ffi::SQLITE_OPEN_READONLY;
        }
        let mut opened = 0;
        let rc = below().xOpen.unwrap()(vfs, name, file, flags, &raw mut opened);
        if !out.is_null() {
            *out = opened;
        }
        if (*file).pMethods.is_null() {
            return rc;
        }
        let original: *const ffi::sqlite3_io_methods = (*file).pMethods;
        let table = Table {
            methods: ffi::sqlite3_io_methods {
                xClose: Some(close),
                xRead: Some(read),
                xWrite: Some(write),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                xFileSize: Some(file_size),
                xLock: Some(lock_file),
                xUnlock: Some(unlock_file),
                xCheckReservedLock: Some(check_reserved_lock),
                xFileControl: Some(file_control),
                xShmMap: Some(shm_map),
                xShmLock: Some(shm_lock),
                ..*original
            },
            original,
            name: base,
        };
        (*file).pMethods = Box::into_raw(Box::new(table)).cast();
        rc
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    // SAFETY: SQLite's own arguments.
    unsafe {
        if fails("delete", &base_name(name)) || is_read_only() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        // No power is cut here: nothing needs to be synced.
        let _ = sync_dir;
        below().xDelete.unwrap()(vfs, name, 0)
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's own arguments.
    unsafe {
        if fails("access", &base_name(name)) {
            return ffi::SQLITE_IOERR_ACCESS;
        }
        below().xAccess.unwrap()(vfs, name, flags, out)
    }
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's own arguments.
    unsafe {
        if fails("full pathname", &base_name(name)) {
            return ffi::SQLITE_CANTOPEN_FULLPATH;
        }
        below().xFullPathname.unwrap()(vfs, name, len, out)
    }
}

// --- files --------------------------------------------------------------------------------------

/// What the methods of an open file point to: ours, and those that do the work.
#[repr(C)]
struct Table {
    methods: ffi::sqlite3_io_methods,
    original: *const ffi::sqlite3_io_methods,
    name: String,
}

/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn table<'a>(file: *mut ffi::sqlite3_file) -> &'a Table {
    // SAFETY: by the contract, the methods begin a leaked `Table`.
    unsafe { &*(*file).pMethods.cast::<Table>() }
}

/// Calls the method that does the work.
macro_rules! work {
    ($file:expr, $method:ident $(, $arg:expr)*) => {{
        // SAFETY: an open file of ours, and SQLite's own arguments.
        unsafe { (*table($file).original).$method.unwrap()($file $(, $arg)*) }
    }};
}

/// Whether this call of a method of a file fails.
macro_rules! fails {
    ($file:expr, $method:expr) => {{
        // SAFETY: an open file of ours.
        fails($method, unsafe { &table($file).name })
    }};
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; the table is the box that `open` leaked.
    unsafe {
        let table = Box::from_raw((*file).pMethods.cast::<Table>().cast_mut());
        (*file).pMethods = table.original;
        (*table.original).xClose.unwrap()(file)
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buf: *mut c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: an open file of ours.
    match strike("read", unsafe { &table(file).name }) {
        Some(Fault::Error | Fault::Torn) => ffi::SQLITE_IOERR_READ,
        Some(Fault::Short) => {
            let half = usize::try_from(len / 2).unwrap_or(0);
            let rc = work!(file, xRead, buf, len / 2, offset);
            // SAFETY: SQLite gives `len` bytes.
            unsafe { buf.cast::<u8>().add(half).write_bytes(0, half) };
            if rc == ffi::SQLITE_OK {
                ffi::SQLITE_IOERR_SHORT_READ
            } else {
                rc
            }
        }
        None => work!(file, xRead, buf, len, offset),
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buf: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: an open file of ours.
    let name = unsafe { &table(file).name };
    match strike("write", name) {
        Some(Fault::Error) => return ffi::SQLITE_IOERR_WRITE,
        Some(Fault::Torn) => {
            // FORMAT.md, F-29: a sector is written whole or not at all.
            let end = (offset + i64::from(len / 2)) / SECTOR_LEN * SECTOR_LEN;
            if let Ok(whole @ 1..) = c_int::try_from(end - offset) {
                let _torn = work!(file, xWrite, buf, whole, offset);
            }
            return ffi::SQLITE_IOERR_WRITE;
        }
        Some(Fault::Short) | None => {}
    }
    let mut present = 0;
    if work!(file, xFileSize, &raw mut present) == ffi::SQLITE_OK {
        let growth = u64::try_from(offset + i64::from(len) - present).unwrap_or(0);
        if let Err(left) = takes(growth, name) {
            let fits = c_int::try_from(i64::try_from(left).unwrap() + present - offset)
                .unwrap_or(0)
                .clamp(0, len);
            let _torn = work!(file, xWrite, buf, fits, offset);
            return ffi::SQLITE_FULL;
        }
    }
    work!(file, xWrite, buf, len, offset)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    if fails!(file, "truncate") {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    work!(file, xTruncate, len)
}

/// No power is cut here: the files need not reach a disk.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    if fails!(file, "sync") {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    if fails!(file, "file size") {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    work!(file, xFileSize, out)
}

unsafe extern "C" fn lock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    if fails!(file, "lock") {
        return ffi::SQLITE_IOERR_LOCK;
    }
    work!(file, xLock, level)
}

unsafe extern "C" fn unlock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    if fails!(file, "unlock") {
        return ffi::SQLITE_IOERR_UNLOCK;
    }
    work!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    if fails!(file, "check reserved lock") {
        return ffi::SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    work!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    op: c_int,
    arg: *mut c_void,
) -> c_int {
    if fails!(file, "file control") {
        return ffi::SQLITE_IOERR;
    }
    work!(file, xFileControl, op, arg)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    page_len: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    if fails!(file, "shm map") {
        // SAFETY: SQLite gives a place for the pointer.
        unsafe { *out = ptr::null_mut() };
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    work!(file, xShmMap, page, page_len, extend, out)
}

/// Giving a lock up does not fail: SQLite does not look at what comes back, and would leave the lock behind.
unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    if flags & ffi::SQLITE_SHM_LOCK != 0 && fails!(file, "shm lock") {
        return ffi::SQLITE_IOERR_SHMLOCK;
    }
    work!(file, xShmLock, first, count, flags)
}
