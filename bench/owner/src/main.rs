//! What the owner's acts cost: recipients, a rekey beside `cp`, and a rekey beside a writer.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use zqlite::pq::header::{Keyring, NewSlot, SlotKey};
use zqlite::pq::{Identity, RawKey};
use zqlite::{Builder, OwnerOptions, RekeyOptions, Who};

mod writer;

const KEY: [u8; 32] = [7; 32];
/// The rate at which the command rekeys unless it is told another, in bytes per second.
const DEFAULT_RATE: u64 = 2 << 20;

/// Measures recipients and rekey. All figures are medians of rounds in turn.
#[derive(Parser)]
struct Args {
    /// Size of the database in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// How many rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Folder for the databases: on the disk that is to be measured. Default: a temporary one here.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What the writing process does.
    #[arg(long, hide = true)]
    write: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(path) = &args.write {
        return writer::run(path);
    }
    let temporary = tempfile::Builder::new().prefix("bench-").tempdir_in(".")?;
    let folder = args.folder.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    let path = folder.join("a.db");
    create(&path, args.mib)?;

    let (add, remove) = recipients(&path, args.rounds)?;
    println!(
        "add a recipient             {:>10.2} ms   at most 10",
        millis(add)
    );
    println!(
        "remove a recipient          {:>10.2} ms   at most 10",
        millis(remove)
    );

    let (mut copies, mut rekeys) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        copies.push(copy(&path, &folder.join("copy.db"))?);
        rekeys.push(rekey(&path, None)?);
    }
    let (copy, rekeyed) = (median(copies), median(rekeys));
    println!(
        "rekey of {} MiB, over cp     {:>10.2}      at most 4   ({:.2} s over {:.2} s)",
        args.mib,
        rekeyed.as_secs_f64() / copy.as_secs_f64(),
        rekeyed.as_secs_f64(),
        copy.as_secs_f64()
    );

    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let writer = Writer::start(&path)?;
        std::thread::sleep(Duration::from_secs(8));
        alone.extend(writer.stop()?);
        let writer = Writer::start(&path)?;
        let started = Instant::now();
        // As long as the first half; the rest of the rekey is not measured.
        let stopped = zqlite::rekey(&path, options(Some(DEFAULT_RATE)), &mut |_| {
            started.elapsed() < Duration::from_secs(8)
        });
        ensure!(
            matches!(stopped, Err(zqlite::Error::RekeyStopped { .. })),
            "the database is too small for the rekey to last"
        );
        beside.extend(writer.stop()?);
        rekey(&path, None)?;
    }
    let (before, during) = (percentile_99(&mut alone), percentile_99(&mut beside));
    println!(
        "p99 of a commit, over alone {:>10.2}      at most 1.5 ({:.2} ms over {:.2} ms; {} and {} commits)",
        during / before,
        during,
        before,
        beside.len(),
        alone.len()
    );
    Ok(())
}

fn ring() -> Keyring {
    let mut ring = Keyring::new();
    ring.add_raw_key(RawKey::from_bytes(KEY));
    ring
}

fn create(path: &Path, mib: u64) -> Result<()> {
    let slot = NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes(KEY)),
        label: "bench".to_owned(),
    };
    let connection = Builder::new(path)
        .raw_key(RawKey::from_bytes(KEY))
        .create(vec![slot])
        .open()?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
         CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB); CREATE TABLE w(a INTEGER PRIMARY KEY, b BLOB);",
    )?;
    let rows = i64::try_from(mib * 2)?;
    for first in (0..rows).step_by(100) {
        connection.execute_batch(&format!(
            "WITH RECURSIVE n(x) AS (SELECT {first} UNION ALL SELECT x+1 FROM n WHERE x<{})
             INSERT INTO t SELECT x, randomblob(520000) FROM n; PRAGMA wal_checkpoint(TRUNCATE);",
            (first + 99).min(rows - 1)
        ))?;
    }
    drop(connection);
    File::open(path)?.sync_all()?;
    Ok(())
}

/// Another process has the database open meanwhile, as it would in use.
fn recipients(path: &Path, rounds: usize) -> Result<(Duration, Duration)> {
    let other = Builder::new(path).raw_key(RawKey::from_bytes(KEY)).open()?;
    other.query_row("SELECT count(*) FROM w", [], |_| Ok(()))?;
    let (mut adds, mut removes) = (Vec::new(), Vec::new());
    for _ in 0..rounds * 5 {
        let slot = NewSlot {
            key: SlotKey::Recipient(Identity::from_seed([9; 32]).recipient()),
            label: "laptop".to_owned(),
        };
        let started = Instant::now();
        zqlite::add_recipient(path, OwnerOptions::new(ring()), slot)?;
        adds.push(started.elapsed());
        let started = Instant::now();
        let who = [Who::Label("laptop".to_owned())];
        zqlite::remove_recipients(path, OwnerOptions::new(ring()), &who)?;
        removes.push(started.elapsed());
    }
    Ok((median(adds), median(removes)))
}

fn options(rate: Option<u64>) -> RekeyOptions {
    let mut options = RekeyOptions::new(ring());
    options.rate = rate;
    options
}

fn rekey(path: &Path, rate: Option<u64>) -> Result<Duration> {
    let started = Instant::now();
    zqlite::rekey(path, options(rate), &mut |_| true)?;
    Ok(started.elapsed())
}

/// `cp` and a sync of the copy.
fn copy(from: &Path, to: &Path) -> Result<Duration> {
    let started = Instant::now();
    let copied = Command::new("cp")
        .arg("--sparse=never")
        .arg("--reflink=never")
        .arg(from)
        .arg(to)
        .status()?;
    ensure!(copied.success(), "cp failed");
    File::open(to)?.sync_all()?;
    let took = started.elapsed();
    fs::remove_file(to)?;
    Ok(took)
}

/// A process that commits rows until its stdin is closed, and then says how long each took.
struct Writer(std::process::Child);

impl Writer {
    fn start(path: &Path) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg("--write")
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    /// Milliseconds of each commit.
    fn stop(mut self) -> Result<Vec<f64>> {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output()?;
        ensure!(output.status.success(), "the writer failed");
        let lines = String::from_utf8(output.stdout)?;
        lines
            .lines()
            .map(|line| line.parse().context("a number"))
            .collect()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn percentile_99(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = times.len().saturating_sub(1) * 99 / 100;
    times.get(at).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
