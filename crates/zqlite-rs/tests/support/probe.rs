//! A VFS below ours that claims what it is told to claim, remembers writes and syncs, and can be stopped at
//! a deletion.
#![expect(unsafe_code, reason = "a VFS is a table of C functions")]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

use rusqlite::ffi;

/// What the files of a probe were asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Write {
        name: String,
        offset: i64,
        len: c_int,
    },
    Sync {
        name: String,
    },
}

type DeleteHook = Box<dyn FnMut(&str) + Send>;

/// One VFS below ours.
pub(crate) struct Probe {
    claims: c_int,
    vfs: ffi::sqlite3_vfs,
    events: Mutex<Vec<Event>>,
    before_delete: Mutex<Option<DeleteHook>>,
}

struct File {
    probe: &'static Probe,
    methods: &'static ffi::sqlite3_io_methods,
    name: String,
}

static PROBES: Mutex<Option<HashMap<usize, &'static Probe>>> = Mutex::new(None);
static FILES: Mutex<Option<HashMap<usize, File>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Probe {
    /// Registers `NAME-below`, whose files have these device characteristics besides their own, and the VFS
    /// `NAME`, which is ours over it.
    pub(crate) fn install(name: &str, claims: c_int) -> &'static Self {
        let below = format!("{name}-below");
        // SAFETY: the default VFS is registered and stays so; ours is leaked.
        let probe = unsafe {
            ffi::sqlite3_initialize();
            let default = *ffi::sqlite3_vfs_find(ptr::null());
            let own = Box::leak(Box::new(ffi::sqlite3_vfs {
                zName: CString::new(below.clone()).unwrap().into_raw(),
                pNext: ptr::null_mut(),
                xOpen: Some(open),
                xDelete: Some(delete),
                ..default
            }));
            let probe: &'static Self = Box::leak(Box::new(Self {
                claims,
                vfs: default,
                events: Mutex::default(),
                before_delete: Mutex::default(),
            }));
            lock(&PROBES)
                .get_or_insert_default()
                .insert((&raw const *own).addr(), probe);
            assert_eq!(ffi::sqlite3_vfs_register(own, 0), ffi::SQLITE_OK);
            probe
        };
        zqlite::vfs::register_over(name, Some(&below)).unwrap();
        probe
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        core::mem::take(&mut lock(&self.events))
    }

    /// Calls `hook` with the path of each file before it is deleted.
    pub(crate) fn before_delete(&self, hook: impl FnMut(&str) + Send + 'static) {
        *lock(&self.before_delete) = Some(Box::new(hook));
    }

    fn note(&self, event: Event) {
        lock(&self.events).push(event);
    }
}

// A `Probe` holds raw pointers of a VFS that nobody changes.
// SAFETY: see above; everything else in it is a mutex or a number.
unsafe impl Send for Probe {}
// SAFETY: as above.
unsafe impl Sync for Probe {}

fn probe_of(vfs: *mut ffi::sqlite3_vfs) -> &'static Probe {
    lock(&PROBES).as_ref().unwrap()[&vfs.addr()]
}

fn with_file<T>(file: *mut ffi::sqlite3_file, f: impl FnOnce(&File) -> T) -> T {
    f(&lock(&FILES).as_ref().unwrap()[&file.addr()])
}

fn base_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let probe = probe_of(vfs);
    // SAFETY: SQLite's own arguments, for the VFS that ours is a copy of.
    unsafe {
        let rc = probe.vfs.xOpen.unwrap()(vfs, name, file, flags, out);
        if rc != ffi::SQLITE_OK || (*file).pMethods.is_null() {
            return rc;
        }
        let methods: &'static ffi::sqlite3_io_methods = &*(*file).pMethods;
        let name = if name.is_null() {
            String::new()
        } else {
            base_name(&CStr::from_ptr(name).to_string_lossy())
        };
        lock(&FILES).get_or_insert_default().insert(
            file.addr(),
            File {
                probe,
                methods,
                name,
            },
        );
        (*file).pMethods = Box::leak(Box::new(ffi::sqlite3_io_methods {
            xClose: Some(close),
            xWrite: Some(write),
            xSync: Some(sync),
            xDeviceCharacteristics: Some(characteristics),
            ..*methods
        }));
        rc
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    let probe = probe_of(vfs);
    // SAFETY: SQLite's own arguments.
    unsafe {
        let path = CStr::from_ptr(name).to_string_lossy().into_owned();
        if let Some(hook) = lock(&probe.before_delete).as_mut() {
            hook(&path);
        }
        probe.vfs.xDelete.unwrap()(vfs, name, sync_dir)
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let File { methods, .. } = lock(&FILES).as_mut().unwrap().remove(&file.addr()).unwrap();
    // SAFETY: the methods that `open` has leaked, and the method that was there before.
    unsafe {
        drop(Box::from_raw((*file).pMethods.cast_mut()));
        (*file).pMethods = methods;
        methods.xClose.unwrap()(file)
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buf: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    let method = with_file(file, |file| {
        let name = file.name.clone();
        file.probe.note(Event::Write { name, offset, len });
        file.methods.xWrite.unwrap()
    });
    // SAFETY: the method that was there before.
    unsafe { method(file, buf, len, offset) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let method = with_file(file, |file| {
        let name = file.name.clone();
        file.probe.note(Event::Sync { name });
        file.methods.xSync.unwrap()
    });
    // SAFETY: the method that was there before.
    unsafe { method(file, flags) }
}

unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    let (method, claims) = with_file(file, |file| {
        (
            file.methods.xDeviceCharacteristics.unwrap(),
            file.probe.claims,
        )
    });
    // SAFETY: the method that was there before.
    unsafe { method(file) | claims }
}

/// The device characteristics that SQLite sees for a connection's main database.
pub(crate) fn characteristics_seen(connection: &rusqlite::Connection) -> c_int {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: an open connection; the operation stores a pointer to an open file.
    unsafe {
        let rc = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        assert_eq!(rc, ffi::SQLITE_OK);
        (*(*file).pMethods).xDeviceCharacteristics.unwrap()(file)
    }
}
