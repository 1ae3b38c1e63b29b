//! What opens of a damaged sealed file, in a new one, and a list of what did not.
//!
//! SQLite itself reads the damaged file. Where a page of a B-tree does not open, a leaf with one marked row stands in
//! for it ([`crate::vfs::stand_in`]), so that the rows on both sides of it are reached; a row that needs a page which
//! does not open is left out by itself. What a lost page once held is never guessed.

use std::path::Path;

use zqlite_pq::SigningKey;
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::{Expected, Keyring, NewSlot};

use crate::target::Target;
use crate::{Error, Progress};

mod rebuild;
mod rows;
mod source;

use rebuild::Rebuild;
use source::Source;

/// How [`salvage`] works.
#[derive(Debug)]
#[non_exhaustive]
pub struct SalvageOptions {
    /// Keys that may open the damaged file.
    pub keyring: Keyring,
    /// Its expected maker; `None` accepts any.
    pub signed_by: Option<Expected>,
    /// Who may open the new file; `None`: the recipients of the damaged one. Its passphrases and raw keys cannot be
    /// taken over, because they are bound to its id.
    pub slots: Option<Vec<NewSlot>>,
    /// Who signs the new file's header.
    pub signing_key: Option<SigningKey>,
    /// Whether to leave a WAL or journal beside the damaged file out.
    pub ignore_wal: bool,
    /// Replace an existing target.
    pub force: bool,
}

impl SalvageOptions {
    /// Options with these keys: any maker, the same recipients, unsigned, with the WAL.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            signed_by: None,
            slots: None,
            signing_key: None,
            ignore_wal: false,
            force: false,
        }
    }
}

/// What [`salvage`] saved, and what it could not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The damaged file's id.
    pub file_id: FileId,
    /// The new file's id.
    pub new_file_id: FileId,
    /// Pages in the damaged file.
    pub pages: u64,
    /// The numbers of those that do not open, ascending. Some of them may have held nothing.
    pub bad_pages: Vec<u64>,
    /// Every table that the schema names.
    pub tables: Vec<SalvagedTable>,
    /// What else was lost or could not be done, one sentence each.
    pub problems: Vec<String>,
    /// Slots of the damaged file that the new one does not have, because they are for a passphrase or a raw key.
    pub slots_left_out: usize,
}

impl SalvageReport {
    /// Whether everything was saved.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty() && self.tables.iter().all(SalvagedTable::is_complete)
    }
}

/// What became of one table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SalvagedTable {
    /// Its name.
    pub name: String,
    /// Rows in the new file.
    pub rows: u64,
    /// Pages of its B-tree that do not open, ascending; those of long values are not among them.
    pub lost_pages: Vec<u32>,
    /// Where rows are missing, ascending; at most [`LOST_MAX`] entries.
    pub lost: Vec<Lost>,
    /// Places beyond those in `lost`.
    pub lost_more: u64,
    /// Rows that were read and that the new table refused, because of a constraint.
    pub refused: u64,
}

/// Entries in [`SalvagedTable::lost`], at most.
pub const LOST_MAX: usize = 10_000;

impl SalvagedTable {
    const fn new(name: String) -> Self {
        Self {
            name,
            rows: 0,
            lost_pages: Vec::new(),
            lost: Vec::new(),
            lost_more: 0,
            refused: 0,
        }
    }

    /// Whether all its rows were saved.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.lost_pages.is_empty() && self.refused == 0
    }

    fn lose(&mut self, lost: Lost) {
        if self.lost.last() == Some(&lost) {
            return;
        }
        if let (Some(Lost::Rowids { last: before, .. }), Lost::Rowids { first, last }) =
            (self.lost.last_mut(), lost)
            && before.checked_add(1) == Some(first)
        {
            *before = last;
        } else if self.lost.len() < LOST_MAX {
            self.lost.push(lost);
        } else {
            self.lost_more += 1;
        }
    }
}

/// Where rows of a table are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// All rows with rowids from `first` to `last`; the table need not have had one for each of them.
    Rowids {
        /// The first rowid.
        first: i64,
        /// The last one; not below `first`.
        last: i64,
    },
    /// One or more rows of a table without rowids.
    After {
        /// How many of the saved rows stand before them, in the order of the key.
        rows: u64,
    },
}

/// Saves what opens of a damaged sealed file into a new one, with an id and a key of its own.
///
/// Needs a header copy and page 1. Nobody should write to the damaged file meanwhile. A hot journal beside it is
/// rolled back, as whoever opens the file does; if that fails, or with `ignore_wal`, the pages are read as they stand.
/// `progress` tells whether to go on.
///
/// # Errors
/// See [`Error`]; [`Error::Damaged`] if page 1 does not open. The target is untouched then. What is lost below that is
/// in the report.
pub fn salvage(
    damaged: &Path,
    out: &Path,
    options: SalvageOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<SalvageReport, Error> {
    let mut source = Source::open(
        damaged,
        options.keyring,
        options.signed_by,
        options.ignore_wal,
    )?;
    let (slots, slots_left_out) = match options.slots {
        Some(slots) => (slots, 0),
        None => source.recipients()?,
    };
    let target = Target::create(out, options.force)?;
    let bad_pages = source.bad_pages(progress)?;
    let schema = source.read_schema()?;
    let mut rebuild = Rebuild::create(&target, &source, slots, options.signing_key)?;
    let mut tables = Vec::new();
    for object in &schema.tables {
        let table = rebuild.table(&mut source, object, progress)?;
        tables.extend(table);
    }
    let (new_file_id, mut problems) = rebuild.finish(&schema)?;
    problems.splice(..0, source.take_problems());
    let report = SalvageReport {
        file_id: source.file_id(),
        new_file_id,
        pages: source.pages(),
        bad_pages,
        tables,
        problems,
        slots_left_out,
    };
    drop(source);
    target.finish()?;
    Ok(report)
}
