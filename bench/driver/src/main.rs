//! Runs every workload on every engine in turn, several rounds, checks that all did the same work, and prints
//! medians and ratios.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

mod child;
mod others;
mod plan;
mod reach;
mod table;

use child::{Children, Measured};
use plan::{Contest, Step};

/// Compares the sealed database with plain SQLite of the same build, SQLCipher, and SQLite3MultipleCiphers.
///
/// Every workload runs in a process of its own, the engines in turn, so that whatever else the machine does hits
/// all of them. Ratios below 1 mean that the sealed database was faster.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  ./run\n  ./run --quick\n  ./run --only scan,select-miss --rounds 9 --json out.json"
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
    /// Only these engines beside the sealed one, by their labels.
    #[arg(long, value_delimiter = ',')]
    rivals: Vec<String>,
    /// Folder for the databases: on the disk that is to be measured. Default: a temporary one here.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Writes all measurements to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Compares this loadable extension (libzqlite.so, a release build) with the linked library instead.
    #[arg(long)]
    extension: Option<PathBuf>,
    /// Compares the ciphers of SQLite3MultipleCiphers at reading instead.
    #[arg(long, conflicts_with = "extension")]
    ciphers: bool,
    /// Ends with code 1 if a floor is missed.
    #[arg(long)]
    check: bool,
    /// A Python that has apsw-sqlite3mc: `./run` makes it.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let rows = args
        .rows
        .unwrap_or(if args.quick { 100_000 } else { 1_000_000 });
    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 5 }).max(1);
    let contest = if args.ciphers {
        Contest::Ciphers
    } else if args.extension.is_some() {
        Contest::Extension
    } else {
        Contest::Rivals
    };
    let mut steps = plan::select(contest, &args.only)?;
    if !args.rivals.is_empty() {
        for step in &mut steps {
            let first = step.contenders.first().map(|first| first.label);
            step.contenders.retain(|one| {
                Some(one.label) == first || args.rivals.iter().any(|name| name == one.label)
            });
        }
    }
    let temporary = tempfile::Builder::new().prefix("bench-").tempdir_in(".")?;
    let folder = args.folder.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    let children = Children::new(folder, rows, args.extension.as_deref(), &args.python)?;

    let mut measured = Vec::new();
    for step in &steps {
        let one = run(&children, step, if step.prepares { 1 } else { rounds })?;
        if !step.prepares {
            measured.push(one);
        }
    }
    table::print(&measured, rows, rounds);
    let (mut outcomes, mut others) = (Vec::new(), Vec::new());
    if contest == Contest::Rivals {
        outcomes = reach::outcomes(&measured);
        let (more, figures) = others::run(children.programs(), &args.only)?;
        outcomes.extend(more);
        others = figures;
    }
    let missed = table::print_outcomes(&outcomes);
    if let Some(path) = &args.json {
        let json = serde_json::json!({
            "rows": rows, "rounds": rounds, "workloads": measured, "others": others, "reach": outcomes,
        });
        fs::write(path, serde_json::to_string_pretty(&json)? + "\n")?;
    }
    if args.check && missed > 0 {
        anyhow::bail!("{missed} floors are missed");
    }
    Ok(())
}

/// Runs one workload on all engines, in turn; who begins goes round.
fn run(children: &Children<'_>, step: &Step, rounds: usize) -> Result<Measured> {
    let mut measured = Measured::new(step);
    for round in 0..rounds {
        let count = step.contenders.len();
        for at in 0..count {
            let at = (at + round) % count.max(1);
            let Some(contender) = step.contenders.get(at) else {
                continue;
            };
            progress(&format!(
                "{}: round {} of {rounds}, {}",
                step.name,
                round + 1,
                contender.label
            ));
            measured.add(at, children.run(contender)?);
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
