//! A database with a write-ahead log of a few commits, of which nothing is checkpointed.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;

use crate::sample::{Contents, Outcome, contents, read};
use crate::support::{PAGE, PAGES_AT, beside, create, mode, open, wal};

pub(crate) const HEADER: u64 = 32;
pub(crate) const FRAME: u64 = 24 + PAGE as u64;

/// What each commit does; the last ones of several frames.
const COMMITS: [&str; 4] = [
    "UPDATE t SET c = randomblob(30) WHERE a = 1",
    "INSERT INTO t VALUES (101, 'b101', randomblob(30))",
    "UPDATE t SET c = randomblob(5000) WHERE a = 3",
    "UPDATE t SET c = randomblob(30) WHERE a = 3",
];

pub(crate) struct Frame {
    pub(crate) page: u32,
    pub(crate) commits: bool,
}

pub(crate) struct Log {
    dir: TempDir,
    /// The file that the log belongs to.
    pub(crate) path: PathBuf,
    pub(crate) database: Vec<u8>,
    pub(crate) log: Vec<u8>,
    pub(crate) frames: Vec<Frame>,
    /// The contents after 0, 1, … commits.
    pub(crate) states: Vec<Contents>,
    live: Connection,
}

impl Log {
    pub(crate) fn new() -> Self {
        let dir = scratch();
        let path = dir.path().join("live.db");
        let live = create(&path);
        mode(&live, "WAL");
        crate::sample::fill(&live, 4_096);
        live.execute_batch("PRAGMA wal_autocheckpoint=0; PRAGMA wal_checkpoint(TRUNCATE);")
            .unwrap();
        Self::of_commits(dir, path, live)
    }

    fn of_commits(dir: TempDir, path: PathBuf, live: Connection) -> Self {
        let mut states = vec![contents(&live)];
        for commit in COMMITS {
            live.execute_batch(commit).unwrap();
            states.push(contents(&live));
        }
        let (database, log) = (fs::read(&path).unwrap(), fs::read(wal(&path)).unwrap());
        let frames = frames_of(&log);
        assert_eq!(
            frames.iter().filter(|frame| frame.commits).count(),
            COMMITS.len()
        );
        assert!(frames.len() > COMMITS.len() + 1, "some commits are longer");
        Self {
            dir,
            path,
            database,
            log,
            frames,
            states,
            live,
        }
    }

    /// The same file after a checkpoint, with a log that began anew.
    pub(crate) fn next_generation(self) -> Self {
        let Self {
            dir, path, live, ..
        } = self;
        live.execute_batch("PRAGMA wal_checkpoint(RESTART); DELETE FROM t WHERE a > 100;")
            .unwrap();
        live.execute_batch("PRAGMA wal_checkpoint(RESTART)")
            .unwrap();
        Self::of_commits(dir, path, live)
    }

    /// The same commits in another file with the same key.
    pub(crate) fn victim(&self) -> Victim {
        Victim {
            path: self.dir.path().join("victim.db"),
        }
    }

    pub(crate) fn pages(&self) -> u64 {
        (self.database.len() as u64 - PAGES_AT) / PAGE as u64
    }

    /// Where a frame begins.
    pub(crate) const fn frame_at(index: usize) -> usize {
        32 + index * (24 + PAGE)
    }

    /// A frame, with its header.
    pub(crate) fn frame(&self, index: usize) -> &[u8] {
        &self.log[Self::frame_at(index)..Self::frame_at(index + 1)]
    }

    /// How many commits are complete in the first frames.
    pub(crate) fn commits_in(&self, frames: usize) -> usize {
        self.frames[..frames]
            .iter()
            .filter(|frame| frame.commits)
            .count()
    }
}

pub(crate) fn frames_of(log: &[u8]) -> Vec<Frame> {
    log[32..]
        .chunks_exact(24 + PAGE)
        .map(|frame| Frame {
            page: u32::from_be_bytes(frame[..4].try_into().unwrap()),
            commits: frame[4..8] != [0; 4],
        })
        .collect()
}

/// The place where doctored files are opened.
pub(crate) struct Victim {
    pub(crate) path: PathBuf,
}

impl Victim {
    /// Puts files there as a crash leaves them: without shared memory.
    pub(crate) fn place(&self, database: &[u8], log: &[u8]) {
        fs::write(&self.path, database).unwrap();
        self.place_log(log);
    }

    pub(crate) fn place_log(&self, log: &[u8]) {
        drop(fs::remove_file(beside(&self.path, "-shm")));
        fs::write(wal(&self.path), log).unwrap();
    }

    /// Recovers and reads; nothing is checkpointed.
    pub(crate) fn attempt(&self, expected: &Contents, case: &str) -> Outcome {
        let connection = open(&self.path);
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
        read(&connection, expected, case)
    }

    /// Recovers, reads, and checkpoints what was recovered.
    pub(crate) fn attempt_and_checkpoint(&self, expected: &Contents, case: &str) -> Outcome {
        let connection = open(&self.path);
        let outcome = read(&connection, expected, case);
        drop(connection);
        assert!(!wal(&self.path).exists(), "{case}: no checkpoint");
        outcome
    }
}

/// A folder in memory where there is one: thousands of checkpoints and rollbacks are synced here, and none of them
/// has to survive a power cut.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).unwrap_or_else(|_| tempfile::tempdir().unwrap())
}
