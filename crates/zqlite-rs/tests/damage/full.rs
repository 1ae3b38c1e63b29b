//! The disk is full: at any byte, in every workload; and a real small disk, where this process may mount one.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, ErrorCode};
use tempfile::tempdir;
use zqlite::{EncryptOptions, Verdict};

use crate::every_call::stride;
use crate::faults::Faults;
use crate::story::Story;
use crate::support::{assert_clean, assert_sound, count, create, mode, open, slots};
use crate::workloads as work;
use crate::workloads::Template;

/// Quotas up to this one, in steps of about a page, so that every write of a small workload is the first to fail.
const QUOTA_MAX: u64 = 400_000;
const QUOTA_STEP: u64 = 1_531;

/// Runs a workload with one quota after the other, until there is enough room.
fn sweep(prepare: fn(&Path), run: fn(&Path, &mut Story) -> Option<Connection>) {
    let faults = Faults::alone();
    let template = Template::new(prepare);
    let mut cases = 0;
    // The stride is made for calls, of which there are more.
    let step = QUOTA_STEP * (1 + stride() / 2);
    let mut quota = stride() * 7;
    loop {
        let folder = template.put_down();
        let path = folder.path().join("a.db");
        let mut story = Story::new(format!("{quota} bytes are free"));
        faults.limit(quota);
        let connection = run(&path, &mut story);
        let struck = faults.lift();
        story.told = format!("{quota} bytes are free, struck: {:?}", struck.first());
        if let Some(connection) = connection {
            story.goes_on(&connection, 90);
        }
        story.ends_well(&path, 91);
        if struck.is_empty() {
            break;
        }
        cases += 1;
        quota += step;
        assert!(quota < 10 * QUOTA_MAX, "the workload never has enough");
    }
    println!("cases: {cases}");
    assert!(cases > 3);
}

#[test]
fn a_full_disk_under_a_rollback_journal_is_an_error_and_no_more() {
    sweep(work::prepare_delete, work::transactions);
    sweep(work::prepare_delete, work::persistent_journal);
}

#[test]
fn a_full_disk_under_a_log_is_an_error_and_no_more() {
    sweep(work::prepare_wal, work::transactions);
    sweep(work::prepare_wal, work::with_checkpoints);
}

#[test]
fn a_full_disk_under_vacuum_is_an_error_and_no_more() {
    sweep(work::prepare_delete, work::vacuum);
    sweep(work::prepare_wal, work::vacuum);
}

#[test]
fn a_full_disk_under_temporary_files_is_an_error_and_no_more() {
    sweep(work::prepare_delete, work::temporary_files);
}

#[test]
fn a_hot_journal_is_rolled_back_on_a_full_disk() {
    let faults = Faults::alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    work::prepare_hot_journal(&path);
    let story = Story::new("nothing is free".to_owned());
    faults.limit(0);
    let connection = open(&path);
    assert!(story.look(&connection));
    assert_eq!(faults.lift(), Vec::<String>::new(), "it needs no room");
}

// --- a real disk --------------------------------------------------------------------------------

const ROLE: &str = "ZQLITE_TEST_DAMAGE_DISK";
const PLAIN: &str = "ZQLITE_TEST_DAMAGE_PLAIN";

/// A role, not a test: works on a disk of 1 MiB, if it is told where that is.
#[test]
fn disk_role() {
    let (Some(disk), Some(plain)) = (std::env::var_os(ROLE), std::env::var_os(PLAIN)) else {
        return;
    };
    let (disk, plain) = (Path::new(&disk), Path::new(&plain));
    let _alone = Faults::alone();
    for journal_mode in ["DELETE", "PERSIST", "WAL"] {
        fill_the_disk(&disk.join("a.db"), journal_mode);
        for entry in fs::read_dir(disk).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    let sealed = disk.join("sealed.db");
    let error =
        zqlite::encrypt(plain, &sealed, EncryptOptions::new(slots()), &mut |_| true).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Other);
    assert_eq!(error.to_string(), "database or disk is full");
    assert_eq!(fs::read_dir(disk).unwrap().count(), 0, "something is left");
    println!("\nthe disk was full");
}

fn fill_the_disk(path: &Path, journal_mode: &str) {
    let ballast = path.with_file_name("ballast");
    fs::write(&ballast, vec![1; 300_000]).unwrap();
    let connection = create(path);
    mode(&connection, journal_mode);
    connection
        .execute_batch("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        .unwrap();
    let mut rows = 0;
    let refused = loop {
        match connection.execute("INSERT INTO t(b) VALUES (zeroblob(20000))", []) {
            Ok(_) => rows += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DiskFull));
    assert!(rows > 5, "{journal_mode}: {rows}");
    assert_eq!(count(&connection), rows);
    drop(connection);
    let connection = open(path);
    assert_eq!(count(&connection), rows);
    assert_sound(&connection);
    // Somebody makes room.
    fs::remove_file(&ballast).unwrap();
    connection
        .execute_batch("INSERT INTO t(b) VALUES (zeroblob(20000))")
        .unwrap();
    assert_sound(&connection);
    drop(connection);
    assert_clean(path);
}

#[test]
fn a_disk_of_1_mib_fills_up_and_nothing_else_happens() {
    let _alone = Faults::alone();
    let folder = tempdir().unwrap();
    let disk = folder.path().join("disk");
    let plain = folder.path().join("plain.db");
    fs::create_dir(&disk).unwrap();
    Connection::open(&plain)
        .unwrap()
        .execute_batch("CREATE TABLE t(b); INSERT INTO t VALUES (randomblob(2000000))")
        .unwrap();
    // The mount is seen, and ends, with the process.
    let mounted = |command: &str| {
        Command::new("unshare")
            .args(["-m", "sh", "-c"])
            .arg(format!(
                "mount -t tmpfs -o size=1m none \"$1\" && {command}"
            ))
            .arg("sh")
            .arg(&disk)
            .arg(std::env::current_exe().unwrap())
            .env(ROLE, &disk)
            .env(PLAIN, &plain)
            .output()
    };
    if !mounted("true").is_ok_and(|output| output.status.success()) {
        println!("skipped: no disk may be mounted here");
        return;
    }
    let output = mounted("exec \"$2\" --exact full::disk_role --nocapture").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("the disk was full"),
        "{said}{errors}"
    );
}
