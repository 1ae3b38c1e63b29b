//! What need not be read from the file again: pages that are asked for often, and what lies ahead in a run of pages.
//!
//! Plain SQLite leaves that to the operating system's cache, which holds sealed pages: each costs a system call and an
//! opening. SQLite's own cache is small, as it should be: in a large one, every page that is read displaces something from
//! the processor's caches, and who scans a table fills it with what nobody asks for again. It is also emptied whenever
//! another connection has committed; with a WAL, what is kept here outlives that.
//!
//! Everything here rests on what SQLite's own cache rests on. While a read lock is held, no page of the file that its
//! holder may read changes, but for his own writes. From one read transaction to the next nothing has changed if the
//! version has not: with a rollback journal, the counters in page 1. With a WAL, only checkpoints write to the file, and
//! they say in the shared-memory index how far they mean to come and how far they came: commits change nothing here.

mod kept;

pub(super) use kept::Came;
use kept::Kept;

/// What is kept of opened pages where SQLite's own cache is made smaller than this: the interior pages, mostly.
const KEPT_BYTES_LEAST: usize = 4 << 20;
/// How many bytes are read ahead at most.
const AHEAD_BYTES: usize = 128 << 10;
/// The first reading ahead covers this many pages; each further one twice as many.
const AHEAD_FIRST: u32 = 4;
/// How many pages in a row make a run.
const RUN: u32 = 2;

/// What tells one state of the database from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Bytes 24..40 of page 1: what SQLite compares with a rollback journal.
    Counters([u8; 16]),
    /// Which WAL, and how much of it stands in the file.
    Index([u32; 3]),
}

/// The pages of one connection.
pub(super) struct ReadCache {
    /// Of which state of the file the kept pages are.
    version: Option<Version>,
    /// Whether a lock that is held vouches for that state.
    valid: bool,
    kept: Kept,
    ahead: Ahead,
}

impl ReadCache {
    /// A cache that keeps at most `limit` bytes of opened pages.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            version: None,
            valid: false,
            kept: Kept::new(limit),
            ahead: Ahead::default(),
        }
    }

    /// The size of SQLite's own cache is set, in bytes: whoever has memory for less than `most` means this, too.
    pub(super) fn set_size(&mut self, bytes: usize, most: usize) {
        self.kept.set_limit(bytes.max(KEPT_BYTES_LEAST).min(most));
    }

    /// A read transaction begins; `None` if its state of the database is none that could be met again.
    pub(super) fn begin(&mut self, version: Option<Version>) {
        if version.is_none() || self.version != version {
            self.kept.clear();
        }
        self.ahead.clear();
        self.version = version;
        self.valid = true;
    }

    /// The lock is given up.
    pub(super) fn end(&mut self) {
        self.ahead.clear();
        self.valid = false;
        if self.version.is_none() {
            self.kept.clear();
        }
    }

    /// Whether a read transaction has begun and not ended.
    pub(super) const fn is_valid(&self) -> bool {
        self.valid
    }

    /// Copies a page from the cache, if it has it.
    pub(super) fn get(&mut self, number: u32, page: &mut [u8]) -> bool {
        let found = self.valid && self.kept.get(number, page);
        if found {
            self.ahead.passed(number);
        }
        found
    }

    /// Offers a page that was opened.
    pub(super) fn put(&mut self, number: u32, page: &[u8], came: Came) {
        // Page 1 tells the version: it is always read.
        if self.valid && number != 1 {
            self.kept.put(number, page, came);
        }
    }

    /// A stored page that was read ahead.
    pub(super) fn stored(&self, number: u32, page_len: usize) -> Option<&[u8]> {
        let index = usize::try_from(number.checked_sub(self.ahead.first)?).ok()?;
        let start = index.checked_mul(page_len)?;
        let bytes = self.ahead.bytes.get(..self.ahead.len)?;
        bytes.get(start..start.checked_add(page_len)?)
    }

    /// How many pages, from this one on, to read in one piece: 1 unless pages are read in a run.
    pub(super) fn pages_to_read(&mut self, number: u32, page_len: usize) -> u32 {
        self.ahead.note(number);
        if self.valid && self.ahead.run >= RUN {
            let most = u32::try_from(AHEAD_BYTES / page_len).unwrap_or(1);
            self.ahead.window = (self.ahead.window * 2).max(AHEAD_FIRST).min(most);
            self.ahead.window
        } else {
            1
        }
    }

    /// A page was taken from what was read ahead.
    pub(super) const fn taken(&mut self, number: u32) {
        self.ahead.next = number.saturating_add(1);
    }

    /// The buffer for stored pages from `first` on.
    pub(super) fn ahead(&mut self, first: u32, len: usize) -> &mut [u8] {
        self.ahead.first = first;
        self.ahead.len = len;
        // It never shrinks: what is read over old bytes need not be zeroed first.
        if self.ahead.bytes.len() < len {
            self.ahead.bytes.resize(len, 0);
        }
        self.ahead.bytes.get_mut(..len).unwrap_or_default()
    }

    /// How long the file is at least while the lock is held; asked for once.
    pub(super) fn file_len<E>(&mut self, ask: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
        match self.ahead.file_len {
            Some(len) if self.valid => Ok(len),
            _ => {
                let len = ask()?;
                self.ahead.file_len = Some(len);
                Ok(len)
            }
        }
    }

    /// What was read ahead is of no use.
    pub(super) fn drop_ahead(&mut self) {
        self.ahead.clear();
    }

    /// A page of the file is about to be written.
    pub(super) fn written(&mut self, number: u32) {
        self.ahead.len = 0;
        self.kept.remove(number);
        // Page 1 will tell another state than the one that the lock began with. With a WAL only checkpoints write,
        // which change no state.
        if matches!(self.version, Some(Version::Counters(_))) {
            self.version = None;
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.ahead.clear();
        self.kept.clear();
    }
}

/// Stored pages that follow each other in the file.
#[derive(Default)]
struct Ahead {
    /// Number of the first.
    first: u32,
    bytes: Vec<u8>,
    /// How many of the bytes there are of use.
    len: usize,
    /// The length of the file, as somebody asked for it.
    file_len: Option<u64>,
    /// The page that would continue the run.
    next: u32,
    /// How many pages were read in a row.
    run: u32,
    /// How many pages the last reading ahead covered.
    window: u32,
}

impl Ahead {
    /// A page is read that was not read ahead.
    const fn note(&mut self, number: u32) {
        // Interior pages stand between the leaves of a table that was filled in order.
        if number == self.next || number == self.next.saturating_add(1) {
            self.run = self.run.saturating_add(1);
        } else {
            self.run = 0;
            self.window = 0;
        }
        self.next = number.saturating_add(1);
    }

    /// A page was not read: it was kept. The run goes on behind it.
    const fn passed(&mut self, number: u32) {
        if number == self.next {
            self.next = number.saturating_add(1);
        }
    }

    fn clear(&mut self) {
        *self = Self {
            bytes: core::mem::take(&mut self.bytes),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Version = Version::Counters([1; 16]);
    const B: Version = Version::Index([1; 3]);

    const LIMIT: usize = 1 << 20;

    fn interior(byte: u8) -> Vec<u8> {
        let mut page = vec![byte; 4_096];
        page[0] = 5;
        page
    }

    fn has(cache: &mut ReadCache, number: u32) -> bool {
        cache.get(number, &mut [0; 4_096])
    }

    #[test]
    fn kept_pages_live_as_long_as_the_version() {
        let mut cache = ReadCache::new(LIMIT);
        cache.put(7, &interior(1), Came::Alone);
        assert!(!has(&mut cache, 7), "no lock is held");
        cache.begin(Some(A));
        cache.put(7, &interior(1), Came::Alone);
        cache.put(1, &interior(1), Came::Alone);
        let mut page = [0; 4_096];
        assert!(cache.get(7, &mut page));
        assert_eq!(page.as_slice(), interior(1));
        assert!(!has(&mut cache, 1), "the page that tells the version");
        cache.end();
        assert!(!has(&mut cache, 7), "the lock was given up");
        cache.begin(Some(A));
        assert!(has(&mut cache, 7));
        cache.end();
        cache.begin(Some(B));
        assert!(!has(&mut cache, 7), "another version");
    }

    #[test]
    fn what_is_written_is_forgotten_and_what_has_no_version_does_not_outlive_its_lock() {
        let mut cache = ReadCache::new(LIMIT);
        cache.begin(Some(B));
        cache.put(7, &interior(1), Came::Alone);
        cache.put(9, &interior(1), Came::Alone);
        cache.written(7);
        assert!(!has(&mut cache, 7));
        assert!(has(&mut cache, 9));
        cache.end();
        cache.begin(None);
        assert!(!has(&mut cache, 9));
        cache.put(9, &interior(1), Came::Alone);
        assert!(has(&mut cache, 9));
        cache.end();
        cache.begin(None);
        assert!(!has(&mut cache, 9));
        // A transaction with a rollback journal makes another state than the one that it began with.
        cache.end();
        cache.begin(Some(A));
        cache.put(9, &interior(1), Came::Alone);
        cache.written(7);
        cache.end();
        cache.begin(Some(A));
        assert!(!has(&mut cache, 9));
    }

    #[test]
    fn a_run_goes_on_behind_pages_that_are_kept() {
        let mut cache = ReadCache::new(LIMIT);
        cache.begin(Some(A));
        cache.put(8, &interior(1), Came::Alone);
        assert_eq!(
            [6, 7].map(|number| cache.pages_to_read(number, 4_096)),
            [1; 2]
        );
        assert!(has(&mut cache, 8));
        assert_eq!(
            [9, 10].map(|number| cache.pages_to_read(number, 4_096)),
            [4, 8]
        );
        assert_eq!(cache.pages_to_read(60, 4_096), 1, "elsewhere");
    }

    #[test]
    fn the_length_of_the_file_is_asked_for_once_while_a_lock_is_held() {
        let mut cache = ReadCache::new(LIMIT);
        let ask = |len: u64| move || Ok::<_, ()>(len);
        assert_eq!(cache.file_len(ask(1)), Ok(1));
        assert_eq!(cache.file_len(ask(2)), Ok(2), "no lock");
        cache.begin(Some(A));
        assert_eq!(cache.file_len(ask(3)), Ok(3));
        assert_eq!(cache.file_len(ask(4)), Ok(3));
        cache.end();
        cache.begin(Some(A));
        assert_eq!(cache.file_len(|| Err(())), Err(()));
        assert_eq!(cache.file_len(ask(5)), Ok(5));
    }

    #[test]
    fn reading_ahead_follows_runs_and_ends_with_the_lock() {
        let mut cache = ReadCache::new(LIMIT);
        let sizes = |cache: &mut ReadCache, numbers: &[u32]| -> Vec<u32> {
            numbers
                .iter()
                .map(|&number| cache.pages_to_read(number, 4_096))
                .collect()
        };
        assert_eq!(sizes(&mut cache, &[5, 6, 7, 8]), [1, 1, 1, 1], "no lock");
        cache.begin(Some(A));
        assert_eq!(
            sizes(&mut cache, &[5, 6, 7, 9, 10, 90, 11]),
            [1, 1, 4, 8, 16, 1, 1]
        );
        assert_eq!(
            sizes(&mut cache, &[12, 13, 14, 15, 16, 17]),
            [1, 4, 8, 16, 32, 32]
        );
        cache.end();
        cache.begin(Some(A));
        assert_eq!(
            [5, 6, 7, 8].map(|number| cache.pages_to_read(number, 65_536)),
            [1, 1, 2, 2]
        );
        cache.ahead(20, 8_192).fill(9);
        assert_eq!(cache.stored(21, 4_096), Some([9; 4_096].as_slice()));
        assert_eq!(cache.stored(22, 4_096), None);
        assert_eq!(cache.stored(19, 4_096), None);
        cache.written(99);
        assert_eq!(cache.stored(21, 4_096), None);
        cache.ahead(20, 8_192).fill(9);
        cache.end();
        assert_eq!(cache.stored(21, 4_096), None);
    }
}
