//! A VFS below ours, and below plain SQLite too, that looks at every byte that is written to any file: also to one that
//! is deleted, or that never had a name.
#![expect(unsafe_code, reason = "a VFS is a table of C functions")]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::markers;

/// What was written to the files of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: usize,
    pub(crate) markers: BTreeSet<&'static str>,
    /// Whether files had no name.
    pub(crate) nameless: bool,
}

/// By kind of file, as SQLite names it when it opens one.
pub(crate) type Seen = BTreeMap<&'static str, Written>;

static SEEN: Mutex<Seen> = Mutex::new(BTreeMap::new());
/// One test at a time: the VFS belongs to the process.
static ALONE: Mutex<()> = Mutex::new(());
/// Called wherever SQLite syncs a file.
static ON_SYNC: Mutex<Option<Box<dyn FnMut() + Send>>> = Mutex::new(None);
static BELOW: Mutex<Option<Below>> = Mutex::new(None);

#[derive(Clone, Copy)]
struct Below(ffi::sqlite3_vfs);

// SAFETY: SQLite's own VFS, which any thread may call; nobody changes it.
unsafe impl Send for Below {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's files, watched for one test alone.
pub(crate) struct Watcher(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Watcher {
    pub(crate) fn alone() -> Self {
        let alone = lock(&ALONE);
        install();
        let watcher = Self(alone);
        drop(watcher.take());
        watcher
    }

    /// Calls `hook` wherever a file is synced, from now on.
    #[expect(clippy::unused_self, reason = "who holds it is alone")]
    pub(crate) fn on_sync(&self, hook: impl FnMut() + Send + 'static) {
        *lock(&ON_SYNC) = Some(Box::new(hook));
    }

    /// What was written since the last time.
    #[expect(clippy::unused_self, reason = "who holds it is alone")]
    pub(crate) fn take(&self) -> Seen {
        core::mem::take(&mut lock(&SEEN))
    }
}

fn install() {
    let mut installed = lock(&BELOW);
    if installed.is_some() {
        return;
    }
    // SAFETY: the default VFS is registered and stays so; ours is leaked.
    unsafe {
        ffi::sqlite3_initialize();
        let default = *ffi::sqlite3_vfs_find(ptr::null());
        let own = Box::leak(Box::new(ffi::sqlite3_vfs {
            zName: c"watcher".as_ptr(),
            pNext: ptr::null_mut(),
            xOpen: Some(open),
            ..default
        }));
        *installed = Some(Below(default));
        assert_eq!(ffi::sqlite3_vfs_register(own, 1), ffi::SQLITE_OK);
    }
}

fn kind_of(flags: c_int) -> &'static str {
    let kinds = [
        (ffi::SQLITE_OPEN_MAIN_DB, "database"),
        (ffi::SQLITE_OPEN_TEMP_DB, "temporary database"),
        (ffi::SQLITE_OPEN_TRANSIENT_DB, "transient database"),
        (ffi::SQLITE_OPEN_MAIN_JOURNAL, "journal"),
        (ffi::SQLITE_OPEN_TEMP_JOURNAL, "temporary journal or sorter"),
        (ffi::SQLITE_OPEN_SUBJOURNAL, "statement journal"),
        (ffi::SQLITE_OPEN_SUPER_JOURNAL, "super-journal"),
        (ffi::SQLITE_OPEN_WAL, "log"),
    ];
    let kind = kinds.iter().find(|(flag, _)| flags & flag != 0);
    kind.map_or("other", |(_, name)| name)
}

/// What the methods of an open file point to: ours, and those that do the work.
#[repr(C)]
struct Table {
    methods: ffi::sqlite3_io_methods,
    original: *const ffi::sqlite3_io_methods,
    kind: &'static str,
    nameless: bool,
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
        let below = lock(&BELOW).unwrap().0;
        let rc = below.xOpen.unwrap()(vfs, name, file, flags, out);
        if (*file).pMethods.is_null() {
            return rc;
        }
        let name = (!name.is_null()).then(|| CStr::from_ptr(name).to_bytes());
        // The plain side of a transfer holds what it holds.
        let is_source = name.is_some_and(|name| name.ends_with(b"source.db"));
        let original: *const ffi::sqlite3_io_methods = (*file).pMethods;
        let table = Table {
            methods: ffi::sqlite3_io_methods {
                xClose: Some(close),
                xWrite: Some(write),
                xSync: Some(sync),
                ..*original
            },
            original,
            kind: if is_source { "source" } else { kind_of(flags) },
            nameless: name.is_none(),
        };
        (*file).pMethods = Box::into_raw(Box::new(table)).cast();
        rc
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; the table is the box that `open` leaked.
    unsafe {
        let table = Box::from_raw((*file).pMethods.cast::<Table>().cast_mut());
        (*file).pMethods = table.original;
        (*table.original).xClose.unwrap()(file)
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buf: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: an open file of ours, and SQLite's own arguments.
    unsafe {
        let table = &*(*file).pMethods.cast::<Table>();
        let len_in_bytes = usize::try_from(len).unwrap();
        let bytes = core::slice::from_raw_parts(buf.cast::<u8>(), len_in_bytes);
        let found = markers::find(bytes);
        {
            let mut seen = lock(&SEEN);
            let written = seen.entry(table.kind).or_default();
            written.bytes += bytes.len();
            written.markers.extend(found);
            written.nameless |= table.nameless;
        }
        (*table.original).xWrite.unwrap()(file, buf, len, offset)
    }
}

/// No power is cut here: the files need not reach a disk.
unsafe extern "C" fn sync(_file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    if let Some(hook) = lock(&ON_SYNC).as_mut() {
        hook();
    }
    ffi::SQLITE_OK
}
