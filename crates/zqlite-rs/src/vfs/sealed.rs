//! What the files of one connection share: header, keys, and the sealing and opening of pages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zqlite_pq::epoch::EpochKeys;
use zqlite_pq::header::{EpochSet, Header, Opened};
use zqlite_pq::page::{PageOpener, PageSealer, PageSize};

use super::access::{self, Access};
use super::code::{Code, Result};
use super::counters::Counts;
use super::ffi::{RawFile, Read};
use super::layout;
use super::stand_in::StandIns;
use super::wal_state::WalState;
use crate::Error;

mod load;
mod pages;
mod update;

#[cfg(feature = "rusqlite")]
pub(crate) use load::header_error;
pub(super) use pages::PageKeys;

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

/// Whether a read found all it asked for.
pub(super) fn full(read: Read) -> Result<()> {
    match read {
        Read::Full => Ok(()),
        Read::Short => Err(Code::SHORT_READ),
    }
}
