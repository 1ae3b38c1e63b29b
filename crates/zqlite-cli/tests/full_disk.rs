//! The command on a disk that is too small: a disk of 1 MiB, where this process may mount one.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::tempdir;
use zqlite::rusqlite::Connection;

/// Runs a shell script in a folder, with a disk of 1 MiB as `disk`, that is seen, and ends, with the script.
fn with_small_disk(folder: &Path, script: &str) -> Option<Output> {
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c"])
        .arg(format!("mount -t tmpfs -o size=1m none disk && {script}"))
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_zqlite"))
        .current_dir(folder)
        .output();
    output.ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn what_does_not_fit_on_the_disk_is_status_1_and_leaves_nothing() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("disk")).unwrap();
    if !with_small_disk(folder, "true").is_some_and(|output| output.status.success()) {
        println!("skipped: no disk may be mounted here");
        return;
    }
    fs::write(folder.join("key"), [7; 32]).unwrap();
    for (name, len) in [("small.db", 1_000), ("big.db", 2_000_000)] {
        let plain = Connection::open(folder.join(name)).unwrap();
        plain
            .execute_batch(&format!(
                "CREATE TABLE t(b); INSERT INTO t VALUES (randomblob({len}))"
            ))
            .unwrap();
    }
    let seal = |from: &str, to: &str| format!("\"$1\" encrypt {from} {to} --raw-key-file key");
    // What fits, does: the disk is good.
    let script = format!("{} && ls -A disk", seal("small.db", "disk/sealed.db"));
    let output = with_small_disk(folder, &script).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout).lines().last(), Some("sealed.db"));

    let script = format!(
        "{}; echo status $?; ls -A disk",
        seal("big.db", "disk/sealed.db")
    );
    let output = with_small_disk(folder, &script).unwrap();
    assert_eq!(text(&output.stdout), "status 1\n", "something is left");
    let said = text(&output.stderr);
    assert!(said.contains("zqlite: database or disk is full"), "{said}");
    assert!(!said.contains("damaged"), "{said}");

    // And back.
    let script = format!(
        "{} && \"$1\" decrypt sealed.db disk/plain.db --raw-key-file key; echo status $?; ls -A disk",
        seal("big.db", "sealed.db")
    );
    let output = with_small_disk(folder, &script).unwrap();
    let out = text(&output.stdout);
    assert_eq!(out.lines().last(), Some("status 1"), "{out}");
    let said = text(&output.stderr);
    assert!(said.contains("zqlite: database or disk is full"), "{said}");

    // A query that writes: the transaction is rolled back, and what was there stays.
    let script = "\"$1\" encrypt small.db disk/a.db --raw-key-file key -q; \
         head -c 2000000 /dev/zero > disk/ballast; \
         \"$1\" query disk/a.db --raw-key-file key --write 'INSERT INTO t VALUES (zeroblob(500000))'; \
         echo status $?; rm disk/ballast; \
         \"$1\" query disk/a.db --raw-key-file key 'SELECT count(*), length(b) FROM t' \
         && \"$1\" verify disk/a.db --raw-key-file key -q; echo status $?";
    let output = with_small_disk(folder, script).unwrap();
    let out = text(&output.stdout);
    assert!(out.contains("status 1\n"), "{out}");
    assert!(out.contains("1000") && out.ends_with("status 0\n"), "{out}");
    let said = text(&output.stderr);
    assert!(said.contains("zqlite: database or disk is full"), "{said}");
}

#[test]
fn a_column_whose_compressed_copy_does_not_fit_stays_as_it_was() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("disk")).unwrap();
    if !with_small_disk(folder, "true").is_some_and(|output| output.status.success()) {
        println!("skipped: no disk may be mounted here");
        return;
    }
    fs::write(folder.join("key"), [7; 32]).unwrap();
    for (name, rows) in [("small.db", 300), ("big.db", 1_300)] {
        let plain = Connection::open(folder.join(name)).unwrap();
        plain
            .execute_batch(&format!(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB);
                 WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows})
                 INSERT INTO t SELECT x, randomblob(400) FROM n"
            ))
            .unwrap();
    }
    for (name, status, base) in [("small.db", 0, "1"), ("big.db", 1, "0")] {
        let script = format!(
            "\"$1\" encrypt {name} disk/a.db --raw-key-file key -q
             \"$1\" compress disk/a.db t b --raw-key-file key -q; echo status $?
             \"$1\" query disk/a.db --raw-key-file key -q --csv \
             \"SELECT count(*), sum(length(b)), (SELECT count(*) FROM sqlite_schema WHERE name LIKE '%zqlite_rows') FROM t\"
             \"$1\" verify disk/a.db --raw-key-file key -q >/dev/null; echo verified $?; ls disk"
        );
        let output = with_small_disk(folder, &script).unwrap();
        let out = text(&output.stdout);
        let rows = if name == "small.db" { 300 } else { 1_300 };
        let sum = format!("{rows},{},{base}\r\n", rows * 400);
        assert!(out.starts_with(&format!("status {status}\n")), "{out}");
        assert!(out.contains(&sum), "{out}");
        assert!(out.ends_with("verified 0\na.db\n"), "{out}");
        let said = text(&output.stderr);
        assert_eq!(
            said.contains("zqlite: database or disk is full"),
            status == 1,
            "{said}"
        );
    }
}
