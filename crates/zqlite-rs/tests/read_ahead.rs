//! Long runs of pages are read ahead, and opened on a thread beside the connection: what it finds is the same.
#![cfg(all(feature = "pq", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    unsafe_code,
    reason = "helpers of tests may panic; fork is a call to C"
)]

#[path = "support/support.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, params};
use tempfile::tempdir;
use zqlite::vfs;

use support::{
    IOERR_DATA, PAGE, PAGES_AT, assert_clean, assert_sound, create, create_sized, mode, open,
};

const THREAD: &str = "zqlite-ahead";
const ROWS: i64 = 24_000;
/// A role of a test, in a process of its own.
const CHILD: &str = "ZQLITE_TEST_READ_AHEAD_IN";

/// About 2,500 pages in order.
fn fill(connection: &mut Connection) {
    let transaction = connection.transaction().unwrap();
    transaction
        .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, value INTEGER, filling TEXT)")
        .unwrap();
    let mut insert = transaction
        .prepare("INSERT INTO t VALUES (?1, ?1, hex(zeroblob(200)))")
        .unwrap();
    for id in 1..=ROWS {
        insert.execute([id]).unwrap();
    }
    drop(insert);
    transaction.commit().unwrap();
}

/// Count and sum of what one pass over the table finds.
fn scan(connection: &Connection) -> (i64, i64) {
    connection
        .query_row(
            "SELECT count(*), sum(value) FROM t WHERE length(filling) = 400",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap()
}

fn whole() -> (i64, i64) {
    (ROWS, ROWS * (ROWS + 1) / 2)
}

/// How many threads of this process open what was read ahead.
fn threads() -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter(|task| {
            let name = task.as_ref().unwrap().path().join("comm");
            fs::read_to_string(name).is_ok_and(|name| name.trim() == THREAD)
        })
        .count()
}

/// Runs a test of this program alone, in a process of its own.
fn alone(test: &str, folder: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .env(CHILD, folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_long_scan_finds_every_row_whatever_the_size_of_pages() {
    let dir = tempdir().unwrap();
    for page_size in [4_096, 16_384, 65_536] {
        let path = dir.path().join(format!("{page_size}.db"));
        let mut connection = create_sized(&path, page_size);
        fill(&mut connection);
        drop(connection);
        let connection = open(&path);
        let before = vfs::counters().pages_opened.database;
        assert_eq!(scan(&connection), whole(), "{page_size}");
        let least = ROWS as u64 * 400 / u64::from(page_size);
        assert!(vfs::counters().pages_opened.database - before > least);
        // Backwards there is no run to read ahead of.
        let last: i64 = connection
            .query_row(
                "SELECT id FROM t WHERE value <= 1 ORDER BY id DESC",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(last, 1);
        drop(connection);
        assert_clean(&path);
    }
}

#[test]
fn every_scan_sees_what_others_have_committed() {
    for journal_mode in ["DELETE", "WAL"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut writer = create(&path);
        mode(&writer, journal_mode);
        writer
            .execute_batch("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=100")
            .unwrap();
        fill(&mut writer);
        let reader = open(&path);
        let (count, mut sum) = whole();
        for round in 1..=20 {
            // Each touches many pages; every other one moves them about.
            let from = round * 997 % ROWS;
            let changed = writer
                .execute(
                    "UPDATE t SET value = value + ?1 WHERE id % 40 = 0 AND id > ?2",
                    params![round, from],
                )
                .unwrap();
            sum += round * i64::try_from(changed).unwrap();
            assert_eq!(scan(&reader), (count, sum), "{journal_mode}, round {round}");
            if round % 7 == 0 {
                writer.execute_batch("VACUUM").unwrap();
                assert_eq!(scan(&reader), (count, sum), "{journal_mode}, vacuum");
            }
        }
        // In one transaction: what it has written itself, and what it takes back.
        let transaction = writer.transaction().unwrap();
        for round in 0..3 {
            transaction
                .execute("UPDATE t SET value = value + 1 WHERE id % 3 = ?1", [round])
                .unwrap();
            let now = scan(&transaction).1;
            assert!((sum + 1..=sum + ROWS).contains(&now));
        }
        assert_eq!(scan(&transaction), (count, sum + ROWS));
        // With a rollback journal, what did not fit into the writer's memory keeps readers out.
        if journal_mode == "WAL" {
            assert_eq!(scan(&reader), (count, sum));
        }
        transaction.rollback().unwrap();
        assert_eq!(scan(&writer), (count, sum));
        assert_sound(&reader);
    }
}

#[test]
fn an_altered_page_is_found_when_the_scan_comes_to_it_and_not_before() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut connection = create(&path);
    fill(&mut connection);
    drop(connection);
    let good = fs::read(&path).unwrap();
    let pages = (good.len() - usize::try_from(PAGES_AT).unwrap()) / PAGE;
    assert!(pages > 2_000);
    let mut found = Vec::new();
    for page in [500, 1_003, 1_900] {
        let mut bad = good.clone();
        bad[usize::try_from(PAGES_AT).unwrap() + page * PAGE + 100] ^= 1;
        fs::write(&path, &bad).unwrap();
        let connection = open(&path);
        let mut select = connection.prepare("SELECT id FROM t ORDER BY id").unwrap();
        let mut rows = select.query([]).unwrap();
        let mut last = 0;
        let error = loop {
            match rows.next() {
                Ok(Some(row)) => last = row.get::<_, i64>(0).unwrap(),
                Ok(None) => panic!("page {page} was not missed"),
                Err(error) => break error,
            }
        };
        let code = error.sqlite_error().unwrap().extended_code;
        assert_eq!(code, IOERR_DATA, "page {page}: {error}");
        found.push(last);
    }
    // About as many rows were found as stand before the page.
    assert_eq!(found.len(), 3);
    for (last, page) in found.iter().zip([500, 1_003, 1_900]) {
        let expected = ROWS * page / i64::try_from(pages).unwrap();
        assert!(
            (last - expected).abs() < 100,
            "row {last} before page {page}"
        );
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(scan(&open(&path)), whole());
}

#[test]
fn an_open_scan_finds_what_its_own_connection_changes_ahead_of_it() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut connection = create(&path);
    fill(&mut connection);
    // Changed pages do not stay in memory: they are written while the scan goes on.
    connection
        .execute_batch("PRAGMA synchronous=OFF; PRAGMA cache_size=10")
        .unwrap();
    let change = |rows: core::ops::Range<i64>| {
        let mut update = connection
            .prepare_cached("UPDATE t SET value = -1 WHERE id = ?1")
            .unwrap();
        for id in rows.rev().filter(|id| id % 10 == 0) {
            update.execute([id]).unwrap();
        }
    };
    let mut seen = 0;
    for ahead in [200, 600, 1_200] {
        for stop in [3_000, 5_100, 7_777, 9_900] {
            connection.execute_batch("BEGIN").unwrap();
            let mut select = connection.prepare("SELECT id, value FROM t").unwrap();
            let mut rows = select.query([]).unwrap();
            let from = stop + ahead;
            while let Some(row) = rows.next().unwrap() {
                let (id, value): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
                let is_changed = id >= from && id % 10 == 0;
                assert_eq!(value, if is_changed { -1 } else { id }, "{id} from {from}");
                seen += i64::from(is_changed);
                if id == stop {
                    change(from..from + 1_200);
                } else if id == from - 100 {
                    // What was changed before is written only now, behind what was read ahead meanwhile.
                    change(from + 1_200..ROWS + 1);
                }
            }
            drop(rows);
            drop(select);
            connection.execute_batch("ROLLBACK").unwrap();
        }
    }
    assert!(seen > 12_000, "{seen}");
    assert_eq!(scan(&connection), whole());
}

/// Bytes that this process has asked the system for.
fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}

/// A role, not a test: only where the variable names a folder does it do anything.
#[test]
fn child_changes_everything() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let path = Path::new(&folder).join("a.db");
    let len = fs::metadata(&path).unwrap().len();
    let connection = open(&path);
    // Its memory is too small for what it changes: it writes behind where it reads.
    for cache_pages in [20, 500] {
        mode(&connection, "DELETE");
        connection
            .pragma_update(None, "cache_size", cache_pages)
            .unwrap();
        for sql in [
            "UPDATE t SET value = value + 1",
            "BEGIN; DELETE FROM t WHERE id % 2 = 0; ROLLBACK",
            "UPDATE t SET value = value - 1",
            "VACUUM",
        ] {
            let before = bytes_read();
            connection.execute_batch(sql).unwrap();
            let read = bytes_read() - before;
            assert!(read < 4 * len, "{sql}: {read} bytes of {len}");
        }
        assert_eq!(scan(&connection), whole());
    }
    assert_sound(&connection);
}

#[test]
fn who_changes_everything_reads_it_once_and_not_again_for_each_page_that_is_written() {
    let dir = tempdir().unwrap();
    fill(&mut create(&dir.path().join("a.db")));
    alone("child_changes_everything", dir.path());
}

/// A role, not a test: only where the variable names a folder does it do anything.
#[test]
fn child_changes_what_it_finds_by_an_index() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let path = Path::new(&folder).join("a.db");
    let connection = open(&path);
    connection
        .execute_batch("CREATE INDEX i ON t(value * 7919 % 24001, filling)")
        .unwrap();
    let len = fs::metadata(&path).unwrap().len();
    let (read, memory) = (bytes_read(), resident());
    for _ in 0..4 {
        connection
            .execute_batch("BEGIN; UPDATE t SET value = value + 1; ROLLBACK")
            .unwrap();
    }
    assert_eq!(scan(&connection), whole());
    // What it has written is kept as it was written, and in the place of what it was.
    assert!(
        bytes_read() - read < 40 * len,
        "{}",
        (bytes_read() - read) / len
    );
    let grown = resident().saturating_sub(memory);
    assert!(grown < 3 * len, "{grown} bytes for {len}");
    assert_sound(&connection);
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1_024
}

#[test]
fn what_is_written_at_random_is_kept_in_memory_that_does_not_grow() {
    let dir = tempdir().unwrap();
    fill(&mut create(&dir.path().join("a.db")));
    alone("child_changes_what_it_finds_by_an_index", dir.path());
}

/// A role, not a test: only where the variable names a folder does it do anything.
#[test]
fn child_scans_and_closes() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let path = Path::new(&folder).join("a.db");
    assert_eq!(threads(), 0);
    let connection = open(&path);
    let few: i64 = connection
        .query_row("SELECT count(*) FROM t WHERE id < 50", [], |row| row.get(0))
        .unwrap();
    assert_eq!((few, threads()), (49, 0), "a short run");
    // It ends after a while without work: on a machine that stands still, it may be gone again.
    let seen = (0..100).any(|_| {
        assert_eq!(scan(&connection), whole());
        threads() == 1
    });
    assert!(seen, "a long run");
    drop(connection);
    // It was waited for; the system may take a moment longer to forget it.
    let gone = (0..1_000_000).any(|_| threads() == 0);
    assert!(gone, "the connection is closed");
}

#[test]
fn the_thread_is_there_for_long_runs_and_ends_with_the_connection() {
    if std::thread::available_parallelism().unwrap().get() == 1 {
        println!("skipped: with one processor there is no such thread");
        return;
    }
    let dir = tempdir().unwrap();
    fill(&mut create(&dir.path().join("a.db")));
    alone("child_scans_and_closes", dir.path());
}

/// A role, not a test: only where the variable names a folder does it do anything.
#[test]
fn child_forks_while_it_scans() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let path = Path::new(&folder).join("a.db");
    let mut children = 0;
    for rows in (2_000..ROWS).step_by(2_000) {
        let connection = open(&path);
        let mut select = connection.prepare("SELECT id FROM t ORDER BY id").unwrap();
        let mut found = select.query([]).unwrap();
        for _ in 0..rows {
            found.next().unwrap().expect("a row");
        }
        // SAFETY: the child reads on, closes what it has, and ends with _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: whoever waits for a thread that it does not have is killed.
            unsafe { libc::alarm(20) };
            let next: Option<i64> = found.next().unwrap().map(|row| row.get(0).unwrap());
            let mut more = 0;
            while found.next().unwrap().is_some() {
                more += 1;
            }
            drop(found);
            drop(select);
            drop(connection);
            let right = next == Some(rows + 1) && more == ROWS - rows - 1;
            // SAFETY: ends the child without running what belongs to its parent.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = -1;
        // SAFETY: waits for the child.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "the child after {rows} rows");
        children += 1;
    }
    assert_eq!(children, 11);
}

#[test]
fn the_child_of_a_fork_waits_for_no_thread_of_its_parent() {
    let dir = tempdir().unwrap();
    fill(&mut create(&dir.path().join("a.db")));
    alone("child_forks_while_it_scans", dir.path());
}
