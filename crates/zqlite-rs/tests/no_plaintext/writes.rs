//! Every write to every file, in every journal mode.

use rusqlite::Connection;
use std::collections::BTreeSet;

use tempfile::tempdir;
use zqlite::{DecryptOptions, EncryptOptions};

use crate::markers::TABLE;
use crate::support::{one, ring, slots};
use crate::watcher::{Seen, Watcher};
use crate::workload::{Bench, ROWS, Side};

const EVERYWHERE: [&str; 5] = [
    "database",
    "statement journal",
    "temporary database",
    "temporary journal or sorter",
    "transient database",
];

/// The kinds of files that a journal mode writes.
fn kinds(journal_mode: &str) -> BTreeSet<&'static str> {
    let mut kinds = BTreeSet::from(EVERYWHERE);
    match journal_mode {
        "DELETE" | "TRUNCATE" | "PERSIST" => {
            kinds.extend(["journal", "super-journal"]);
        }
        "WAL" => {
            kinds.insert("log");
        }
        // What is rolled back stays in memory, or is not rolled back.
        "MEMORY" | "OFF" => {
            kinds.remove("statement journal");
        }
        _ => {}
    }
    kinds
}

fn run(watcher: &Watcher, side: Side, journal_mode: &str, encoding: &str) -> Seen {
    let folder = tempdir().unwrap();
    let bench = Bench {
        folder: folder.path(),
        side,
    };
    drop(watcher.take());
    let mut connection = bench.fill("a.db", journal_mode, encoding);
    bench.work(&mut connection, journal_mode);
    drop(connection);
    watcher.take()
}

fn compare(journal_mode: &str, encoding: &str) {
    let watcher = Watcher::alone();
    let plain = run(&watcher, Side::Plain, journal_mode, encoding);
    let sealed = run(&watcher, Side::Sealed, journal_mode, encoding);
    for kind in kinds(journal_mode) {
        let (plain, sealed) = (plain.get(kind), sealed.get(kind));
        let (plain, sealed) = plain.zip(sealed).unwrap_or_else(|| {
            panic!("{journal_mode}: no {kind} was written: {plain:?} {sealed:?}")
        });
        // Every kind of file was written, held the markers, and was big enough to have them again.
        if kind != "super-journal" {
            assert!(
                !plain.markers.is_empty(),
                "{journal_mode} {kind}: {plain:?}"
            );
            assert!(
                sealed.bytes >= plain.bytes / 2,
                "{kind}: {plain:?} {sealed:?}"
            );
        }
    }
    for (kind, written) in &sealed {
        assert_eq!(
            written.markers,
            BTreeSet::new(),
            "{journal_mode} {kind}: plaintext"
        );
        assert!(*kind != "other", "{sealed:?}");
    }
    let nameless = sealed.values().filter(|written| written.nameless);
    assert!(nameless.count() >= 3, "{sealed:?}");
}

#[test]
fn nothing_is_written_in_plaintext_with_a_journal_that_is_deleted() {
    compare("DELETE", "UTF-8");
}

#[test]
fn nothing_is_written_in_plaintext_with_a_journal_that_is_cut() {
    compare("TRUNCATE", "UTF-16le");
}

#[test]
fn nothing_is_written_in_plaintext_with_a_journal_that_is_kept() {
    compare("PERSIST", "UTF-8");
}

#[test]
fn nothing_is_written_in_plaintext_with_a_log() {
    compare("WAL", "UTF-8");
}

#[test]
fn nothing_is_written_in_plaintext_without_a_journal() {
    compare("MEMORY", "UTF-8");
    compare("OFF", "UTF-8");
}

#[test]
fn sealing_writes_no_plaintext_and_unsealing_only_its_target() {
    let watcher = Watcher::alone();
    let folder = tempdir().unwrap();
    let source = Bench {
        folder: folder.path(),
        side: Side::Plain,
    };
    drop(source.fill("source.db", "DELETE", "UTF-8"));
    let plain = watcher.take();
    assert!(plain["source"].markers.len() > 3, "{plain:?}");
    let sealed = folder.path().join("sealed.db");
    let options = EncryptOptions::new(slots());
    zqlite::encrypt(&source.path("source.db"), &sealed, options, &mut |_| true).unwrap();
    let seen = watcher.take();
    assert!(seen["database"].bytes > 400_000, "{seen:?}");
    for (kind, written) in &seen {
        assert_eq!(written.markers, BTreeSet::new(), "{kind}");
    }
    let again = folder.path().join("again.db");
    zqlite::decrypt(&sealed, &again, DecryptOptions::new(ring()), &mut |_| true).unwrap();
    let seen = watcher.take();
    let marked = seen
        .iter()
        .filter(|(_, written)| !written.markers.is_empty());
    let marked: Vec<&str> = marked.map(|(kind, _)| *kind).collect();
    // The target has a journal, as any plain database, when its schema is put in order.
    assert_eq!(marked, ["database", "journal"], "{seen:?}");
    let plain = Connection::open(&again).unwrap();
    assert_eq!(
        one::<u32>(&plain, &format!("SELECT count(*) FROM {TABLE}")),
        ROWS
    );
}
