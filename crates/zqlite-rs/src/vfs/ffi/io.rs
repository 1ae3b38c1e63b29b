//! Requests of SQLite on an open file.

use core::ffi::{c_int, c_void};
use core::ptr;
use std::time::Instant;

use libsqlite3_sys as sys;
use zqlite_pq::page::PageSize;

use super::control::x_file_control;
use super::raw::{Read, below, position};
use super::shared_memory::{x_shm_barrier, x_shm_lock, x_shm_map, x_shm_unmap};
use super::temporary::begin_read;
use super::{Kind, VfsFile, guard, kind, note};
use crate::vfs::code::{Code, Result};
use crate::vfs::database;

pub(super) static METHODS: sys::sqlite3_io_methods = sys::sqlite3_io_methods {
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
