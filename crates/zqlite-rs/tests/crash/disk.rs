//! A VFS that keeps the files of some folders in memory and records what is done to them, as if it were the file
//! system below. Everything else goes to SQLite's own VFS. It becomes SQLite's default, so that ours stands over it.
//!
//! It does to a folder what SQLite's unix VFS does: the first sync of a journal or log that may have been created
//! syncs the folder, and so does a deletion that is asked to.
#![expect(unsafe_code, reason = "a VFS is a table of C functions")]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use rusqlite::ffi;

use crate::image::{Image, Node, Op};

mod beside;

/// The name of the VFS.
pub(crate) const NAME: &str = "disk";

/// The files of one folder.
#[derive(Default)]
pub(crate) struct Disk {
    image: Image,
    log: Vec<Op>,
    next_node: Node,
    shared_memory: BTreeMap<Node, Vec<Box<[u64]>>>,
}

static DISKS: Mutex<Option<HashMap<PathBuf, Arc<Mutex<Disk>>>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    fn perform(&mut self, op: Op) {
        self.image.apply(&op);
        self.log.push(op);
    }
}

/// Puts a disk with these files in the place of a folder.
pub(crate) fn insert(folder: &Path, image: Image) {
    static ONCE: Once = Once::new();
    ONCE.call_once(install);
    beside::write_out(&image, folder);
    let next_node = image.contents.keys().max().map_or(1, |node| node + 1);
    let disk = Disk {
        image,
        next_node,
        ..Disk::default()
    };
    lock(&DISKS)
        .get_or_insert_default()
        .insert(folder.to_owned(), Arc::new(Mutex::new(disk)));
}

/// Leaves the folder to the operating system.
pub(crate) fn remove(folder: &Path) {
    lock(&DISKS).as_mut().unwrap().remove(folder);
}

/// The files as they are now, and what was done since they were inserted.
pub(crate) fn take(folder: &Path) -> (Image, Vec<Op>) {
    let disk = find(folder).unwrap();
    let mut disk = lock(&disk);
    beside::note_names(&mut disk, folder);
    (disk.image.clone(), std::mem::take(&mut disk.log))
}

/// What is in a file now.
pub(crate) fn content(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let disk = find(folder)?;
    let disk = lock(&disk);
    let node = disk.image.names.get(name)?;
    Some(disk.image.content(*node).to_vec())
}

/// Notes what the program knows.
pub(crate) fn mark(folder: &Path, op: Op) {
    let disk = find(folder).unwrap();
    let mut disk = lock(&disk);
    beside::note_names(&mut disk, folder);
    disk.log.push(op);
}

fn find(folder: &Path) -> Option<Arc<Mutex<Disk>>> {
    lock(&DISKS).as_ref()?.get(folder).cloned()
}

/// The folder of our library is synced without SQLite: the C library's function is called here first.
// SAFETY: the signature is that of POSIX; the C library has it under this name and is not called by it.
#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    let folder = std::fs::read_link(format!("/proc/self/fd/{fd}"));
    if let Ok(folder) = folder
        && let Some(disk) = find(&folder)
    {
        let mut disk = lock(&disk);
        beside::note_names(&mut disk, &folder);
        disk.log.push(Op::SyncFolder);
        return 0;
    }
    // SAFETY: the system call of this name has one argument, a descriptor, whatever it is.
    let rc = unsafe { libc::syscall(libc::SYS_fsync, fd) };
    c_int::try_from(rc).unwrap()
}

#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// A leaked box, from xOpen to xClose.
    open: *mut Open,
}

struct Open {
    disk: Arc<Mutex<Disk>>,
    node: Node,
    syncs_folder: bool,
    delete_on_close: Option<String>,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(lock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn install() {
    // SAFETY: SQLite's default VFS stays registered; the copy, and its name, are leaked.
    unsafe {
        ffi::sqlite3_initialize();
        let below = ffi::sqlite3_vfs_find(ptr::null());
        let own = Box::leak(Box::new(ffi::sqlite3_vfs {
            zName: c"disk".as_ptr(),
            pNext: ptr::null_mut(),
            pAppData: below.cast(),
            szOsFile: (*below)
                .szOsFile
                .max(c_int::try_from(size_of::<File>()).unwrap()),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            ..*below
        }));
        assert_eq!(ffi::sqlite3_vfs_register(own, 1), ffi::SQLITE_OK);
    }
    assert_eq!(NAME, "disk");
}

/// The disk that a path lies on, and the name of the file there.
fn locate(name: *const c_char) -> Option<(Arc<Mutex<Disk>>, String)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite gives strings.
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?;
    let path = Path::new(name);
    let disk = find(path.parent()?)?;
    Some((disk, path.file_name()?.to_str()?.to_owned()))
}

fn below(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: pAppData is the VFS that was the default before.
    unsafe { (*vfs).pAppData.cast() }
}

/// # Safety
/// The file was opened by [`open`] and is not closed.
unsafe fn with<T>(file: *mut ffi::sqlite3_file, f: impl FnOnce(&mut Open, &mut Disk) -> T) -> T {
    // SAFETY: see above; SQLite makes one call on a file at a time.
    let open = unsafe { &mut *(*file.cast::<File>()).open };
    let disk = Arc::clone(&open.disk);
    let mut disk = lock(&disk);
    f(open, &mut disk)
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    const LOGS: c_int =
        ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let Some((shared, name_here)) = locate(name) else {
        // SAFETY: SQLite's own arguments, for the VFS below.
        return unsafe { (*below(vfs)).xOpen.unwrap()(below(vfs), name, file, flags, out) };
    };
    let mut disk = lock(&shared);
    let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
    let known = disk.image.names.get(&name_here).copied();
    let node = match known {
        Some(_) if creates && flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0 => None,
        None if creates => {
            let node = disk.next_node;
            disk.next_node += 1;
            disk.perform(Op::Create {
                name: name_here.clone(),
                node,
            });
            Some(node)
        }
        known => known,
    };
    drop(disk);
    let Some(node) = node else {
        // SAFETY: SQLite allocated the file; without methods it will not be closed.
        unsafe { (*file).pMethods = ptr::null() };
        return ffi::SQLITE_CANTOPEN;
    };
    let delete_on_close = (flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0).then_some(name_here);
    let state = Open {
        disk: shared,
        node,
        syncs_folder: creates && flags & LOGS != 0,
        delete_on_close,
    };
    // SAFETY: SQLite allocated szOsFile bytes, and gives a place for the flags or null.
    unsafe {
        (*file.cast::<File>()).open = Box::into_raw(Box::new(state));
        (*file).pMethods = &raw const METHODS;
        if !out.is_null() {
            *out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    let Some((disk, name_here)) = locate(name) else {
        // SAFETY: SQLite's own arguments, for the VFS below.
        return unsafe { (*below(vfs)).xDelete.unwrap()(below(vfs), name, sync_dir) };
    };
    let mut disk = lock(&disk);
    if !disk.image.names.contains_key(&name_here) {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    disk.perform(Op::Delete { name: name_here });
    if sync_dir & 1 != 0 {
        disk.perform(Op::SyncFolder);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let Some((disk, name_here)) = locate(name) else {
        // SAFETY: SQLite's own arguments, for the VFS below.
        return unsafe { (*below(vfs)).xAccess.unwrap()(below(vfs), name, flags, out) };
    };
    let disk = lock(&disk);
    let found = disk.image.names.get(&name_here).is_some_and(|node| {
        flags != ffi::SQLITE_ACCESS_EXISTS || !disk.image.content(*node).is_empty()
    });
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *out = c_int::from(found) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's own arguments, for the VFS below.
    unsafe { (*below(vfs)).xFullPathname.unwrap()(below(vfs), name, len, out) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; the box was leaked by `open`.
    let open = unsafe {
        (*file).pMethods = ptr::null();
        Box::from_raw((*file.cast::<File>()).open)
    };
    if let Some(name) = open.delete_on_close {
        lock(&open.disk).perform(Op::Delete { name });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buf: *mut c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    let len = usize::try_from(len).unwrap();
    let offset = usize::try_from(offset).unwrap();
    // SAFETY: an open file; SQLite gives a buffer of `len` bytes.
    unsafe {
        with(file, |open, disk| {
            ptr::write_bytes(buf.cast::<u8>(), 0, len);
            let buf = core::slice::from_raw_parts_mut(buf.cast::<u8>(), len);
            let content = disk.image.content(open.node);
            let there = content.get(offset..).unwrap_or_default();
            let there = &there[..there.len().min(len)];
            buf[..there.len()].copy_from_slice(there);
            if there.len() == len {
                ffi::SQLITE_OK
            } else {
                ffi::SQLITE_IOERR_SHORT_READ
            }
        })
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buf: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    let len = usize::try_from(len).unwrap();
    let offset = usize::try_from(offset).unwrap();
    // SAFETY: an open file; SQLite gives `len` bytes.
    unsafe {
        with(file, |open, disk| {
            disk.perform(Op::Write {
                node: open.node,
                offset,
                bytes: core::slice::from_raw_parts(buf.cast::<u8>(), len).to_vec(),
            });
        });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    let len = usize::try_from(len).unwrap();
    // SAFETY: an open file.
    unsafe {
        with(file, |open, disk| {
            disk.perform(Op::Truncate {
                node: open.node,
                len,
            });
        });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe {
        with(file, |open, disk| {
            disk.perform(Op::Sync { node: open.node });
            if std::mem::take(&mut open.syncs_folder) {
                disk.perform(Op::SyncFolder);
            }
        });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: an open file; SQLite gives a place for the size.
    unsafe {
        with(file, |open, disk| {
            *out = i64::try_from(disk.image.content(open.node).len()).unwrap();
        });
    }
    ffi::SQLITE_OK
}

/// A disk has one connection at a time.
unsafe extern "C" fn lock_file(_file: *mut ffi::sqlite3_file, _level: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _file: *mut ffi::sqlite3_file,
    _op: c_int,
    _arg: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    4_096
}

unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    len: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let region = usize::try_from(region).unwrap();
    let words = usize::try_from(len).unwrap() / size_of::<u64>();
    // SAFETY: an open file; SQLite gives a place for the pointer. A region stays where it is until it is unmapped.
    unsafe {
        with(file, |open, disk| {
            let regions = disk.shared_memory.entry(open.node).or_default();
            while extend != 0 && regions.len() <= region {
                regions.push(vec![0; words].into());
            }
            *out = regions
                .get_mut(region)
                .map_or(ptr::null_mut(), |region| region.as_mut_ptr().cast());
        });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    _file: *mut ffi::sqlite3_file,
    _first: c_int,
    _count: c_int,
    _flags: c_int,
) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe {
        with(file, |open, disk| {
            disk.shared_memory.remove(&open.node);
        });
    }
    ffi::SQLITE_OK
}
