//! What need not be read from the file again: pages that are asked for often, and what lies ahead in a run of pages.
//!
//! Plain SQLite leaves that to the operating system's cache, which holds sealed pages: each costs a system call and an
//! opening. SQLite's own cache is small, as it should be: in a large one, every page that is read displaces something from
//! the processor's caches, and who scans a table fills it with what nobody asks for again. It is also emptied whenever
//! another connection has committed; with a WAL, what is kept here outlives that.
//!
//! Long runs are opened on a thread beside, one window ahead of where the connection is.
//!
//! Everything here rests on what SQLite's own cache rests on. While a read lock is held, no page of the file that its
//! holder may read changes, but for his own writes. From one read transaction to the next nothing has changed if the
//! version has not: with a rollback journal, the counters in page 1. With a WAL, only checkpoints write to the file, and
//! they say in the shared-memory index how far they mean to come and how far they came: commits change nothing here.

mod ahead;
mod beside;
mod budget;
mod kept;
mod window;

use ahead::Ahead;
pub(super) use beside::processors;
pub(super) use budget::total as budget;
pub(super) use kept::Came;
use kept::{Kept, Limit, TakenOut};
pub(super) use window::Page;

use super::sealed::PageKeys;

/// What a connection keeps of opened pages however many others there are, and however small SQLite's own cache is made: the
/// interior pages, mostly.
const KEPT_BYTES_LEAST: usize = 4 << 20;
/// What tells one state of the database from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Bytes 24..40 of page 1: what SQLite compares with a rollback journal.
    Counters([u8; 16]),
    /// Which WAL, how much of it stands in the file, and how often its index was recovered.
    Index([u32; 4]),
}

/// The pages of one connection.
pub(super) struct ReadCache {
    /// Of which state of the file the kept pages are.
    version: Option<Version>,
    /// Whether a lock that is held vouches for that state.
    valid: bool,
    /// Whether SQLite may not have looked at the index since the lock was taken.
    unconfirmed: bool,
    kept: Kept,
    ahead: Ahead,
}

impl ReadCache {
    /// A cache that keeps at most `most` bytes of opened pages, if somebody has said how many.
    pub(super) fn new(most: Option<usize>) -> Self {
        Self {
            version: None,
            valid: false,
            unconfirmed: false,
            kept: Kept::new(limit(usize::MAX, most)),
            ahead: Ahead::default(),
        }
    }

    /// The size of SQLite's own cache is set, in bytes: whoever has memory for less than `most` means this, too.
    pub(super) fn set_size(&mut self, bytes: usize, most: Option<usize>) {
        self.kept.set_limit(limit(bytes, most));
    }

    /// A read transaction begins; `None` if its state of the database is none that could be met again.
    pub(super) fn begin(&mut self, version: Option<Version>) {
        if version.is_none() || self.version != version {
            self.kept.clear();
        }
        self.ahead.clear();
        self.version = version;
        self.valid = true;
        self.unconfirmed = matches!(version, Some(Version::Index(_)));
    }

    /// Before the first page of a read transaction is read: the version is what it was when the lock was taken, or nobody
    /// knows of which state the kept pages are.
    ///
    /// SQLite decides only after it has the lock from which frame on it looks into the log. A checkpoint that ended before that
    /// has put pages into the file that SQLite will look for there.
    pub(super) fn confirm(&mut self, version: impl FnOnce() -> Option<Version>) {
        if self.unconfirmed {
            self.unconfirmed = false;
            if version() != self.version {
                self.begin(None);
            }
        }
    }

    /// The lock is given up.
    pub(super) fn end(&mut self) {
        self.ahead.clear();
        self.valid = false;
        self.unconfirmed = false;
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

    /// Whether a page was read ahead.
    pub(super) fn is_ahead(&mut self, number: u32, page_len: usize) -> bool {
        self.ahead.holds(number, page_len)
    }

    /// How many pages, from this one on, to read in one piece: 1 unless pages are read in a run.
    pub(super) fn pages_to_read(&mut self, number: u32, page_len: usize) -> u32 {
        let pages = self.ahead.pages_to_read(number, page_len);
        if self.valid { pages } else { 1 }
    }

    /// Reads pages ahead, from `first` on; `read` is given a buffer and which page comes first in it.
    pub(super) fn read_ahead<E>(
        &mut self,
        first: u32,
        pages: u32,
        page_len: usize,
        read: impl FnMut(&mut [u8], u32) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ahead.fill(first, pages, page_len, read)
    }

    /// Which pages behind those to read now, and to have opened on another thread: the first, and how many.
    pub(super) fn following(&self, page_len: usize) -> Option<(u32, u32)> {
        self.valid.then(|| self.ahead.following(page_len)).flatten()
    }

    /// Does so.
    pub(super) fn read_following<E>(
        &mut self,
        first: u32,
        pages: u32,
        page_len: usize,
        keys: PageKeys,
        read: impl FnMut(&mut [u8], u32) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ahead
            .fill_following(first, pages, page_len, keys, read)
    }

    /// Pages are read one by one until another run begins.
    pub(super) const fn end_run(&mut self) {
        self.ahead.end_run();
    }

    /// Gives a page that was read ahead; `open` opens it, if nobody has. `None` if it did not open on the other thread.
    pub(super) fn take(
        &mut self,
        number: u32,
        page: &mut [u8],
        open: impl FnOnce(&[u8], &mut [u8]) -> bool,
    ) -> Option<Page> {
        self.ahead.take(number, page, open)
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

    /// A page of the file is about to be written; what is given back says whether it was kept.
    pub(super) fn will_write(&mut self, number: u32) -> Option<TakenOut> {
        self.ahead.written(number);
        // It may grow by this.
        self.ahead.file_len = None;
        let kept = self.kept.take_out(number);
        // Page 1 will tell another state than the one that the lock began with. With a WAL only checkpoints write,
        // which change no state.
        if matches!(self.version, Some(Version::Counters(_))) {
            self.version = None;
        }
        kept
    }

    /// It was written, and is kept as it is now: whose memory is too small for what he changes reads it again.
    pub(super) fn written(&mut self, kept: Option<TakenOut>, page: &[u8]) {
        if let Some(kept) = kept.filter(|_| self.valid) {
            self.kept.put_back(kept, page);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.ahead.clear();
        self.kept.clear();
    }
}

/// What may be kept of `bytes`: what somebody has asked for is his own, all else is shared with other connections.
fn limit(bytes: usize, most: Option<usize>) -> Limit {
    let bytes = bytes.max(KEPT_BYTES_LEAST);
    match most {
        Some(most) => Limit {
            own: bytes.min(most),
            shared: 0,
        },
        None => Limit {
            own: KEPT_BYTES_LEAST,
            shared: bytes - KEPT_BYTES_LEAST,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Version = Version::Counters([1; 16]);
    const B: Version = Version::Index([1; 4]);

    const LIMIT: Option<usize> = Some(1 << 20);

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
        let kept = cache.will_write(7);
        assert!(kept.is_some() && !has(&mut cache, 7));
        assert!(has(&mut cache, 9));
        cache.written(kept, &interior(2));
        let mut page = [0; 4_096];
        assert!(cache.get(7, &mut page));
        assert_eq!(page.as_slice(), interior(2));
        // Without a lock nobody knows what comes after it.
        let kept = cache.will_write(7);
        cache.end();
        cache.written(kept, &interior(3));
        cache.begin(Some(B));
        assert!(!has(&mut cache, 7) && has(&mut cache, 9));
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
        cache.will_write(7);
        cache.end();
        cache.begin(Some(A));
        assert!(!has(&mut cache, 9));
    }

    #[test]
    fn what_changes_before_the_first_read_forgets_what_was_kept() {
        let mut cache = ReadCache::new(LIMIT);
        let keep = |cache: &mut ReadCache| {
            cache.begin(Some(B));
            cache.put(7, &interior(1), Came::Alone);
            cache.end();
            cache.begin(Some(B));
        };
        keep(&mut cache);
        cache.confirm(|| Some(B));
        assert!(has(&mut cache, 7));
        cache.confirm(|| None);
        assert!(has(&mut cache, 7), "it is asked once");
        cache.end();
        keep(&mut cache);
        cache.confirm(|| Some(Version::Index([1, 1, 2, 1])));
        assert!(!has(&mut cache, 7));
        cache.put(7, &interior(2), Came::Alone);
        assert!(has(&mut cache, 7), "until the lock is given up");
        cache.end();
        cache.begin(Some(B));
        assert!(!has(&mut cache, 7));
        cache.end();
        cache.confirm(|| None);
        assert!(!cache.is_valid(), "without a lock there is nothing to ask");
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
            sizes(&mut cache, &[12, 13, 14, 15, 16, 17, 18]),
            [1, 4, 8, 16, 32, 64, 64]
        );
        cache.end();
        cache.begin(Some(A));
        assert_eq!(
            [5, 6, 7, 8].map(|number| cache.pages_to_read(number, 65_536)),
            [1, 1, 4, 4]
        );
        let fill = |cache: &mut ReadCache| {
            let read = |bytes: &mut [u8], _| -> Result<(), ()> {
                bytes.fill(9);
                Ok(())
            };
            assert_eq!(cache.read_ahead(20, 2, 4_096, read), Ok(()));
        };
        let ahead =
            |cache: &mut ReadCache| [19, 20, 21, 22].map(|number| cache.is_ahead(number, 4_096));
        fill(&mut cache);
        assert_eq!(ahead(&mut cache), [false, true, true, false]);
        let mut page = [0; 4_096];
        let taken = cache.take(21, &mut page, |stored, page| {
            page.copy_from_slice(stored);
            true
        });
        assert_eq!((taken, page), (Some(Page::Asked(true)), [9; 4_096]));
        // Behind what was read.
        cache.will_write(20);
        assert_eq!(ahead(&mut cache), [false, false, true, false]);
        cache.will_write(99);
        assert_eq!(ahead(&mut cache), [false, false, true, false]);
        fill(&mut cache);
        assert_eq!(ahead(&mut cache), [false, true, true, false]);
        let forgets = |page: &[u8], _: &mut [u8]| page.is_empty();
        cache.take(20, &mut page, forgets);
        cache.will_write(21);
        assert_eq!(ahead(&mut cache), [false; 4], "before it");
        fill(&mut cache);
        cache.end();
        assert_eq!(ahead(&mut cache), [false; 4]);
    }
}
