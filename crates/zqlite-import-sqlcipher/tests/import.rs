//! Files that SQLCipher itself made are sealed.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use tempfile::TempDir;
use zqlite::Builder;
use zqlite::keys::Passphrase;

const RAW: &str = "2dd29ca851e7b56e4697b0e1f08507293d761a05ce4d1b628663f411a8086d99";

/// A file of SQLCipher with its default settings.
fn old(path: &Path, key: &str, extra: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "key", key).unwrap();
    connection
        .execute_batch(&format!(
            "{extra}; PRAGMA user_version=12; PRAGMA application_id=99;
             CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT, c REAL, d BLOB);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
             INSERT INTO t(b, c, d) SELECT 'the needle é ' || x, x / 7.0, randomblob(x) FROM n;
             DELETE FROM t WHERE a % 5 = 0;
             CREATE INDEX i ON t(b);
             CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES ('k', x'00ff'), ('l', NULL);
             CREATE VIEW v AS SELECT a FROM t WHERE a < 10;
             CREATE TRIGGER tr AFTER INSERT ON w BEGIN DELETE FROM t WHERE a = 1; END;
             CREATE VIRTUAL TABLE f USING fts5(text); INSERT INTO f VALUES ('one two'), ('two three');"
        ))
        .unwrap();
    connection
}

fn dump(connection: &Connection) -> Vec<String> {
    [
        "SELECT group_concat(type || name || coalesce(sql, ''), char(10)) FROM (SELECT * FROM sqlite_schema ORDER BY type, name)",
        "SELECT group_concat(quote(a) || quote(b) || quote(c) || quote(d)) FROM t",
        "SELECT group_concat(quote(k) || quote(v)) FROM w",
        "SELECT group_concat(a) FROM v",
        "SELECT count(*) FROM f WHERE f MATCH 'two'",
        "SELECT group_concat(name || seq) FROM sqlite_sequence",
        "PRAGMA user_version",
        "PRAGMA application_id",
        "PRAGMA encoding",
        "PRAGMA journal_mode",
        "PRAGMA auto_vacuum",
    ]
    .map(|sql| {
        connection
            .query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    })
    .into()
}

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::write(bench.0.path().join("old.pass"), "correct horse é\n").unwrap();
        fs::write(bench.0.path().join("old.key"), RAW).unwrap();
        fs::write(bench.0.path().join("new.pass"), "battery staple").unwrap();
        bench
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_zqlite-import-sqlcipher"))
            .args(["old.db", "new.db", "--new-passphrase-file", "new.pass"])
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn open(&self) -> Connection {
        Builder::new(self.path("new.db"))
            .passphrase(Passphrase::from_bytes(b"battery staple".to_vec()))
            .open()
            .unwrap()
    }
}

#[test]
fn a_file_with_a_passphrase_or_a_raw_key_is_sealed_whole() {
    let raw = format!("x'{RAW}'");
    let cases = [
        ("correct horse é", "--passphrase-file", "old.pass", ""),
        (
            raw.as_str(),
            "--raw-key-file",
            "old.key",
            "PRAGMA auto_vacuum=1; PRAGMA journal_mode=WAL",
        ),
        (
            raw.as_str(),
            "--raw-key-file",
            "old.key",
            "PRAGMA encoding='UTF-16le'",
        ),
    ];
    let mut done = 0;
    for (key, flag, file, extra) in cases {
        let bench = Bench::new();
        let before = old(&bench.path("old.db"), key, extra);
        let expected = dump(&before);
        drop(before);
        let bytes = fs::read(bench.path("old.db")).unwrap();
        assert!(!bytes.starts_with(b"SQLite"), "SQLCipher did not encrypt");
        let output = bench.run(&[flag, file]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read(bench.path("old.db")).unwrap(), bytes);
        let made = bench.open();
        assert_eq!(dump(&made), expected, "{extra}");
        let sound: String = made
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
        drop(made);
        let sealed = fs::read(bench.path("new.db")).unwrap();
        assert!(!sealed.windows(10).any(|bytes| bytes == b"the needle"));
        done += 1;
    }
    assert_eq!(done, cases.len());
}

#[test]
fn a_wrong_key_a_plain_file_and_an_existing_target_are_refused() {
    let bench = Bench::new();
    drop(old(&bench.path("old.db"), "another", ""));
    let names = || fs::read_dir(bench.0.path()).unwrap().count();
    let before = names();
    for args in [
        ["--passphrase-file", "old.pass"],
        ["--raw-key-file", "old.key"],
    ] {
        let output = bench.run(&args);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("horse"));
    }
    assert_eq!(names(), before);
    fs::write(bench.path("old.pass"), "another").unwrap();
    fs::write(bench.path("new.db"), "old").unwrap();
    let output = bench.run(&["--passphrase-file", "old.pass"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(fs::read(bench.path("new.db")).unwrap(), b"old");
    let output = bench.run(&["--passphrase-file", "old.pass", "--force"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        bench
            .open()
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0)),
        Ok(1_600)
    );
    fs::remove_file(bench.path("old.db")).unwrap();
    let output = bench.run(&["--passphrase-file", "old.pass", "--force"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let readme = include_str!("../README.md");
    let lines = readme
        .lines()
        .filter_map(|line| line.strip_prefix("    zqlite-import-sqlcipher "));
    let mut done = 0;
    for line in lines {
        let bench = Bench::new();
        let identity = zqlite::keys::Identity::from_seed([1; 32]);
        fs::write(bench.path("me.recipient"), identity.recipient().to_string()).unwrap();
        let raw = format!("x'{RAW}'");
        let key = if line.contains("--raw-key-file") {
            raw.as_str()
        } else {
            "correct horse é"
        };
        drop(old(&bench.path("old.db"), key, ""));
        let output = Command::new(env!("CARGO_BIN_EXE_zqlite-import-sqlcipher"))
            .args(line.split_whitespace())
            .current_dir(bench.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        let new = Builder::new(bench.path("new.db"))
            .identity(identity)
            .passphrase(Passphrase::from_bytes(b"battery staple".to_vec()))
            .accept_any_maker()
            .open()
            .unwrap();
        let rows = new.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        assert_eq!(rows, Ok(1_600));
        done += 1;
    }
    assert_eq!(done, 2);
}
