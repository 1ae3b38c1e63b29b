//! One workload on one engine: `bench-engine ENGINE WORKLOAD FOLDER --rows N`.
//!
//! The timing covers what the workload names, not the start of the process. Work that is not timed (making the
//! database that is read, warming the operating system's cache) comes before.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;

mod commit;
mod engine;
mod insert;
mod open;
mod process;
mod read;
mod row;

use engine::{Database, Engine};

#[derive(Parser)]
struct Args {
    engine: Engine,
    workload: Workload,
    /// Where the databases are, or will be.
    folder: PathBuf,
    /// Rows of the large table.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// The loadable extension, for the engine of that name.
    #[arg(long)]
    extension: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Workload {
    /// Insert all rows in one transaction; WAL, synchronous=FULL, checkpoint and close included.
    InsertOne,
    /// The same in transactions of 10,000 rows.
    InsertMany,
    /// The same in one transaction with a rollback journal.
    InsertDelete,
    /// Make the table in transactions of 8 rows with a rollback journal. Not compared.
    PrepareSmall,
    /// Select rows by random keys, with a cache of 64 pages.
    Select,
    /// Read the whole table that was written in bulk.
    Scan,
    /// Read the whole table that was written in small transactions.
    ScanSmall,
    /// Transactions of one row, each durable; WAL, synchronous=FULL.
    Commit,
    /// Open a database of one slot with an identity, and read its schema.
    OpenOne,
    /// The same with 20 slots, the identity's being the last.
    OpenTwenty,
}

/// What the driver reads.
#[derive(Serialize)]
struct Report {
    /// Time of the workload.
    seconds: f64,
    /// Processor time of it: steadier on a machine with other work.
    cpu_seconds: f64,
    /// How many operations the time covers.
    operations: u64,
    /// The same on all engines if they did the same work.
    checksum: u64,
    /// The largest resident set of the process, in bytes.
    peak_memory: u64,
}

/// What a workload did.
struct Work {
    operations: u64,
    checksum: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let Args { engine, rows, .. } = args;
    let folder = args.folder.canonicalize()?;
    let folder = folder.as_path();
    if let (Engine::Extension, Some(extension)) = (engine, &args.extension) {
        engine::load(extension)?;
    }
    let bulk = Database::new(engine, folder, "bulk");
    let small = Database::new(engine, folder, "small");
    let report = match args.workload {
        Workload::InsertOne => {
            let database = bulk.anew()?;
            timed(|| insert::run(&database, "WAL", rows, rows))?
        }
        Workload::InsertMany => {
            let database = bulk.anew()?;
            timed(|| insert::run(&database, "WAL", rows, 10_000))?
        }
        Workload::InsertDelete => {
            let database = Database::new(engine, folder, "delete").anew()?;
            let report = timed(|| insert::run(&database, "DELETE", rows, rows))?;
            database.remove()?;
            report
        }
        Workload::PrepareSmall => {
            let database = small.anew()?;
            timed(|| insert::in_small_transactions(&database, rows))?
        }
        Workload::Select => {
            bulk.warm()?;
            let mut connection = bulk.open()?;
            connection.pragma_update(None, "cache_size", 64)?;
            timed(|| read::select(&mut connection, rows))?
        }
        Workload::Scan => {
            bulk.warm()?;
            let connection = bulk.open()?;
            timed(|| read::scan(&connection))?
        }
        Workload::ScanSmall => {
            small.warm()?;
            let connection = small.open()?;
            timed(|| read::scan(&connection))?
        }
        Workload::Commit => {
            let database = Database::new(engine, folder, "commit").anew()?;
            let mut connection = commit::prepare(&database)?;
            let report = timed(|| commit::run(&mut connection, rows / 500))?;
            drop(connection);
            database.remove()?;
            report
        }
        Workload::OpenOne => open::run(engine, folder, 1)?,
        Workload::OpenTwenty => open::run(engine, folder, 20)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<Work>) -> Result<Report> {
    let cpu = process::cpu_seconds()?;
    let started = Instant::now();
    let done = work().context("the workload failed")?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Report {
        seconds,
        cpu_seconds: process::cpu_seconds()? - cpu,
        operations: done.operations,
        checksum: done.checksum,
        peak_memory: process::peak_memory()?,
    })
}
