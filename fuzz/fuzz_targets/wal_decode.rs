//! A WAL that anyone may have altered: what is read is the state after a prefix of its commits, the longest one
//! that was not touched.
//!
//! Input: a mode (1 byte), then edits of a valid WAL of five commits, behind which frames of an earlier
//! generation stand; or, with bit 7 of the mode, the bytes of the WAL (behind its own header with bit 6).
#![no_main]

use core::ops::Range;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

mod store;

use store::{Folder, PAGE, Rows, assert_damaged, beside, is_sound, open, operate, problems, rows};

const HEADER: usize = 32;
const FRAME: usize = 24 + PAGE;
const COMMITS: [&str; 5] = [
    "INSERT INTO t VALUES (100, zeroblob(30)), (101, 'one hundred and one')",
    "UPDATE t SET b = CAST(printf('%.*c', 700, 'u') AS BLOB) WHERE a < 12",
    "INSERT INTO t VALUES (200, CAST(printf('%.*c', 13000, 'v') AS BLOB)); CREATE INDEX i ON t(length(b))",
    // More than the cache holds: pages go into the WAL before the commit, some of them twice.
    "UPDATE t SET b = CAST(printf('%.*c', 900, 'w') AS BLOB); UPDATE t SET b = b || 'x' WHERE a < 20",
    "DELETE FROM t WHERE a % 3 = 0",
];

struct Fixture {
    database: Vec<u8>,
    wal: Vec<u8>,
    /// Where each commit ends in the WAL.
    ends: Vec<usize>,
    /// The rows before the first commit, and after each.
    states: Vec<Rows>,
    units: Vec<Range<usize>>,
}

fuzz_target!(|input: &[u8]| {
    let Some((&mode, rest)) = input.split_first() else {
        return;
    };
    let fixture = fixture();
    let wal = match mode >> 6 {
        2 => rest.to_vec(),
        3 => [&fixture.wal[..HEADER], rest].concat(),
        _ => operate(rest, &fixture.wal, &fixture.units),
    };
    let folder = Folder::new();
    let path = folder.join("a.db");
    fs::write(&path, &fixture.database).expect("a copy of the database");
    match mode % 4 {
        0 => recovered(fixture, &path, &wal, ""),
        1 => recovered(fixture, &path, &wal, "PRAGMA locking_mode=EXCLUSIVE"),
        2 => recovered_and_written(fixture, &path, &wal),
        _ => altered_while_open(fixture, &path, &wal),
    }
});

/// The rows that stand in a WAL which begins like the valid one.
fn state<'a>(fixture: &'a Fixture, wal: &[u8]) -> &'a Rows {
    let same = wal
        .iter()
        .zip(&fixture.wal)
        .take_while(|(a, b)| a == b)
        .count();
    let commits = fixture.ends.iter().filter(|end| **end <= same).count();
    &fixture.states[commits]
}

/// Nobody has the database open: SQLite recovers the WAL.
fn recovered(fixture: &Fixture, path: &Path, wal: &[u8], setting: &str) {
    fs::write(beside(path, "-wal"), wal).expect("a WAL");
    let connection = open(path).expect("the database opens");
    connection.execute_batch(setting).expect("a setting");
    let found = rows(&connection).expect("a bad frame ends the log without an error");
    assert!(found == *state(fixture, wal), "another state");
    assert!(is_sound(&connection));
}

/// The same, and what is written afterwards stands.
fn recovered_and_written(fixture: &Fixture, path: &Path, wal: &[u8]) {
    fs::write(beside(path, "-wal"), wal).expect("a WAL");
    let connection = open(path).expect("the database opens");
    connection
        .execute_batch("INSERT INTO t VALUES (1000, x'0102')")
        .expect("the database is written");
    drop(connection);
    let mut expected = state(fixture, wal).clone();
    expected.push((1_000, vec![1, 2]));
    assert_eq!(problems(path), Vec::<String>::new());
    let connection = open(path).expect("the database opens again");
    assert!(
        rows(&connection).expect("its rows") == expected,
        "other rows"
    );
}

/// The WAL is altered under an open connection, whose index is honest: every row, or an error.
fn altered_while_open(fixture: &Fixture, path: &Path, wal: &[u8]) {
    let log = beside(path, "-wal");
    fs::write(&log, &fixture.wal).expect("the WAL");
    let first = open(path).expect("the database opens");
    let all = &fixture.states[COMMITS.len()];
    assert!(rows(&first).expect("the rows") == *all);
    let mut file = fs::File::options().write(true).open(&log).expect("the WAL");
    file.write_all(wal).expect("its bytes");
    file.set_len(wal.len() as u64).expect("its length");
    let second = open(path).expect("the database opens again");
    match rows(&second) {
        Ok(found) => assert!(found == *all, "another state"),
        Err(error) => {
            assert!(wal != fixture.wal);
            assert_damaged(&error);
        }
    }
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let folder = Folder::new();
        let path = folder.join("a.db");
        let fixture = make(&path).expect("SQLite makes the fixture");
        // The folder of a run has the same path.
        store::register(&path);
        fixture
    })
}

fn make(path: &Path) -> Result<Fixture, Box<dyn std::error::Error>> {
    let connection = store::builder(path).open()?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=3;
         CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<30)
         INSERT INTO t SELECT x, CAST(printf('%.*c', 300 + x, char(64 + x)) AS BLOB) FROM n;",
    )?;
    // An earlier generation that is longer than what follows.
    for _ in 0..16 {
        connection.execute_batch("UPDATE t SET b = b || 'y'")?;
    }
    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
        assert_eq!(row.get::<_, i64>(0)?, 0);
        Ok(())
    })?;
    let mut states = vec![rows(&connection)?];
    let database = fs::read(path)?;
    for sql in COMMITS {
        connection.execute_batch(&format!("BEGIN; {sql}; COMMIT"))?;
        states.push(rows(&connection)?);
    }
    assert_eq!(fs::read(path)?, database, "no checkpoint ran");
    let wal = fs::read(beside(path, "-wal"))?;
    let frames: Vec<_> = (HEADER..wal.len()).step_by(FRAME).collect();
    // The size after the commit stands in the clear in a frame's header.
    let commits = frames.iter().filter(|at| wal[**at + 4..**at + 8] != [0; 4]);
    let ends: Vec<_> = commits.map(|at| at + FRAME).take(COMMITS.len()).collect();
    assert!(ends[COMMITS.len() - 1] < wal.len(), "older frames follow");
    let mut units: Vec<_> = frames.iter().map(|at| *at..*at + FRAME).collect();
    units.push(0..HEADER);
    Ok(Fixture {
        database,
        wal,
        ends,
        states,
        units,
    })
}
