//! Many callers through the writer with group commit.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bench_work::Peers;
use zqlite::{AsyncDatabase, Builder, Durability, Options};

/// Each caller is a task that inserts one row, waits until it is durable, and inserts the next.
pub(super) fn insert(
    builder: Builder,
    clients: u32,
    ids: RangeInclusive<u32>,
) -> Result<Vec<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        // The default, named here because it is what is compared.
        let options = Options::new().durability(Durability::Full);
        let database = AsyncDatabase::open(builder, options).await?;
        // Of the writer's own connection no more can be asked: its closures are denied PRAGMA.
        let mode: String = database
            .read(|connection| {
                Ok(connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?)
            })
            .await?;
        ensure!(mode == "wal", "journal_mode is {mode}");
        let peers = Arc::new(Peers::new());
        let step = usize::try_from(clients)?;
        let tasks: Vec<_> = (0..clients)
            .map(|at| {
                let (database, peers, end) = (database.clone(), Arc::clone(&peers), *ids.end());
                let own = (ids.start() + at..=end).step_by(step);
                tokio::spawn(client(database, peers, own))
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await??);
        }
        database.checkpoint().await?;
        database.close(Duration::from_secs(60)).await?;
        Ok(all)
    })
}

async fn client(
    database: AsyncDatabase,
    peers: Arc<Peers>,
    ids: impl Iterator<Item = u32>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for id in ids {
        let peers = Arc::clone(&peers);
        let started = Instant::now();
        database
            .write(move |transaction| Ok(peers.insert(transaction, id)?))
            .await?;
        times.push(started.elapsed());
    }
    Ok(times)
}
