//! Several processes on one sealed file: this binary runs itself again in the roles of the others.
#![cfg(all(unix, feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and children report"
)]
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

#[path = "../support/support.rs"]
mod support;
use support::{assert_sound, builder, count, create, mode, one, open, ring};

const ROLE: &str = "ZQLITE_TEST_ROLE";
const FILE: &str = "ZQLITE_TEST_FILE";
const ROWS: i64 = 300;

/// Not a test of its own: what a child process does. Without a role it does nothing.
#[test]
fn child_role() {
    let (Ok(role), Ok(file)) = (std::env::var(ROLE), std::env::var(FILE)) else {
        return;
    };
    let path = Path::new(&file);
    match role.as_str() {
        "write" => write_rows(path, ROWS),
        "read" => read_until_all(path, ROWS),
        "checkpoint" => checkpoint_until_all(path, ROWS),
        "create" => create_and_write(path),
        "write-until-killed" => write_rows(path, i64::MAX),
        "read-shared" => read_with_read_only_shared_memory(path),
        other => panic!("no role {other}"),
    }
}

fn child(role: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child_role", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn patient(connection: Connection) -> Connection {
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
}

/// A value that tells which row it belongs to and fills several pages.
fn value(id: i64) -> String {
    format!("row {id} ").repeat(if id % 10 == 0 { 1_500 } else { 20 })
}

fn insert(connection: &mut Connection, id: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("INSERT INTO t VALUES (?1, ?2)", (id, value(id)))?;
    transaction.commit()
}

/// Writes rows one commit each, and says which are done.
fn write_rows(path: &Path, rows: i64) {
    let mut connection = patient(open(path));
    connection
        .execute_batch("PRAGMA wal_autocheckpoint=50")
        .unwrap();
    let first: i64 = one(&connection, "SELECT coalesce(max(id), 0) + 1 FROM t");
    for id in first..first.saturating_add(rows) {
        insert(&mut connection, id).unwrap();
        println!("committed {id}");
    }
}

/// Every state that a reader sees is a prefix of the rows, each whole.
fn read_until_all(path: &Path, rows: i64) {
    let connection = patient(open(path));
    let mut seen = 0;
    while seen < rows {
        let mut statement = connection
            .prepare("SELECT id, b FROM t ORDER BY id")
            .unwrap();
        let found: Vec<(i64, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for (at, (id, b)) in found.iter().enumerate() {
            assert_eq!(*id, i64::try_from(at).unwrap() + 1);
            assert_eq!(*b, value(*id));
        }
        let now = i64::try_from(found.len()).unwrap();
        assert!(now >= seen, "rows went away: {seen}, then {now}");
        seen = now;
    }
}

fn checkpoint_until_all(path: &Path, rows: i64) {
    let connection = patient(open(path));
    while count(&connection) < rows {
        for kind in ["PASSIVE", "RESTART", "TRUNCATE"] {
            // Whether it was busy does not matter; it must not fail.
            connection
                .query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |_| Ok(()))
                .unwrap();
        }
    }
}

fn create_and_write(path: &Path) {
    let mut connection = patient(create(path));
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, b TEXT)")
        .unwrap();
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    transaction
        .execute("INSERT INTO t(b) VALUES (?1)", [std::process::id()])
        .unwrap();
    transaction.commit().unwrap();
}

fn finish(mut child: Child) {
    let mut output = String::new();
    std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut output).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "a child failed: {output}");
}

fn table(path: &Path, journal_mode: &str) {
    let connection = create(path);
    mode(&connection, journal_mode);
    connection
        .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT)")
        .unwrap();
}

fn assert_verified(path: &Path) {
    let report = zqlite::verify(path, zqlite::VerifyOptions::new(ring()), &mut |_| true).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

fn write_read_and_checkpoint(journal_mode: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    table(&path, journal_mode);
    let children = ["read", "checkpoint", "write"].map(|role| child(role, &path));
    children.into_iter().for_each(finish);
    let connection = open(&path);
    assert_eq!(count(&connection), ROWS);
    assert_sound(&connection);
    drop(connection);
    assert_verified(&path);
}

#[test]
fn one_process_writes_one_reads_and_one_checkpoints_in_wal_mode() {
    write_read_and_checkpoint("WAL");
}

#[test]
fn one_process_writes_one_reads_and_one_checkpoints_in_delete_mode() {
    write_read_and_checkpoint("DELETE");
}

#[test]
fn two_processes_write_by_turns() {
    for journal_mode in ["WAL", "DELETE", "PERSIST"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared.db");
        table(&path, journal_mode);
        for _ in 0..3 {
            finish(child("write", &path));
            let mut connection = patient(open(&path));
            let next = count(&connection) + 1;
            insert(&mut connection, next).unwrap();
        }
        let connection = open(&path);
        assert_eq!(count(&connection), 3 * (ROWS + 1), "{journal_mode}");
        assert_sound(&connection);
        drop(connection);
        assert_verified(&path);
    }
}

#[test]
fn a_reader_keeps_its_snapshot_while_another_process_restarts_the_wal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    table(&path, "WAL");
    let mut connection = patient(open(&path));
    for id in 1..=20 {
        insert(&mut connection, id).unwrap();
    }
    let reader = open(&path);
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 20);
    // The child commits, checkpoints what the reader lets it, and leaves.
    finish(child("write", &path));
    assert_eq!(count(&reader), 20);
    let whole: bool = one(
        &reader,
        "SELECT b = 'row 20 ' || substr(b, 8) FROM t WHERE id = 20",
    );
    assert!(whole);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 20 + ROWS);
    // Another generation of the log, with other salts, by another process again.
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    finish(child("write", &path));
    assert_eq!(count(&reader), 20 + 2 * ROWS);
    insert(&mut connection, 21 + 2 * ROWS).unwrap();
    assert_eq!(count(&reader), 21 + 2 * ROWS);
    assert_sound(&reader);
}

#[test]
fn processes_that_create_the_same_file_at_once_share_it() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.db");
        let children: Vec<Child> = (0..4).map(|_| child("create", &path)).collect();
        children.into_iter().for_each(finish);
        let connection = open(&path);
        assert_eq!(count(&connection), 4);
        drop(connection);
        assert_verified(&path);
    }
}

#[test]
fn what_a_killed_writer_acknowledged_is_there() {
    for journal_mode in ["WAL", "DELETE", "TRUNCATE", "PERSIST"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("killed.db");
        table(&path, journal_mode);
        let mut acknowledged = 0;
        for round in 0..4 {
            let mut writer = child("write-until-killed", &path);
            let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
            for line in lines.by_ref().take(15 + 7 * round) {
                if let Some(id) = line.unwrap().strip_prefix("committed ") {
                    acknowledged = id.parse().unwrap();
                }
            }
            writer.kill().unwrap();
            writer.wait().unwrap();
            // What was said between the last line that was read and the end counts, too.
            for line in lines.map_while(Result::ok) {
                if let Some(id) = line.strip_prefix("committed ") {
                    acknowledged = id.parse().unwrap_or(acknowledged);
                }
            }
            let connection = patient(builder(&path).open().unwrap());
            let found = count(&connection);
            assert!(
                (acknowledged..=acknowledged + 1).contains(&found),
                "{journal_mode}: {acknowledged} acknowledged, {found} found"
            );
            assert_sound(&connection);
        }
        assert!(acknowledged >= 40, "the writer got nowhere");
        assert_verified(&path);
    }
}

/// A reader that may not write to the shared memory, which a living writer has initialised.
fn read_with_read_only_shared_memory(path: &Path) {
    support::register(path);
    let uri = format!("file:{}?vfs=zqlite&readonly_shm=1&mode=ro", path.display());
    let reader = support::open_uri(&uri).unwrap();
    println!("rows {} .", count(&reader));
}

#[test]
fn a_reader_with_read_only_shared_memory_reads_the_log_of_a_living_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = create(&path);
    mode(&writer, "WAL");
    writer
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a); INSERT INTO t VALUES (1), (2);",
        )
        .unwrap();
    let read = child("read-shared", &path).wait_with_output().unwrap();
    let said = String::from_utf8(read.stdout).unwrap();
    assert!(said.contains("rows 2 ."), "{said}");
    drop(writer);
}
