//! A backup runs while two other processes write, and is killed at random moments: the file is unharmed, the next run
//! finishes, and what it gives is the state after one commit, with all that was acknowledged before it began.
//!
//! `ZQLITE_KILLS`: kills for each journal mode (default 20). `ZQLITE_KILLS_SEED`: the seed of the moments (default:
//! another one in each run, printed). The processes are this test binary, started again with a role.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use zqlite::rusqlite::Connection;

use crate::idle::{Bench, run};
use crate::rng::Rng;
use crate::support::{assert_clean, assert_sound, create, mode, one, open};

const ROLE: &str = "ZQLITE_TEST_BACKUP_ROLE";
const FILE: &str = "ZQLITE_TEST_BACKUP_FILE";
const OUT: &str = "ZQLITE_TEST_BACKUP_OUT";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Not a test of its own: what a child does. Without a role it does nothing.
#[test]
fn child_role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let file = PathBuf::from(std::env::var_os(FILE).unwrap());
    if role == "backup" {
        println!("\nstarted");
        run(&file, Path::new(&std::env::var_os(OUT).unwrap())).unwrap();
        return;
    }
    write_for_ever(&open(&file), role.parse().unwrap());
}

/// Transactions of three rows, numbered without a gap, each of which also changes an older row.
fn write_for_ever(connection: &Connection, writer: i64) {
    connection
        .execute_batch("PRAGMA wal_autocheckpoint=20")
        .unwrap();
    connection.busy_timeout(Duration::from_secs(120)).unwrap();
    let mut number: i64 = one(
        connection,
        &format!("SELECT coalesce(max(number), 0) FROM t WHERE writer = {writer}"),
    );
    loop {
        number += 1;
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for part in 0..3 {
            connection
                .execute(
                    "INSERT INTO t(writer, number, part, b) VALUES (?1, ?2, ?3, hex(randomblob(300)))",
                    (writer, number, part),
                )
                .unwrap();
        }
        connection
            .execute(
                "UPDATE t SET b = hex(randomblob(200)) WHERE id = 1 + abs(random() % (SELECT max(id) FROM t))",
                [],
            )
            .unwrap();
        connection
            .execute(
                "UPDATE done SET number = ?2 WHERE writer = ?1",
                [writer, number],
            )
            .unwrap();
        connection.execute_batch("COMMIT").unwrap();
        println!("\ncommitted {number} .");
    }
}

fn start(role: &str, file: &Path, out: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child_role", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FILE, file)
        .env(OUT, out)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A process that writes until this is dropped.
struct Writer {
    child: Child,
    acknowledged: Arc<AtomicI64>,
}

impl Writer {
    fn start(number: i64, file: &Path) -> Self {
        let mut child = start(&number.to_string(), file, file);
        let said = BufReader::new(child.stdout.take().unwrap());
        let acknowledged = Arc::new(AtomicI64::new(0));
        let last = Arc::clone(&acknowledged);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let number = line
                    .strip_prefix("committed ")
                    .and_then(|rest| rest.strip_suffix(" .")?.parse().ok());
                if let Some(number) = number {
                    last.store(number, Ordering::SeqCst);
                }
            }
        });
        Self {
            child,
            acknowledged,
        }
    }

    fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Every transaction up to the last one is there, whole.
fn assert_consistent(connection: &Connection) -> [i64; 2] {
    assert_sound(connection);
    [1, 2].map(|writer| {
        let (rows, transactions, last): (i64, i64, i64) = connection
            .query_row(
                "SELECT count(*), count(DISTINCT number), coalesce(max(number), 0) FROM t WHERE writer = ?1",
                [writer],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!((rows, transactions), (3 * last, last), "writer {writer}");
        let done: i64 = one(connection, &format!("SELECT number FROM done WHERE writer = {writer}"));
        assert_eq!(done, last, "writer {writer}");
        last
    })
}

fn kill_again_and_again(journal: &str) {
    let kills = number("ZQLITE_KILLS").unwrap_or(20);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = number("ZQLITE_KILLS_SEED").unwrap_or_else(|| now.unwrap().subsec_nanos().into());
    println!("ZQLITE_KILLS_SEED={seed}");
    let mut rng = Rng::new(seed);
    let bench = Bench::new();
    let (path, out) = (bench.path("a.db"), bench.path("out.db"));
    let connection = create(&path);
    mode(&connection, journal);
    connection
        .execute_batch(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, writer INTEGER, number INTEGER, part INTEGER, b TEXT);
             CREATE INDEX i ON t(writer, number);
             CREATE TABLE done(writer INTEGER PRIMARY KEY, number INTEGER);
             INSERT INTO done VALUES (1, 0), (2, 0);
             CREATE TABLE ballast(b);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
             INSERT INTO ballast SELECT randomblob(3000) FROM n;",
        )
        .unwrap();
    drop(connection);
    let writers = [1, 2].map(|writer| Writer::start(writer, &path));
    while writers.iter().any(|writer| writer.acknowledged() == 0) {
        std::thread::yield_now();
    }
    let (mut killed, mut unfinished, mut resumed) = (0, 0, 0);
    for _ in 0..kills {
        let mut child = start("backup", &path, &out);
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        while said.next().unwrap().unwrap() != "started" {}
        std::thread::sleep(Duration::from_micros(rng.below(60_000) as u64));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(9), "{status:?}");
        killed += usize::from(status.signal() == Some(9));
        unfinished += usize::from(bench.names().iter().any(|name| name.starts_with(".out.db")));
        if out.exists() {
            assert_consistent(&open(&out));
            std::fs::remove_file(&out).unwrap();
        }
        let acknowledged = writers.each_ref().map(Writer::acknowledged);
        let made = run(&path, &out).unwrap();
        resumed += usize::from(made.resumed);
        let found = assert_consistent(&open(&out));
        for (found, acknowledged) in found.iter().zip(acknowledged) {
            assert!(
                *found >= acknowledged,
                "{found} found, {acknowledged} acknowledged"
            );
        }
        assert_clean(&out);
        std::fs::remove_file(&out).unwrap();
        drop(std::fs::remove_file(bench.path("out.db-wal")));
        drop(std::fs::remove_file(bench.path("out.db-shm")));
    }
    let acknowledged = writers.each_ref().map(Writer::acknowledged);
    drop(writers);
    let found = assert_consistent(&open(&path));
    assert!(
        found
            .iter()
            .zip(acknowledged)
            .all(|(found, last)| *found >= last)
    );
    assert_clean(&path);
    println!(
        "{journal}: {killed} of {kills} killed, {unfinished} left unfinished, {resumed} resumed, {found:?} transactions"
    );
    assert!(killed > 0 && unfinished > 0 && resumed > 0);
}

#[test]
fn a_killed_backup_beside_writers_with_a_log_is_finished_by_the_next() {
    kill_again_and_again("WAL");
}

#[test]
fn a_killed_backup_beside_writers_with_a_journal_is_finished_by_the_next() {
    kill_again_and_again("DELETE");
}
