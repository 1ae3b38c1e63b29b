//! A connection keeps interior pages of trees and reads ahead: it must see every change that another one makes.
//!
//! `ZQLITE_CACHE_STEPS`: changes for each mode (default 300).
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

#[path = "support/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};
use tempfile::tempdir;

use support::{assert_clean, assert_sound, create, mode, one, open};

/// The generator `SplitMix64`: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// What the table holds: name to value. Names are long, so that the index has many interior pages.
type Model = BTreeMap<String, i64>;

fn name(id: u64) -> String {
    format!("{:0>300}", id.wrapping_mul(2_654_435_761) % 1_000_003)
}

fn make(path: &Path, journal_mode: &str) -> (Connection, Model) {
    let mut connection = create(path);
    mode(&connection, journal_mode);
    connection
        .execute_batch(
            "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=50;
             CREATE TABLE t(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;",
        )
        .unwrap();
    let model: Model = (0..3_000u32)
        .map(|id| (name(id.into()), id.into()))
        .collect();
    let transaction = connection.transaction().unwrap();
    for (name, value) in &model {
        transaction
            .execute("INSERT INTO t VALUES (?1, ?2)", params![name, value])
            .unwrap();
    }
    transaction.commit().unwrap();
    (connection, model)
}

fn reader(path: &Path) -> Connection {
    let connection = open(path);
    // Nearly every page comes through the VFS.
    connection.execute_batch("PRAGMA cache_size=4").unwrap();
    connection
}

fn value(connection: &Connection, name: &str) -> Option<i64> {
    let mut select = connection
        .prepare("SELECT value FROM t WHERE name = ?1")
        .unwrap();
    let mut rows = select.query([name]).unwrap();
    rows.next().unwrap().map(|row| row.get(0).unwrap())
}

/// How many rows there are, and the sum of their values.
fn sum(connection: &Connection) -> (usize, i64) {
    connection
        .query_row(
            "SELECT count(*), coalesce(sum(value), 0) FROM t",
            [],
            |row| Ok((row.get::<_, u32>(0)? as usize, row.get(1)?)),
        )
        .unwrap()
}

fn assert_sees(connection: &Connection, model: &Model, random: &mut Random, what: &str) {
    for _ in 0..6 {
        let name = name(random.below(6_000));
        assert_eq!(
            value(connection, &name),
            model.get(&name).copied(),
            "{what}"
        );
    }
    let expected = (model.len(), model.values().sum());
    assert_eq!(sum(connection), expected, "{what}");
}

/// One change, committed.
fn change(connection: &mut Connection, model: &mut Model, random: &mut Random, step: i64) {
    let transaction = connection.transaction().unwrap();
    match random.below(10) {
        0..4 => {
            for _ in 0..=random.below(40) {
                let name = name(random.below(6_000));
                transaction
                    .execute("REPLACE INTO t VALUES (?1, ?2)", params![name, step])
                    .unwrap();
                model.insert(name, step);
            }
        }
        4..7 => {
            for _ in 0..=random.below(40) {
                let name = name(random.below(6_000));
                transaction
                    .execute("DELETE FROM t WHERE name = ?1", [&name])
                    .unwrap();
                model.remove(&name);
            }
        }
        7 => {
            transaction
                .execute("UPDATE t SET value = value + 1", [])
                .unwrap();
            model.values_mut().for_each(|value| *value += 1);
        }
        _ => {
            transaction.execute("DELETE FROM t", []).unwrap();
            drop(transaction);
            return;
        }
    }
    transaction.commit().unwrap();
}

fn run(journal_mode: &str, seed: u64) {
    let steps: i64 = std::env::var("ZQLITE_CACHE_STEPS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(300);
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let (mut writer, mut model) = make(&path, journal_mode);
    let mut readers = [reader(&path), reader(&path)];
    let mut random = Random(seed);
    for step in 0..steps {
        let what = format!("{journal_mode}, seed {seed}, step {step}");
        change(&mut writer, &mut model, &mut random, step);
        match random.below(12) {
            0 => writer.execute_batch("VACUUM").unwrap(),
            1 => writer
                .execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
                .unwrap(),
            2 => writer
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                .unwrap(),
            // The other side writes, too, over the pages that it keeps.
            3 => {
                let [first, _] = &mut readers;
                change(first, &mut model, &mut random, step + 1_000_000);
            }
            _ => {}
        }
        for reader in &readers {
            assert_sees(reader, &model, &mut random, &what);
        }
        if step % 50 == 0 {
            assert_sees(&open(&path), &model, &mut random, &what);
            assert_sound(&readers[0]);
        }
    }
    assert_sees(&writer, &model, &mut random, journal_mode);
    drop(readers);
    drop(writer);
    assert_clean(&path);
}

#[test]
fn changes_of_another_connection_are_seen_with_a_wal() {
    run("WAL", 1);
}

#[test]
fn changes_of_another_connection_are_seen_with_a_rollback_journal() {
    run("DELETE", 2);
    run("PERSIST", 3);
}

#[test]
fn a_snapshot_stays_while_the_database_is_changed_and_checkpointed_under_it() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let (mut writer, mut model) = make(&path, "WAL");
    let mut random = Random(4);
    let mut reader = reader(&path);
    for round in 0..20 {
        let before = model.clone();
        let snapshot = reader.transaction().unwrap();
        assert_sees(&snapshot, &before, &mut random, "first look");
        for step in 0..5 {
            change(&mut writer, &mut model, &mut random, round * 5 + step);
            writer
                .execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
                .unwrap();
            assert_sees(&snapshot, &before, &mut random, "later look");
        }
        drop(snapshot);
        assert_sees(&reader, &model, &mut random, "after the snapshot");
    }
    assert_sound(&reader);
}

#[test]
fn a_change_of_the_journal_mode_is_seen() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let (mut writer, mut model) = make(&path, "WAL");
    let mut random = Random(5);
    for journal_mode in ["DELETE", "WAL", "TRUNCATE", "WAL"] {
        {
            let reader = reader(&path);
            assert_sees(&reader, &model, &mut random, journal_mode);
        }
        mode(&writer, journal_mode);
        let reader = reader(&path);
        for step in 0..20 {
            change(&mut writer, &mut model, &mut random, step);
            assert_sees(&reader, &model, &mut random, journal_mode);
        }
    }
    assert_eq!(one::<String>(&writer, "PRAGMA integrity_check"), "ok");
}

#[test]
fn what_is_rolled_back_is_not_seen_by_who_wrote_it() {
    for journal_mode in ["DELETE", "WAL"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        let (connection, model) = make(&path, journal_mode);
        drop(connection);
        let mut random = Random(6);
        let mut connection = reader(&path);
        for _ in 0..10 {
            let transaction = connection.transaction().unwrap();
            transaction
                .execute_batch(
                    "UPDATE t SET value = value + 1; SAVEPOINT s; DELETE FROM t WHERE value % 3 = 0;",
                )
                .unwrap();
            assert!(sum(&transaction).0 < model.len());
            transaction.execute_batch("ROLLBACK TO s").unwrap();
            assert_eq!(sum(&transaction).0, model.len());
            drop(transaction);
            assert_sees(&connection, &model, &mut random, journal_mode);
        }
        assert_sound(&connection);
    }
}

fn damage_all_but_the_first_page(path: &Path) {
    let pages = (support::len(path) - support::page_at(1)) / 4_096;
    assert!(pages > 100, "{pages}");
    for number in 2..=pages {
        support::flip(path, support::page_at(number) + 17);
    }
}

/// Names that are looked up until their pages are kept, and their values.
fn looked_up(connection: &Connection, model: &Model) -> rusqlite::Result<i64> {
    let mut sum = 0;
    let mut select = connection.prepare_cached("SELECT value FROM t WHERE name = ?1")?;
    for name in model.keys().step_by(3) {
        sum += select.query_row([name], |row| row.get::<_, i64>(0))?;
    }
    Ok(sum)
}

#[test]
fn with_a_wal_kept_pages_outlive_the_commits_of_others_until_a_checkpoint() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let (writer, model) = make(&path, "WAL");
    writer
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint=0")
        .unwrap();
    let reader = reader(&path);
    let expected = looked_up(&reader, &model).unwrap();
    for _ in 0..3 {
        assert_eq!(looked_up(&reader, &model).unwrap(), expected);
    }
    // What is written goes into the log, not into the file.
    let commit = |value: i64| {
        writer
            .execute("REPLACE INTO t VALUES ('~', ?1)", [value])
            .unwrap();
    };
    commit(1);
    damage_all_but_the_first_page(&path);
    assert!(looked_up(&open(&path), &model).is_err(), "the damage shows");
    assert_eq!(looked_up(&reader, &model).unwrap(), expected);
    commit(2);
    assert_eq!(value(&reader, "~"), Some(2));
    assert_eq!(looked_up(&reader, &model).unwrap(), expected);
    writer
        .execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
        .unwrap();
    assert!(looked_up(&reader, &model).is_err(), "they are read again");
}

#[test]
fn a_connection_that_is_told_to_keep_nothing_reads_every_page_again() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let (writer, model) = make(&path, "DELETE");
    let keeps_nothing = support::builder(&path).cache_size(0).open().unwrap();
    let keeps = open(&path);
    let mut expected = 0;
    for connection in [&keeps_nothing, &keeps] {
        connection.execute_batch("PRAGMA cache_size=4").unwrap();
        for _ in 0..3 {
            expected = looked_up(connection, &model).unwrap();
        }
    }
    drop(writer);
    damage_all_but_the_first_page(&path);
    assert_eq!(looked_up(&keeps, &model).unwrap(), expected);
    assert!(looked_up(&keeps_nothing, &model).is_err());
}

#[test]
fn whoever_gives_sqlite_little_memory_means_the_kept_pages_too() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let writer = create(&path);
    writer
        .execute_batch(
            "CREATE TABLE big(id INTEGER PRIMARY KEY, body BLOB);
             WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT 4000)
             INSERT INTO big SELECT v, zeroblob(3000) FROM n;",
        )
        .unwrap();
    drop(writer);
    // In no order, so that no page is read in a run.
    let look_up = |connection: &Connection| -> rusqlite::Result<i64> {
        let mut select = connection.prepare_cached("SELECT length(body) FROM big WHERE id = ?1")?;
        let mut sum = 0;
        for turn in 0..4_000 {
            let id = 1 + turn * 1_237 % 4_000;
            sum += select.query_row([id], |row| row.get::<_, i64>(0))?;
        }
        Ok(sum)
    };
    let (large, small) = (open(&path), open(&path));
    small.execute_batch("PRAGMA cache_size=64").unwrap();
    for connection in [&large, &small] {
        for _ in 0..3 {
            assert_eq!(look_up(connection).unwrap(), 12_000_000);
        }
    }
    damage_all_but_the_first_page(&path);
    assert_eq!(look_up(&large).unwrap(), 12_000_000);
    assert!(look_up(&small).is_err());
}
