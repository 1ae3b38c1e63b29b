//! The shared-memory index of the WAL.

use core::ptr;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// SQLite's index of the WAL in shared memory, as xShmMap gave it out.
///
/// <https://www.sqlite.org/walformat.html#the_wal_index_file_format>: the header holds the salts at byte 32; then
/// come the page numbers of the frames, 4,062 in the first region of 32 KiB and 4,096 in each one after it.
#[derive(Default)]
pub(crate) struct WalIndex {
    /// Each valid until xShmUnmap, which clears them.
    regions: Vec<*mut u32>,
}

impl WalIndex {
    const HEADER_WORDS: u64 = 34;
    const FRAMES_PER_REGION: u64 = 4_096;
    const FIRST_REGION_FRAMES: u64 = Self::FRAMES_PER_REGION - Self::HEADER_WORDS;
    const SALTS_WORD: usize = 8;
    const LAST_FRAME_WORD: usize = 4;
    const PAGES_WORD: usize = 5;
    const BACKFILLED_WORD: usize = 24;
    const ATTEMPTED_WORD: usize = 32;
    /// `notUsed0` of SQLite's `WalCkptInfo`, "available for future enhancements".
    const RECOVERIES_WORD: usize = 33;

    pub(crate) fn insert(&mut self, region: usize, memory: *mut u32) {
        if self.regions.len() <= region {
            self.regions.resize(region + 1, ptr::null_mut());
        }
        if let Some(slot) = self.regions.get_mut(region) {
            *slot = memory;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.regions.clear();
    }

    /// The page that SQLite looks for in a frame, counted from 0.
    pub(crate) fn page_of_frame(&self, frame: u64) -> Option<u32> {
        let (region, at) = match frame.checked_sub(Self::FIRST_REGION_FRAMES) {
            None => (0, Self::HEADER_WORDS + frame),
            Some(rest) => (
                1 + rest / Self::FRAMES_PER_REGION,
                rest % Self::FRAMES_PER_REGION,
            ),
        };
        self.word(usize::try_from(region).ok()?, usize::try_from(at).ok()?)
    }

    /// salt-1 ‖ salt-2 of the generation that the index describes.
    #[expect(
        clippy::host_endian_bytes,
        reason = "SQLite copies the bytes of the WAL header into the index"
    )]
    pub(crate) fn salts(&self) -> Option<[u8; 8]> {
        let [a, b, c, d] = self.word(0, Self::SALTS_WORD)?.to_ne_bytes();
        let [e, f, g, h] = self.word(0, Self::SALTS_WORD + 1)?.to_ne_bytes();
        Some([a, b, c, d, e, f, g, h])
    }

    /// The frames, counted from 0, that are committed and that no checkpoint has finished with.
    pub(crate) fn unfinished_frames(&self) -> Option<core::ops::Range<u64>> {
        let last = self.word(0, Self::LAST_FRAME_WORD)?;
        let backfilled = self.word(0, Self::BACKFILLED_WORD)?.min(last);
        Some(u64::from(backfilled)..u64::from(last))
    }

    /// How many pages the database has after the last commit.
    pub(crate) fn committed_pages(&self) -> Option<u32> {
        self.word(0, Self::PAGES_WORD)
    }

    /// Which WAL, by its salts, and how many of its frames checkpoints have written to the database file, while the lock of
    /// a reader is held: as long as this stays the same, the file does. `None` if a checkpoint is under way, or was cut off,
    /// or there is no index.
    ///
    /// A checkpoint says how far it means to come before it writes, and how far it came when it has written. A new WAL has other
    /// salts, unless its index was recovered when there was none: both are zero then, and the number of recoveries is another. What a checkpoint writes beside a reader who holds a
    /// lock is no page that he reads from the file.
    pub(crate) fn checkpointed(&self) -> Option<[u32; 4]> {
        // What SQLite has read, it has read before this.
        fence(Ordering::SeqCst);
        let backfilled = self.word(0, Self::BACKFILLED_WORD)?;
        let attempted = self.word(0, Self::ATTEMPTED_WORD)?;
        let (first, second) = (
            self.word(0, Self::SALTS_WORD)?,
            self.word(0, Self::SALTS_WORD + 1)?,
        );
        // Zero, until somebody has set the index up.
        let version = self.word(0, 0)?;
        let recoveries = self.word(0, Self::RECOVERIES_WORD)?;
        (version != 0 && attempted == backfilled).then_some([first, second, backfilled, recoveries])
    }

    /// The index is about to be recovered: this connection alone has its locks, and may write to it. A future SQLite that
    /// uses the word sets it afterwards.
    pub(crate) fn count_recovery(&self) {
        if let Some(&memory) = self.regions.first()
            && !memory.is_null()
        {
            // SAFETY: a region that is mapped for writing, of 32 KiB; other processes read it, so it is changed atomically.
            let word = unsafe { AtomicU32::from_ptr(memory.add(Self::RECOVERIES_WORD)) };
            word.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn word(&self, region: usize, at: usize) -> Option<u32> {
        let memory = *self.regions.get(region)?;
        // SAFETY: a region that is mapped, of 32 KiB, and `at` is below 4,130; other processes write to it,
        // so it is read atomically.
        (!memory.is_null())
            .then(|| unsafe { AtomicU32::from_ptr(memory.add(at)).load(Ordering::Relaxed) })
    }
}
