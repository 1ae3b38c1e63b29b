//! The main database file.

use core::ffi::c_int;
use std::cell::RefCell;
use std::rc::Rc;

use libsqlite3_sys as sys;
use zeroize::Zeroizing;
use zqlite_pq::page::{Place, TRAILER_LEN};

use super::code::{Code, Result};
use super::ffi::RawFile;
use super::layout;
use super::read_cache::ReadCache;
use super::sealed::Sealed;

mod locks;
mod read;

#[cfg(feature = "rusqlite")]
use read::read_page;

/// First bytes of every SQLite database.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Length of SQLite's own header at the start of page 1, which it reads before it takes any lock.
const SQLITE_HEADER_LEN: usize = 100;
/// Where SQLite's lock bytes are.
const LOCK_BYTE: u64 = 1 << 30;

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

    pub(super) fn len(&self) -> Result<u64> {
        self.sealed.borrow().len()
    }

    /// Whether SQLite holds no lock on the file.
    pub(super) const fn is_unlocked(&self) -> bool {
        self.lock == sys::SQLITE_LOCK_NONE
    }

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
        let kept = self.cache.will_write(number);
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
        self.cache.written(kept, buf);
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

fn page_number(offset: u64, page_len: usize) -> Result<u32> {
    u32::try_from(offset / page_len as u64 + 1).map_err(|_| Code::READ)
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
