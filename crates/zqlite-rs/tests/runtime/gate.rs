//! A database whose writer stands still until it is told to go on, so that what comes meanwhile shares a transaction.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use zqlite::rusqlite::params;
use zqlite::{Database, Error, Options, WriteTransaction};

use crate::support;

pub(crate) fn open(path: &Path, options: Options) -> Database {
    let builder = support::builder(path).create(support::slots());
    // The gate keeps a batch open for long.
    let options = options.batch(1_024, Duration::from_secs(600));
    let database = Database::open(builder, options).unwrap();
    database
        .write(|tx| {
            tx.execute_batch(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, v);
                 CREATE TABLE parent(id INTEGER PRIMARY KEY);
                 CREATE TABLE child(id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
            )?;
            Ok(())
        })
        .unwrap();
    database
}

pub(crate) fn insert(tx: &WriteTransaction<'_>, id: i64) -> Result<(), Error> {
    let mut statement = tx.prepare_cached("INSERT INTO t(id) VALUES (?1)")?;
    statement.execute(params![id])?;
    Ok(())
}

pub(crate) fn ids(database: &Database) -> Vec<i64> {
    let ids = database.read(|c| {
        let mut statement = c.prepare_cached("SELECT id FROM t ORDER BY id")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    ids.unwrap()
}

/// A closure that keeps the writer until [`Gate::open`], and is part of the batch that follows. Row 0 is its own.
pub(crate) struct Gate {
    open: Sender<()>,
    inside: Receiver<()>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Gate {
    pub(crate) fn close(database: &Database) -> Self {
        let (open, opened) = channel::<()>();
        let (enters, inside) = channel::<()>();
        let database = database.clone();
        let thread = std::thread::spawn(move || {
            database.write(move |tx| {
                enters.send(()).unwrap();
                opened.recv().unwrap();
                insert(tx, 0)
            })
        });
        let gate = Self {
            open,
            inside,
            thread,
        };
        gate.inside.recv().unwrap();
        gate
    }

    /// Runs on, and tells how the closure at the gate ended.
    pub(crate) fn open(self) -> Result<(), Error> {
        self.open.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

/// Waits until so many closures are queued.
pub(crate) fn until_queued(database: &Database, count: usize) {
    while database.status().queued < count {
        std::thread::yield_now();
    }
}

/// Queues a closure from a thread of its own, and returns when it stands in the queue.
pub(crate) fn queue<T: Send + 'static>(
    database: &Database,
    closure: impl FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
) -> JoinHandle<Result<T, Error>> {
    let before = database.status().queued;
    let theirs = database.clone();
    let thread = std::thread::spawn(move || theirs.write(closure));
    until_queued(database, before + 1);
    thread
}
