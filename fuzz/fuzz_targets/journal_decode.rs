//! A hot rollback journal that anyone may have altered: what is rolled back is the state before the transaction,
//! or the journal is refused and stays, or it was cut where nobody can notice, and then every byte that is read
//! was written by one of the two states.
//!
//! Input: a mode (1 byte: which journal), then edits of it; or, with bit 7 of the mode, the bytes of the journal
//! (behind its own first header with bit 6).
#![no_main]

use core::ops::Range;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

mod store;

use store::{Folder, PAGE, Rows, assert_damaged, beside, is_sound, open, operate, rows};

const SECTOR: usize = 512;
const RECORD: usize = 4 + PAGE + 4;
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// The journal's id in a header.
const ID: Range<usize> = 28..44;
/// A count that was never synced.
const NO_COUNT: u32 = u32::MAX;
const MODES: [&str; 3] = [
    "PRAGMA journal_mode=DELETE",
    "PRAGMA journal_mode=DELETE; PRAGMA synchronous=OFF",
    // Behind the segments of the transaction stand those of the one before it.
    "PRAGMA journal_mode=PERSIST",
];

struct Segment {
    at: usize,
    /// The records that the header counts; `None` if it does not count them.
    records: Option<usize>,
}

struct Fixture {
    database: Vec<u8>,
    journal: Vec<u8>,
    segments: Vec<Segment>,
    before: Rows,
    units: Vec<Range<usize>>,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    RolledBack,
    Refused,
    /// A part of it may be missing without a trace.
    Either,
}

fuzz_target!(|input: &[u8]| {
    let Some((&mode, rest)) = input.split_first() else {
        return;
    };
    let fixture = &fixtures()[usize::from(mode) % MODES.len()];
    let journal = match mode >> 6 {
        2 => rest.to_vec(),
        3 => [&fixture.journal[..SECTOR], rest].concat(),
        _ => operate(rest, &fixture.journal, &fixture.units),
    };
    let folder = Folder::new();
    let path = folder.join("a.db");
    let beside = beside(&path, "-journal");
    fs::write(&path, &fixture.database).expect("a copy of the database");
    fs::write(&beside, &journal).expect("a journal");
    let connection = open(&path).expect("the database opens");
    let expected = verdict(fixture, &journal);
    match rows(&connection) {
        Ok(found) if found == fixture.before => {
            assert_ne!(expected, Verdict::Refused);
            assert!(expected == Verdict::Either || is_sound(&connection));
        }
        Ok(found) => {
            assert_eq!(expected, Verdict::Either, "other rows");
            assert!(found.iter().all(is_of_either_state), "a row of nobody's");
        }
        Err(error) => {
            assert_damaged(&error);
            assert_ne!(expected, Verdict::RolledBack, "{error}");
            if expected == Verdict::Refused {
                assert!(fs::read(&beside).is_ok_and(|stays| stays == journal));
            }
        }
    }
    drop(connection);
    // Whatever was done, the true journal still rolls all of it back.
    fs::write(&beside, &fixture.journal).expect("the journal");
    let connection = open(&path).expect("the database opens");
    let found = rows(&connection).expect("the journal is rolled back");
    assert!(found == fixture.before);
    assert!(is_sound(&connection));
    assert!(!beside.exists() || fs::read(&beside).is_ok_and(|left| left[..8] != MAGIC));
});

/// What must become of a journal (FORMAT.md, F-29 and F-31), by comparison with the true one.
fn verdict(fixture: &Fixture, journal: &[u8]) -> Verdict {
    let differs = |range: Range<usize>| {
        journal
            .get(range.clone())
            .is_none_or(|bytes| *bytes != fixture.journal[range])
    };
    let mut end = 0;
    for segment in &fixture.segments {
        let at = segment.at;
        let has_other_id = at > 0 && differs(at + ID.start..at + ID.end);
        if journal.len() < at + SECTOR || differs(at..at + 8) || has_other_id {
            return Verdict::Either;
        }
        if differs(at..at + SECTOR) {
            return Verdict::Refused;
        }
        let Some(records) = segment.records else {
            let rest = &fixture.journal[at + SECTOR..];
            let same = rest.chunks_exact(RECORD).enumerate().all(|(index, _)| {
                let record = at + SECTOR + index * RECORD;
                !differs(record..record + RECORD - 4) && journal.len() >= record + RECORD
            });
            return if same {
                Verdict::RolledBack
            } else {
                Verdict::Either
            };
        };
        for index in 0..records {
            let record = at + SECTOR + index * RECORD;
            // SQLite's checksum is not looked at, but it has to be there.
            if journal.len() < record + RECORD || differs(record..record + RECORD - 4) {
                return Verdict::Refused;
            }
        }
        end = (at + SECTOR + records * RECORD).next_multiple_of(SECTOR);
    }
    // A header that somebody put behind the last segment.
    let next = journal.get(end..end + SECTOR);
    if next.is_some_and(|next| next.starts_with(&MAGIC) && next[ID] == fixture.journal[ID]) {
        return Verdict::Refused;
    }
    Verdict::RolledBack
}

/// Every byte of row `a` is 2a or 2a + 1, by the state that wrote it.
fn value(a: i64, state: u8) -> Vec<u8> {
    let len = match a {
        // Some have overflow pages; their size stays, so that each keeps its own.
        _ if a % 9 == 0 => 9_000,
        _ => 700,
    };
    vec![(a as u8) * 2 + state; len]
}

fn is_of_either_state((a, b): &(i64, Vec<u8>)) -> bool {
    let old = (a.rem_euclid(128) as u8) * 2;
    (1..=60).contains(a)
        && b.len() == value(*a, 0).len()
        && b.iter().all(|byte| *byte == old || *byte == old + 1)
}

fn fixtures() -> &'static [Fixture; 3] {
    static FIXTURES: OnceLock<[Fixture; 3]> = OnceLock::new();
    FIXTURES.get_or_init(|| {
        let folder = Folder::new();
        let path = folder.join("a.db");
        let fixtures = MODES.map(|mode| make(&path, mode).expect("SQLite makes the fixture"));
        // The folder of a run has the same path.
        store::register(&path);
        fixtures
    })
}

fn make(path: &Path, mode: &str) -> Result<Fixture, Box<dyn std::error::Error>> {
    drop(fs::remove_file(path));
    let connection = store::builder(path).open()?;
    connection.execute_batch(mode)?;
    connection
        .execute_batch("PRAGMA cache_size=3; CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")?;
    let write = |sql: &str, rows: Range<i64>, state: u8| {
        rows.map(|a| connection.execute(sql, (value(a, state), a)))
            .collect::<Result<Vec<_>, _>>()
    };
    const INSERT: &str = "INSERT INTO t(b, a) VALUES (?1, ?2)";
    const UPDATE: &str = "UPDATE t SET b = ?1 WHERE a = ?2";
    connection.execute_batch("BEGIN")?;
    write(INSERT, 1..41, 1)?;
    connection.execute_batch("COMMIT; BEGIN")?;
    write(UPDATE, 1..41, 0)?;
    connection.execute_batch("COMMIT")?;
    let before = rows(&connection)?;
    // The cache holds three pages: the others are in the file before the transaction ends.
    connection.execute_batch("BEGIN")?;
    write(UPDATE, 1..31, 1)?;
    write(INSERT, 41..61, 1)?;
    let database = fs::read(path)?;
    let journal = fs::read(beside(path, "-journal"))?;
    connection.execute_batch("ROLLBACK")?;
    let segments = segments(&journal);
    let mut units = Vec::new();
    for segment in &segments {
        let records = segment
            .records
            .unwrap_or((journal.len() - segment.at - SECTOR) / RECORD);
        units.push(segment.at..segment.at + SECTOR);
        let first = segment.at + SECTOR;
        units.extend((0..records).map(|n| first + n * RECORD..first + (n + 1) * RECORD));
    }
    assert!(units.len() > 10, "the transaction was spilt");
    Ok(Fixture {
        database,
        journal,
        segments,
        before,
        units,
    })
}

fn segments(journal: &[u8]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut at = 0;
    while journal.get(at..at + 8) == Some(&MAGIC)
        && journal[at + ID.start..at + ID.end] == journal[ID]
    {
        let count = [8, 9, 10, 11].map(|byte| journal[at + byte]);
        let count = u32::from_be_bytes(count);
        let records = (count != NO_COUNT).then_some(count as usize);
        segments.push(Segment { at, records });
        let Some(records) = records else { break };
        at = (at + SECTOR + records * RECORD).next_multiple_of(SECTOR);
    }
    segments
}
