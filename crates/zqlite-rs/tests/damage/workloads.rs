//! Databases as they are found, and what is done with them while calls fail.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::{TempDir, tempdir};
use zqlite::Builder;
use zqlite::pq::Identity;
use zqlite::pq::header::{NewSlot, SlotKey};

use crate::story::{self, Story};
use crate::support::{builder, crash_copy, create, mode};

fn prepared(path: &Path, journal_mode: &str) -> Connection {
    let connection = create(path);
    mode(&connection, journal_mode);
    story::begin(&connection);
    connection
}

pub(crate) fn prepare_delete(path: &Path) {
    drop(prepared(path, "DELETE"));
}

pub(crate) fn prepare_wal(path: &Path) {
    drop(prepared(path, "WAL"));
}

/// As a crash leaves it in the middle of a transaction that has reached the database file.
pub(crate) fn prepare_hot_journal(path: &Path) {
    let original = path.with_file_name("original.db");
    let connection = prepared(&original, "DELETE");
    connection
        .execute_batch(
            "BEGIN; UPDATE t SET v = -7, pad = hex(zeroblob(300)); INSERT INTO log VALUES (77)",
        )
        .unwrap();
    crash_copy(&original, path);
    drop(connection);
    fs::remove_file(&original).unwrap();
}

/// As a crash leaves it with transactions in the log, and one that was not finished.
pub(crate) fn prepare_unrecovered_wal(path: &Path) {
    let original = path.with_file_name("original.db");
    let connection = prepared(&original, "WAL");
    connection
        .execute_batch(
            "BEGIN; UPDATE t SET v = -7, pad = hex(zeroblob(300)); INSERT INTO log VALUES (77)",
        )
        .unwrap();
    crash_copy(&original, path);
    drop(connection);
    fs::remove_file(&original).unwrap();
}

/// Opens the file, or tells that it could not be opened.
fn opened(builder: Builder, story: &Story) -> Option<Connection> {
    match builder.open() {
        Ok(connection) => {
            story.run(&connection, "PRAGMA cache_size=5");
            Some(connection)
        }
        Err(error) => {
            story.assert_is_io(&error);
            None
        }
    }
}

pub(crate) fn transactions(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    for step in 1..=3 {
        story.step(&connection, step);
        story.look(&connection);
    }
    Some(connection)
}

pub(crate) fn persistent_journal(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    story.run(&connection, "PRAGMA journal_mode=PERSIST");
    for step in 1..=3 {
        story.step(&connection, step);
        story.look(&connection);
    }
    Some(connection)
}

pub(crate) fn truncated_journal(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    story.run(&connection, "PRAGMA journal_mode=TRUNCATE");
    for step in 1..=2 {
        story.step(&connection, step);
    }
    story.look(&connection);
    Some(connection)
}

pub(crate) fn with_checkpoints(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    story.run(&connection, "PRAGMA wal_autocheckpoint=20");
    for (step, kind) in (1..=3).zip(["PASSIVE", "RESTART", "TRUNCATE"]) {
        story.step(&connection, step);
        story.run(&connection, &format!("PRAGMA wal_checkpoint({kind})"));
        story.look(&connection);
    }
    Some(connection)
}

/// The log is checkpointed and deleted when the last connection is closed.
pub(crate) fn closing(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    story.step(&connection, 1);
    drop(connection);
    let connection = opened(builder(path), story)?;
    story.look(&connection);
    story.step(&connection, 2);
    Some(connection)
}

pub(crate) fn exclusive(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    story.run(&connection, "PRAGMA locking_mode=EXCLUSIVE");
    for step in 1..=2 {
        story.step(&connection, step);
        story.run(&connection, "PRAGMA wal_checkpoint(RESTART)");
        story.look(&connection);
    }
    Some(connection)
}

pub(crate) fn vacuum(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    story.step(&connection, 1);
    story.run(&connection, "VACUUM");
    story.look(&connection);
    Some(connection)
}

/// Changes the journal mode, back and forth.
pub(crate) fn modes(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    for (step, mode) in (1..=3).zip(["WAL", "DELETE", "PERSIST"]) {
        story.run(&connection, &format!("PRAGMA journal_mode={mode}"));
        story.step(&connection, step);
        story.look(&connection);
    }
    Some(connection)
}

/// A big sort, temporary tables, and statement journals.
pub(crate) fn temporary_files(path: &Path, story: &mut Story) -> Option<Connection> {
    let connection = opened(builder(path), story)?;
    let statements = [
        "PRAGMA temp_store=FILE",
        "PRAGMA temp.cache_size=3",
        "CREATE TEMP TABLE x AS SELECT a.k AS a, b.v AS b, b.pad AS c FROM t a, t b",
        "CREATE INDEX temp.xb ON x(b, c)",
        "UPDATE x SET c = c || 'y' WHERE a % 2",
        "CREATE TEMP TABLE y AS SELECT c FROM x ORDER BY c || b",
    ];
    // Each needs those before it.
    let _all_of_them = statements.iter().all(|sql| story.run(&connection, sql));
    story.step(&connection, 1);
    story.look(&connection);
    Some(connection)
}

fn identity() -> Identity {
    Identity::from_seed([9; 32])
}

pub(crate) fn prepare_for_identity(path: &Path) {
    let slots = vec![NewSlot {
        key: SlotKey::Recipient(identity().recipient()),
        label: String::new(),
    }];
    let slots = slots.into_iter().chain(crate::support::slots()).collect();
    let connection = builder(path).create(slots).open().unwrap();
    story::begin(&connection);
}

pub(crate) fn opening_with_an_identity(path: &Path, story: &mut Story) -> Option<Connection> {
    let builder = Builder::new(path).identity(identity()).accept_any_maker();
    let connection = opened(builder, story)?;
    story.look(&connection);
    Some(connection)
}

/// The files of a folder, to be put down again and again.
pub(crate) struct Template(Vec<(PathBuf, Vec<u8>)>);

impl Template {
    pub(crate) fn new(prepare: fn(&Path)) -> Self {
        let folder = tempdir().unwrap();
        prepare(&folder.path().join("a.db"));
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (
                PathBuf::from(entry.file_name()),
                fs::read(entry.path()).unwrap(),
            )
        });
        Self(files.collect())
    }

    pub(crate) fn put_down(&self) -> TempDir {
        let folder = tempdir().unwrap();
        for (name, bytes) in &self.0 {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }
}
