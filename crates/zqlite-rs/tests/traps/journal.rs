//! The rollback journal: what ends playback, what is an error, what is ignored.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use crate::support::{
    IOERR_DATA, PAGE, assert_clean, assert_sound, builder, code, crash_copy, create, fill,
    fingerprint, flip, journal, len, mode, one, open, page_at, peek, poke, set_len,
};

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
const RECORD: u64 = PAGE as u64 + 8;

/// A database in the middle of a transaction: its journal is hot, and pages are overwritten already.
struct Hot {
    dir: TempDir,
    path: PathBuf,
    connection: Connection,
    /// What a rollback must bring back.
    before: String,
}

impl Hot {
    fn new() -> Self {
        Self::in_mode("DELETE")
    }

    fn in_mode(journal_mode: &str) -> Self {
        let dir = tempdir().unwrap();
        let path = dir.path().join("live.db");
        let connection = create(&path);
        mode(&connection, journal_mode);
        fill(&connection, 600);
        let before = fingerprint(&connection);
        begin_spilling(&connection);
        Self {
            dir,
            path,
            connection,
            before,
        }
    }

    fn copy(&self) -> PathBuf {
        let copy = self.dir.path().join("copy.db");
        crash_copy(&self.path, &copy);
        copy
    }
}

/// A transaction that writes pages before it commits.
fn begin_spilling(connection: &Connection) {
    connection
        .execute_batch(
            "PRAGMA cache_size=5; BEGIN; UPDATE t SET b = 'new' || hex(randomblob(190));",
        )
        .unwrap();
}

/// Offset and record count of each segment whose header is complete.
fn segments(path: &Path) -> Vec<(u64, u64)> {
    let bytes = fs::read(path).unwrap();
    let mut found = Vec::new();
    let mut at = 0_usize;
    while bytes.get(at..at + 8) == Some(&MAGIC) {
        let records = u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
        found.push((at as u64, u64::from(records)));
        at = (at + 512 + usize::try_from(u64::from(records) * RECORD).unwrap())
            .next_multiple_of(512);
    }
    found
}

/// Opening the copy fails with this code, and neither file changes.
fn assert_refused(copy: &Path, why: &str) {
    let (database, log) = (fs::read(copy).unwrap(), fs::read(journal(copy)).unwrap());
    let opened = builder(copy).open().unwrap();
    let read = opened.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(code(read), IOERR_DATA, "{why}");
    drop(opened);
    assert!(fs::read(copy).unwrap() == database, "{why}: a page changed");
    assert!(
        fs::read(journal(copy)).unwrap() == log,
        "{why}: the journal changed"
    );
}

fn assert_rolled_back(hot: &Hot, copy: &Path) {
    let recovered = open(copy);
    assert_eq!(fingerprint(&recovered), hot.before);
    assert_sound(&recovered);
    drop(recovered);
    assert_clean(copy);
}

#[test]
fn a_transaction_that_spilled_rolls_back_from_many_segments() {
    let hot = Hot::new();
    let copy = hot.copy();
    assert!(segments(&journal(&copy)).len() > 2);
    // The database really is half way: without its journal it is another one.
    let without = hot.dir.path().join("without.db");
    fs::copy(&copy, &without).unwrap();
    let changed =
        open(&without).query_row("SELECT count(*) FROM t WHERE b LIKE 'new%'", [], |row| {
            row.get::<_, i64>(0)
        });
    assert!(changed.is_ok_and(|rows| rows > 0));
    assert_rolled_back(&hot, &copy);
}

#[test]
fn the_connection_that_wrote_the_journal_rolls_back_from_it() {
    for journal_mode in ["DELETE", "TRUNCATE", "PERSIST", "MEMORY"] {
        let hot = Hot::in_mode(journal_mode);
        hot.connection.execute_batch("ROLLBACK").unwrap();
        assert_eq!(fingerprint(&hot.connection), hot.before, "{journal_mode}");
        assert_sound(&hot.connection);
        drop(hot.connection);
        assert_clean(&hot.path);
    }
}

#[test]
fn a_torn_page_1_is_healed_from_the_journal() {
    let hot = Hot::new();
    // The first page is in the journal only if the transaction changes it.
    hot.connection
        .execute_batch(
            "ROLLBACK; BEGIN; CREATE TABLE u(x); UPDATE t SET b = 'new' || hex(randomblob(190));",
        )
        .unwrap();
    let copy = hot.copy();
    poke(&copy, page_at(1) + 2_048, &[0x5a; 2_048]);
    assert_rolled_back(&hot, &copy);
    // Without a journal the same tear is damage.
    crash_copy(&copy, &hot.dir.path().join("torn.db"));
    let torn = hot.dir.path().join("torn.db");
    poke(&torn, page_at(1) + 2_048, &[0x5a; 2_048]);
    let read = open(&torn).query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(code(read), IOERR_DATA);
}

#[test]
fn a_tail_that_was_never_synced_ends_playback() {
    let hot = Hot::new();
    let copy = hot.copy();
    let &(start, records) = segments(&journal(&copy)).last().unwrap();
    let synced = (start + 512 + records * RECORD).next_multiple_of(512);
    // Records behind the last count, torn anywhere, or garbage, or nothing.
    for cut in [synced, synced + 512 + 4 + 1_000] {
        let copy = hot.copy();
        if len(&journal(&copy)) > cut {
            set_len(&journal(&copy), cut);
        }
        assert_rolled_back(&hot, &copy);
    }
    let copy = hot.copy();
    set_len(&journal(&copy), synced);
    let mut garbage = fs::read(journal(&copy)).unwrap();
    garbage.extend_from_slice(&[0xd9; 9_000]);
    fs::write(journal(&copy), garbage).unwrap();
    assert_rolled_back(&hot, &copy);
}

#[test]
fn a_bad_record_among_the_synced_ones_is_an_error_and_the_journal_stays() {
    let hot = Hot::new();
    let all = segments(&hot.copy().with_file_name("copy.db-journal"));
    let (first, last) = (all[0], all[all.len() - 1]);
    for (segment, index) in [(first, 0), (first, first.1 - 1), (last, last.1 - 1)] {
        let record = segment.0 + 512 + index * RECORD;
        // In the page, in its tag, in the page number.
        for at in [4 + 77, 4 + PAGE as u64 - 1, 3] {
            let copy = hot.copy();
            flip(&journal(&copy), record + at);
            let opened = builder(&copy).open().unwrap();
            let read = opened.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
            assert_eq!(code(read), IOERR_DATA);
            assert!(journal(&copy).exists());
            drop(opened);
            // Once the byte is right again, everything can be rolled back.
            flip(&journal(&copy), record + at);
            assert_rolled_back(&hot, &copy);
        }
    }
}

#[test]
fn a_journal_cut_below_its_count_is_an_error() {
    let hot = Hot::new();
    let copy = hot.copy();
    set_len(&journal(&copy), 512 + RECORD + 100);
    let opened = builder(&copy).open().unwrap();
    let read = opened.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(code(read), IOERR_DATA);
    assert!(journal(&copy).exists());
}

#[test]
fn a_doctored_header_is_refused_and_changes_nothing() {
    let hot = Hot::new();
    // Count, seed, initial page count, id, epoch, MAC, padding.
    for at in [11, 15, 19, 30, 47, 79, 300] {
        let copy = hot.copy();
        flip(&journal(&copy), at);
        assert_refused(&copy, &format!("byte {at}"));
        flip(&journal(&copy), at);
        assert_rolled_back(&hot, &copy);
    }
}

#[test]
fn a_later_segment_header_cannot_be_doctored() {
    let hot = Hot::new();
    let copy = hot.copy();
    let second = segments(&journal(&copy))[1].0;
    flip(&journal(&copy), second + 11);
    let opened = builder(&copy).open().unwrap();
    let read = opened.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(code(read), IOERR_DATA);
    assert!(journal(&copy).exists());
}

#[test]
fn a_planted_journal_of_another_database_changes_nothing() {
    let (hot, stranger) = (Hot::new(), Hot::new());
    hot.connection.execute_batch("ROLLBACK").unwrap();
    let copy = hot.copy();
    let foreign = stranger.copy();
    fs::copy(journal(&foreign), journal(&copy)).unwrap();
    assert_refused(&copy, "another database's journal");
    fs::remove_file(journal(&copy)).unwrap();
    assert_rolled_back(&hot, &copy);
}

#[test]
fn a_planted_journal_of_plain_sqlite_changes_nothing() {
    let hot = Hot::new();
    hot.connection.execute_batch("ROLLBACK").unwrap();
    let copy = hot.copy();
    // What plain SQLite would take for a journal: one record that blanks page 2.
    let mut planted = vec![0_u8; 512];
    planted[..8].copy_from_slice(&MAGIC);
    planted[8..12].copy_from_slice(&1_u32.to_be_bytes());
    planted[16..20].copy_from_slice(&40_u32.to_be_bytes());
    planted[20..24].copy_from_slice(&512_u32.to_be_bytes());
    planted[24..28].copy_from_slice(&4_096_u32.to_be_bytes());
    planted.extend_from_slice(&2_u32.to_be_bytes());
    planted.extend_from_slice(&[0; PAGE + 4]);
    fs::write(journal(&copy), planted).unwrap();
    assert_refused(&copy, "a plain journal");
}

#[test]
fn a_record_of_another_journal_of_the_same_database_does_not_open() {
    let hot = Hot::new();
    let old = fs::read(journal(&hot.copy())).unwrap();
    hot.connection.execute_batch("ROLLBACK").unwrap();
    begin_spilling(&hot.connection);
    let copy = hot.copy();
    let record = 512..512 + usize::try_from(RECORD).unwrap();
    let new = fs::read(journal(&copy)).unwrap();
    assert_eq!(
        old[512..516],
        new[512..516],
        "both begin with the same page"
    );
    poke(&journal(&copy), 512, &old[record]);
    let opened = builder(&copy).open().unwrap();
    let read = opened.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(code(read), IOERR_DATA);
}

#[test]
fn the_stored_checksum_of_a_record_means_nothing() {
    let hot = Hot::new();
    let copy = hot.copy();
    for (start, records) in segments(&journal(&copy)) {
        for index in 0..records {
            let at = start + 512 + index * RECORD + 4 + PAGE as u64;
            // Zeros are stored: SQLite's checksum would be linear in the plaintext.
            assert_eq!(peek(&journal(&copy), at, 4), [0; 4]);
            poke(&journal(&copy), at, &[0xff; 4]);
        }
    }
    assert_rolled_back(&hot, &copy);
}

#[test]
fn a_longer_journal_of_an_earlier_transaction_lies_behind_a_persistent_one() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let connection = create(&path);
    mode(&connection, "PERSIST");
    fill(&connection, 600);
    begin_spilling(&connection);
    connection.execute_batch("COMMIT").unwrap();
    let long = len(&journal(&path));
    let before = fingerprint(&connection);
    for rows in [60, 150, 300] {
        connection
            .execute_batch(&format!(
                "BEGIN; UPDATE t SET b = 'newer' || hex(randomblob(190)) WHERE a <= {rows};"
            ))
            .unwrap();
        assert_eq!(
            len(&journal(&path)),
            long,
            "the journal was written over the old one"
        );
        let copy = dir.path().join("copy.db");
        crash_copy(&path, &copy);
        let recovered = open(&copy);
        assert_eq!(fingerprint(&recovered), before, "{rows} rows");
        assert_sound(&recovered);
        connection.execute_batch("ROLLBACK").unwrap();
        assert_eq!(fingerprint(&connection), before);
    }
    assert_sound(&connection);
    drop(connection);
    assert_clean(&path);
}

#[test]
fn a_journal_that_is_never_synced_rolls_back_what_is_there() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let connection = create(&path);
    fill(&connection, 300);
    connection.execute_batch("PRAGMA synchronous=OFF").unwrap();
    let before = fingerprint(&connection);
    begin_spilling(&connection);
    let copy = dir.path().join("copy.db");
    crash_copy(&path, &copy);
    assert_eq!(peek(&journal(&copy), 8, 4), [0xff; 4]);
    assert_eq!(fingerprint(&open(&copy)), before);
    let rows: i64 = one(&connection, "SELECT count(*) FROM t WHERE b LIKE 'new%'");
    assert_eq!(rows, 300);
}

/// FORMAT.md F-31: where nothing was ever synced, the first record that does not open is the end.
#[test]
fn a_torn_record_of_a_journal_that_is_never_synced_ends_it() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("live.db");
    let connection = create(&path);
    fill(&connection, 300);
    connection.execute_batch("PRAGMA synchronous=OFF").unwrap();
    begin_spilling(&connection);
    let copy = dir.path().join("copy.db");
    let records = (len(&journal(&path)) - 512) / RECORD;
    assert!(records > 10);
    for torn in ["cut", "page", "number"] {
        crash_copy(&path, &copy);
        let last = 512 + (records - 1) * RECORD;
        match torn {
            "cut" => set_len(&journal(&copy), last + 1_000),
            "page" => flip(&journal(&copy), last + 1_000),
            _ => poke(&journal(&copy), last, &[0; 4]),
        }
        // As in plain SQLite the database may be half way now, but it opens, and the journal is done with.
        let opened = open(&copy);
        let read = opened.query_row("SELECT count(*) FROM sqlite_master", [], |row| {
            row.get::<_, i64>(0)
        });
        assert_eq!(read.unwrap(), 1, "{torn}");
        assert!(!journal(&copy).exists(), "{torn}");
    }
}

/// FORMAT.md F-29: authentic, but left from an earlier transaction.
#[test]
fn a_segment_of_an_earlier_journal_ends_the_journal() {
    let hot = Hot::new();
    let old = fs::read(journal(&hot.copy())).unwrap();
    hot.connection.execute_batch("ROLLBACK").unwrap();
    begin_spilling(&hot.connection);
    let copy = hot.copy();
    let all = segments(&journal(&copy));
    let (second, last) = (all[1].0, all[all.len() - 1]);
    let end = (last.0 + 512 + last.1 * RECORD).next_multiple_of(512);
    // Behind the last segment of this journal: where it really may lie, in a journal that is kept.
    let mut spliced = fs::read(journal(&copy)).unwrap();
    spliced.truncate(usize::try_from(end).unwrap());
    let from = usize::try_from(second).unwrap();
    spliced.extend_from_slice(&old[from..]);
    fs::write(journal(&copy), &spliced).unwrap();
    assert_rolled_back(&hot, &copy);
    // In the place of this journal's second segment, where its MAC is right.
    let copy = hot.copy();
    spliced.truncate(from);
    spliced.extend_from_slice(&old[from..]);
    fs::write(journal(&copy), &spliced).unwrap();
    let opened = open(&copy);
    let read = opened.query_row("SELECT count(*) FROM sqlite_master", [], |row| {
        row.get::<_, i64>(0)
    });
    assert_eq!(read.unwrap(), 1);
    assert!(!journal(&copy).exists());
}
