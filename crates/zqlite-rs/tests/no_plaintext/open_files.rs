//! All files that a process has open, however they were opened, seen through `/proc/self/fd` while statements run,
//! and whenever one of them syncs a file (Linux only). A process is this test binary, started again with a role, so that nobody else's files are in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tempfile::tempdir;
use zqlite::EncryptOptions;

use crate::markers::find;
use crate::support::slots;
use crate::watcher::Watcher;
use crate::workload::{Bench, Side};

const ROLE: &str = "ZQLITE_TEST_PLAINTEXT_ROLE";
const FOLDER: &str = "ZQLITE_TEST_PLAINTEXT_OPEN";
/// Virtual machine steps between two looks.
const STEPS: i32 = 200_000;
/// Syncs of files between two looks, in a workload that has many.
const SYNCS: u32 = 2;

/// By name of the file: the most bytes that it had, and the markers in it.
type Seen = BTreeMap<String, (usize, BTreeSet<&'static str>)>;

/// Looks at every regular file that this process has open.
fn look(seen: &mut Seen) {
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let name = name_of(&target);
        // Opened anew: to read from the descriptor would not disturb it, but its lock would be lost all the same.
        let is_file = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file());
        let Ok(bytes) = (if is_file {
            fs::read(entry.path())
        } else {
            continue;
        }) else {
            continue;
        };
        let (len, markers) = seen.entry(name).or_default();
        *len = bytes.len().max(*len);
        markers.extend(find(&bytes));
    }
}

/// Names of temporary files are random, and those of targets in part.
fn name_of(target: &Path) -> String {
    let target = target.to_string_lossy();
    let base = target.rsplit('/').next().unwrap_or_default();
    if target.ends_with(" (deleted)") {
        "(deleted)".to_owned()
    } else {
        base.split("zqlite-tmp-")
            .enumerate()
            .map(|(part, text)| {
                // 16 digits.
                if part == 0 {
                    text
                } else {
                    text.get(16..).unwrap_or("")
                }
            })
            .collect()
    }
}

/// Runs statements, and looks all the while.
fn watch(connection: &mut Connection, seen: &Arc<Mutex<Seen>>) {
    let shared = Arc::clone(seen);
    connection
        .progress_handler(
            STEPS,
            Some(move || {
                look(&mut shared.lock().unwrap());
                false
            }),
        )
        .unwrap();
}

/// A role, not a test: does the work, and says which files it saw.
#[test]
fn open_files_role() {
    let (Ok(role), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let seen = Arc::new(Mutex::new(Seen::new()));
    let (watcher, shared) = (Watcher::alone(), Arc::clone(&seen));
    let every = if role == "encrypt" { 1 } else { SYNCS };
    let mut syncs = 0_u32;
    watcher.on_sync(move || {
        if syncs.is_multiple_of(every) {
            look(&mut shared.lock().unwrap());
        }
        syncs += 1;
    });
    if role == "encrypt" {
        let sealed = folder.join("sealed.db");
        let options = EncryptOptions::new(slots());
        zqlite::encrypt(&folder.join("source.db"), &sealed, options, &mut |_| true).unwrap();
    } else {
        let (side, journal_mode) = role.split_once(' ').unwrap();
        let bench = Bench {
            folder: &folder,
            side: if side == "plain" {
                Side::Plain
            } else {
                Side::Sealed
            },
        };
        let mut connection = bench.fill("a.db", journal_mode, "UTF-8");
        watch(&mut connection, &seen);
        bench.work(&mut connection, journal_mode);
        look(&mut seen.lock().unwrap());
    }
    for (name, (len, markers)) in &*seen.lock().unwrap() {
        println!("\nsaw {name}|{}|{len}", markers.len());
    }
}

/// What the process saw: names, how many markers were in each, and how long it was.
fn run(role: &str, folder: &Path) -> BTreeMap<String, (usize, usize)> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "open_files::open_files_role", "--nocapture"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{role}: {said}{errors}");
    let lines = said.lines().filter_map(|line| line.strip_prefix("saw "));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split('|').collect();
            let numbers = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
            (parts[0].to_owned(), numbers)
        })
        .collect()
}

fn can_look() -> bool {
    let can = Path::new("/proc/self/fd").exists();
    if !can {
        println!("skipped: there is no /proc/self/fd here");
    }
    can
}

#[test]
fn no_open_file_holds_plaintext() {
    if !can_look() {
        return;
    }
    for (journal_mode, beside) in [("PERSIST", "a.db-journal"), ("WAL", "a.db-wal")] {
        let expected = ["(deleted)", "a.db", beside, "into.db"];
        let (plain, sealed) = (tempdir().unwrap(), tempdir().unwrap());
        let in_plain = run(&format!("plain {journal_mode}"), plain.path());
        let in_sealed = run(&format!("sealed {journal_mode}"), sealed.path());
        for name in expected {
            let (markers, _) = *in_plain.get(name).unwrap_or(&(0, 0));
            assert!(markers >= 1, "{journal_mode} {name}: {in_plain:?}");
            let (_, len) = *in_sealed.get(name).unwrap_or(&(0, 0));
            assert!(len > 100_000, "{journal_mode} {name}: {in_sealed:?}");
        }
        for (name, (markers, _)) in &in_sealed {
            assert_eq!(*markers, 0, "{journal_mode} {name}: plaintext");
        }
        assert_eq!(in_sealed.contains_key("a.db-shm"), journal_mode == "WAL");
    }
}

#[test]
fn while_a_database_is_sealed_only_its_source_holds_plaintext() {
    if !can_look() {
        return;
    }
    let folder = tempdir().unwrap();
    let bench = Bench {
        folder: folder.path(),
        side: Side::Plain,
    };
    drop(bench.fill("source.db", "DELETE", "UTF-8"));
    let seen = run("encrypt", folder.path());
    assert!(seen["source.db"].0 >= 4, "{seen:?}");
    // The target, under its temporary name.
    assert!(seen[".sealed.db."].1 > 100_000, "{seen:?}");
    for (name, (markers, _)) in &seen {
        assert!(*markers == 0 || name == "source.db", "{name}: {seen:?}");
    }
}
