//! Shared memory and its locks: passed on, and watched.

use core::ffi::{c_int, c_void};
use core::ptr;

use libsqlite3_sys as sys;

use super::raw::below;
use super::temporary::begin_read;
use super::{Kind, VfsFile, guard, kind};

pub(super) unsafe extern "C" fn x_shm_map(
    file: *mut sys::sqlite3_file,
    page: c_int,
    page_len: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open file of ours.
    let kind = unsafe { kind(file) };
    let rc = below!(
        kind.raw(),
        xShmMap,
        sys::SQLITE_IOERR_SHMMAP,
        page,
        page_len,
        extend,
        out
    );
    if let (Kind::Database(database), Ok(region)) = (kind, usize::try_from(page)) {
        let mut memory = ptr::null_mut();
        // Read-only shared memory is mapped, too, where somebody else has initialised it.
        if matches!(rc, sys::SQLITE_OK | sys::SQLITE_READONLY) && !out.is_null() {
            // SAFETY: SQLite gives a place for the pointer, which the VFS below has set.
            memory = unsafe { *out };
        }
        database.shm_mapped(rc, region, memory.cast());
    }
    rc
}

pub(super) unsafe extern "C" fn x_shm_lock(
    file: *mut sys::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: an open file of ours.
    let kind = unsafe { kind(file) };
    let raw = kind.raw();
    let pass = |flags| {
        below!(
            raw,
            xShmLock,
            sys::SQLITE_IOERR_SHMLOCK,
            first,
            count,
            flags
        )
    };
    let (Kind::Database(database), Ok(from), Ok(slots)) =
        (kind, u32::try_from(first), u32::try_from(count))
    else {
        return pass(flags);
    };
    if flags & sys::SQLITE_SHM_UNLOCK != 0 {
        database.shm_unlocked(from, slots);
        return pass(flags);
    }
    let exclusive = flags & sys::SQLITE_SHM_EXCLUSIVE != 0;
    if !exclusive {
        // SAFETY: an open file of ours.
        let rc = unsafe { begin_read(file) };
        if rc != sys::SQLITE_OK {
            return rc;
        }
        let rc = pass(flags);
        if rc == sys::SQLITE_OK {
            database.shm_shared(from);
        }
        return rc;
    }
    let rc = pass(flags);
    // SAFETY: an open file of ours.
    unsafe { (*file.cast::<VfsFile>()).host.retries = rc == sys::SQLITE_BUSY };
    if rc != sys::SQLITE_OK {
        return rc;
    }
    let rc = guard(|| database.shm_locked(from, slots));
    if rc != sys::SQLITE_OK {
        database.shm_unlocked(from, slots);
        pass((flags & !sys::SQLITE_SHM_LOCK) | sys::SQLITE_SHM_UNLOCK);
    }
    rc
}

pub(super) unsafe extern "C" fn x_shm_barrier(file: *mut sys::sqlite3_file) {
    // SAFETY: an open file of ours.
    let raw = unsafe { kind(file) }.raw();
    below!(raw, xShmBarrier, ());
}

pub(super) unsafe extern "C" fn x_shm_unmap(file: *mut sys::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: an open file of ours.
    let kind = unsafe { kind(file) };
    if let Kind::Database(database) = kind {
        database.shm_unmapped();
    }
    below!(kind.raw(), xShmUnmap, sys::SQLITE_OK, delete)
}
