//! The database that is attacked, and what may come out of it: its rows, or an error.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::{TempDir, tempdir};
use zqlite::pq::header::Opened;
use zqlite::pq::page::{PageContext, PageOpener, Place};
use zqlite::{Verdict, VerifyOptions};

use crate::support::{
    IOERR_DATA, PAGES_AT, builder, create_sized, header_of, one, peek, poke, ring,
};

/// Everything that the tables hold, by rowid and by index.
const QUERIES: [&str; 4] = [
    "SELECT type || name || tbl_name || coalesce(sql, '') FROM sqlite_master ORDER BY rowid",
    "SELECT a || ' ' || b || ' ' || coalesce(hex(c), '') FROM t NOT INDEXED ORDER BY a",
    "SELECT b || ' ' || a FROM t INDEXED BY t_b ORDER BY b",
    "SELECT a || ' ' || b || ' ' || coalesce(hex(c), '') FROM t NOT INDEXED ORDER BY a DESC",
];

/// What [`QUERIES`] give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents([Vec<String>; 4]);

/// What came of reading everything. Wrong rows are no outcome: they panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every row, and SQLite's structures are in order.
    Whole,
    /// SQLite's extended code, or the integrity check's complaint (as `SQLITE_CORRUPT`).
    Refused(i32),
    /// The file did not open.
    Closed(Verdict),
}

pub(crate) fn contents(connection: &Connection) -> Contents {
    Contents(QUERIES.map(|sql| {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }))
}

/// Reads everything. Each row, also those before an error, must be the expected one.
pub(crate) fn read(connection: &Connection, expected: &Contents, case: &str) -> Outcome {
    for (sql, expected) in QUERIES.iter().zip(&expected.0) {
        if let Err(error) = read_one(connection, sql, expected, case) {
            return Outcome::Refused(code_of(&error));
        }
    }
    let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    match check {
        Ok(line) if line == "ok" => Outcome::Whole,
        Ok(_) => Outcome::Refused(rusqlite::ffi::SQLITE_CORRUPT),
        Err(error) => Outcome::Refused(code_of(&error)),
    }
}

fn read_one(
    connection: &Connection,
    sql: &str,
    expected: &[String],
    case: &str,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut expected = expected.iter();
    while let Some(row) = rows.next()? {
        let found: String = row.get(0)?;
        assert_eq!(Some(&found), expected.next(), "{case}: a wrong row: {sql}");
    }
    assert_eq!(None, expected.next(), "{case}: a row is missing: {sql}");
    Ok(())
}

fn code_of(error: &rusqlite::Error) -> i32 {
    match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            error.extended_code
        }
        other => panic!("not an error of SQLite's: {other}"),
    }
}

/// Opens with the raw key and reads everything.
pub(crate) fn attempt(path: &Path, expected: &Contents, case: &str) -> Outcome {
    match builder(path).open() {
        Ok(connection) => read(&connection, expected, case),
        Err(error) => Outcome::Closed(error.verdict()),
    }
}

/// What `verify` reports, be it in its report or as an error.
pub(crate) fn reported(path: &Path) -> Vec<String> {
    match zqlite::verify(path, VerifyOptions::new(ring()), &mut |_| true) {
        Ok(report) => report.problems,
        Err(error) => vec![error.to_string()],
    }
}

/// A database of at most 8 pages: table, index, overflow pages, a trunk of the freelist and leaves.
pub(crate) struct Sample {
    _dir: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) page_len: usize,
    pub(crate) contents: Contents,
    pub(crate) whole: Vec<u8>,
    /// The page that lists the free pages, and those: they hold no row.
    trunk: u64,
    leaves: Vec<u64>,
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self::with_pages_of(4_096)
    }

    pub(crate) fn with_pages_of(page_size: u32) -> Self {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = create_sized(&path, page_size);
        fill(&connection, page_size);
        let contents = contents(&connection);
        assert_eq!(contents.0.each_ref().map(Vec::len), [2, 20, 20, 20]);
        drop(connection);
        let whole = fs::read(&path).unwrap();
        let page_len = usize::try_from(page_size).unwrap();
        let (trunk, leaves) = free_pages(&path, page_len);
        let sample = Self {
            _dir: dir,
            path,
            page_len,
            contents,
            whole,
            trunk,
            leaves,
        };
        assert_eq!(sample.attempt("untouched"), Outcome::Whole);
        assert_eq!(reported(&sample.path), Vec::<String>::new());
        sample
    }

    pub(crate) fn pages(&self) -> u64 {
        (self.whole.len() as u64 - PAGES_AT) / self.page_len as u64
    }

    /// Physical offset of a page.
    pub(crate) fn page_at(&self, number: u64) -> u64 {
        PAGES_AT + (number - 1) * self.page_len as u64
    }

    pub(crate) fn page(&self, number: u64) -> &[u8] {
        let at = usize::try_from(self.page_at(number)).unwrap();
        &self.whole[at..at + self.page_len]
    }

    pub(crate) fn attempt(&self, case: &str) -> Outcome {
        attempt(&self.path, &self.contents, case)
    }

    pub(crate) fn flip(&self, at: u64, mask: u8) {
        let byte = self.whole[usize::try_from(at).unwrap()];
        poke(&self.path, at, &[byte ^ mask]);
    }

    pub(crate) fn mend(&self, at: u64) {
        poke(
            &self.path,
            at,
            &self.whole[usize::try_from(at).unwrap()..][..1],
        );
    }

    pub(crate) fn restore(&self) {
        fs::write(&self.path, &self.whole).unwrap();
    }

    /// Nobody wrote anything: what was altered was only read.
    pub(crate) fn assert_unchanged(&self) {
        assert!(
            fs::read(&self.path).unwrap() == self.whole,
            "the file changed"
        );
    }

    /// What reading everything comes to where these pages do not open.
    pub(crate) fn outcome_without(&self, pages: &[u64]) -> Outcome {
        let holds_rows = |page: &u64| *page != self.trunk && !self.leaves.contains(page);
        if pages.iter().any(holds_rows) {
            Outcome::Refused(IOERR_DATA)
        } else if pages.contains(&self.trunk) {
            // No row is there, but the integrity check follows the list of free pages.
            Outcome::Refused(rusqlite::ffi::SQLITE_CORRUPT)
        } else {
            // Only `verify` ever reads such a page.
            Outcome::Whole
        }
    }
}

/// The trunk of the list of free pages, and its leaves.
fn free_pages(path: &Path, page_len: usize) -> (u64, Vec<u64>) {
    let number = |page: &[u8], at: usize| {
        u64::from(u32::from_be_bytes(page[at..at + 4].try_into().unwrap()))
    };
    let pages = plain_pages(path, page_len);
    let page = |index: u64| pages[usize::try_from(index - 1).unwrap()].as_ref().unwrap();
    let trunk = number(page(1), 32);
    assert_eq!(number(page(trunk), 0), 0, "there is one trunk");
    let leaves = usize::try_from(number(page(trunk), 4)).unwrap();
    assert!(leaves > 0);
    let leaf = |index| number(page(trunk), 8 + 4 * index);
    (trunk, (0..leaves).map(leaf).collect())
}

pub(crate) fn fill(connection: &Connection, page_size: u32) {
    // A value of two overflow pages, and one whose pages become free.
    let long = page_size * 2;
    connection
        .execute_batch(&format!(
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c BLOB);
             CREATE INDEX t_b ON t(b);
             CREATE TABLE junk(x);
             INSERT INTO junk VALUES (randomblob({long}));
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20)
             INSERT INTO t SELECT x, hex(randomblob(20)), randomblob(30) FROM n;
             DROP TABLE junk;
             UPDATE t SET c = randomblob({long} / 2) WHERE a = 7;"
        ))
        .unwrap();
    assert!(one::<i64>(connection, "PRAGMA page_count") <= 8);
    assert!(one::<i64>(connection, "PRAGMA freelist_count") >= 2);
}

/// The pages of a file as SQLite sees them; `None` for one that does not open.
pub(crate) fn plain_pages(path: &Path, page_len: usize) -> Vec<Option<Vec<u8>>> {
    let opened: Opened = header_of(path);
    let len = fs::metadata(path).unwrap().len() - PAGES_AT;
    let bytes = peek(path, PAGES_AT, usize::try_from(len).unwrap());
    let mut opener = PageOpener::new();
    (1..)
        .zip(bytes.chunks_exact(page_len))
        .map(|(number, stored)| {
            let mut page = stored.to_vec();
            let context = PageContext {
                file_id: *opened.header.file_id(),
                number,
                place: Place::Database,
            };
            opener
                .open(opened.epochs.newest(), &context, &mut page)
                .ok()
                .map(|()| page)
        })
        .collect()
}
