//! A process that is killed in the middle of a transaction, and one that holds a snapshot while another begins a
//! new log. A process is this test binary, started again with a role.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::tempdir;

use crate::support::{
    assert_clean, assert_sound, count, create, fill, fingerprint, mode, one, open, peek, wal,
};

const ROLE: &str = "ZQLITE_TEST_TRAPS_ROLE";
const FILE: &str = "ZQLITE_TEST_TRAPS_FILE";

/// A started process; killed when it goes out of scope.
struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    fn start(role: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed::child_role",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, role)
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// Waits until it says this.
    fn expect(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            let len = self.said.read_line(&mut line).unwrap();
            assert_ne!(len, 0, "it ended before it said {word}");
        }
    }

    fn tell(&mut self) {
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"go\n")
            .unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A role, not a test: does nothing unless it is told which.
#[test]
fn child_role() {
    let (Ok(role), Some(path)) = (std::env::var(ROLE), std::env::var_os(FILE)) else {
        return;
    };
    let connection = patient(&PathBuf::from(path));
    match role.as_str() {
        "snapshot" => hold_a_snapshot(&connection),
        "write" => write_for_ever(&connection),
        other => panic!("no such role: {other}"),
    }
}

fn patient(path: &Path) -> Connection {
    let connection = open(path);
    connection.busy_timeout(Duration::from_secs(120)).unwrap();
    connection
}

fn wait_for_word() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn hold_a_snapshot(connection: &Connection) {
    connection.execute_batch("BEGIN").unwrap();
    let before = fingerprint(connection);
    println!("\nholding");
    wait_for_word();
    connection.execute_batch("PRAGMA shrink_memory").unwrap();
    assert_eq!(fingerprint(connection), before);
    connection.execute_batch("COMMIT").unwrap();
    println!("\nreleased");
    wait_for_word();
    assert_eq!(count(connection), 120);
    assert_sound(connection);
    println!("\nall well");
}

/// One transaction after the other, each bigger than the cache; the parent ends it somewhere.
fn write_for_ever(connection: &Connection) {
    connection
        .execute_batch("PRAGMA cache_size=5; PRAGMA wal_autocheckpoint=30")
        .unwrap();
    for round in 1.. {
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE;
                 UPDATE t SET b = '{round} ' || hex(randomblob(200));
                 UPDATE t SET b = b || ' done';
                 COMMIT;"
            ))
            .unwrap();
        println!("\nround {round}");
    }
}

#[test]
fn a_transaction_of_a_killed_process_is_rolled_back_by_another() {
    for journal_mode in ["WAL", "DELETE", "TRUNCATE", "PERSIST"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = create(&path);
        mode(&connection, journal_mode);
        fill(&connection, 300);
        drop(connection);
        for delay in 0..4 {
            let mut process = Process::start("write", &path);
            process.expect("round 2");
            std::thread::sleep(Duration::from_millis(7 * delay));
            drop(process);
            let connection = patient(&path);
            // All rows come from one transaction, and from its end.
            let done: i64 = one(&connection, "SELECT count(*) FROM t WHERE b LIKE '% done'");
            let rounds: i64 = one(
                &connection,
                "SELECT count(DISTINCT substr(b, 1, instr(b, ' '))) FROM t",
            );
            assert_eq!((done, rounds), (300, 1), "{journal_mode}");
            assert_sound(&connection);
            drop(connection);
            assert_clean(&path);
        }
    }
}

#[test]
fn a_snapshot_outlives_a_checkpoint_by_another_process_and_then_a_new_log() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    drop(create(&path));
    let writer = create(&path);
    writer.busy_timeout(Duration::from_secs(120)).unwrap();
    mode(&writer, "WAL");
    fill(&writer, 100);
    let mut reader = Process::start("snapshot", &path);
    reader.expect("holding");
    fill(&writer, 10);
    writer
        .execute_batch("UPDATE t SET b = hex(randomblob(200))")
        .unwrap();
    writer
        .execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
        .unwrap();
    fill(&writer, 10);
    reader.tell();
    reader.expect("released");
    // Nobody reads: the log begins anew, with salts that the other process has never seen.
    let masked_salts = || peek(&wal(&path), 16, 8);
    let before = masked_salts();
    let busy: i64 = one(&writer, "PRAGMA wal_checkpoint(RESTART)");
    assert_eq!(busy, 0);
    writer
        .execute_batch("UPDATE t SET b = hex(randomblob(200))")
        .unwrap();
    assert_ne!(masked_salts(), before);
    reader.tell();
    reader.expect("all well");
    drop((reader, writer));
    assert_clean(&path);
}
