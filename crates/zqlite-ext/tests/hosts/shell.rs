//! The shell `sqlite3`.

use std::process::{Command, Output};

use crate::support::{Folder, exists, extension, secret, succeeded, texts};

/// Runs lines of the shell in a fresh process, the extension loaded.
fn shell(uri: &str, lines: &[&str]) -> Output {
    let mut command = Command::new("sqlite3");
    command.args(["-bail", "-batch", "-init", "/dev/null"]);
    command.args([":memory:", ".log stderr", &format!(".load {}", extension())]);
    command.arg(format!(".open '{uri}'"));
    command.args(lines).output().unwrap()
}

fn here() -> bool {
    exists("sqlite3", &["--version"])
}

#[test]
fn the_shell_creates_writes_and_reopens_a_sealed_file() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    let made = shell(
        &folder.uri(),
        &[
            "PRAGMA journal_mode=WAL;",
            "CREATE TABLE t(x);",
            "INSERT INTO t VALUES ('very secret words');",
        ],
    );
    assert_eq!(succeeded("sqlite3", made), "wal\n");
    folder.assert_sealed("very secret words");
    let read = shell(
        &folder.uri(),
        &["SELECT x FROM t;", "PRAGMA zqlite_verify;"],
    );
    assert_eq!(succeeded("sqlite3", read), "very secret words\nok\n");
}

#[test]
fn the_wrong_key_no_key_and_an_unknown_maker_open_nothing() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    succeeded("sqlite3", shell(&folder.uri(), &["CREATE TABLE t(x);"]));
    let open = format!("file:{}?vfs=zqlite", folder.path("app.db"));
    let (good, other) = (folder.path("id.key"), folder.path("other.key"));
    let cases = [
        (open.clone(), "no key opens it"),
        (
            format!("{open}&identity={other}&accept_any_maker=1"),
            "no key opens it",
        ),
        (
            format!("{open}&identity={good}"),
            "anyone can make a database",
        ),
        (
            format!(
                "{open}&identity={good}&signed_by={}",
                folder.path("owner.pub")
            ),
            "not signed",
        ),
        (
            format!("{open}&identity={good}&identity={good}"),
            "given twice",
        ),
        (
            format!("{open}&identity={}", folder.path("none.key")),
            "No such file",
        ),
        (
            format!("{open}&identity={}", folder.path("")),
            "not a regular file",
        ),
        (
            format!("{open}&identity={good}&accept_any_maker=yes"),
            "neither 0 nor 1",
        ),
    ];
    for (uri, reason) in &cases {
        let (stdout, stderr) = texts(&shell(uri, &["SELECT count(*) FROM t;"]));
        assert!(stderr.contains(reason), "{uri}: {stdout}{stderr}");
        assert_eq!(stdout, "", "{uri}");
    }
    assert_eq!(cases.len(), 8);
    let uri = format!("{open}&identity={good}&accept_any_maker=1");
    let read = shell(&uri, &["SELECT count(*) FROM t;"]);
    assert_eq!(succeeded("sqlite3", read), "0\n");
}

#[test]
fn a_secret_in_a_uri_is_refused_and_appears_nowhere() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    succeeded("sqlite3", shell(&folder.uri(), &["CREATE TABLE t(x);"]));
    let key = std::fs::read_to_string(folder.path("id.key")).unwrap();
    let key = key.trim();
    let raw = "0123456789abcdef".repeat(4);
    for (parameter, value) in [
        ("identity", key),
        ("raw_key_file", raw.as_str()),
        ("signed_by", key),
    ] {
        let uri = format!(
            "file:{}?vfs=zqlite&{parameter}={value}",
            folder.path("app.db")
        );
        let (stdout, stderr) = texts(&shell(&uri, &["SELECT count(*) FROM t;"]));
        assert!(stderr.contains("holds a secret key"), "{stderr}");
        // The shell itself repeats what it was told; our reason stands in the log.
        let log: Vec<_> = stderr
            .lines()
            .filter(|line| line.contains("URI's"))
            .collect();
        assert!(
            !log.is_empty() && log.iter().all(|line| !line.contains(value)),
            "{stderr}"
        );
        assert_eq!(stdout, "");
    }
}

#[test]
fn passphrases_and_raw_keys_come_from_files() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    let open = format!("file:{}?vfs=zqlite", folder.path("app.db"));
    make_with_passphrase(&folder);
    secret(folder.path("wrong").as_ref(), b"correct horse");
    let read = |parameters: &str| shell(&format!("{open}&{parameters}"), &["SELECT x FROM t;"]);
    for (file, parameter) in [("pass", "passphrase_file"), ("raw", "raw_key_file")] {
        let parameters = format!("{parameter}={}", folder.path(file));
        assert_eq!(succeeded("sqlite3", read(&parameters)), "7\n");
    }
    let (_, stderr) = texts(&read(&format!("passphrase_file={}", folder.path("wrong"))));
    assert!(stderr.contains("no key opens it"), "{stderr}");
}

/// A file that a passphrase and a raw key open, made by the command.
fn make_with_passphrase(folder: &Folder) {
    secret(folder.path("pass").as_ref(), b"staple battery\n");
    secret(folder.path("raw").as_ref(), &[7; 32]);
    let plain = folder.path("plain.db");
    let made = Command::new("sqlite3")
        .args([
            plain.as_str(),
            "CREATE TABLE t(x); INSERT INTO t VALUES (7);",
        ])
        .output();
    succeeded("sqlite3", made.unwrap());
    let made = Command::new(crate::guides::command())
        .args(["encrypt", &plain, &folder.path("app.db")])
        .args(["--passphrase-file", &folder.path("pass")])
        .args(["--raw-key-file", &folder.path("raw")])
        .output();
    succeeded("zqlite", made.unwrap());
}

#[test]
fn the_status_is_one_json_text_and_names_the_host_and_its_weakness() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    let out = shell(
        &folder.uri(),
        &[
            "CREATE TABLE t(x);",
            "CREATE TEMP TABLE s AS SELECT json_extract(sqlite_version(), '$') WHERE 0;",
            "PRAGMA zqlite_status;",
            "SELECT sqlite_version();",
        ],
    );
    let (stdout, stderr) = texts(&out);
    let mut lines = stdout.lines();
    let (json, version) = (lines.next().unwrap(), lines.next().unwrap());
    for part in [
        &format!("\"sqlite\":\"{version}\""),
        "\"zqlite\":\"0.1.0\"",
        "\"file_id\":\"",
        "\"epoch\":1",
        "\"generation\":1",
        "\"slots\":[{\"kind\":\"recipient\",\"label\":\"\"}]",
        "\"signed_by\":null",
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap());
    let number = [
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    ];
    let is_old = number < [3, 51, 3];
    assert_eq!(json.contains("WAL-reset"), is_old, "{json}");
    assert_eq!(stderr.contains("WAL-reset"), is_old, "{stderr}");
    let valid = Command::new("sqlite3")
        .args([
            ":memory:",
            &format!("SELECT json_valid('{}');", json.replace('\'', "''")),
        ])
        .output();
    assert_eq!(succeeded("sqlite3", valid.unwrap()), "1\n");
}

#[test]
fn the_check_finds_a_flipped_byte_and_the_untouched_file_passes() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    let fill = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n WHERE i<2000)
        INSERT INTO t SELECT printf('row %d', i) FROM n;";
    let made = shell(
        &folder.uri(),
        &["CREATE TABLE t(x);", fill, "PRAGMA zqlite_verify;"],
    );
    assert_eq!(succeeded("sqlite3", made), "ok\n");
    let mut bytes = std::fs::read(folder.path("app.db")).unwrap();
    bytes[128 * 1024 + 4096 * 3 + 100] ^= 1;
    std::fs::write(folder.path("app.db"), bytes).unwrap();
    let (stdout, stderr) = texts(&shell(&folder.uri(), &["PRAGMA zqlite_verify;"]));
    assert!(stdout.contains("page 4 does not open"), "{stdout}{stderr}");
}

#[test]
fn a_key_file_that_others_can_read_is_named_in_the_log() {
    use std::os::unix::fs::PermissionsExt;
    if !here() {
        return;
    }
    let folder = Folder::new();
    let (_, stderr) = texts(&shell(&folder.uri(), &["CREATE TABLE t(x);"]));
    assert!(!stderr.contains("others can read"), "{stderr}");
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path("id.key"), mode).unwrap();
    let (_, stderr) = texts(&shell(&folder.uri(), &["SELECT count(*) FROM t;"]));
    assert!(stderr.contains("others can read"), "{stderr}");
}

#[test]
fn another_vfs_and_plain_files_are_untouched() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    let plain = folder.path("plain.db");
    let made = shell(
        &plain,
        &[
            "CREATE TABLE t(x);",
            "INSERT INTO t VALUES (5);",
            "SELECT x FROM t;",
        ],
    );
    assert_eq!(succeeded("sqlite3", made), "5\n");
    let bytes = std::fs::read(&plain).unwrap();
    assert!(bytes.starts_with(b"SQLite format 3\0"));
}

#[test]
fn sealed_and_plain_files_are_attached_to_a_sealed_one() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    let second = folder.uri().replace("app.db", "second.db");
    let lines = [
        "CREATE TABLE t(x);",
        &format!("ATTACH '{second}' AS second;"),
        "CREATE TABLE second.t AS SELECT 11 AS y;",
        "BEGIN; INSERT INTO t SELECT y FROM second.t; UPDATE second.t SET y=12; COMMIT;",
        "SELECT x, y FROM t, second.t;",
        "PRAGMA second.zqlite_verify;",
    ];
    let out = shell(&folder.uri(), &lines);
    assert_eq!(succeeded("sqlite3", out), "11|12\nok\n");
    folder.assert_sealed("second");
}
