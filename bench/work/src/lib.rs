//! One workload on one engine: `ENGINE WORKLOAD FOLDER --rows N`, in a process of its own; prints one line of JSON.
//!
//! The timing covers what the workload names, not the start of the process. Work that is not timed (making the
//! database that is read, warming the operating system's cache) comes before.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use rusqlite::Connection;
use serde::Serialize;

mod beside;
mod commit;
mod file;
mod insert;
mod mixed;
mod opening;
mod process;
mod read;
mod rework;
mod row;
mod settings;
mod writers;

pub use file::remove;
pub use row::{PEER_TABLE, Peers};
pub use settings::Journal;

/// What a program has to know of its database engine.
pub trait Engine: Sync {
    /// Opens the database, or makes it, with this engine's defaults.
    ///
    /// # Errors
    /// The engine's own.
    fn open(&self, path: &Path) -> Result<Connection>;

    /// Makes a database of `slots` recipients and returns what opens it as the last of them.
    ///
    /// # Errors
    /// The engine's own, or that it knows no recipients.
    fn opener(&self, path: &Path, slots: u32) -> Result<Opener>;

    /// Has `clients` concurrent callers insert the peers of these ids, each durable when its caller is told, and then empties
    /// the log into the file. Gives how long each caller waited for each.
    ///
    /// # Errors
    /// The engine's own, or that it has no writer for many callers.
    fn group(&self, path: &Path, clients: u32, ids: RangeInclusive<u32>) -> Result<Vec<Duration>>;
}

/// Opens a database again and again.
pub type Opener = Box<dyn Fn() -> Result<Connection>>;

#[derive(Parser)]
struct Args {
    engine: String,
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

#[derive(Clone, Copy, ValueEnum)]
enum Workload {
    /// Insert all rows in one transaction; WAL, checkpoint and close included.
    InsertOne,
    /// The same in transactions of 10,000 rows.
    InsertMany,
    /// The same in one transaction with a rollback journal.
    InsertDelete,
    /// Make the table in transactions of 8 rows with a rollback journal. Not compared.
    PrepareSmall,
    /// Select rows by random keys, with a cache of 64 pages, after as many selects of others.
    SelectMiss,
    /// The same, all rows being in a cache of 64 MiB.
    SelectHit,
    /// The same with the engine's own defaults.
    SelectDefault,
    /// The same among a tenth of the rows.
    SelectTenth,
    /// Read the whole table that was written in bulk.
    Scan,
    /// Read the whole table that was written in small transactions.
    ScanSmall,
    /// Read runs of 100 rows at random places, with a cache of 2,000 KiB.
    Range,
    /// Transactions of one row, each durable; WAL.
    Commit,
    /// Nine selects to one durable transaction of one row; WAL.
    Mixed,
    /// 64 connections, each with a thread, a transaction for each row; WAL.
    Clients64,
    /// One connection works a queue off, a transaction for each row; WAL.
    Queued64,
    /// The same for the rows of 512 clients.
    Queued512,
    /// The same with a rollback journal.
    QueuedDelete512,
    /// What the engine has for 64 concurrent callers.
    Group64,
    /// The same for 512.
    Group512,
    /// Point selects by two readers beside a writer that commits as fast as it can; WAL.
    Beside,
    /// Open a database with a raw key and read its schema.
    Open,
    /// The same of one slot with an identity.
    OpenOne,
    /// The same with 20 slots, the identity's being the last.
    OpenTwenty,
    /// VACUUM of a table that lost every third row.
    Vacuum,
    /// Change every row and an index in one transaction with a rollback journal.
    UpdateDelete,
    /// The same; WAL.
    UpdateOne,
    /// Sort all rows, through temporary files.
    Sort,
}

/// What the driver reads.
#[derive(Serialize)]
struct Report {
    /// Time of the workload.
    seconds: f64,
    /// Processor time of all threads: steadier on a machine with other work.
    cpu_seconds: f64,
    /// How many operations the time covers.
    operations: u64,
    /// The same on all engines if they did the same work.
    checksum: u64,
    /// The largest resident set of the process, in bytes.
    peak_memory: u64,
    /// Of single operations, where they were timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
}

/// Times of single operations, in seconds.
#[derive(Clone, Copy, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
}

/// What a workload did.
struct Work {
    operations: u64,
    checksum: u64,
    latency: Option<Latency>,
}

impl Work {
    const fn new(operations: u64, checksum: u64) -> Self {
        Self {
            operations,
            checksum,
            latency: None,
        }
    }
}

/// Runs the workload that the arguments name on the engine that they name, and prints the report.
///
/// `engine` is given the name and the path of the loadable extension.
///
/// # Errors
/// Whatever fails.
#[expect(clippy::print_stdout, reason = "the report")]
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    engine: impl FnOnce(&str, Option<&Path>) -> Result<Box<dyn Engine>>,
) -> Result<()> {
    let args = Args::try_parse_from(args)?;
    let folder = args.folder.canonicalize()?;
    let setup = Setup {
        engine: engine(&args.engine, args.extension.as_deref())?,
        suffix: args.engine.replace(':', "-"),
        folder,
        rows: args.rows,
    };
    let report = setup
        .measure(args.workload)
        .with_context(|| format!("{} failed", args.engine))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// An engine, where its databases are, and how large they shall be.
struct Setup {
    engine: Box<dyn Engine>,
    suffix: String,
    folder: PathBuf,
    rows: u32,
}

impl Setup {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{}", self.suffix))
    }

    fn open(&self, name: &str) -> Result<Connection> {
        self.engine.open(&self.path(name))
    }

    /// A path with nothing left of an earlier round.
    fn anew(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        remove(&path)?;
        Ok(path)
    }

    /// A database that exists, in the operating system's memory.
    fn warm(&self, name: &str) -> Result<Connection> {
        file::warm(&self.path(name))?;
        self.open(name)
    }

    fn measure(&self, workload: Workload) -> Result<Report> {
        match workload {
            Workload::InsertOne => self.insert("bulk", Journal::Wal, self.rows),
            Workload::InsertMany => self.insert("bulk", Journal::Wal, 10_000),
            Workload::InsertDelete => {
                let report = self.insert("delete", Journal::Delete, self.rows)?;
                remove(&self.path("delete"))?;
                Ok(report)
            }
            Workload::PrepareSmall => {
                let path = self.anew("small")?;
                timed(|| insert::in_small_transactions(&self.engine.open(&path)?, self.rows))
            }
            Workload::SelectMiss => {
                let connection = self.warm("bulk")?;
                settings::cache(&connection, 64)?;
                select_again(connection, self.rows, read::SELECTS)
            }
            Workload::SelectHit => {
                let mut connection = self.warm("bulk")?;
                settings::cache(&connection, -65_536)?;
                let rows = self.rows.min(read::HOT_ROWS);
                connection.execute_batch("BEGIN")?;
                read::fill_cache(&connection, rows)?;
                connection.execute_batch("COMMIT")?;
                timed(|| read::select(&mut connection, rows, read::SELECTS, 2))
            }
            Workload::SelectDefault => select_again(self.warm("bulk")?, self.rows, self.rows),
            Workload::SelectTenth => {
                select_again(self.warm("bulk")?, self.rows / 10, self.rows / 10)
            }
            Workload::Scan => {
                let connection = self.warm("bulk")?;
                timed(|| read::scan(&connection))
            }
            Workload::ScanSmall => {
                let connection = self.warm("small")?;
                timed(|| read::scan(&connection))
            }
            Workload::Range => {
                let mut connection = self.warm("bulk")?;
                settings::cache(&connection, -2_000)?;
                timed(|| read::ranges(&mut connection, self.rows))
            }
            Workload::Commit => {
                let connection = self.engine.open(&self.anew("commit")?)?;
                commit::prepare(&connection)?;
                let report = timed(|| commit::run(&connection, self.rows / 500))?;
                drop(connection);
                remove(&self.path("commit"))?;
                Ok(report)
            }
            Workload::Mixed => {
                let connection = self.engine.open(&self.anew("mixed")?)?;
                insert::table(&connection, Journal::Wal, mixed::ROWS, mixed::ROWS)?;
                let report = timed(|| mixed::run(&connection, self.rows / 50))?;
                drop(connection);
                remove(&self.path("mixed"))?;
                Ok(report)
            }
            Workload::Clients64 => writers::clients(self, 64),
            Workload::Queued64 => writers::queued(self, 64, Journal::Wal),
            Workload::Queued512 => writers::queued(self, 512, Journal::Wal),
            Workload::QueuedDelete512 => writers::queued(self, 512, Journal::Delete),
            Workload::Group64 => writers::group(self, 64),
            Workload::Group512 => writers::group(self, 512),
            Workload::Beside => beside::run(self),
            Workload::Open => {
                let path = self.anew("open")?;
                opening::make(&self.engine.open(&path)?)?;
                timed(|| opening::run(&|| self.engine.open(&path)))
            }
            Workload::OpenOne => self.open_with_identity(1),
            Workload::OpenTwenty => self.open_with_identity(20),
            Workload::Vacuum => self.rework(rework::with_gaps, rework::vacuum),
            Workload::UpdateDelete => self.rework(
                |connection, rows| rework::with_index(connection, Journal::Delete, rows),
                rework::update,
            ),
            Workload::UpdateOne => self.rework(
                |connection, rows| rework::with_index(connection, Journal::Wal, rows),
                rework::update,
            ),
            Workload::Sort => self.rework(
                |connection, rows| rework::with_index(connection, Journal::Wal, rows),
                rework::sort,
            ),
        }
    }

    /// Works on a table of a fifth of the rows that `prepare` makes.
    fn rework(
        &self,
        prepare: impl FnOnce(&Connection, u32) -> Result<()>,
        work: impl FnOnce(&Connection) -> Result<Work>,
    ) -> Result<Report> {
        let path = self.anew("rework")?;
        let connection = self.engine.open(&path)?;
        prepare(&connection, self.rows / 5)?;
        let report = timed(|| work(&connection))?;
        drop(connection);
        remove(&path)?;
        Ok(report)
    }

    fn insert(&self, name: &str, journal: Journal, batch: u32) -> Result<Report> {
        let path = self.anew(name)?;
        timed(|| {
            let connection = self.engine.open(&path)?;
            insert::table(&connection, journal, self.rows, batch)
        })
    }

    fn open_with_identity(&self, slots: u32) -> Result<Report> {
        let path = self.anew(&format!("open-{slots}"))?;
        let open = self.engine.opener(&path, slots)?;
        timed(|| opening::run(&open))
    }
}

/// Caches are as they are in a program that has run for a while.
fn select_again(mut connection: Connection, rows: u32, before: u32) -> Result<Report> {
    read::select(&mut connection, rows, before, 5)?;
    timed(|| read::select(&mut connection, rows, read::SELECTS, 2))
}

fn timed(work: impl FnOnce() -> Result<Work>) -> Result<Report> {
    let cpu = process::cpu_seconds();
    let started = Instant::now();
    let done = work().context("the workload failed")?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Report {
        seconds,
        cpu_seconds: process::cpu_seconds() - cpu,
        operations: done.operations,
        checksum: done.checksum,
        peak_memory: process::peak_memory()?,
        latency: done.latency,
    })
}

/// Median and 99th percentile.
fn latency(mut times: Vec<Duration>) -> Result<Latency> {
    times.sort_unstable();
    let at = |hundredths: usize| times.get(times.len() * hundredths / 100);
    match (at(50), at(99)) {
        (Some(p50), Some(p99)) => Ok(Latency {
            p50: p50.as_secs_f64(),
            p99: p99.as_secs_f64(),
        }),
        _ => bail!("nothing was timed"),
    }
}
