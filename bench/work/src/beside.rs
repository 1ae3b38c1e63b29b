//! Point reads while another connection commits.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rusqlite::{Connection, params};

use crate::row::{Rows, SplitMix};
use crate::settings::{self, Journal};
use crate::{Report, Setup, Work, insert, latency, remove, timed};

/// Rows of the table.
const ROWS: u32 = 50_000;
/// Rows that are read: they fit into any cache.
const HOT: u64 = 1_000;
const READERS: u64 = 2;

/// Two readers with a thread each; the writer commits single rows, durably, and they read until it is done.
pub(crate) fn run(setup: &Setup) -> Result<Report> {
    let path = setup.anew("beside")?;
    let connection = setup.engine.open(&path)?;
    insert::table(&connection, Journal::Wal, ROWS, ROWS)?;
    let commits = (setup.rows / 500).max(200);
    let report = timed(|| {
        let left = AtomicU32::new(commits);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(setup, &path, &left));
            let readers: Vec<_> = (0..READERS)
                .map(|seed| {
                    let (path, left) = (path.as_path(), &left);
                    scope.spawn(move || read(setup, path, seed, left))
                })
                .collect();
            let mut times = Vec::new();
            for reader in readers {
                times.extend(reader.join().map_err(|_| anyhow!("a reader panicked"))??);
            }
            writer
                .join()
                .map_err(|_| anyhow!("the writer panicked"))??;
            Ok(Work {
                operations: u64::from(commits),
                checksum: 0,
                latency: Some(latency(times)?),
            })
        })
    })?;
    drop(connection);
    remove(&path)?;
    Ok(report)
}

fn read(setup: &Setup, path: &Path, seed: u64, left: &AtomicU32) -> Result<Vec<Duration>> {
    let connection = setup.engine.open(path)?;
    let mut select = connection.prepare("SELECT owner, body FROM item WHERE id = ?1")?;
    let mut random = SplitMix(10 + seed);
    let mut times = Vec::new();
    while left.load(Ordering::Relaxed) > 0 {
        let id = i64::try_from(random.next() % HOT + 1)?;
        let started = Instant::now();
        let owner: i64 = select.query_row([id], |row| row.get(0))?;
        times.push(started.elapsed());
        ensure!(owner == id % 1_000, "another row");
    }
    Ok(times)
}

/// Rewrites bodies, one to a transaction.
fn write(setup: &Setup, path: &Path, left: &AtomicU32) -> Result<()> {
    let rewrite = || -> Result<()> {
        let connection: Connection = setup.engine.open(path)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        settings::durable(&connection, Journal::Wal)?;
        let source = Rows::new();
        let mut update = connection.prepare("UPDATE item SET body = ?2 WHERE id = ?1")?;
        let mut random = SplitMix(9);
        while left.load(Ordering::Relaxed) > 0 {
            let id = u32::try_from(random.next() % u64::from(ROWS) + 1)?;
            let (_, body) = source.row(id ^ left.load(Ordering::Relaxed));
            update.execute(params![id, body])?;
            left.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let written = rewrite();
    // Nobody shall wait for a writer that has failed.
    left.store(0, Ordering::Relaxed);
    written
}
