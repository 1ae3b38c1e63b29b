//! What the files of one connection share: header, keys, and the sealing and opening of pages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zqlite_pq::epoch::EpochKeys;
use zqlite_pq::header::{
    self, COPY_LEN, CopyState, EpochSet, Expected, HEADER_LEN, Header, HeaderOpenError, Opened,
    STAMP_LEN, SignatureError,
};
use zqlite_pq::label::MAGIC;
use zqlite_pq::page::{PageOpener, PageSealer, PageSize};
use zqlite_pq::seal;
use zqlite_pq::slot::SlotKind;

use super::access::{self, Access, Maker};
use super::code::{Code, Result};
use super::counters::{self, Counts};
use super::ffi::{RawFile, Read};
use super::layout;
use super::stand_in::StandIns;
use super::wal_state::WalState;
use crate::{AnchorVerdict, Error, Sighting};

mod pages;

pub(super) use pages::PageKeys;

/// What a disk writes whole or not at all.
const SECTOR_LEN: usize = 512;
/// Magic, version and suite: what says of which kind a file is.
const KIND_LEN: usize = 20;

/// The sealed side of one open database file.
pub(crate) struct Sealed {
    pub(super) raw: RawFile,
    path: PathBuf,
    access: Arc<Access>,
    /// Whether the file was opened for writing.
    writable: bool,
    /// `None` until the file has a header.
    opened: Option<Opened>,
    page_size: PageSize,
    opener: PageOpener,
    batch: Option<Batch>,
    scratch: Vec<u8>,
    pub(super) wal: WalState,
    pub(super) counts: Counts,
    /// Whether older epochs are to be dropped when SQLite next empties the WAL.
    #[cfg(feature = "rusqlite")]
    drops_epochs: bool,
    /// While a damaged file is salvaged: what SQLite gets in the place of pages that do not open.
    pub(crate) stand_ins: Option<StandIns>,
}

/// Nonces of one write transaction in one process (F-25).
struct Batch {
    process: u32,
    sealer: PageSealer,
}

impl Sealed {
    /// Reads and opens the header of a file that SQLite has just opened.
    pub(super) fn open(
        raw: RawFile,
        path: PathBuf,
        access: Arc<Access>,
        writable: bool,
    ) -> core::result::Result<Self, Error> {
        let page_size = access.page_size();
        let mut sealed = Self {
            raw,
            path,
            access,
            writable,
            opened: None,
            page_size,
            opener: PageOpener::new(),
            batch: None,
            scratch: Vec::new(),
            wal: WalState::default(),
            counts: Counts::new(),
            #[cfg(feature = "rusqlite")]
            drops_epochs: false,
            stand_ins: None,
        };
        sealed.load()?;
        if sealed.opened.is_none() && !(writable && sealed.access.may_create()) {
            return Err(Error::Empty { path: sealed.path });
        }
        Ok(sealed)
    }

    /// Whether SQLite must be told the layout of a file that has no pages yet. A client sets that of a new file only:
    /// where the creation ended with the header, the header has it.
    pub(super) fn announces_layout(&self) -> bool {
        self.opened.is_some() || !self.access.is_layout_set_by_client()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn access(&self) -> &Arc<Access> {
        &self.access
    }

    pub(super) const fn page_size(&self) -> PageSize {
        self.page_size
    }

    pub(crate) const fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    pub(super) fn header(&self) -> Result<&Header> {
        self.opened
            .as_ref()
            .map(|opened| &opened.header)
            .ok_or(Code::INTERNAL)
    }

    fn epochs(&self) -> Result<&EpochSet> {
        self.opened
            .as_ref()
            .map(|opened| &opened.epochs)
            .ok_or(Code::INTERNAL)
    }

    /// The keys of an epoch, newest first.
    pub(super) fn keys(&self, epoch: u32) -> Result<&EpochKeys> {
        self.epochs()?.get(epoch).ok_or(Code::DATA)
    }

    pub(super) fn newest_keys(&self) -> Result<&EpochKeys> {
        Ok(self.epochs()?.newest())
    }

    /// All epochs' keys, newest first.
    pub(super) fn all_keys(&self) -> Result<impl Iterator<Item = &EpochKeys>> {
        Ok(self.epochs()?.iter())
    }

    /// The logical size of the file (F-3, F-10).
    pub(super) fn len(&self) -> Result<u64> {
        let len = layout::logical_len(self.raw.len()?);
        if len == 0
            && self
                .opened
                .as_ref()
                .is_some_and(|opened| opened.header.populated())
        {
            access::set_last_error(self.damaged("the file was cut down to its header"));
            return Err(Code::CORRUPT);
        }
        Ok(len)
    }

    // --- header -------------------------------------------------------------------------------

    /// Reads both copies; a file without any stays without.
    fn load(&mut self) -> core::result::Result<(), Error> {
        let len = self.raw.len().map_err(|code| code.at(&self.path))?;
        if len == 0 {
            return Ok(());
        }
        let (mut a, mut b) = self.read_copies().map_err(|code| code.at(&self.path))?;
        if Header::decode(&a).is_err() && Header::decode(&b).is_err() {
            // Each may have been read while it was being written.
            (a, b) = self.read_copies().map_err(|code| code.at(&self.path))?;
        }
        let held = self.opened.as_ref().map(|opened| opened.epochs.clone());
        let known = held.or_else(|| self.access.known());
        let reopened = known.as_ref().and_then(|known| {
            match self.access.maker() {
                Maker::SignedBy(expected) => header::reopen_signed(&a, &b, known, expected),
                Maker::Unspecified | Maker::Any => header::reopen(&a, &b, known),
            }
            .ok()
        });
        // A remembered key of another file, or of an earlier epoch, does not open it: the keyring may.
        let (opened, maker_knew_a_secret) = if let Some(opened) = reopened {
            (opened, true)
        } else {
            let opened = match self.access.maker() {
                Maker::SignedBy(expected) => {
                    header::open_signed(&a, &b, self.access.keyring(), expected)
                }
                Maker::Unspecified | Maker::Any => header::open(&a, &b, self.access.keyring()),
            };
            match opened {
                Ok(opened) => {
                    // A passphrase or a raw key is a secret that the maker must have had, too; a recipient
                    // is public.
                    let secret = opened
                        .slot_kind()
                        .is_some_and(|kind| kind != SlotKind::Recipient);
                    (opened, secret)
                }
                Err(error) => return self.no_header(&error, &a, len),
            }
        };
        self.check_maker(&opened.header, maker_knew_a_secret)?;
        self.check_succession(&opened)?;
        self.check_anchor(&opened)?;
        if self.opened.as_ref().is_some_and(|held| {
            held.epochs.newest().commitment() != opened.epochs.newest().commitment()
        }) {
            // What was derived from a key goes by the epoch's number.
            self.opener = PageOpener::new();
            self.end_batch();
        }
        self.access.remember(&opened.epochs);
        self.page_size = opened.header.page_size();
        self.opened = Some(opened);
        Ok(())
    }

    fn no_header(
        &self,
        error: &HeaderOpenError,
        start: &[u8],
        len: u64,
    ) -> core::result::Result<(), Error> {
        let unfinished = len < HEADER_LEN
            && matches!(
                error,
                HeaderOpenError::Damaged { .. } | HeaderOpenError::NotSealed
            )
            && is_unfinished_creation(start);
        if unfinished && self.access.may_create() {
            return Ok(());
        }
        Err(header_error(error, &self.path, start, len))
    }

    /// A header that is read again must continue the one in hand: the same file, and not older. Anyone can make a header
    /// for a known public key, and what SQLite has in its cache would be sealed for him: so somebody who knew the key in
    /// hand must have brought the new one into use, or the same signer vouches for both.
    fn check_succession(&self, next: &Opened) -> core::result::Result<(), Error> {
        let Some(held) = &self.opened else {
            return Ok(());
        };
        if next.header.file_id() != held.header.file_id() {
            return Err(self.damaged("the file was exchanged for another while it was open"));
        }
        if next.header.stamp() < held.header.stamp() {
            return Err(
                self.damaged("the header was exchanged for an older one while the file was open")
            );
        }
        let same_signer = held
            .header
            .signer()
            .is_some_and(|signer| next.header.signer() == Some(signer));
        if !next.header.continues(&next.epochs, &held.epochs) && !same_signer {
            return Err(Error::KeyReplaced {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    /// A signature must verify even where nobody asked for it (F-17); and somebody must have said whose
    /// files are accepted.
    fn check_maker(
        &self,
        header: &Header,
        maker_knew_a_secret: bool,
    ) -> core::result::Result<(), Error> {
        if let (Maker::Unspecified | Maker::Any, Some(signer)) =
            (self.access.maker(), header.signer())
        {
            let expected = Expected {
                key: signer.clone(),
                file_id: None,
            };
            header
                .check_signature(&expected)
                .map_err(|error| signature_error(&error, &self.path))?;
        }
        match self.access.maker() {
            Maker::Unspecified if !maker_knew_a_secret => Err(Error::MakerUnspecified {
                path: self.path.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// An authentic header may be an old one: what remembers newer ones is asked, and told.
    fn check_anchor(&self, opened: &Opened) -> core::result::Result<(), Error> {
        let Some(anchor) = self.access.anchored() else {
            return Ok(());
        };
        let stamp = opened.header.stamp();
        let copy = opened.header.encode(opened.epochs.newest());
        let sighting = Sighting {
            file_id: *opened.header.file_id(),
            stamp,
            header_hash: seal::header_hash(&copy),
            settled: opened.is_healthy(),
        };
        match anchor.check(&sighting)? {
            AnchorVerdict::Current => Ok(()),
            AnchorVerdict::Older { seen } => Err(Error::HeaderTooOld {
                path: self.path.clone(),
                found: stamp.generation,
                found_revision: stamp.revision,
                seen: seen.generation,
                seen_revision: seen.revision,
            }),
            AnchorVerdict::Forked => Err(self.damaged(
                "the header is another than the anchor has seen under this generation and revision",
            )),
        }
    }

    fn read_copies(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let len = self.raw.len()?;
        let copy = |offset: u64| -> Result<Vec<u8>> {
            let present = len.saturating_sub(offset).min(COPY_LEN as u64);
            let mut bytes = vec![0; usize::try_from(present).map_err(|_| Code::INTERNAL)?];
            if !bytes.is_empty() {
                self.raw.read(&mut bytes, offset)?;
            }
            Ok(bytes)
        };
        Ok((copy(0)?, copy(COPY_LEN as u64)?))
    }

    /// [`Sealed::load`] for a callback: the reason is kept for whoever asks.
    fn reload(&mut self) -> Result<()> {
        self.load().map_err(|error| {
            let code = Code::from(&error);
            counters::refused(&error);
            access::set_last_error(error);
            code
        })
    }

    /// After a SHARED lock: another connection may have made the file.
    pub(super) fn after_shared_lock(&mut self) -> Result<()> {
        if self.opened.is_none() && self.raw.len()? > 0 {
            self.reload()
        } else {
            Ok(())
        }
    }

    /// After the write lock (F-20), or when SQLite is about to write under another: fresh nonces, and the
    /// header as it is now.
    pub(super) fn begin_write(&mut self) -> Result<()> {
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
    pub(super) fn repair(&mut self) -> Result<()> {
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
    pub(super) fn set_populated(&mut self) -> Result<()> {
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
    pub(super) fn log_is_empty(&mut self, log: RawFile) -> Result<()> {
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
    pub(super) fn refresh(&mut self) -> Result<bool> {
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
    pub(super) fn ensure_header(&mut self) -> Result<()> {
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

    // --- errors -------------------------------------------------------------------------------

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }
}

/// Syncs the folder of a file, so that a rollback journal that was deleted stays deleted, and a rekey journal that was made
/// is found.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|_| Code(libsqlite3_sys::SQLITE_IOERR_DIR_FSYNC))?;
    }
    Ok(())
}

/// A file that was never a database (F-11): empty, all zero, or the beginning of our own header.
fn is_unfinished_creation(start: &[u8]) -> bool {
    let magic = start.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic);
    magic || start.iter().all(|&byte| byte == 0)
}

/// What a header that does not open says about the file.
pub(crate) fn header_error(error: &HeaderOpenError, path: &Path, start: &[u8], len: u64) -> Error {
    let path = path.to_owned();
    match error {
        HeaderOpenError::NotSealed if len == 0 => Error::Empty { path },
        HeaderOpenError::NotSealed => Error::NotSealed {
            path,
            plain_sqlite: start.starts_with(b"SQLite format 3\0"),
        },
        HeaderOpenError::NoKey => Error::NoKey { path },
        HeaderOpenError::VersionUnsupported { found } => Error::VersionUnsupported {
            path,
            found: *found,
        },
        HeaderOpenError::SuiteUnsupported { found } => Error::SuiteUnsupported {
            path,
            found: *found,
        },
        HeaderOpenError::Signature(error) => signature_error(error, &path),
        // The file may be in order: this machine cannot try the passphrase.
        HeaderOpenError::Argon2(error) => Error::Io {
            path,
            source: std::io::Error::other(error.to_string()),
        },
        other => Error::Damaged {
            path,
            what: other.to_string(),
        },
    }
}

fn signature_error(error: &SignatureError, path: &Path) -> Error {
    let path = path.to_owned();
    match error {
        SignatureError::Missing => Error::SignatureMissing { path },
        other => Error::SignatureUnexpected {
            path,
            what: other.to_string(),
        },
    }
}

/// Whether a read found all it asked for.
pub(super) fn full(read: Read) -> Result<()> {
    match read {
        Read::Full => Ok(()),
        Read::Short => Err(Code::SHORT_READ),
    }
}
