//! A process that writes is killed at random moments, again and again on the same database: every transaction that
//! it acknowledged is there, whole, and the next opening leaves nothing behind. The process is this test binary,
//! started again with a role.
//!
//! `ZQLITE_KILLS`: kills for each journal mode (default 20). `ZQLITE_KILLS_SEED`: the seed of the moments and of the
//! transactions' sizes (default: another one in each run, printed).
#![cfg(all(unix, feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and children report"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tempfile::TempDir;

mod indexes;
#[path = "../crash/rng.rs"]
mod rng;
#[path = "../support/support.rs"]
mod support;

use rng::Rng;
use support::{assert_clean, assert_sound, create, one, open};

const MODE: &str = "ZQLITE_TEST_KILLED_MODE";
const FILE: &str = "ZQLITE_TEST_KILLED_FILE";
const SEED: &str = "ZQLITE_TEST_KILLED_SEED";

/// Rows that have been found once are deleted when there are more than this.
const ROWS_MAX: i64 = 3_000;

/// What each connection sets, and what may stand beside the database when it is closed.
struct Mode {
    name: &'static str,
    pragmas: &'static str,
    leaves: &'static [&'static str],
}

const MODES: [Mode; 4] = [
    Mode {
        name: "wal",
        pragmas: "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;",
        leaves: &["a.db"],
    },
    Mode {
        name: "checkpoints",
        pragmas: "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=6;",
        leaves: &["a.db"],
    },
    Mode {
        name: "delete",
        pragmas: "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;",
        leaves: &["a.db"],
    },
    Mode {
        name: "persist",
        pragmas: "PRAGMA journal_mode=PERSIST; PRAGMA synchronous=FULL;",
        leaves: &["a.db", "a.db-journal"],
    },
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What tells which row it is, over none, one or several pages.
fn value(id: i64) -> String {
    format!("row {id} ").repeat(if id % 17 == 0 { 1_200 } else { 15 })
}

/// Not a test of its own: what the child does. Without a role it does nothing.
#[test]
fn child_role() {
    let (Ok(mode), Some(seed)) = (std::env::var(MODE), number(SEED)) else {
        return;
    };
    let mode = MODES.iter().find(|known| known.name == mode).unwrap();
    let connection = open(&PathBuf::from(std::env::var_os(FILE).unwrap()));
    connection.execute_batch(mode.pragmas).unwrap();
    connection.execute_batch("PRAGMA cache_size=8").unwrap();
    write_for_ever(&connection, mode, &mut Rng::new(seed));
}

/// One transaction of some rows after the other; all rows of it say how many they are.
fn write_for_ever(connection: &Connection, mode: &Mode, rng: &mut Rng) {
    let mut insert = connection
        .prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4)")
        .unwrap();
    let mut id: i64 = one(connection, "SELECT max(id) FROM t");
    let mut transaction: i64 = one(connection, "SELECT max(transaction_id) FROM t");
    loop {
        let size = if rng.below(8) == 0 {
            40
        } else {
            1 + rng.below(5)
        };
        transaction += 1;
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..size {
            id += 1;
            insert
                .execute((id, transaction, i64::try_from(size).unwrap(), value(id)))
                .unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        println!("\ncommitted {transaction} .");
        if mode.name == "checkpoints" && rng.below(10) == 0 {
            let kind = ["PASSIVE", "RESTART", "TRUNCATE"][rng.below(3)];
            connection
                .query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |_| Ok(()))
                .unwrap();
        }
    }
}

/// A database, and where the temporary files of its writers go.
struct Bench {
    folder: TempDir,
    temporary: TempDir,
    mode: &'static Mode,
}

impl Bench {
    fn new(mode: &'static Mode) -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            temporary: tempfile::tempdir().unwrap(),
            mode,
        };
        let connection = create(&bench.path());
        connection.execute_batch(mode.pragmas).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, transaction_id INTEGER, size INTEGER, b TEXT);
                 CREATE INDEX i ON t(transaction_id);
                 INSERT INTO t VALUES (0, 0, 1, 'row 0');
                 CREATE TABLE runs(n INTEGER); INSERT INTO runs VALUES (0);",
            )
            .unwrap();
        bench
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.db")
    }

    fn start(&self, seed: u64) -> (Child, BufReader<ChildStdout>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_role", "--exact", "--nocapture", "--test-threads=1"])
            .env(MODE, self.mode.name)
            .env(FILE, self.path())
            .env(SEED, seed.to_string())
            .env("SQLITE_TMPDIR", self.temporary.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        (child, said)
    }

    /// Starts a writer and kills it. Returns the last transaction that it acknowledged.
    fn kill_one(&self, rng: &mut Rng) -> i64 {
        let (mut child, said) = self.start(rng.next());
        let mut acknowledged = said.lines().map_while(Result::ok).filter_map(|line| {
            // A line that the kill cut short says nothing.
            line.strip_prefix("committed ")?
                .strip_suffix(" .")?
                .parse()
                .ok()
        });
        let first = acknowledged.next();
        sleep(Duration::from_micros(rng.next() % 30_000));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(9),
            "it ended before it could be killed"
        );
        // What was said until it ended counts, too.
        acknowledged
            .last()
            .or(first)
            .expect("it acknowledged nothing")
    }

    /// Checks what a killed writer left. Returns the last transaction that is there.
    fn check(&self, acknowledged: i64) -> i64 {
        let connection = open(&self.path());
        let last: i64 = one(&connection, "SELECT max(transaction_id) FROM t");
        let range = acknowledged..=acknowledged + 1;
        assert!(
            range.contains(&last),
            "{acknowledged} acknowledged, {last} found"
        );
        assert_rows(&connection);
        assert_sound(&connection);
        connection.execute_batch(self.mode.pragmas).unwrap();
        if one::<i64>(&connection, "SELECT count(*) FROM t") > ROWS_MAX {
            connection
                .execute("DELETE FROM t WHERE transaction_id < ?1", [last])
                .unwrap();
        }
        // A journal that was never synced is not hot: the next writer removes it.
        connection
            .execute_batch("UPDATE runs SET n = n + 1")
            .unwrap();
        drop(connection);
        assert_eq!(names(self.folder.path()), self.mode.leaves);
        assert_eq!(names(self.temporary.path()), [""; 0]);
        last
    }
}

/// No transaction is missing between the first and the last, none is there in part, and every row is its own.
fn assert_rows(connection: &Connection) {
    let mut statement = connection
        .prepare("SELECT id, transaction_id, size, b FROM t ORDER BY id")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    // The transaction of the row before, and how many rows of it are still to come.
    let mut expected: Option<(i64, i64, i64)> = None;
    while let Some(row) = rows.next().unwrap() {
        let get = |at| row.get::<_, i64>(at).unwrap();
        let (id, transaction, size) = (get(0), get(1), get(2));
        if let Some((id_before, transaction_before, missing)) = expected {
            let next = transaction_before + i64::from(missing == 0);
            assert_eq!((id, transaction), (id_before + 1, next));
        }
        let missing = match expected {
            Some((_, before, missing)) if before == transaction => missing,
            _ => size,
        };
        expected = Some((id, transaction, missing - 1));
        if id > 0 {
            assert_eq!(row.get_ref(3).unwrap().as_str().unwrap(), value(id));
        }
    }
    assert_eq!(
        expected.map(|(_, _, missing)| missing),
        Some(0),
        "the last is cut"
    );
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn kill_again_and_again(mode: &'static Mode) {
    let kills = number("ZQLITE_KILLS").unwrap_or(20);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = number("ZQLITE_KILLS_SEED").unwrap_or_else(|| now.unwrap().subsec_nanos().into());
    println!("ZQLITE_KILLS_SEED={seed}");
    let mut rng = Rng::new(seed);
    let bench = Bench::new(mode);
    let (mut last, mut unfinished, mut done) = (0, 0, 0);
    for _ in 0..kills {
        let acknowledged = bench.kill_one(&mut rng);
        assert!(acknowledged > last, "{acknowledged} after {last}");
        unfinished += usize::from(names(bench.folder.path()).len() > bench.mode.leaves.len());
        last = bench.check(acknowledged);
        done += 1;
    }
    assert_eq!(done, kills);
    assert_eq!(
        one::<i64>(&open(&bench.path()), "SELECT n FROM runs"),
        i64::try_from(kills).unwrap()
    );
    println!(
        "{}: {kills} kills, {last} transactions, a log or journal to recover after {unfinished}",
        mode.name
    );
    assert_clean(&bench.path());
}

#[test]
fn what_was_acknowledged_before_a_kill_is_in_the_log() {
    kill_again_and_again(&MODES[0]);
}

#[test]
fn what_was_acknowledged_before_a_kill_survives_checkpoints() {
    kill_again_and_again(&MODES[1]);
}

#[test]
fn what_was_acknowledged_before_a_kill_is_not_rolled_back_by_a_journal_that_is_deleted() {
    kill_again_and_again(&MODES[2]);
}

#[test]
fn what_was_acknowledged_before_a_kill_is_not_rolled_back_by_a_journal_that_persists() {
    kill_again_and_again(&MODES[3]);
}
