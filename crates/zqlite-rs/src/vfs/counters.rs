//! What the VFS counts in this process.
//!
//! Each connection has a block of its own, which it alone changes: no other core waits for it. A snapshot adds the
//! blocks of all connections to what closed ones have left behind.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zqlite_pq::page::Place;

use crate::{Error, Verdict};

/// Which file of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Database,
    Wal,
    Journal,
}

impl From<&Place> for File {
    fn from(place: &Place) -> Self {
        match place {
            Place::Database => Self::Database,
            Place::Wal { .. } => Self::Wal,
            Place::Journal { .. } | _ => Self::Journal,
        }
    }
}

/// A count for each file of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PerFile<T> {
    /// The database file.
    pub database: T,
    /// The write-ahead log.
    pub wal: T,
    /// The rollback journal.
    pub journal: T,
}

/// What the VFS has counted since the process began, for all databases and connections. All but
/// [`Counters::open_databases`] only grows.
///
/// Files without a name (the sorter, statement journals, VACUUM's copy) are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Pages that were sealed.
    pub pages_sealed: PerFile<u64>,
    /// Pages that were opened. A page that comes from a cache is not.
    pub pages_opened: PerFile<u64>,
    /// Requests of SQLite that failed, for what stands in the file does not authenticate: an altered page, a page of
    /// another place, a journal whose header does not fit.
    ///
    /// What does not open and is no failure is not counted: a frame at which recovery ends the WAL, a record that was
    /// not synced at the end of a journal, a page that was read while it was being written and opens at the second
    /// reading. [`crate::verify`], [`crate::backup`] and [`crate::salvage()`] report what they find by themselves.
    pub authentication_failures: PerFile<u64>,
    /// Bytes that SQLite wrote.
    pub written_bytes: PerFile<u64>,
    /// Syncs that SQLite asked for.
    pub syncs: PerFile<u64>,
    /// The time that these syncs took.
    pub sync_time: PerFile<Duration>,
    /// Databases that were refused when they were opened, or when their header was read again.
    pub refused: Refused,
    /// Connections that have a sealed database open now.
    pub open_databases: u64,
}

/// Why databases were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// No key at hand opens it.
    pub no_key: u64,
    /// The header is altered, damaged or too old.
    pub damaged: u64,
    /// A signature is missing, or not the expected one.
    pub signature: u64,
}

/// The counts of one connection, in a place of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Block {
    sealed: [AtomicU64; 3],
    opened: [AtomicU64; 3],
    failures: [AtomicU64; 3],
    written: [AtomicU64; 3],
    syncs: [AtomicU64; 3],
    sync_nanos: [AtomicU64; 3],
}

impl Block {
    fn add_to(&self, sum: &mut Counters) {
        add(&mut sum.pages_sealed, &self.sealed, |n| n);
        add(&mut sum.pages_opened, &self.opened, |n| n);
        add(&mut sum.authentication_failures, &self.failures, |n| n);
        add(&mut sum.written_bytes, &self.written, |n| n);
        add(&mut sum.syncs, &self.syncs, |n| n);
        add(&mut sum.sync_time, &self.sync_nanos, Duration::from_nanos);
    }
}

fn add<T: core::ops::AddAssign>(
    sum: &mut PerFile<T>,
    counts: &[AtomicU64; 3],
    of: impl Fn(u64) -> T,
) {
    let [database, wal, journal] = counts.each_ref().map(|n| of(n.load(Ordering::Relaxed)));
    sum.database += database;
    sum.wal += wal;
    sum.journal += journal;
}

/// All blocks, and what those that are gone have counted.
struct All {
    living: Vec<Arc<Block>>,
    gone: Option<Counters>,
}

static ALL: Mutex<All> = Mutex::new(All {
    living: Vec::new(),
    gone: None,
});

static NO_KEY: AtomicU64 = AtomicU64::new(0);
static DAMAGED: AtomicU64 = AtomicU64::new(0);
static SIGNATURE: AtomicU64 = AtomicU64::new(0);

/// Counts for one connection.
#[derive(Debug)]
pub(super) struct Counts(Arc<Block>);

impl Counts {
    pub(super) fn new() -> Self {
        let block = Arc::new(Block::default());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.living.push(Arc::clone(&block));
        Self(block)
    }

    pub(super) fn sealed(&self, file: File) {
        grow(&self.0.sealed, file, 1);
    }

    pub(super) fn opened(&self, file: File) {
        grow(&self.0.opened, file, 1);
    }

    pub(super) fn failed(&self, file: File) {
        grow(&self.0.failures, file, 1);
    }

    pub(super) fn written(&self, file: File, bytes: usize) {
        grow(&self.0.written, file, bytes as u64);
    }

    pub(super) fn synced(&self, file: File, elapsed: Duration) {
        grow(&self.0.syncs, file, 1);
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        grow(&self.0.sync_nanos, file, nanos);
    }
}

/// Nobody else changes the count meanwhile, for SQLite serialises the calls of a connection: a load and a store, which
/// cost less than an atomic addition.
fn grow(counts: &[AtomicU64; 3], file: File, by: u64) {
    let [database, wal, journal] = counts;
    let count = match file {
        File::Database => database,
        File::Wal => wal,
        File::Journal => journal,
    };
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

impl Drop for Counts {
    fn drop(&mut self) {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.living.retain(|block| !Arc::ptr_eq(block, &self.0));
        self.0.add_to(all.gone.get_or_insert_default());
    }
}

/// A database was refused.
pub(super) fn refused(error: &Error) {
    let count = match error.verdict() {
        Verdict::NoKey => &NO_KEY,
        Verdict::Damaged => &DAMAGED,
        Verdict::Signature => &SIGNATURE,
        Verdict::Other => return,
    };
    count.fetch_add(1, Ordering::Relaxed);
}

/// What the VFS has counted since the process began.
#[must_use]
pub fn counters() -> Counters {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sum = all.gone.unwrap_or_default();
    for block in &all.living {
        block.add_to(&mut sum);
    }
    sum.open_databases = all.living.len() as u64;
    sum.refused = Refused {
        no_key: NO_KEY.load(Ordering::Relaxed),
        damaged: DAMAGED.load(Ordering::Relaxed),
        signature: SIGNATURE.load(Ordering::Relaxed),
    };
    sum
}
