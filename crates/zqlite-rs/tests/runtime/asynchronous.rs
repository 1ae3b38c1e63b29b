//! The asynchronous face.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use zqlite::{AsyncDatabase, ErrorKind, Options};

use crate::gate::{Gate, ids, insert, open, until_queued};
use crate::support::{self, one};

const LONG: Duration = Duration::from_secs(60);
const ENDLESS: &str =
    "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT count(*) FROM n";

/// Without clocks of its own: the database brings them along.
fn tokio() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Polls a future once, and drops it.
async fn poll_once<F: Future>(future: F) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

#[test]
fn thousands_of_tasks_write_and_read_and_no_thread_waits_for_them() {
    let folder = TempDir::new().unwrap();
    let database = open(
        &folder.path().join("db"),
        Options::new().queue_capacity(16).readers(0, 2),
    );
    let gate = Gate::close(&database);
    let theirs = database.to_async();
    tokio().block_on(async {
        let before = threads();
        let mut tasks = JoinSet::new();
        for id in 1..=2_000 {
            let database = theirs.clone();
            tasks.spawn(async move {
                database.write(move |tx| insert(tx, id)).await?;
                database
                    .read(move |c| Ok(one::<i64>(c, "SELECT count(*) FROM t")))
                    .await
            });
        }
        for _ in 0..3_000 {
            tokio::task::yield_now().await;
        }
        until_queued(&database, 2_000);
        // Other tests run beside this one, with some threads each.
        assert!(
            threads() < before + 100,
            "{} threads, then {}",
            before,
            threads()
        );
        gate.open().unwrap();
        while let Some(counted) = tasks.join_next().await {
            assert!(counted.unwrap().unwrap() > 0);
        }
    });
    assert_eq!(ids(&database), (0..=2_000).collect::<Vec<_>>());
}

#[test]
fn a_write_that_is_dropped_in_the_queue_never_runs_and_one_that_runs_is_committed() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let gate = Gate::close(&database);
    let theirs = database.to_async();
    let (inside, enters) = std::sync::mpsc::channel();
    let (go, goes) = std::sync::mpsc::channel::<()>();
    tokio().block_on(async {
        poll_once(theirs.write(|tx| insert(tx, 1))).await;
        assert_eq!(database.status().queued, 0);
        let running = theirs.write(move |tx| {
            inside.send(()).unwrap();
            goes.recv().unwrap();
            insert(tx, 2)
        });
        let mut running = Box::pin(running);
        std::future::poll_fn(|context| {
            assert!(running.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        let opened = std::thread::spawn(move || gate.open());
        enters.recv().unwrap();
        drop(running);
        go.send(()).unwrap();
        opened.join().unwrap().unwrap();
    });
    database.write(|tx| insert(tx, 3)).unwrap();
    assert_eq!(ids(&database), [0, 2, 3]);
}

#[test]
fn a_deadline_holds_in_the_queue_and_in_a_read() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new().readers(0, 1));
    let theirs = database.to_async();
    let gate = Gate::close(&database);
    let soon = Duration::from_millis(20);
    tokio().block_on(async {
        let error = theirs
            .write_within(soon, |tx| insert(tx, 1))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let count =
            |c: &rusqlite::Connection| Ok(c.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?);
        let error = theirs.read_within(soon, count).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        theirs.read_within(LONG, |_| Ok(())).await.unwrap();
    });
    gate.open().unwrap();
    assert_eq!(ids(&database), [0]);
}

#[test]
fn a_read_that_is_dropped_is_interrupted_and_its_connection_serves_the_next() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new().readers(0, 1));
    let theirs = database.to_async();
    let began = Arc::new(AtomicU32::new(0));
    tokio().block_on(async {
        for round in 1..=20 {
            let told = Arc::clone(&began);
            let task = tokio::spawn({
                let database = theirs.clone();
                async move {
                    database
                        .read(move |c| {
                            told.fetch_add(1, Ordering::SeqCst);
                            Ok(c.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?)
                        })
                        .await
                }
            });
            while began.load(Ordering::SeqCst) < round {
                tokio::task::yield_now().await;
            }
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            let sum = theirs.read(|c| Ok(one::<i64>(c, "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT 20000) SELECT sum(v) FROM n")));
            assert_eq!(sum.await.unwrap(), 200_010_000, "the interrupt is not another's");
        }
    });
    assert_eq!(database.status().readers.in_use, 0);
}

#[test]
fn a_stream_is_taken_piece_by_piece() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new().readers(0, 1));
    let theirs = database.to_async();
    tokio().block_on(async {
        let count = theirs.stream(4, |c, rows| {
            let mut statement = c.prepare(
                "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT v FROM n",
            )?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                rows.send(row.get::<_, i64>(0)?)?;
            }
            Ok(())
        });
        let mut stream = count.await.unwrap();
        for expected in 1..=1_000 {
            assert_eq!(stream.next().await.unwrap().unwrap(), expected);
        }
        drop(stream);
        theirs.read(|_| Ok(())).await.unwrap();
    });
}

#[test]
fn shutdown_drains_and_then_everything_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    tokio().block_on(async {
        let builder = support::builder(&path).create(support::slots());
        let database = AsyncDatabase::open(builder, Options::new()).await.unwrap();
        database
            .write(|tx| Ok(tx.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY)")?))
            .await
            .unwrap();
        let gate = Gate::close(&database.to_blocking());
        let mut tasks = JoinSet::new();
        for id in 1..=50 {
            let database = database.clone();
            tasks.spawn(async move { database.write(move |tx| insert(tx, id)).await });
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let opens = std::thread::spawn(move || gate.open());
        database.close(LONG).await.unwrap();
        opens.join().unwrap().unwrap();
        while let Some(written) = tasks.join_next().await {
            written.unwrap().unwrap();
        }
        let error = database.write(|tx| insert(tx, 99)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        let error = database.read(|_| Ok(())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    });
    assert_eq!(
        one::<i64>(&support::open(&path), "SELECT count(*) FROM t"),
        51
    );
    assert!(!support::wal(&path).exists());
}

#[test]
fn the_last_handle_can_be_dropped_by_a_closure_that_runs() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let last = open(&path, Options::new());
    let database = last.to_async();
    let (inside, enters) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (tell, ended) = std::sync::mpsc::channel();
    tokio().block_on(async move {
        let mut write = Box::pin(database.write(move |tx| {
            inside.send(()).unwrap();
            let _gone = gone.recv();
            insert(tx, 1)?;
            drop(last);
            tell.send(()).unwrap();
            Ok(())
        }));
        let begun = std::future::poll_fn(|context| {
            assert!(write.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(enters.recv())
        });
        begun.await.unwrap();
    });
    // No handle is left but the closure's.
    drop(go);
    ended.recv().unwrap();
    // The writer commits, closes and removes the log, when it comes to that.
    while support::wal(&path).exists() {
        std::thread::yield_now();
    }
    let rows: i64 = one(&support::open(&path), "SELECT count(*) FROM t WHERE id=1");
    assert_eq!(rows, 1);
}
