//! What comes with SQLite's locks: a header that is read again, the right to write, pages that are forgotten.

use core::ffi::c_int;

use libsqlite3_sys as sys;

use super::Database;
use crate::vfs::code::Result;
use crate::vfs::layout;
use crate::vfs::read_cache::Version;

/// WAL locks: slot numbers in xShmLock.
const WAL_WRITE: u32 = 0;
const WAL_CHECKPOINT: u32 = 1;
const WAL_RECOVER: u32 = 2;
/// The first of the slots of readers.
const WAL_READERS: u32 = 3;

impl Database {
    pub(in crate::vfs) fn lock(&mut self, level: c_int) -> Result<()> {
        self.raw.lock(level)?;
        let before = self.lock;
        self.lock = before.max(level);
        let mut sealed = self.sealed.borrow_mut();
        let hook = if level == sys::SQLITE_LOCK_SHARED {
            self.cache.end();
            sealed.after_shared_lock()
        } else if level == sys::SQLITE_LOCK_RESERVED {
            self.known_len = None;
            self.growth_checked = false;
            sealed.begin_write().and_then(|()| sealed.repair())
        } else if before < sys::SQLITE_LOCK_RESERVED {
            // Straight from SHARED: a hot journal is about to be rolled back, or the last connection to a WAL
            // checkpoints it.
            self.known_len = None;
            self.growth_checked = false;
            sealed.begin_write()
        } else {
            Ok(())
        };
        drop(sealed);
        if hook.is_err() {
            let back = before.min(sys::SQLITE_LOCK_SHARED);
            self.unlock(back)?;
        }
        hook
    }

    pub(in crate::vfs) fn unlock(&mut self, level: c_int) -> Result<()> {
        if level < sys::SQLITE_LOCK_RESERVED {
            self.sealed.borrow_mut().end_batch();
            self.known_len = None;
        }
        if level == sys::SQLITE_LOCK_NONE {
            self.cache.end();
        }
        self.lock = level;
        self.raw.unlock(level)
    }

    pub(in crate::vfs) fn shm_mapped(&mut self, rc: c_int, region: usize, memory: *mut u32) {
        let mut sealed = self.sealed.borrow_mut();
        sealed.wal.index.insert(region, memory);
        sealed.wal.shared_memory = true;
        sealed.wal.shared_memory_read_only = rc == sys::SQLITE_READONLY_CANTINIT;
        sealed.wal.shared_memory_writable = rc == sys::SQLITE_OK;
    }

    /// After a reader's lock was taken: nothing that it may read changes until it is given up.
    pub(in crate::vfs) fn shm_shared(&mut self, slot: u32) {
        if slot >= WAL_READERS {
            let version = self.sealed.borrow().wal.checkpointed();
            self.cache.begin(version.map(Version::Index));
        }
    }

    pub(in crate::vfs) fn shm_unmapped(&mut self) {
        self.cache.clear();
        self.cache.end();
        let wal = &mut self.sealed.borrow_mut().wal;
        wal.index.clear();
        wal.shared_memory = false;
        wal.shared_memory_read_only = false;
        wal.shared_memory_writable = false;
    }

    /// After `count` locks from `first` were taken, exclusively.
    pub(in crate::vfs) fn shm_locked(&mut self, first: u32, count: u32) -> Result<()> {
        let has = |slot: u32| first <= slot && slot < first + count;
        let mut sealed = self.sealed.borrow_mut();
        if has(WAL_RECOVER) {
            sealed.wal.recovering = true;
            sealed.wal.note_recovery();
        }
        if has(WAL_WRITE) || has(WAL_CHECKPOINT) {
            self.known_len = None;
            self.growth_checked = false;
            sealed.wal.generation_is_current = false;
            sealed.begin_write()?;
        }
        if has(WAL_WRITE) {
            sealed.repair()?;
        }
        Ok(())
    }

    /// Before the locks of `slots` are given up.
    pub(in crate::vfs) fn shm_unlocked(&mut self, first: u32, count: u32) {
        let has = |slot: u32| first <= slot && slot < first + count;
        if first + count > WAL_READERS {
            self.cache.end();
        }
        let mut sealed = self.sealed.borrow_mut();
        if has(WAL_RECOVER) {
            sealed.wal.recovering = false;
        }
        if has(WAL_WRITE) || has(WAL_CHECKPOINT) {
            self.known_len = None;
            sealed.wal.generation_is_current = false;
            sealed.end_batch();
        }
    }

    /// A transaction has been committed; its lock is still held.
    pub(in crate::vfs) fn committed(&mut self) -> Result<()> {
        let mut sealed = self.sealed.borrow_mut();
        sealed.end_batch();
        let unpopulated = sealed
            .opened()
            .is_some_and(|opened| !opened.header.populated());
        if unpopulated && layout::logical_len(self.raw.len()?) > 0 {
            sealed.set_populated()?;
        }
        Ok(())
    }
}
