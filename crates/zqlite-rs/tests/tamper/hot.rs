//! A database in the middle of a transaction, with a hot journal of two synced segments and one that was not synced.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::log::scratch;
use crate::sample::{fill, plain_pages};
use crate::support::{IOERR_DATA, PAGE, create, journal, mode};

pub(crate) const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
pub(crate) const SECTOR: usize = 512;
pub(crate) const RECORD: usize = PAGE + 8;

/// What opening the database comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every page is as it was before the transaction; the journal is gone.
    RolledBack,
    /// An error; the journal stays as it is.
    Refused,
    /// The journal counts as far as this segment; what comes from there on stays as the transaction left it.
    /// 0: as if the journal had been deleted.
    EndsBefore(usize),
}

#[derive(Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    /// Synced records.
    pub(crate) count: usize,
}

impl Segment {
    pub(crate) const fn record_at(&self, index: usize) -> usize {
        self.start + SECTOR + index * RECORD
    }

    /// End of the last synced record.
    pub(crate) const fn end(&self) -> usize {
        self.record_at(self.count)
    }
}

pub(crate) struct Record {
    pub(crate) segment: usize,
    pub(crate) page: u32,
    pub(crate) at: usize,
}

pub(crate) struct Hot {
    _dir: TempDir,
    pub(crate) victim: PathBuf,
    live: Connection,
    /// The file before the transaction.
    pub(crate) settled: Vec<u8>,
    /// In its middle.
    pub(crate) database: Vec<u8>,
    pub(crate) journal: Vec<u8>,
    pub(crate) segments: Vec<Segment>,
    before: Vec<Option<Vec<u8>>>,
    during: Vec<Option<Vec<u8>>>,
}

impl Hot {
    pub(crate) fn new() -> Self {
        let dir = scratch();
        let path = dir.path().join("live.db");
        let live = create(&path);
        mode(&live, "DELETE");
        fill(&live, 4_096);
        live.execute_batch(
            "CREATE TABLE u(x); INSERT INTO u VALUES (randomblob(6000));
             CREATE TABLE v(x); INSERT INTO v VALUES (randomblob(3000));",
        )
        .unwrap();
        let victim = dir.path().join("victim.db");
        Self::of_transaction(dir, victim, live, &path)
    }

    fn of_transaction(dir: TempDir, victim: PathBuf, live: Connection, path: &Path) -> Self {
        let settled = fs::read(path).unwrap();
        let before = plain_pages(path, PAGE);
        // What is flushed is synced in the journal first, and ends a segment.
        live.execute_batch("BEGIN; UPDATE t SET b = 'new' || b, c = randomblob(30) WHERE a < 5;")
            .unwrap();
        live.cache_flush().unwrap();
        live.execute_batch("UPDATE u SET x = randomblob(6000)")
            .unwrap();
        live.cache_flush().unwrap();
        live.execute_batch("UPDATE v SET x = randomblob(3000)")
            .unwrap();
        let during = plain_pages(path, PAGE);
        assert_eq!(before.len(), during.len());
        assert!(before.iter().chain(&during).all(Option::is_some));
        let journal = fs::read(journal(path)).unwrap();
        let segments = segments_of(&journal);
        assert_eq!(segments.len(), 2);
        assert!(segments.iter().all(|segment| segment.count >= 2));
        assert!(journal.len() > segments[1].end() + SECTOR + RECORD);
        let hot = Self {
            _dir: dir,
            victim,
            live,
            settled,
            database: fs::read(path).unwrap(),
            journal,
            segments,
            before,
            during,
        };
        assert!(hot.before != hot.during, "pages are overwritten already");
        hot.assert_verdict(&hot.journal, Verdict::RolledBack, "untouched");
        hot
    }

    /// A later transaction on the same file, after this one was committed.
    pub(crate) fn next_transaction(self) -> Self {
        let Self {
            _dir: dir,
            victim,
            live,
            ..
        } = self;
        live.execute_batch("COMMIT").unwrap();
        let path = dir.path().join("live.db");
        Self::of_transaction(dir, victim, live, &path)
    }

    /// Puts files in place; without a journal if that is empty.
    pub(crate) fn place(&self, database: &[u8], log: &[u8]) {
        fs::write(&self.victim, database).unwrap();
        if log.is_empty() {
            drop(fs::remove_file(journal(&self.victim)));
        } else {
            fs::write(journal(&self.victim), log).unwrap();
        }
    }

    /// The synced records.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut found = Vec::new();
        for (segment, of) in self.segments.iter().enumerate() {
            for at in (0..of.count).map(|index| of.record_at(index)) {
                let page = u32::from_be_bytes(self.journal[at..at + 4].try_into().unwrap());
                found.push(Record { segment, page, at });
            }
        }
        found
    }

    pub(crate) fn record_page(&self, record: &Record) -> &[u8] {
        &self.journal[record.at + 4..record.at + 4 + PAGE]
    }

    /// Opens the database, which is in the middle of its transaction, with this journal.
    pub(crate) fn assert_verdict(&self, log: &[u8], expected: Verdict, case: &str) {
        self.place(&self.database, log);
        let result = recover(&self.victim);
        let kept = fs::read(journal(&self.victim)).ok();
        let pages = plain_pages(&self.victim, PAGE);
        assert_eq!(pages.len(), self.before.len(), "{case}: the size changed");
        match expected {
            Verdict::RolledBack => {
                assert_eq!(result, Ok(()), "{case}");
                assert!(kept.is_none(), "{case}: the journal stays");
                assert!(pages == self.before, "{case}: not rolled back");
            }
            Verdict::Refused => {
                assert_eq!(result, Err(IOERR_DATA), "{case}");
                assert!(kept.as_deref() == Some(log), "{case}: the journal changed");
                self.assert_of_this_file(&pages, case);
            }
            Verdict::EndsBefore(segment) => {
                assert_eq!(result, Ok(()), "{case}");
                assert!(
                    kept.is_none_or(|kept| kept.is_empty()),
                    "{case}: the journal stays"
                );
                let expected = self.rolled_back_before(segment);
                let wrong: Vec<_> = (1..)
                    .zip(pages.iter().zip(&expected))
                    .filter(|(_, (page, expected))| page != expected)
                    .map(|(number, _)| number)
                    .collect::<Vec<u32>>();
                assert_eq!(
                    wrong,
                    Vec::<u32>::new(),
                    "{case}: pages are not as expected"
                );
            }
        }
    }

    /// Each page is one that the file had before the transaction, or in it.
    fn assert_of_this_file(&self, pages: &[Option<Vec<u8>>], case: &str) {
        for (index, page) in pages.iter().enumerate() {
            let known = page == &self.before[index] || page == &self.during[index];
            assert!(known, "{case}: page {} never was so", index + 1);
        }
    }

    fn rolled_back_before(&self, segment: usize) -> Vec<Option<Vec<u8>>> {
        let mut pages = self.during.clone();
        for record in self.records() {
            if record.segment < segment {
                let index = usize::try_from(record.page - 1).unwrap();
                pages[index].clone_from(&self.before[index]);
            }
        }
        assert!(pages != self.before, "this is a whole rollback");
        pages
    }

    /// Opens the database as it was before the transaction, with a journal that somebody put there.
    pub(crate) fn assert_no_effect(&self, log: &[u8], expected: Result<(), i32>, case: &str) {
        self.place(&self.settled, log);
        assert_eq!(recover(&self.victim), expected, "{case}");
        assert!(
            fs::read(&self.victim).unwrap() == self.settled,
            "{case}: a page changed"
        );
        self.place(&self.settled, &[]);
        assert_eq!(recover(&self.victim), Ok(()), "{case}: without the journal");
    }
}

/// Opens the database and lets SQLite roll back what is hot.
pub(crate) fn recover(path: &Path) -> Result<(), i32> {
    let connection = crate::support::open(path);
    let schema = "SELECT count(*) FROM sqlite_master";
    let read = crate::support::try_one::<i64>(&connection, schema);
    match read {
        Ok(_) => Ok(()),
        Err(_) => Err(crate::support::code(read)),
    }
}

/// The segments whose count is filled in: their records are synced.
pub(crate) fn segments_of(log: &[u8]) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut start = 0;
    while log.get(start..start + 8) == Some(&MAGIC) {
        let count = u32::from_be_bytes(log[start + 8..start + 12].try_into().unwrap());
        let segment = Segment {
            start,
            count: usize::try_from(count).unwrap(),
        };
        found.push(segment);
        start = segment.end().next_multiple_of(SECTOR);
    }
    found
}
