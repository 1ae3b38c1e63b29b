//! What the main file knows of its write-ahead log.

use super::code::{Code, Result};
use super::ffi::WalIndex;

/// What the main file learns about the WAL, and the WAL needs.
#[derive(Default)]
pub(super) struct WalState {
    /// Mask key and salts of the current WAL header.
    pub(super) generation: Option<Generation>,
    /// Whether nobody else can have begun another generation since it was read.
    pub(super) generation_is_current: bool,
    /// Whether this connection holds the RECOVER lock.
    pub(super) recovering: bool,
    /// Whether there is a shared-memory index (there is none in exclusive locking mode).
    pub(super) shared_memory: bool,
    /// Whether it is read-only and nobody has initialised it, so that SQLite recovers by itself, without locks.
    pub(super) shared_memory_read_only: bool,
    /// Whether this connection may write to it.
    pub(super) shared_memory_writable: bool,
    /// That index.
    pub(super) index: WalIndex,
    /// Whether a WAL is open.
    pub(super) open: bool,
    /// The first 8 bytes of the frame headers that this connection wrote, or read in recovery; zeros where it
    /// did neither.
    pub(super) known: Vec<FrameStart>,
}

/// Page number ‖ the database size after a commit, or 0.
pub(super) type FrameStart = [u8; 8];

/// One generation of the WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// The epoch whose key masks salts and checksums.
    pub(super) mask_epoch: u32,
    /// salt-1 ‖ salt-2.
    pub(super) salts: [u8; 8],
}

impl WalState {
    /// Whether there is a shared-memory index that SQLite goes by.
    const fn is_indexed(&self) -> bool {
        self.shared_memory && !self.shared_memory_read_only
    }

    /// What tells one state of the database file from the next, while a reader's lock is held.
    pub(super) fn checkpointed(&self) -> Option<[u32; 4]> {
        self.is_indexed()
            .then(|| self.index.checkpointed())
            .flatten()
    }

    /// The index is about to be recovered, by this connection.
    pub(super) fn note_recovery(&self) {
        if self.shared_memory_writable {
            self.index.count_recovery();
        }
    }

    /// Whether the generation that the file names is the one that the index describes, if there is one.
    pub(super) fn is_indexed_generation(&self) -> bool {
        self.generation.is_some_and(|generation| {
            !self.is_indexed() || self.index.salts() == Some(generation.salts)
        })
    }

    pub(super) fn remember(&mut self, frame: u64, start: FrameStart) -> Result<()> {
        let frame = usize::try_from(frame).map_err(|_| Code::INTERNAL)?;
        if self.known.len() <= frame {
            self.known.resize(frame + 1, [0; 8]);
        }
        if let Some(slot) = self.known.get_mut(frame) {
            *slot = start;
        }
        Ok(())
    }

    pub(super) fn known_start(&self, frame: u64) -> Option<FrameStart> {
        let start = *self.known.get(usize::try_from(frame).ok()?)?;
        (start != [0; 8]).then_some(start)
    }

    /// The page that SQLite expects in a frame: from the shared-memory index, or, without one, from what this
    /// connection recovered and wrote.
    pub(super) fn expected_page(&self, frame: u64) -> Option<u32> {
        if self.is_indexed() {
            return self.index.page_of_frame(frame);
        }
        self.known_start(frame).map(page_of)
    }

    /// How many pages the database has after the last commit in the log.
    pub(super) fn committed_pages(&self) -> u64 {
        if self.is_indexed() {
            return self.index.committed_pages().unwrap_or(0).into();
        }
        let sizes = self.known.iter().map(|start| commit_size_of(*start));
        sizes.rev().find(|size| *size > 0).unwrap_or(0).into()
    }

    /// Whether the log holds all the pages from `first` to `last`, committed and not yet checkpointed: if they are
    /// missing in the file, nothing is lost.
    pub(super) fn holds(&self, first: u64, last: u64) -> bool {
        let frames = if self.is_indexed() {
            self.index.unfinished_frames()
        } else {
            let committed = self
                .known
                .iter()
                .rposition(|start| commit_size_of(*start) > 0);
            Some(0..committed.map_or(0, |last| last as u64 + 1))
        };
        let Some(frames) = frames else {
            return false;
        };
        let wanted = last.saturating_sub(first).saturating_add(1);
        if wanted > frames.end - frames.start {
            return false;
        }
        let Ok(wanted) = usize::try_from(wanted) else {
            return false;
        };
        let mut found = vec![false; wanted];
        for frame in frames {
            let at = self
                .expected_page(frame)
                .and_then(|page| u64::from(page).checked_sub(first))
                .and_then(|at| found.get_mut(usize::try_from(at).ok()?));
            if let Some(at) = at {
                *at = true;
            }
        }
        found.into_iter().all(|found| found)
    }
}

fn page_of([a, b, c, d, ..]: FrameStart) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

fn commit_size_of([.., e, f, g, h]: FrameStart) -> u32 {
    u32::from_be_bytes([e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(page: u32, commit_size: u32) -> FrameStart {
        let mut start = [0; 8];
        start[..4].copy_from_slice(&page.to_be_bytes());
        start[4..].copy_from_slice(&commit_size.to_be_bytes());
        start
    }

    #[test]
    fn only_committed_frames_hold_pages() {
        let mut wal = WalState::default();
        assert!(!wal.holds(5, 5));
        for (frame, (page, size)) in [(1, 0), (7, 0), (6, 7), (8, 0)].into_iter().enumerate() {
            wal.remember(frame as u64, start(page, size)).unwrap();
        }
        assert!(wal.holds(6, 7));
        assert!(wal.holds(1, 1));
        assert!(!wal.holds(5, 7));
        assert!(!wal.holds(6, 8), "frame 8 is not committed");
        assert!(!wal.holds(1, u64::from(u32::MAX)));
        wal.remember(4, start(9, 9)).unwrap();
        assert!(wal.holds(6, 9));
    }
}
