//! Pages sealed and opened with the keys of a file.

use zqlite_pq::epoch::{EpochKeys, FileId};
use zqlite_pq::header::EpochSet;
use zqlite_pq::page::{PageContext, PageOpener, PageSealer, Place, SealError, Trailer};

use super::{Batch, Sealed};
use crate::Error;
use crate::vfs::code::{Code, Result};
use crate::vfs::{access, ffi};

/// What pages of the database file are opened with, as the header is now.
pub(in crate::vfs) struct PageKeys {
    epochs: EpochSet,
    min_epoch: u32,
    file_id: FileId,
}

impl PageKeys {
    /// Opens a stored page in place. Whether it did; otherwise it is zeroed.
    pub(in crate::vfs) fn open(
        &self,
        opener: &mut PageOpener,
        number: u32,
        page: &mut [u8],
    ) -> bool {
        let keys = Trailer::decode(page)
            .filter(|trailer| trailer.epoch >= self.min_epoch)
            .and_then(|trailer| self.epochs.get(trailer.epoch));
        let context = PageContext {
            file_id: self.file_id,
            number,
            place: Place::Database,
        };
        match keys {
            Some(keys) => opener.open(keys, &context, page).is_ok(),
            None => {
                page.fill(0);
                false
            }
        }
    }
}

impl Sealed {
    /// Opens a stored page in place. A page that does not open is zeroed.
    pub(in crate::vfs) fn open_page(
        &mut self,
        number: u32,
        place: Place,
        page: &mut [u8],
    ) -> Result<()> {
        let Some((keys, context, opener)) = self.opening(number, place, page)? else {
            page.fill(0);
            return Err(Code::DATA);
        };
        let opened = opener.open(keys, &context, page);
        self.note(&place, opened.is_ok())
    }

    /// Opens a stored page into `page`, which has the same length.
    pub(in crate::vfs) fn open_page_to(
        &mut self,
        number: u32,
        place: Place,
        stored: &[u8],
        page: &mut [u8],
    ) -> Result<()> {
        let Some((keys, context, opener)) = self.opening(number, place, stored)? else {
            page.fill(0);
            return Err(Code::DATA);
        };
        let opened = opener.open_to(keys, &context, stored, page);
        self.note(&place, opened.is_ok())
    }

    /// A page was opened by [`PageKeys`].
    pub(in crate::vfs) fn note_opened(&self, place: &Place) {
        self.counts.opened(place.into());
    }

    /// What opens pages of the database file on another thread.
    pub(in crate::vfs) fn page_keys(&self) -> Result<PageKeys> {
        Ok(PageKeys {
            epochs: self.epochs()?.clone(),
            min_epoch: self.header()?.min_epoch(),
            file_id: *self.header()?.file_id(),
        })
    }

    fn note(&self, place: &Place, opened: bool) -> Result<()> {
        if opened {
            self.note_opened(place);
            Ok(())
        } else {
            Err(Code::DATA)
        }
    }

    /// What a stored page is opened with; `None` if no key in use is for it.
    fn opening(
        &mut self,
        number: u32,
        place: Place,
        stored: &[u8],
    ) -> Result<Option<(&EpochKeys, PageContext, &mut PageOpener)>> {
        let epoch = Trailer::decode(stored).ok_or(Code::DATA)?.epoch;
        if self.epochs()?.get(epoch).is_none() && epoch > self.header()?.epoch() {
            self.reload()?;
        }
        let opened = self.opened.as_ref().ok_or(Code::INTERNAL)?;
        let context = PageContext {
            file_id: *opened.header.file_id(),
            number,
            place,
        };
        Ok(match opened.epochs.get(epoch) {
            Some(keys) if epoch >= opened.header.min_epoch() => {
                Some((keys, context, &mut self.opener))
            }
            _ => None,
        })
    }

    /// Seals a copy of a page and hands it to `write`, behind `prefix`.
    pub(in crate::vfs) fn seal_page(
        &mut self,
        number: u32,
        place: Place,
        prefix: &[u8],
        page: &[u8],
        write: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let context = PageContext {
            file_id: *self.header()?.file_id(),
            number,
            place,
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(prefix);
        self.scratch.extend_from_slice(page);
        self.ensure_batch()?;
        let (Some(batch), Some(stored)) = (&mut self.batch, self.scratch.get_mut(prefix.len()..))
        else {
            return Err(Code::INTERNAL);
        };
        match batch.sealer.seal(&context, stored) {
            Ok(()) => {
                self.counts.sealed((&place).into());
                write(&self.scratch)
            }
            Err(SealError::ReservedBytesInUse) => {
                access::set_last_error(Error::Create(
                    "the pages do not leave 48 bytes free at their end: copy with VACUUM INTO or `zqlite encrypt`"
                        .to_owned(),
                ));
                Err(Code::WRITE)
            }
            Err(_) => Err(Code::WRITE),
        }
    }

    fn ensure_batch(&mut self) -> Result<()> {
        let process = ffi::process();
        if let Some(batch) = &self.batch
            && batch.process == process
            && batch.sealer.epoch() == self.newest_keys()?.epoch()
            && !batch.sealer.is_exhausted()
        {
            return Ok(());
        }
        let mut fresh = [0; 24];
        getrandom::fill(&mut fresh).map_err(|_| Code::WRITE)?;
        let sealer = PageSealer::new(self.newest_keys()?, &fresh);
        self.batch = Some(Batch { process, sealer });
        Ok(())
    }

    /// The next seal draws fresh nonces.
    pub(in crate::vfs) fn end_batch(&mut self) {
        self.batch = None;
    }
}
