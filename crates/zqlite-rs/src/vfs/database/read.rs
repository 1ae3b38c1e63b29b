//! Reading pages of the database file: from what is kept, from what was read ahead, or by themselves.

use std::rc::Rc;

use zqlite_pq::page::Place;

use super::{Database, SQLITE_HEADER_LEN, fill_sqlite_header, page_count, page_number};
use crate::vfs::code::{Code, Result};
use crate::vfs::ffi::{RawFile, Read};
use crate::vfs::layout;
use crate::vfs::read_cache::{Came, Page, Version};
use crate::vfs::reseal;
use crate::vfs::sealed::{self, Sealed};

/// What SQLite reads of page 1 when a transaction begins, before it opens the WAL.
const CHANGE_COUNTER_AT: u64 = 24;
const CHANGE_COUNTER_LEN: usize = 16;
/// Bytes of page 1 by which SQLite sees that the database was changed.
const COUNTERS: core::ops::Range<usize> = 24..40;

impl Database {
    pub(in crate::vfs) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
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
}

/// Reads stored pages, from `first` on.
fn read_stored(raw: RawFile, bytes: &mut [u8], first: u32, page_len: usize) -> Result<()> {
    let offset = u64::from(first.saturating_sub(1)) * page_len as u64;
    sealed::full(raw.read(bytes, layout::physical(offset))?)
}

/// A file without pages reads as empty, but tells SQLite the page size and the 48 reserved bytes.
fn read_unborn(sealed: &Sealed, buf: &mut [u8], offset: u64) -> Result<()> {
    buf.fill(0);
    if offset == 0 && buf.len() == SQLITE_HEADER_LEN && sealed.announces_layout() {
        fill_sqlite_header(buf, sealed.page_size().to_usize());
    }
    Err(Code::SHORT_READ)
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
