//! Many callers who each want a row of 1 KB, with four indexes, to be durable.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rusqlite::{Connection, TransactionBehavior};

use crate::row::{PEER_TABLE, Peers};
use crate::settings::{self, Journal};
use crate::{Report, Setup, Work, latency, remove, timed};

/// How many rows the table has before.
const BEFORE: u32 = 20_000;
/// How long a connection waits for another.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection works the queue of `clients` callers off, a transaction for each row.
pub(crate) fn queued(setup: &Setup, clients: u32, journal: Journal) -> Result<Report> {
    measure(setup, journal, clients, |connection, end| {
        let peers = Peers::new();
        let mut times = Vec::new();
        for id in BEFORE + 1..=end {
            let started = Instant::now();
            peers.insert(connection, id)?;
            times.push(started.elapsed());
        }
        checkpoint(connection)?;
        Ok(times)
    })
}

/// What is postponed is paid for in the end.
fn checkpoint(connection: &Connection) -> Result<()> {
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// Each of the callers has a thread and a connection of his own.
pub(crate) fn clients(setup: &Setup, clients: u32) -> Result<Report> {
    measure(setup, Journal::Wal, clients, |connection, end| {
        let peers = Peers::new();
        let path = setup.path("peers");
        let client = &|at: u32| -> Result<Vec<Duration>> {
            let mut connection = setup.engine.open(&path)?;
            connection.busy_timeout(PATIENCE)?;
            settings::durable(&connection, Journal::Wal)?;
            let mut times = Vec::new();
            for id in (BEFORE + 1 + at..=end).step_by(usize::try_from(clients)?) {
                let started = Instant::now();
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                peers.insert(&transaction, id)?;
                transaction.commit()?;
                times.push(started.elapsed());
            }
            Ok(times)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients)
                .map(|at| scope.spawn(move || client(at)))
                .collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().map_err(|_| anyhow!("panicked"))??);
            }
            checkpoint(connection)?;
            Ok(all)
        })
    })
}

/// The engine has a writer for many callers.
pub(crate) fn group(setup: &Setup, clients: u32) -> Result<Report> {
    measure(setup, Journal::Wal, clients, |_, end| {
        setup
            .engine
            .group(&setup.path("peers"), clients, BEFORE + 1..=end)
    })
}

/// Makes the table, times `insert`, and looks whether all rows are there. It gets the connection that made the table and
/// the last id.
fn measure(
    setup: &Setup,
    journal: Journal,
    clients: u32,
    insert: impl FnOnce(&Connection, u32) -> Result<Vec<Duration>>,
) -> Result<Report> {
    let path = setup.anew("peers")?;
    let connection = setup.engine.open(&path)?;
    settings::durable(&connection, journal)?;
    connection.execute_batch(PEER_TABLE)?;
    let peers = Peers::new();
    let transaction = connection.unchecked_transaction()?;
    for id in 1..=BEFORE {
        peers.insert(&transaction, id)?;
    }
    transaction.commit()?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    // 16 rows for each of 512 callers in the full run.
    let each = (setup.rows / 62_500).max(2) * (512 / clients.max(1)).min(4);
    let end = BEFORE + clients * each;
    let mut report = timed(|| {
        let times = insert(&connection, end)?;
        let operations = u64::try_from(times.len())?;
        Ok(Work {
            operations,
            checksum: 0,
            latency: Some(latency(times)?),
        })
    })?;
    let (rows, checksum): (u64, u64) = connection.query_row(
        "SELECT count(*), sum(owner + address + length(body)) FROM peer",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    ensure!(rows == u64::from(end), "{rows} rows instead of {end}");
    report.checksum = checksum;
    drop(connection);
    remove(&path)?;
    Ok(report)
}
