//! The main database file.

use std::cell::RefCell;
use std::rc::Rc;

use core::ffi::c_int;
use libsqlite3_sys as sys;
use zqlite_pq::page::{Place, TRAILER_LEN};

use super::code::{Code, Result};
use super::ffi::{RawFile, Read};
use super::layout;
use super::read_cache::{Came, Page, ReadCache, Version};
use super::reseal;
use super::sealed::{self, Sealed};
use zeroize::Zeroizing;

/// First bytes of every SQLite database.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Length of SQLite's own header at the start of page 1, which it reads before it takes any lock.
const SQLITE_HEADER_LEN: usize = 100;
/// What SQLite reads of page 1 when a transaction begins, before it opens the WAL.
const CHANGE_COUNTER_AT: u64 = 24;
const CHANGE_COUNTER_LEN: usize = 16;
/// Where SQLite's lock bytes are.
const LOCK_BYTE: u64 = 1 << 30;
/// WAL locks: slot numbers in xShmLock.
const WAL_WRITE: u32 = 0;
const WAL_CHECKPOINT: u32 = 1;
const WAL_RECOVER: u32 = 2;
/// The first of the slots of readers.
const WAL_READERS: u32 = 3;
/// Bytes of page 1 by which SQLite sees that the database was changed.
const COUNTERS: core::ops::Range<usize> = 24..40;

/// The main database file of a connection.
pub(super) struct Database {
    pub(super) sealed: Rc<RefCell<Sealed>>,
    pub(super) raw: RawFile,
    lock: c_int,
    /// Logical size, once it was asked for under the write lock that is held.
    known_len: Option<u64>,
    /// Whether the file was found to have the pages that its page 1 names, since the lock was taken.
    growth_checked: bool,
    page: Zeroizing<Vec<u8>>,
    cache: Box<ReadCache>,
}

impl Database {
    pub(super) fn new(raw: RawFile, sealed: Sealed) -> Self {
        let cache = Box::new(ReadCache::new(sealed.access().kept_bytes()));
        Self {
            sealed: Rc::new(RefCell::new(sealed)),
            raw,
            lock: sys::SQLITE_LOCK_NONE,
            known_len: None,
            growth_checked: false,
            page: Zeroizing::new(Vec::new()),
            cache,
        }
    }

    /// `PRAGMA cache_size`: pages, or, where it is negative, KiB.
    pub(super) fn set_cache_size(&mut self, size: i64) {
        let sealed = self.sealed.borrow();
        let unit = if size < 0 {
            1_024
        } else {
            u64::from(sealed.page_size().get())
        };
        let bytes = usize::try_from(size.unsigned_abs().saturating_mul(unit)).unwrap_or(usize::MAX);
        let most = sealed.access().kept_bytes();
        drop(sealed);
        self.cache.set_size(bytes, most);
    }

    // --- reading ------------------------------------------------------------------------------

    pub(super) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
        let sealed = Rc::clone(&self.sealed);
        let sealed = &mut *sealed.borrow_mut();
        let page_len = sealed.page_size().to_usize();
        if sealed.opened().is_none() {
            return read_unborn(sealed, buf, offset);
        }
        if buf.len() == page_len && offset.is_multiple_of(page_len as u64) {
            return self.read_whole_page(sealed, page_number(offset, page_len)?, buf);
        }
        let first_header = offset == 0 && buf.len() == SQLITE_HEADER_LEN;
        if first_header && layout::logical_len(self.raw.len()?) == 0 {
            return read_unborn(sealed, buf, offset);
        }
        let mut page = core::mem::take(&mut self.page);
        page.resize(page_len, 0);
        let read = self.read_parts(sealed, &mut page, buf, offset);
        self.page = page;
        match read {
            // This read comes before recovery: page 1 may be torn, and is healed by it.
            Err(_) if first_header => fill_sqlite_header(buf, page_len),
            // So does this one, which asks whether the cache is still good: it is not. What cannot be healed is
            // found when page 1 is read.
            Err(Code::DATA) if offset == CHANGE_COUNTER_AT && buf.len() == CHANGE_COUNTER_LEN => {
                buf.fill(0);
                return Err(Code::SHORT_READ);
            }
            Err(code) => {
                buf.fill(0);
                return Err(code);
            }
            Ok(()) => {}
        }
        Ok(())
    }

    /// Reads bytes that are not a page, through `page`.
    fn read_parts(
        &mut self,
        sealed: &mut Sealed,
        page: &mut [u8],
        buf: &mut [u8],
        offset: u64,
    ) -> Result<()> {
        let page_len = page.len();
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let within = usize::try_from(at % page_len as u64).map_err(|_| Code::READ)?;
            let len = (page_len - within).min(buf.len() - done);
            self.read_whole_page(sealed, page_number(at, page_len)?, page)?;
            let from = page.get(within..within + len).ok_or(Code::READ)?;
            buf.get_mut(done..done + len)
                .ok_or(Code::READ)?
                .copy_from_slice(from);
            done += len;
        }
        Ok(())
    }

    fn read_whole_page(&mut self, sealed: &mut Sealed, number: u32, page: &mut [u8]) -> Result<()> {
        if let Some(stand_ins) = &sealed.stand_ins
            && stand_ins.known(number, page)
        {
            return Ok(());
        }
        let read = self.read_page_itself(sealed, number, page);
        match &mut sealed.stand_ins {
            // Without the true page 1 nothing is known of the database.
            Some(stand_ins) if number > 1 && matches!(read, Err(Code::DATA | Code::READ)) => {
                if stand_ins.decide(number, page) {
                    Ok(())
                } else {
                    read
                }
            }
            _ => read,
        }
    }

    fn read_page_itself(
        &mut self,
        sealed: &mut Sealed,
        number: u32,
        page: &mut [u8],
    ) -> Result<()> {
        self.cache
            .confirm(|| sealed.wal.checkpointed().map(Version::Index));
        if number == 1 {
            read_page(sealed, 1, page)?;
            self.note_version(sealed, page);
            return Ok(());
        }
        // In a run hardly a page was kept: it is not looked for.
        if !self.cache.is_ahead(number, page.len()) && self.cache.get(number, page) {
            return Ok(());
        }
        let came = if self.read_ahead(sealed, number, page)? {
            Came::InRun
        } else {
            read_page(sealed, number, page)?;
            Came::Alone
        };
        self.cache.put(number, page, came);
        Ok(())
    }

    /// Without a shared-memory index, a read transaction begins with a look at page 1.
    fn note_version(&mut self, sealed: &Sealed, first_page: &[u8]) {
        if self.is_unlocked() || self.cache.is_valid() || sealed.wal.shared_memory {
            return;
        }
        let counters = first_page
            .get(COUNTERS)
            .and_then(|bytes| bytes.try_into().ok());
        self.cache.begin(counters.map(Version::Counters));
    }

    /// Opens a page from what was read ahead, or reads ahead if pages are read in a run; `false` if it must be read by
    /// itself.
    fn read_ahead(&mut self, sealed: &mut Sealed, number: u32, page: &mut [u8]) -> Result<bool> {
        let page_len = page.len();
        if !self.cache.is_ahead(number, page_len) {
            let pages = self.cache.pages_to_read(number, page_len);
            if pages == 1 {
                return Ok(false);
            }
            let pages = self.pages_in_piece(sealed, number, pages, page_len)?;
            let raw = self.raw;
            let read = |bytes: &mut [u8], first| read_stored(raw, bytes, first, page_len);
            if pages <= 1
                || self
                    .cache
                    .read_ahead(number, pages, page_len, read)
                    .is_err()
            {
                return Ok(false);
            }
        }
        if let Some((first, pages)) = self.cache.following(page_len) {
            self.read_following(sealed, first, pages, page_len);
        }
        let opened = self.cache.take(number, page, |stored, page| {
            sealed
                .open_page_to(number, Place::Database, stored, page)
                .is_ok()
        });
        // A page that nobody asked for may have been read while it was being written: then it is read again.
        Ok(match opened {
            Some(Page::Opened) => {
                sealed.note_opened(&Place::Database);
                true
            }
            Some(Page::Asked(opened)) => opened,
            None => false,
        })
    }

    /// Reads what follows in the run, and has it opened on another thread.
    fn read_following(&mut self, sealed: &Sealed, first: u32, pages: u32, page_len: usize) {
        let raw = self.raw;
        let read = |bytes: &mut [u8], first| read_stored(raw, bytes, first, page_len);
        let followed = self
            .pages_in_piece(sealed, first, pages, page_len)
            .and_then(|pages| {
                if pages == 0 {
                    return Ok(());
                }
                let keys = sealed.page_keys()?;
                self.cache
                    .read_following(first, pages, page_len, keys, read)
            });
        if followed.is_err() {
            // Whoever needs one of these pages is told what is wrong. Until then nothing is tried again.
            self.cache.end_run();
        }
    }

    /// How many of these pages the file has in one piece.
    fn pages_in_piece(
        &mut self,
        sealed: &Sealed,
        first: u32,
        pages: u32,
        page_len: usize,
    ) -> Result<u32> {
        let offset = u64::from(first.saturating_sub(1)) * page_len as u64;
        let len = self.cache.file_len(|| sealed.len())?;
        let end = layout::piece_end(offset).min(len);
        let there = end.saturating_sub(offset) / page_len as u64;
        Ok(pages.min(u32::try_from(there).unwrap_or(u32::MAX)))
    }

    pub(super) fn len(&self) -> Result<u64> {
        self.sealed.borrow().len()
    }

    /// Whether SQLite holds no lock on the file.
    pub(super) const fn is_unlocked(&self) -> bool {
        self.lock == sys::SQLITE_LOCK_NONE
    }

    // --- writing ------------------------------------------------------------------------------

    pub(super) fn write(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        let sealed = Rc::clone(&self.sealed);
        let sealed = &mut *sealed.borrow_mut();
        let page_len = sealed.page_size().to_usize();
        if buf.len() != page_len || !offset.is_multiple_of(page_len as u64) {
            return Err(Code::WRITE);
        }
        let number = page_number(offset, page_len)?;
        if number == 1 && !is_our_first_page(buf) {
            return Err(Code::WRITE);
        }
        self.cache.written(number);
        sealed.ensure_header()?;
        let end = offset + page_len as u64;
        let len = self.present_len()?;
        if end > len {
            self.refuse_missing_pages(sealed, len)?;
            seal_gap(sealed, self.raw, len, offset)?;
        }
        if number == 1 && page_count(buf) * page_len as u64 > len {
            self.refuse_missing_pages(sealed, len)?;
        }
        // Until the write has succeeded, the length is whatever the failure left.
        self.known_len = None;
        write_page(sealed, self.raw, number, buf)?;
        self.known_len = Some(len.max(end));
        Ok(())
    }

    /// The logical size. Nobody else changes it while a write lock is held.
    fn present_len(&mut self) -> Result<u64> {
        match self.known_len {
            Some(len) => Ok(len),
            None => {
                let len = layout::logical_len(self.raw.len()?);
                self.known_len = Some(len);
                Ok(len)
            }
        }
    }

    /// In WAL mode only a checkpoint lets the file grow, and the log holds every page that it then gets (F-24). A page
    /// that the log does not hold either was cut off: whoever let the file grow would seal zeros in its place. With a
    /// rollback journal the file may be short until it is rolled back.
    fn refuse_missing_pages(&mut self, sealed: &Sealed, present: u64) -> Result<()> {
        if self.growth_checked || !sealed.wal.open || present == 0 {
            return Ok(());
        }
        let page_len = sealed.page_size().to_usize() as u64;
        let (first, last) = (present / page_len + 1, sealed.wal.committed_pages());
        // SQLite never writes the page that its lock bytes lie in.
        let lock_byte = LOCK_BYTE / page_len + 1;
        let holds = |first, last| first > last || sealed.wal.holds(first, last);
        let whole = if (first..=last).contains(&lock_byte) {
            holds(first, lock_byte - 1) && holds(lock_byte + 1, last)
        } else {
            holds(first, last)
        };
        if !whole {
            return Err(Code::DATA);
        }
        self.growth_checked = true;
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: u64) -> Result<()> {
        self.cache.clear();
        let sealed = Rc::clone(&self.sealed);
        let sealed = &mut *sealed.borrow_mut();
        self.known_len = None;
        if sealed.opened().is_none() {
            return if len == 0 { Ok(()) } else { Err(Code::WRITE) };
        }
        let present = layout::logical_len(self.raw.len()?);
        if len > present {
            self.refuse_missing_pages(sealed, present)?;
            seal_gap(sealed, self.raw, present, len)
        } else {
            self.raw.truncate(layout::physical_len(len))
        }
    }

    pub(super) fn sync(&mut self, flags: c_int) -> Result<()> {
        // Without shared memory no lock tells one checkpoint from the next.
        self.growth_checked = false;
        self.raw.sync_with(flags)
    }

    // --- locks --------------------------------------------------------------------------------

    pub(super) fn lock(&mut self, level: c_int) -> Result<()> {
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

    pub(super) fn unlock(&mut self, level: c_int) -> Result<()> {
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

    pub(super) fn shm_mapped(&mut self, rc: c_int, region: usize, memory: *mut u32) {
        let mut sealed = self.sealed.borrow_mut();
        sealed.wal.index.insert(region, memory);
        sealed.wal.shared_memory = true;
        sealed.wal.shared_memory_read_only = rc == sys::SQLITE_READONLY_CANTINIT;
        sealed.wal.shared_memory_writable = rc == sys::SQLITE_OK;
    }

    /// After a reader's lock was taken: nothing that it may read changes until it is given up.
    pub(super) fn shm_shared(&mut self, slot: u32) {
        if slot >= WAL_READERS {
            let version = self.sealed.borrow().wal.checkpointed();
            self.cache.begin(version.map(Version::Index));
        }
    }

    pub(super) fn shm_unmapped(&mut self) {
        self.cache.clear();
        self.cache.end();
        let wal = &mut self.sealed.borrow_mut().wal;
        wal.index.clear();
        wal.shared_memory = false;
        wal.shared_memory_read_only = false;
        wal.shared_memory_writable = false;
    }

    /// After `count` locks from `first` were taken, exclusively.
    pub(super) fn shm_locked(&mut self, first: u32, count: u32) -> Result<()> {
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
    pub(super) fn shm_unlocked(&mut self, first: u32, count: u32) {
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
    pub(super) fn committed(&mut self) -> Result<()> {
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

/// The characteristics that SQLite may rely on: pages are written whole, in one piece, and nothing else is.
pub(super) const fn characteristics(below: c_int) -> c_int {
    const ATOMIC: c_int = sys::SQLITE_IOCAP_ATOMIC
        | sys::SQLITE_IOCAP_ATOMIC512
        | sys::SQLITE_IOCAP_ATOMIC1K
        | sys::SQLITE_IOCAP_ATOMIC2K
        | sys::SQLITE_IOCAP_ATOMIC4K
        | sys::SQLITE_IOCAP_ATOMIC8K
        | sys::SQLITE_IOCAP_ATOMIC16K
        | sys::SQLITE_IOCAP_ATOMIC32K
        | sys::SQLITE_IOCAP_ATOMIC64K
        | sys::SQLITE_IOCAP_BATCH_ATOMIC;
    // Not in the bindings of SQLite before 3.47.
    const SUBPAGE_READ: c_int = 0x8000;
    const MASKED: c_int = ATOMIC | sys::SQLITE_IOCAP_SAFE_APPEND | SUBPAGE_READ;
    (below & !MASKED) | sys::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

/// Reads stored pages, from `first` on.
fn read_stored(raw: RawFile, bytes: &mut [u8], first: u32, page_len: usize) -> Result<()> {
    let offset = u64::from(first.saturating_sub(1)) * page_len as u64;
    sealed::full(raw.read(bytes, layout::physical(offset))?)
}

fn page_number(offset: u64, page_len: usize) -> Result<u32> {
    u32::try_from(offset / page_len as u64 + 1).map_err(|_| Code::READ)
}

/// A file without pages reads as empty, but tells SQLite the page size and the 48 reserved bytes.
fn read_unborn(sealed: &Sealed, buf: &mut [u8], offset: u64) -> Result<()> {
    buf.fill(0);
    if offset == 0 && buf.len() == SQLITE_HEADER_LEN && sealed.announces_layout() {
        fill_sqlite_header(buf, sealed.page_size().to_usize());
    }
    Err(Code::SHORT_READ)
}

/// Page size (bytes 16..18; 1 stands for 65,536) and reserved bytes (byte 20) of an SQLite header.
fn fill_sqlite_header(buf: &mut [u8], page_len: usize) {
    buf.fill(0);
    let size = u16::try_from(page_len).unwrap_or(1).to_be_bytes();
    if let Some(field) = buf.get_mut(16..18) {
        field.copy_from_slice(&size);
    }
    if let (Some(field), Ok(reserved)) = (buf.get_mut(20), u8::try_from(TRAILER_LEN)) {
        *field = reserved;
    }
}

/// Page 1 as a database of ours has it: its own page size and reserved bytes. A copy of a plain database has not.
pub(super) fn is_our_first_page(page: &[u8]) -> bool {
    let mut expected = [0; SQLITE_HEADER_LEN];
    fill_sqlite_header(&mut expected, page.len());
    page.starts_with(SQLITE_MAGIC)
        && page.get(16..18) == expected.get(16..18)
        && page.get(20) == expected.get(20)
}

/// Reads and opens one page of the file (F-21 to F-24).
pub(super) fn read_page(sealed: &mut Sealed, number: u32, page: &mut [u8]) -> Result<()> {
    let offset = u64::from(number - 1) * page.len() as u64;
    match sealed.raw.read(page, layout::physical(offset))? {
        Read::Full => match sealed.open_page(number, Place::Database, page) {
            Err(Code::DATA) => reseal::read_again(sealed, number, page),
            opened => opened,
        },
        Read::Short => {
            page.fill(0);
            if sealed.len()? > offset {
                return Err(Code::DATA);
            }
            Err(beyond_the_end(sealed, number, page)?)
        }
    }
}

/// What a page wholly beyond the end of the file is: missing, or never written (F-24).
fn beyond_the_end(sealed: &mut Sealed, number: u32, page: &mut [u8]) -> Result<Code> {
    if sealed.len()? == 0 {
        return Ok(Code::SHORT_READ);
    }
    if number == 1 {
        return Ok(Code::DATA);
    }
    read_page(sealed, 1, page)?;
    let count = page_count(page);
    page.fill(0);
    Ok(if u64::from(number) <= count {
        Code::DATA
    } else {
        Code::SHORT_READ
    })
}

/// How many pages the database has, by its page 1.
fn page_count(first_page: &[u8]) -> u64 {
    first_page
        .get(28..32)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(u64::MAX, |bytes| u64::from(u32::from_be_bytes(bytes)))
}

fn write_page(sealed: &mut Sealed, raw: RawFile, number: u32, page: &[u8]) -> Result<()> {
    let offset = layout::physical(u64::from(number - 1) * page.len() as u64);
    sealed.seal_page(number, Place::Database, &[], page, |stored| {
        raw.write(stored, offset)
    })
}

/// Seals zeros into every page from the end of the file up to `target` (F-22).
fn seal_gap(sealed: &mut Sealed, raw: RawFile, len: u64, target: u64) -> Result<()> {
    let page_len = sealed.page_size().to_usize() as u64;
    // A page that was torn at the end of the file is written anew.
    let first = len / page_len;
    let zeros = vec![0; sealed.page_size().to_usize()];
    for index in first..target / page_len {
        let number = u32::try_from(index + 1).map_err(|_| Code::WRITE)?;
        write_page(sealed, raw, number, &zeros)?;
    }
    Ok(())
}

/// What a verifier asks of the file; no lock is taken here.
#[cfg(feature = "rusqlite")]
impl Sealed {
    /// How many whole pages the file has, their length, and how many bytes stand behind the last.
    pub(crate) fn pages(&self) -> Result<(u64, u64, u64)> {
        let page_len = self.page_size().to_usize() as u64;
        let len = self.len()?;
        Ok((len / page_len, page_len, len % page_len))
    }

    /// Reads page 1 as it stands in the file.
    pub(crate) fn first_page(&mut self, page: &mut [u8]) -> Result<()> {
        read_page(self, 1, page)
    }

    /// The numbers of those pages with indices from `first` to before `end` that do not open.
    pub(crate) fn bad_pages(&mut self, first: u64, end: u64) -> Result<Vec<u64>> {
        let mut page = Zeroizing::new(vec![0; self.page_size().to_usize()]);
        let mut bad = Vec::new();
        for index in first..end {
            let number = u32::try_from(index + 1).map_err(|_| Code::READ)?;
            match read_page(self, number, &mut page) {
                Ok(()) => {}
                // A checkpoint of another process may be writing this very page.
                Err(Code::DATA) if read_page(self, number, &mut page).is_ok() => {}
                Err(Code::DATA | Code::SHORT_READ) => bad.push(index + 1),
                Err(code) => return Err(code),
            }
        }
        Ok(bad)
    }

    /// Whether the hole, if the file reaches it, is zero (F-4).
    pub(crate) fn hole_is_zero(&self) -> Result<bool> {
        let present = self
            .raw
            .len()?
            .saturating_sub(layout::HOLE_OFFSET)
            .min(layout::HOLE_LEN);
        let mut hole = vec![0; usize::try_from(present).map_err(|_| Code::READ)?];
        if !hole.is_empty() {
            self.raw.read(&mut hole, layout::HOLE_OFFSET)?;
        }
        Ok(hole.iter().all(|&byte| byte == 0))
    }
}
