//! Pages sealed anew, in place, below SQLite: how a rekey goes through a file that others read and write
//! (FORMAT.md section 8.1).
//!
//! What SQLite would read does not change: only the ciphertext does. Nobody else may write to the database file
//! meanwhile (the WAL's CKPT lock, or RESERVED). Readers may: one that meets a page while it is being written reads it
//! again, and one that meets a page which a crash tore finds it in the rekey journal.

use core::time::Duration;
use std::thread;

#[cfg(feature = "rusqlite")]
use zeroize::Zeroizing;
use zqlite_pq::page::Place;
#[cfg(feature = "rusqlite")]
use zqlite_pq::page::TRAILER_LEN;
use zqlite_pq::page::Trailer;

use super::code::{Code, Result};
use super::ffi::Read;
use super::layout;
use super::sealed::Sealed;

mod journal;
#[cfg(feature = "rusqlite")]
pub(crate) use journal::RekeyJournal;

/// How often a page that does not open is read again while a rekey runs.
const READS: u32 = 20;
/// SQLite's file layer takes no more than 128 KiB in one call.
#[cfg(feature = "rusqlite")]
const PIECE: usize = 65_536;
/// The pause before it is.
const PAUSE: Duration = Duration::from_micros(200);

/// Reads a page of the database that has not opened once more, and again and again while a rekey runs: it may have been
/// read while it was being written, or have been torn by a crash.
pub(super) fn read_again(sealed: &mut Sealed, number: u32, page: &mut [u8]) -> Result<()> {
    sealed.refresh()?;
    let rekeys = !sealed.header()?.older_epochs().is_empty();
    let offset = layout::physical(u64::from(number - 1) * page.len() as u64);
    let mut torn = None;
    for _ in 0..if rekeys { READS } else { 1 } {
        if sealed.raw.read(page, offset)? == Read::Short {
            break;
        }
        torn = Trailer::decode(page);
        match sealed.open_page(number, Place::Database, page) {
            Err(Code::DATA) if rekeys => thread::sleep(PAUSE),
            Err(Code::DATA) => {}
            opened => return opened,
        }
    }
    let file_id = *sealed.header()?.file_id();
    match torn {
        Some(torn)
            if rekeys
                && journal::find(sealed.path(), &file_id, number, page)
                && journal::stands_for(torn, page) =>
        {
            sealed.open_page(number, Place::Database, page)
        }
        _ => {
            page.fill(0);
            Err(Code::DATA)
        }
    }
}

/// What became of a run of pages.
#[cfg(feature = "rusqlite")]
#[derive(Debug, Default)]
pub(crate) struct Resealed {
    /// The first page behind the run.
    pub(crate) next: u32,
    /// How many pages were sealed anew.
    pub(crate) pages: u32,
    /// Pages of an older epoch that do not open.
    pub(crate) unreadable: Vec<u32>,
}

#[cfg(feature = "rusqlite")]
impl Sealed {
    /// Seals the pages of older epochs among `count` pages from `first` under the newest, through the journal. The caller
    /// keeps others from writing to the file.
    pub(crate) fn reseal(
        &mut self,
        first: u32,
        count: u32,
        journal: &mut RekeyJournal,
    ) -> Result<Resealed> {
        let (offset, mut run) = self.read_run(first, count)?;
        let page_len = self.page_size().to_usize();
        let newest = self.header()?.epoch();
        let file_id = *self.header()?.file_id();
        let mut done = Resealed {
            next: first,
            ..Resealed::default()
        };
        let mut page = Zeroizing::new(vec![0; page_len]);
        let mut changed = Vec::new();
        for (index, stored) in run.chunks_exact_mut(page_len).enumerate() {
            let number = done.next;
            done.next = number.checked_add(1).ok_or(Code::INTERNAL)?;
            if Trailer::decode(stored).is_none_or(|trailer| trailer.epoch >= newest) {
                continue;
            }
            page.copy_from_slice(stored);
            match self.open_page(number, Place::Database, &mut page) {
                Ok(()) => {}
                Err(Code::DATA) => {
                    if read_again(self, number, &mut page).is_err() {
                        done.unreadable.push(number);
                        continue;
                    }
                }
                Err(code) => return Err(code),
            }
            self.seal_page(number, Place::Database, &[], &page, |sealed| {
                stored.copy_from_slice(sealed);
                Ok(())
            })?;
            changed.push((number, index));
            done.pages += 1;
        }
        if changed.is_empty() {
            return Ok(done);
        }
        let of = |index: usize| index * page_len..(index + 1) * page_len;
        let records = changed
            .iter()
            .filter_map(|(number, index)| Some((*number, run.get(of(*index))?)));
        journal.write(&file_id, page_len, records)?;
        for group in changed.chunk_by(|(_, a), (_, b)| a + 1 == *b) {
            let (Some((_, from)), Some((_, to))) = (group.first(), group.last()) else {
                continue;
            };
            let bytes = run
                .get(of(*from).start..of(*to).end)
                .ok_or(Code::INTERNAL)?;
            let at = layout::physical(offset + (from * page_len) as u64);
            for (piece, bytes) in (0..).zip(bytes.chunks(PIECE)) {
                self.raw.write(bytes, at + piece * PIECE as u64)?;
            }
        }
        self.raw.sync()?;
        journal.clear()?;
        Ok(done)
    }

    /// Writes the pages that a crash tore while they were being sealed anew, from the journal, and makes durable what the
    /// interrupted step wrote. The caller keeps others from writing to the file. How many were torn.
    pub(crate) fn heal(&mut self, journal: &mut RekeyJournal) -> Result<u32> {
        let file_id = *self.header()?.file_id();
        let page_len = self.page_size().to_usize();
        let pages = self.page_count()?;
        let mut healed = 0;
        let mut page = Zeroizing::new(vec![0; page_len]);
        for (number, stored) in journal.records(&file_id, page_len)? {
            let Some(index) = number.checked_sub(1).filter(|_| number <= pages) else {
                continue;
            };
            let at = layout::physical(u64::from(index) * page_len as u64);
            if self.raw.read(&mut page, at)? == Read::Short {
                continue;
            }
            let torn = Trailer::decode(&page).ok_or(Code::INTERNAL)?;
            if self.open_page(number, Place::Database, &mut page).is_ok()
                || !journal::stands_for(torn, &stored)
            {
                continue;
            }
            page.copy_from_slice(&stored);
            if self.open_page(number, Place::Database, &mut page).is_ok() {
                self.raw.write(&stored, at)?;
                healed += 1;
            }
        }
        self.raw.sync()?;
        journal.clear()?;
        Ok(healed)
    }

    /// How many pages the file has, the last one being whole.
    pub(crate) fn page_count(&self) -> Result<u32> {
        let pages = self.len()? / u64::from(self.page_size().get());
        u32::try_from(pages).map_err(|_| Code::READ)
    }

    /// Whether a page among `count` from `first` is of an older epoch, to judge by its trailer; and the first page
    /// behind them.
    pub(crate) fn has_older_pages(&mut self, first: u32, count: u32) -> Result<(bool, u32)> {
        let newest = self.header()?.epoch();
        let page_len = u64::from(self.page_size().get());
        let end = first
            .saturating_add(count)
            .min(self.page_count()?.saturating_add(1));
        let mut trailer = [0; TRAILER_LEN];
        for number in first..end {
            let page_end = u64::from(number) * page_len;
            let at = layout::physical(page_end - page_len) + page_len - TRAILER_LEN as u64;
            self.raw.read(&mut trailer, at)?;
            if Trailer::decode(&trailer).is_some_and(|trailer| trailer.epoch < newest) {
                return Ok((true, number));
            }
        }
        Ok((false, end))
    }

    /// The stored bytes of up to `count` pages that follow each other in the file, with their logical offset.
    fn read_run(&self, first: u32, count: u32) -> Result<(u64, Vec<u8>)> {
        let page_len = u64::from(self.page_size().get());
        let offset = u64::from(first.checked_sub(1).ok_or(Code::INTERNAL)?) * page_len;
        let end = (offset + u64::from(count) * page_len)
            .min(layout::piece_end(offset))
            .min(u64::from(self.page_count()?) * page_len);
        let len = usize::try_from(end.saturating_sub(offset)).map_err(|_| Code::INTERNAL)?;
        let mut run = vec![0; len];
        let at = layout::physical(offset);
        for (piece, bytes) in (0..).zip(run.chunks_mut(PIECE)) {
            if self.raw.read(bytes, at + piece * PIECE as u64)? == Read::Short {
                return Err(Code::SHORT_READ);
            }
        }
        Ok((offset, run))
    }
}
