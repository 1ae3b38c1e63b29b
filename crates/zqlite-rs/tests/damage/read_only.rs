//! A file or a folder that may not be written, with and without a journal or a log beside it. Plain SQLite, asked the
//! same, is the measure: the sealed database answers with the same rows or the same code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use tempfile::tempdir;
use zqlite::{Error, Verdict};

use crate::faults::Faults;
use crate::support::{
    assert_clean, beside, builder, code, crash_copy, create, mode, one, open, open_uri, register,
    try_one,
};

const ROLE: &str = "ZQLITE_TEST_DAMAGE_ROLE";
const FOLDER: &str = "ZQLITE_TEST_DAMAGE_FOLDER";
/// A user who owns nothing here.
#[cfg(unix)]
const NOBODY: u32 = 65_534;

/// The states in which the databases are found.
const STATES: [&str; 4] = ["delete", "hot", "wal", "unrecovered"];

/// What one way of asking gives, in words that do not name the file.
type Answers = Vec<String>;

fn answer<T: std::fmt::Display>(result: rusqlite::Result<T>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(error) => format!("code {}", error.sqlite_error().unwrap().extended_code),
    }
}

fn ask(connection: &Connection) -> Answers {
    let read = || {
        answer(try_one::<String>(
            connection,
            "SELECT group_concat(b, ' ') FROM t",
        ))
    };
    let first = read();
    let written = answer(connection.execute("INSERT INTO t(b) VALUES ('new')", []));
    vec![first, written, read()]
}

fn ask_opened(opened: rusqlite::Result<Connection>) -> Answers {
    match opened {
        Ok(connection) => ask(&connection),
        Err(error) => vec![format!("open: {}", answer::<u8>(Err(error)))],
    }
}

/// As a plain client would see the library's error.
fn as_sqlite(error: Error) -> rusqlite::Error {
    assert_eq!(error.verdict(), Verdict::Other, "{error:?}");
    match error {
        Error::Sqlite(error) => error,
        Error::Io { .. } | Error::NotThere { .. } => {
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(14), None)
        }
        other => panic!("{other:?}"),
    }
}

fn plain(path: &Path, flags: OpenFlags) -> Answers {
    ask_opened(Connection::open_with_flags(
        path,
        flags | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    ))
}

fn sealed(path: &Path, read_only: bool) -> Answers {
    let builder = builder(path);
    let builder = if read_only {
        builder.read_only()
    } else {
        builder
    };
    ask_opened(builder.open().map_err(as_sqlite))
}

/// Asks for both databases in every way, and tells how often the answers were compared.
fn compare(folder: &Path, state: &str) -> Vec<Answers> {
    let (p, s) = (folder.join("plain.db"), folder.join("sealed.db"));
    register(&s);
    let pairs = [
        (
            plain(&p, OpenFlags::SQLITE_OPEN_READ_ONLY),
            sealed(&s, true),
        ),
        (
            ask_opened(open_uri(&format!("file:{}?immutable=1", p.display()))),
            ask_opened(open_uri(&format!(
                "file:{}?immutable=1&vfs=zqlite",
                s.display()
            ))),
        ),
        (
            plain(&p, OpenFlags::SQLITE_OPEN_READ_WRITE),
            sealed(&s, false),
        ),
    ];
    let mut all = Vec::new();
    for (number, (plain, sealed)) in pairs.into_iter().enumerate() {
        // With immutable=1 the middle of the transaction is seen, and a page that is sealed holds fewer rows.
        if state == "hot" && number == 1 {
            assert_eq!(sealed[1], "code 8");
        } else {
            assert_eq!(sealed, plain, "{state}, way {number}");
        }
        all.push(sealed);
    }
    all
}

/// The same database twice, plain and sealed, as a crash left it.
fn prepare(folder: &Path, state: &str) {
    for name in ["plain.db", "sealed.db"] {
        let path = folder.join(name);
        let original = folder.join("original.db");
        let connection = if name == "plain.db" {
            Connection::open(&original).unwrap()
        } else {
            create(&original)
        };
        connection
            .execute_batch(
                "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t(b) VALUES ('one');",
            )
            .unwrap();
        match state {
            "delete" => {}
            "hot" => connection
                .execute_batch(
                    "PRAGMA cache_size=1; BEGIN; UPDATE t SET b = 'never'; CREATE TABLE u(x);
                     WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<50)
                     INSERT INTO u SELECT zeroblob(3000) FROM n;",
                )
                .unwrap(),
            _ => mode(&connection, "WAL"),
        }
        if state == "unrecovered" {
            connection
                .execute_batch("INSERT INTO t(b) VALUES ('two')")
                .unwrap();
        }
        if state == "wal" || state == "delete" {
            drop(connection);
            fs::rename(&original, &path).unwrap();
        } else {
            crash_copy(&original, &path);
            drop(connection);
            fs::remove_file(&original).unwrap();
        }
    }
}

/// The cause is gone: everything is there, and can be written.
fn assert_recovers(folder: &Path, state: &str) {
    let path = folder.join("sealed.db");
    let connection = open(&path);
    let rows: String = one(&connection, "SELECT group_concat(b, ' ') FROM t");
    let expected = if state == "unrecovered" {
        "one two"
    } else {
        "one"
    };
    assert_eq!(rows, expected, "{state}");
    connection
        .execute_batch("INSERT INTO t(b) VALUES ('new')")
        .unwrap();
    drop(connection);
    assert_clean(&path);
}

/// The VFS below opens for reading only: SQLite falls back to it, as on a disk that is mounted read-only.
#[test]
fn on_a_read_only_disk_a_sealed_database_answers_as_a_plain_one() {
    let mut answers = Vec::new();
    for state in STATES {
        let folder = tempdir().unwrap();
        let faults = Faults::alone();
        prepare(folder.path(), state);
        faults.read_only();
        answers.extend(compare(folder.path(), state));
        faults.lift();
        assert_recovers(folder.path(), state);
    }
    assert_eq!(answers.len(), 12);
    // A clean database is read, and not written (SQLITE_READONLY).
    assert_eq!(answers[0], ["one", "code 8", "one"]);
    // A hot journal cannot be rolled back (SQLITE_READONLY_ROLLBACK or SQLITE_CANTOPEN), so nothing is read.
    assert!(answers[3][0].starts_with("code "), "{answers:?}");
}

/// A role, not a test: asks as a user who may not write, if it is told where.
#[cfg(unix)]
#[test]
fn user_role() {
    let (Ok(role), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else {
        return;
    };
    let (_alone, folder) = (Faults::alone(), PathBuf::from(folder));
    if role == "probe" {
        println!(
            "\nmay write: {}",
            fs::write(folder.join("probe"), "").is_ok()
        );
        return;
    }
    println!("\nanswers: {:?}", compare(&folder, &role));
}

/// Runs the role in another process: as it is, or as nobody, if permissions do not stop us.
#[cfg(unix)]
fn as_user(role: &str, folder: &Path, is_root: bool) -> Option<String> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(std::env::current_exe().unwrap());
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command
        .args(["--exact", "read_only::user_role", "--nocapture"])
        .args(["--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{role}: {said}{errors}");
    Some(said)
}

#[cfg(unix)]
#[test]
fn who_may_not_write_gets_the_same_answers_from_a_sealed_database_as_from_a_plain_one() {
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let _alone = Faults::alone();
    let probe = tempdir().unwrap();
    set(probe.path(), 0o555).unwrap();
    let is_root = fs::write(probe.path().join("probe"), "").is_ok();
    let said = as_user("probe", probe.path(), is_root);
    if !said.is_some_and(|said| said.contains("may write: false")) {
        println!("skipped: there is no user here whom permissions stop");
        return;
    }
    let mut cases = 0;
    // Folder and file: only the file, only the folder, both.
    for (folder_mode, file_mode) in [(0o777, 0o444), (0o555, 0o666), (0o555, 0o444)] {
        for state in STATES {
            let folder = tempdir().unwrap();
            prepare(folder.path(), state);
            for entry in fs::read_dir(folder.path()).unwrap() {
                set(&entry.unwrap().path(), file_mode).unwrap();
            }
            set(folder.path(), folder_mode).unwrap();
            let said = as_user(state, folder.path(), is_root).unwrap();
            assert!(said.contains("answers: [["), "{said}");
            cases += 1;
            set(folder.path(), 0o777).unwrap();
            for entry in fs::read_dir(folder.path()).unwrap() {
                set(&entry.unwrap().path(), 0o666).unwrap();
            }
            // With leave to write the folder, SQLite may have recovered, and written, what it could.
            drop(fs::remove_file(beside(
                &folder.path().join("sealed.db"),
                "-shm",
            )));
            if folder_mode == 0o555 && file_mode == 0o444 {
                assert_recovers(folder.path(), state);
            }
        }
    }
    assert_eq!(cases, 12);
}

#[test]
fn a_connection_that_only_reads_says_so_in_every_journal_mode() {
    let _alone = Faults::alone();
    for journal_mode in ["DELETE", "PERSIST", "WAL"] {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = create(&path);
        mode(&connection, journal_mode);
        connection
            .execute_batch("CREATE TABLE t(b); INSERT INTO t VALUES ('one')")
            .unwrap();
        let reader = builder(&path).read_only().open().unwrap();
        assert_eq!(one::<String>(&reader, "SELECT b FROM t"), "one");
        let refused = code(reader.execute("DELETE FROM t", []));
        assert_eq!(refused, rusqlite::ffi::SQLITE_READONLY, "{journal_mode}");
        drop((reader, connection));
        assert_clean(&path);
    }
}
