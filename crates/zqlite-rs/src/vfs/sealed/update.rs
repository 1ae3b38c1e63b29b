//! Writing the header: the first one, repairs, and new states of it.

use zqlite_pq::header::{self, COPY_LEN, CopyState, EpochSet, Header, Opened, STAMP_LEN};

use super::{Sealed, sync_folder};
use crate::vfs::access;
use crate::vfs::code::{Code, Result};
#[cfg(feature = "rusqlite")]
use crate::vfs::ffi::RawFile;
use crate::vfs::layout;

/// What a disk writes whole or not at all.
const SECTOR_LEN: usize = 512;
/// Magic, version and suite: what says of which kind a file is.
const KIND_LEN: usize = 20;

impl Sealed {
    /// After a SHARED lock: another connection may have made the file.
    pub(in crate::vfs) fn after_shared_lock(&mut self) -> Result<()> {
        if self.opened.is_none() && self.raw.len()? > 0 {
            self.reload()
        } else {
            Ok(())
        }
    }

    /// After the write lock (F-20), or when SQLite is about to write under another: fresh nonces, and the
    /// header as it is now.
    pub(in crate::vfs) fn begin_write(&mut self) -> Result<()> {
        self.end_batch();
        if self.opened.is_none() {
            return self.after_shared_lock();
        }
        self.refresh()?;
        if self.opened.as_ref().is_some_and(Opened::is_superseded) {
            access::set_last_error(self.damaged(
                "a newer header copy is not for your keys: an update of the owner was interrupted",
            ));
            return Err(Code::READONLY);
        }
        Ok(())
    }

    /// While the write lock is held: writes a good header over a bad copy, and sets `populated` where a
    /// commit died before it could (F-10, F-20).
    pub(in crate::vfs) fn repair(&mut self) -> Result<()> {
        let Some(opened) = &self.opened else {
            return Ok(());
        };
        // Who may only read takes the WAL's WRITE lock, too, to recover.
        if !self.writable {
            return Ok(());
        }
        if !opened.is_healthy() {
            let bytes = opened.header.encode(opened.epochs.newest());
            for (state, offset) in opened.copies.iter().zip([0, COPY_LEN as u64]) {
                if *state != CopyState::Good {
                    // First what says how new the copy is: torn, it shall not look newer than the good one.
                    let (first, rest) = bytes.split_at_checked(SECTOR_LEN).ok_or(Code::INTERNAL)?;
                    self.raw.write(first, offset)?;
                    self.raw.sync()?;
                    self.raw.write(rest, offset + SECTOR_LEN as u64)?;
                    self.raw.sync()?;
                }
            }
            self.reload()?;
        }
        let populated = self.header()?.populated();
        if !populated && layout::logical_len(self.raw.len()?) > 0 {
            self.set_populated()
        } else {
            Ok(())
        }
    }

    /// Makes the `populated` flag durable in both copies. The write lock is held.
    pub(in crate::vfs) fn set_populated(&mut self) -> Result<()> {
        let Some(opened) = &self.opened else {
            return Ok(());
        };
        if opened.header.populated() {
            return Ok(());
        }
        let mut header = opened.header.clone();
        let epochs = opened.epochs.clone();
        header.set_populated();
        header.next_revision().map_err(|_| Code::WRITE)?;
        sync_folder(&self.path)?;
        self.write_header(&header, &epochs)
    }

    /// Changes the header (F-19). The write lock is held; what its callback repaired is read anew.
    #[cfg(feature = "rusqlite")]
    pub(crate) fn update_header<E: From<Code>>(
        &mut self,
        change: impl FnOnce(&Opened) -> core::result::Result<(Header, EpochSet), E>,
    ) -> core::result::Result<(), E> {
        self.reload()?;
        self.repair()?;
        let opened = self.opened.as_ref().ok_or(Code::INTERNAL)?;
        if !self.writable || opened.is_superseded() {
            return Err(Code::READONLY.into());
        }
        let before = opened.header.epoch();
        let (header, epochs) = change(opened)?;
        if header.epoch() != before {
            self.prepare_new_epoch(&header.encode(epochs.newest()))?;
        }
        self.write_header(&header, &epochs)?;
        self.end_batch();
        self.access.remember(&epochs);
        Ok(())
    }

    /// Has the older epochs dropped when SQLite, in a checkpoint of this connection, next empties the WAL: then it
    /// holds the WRITE and CKPT locks, and no frame of theirs is left (F-20a). No page of theirs is left in the file.
    #[cfg(feature = "rusqlite")]
    pub(crate) const fn drop_older_epochs_with_the_log(&mut self, whether: bool) {
        self.drops_epochs = whether;
    }

    /// SQLite has emptied the WAL.
    #[cfg(feature = "rusqlite")]
    pub(in crate::vfs) fn log_is_empty(&mut self, log: RawFile) -> Result<()> {
        if !core::mem::take(&mut self.drops_epochs) {
            return Ok(());
        }
        // After a power cut, frames that nobody can read any more would look like lost ones.
        log.sync()?;
        self.sync_and_drop_older_epochs()
    }

    /// Drops the older epochs under F-20a. Pages that were found sealed anew may not be so on the disk yet.
    #[cfg(feature = "rusqlite")]
    pub(crate) fn sync_and_drop_older_epochs(&mut self) -> Result<()> {
        self.raw.sync()?;
        self.update_header(|opened| opened.drop_older_epochs().map_err(|_| Code::WRITE))
    }

    /// Reads the header anew if the file has another than the one in hand. Whether it was so.
    pub(in crate::vfs) fn refresh(&mut self) -> Result<bool> {
        let Some(opened) = &self.opened else {
            return Ok(false);
        };
        let mut starts = [[0; STAMP_LEN]; 2];
        let [a, b] = &mut starts;
        self.raw.read(a, 0)?;
        self.raw.read(b, COPY_LEN as u64)?;
        if opened.is_current(a, b) {
            return Ok(false);
        }
        self.reload()?;
        Ok(true)
    }

    /// Writes copy A, syncs, writes copy B, syncs (F-18, F-19).
    fn write_header(&mut self, header: &Header, epochs: &EpochSet) -> Result<()> {
        let bytes = header.encode(epochs.newest());
        for offset in [0, COPY_LEN as u64] {
            self.raw.write(&bytes, offset)?;
            self.raw.sync()?;
        }
        // Read back: what the next reader finds is what we hold.
        let (a, b) = self.read_copies()?;
        let opened = header::reopen(&a, &b, epochs).map_err(|_| Code::WRITE)?;
        // What an anchor cannot be told now, the next opening tells it, or fails.
        drop(self.check_anchor(&opened));
        self.page_size = opened.header.page_size();
        self.opened = Some(opened);
        Ok(())
    }

    /// The header of a new file, before its first page or journal header. The write lock is held.
    pub(in crate::vfs) fn ensure_header(&mut self) -> Result<()> {
        if self.opened.is_some() {
            return Ok(());
        }
        let made = self.access.make_header();
        let (header, epochs) = made.map_err(|error| {
            access::set_last_error(error);
            Code::CANTOPEN
        })?;
        self.prepare_first_copy(&header.encode(epochs.newest()))?;
        self.write_header(&header, &epochs)?;
        self.access.header_is_written();
        self.access.remember(&epochs);
        Ok(())
    }

    /// Makes durable all of copy A but its first sector, which holds the magic and no more until then.
    ///
    /// A power cut may keep any sectors of what was not synced, and there is no copy B yet. Without the magic nobody
    /// could tell what is left from a file of another kind; with a whole prefix before a slot that is not, it would
    /// decode, and be taken for a file of somebody else (F-11).
    fn prepare_first_copy(&self, copy: &[u8]) -> Result<()> {
        let (first, rest) = copy.split_at_checked(SECTOR_LEN).ok_or(Code::INTERNAL)?;
        let mut start = [0; SECTOR_LEN];
        for (to, from) in start.iter_mut().zip(first).take(KIND_LEN) {
            *to = *from;
        }
        self.raw.write(&start, 0)?;
        self.raw.sync()?;
        self.raw.write(rest, SECTOR_LEN as u64)?;
        self.raw.sync()
    }

    /// Makes durable all of copy A but its first sector, which names revision and key and stays the old one until then.
    ///
    /// A torn copy under the old key is known by that key, which copy B yields. Under a new one it would be taken, by
    /// everybody whose slot in it was lost, for a header that the owner meant for others, and not be written over (F-20).
    #[cfg(feature = "rusqlite")]
    fn prepare_new_epoch(&self, copy: &[u8]) -> Result<()> {
        let rest = copy.get(SECTOR_LEN..).ok_or(Code::INTERNAL)?;
        self.raw.write(rest, SECTOR_LEN as u64)?;
        self.raw.sync()
    }
}
