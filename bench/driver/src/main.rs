//! Runs every workload on every engine in turn, several rounds, checks that all did the same work, and prints
//! medians and ratios.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;

mod child;
mod plan;
mod table;

use child::{Child, Measured};
use plan::{Limit, Step};

/// Compares the sealed database with plain SQLite of the same build.
///
/// Every workload runs in a process of its own, the engines in turn, so that whatever else the machine does hits
/// both. Ratios below 1 mean that the sealed database was faster.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  ./run\n  ./run --quick\n  ./run --only scan,select --rounds 9 --json out.json"
)]
struct Args {
    /// A tenth of the rows, three rounds: a look, not a measurement.
    #[arg(long)]
    quick: bool,
    /// How many rounds; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Rows of the large table.
    #[arg(long)]
    rows: Option<u32>,
    /// Only these workloads, separated by commas; what they need is prepared.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Folder for the databases: on the disk that is to be measured. Default: a temporary one here.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Writes all measurements to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Compares this loadable extension (libzqlite.so, a release build) with the linked library instead.
    #[arg(long)]
    extension: Option<PathBuf>,
    /// Ends with code 1 if a limit is exceeded.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let rows = args
        .rows
        .unwrap_or(if args.quick { 100_000 } else { 1_000_000 });
    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 5 }).max(1);
    let steps = plan::select(&args.only)?;
    let temporary = tempfile::Builder::new().prefix("bench-").tempdir_in(".")?;
    let folder = args.folder.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    let child = Child::find(folder, rows, args.extension.as_deref())?;
    let rivals = if args.extension.is_some() {
        plan::EXTENSION
    } else {
        plan::SEALED
    };

    let mut measured = Vec::new();
    for step in &steps {
        if !step.is_compared() {
            for engine in rivals.names {
                child.run(engine, step.name)?;
            }
        } else if !matches!(step.limit_for(rivals), Limit::None) {
            measured.push(run(&child, step, rivals, rounds)?);
        }
    }
    let exceeded = table::print(&measured, rivals, rows, rounds);
    if let Some(path) = &args.json {
        write_json(path, &measured, rows, rounds)?;
    }
    if args.check && exceeded > 0 {
        anyhow::bail!("{exceeded} limits are exceeded");
    }
    Ok(())
}

/// Runs one workload on both engines, in turn; who begins alternates.
fn run(
    child: &Child<'_>,
    step: &'static Step,
    rivals: plan::Rivals,
    rounds: usize,
) -> Result<Measured> {
    let mut measured = Measured::new(step);
    for round in 0..rounds {
        let mut engines = [0, 1].map(|at| (at == 1, rivals.names[at]));
        if round % 2 == 1 {
            engines.reverse();
        }
        for (is_second, engine) in engines {
            progress(&format!(
                "{}: round {} of {rounds}, {engine}",
                step.name,
                round + 1
            ));
            measured.add(is_second, child.run(engine, step.name)?);
        }
        measured.check_same_work()?;
    }
    progress("");
    Ok(measured)
}

/// Replaces the line that says how far we are, if somebody is looking.
fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{line}");
    }
}

fn write_json(path: &Path, measured: &[Measured], rows: u32, rounds: usize) -> Result<()> {
    let json = serde_json::json!({ "rows": rows, "rounds": rounds, "workloads": measured });
    fs::write(path, serde_json::to_string_pretty(&json)? + "\n")?;
    Ok(())
}

impl Step {
    const fn is_compared(&self) -> bool {
        !matches!(self.limit, Limit::None)
    }
}
