//! Many tasks for a long time: memory stays flat, no connection is lost.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinSet;
use zqlite::{Error, Options};

use crate::gate::open;
use crate::support::one;

const TASKS: u64 = 512;

/// The resident set of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A task's next deed: most write or read, some fail, panic, time out or are dropped.
async fn deed(database: &zqlite::AsyncDatabase, task: u64, turn: u64) {
    let key = i64::try_from((task * 31 + turn * 7) % 10_000).unwrap();
    let write = database.write(move |tx| {
        let sql = "INSERT INTO t(id, v) VALUES (?1, zeroblob(200)) ON CONFLICT DO UPDATE SET v = zeroblob(300)";
        tx.prepare_cached(sql)?.execute([key])?;
        match turn % 10 {
            8 => Err(Error::application("as planned")),
            _ => Ok(()),
        }
    });
    let read = database.read(move |c| {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM t WHERE id > ?1 LIMIT 10)";
        Ok(c.prepare_cached(sql)?
            .query_row([key], |row| row.get::<_, i64>(0))?)
    });
    match turn % 10 {
        5 | 6 => assert!(read.await.unwrap() <= 10),
        7 => drop(tokio::time::timeout(Duration::from_micros(turn % 500), write).await),
        8 => assert!(write.await.is_err()),
        9 => drop(tokio::time::timeout(Duration::from_micros(turn % 500), read).await),
        _ => write.await.unwrap(),
    }
}

#[test]
fn hundreds_of_tasks_leave_memory_flat_and_every_connection_in_the_pool() {
    let seconds = std::env::var("ZQLITE_SOAK_SECONDS").map_or(5, |s| s.parse().unwrap());
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new().readers(1, 4));
    let theirs = database.to_async();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let ends = Instant::now() + Duration::from_secs(seconds);
    let (turns, flat) = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let database = theirs.clone();
            tasks.spawn(async move {
                let mut turn = task;
                while Instant::now() < ends {
                    deed(&database, task, turn).await;
                    turn += 1;
                }
                turn - task
            });
        }
        // After a fifth of the time everything has been filled that is filled once.
        tokio::time::sleep(Duration::from_secs(seconds) / 5).await;
        let early = (resident(), descriptors());
        let mut turns = 0;
        while let Some(done) = tasks.join_next().await {
            turns += done.unwrap();
        }
        (turns, early)
    });
    runtime.shutdown_timeout(Duration::from_secs(60));
    let started = Instant::now();
    while database.status().readers.in_use > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "a reader is lost"
        );
        std::thread::yield_now();
    }
    let status = database.status();
    assert_eq!((status.queued, status.running_reads.len()), (0, 0));
    assert!(turns > TASKS, "{turns}");
    println!(
        "{turns} turns; resident {} KiB, then {} KiB; descriptors {}, then {}",
        flat.0,
        resident(),
        flat.1,
        descriptors()
    );
    assert!(
        resident() < flat.0 + 64 * 1024,
        "{} KiB, then {} KiB",
        flat.0,
        resident()
    );
    // Other tests of this process open files, too.
    assert!(descriptors() < flat.1 + 200);
    let sound = database.read(|c| Ok(one::<String>(c, "PRAGMA integrity_check")));
    assert_eq!(sound.unwrap(), "ok");
    database.close(Duration::from_secs(60)).unwrap();
}
